"""From HTTP to a call and back: everything that is the same for all routes.

Who asks, may they, is the body what it claims to be, was this asked before; then the operation; then the answer with
its request id, its ETag, or its problem.  A handler of Litestar is made from each operation here, and nowhere else.
"""

import hashlib
import logging
import re
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream

from pfgov.commands import Principal
from pfgov.errors import ForbiddenError, PfgovError, TooLargeError, UnknownFieldError
from pfgov.model import parse, read_json
from pfgov_api.answers import receipt_object
from pfgov_api.operations import ANYONE, MEMBER, Answer, Call, Operation
from pfgov_api.problems import (
    MEDIA_TYPE,
    CrossSiteError,
    IdempotencyKeyError,
    MediaTypeError,
    problem,
    status_of,
    unexpected,
)
from pfgov_api.service import Service

BODY_BYTES_MAX: Final = 1_500_000
"""A context checkpoint of one megabyte, with its envelope."""

REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}", re.ASCII)
IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

log = logging.getLogger("pfgov.api")
_encode = msgspec.json.Encoder(order="sorted").encode

Asgi = Request[Any, Any, Any]


def handler_of(operation: Operation, service: Service) -> HTTPRouteHandler:
    """Return the Litestar handler of *operation*."""

    async def handle(request: Asgi) -> Response[Any]:
        return await respond(operation, service, request)

    handle.__name__ = operation.name
    methods: Any = ["GET", "HEAD"] if operation.method == "GET" else [operation.method]
    path = re.sub(r"\{(\w+)\}", r"{\1:str}", operation.path)
    return HTTPRouteHandler(
        path,
        http_method=methods,
        name=operation.name,
        opt={"operation": operation},
        status_code=operation.status,
    )(handle)


async def respond(operation: Operation, service: Service, request: Asgi) -> Response[Any]:
    """Answer one request, whatever happens."""
    started = time.perf_counter()
    request_id = _request_id(service, request)
    try:
        answer = await operation.handler(await _call(operation, service, request, request_id))
        response = _response(answer, request)
    except PfgovError as error:
        response = refusal(error, request_id)
    except Exception:
        log.exception(
            "unexpected error", extra={"request_id": request_id, "operation": operation.name}
        )
        response = _problem(unexpected(request_id), {})
    response.headers["X-Request-Id"] = request_id
    _protect(response)
    seconds = time.perf_counter() - started
    service.metrics.observe(operation.name, response.status_code or 200, seconds)
    log.info(
        "request",
        extra={
            "request_id": request_id,
            "operation": operation.name,
            "status": response.status_code,
            "ms": round(seconds * 1_000, 1),
        },
    )
    return response


def _request_id(service: Service, request: Asgi) -> str:
    """Return the caller's request id, else its trace id, else a new one."""
    given = request.headers.get("x-request-id", "")
    if REQUEST_ID.fullmatch(given):
        return given
    trace = TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return trace.group(1) if trace else service.draw_id()


async def _call(operation: Operation, service: Service, request: Asgi, request_id: str) -> Call:
    from_another_site(request)
    principal = (
        service.keyring.principal(request.headers.get("authorization"))
        if operation.access != ANYONE
        else None
    )
    if principal is not None:
        _may(operation, principal.rights)
    raw = await _body(operation, request)
    query = _query(operation, request)
    body: Any = None
    if operation.body is not None:
        tree = read_json(raw, limit=BODY_BYTES_MAX) if raw or not operation.body_optional else {}
        body = parse(operation.body, tree)
    return Call(
        service=service,
        principal=principal or Principal(id="anyone", rights=()),
        request_id=request_id,
        path=dict(request.path_params),
        query=query,
        body=body,
        raw=raw,
        headers=request.headers,
        url=str(request.url.path),
    )


def from_another_site(request: Asgi) -> None:
    """Refuse writes that a browser sends on behalf of another site (Fetch Metadata; Origin where that is missing).

    Raises:
        CrossSiteError: it does.
    """
    if request.method in {"GET", "HEAD"}:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if site in {"cross-site", "same-site"} or (
        site is None and origin and origin.partition("://")[2] != host
    ):
        raise CrossSiteError(
            "this was sent by another web site",
            hint="call the API from a program, or from its own origin",
        )


def _may(operation: Operation, rights: tuple[str, ...]) -> None:
    wanted = operation.access
    if isinstance(wanted, str):
        wanted = frozenset({wanted})
    held = {MEMBER if right.startswith("member:") else right for right in rights}
    if not wanted & held:
        raise ForbiddenError(
            f"this needs one of {sorted(wanted)}; the key has {sorted(rights)}",
            hint="use a key with that scope: pfgov key create --help",
        )


async def _body(operation: Operation, request: Asgi) -> bytes:
    if operation.method == "GET":
        return b""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise TooLargeError(f"a body of {declared} bytes is larger than {BODY_BYTES_MAX}")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise TooLargeError(f"the body is larger than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    raw = b"".join(parts)
    if raw or not operation.body_optional:
        media, _, rest = request.headers.get("content-type", "").partition(";")
        charset = rest.strip().lower().replace('"', "")
        if media.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
            raise MediaTypeError(
                f"the body is {media.strip()[:64] or 'of no type'!r}, not application/json",
                hint="send: Content-Type: application/json",
            )
    return raw


def _query(operation: Operation, request: Asgi) -> dict[str, str]:
    known = {parameter.name for parameter in operation.parameters}
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise UnknownFieldError(
                f"there is no query parameter {name[:64]!r} here",
                hint=f"there are: {', '.join(sorted(known)) or 'none'}",
                pointer=f"/query/{name[:64]}",
            )
        if name in query:
            raise UnknownFieldError(
                f"the query parameter {name} is given twice", pointer=f"/query/{name}"
            )
        query[name] = str(value)
    return query


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """Return the ``Idempotency-Key``, or None.

    Raises:
        IdempotencyKeyError: it is not 1 to 255 visible ASCII characters.
    """
    key = headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise IdempotencyKeyError("the Idempotency-Key is not 1 to 255 visible ASCII characters")
    return key


def _response(answer: Answer, request: Asgi) -> Response[Any]:
    headers = dict(answer.headers)
    if answer.stream is not None:
        return Stream(
            answer.stream, status_code=answer.status, media_type=answer.media_type, headers=headers
        )
    raw = answer.raw if answer.raw is not None else _encode(answer.body)
    if request.method in {"GET", "HEAD"} and answer.status == 200:
        tag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
        headers["ETag"] = tag
        headers.setdefault("Cache-Control", "no-cache")
        wanted = request.headers.get("if-none-match", "")
        if wanted == "*" or tag in {one.strip().removeprefix("W/") for one in wanted.split(",")}:
            return Response(b"", status_code=304, headers=headers)
    return Response(raw, status_code=answer.status, media_type=answer.media_type, headers=headers)


def refusal(error: PfgovError, request_id: str) -> Response[Any]:
    """Return the problem response for *error*."""
    receipt = getattr(error, "receipt", None)
    body = problem(error, request_id, receipt_object(receipt) if receipt is not None else None)
    headers: dict[str, str] = {}
    status = status_of(error)
    if status == 503:
        headers["Retry-After"] = "1"
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _problem(body, headers)


def _problem(body: dict[str, Any], headers: dict[str, str]) -> Response[Any]:
    return Response(
        _encode(body), status_code=body["status"], media_type=MEDIA_TYPE, headers=headers
    )


def _protect(response: Response[Any]) -> None:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"
    )
    response.headers.setdefault("Referrer-Policy", "no-referrer")
