"""Two workers and one packet against the real application: whatever moves it, and whoever hears of it, one works."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from support.api_server import Api
from support.worker_stories import InProcess, holds, submitted, tell, until

from pfgov.client import AsyncClient, Job, Worker

Move = Callable[[AsyncClient], Awaitable[object]]


class Bench:
    """Where two workers work, and who does just now."""

    def __init__(self) -> None:
        self.at_work: list[str] = []
        self.began: list[str] = []
        self.beside: list[str] = []
        self.seconds_to_stop = 0.1

    async def work(self, name: str, worker: Worker) -> None:
        """Run jobs that never end by themselves."""

        async def run(job: Job) -> None:
            self.beside += self.at_work
            self.at_work.append(name)
            self.began.append(name)
            try:
                await asyncio.sleep(600)
            finally:
                try:
                    await asyncio.sleep(self.seconds_to_stop)
                finally:
                    self.at_work.remove(name)

        async with worker:
            await worker.run(run, signals=())


def _about(name: str, mode: str = "auto") -> dict[str, object]:
    return {"id": name, "type": "agent", "region": "us-east", "handoff_mode": mode}


def _moved(api: Api, move: Move, *, lease: int, cut: bool, mode: str = "auto") -> list[str]:
    """Return who began, in order, when *move* takes the packet from ``a``, which is *cut* off before or not."""
    bench = Bench()

    async def story(client: InProcess) -> None:
        transport = httpx2.ASGITransport(app=api.app)
        async with InProcess("http://localhost", transport=transport) as other:
            other.api = api
            one = client.work(_about("a"), lease_seconds=lease)
            two = other.work(_about("b", mode), lease_seconds=lease)
            tasks = [asyncio.create_task(bench.work("a", one))]
            await until(lambda: holds(one.status is not None))
            await client.submit(submitted("p"))
            await until(lambda: holds(bench.at_work == ["a"]))
            tasks.append(asyncio.create_task(bench.work("b", two)))
            await until(lambda: holds(two.status is not None))
            client.is_cut = client.is_deaf = cut
            await move(other)
            await until(lambda: holds(len(bench.began) > 1))
            client.is_cut = False
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    tell(api, story)
    assert not bench.beside, "two worked at once"
    return bench.began


async def _hand_off(operator: AsyncClient) -> None:
    await operator.act("p", "handoff", {"target": "b"})


async def _requeue(operator: AsyncClient) -> None:
    await operator.act("p", "requeue", {"reason": "test", "elsewhere": True})


async def _drain(operator: AsyncClient) -> None:
    await operator.write("POST", "/api/members/a/drain", {"mode": "stop_first"})


async def _fail(operator: AsyncClient) -> None:
    await operator.write("POST", "/api/members/a/fail", {})


MOVES: dict[str, Move] = {"hand_off": _hand_off, "requeue": _requeue, "drain": _drain}


@pytest.mark.parametrize("move", MOVES)
def test_handover_a_member_that_is_cut_off_is_waited_for(api: Api, move: str) -> None:
    """A packet runs twice, because its owner heard nothing of the move; or the next owner never begins."""
    assert _moved(api, MOVES[move], lease=2, cut=True) == ["a", "b"]


@pytest.mark.parametrize("move", MOVES)
def test_handover_a_member_that_hears_is_not_waited_for_a_lease(api: Api, move: str) -> None:
    """A packet that is moved between two that hear rests for an hour; or it is begun before the other has stopped."""
    assert _moved(api, MOVES[move], lease=3_600, cut=False) == ["a", "b"]


def test_handover_a_target_that_accepts_begins_when_the_other_stopped(api: Api) -> None:
    """Whoever accepts a handoff runs the job while the one before has not heard of it."""
    assert _moved(api, _hand_off, lease=3_600, cut=False, mode="accept") == ["a", "b"]


def test_handover_a_member_that_was_failed_and_heard_it_is_not_waited_for(api: Api) -> None:
    """An operator fails a member that lives, and its packets rest for its whole lease."""
    assert _moved(api, _fail, lease=3_600, cut=False)[:2] == ["a", "b"]
