"""Watching a run: what a scenario looks like, every few virtual seconds, for somebody who draws it.

Nothing of the run changes by being watched: frames are looked up between two ticks, and draw nothing from the run's
randomness.  The metrics at the end are those of ``pfgov sim run`` with the same seed.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from pfgov.core.records import Member
from pfgov.core.state import State
from pfgov.limits import MICRO
from pfgov.sim.metrics import Metrics
from pfgov.sim.scenarios import SCENARIOS, Scenario
from pfgov.sim.workload import Workload, workspace

FRAMES: Final = 120
"""Frames of a run, about."""

SHOWN: Final = (
    "stability",
    "churn",
    "moves",
    "completed",
    "balance",
    "denial_rate",
    "success_rate",
)
"""Metrics of a frame."""

WATCHED: Final = tuple(one.name for one in SCENARIOS.values() if not one.window_minutes)
"""Scenarios that end in time to be watched."""


class MemberFrame(msgspec.Struct, frozen=True, array_like=True):
    """A member at one moment; shares in thousandths, quantities in units."""

    id: str
    status: str
    active: int
    tasks: int
    used: float
    whole: float
    trust: int
    reliability: int
    pressure: int
    skills: list[str]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a run: virtual seconds, members, owners of living packets, metrics so far, the newest events."""

    second: int
    seconds: int
    entries: int
    members: list[MemberFrame]
    owners: dict[str, str]
    waiting: int
    metrics: Metrics
    kinds: dict[str, int]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to."""

    scenario: str
    scheduler: str
    seed: int
    entries: int
    metrics: Metrics


def watch(
    name: str, seed: int, emit: Callable[[Frame], None], *, scheduler: str | None = None
) -> RunResult:
    """Run the scenario *name* under *seed*, giving frames to *emit*; return its metrics.

    Raises:
        KeyError: there is no such scenario that can be watched.
        PfgovError: the engine failed.
    """
    scenario: Scenario = SCENARIOS[name]
    every = max(scenario.minutes * 60 // FRAMES, scenario.tick_seconds)
    with workspace() as folder:
        run = Workload(scenario, seed, folder / "ledger", scheduler=scheduler)

        def look(second: int, seconds: int) -> None:
            if second % every == 0 or second == seconds:
                emit(_frame(run, second, seconds))

        outcome = run.run(look)
    return RunResult(
        scenario=name,
        scheduler=outcome.scheduler,
        seed=seed,
        entries=outcome.entries,
        metrics=outcome.metrics,
    )


def _frame(run: Workload, second: int, seconds: int) -> Frame:
    found: Metrics = run.meter.result()

    def look(state: State) -> Frame:
        return Frame(
            second=second,
            seconds=seconds,
            entries=state.size,
            members=[_member(one) for one in state.roster()],
            owners={one: owner for owner, ids in state.owned.items() for one in ids},
            waiting=len(state.unowned),
            metrics={name: found[name] for name in SHOWN},
            kinds=dict(run.meter.kinds),
        )

    return run.engine.look(look)


def _member(member: Member) -> MemberFrame:
    return MemberFrame(
        member.member_id,
        member.status.value,
        member.active,
        member.capacity.get("tasks", 0) // MICRO,
        member.used.get("cpu", 0) / MICRO,
        member.capacity.get("cpu", 0) / MICRO,
        (member.trust or 0) // 1_000,
        member.reliability // 1_000,
        member.pressure // 1_000,
        sorted(member.capabilities),
    )
