"""From an answer, or a refusal, to what is sent: the request's name, the ETag, the coding, the headers.

The answer carries ``X-Request-ID`` as it was sent (AuthZEN 1.0, 10.1.3: an arbitrary string).  An entry of the ledger
names the request by an id: that same string where it can be one, and a new id where it cannot; the log says both.

What is large enough goes in gzip, or in zstd where its library is installed.  A coding is part of which representation
an ETag names, so each has its own; what a client then sends back is read without it.  This module knows neither who
asks nor what was asked.
"""

import asyncio
import base64
import gzip
import hashlib
import importlib
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from functools import cache
from typing import Any, Final, NamedTuple, cast
from urllib.parse import quote

import msgspec

from pfgov.app.hosting import Receipt
from pfgov.errors import BusyError, PfgovError, TooLargeError
from pfgov_api.limits import LARGE_BYTES, RETRY_AFTER_SECONDS
from pfgov_api.operations import Answer
from pfgov_api.problems import MEDIA_TYPE, FramingError, problem
from pfgov_api.replies import Reply
from pfgov_api.service import Service

# --- by what a request is called -----------------------------------------------------------

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}", re.ASCII)
_ECHOED: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?", re.ASCII)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_URN: Final = "._:@~-"


class RequestId(NamedTuple):
    """``id`` is recorded, ``sent`` goes back with the answer."""

    id: str
    sent: str

    @property
    def urn(self) -> str:
        """The name of this occurrence in a problem, from what goes back."""
        return f"urn:request:{quote(self.sent, safe=_URN)}"


def request_id_of(draw_id: Callable[[], str], headers: Mapping[str, str]) -> RequestId:
    """Return the caller's request id, else its trace id (W3C Trace Context), else one that is drawn."""
    given = headers.get("x-request-id", "")
    if _ID.fullmatch(given):
        return RequestId(given, given)
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    made = trace.group(1) if trace else draw_id()
    return RequestId(made, given if _ECHOED.fullmatch(given) else made)


def allowed(service: Service, headers: Mapping[str, str], allow: str) -> Reply:
    """Return the answer to OPTIONS: what may be asked there."""
    return Reply(
        204, headers={"Allow": allow, "x-request-id": request_id_of(service.draw_id, headers).sent}
    )


# --- codings ------------------------------------------------------------------------------

SMALLEST: Final = 1_024
"""From so many bytes on an answer is worth it."""

_GZIP_LEVEL: Final = 1
_ZSTD_LEVEL: Final = 3
_COMPRESSED: Final = ("application/json", "application/problem+json", "application/jsonl", "text/")
_NEVER: Final = ("text/event-stream",)
"""Each event has to go out at once."""


