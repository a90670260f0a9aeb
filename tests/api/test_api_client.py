"""The client, in this process: the whole working life of a member without sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx2
import pytest
from support.api_server import Api

from pfgov.client import (
    ApiError,
    AsyncClient,
    Client,
    Job,
    LostOwnershipError,
    ReceiptError,
    Retry,
    UnreachableError,
    Worker,
)
from pfgov.client.core import MissingExtraError, http
from pfgov.client.lease import Lease
from pfgov.client.receipts import ReceiptChecker
from pfgov.client.stream import EventParser, StreamEvent
from pfgov_api.streams import Wanted, event_stream

MEMBER = {"id": "w1", "type": "agent", "capabilities": ["ocr"], "region": "us-east"}


class InProcess(AsyncClient):
    """A client that hears the same events without a transport, which would wait for the end of the stream."""

    api: Api

    async def events(
        self, *, after: int | None = None, member: str | None = None
    ) -> AsyncIterator[StreamEvent]:
        parser = EventParser(last=after)
        start = 0 if after is None else after + 1
        async for piece in event_stream(self.api.service, start, Wanted(member)):
            for heard in parser.feed(piece):
                yield heard


def _client(api: Api, **options: Any) -> InProcess:
    client = InProcess("http://localhost", transport=httpx2.ASGITransport(app=api.app), **options)
    client.api = api
    return client


def test_a_member_works(api: Api) -> None:
    """It joins, gets a packet, reads its context, saves progress and completes; every receipt is verified."""
    anchor = (api.directory / "anchor.txt").read_text()

    async def story() -> None:
        async with _client(api, anchor=anchor) as client, client.work(MEMBER) as worker:
            packet = {
                "packet_id": "p1",
                "workload_type": "scan",
                "context_checkpoint": {"step": "a"},
            }
            done = await client.submit(packet)
            assert done.receipt["proof"]
            async for job in worker:
                async with job:
                    assert await job.context() == {"step": "a"}
                    await job.checkpoint({"step": "b", "n": 1})
                    await job.complete()
                break
            assert (await client.packet("p1"))["status"] == "COMPLETED"
            assert worker.jobs == {}

    api.run(story())


async def _hand_off_and_go_on(job: Job) -> None:
    async with job:
        await job.hand_off("b")
        await asyncio.sleep(60)


def test_a_worker_takes_over_and_loses(api: Api) -> None:
    """A handoff is accepted by the target's worker, and the source's job is cancelled where it runs."""

    async def story() -> None:
        async with (
            _client(api) as client,
            client.work({**MEMBER, "id": "a", "handoff_mode": "accept"}) as first,
        ):
            await client.submit({"packet_id": "p1", "workload_type": "scan"})
            job = await anext(aiter(first))
            async with client.work({**MEMBER, "id": "b", "handoff_mode": "accept"}) as second:
                await _hand_off_and_go_on(job)
                taken = await anext(aiter(second))
                assert (taken.packet_id, taken.epoch) == ("p1", 2)
                with pytest.raises(LostOwnershipError):
                    await job.complete()
                await taken.complete()

    api.run(asyncio_timeout(story()))


async def asyncio_timeout(work: Any) -> None:
    """Bound a story."""
    async with asyncio.timeout(30):
        await work


def test_a_worker_fences_itself(api: Api) -> None:
    """When heartbeats get no answer the job is cancelled before the lease is over on the server's clock."""

    async def story() -> None:
        retry = Retry(first=0.01, patience=0.05)
        async with _client(api, retry=retry) as client:
            worker = client.work(MEMBER, lease_seconds=1, skew_seconds=0.4)
            async with worker:
                await client.submit({"packet_id": "p1", "workload_type": "scan"})
                job = await anext(aiter(worker))

                async def unreachable(*_: Any, **__: Any) -> Any:
                    raise UnreachableError("cut off")

                client.beat = unreachable  # type: ignore[method-assign]
                with pytest.raises(LostOwnershipError):
                    async with job:
                        await asyncio.sleep(60)
                assert not worker.is_alive
                with pytest.raises(LostOwnershipError):
                    await job.complete()
                assert [job async for job in worker] == []
            assert (await client.packet("p1"))["current_owner"] == "w1"

    api.run(asyncio_timeout(story()))


