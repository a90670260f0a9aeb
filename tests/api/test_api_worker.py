"""A worker's whole life against the real application: no job is run twice, none is lost, and it says why it is idle."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_server import Api

from pfgov.client import ApiError, AsyncClient, Job, LostOwnershipError, UnreachableError, Worker
from pfgov.client.job import StalledError
from pfgov.client.stream import EventParser, StreamEvent
from pfgov_api.streams import event_stream

MEMBER = {"id": "w", "type": "agent", "capabilities": ["ocr"], "region": "us-east"}


class InProcess(AsyncClient):
    """Hears events without a transport, which would wait for the end of the stream; may be cut off, or hear nothing."""

    api: Api
    is_cut = False
    is_deaf = False

    async def events(
        self, *, after: int | None = None, member: str | None = None
    ) -> AsyncIterator[StreamEvent]:
        parser = EventParser(last=after)
        start = 0 if after is None else after + 1
        async for piece in event_stream(self.api.service, start, member):
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


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An API without keys."""
    with Api(tmp_path) as found:
        yield found


def _tell(api: Api, story: Callable[[InProcess], Awaitable[None]], key: str | None = None) -> None:
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


async def _first(worker: Worker) -> Job:
    return await anext(aiter(worker))


def _submitted(packet_id: str, **more: Any) -> dict[str, Any]:
    return {"packet_id": packet_id, "workload_type": "scan", **more}


async def _until(found: Callable[[], Awaitable[bool]]) -> None:
    while not await found():  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)


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

    _tell(api, story)


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
        await client.submit(_submitted("p"))
        await _until(lambda: _is(bool(running)))
        second = asyncio.create_task(live("second", take_over=True))
        await first
        await _until(lambda: _status(client, "p", "COMPLETED"))
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)

    _tell(api, story)


async def _is(value: bool) -> bool:
    return value


async def _status(client: AsyncClient, packet_id: str, status: str) -> bool:
    return bool((await client.packet(packet_id))["status"] == status)


def test_worker_counts_by_the_lease_that_the_registry_knows(api: Api) -> None:
    """A worker behind a cut network works on after a lease that somebody else registered was over."""
    api.member("w", lease_seconds=3)

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3_600) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)
            client.is_cut = True
            started = asyncio.get_running_loop().time()
            with pytest.raises(LostOwnershipError):
                async with job:
                    await asyncio.sleep(60)
            assert asyncio.get_running_loop().time() - started <= 3
            assert not worker.is_alive

    _tell(api, story)


def test_worker_a_read_before_the_end_is_no_second_job(api: Api) -> None:
    """A packet read before its job ended, and compared after, is worked on again."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)
            early, shown = asyncio.get_running_loop().time(), await client.packet("p")
            async with job:
                await job.checkpoint({"step": "a"})
                worker._compare("p", {**shown, "status": "PENDING"}, early)
                await job.complete()
            worker._compare("p", shown, early)
            worker._compare("p", shown, asyncio.get_running_loop().time())
            assert worker._queue.empty()
            assert worker.counts["taken"] == 1

    _tell(api, story)


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

    _tell(api, story, keys["member:m1"])


def test_worker_says_why_it_gets_nothing(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A quarantined worker looks like one that waits for work."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            assert worker.idle_reason is None
            await client.write("POST", "/api/members/w/quarantine")
            await _until(lambda: _is(worker.idle_reason is not None))
            assert "QUARANTINED" in (worker.idle_reason or "")

    with caplog.at_level(logging.WARNING, "pfgov.client"):
        _tell(api, story)
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
    api.post("/api/packets", {**_submitted("p-secret"), **secret}, scope="submitter")
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
            await _until(lambda: _is(worker.idle_reason is not None))
            assert worker.idle_reason == (
                "m1 is kept from the packet that waits by kernel/minimum-trust: m1 would be eligible with"
                " member.trust_score known (kernel/minimum-trust); its trust, region and clearances are set by an"
                " operator or assessor, not by its registration"
            )

    with caplog.at_level(logging.WARNING, "pfgov.client"):
        _tell(api, story, key)
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

    _tell(api, story, key)


def test_worker_that_leaves_is_given_nothing_until_it_is_back(api: Api) -> None:
    """After a clean end packets are placed on nobody; or the member has retired, and comes back without what it was."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p"))
            await _until(lambda: _is("p" in worker.jobs))
        found = await client.packet("p")
        assert (found["status"], found["current_owner"]) == ("PENDING", None)
        assert (await client.member("w"))["status"] == "DRAINING"
        async with client.work(MEMBER) as worker:
            job = await _first(worker)
            assert (job.packet_id, worker.incarnation) == ("p", 1)
            await job.complete()

    _tell(api, story)


