"""A worker's whole life against the real application: no job is run twice, none is lost, and it says why it is idle."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.api_server import Api
from support.worker_stories import (
    MEMBER,
    BrokenError,
    InProcess,
    first_job,
    holds,
    submitted,
    tell,
    until,
)

from pfgov.client import ApiError, AsyncClient, Job, LostOwnershipError

# --- once --------------------------------------------------------------------------------------


def test_worker_a_second_process_is_refused(api: Api) -> None:
    """Two processes under one id both get the packet."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER):
            with pytest.raises(ApiError) as caught:
                async with client.work(MEMBER):
                    raise AssertionError("two live as one member")
            assert caught.value.code == "member.in_use"
        async with client.work(MEMBER):  # the first left: at once
            assert (await client.member("w"))["incarnation"] == 1

    tell(api, story)


def test_worker_whoever_takes_over_begins_when_the_other_has_stopped(api: Api) -> None:
    """A process that takes over runs the packet while the other still does."""

    async def story(client: InProcess) -> None:
        running: list[str] = []

        def handler(name: str) -> Callable[[Job], Awaitable[None]]:
            async def work(job: Job) -> None:
                running.append(name)
                assert len(running) == 1, running
                try:
                    if name == "first":
                        await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0.05)  # it takes its time to stop
                    running.remove(name)

            return work

        async def live(name: str, *, take_over: bool) -> None:
            worker = client.work(MEMBER, lease_seconds=4, take_over=take_over)
            async with worker:
                await worker.run(handler(name), signals=())

        first = asyncio.create_task(live("first", take_over=False))
        await client.submit(submitted("p"))
        await until(lambda: holds(bool(running)))
        second = asyncio.create_task(live("second", take_over=True))
        await first
        await until(lambda: _status(client, "p", "COMPLETED"))
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)

    tell(api, story)


async def _status(client: AsyncClient, packet_id: str, status: str) -> bool:
    return bool((await client.packet(packet_id))["status"] == status)


def test_worker_counts_by_the_lease_that_the_registry_knows(api: Api) -> None:
    """A worker behind a cut network works on after a lease that somebody else registered was over."""
    api.member("w", lease_seconds=3)

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3_600) as worker:
            await client.submit(submitted("p"))
            job = await first_job(worker)
            client.is_cut = True
            started = asyncio.get_running_loop().time()
            with pytest.raises(LostOwnershipError):
                async with job:
                    await asyncio.sleep(60)
            assert asyncio.get_running_loop().time() - started <= 3
            assert not worker.is_alive

    tell(api, story)


