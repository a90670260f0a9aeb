"""The ASGI application: Litestar, with one handler for each operation and nothing of its own making on the outside."""

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, cast

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.types import ASGIApp, Scope

from pfgov.errors import NotFoundError, PfgovError
from pfgov_api.console.handlers import Console
from pfgov_api.dispatcher import failed, framing_error, handler_of, read_headers, respond
from pfgov_api.mounting import Asgi, Direct
from pfgov_api.named import Mounts, Named
from pfgov_api.operations import Operation
from pfgov_api.outgoing import allowed, refusal, request_id_of
from pfgov_api.problems import HttpError
from pfgov_api.replies import Reply
from pfgov_api.routes import OPERATIONS
from pfgov_api.service import Service

METHODS: Final[dict[str, list[str]]] = {}
"""The methods of each path, HEAD beside GET."""

for _one in OPERATIONS:
    METHODS.setdefault(_one.path, []).extend(
        ("GET", "HEAD") if _one.method == "GET" else (_one.method,)
    )


EVERY_METHOD: Final = sorted({method for methods in METHODS.values() for method in methods})
"""What this server knows, whatever the path: the answer to ``OPTIONS *`` (RFC 9110, 9.3.7)."""


def _allow(methods: list[str]) -> str:
    return ", ".join(sorted({*methods, "OPTIONS"}))


def _with_firsts() -> list[tuple[Operation, bool]]:
    """Return each operation, and whether it is the first of its path: that one answers OPTIONS, too."""
    first = {one.path: one for one in reversed(OPERATIONS)}
    return [(one, first[one.path] is one) for one in OPERATIONS]


def methods_at(path: str) -> list[str]:
    """Return the methods that are possible at a concrete *path*."""
    for template, methods in METHODS.items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path.rstrip("/")):
            return methods
    return []


def _refused(request: Request[Any, Any, Any], error: Exception) -> PfgovError:
    path = str(request.url.path)[:200]
    if isinstance(error, NotFoundException):
        return NotFoundError(
            f"there is nothing at {path}", code="http.not_found", hint="see /api/docs"
        )
    if isinstance(error, MethodNotAllowedException):
        return HttpError(
            f"{request.method} is not possible at {path}",
            code="http.method_not_allowed",
            hint="see /api/docs",
        )
    return HttpError("the request cannot be understood")


def application(service: Service) -> ASGIApp:
    """Return what answers for *service*, and for the ledgers beside it, if there are any."""
    app = cast(
        "ASGIApp",
        Direct(
            cast("ASGIApp", create_app(service)), service, OPERATIONS, respond, _between(service)
        ),
    )
    if not isinstance(service.named, Named):
        return app

    def refuse(error: PfgovError, scope: Scope) -> Reply:
        request: Request[Any, Any, Any] = Request(scope)
        headers, twice = read_headers(request)
        request_id = request_id_of(service.draw_id, headers)
        reply = refusal(framing_error(headers, twice) or error, request_id)
        reply.headers["x-request-id"] = request_id.sent
        reply.is_head = request.method == "HEAD"
        return reply

    return Mounts(app, service.named, refuse)


def _between(service: Service) -> Callable[[Asgi, Exception], Reply]:
    """Return what makes a problem of what goes wrong before an operation is reached, for want of memory above all."""

    def between(request: Asgi, error: Exception) -> Reply:
        request_id = request_id_of(service.draw_id, read_headers(request)[0])
        reply = failed(error, "between", service, request_id)
        reply.headers["x-request-id"] = request_id.sent
        return reply

    return between


def create_app(service: Service) -> Litestar:
    """Return the application over *service*, which starts and stops with it."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    def outside(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Turn what Litestar itself refuses into a problem."""
        headers, twice = read_headers(request)
        ambiguous = framing_error(headers, twice)
        if ambiguous is None and request.method == "OPTIONS" and request.url.path == "*":
            return allowed(service, headers, _allow(EVERY_METHOD)).response()
        found = ambiguous or _refused(request, error)
        request_id = request_id_of(service.draw_id, headers)
        reply = refusal(found, request_id)
        reply.headers["x-request-id"] = request_id.sent
        if isinstance(error, MethodNotAllowedException):
            reply.headers["allow"] = _allow(methods_at(str(request.url.path)[:200]))
        return reply.response()

    def between(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        return _between(service)(request, error).response()

    return Litestar(
        route_handlers=[
            handler_of(operation, service, allow=_allow(METHODS[operation.path]) if first else None)
            for operation, first in _with_firsts()
        ]
        + Console(service).handlers(),
        lifespan=[lifespan],
        exception_handlers={HTTPException: outside, Exception: between},
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