@cache
def _zstd() -> Any:
    """Return the library, or None."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def fits(media_type: str) -> bool:
    """Whether answers of *media_type* become smaller."""
    return media_type.startswith(_COMPRESSED) and not media_type.startswith(_NEVER)


def chosen(headers: Mapping[str, str]) -> str | None:
    """Return the coding that ``Accept-Encoding`` likes best, zstd among equals; None is none (RFC 9110, 12.5.3)."""
    text = headers.get("accept-encoding", "")
    if not text:
        return None
    liked = dict(_likings(text))
    known = ("zstd", "gzip") if _zstd() is not None else ("gzip",)
    others = liked.get("*", 0.0)
    best = max(known, key=lambda coding: liked.get(coding, others))
    if liked.get(best, others) <= 0 or liked.get("identity", 0.0) > liked.get(best, others):
        return None
    return best


def _likings(text: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for part in text.lower().split(",")[:32]:
        coding, _, weight = part.partition(";")
        name, _, value = weight.partition("=")
        liking = 1.0
        if name.strip() == "q":
            try:
                liking = min(max(float(value.strip()[:5]), 0.0), 1.0)
            except ValueError:
                liking = 0.0
        found.append(({"x-gzip": "gzip"}.get(coding.strip(), coding.strip()), liking))
    return found


def compressed(raw: bytes, coding: str) -> bytes:
    """Return *raw* in *coding*; the same bytes give the same bytes."""
    if coding == "zstd":
        made: bytes = _zstd().compress(raw, _ZSTD_LEVEL)
        return made
    return gzip.compress(raw, _GZIP_LEVEL, mtime=0)


async def compressed_stream(pieces: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """Yield *pieces* in *coding*, each as soon as there is enough of it."""
    if coding == "zstd":
        packer: Any = _zstd().ZstdCompressor(level=_ZSTD_LEVEL)
    else:
        packer = zlib.compressobj(_GZIP_LEVEL, wbits=31)
    async with aclosing(cast("AsyncGenerator[bytes]", pieces)) as whole:
        async for piece in whole:
            if made := packer.compress(piece):
                yield made
    yield packer.flush()


def tag_of(digest: str, coding: str | None) -> str:
    """Return the ETag of what has that *digest* before it is encoded."""
    return f'"{digest}"' if coding is None else f'"{digest}-{coding}"'


def tags_in(header: str) -> set[str]:
    """Return the digests that ``If-Match`` or ``If-None-Match`` names, whatever the coding; ``*`` is itself."""
    found: set[str] = set()
    for part in header.split(","):
        text = part.strip().removeprefix("W/").strip('"')
        for coding in ("gzip", "zstd"):
            text = text.removesuffix(f"-{coding}")
        found.add(text)
    return found


# --- what is sent -------------------------------------------------------------------------


def receipt_object(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as ``pfgov-verify`` reads it: the entry's bytes and signature in base64, and its position."""
    if not receipt.entries:
        return {"position": None, "count": 0, "size": receipt.size}
    return {
        "entry": base64.b64encode(receipt.entry).decode(),
        "signature": base64.b64encode(receipt.signature).decode(),
        "position": receipt.position,
        "count": receipt.count,
        "size": receipt.size,
    }


encode: Final = msgspec.json.Encoder().encode
"""JSON in the order in which answers are written down."""


def digest_of(raw: bytes) -> str:
    """Return what the ETag of a representation holds."""
    return hashlib.sha256(raw).hexdigest()[:32]


async def reply_of(answer: Answer, method: str, asked: Mapping[str, str]) -> Reply:
    """Return what is sent for *answer* to a request with these headers."""
    coding = chosen(asked) if fits(answer.media_type) else None
    if answer.stream is not None:
        stream, headers = answer.stream, dict(answer.headers)
        if coding is not None and method != "HEAD":
            stream = compressed_stream(stream, coding)
            headers |= {"Content-Encoding": coding, "Vary": "Accept-Encoding"}
        return Reply(answer.status, media_type=answer.media_type, headers=headers, stream=stream)
    raw = answer.raw if answer.raw is not None else encode(answer.body)
    if len(raw) < SMALLEST:
        coding = None
    headers = dict(answer.headers)
    if answer.status == 200 and method in {"GET", "HEAD"} and "Cache-Control" not in headers:
        digest = digest_of(raw)
        headers |= {"ETag": tag_of(digest, coding), "Cache-Control": "no-cache"}
        if fits(answer.media_type):
            headers["Vary"] = "Accept-Encoding"
        wanted = tags_in(asked.get("if-none-match", ""))
        if not wanted.isdisjoint({"*", digest}):
            return Reply(304, headers=headers)
    if coding is not None:
        headers |= {"Content-Encoding": coding, "Vary": "Accept-Encoding"}
        if len(raw) < LARGE_BYTES:
            raw = compressed(raw, coding)
        else:
            raw = await asyncio.to_thread(compressed, raw, coding)
    return Reply(answer.status, raw, media_type=answer.media_type, headers=headers)


def refusal(error: PfgovError, request_id: RequestId, *, status: int | None = None) -> Reply:
    """Return the problem that answers *error*; its *status* where it is another than the error's own."""
    receipt = getattr(error, "receipt", None)
    shown = receipt_object(receipt) if receipt is not None else None
    body = problem(error, request_id.urn, shown, status=status)
    headers: dict[str, str] = {}
    if body["status"] in {429, 503}:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="pfgov"'
    if receipt is not None and getattr(receipt, "replayed", False):
        headers["Idempotent-Replayed"] = "true"
    if isinstance(error, BusyError | TooLargeError | FramingError):
        headers["Connection"] = "close"
    return problem_reply(body, headers)


def problem_reply(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """Return a problem as it is sent."""
    return Reply(
        body["status"],
        encode(body),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
