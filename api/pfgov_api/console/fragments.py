"""Drawn pages, kept while they are new enough: a hundred open consoles draw each page once.

A page is known by what it shows and to whom, and has the position of the ledger at which it was drawn.  Whoever asks
says which position it must not be older than; one that is being drawn is waited for.  What is shown of time (a lease, a
deadline) is never older than ``KEPT_SECONDS``.
"""

import asyncio
import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

KEPT_SECONDS: Final = 10.0
KEPT_BYTES_MAX: Final = 32 << 20
PACKED_FROM: Final = 1_024
"""Bytes from which on compressing is worth it."""

PACKING: Final = 5
FORGOTTEN: Final = 0.5
"""What is left of a slow moment with each drawing after it."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page without what surrounds it: its title, the part of the console that it belongs to, and its HTML.

    ``packed`` is the same compressed, and ``tag`` its digest, where it is sent to many.
    """

    title: str
    here: str
    html: bytes
    status: int = 200
    packed: bytes = b""
    tag: str = ""

    @classmethod
    def for_many(cls, title: str, here: str, html: bytes) -> "Drawn":
        """Return a page that is kept; compressing it takes milliseconds, so this is for a thread."""
        packed = gzip.compress(html, PACKING, mtime=0) if len(html) >= PACKED_FROM else b""
        return cls(title, here, html, 200, packed, hashlib.sha256(html).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class _Kept:
    position: int
    since: float
    drawn: Drawn


@dataclass(slots=True)
class Fragments:
    """What was drawn, the newest last."""

    now: Callable[[], float] = time.monotonic
    drawings: int = 0
    slowest: float = 0.0
    _kept: OrderedDict[Hashable, _Kept] = field(default_factory=OrderedDict[Hashable, _Kept])
    _drawing: dict[Hashable, tuple[int, asyncio.Task[Drawn]]] = field(
        default_factory=dict[Hashable, tuple[int, asyncio.Task[Drawn]]]
    )
    _bytes: int = 0

    async def get(
        self, key: Hashable, at_least: int, position: int, draw: Callable[[], Awaitable[Drawn]]
    ) -> Drawn:
        """Return the page of *key* as of *at_least* or later; one that is drawn now is as of *position*.

        Raises:
            PfgovError: as *draw* does; then nothing is kept.
        """
        known = self._kept.get(key)
        is_fresh = known is not None and self.now() - known.since < KEPT_SECONDS
        if known is not None and is_fresh and known.position >= at_least:
            self._kept.move_to_end(key)
            return known.drawn
        under_way = self._drawing.get(key)
        if under_way is None or under_way[0] < at_least:
            task = asyncio.create_task(self._draw(key, position, draw))
            self._drawing[key] = under_way = position, task
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(under_way[1])

    async def _draw(
        self, key: Hashable, position: int, draw: Callable[[], Awaitable[Drawn]]
    ) -> Drawn:
        started = self.now()
        try:
            drawn = await draw()
        finally:
            if key in self._drawing and self._drawing[key][0] == position:
                del self._drawing[key]
        self.drawings += 1
        # What one drawing costs says how often all may be drawn; one slow moment is forgotten again.
        self.slowest = max(self.slowest * FORGOTTEN, self.now() - started)
        self._keep(key, _Kept(position, started, drawn))
        return drawn

    def _keep(self, key: Hashable, found: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._bytes += len(found.drawn.html) - (len(before.drawn.html) if before else 0)
        self._kept[key] = found
        while self._bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.drawn.html)
