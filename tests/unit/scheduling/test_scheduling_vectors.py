"""Every scheduler and the reliability arithmetic reproduce the published vectors."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from unit.scheduling.naive_scheduling import write
from unit.scheduling.scheduling_members import Member

from pfgov.core.reliability import Record, observed, value
from pfgov.core.scheduler import Request
from pfgov.scheduling.registry import BUILT_IN, scheduler

VECTORS = Path(__file__).parent / "vectors"
SCHEDULERS = json.loads((VECTORS / "schedulers.json").read_text(encoding="utf-8"))
RELIABILITY = json.loads((VECTORS / "reliability.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_scheduler_reproduces_its_vectors(name: str) -> None:
    """What the ledger says was chosen can be recomputed from the page by somebody else."""
    rows = [row for row in SCHEDULERS if row["scheduler"] == name]
    assert len(rows) >= 12
    for row in rows:
        _check(row, [Member(**member) for member in row["members"]])


def test_the_order_of_the_members_never_matters() -> None:
    """The same members in another order get the same choice and the same scores."""
    rnd = random.Random(1)
    for row in SCHEDULERS:
        pairs = list(zip(row["members"], row["scores"], strict=True))
        rnd.shuffle(pairs)
        shuffled = {**row, "scores": [score for _, score in pairs]}
        _check(shuffled, [Member(**member) for member, _ in pairs])


def _check(row: dict[str, Any], members: list[Member]) -> None:
    parameters = tuple((name, text) for name, text in row["parameters"])
    made = scheduler(row["scheduler"], parameters)
    request = Request(**row["request"])
    assert made.scores(request, members) == row["scores"]
    choice = made.choose(request, members)
    if row["chosen"] is None:
        assert choice is None
        return
    assert choice is not None
    ids = [member.member_id for member in members]
    scores = dict(zip(ids, row["scores"], strict=True))
    assert (choice.member_id, choice.runner_up) == (row["chosen"], row["runner_up"])
    assert choice.score == scores[choice.member_id]
    if choice.runner_up is not None:
        assert choice.runner_up_score == scores[choice.runner_up]
    assert choice.scores == tuple(zip(ids, row["scores"], strict=True))


def test_reliability_reproduces_its_vectors() -> None:
    """Reliability is the same integer wherever it is computed."""
    for row in RELIABILITY:
        record = Record()
        half_life = row["half_life_us"]
        for time, success in row["outcomes"]:
            record = observed(record, time, success=success, half_life_us=half_life)
        assert list(record) == row["record"]
        assert value(record, row["now_us"], half_life) == row["value"]


def test_the_vectors_are_what_the_second_implementation_writes(tmp_path: Path) -> None:
    """The files were not edited by hand, and not written by the code they test."""
    write(tmp_path)
    for name in ("schedulers.json", "reliability.json"):
        assert (tmp_path / name).read_bytes() == (VECTORS / name).read_bytes()
    source = (Path(__file__).parent / "naive_scheduling.py").read_text(encoding="utf-8")
    assert "import pfgov" not in source
    assert "from pfgov" not in source
