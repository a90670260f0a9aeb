"""What a worker hands out, whatever it hears and in whatever order."""

import asyncio
from typing import Any

from pfgov.client import Recorded
from pfgov.client.work import OVER_MAX, Job, Worker, WorkerOptions


class _Server:
    """Answers every act; says nothing else."""

    async def act(self, packet_id: str, verb: str, *_: object, **__: object) -> Recorded:
        await asyncio.sleep(0)
        return Recorded({"position": 1}, (), {})


def _worker() -> Worker:
    worker = Worker(_Server(), {"id": "w"}, WorkerOptions(60, 1))  # type: ignore[arg-type]
    worker.incarnation = 1
    worker._lease.renewed(asyncio.get_running_loop().time())
    return worker


def _compare(worker: Worker, shown: dict[str, Any]) -> None:
    worker._compare("p", shown, asyncio.get_running_loop().time())


def _shown(epoch: int, status: str = "ASSIGNED", owner: str | None = "w") -> dict[str, Any]:
    return {
        "packet_id": "p",
        "status": status,
        "current_owner": owner,
        "incarnation": 1,
        "epoch": epoch,
        "handoff": {"pending": None},
    }


def test_worker_an_old_answer_is_no_second_job() -> None:
    """A packet read before its job ended and compared after is worked on again."""

    async def story() -> None:
        worker = _worker()
        _compare(worker, _shown(1))
        first = await worker._queue.get()
        assert isinstance(first, Job)
        await first.complete()
        _compare(worker, _shown(1))
        assert worker._queue.empty()
        assert worker.jobs == {}

    asyncio.run(story())


def test_worker_a_new_epoch_is_a_new_job() -> None:
    """A packet that came back is never worked on."""

    async def story() -> None:
        worker = _worker()
        _compare(worker, _shown(1))
        first = await worker._queue.get()
        assert isinstance(first, Job)
        await first.give_back()
        _compare(worker, _shown(1, "SUBMITTED", None))
        _compare(worker, _shown(2))
        second = await worker._queue.get()
        assert isinstance(second, Job)
        assert second.epoch == 2
        second.lose("somebody said so")
        _compare(worker, _shown(2))
        assert worker._queue.empty()
        _compare(worker, _shown(3))
        third = await worker._queue.get()
        assert isinstance(third, Job)
        assert third.epoch == 3

    asyncio.run(story())


def test_worker_what_ended_is_remembered_within_a_bound() -> None:
    """A worker that lives for years grows for years."""

    async def story() -> None:
        worker = _worker()
        for number in range(OVER_MAX + 5):
            worker.forget(Job(worker, {"packet_id": f"p{number}"}, 1))
        assert len(worker._over) == OVER_MAX
        assert f"p{OVER_MAX + 4}" in worker._over

    asyncio.run(story())
