"""A worker's jobs against the real application: none is lost, none hangs for ever, and handoffs are no errors."""

import asyncio
import logging
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

from pfgov.client import Job, LostOwnershipError
from pfgov.client.job import StalledError


async def _break(job: Job, client: InProcess | None = None) -> None:
    """Do a little, and raise; or be cut off before."""
    async with job:
        if client is None:
            await job.checkpoint({"step": "x"})  # progress does not reset what is counted
        else:
            client.is_cut = True
        raise BrokenError("jane@example.com")


def test_worker_an_error_is_recorded_and_bounded(api: Api) -> None:
    """A job that raised keeps its packet for ever, or raises for ever; or the error's text is in the ledger."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, attempts=3) as worker:
            await client.submit(submitted("p"))
            for _ in range(3):
                job = await first_job(worker)
                with pytest.raises(BrokenError):
                    await _break(job)
            assert (await client.packet("p"))["status"] == "FAILED"
        entries = (await client.get("/api/packets/p/lineage"))["items"]
        ends = [one for one in entries if one["type"] in {"packet_requeued", "packet_failed"}]
        assert [one["type"] for one in ends] == ["packet_requeued"] * 2 + ["packet_failed"]
        assert ends[0]["body"]["reason"] == "error: BrokenError"
        assert ends[2]["body"]["reasons"] == ["error: BrokenError"]
        assert "jane@" not in str(entries)

    tell(api, story)


def test_worker_an_error_rule_is_asked_for_each_error(api: Api) -> None:
    """``on_error`` says one thing for all errors."""

    async def story(client: InProcess) -> None:
        def rule(error: Exception) -> Any:
            return "fail" if isinstance(error, KeyError) else "requeue"

        async with client.work(MEMBER, on_error=rule) as worker:
            await client.submit(submitted("p"))
            job = await first_job(worker)
            with pytest.raises(KeyError):
                async with job:
                    raise KeyError("x")
            assert (await client.packet("p"))["status"] == "FAILED"

    tell(api, story)


def test_worker_a_job_that_just_ends_gives_its_packet_back(api: Api) -> None:
    """A block that is left without a word keeps the packet from everybody, while its member lives."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p"))
            async with await first_job(worker):
                pass
            assert (await first_job(worker)).epoch == 3

    tell(api, story)


def test_worker_what_could_not_be_said_is_said_later(api: Api) -> None:
    """A job that raised while the server was away keeps its packet for ever."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            await client.submit(submitted("p"))
            job = await first_job(worker)
            with pytest.raises(BrokenError):
                await _break(job, client)
            assert not job.ended
            client.is_cut = False
            worker._poked.set()
            await until(lambda: holds(job.ended))
            assert (await first_job(worker)).epoch == 3

    tell(api, story)


def test_worker_learns_what_no_event_said(api: Api) -> None:
    """A packet whose event was missed is worked on by nobody."""

    async def story(client: InProcess) -> None:
        client.is_deaf = True
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p"))
            worker._poked.set()  # it beats
            assert (await first_job(worker)).packet_id == "p"

    tell(api, story)


def test_worker_a_late_write_does_not_end_the_worker(api: Api) -> None:
    """A job that learns in its own block that it is lost leaves a cancellation behind, which hits what comes next."""

    async def story(client: InProcess) -> None:
        client.is_deaf = True
        async with client.work(MEMBER, lease_seconds=60) as worker:
            await client.submit(submitted("p"))
            worker._look_at(["p"])
            job = await first_job(worker)
            await client.write("POST", "/api/packets/p/requeue")
            with pytest.raises(LostOwnershipError):
                async with job:
                    await job.checkpoint({"step": "late"})
            await asyncio.sleep(0)
            assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]

    tell(api, story)


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
            await client.submit(submitted("p"))
            job = await first_job(worker)
            with pytest.raises(StalledError):
                await hang(job)
            assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]
            entries = (await client.get("/api/packets/p/lineage"))["items"]
            ends = [one["body"]["reason"] for one in entries if one["type"] == "packet_requeued"]
            assert ends == ["error: StalledError"]

    tell(api, story)


def test_worker_a_server_that_is_slow_is_not_the_jobs_fault(api: Api) -> None:
    """While the server restarts, each job that waits for its answer is held to hang, and its packet's attempts go."""

    async def story(client: InProcess) -> None:
        may_answer = asyncio.Event()
        send = client.send

        async def slow(ask: Any) -> Any:
            if ask.path.endswith(("/checkpoint", "/context")):
                await may_answer.wait()
            return await send(ask)

        async with client.work(MEMBER, progress_seconds=0.1) as worker:
            await client.submit({**submitted("p"), "context_checkpoint": {"step": "begin"}})
            job = await first_job(worker)
            client.send = slow  # type: ignore[method-assign]
            asyncio.get_running_loop().call_later(0.4, may_answer.set)
            with pytest.raises(StalledError):
                await ask_and_hang(job)
            saved = await client.get("/api/packets/p/context")
            assert saved["context"] == {"step": "half"}

    async def ask_and_hang(job: Job) -> None:
        async with job:
            await asyncio.gather(job.context(), job.context())
            await job.checkpoint({"step": "half"})
            await asyncio.sleep(60)

    tell(api, story)


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
            await client.submit({**submitted("p"), "progress_seconds": 1})
            job = await first_job(worker)
            assert job.progress_seconds == 0.9
            assert worker._belief(job)["progressed"], "it waits its turn"
            with pytest.raises(StalledError):
                async with job:
                    await asyncio.sleep(60)
            entries = (await client.get("/api/packets/p/lineage"))["items"]
            (end,) = [one["body"] for one in entries if one["type"] == "packet_requeued"]
            assert (end["reason"], end["elsewhere"]) == ("error: StalledError", True)

    tell(api, story)
    said = [one["progressed"] for one in asked if one["epoch"] == 1]
    assert False in said, said


