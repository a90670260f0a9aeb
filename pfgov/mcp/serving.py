"""The protocol: tools listed and called, over stdio for one principal or over streamable HTTP for whoever shows a key.

Over HTTP nothing is kept between requests, and the key of a request is the one in its ``Authorization`` header: a key
that the process itself was given is never used for others, and that it runs beside the server lends nobody else what
this machine may do without one.  Names under which the server is asked are checked, so
that a page in a browser cannot reach it through a name of its own.
"""

import importlib
import json
import re
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from pfgov import __version__
from pfgov.client.core import MissingExtraError, http
from pfgov.client.passing import is_from_here, is_loopback, passing_on
from pfgov.client.refusals import UnauthenticatedError
from pfgov.client.timing import keep_time
from pfgov.errors import InvalidError
from pfgov.log_lines import log_lines
from pfgov.mcp.calling import Caller, refused
from pfgov.mcp.listening import http_server
from pfgov.mcp.tools import TOOLS
from pfgov_ledger.keys import Anchor

PATH: Final = "/mcp"
"""Where the tools are over HTTP."""

BODY_BYTES_MAX: Final = 2 << 20
"""The largest request over HTTP: more than the largest packet."""

CONNECTIONS_MAX: Final = 64
"""Connections to the pfgov server, for all callers together."""

INSTRUCTIONS: Final = (
    "pfgov decides who owns a packet of work. Look at `outcome`: `denied` and `escalated` mean that the packet stays"
    " where it is; `reasons` names the rules. An `error` means that nothing was done."
)

_ASKED_BY: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:([0-9]{1,5}|\*))?", re.ASCII
)

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]{1,4096})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Behind:
    """What the tools speak for.

    Attributes:
        url: The pfgov server.
        key: The key of the one principal; None over HTTP, where each request brings its own.
        anchor: What lineages are verified against.
        is_shared: Whether several principals call: then ``key`` is for nobody.
        transport: An httpx2 transport, for tests.
    """

    url: str
    key: str | None = None
    anchor: Anchor | None = None
    is_shared: bool = False
    transport: Any = None


