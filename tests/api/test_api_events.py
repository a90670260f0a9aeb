"""The stream of events: nothing missed, nothing twice, alive when quiet, and gone when the server goes."""

import asyncio
from pathlib import Path

from support.api_server import Api, problem

from pfgov.client.stream import EventParser
from pfgov_api.streams import HEARTBEAT, event_stream


async def _next_bytes(stream: object, count: int) -> bytes:
    raw = b""
    while raw.count(b"\nevent: ") < count:
        raw += await anext(stream)  # type: ignore[call-overload]
    return raw


def test_a_consumer_that_is_cut_off_a_hundred_times_sees_everything_once(api: Api) -> None:
    """Cut at any byte while entries are being written, and resumed after the last whole event: each position once."""
    api.member("m1")
    start = api.engine.status().size
    seen: list[int] = []

    async def write() -> None:
        for number in range(120):
            await api.client.post(
                "/api/packets", json={"packet_id": f"p{number}", "workload_type": "x"}
            )

    async def read(wanted: int) -> None:
        last, cuts = start - 1, 0
        while len(seen) < wanted:
            parser = EventParser(last=last)
            stream = event_stream(api.service, last + 1)
            async for piece in stream:
                cut = len(piece) if cuts >= 100 else (cuts * 997) % (len(piece) + 1)
                seen.extend(heard.position for heard in parser.feed(piece[:cut]))
                if cut < len(piece) or len(seen) >= wanted:
                    break
            await stream.aclose()  # type: ignore[attr-defined]
            cuts += 1
            last = parser.last if parser.last is not None else last
        assert cuts > 100

    async def both() -> None:
        async with asyncio.timeout(50):
            await asyncio.gather(write(), read(240))

    api.run(both())
    assert seen[:240] == list(range(start, start + 240))
    assert seen == sorted(set(seen))
    assert api.service.news.count == 0, "closed streams have unsubscribed"


def test_a_quiet_stream_says_that_it_is_alive(api: Api) -> None:
    """Without events there are comments, so that proxies and clients know."""

    async def listen() -> list[bytes]:
        stream = event_stream(api.service, api.service.reader.head().size, heartbeat_seconds=0.01)
        return [await anext(stream) for _ in range(3)]

    assert api.run(listen()) == [b"retry: 1000\n\n", HEARTBEAT, HEARTBEAT]


def test_streams_end_when_the_server_stops(api: Api) -> None:
    """A stream that waits for news ends by itself as soon as the service is stopping."""

    async def listen() -> int:
        stream = event_stream(api.service, api.service.reader.head().size)
        await anext(stream)
        ending = asyncio.ensure_future(_rest(stream))
        await asyncio.sleep(0)
        await api.service.stop()
        async with asyncio.timeout(10):
            return await ending

    assert api.run(listen()) == 0
    problem(api.get("/api/health/ready"), 503, "engine.stopped")


async def _rest(stream: object) -> int:
    return len([piece async for piece in stream])  # type: ignore[attr-defined]


def test_a_member_hears_what_concerns_it(api: Api) -> None:
    """Its own life, and the packets that it gets or loses; nothing about others."""
    api.member("m1", capabilities=["one"])
    api.member("m2", capabilities=["two"])
    api.packet("for-m1", required_capabilities=["one"])
    api.packet("for-m2", required_capabilities=["two"])
    api.post("/api/packets/for-m1/cancel")

    async def listen() -> list[tuple[str, str]]:
        parser = EventParser()
        raw = await _next_bytes(event_stream(api.service, 0, "m1"), 3)
        return [(one.type, one.data["subject"]) for one in parser.feed(raw)]

    assert api.run(listen()) == [
        ("member_registered", "member/m1"),
        ("assignment_decision", "packet/for-m1"),
        ("packet_cancelled", "packet/for-m1"),
    ]


def test_a_position_that_is_none_is_refused(api: Api) -> None:
    """Neither a text nor a negative number is taken for the beginning."""
    for last in ("x", "-1", "1.5", "9" * 40, "\u0661"):
        problem(api.get("/api/events", headers={"Last-Event-ID": last.encode()}), 400)  # type: ignore[dict-item]


def test_too_many_streams_are_told_to_come_back(tmp_path: Path) -> None:
    """Streams are bounded; one more is 503 with Retry-After."""
    with Api(tmp_path) as api:
        held = [api.service.news.subscription() for _ in range(1_000)]
        for one in held:
            one.__enter__()
        answer = api.get("/api/events")
        problem(answer, 503, "engine.busy")
        assert answer.headers["retry-after"] == "1"
