"""Keeping up with an API server that ends watches, forgets, restarts and breaks off; and one leader among several."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.fake_kubernetes import FakeCluster

from pfgov.client import AsyncClient, bounds
from pfgov.clock import ManualClock
from pfgov.kubernetes import api as k
from pfgov.kubernetes import watching
from pfgov.kubernetes.api import Kubernetes, NoAnswerError, RefusedError
from pfgov.kubernetes.asking import Cluster
from pfgov.kubernetes.connecting import Connection
from pfgov.kubernetes.controller import Controller, Setup
from pfgov.kubernetes.leading import LEASE_SECONDS, MARGIN_SECONDS, Leadership
from pfgov.kubernetes.objects import Pod, read_pod
from pfgov.kubernetes.watching import Watched

MICRO = 1_000_000


def run(story: Callable[[FakeCluster, Watched[str, Pod]], Awaitable[None]]) -> FakeCluster:
    """Run *story* while the pods of a cluster are kept up with."""
    fake = FakeCluster()
    fake.namespace("team")

    async def go() -> None:
        api = Kubernetes(Connection("http://cluster"), transport=fake)
        pods = Watched[str, Pod](api, k.PODS, read_pod, lambda one: one.uid, lambda: None)
        task = asyncio.create_task(pods.run())
        await until(lambda: bool(fake.watches))
        await story(fake, pods)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await api.close()

    asyncio.run(asyncio.wait_for(go(), 30))
    return fake


async def until(is_so: Callable[[], bool]) -> None:
    """Let the event loop run until something is so."""
    while not is_so():  # noqa: ASYNC110 - the fake has no event for it
        await asyncio.sleep(0)


def names(pods: Watched[str, Pod]) -> set[str]:
    """The names of the pods that are kept."""
    return {one.name for one in pods.objects.values()}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSES", (0.0,))


def test_changes_are_heard() -> None:
    """What is created, changed and deleted is what is kept, page after page and event after event."""

    async def story(fake: FakeCluster, pods: Watched[str, Pod]) -> None:
        for number in range(5):
            fake.pod(f"p{number}")
        await until(lambda: len(pods.objects) == 5)
        fake.finish("p1")
        fake.remove("pods", "p2", "team")
        await until(lambda: len(pods.objects) == 4)
        phases = {one.name: one.phase for one in pods.objects.values()}
        assert phases["p1"] == "Succeeded"

    fake = run(story)
    assert sum("watch=true" not in one for one in fake.requests) == 1


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    """A watch that the server ends, and one that breaks, go on from the last version: nothing is listed again."""

    async def story(fake: FakeCluster, pods: Watched[str, Pod]) -> None:
        for number, error in enumerate(
            (None, httpx2.ReadError("reset"), httpx2.RemoteProtocolError("cut"))
        ):
            fake.cut(error)
            fake.pod(f"p{number}")
            await until(lambda: len(pods.objects) == number + 1)  # noqa: B023 - it ends before the next

    fake = run(story)
    assert sum("watch=true" not in one for one in fake.requests) == 1


def test_a_version_that_is_gone_is_listed_anew() -> None:
    """410 Gone: everything is listed, and what vanished meanwhile is kept no longer."""

    async def cut_off(fake: FakeCluster, pods: Watched[str, Pod]) -> None:
        fake.pod("old")
        await until(lambda: names(pods) == {"old"})
        silent, fake.watches = fake.watches, []
        fake.remove("pods", "old", "team")
        fake.pod("new")
        fake.compact()
        for one in silent:
            one.queue.put_nowait(httpx2.ReadError("reset"))
        await until(lambda: names(pods) == {"new"})

    fake = run(cut_off)
    assert sum("watch=true" not in one for one in fake.requests) > 1


def test_a_bookmark_keeps_the_version_fresh() -> None:
    """After a bookmark, a compaction does not cost a list: the watch goes on from the bookmark."""

    async def story(fake: FakeCluster, pods: Watched[str, Pod]) -> None:
        fake.node("n1")  # other kinds move the version on
        fake.bookmark()
        seen = pods._version
        await until(lambda: pods._version != seen)
        fake.compact()
        fake.cut()
        fake.pod("p")
        await until(lambda: names(pods) == {"p"})

    fake = run(story)
    assert sum("watch=true" not in one for one in fake.requests) == 1


def test_a_restarted_server_is_found_again() -> None:
    """No answer at all for a while, then a server that forgot: what is there is kept."""

    async def story(fake: FakeCluster, pods: Watched[str, Pod]) -> None:
        fake.is_down = True
        fake.restart()
        asked = len(fake.requests)
        await until(lambda: len(fake.requests) > asked + 2)
        assert pods.error is not None
        fake.pod("p")
        fake.is_down = False
        await until(lambda: names(pods) == {"p"})

    run(story)


def test_an_object_of_no_known_shape_takes_nothing_with_it() -> None:
    """One object that cannot be read is left out; the others are kept, and so is what was known of it."""

    async def story(fake: FakeCluster, pods: Watched[str, Pod]) -> None:
        fake.pod("good")
        fake.pod("bad")
        await until(lambda: len(pods.objects) == 2)
        fake.change("pods", "bad", "team", lambda one: one["spec"].update(schedulingGates="x"))
        fake.pod("third")
        await until(lambda: len(pods.objects) == 3)
        pods.forget_version()
        await pods.list()
        assert names(pods) == {"good", "bad", "third"}

    run(story)


def broken(answer: Callable[[httpx2.Request], httpx2.Response]) -> Kubernetes:
    """A client of a server that answers as it likes."""
    return Kubernetes(Connection("http://cluster"), transport=httpx2.MockTransport(answer))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(200, content=b"[" * 100_000), NoAnswerError),
        (httpx2.Response(200, content=b"[]"), NoAnswerError),
        (httpx2.Response(200, content=b"<html>"), NoAnswerError),
        (httpx2.Response(500, content=b"<html>"), RefusedError),
        (httpx2.Response(302, headers={"location": "http://elsewhere/"}), RefusedError),
        (httpx2.Response(403, json={"reason": "Forbidden", "message": "x" * 10_000}), RefusedError),
    ],
)
def test_answers_of_no_form_are_errors(answer: Any, error: type[Exception]) -> None:
    """What is no answer of an API server is an error of ours, short, and no redirect is followed."""

    async def go() -> None:
        with pytest.raises(error) as caught:
            await broken(lambda _: answer).list(k.PODS)
        assert len(str(caught.value)) < 1_200

    asyncio.run(go())


@pytest.mark.parametrize("code", ["soon", None, [410], {}, 1e3, True, -1, 403])
def test_an_error_in_a_watch_is_an_error_whatever_its_number(code: Any) -> None:
    """A watch that reports an error with no number for a code ends the task that keeps up, and nobody hears of it."""
    line = json.dumps({"type": "ERROR", "object": {"code": code, "message": "m"}}).encode()

    async def go() -> None:
        with pytest.raises(RefusedError):
            async for _ in broken(lambda _: httpx2.Response(200, content=line + b"\n")).watch(
                k.PODS, "1"
            ):
                pass

    asyncio.run(go())


@pytest.mark.parametrize("page", [{"items": []}, {"items": [{}] * 4}])
def test_a_list_without_an_end_is_an_error(
    page: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that follow each other for ever fill the memory, or keep the controller busy without a word."""
    monkeypatch.setattr(k, "OBJECTS_MAX", 10)
    answer = {**page, "metadata": {"continue": "more"}}

    async def go() -> None:
        with pytest.raises(NoAnswerError, match="does not end"):
            await broken(lambda _: httpx2.Response(200, json=answer)).list(k.PODS)

    asyncio.run(go())


