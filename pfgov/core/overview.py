"""An overview of a ledger, and its settings in units that people read.

Both are shown alike by the command line over a folder and by a server.  This module counts and converts, no more, and
is apart from the views of members and packets so that looking at a ledger costs little to start.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pfgov.core import events as e
from pfgov.core.state import State
from pfgov.limits import MICRO


class LedgerView(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger holds; ``without_owner`` counts the packets that wait for one and are not held back.

    ``halted`` says why leases do not end, if they do not.
    """

    origin: str
    size: int
    semantics: int
    policy: str | None
    policies: list[str]
    scheduler: str
    members: dict[str, int]
    packets: dict[str, int]
    without_owner: int
    halted: str | None = None


def ledger_view(state: State, packets: Mapping[str, int]) -> LedgerView:
    """Return an overview of *state*; *packets* says how many packets have each status, ended ones too."""
    members = Counter(str(member.status) for member in state.members.values())
    waiting = [one for one in state.live() if one.owner is None and not one.terms.hold]
    return LedgerView(
        origin=state.origin,
        size=state.size,
        semantics=state.semantics,
        policy=state.policy,
        policies=[f"{ref.name} {ref.version}" for ref in state.policies],
        scheduler=state.settings.scheduler.name,
        members=dict(sorted(members.items())),
        packets=dict(packets),
        without_owner=len(waiting),
        halted=None if state.halt is None else state.halt.cause,
    )


_SPANS: Final = frozenset(
    {
        "handoff_timeout",
        "review_timeout",
        "retain_interval",
        "half_life",
        "clock_jump_max",
        "rebalance_cooldown",
        "flap_window",
        "flap_penalty",
    }
)


def settings_view(settings: e.Configuration) -> dict[str, Any]:
    """Return the settings by name; spans of time in seconds, schedulers as ``name:parameter=value``."""
    made: dict[str, Any] = {}
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name == "scheduler":
            made[name] = _scheduler(value)
        elif name == "schedulers":
            made.update({f"scheduler.{workload}": _scheduler(ref) for workload, ref in value})
        elif name in _SPANS:
            made[name] = value // MICRO if value % MICRO == 0 else value / MICRO
        else:
            made[name] = msgspec.to_builtins(value)
    return made


def _scheduler(ref: e.SchedulerRef) -> str:
    parameters = ",".join(f"{name}={value}" for name, value in ref.parameters)
    return f"{ref.name}:{parameters}" if parameters else ref.name
