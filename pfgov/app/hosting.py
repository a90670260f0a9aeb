"""Hosting a ledger in one process: the engine, the clock tick, the subject index, and who waits for news.

One tick a second lets leases end, deadlines pass and waiting packets move; after each commit the streams of events are
woken; when entries were appended, an index is committed now and then, so that exports are complete.  A commit that
fails makes the host unready, with the reason, and only one that succeeds makes it ready again: where nobody writes,
because a balancer sends nobody here any more, the ticker tries one.  This module does not know HTTP.
"""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from pfgov import limits
from pfgov.app.in_turn import InTurn
from pfgov.app.local.ledger import LocalLedger
from pfgov.app.local.reading import LocalReading
from pfgov.app.loop_bridge import LoopBridge
from pfgov.app.prepare import Prepared, prepare
from pfgov.app.views.sentences import halt_says
from pfgov.core import commands as c
from pfgov.core.ids import RANDOM_BYTES, ulid
from pfgov.engine import Attachment, Engine, Idempotency, Receipt, Request, Status
from pfgov.engine.answers import Caller, PolicyDocument
from pfgov.engine.committing import kill_writers
from pfgov.engine.following import Follower
from pfgov.engine.loading import receipt_of
from pfgov.engine.maintenance.ceremony import Changed
from pfgov.engine.reading import LedgerReader
from pfgov.engine.sequencing import MismatchError, UnknownOutcomeError, mismatch
from pfgov.errors import BusyError, PfgovError, StoreError, StoreUnavailableError
from pfgov.files import read_regular
from pfgov.model import Wire
from pfgov.storage.port import UnpublishedError
from pfgov_ledger.keys import Signer, lines_of

__all__ = [
    "Caller", "Changed", "Engine", "Host", "Idempotency", "MismatchError", "News", "Receipt", "Status",
    "UnknownOutcomeError", "UnpublishedError", "kill_writers", "mismatch",
]  # fmt: skip

T = TypeVar("T")

TICK_SECONDS: Final = 1.0
INDEX_SECONDS: Final = 30.0
TRIAL_SECONDS: Final = 5.0
"""How often a ledger that could not be written is tried: each failure costs a reload."""

POLL_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 2.0
"""How long a question about the engine's health may wait for the exclusive section."""

POOL_BYTES: Final = 2_000

log = logging.getLogger("pfgov.api")