def test_a_token_that_cannot_be_read_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """While the token is replaced nothing is read, and what keeps up with the cluster ends for good."""
    token, asked = tmp_path / "token", asyncio.Event()

    def answer(_: httpx2.Request) -> httpx2.Response:
        asked.set()
        return httpx2.Response(410, json={"reason": "Expired"})

    async def go() -> None:
        client = Kubernetes(
            Connection("http://cluster", token), transport=httpx2.MockTransport(answer)
        )
        pods = Watched[str, Pod](client, k.PODS, read_pod, lambda one: one.uid, lambda: None)
        running = asyncio.create_task(pods.run())
        await until(lambda: pods.error is not None or running.done())
        assert pods.error is not None
        token.write_text("t")
        await asyncio.wait_for(asked.wait(), 20)
        running.cancel()

    asyncio.run(go())


def test_a_controller_does_not_act_on_what_nobody_keeps_up_with() -> None:
    """What keeps up with pods ends, and the controller goes on with the pods that there were then."""

    async def go() -> None:
        fake = FakeCluster()
        away = httpx2.MockTransport(lambda _: httpx2.Response(503))
        client = AsyncClient("http://ledger", transport=away)
        controller = Controller(
            Kubernetes(Connection("http://cluster"), transport=fake),
            client,
            Setup(Cluster("east", ""), is_alone=True),
        )

        async def ends() -> None:
            raise ZeroDivisionError

        controller.pods.run = ends  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(controller.run(), 20)
        await client.close()

    asyncio.run(go())


