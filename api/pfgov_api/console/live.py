"""What changed, said to every open console at most twice a second: how far the ledger is, and nothing of what is in it.

The page then asks for itself anew.  With more streams, or slower pages, it is said less often, so that what consoles
cost the decisions is bounded.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from pfgov.app.hosting import POLL_SECONDS, UnpublishedError
from pfgov.app.local import LOCAL, LocalLedger
from pfgov_api.grants import Grant
from pfgov_api.service import Service
from pfgov_api.streams import HEARTBEAT, HEARTBEAT_SECONDS, counted

LEAST_SECONDS: Final = 0.5
"""Between two words to one console."""

STREAMS_A_SECOND: Final = 50
"""Words to all consoles together."""

SAME_SECONDS: Final = 0.1
"""How long one look at the ledger's size serves."""

SHARE: Final = 20
"""A page is drawn at most a twentieth of the time."""

LONGEST_SECONDS: Final = 10.0
"""Between two words because drawing takes long: a page that is told later than that is not live."""


def pause(streams: int, drawing_seconds: float) -> float:
    """Return how long a console waits between two words.

    >>> pause(1, 0.001), pause(100, 0.001), pause(1, 0.2), pause(1, 5), pause(1_000, 5)
    (0.5, 2.0, 4.0, 10.0, 20.0)
    """
    drawing = min(drawing_seconds * SHARE, LONGEST_SECONDS)
    return max(LEAST_SECONDS, streams / STREAMS_A_SECOND, drawing)


@dataclass(slots=True)
class Pulse:
    """When consoles are told, all at the same moments and of the same position, so that they ask for the same pages."""

    service: Service
    slowest: Callable[[], float]
    _size: int = 0
    _read: float = 0.0

    def until_next(self, now: float) -> float:
        """Return the seconds from *now* until the next moment."""
        length = pause(self.service.news.count, self.slowest())
        return length - now % length

    async def size(self, now: float) -> int:
        """Return how far the ledger is: one look for all that ask at a moment.

        Raises:
            UnpublishedError: a commit is being published.
        """
        if now - self._read > SAME_SECONDS:
            self._size, self._read = await self.service.read(LOCAL, LocalLedger.size), now
        return self._size


async def changes(
    service: Service,
    grant: Grant,
    pulse: Pulse,
    *,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AsyncIterator[bytes]:
    """Yield server-sent events ``changed``, for as long as the server runs and *grant* holds."""
    loop = asyncio.get_running_loop()
    last, said = -1, loop.time()
    with counted(service, grant) as has_room, service.news.subscription() as news:
        yield b"retry: 1000\n\n"
        while has_room and not service.stopping.is_set() and grant.holds():
            news.clear()
            with contextlib.suppress(UnpublishedError):
                size = await pulse.size(loop.time())
                if size != last:
                    last, said = size, loop.time()
                    yield b'id: %d\nevent: changed\ndata: {"head":%d}\n\n' % (size - 1, size - 1)
                    await asyncio.sleep(pulse.until_next(loop.time()))
                    continue
            if loop.time() - said >= heartbeat_seconds:
                yield HEARTBEAT
                said = loop.time()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL_SECONDS, heartbeat_seconds)):
                    await news.wait()
            await asyncio.sleep(SAME_SECONDS)
