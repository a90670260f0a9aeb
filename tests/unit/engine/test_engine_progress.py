"""What members say of the work's progress: heard in heartbeats, kept over failures, forgiven after a restart."""

from pathlib import Path

from support.ledgers import SECOND, START, fresh, opened, packet, register, submit, types, verified

from pfgov.clock import ManualClock
from pfgov.engine import Engine, Heartbeat, LedgerReader
from pfgov.storage import open_store

BOUND = 10


def _beat(engine: Engine, clock: ManualClock, *, progressed: bool, epoch: int = 1) -> None:
    held = (("p", epoch),)
    engine.hear("m", Heartbeat(1, held, held if progressed else ()))
    engine.tick()


def _begun(engine: Engine) -> None:
    register(engine, "m", lease_seconds=30)
    submit(engine, packet("p", progress_seconds=BOUND))


def _is_taken(engine: Engine) -> bool:
    return engine.reader.packet("p").epoch > 1


def test_engine_a_heartbeat_that_tells_of_no_progress_ends_an_ownership(tmp_path: Path) -> None:
    """A hanging job keeps its packet while its process beats; or one that goes on loses it; or replay differs."""
    clock = ManualClock(START + SECOND)
    directory = fresh(tmp_path)
    with opened(directory, clock) as engine:
        _begun(engine)
        for _ in range(5):
            clock.advance(BOUND * SECOND - 1)
            _beat(engine, clock, progressed=True)
            assert not _is_taken(engine)
        clock.advance(BOUND * SECOND - 1)
        _beat(engine, clock, progressed=False)
        assert not _is_taken(engine)
        clock.advance(1)
        _beat(engine, clock, progressed=True, epoch=7)  # of no ownership of this member
        assert _is_taken(engine)
        assert "packet_requeued" in types(engine)
    verified(directory, tmp_path)
    with LedgerReader(open_store(directory)) as reader:
        assert reader.replay().commands


def test_engine_what_was_said_of_progress_outlives_a_failed_commit(tmp_path: Path) -> None:
    """After a failure of the store every job that had only said that it goes on is held to stand still."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        _begun(engine)
        clock.advance(BOUND * SECOND - 1)
        _beat(engine, clock, progressed=True)
        engine._sequencer._lose()
        clock.advance(BOUND * SECOND - 1)
        _beat(engine, clock, progressed=False)
        assert not _is_taken(engine)


def test_engine_nobody_stood_still_while_nobody_listened(tmp_path: Path) -> None:
    """A restart takes every packet whose owner only said that it goes on."""
    clock = ManualClock(START + SECOND)
    directory = fresh(tmp_path)
    with opened(directory, clock) as engine:
        _begun(engine)
    clock.advance(BOUND * SECOND)
    with opened(directory, clock) as engine:
        _beat(engine, clock, progressed=False)
        assert not _is_taken(engine)
        clock.advance(BOUND * SECOND)
        _beat(engine, clock, progressed=False)
        assert _is_taken(engine)
