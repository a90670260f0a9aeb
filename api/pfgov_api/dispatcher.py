"""From HTTP to a call and back: everything that is the same for all routes.

Who asks, may they, is the body what it claims to be; then the operation; then the answer with its request id, its
ETag, or its problem.  A handler of Litestar is made from each operation here, and nowhere else.  This module knows no
operation by name.
"""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast
from urllib.parse import unquote

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from pfgov.app.hosting import (
    PATIENCE_SECONDS,
    MismatchError,
    UnpublishedError,
    mismatch,
)
from pfgov.app.visibility import withhold_receipt
from pfgov.errors import (
    ForbiddenError,
    GrantEndedError,
    InvalidError,
    NotFoundError,
    PfgovError,
    StandbyError,
    TooLargeError,
)
from pfgov.limits import ID_LENGTH_MAX
from pfgov.model import Wire, parse, read_json
from pfgov_api.answers import can_be_witnessed
from pfgov_api.forwarding import Forwarder
from pfgov_api.grants import NOBODY, Grant
from pfgov_api.leaving import cut, uncancel, while_there
from pfgov_api.limits import BODY_BYTES_MAX, HEADERS_MAX, LARGE_BYTES
from pfgov_api.logs import log_request
from pfgov_api.mounting import Asgi, ledger_of, mount_of, service_of
from pfgov_api.operations import ANYONE, Answer, Call, Operation
from pfgov_api.origins import from_another_site, require_here
from pfgov_api.outgoing import (
    RequestId,
    allowed,
    problem_reply,
    refusal,
    reply_of,
    request_id_of,
)
from pfgov_api.preconditions import HEADER as IF_MATCH
from pfgov_api.preconditions import check_taken
from pfgov_api.problems import (
    FramingError,
    HttpError,
    IdempotencyKeyError,
    MediaTypeError,
    unexpected,
)
from pfgov_api.queries import read_query
from pfgov_api.replies import Reply
from pfgov_api.scarcity import no_mistake
from pfgov_api.service import Service

IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]*", re.ASCII)

_SINGLE: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-type",
        "host",
        "idempotency-key",
        "if-match",
        "last-event-id",
        "origin",
        "transfer-encoding",
    }
)
"""Headers that two readers could understand differently when they come twice."""

POSITION_HEADER: Final = "pfgov-position"
"""The header of what a standby answers: so many entries are in it, at least."""

LAG_HEADER: Final = "pfgov-lag"
"""The header beside it: so many entries were committed and not followed yet."""

POSITION: Final = "seq"
"""The parameter of a path that is a position in the ledger; the others are ids."""

POSITION_DIGITS_MAX: Final = 15

PAUSE_SECONDS: Final = 0.002
"""Between two looks whether a commit is published."""

log = logging.getLogger("pfgov.api")


def handler_of(
    operation: Operation, service: Service, *, allow: str | None = None
) -> HTTPRouteHandler:
    """Return the Litestar handler of *operation*; with *allow*, it says to OPTIONS what its path allows."""

    async def handle(request: Request[Any, Any, Any]) -> ASGIApp:
        if request.scope["method"] == "OPTIONS":
            return options(service, request, allow or "")
        return await respond(operation, service_of(request, operation, service), request)

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


def options(service: Service, request: Asgi, allow: str) -> Reply:
    """Answer OPTIONS with the methods that a path allows."""
    headers, twice = read_headers(request)
    ambiguous = framing_error(headers, twice)
    if ambiguous is None:
        return allowed(service, headers, allow)
    request_id = request_id_of(service.draw_id, headers)
    reply = refusal(ambiguous, request_id)
    reply.headers["x-request-id"] = request_id.sent
    return reply


