"""What if the process dies: SIGKILL at any moment of a loop of assignments, and two processes on one ledger."""

import multiprocessing
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.killed import assign_until_killed, hold
from support.ledgers import fresh, opened, place, register, verified

from pfgov.engine import Engine, EntryFilter, LedgerReader
from pfgov.engine.reading.replay import Replay
from pfgov.errors import StoreLockedError
from pfgov.storage import open_store

pytestmark = pytest.mark.process

KILLS = 28
KILLS_PROCESS = 8
PATIENCE_SECONDS = 60
ACKNOWLEDGED_MAX = 80


@pytest.fixture(scope="module")
def context() -> Iterator[multiprocessing.context.ForkServerContext]:
    """Children that are forked from a process which has imported everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", str(Path(__file__).resolve().parents[1])
        )  # the server ignores sys.path
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["support.killed"])
        yield context


def _stored(directory: Path, start: int) -> dict[int, bytes]:
    with LedgerReader(open_store(directory), heed_head_lock=False) as reader:
        return {r.row.seq: r.row.raw for r in reader.entries(EntryFilter(start=start))}


@pytest.mark.parametrize(("committing", "kills"), [("thread", KILLS), ("process", KILLS_PROCESS)])
def test_faults_sigkill_loses_nothing_that_was_acknowledged(
    tmp_path: Path, context: multiprocessing.context.ForkServerContext, committing: str, kills: int
) -> None:
    """Killed at any moment, the ledger opens again, holds everything acknowledged, verifies and runs again."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        for i in range(4):
            register(engine, f"m{i}", capacity=(("cpu", "100000"),))
    choose = random.Random(20_261_123)
    kept, known = 0, dict[int, bytes]()
    for number in range(kills):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(
            target=assign_until_killed, args=(str(directory), f"run{number}", committing, theirs)
        )
        child.start()
        theirs.close()
        wanted, acknowledged, start = choose.randint(1, ACKNOWLEDGED_MAX), dict[int, bytes](), 0
        while len(acknowledged) < wanted:
            assert ours.poll(PATIENCE_SECONDS), "the process says nothing"
            kind, value = ours.recv()
            if kind == "open":
                start = value
                assert value >= kept
            else:
                acknowledged.update(value)
        child.kill()
        child.join(PATIENCE_SECONDS)
        while ours.poll(0):
            try:
                acknowledged.update(ours.recv()[1])
            except EOFError:
                break
        stored = _stored(directory, start)
        assert {seq: stored.get(seq) for seq in acknowledged} == acknowledged
        kept = start + len(stored)
        known.update(acknowledged)
    with Engine.open(open_store(directory)) as engine:
        size = (
            engine.status().size
        )  # a writer process may have finished its last batch after we looked
        assert size == kept or (committing == "process" and size > kept)
        assert register(engine, "after").position == size
        engine.reader.replay()
    report = verified(directory, tmp_path, replayer=Replay())
    assert report.exit_status == 0
    assert report.verdicts["replay"].status.value == "pass"
    assert len(known) > kills


def test_faults_a_second_process_is_told_who_writes_and_may_read(
    tmp_path: Path, context: multiprocessing.context.ForkServerContext
) -> None:
    """While one process writes, another is refused with its number and address, and reads all the same."""
    directory = fresh(tmp_path)
    ours, theirs = context.Pipe()
    child = context.Process(target=hold, args=(str(directory), theirs))
    child.start()
    try:
        assert ours.poll(PATIENCE_SECONDS)
        assert ours.recv() == 2
        with pytest.raises(StoreLockedError) as caught:
            Engine.open(open_store(directory))
        assert f"process {child.pid}" in caught.value.message
        assert "http://127.0.0.1:8000" in caught.value.message
        with LedgerReader(open_store(directory)) as reader:
            assert reader.head().size == 2
    finally:
        ours.send("enough")
        child.join(PATIENCE_SECONDS)
    with opened(directory) as engine:
        assert place(engine, "p").position == 2