def test_a_refused_heartbeat_ends_the_worker(api: Api) -> None:
    """A member that was failed by an operator stops all its jobs."""

    async def story() -> None:
        async with _client(api) as client, client.work(MEMBER, lease_seconds=1) as worker:
            await client.submit({"packet_id": "p1", "workload_type": "scan"})
            job = await anext(aiter(worker))
            await client.write("POST", "/api/members/w1/fail")
            with pytest.raises(LostOwnershipError):
                async with job:
                    await asyncio.sleep(60)
            assert isinstance(worker, Worker)

    api.run(asyncio_timeout(story()))


def _flaky(answers: list[Any]) -> httpx2.MockTransport:
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx2.MockTransport(handle)
    transport.seen = seen  # type: ignore[attr-defined]
    return transport


def test_a_ledger_that_went_back_is_no_silence(api: Api) -> None:
    """Who listens is told; a worker lets go of what it holds, and says why it ended."""

    async def listen() -> None:
        transport = httpx2.ASGITransport(app=api.app)
        async with AsyncClient("http://localhost", transport=transport) as client:
            async for _ in client.events(after=999_999):
                raise AssertionError("nothing can be heard")

    with pytest.raises(ApiError) as refused:
        api.run(listen())
    assert refused.value.code == "entry.ahead"
    assert "start without" in (refused.value.hint or "")

    async def story() -> None:
        transport = httpx2.ASGITransport(app=api.app)
        async with AsyncClient("http://localhost", transport=transport) as client:
            worker = client.work(MEMBER)
            listen = worker._listen
            worker._listen = lambda: _after(worker, listen)  # type: ignore[method-assign]
            async with worker, asyncio.timeout(20):
                assert [job async for job in worker] == []
            assert "no entry 999999" in (worker.dead or "")

    api.run(story())


