"""The stream of events: nothing missed, nothing twice, alive when quiet, and gone when the server goes."""

import asyncio
import gc
from collections.abc import Callable

import pytest
from support.api_server import Api, problem

from pfgov.app.hosting import Caller
from pfgov.client.stream import EventParser
from pfgov.core import commands as c
from pfgov_api.grants import NOBODY, Grant
from pfgov_api.limits import STREAMS_MAX
from pfgov_api.operations import Answer, Call
from pfgov_api.routes import OPERATIONS
from pfgov_api.streams import HEARTBEAT, Wanted, event_stream, events


async def _next_bytes(stream: object, count: int) -> bytes:
    raw = b""
    while raw.count(b"\ndata: ") < count:
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
        raw = await _next_bytes(event_stream(api.service, 0, Wanted("m1")), 3)
        return [(one.type, one.data["subject"]) for one in parser.feed(raw)]

    assert api.run(listen()) == [
        ("member_registered", "member/m1"),
        ("assignment_decision", "packet/for-m1"),
        ("packet_cancelled", "packet/for-m1"),
    ]


def test_a_stream_ends_with_its_key(api: Api) -> None:
    """Revoked while it is quiet or while it speaks, a key hears nothing more; a file that is damaged ends it, too."""
    api.member("m1")
    api.keys()

    async def listen(end: Callable[[], object], *, speak: bool) -> bytes:
        record, key = api.keyring.create(("auditor",), now=1)
        grant = api.service.access.grant(f"Bearer {key}")
        stream = event_stream(api.service, api.service.reader.head().size, grant=grant)
        assert await anext(stream) == b"retry: 1000\n\n"
        rest = asyncio.ensure_future(_bytes(stream))
        await asyncio.sleep(0)
        if end is revoke:
            api.keyring.revoke(record.id, now=2)
        else:
            end()
        if speak:
            action = c.ReportPressure(member_id="m1", pressure="0.5")
            await api.service.submit(action, Caller(c.LOCAL_OPERATOR))
        async with asyncio.timeout(10):
            return await rest

    def revoke() -> None:
        pass

    for speak in (False, True):
        assert api.run(listen(revoke, speak=speak)) == b""
    assert api.service.streams.total == 0
    assert api.run(listen(lambda: api.keyring.path.write_text("{"), speak=True)) == b""


async def _bytes(stream: object) -> bytes:
    return b"".join([piece async for piece in stream])  # type: ignore[attr-defined]


def test_an_export_ends_with_its_key(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off in the middle, so that nobody takes it for the whole."""
    api.member("m1")
    api.keys()
    _, key = api.keyring.create(("auditor",), now=1)
    monkeypatch.setattr("pfgov_api.streams.PIECE", 100)
    real = api.service.access.grant

    def granted(authorization: str | None) -> Grant:
        grant, seen = real(authorization), iter([True, True, False])
        return Grant(grant.principal, lambda: next(seen), grant.share)

    monkeypatch.setattr(api.service.access, "grant", granted)
    with pytest.raises(ExceptionGroup) as cut:  # the server closes the connection upon it
        api.get("/api/ledger/export", headers={"Authorization": f"Bearer {key}"})
    assert cut.group_contains(ConnectionAbortedError)
    del cut
    gc.collect()
    assert (api.service.streams.total, api.service.exports.total) == (0, 0)


def test_no_principal_has_more_than_its_share(api: Api) -> None:
    """With its share in use a key gets 429 and Retry-After; others, and the same key a moment later, are served."""
    keys = api.keys()
    who = api.service.access.grant(f"Bearer {keys['auditor']}").share
    for quota, path in (
        (api.service.requests, "/api/status"),
        (api.service.streams, "/api/events"),
        (api.service.streams, "/api/ledger/export"),
        (api.service.exports, "/api/ledger/export"),
    ):
        for _ in range(quota.most):
            quota.take(who)
        answer = api.get(path, scope="auditor")
        problem(answer, 429, "http.too_many")
        assert answer.headers["retry-after"] == "1"
        if path != "/api/events":
            assert api.get(path, scope="operator").status_code == 200
        for _ in range(quota.most):
            quota.give(who)
        if path != "/api/events":
            assert api.get(path, scope="auditor").status_code == 200
        gc.collect()
        assert (quota.total, quota._taken) == (0, {})
    metrics = api.get("/metrics", scope="auditor").text
    for name, count in (("requests", 1), ("streams", 2), ("exports", 1)):
        assert f'pfgov_over_share_total{{of="{name}"}} {count}' in metrics


def test_a_share_is_given_back_whatever_happens(shared: Api) -> None:
    """Refused, mistaken or failed, a request leaves nothing behind that would count against its key."""
    for path, method in (
        ("/api/packets/none", "GET"),
        ("/api/members/register", "POST"),
        ("/api/policies/activate", "POST"),
    ):
        for scope in ("operator", "auditor"):
            shared(method, path, {"x": 1} if method == "POST" else None, scope=scope)
    assert shared.service.requests._taken == {}
    assert shared.service.in_flight == 0


def test_a_position_that_is_none_is_refused(api: Api) -> None:
    """Neither a text nor a negative number is taken for the beginning."""
    for last in ("x", "-1", "1.5", "9" * 40, "\u0661"):
        problem(api.get("/api/events", headers={"Last-Event-ID": last.encode()}), 400)  # type: ignore[dict-item]


def test_a_position_that_the_ledger_has_not_come_to_is_refused(api: Api) -> None:
    """A restored ledger, or another one: silence would look like peace; the newest entry itself is no such position."""
    size = api.engine.status().size
    for path, headers in (
        ("/api/events", {"Last-Event-ID": "999999"}),
        ("/api/events", {"Last-Event-ID": str(size)}),
        (f"/api/events?after={size}", {}),
    ):
        found = problem(api.get(path, headers=headers), 409, "entry.ahead")
        assert "restored" in found["hint"]
        assert "Last-Event-ID" in found["hint"]
    assert "entry.ahead" in api.get("/api/problems/entry.ahead").text

    async def newest() -> Answer:
        call = _call(api, {"last-event-id": str(size - 1)})
        return await events(call)

    assert api.run(newest()).status == 200


def _call(api: Api, headers: dict[str, str]) -> Call:
    operation = next(one for one in OPERATIONS if one.name == "stream_events")
    return Call(
        operation=operation, service=api.service, principal=c.LOCAL_OPERATOR, request_id="r", path={}, query={},
        body=None, raw=b"", headers=headers, url=operation.path, grant=NOBODY,
    )  # fmt: skip


def test_too_many_streams_are_told_to_come_back(api: Api) -> None:
    """Streams are bounded; one more is 503 with Retry-After, and one that was promised meanwhile sends nothing."""
    for _ in range(STREAMS_MAX):
        api.service.streams.take(None)
    answer = api.get("/api/events")
    problem(answer, 503, "engine.busy")
    assert answer.headers["retry-after"] == "1"
    problem(api.get("/api/ledger/export"), 503, "engine.busy")

    async def listen() -> list[bytes]:
        return [piece async for piece in event_stream(api.service, 0)]

    assert api.run(listen()) == [b"retry: 1000\n\n"]
    assert api.service.streams.total == STREAMS_MAX
