"""Model Context Protocol: tools of a server that only the present owner of a packet may call, at its epoch.

The program in which an agent runs names its claim with each call, beside the arguments and not among them, so that no
model makes one up: ``client.call_tool("pay", {...}, meta=gov.meta("refund"))``.  The server of the tools asks pfgov,
with the key of whoever calls, whether that claim holds now.  It knows nothing of what the tools do.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from pfgov.adapters.governed import GovernedPacket, check_claim, framework
from pfgov.client import AsyncClient, LostOwnershipError
from pfgov.client.core import http
from pfgov.client.passing import is_from_here, passing_on
from pfgov.client.timing import keep_time
from pfgov.errors import ForbiddenError, PfgovError

CLAIM: Final = "io.pfgov/claim"
"""The key of a call's ``_meta`` under which the claim is: ``packet_id``, ``member_id``, ``incarnation``, ``epoch``."""

_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([!-~]{1,4096})", re.ASCII)


class Governed(GovernedPacket):
    """A packet that agents hand to each other; each calls tools with its claim."""

    def meta(self, agent: str) -> dict[str, Any]:
        """Return what goes with each call of a tool by *agent*, as ``meta=``.

        Raises:
            LostOwnershipError: it was never seen to own the packet.
        """
        return {CLAIM: {"packet_id": self.packet_id, **self.claim(agent)}}


def owners_only(url: str, *, key: str | None = None, tools: Collection[str] | None = None) -> Any:
    """Return an extension for ``MCPServer(extensions=[...])``: a call by anybody but the present owner does nothing.

    A call that is refused is answered with an error that the model reads, and the same in ``error`` as a structure.

    Args:
        url: The pfgov server.
        key: Whose key is asked with over standard input and output, where there is one caller.  Over HTTP it is never
            used: each call is asked with the key in its own ``Authorization: Bearer`` header, and a call from another
            machine, or through a proxy, is passed on as one.
        tools: Which tools are guarded; all of them by default.

    Raises:
        MissingExtraError: the SDK is not installed.
    """
    base: Any = framework("mcp.server.extension", "mcp").Extension
    types = framework("mcp_types", "mcp")

    class OwnersOnly(base):  # type: ignore[misc]  # the extra may be missing
        identifier = "io.pfgov/owners-only"

        async def intercept_tool_call(self, params: Any, ctx: Any, call_next: Any) -> Any:
            if tools is not None and params.name not in tools:
                return await call_next(ctx)
            try:
                claim = _claim_in(ctx.meta)
                async with _asking(url, ctx.request, key) as client:
                    await _require_acting(client, claim)
                    await check_claim(client, claim)
            except PfgovError as error:
                return _refused(types, error)
            return await call_next(ctx)

    return OwnersOnly()


def _asking(url: str, request: Any, key: str | None) -> AsyncClient:
    """Return a client that speaks for whoever calls, over HTTP for nobody else; for others never as this machine."""
    if request is None:
        return AsyncClient(url, key=key)
    httpx = http()
    inner: Any = httpx.AsyncHTTPTransport()
    keep_time(inner)
    transport = inner if is_from_here(request) else passing_on(httpx, inner)
    return AsyncClient(url, key=_key_in(request), transport=transport)


async def _require_acting(client: AsyncClient, claim: Mapping[str, Any]) -> None:
    """Refuse a caller whose key is neither that member's nor an operator's: any reader could name an owner.

    Raises:
        ForbiddenError: it acts for somebody else.
    """
    rights = set((await client.get("/api/session"))["rights"])
    if not rights.intersection({"operator", f"member:{claim['member_id']}"}):
        raise ForbiddenError(
            f"this key does not act for {claim['member_id']}",
            hint=f"use a key with the scope member:{claim['member_id']}",
        )


def _claim_in(meta: object) -> dict[str, Any]:
    """Return the claim that a call names.

    Raises:
        LostOwnershipError: it names none.
    """
    found = cast("Mapping[str, Any]", meta or {}).get(CLAIM)
    given = cast("Mapping[str, Any]", found if isinstance(found, Mapping) else {})
    kinds = {"packet_id": str, "member_id": str, "incarnation": int, "epoch": int}
    if set(given) != set(kinds) or any(type(given[name]) is not kinds[name] for name in kinds):
        raise LostOwnershipError(
            "this tool is only for the present owner of a packet, and the call names none",
            code="ownership.unnamed",
            hint=f'name it with the call: _meta {{"{CLAIM}": {{{", ".join(sorted(kinds))}}}}}',
        )
    return dict(given)


def _key_in(request: Any) -> str | None:
    """Return the key that a request over HTTP shows; None where it shows none that can be read."""
    given: list[str] = request.headers.getlist("authorization")
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    return None if found is None else found[1]


def _refused(types: Any, error: PfgovError) -> Any:
    said = {"code": error.code, "detail": error.message, "hint": error.hint}
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=f"refused: {error.message}")],
        structured_content={"error": said},
        is_error=True,
    )
