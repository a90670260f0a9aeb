"""Ledgers from before the present rules and facts: they load, verify, replay and go on as they began.

``tests/data/ledgers`` holds what earlier versions wrote; nothing there is ever edited.
"""

import tarfile
from pathlib import Path

import pytest
from support.ledgers import SECOND, START, register, submit, verified

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine
from pfgov.engine.maintenance import doctor
from pfgov.engine.reading.replay import Replay
from pfgov.policy import load_directory, shipped_directory
from pfgov.storage import open_store

LEDGERS = Path(__file__).parents[2] / "data" / "ledgers"
GOLDEN = LEDGERS / "semantics-3.tar.xz"
"""Sixty entries: four policy sets in turn, reviews, changed labels, classes in capitals, a lapsed grant."""

SHOWN = LEDGERS / "semantics-5.tar.xz"
"""Reasons of every form under policy semantics 3, packets that were judged again, stale reviews, typed labels."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Unpack the ledger and return its folder."""
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "golden"


def test_an_older_ledger_verifies_and_replays(old: Path, tmp_path: Path) -> None:
    """Entries, tables and every policy set of the first facts are run again byte for byte."""
    report = verified(old, tmp_path, replayer=Replay())
    assert report.exit_status == 0
    with Engine.open(open_store(old), clock=ManualClock(START + 3_600 * SECOND)) as engine:
        found = engine.reader.replay()
        assert (found.entries, found.commands) == (60, 45)
        assert engine.look(lambda state: state.semantics) == 3


def test_an_older_ledger_goes_on_under_its_rules_and_takes_new_sets(
    old: Path, tmp_path: Path
) -> None:
    """Names keep their spelling and grants their meaning there; a set of today binds, and the whole replays."""
    clock = ManualClock(START + 3_600 * SECOND)
    with Engine.open(open_store(old), clock=clock) as engine:
        register(engine, "new", clearances=("PII.customer",), trust_score="0.95")
        submit(engine, c.SubmitPacket(packet_id="late", workload_type="Work", lineage_id="l"))
        engine.activate(load_directory(shipped_directory("starter")), principal=c.LOCAL_OPERATOR)
        clock.advance(SECOND)
        engine.tick()
        special = c.SubmitPacket(
            packet_id="spelt", workload_type="w", lineage_id="l", data_classes=("PII:special",)
        )
        submit(engine, special)
        waiting = engine.reader.packet("spelt").waiting
        assert waiting is not None
        assert "kernel/pii-clearance" in dict(waiting.reasons), "no spelling leads out of a class"
        engine.reader.replay()
    assert verified(old, tmp_path, replayer=Replay()).exit_status == 0


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """Unpack the ledger of rules 5 and return its folder."""
    with tarfile.open(SHOWN) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "golden"


def test_a_ledger_of_other_reasons_verifies_and_replays(shown: Path, tmp_path: Path) -> None:
    """Each verdict table is written again as it is on record: what decided is shown under newer sets alone."""
    assert verified(shown, tmp_path, replayer=Replay()).exit_status == 0
    with Engine.open(open_store(shown), clock=ManualClock(START + 20_000 * SECOND)) as engine:
        found = engine.reader.replay()
        assert (found.entries, found.commands) == (68, 44)
        assert engine.look(lambda state: state.semantics) == 5
    assert not [one for one in doctor.examine(open_store(shown)) if one.outcome == "failed"]


def test_a_ledger_of_rules_5_goes_on_under_them(shown: Path, tmp_path: Path) -> None:
    """There a packet that is judged again has another version, and its set shows what it showed; a new set binds."""
    clock = ManualClock(START + 20_000 * SECOND)
    with Engine.open(open_store(shown), clock=clock) as engine:
        before = engine.reader.packet("both").version
        receipt = submit(engine, c.PlacePacket(packet_id="both"))
        assert engine.reader.packet("both").version == before + 1
        assert b"(observed (absent)" in (engine.reader.table_of(receipt.position) or b"")
        engine.activate(load_directory(shipped_directory("starter")), principal=c.LOCAL_OPERATOR)
        submit(engine, c.PlacePacket(packet_id="both"))
        engine.reader.replay()
    assert verified(shown, tmp_path, replayer=Replay()).exit_status == 0
