"""The asynchronous shell: it sends, waits and tries again, and listens."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self

from pfgov.client import bounds
from pfgov.client.core import (
    ENDED,
    RETRIED,
    WAIT_SECONDS,
    Ask,
    Asks,
    Recorded,
    Retry,
    address,
    bearer,
    http,
    is_plain,
    member_path,
    moved,
    packet_path,
    value_of,
)
from pfgov.client.exchange import exchange_async
from pfgov.client.first_key import new_ledger
from pfgov.client.job import OnError, Rule
from pfgov.client.receipts import ReceiptChecker
from pfgov.client.stream import EventParser, StreamEvent
from pfgov.client.work import Worker, WorkerOptions

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
            ValueError: *url* is no address of a server, or *key* can be no API key.
        """
        self._httpx = http()
        self._asks = Asks(ReceiptChecker.of(anchor))
        self.retry = retry or Retry()
        if transport is None and is_plain(url):
            transport = self._httpx.AsyncHTTPTransport()
        http_client = self._httpx.AsyncClient(
            base_url=address(url),
            headers={**bounds.HEADERS, **bearer(key)},
            transport=transport,
            timeout=timeout,
        )
        self._http = bounds.bounded_async(self._httpx, http_client)

    async def send(self, ask: Ask) -> tuple[Any, Mapping[str, str]]:
        """Send *ask*, again if need be, and return the answer's value and headers.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
        """
        made = await exchange_async(self._http, self._httpx.TransportError, ask, self.retry)
        return made.value()

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

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what a POST answers whose answer is no receipt, such as ``/api/discover``."""
        return (await self.send(self._asks.ask(path, body)))[0]

    async def create_ledger(self, name: str, first_key: str | None = None) -> dict[str, Any]:
        """Have a server of many make a ledger, with a *first_key* that ``draw_key`` drew; again is the same ledger.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
            ValueError: *first_key* is no such key.
        """
        made: dict[str, Any] = await self.ask("/api/ledgers", new_ledger(name, first_key))
        return made

    async def register(self, member: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Register a member, as the specification's request describes one."""
        return await self.write("POST", "/api/members/register", member, key=key)

    async def heartbeat(
        self, member_id: str, incarnation: int, owns: Mapping[str, int] | None = None
    ) -> list[tuple[str, int]]:
        """Renew a member's lease; return the (packet, epoch) pairs of *owns* that it has lost."""
        held = [{"packet_id": packet, "epoch": epoch} for packet, epoch in (owns or {}).items()]
        body = {"incarnation": incarnation, "owns": held}
        answer = (await self.send(self._asks.ask(member_path(member_id, "heartbeat"), body)))[0]
        return [(one["packet_id"], one["epoch"]) for one in answer["lost"]]

    async def beat(self, member_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Renew a member's lease in one attempt, and return the whole answer; a worker does it.

        Raises:
            ApiError: that life of the member is over, or another process lives it.
            UnreachableError: no answer came.
        """
        ask = self._asks.ask(member_path(member_id, "heartbeat"), body)
        made = await exchange_async(self._http, self._httpx.TransportError, ask, Retry(patience=0))
        answer: dict[str, Any] = made.value()[0]
        return answer

    async def submit(self, packet: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Submit a Flight Packet; whether somebody has it already, or why not, is the answer's ``outcome``."""
        return await self.write("POST", "/api/packets", packet, key=key)

    async def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        found: dict[str, Any] = await self.get(packet_path(packet_id))
        return found

    async def wait(self, packet_id: str, seconds: int = 30) -> dict[str, Any]:
        """Return a packet once it has ended, or as it stands after *seconds*; the server holds each answer back."""
        while True:
            step = min(seconds, WAIT_SECONDS)
            found: dict[str, Any] = await self.get(packet_path(packet_id), wait=step)
            seconds -= step
            if seconds <= 0 or found["status"] in ENDED:
                return found

    async def result(self, packet_id: str) -> Any:
        """Return what came of a packet that this client's key submitted.

        Raises:
            ApiError: ``result.not_found``, there is none; ``access.forbidden``, somebody else submitted it.
        """
        return (await self.get(packet_path(packet_id, "result")))["result"]

    async def export(self, packet_id: str) -> bytes:
        """Return a packet's lineage with its proofs, to be kept or verified: see ``pfgov_ledger.verify``.

        Raises:
            ApiError: ``export.index_needed``, commit an index first; or this client's key may not have it.
            UnreachableError: it did not come in time, or is larger than an answer may be.
        """
        ask = self._asks.read(packet_path(packet_id, "export"))
        return (
            await exchange_async(self._http, self._httpx.TransportError, ask, self.retry)
        ).content()

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
        """Do *verb* (``assign``, ``handoff``, ``complete`` ...) to a packet.

        Raises:
            DeniedError: the packet was to have another owner, and nobody that was asked for may have it.
            EscalatedError: a review is wanted first; the packet moves by itself once that is granted.
            ApiError: any other refusal.
        """
        done = await self.write("POST", packet_path(packet_id, verb), body, key=key)
        return moved(verb, done)

    async def may_own(
        self, packet_id: str, member_id: str, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Ask whether a member may own a packet; recorded, unless it is a dry run."""
        path = "/api/decisions?dry_run=true" if dry_run else "/api/decisions"
        body = {"packet_id": packet_id, "member_id": member_id}
        answer: dict[str, Any] = (await self.send(self._asks.ask(path, body, uuid.uuid4().hex)))[0]
        return answer

    async def events(
        self,
        *,
        after: int | None = None,
        member: str | None = None,
        packet: str | None = None,
        types: Collection[str] = (),
    ) -> AsyncIterator[StreamEvent]:
        """Yield every entry after position *after* (default: what comes next), for ever, through broken connections.

        With *member* those that concern it, with *packet* those about it, with *types* those of these types.  The key
        of a submitter hears about the packets that were submitted with it.

        Raises:
            ApiError: the server refuses the stream; ``entry.ahead``, also in the middle, when it comes back with a
                ledger that has not come as far as this stream was: what was heard may not have happened there.
        """
        parser = EventParser(last=after)
        attempt = 0
        while True:
            headers = {} if parser.last is None else {"Last-Event-ID": str(parser.last)}
            asked = {"member": member, "packet": packet, "type": ",".join(types) or None}
            query = {name: value for name, value in asked.items() if value is not None}
            try:
                async with self._http.stream(
                    "GET",
                    "/api/events",
                    params=query,
                    headers=headers,
                    timeout=SILENCE_SECONDS,
                    extensions=bounds.LONG,
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
        on_error: Rule | Callable[[Exception], Rule] = "requeue",
        attempts: int = 5,
        take_over: bool = False,
        progress_seconds: float | None = None,
    ) -> Worker:
        """Return a worker that joins as *member* when it is entered: ``async with client.work({...}) as worker``.

        Args:
            member: The registration; its ``lease_seconds`` is set.
            lease_seconds: How long the server waits for a heartbeat, if this worker registers the member: what the
                registry knows counts, and is adopted.
            skew_seconds: By how much earlier the worker stops by itself; a tenth of the lease by default.
            on_error: What becomes of a packet whose job raised: ``requeue``, ``fail``, ``hand_off``, or a function of
                the error that says which.
            attempts: After how many jobs that raised the packet fails for good.
            take_over: Whether a process that lives as this member is told to stop; this one begins when it has, or when
                its lease is over.  Otherwise joining is refused (``member.in_use``) while another lives.
            progress_seconds: For how long a job may save nothing and not call ``job.progress()`` before it is
                given up as one that raised; for ever by default.
        """
        options = WorkerOptions(
            lease_seconds,
            skew_seconds,
            OnError(on_error, attempts),
            take_over=take_over,
            progress_seconds=progress_seconds,
        )
        return Worker(self, {**member, "lease_seconds": lease_seconds}, options)

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