def test_worker_a_read_before_the_end_is_no_second_job(api: Api) -> None:
    """A packet read before its job ended, and compared after, is worked on again."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p"))
            job = await first_job(worker)
            early, shown = asyncio.get_running_loop().time(), await client.packet("p")
            async with job:
                await job.checkpoint({"step": "a"})
                worker._compare("p", {**shown, "status": "PENDING"}, early)
                await job.complete()
            worker._compare("p", shown, early)
            worker._compare("p", shown, asyncio.get_running_loop().time())
            assert worker._queue.empty()
            assert worker.counts["taken"] == 1

    tell(api, story)


# --- coming back -------------------------------------------------------------------------------


def test_worker_comes_back_as_what_the_registry_knows(api: Api) -> None:
    """A member that failed registers anew over itself, with its own key, and loses region, clearances and trust."""
    api.member("m1", clearances=["pii"], trust_score=0.9)
    keys = api.keys()
    api.post("/api/members/m1/fail", scope="operator")

    async def story(client: InProcess) -> None:
        async with client.work({"id": "m1", "type": "agent"}) as worker:
            assert worker.incarnation == 2
        shown = await client.member("m1")
        assert (shown["region"], shown["clearances"]) == ("us-east", ["pii"])
        assert shown["trust"]["score"] == 0.9

    tell(api, story, keys["member:m1"])


def test_worker_says_why_it_gets_nothing(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A quarantined worker looks like one that waits for work."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            assert worker.idle_reason is None
            await client.write("POST", "/api/members/w/quarantine")
            await until(lambda: holds(worker.idle_reason is not None))
            assert "QUARANTINED" in (worker.idle_reason or "")

    with caplog.at_level(logging.WARNING, "pfgov.client"):
        tell(api, story)
    assert any("w is QUARANTINED" in one.getMessage() for one in caplog.records)


def test_worker_without_trust_is_told_what_it_lacks(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that policy keeps from all that waits looks like one that waits for work; or it reads of a packet."""
    secret = {
        "labels": {"customer": "acme"},
        "policy_constraints": {"minimum_trust_score": 0.9},
        "required_capabilities": ["ocr"],
    }
    key = api.keys()["member:m1"]
    api.post("/api/packets", {**submitted("p-secret"), **secret}, scope="submitter")
    heard: list[dict[str, Any]] = []

    async def story(client: InProcess) -> None:
        beat = client.beat

        async def noted(member_id: str, body: Any) -> dict[str, Any]:
            heard.append(await beat(member_id, body))
            return heard[-1]

        client.beat = noted  # type: ignore[method-assign]
        async with client.work(
            {"id": "m1", "type": "agent", "capabilities": ["ocr"], "trust_score": 0.95}
        ) as worker:
            await until(lambda: holds(worker.idle_reason is not None))
            assert worker.idle_reason == (
                "m1 is kept from the packet that waits by kernel/minimum-trust: m1 would be eligible with"
                " member.trust_score known (kernel/minimum-trust); its trust, region and clearances are set by an"
                " operator or assessor, not by its registration"
            )

    with caplog.at_level(logging.WARNING, "pfgov.client"):
        tell(api, story, key)
    assert any("kept from" in one.getMessage() for one in caplog.records)
    told = json.dumps([one["idle"] for one in heard if "idle" in one])
    assert "acme" not in told
    assert "p-secret" not in told


def test_worker_with_the_key_of_another_member_is_told_whose_it_is(api: Api) -> None:
    """Whoever mixed up two keys of members is sent for the key of an auditor."""
    key = api.keys()["member:m1"]

    async def story(client: InProcess) -> None:
        with pytest.raises(ApiError) as refused:
            async with client.work({"id": "other", "type": "agent"}):
                pass
        assert "this one is of m1, not of other" in refused.value.message
        assert "--scope member:other" in (refused.value.hint or "")

    tell(api, story, key)