async def _after(worker: Worker, listen: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Listen as a worker that had heard more than this ledger holds."""
    worker._start = 999_999
    await listen()


def test_a_write_is_repeated_with_its_key() -> None:
    """After a lost connection or a 503 the same request goes out again, under the same idempotency key."""
    receipt = {"receipt": {"position": None}, "events": [], "result": {}}
    transport = _flaky(
        [
            httpx2.ConnectError("gone"),
            httpx2.Response(503, headers={"Retry-After": "0"}),
            httpx2.ReadTimeout("slow"),
            httpx2.Response(200, json=receipt, headers={"Idempotent-Replayed": "true"}),
        ]
    )
    retry = Retry(first=0.001, most=0.002)
    with Client("http://localhost", transport=transport, retry=retry) as client:
        done = client.submit({"workload_type": "x"})
    assert done.replayed
    assert done.position is None
    keys = {request.headers["idempotency-key"] for request in transport.seen}  # type: ignore[attr-defined]
    assert len(keys) == 1
    assert len({request.content for request in transport.seen}) == 1  # type: ignore[attr-defined]


def test_patience_ends() -> None:
    """A server that stays away is an error of its own, not a hang."""
    transport = _flaky([httpx2.ConnectError("gone")] * 100)
    retry = Retry(first=0.001, most=0.002, patience=0.01)
    with (
        Client("http://localhost", transport=transport, retry=retry) as client,
        pytest.raises(UnreachableError),
    ):
        client.packet("p1")


def test_a_refusal_is_not_repeated() -> None:
    """What the server refuses is raised with its code, its hint and its status, at once."""
    body = {"code": "packet.not_found", "detail": "there is no packet x", "hint": "look"}
    transport = _flaky([httpx2.Response(404, json=body), httpx2.Response(500, text="<html>")])
    with Client("http://localhost", transport=transport) as client:
        with pytest.raises(ApiError) as caught:
            client.packet("x")
        assert (caught.value.code, caught.value.status, caught.value.hint) == (
            "packet.not_found",
            404,
            "look",
        )
        with pytest.raises(ApiError) as caught:
            client.packet("x")
        assert caught.value.status == 500


def test_a_forged_receipt_is_noticed(api: Api) -> None:
    """A receipt of another entry, or without its proof does not pass the anchor."""
    anchor = (api.directory / "anchor.txt").read_text()
    good = api.post("/api/members/register?receipt=proof", {"id": "a", "type": "agent"}).json()[
        "receipt"
    ]
    checker = ReceiptChecker.of(anchor)
    checker.check(good)
    ReceiptChecker().check(good)
    bad: list[tuple[ReceiptChecker, dict[str, Any]]] = [
        (checker, {k: v for k, v in good.items() if k != "proof"}),
        (checker, {**good, "position": good["position"] + 1}),
        (ReceiptChecker(), {**good, "position": good["position"] + 1}),
        (ReceiptChecker(), {**good, "entry": "!"}),
        (ReceiptChecker(), {"position": 1}),
    ]
    for one, receipt in bad:
        with pytest.raises(ReceiptError):
            one.check(receipt)


def test_events_are_parsed_wherever_they_are_cut() -> None:
    """Split at any byte, a stream gives the same events, and ``last`` is the last that was whole."""
    raw = b'retry: 1000\n\nid: 4\nevent: a\ndata: {"x":"\xc3\xa9"}\n\n: still here\n\nid: 5\r\ndata: {}\r\n\r\nid: 6\n'
    for cut in range(len(raw) + 1):
        parser = EventParser()
        found = [*parser.feed(raw[:cut]), *parser.feed(raw[cut:])]
        assert [(one.position, one.type) for one in found] == [(4, "a"), (5, "message")]
        assert found[0].data == {"x": "é"}
        assert parser.last == 5
        parser.restart()
        assert next(parser.feed(b"id: 7\ndata: {}\n\n")).position == 7
    with pytest.raises(ValueError, match="too long"):
        list(EventParser().feed(b"x" * 5_000_000))


def test_a_lease_counts_from_the_sending() -> None:
    """It runs from when the heartbeat was sent, ends early by the skew, and never shrinks by a late answer."""
    lease = Lease(seconds=30, skew=3)
    assert lease.left(0) <= 0
    lease.renewed(100)
    assert lease.left(100) == 27
    lease.renewed(90)
    assert lease.left(100) == 27
    assert lease.interval == 9
    lease.lost()
    assert lease.left(100) <= 0


def test_retries_back_off_and_heed_the_server() -> None:
    """Pauses double up to a bound, are spread, and are at least what Retry-After says."""
    retry = Retry(first=1, most=8)
    assert [retry.pause(n, asked=None, spread=1) for n in (1, 2, 3, 4, 9)] == [1, 2, 4, 8, 8]
    assert retry.pause(1, asked=None, spread=0) == 0.5
    assert retry.pause(1, asked="3", spread=0) == 3
    assert retry.pause(1, asked="soon", spread=1) == 1


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without httpx2 the error says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(MissingExtraError) as caught:
        http()
    assert "pip install httpx2" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_key_that_cannot_be_sent_is_refused_at_once(kind: Any) -> None:
    """It is tried for half a minute, and the server is said to be down; a line's end of a file is no part of it."""
    for wrong in ("", " ", "pfgov_a b", "pfgov_a\nb", "pfgov_\u00e9", "\x00"):
        with pytest.raises(ValueError, match="no API key"):
            kind("http://localhost:1", key=wrong)
    assert (
        kind("http://localhost:1", key="pfgov_ab_cd\n")._http.headers["Authorization"]
        == "Bearer pfgov_ab_cd"
    )


def test_an_idempotency_key_that_cannot_be_sent_is_refused_at_once() -> None:
    """A key with a line's end is tried for half a minute, and the server is said to be down."""

    def reached(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError("it was sent")

    with Client("http://localhost", transport=httpx2.MockTransport(reached)) as client:
        for wrong in ("a b", "a\n", "\u00e9", "x" * 256):
            with pytest.raises(ValueError, match="no idempotency key"):
                client.submit({"workload_type": "x"}, key=wrong)
