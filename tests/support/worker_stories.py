"""Stories of a worker against the real application, in this process: its clock, its client, and what they wait for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2

from pfgov.client import AsyncClient, Job, UnreachableError, Worker
from pfgov.client.stream import EventParser, StreamEvent
from pfgov_api.streams import Wanted, event_stream
from support.api_server import Api

MEMBER = {"id": "w", "type": "agent", "capabilities": ["ocr"], "region": "us-east"}


class InProcess(AsyncClient):
    """Hears events without a transport, which would wait for the end of the stream; may be cut off, or hear nothing."""

    api: Api
    is_cut = False
    is_deaf = False

    async def events(
        self, *, after: int | None = None, member: str | None = None, **_: Any
    ) -> AsyncIterator[StreamEvent]:
        parser = EventParser(last=after)
        start = 0 if after is None else after + 1
        async for piece in event_stream(self.api.service, start, Wanted(member)):
            for heard in parser.feed(piece):
                if not self.is_deaf:
                    yield heard

    async def send(self, ask: Any) -> Any:
        if self.is_cut:
            raise UnreachableError("cut off")
        return await super().send(ask)

    async def beat(self, member_id: str, body: Any) -> dict[str, Any]:
        if self.is_cut:
            raise UnreachableError("cut off")
        return await super().beat(member_id, body)


def tell(api: Api, story: Callable[[InProcess], Awaitable[None]], key: str | None = None) -> None:
    """Run *story* with a client, while the server's clock goes on."""

    async def told() -> None:
        transport = httpx2.ASGITransport(app=api.app)
        async with InProcess("http://localhost", transport=transport, key=key) as client:
            client.api = api
            passing = asyncio.create_task(_pass_time(api))
            try:
                async with asyncio.timeout(60):
                    await story(client)
            finally:
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)

    api.run(told())


async def _pass_time(api: Api) -> None:
    """Let the server's clock go on as this machine's does, with a tick now and then."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        await asyncio.sleep(0.05)
        now = loop.time()
        api.clock.advance(round((now - before) * 1_000_000))
        before = now
        await api.service.tick()


async def first_job(worker: Worker) -> Job:
    """Return the first packet that becomes the worker's."""
    return await anext(aiter(worker))


def submitted(packet_id: str, **more: Any) -> dict[str, Any]:
    """Return a packet to submit."""
    return {"packet_id": packet_id, "workload_type": "scan", **more}


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *found* says so."""
    while not await found():  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)


async def holds(value: bool) -> bool:
    """Return *value*, where something is awaited."""
    return value


class BrokenError(Exception):
    """What a job raises."""
