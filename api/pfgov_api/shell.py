"""From HTTP to a call and back: everything that is the same for all routes.

Who asks, may they, is the body what it claims to be; then the operation; then the answer with its request id, its
ETag, or its problem.  A handler of Litestar is made from each operation here, and nowhere else.  This module knows no
operation by name.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast
from urllib.parse import unquote

import msgspec
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from pfgov.engine.failing import MismatchError, mismatch
from pfgov.errors import (
    BusyError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PfgovError,
    TooLargeError,
)
from pfgov.limits import ID_LENGTH_MAX
from pfgov.model import Wire, parse, read_json
from pfgov.storage.reading import UnpublishedError
from pfgov_api.answers import receipt_object
from pfgov_api.grants import NOBODY, Grant
from pfgov_api.limits import BODY_BYTES_MAX, HEADERS_MAX, LARGE_BYTES, RETRY_AFTER_SECONDS
from pfgov_api.logs import log_request
from pfgov_api.operations import ANYONE, MEMBER, Answer, Call, Operation
from pfgov_api.problems import (
    MEDIA_TYPE,
    CrossSiteError,
    FramingError,
    HttpError,
    IdempotencyKeyError,
    MediaTypeError,
    problem,
    status_of,
    unexpected,
)
from pfgov_api.queries import read_query
from pfgov_api.replies import Reply
from pfgov_api.service import PATIENCE_SECONDS, Service

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}", re.ASCII)
IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]*", re.ASCII)

_SINGLE: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "last-event-id",
        "origin",
        "transfer-encoding",
    }
)
"""Headers that two readers could understand differently when they come twice."""

POSITION: Final = "seq"
"""The parameter of a path that is a position in the ledger; the others are ids."""

POSITION_DIGITS_MAX: Final = 15

PAUSE_SECONDS: Final = 0.002
"""Between two looks whether a commit is published."""

log = logging.getLogger("pfgov.api")
_encode = msgspec.json.Encoder().encode  # in the order in which answers are written down

Asgi = Request[Any, Any, Any]


def handler_of(
    operation: Operation, service: Service, *, allow: str | None = None
) -> HTTPRouteHandler:
    """Return the Litestar handler of *operation*; with *allow*, it says to OPTIONS what its path allows."""

    async def handle(request: Asgi) -> ASGIApp:
        if request.scope["method"] == "OPTIONS":
            return _options(service, request, allow or "")
        return await respond(operation, service, request)

    handle.__name__ = operation.name
    methods: Any = ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
    if allow is not None:
        methods = [*methods, "OPTIONS"]
    path = re.sub(r"\{(\w+)\}", r"{\1:str}", operation.path)
    return HTTPRouteHandler(
        path,
        http_method=methods,
        name=operation.name,
        opt={"operation": operation},
        status_code=operation.status,
    )(handle)


def _options(service: Service, request: Asgi, allow: str) -> Reply:
    headers, twice = read_headers(request)
    ambiguous = framing_error(headers, twice)
    if ambiguous is None:
        return Reply(204, headers={"Allow": allow})
    request_id = request_id_of(service, headers)
    reply = refusal(ambiguous, request_id)
    reply.headers["x-request-id"] = request_id
    return reply


async def respond(operation: Operation, service: Service, request: Asgi) -> Reply:
    """Answer one request, whatever happens."""
    started = time.perf_counter()
    headers, twice = read_headers(request)
    request_id = request_id_of(service, headers)
    try:
        service.admit(operation.name)
        grant = NOBODY
        try:
            grant = _grant(operation, service, request, headers, twice)
            call = await _call(operation, service, request, headers, request_id, grant)
            answer = await _answered(operation, call)
        finally:
            service.dismiss(grant.share)
        reply = _reply(answer, request.scope["method"], headers)
    except PfgovError as error:
        reply = refusal(_as_sent(error, headers), request_id)
    except Exception:  # the last resort: our mistake must not show its inside to the caller
        log.exception(
            "unexpected error", extra={"request_id": request_id, "operation": operation.name}
        )
        reply = _problem(unexpected(request_id), {})
    reply.headers["x-request-id"] = request_id
    reply.is_head = request.scope["method"] == "HEAD"
    seconds = time.perf_counter() - started
    service.metrics.observe(operation.name, reply.status, seconds)
    if log.isEnabledFor(logging.INFO):
        log_request(
            log,
            request_id=request_id,
            operation=operation.name,
            status=reply.status,
            seconds=seconds,
        )
    return reply


def _as_sent(error: PfgovError, headers: Mapping[str, str]) -> PfgovError:
    """Return *error*, naming the key that the caller sent: the engine knows only what was made of it."""
    if not isinstance(error, MismatchError):
        return error
    return mismatch(headers.get("idempotency-key", "")[:64])


async def _answered(operation: Operation, call: Call) -> Answer:
    """Run *operation*; one that changes nothing again while a commit is being published.

    It is the loop that waits for that moment, and others are answered meanwhile.
    """
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await operation.handler(call)
        except UnpublishedError:
            if operation.writes or time.monotonic() > patience:
                raise
        await asyncio.sleep(PAUSE_SECONDS)


def read_headers(request: Asgi) -> tuple[dict[str, str], str | None]:
    """Return the headers by lower-case name, and the first of those that must be unique but came twice."""
    headers: dict[str, str] = {}
    twice: str | None = None
    for raw_name, raw_value in request.scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in _SINGLE and name in headers:
            twice = twice or name
        headers[name] = raw_value.decode("latin-1")
    return headers, twice


def framing_error(headers: Mapping[str, str], twice: str | None) -> FramingError | None:
    """Return why somebody before us may have read another request than we do, or None.

    The connection is closed upon it (RFC 9112, 6.1): what we take for the next request may be part of this one.
    """
    if twice is not None:
        return FramingError(f"the header {twice} came twice", code="input.invalid")
    if "transfer-encoding" in headers and "content-length" in headers:
        return FramingError(
            "Content-Length and Transfer-Encoding both say how long the body is",
            hint="send one of them",
        )
    return None


def request_id_of(service: Service, headers: Mapping[str, str]) -> str:
    """Return the caller's request id, else its trace id (W3C Trace Context), else a new one."""
    given = headers.get("x-request-id")
    if given is not None and REQUEST_ID.fullmatch(given):
        return given
    trace = TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return trace.group(1) if trace else service.draw_id()


