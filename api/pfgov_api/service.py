"""What the server runs behind its routes: the engine, the clock tick, and who waits for news.

One tick a second lets leases end, deadlines pass and waiting packets move; after each commit the streams of events are
woken.  When the ledger cannot be written the service says why and is not ready.  This module does not know HTTP.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pfgov import commands as c
from pfgov.engine import Attachment, Engine, Idempotency, Receipt
from pfgov.engine.answers import PolicyDocument
from pfgov.engine.reading import LedgerReader
from pfgov.errors import PfgovError
from pfgov.ids import RANDOM_BYTES, ulid
from pfgov_api.keyring import KeyRing
from pfgov_api.metrics import Metrics

TICK_SECONDS: Final = 1.0
STREAMS_MAX: Final = 1_000
POLL_SECONDS: Final = 0.5

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
    def subscription(self) -> Any:
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
        self, engine: Engine, keyring: KeyRing, *, tick_seconds: float = TICK_SECONDS
    ) -> None:
        self.engine = engine
        self.keyring = keyring
        self.news = News()
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        self.fault: PfgovError | None = None
        self._tick_seconds = tick_seconds
        self._ticker: asyncio.Task[None] | None = None
        self.anchor = engine.layout.anchor.read_text()
        self.origin = engine.origin

    @property
    def reader(self) -> LedgerReader:
        """What is committed."""
        return self.engine.reader

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

    async def _tick_for_ever(self) -> None:
        due = time.monotonic() + self._tick_seconds
        while True:
            await asyncio.sleep(max(due - time.monotonic(), 0))
            lag = max(time.monotonic() - due, 0.0)
            due = max(due + self._tick_seconds, time.monotonic())
            await self.tick(lag=lag)

    async def tick(self, *, lag: float = 0.0) -> None:
        """Let what is due happen; remember a failure as the reason for not being ready."""
        try:
            report = await asyncio.to_thread(self.engine.tick, lag=round(lag * 1_000_000))
        except PfgovError as error:
            self.fault = error
            self.metrics.tick_failures += 1
            log.warning("tick failed: %s", error.code)
            return
        self.fault = None
        self.metrics.ticks += 1
        if report.effective:
            self.news.publish()

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
            future = self.engine.submit_nowait(
                action,
                principal=principal,
                request_id=request_id,
                idempotency=idempotency,
                attachments=attachments,
            )
            receipt = await asyncio.wrap_future(future)
        except PfgovError as error:
            if getattr(error, "receipt", None) is not None:
                self.news.publish()
            raise
        if receipt.entries and not receipt.replayed:
            self.news.publish()
        return receipt

    def draw_id(self) -> str:
        """Return a new id, ordered by time."""
        return ulid(self.engine.clock.now(), os.urandom(RANDOM_BYTES))


def idempotency_of(route: str, key: str, raw: bytes) -> Idempotency:
    """Return the engine's key for an ``Idempotency-Key`` on *route* with the body *raw*."""
    scoped = hashlib.sha256(f"{route}\0{key}".encode()).hexdigest()
    return Idempotency(scoped, hashlib.sha256(route.encode() + b"\0" + raw).digest())
