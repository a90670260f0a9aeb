"""Many callers at once: order, batches, the bounded queue, bad luck of one that is not the others'."""

import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from support.ledgers import (
    OPERATOR,
    ORIGIN,
    fresh,
    opened,
    packet,
    place,
    register,
    submit,
    verified,
)

from pfgov import model
from pfgov.app.local import LocalLedger
from pfgov.core import commands as c
from pfgov.engine import Attachment, Engine, Idempotency, Receipt
from pfgov.engine.answers import Caller, attach
from pfgov.engine.sequencing.command_queue import Job
from pfgov.errors import BusyError, DuplicateError, GrantEndedError, PfgovError


class Hold:
    """Keeps the turn until released, so that commands pile up."""

    def __init__(self, engine: Engine) -> None:
        self.release = threading.Event()
        taken = threading.Event()

        def wait(_: object) -> None:
            taken.set()
            if not self.release.wait(30):
                raise TimeoutError

        engine._queue.enqueue(Job(wait))
        taken.wait(30)


def queue(engine: Engine, action: c.Action, **options: object) -> Future[Receipt]:
    """Queue an action as the local operator."""
    return engine.submit_nowait(action, principal=OPERATOR, **options)  # type: ignore[arg-type]


def test_engine_what_queued_becomes_one_commit(tmp_path: Path) -> None:
    """Commands that wait are committed together, in order, under one checkpoint."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        register(engine, "m")
        hold = Hold(engine)
        futures = [queue(engine, packet(f"p{i:02}")) for i in range(20)]
        hold.release.set()
        receipts = [future.result(30) for future in futures]
        assert [r.position for r in receipts] == [3 + 2 * i for i in range(20)]
        assert {r.size for r in receipts} == {43}
    assert verified(directory, tmp_path).exit_status == 0


def test_engine_batches_are_bounded(tmp_path: Path) -> None:
    """No commit takes more commands than allowed, nor goes on after many bytes of payload."""
    with opened(fresh(tmp_path), batch_max=8) as engine:
        register(engine, "m")
        hold = Hold(engine)
        futures = [queue(engine, packet(f"p{i:02}", hold=True)) for i in range(20)]
        hold.release.set()
        sizes = [future.result(30).size for future in futures]
        assert [sizes.count(size) for size in sorted(set(sizes))] == [8, 8, 4]
        hold = Hold(engine)
        futures = []
        for i in range(20):
            context = _context(f"q{i:02}")
            futures.append(
                queue(
                    engine,
                    packet(f"q{i:02}", hold=True, context=context.commitment),
                    attachments=(context,),
                )
            )
        hold.release.set()
        assert len({future.result(30).size for future in futures}) >= 3


def _context(packet_id: str) -> Attachment:
    return attach(ORIGIN, f"packet/{packet_id}", "context", bytes(1_000_000), os.urandom)


def test_engine_a_full_queue_says_so(tmp_path: Path) -> None:
    """Beyond the bound callers are told to come again, and nothing that was taken is lost."""
    with opened(fresh(tmp_path), queue_max=4) as engine:
        register(engine, "m")
        hold = Hold(engine)
        futures = [queue(engine, packet(f"p{i}")) for i in range(4)]
        with pytest.raises(BusyError):
            queue(engine, packet("p9"))
        hold.release.set()
        assert all(future.result(30).count == 2 for future in futures)


def test_engine_a_queue_of_many_bytes_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few commands with large payloads fill the memory while a commit hangs."""
    monkeypatch.setattr("pfgov.engine.sequencing.command_queue.QUEUED_BYTES_MAX", 1_500_000)
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        hold = Hold(engine)
        contexts = [_context(f"p{n}") for n in range(2)]
        asked = [
            packet(f"p{n}", hold=True, context=one.commitment) for n, one in enumerate(contexts)
        ]
        first = queue(engine, asked[0], attachments=(contexts[0],))
        with pytest.raises(BusyError):
            queue(engine, asked[1], attachments=(contexts[1],))
        hold.release.set()
        assert first.result(30).count


