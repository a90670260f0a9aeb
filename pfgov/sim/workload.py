"""Running a scenario: the same engine on a real store, members and work by the hour, in virtual time.

A heap of moments is worked off in order: arrivals, heartbeats, pieces of work that end, members that die, recover,
leave and join, and a tick every second.  Everything random comes from one seeded source, so that equal seeds give
equal ledgers.
"""

import heapq
import random
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.records import Stamp
from pfgov.core.state import State
from pfgov.engine import Engine, Options
from pfgov.errors import PfgovError
from pfgov.sim.metrics import Meter, Metrics
from pfgov.sim.scenarios import Scenario
from pfgov.sim.soak import Window, WindowMeter
from pfgov.sim.start import Start
from pfgov.sim.world import START, policy_sets
from pfgov.storage import open_store
from pfgov.storage.port import EntryFilter

SECOND: Final = 1_000_000
SAMPLE: Final = 10 * SECOND

Progress = Callable[[int, int], None]
"""Called with (virtual seconds done, virtual seconds in all)."""


@contextmanager
def workspace() -> Generator[Path]:
    """Give a temporary folder, in memory where this machine has such a place."""
    memory = Path("/dev/shm")  # noqa: S108 - only a faster temporary folder; a private one is made in it
    with tempfile.TemporaryDirectory(
        dir=memory if memory.is_dir() else None, prefix="pfgov-sim-"
    ) as folder:
        yield Path(folder)


@dataclass(slots=True)
class _Process:
    """A member's process: whether it runs, and how often its work fails."""

    member_id: str
    unreliability: int
    incarnation: int = 1
    is_alive: bool = True
    is_leaving: bool = False


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    scenario: str
    scheduler: str
    seed: int
    entries: int
    metrics: Metrics
    windows: tuple[Window, ...] = ()


@dataclass(slots=True)
class _Queue:
    """Moments in order; equal moments in the order in which they were added."""

    items: list[tuple[int, int, Callable[[], None]]] = field(
        default_factory=list[tuple[int, int, Callable[[], None]]]
    )
    added: int = 0

    def at(self, moment: int, do: Callable[[], None]) -> None:
        """Do something at *moment*."""
        self.added += 1
        heapq.heappush(self.items, (moment, self.added, do))