async def respond(operation: Operation, service: Service, request: Asgi) -> Reply:
    """Answer one request, whatever happens."""
    started = time.perf_counter()
    headers, twice = read_headers(request)
    request_id = request_id_of(service.draw_id, headers)
    grant, has_begun = NOBODY, False
    try:
        counted = service.admit(operation.name)
        try:
            grant = _grant(operation, service, request, headers, twice)
            if service.forwarder is not None and operation.writes:
                body = await _body(operation, request, headers)
                has_begun = True
                reply = await _sent_on(service.forwarder, request, headers, body)
            else:
                call = await _call(operation, service, request, headers, request_id.id, grant)
                if not grant.holds():  # a body may take half a minute to arrive
                    raise GrantEndedError(
                        "the key or token ended while the request arrived", hint="ask for a new one"
                    )
                can_be_witnessed(call)
                has_begun = True
                reply = await _replied(operation, call, request)
        finally:
            service.dismiss(grant.share, counted=counted)
    except PfgovError as error:
        withhold_receipt(grant.principal, error)
        status = operation.media_type_status if isinstance(error, MediaTypeError) else None
        reply = refusal(_as_sent(error, headers), request_id, status=status)
    except asyncio.CancelledError:
        if not service.stopping.is_set():
            raise
        uncancel()  # the server ends, and this answer is the last thing that it does here
        reply = refusal(cut(is_write=operation.writes and has_begun), request_id)
    except Exception as error:  # noqa: BLE001 - the last resort
        reply = failed(error, operation.name, service, request_id, is_write=operation.writes)
    reply.headers["x-request-id"] = request_id.sent
    reply.is_head = request.scope["method"] == "HEAD"
    seconds = time.perf_counter() - started
    service.metrics.observe(operation.name, reply.status, seconds)
    if log.isEnabledFor(logging.INFO):
        log_request(
            log,
            request_id=request_id.id,
            sent_id=None if request_id.sent == request_id.id else request_id.sent,
            operation=operation.name,
            status=reply.status,
            seconds=seconds,
            ledger=ledger_of(request),
        )
    return reply


async def _replied(operation: Operation, call: Call, request: Asgi) -> Reply:
    """Answer *call*; what a standby cannot tell by itself, the leader is asked."""
    answering = answered(operation, call)
    forwarder = call.service.forwarder
    # Before anything is read, so that at least that is in the answer.
    size = call.service.last_followed
    try:
        answer = await (while_there(request, answering) if operation.is_long else answering)
    except StandbyError:
        if (
            forwarder is None or operation.access == ANYONE
        ):  # what anybody may ask is about this server
            raise
        return await _sent_on(forwarder, request, call.headers, call.raw)
    reply = await reply_of(answer, request.scope["method"], call.headers)
    standing = call.service.standing() if forwarder is not None else None
    if standing is not None:
        reply.headers[POSITION_HEADER] = str(size)
        reply.headers[LAG_HEADER] = str(max(standing.size - size, 0))
    return reply


