"""Asking a server for somebody else: what it is told of whom a request is passed on for.

A server without keys answers to this machine alone, and takes what comes from here for its operator.  So whoever
answers others over HTTP, and asks a server for them, says which of its requests are not of this machine.  What is asked
is not known here.
"""

import ipaddress
from contextlib import suppress
from typing import Any, Final

from pfgov.locality import is_passed_on, names_here

VIA: Final = "1.1 pfgov-mcp"
"""What the server is told of a request that comes from another machine, or through a proxy."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches *host*."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def is_from_here(request: Any) -> bool:
    """Return whether *request*, one of Starlette's, is of somebody on this machine for whom no proxy speaks."""
    client, headers = request.client, request.headers
    return (
        client is not None
        and is_loopback(client.host)
        and bool(host := headers.get("host", ""))
        and names_here(host)
        and not is_passed_on(headers)
    )


def passing_on(httpx: Any, inner: Any) -> Any:
    """Return a transport that says of each request that somebody else asks: a server without keys answers to none."""

    class PassingOn(httpx.AsyncBaseTransport):  # type: ignore[misc]  # the extra may be missing
        async def handle_async_request(self, request: Any) -> Any:
            request.headers["Via"] = VIA
            return await inner.handle_async_request(request)

        async def aclose(self) -> None:
            await inner.aclose()

    return PassingOn()
