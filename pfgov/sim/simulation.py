"""One history: the engine on a real store, simulated members, a clock turned by hand, faults on order.

:class:`Simulation` interprets steps (:mod:`pfgov.sim.steps`) and after each one hands what was committed to the history
checker.  Everything random was drawn with the plan or comes from the simulation's own seeded source, so that equal
plans give equal ledgers, byte for byte.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from pfgov import commands as c
from pfgov.clock import ManualClock
from pfgov.engine import Engine, Options
from pfgov.errors import PfgovError
from pfgov.events import Event
from pfgov.lifecycle import MemberStatus
from pfgov.policy import PolicySet, load_directory, load_starter
from pfgov.records import Stamp
from pfgov.sim.history import History, ViolationError
from pfgov.sim.members import SimMember
from pfgov.sim.steps import Plan, Step
from pfgov.storage.queries import EntryFilter

START: Final = 1_782_331_200_000_000
"""The first moment of every history, in microseconds since the epoch."""

SECOND: Final = 1_000_000
SCORES: Final = ("0.45", "0.55", "0.75", "0.95")
REGIONS: Final = ("us-east/1a", "us-east/1b", "eu/central", None)
SKILLS: Final = ("planning", "routing", "review")
CLASSES: Final = ((), (), ("pii",), ("pii.health",))
MESSAGES_MAX: Final = 200
LOOK_EVERY: Final = 16
"""Steps without an entry after which the whole state is compared anyway."""


class EngineKilled(BaseException):
    """The process died in the middle of a storage call.  Not an Exception: nothing may catch it on the way."""


@dataclass(slots=True)
class Fault:
    """A storage call that will go wrong: the *countdown*-th from now, before or after it took effect."""

    countdown: int
    when: Literal["before", "after"]
    kill: bool
    full: bool = False


@dataclass(slots=True)
class Acknowledged:
    """Positions that somebody was given a receipt for, with their leaves."""

    leaves: dict[int, bytes] = field(default_factory=dict[int, bytes])


@lru_cache(maxsize=1)
def policy_sets() -> tuple[PolicySet, ...]:
    """Return the sets that histories switch between: the starter set, and a stricter one."""
    with resources.as_file(resources.files("pfgov.sim") / "policies") as folder:
        return load_starter(), load_directory(folder)


def make_template(directory: Path, *, scheduler: str = "rendezvous") -> None:
    """Create the ledger that every history begins with, so that a thousand histories need not draw keys a thousand
    times.
    """
    source = random.Random(0)
    clock = ManualClock(START)
    options = Options(draw=source.randbytes)
    Engine.create(
        directory,
        "pfgov.sim/history",
        clock=clock,
        policy=policy_sets()[0],
        scheduler=scheduler,
        options=options,
    ).close()


class Simulation:
    """A history being run in *directory*, a copy of a template."""

    def __init__(
        self, plan: Plan, directory: Path, *, sabotage: Callable[[Engine], None] | None = None
    ) -> None:
        """Open the engine.

        Args:
            plan: The history.
            directory: A copy of a template ledger.
            sabotage: Plants a bug in each engine that is opened: for tests of the checker.
        """
        self.plan = plan
        self.directory = directory
        self.clock = ManualClock(START + SECOND)
        self.history = History()
        self.members = [SimMember(f"m{i:02d}") for i in range(plan.members)]
        self.network: list[tuple[str, c.Action]] = []
        self.log: list[str] = []
        self.submitted = 0
        self._source = random.Random(plan.seed ^ 0x5F3759DF)
        self._sabotage = sabotage
        self._fault: Fault | None = None
        self._receipts = Acknowledged()
        self._seen = 0
        self.engine = self._open()
        self._read_new()

    # --- the engine and its faults ---------------------------------------------------------

    def _open(self) -> Engine:
        options = Options(draw=self._source.randbytes, probe=self._probe, keep_tables=False)
        engine = Engine.open(self.directory, clock=self.clock, options=options)
        if self._sabotage is not None:
            self._sabotage(engine)
        return engine

    def _probe(self, _: str, when: Literal["before", "after"]) -> None:
        fault = self._fault
        if fault is None or fault.when != when:
            return
        fault.countdown -= 1
        if fault.countdown > 0:
            return
        self._fault = None
        if fault.kill:
            raise EngineKilled
        message = "database or disk is full" if fault.full else "disk I/O error"
        raise sqlite3.OperationalError(message)

    def _reopen(self) -> None:
        """Do what a new process does after the old one was killed."""
        self._fault = None
        self.engine.abandon()
        self.engine = self._open()

    def close(self) -> None:
        """Release the engine's files."""
        self._fault = None
        self.engine.close()

    # --- running ---------------------------------------------------------------------------

    @property
    def entries(self) -> int:
        """How many entries were committed and checked."""
        return self._seen

    def run(self) -> None:
        """Run every step, then let the dust settle and check the whole.

        Raises:
            ViolationError: a promise was broken; ``log`` says what led to it.
        """
        for step in self.plan.steps:
            self.step(step)
        self.settle()

    def step(self, step: Step) -> None:
        """Run one step and check everything that was committed by it."""
        self.log.append(str(step))
        try:
            getattr(self, f"_do_{step.name}")(step)
        except EngineKilled:
            self._reopen()
        except PfgovError as error:
            self.log[-1] += f" refused {error.code}"
        except ViolationError:
            raise
        except Exception as error:
            raise ViolationError(
                4, f"{type(error).__name__} came out of the engine: {error}"
            ) from error
        self._after()

    def _after(self, *, whole: bool = False) -> None:
        """Check what was committed; where nothing was, look at the rest only now and then."""
        idle = self.engine.look(lambda state: state.size) == self._seen
        if idle and not whole and len(self.log) % LOOK_EVERY:
            return
        for _ in range(3):
            try:
                if not idle:
                    self._read_new()
                self.engine.look(self.history.check_rest)
            except EngineKilled:
                self._reopen()
            except PfgovError as error:
                self.log.append(f"could not look: {error.code}")
            else:
                return
        raise ViolationError(4, "the engine does not come back")

    def _read_new(self) -> None:
        """Feed the history checker with what was committed since the last look."""
        for recorded in self.engine.reader.entries(EntryFilter(start=self._seen)):
            row = recorded.row
            known = self._receipts.leaves.get(row.seq)
            if known is not None and known != row.leaf:
                raise ViolationError(4, f"entry {row.seq} is not the one that was acknowledged")
            self.history.add(recorded.event, Stamp(row.seq, row.time))
            self._seen = row.seq + 1

    def settle(self) -> None:
        """Heal everything, let time pass, and see that nothing acknowledged is missing."""
        self._fault = None
        for _ in range(40):
            self.clock.advance(20 * SECOND)
            self.engine.resume()
            if not self.engine.settle() and self.clock.now() > START + 3_600 * SECOND:
                break
        self._after(whole=True)
        self.history.check_settled()
        missing = [seq for seq in self._receipts.leaves if seq >= self._seen]
        if missing:
            raise ViolationError(4, f"acknowledged entries are gone: {missing[:5]}")

    def submit(
        self, action: c.Action, principal: c.Principal = c.LOCAL_OPERATOR
    ) -> tuple[Event, ...]:
        """Send one command and remember what was acknowledged."""
        receipt = self.engine.submit(action, principal=principal)
        for row in receipt.entries:
            self._receipts.leaves[row.seq] = row.leaf
        return receipt.events

    # --- drawing from what there is --------------------------------------------------------

    def _member(self, draw: int) -> SimMember:
        return self.members[draw % len(self.members)]

    def _packet_id(self, draw: int) -> str:
        return f"p{draw % max(self.submitted, 1):03d}"

    def _send(self, action: c.Action, member: SimMember, draw: int) -> None:
        """Put a message on the network, or deliver it at once: half and half."""
        if draw % 2 and len(self.network) < MESSAGES_MAX:
            self.network.append((member.member_id, action))
        else:
            self._arrive(member.member_id, action)

    def _arrive(self, member_id: str, action: c.Action) -> None:
        self.submit(action, c.Principal(id=member_id, rights=(f"member:{member_id}",)))

    # --- members ---------------------------------------------------------------------------

    def _do_register(self, step: Step) -> None:
        member = self._member(step.a)
        skills = [s for i, s in enumerate(SKILLS) if step.b >> i & 1] or [SKILLS[0]]
        capacity = (("cpu", "4"), ("tasks", str(1 + step.c % 6))) if step.c % 3 else ()
        self.submit(
            c.RegisterMember(
                member_id=member.member_id,
                type="agent",
                capabilities=tuple(c.Capability(name=s, version=f"1.{step.b % 4}") for s in skills),
                capacity=capacity,
                region=REGIONS[step.b % len(REGIONS)],
                clearances=("pii", "pii.health")[: step.c % 3],
                trust_score=SCORES[step.c % len(SCORES)],
                lease_seconds=10 + step.c % 20,
                handoff_mode="accept" if step.b % 2 else "auto",
            )
        )
        member.restart()

    def _do_recover(self, step: Step) -> None:
        self.submit(c.RecoverMember(member_id=self._member(step.a).member_id))

    def _do_fail(self, step: Step) -> None:
        self.submit(c.FailMember(member_id=self._member(step.a).member_id))

    def _do_drain(self, step: Step) -> None:
        deadline = self.clock.now() + (1 + step.b % 60) * SECOND if step.b % 2 else None
        mode: Literal["stop_first", "start_first"] = (
            "stop_first" if step.c % 4 == 0 else "start_first"
        )
        self.submit(
            c.DrainMember(member_id=self._member(step.a).member_id, deadline=deadline, mode=mode)
        )

    def _do_cancel_drain(self, step: Step) -> None:
        self.submit(c.CancelDrain(member_id=self._member(step.a).member_id))

    def _do_retire(self, step: Step) -> None:
        self.submit(c.RetireMember(member_id=self._member(step.a).member_id))

    def _do_quarantine(self, step: Step) -> None:
        until = self.clock.now() + (1 + step.b % 90) * SECOND if step.b % 2 else None
        self.submit(c.QuarantineMember(member_id=self._member(step.a).member_id, until=until))

    def _do_release(self, step: Step) -> None:
        self.submit(c.ReleaseMember(member_id=self._member(step.a).member_id))

    def _do_trust(self, step: Step) -> None:
        expires = self.clock.now() + (1 + step.c % 60) * SECOND if step.c % 2 else None
        score = SCORES[step.b % len(SCORES)]
        self.submit(
            c.AssessTrust(member_id=self._member(step.a).member_id, score=score, expires_at=expires)
        )

    def _do_change(self, step: Step) -> None:
        member_id, skill = self._member(step.a).member_id, SKILLS[step.b % len(SKILLS)]
        kind = step.c % 4
        if kind == 0:
            change = c.UpdateMember(member_id=member_id, withdrawn=(skill,))
        elif kind == 1:
            change = c.UpdateMember(
                member_id=member_id, discovered=(c.Capability(name=skill, version="2.0"),)
            )
        elif kind == 2:
            change = c.UpdateMember(member_id=member_id, region=REGIONS[step.b % 3])
        else:
            change = c.UpdateMember(member_id=member_id, capacity=(("tasks", str(1 + step.b % 4)),))
        self.submit(change)

    def _do_pressure(self, step: Step) -> None:
        pressure = ("0.1", "0.5", "0.8", "0.97")[step.b % 4]
        self.submit(c.ReportPressure(member_id=self._member(step.a).member_id, pressure=pressure))

    # --- packets ---------------------------------------------------------------------------

    def _do_submit(self, step: Step) -> None:
        if self.submitted >= self.plan.packets:
            return
        packet_id = f"p{self.submitted:03d}"
        self.submitted += 1
        classes = CLASSES[step.a % len(CLASSES)]
        payload = self.engine.attach(f"packet/{packet_id}", "context", b'{"step":"start"}')
        action = c.SubmitPacket(
            packet_id=packet_id,
            workload_type=("triage", "report")[step.b % 2],
            lineage_id=f"lin-{packet_id}",
            required_capabilities=(SKILLS[step.b % 3] + (">=1.2" if step.c % 5 == 0 else ""),),
            constraints=c.Constraints(
                pii_review_required=step.a % 7 == 0,
                minimum_trust_score=(None, "0.5", "0.7", "0.9")[step.c % 4],
                allowed_regions=(None, ("us-east",), ("us-east", "eu"), None)[step.b % 4],
            ),
            handoff=c.HandoffTerms(allowed=step.a % 9 != 0),
            demand=(("cpu", "0.5"),) if step.b % 2 else (),
            data_classes=classes,
            priority=step.c % 10,
            deadline=self.clock.now() + (30 + step.a % 300) * SECOND if step.a % 6 == 0 else None,
            max_handoffs=step.c % 4 if step.c % 5 == 0 else None,
            hold=step.a % 11 == 0,
            context=payload.commitment,
        )
        receipt = self.engine.submit(action, principal=c.LOCAL_OPERATOR, attachments=(payload,))
        for row in receipt.entries:
            self._receipts.leaves[row.seq] = row.leaf

    def _do_place(self, step: Step) -> None:
        target = self._member(step.b).member_id if step.c % 3 == 0 else None
        self.submit(c.PlacePacket(packet_id=self._packet_id(step.a), target=target))

    def _do_hand_off(self, step: Step) -> None:
        target = self._member(step.b).member_id if step.c % 3 == 0 else None
        self.submit(c.HandOff(packet_id=self._packet_id(step.a), target=target))

    def _do_requeue(self, step: Step) -> None:
        self.submit(c.RequeuePacket(packet_id=self._packet_id(step.a)))

    def _do_cancel(self, step: Step) -> None:
        self.submit(c.CancelPacket(packet_id=self._packet_id(step.a)))

    def _do_narrow(self, step: Step) -> None:
        change = c.UpdatePacket(
            packet_id=self._packet_id(step.a),
            data_classes=(*CLASSES[step.b % len(CLASSES)], "pii") if step.b % 3 == 0 else None,
            constraints=c.Constraints(minimum_trust_score="0.9", allowed_regions=("us-east",))
            if step.b % 3 == 1
            else None,
            hold=bool(step.c % 2),
        )
        self.submit(change)

    def _do_review(self, step: Step) -> None:
        waiting = self.engine.look(
            lambda state: sorted(
                p.packet_id for p in state.packets.values() if p.request is not None
            )
        )
        if waiting:
            packet_id = waiting[step.a % len(waiting)]
            self.submit(c.ReviewPacket(packet_id=packet_id, granted=step.b % 4 != 0))

    # --- what members do -------------------------------------------------------------------

    def _do_heartbeat(self, step: Step) -> None:
        member = self._member(step.a)
        if member.is_running and not member.is_dead and member.incarnation:
            heard = self.engine.heartbeat(
                member.member_id, member.incarnation, tuple(sorted(member.held.items()))
            )
            member.lose(heard.lost)

    def _do_learn(self, step: Step) -> None:
        member = self._member(step.a)
        if not member.is_running or member.is_dead:
            return
        known = {m.member_id: m for m in self.engine.reader.members()}
        record = known.get(member.member_id)
        if record is None:
            return
        owned = {
            packet.packet_id: packet.epoch
            for packet in self.engine.reader.packets()
            if packet.owner == member.member_id and packet.incarnation == record.incarnation
        }
        member.learn(record.incarnation, owned)

    def _do_work(self, step: Step) -> None:
        member = self._member(step.a)
        if not member.is_running or member.is_dead or not member.held:
            return
        packet_id = sorted(member.held)[step.b % len(member.held)]
        claim = member.claim(packet_id)
        kind = step.c % 10
        if kind < 5:
            payload = self.engine.attach(f"packet/{packet_id}", "context", b'{"n":%d}' % step.c)
            save = c.CommitCheckpoint(
                packet_id=packet_id,
                owner=claim,
                step=f"step-{step.c % 100}",
                context=payload.commitment,
            )
            principal = c.Principal(id=member.member_id, rights=(f"member:{member.member_id}",))
            self.engine.submit(save, principal=principal, attachments=(payload,))
        elif kind < 8:
            self._send(c.CompletePacket(packet_id=packet_id, owner=claim), member, step.b)
        elif kind == 8:
            self._send(
                c.FailPacket(packet_id=packet_id, owner=claim, reason="broken"), member, step.b
            )
        else:
            self._send(c.RequeuePacket(packet_id=packet_id, owner=claim), member, step.b)

    def _pending_for(self, member: SimMember) -> list[tuple[str, int, str | None]]:
        return self.engine.look(
            lambda state: sorted(
                (
                    p.packet_id,
                    p.pending.position,
                    (p.pending.view or p.pending.context or _NONE).digest or None,
                )
                for p in state.packets.values()
                if p.pending is not None and p.pending.target == member.member_id
            )
        )

    def _do_accept(self, step: Step) -> None:
        member = self._member(step.a)
        offers = self._pending_for(member)
        if member.is_running and not member.is_dead and offers:
            packet_id, position, view = offers[step.b % len(offers)]
            accept = c.AcceptHandoff(
                packet_id=packet_id,
                member_id=member.member_id,
                incarnation=max(member.incarnation, 1),
                handoff=position,
                view=view,
            )
            self._send(accept, member, step.c)

    def _do_abort(self, step: Step) -> None:
        member = self._member(step.a)
        offers = self._pending_for(member)
        if offers:
            refuse = c.AbortHandoff(
                packet_id=offers[step.b % len(offers)][0], member_id=member.member_id
            )
            self._send(refuse, member, step.c)

    def _do_pause(self, step: Step) -> None:
        self._member(step.a).is_running = False

    def _do_resume(self, step: Step) -> None:
        self._member(step.a).is_running = True

    def _do_kill(self, step: Step) -> None:
        self._member(step.a).is_dead = True

    def _do_restart(self, step: Step) -> None:
        member = self._member(step.a)
        if member.is_dead:
            member.restart()
            status = self.engine.look(lambda state: _status(state.members.get(member.member_id)))
            if status is MemberStatus.FAILED:
                self.submit(c.RecoverMember(member_id=member.member_id))

    # --- the network -----------------------------------------------------------------------

    def _do_deliver(self, step: Step) -> None:
        if self.network:
            self._arrive(*self.network.pop(step.a % len(self.network)))

    def _do_drop(self, step: Step) -> None:
        if self.network:
            self.network.pop(step.a % len(self.network))

    def _do_repeat(self, step: Step) -> None:
        if self.network:
            self._arrive(*self.network[step.a % len(self.network)])

    # --- time and the engine ---------------------------------------------------------------

    def _do_advance(self, step: Step) -> None:
        self.clock.advance(step.a % (8 * SECOND))

    def _do_tick(self, _: Step) -> None:
        self.engine.tick()

    def _do_late_tick(self, step: Step) -> None:
        lag = step.a % (30 * SECOND)
        self.clock.advance(lag)
        self.engine.tick(lag=lag)

    def _do_skew(self, step: Step) -> None:
        self.clock.step(step.a % (20 * SECOND) - 10 * SECOND if step.b % 4 else 400 * SECOND)

    def _do_resume_expiry(self, _: Step) -> None:
        self.engine.resume()

    def _do_policy(self, step: Step) -> None:
        sets = policy_sets()
        self.engine.activate(sets[step.a % len(sets)], principal=c.LOCAL_OPERATOR)

    def _do_storage_fault(self, step: Step) -> None:
        self._fault = Fault(1 + step.a % 12, "after" if step.b % 2 else "before", kill=False)

    def _do_disk_full(self, step: Step) -> None:
        self._fault = Fault(1 + step.a % 12, "before", kill=False, full=True)

    def _do_crash(self, step: Step) -> None:
        if step.c % 3 == 0:
            self._reopen()
        else:
            self._fault = Fault(1 + step.a % 12, "after" if step.b % 2 else "before", kill=True)


_NONE: Final = c.Commitment(digest="", size=0)


def _status(member: object) -> MemberStatus | None:
    return getattr(member, "status", None)


def run_plan(
    plan: Plan, template: Path, workspace: Path, *, sabotage: Callable[[Engine], None] | None = None
) -> Simulation:
    """Run *plan* on a copy of *template* under *workspace*, close it, and return it.

    Raises:
        ViolationError: a promise was broken; its ``simulation`` note carries the log.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    directory = workspace / f"seed-{plan.seed}"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(template, directory)
    simulation = Simulation(plan, directory, sabotage=sabotage)
    try:
        simulation.run()
    except ViolationError as error:
        error.add_note(" ".join(simulation.log[-12:]))
        raise
    finally:
        simulation.close()
    return simulation
