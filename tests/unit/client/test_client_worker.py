"""What a worker hands out, whatever it hears and in whatever order."""

import asyncio
import logging
from typing import Any

import pytest

from pfgov.client import AsyncClient, Client, Recorded
from pfgov.client.idle import Idle
from pfgov.client.lease import ran_out
from pfgov.client.work import OVER_MAX, Job, Worker, WorkerOptions


class _Server:
    """Answers every act and every heartbeat; says nothing else."""

    async def act(self, packet_id: str, verb: str, *_: object, **__: object) -> Recorded:
        await asyncio.sleep(0)
        return Recorded({"position": 1}, (), {})

    async def beat(self, *_: object) -> dict[str, Any]:
        heard = {"lost": [], "unnamed": [], "held_back": [], "lease_seconds": 60}
        return {**heard, "position": 1, "status": "ACTIVE"}


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
        await worker._beat()
        second = await worker._queue.get()
        assert isinstance(second, Job)
        assert second.epoch == 2
        second.lose("somebody said so")
        _compare(worker, _shown(2))
        assert worker._queue.empty()
        _compare(worker, _shown(3))
        await worker._beat()
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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"on_error": "retry"}, "'retry': it is one of requeue, fail, hand_off"),
        ({"attempts": 0}, "the first is one"),
        ({"lease_seconds": 0}, "lease_seconds is 0"),
        ({"progress_seconds": 0}, "progress_seconds is 0"),
        ({"progress_seconds": float("nan")}, "progress_seconds is nan"),
        ({"lease_seconds": float("inf")}, "lease_seconds is inf"),
        ({"lease_seconds": "30"}, "lease_seconds is '30': it has to be a number"),
        ({"skew_seconds": "1"}, "skew_seconds is '1': it has to be 0 or more"),
        ({"skew_seconds": -1}, "skew_seconds is -1: it has to be 0 or more"),
    ],
)
def test_client_a_worker_that_could_not_work_is_refused(options: dict[str, Any], said: str) -> None:
    """A slip in an argument is found when a packet fails for it, or never."""
    with pytest.raises(ValueError, match=said):
        AsyncClient().work({"id": "m", "type": "agent"}, **options)


@pytest.mark.parametrize("make", [AsyncClient, Client])
def test_client_an_anchor_is_no_name_of_a_file(make: Any) -> None:
    """Who gives the name of the anchor's file is told about the form of a key."""
    with pytest.raises(ValueError, match="not the file's name"):
        make("http://localhost", anchor="anchor.txt")


def test_client_a_member_has_an_id() -> None:
    """A member without an id is a KeyError of ours."""
    with pytest.raises(ValueError, match="has an id"):
        AsyncClient().work({"type": "agent"})


@pytest.mark.parametrize("make", [Client, AsyncClient])
def test_client_an_address_has_a_scheme(make: Any) -> None:
    """What can be no server's address is tried for as long as patience lasts."""
    with pytest.raises(ValueError, match="http://"):
        make("localhost:8000")


def test_client_nobody_waits_for_jobs_outside() -> None:
    """A worker that was never entered waits for ever, or does nothing and says that all is done."""

    async def story() -> None:
        worker = AsyncClient().work({"id": "m", "type": "agent"})

        async def nothing(_: Job) -> None:
            return None

        with pytest.raises(RuntimeError, match="enter the worker"):
            await worker.run(nothing, signals=())
        with pytest.raises(RuntimeError, match="enter the worker"):
            await anext(aiter(worker))
        with pytest.raises(ValueError, match="concurrency is 0"):
            await worker.run(nothing, concurrency=0, signals=())

    asyncio.run(story())


def test_client_a_loop_that_stood_still_is_named() -> None:
    """Whoever blocks the event loop is told of a network that was away."""
    assert "without an answer" in ran_out(0.2)
    assert "to_thread" in ran_out(5)


def test_client_work_of_other_kinds_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Every idle worker of a fleet that does several kinds of work warns; or one that lacks trust does not."""
    idle = Idle()
    assert idle.is_to_ask(0.0, is_busy=False)
    assert not idle.is_to_ask(1.0, is_busy=False)
    other = {
        "waiting": 1,
        "kept_from": 1,
        "rules": {"kernel/capabilities": 1},
        "nearest_misses": [],
    }
    with caplog.at_level(logging.WARNING, "pfgov.client"):
        idle.note("m", other)
        assert not caplog.records
        idle.note("m", {**other, "rules": {"kernel/minimum-trust": 1}})
        idle.note("m", {**other, "rules": {"kernel/minimum-trust": 1}})
    assert len(caplog.records) == 1
    assert not idle.is_to_ask(60.0, is_busy=True)
    assert idle.reason is None