# --- no job is lost ----------------------------------------------------------------------------


class _BrokenError(Exception):
    pass


async def _break(job: Job, client: InProcess | None = None) -> None:
    """Do a little, and raise; or be cut off before."""
    async with job:
        if client is None:
            await job.checkpoint({"step": "x"})  # progress does not reset what is counted
        else:
            client.is_cut = True
        raise _BrokenError("jane@example.com")


def test_worker_an_error_is_recorded_and_bounded(api: Api) -> None:
    """A job that raised keeps its packet for ever, or raises for ever; or the error's text is in the ledger."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, attempts=3) as worker:
            await client.submit(_submitted("p"))
            for _ in range(3):
                job = await _first(worker)
                with pytest.raises(_BrokenError):
                    await _break(job)
            assert (await client.packet("p"))["status"] == "FAILED"
        entries = (await client.get("/api/packets/p/lineage"))["items"]
        ends = [one for one in entries if one["type"] in {"packet_requeued", "packet_failed"}]
        assert [one["type"] for one in ends] == ["packet_requeued"] * 2 + ["packet_failed"]
        assert ends[0]["body"]["reason"] == "error: _BrokenError"
        assert ends[2]["body"]["reasons"] == ["error: _BrokenError"]
        assert "jane@" not in str(entries)

    _tell(api, story)


def test_worker_an_error_rule_is_asked_for_each_error(api: Api) -> None:
    """``on_error`` says one thing for all errors."""

    async def story(client: InProcess) -> None:
        def rule(error: Exception) -> Any:
            return "fail" if isinstance(error, KeyError) else "requeue"

        async with client.work(MEMBER, on_error=rule) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)
            with pytest.raises(KeyError):
                async with job:
                    raise KeyError("x")
            assert (await client.packet("p"))["status"] == "FAILED"

    _tell(api, story)


def test_worker_a_job_that_just_ends_gives_its_packet_back(api: Api) -> None:
    """A block that is left without a word keeps the packet from everybody, while its member lives."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p"))
            async with await _first(worker):
                pass
            assert (await _first(worker)).epoch == 3

    _tell(api, story)


def test_worker_what_could_not_be_said_is_said_later(api: Api) -> None:
    """A job that raised while the server was away keeps its packet for ever."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)
            with pytest.raises(_BrokenError):
                await _break(job, client)
            assert not job.ended
            client.is_cut = False
            worker._poked.set()
            await _until(lambda: _is(job.ended))
            assert (await _first(worker)).epoch == 3

    _tell(api, story)


def test_worker_learns_what_no_event_said(api: Api) -> None:
    """A packet whose event was missed is worked on by nobody."""

    async def story(client: InProcess) -> None:
        client.is_deaf = True
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p"))
            worker._poked.set()  # it beats
            assert (await _first(worker)).packet_id == "p"

    _tell(api, story)


def test_worker_a_late_write_does_not_end_the_worker(api: Api) -> None:
    """A job that learns in its own block that it is lost leaves a cancellation behind, which hits what comes next."""

    async def story(client: InProcess) -> None:
        client.is_deaf = True
        async with client.work(MEMBER, lease_seconds=60) as worker:
            await client.submit(_submitted("p"))
            worker._look_at(["p"])
            job = await _first(worker)
            await client.write("POST", "/api/packets/p/requeue")
            with pytest.raises(LostOwnershipError):
                async with job:
                    await job.checkpoint({"step": "late"})
            await asyncio.sleep(0)
            assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]

    _tell(api, story)


def test_worker_a_job_that_hangs_is_given_up(api: Api) -> None:
    """A job that does nothing keeps its packet for as long as its process beats; or one that says so loses it."""

    async def hang(job: Job) -> None:
        async with job:
            for _ in range(4):
                await asyncio.sleep(0.03)
                job.progress()
            await asyncio.sleep(60)

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, progress_seconds=0.1) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)
            with pytest.raises(StalledError):
                await hang(job)
            assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]
            entries = (await client.get("/api/packets/p/lineage"))["items"]
            ends = [one["body"]["reason"] for one in entries if one["type"] == "packet_requeued"]
            assert ends == ["error: StalledError"]

    _tell(api, story)


def test_worker_stops_a_job_before_its_packet_is_taken_for_it(api: Api) -> None:
    """Two work on a packet that bounds the time without progress: the server takes it before the worker has stopped."""
    asked: list[dict[str, Any]] = []

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=1) as worker:
            beat = client.beat

            async def noted(member_id: str, body: Any) -> dict[str, Any]:
                asked.extend(body["owns"])
                return await beat(member_id, body)

            client.beat = noted  # type: ignore[method-assign]
            await client.submit({**_submitted("p"), "progress_seconds": 1})
            job = await _first(worker)
            assert job.progress_seconds == 0.9
            assert worker._belief(job)["progressed"], "it waits its turn"
            with pytest.raises(StalledError):
                async with job:
                    await asyncio.sleep(60)
            entries = (await client.get("/api/packets/p/lineage"))["items"]
            (end,) = [one["body"] for one in entries if one["type"] == "packet_requeued"]
            assert (end["reason"], end["elsewhere"]) == ("error: StalledError", True)

    _tell(api, story)
    said = [one["progressed"] for one in asked if one["epoch"] == 1]
    assert False in said, said


def test_worker_heeds_a_bound_that_came_later(api: Api) -> None:
    """A job goes on by the terms with which it began, and the server takes what it works on."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)

            async def changed() -> None:
                async with job:
                    await client.write("PATCH", "/api/packets/p", {"progress_seconds": 1})
                    await worker.look("p")
                    await asyncio.sleep(60)

            with pytest.raises(StalledError):
                await changed()

    _tell(api, story)


