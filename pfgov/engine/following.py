"""An engine that does not lead: it reads what another commits, remembers how far, and refuses to write.

The tables are committed with the entries that they are folded from, so a standby holds nothing: what it answers is one
snapshot of the store, at a position that it can name.  It keeps its own head lock beside that: should a database be
promoted that lost commits, whoever followed the lost ones finds out.  Nothing is signed here.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pfgov.clock import Clock, SystemClock
from pfgov.core import commands as c
from pfgov.core.decide import Decided
from pfgov.core.state import State
from pfgov.engine.answers import Attachment, Request
from pfgov.engine.committing.committers import Reports
from pfgov.engine.committing.writer import reconcile
from pfgov.engine.engine import Engine
from pfgov.engine.layout import Layout
from pfgov.engine.loading import StoredNodes, load_head
from pfgov.engine.loading.tree import frontier_at
from pfgov.engine.loading.vouched import check_head, check_rows, read_state, vkeys_of
from pfgov.engine.opening import key_sources, refuse_other_rules
from pfgov.engine.options import Options, Status
from pfgov.engine.sequencing import CommandQueue, Decider, Sequencer, Started
from pfgov.errors import StandbyError
from pfgov.storage.leading import Standing
from pfgov.storage.port import Published, Store

T = TypeVar("T")


class Follower(Engine):
    """A ledger that another server writes.  Thread-safe.  Close it."""

    def __init__(
        self, store: Store, address: str, *, clock: Clock | None = None, options: Options
    ) -> None:
        """Be there, and read what is committed.

        Args:
            store: Where the ledger is kept.
            address: Where this server listens.
            clock: The system's by default.
            options: How the engine is to run once it leads.

        Raises:
            StandbyError: nobody can stand by for a ledger that is kept so.
            PfgovError: ``store.*``, there is no ledger, or it cannot be read.
        """
        self.place = store
        self.store = store.following()
        self.layout = Layout(store.directory)
        self.clock = clock or SystemClock()
        self.options = options
        self.sources = key_sources(store, options)
        self.ceremonies = threading.Lock()
        self.standing: Standing | None = None
        self.size = 0
        """Entries that are followed: they can be read here, and are remembered."""
        self.lock = _NoLock()
        self._queue = _Refusing(self)
        self._reader = None
        self._opening_reader = threading.Lock()
        self._turn = threading.Lock()
        self._loaded: State | None = None
        self._is_closed = False
        self._presence = store.stand_by(address)
        try:
            self._origin = self.look(lambda state: state.origin)
            self.look(lambda state: refuse_other_rules(state, store))
            self.follow()
        except BaseException:
            self.close()
            raise

    # --- following -----------------------------------------------------------------------

    def follow(self) -> Standing:
        """Remember what was committed since, and return how the ledger stands.

        Raises:
            StoreCorruptError: ``store.rolled_back`` or ``store.forked``, what was followed before is gone.
            PfgovError: ``store.*``, it cannot be read.
        """
        standing = self._presence.look(self.size)
        if standing.size != self.size:
            with self.reader.snapshot() as queries:
                check_head(queries, self.layout, vkeys_of(self.sources.at_hand("log")))
                head = load_head(queries, self._origin)
                check_rows(queries, self.layout, head.size, head.frontier.root())
                nodes = StoredNodes(queries)
                if self._presence.may_publish():
                    lock = self.place.open_head_lock(self._origin, sync=False)
                    try:
                        now = Published(head.size, head.frontier.root())
                        reconcile(
                            lock,
                            now,
                            lambda size: frontier_at(nodes, size).root(),
                            self.clock.monotonic(),
                        )
                    finally:
                        lock.close()
                self.size = head.size
        self.standing = standing
        return standing

    @property
    def lag(self) -> int:
        """Entries that are committed and not yet followed."""
        return 0 if self.standing is None else max(self.standing.size - self.size, 0)

    def refusal(self) -> StandbyError:
        """Return what to say to whoever wants to write."""
        standing = self.standing
        leader = "nobody" if standing is None or standing.leader is None else standing.leader
        term = 0 if standing is None else standing.term
        return StandbyError(
            f"standby of {leader}, term {term}, lag {self.lag}",
            hint="ask the leader, or any node of the ledger again in a moment",
        )

    # --- what an engine is asked ---------------------------------------------------------

    def look(self, read: Callable[[State], T]) -> T:
        """Return what *read* makes of the state as it is committed; it must neither keep nor change it."""
        with self._turn:
            with self.reader.snapshot() as queries:
                if self._loaded is None or self._loaded.size != queries.size():
                    self._loaded = read_state(queries, self.layout)
            return read(self._loaded)

    def dry_run(
        self,
        action: c.Action,
        *,
        principal: c.Principal,
        attachments: Sequence[Attachment] = (),
    ) -> Decided:
        """Return what *action* would come to now; nothing is recorded and nothing moves."""
        with self.reader.snapshot() as queries:
            state = read_state(queries, self.layout)
            decider = Decider(state, queries, lambda: (0, ""), os.urandom, keep_tables=True)
            now = max(self.clock.now(), decider.state.time)
            return decider.dry_run(action, principal, now, attachments)

    def status(self) -> Status:
        """Return what is known here."""

        def read(state: State) -> Status:
            return Status(
                origin=state.origin,
                size=state.size,
                policy=state.policy,
                members=len(state.roster()),
                live_packets=state.live_packets,
                waiting_packets=len(state.unowned),
                queued=0,
                halted=None if state.halt is None else state.halt.cause,
                clock_ahead=0,
                reloads=0,
                erasure_pending=False,
            )

        return self.look(read)

    def close(self) -> None:
        """Be gone."""
        if self._is_closed:
            return
        self._is_closed = True
        self._presence.close()
        if self._reader is not None:
            self._reader.close()

    def abandon(self) -> None:
        """Be gone: there is nothing to drop."""
        self.close()


class _NoLock:
    """The right to write, which a follower has not."""

    is_lost = False
    standing = None

    def release(self) -> None:
        """Nothing was taken."""


class _Refusing(CommandQueue):
    """The queue before an engine that takes no command."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    @property
    def waiting(self) -> int:
        """Nobody waits."""
        return 0

    @property
    def reports(self) -> Reports | None:
        """Nothing is ever under way."""
        return None

    def submit(self, request: Request) -> None:
        """Refuse."""
        request.fail(self._follower.refusal())

    def do(self, run: Callable[[Sequencer], T]) -> T:
        """Refuse."""
        del run
        raise self._follower.refusal()

    def enqueue(self, item: Any) -> None:
        """Refuse."""
        del item
        raise self._follower.refusal()

    def enqueue_all(self, requests: Sequence[Request]) -> None:
        """Refuse each."""
        for request in requests:
            request.fail(self._follower.refusal())

    def start(self, requests: Sequence[Request]) -> Started:
        """Refuse."""
        del requests
        raise self._follower.refusal()

    def collect(self) -> bool:
        """Nothing is ever under way."""
        return True

    def stop(self) -> None:
        """There is nothing to stop."""
