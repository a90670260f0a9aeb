"""The engine: one ledger, opened for writing.

Everything that changes a ledger goes through :meth:`Engine.submit`: the command line, the HTTP server, the simulator
and the engine's own follow-ups.  A receipt is given when the command is durable, never before.  What is decided is
:mod:`pfgov.core.decide`'s business; this module puts the parts together.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Final, Self, TypeVar

from pfgov import __version__
from pfgov.clock import Clock, SystemClock
from pfgov.core import commands as c
from pfgov.core.decide import Decided
from pfgov.core.events import SEMANTICS
from pfgov.core.ids import RANDOM_BYTES, ulid
from pfgov.core.state import State
from pfgov.engine.answers import Attachment, Idempotency, PolicyDocument, Receipt, Request, attach
from pfgov.engine.keys import write_anchor
from pfgov.engine.layout import Layout, make_keys
from pfgov.engine.opening import (
    checked_origin,
    key_sources,
    open_sequencer,
    refuse_existing,
    refuse_other_rules,
)
from pfgov.engine.options import Options, Status, TickReport
from pfgov.engine.reading import LedgerReader
from pfgov.engine.sequencing import (
    CommandQueue,
    Heartbeat,
    HeartbeatResult,
    Sequencer,
    hear,
    ticking,
)
from pfgov.engine.sequencing.pending_revocation import no_revocation_pending
from pfgov.errors import InvalidError
from pfgov.limits import FOLLOW_UPS_PER_TICK_MAX
from pfgov.policy import PolicySet, load_starter
from pfgov.storage.leading import WriterLock
from pfgov.storage.port import Store

T = TypeVar("T")

TICKS_MAX: Final = 10_000
"""Ticks that :meth:`Engine.settle` makes at most."""


class Engine:
    """One ledger, opened for writing.  Thread-safe.  Close it; or use it as a context manager."""

    def __init__(
        self,
        store: Store,
        lock: WriterLock,
        sequencer: Sequencer,
        clock: Clock,
        options: Options,
    ) -> None:
        """Put the parts together; use :meth:`open` or :meth:`create`."""
        self.store = store
        self.layout = Layout(store.directory)
        self.clock = clock
        self.lock = lock
        self._sequencer = sequencer
        self._queue = CommandQueue(
            sequencer, queue_max=options.queue_max, batch_max=options.batch_max
        )
        self.options = options
        self.sources = key_sources(store, options)
        self.ceremonies = threading.Lock()
        """Held through a key ceremony: one at a time."""
        self._origin = ""
        self._reader: LedgerReader | None = None
        self._opening_reader = threading.Lock()
        self._is_closed = False
        self.stamp: str | None = None  # the store's, once this is closed

    # --- opening -------------------------------------------------------------------------

    @classmethod
    def open(
        cls, store: Store, *, clock: Clock | None = None, options: Options | None = None
    ) -> Self:
        """Open the ledger in *store* for writing.

        Raises:
            StoreLockedError: another process writes it.
            SigningKeyError: a signing key is missing, damaged, or readable by others.
            SemanticsError: it was written under other rules.
            PfgovError: ``store.*``; it is missing, damaged, altered, newer, rolled back, forked, or cannot be written.
        """
        options, clock = options or Options(), clock or SystemClock()
        store.require()
        lock = store.lock_writer(options.address)
        engine = cls._put_together(store, lock, clock, options, new=False)
        try:
            engine._check()  # noqa: SLF001 - its own class method
        except BaseException:
            engine.close()
            raise
        return engine

    @classmethod
    def create(
        cls,
        store: Store,
        origin: str | None = None,
        *,
        clock: Clock | None = None,
        policy: PolicySet | None = None,
        scheduler: str = "rendezvous",
        predecessor: tuple[str, int, str] | None = None,
        options: Options | None = None,
    ) -> Self:
        """Create a ledger in *store*: keys, genesis, anchor, and an active policy set.

        A creation that was interrupted is taken up where it stopped.

        Args:
            store: Where it is to be kept; its folder is created if it is missing.
            origin: The ledger's name (printable ASCII, no space, no ``+``), unique among all; drawn by default.
            clock: The clock; the system's by default.
            policy: The first policy set; the shipped starter set by default.
            scheduler: The default scheduler, ``name`` or ``name:parameter=value``.
            predecessor: Origin, size and root (hex) of the ledger that this one continues.
            options: How the engine runs.

        Raises:
            DuplicateError: ``ledger.exists``, there is one already.
            InvalidError: the options name signing keys, which are for a ledger that exists.
            StoreLockedError: another process is creating or writing it.
            PfgovError: ``store.*`` or ``key.*``, a file cannot be written.
        """
        layout, options, clock = (
            Layout(store.directory),
            options or Options(),
            clock or SystemClock(),
        )
        if options.issuer or options.log:
            raise InvalidError(
                "a new ledger begins with keys of its own",
                hint="create it without signers; then let a configured key take over: pfgov ledger keys rotate",
            )
        layout.make()
        lock = store.lock_writer(options.address)
        try:
            refuse_existing(store)
            drawn = ulid(clock.now(), options.draw(RANDOM_BYTES)).lower()
            origin = origin or layout.interrupted_origin() or f"pfgov.local/{drawn}"
            public = make_keys(layout, checked_origin(origin))
        except BaseException:
            lock.release()
            raise
        engine = cls._put_together(store, lock, clock, options, new=True)
        try:
            genesis = c.CreateLedger(
                origin=origin,
                engine=__version__,
                semantics=SEMANTICS,
                keys=public,
                scheduler=scheduler,
                predecessor=predecessor,
            )
            engine.submit(genesis, principal=c.LOCAL_OPERATOR)
            engine._write_anchor()  # noqa: SLF001 - as above
            engine.activate(policy or load_starter(), principal=c.LOCAL_OPERATOR)
        except BaseException:
            engine.close()
            raise
        return engine

    @classmethod
    def _put_together(
        cls, store: Store, lock: WriterLock, clock: Clock, options: Options, *, new: bool
    ) -> Self:
        try:
            sequencer = open_sequencer(store, lock, clock, options, new=new)
        except BaseException:
            lock.release()
            raise
        return cls(store, lock, sequencer, clock, options)

    def _check(self) -> None:
        """Refuse a ledger without a genesis or with other rules; then set the leases."""
        state = self._sequencer.state
        refuse_other_rules(state, self.store)
        self._origin = state.origin
        leases = self._sequencer.leases
        leases.load(self._sequencer.queries.leases())
        if self.options.fresh_leases:
            leases.after_restart(state, self._sequencer.now())
            self._sequencer.keep_leases(at_once=True)
        self._sequencer.announce()
        if not self.layout.anchor.exists():
            self._write_anchor()

    def _write_anchor(self) -> None:
        genesis = self._sequencer.queries.entry(0)
        log = self.sources.chosen(self._sequencer.state.keys).log
        write_anchor(self.layout, log, genesis.leaf if genesis else None)

    # --- commands ------------------------------------------------------------------------

    @property
    def origin(self) -> str:
        """The ledger's name: asked for once, for it never changes and the turn may be long in coming."""
        if not self._origin:
            self._origin = self._queue.do(lambda sequencer: sequencer.state.origin)
        return self._origin

    def submit(
        self,
        action: c.Action,
        *,
        principal: c.Principal,
        request_id: str | None = None,
        idempotency: Idempotency | None = None,
        attachments: Sequence[Attachment | PolicyDocument] = (),
    ) -> Receipt:
        """Run *action* and return its receipt once it is durable.

        Args:
            action: What to do, checked by the border.
            principal: Who asks, with the rights resolved for it.
            request_id: An id of the caller's for its logs; recorded.
            idempotency: Repeat the answer instead of the command when this key comes again.
            attachments: Payloads behind commitments in *action*, and policy documents.

        Raises:
            PfgovError: refused; ``error.receipt`` is the receipt when the refusal itself was recorded.
            BusyError: too many commands are waiting.
            EngineStoppedError: the engine was closed.
        """
        future: Future[Receipt] = Future()
        request = Request(action, principal, request_id, idempotency, attachments, outcome=future)
        self._queue.submit(request)
        return future.result()

    def submit_nowait(
        self,
        action: c.Action,
        *,
        principal: c.Principal,
        request_id: str | None = None,
        idempotency: Idempotency | None = None,
        attachments: Sequence[Attachment | PolicyDocument] = (),
    ) -> Future[Receipt]:
        """Queue *action* and return a future of what :meth:`submit` returns or raises.

        Raises:
            BusyError: too many commands are waiting.
            EngineStoppedError: the engine was closed.
        """
        future: Future[Receipt] = Future()
        self._queue.enqueue(
            Request(action, principal, request_id, idempotency, attachments, outcome=future)
        )
        return future

    def submit_all(self, requests: Sequence[Request]) -> None:
        """Queue *requests*, waking the engine once; each finds in its outcome what :meth:`submit` returns or raises."""
        self._queue.enqueue_all(requests)

    @property
    def queue(self) -> CommandQueue:
        """The queue, for an event loop that enters the exclusive section itself; everybody else uses the methods
        here.
        """
        return self._queue

    def activate(
        self,
        policy: PolicySet,
        *,
        principal: c.Principal,
        request_id: str | None = None,
        leave_uncovered: Iterable[str] = (),
    ) -> Receipt:
        """Make *policy* the binding policy set.

        With *leave_uncovered* nothing is allowed at those placing points, for it has no rule there.

        Raises:
            UncoveredError: ``policy.uncovered``, it has no rule at another placing point.
            PfgovError: as :meth:`submit`.
        """
        action = c.ActivatePolicy.of(policy.digest, policy.policies, policy.points, leave_uncovered)
        document = PolicyDocument(policy.digest, policy.document)
        return self.submit(
            action, principal=principal, request_id=request_id, attachments=(document,)
        )

    def commit_index(self) -> int:
        """Commit the subject map, unless nothing was appended since it was; return its position.

        A subject's export is complete up to there.

        Raises:
            PfgovError: as :meth:`submit`.
        """
        with self.reader.snapshot() as queries:
            newest, size = queries.latest_index(), queries.size()
        if newest is not None and newest == size - 1:
            return newest
        return self.submit(c.CommitIndex(), principal=c.ENGINE).position

    def attach(self, subject: str, field: str, payload: bytes) -> Attachment:
        """Return *payload* (of ``packet/ID``, as *field*) with a fresh salt and the commitment to put into an action.

        Raises:
            TooLargeError: it is larger than a context may be.
        """
        return attach(self.origin, subject, field, payload, self.options.draw)

    # --- time ----------------------------------------------------------------------------

    def heartbeat(
        self, member_id: str, incarnation: int, held: Sequence[tuple[str, int]] = ()
    ) -> HeartbeatResult:
        """Do as :meth:`hear` does for a member without a session, which believes to hold (packet, epoch) pairs."""
        return self.hear(member_id, Heartbeat(incarnation, held))

    def hear(self, member_id: str, beat: Heartbeat) -> HeartbeatResult:
        """Renew a member's lease: what ends a suspicion or a life is recorded.  Errors as of ``sequencing.hear``."""
        heard = self._queue.do(lambda sequencer: hear(sequencer, member_id, beat))
        for action in heard.actions:
            self.submit(action, principal=c.ENGINE)
        return self.hear(member_id, beat) if heard.is_over else heard

    def tick(self, *, lag: int = 0) -> TickReport:
        """Run what is due now: leases, handoffs, retries, deadlines; a bounded number.

        Args:
            lag: By how many microseconds this tick comes late; every lease is stretched by it.

        Raises:
            PfgovError: ``store.*``.
        """

        def run(sequencer: Sequencer) -> TickReport:
            sequencer.leases.stretch(lag)
            return ticking.tick(sequencer)

        return self._queue.do(run)

    def settle(self, limit: int = TICKS_MAX) -> int:
        """Tick until nothing that is due has an effect, at most *limit* times; return the follow-ups that had one.

        Raises:
            PfgovError: ``store.*``.
        """
        effective = 0
        for _ in range(limit):
            report = self.tick()
            effective += report.effective
            if not report.effective and report.tried < FOLLOW_UPS_PER_TICK_MAX:
                break
        return effective

    def resume(self, *, dead: Sequence[str] = (), share_permille: int | None = None) -> None:
        """Let leases expire again after a halt, on the record; each begins anew, but for those known to be dead.

        Raises:
            PfgovError: as :func:`pfgov.engine.sequencing.ticking.resume`.
        """
        self._queue.do(
            lambda sequencer: ticking.resume(sequencer, dead=dead, share_permille=share_permille)
        )

    # --- reading -------------------------------------------------------------------------

    @property
    def reader(self) -> LedgerReader:
        """What is committed and published; safe to share."""
        with self._opening_reader:
            if self._reader is None:
                self._reader = LedgerReader(self.store)
            return self._reader

    def look(self, read: Callable[[State], T]) -> T:
        """Return what *read* makes of the state, in the exclusive section; it must neither keep nor change it.

        The state may be ahead of the disk by a batch; what must be durable is read from :attr:`reader`.
        """
        return self._queue.do(lambda sequencer: read(sequencer.state))

    def exclusively(self, run: Callable[[Sequencer], T]) -> T:
        """Return what *run* makes of the sequencer, at rest and in the exclusive section: nobody else's command runs.

        Raises:
            PfgovError: as *run* does.
            BusyError, EngineStoppedError: as :meth:`submit`.
        """

        def at_rest(sequencer: Sequencer) -> T:
            sequencer.drain()
            return run(sequencer)

        return self._queue.do(at_rest)

    def dry_run(
        self,
        action: c.Action,
        *,
        principal: c.Principal,
        attachments: Sequence[Attachment] = (),
    ) -> Decided:
        """Return what *action*, with its payloads, would come to now; nothing is recorded and nothing moves.

        Raises:
            PfgovError: it would be refused.
        """

        def run(sequencer: Sequencer) -> Decided:
            if isinstance(action, c.CommitIndex):
                sequencer.drain()  # it asks the committing side, which answers in order
            decider = sequencer.decider
            now = sequencer.now()
            return decider.dry_run(action, principal, now, attachments)

        return self._queue.do(run)

    def no_revocation_pending(self, packet_id: str) -> bool:
        """Return whether nothing is due that takes a packet, or a part of what it may read, from anybody.

        Raises:
            PfgovError: as :meth:`submit`.
        """
        return self._queue.do(lambda sequencer: no_revocation_pending(sequencer, packet_id))

    def status(self) -> Status:
        """Return how the engine fares."""

        def look(sequencer: Sequencer) -> Status:
            state = sequencer.state
            return Status(
                origin=state.origin,
                size=state.size,
                policy=state.policy,
                members=len(state.roster()),
                live_packets=state.live_packets,
                waiting_packets=len(state.unowned),
                queued=self._queue.waiting,
                halted=sequencer.halted,
                clock_ahead=sequencer.time.ahead,
                reloads=sequencer.reloads,
                erasure_pending=sequencer.erasure_pending,
            )

        return self._queue.do(look)

    def close(self) -> None:
        """Serve who waits, take nobody else, keep the leases, release the files and the lock."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._queue.stop()
            if self._reader is not None:  # first: the writer, as the last, empties the log
                self._reader.close()
            self._sequencer.close()
            self.stamp = self.store.stamp()  # while nobody else can write
        finally:
            self.lock.release()

    def abandon(self) -> None:
        """Drop everything where it stands, as a kill would: nothing is finished, nothing kept.  For fault tests."""
        if self._is_closed:
            return
        self._is_closed = True
        self._sequencer.abandon()
        if self._reader is not None:
            self._reader.close()
        self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