def test_worker_heeds_a_bound_that_became_another(api: Api) -> None:
    """A job hangs for as long as it might at first, after its packet was given to somebody else; or dies at once."""

    async def story(client: InProcess) -> None:
        loop = asyncio.get_running_loop()
        async with client.work(MEMBER) as worker:
            await client.submit({**_submitted("p"), "progress_seconds": 600})
            job = await _first(worker)
            changed = loop.time()

            async def hanging() -> None:
                async with job:
                    job._moved -= 300  # it was at work for long when the bound became another
                    await client.write("PATCH", "/api/packets/p", {"progress_seconds": 1})
                    await worker.look("p")
                    await asyncio.sleep(60)

            with pytest.raises(StalledError):
                await hanging()
            assert loop.time() - changed > 0.8, "the bound counts from when it is known"

    _tell(api, story)


def test_worker_what_went_wrong_is_in_the_log_alone(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever wrote a job is told the class of its error and no more; or the ledger gets the text of it."""

    async def story(client: InProcess) -> None:
        await client.submit(_submitted("p"))
        async with client.work(MEMBER, attempts=1) as worker:
            plain: Any = lambda job: worker.stop() or {"no": "coroutine"}  # noqa: E731
            await worker.run(plain, signals=())
        (end,) = [
            one["body"]
            for one in (await client.get("/api/packets/p/lineage"))["items"]
            if one["type"] == "packet_failed"
        ]
        assert end["reasons"] == ["error: TypeError"]

    with caplog.at_level(logging.WARNING, "pfgov.client"):
        _tell(api, story)
    assert "async def" in caplog.text


def test_worker_a_job_that_has_ended_says_so(api: Api) -> None:
    """A second end of a job is sent, refused, and then the packet is put back for it."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p"))
            async with await _first(worker) as job:
                await job.complete({"a": 1})
                for write in (job.complete(), job.checkpoint({}), job.hand_off(), job.fail("x")):
                    with pytest.raises(LostOwnershipError, match="already"):
                        await write
            assert worker.counts["complete"] == 1
            assert not worker._owed

    _tell(api, story)


