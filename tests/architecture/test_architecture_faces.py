"""Faces of packages load their parts when asked for, so that a command that reads does not wait for all the rest."""

import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from pfgov.cli import run
from pfgov.faces import face

FACES = (
    "pfgov.app.local",
    "pfgov.app.views",
    "pfgov.engine",
    "pfgov.engine.reading",
    "pfgov.model",
    "pfgov.policy",
)

DECIDES = (
    "pfgov.core.decide",
    "pfgov.engine.engine",
    "pfgov.model.border",
    "pfgov.policy.facts",
    "pydantic",
)
"""What only a command that decides or checks an input needs."""


@pytest.mark.parametrize("name", FACES)
def test_a_face_gives_what_it_lists(name: str) -> None:
    """Every name of ``__all__`` is there, found once, and no module's name: importing that would take its place."""
    package = importlib.import_module(name)
    modules = {one.name for one in pkgutil.iter_modules(package.__path__)}
    assert modules.isdisjoint(package.__all__)
    for one in package.__all__:
        assert getattr(package, one) is not None
        assert one in vars(package), f"{one} is looked for at every use"


def test_a_face_without_the_name_says_so() -> None:
    """A name that no part gives is an AttributeError that names both, so that ``from`` and ``hasattr`` work."""
    look = face("pfgov.policy", {"pfgov.policy.problems": ("Problem",)})
    with pytest.raises(AttributeError, match=r"'pfgov\.policy' has no attribute 'Problems'"):
        look("Problems")


@pytest.mark.process
@pytest.mark.parametrize("command", [["status"], ["packet", "list"], ["ledger", "log"]])
def test_reading_loads_nothing_that_decides(command: list[str], tmp_path: Path) -> None:
    """A command that reads a folder answers without the rules, the policies and the models of inputs."""
    assert run(["init", "--dir", str(tmp_path / "ledger")]) == 0
    code = (
        "import sys\nfrom pfgov.cli import run\n"
        f"assert run([*{command!r}, '--dir', {str(tmp_path / 'ledger')!r}]) == 0\n"
        f"print([name for name in {DECIDES!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout
