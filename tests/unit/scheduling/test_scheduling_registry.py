"""Schedulers by name: built-ins, plug-ins, and what is refused."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points

import pytest

from pfgov.core.scheduler import (
    BadParameterError,
    BrokenSchedulerError,
    Pairs,
    UnknownSchedulerError,
)
from pfgov.scheduling import registry
from pfgov.scheduling.registry import BUILT_IN, GROUP, available, scheduler
from pfgov.scheduling.rendezvous import Rendezvous


class Plug(Rendezvous):
    """A plug-in as another package might ship it."""

    name = "plug"


class Twin(Rendezvous):
    """A sound plug-in whose name another package declares as well."""

    name = "twin"


def refusing(parameters: Pairs) -> object:
    """A plug-in that knows no parameters."""
    raise BadParameterError(f"no {parameters}")


def failing(parameters: Pairs) -> object:
    """A plug-in with a bug."""
    raise ZeroDivisionError


def empty(parameters: Pairs) -> object:
    """A plug-in that makes something else."""
    return object()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points as other packages would declare them, some of them hostile."""
    declared = [
        ("plug", "Plug"),
        ("misnamed", "Plug"),
        ("refusing", "refusing"),
        ("failing", "failing"),
        ("empty", "empty"),
        ("absent", "Absent"),
        ("twin", "Twin"),
        ("twin", "empty"),
        ("rendezvous", "failing"),
    ]
    points = EntryPoints(EntryPoint(name, f"{__name__}:{what}", GROUP) for name, what in declared)

    def found(**selection: str) -> EntryPoints:
        return points.select(**selection)

    monkeypatch.setattr(registry, "entry_points", found)
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


@pytest.mark.usefixtures("installed")
def test_an_installed_plug_in_is_found_by_name() -> None:
    """Another package's scheduler can be chosen without touching pfgov."""
    assert type(scheduler("plug")).__name__ == "Plug"
    assert "plug" in available()


@pytest.mark.usefixtures("installed")
def test_a_built_in_name_cannot_be_taken_over() -> None:
    """Installing a package never changes what ``rendezvous`` means."""
    assert type(scheduler("rendezvous")) is Rendezvous


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["misnamed", "failing", "empty", "absent", "twin"])
def test_a_broken_plug_in_is_refused(name: str) -> None:
    """What cannot be loaded, is ambiguous, or is not a scheduler has one code and says why."""
    with pytest.raises(BrokenSchedulerError) as caught:
        scheduler(name)
    assert caught.value.code == "scheduler.broken"


@pytest.mark.usefixtures("installed")
def test_a_plug_in_refuses_its_parameters_itself() -> None:
    """A plug-in's own refusal reaches the caller as it is."""
    with pytest.raises(BadParameterError):
        scheduler("refusing", (("a", "1"),))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("rendezvouz", "did you mean 'rendezvous'?"), ("bin-pack", "'binpack'"), ("", "there are")],
)
def test_an_unknown_name_gets_advice(name: str, hint: str) -> None:
    """A typing error is answered with the name that was meant."""
    with pytest.raises(UnknownSchedulerError) as caught:
        scheduler(name)
    assert caught.value.code == "scheduler.unknown"
    assert hint in str(caught.value.hint)


def test_the_package_declares_its_own_schedulers() -> None:
    """The entry points in the metadata and the built-in table name the same classes."""
    declared = {point.name: point.value for point in entry_points(group=GROUP)}
    assert {name: declared.get(name) for name in BUILT_IN} == BUILT_IN


def test_numpy_is_not_needed_to_choose() -> None:
    """Every scheduler works, pools included, on a machine without the extra ``fast``."""
    code = """
import sys
sys.modules["numpy"] = None
from importlib.util import find_spec
import importlib.util
importlib.util.find_spec = lambda name: None if name == "numpy" else find_spec(name)
from unit.scheduling.scheduling_members import asked, machines
from pfgov.scheduling.registry import BUILT_IN, scheduler
for name in BUILT_IN:
    assert scheduler(name).choose(asked(), machines(20)) is not None
for name in ("ring", "binpack"):
    assert scheduler(name).pool(machines(100)).choose(asked()) is not None
"""
    path = [entry for entry in sys.path if entry]
    script = f"import sys\nsys.path[:0] = {path!r}\n{code}"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
