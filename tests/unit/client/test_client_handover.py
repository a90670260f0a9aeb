"""What a worker says that it knows, has not put down, and may begin."""

import asyncio
from typing import Any

import pytest

from pfgov.client.handover import LONGEST_SECONDS, Handover
from pfgov.client.work import Job, Worker, WorkerOptions

NAMED = {"packet_id": "p", "epoch": 2}


class _Server:
    """Answers heartbeats as it is told; *said* is what it heard."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {}
        self.heard, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def beat(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        self.said.append(body)
        self.heard.set()
        await self.may_answer.wait()
        position = len(self.said)
        nothing = {"lost": [], "unnamed": [], "held_back": [], "lease_seconds": 60}
        return {**nothing, "position": position, "status": "ACTIVE", **self.answer}


def _worker() -> tuple[Worker, _Server]:
    server = _Server()
    worker = Worker(server, {"id": "w"}, WorkerOptions(60, 1))  # type: ignore[arg-type]
    worker.incarnation = 1
    return worker, server


def _shown(worker: Worker, epoch: int, owner: str = "w") -> None:
    shown = {
        "packet_id": "p",
        "status": "ASSIGNED",
        "current_owner": owner,
        "incarnation": 1,
        "epoch": epoch,
        "handoff": {"pending": None},
    }
    worker._compare("p", shown, asyncio.get_running_loop().time())


def test_handover_an_answer_under_way_bounds_what_is_known() -> None:
    """A worker says that it will not begin a packet which a slow answer then shows as its own."""
    handover = Handover()
    assert handover.knows is None
    with handover.asking():
        handover.learned(7)
        assert handover.knows is None
    assert handover.knows == 7
    with handover.asking(), handover.asking():
        handover.learned(9)
        assert handover.knows == 7
        handover.learned(8)
    assert handover.knows == 9
    with pytest.raises(ZeroDivisionError), handover.asking():
        raise ZeroDivisionError
    handover.learned(10)
    assert handover.knows == 10


def test_handover_what_is_held_back_is_not_begun() -> None:
    """A packet that another may be at work on is begun at once, or never; or one nobody had before has to wait."""

    async def story() -> None:
        worker, server = _worker()
        await worker._beat()
        _shown(worker, 1)
        assert (await worker._queue.get()) is worker.jobs["p"]
        worker.forget(worker.jobs["p"])
        _shown(worker, 2)
        assert worker._poked.is_set()
        assert worker._queue.empty()
        server.answer = {"held_back": [{**NAMED, "seconds": 3}]}
        for _ in range(3):
            await worker._beat()
            assert worker._queue.empty()
        assert server.said[-1]["owns"] == [NAMED]
        server.answer = {}
        await worker._beat()
        assert worker._queue.get_nowait() is worker.jobs["p"]

    asyncio.run(story())


def test_handover_an_answer_to_a_heartbeat_without_the_packet_says_nothing_of_it() -> None:
    """A job begins upon the answer to a heartbeat that was sent before it was taken."""

    async def story() -> None:
        worker, server = _worker()
        server.may_answer.clear()
        beating = asyncio.create_task(worker._beat())
        await server.heard.wait()
        _shown(worker, 2)
        server.may_answer.set()
        await beating
        assert worker._queue.empty()
        await worker._beat()
        assert not worker._queue.empty()

    asyncio.run(story())


def test_handover_a_lost_job_is_named_until_its_block_has_ended() -> None:
    """A worker says that it stopped while its block still cleans up; or it runs a packet that came back beside it."""

    async def story() -> None:
        worker, server = _worker()
        worker._lease.renewed(asyncio.get_running_loop().time())
        _shown(worker, 1)
        job = await worker._queue.get()
        assert isinstance(job, Job)
        cleaned, begun = asyncio.Event(), asyncio.Event()

        async def block() -> None:
            async with job:
                try:
                    begun.set()
                    await asyncio.sleep(60)
                finally:
                    await cleaned.wait()

        running = asyncio.create_task(block())
        await begun.wait()
        _shown(worker, 2, "other")
        await worker._beat()
        assert server.said[-1]["owns"] == [{"packet_id": "p", "epoch": 1}]
        _shown(worker, 3)
        await worker._beat()
        assert worker._queue.empty()
        worker._poked.clear()
        cleaned.set()
        await asyncio.gather(running, return_exceptions=True)
        assert worker._poked.is_set()
        await worker._beat()
        assert server.said[-1]["owns"] == [{"packet_id": "p", "epoch": 3}]
        assert not worker._queue.empty()

    asyncio.run(story())


def test_handover_a_loss_of_what_nobody_works_on_is_said_at_once() -> None:
    """The next owner waits for the next heartbeat of a worker that had not begun."""

    async def story() -> None:
        worker, server = _worker()
        _shown(worker, 2)
        worker._poked.clear()
        _shown(worker, 3, "other")
        assert worker._poked.is_set()
        await worker._beat()
        assert server.said[-1]["owns"] == []
        assert worker._queue.empty()

    asyncio.run(story())


def test_handover_asks_again_soon_and_then_less_often() -> None:
    """A job waits a third of a lease for a heartbeat; or a worker asks without a pause."""

    async def story() -> None:
        worker, _ = _worker()
        handover = worker._handover
        assert handover.pause(20) == 20
        _shown(worker, 2)
        pauses = [handover.pause(20) for _ in range(10)]
        assert pauses == sorted(pauses)
        assert pauses[0] < 0.1
        assert pauses[-1] == LONGEST_SECONDS
        assert handover.pause(0.5) == 0.5
        worker.forget(worker.jobs["p"])
        assert handover.pause(20) == 20

    asyncio.run(story())