def _grant(
    operation: Operation,
    service: Service,
    request: Asgi,
    headers: Mapping[str, str],
    twice: str | None,
) -> Grant:
    """Return who asks, after everything that can be refused without reading a body."""
    ambiguous = framing_error(headers, twice)
    if ambiguous is not None:
        raise ambiguous
    if len(cast("list[Any]", request.scope["headers"])) > HEADERS_MAX:
        raise InvalidError("too many headers", hint=f"send at most {HEADERS_MAX}")
    if operation.body is None and (
        "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    ):
        raise HttpError("there is no body here", hint="send the request without one")
    from_another_site(request.scope["method"], headers)
    if operation.access == ANYONE:
        return NOBODY
    grant = service.access.grant(headers.get("authorization"))
    if service.access.is_open:
        _is_here(headers.get("host", ""))
    _may(operation, grant.principal.rights)
    if grant.share is not None:
        service.requests.take(grant.share)
    return grant


async def _call(
    operation: Operation,
    service: Service,
    request: Asgi,
    headers: dict[str, str],
    request_id: str,
    grant: Grant,
) -> Call:
    path = _path(request.scope["path_params"])
    url = operation.path.format(**path) if path else operation.path
    _is_canonical(request.scope["raw_path"], url)
    query = read_query(request.scope["query_string"], operation.parameters)
    if operation.writes:
        check_idempotency_key(headers)
    raw = await _body(operation, request, headers)
    body: Any = None
    if operation.body is not None:
        read = partial(_parsed, operation.body, raw, optional=operation.body_optional)
        body = read() if len(raw) < LARGE_BYTES else await asyncio.to_thread(read)
    return Call(
        operation=operation,
        service=service,
        principal=grant.principal,
        request_id=request_id,
        path=path,
        query=query,
        body=body,
        raw=raw,
        headers=headers,
        url=url,
        grant=grant,
    )


def _parsed(model: type[Wire], raw: bytes, *, optional: bool) -> Any:
    return parse(model, read_json(raw, limit=BODY_BYTES_MAX) if raw or not optional else {})


def _path(parameters: Mapping[str, Any]) -> dict[str, str]:
    path: dict[str, str] = {}
    for name, value in parameters.items():
        if name == POSITION:
            _is_position(value)
        elif len(value) > ID_LENGTH_MAX or not _ID.fullmatch(value):
            raise InvalidError(
                f"{value[:64]!r} cannot be an id",
                hint="ids are letters, digits and ._:@~- , at most 128",
                pointer=f"/path/{name}",
            )
        path[name] = value
    return path


def _is_position(text: str) -> None:
    if not text.isascii() or not text.isdigit() or len(text) > POSITION_DIGITS_MAX:
        raise InvalidError(
            f"{text[:32]!r} is not a position",
            hint="entries are counted from 0",
            pointer=f"/path/{POSITION}",
        )


def _is_canonical(raw_path: bytes, url: str) -> None:
    """Refuse other spellings of a path: a proxy that guards some paths may not know them for the same.

    Characters of an id may be encoded; slashes may not, nor stand twice or at the end.
    """
    sent = raw_path.decode("latin-1")
    if sent != url and (unquote(sent) != url or "%2f" in sent.lower()):
        raise NotFoundError(
            f"there is nothing at {sent[:200]}", code="http.not_found", hint=f"it is at {url}"
        )


def from_another_site(method: str, headers: Mapping[str, str]) -> None:
    """Refuse writes that a browser sends on behalf of another site (Fetch Metadata; Origin where that is missing).

    Raises:
        CrossSiteError: it does.
    """
    if method in {"GET", "HEAD"}:
        return
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site in {"cross-site", "same-site"} or (
        site is None and origin and origin.partition("://")[2] != headers.get("host", "")
    ):
        raise CrossSiteError(
            "this was sent by another web site",
            hint="call the API from a program, or from its own origin",
        )


_HERE: Final = re.compile(
    r"(localhost|127\.0\.0\.1|\[::1\])?(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)


def _is_here(host: str) -> None:
    """Refuse, while nobody needs a key, requests to any name but this machine's: a web page may have had its own name
    resolved to this machine.
    """
    if not _HERE.fullmatch(host):
        raise CrossSiteError(
            f"without API keys this server answers to localhost only, not to {host[:64]!r}",
            hint="call http://localhost, or create a key: pfgov key create --help",
        )


def _may(operation: Operation, rights: tuple[str, ...]) -> None:
    wanted = operation.access
    if isinstance(wanted, str):
        wanted = frozenset({wanted})
    held = {MEMBER if right.startswith("member:") else right for right in rights}
    if not wanted & held:
        raise ForbiddenError(
            f"this needs one of {', '.join(sorted(wanted))}; the key has {', '.join(sorted(rights))}",
            hint="use a key with that scope: pfgov key create --help",
        )


async def _body(operation: Operation, request: Asgi, headers: Mapping[str, str]) -> bytes:
    if operation.body is None:
        return b""
    _is_plain(headers.get("content-encoding", ""))
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise TooLargeError(f"a body of {declared[:20]} bytes is larger than {BODY_BYTES_MAX}")
    parts: list[bytes] = []
    size = 0
    more = True
    while more:  # not request.stream(), which looks its state up for every part
        message: Any = await request.receive()
        if message["type"] == "http.disconnect":
            raise HttpError("the body was cut off", code="http.cut_off")
        part = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise TooLargeError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    raw = parts[0] if len(parts) == 1 else b"".join(parts)
    if raw or not operation.body_optional:
        _is_json(headers.get("content-type", ""))
    return raw


def _is_plain(encodings: str) -> None:
    if encodings.strip().lower() not in {"", "identity"}:
        raise MediaTypeError(
            f"the body is encoded as {encodings[:64]!r}, which is not undone here",
            hint="send it as it is, without Content-Encoding",
        )


def _is_json(content_type: str) -> None:
    if content_type == "application/json":
        return
    media, _, rest = content_type.partition(";")
    charset = rest.strip().lower().replace('"', "")
    if media.strip().lower() == "application/json" and charset not in {"", "charset=utf-8"}:
        raise MediaTypeError(
            f"the body is {rest.strip()[:64]!r}, and JSON is in UTF-8",
            hint="send: Content-Type: application/json",
        )
    if media.strip().lower() != "application/json":
        raise MediaTypeError(
            f"the body is {media.strip()[:64] or 'of no type'!r}, not application/json",
            hint="send: Content-Type: application/json",
        )


def check_idempotency_key(headers: Mapping[str, str]) -> None:
    """Refuse an ``Idempotency-Key`` that cannot be one.

    Raises:
        IdempotencyKeyError: it is not 1 to 255 visible ASCII characters.
    """
    key = headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise IdempotencyKeyError("the Idempotency-Key is not 1 to 255 visible ASCII characters")


def _reply(answer: Answer, method: str, asked: Mapping[str, str]) -> Reply:
    if answer.stream is not None:
        return Reply(
            answer.status,
            media_type=answer.media_type,
            headers=answer.headers,
            stream=answer.stream,
        )
    raw = answer.raw if answer.raw is not None else _encode(answer.body)
    headers = answer.headers
    if answer.status == 200 and method in {"GET", "HEAD"} and "Cache-Control" not in headers:
        tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
        headers = {**headers, "ETag": tag, "Cache-Control": "no-cache"}
        wanted = asked.get("if-none-match", "")
        if wanted == "*" or tag in {one.strip().removeprefix("W/") for one in wanted.split(",")}:
            return Reply(304, headers=headers)
    return Reply(answer.status, raw, media_type=answer.media_type, headers=headers)


def refusal(error: PfgovError, request_id: str) -> Reply:
    """Return the problem that answers *error*."""
    receipt = getattr(error, "receipt", None)
    body = problem(error, request_id, receipt_object(receipt) if receipt is not None else None)
    headers: dict[str, str] = {}
    status = status_of(error)
    if status in {429, 503}:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="pfgov"'
    if receipt is not None and getattr(receipt, "replayed", False):
        headers["Idempotent-Replayed"] = "true"
    if isinstance(error, BusyError | TooLargeError | FramingError):
        headers["Connection"] = "close"
    return _problem(body, headers)


def _problem(body: dict[str, Any], headers: dict[str, str]) -> Reply:
    return Reply(
        body["status"],
        _encode(body),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **headers},
    )