async def _sent_on(
    forwarder: Forwarder, request: Asgi, headers: Mapping[str, str], body: bytes
) -> Reply:
    """Return what the leader answers to *request*."""
    scope = request.scope
    query = scope["query_string"]
    target = (scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")
    return await forwarder.forward(scope["method"], target, headers, body)


def failed(
    error: Exception, name: str, service: Service, request_id: RequestId, *, is_write: bool = False
) -> Reply:
    """Answer what nobody foresaw in the operation *name*: our mistake must not show its inside to the caller."""
    known = no_mistake(error)
    if known is not None:
        log.error("%s: %s", name, known.message, extra={"request_id": request_id.id})
        return refusal(known, request_id)
    extra = {"request_id": request_id.id, "operation": name}
    log.error("unexpected error", extra=extra, exc_info=error)
    if service.stopping.is_set():  # what it needed may be gone already
        return refusal(cut(is_write=is_write), request_id)
    return problem_reply(unexpected(request_id.urn))


def _as_sent(error: PfgovError, headers: Mapping[str, str]) -> PfgovError:
    """Return *error*, naming the key that the caller sent: the engine knows only what was made of it."""
    if not isinstance(error, MismatchError):
        return error
    return mismatch(headers.get("idempotency-key", "")[:64])


async def answered(operation: Operation, call: Call) -> Answer:
    """Run *operation*; one that changes nothing again while a commit is being published.

    It is the loop that waits for that moment, and others are answered meanwhile.

    Raises:
        PfgovError: as the operation does.
    """
    patience = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = await operation.handler(call)
        except UnpublishedError:
            if operation.writes or time.monotonic() > patience:
                raise
        else:
            if not operation.writes and not call.grant.holds():
                raise GrantEndedError(
                    "the key or token ended before there was an answer", hint="ask for a new one"
                )
            return answer
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


def sound(headers: Mapping[str, str], twice: str | None) -> None:
    """Refuse a request that can be read in two ways; as :func:`framing_error`."""
    ambiguous = framing_error(headers, twice)
    if ambiguous is not None:
        raise ambiguous


def _grant(
    operation: Operation,
    service: Service,
    request: Asgi,
    headers: Mapping[str, str],
    twice: str | None,
) -> Grant:
    """Return who asks, after everything that can be refused without reading a body."""
    sound(headers, twice)
    if len(cast("list[Any]", request.scope["headers"])) > HEADERS_MAX:
        raise InvalidError("too many headers", hint=f"send at most {HEADERS_MAX}")
    if operation.body is None and (
        "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    ):
        raise HttpError("there is no body here", hint="send the request without one")
    if IF_MATCH in headers:
        check_taken(operation, headers[IF_MATCH])
    from_another_site(request.scope["method"], headers)
    if operation.access == ANYONE:
        return NOBODY
    grant = service.access.grant(headers.get("authorization"))
    if service.access.is_open:
        require_here(headers)
    require_right(operation, grant.principal.rights)
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
    path = read_path(request.scope["path_params"])
    url = operation.path.format(**path) if path else operation.path
    _is_canonical(request.scope["raw_path"], url, mount_of(request))
    query = read_query(request.scope["query_string"], operation.parameters)
    if operation.writes:
        check_idempotency_key(headers)
    raw = await _body(operation, request, headers)
    body: Any = None
    if operation.body is not None:
        read = partial(parsed, operation.body, raw, optional=operation.body_optional)
        is_large = len(raw) >= LARGE_BYTES
        body = await service.large.thread(grant.share, read) if is_large else read()
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
        mount=mount_of(request),
        at_own_host=ledger_of(request) is not None and not mount_of(request),
    )


def parsed(model: type[Wire], raw: bytes, *, optional: bool) -> Any:
    """Return the body *raw* as *model*; nothing is an empty one where the body is *optional*.

    Raises:
        PfgovError: everything that is wrong with it.
    """
    return parse(model, read_json(raw, limit=BODY_BYTES_MAX) if raw or not optional else {})


def read_path(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a path: ids and positions.

    Raises:
        InvalidError: one of them can be neither.
    """
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


def _is_canonical(raw_path: bytes, url: str, mount: str) -> None:
    """Refuse other spellings of a path: a proxy that guards some paths may not know them for the same.

    Characters of an id may be encoded; slashes may not, nor stand twice or at the end.
    """
    sent = raw_path.decode("latin-1")
    if sent != url and (unquote(sent) != url or "%2f" in sent.lower()):
        raise NotFoundError(
            f"there is nothing at {sent[:200]}",
            code="http.not_found",
            hint=f"it is at {mount}{url}",
        )


def require_right(operation: Operation, rights: tuple[str, ...]) -> None:
    """Refuse whoever has none of the rights that *operation* needs.

    Raises:
        ForbiddenError: *rights* are others.
    """
    if not operation.allows(rights):
        wanted = operation.access
        if isinstance(wanted, str):
            wanted = frozenset({wanted})
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
