"""What if a commit fails while the next batch is already decided on top of it: nothing answered is lost, nothing built
on sand is written.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from support.faulty import Faulty
from support.ledgers import OPERATOR, fresh, opened, packet, register, submit, verified
from support.writers import threaded

from pfgov.core import commands as c
from pfgov.engine import Engine, Idempotency, LedgerReader, Options, Receipt
from pfgov.engine.committing.process import ProcessCommitter, WriterLostError, WriterSpec
from pfgov.engine.committing.writer import Writer
from pfgov.engine.reading.replay import Replay
from pfgov.errors import PfgovError, StoreError
from pfgov.storage import open_store

COMMANDS = 120
BATCH = 8


def _queue(engine: Engine, action: c.Action, key: str) -> Future[Receipt]:
    return engine.submit_nowait(
        action, principal=OPERATOR, idempotency=Idempotency(key, key.encode())
    )


def _history(engine: Engine) -> Iterator[tuple[str, Future[Receipt]]]:
    """Create, cancel and create packets, every command under its own key, all under way at once."""
    for i in range(COMMANDS):
        name = f"p{i // 3:03}"
        step = i % 3
        action: c.Action = packet(name) if step == 0 else c.CancelPacket(packet_id=name)
        if step == 2:
            action = packet(f"{name}-again", again=name)
        yield f"k{i}", _queue(engine, action, f"k{i}")


def _holds(directory: Path, tmp_path: Path, acknowledged: dict[int, bytes]) -> None:
    with LedgerReader(open_store(directory)) as reader:
        stored = {r.row.seq: r.row.raw for r in reader.entries()}
        assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
        reader.replay()
    assert verified(directory, tmp_path, replayer=Replay()).exit_status == 0


def _run(tmp_path: Path, faulty: Faulty) -> tuple[Path, dict[int, bytes], dict[str, Any], int]:
    directory = fresh(tmp_path)
    acknowledged: dict[int, bytes] = {}
    outcomes: dict[str, Any] = {}
    with opened(
        directory, committing="process", start_writer=threaded(faulty), batch_max=BATCH
    ) as engine:
        for i in range(3):
            register(engine, f"m{i}", capacity=(("cpu", "1000"),))
        faulty.armed = True
        with engine._queue._turn:
            futures = dict(_history(engine))
        for key, future in futures.items():
            outcomes[key] = future.exception(60)
            if outcomes[key] is None:
                acknowledged.update({row.seq: row.raw for row in future.result().entries})
        faulty.armed = False
        for key, error in outcomes.items():
            stored = engine._queue.do(lambda s, key=key: s.queries.answers([(OPERATOR.id, key)]))
            if error is None:
                assert stored
            elif isinstance(error, StoreError):
                assert not stored, f"{key} was said not to be recorded"
        assert submit(engine, packet("after")).count == 2
        reloads = engine.status().reloads
    return directory, acknowledged, outcomes, reloads


@pytest.mark.parametrize("number", [1, 2, 9])
@pytest.mark.parametrize(
    ("name", "when"),
    [("begin", "before"), ("commit", "before"), ("commit", "after"), ("publish", "before"),
     ("publish", "after")],
)  # fmt: skip
def test_faults_a_commit_fails_under_a_batch_that_is_decided(
    tmp_path: Path, name: str, when: str, number: int
) -> None:
    """Whatever fails, each caller's answer is what the ledger says, and the ledger is whole."""
    faulty = Faulty(name, when, number)
    directory, acknowledged, outcomes, reloads = _run(tmp_path, faulty)
    assert faulty.hits == 1
    assert reloads == 1
    lost = [key for key, error in outcomes.items() if isinstance(error, StoreError)]
    assert lost or (name, when) not in {("begin", "before"), ("commit", "before")}
    _holds(directory, tmp_path, acknowledged)


def test_faults_without_a_failure_the_pipeline_answers_all(tmp_path: Path) -> None:
    """The history itself is sound: every command of it is recorded, in batches of the allowed size."""
    faulty = Faulty()
    directory, acknowledged, outcomes, reloads = _run(tmp_path, faulty)
    assert (set(outcomes.values()), reloads) == ({None}, 0)
    assert faulty.calls["commit", "before"] >= COMMANDS // BATCH
    _holds(directory, tmp_path, acknowledged)


def test_faults_the_fence_is_not_the_only_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the writer's fence a batch built on a failed one is refused all the same: its positions do not fit."""
    monkeypatch.setattr(Writer, "write", Writer._write)
    faulty = Faulty("begin", "before", 3)
    directory, acknowledged, outcomes, _ = _run(tmp_path, faulty)
    assert any(isinstance(error, StoreError) for error in outcomes.values())
    _holds(directory, tmp_path, acknowledged)


@pytest.mark.process
def test_faults_the_writer_process_is_killed(tmp_path: Path) -> None:
    """When the writer process dies the engine starts another, answers from the store and goes on."""
    directory = fresh(tmp_path)
    with opened(directory, committing="process") as engine:
        register(engine, "m")
        assert submit(engine, packet("p")).count == 2
        committer = engine._sequencer.committer
        assert isinstance(committer, ProcessCommitter)
        committer._child.kill()
        committer._child.wait()
        with pytest.raises(WriterLostError):
            submit(engine, packet("q"))
        assert submit(engine, packet("q")).count == 2
        assert engine.commit_index() == 7
        assert engine.status().reloads == 1
    _holds(directory, tmp_path, {})


def test_faults_a_writer_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A key that cannot be read, or a child that cannot be started, is the error that opening raises."""
    directory = fresh(tmp_path)
    options = Options(committing="process", issuer=("env:NOT_THERE",))
    with pytest.raises(PfgovError) as caught:
        Engine.open(open_store(directory), options=options)
    assert caught.value.code == "key.unusable"

    def broken(spec: WriterSpec) -> Any:
        raise WriterLostError("no more processes")

    with pytest.raises(WriterLostError):
        Engine.open(
            open_store(directory), options=Options(committing="process", start_writer=broken)
        )
    with opened(directory) as engine:
        assert engine.status().size == 2
