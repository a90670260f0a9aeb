"""Time bounds for a whole answer, where the HTTP client's own are for one read of it.

A server that is anybody's can send its head a byte now and then, interim answers without end, or a chunk that never
has a size: each read comes in time, and nothing of it reaches whoever counts the body.  So the connections of a client
count; and all addresses of a server's name have the time of one.  A head may take as long as a read, a body
:data:`pfgov.client.bounds.ANSWER_SECONDS`; the body of an answer that is long by its nature has only the time of each
read.
"""

import importlib
import inspect
import socket
import time
from typing import Any


def watch(client: Any) -> None:
    """Let each connection of *client*, an httpx2 client of either kind, keep time; another transport keeps its own."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - there is no public place
        keep_time(transport)


def keep_time(transport: Any) -> None:
    """Let each connection of *transport* keep time: of one that others stand before, which a client does not see."""
    pool = getattr(transport, "_pool", None)
    if pool is not None and not isinstance(pool._network_backend, _Backend):  # noqa: SLF001
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

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **named: Any) -> Any:
        if inspect.iscoroutinefunction(self._inner.connect_tcp):  # one time for all by itself
            return _later(self._inner.connect_tcp(host, port, timeout=timeout, **named))
        return _Stream(self._connected(host, port, timeout, named))

    def _connected(self, host: str, port: int, timeout: float | None, named: dict[str, Any]) -> Any:
        """Connect to the first address of *host* that answers: all of them together have *timeout*."""
        addresses = _addresses(host, port)
        due = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = None if timeout is None else max(due - time.monotonic(), 0.001)
            at = addresses.pop(0)
            try:
                return self._inner.connect_tcp(at, port, timeout=left, **named)
            except Exception:  # whatever it was, the next address may answer
                if not addresses or time.monotonic() >= due:
                    raise


def _addresses(host: str, port: int) -> list[str]:
    try:
        return [str(one[-1][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):  # the client says that in its own words
        return [host]


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