def test_worker_heeds_a_bound_that_came_later(api: Api) -> None:
    """A job goes on by the terms with which it began, and the server takes what it works on."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p"))
            job = await first_job(worker)

            async def changed() -> None:
                async with job:
                    await client.write("PATCH", "/api/packets/p", {"progress_seconds": 1})
                    await worker.look("p")
                    await asyncio.sleep(60)

            with pytest.raises(StalledError):
                await changed()

    tell(api, story)


def test_worker_heeds_a_bound_that_became_another(api: Api) -> None:
    """A job hangs for as long as it might at first, after its packet was given to somebody else; or dies at once."""

    async def story(client: InProcess) -> None:
        loop = asyncio.get_running_loop()
        async with client.work(MEMBER) as worker:
            await client.submit({**submitted("p"), "progress_seconds": 600})
            job = await first_job(worker)
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

    tell(api, story)


def test_worker_what_went_wrong_is_in_the_log_alone(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever wrote a job is told the class of its error and no more; or the ledger gets the text of it."""

    async def story(client: InProcess) -> None:
        await client.submit(submitted("p"))
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
        tell(api, story)
    assert "async def" in caplog.text


def test_worker_a_job_that_has_ended_says_so(api: Api) -> None:
    """A second end of a job is sent, refused, and then the packet is put back for it."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p"))
            async with await first_job(worker) as job:
                await job.complete({"a": 1})
                for write in (job.complete(), job.checkpoint({}), job.hand_off(), job.fail("x")):
                    with pytest.raises(LostOwnershipError, match="already"):
                        await write
            assert worker.counts["complete"] == 1
            assert not worker._owed

    tell(api, story)


def test_worker_a_life_that_ended_unnoticed_is_no_error_of_its_job(api: Api) -> None:
    """A job whose own clock says that the lease is over counts as one that raised, and fails the packet in the end."""

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, attempts=1) as worker:
            await client.submit(submitted("p"))
            job = await first_job(worker)

            async def late() -> None:
                async with job:
                    worker._lease.lost()
                    await job.checkpoint({"step": "late"})

            with pytest.raises(LostOwnershipError):
                await late()
            await until(lambda: holds(not worker._owed))
        shown = await client.get("/api/packets/p/lineage")
        ends = [one["body"]["reason"] for one in shown["items"] if one["type"] == "packet_requeued"]
        assert ends[0] == "its member's lease ran out"
        assert set(ends[1:]) <= {"the worker left"}  # if it was given the packet once more

    tell(api, story)


# --- handoffs ----------------------------------------------------------------------------------


def test_worker_a_handoff_that_came_to_nothing_is_a_job_again(api: Api) -> None:
    """A job that was offered to somebody who never took it is worked on by nobody."""
    api.member("other", handoff_mode="accept")

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER, lease_seconds=3) as worker:
            await client.submit(submitted("p", hold=True))
            await client.act("p", "assign", {"target": "w"})
            job = await first_job(worker)
            async with job:
                await job.hand_off("other")
            assert worker._queue.empty()
            await client.act("p", "abort")
            again = await first_job(worker)
            assert again is not job
            assert again.epoch == job.epoch
            await again.complete()

    tell(api, story)


def test_worker_a_checkpoint_waits_for_the_handoff(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint while somebody moves the packet is an error of the job."""
    monkeypatch.setattr("pfgov.client.job.PENDING_SECONDS", 0.01)
    api.member("other", handoff_mode="accept")

    async def story(client: InProcess) -> None:
        async with client.work(MEMBER) as worker:
            await client.submit(submitted("p", hold=True))
            await client.act("p", "assign", {"target": "w"})
            async with await first_job(worker) as job:
                await client.act("p", "handoff", {"target": "other"})
                saving = asyncio.create_task(job.checkpoint({"step": "a"}))
                await asyncio.sleep(0.05)
                assert not saving.done()
                await client.act("p", "abort")
                await saving
                await job.complete()

    tell(api, story)


def test_worker_a_job_that_was_handed_over_ends_without_an_error(api: Api) -> None:
    """Whoever hands its packet over gets an error for it."""

    async def story(client: InProcess) -> None:
        async with client.work({**MEMBER, "id": "a"}) as first:
            await client.submit(submitted("p"))
            job = await first_job(first)
            async with client.work({**MEMBER, "id": "b", "handoff_mode": "accept"}) as second:
                async with job:
                    await job.hand_off("b")
                    await asyncio.sleep(60)
                taken = await first_job(second)
                async with taken:
                    await taken.hand_off("a")  # who accepts at once
                    with pytest.raises(LostOwnershipError):
                        await taken.complete()
                assert (await first_job(first)).epoch == 3

    tell(api, story)