@dataclass(slots=True)
class News:
    """Wakes everybody who waits for the ledger to grow."""

    _waiters: set[asyncio.Event] = field(default_factory=set[asyncio.Event])

    def publish(self) -> None:
        """Wake them."""
        for waiter in self._waiters:
            waiter.set()

    @contextlib.contextmanager
    def subscription(self) -> Generator[asyncio.Event]:
        """Give an event that is set whenever there may be something new."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiters)


class Host:
    """An engine and what surrounds it, for one process and one event loop."""

    def __init__(
        self,
        engine: Engine,
        *,
        tick_seconds: float = TICK_SECONDS,
        index_seconds: float = INDEX_SECONDS,
    ) -> None:
        self.engine = engine
        self.origin = engine.origin
        self.news = News()
        self.stopping = asyncio.Event()
        self.fault: PfgovError | None = None
        self.ticks = 0
        self.tick_failures = 0
        self.last_status: Status | None = None
        self._tick_seconds = tick_seconds
        self._index_seconds = index_seconds
        self._ticker: asyncio.Task[None] | None = None
        self._halted: str | None = None
        # Its own, all of them: a disk or a database that hangs keeps nobody in another ledger waiting.
        self.looking = InTurn(limits.LOOKING_THREADS, "looking")
        self.reading = InTurn(limits.READING_THREADS, "reading")
        self._asking_threads = InTurn(limits.ASKING_THREADS, "asking")
        self._long_threads = InTurn(limits.LONG_THREADS, "long")
        self._prompt_threads = ThreadPoolExecutor(
            limits.PROMPT_THREADS, thread_name_prefix="prompt"
        )
        self._hearing_threads = ThreadPoolExecutor(
            limits.HEARING_THREADS, thread_name_prefix="hearing"
        )
        self._clock_threads = ThreadPoolExecutor(limits.CLOCK_THREADS, thread_name_prefix="clock")
        self._section_threads = ThreadPoolExecutor(
            limits.SECTION_THREADS, thread_name_prefix="section"
        )
        self._bridge = LoopBridge(engine)
        self._over_network = engine.store.can_be_led
        self._keeping = asyncio.Lock()
        self._loop_reader: LedgerReader | None = None
        self._prompt_reader: LedgerReader | None = None
        self._opening_reader = threading.Lock()
        self._drawn = b""
        self._asking: asyncio.Task[Status] | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes the ledger; where it does not, another does, or nobody."""
        return not isinstance(self.engine, Follower)

    @property
    def reader(self) -> LedgerReader:
        """What is committed, for a thread: it may have to wait a moment until a commit is published."""
        return self.engine.reader

    @property
    def loop_reader(self) -> LedgerReader:
        """What is committed, for the event loop: it never waits, and raises ``UnpublishedError`` instead.

        Operations that change nothing are then tried again by whoever asked.
        """
        if self._loop_reader is None:
            self._loop_reader = LedgerReader(self.engine.store, patience_seconds=0)
        return self._loop_reader

    def ledger(self, caller: Caller) -> LocalLedger:
        """Return the ledger as *caller* may use it, for a thread."""
        return LocalLedger(self.engine, caller, draw_id=self.draw_id)

    def prompt(self, caller: Caller) -> LocalLedger:
        """Return the ledger as *caller* may read it in the event loop: errors as of :attr:`loop_reader`."""
        return LocalLedger(self.engine, caller, reader=self.loop_reader, draw_id=self.draw_id)

    async def read(self, caller: Caller, do: Callable[[LocalLedger], T]) -> T:
        """Return what *do* reads of the ledger as *caller* may: at once where it is a file, which answers at once.

        A database may be long in answering, or never answer; a thread waits for it, and the event loop goes on.
        Nobody who reads for long stands before it, neither in the threads nor at the reader.
        Errors as of :attr:`loop_reader`.
        """
        if not self._over_network:
            return do(self.prompt(caller))

        def ask() -> T:
            reader = self._own_reader()
            return do(LocalLedger(self.engine, caller, reader=reader, draw_id=self.draw_id))

        return await asyncio.get_running_loop().run_in_executor(self._prompt_threads, ask)

    def _own_reader(self) -> LedgerReader:
        with self._opening_reader:
            if self._prompt_reader is None:
                self._prompt_reader = LedgerReader(self.engine.store)
            return self._prompt_reader

    @contextlib.contextmanager
    def apart(self, caller: Caller) -> Generator[LocalReading]:
        """Give the ledger with a reader of its own: a long read holds up nobody else."""
        with LedgerReader(self.engine.store) as reader:
            yield LocalReading(reader, caller)

    @property
    def anchor(self) -> str:
        """What a verifier pins, as it lies beside the ledger: a new log key is named there once it signs.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        try:
            return read_regular(self.engine.layout.anchor).decode("utf-8", "replace")
        except OSError as error:
            raise StoreUnavailableError(f"the anchor cannot be read: {error.strerror}") from error

    @property
    def log_key(self) -> str:
        """The log's verifier key, the line of the anchor that people compare."""
        return next(line for line in lines_of(self.anchor) if line and not line.startswith("#"))

    def log_signer(self) -> Signer:
        """Return the log's present key.

        Raises:
            SigningKeyError: it cannot be opened.
        """
        return self.engine.look(lambda state: self.engine.sources.chosen(state.keys).log)

    def log_keys(self) -> list[Signer]:
        """Return the log's keys that this machine has, the newest first: every server of a ledger has them."""
        return list(self.engine.sources.at_hand("log"))

    # --- running ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to tick."""
        self.stopping.clear()
        self._ticker = asyncio.create_task(self._tick_for_ever())

    async def stop(self) -> None:
        """End streams and ticks; what was accepted is answered."""
        self.stopping.set()
        self.news.publish()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
        for turns in (self.looking, self.reading, self._asking_threads, self._long_threads):
            turns.close()
        heard = (self._prompt_threads, self._hearing_threads)
        for threads in (*heard, self._section_threads, self._clock_threads):
            threads.shutdown(wait=False, cancel_futures=True)
        self._bridge.close()
        if self._loop_reader is not None:
            self._loop_reader.close()  # the engine is the last to close, and empties the log
            self._loop_reader = None
        if self._prompt_reader is not None:
            await asyncio.to_thread(self._prompt_reader.close)  # it may be waiting for an answer
            self._prompt_reader = None

    async def _tick_for_ever(self) -> None:
        due = time.monotonic() + self._tick_seconds
        indexed = time.monotonic()
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            lag = max(time.monotonic() - due, 0.0)
            due = max(due + self._tick_seconds, time.monotonic())
            pause = self._index_seconds if self.fault is None else TRIAL_SECONDS
            is_index_due = time.monotonic() >= indexed + pause
            if is_index_due:
                indexed = time.monotonic()
            await self.tick(lag=lag, index=is_index_due)

    async def tick(self, *, lag: float = 0.0, index: bool = False) -> None:
        """Let what is due happen; remember a failure as the reason for not being ready.

        Args:
            lag: By how many seconds this tick is late.
            index: Whether to commit an index too, if anything was appended since the last; after a failure in any
                case, for only a commit tells whether the ledger can be written again.
        """
        commit = self.engine.commit_index if self.fault is None else self._try_commit
        try:
            report = await self._at_once(partial(self.engine.tick, lag=round(lag * 1_000_000)))
            if index:
                await self._at_once(commit)
        except Exception as error:  # noqa: BLE001 - the ticker must outlive whatever goes wrong
            self.tick_failures += 1
            self._fails(error)
            return
        if report.effective or index:
            self._works()
        self._notes_halt(report.halted)
        self.ticks += 1
        if report.tried or index:
            self.news.publish()

    async def _at_once(self, do: Callable[[], T]) -> T:
        """Return what *do* returns, in threads that no request takes from the clock and the probes."""
        return await asyncio.get_running_loop().run_in_executor(self._clock_threads, do)

    def _try_commit(self) -> int:
        """Commit an index whether there is news or not."""
        return self.engine.submit(c.CommitIndex(), principal=c.ENGINE).position

    def _fails(self, error: Exception) -> None:
        """Remember why the ledger cannot be written; said once, until the reason is another."""
        known = self.fault
        self.fault = error if isinstance(error, PfgovError) else PfgovError("the tick failed")
        if known is None or known.code != self.fault.code:
            trace = None if isinstance(error, PfgovError) else error
            log.error(
                "the ledger cannot be written: %s (%s)",
                self.fault.message,
                self.fault.code,
                exc_info=trace,
            )

    def _notes_halt(self, halted: str | None) -> None:
        """Say once that leases do not end any more, and once that they do again."""
        if halted != self._halted:
            if halted is not None:
                log.error("%s", halt_says(halted))
            else:
                log.warning("leases end again")
            self._halted = halted

    def _works(self) -> None:
        """A commit has succeeded: the ledger can be written."""
        if self.fault is not None:
            self.fault = None
            log.warning("the ledger can be written again")

    async def settle(self) -> bool:
        """Tick until nothing that is due has an effect, for a bounded time; return whether that was reached.

        A tick that fails, or waits for the exclusive section that long, is the ticker's business: what was asked for is
        recorded already.
        """
        due = time.monotonic() + PATIENCE_SECONDS
        is_settled, effective = False, 0
        while not is_settled and time.monotonic() < due:
            try:
                report = await self.exclusively(self.engine.tick)
            except PfgovError:
                break
            effective += report.effective
            is_settled = not report.effective and report.tried < limits.FOLLOW_UPS_PER_TICK_MAX
        if effective:
            self.news.publish()
        return is_settled

    async def at_length(self, who: str | None, do: Callable[..., T], *arguments: object) -> T:
        """Return what *do* returns for *who*: work of seconds, in threads that nothing short has to wait for."""
        return await self._long_threads.run(who, do, *arguments)

    async def asked(self, who: str | None, ask: Callable[[], T]) -> T:
        """Return what *ask* returns for *who*: decided about many in the exclusive section, and not recorded.

        A whole fleet takes a while, and whoever asks a hundred times at once would have all others wait for the
        exclusive section, heartbeats above all: so few are asked at once, and of one principal one.

        Raises:
            BusyError: its turn, or the exclusive section, did not come in time.
            PfgovError: as *ask* does.
        """
        return await self._asking_threads.run_soon(who, ask, PATIENCE_SECONDS, _silent)

    async def hear(self, hear: Callable[[], T]) -> T:
        """Return what *hear* makes of a heartbeat; as :meth:`exclusively`, and nothing else waits in its threads."""
        return await self._in_section(self._hearing_threads, hear)

    async def exclusively(self, ask: Callable[[], T]) -> T:
        """Return what *ask* returns, asked in a thread because it may wait for the exclusive section.

        The threads are its own: while a commit hangs they all wait, and reading goes on in others.

        Raises:
            BusyError: the exclusive section did not come in time.
            PfgovError: as *ask* does.
        """
        return await self._in_section(self._section_threads, ask)

    async def _in_section(self, threads: ThreadPoolExecutor, ask: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await loop.run_in_executor(threads, ask)
        except TimeoutError:
            raise _silent() from None

    async def status(self) -> Status:
        """Return how the engine fares: asked once for everybody who asks meanwhile, however long it takes.

        Raises:
            BusyError: the exclusive section did not come in time; ``last_status`` is what it said last.
            PfgovError: ``store.*``, the state cannot be loaded.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._at_once(self.engine.status))
            self._asking.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await asyncio.shield(self._asking)
        except TimeoutError:
            raise _silent() from None
        self.last_status = status
        return status

    @property
    def is_keeping(self) -> bool:
        """Whether something keeps the ledger itself, perhaps for a caller that has gone away."""
        return self._keeping.locked()

    async def keep(self, act: Callable[[], T]) -> T:
        """Return what *act*, which keeps the ledger itself, returns: one at a time, in a thread of this ledger's.

        A caller that goes away does not stop it.
        """
        loop = asyncio.get_running_loop()

        async def run() -> T:
            async with self._keeping:
                try:
                    return await loop.run_in_executor(self._section_threads, act)
                except StoreError as error:
                    self._fails(error)
                    raise
                finally:
                    self.news.publish()

        return await asyncio.shield(run())

    async def commit_index(self) -> Receipt:
        """Commit an index, unless nothing was appended since the last; return its receipt.

        Raises:
            PfgovError: as :meth:`pfgov.engine.Engine.commit_index`.
        """

        def commit() -> Receipt:
            position = self.engine.commit_index()
            with self.reader.snapshot() as queries:
                return receipt_of(queries, position, 1, replayed=False)

        return await self.keep(commit)

    # --- commands --------------------------------------------------------------------------

    def prepare(
        self, asked: Wire | c.Action, *, member_id: str | None = None, packet_id: str | None = None
    ) -> Prepared:
        """Return what :meth:`submit` is given for a body or an action; as :func:`pfgov.app.prepare.prepare`."""
        return prepare(
            asked, self.engine.attach, self.draw_id, member_id=member_id, packet_id=packet_id
        )

    async def submit(
        self,
        action: c.Action,
        caller: Caller,
        attachments: Sequence[Attachment | PolicyDocument] = (),
    ) -> Receipt:
        """Run *action* and return its receipt once it is durable; *caller* must hold its rights when it is decided.

        Raises:
            PfgovError: as :meth:`pfgov.engine.Engine.submit`.
        """
        try:
            expected = self._bridge.expect()
            request = Request(
                action,
                caller.principal,
                caller.request_id,
                caller.idempotency,
                attachments,
                outcome=expected,
                holds=caller.holds,
                expects=caller.expects,
            )
            self._bridge.submit(request)
            receipt = await expected.future
        except PfgovError as error:
            if isinstance(error, StoreError):
                self._fails(error)
            if getattr(error, "receipt", None) is not None:
                self.news.publish()
            raise
        if receipt.entries and not receipt.replayed:
            if self.fault is not None:
                self._works()
            self.news.publish()
        return receipt

    def draw_id(self) -> str:
        """Return a new id, ordered by time."""
        if len(self._drawn) < RANDOM_BYTES:
            self._drawn = os.urandom(POOL_BYTES)  # one call for many ids
        drawn, self._drawn = self._drawn[:RANDOM_BYTES], self._drawn[RANDOM_BYTES:]
        return ulid(self.engine.clock.now(), drawn)


def _silent() -> BusyError:
    return BusyError(
        f"the engine did not answer within {PATIENCE_SECONDS:g} s",
        hint="see whether the disk is slow or full",
    )