def test_worker_a_life_that_ended_unnoticed_is_no_error_of_its_job(api: Api) -> None:
    """A job whose own clock says that the lease is over counts as one that raised, and fails the packet in the end."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, attempts=1) as worker:
            await client.submit(_submitted("p"))
            job = await _first(worker)

            async def late() -> None:
                async with job:
                    worker._lease.lost()
                    await job.checkpoint({"step": "late"})

            with pytest.raises(LostOwnershipError):
                await late()
            await _until(lambda: _is(not worker._owed))
        shown = await client.get("/api/packets/p/lineage")
        ends = [one["body"]["reason"] for one in shown["items"] if one["type"] == "packet_requeued"]
        assert ends[0] == "its member's lease ran out"
        assert set(ends[1:]) <= {"the worker left"}  # if it was given the packet once more

    _tell(api, story)


# --- handoffs ----------------------------------------------------------------------------------


def test_worker_a_handoff_that_came_to_nothing_is_a_job_again(api: Api) -> None:
    """A job that was offered to somebody who never took it is worked on by nobody."""
    api.member("other", handoff_mode="accept")

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            await client.submit(_submitted("p", hold=True))
            await client.act("p", "assign", {"target": "w"})
            job = await _first(worker)
            async with job:
                await job.hand_off("other")
            assert worker._queue.empty()
            await client.act("p", "abort")
            again = await _first(worker)
            assert again is not job
            assert again.epoch == job.epoch
            await again.complete()

    _tell(api, story)


def test_worker_a_checkpoint_waits_for_the_handoff(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint while somebody moves the packet is an error of the job."""
    monkeypatch.setattr("pfgov.client.job.PENDING_SECONDS", 0.01)
    api.member("other", handoff_mode="accept")

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(_submitted("p", hold=True))
            await client.act("p", "assign", {"target": "w"})
            async with await _first(worker) as job:
                await client.act("p", "handoff", {"target": "other"})
                saving = asyncio.create_task(job.checkpoint({"step": "a"}))
                await asyncio.sleep(0.05)
                assert not saving.done()
                await client.act("p", "abort")
                await saving
                await job.complete()

    _tell(api, story)


def test_worker_a_job_that_was_handed_over_ends_without_an_error(api: Api) -> None:
    """Whoever hands its packet over gets an error for it."""

    async def story(client: InProcess) -> None:
        async with client.work({**MEMBER, "id": "a"}) as first:
            await client.submit(_submitted("p"))
            job = await _first(first)
            async with client.work({**MEMBER, "id": "b", "handoff_mode": "accept"}) as second:
                async with job:
                    await job.hand_off("b")
                    await asyncio.sleep(60)
                taken = await _first(second)
                async with taken:
                    await taken.hand_off("a")  # who accepts at once
                    with pytest.raises(LostOwnershipError):
                        await taken.complete()
                assert (await _first(first)).epoch == 3

    _tell(api, story)


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
                    raise _BrokenError
                if job.packet_id == "p7":
                    await asyncio.sleep(60)
            finally:
                running -= 1

        for number in range(8):
            await client.submit(_submitted(f"p{number}"))
        async with worker:
            ended = asyncio.create_task(
                worker.run(handler, concurrency=3, signals=(), grace_seconds=0.1)
            )
            await _until(lambda: _is(worker.counts["complete"] == 6))
            worker.stop()
            await ended
        assert most <= 3
        shown = [(await client.packet(f"p{n}"))["status"] for n in range(8)]
        assert shown.count("COMPLETED") == 6
        assert shown[7] == "PENDING"
        assert shown[3] in {"PENDING", "FAILED"}

    _tell(api, story)


def test_worker_comes_back_after_a_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that was away for longer than a lease ends the worker for good."""
    monkeypatch.setattr("pfgov.client.running.REST_SECONDS", 0.01)

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            ended = asyncio.create_task(worker.run(lambda _: asyncio.sleep(0), signals=()))
            client.is_cut = True
            await _until(lambda: _is(worker.dead is not None))
            client.is_cut = False
            await client.submit(_submitted("p"))
            await _until(lambda: _status(client, "p", "COMPLETED"))
            assert worker.incarnation == 2
            worker.stop()
            await ended

    _tell(api, story)


def test_worker_owns_nothing_during_maintenance(api: Api) -> None:
    """A worker that is maintained has packets, or gets some; or has to be registered again after it."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            ended = asyncio.create_task(worker.run(lambda _: asyncio.sleep(0.01), signals=()))
            await client.submit(_submitted("p"))
            async with worker.maintenance():
                assert worker.jobs == {}
                await client.submit(_submitted("q"))
                assert (await client.packet("q"))["current_owner"] is None
            await _until(lambda: _status(client, "q", "COMPLETED"))
            worker.stop()
            await ended

    _tell(api, story)
