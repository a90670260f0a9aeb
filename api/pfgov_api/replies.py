"""An answer on its way out: an ASGI application, which is the shortest way through Litestar.

A ``Response`` of Litestar's is turned into headers three times before it is sent; an answer here is a status, headers
and bytes already.  Streams are sent by Litestar, which watches for a caller that goes away.  This module knows no
operation and no problem.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, cast

from litestar import Response
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

PROTECTION: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
"""Headers of every answer, unless it says otherwise itself."""

WHOLE: Final = "pfgov.whole"
"""Where the scope of a request has a way to send an answer in one piece; absent where there is none."""

_BODILESS: Final = frozenset({204, 304})


class Reply:
    """What is sent: a status, headers by lower-case name, and bytes or a stream of them."""

    __slots__ = ("body", "headers", "is_head", "status", "stream")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        *,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        stream: AsyncIterator[bytes] | None = None,
    ) -> None:
        """Take what is sent; *headers* may have names in any case, and go before what every answer has."""
        self.status = status
        self.body = body
        self.stream = stream
        self.is_head = False
        self.headers = {**PROTECTION, "content-type": media_type}
        if headers:
            self.headers.update((name.lower(), value) for name, value in headers.items())
        if status in _BODILESS:
            del self.headers["content-type"]
        elif stream is None:
            self.headers["content-length"] = str(len(body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; the headers alone, if it answers HEAD."""
        if self.stream is not None:
            streaming = ASGIStreamingResponse(
                iterator=self.stream,
                headers=self.headers,
                media_type=self.headers["content-type"],
                status_code=self.status,
                is_head_response=self.is_head,
            )
            await streaming(scope, receive, send)
            return
        whole = cast("dict[str, Any]", scope).get(WHOLE)
        if whole is not None and await self._sent_whole(whole):
            return
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": encoded})
        body = b"" if self.is_head else self.body
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _sent_whole(self, whole: Callable[[int, bytes, bytes], Awaitable[bool]]) -> bool:
        """Send it in one piece, if it may go so; whether it did."""
        if self.is_head or self.status in _BODILESS or "connection" in self.headers:
            return False
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        if lines.count("\n") != len(
            self.headers
        ):  # an end of a line within one is refused on the ordinary way
            return False
        return await whole(self.status, lines.encode("latin-1"), self.body)

    def response(self) -> Response[bytes]:
        """Return it as Litestar wants it from an exception handler."""
        return Response(self.body, status_code=self.status, headers=self.headers)