def test_worker_that_leaves_is_given_nothing_until_it_is_back(api: Api) -> None:
    """After a clean end packets are placed on nobody; or the member has retired, and comes back without what it was."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p"))
            await until(lambda: holds("p" in worker.jobs))
        found = await client.packet("p")
        assert (found["status"], found["current_owner"]) == ("PENDING", None)
        assert (await client.member("w"))["status"] == "DRAINING"
        async with client.work(MEMBER) as worker:
            job = await first_job(worker)
            assert (job.packet_id, worker.incarnation) == ("p", 1)
            await job.complete()

    tell(api, story)


# --- running -----------------------------------------------------------------------------------


def test_worker_runs_several_and_ends_in_order(api: Api) -> None:
    """More run at once than were allowed, or a stop drops what runs, or an error ends the worker."""

    async def story(client: InProcess) -> None:
        running, most = 0, 0
        worker = client.work(MEMBER)

        async def handler(job: Job) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0.02)
                if job.packet_id == "p3":
                    raise BrokenError
                if job.packet_id == "p7":
                    await asyncio.sleep(60)
            finally:
                running -= 1

        for number in range(8):
            await client.submit(submitted(f"p{number}"))
        async with worker:
            ended = asyncio.create_task(
                worker.run(handler, concurrency=3, signals=(), grace_seconds=0.1)
            )
            await until(lambda: holds(worker.counts["complete"] == 6))
            worker.stop()
            await ended
        assert most <= 3
        shown = [(await client.packet(f"p{n}"))["status"] for n in range(8)]
        assert shown.count("COMPLETED") == 6
        assert shown[7] == "PENDING"
        assert shown[3] in {"PENDING", "FAILED"}

    tell(api, story)


def test_worker_gives_jobs_their_grace_and_no_more_while_the_server_is_silent(api: Api) -> None:
    """On a signal a worker first waits for a server that does not answer, and works on for as long as it is patient."""

    async def story(client: InProcess) -> None:
        cancelled = asyncio.Event()
        worker = client.work(MEMBER)
        pause = worker.pause

        async def silent() -> None:
            await cancelled.wait()
            await pause()

        worker.pause = silent  # type: ignore[method-assign]

        async def handler(job: Job) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                cancelled.set()

        async with worker:
            ended = asyncio.create_task(worker.run(handler, signals=(), grace_seconds=0.05))
            await client.submit(submitted("p"))
            await until(lambda: holds(bool(worker._running)))
            worker.stop()
            await ended
            assert cancelled.is_set()
        assert (await client.packet("p"))["status"] == "PENDING"
        assert (await client.member("w"))["status"] == "DRAINING"

    tell(api, story)


def test_worker_waits_for_no_answer_that_comes_after_its_lease(api: Api) -> None:
    """A worker that is stopped while the server is silent asks to put its packet back for longer than it has it."""

    async def story(client: InProcess) -> None:
        worker = client.work(MEMBER, lease_seconds=3)
        asked = asyncio.Event()

        async def silent(*_: object) -> Any:
            asked.set()
            await asyncio.Event().wait()

        async def handler(job: Job) -> None:
            await asyncio.sleep(3600)

        async with worker:
            ended = asyncio.create_task(worker.run(handler, signals=(), grace_seconds=0.05))
            await client.submit(submitted("p"))
            await until(lambda: holds(bool(worker._running)))
            worker.act = silent  # type: ignore[method-assign]
            worker.stop()
            await asked.wait()
            client.is_cut = True
            await ended
            assert worker.dead is not None
            assert len(worker._owed) == 0

    tell(api, story)


def test_worker_names_a_job_that_cannot_be_ended(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that does not end on a signal says nothing about what keeps it."""
    monkeypatch.setattr("pfgov.client.running.STUBBORN_SECONDS", 0.05)
    caplog.set_level("WARNING", logger="pfgov.client")

    def said() -> bool:
        return any("the job of p still runs" in one.getMessage() for one in caplog.records)

    async def story(client: InProcess) -> None:
        async def handler(job: Job) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            await until(lambda: holds(said()))

        async with client.work(MEMBER) as worker:
            ended = asyncio.create_task(worker.run(handler, signals=(), grace_seconds=0.05))
            await client.submit(submitted("p"))
            await until(lambda: holds(bool(worker._running)))
            worker.stop()
            await ended

    tell(api, story)
    assert said()


def test_worker_comes_back_after_a_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was away for longer than a lease ends the worker for good."""
    monkeypatch.setattr("pfgov.client.running.REST_SECONDS", 0.01)

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            ended = asyncio.create_task(worker.run(lambda _: asyncio.sleep(0), signals=()))
            client.is_cut = True
            await until(lambda: holds(worker.dead is not None))
            client.is_cut = False
            await client.submit(submitted("p"))
            await until(lambda: _status(client, "p", "COMPLETED"))
            assert worker.incarnation == 2
            worker.stop()
            await ended

    tell(api, story)


def test_worker_owns_nothing_during_maintenance(api: Api) -> None:
    """A worker that is maintained has packets, or gets some; or has to be registered again after it."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            ended = asyncio.create_task(worker.run(lambda _: asyncio.sleep(0.01), signals=()))
            await client.submit(submitted("p"))
            async with worker.maintenance():
                assert worker.jobs == {}
                await client.submit(submitted("q"))
                assert (await client.packet("q"))["current_owner"] is None
            await until(lambda: _status(client, "q", "COMPLETED"))
            worker.stop()
            await ended

    tell(api, story)


def test_worker_that_has_not_heard_of_a_packet_owns_none_during_maintenance(api: Api) -> None:
    """What was assigned a moment before is owned all the while, and nobody works on it."""

    async def story(client: InProcess) -> None:
        client.is_deaf = True
        async with client.work(MEMBER) as worker:
            ended = asyncio.create_task(worker.run(lambda _: asyncio.sleep(0.01), signals=()))
            await client.submit(submitted("p"))
            assert (await client.packet("p"))["current_owner"] == "w"
            async with worker.maintenance():
                assert (await client.packet("p"))["current_owner"] is None
            worker.stop()
            await ended

    tell(api, story)
