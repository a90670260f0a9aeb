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
from pfgov.policy import PolicySet, load_directory, load_starter
from pfgov.records import Stamp
from pfgov.sim.acts import ACTS, Fault
from pfgov.sim.history import History, ViolationError
from pfgov.sim.members import SimMember
from pfgov.sim.steps import Plan, Step
from pfgov.storage.queries import EntryFilter

START: Final = 1_782_331_200_000_000
"""The first moment of every history, in microseconds since the epoch."""

SECOND: Final = 1_000_000
MESSAGES_MAX: Final = 200
LOOK_EVERY: Final = 16
"""Steps without an entry after which the whole state is compared anyway."""


class EngineKilled(BaseException):
    """The process died in the middle of a storage call.  Not an Exception: nothing may catch it on the way."""


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
        self.fault: Fault | None = None
        self.receipts = Acknowledged()
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
        fault = self.fault
        if fault is None or fault.when != when:
            return
        fault.countdown -= 1
        if fault.countdown > 0:
            return
        self.fault = None
        if fault.kill:
            raise EngineKilled
        message = "database or disk is full" if fault.full else "disk I/O error"
        raise sqlite3.OperationalError(message)

    def reopen(self) -> None:
        """Do what a new process does after the old one was killed."""
        self.fault = None
        self.engine.abandon()
        self.engine = self._open()

    def policies(self) -> tuple[PolicySet, ...]:
        """Return the sets that the history switches between."""
        return policy_sets()

    def close(self) -> None:
        """Release the engine's files."""
        self.fault = None
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
            ACTS[step.name](self, step)
        except EngineKilled:
            self.reopen()
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
                self.reopen()
            except PfgovError as error:
                self.log.append(f"could not look: {error.code}")
            else:
                return
        raise ViolationError(4, "the engine does not come back")

    def _read_new(self) -> None:
        """Feed the history checker with what was committed since the last look."""
        for recorded in self.engine.reader.entries(EntryFilter(start=self._seen)):
            row = recorded.row
            known = self.receipts.leaves.get(row.seq)
            if known is not None and known != row.leaf:
                raise ViolationError(4, f"entry {row.seq} is not the one that was acknowledged")
            self.history.add(recorded.event, Stamp(row.seq, row.time))
            self._seen = row.seq + 1

    def settle(self) -> None:
        """Heal everything, let time pass, and see that nothing acknowledged is missing."""
        self.fault = None
        for _ in range(40):
            self.clock.advance(20 * SECOND)
            self.engine.resume()
            if not self.engine.settle() and self.clock.now() > START + 3_600 * SECOND:
                break
        self._after(whole=True)
        self.history.check_settled()
        missing = [seq for seq in self.receipts.leaves if seq >= self._seen]
        if missing:
            raise ViolationError(4, f"acknowledged entries are gone: {missing[:5]}")

    def submit(
        self, action: c.Action, principal: c.Principal = c.LOCAL_OPERATOR
    ) -> tuple[Event, ...]:
        """Send one command and remember what was acknowledged."""
        receipt = self.engine.submit(action, principal=principal)
        for row in receipt.entries:
            self.receipts.leaves[row.seq] = row.leaf
        return receipt.events

    # --- drawing from what there is --------------------------------------------------------

    def member(self, draw: int) -> SimMember:
        """Return the member that *draw* picks."""
        return self.members[draw % len(self.members)]

    def packet_id(self, draw: int) -> str:
        """Return the id of a submitted packet that *draw* picks."""
        return f"p{draw % max(self.submitted, 1):03d}"

    def send(self, action: c.Action, member: SimMember, draw: int) -> None:
        """Put a message on the network, or deliver it at once: half and half."""
        if draw % 2 and len(self.network) < MESSAGES_MAX:
            self.network.append((member.member_id, action))
        else:
            self.arrive(member.member_id, action)

    def arrive(self, member_id: str, action: c.Action) -> None:
        """Deliver a message: the engine gets the command of a member, with that member's rights."""
        self.submit(action, c.Principal(id=member_id, rights=(f"member:{member_id}",)))


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
