"""The asynchronous shell: it sends, waits and tries again, and listens."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self

from pfgov.client.core import (
    RETRIED,
    ApiError,
    Ask,
    Asks,
    Recorded,
    Retry,
    UnreachableError,
    bearer,
    http,
    member_path,
    packet_path,
    value_of,
)
from pfgov.client.receipts import ReceiptChecker
from pfgov.client.stream import EventParser, Heard
from pfgov.client.work import Worker

SILENCE_SECONDS = 45.0
"""A stream that says nothing for this long, not even a heartbeat, is dead."""


class AsyncClient:
    """Asks a pfgov server.  Close it; or use it as an asynchronous context manager."""

    def __init__(
        self,
        url: str = "http://localhost:8000",
        *,
        key: str | None = None,
        anchor: str | None = None,
        retry: Retry | None = None,
        transport: Any = None,
        timeout: float = 10.0,
    ) -> None:
        """Make a client; the arguments are those of :class:`pfgov.client.sync.Client`.

        Raises:
            MissingExtraError: httpx2 is not installed.
        """
        self._httpx = http()
        self._asks = Asks(ReceiptChecker.of(anchor))
        self.retry = retry or Retry()
        self._http = self._httpx.AsyncClient(
            base_url=url, headers=bearer(key), transport=transport, timeout=timeout
        )

    async def send(self, ask: Ask) -> tuple[Any, Mapping[str, str]]:
        """Send *ask*, again if need be, and return the answer's value and headers.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
        """
        clock = asyncio.get_running_loop().time
        start, attempt = clock(), 0
        while True:
            attempt += 1
            asked: str | None = None
            try:
                answer = await self._http.request(
                    ask.method, ask.path, content=ask.body, headers=ask.headers()
                )
                if answer.status_code not in RETRIED:
                    return value_of(answer.status_code, answer.content), answer.headers
                failure: Exception = ApiError(answer.status_code, {})
                asked = answer.headers.get("retry-after")
            except self._httpx.TransportError as error:
                failure = error
            pause = self.retry.pause(attempt, asked=asked, spread=random.random())  # noqa: S311
            if clock() + pause - start > self.retry.patience:
                raise UnreachableError(
                    f"no answer after {attempt} attempts: {failure!r}", hint="is the server up?"
                ) from failure
            await asyncio.sleep(pause)

    async def get(self, path: str, **query: Any) -> Any:
        """Return what a GET answers."""
        return (await self.send(self._asks.read(path, **query)))[0]

    async def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Change something, once, however often it has to be sent."""
        ask = self._asks.write(method, path, body or {}, key or uuid.uuid4().hex)
        return self._asks.recorded(*await self.send(ask))

    async def register(self, member: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Register a member, as the specification's request describes one."""
        return await self.write("POST", "/api/members/register", member, key=key)

    async def heartbeat(
        self, member_id: str, incarnation: int, owns: Mapping[str, int] | None = None
    ) -> list[tuple[str, int]]:
        """Renew a member's lease; return the (packet, epoch) pairs of *owns* that it has lost."""
        held = [{"packet_id": packet, "epoch": epoch} for packet, epoch in (owns or {}).items()]
        body = {"incarnation": incarnation, "owns": held}
        told = (await self.send(self._asks.ask(member_path(member_id, "heartbeat"), body)))[0]
        return [(one["packet_id"], one["epoch"]) for one in told["lost"]]

    async def submit(self, packet: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Submit a Flight Packet."""
        return await self.write("POST", "/api/packets", packet, key=key)

    async def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        found: dict[str, Any] = await self.get(packet_path(packet_id))
        return found

    async def member(self, member_id: str) -> dict[str, Any]:
        """Return a member."""
        found: dict[str, Any] = await self.get(member_path(member_id))
        return found

    async def act(
        self,
        packet_id: str,
        verb: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Do *verb* (``assign``, ``handoff``, ``complete`` ...) to a packet."""
        return await self.write("POST", packet_path(packet_id, verb), body, key=key)

    async def may_own(
        self, packet_id: str, member_id: str, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Ask whether a member may own a packet; recorded, unless it is a dry run."""
        path = "/api/decisions?dry_run=true" if dry_run else "/api/decisions"
        body = {"packet_id": packet_id, "member_id": member_id}
        told: dict[str, Any] = (await self.send(self._asks.ask(path, body, uuid.uuid4().hex)))[0]
        return told

    async def events(
        self, *, after: int | None = None, member: str | None = None
    ) -> AsyncIterator[Heard]:
        """Yield every entry after position *after* (default: what comes next), for ever, through broken connections.

        Raises:
            ApiError: the server refuses the stream; ``entry.ahead``, also in the middle, when it comes back with a
                ledger that has not come as far as this stream was: what was heard may not have happened there.
        """
        parser = EventParser(last=after)
        attempt = 0
        while True:
            headers = {} if parser.last is None else {"Last-Event-ID": str(parser.last)}
            query = {} if member is None else {"member": member}
            try:
                async with self._http.stream(
                    "GET", "/api/events", params=query, headers=headers, timeout=SILENCE_SECONDS
                ) as answer:
                    if answer.status_code not in RETRIED:
                        if answer.status_code != 200:
                            value_of(answer.status_code, await answer.aread())
                        attempt = 0
                        async for piece in answer.aiter_bytes():
                            for heard in parser.feed(piece):
                                yield heard
            except self._httpx.TransportError:
                pass  # the server went away; it is asked again below
            parser.restart()
            attempt = min(attempt + 1, 8)
            spread = random.random()  # noqa: S311 - it only spreads clients
            await asyncio.sleep(self.retry.pause(attempt, asked=None, spread=spread))

    def work(
        self,
        member: Mapping[str, Any],
        *,
        lease_seconds: int = 30,
        skew_seconds: float | None = None,
    ) -> Worker:
        """Return a worker that joins as *member* when it is entered: ``async with client.work({...}) as worker``.

        Args:
            member: The registration; its ``lease_seconds`` is set.
            lease_seconds: How long the server waits for a heartbeat.
            skew_seconds: By how much earlier the worker stops by itself; a tenth of the lease by default.
        """
        skew = lease_seconds / 10 if skew_seconds is None else skew_seconds
        return Worker(self, {**member, "lease_seconds": lease_seconds}, lease_seconds, skew)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
