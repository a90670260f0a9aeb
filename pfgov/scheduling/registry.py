"""Schedulers by name: the built-in ones, and those that other packages declare as entry points.

A built-in name always means the built-in: no installed package can take it over.  Only for other
names are the entry points of the group ``pfgov.schedulers`` searched.  An entry point is anything
that, called with the parameters, returns a :class:`pfgov.core.scheduler.Scheduler`.

This module imports a scheduler only when it is asked for.
"""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

from pfgov.core.scheduler import (
    BrokenSchedulerError,
    Pairs,
    Scheduler,
    SchedulerError,
    UnknownSchedulerError,
)

GROUP: Final = "pfgov.schedulers"
"""The entry-point group of plug-ins."""

BUILT_IN: Final = {
    "agent": "pfgov.scheduling.agent:Agent",
    "binpack": "pfgov.scheduling.binpack:BinPack",
    "rendezvous": "pfgov.scheduling.rendezvous:Rendezvous",
    "ring": "pfgov.scheduling.ring:Ring",
    "seed-ring": "pfgov.scheduling.seed_ring:SeedRing",
    "trust-weighted": "pfgov.scheduling.agent:TrustWeighted",
}
"""Built-in schedulers by name."""

Factory = Callable[[Pairs], object]


def available() -> list[str]:
    """Return the names of all schedulers, built-in and installed, without loading any."""
    return sorted({*BUILT_IN, *(found.name for found in entry_points(group=GROUP))})


def scheduler(name: str, parameters: Pairs = ()) -> Scheduler:
    """Return the scheduler *name* with *parameters*.

    Keep it: schedulers remember what they have hashed.

    Raises:
        UnknownSchedulerError: there is none of this name; the hint names the nearest.
        BadParameterError: a parameter is unknown or has a value that is not allowed.
        BrokenSchedulerError: a plug-in cannot be loaded, or what it made is not a scheduler.
    """
    target = BUILT_IN.get(name)
    if target is not None:
        module, _, attribute = target.partition(":")
        return cast("Scheduler", getattr(import_module(module), attribute)(parameters))
    return _plug_in(name, parameters)


def _plug_in(name: str, parameters: Pairs) -> Scheduler:
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        close = get_close_matches(name, available(), n=1)
        raise UnknownSchedulerError(
            f"there is no scheduler {name!r}",
            hint=f"did you mean {close[0]!r}?" if close else f"there are {', '.join(available())}",
        )
    if len({entry.value for entry in found}) > 1:
        raise BrokenSchedulerError(
            f"several installed packages declare a scheduler {name!r}",
            hint="uninstall all but one of them",
        )
    made = _made(found[0], parameters)
    if not isinstance(made, Scheduler):
        raise BrokenSchedulerError(f"{found[0].value} made {made!r}, which is not a scheduler")
    if made.name != name:
        raise BrokenSchedulerError(f"{found[0].value} calls itself {made.name!r}, not {name!r}")
    return made


def _made(entry: EntryPoint, parameters: Pairs) -> object:
    try:
        return cast("Factory", entry.load())(parameters)
    except SchedulerError:
        raise
    except Exception as error:
        raise BrokenSchedulerError(
            f"scheduler {entry.name} ({entry.value}) cannot be loaded:"
            f" {type(error).__name__}: {error}"
        ) from error