def sdk(name: str) -> Any:
    """Return a module of the SDK, imported only now.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            "the package mcp is needed to serve tools", hint="install it: pip install 'pfgov[mcp]'"
        ) from error


def make_server(behind: Behind) -> Any:
    """Return the SDK's server with all tools.

    Raises:
        MissingExtraError: the SDK is not installed.
    """
    types, lowlevel = sdk("mcp_types"), sdk("mcp.server.lowlevel")
    names = {one.name for one in TOOLS}

    @asynccontextmanager
    async def connected(_server: Any) -> AsyncGenerator[Any]:
        httpx = http()
        async with behind.transport or httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX)
        ) as inner:
            keep_time(inner)
            yield _shared(httpx, inner)

    async def list_tools(_context: Any, _params: Any) -> Any:
        return types.ListToolsResult(tools=[_tool(types, one) for one in TOOLS])

    async def call_tool(context: Any, params: Any) -> Any:
        if params.name not in names:
            said = f"there is no such tool; there are: {', '.join(sorted(names))}"
            raise sdk("mcp").MCPError(types.INVALID_PARAMS, said)
        try:
            key = _key_of(behind, context.request)
        except UnauthenticatedError as error:
            return _result(types, refused(error))
        transport = context.lifespan_context
        if behind.is_shared and not is_from_here(context.request):
            transport = passing_on(http(), transport)
        async with Caller(behind.url, key=key, anchor=behind.anchor, transport=transport) as caller:
            return _result(types, await caller.call(params.name, params.arguments or {}))

    return lowlevel.Server(
        "pfgov",
        version=__version__,
        instructions=INSTRUCTIONS,
        lifespan=connected,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_stdio(behind: Behind) -> None:
    """Serve one client over standard input and output, until it closes them."""
    server = make_server(behind)
    async with sdk("mcp.server.stdio").stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def http_application(behind: Behind, *, host: str, names: Sequence[str] = ()) -> Any:
    """Return the ASGI application that serves whoever shows a key.

    Args:
        behind: What the tools speak for.
        host: The address on which it listens.
        names: Further names, with or without a port, by which it is asked: those of a proxy before it.

    Raises:
        InvalidError: it would listen to other machines without a name by which it may be asked, or one can be none.
    """
    for name in names:
        if not _ASKED_BY.fullmatch(name):
            raise InvalidError(
                f"{name[:64]!r} is no name by which a server is asked",
                hint="write HOST or HOST:PORT, as it stands in a request: tools.example",
            )
    hosts = ["127.0.0.1:*", "localhost:*", "[::1]:*", *names]
    if not is_loopback(host) and not names:
        raise InvalidError(
            f"{host} listens to other machines, and no name was given by which they ask",
            hint="name it, as a client or a proxy sends it: --name tools.example",
        )
    origins = [f"http://{name}" for name in hosts] + [f"https://{name}" for name in names]
    security = sdk("mcp.server.transport_security").TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
    )
    tools = make_server(behind).streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=BODY_BYTES_MAX,
        transport_security=security,
    )

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _is_ambiguous(scope["headers"]):
            await _refuse(send, 400, (b"connection", b"close"))
        elif scope["type"] != "http" or scope["method"] == "POST":
            await tools(scope, receive, send)
        else:  # the SDK would open a stream to whoever asks, without a key, and never say a word on it
            await _refuse(send, 405, (b"allow", b"POST"))

    return application


def _is_ambiguous(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether somebody before us may have read another request than we do (RFC 9112, 6.1)."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}


async def _refuse(send: Any, status: int, header: tuple[bytes, bytes]) -> None:
    headers = [header, (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def serve_http(
    behind: Behind,
    *,
    host: str,
    port: int,
    names: Sequence[str] = (),
    listens: Callable[[int], None] | None = None,
) -> None:
    """Serve over streamable HTTP until a signal comes; *listens* is told at which port, once it does.

    Raises:
        InvalidError: as :func:`http_application` does.
    """
    log_lines("uvicorn", "mcp")
    application = http_application(behind, host=host, names=names)
    server = http_server(application, host, port, listens=listens)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(3)  # it said why


def _tool(types: Any, one: Any) -> Any:
    return types.Tool(
        name=one.name,
        description=one.description,
        input_schema=dict(one.takes),
        output_schema=dict(one.answers),
        annotations=types.ToolAnnotations(
            read_only_hint=not one.writes,
            destructive_hint=False,
            idempotent_hint=not one.writes,
            open_world_hint=False,
        ),
    )


def _result(types: Any, answer: Mapping[str, Any]) -> Any:
    text = json.dumps(answer, ensure_ascii=True)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)],
        structured_content=dict(answer),
        is_error="error" in answer,
    )


def _key_of(behind: Behind, request: Any) -> str | None:
    """Return the key that goes with a call.

    Raises:
        UnauthenticatedError: the request names a key in no form that is understood.
    """
    if not behind.is_shared:
        return behind.key
    given: list[str] = [] if request is None else request.headers.getlist("authorization")
    if not given:
        return None  # the server says whether anybody may ask without one
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if found is None:
        code = "http.unauthenticated"
        raise UnauthenticatedError(
            401, {"code": code, "detail": "one key is shown as: Authorization: Bearer KEY"}
        )
    return found[1]


def _shared(httpx: Any, inner: Any) -> Any:
    """Return a transport that all callers use and none of them closes: connections outlive a call, keys do not."""

    class Shared(httpx.AsyncBaseTransport):  # type: ignore[misc]  # the extra may be missing
        async def handle_async_request(self, request: Any) -> Any:
            return await inner.handle_async_request(request)

    return Shared()
