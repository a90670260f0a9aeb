"""A worker tells a handoff from a denial and from an escalation, and keeps its packet until the review is given."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support import policy_kit as kit
from support.api_server import Api

from pfgov.client import (
    AsyncClient,
    ConflictError,
    DeniedError,
    EscalatedError,
    ForbiddenError,
    Job,
    NotFoundError,
    StaleEpochError,
    Worker,
)
from pfgov.client.stream import EventParser, StreamEvent
from pfgov.core import commands as c
from pfgov_api.streams import Wanted, event_stream

RULES = """\
  - {id: trust, on: [place], require: member.trust_score >= 0.8, message: "trust is below 0.8"}
  - {id: amount, on: [handoff], when: 'packet.labels["amount"] == "large"', escalate: {to: reviewer, expires: 1d}}
  - {id: done, on: [complete], require: 'packet.labels["amount"] != "odd"'}
  - {id: open, on: [register, retain, accept], require: member.id != "nobody"}
"""
OWNER = {"id": "w", "type": "agent", "trust_score": 0.9}


class _InProcess(AsyncClient):
    """A client that hears the same events without a transport, which would wait for the end of the stream."""

    api: Api

    async def events(
        self, *, after: int | None = None, member: str | None = None, **_: Any
    ) -> AsyncIterator[StreamEvent]:
        parser = EventParser(last=after)
        async for piece in event_stream(
            self.api.service, 0 if after is None else after + 1, Wanted(member)
        ):
            for heard in parser.feed(piece):
                yield heard


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A server whose policy denies handoffs to the little trusted, and wants a review of large amounts."""
    with Api(tmp_path) as found:
        on = "[register, place, retain, complete]"
        policies = kit.load(tmp_path / "set", kit.policy(RULES, on=on), kit.labels("amount"))
        found.engine.activate(policies, principal=c.LOCAL_OPERATOR)
        found.member("good", trust_score=0.9)
        found.member("poor", trust_score=0.5)
        yield found


def _told(api: Api, story: Any) -> None:
    async def tell() -> None:
        transport = httpx2.ASGITransport(app=api.app)
        async with _InProcess("http://localhost", transport=transport) as client:
            client.api = api
            async with asyncio.timeout(60), client.work(OWNER, lease_seconds=3) as worker:
                await story(client, worker)

    api.run(tell())


async def _given(client: AsyncClient, worker: Worker, packet_id: str, amount: str) -> Job:
    packet = {"packet_id": packet_id, "workload_type": "refund", "hold": True}
    await client.submit({**packet, "labels": {"amount": amount}})
    await client.act(packet_id, "assign", {"target": "w"})
    return await anext(aiter(worker))


async def _reviewed(client: AsyncClient, packet_id: str, *, granted: bool) -> None:
    version = (await client.packet(packet_id))["version"]
    await client.act(packet_id, "reviews", {"granted": granted, "version": version})


def test_refusals_a_denied_handoff_leaves_the_job_at_work(api: Api) -> None:
    """A job whose handoff is denied goes on as if it were handed over, or cannot say why it was denied."""

    async def story(client: AsyncClient, worker: Worker) -> None:
        async with await _given(client, worker, "p", "small") as job:
            with pytest.raises(DeniedError) as caught:
                await job.hand_off("poor")
            assert any(name.endswith("/trust") for name in caught.value.reasons)
            assert "trust" in caught.value.message
            assert caught.value.position is not None
            with pytest.raises(ConflictError) as caught_too:
                await job.hand_off("w")
            assert caught_too.value.code == "handoff.to_owner"
            with pytest.raises(NotFoundError):
                await job.hand_off("nowhere")
            await job.complete()

    _told(api, story)


def test_refusals_a_job_waits_for_its_review_and_moves(api: Api) -> None:
    """A job that left because a review is wanted is put back, run twice or forgotten before the review is given."""

    async def story(client: AsyncClient, worker: Worker) -> None:
        job = await _given(client, worker, "p", "large")
        with pytest.raises(EscalatedError) as caught:
            async with job:
                await job.hand_off("good")
        assert caught.value.review["to"] == "reviewer"
        assert caught.value.review["member_id"] == "good"
        await worker._beat()
        assert (await client.packet("p"))["current_owner"] == "w"
        assert worker._queue.empty()
        await _reviewed(client, "p", granted=True)
        await api.service.settle()
        shown = await client.packet("p")
        assert (shown["current_owner"], shown["epoch"]) == ("good", job.epoch + 1)
        await worker.look("p")
        assert worker.jobs == {}
        assert worker._queue.empty()

    _told(api, story)


def test_refusals_a_job_comes_back_when_its_review_is_refused(api: Api) -> None:
    """A packet whose handoff was reviewed and refused is owned by a worker that does not work on it."""

    async def story(client: AsyncClient, worker: Worker) -> None:
        job = await _given(client, worker, "p", "large")
        with pytest.raises(EscalatedError):
            async with job:
                await job.hand_off("good")
        await _reviewed(client, "p", granted=False)
        again = await anext(aiter(worker))
        assert again is not job
        assert again.epoch == job.epoch
        async with again:
            await again.complete()

    _told(api, story)


def test_refusals_at_a_guarding_point_and_of_the_late(api: Api) -> None:
    """What policy denies at a guarding point, and a write under an old epoch, cannot be told from other refusals."""

    async def story(client: AsyncClient, worker: Worker) -> None:
        job = await _given(client, worker, "p", "odd")
        async with job:
            with pytest.raises(DeniedError) as caught:
                await job.complete()
            assert caught.value.code == "policy.denied"
            assert any(name.endswith("/done") for name in caught.value.reasons)
            await job.hand_off("good")
        with pytest.raises(StaleEpochError):
            await client.act("p", "fail", {**job.claim, "reason": "late"})
        with pytest.raises(StaleEpochError):
            await client.act("p", "handoff", {**job.claim, "target": "good"})

    _told(api, story)


def test_refusals_of_rights_are_their_own(api: Api) -> None:
    """A key without the right looks like a policy that denies."""

    async def tell() -> None:
        key = api.keys()["auditor"]
        transport = httpx2.ASGITransport(app=api.app)
        async with AsyncClient("http://localhost", transport=transport, key=key) as client:
            with pytest.raises(ForbiddenError) as caught:
                await client.submit({"packet_id": "p", "workload_type": "refund"})
            assert not isinstance(caught.value, DeniedError)

    api.keys()
    api.run(tell())
