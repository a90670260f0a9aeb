"""What the server runs behind its routes: the engine, the clock tick, the subject index, and who waits for news.

One tick a second lets leases end, deadlines pass and waiting packets move; after each commit the streams of events are
woken; when entries were appended, an index is committed now and then, so that exports are complete.  A commit that
fails makes the service unready, with the reason, and only one that succeeds makes it ready again: where nobody writes,
because a balancer sends nobody here any more, the ticker tries one.  This module does not know HTTP.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pfgov import commands as c
from pfgov.engine import Attachment, Engine, Idempotency, Receipt, Request
from pfgov.engine.answers import PolicyDocument
from pfgov.engine.reading import LedgerReader
from pfgov.engine.stored import receipt_of
from pfgov.errors import BusyError, PfgovError, StoreError, StoreUnavailableError
from pfgov.ids import RANDOM_BYTES, ulid
from pfgov.limits import FOLLOW_UPS_PER_TICK_MAX
from pfgov_api.access import Access
from pfgov_api.keyring import KeyRing
from pfgov_api.limits import (
    EXPORTS_PER_PRINCIPAL_MAX,
    IN_FLIGHT_MAX,
    LONG_THREADS,
    REQUESTS_PER_PRINCIPAL_MAX,
    STREAMS_PER_PRINCIPAL_MAX,
)
from pfgov_api.metrics import Metrics
from pfgov_api.oidc.tokens import Tokens
from pfgov_api.relay import Relay
from pfgov_api.shares import Shares

T = TypeVar("T")

TICK_SECONDS: Final = 1.0
INDEX_SECONDS: Final = 30.0
TRIAL_SECONDS: Final = 5.0
"""How often a ledger that could not be written is tried: each failure costs a reload."""

POLL_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 2.0
"""How long a question about the engine's health may wait for the engine's turn."""

POOL_BYTES: Final = 2_000

ALWAYS_ADMITTED: Final = frozenset({"live", "ready", "metrics"})

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


class Service:
    """The engine and what surrounds it, for one process."""

    def __init__(
        self,
        engine: Engine,
        keyring: KeyRing,
        *,
        tick_seconds: float = TICK_SECONDS,
        index_seconds: float = INDEX_SECONDS,
        in_flight_max: int = IN_FLIGHT_MAX,
        tokens: Tokens | None = None,
        public_url: str | None = None,
    ) -> None:
        self.engine = engine
        self.public_url = public_url
        self.keyring = keyring
        self.access = Access(keyring, tokens)
        self.requests = Shares("requests", REQUESTS_PER_PRINCIPAL_MAX)
        self.streams = Shares("streams", STREAMS_PER_PRINCIPAL_MAX)
        self.exports = Shares("exports", EXPORTS_PER_PRINCIPAL_MAX)
        self.long_threads = ThreadPoolExecutor(LONG_THREADS, thread_name_prefix="long")
        self.news = News()
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        self.fault: PfgovError | None = None
        self.in_flight = 0
        self.origin = engine.origin
        self._tick_seconds = tick_seconds
        self._index_seconds = index_seconds
        self._in_flight_max = in_flight_max
        self._ticker: asyncio.Task[None] | None = None
        self._relay = Relay(engine)
        self._keeping = asyncio.Lock()
        self._glance: LedgerReader | None = None
        self._drawn = b""

    @property
    def reader(self) -> LedgerReader:
        """What is committed, for a thread: it may have to wait a moment until a commit is published."""
        return self.engine.reader

    @property
    def glance(self) -> LedgerReader:
        """What is committed, for the event loop: it never waits, and raises ``UnpublishedError`` instead.

        Operations that change nothing are then tried again (:mod:`pfgov_api.shell`).
        """
        if self._glance is None:
            self._glance = LedgerReader(self.engine.layout.directory, patience_seconds=0)
        return self._glance

    def size(self) -> int:
        """Return the number of entries; for a thread."""
        return self.reader.head().size

    @property
    def anchor(self) -> str:
        """What a verifier pins, as it lies beside the ledger: a new log key is named there once it signs.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        try:
            return self.engine.layout.anchor.read_text()
        except OSError as error:
            raise StoreUnavailableError(f"the anchor cannot be read: {error.strerror}") from error

    @property
    def log_key(self) -> str:
        """The log's verifier key, the line of the anchor that people compare."""
        return next(line for line in self.anchor.splitlines() if line and not line.startswith("#"))

    # --- running ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to tick."""
        self.stopping.clear()
        self._ticker = asyncio.create_task(self._tick_for_ever())
        await self.access.start()

    async def stop(self) -> None:
        """End streams and ticks; what was accepted is answered."""
        self.stopping.set()
        self.news.publish()
        await self.access.stop()
        self.long_threads.shutdown(wait=False, cancel_futures=True)
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
        self._relay.close()
        if (
            self._glance is not None
        ):  # the engine is the last to close, and empties the write-ahead log
            self._glance.close()
            self._glance = None

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
            report = await asyncio.to_thread(self.engine.tick, lag=round(lag * 1_000_000))
            if index:
                await asyncio.to_thread(commit)
        except Exception as error:  # noqa: BLE001 - the ticker must outlive whatever goes wrong
            self.metrics.tick_failures += 1
            self._fails(error)
            return
        if report.effective or index:
            self._works()
        self.metrics.ticks += 1
        if report.tried or index:
            self.news.publish()

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

    def _works(self) -> None:
        """A commit has succeeded: the ledger can be written."""
        if self.fault is not None:
            self.fault = None
            log.warning("the ledger can be written again")

    async def settle(self) -> bool:
        """Tick until nothing that is due has an effect, for a bounded time; return whether that was reached.

        A tick that fails is the ticker's business: what was asked for is recorded already.
        """
        due = time.monotonic() + PATIENCE_SECONDS
        is_settled, effective = False, 0
        while not is_settled and time.monotonic() < due:
            try:
                report = await asyncio.to_thread(self.engine.tick)
            except PfgovError:
                break
            effective += report.effective
            is_settled = not report.effective and report.tried < FOLLOW_UPS_PER_TICK_MAX
        if effective:
            self.news.publish()
        return is_settled

    # --- admission -------------------------------------------------------------------------

    def admit(self, operation: str) -> None:
        """Count a request in; :meth:`dismiss` counts it out, admitted or not.

        Raises:
            BusyError: too many are being answered.
        """
        self.in_flight += 1
        if self.in_flight > self._in_flight_max and operation not in ALWAYS_ADMITTED:
            self.in_flight -= 1
            raise BusyError(
                f"{self.in_flight} requests are being answered", hint="try again in a moment"
            )

    def dismiss(self, share: str | None) -> None:
        """Count an admitted request out, and out of the *share* of its principal."""
        self.in_flight -= 1
        if share is not None:
            self.requests.give(share)

    async def at_length(self, do: Callable[..., T], *arguments: object) -> T:
        """Return what *do* returns: work of seconds, in threads of its own that nothing short has to wait for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.long_threads, do, *arguments)

    async def in_turn(self, ask: Callable[[], T]) -> T:
        """Return what *ask* returns, asked in a thread because it may wait for the engine's turn.

        Raises:
            BusyError: the engine's turn did not come in time.
            PfgovError: as *ask* does.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.to_thread(ask)
        except TimeoutError:
            raise BusyError(
                f"the engine did not answer within {PATIENCE_SECONDS:g} s",
                hint="see whether the disk is slow or full",
            ) from None

    async def keep(self, act: Callable[[], T]) -> T:
        """Return what *act*, which keeps the ledger itself, returns: one at a time, in a thread.

        Several at once would take the threads that the clock needs.  A caller that goes away does not stop it.
        """

        async def run() -> T:
            async with self._keeping:
                try:
                    return await asyncio.to_thread(act)
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

    async def submit(
        self,
        action: c.Action,
        *,
        principal: c.Principal,
        request_id: str | None = None,
        idempotency: Idempotency | None = None,
        attachments: Sequence[Attachment | PolicyDocument] = (),
    ) -> Receipt:
        """Run *action* and return its receipt once it is durable.

        Raises:
            PfgovError: as :meth:`pfgov.engine.Engine.submit`.
        """
        try:
            expected = self._relay.expect()
            self._relay.submit(
                Request(action, principal, request_id, idempotency, attachments, outcome=expected)
            )
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


def idempotency_of(route: str, key: str, raw: bytes) -> Idempotency:
    """Return the engine's key for an ``Idempotency-Key`` on *route* with the body *raw*."""
    scoped = hashlib.sha256(f"{route}\0{key}".encode()).hexdigest()
    return Idempotency(scoped, hashlib.sha256(route.encode() + b"\0" + raw).digest())