def test_too_much_is_not_taken_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond the bound is an error before it is in memory."""
    monkeypatch.setattr(bounds, "ANSWER_BYTES_MAX", 10)

    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"items":'
        yield b"[]}"

    async def go() -> None:
        with pytest.raises(NoAnswerError, match="larger than 10"):
            await broken(lambda _: httpx2.Response(200, content=pieces())).list(k.PODS)

    asyncio.run(go())


# --- one leader ---------------------------------------------------------------------------


def leaders(fake: FakeCluster, clock: ManualClock) -> tuple[Leadership, Leadership]:
    """Two controllers that compete."""
    api = Kubernetes(Connection("http://cluster"), transport=fake)
    one, two = (Leadership(api, "pfgov-system", name, clock=clock) for name in ("a", "b"))
    return one, two


def test_one_leads_and_the_other_follows_when_it_is_silent() -> None:
    """The second takes over once the first was silent for a whole lease, and the first has stopped before that."""
    fake, clock = FakeCluster(), ManualClock(0)
    one, two = leaders(fake, clock)

    async def go() -> None:
        assert await one.renew()
        assert not await two.renew()
        clock.advance(int(LEASE_SECONDS - MARGIN_SECONDS) * MICRO)
        assert not one.is_held
        assert not await two.renew()
        clock.advance(int(MARGIN_SECONDS) * MICRO)
        assert await two.renew()
        assert not await one.renew()
        (lease,) = fake.all("leases")
        assert lease["spec"]["holderIdentity"] == "b"
        assert lease["spec"]["leaseTransitions"] == 1

    asyncio.run(go())


def test_whoever_leaves_lets_the_next_begin() -> None:
    """A lease that is given up is taken at once; one that is renewed is not."""
    fake, clock = FakeCluster(), ManualClock(0)
    one, two = leaders(fake, clock)

    async def go() -> None:
        assert await one.renew()
        clock.advance(4 * MICRO)
        assert await one.renew()
        assert not await two.renew()
        await one.leave()
        assert not one.is_held
        assert await two.renew()
        await one.leave()
        assert (await two.renew(), two.is_held) == (True, True)

    asyncio.run(go())


def test_of_two_at_once_one_leads() -> None:
    """Both read a free lease and write: the server lets one of them."""
    fake, clock = FakeCluster(), ManualClock(0)
    one, two = leaders(fake, clock)

    async def go() -> None:
        assert sorted(await asyncio.gather(one.renew(), two.renew())) == [False, True]

    asyncio.run(go())
