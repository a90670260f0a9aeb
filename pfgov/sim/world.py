"""What a history is made in: an engine on a real store, simulated members, a network, a clock turned by hand.

Steps act on a :class:`World` (:mod:`pfgov.sim.acts`) and a simulation runs them in one.  Everything random was drawn
with the plan or comes from the world's own seeded source, so that equal plans give equal ledgers, byte for byte.
"""

import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from pfgov.clock import ClockError, ManualClock
from pfgov.core import commands as c
from pfgov.core.events import Event
from pfgov.engine import Engine, Options
from pfgov.policy import PolicySet, from_document, load_directory, load_starter
from pfgov.sim import names
from pfgov.sim.history import History
from pfgov.sim.members import SimMember
from pfgov.sim.steps import Plan
from pfgov.storage import open_store

START: Final = 1_782_331_200_000_000
"""The first moment of every history, in microseconds since the epoch."""

SECOND: Final = 1_000_000
MESSAGES_MAX: Final = 200


class EngineKilled(BaseException):
    """The process died in the middle of a storage call.  Not an Exception: nothing may catch it on the way."""


@dataclass(slots=True)
class Acknowledged:
    """Positions that somebody was given a receipt for, with their leaves."""

    leaves: dict[int, bytes] = field(default_factory=dict[int, bytes])


@dataclass(slots=True)
class Fault:
    """A storage call that will go wrong: the *countdown*-th from now, before or after it took effect."""

    countdown: int
    when: Literal["before", "after"]
    kill: bool
    full: bool = False


@lru_cache(maxsize=2)
def policy_sets(other: str = "policies") -> tuple[PolicySet, ...]:
    """Return the sets that histories switch between: the starter set, and the *other*: stricter, or telling more."""
    with resources.as_file(resources.files("pfgov.sim") / other) as folder:
        found = load_starter(), load_directory(folder)
    _KEPT.extend(from_document(one.document) for one in found)
    return found


_KEPT: Final[list[PolicySet]] = []
"""The same sets as a replay compiles them: held, so that thousands of replays do not compile them anew."""


class World:
    """An engine on a copy of a template, its members, its network, and the fault that comes next."""

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
        self.history = History(self.policies()[0].digest)
        self.members = [SimMember(names.member_id(i)) for i in range(plan.members)]
        self.network: list[tuple[str, c.Action]] = []
        self.log: list[str] = []
        self.submitted = 0
        self._source = random.Random(plan.seed ^ 0x5F3759DF)
        self._sabotage = sabotage
        self.fault: Fault | None = None
        self.receipts = Acknowledged()
        self.leap = 0
        """By how much the wall clock is wrong, because somebody set it so."""
        self.engine = self._open()

    # --- the engine and its faults ---------------------------------------------------------

    def _open(self) -> Engine:
        options = Options(draw=self._source.randbytes, probe=self._probe, keep_tables=False)
        store = open_store(self.directory)
        try:
            engine = Engine.open(store, clock=self.clock, options=options)
        except ClockError:
            self.set_clock_right()
            engine = Engine.open(store, clock=self.clock, options=options)
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

    def reload(self) -> None:
        """Do what a restart of the server does: everything in memory is given up and loaded again."""
        self.fault = None
        self.engine.close()
        self.engine = self._open()

    def set_clock_right(self) -> None:
        """Undo what set the clock wrong by years."""
        self.clock.step(-self.leap)
        self.leap = 0

    def policies(self) -> tuple[PolicySet, ...]:
        """Return the sets that the history switches between."""
        return policy_sets(self.plan.policies)

    def close(self) -> None:
        """Release the engine's files."""
        self.fault = None
        self.engine.close()

    # --- what reaches the engine -----------------------------------------------------------

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
        return names.packet_id(draw % max(self.submitted, 1))

    def send(self, action: c.Action, member: SimMember, draw: int) -> None:
        """Put a message on the network, or deliver it at once: half and half."""
        if draw % 2 and len(self.network) < MESSAGES_MAX:
            self.network.append((member.member_id, action))
        else:
            self.arrive(member.member_id, action)

    def arrive(self, member_id: str, action: c.Action) -> None:
        """Deliver a message: the engine gets the command of a member, with that member's rights."""
        self.submit(action, c.Principal(id=member_id, rights=(f"member:{member_id}",)))