def test_engine_one_refusal_is_not_the_others(tmp_path: Path) -> None:
    """A refused command, and one that breaks a rule's code, leave the rest of the batch alone."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        hold = Hold(engine)
        good = queue(engine, packet("p"))
        twice = queue(engine, packet("p"))
        broken = queue(engine, object())  # type: ignore[arg-type]
        after = queue(engine, packet("q"))
        hold.release.set()
        assert (good.result(30).count, after.result(30).count) == (2, 2)
        with pytest.raises(DuplicateError):
            twice.result(30)
        with pytest.raises(Exception, match="object"):
            broken.result(30)


def test_engine_the_same_key_under_way_joins(tmp_path: Path) -> None:
    """Two requests with one key in one batch make one command; both get its receipt."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        hold = Hold(engine)
        key = Idempotency("k", b"d")
        first = queue(engine, packet("p"), idempotency=key)
        second = queue(engine, packet("p"), idempotency=key)
        other = queue(engine, packet("q"), idempotency=Idempotency("k", b"e"))
        hold.release.set()
        assert first.result(30).entries == second.result(30).entries
        assert second.result(30).replayed
        with pytest.raises(PfgovError) as caught:
            other.result(30)
        assert caught.value.code == "idempotency.mismatch"
        assert engine.status().size == 5


def test_engine_nobody_is_lost_among_threads(tmp_path: Path) -> None:
    """Eight threads that submit at will all get their own receipts, and the ledger verifies."""
    directory = fresh(tmp_path)
    positions: list[int] = []
    with opened(directory) as engine:
        register(engine, "m")

        def work(name: str) -> None:
            for i in range(25):
                receipt = place(engine, f"{name}-{i}")
                positions.append(receipt.position)

        threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(positions) == list(range(3, 403, 2))
        assert engine.status().size == 403
    assert verified(directory, tmp_path).exit_status == 0


def test_engine_closing_serves_who_waits(tmp_path: Path) -> None:
    """Close answers what is queued before it returns."""
    engine = opened(fresh(tmp_path))
    register(engine, "m")
    hold = Hold(engine)
    futures = [queue(engine, packet(f"p{i}")) for i in range(10)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    hold.release.set()
    closing.join(30)
    assert all(future.result(0).count == 2 for future in futures)


def test_engine_a_job_gives_its_error_to_its_caller(tmp_path: Path) -> None:
    """What fails with the turn fails for whoever asked, and the next command is served."""
    with opened(fresh(tmp_path)) as engine:
        hold = Hold(engine)
        results: list[BaseException] = []

        def ask() -> None:
            try:
                engine.heartbeat("nobody", 1)
            except PfgovError as error:
                results.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        hold.release.set()
        thread.join(30)
        assert [type(error).__name__ for error in results] == ["NotFoundError"]
        assert submit(engine, packet("p")).count == 2


def test_engine_a_payload_is_committed_to_while_somebody_has_the_turn(tmp_path: Path) -> None:
    """An event loop attaches payloads: it must not wait for a slow disk or a long tick."""
    with opened(fresh(tmp_path)) as engine:
        origin = engine.origin
        hold = Hold(engine)
        found: list[Attachment] = []
        asking = threading.Thread(
            target=lambda: found.append(engine.attach("packet/p", "context", b"{}")), daemon=True
        )
        asking.start()
        asking.join(10)
        hold.release.set()
        assert len(found) == 1
        assert engine.origin == origin == ORIGIN


@pytest.mark.parametrize("what", ["heartbeat", "resume"])
def test_nothing_is_done_for_a_key_that_was_revoked_while_it_waited(
    tmp_path: Path, what: str
) -> None:
    """What is no command waits for its turn, too, behind a commit that hangs; it took place all the same."""
    revoked = threading.Event()
    caller = Caller(
        c.Principal(id="key:one", rights=("operator",)), holds=lambda: not revoked.is_set()
    )
    with opened(fresh(tmp_path)) as engine, ThreadPoolExecutor(1) as thread:
        register(engine, "m")
        ledger, before = LocalLedger(engine, caller), engine.status().size
        hold = Hold(engine)
        if what == "heartbeat":
            asked = thread.submit(ledger.hear, "m", model.Heartbeat(incarnation=1))
        else:
            asked = thread.submit(ledger.resume, model.Tick(resume=True))
        while not engine.queue.waiting:
            time.sleep(0.01)
        revoked.set()
        hold.release.set()
        with pytest.raises(GrantEndedError):
            asked.result(30)
        assert engine.status().size == before
