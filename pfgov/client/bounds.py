"""How much of an answer is taken in, and for how long: a server may be anybody's, and must not fill or hold its caller.

Every answer is counted as it comes, whatever length it states, and comes as it is: we ask for no compression, and a
compressed answer is refused, since nobody knows what it becomes.  How long one may take is kept by its connection
(:mod:`pfgov.client.timing`).  A request whose answer is long by its nature (an
export, a stream of events) says so, and its reader has bounds of its own.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from pfgov.client import timing

ANSWER_BYTES_MAX: Final = 64 << 20
"""More than the largest page that a server sends."""

ANSWER_SECONDS: Final = 120.0
"""How long an answer may take to come in, once it has begun."""

LONG: Final = {"pfgov_long": True}
"""Extensions of a request whose answer has no such bounds."""

HEADERS: Final = {"Accept-Encoding": "identity"}


def bounded(httpx: Any, client: Any) -> Any:
    """Return the synchronous *client* of *httpx*, bounded in what it takes in."""

    def bound(answer: Any) -> None:
        _refuse_compressed(httpx, answer)
        if _is_long(answer):
            timing.head_came(answer, None)
        else:
            timing.head_came(answer, ANSWER_SECONDS)
            answer.stream = _sync(httpx, answer.stream)

    client.event_hooks = {"response": [bound]}
    timing.watch(client)
    return client


def bounded_async(httpx: Any, client: Any) -> Any:
    """Return the asynchronous *client* of *httpx*, bounded in what it takes in."""

    async def bound(answer: Any) -> None:
        _refuse_compressed(httpx, answer)
        if _is_long(answer):
            timing.head_came(answer, None)
        else:
            timing.head_came(answer, ANSWER_SECONDS)
            answer.stream = _async(httpx, answer.stream)

    client.event_hooks = {"response": [bound]}
    timing.watch(client)
    return client


def _is_long(answer: Any) -> bool:
    """Whether an answer may be as long as it likes: one that was asked for as such, and not a refusal."""
    return answer.status_code == 200 and bool(answer.request.extensions.get("pfgov_long"))


def _refuse_compressed(httpx: Any, answer: Any) -> None:
    encoding = str(answer.headers.get("content-encoding", "identity"))
    if encoding.strip().lower() != "identity":
        raise httpx.RemoteProtocolError("the answer is compressed, and nobody asked for that")


class _Count:
    """What has come of one answer so far."""

    def __init__(self, httpx: Any) -> None:
        self._httpx = httpx
        self._size = 0

    def add(self, piece: bytes) -> bytes:
        """Return *piece*, if it is not too much.

        Raises:
            RemoteProtocolError: of the HTTP client; it is too much.
        """
        self._size += len(piece)
        if self._size > ANSWER_BYTES_MAX:
            raise self._httpx.RemoteProtocolError(
                f"the answer is larger than {ANSWER_BYTES_MAX} bytes"
            )
        return piece


def _sync(httpx: Any, stream: Any) -> Any:
    class Counted(httpx.SyncByteStream):  # type: ignore[misc]  # the extra may be missing
        def __iter__(self) -> Iterator[bytes]:
            count = _Count(httpx)
            for piece in stream:
                yield count.add(piece)

        def close(self) -> None:
            stream.close()

    return Counted()


def _async(httpx: Any, stream: Any) -> Any:
    class Counted(httpx.AsyncByteStream):  # type: ignore[misc]  # the extra may be missing
        async def __aiter__(self) -> AsyncIterator[bytes]:
            count = _Count(httpx)
            async for piece in stream:
                yield count.add(piece)

        async def aclose(self) -> None:
            await stream.aclose()

    return Counted()
