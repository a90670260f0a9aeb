"""The event loop and the engine: nothing waits for a thread, nobody is forgotten when the writer dies."""

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.ledgers import OPERATOR, fresh, opened, packet, register, verified

from pfgov.app import loop_bridge
from pfgov.app.loop_bridge import LoopBridge
from pfgov.core import commands as c
from pfgov.engine import Engine, Idempotency, Receipt, Request
from pfgov.engine.sequencing.command_queue import LIGHT, Job, Started, is_light
from pfgov.engine.sequencing.deciding import Decider
from pfgov.errors import EngineStoppedError, PfgovError, StoreError

pytestmark = pytest.mark.process

PATIENCE_SECONDS = 30


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine whose commits have a process of their own, with one member."""
    with opened(fresh(tmp_path), committing="process") as engine:
        register(engine, "m", capacity=(("cpu", "100000"),))
        yield engine


def ask(bridge: LoopBridge, name: str) -> "asyncio.Future[Receipt]":
    """Submit a packet over the relay."""
    return send(bridge, packet(name))


def send(bridge: LoopBridge, action: c.Action) -> "asyncio.Future[Receipt]":
    """Submit a command over the relay."""
    expected = bridge.expect()
    bridge.submit(Request(action, OPERATOR, outcome=expected))
    return expected.future


def _checkpoints(engine: Engine) -> int:
    with sqlite3.connect(engine.store.directory / "ledger.db") as connection:
        count: int = connection.execute("SELECT count(*) FROM checkpoint").fetchone()[0]
    return count


def test_api_relay_decides_together_what_was_asked_together(engine: Engine, tmp_path: Path) -> None:
    """Commands of one turn of the loop are one commit, each with its own receipt, and need no thread."""
    before = _checkpoints(engine)

    async def story() -> list[Receipt]:
        bridge = LoopBridge(engine)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.gather(*(ask(bridge, f"p{i:02}") for i in range(60)))
        finally:
            bridge.close()

    receipts = asyncio.run(story())
    assert [r.position for r in receipts] == list(
        range(receipts[0].position, receipts[0].position + 120, 2)
    )
    assert _checkpoints(engine) - before < 30
    assert engine.queue._thread is None
    engine.close()
    assert verified(engine.layout.directory, tmp_path).exit_status == 0


def test_api_relay_answers_everybody_when_the_writer_dies(engine: Engine, tmp_path: Path) -> None:
    """Killed under a batch, the writer leaves nobody waiting: each is acknowledged or refused, and work goes on."""

    async def story() -> list[Receipt | BaseException]:
        bridge = LoopBridge(engine)
        found: list[Receipt | BaseException] = []
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for turn in range(6):
                    asked = [ask(bridge, f"p{turn}-{i}") for i in range(8)]
                    await asyncio.sleep(0)  # they are decided, and handed over
                    engine._sequencer.committer._child.kill()  # type: ignore[attr-defined]
                    found += await asyncio.gather(*asked, return_exceptions=True)
                    late = ask(bridge, f"late{turn}")  # the kill may find this one
                    found += await asyncio.gather(late, return_exceptions=True)
                    found.append(await ask(bridge, f"after{turn}"))
        finally:
            bridge.close()
        return found

    found = asyncio.run(story())
    refused = [one for one in found if isinstance(one, BaseException)]
    assert all(isinstance(one, StoreError) for one in refused), refused
    kept = [one for one in found if isinstance(one, Receipt)]
    assert len(kept) >= 6
    with sqlite3.connect(engine.store.directory / "ledger.db") as connection:
        stored = dict(connection.execute("SELECT seq, raw FROM entry"))
    assert all(stored[receipt.position] == receipt.entry for receipt in kept)
    assert engine.status().reloads == 6
    engine.close()
    assert verified(engine.layout.directory, tmp_path).exit_status == 0


def test_api_relay_waits_for_the_turn_without_stopping_the_loop(engine: Engine) -> None:
    """While somebody else has the turn the loop goes on, and what was asked is answered afterwards."""
    release, taken = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        taken.set()
        release.wait(PATIENCE_SECONDS)

    async def story() -> tuple[int, Receipt]:
        bridge = LoopBridge(engine)
        engine.queue.enqueue(Job(hold))
        await asyncio.to_thread(taken.wait, PATIENCE_SECONDS)
        asked = ask(bridge, "p")
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.001)
            turns += 1
            assert not asked.done()
        release.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            receipt = await asked
        bridge.close()
        return turns, receipt

    turns, receipt = asyncio.run(story())
    assert turns == 20
    assert receipt.entries


def test_api_relay_mixes_light_and_heavy(engine: Engine) -> None:
    """What may take long goes to the thread, and both kinds are answered."""

    async def story() -> list[Receipt]:
        bridge = LoopBridge(engine)
        heavy = c.RegisterMember(
            member_id="n", type="agent", region="us-east", capabilities=(), trust_score="0.9"
        )
        assert not is_light(Request(heavy, OPERATOR))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.gather(
                    ask(bridge, "p1"), send(bridge, heavy), ask(bridge, "p2")
                )
        finally:
            bridge.close()

    receipts = asyncio.run(story())
    assert len({receipt.position for receipt in receipts}) == 3
    assert engine.queue._thread is not None


@pytest.mark.parametrize("times", [1, 2])
def test_api_relay_leaves_to_the_thread_what_is_slow_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """One pause of the machine sends commands through a thread; or slow policies hold up the loop again and again."""

    async def story() -> None:
        bridge = LoopBridge(engine)
        with monkeypatch.context() as patch:
            patch.setattr(loop_bridge, "TURN_SECONDS", 0.0)
            for number in range(times):
                await ask(bridge, f"slow-{number}")
        await ask(bridge, "quick")
        bridge.close()

    asyncio.run(story())
    assert (engine.queue._thread is not None) == (times == 2)


def test_api_relay_a_caller_that_leaves_does_not_take_its_command_back(engine: Engine) -> None:
    """A cancelled request is recorded all the same, and disturbs nobody."""

    async def story() -> Receipt:
        bridge = LoopBridge(engine)
        gone = ask(bridge, "gone")
        gone.cancel()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await ask(bridge, "stays")
        finally:
            bridge.close()

    asyncio.run(story())
    assert engine.reader.packet("gone").owner == "m"


def test_api_relay_refuses_when_the_engine_has_stopped(engine: Engine) -> None:
    """After the end, whoever asks is told so."""

    async def story() -> None:
        bridge = LoopBridge(engine)
        await ask(bridge, "p")
        await asyncio.to_thread(engine.queue.stop)
        with pytest.raises(EngineStoppedError):
            await ask(bridge, "q")
        bridge.close()

    asyncio.run(story())


def test_api_relay_passes_refusals_on(engine: Engine) -> None:
    """A refused command raises what the engine says, beside others that are accepted."""

    async def story() -> list[Receipt | BaseException]:
        bridge = LoopBridge(engine)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.gather(
                    ask(bridge, "p"), ask(bridge, "p"), ask(bridge, "q"), return_exceptions=True
                )
        finally:
            bridge.close()

    first, second, third = asyncio.run(story())
    assert isinstance(first, Receipt)
    assert isinstance(third, Receipt)
    assert isinstance(second, PfgovError)
    assert second.code == "packet.exists"


def test_api_relay_light_commands_are_about_one_packet() -> None:
    """Only commands that name one packet are decided in the event loop."""
    for action in LIGHT:
        assert "packet_id" in action.__struct_fields__, action


def test_api_relay_notices_a_lost_writer_while_nobody_asks(engine: Engine) -> None:
    """A writer that dies while the server is idle is replaced at once, without a busy loop and without a refusal."""

    async def story() -> tuple[Receipt, int]:
        bridge = LoopBridge(engine)
        rings = 0
        answer = bridge._notifier._answer

        def counted() -> bool:
            nonlocal rings
            rings += 1
            return answer()

        bridge._notifier._answer = counted  # type: ignore[method-assign]
        try:
            await ask(bridge, "p")
            engine._sequencer.committer._child.kill()  # type: ignore[attr-defined]
            for _ in range(PATIENCE_SECONDS * 100):
                await asyncio.sleep(0.01)
                if engine._sequencer.reloads and engine._sequencer.reports is not None:
                    break
            await asyncio.sleep(0.1)
            before = rings
            await asyncio.sleep(0.3)
            idle = rings - before
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await ask(bridge, "q"), idle
        finally:
            bridge.close()

    receipt, idle = asyncio.run(story())
    assert receipt.entries
    assert idle < 10


def test_api_relay_a_key_is_unlisted_by_its_own_request_only(engine: Engine) -> None:
    """A refused request does not let a later one with the same key run twice, nor break anybody else's commit."""
    queue, pid = engine.queue, engine._sequencer.committer._child.pid  # type: ignore[attr-defined]
    key = Idempotency("k" * 64, b"d" * 32)

    def change() -> Request:
        action = c.UpdatePacket(packet_id="p", data_classes=("pii.customer",))
        return Request(action, OPERATOR, idempotency=key, outcome=Future())

    def new(name: str) -> Request:
        return Request(packet(name), OPERATOR, outcome=Future())

    os.kill(pid, signal.SIGSTOP)  # so that two batches are under way
    refused, accepted = change(), change()
    assert queue.start([new("z"), refused]) is Started.UNDER_WAY
    assert queue.start([new("p"), accepted]) is Started.UNDER_WAY
    os.kill(pid, signal.SIGCONT)
    sequencer = engine._sequencer
    sequencer._finish_one(
        sequencer.committer, sequencer.decider
    )  # the first of the two, and no more
    assert refused.outcome.done()
    assert not accepted.outcome.done()
    repeated, other = change(), new("other")
    assert queue.start([repeated, other]) is Started.UNDER_WAY
    engine.tick()
    first, again = _result(accepted), _result(repeated)
    assert (again.position, again.replayed) == (first.position, True)
    assert _result(other).entries
    assert engine.status().reloads == 0


def _result(request: Request) -> Receipt:
    assert isinstance(request.outcome, Future)
    receipt: Receipt = request.outcome.result(PATIENCE_SECONDS)
    return receipt


def test_api_relay_a_batch_that_cannot_be_finished_is_refused_whole(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a decided batch cannot be put together, its callers are told at once, and the next is decided anew."""

    async def story() -> tuple[list[Receipt | BaseException], Receipt]:
        bridge = LoopBridge(engine)

        def fail(*_: object) -> None:
            raise MemoryError

        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                with monkeypatch.context() as patch:
                    patch.setattr(Decider, "finish", fail)
                    asked = [ask(bridge, "p"), ask(bridge, "q")]
                    found = await asyncio.gather(*asked, return_exceptions=True)
                return found, await ask(bridge, "p")
        finally:
            bridge.close()

    found, after = asyncio.run(story())
    assert all(isinstance(one, PfgovError) for one in found), found
    assert after.entries
