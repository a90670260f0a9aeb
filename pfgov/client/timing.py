"""Time bounds for a whole answer, where the HTTP client's own are for one read of it.

A server that is anybody's can send its head a byte now and then, interim answers without end, or a chunk that never
has a size: each read comes in time, and nothing of it reaches whoever counts the body.  So the connections of a client
count.  A head may take as long as a read, a body :data:`pfgov.client.bounds.ANSWER_SECONDS`; the body of an answer that
is long by its nature has only the time of each read.
"""

import importlib
import time
from typing import Any


def watch(client: Any) -> None:
    """Let each connection of *client*, an httpx2 client of either kind, keep time; another transport keeps its own."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - there is no public place
        keep_time(transport)


def keep_time(transport: Any) -> None:
    """Let each connection of *transport* keep time: of one that others stand before, which a client does not see."""
    pool = getattr(transport, "_pool", None)
    if pool is not None:
        pool._network_backend = _Backend(pool._network_backend)  # noqa: SLF001


def head_came(answer: Any, seconds: float | None) -> None:
    """Give the body of *answer* so many seconds from now; None is as many as it likes."""
    stream = answer.extensions.get("network_stream")
    if isinstance(stream, _Stream | _AsyncStream):
        stream.clock.start(seconds)


class _Clock:
    """What is left for an answer."""

    def __init__(self) -> None:
        self._due: float | None = None
        self._is_running = False

    def reset(self) -> None:
        """Begin anew: something is asked."""
        self._is_running = False

    def start(self, seconds: float | None) -> None:
        """Allow so many seconds from now."""
        self._due = None if seconds is None else time.monotonic() + seconds
        self._is_running = True

    def left(self, timeout: float | None) -> float | None:
        """Return what the next read may take, which by itself may take *timeout*.

        Raises:
            ReadTimeout: of the HTTP client; nothing is left.
        """
        if not self._is_running:
            self.start(timeout)
        if self._due is None:
            return timeout
        left = self._due - time.monotonic()
        if left <= 0:
            late: Any = importlib.import_module("httpcore2").ReadTimeout
            raise late("the answer takes too long")
        return left if timeout is None else min(left, timeout)


class _Backend:
    """Makes connections that keep time."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def connect_tcp(self, *given: Any, **named: Any) -> Any:
        made = self._inner.connect_tcp(*given, **named)
        return _later(made) if hasattr(made, "__await__") else _Stream(made)


async def _later(made: Any) -> "_AsyncStream":
    return _AsyncStream(await made)


class _Timed:
    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.clock = _Clock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Stream(_Timed):
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.clock.reset()
        self._inner.write(buffer, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._inner.read(max_bytes, self.clock.left(timeout))

    def start_tls(self, *given: Any, **named: Any) -> "_Stream":
        return _Stream(self._inner.start_tls(*given, **named))


class _AsyncStream(_Timed):
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's
        self.clock.reset()
        await self._inner.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the library's
        return await self._inner.read(max_bytes, self.clock.left(timeout))

    async def start_tls(self, *given: Any, **named: Any) -> "_AsyncStream":
        return _AsyncStream(await self._inner.start_tls(*given, **named))