class Workload:
    """One scenario under one seed."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        directory: Path,
        *,
        scheduler: str | None = None,
        start: Start | None = None,
    ) -> None:
        """Create the ledger and the first fleet; with *start* its members, packets and policies instead of others."""
        self.scenario = scenario
        self.start = start
        self.seed = seed
        self.scheduler = scheduler or scenario.scheduler
        self.source = random.Random(seed)
        self.clock = ManualClock(START)
        self.meter = Meter()
        self.windows = (
            WindowMeter(START, scenario.window_minutes * 60 * SECOND)
            if scenario.window_minutes
            else None
        )
        self.processes: dict[str, _Process] = {}
        self.queue = _Queue()
        self._arrived = 0
        self._joined = 0
        self._seen = 0
        self._end = START + scenario.minutes * 60 * SECOND
        self._options = Options(draw=random.Random(seed ^ 0xC0FFEE).randbytes, keep_tables=False)
        self._restarts = 0
        self.engine = Engine.create(
            open_store(directory),
            f"pfgov.sim/{scenario.name}",
            clock=self.clock,
            policy=policy_sets()[0] if start is None else start.policies,
            scheduler=self.scheduler,
            options=self._options,
        )

    # --- running ---------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> Outcome:
        """Run to the end and return the metrics.

        Raises:
            PfgovError: the engine failed.
        """
        try:
            self._set_up()
            while self.queue.items and self.queue.items[0][0] <= self._end:
                moment, _, do = heapq.heappop(self.queue.items)
                if moment > self.clock.now():
                    self.clock.advance(moment - self.clock.now())
                do()
                if progress is not None and do == self._tick:
                    progress((moment - START) // SECOND, (self._end - START) // SECOND)
            self._look()
            found = self.windows
            if found is not None and self.clock.now() >= found.start + found.length // 2:
                found.close()
            return Outcome(
                self.scenario.name,
                self.scheduler,
                self.seed,
                self._seen,
                self.meter.result(),
                tuple(found.windows) if found is not None else (),
            )
        finally:
            self.engine.close()

    def _set_up(self) -> None:
        scenario = self.scenario
        if scenario.settings:
            self._submit(c.Configure(settings=scenario.settings))
        if self.start is None:
            for _ in range(scenario.fleet.members):
                self._join()
            for _ in range(scenario.work.at_once):
                self._arrive()
        else:
            for member in self.start.members:
                self._enter(member)
            for packet in self.start.packets:
                self._submit(packet)
        if scenario.work.packets_per_hour:
            self._next_arrival()
        if scenario.churn.joins:
            self._later(scenario.churn.joins * scenario.fleet.members, self._join_again)
        for index, second in enumerate(scenario.churn.policy_at if self.start is None else ()):
            chosen = policy_sets()[(index + 1) % 2]
            self.queue.at(START + second * SECOND, lambda chosen=chosen: self._activate(chosen))  # type: ignore[misc]
        self._later(scenario.churn.restarts, self._restart)
        self._later(scenario.churn.clock_steps, self._step_clock)
        self.queue.at(self.clock.now() + scenario.tick_seconds * SECOND, self._tick)
        self.queue.at(self.clock.now() + SAMPLE * scenario.tick_seconds, self._sample)

    def _later(self, per_hour: float, do: Callable[[], None]) -> None:
        """Do something after an exponential time with that many occurrences an hour."""
        if per_hour > 0:
            self.queue.at(
                self.clock.now() + round(self.source.expovariate(per_hour / 3_600) * SECOND), do
            )

    def _submit(self, action: c.Action, principal: c.Principal = c.LOCAL_OPERATOR) -> None:
        with suppress(
            PfgovError
        ):  # refused, and where it matters recorded: the meter reads the ledger
            self.engine.submit(action, principal=principal)
        self._look()

    def _activate(self, chosen: object) -> None:
        self.engine.activate(chosen, principal=c.LOCAL_OPERATOR)  # type: ignore[arg-type]
        self._look()

    def _tick(self) -> None:
        self.engine.tick()
        self._look()
        self.queue.at(self.clock.now() + self.scenario.tick_seconds * SECOND, self._tick)

    def _restart(self) -> None:
        """Close the engine, or kill it, and open it again."""
        self._restarts += 1
        if self._restarts % 2:
            self.engine.close()
        else:
            self.engine.abandon()
        store = self.engine.store
        self.engine = Engine.open(store, clock=self.clock, options=self._options)
        self._later(self.scenario.churn.restarts, self._restart)

    def _step_clock(self) -> None:
        """Set the wall clock a few seconds forth or back, as a time service does."""
        self.clock.step(self.source.randrange(-5, 6) * SECOND)
        self._later(self.scenario.churn.clock_steps, self._step_clock)

    def _sample(self) -> None:
        def loads(state: State) -> list[int]:
            return [m.active for m in state.roster() if m.status is MemberStatus.ACTIVE]

        self.meter.sample(self.engine.look(loads))
        self.queue.at(self.clock.now() + SAMPLE * self.scenario.tick_seconds, self._sample)

    def _look(self) -> None:
        """Read what was committed, measure it, and let new owners begin to work."""
        if self.engine.look(lambda state: state.size) == self._seen:
            return
        for recorded in self.engine.reader.entries(EntryFilter(start=self._seen)):
            self._seen = recorded.row.seq + 1
            stamp = Stamp(recorded.row.seq, recorded.row.time)
            self.meter.read(recorded.event, stamp)
            if self.windows is not None:
                self.windows.read(recorded.event, stamp)
            self._react(recorded.event)

    def _react(self, event: e.Event) -> None:
        if isinstance(event, e.AssignmentDecision | e.HandoffCompleted):
            if event.owner is not None:
                self._begin(event.packet_id, event.owner, event.epoch)
        elif isinstance(event, e.MemberRetired):
            self.processes.pop(event.member_id, None)

    # --- work ------------------------------------------------------------------------------

    def _next_arrival(self) -> None:
        self._later(self.scenario.work.packets_per_hour, self._arrive_again)

    def _arrive_again(self) -> None:
        self._arrive()
        self._next_arrival()

    def _arrive(self) -> None:
        work, fleet, n = self.scenario.work, self.scenario.fleet, self._arrived
        self._arrived += 1
        if self.start is not None and self.start.packets:
            alike = self.start.packets[n % len(self.start.packets)]
            name = f"sim-p{n:06d}"
            self._submit(
                msgspec.structs.replace(alike, packet_id=name, lineage_id=name, hold=False)
            )
            return
        minimum = work.minimum_trust[n % len(work.minimum_trust)]
        regions = work.regions[n % len(work.regions)]
        self._submit(
            c.SubmitPacket(
                packet_id=f"p{n:06d}",
                workload_type="simulated",
                lineage_id=f"lin-{n}",
                required_capabilities=(fleet.skills[n % len(fleet.skills)],),
                constraints=c.Constraints(
                    minimum_trust_score=minimum or None, allowed_regions=regions or None
                ),
                demand=(("cpu", work.cpu[n % len(work.cpu)]),) if work.cpu else (),
                priority=work.priorities[n % len(work.priorities)],
            )
        )

    def _begin(self, packet_id: str, owner: e.Owner, epoch: int) -> None:
        if not self.scenario.work.seconds:
            return
        claim = c.OwnerClaim(member_id=owner.member_id, incarnation=owner.incarnation, epoch=epoch)
        took = round(self.source.expovariate(1 / self.scenario.work.seconds) * SECOND)
        self.queue.at(self.clock.now() + took, lambda: self._finish(packet_id, claim))

    def _finish(self, packet_id: str, claim: c.OwnerClaim) -> None:
        process = self.processes.get(claim.member_id)
        if process is None or not process.is_alive:
            return
        principal = c.Principal(id=claim.member_id, rights=(f"member:{claim.member_id}",))
        if self.source.randrange(1_000) < process.unreliability:
            self._submit(
                c.RequeuePacket(packet_id=packet_id, owner=claim, reason="did not work"), principal
            )
        else:
            self._submit(c.CompletePacket(packet_id=packet_id, owner=claim), principal)

    # --- members ---------------------------------------------------------------------------

    def _join_again(self) -> None:
        self._join()
        self._later(self.scenario.churn.joins * self.scenario.fleet.members, self._join_again)

    def _join(self) -> None:
        fleet, n = self.scenario.fleet, self._joined
        self._joined += 1
        if self.start is not None:
            alike = self.start.members[n % len(self.start.members)]
            self._enter(msgspec.structs.replace(alike, member_id=f"sim-m{n:03d}"))
            return
        member_id = f"m{n:03d}"
        skills = [fleet.skills[(n + i) % len(fleet.skills)] for i in range(fleet.skills_each)]
        capacity = [
            (name, str(amount))
            for name, amount in (("cpu", fleet.cpu), ("tasks", fleet.tasks))
            if amount
        ]
        self._enter(
            c.RegisterMember(
                member_id=member_id,
                type="agent",
                capabilities=tuple(c.Capability(name=skill) for skill in dict.fromkeys(skills)),
                capacity=tuple(capacity),
                region=fleet.regions[n % len(fleet.regions)],
                weight=fleet.weights[n % len(fleet.weights)],
                trust_score=fleet.trust[n % len(fleet.trust)],
                lease_seconds=fleet.lease_seconds,
            ),
            fleet.unreliability[n % len(fleet.unreliability)],
        )

    def _enter(self, member: c.RegisterMember, unreliability: int = 0) -> None:
        """Let a member join, and its process live."""
        lease = self.scenario.fleet.lease_seconds
        self._submit(msgspec.structs.replace(member, lease_seconds=lease))
        process = _Process(member.member_id, unreliability)
        self.processes[member.member_id] = process
        self._heartbeat(process)
        churn = self.scenario.churn
        self._later(churn.failures, lambda: self._die(process))
        self._later(churn.leaves, lambda: self._leave(process))
        if member.capabilities:
            skill = member.capabilities[0].name
            self._later(churn.withdrawals, lambda: self._withdraw(process, skill))
        self._later(churn.trust_changes, lambda: self._assess(process))
        self._later(churn.pressure, lambda: self._press(process))

    def _heartbeat(self, process: _Process) -> None:
        if self.processes.get(process.member_id) is not process:
            return
        if process.is_alive:
            try:
                self.engine.heartbeat(process.member_id, process.incarnation)
            except PfgovError:
                return
            self._look()
        self.queue.at(
            self.clock.now() + self.scenario.fleet.lease_seconds * SECOND // 3,
            lambda: self._heartbeat(process),
        )

    def _die(self, process: _Process) -> None:
        process.is_alive = False
        repair = self.scenario.churn.repair_seconds
        if repair:
            self._later(3_600 / repair, lambda: self._recover(process))

    def _recover(self, process: _Process) -> None:
        if self.processes.get(process.member_id) is not process:
            return
        process.is_alive = True

        def stands(state: State) -> tuple[MemberStatus, int]:
            member = state.members[process.member_id]
            return member.status, member.incarnation

        status, _ = self.engine.look(stands)
        if status is MemberStatus.FAILED:
            self._submit(c.RecoverMember(member_id=process.member_id))
        process.incarnation = self.engine.look(stands)[1]
        self._heartbeat(process)
        self._later(self.scenario.churn.failures, lambda: self._die(process))

    def _leave(self, process: _Process) -> None:
        if process.is_alive and len(self.processes) > 2:
            process.is_leaving = True
            deadline = self.clock.now() + 60 * SECOND
            self._submit(c.DrainMember(member_id=process.member_id, deadline=deadline))

    def _withdraw(self, process: _Process, skill: str) -> None:
        self._submit(c.UpdateMember(member_id=process.member_id, withdrawn=(skill,)))
        self._later(120, lambda: self._discover(process, skill))

    def _discover(self, process: _Process, skill: str) -> None:
        found = (c.Capability(name=skill),)
        self._submit(c.UpdateMember(member_id=process.member_id, discovered=found))
        self._later(self.scenario.churn.withdrawals, lambda: self._withdraw(process, skill))

    def _assess(self, process: _Process) -> None:
        score = self.source.choice(self.scenario.churn.trust_scores)
        self._submit(c.AssessTrust(member_id=process.member_id, score=score))
        self._later(self.scenario.churn.trust_changes, lambda: self._assess(process))

    def _press(self, process: _Process) -> None:
        self._submit(c.ReportPressure(member_id=process.member_id, pressure="0.95"))
        self._later(
            180, lambda: self._submit(c.ReportPressure(member_id=process.member_id, pressure="0.2"))
        )
        self._later(self.scenario.churn.pressure, lambda: self._press(process))


def run_scenario(
    scenario: Scenario,
    seed: int,
    *,
    scheduler: str | None = None,
    start: Start | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Run *scenario* under *seed* in a temporary folder, from *start* if there is one."""
    with workspace() as folder:
        made = Workload(scenario, seed, folder / "ledger", scheduler=scheduler, start=start)
        return made.run(progress)
