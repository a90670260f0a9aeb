"""What a request to the console says, and what a page is sent with: paths, forms, protection, compression.

It knows HTTP, and neither who visits nor what a page shows.
"""

import asyncio
import gzip
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from litestar import Request

from pfgov.errors import NotFoundError
from pfgov_api.console import assets
from pfgov_api.console.fragments import PACKED_FROM, PACKING
from pfgov_api.dispatcher import framing_error
from pfgov_api.problems import CrossSiteError, HttpError
from pfgov_api.replies import Reply

HOME: Final = "/console/"
EVENTS: Final = "/console/events"
"""What an open page follows."""

FRAGMENT: Final = "pfgov-fragment"
"""The header of a page that asks for itself anew."""

ACTED: Final = "pfgov-acted"
"""The header of such a request where a person did something since the last one."""

FORM_BYTES_MAX: Final = 131_072
HTML: Final = "text/html; charset=utf-8"
KEPT: Final = "public, max-age=31536000, immutable"

Asgi = Request[Any, Any, Any]


def policy(nonce: str) -> str:
    """Return the content security policy of a page whose scripts carry *nonce*: nothing inline, nothing of others."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        "trusted-types pfgov"
    )


def require_sound(headers: Mapping[str, str], twice: str | None) -> None:
    """Refuse a request that could be read in two ways.

    Raises:
        HttpError: it could.
    """
    ambiguous = framing_error(headers, twice)
    if ambiguous is not None:
        raise ambiguous


def protection(nonce: str) -> dict[str, str]:
    """Return the headers of a page."""
    return {
        "Content-Security-Policy": policy(nonce),
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def from_here(headers: Mapping[str, str]) -> None:
    """Refuse a write that a browser does not say comes from this very origin; cookies know no ports.

    Raises:
        CrossSiteError: it does not say so.
    """
    if headers.get("sec-fetch-site") != "same-origin":
        raise CrossSiteError(
            "this was not sent by a page of this console",
            hint="use a browser that sends Sec-Fetch-Site, or the API with a key",
        )


def is_act(path: str, headers: Mapping[str, str]) -> bool:
    """Whether a person asks, and not a page that follows the ledger by itself."""
    return path != EVENTS and (FRAGMENT not in headers or ACTED in headers)


def named(rest: str) -> str:
    """Return what a path names: ids may hold characters that a path writes as ``%3A``, but no slash."""
    return rest if "%2f" in rest.lower() else unquote(rest)


def to(target: str) -> Reply:
    """Return the way to another page."""
    return Reply(303, headers={"Location": target, "Cache-Control": "no-store"})


def query_of(request: Asgi) -> dict[str, str]:
    """Return what the query says; of a name that comes twice the last."""
    return dict(parse_qsl(request.scope["query_string"].decode("latin-1"))[:32])


def asset(name: str, headers: Mapping[str, str]) -> Reply:
    """Return a file by its public name, to be kept for good.

    Raises:
        NotFoundError: there is none.
    """
    found = assets.by_public_name().get(name)
    if found is None:
        raise NotFoundError(f"there is no file {name[:100]!r}", code="http.not_found")
    more = {
        "Cache-Control": KEPT,
        "Vary": "Accept-Encoding",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if "gzip" in headers.get("accept-encoding", ""):
        more["Content-Encoding"] = "gzip"
        return Reply(200, found.packed, media_type=found.media_type, headers=more)
    return Reply(200, found.raw, media_type=found.media_type, headers=more)


async def packed_reply(
    raw: bytes,
    headers: Mapping[str, str],
    status: int,
    more: Mapping[str, str],
    packed: bytes = b"",
) -> Reply:
    """Return HTML, compressed where it is worth it and the browser takes it."""
    vary = {"Vary": f"Accept-Encoding, {FRAGMENT}"}
    if len(raw) >= PACKED_FROM and "gzip" in headers.get("accept-encoding", ""):
        packed = packed or await asyncio.to_thread(partial(gzip.compress, raw, PACKING, mtime=0))
        return Reply(
            status, packed, media_type=HTML, headers={**more, **vary, "Content-Encoding": "gzip"}
        )
    return Reply(status, raw, media_type=HTML, headers={**more, **vary})


async def body_of(request: Asgi, headers: Mapping[str, str], limit: int = FORM_BYTES_MAX) -> bytes:
    """Return the body of a form.

    Raises:
        HttpError: it is no form, longer than *limit*, or cut off.
    """
    if headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise HttpError("a form is expected", hint="use the form of the page")
    raw, more = b"", True
    while more:  # not request.stream(): a browser that leaves is no mistake of ours
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            raise HttpError("the form was cut off", code="http.cut_off")
        raw += message.get("body", b"")
        more = message.get("more_body", False)
        if len(raw) > limit:
            raise HttpError("the form is too large", hint="use the API or the command line")
    return raw


def form_of(raw: bytes) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        HttpError: it cannot be read.
    """
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict"
        )
    except ValueError:
        raise HttpError("the form cannot be read") from None
    return dict(pairs)
