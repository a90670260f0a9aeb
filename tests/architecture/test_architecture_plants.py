"""The faults of ``make plants`` can be planted: each place is there exactly once, and each test exists."""

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLANTS: list[Any] = runpy.run_path(str(ROOT / "tests" / "mutation" / "plants.py"))["plants"]()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_fault_can_be_planted(plant: Any) -> None:
    """The code has moved on, and the fault would be planted nowhere, or in several places."""
    assert (ROOT / plant.file).read_text().count(plant.old) == 1
    assert plant.new != plant.old
    for test in plant.tests:
        path, _, name = test.partition("::")
        if not path.endswith(".py"):
            continue  # -k and what follows it
        assert (ROOT / path).is_file()
        assert not name or f"def {name.partition('[')[0]}(" in (ROOT / path).read_text()


def test_each_fault_has_a_name_of_its_own() -> None:
    """Two faults are told apart by nothing."""
    assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 15
