"""What is changed in the database between a look and what is done upon it, or while a server runs, is not believed."""

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.intruder import change, findings, inside
from support.ledgers import OPERATOR, fresh, open_policy, opened, packet, register, verified

from pfgov.app.local.ledger import LocalLedger
from pfgov.app.local.reading import LocalReading
from pfgov.core.verdicts import PLACING
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.committing import writer
from pfgov.engine.loading import tree
from pfgov.engine.maintenance import ceremony
from pfgov.engine.maintenance.restoring import restore
from pfgov.engine.reading import Span
from pfgov.engine.sequencing import sequencer
from pfgov.errors import PfgovError, StoreCorruptError
from pfgov.policy import load_directory, shipped_directory
from pfgov.storage import open_store

PACKS = ("starter", "eu-residency", "agent-fleet")
LATER = 4_000_000_000_000_000


def _value(directory: Path, statement: str) -> Any:
    with closing(sqlite3.connect(directory / "ledger.db")) as database:
        return database.execute(statement).fetchone()[0]


def _passes(directory: Path, tmp_path: Path) -> None:
    report = verified(directory, tmp_path)
    assert {one.status.value for one in report.verdicts.values()} <= {"pass", "not_checked"}


# --- where a key event stands -------------------------------------------------------------


def _revoke(engine: Engine, key: str) -> None:
    with engine.reader.snapshot() as queries:
        place = ceremony.place_of(queries, engine.layout, engine.origin)
    known = engine.look(lambda state: dict(state.keys))
    guard = ceremony.recovery_key(known, engine.layout.key("recovery"))
    ceremony.revoke(engine, ceremony.sign_revocation(place, known[key], guard), place)


@pytest.mark.parametrize("what", ["rotation", "revocation"])
@pytest.mark.parametrize("row", ["the first entry", "the last one", "the last one, gone"])
def test_a_key_event_is_signed_for_where_it_stands(tmp_path: Path, what: str, row: str) -> None:
    """One column, changed while a key was replaced, had a key event recorded that no verifier ever takes."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        seq, old = 0, ""
        if row != "the first entry" or what == "revocation":
            old = ceremony.rotate(engine, "issuer").old or ""
        if row != "the first entry":
            seq = ceremony.rotate(engine, "log").position
        register(engine, "m")
        with inside(directory) as database:
            kept = database.execute("SELECT * FROM entry WHERE seq = ?", (seq,)).fetchone()
            if row.endswith("gone"):
                database.execute("DELETE FROM entry WHERE seq = ?", (seq,))
            else:
                database.execute("UPDATE entry SET leaf = ? WHERE seq = ?", (bytes(32), seq))
        act = partial(ceremony.rotate, engine, "issuer")
        with pytest.raises(PfgovError):
            act() if what == "rotation" else _revoke(engine, old)
        with inside(directory) as database:
            marks = ", ".join("?" * len(kept))
            database.execute(f"INSERT OR REPLACE INTO entry VALUES ({marks})", kept)
    with opened(directory) as engine:
        ceremony.rotate(engine, "issuer")
    _passes(directory, tmp_path)


def test_a_key_event_for_another_place_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever signs it reads the place first: it may be another when the entry is made."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        real = ceremony.place_of

        def elsewhere(*arguments: Any) -> ceremony.Place:
            return ceremony.Place(real(*arguments).origin, 7, bytes(32))

        monkeypatch.setattr(ceremony, "place_of", elsewhere)
        with pytest.raises(PfgovError):
            ceremony.rotate(engine, "issuer")
        monkeypatch.setattr(ceremony, "place_of", real)
        ceremony.rotate(engine, "issuer")
    _passes(directory, tmp_path)


# --- what was binding before --------------------------------------------------------------


def test_no_set_is_gone_back_to_that_was_never_binding(tmp_path: Path) -> None:
    """A rollback without a file made binding what somebody had put into the database, by a signed entry."""
    directory = fresh(tmp_path)
    starter = load_directory(shipped_directory("starter"))
    body = json.loads(_value(directory, "SELECT body FROM ledger_state WHERE key = 'policy'"))
    forged = json.dumps({**body, "before": [starter.digest]}).encode().hex()
    change(
        directory,
        f"INSERT INTO policy_set VALUES ('{starter.digest}', x'{starter.document.hex()}')",
        f"UPDATE ledger_state SET body = x'{forged}' WHERE key = 'policy'",
    )
    assert findings(directory)["signers"] == "failed"
    with pytest.raises(StoreCorruptError):
        opened(directory)
    with pytest.raises(StoreCorruptError):
        restore(open_store(directory), None, is_newest=True)


def test_what_was_binding_before_is_gone_back_to(tmp_path: Path) -> None:
    """Sets that were binding in turn, some again and again, are remembered in that order."""
    directory = fresh(tmp_path)
    packs = [load_directory(shipped_directory(name)) for name in PACKS]
    for number in (0, 1, 0, 2, 1, 2, 1, 0):
        with opened(directory) as engine:
            engine.activate(packs[number], principal=OPERATOR, leave_uncovered=map(str, PLACING))
    with opened(directory) as engine:
        before = engine.look(lambda state: state.policies_before)
        assert before == (open_policy().digest, packs[2].digest, packs[1].digest)
        ledger = LocalLedger(engine)
        assert ledger.roll_back(None, emergency=False)[0] == packs[1].digest
    swapped = json.loads(_value(directory, "SELECT body FROM ledger_state WHERE key = 'policy'"))
    swapped["before"] = swapped["before"][::-1]
    body = json.dumps(swapped).encode().hex()
    change(directory, f"UPDATE ledger_state SET body = x'{body}' WHERE key = 'policy'")
    with pytest.raises(StoreCorruptError):
        opened(directory)


# --- while a ledger is opened -------------------------------------------------------------


def _dated(directory: Path) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the last entry's row as it is, and with a time of decades later in its bytes and columns."""
    with inside(directory) as database:
        kept = database.execute("SELECT * FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
    seq, subject, subject_seq, kind, time, _, signature, raw = kept
    raw = raw.replace(b'"time":%d' % time, b'"time":%d' % LATER)
    leaf = hashlib.sha256(bytes(1) + raw).digest()
    return kept, (seq, subject, subject_seq, kind, LATER, leaf, signature, raw)


def _put(directory: Path, row: tuple[Any, ...]) -> None:
    with inside(directory) as database:
        database.execute("DELETE FROM entry WHERE seq = ?", (row[0],))
        database.execute("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


@pytest.mark.parametrize("read", ["by the writer", "by whoever decides"])
def test_a_ledger_is_opened_from_one_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    """The last entry was read, and read again to be looked at: between the two it had another time."""
    directory = fresh(tmp_path)
    honest, later = _dated(directory)
    if read == "by the writer":
        load, edge = writer.load_head, tree.frontier_at

        def loaded(*arguments: Any) -> Any:
            _put(directory, later)
            return load(*arguments)

        def looked(*arguments: Any) -> Any:
            _put(directory, honest)
            return edge(*arguments)

        monkeypatch.setattr(writer, "load_head", loaded)
        monkeypatch.setattr(tree, "frontier_at", looked)
    else:
        load_state = sequencer.load_state

        def given(*arguments: Any) -> Any:
            _put(directory, later)
            found = load_state(*arguments)
            _put(directory, honest)
            return found

        monkeypatch.setattr(sequencer, "load_state", given)
    with suppress(StoreCorruptError), opened(directory) as engine:
        assert register(engine, "m").entries[0].time < LATER
    monkeypatch.undo()
    _put(directory, _dated(directory)[0])
    with opened(directory) as engine:
        assert engine.look(lambda state: state.time) < LATER
    _passes(directory, tmp_path)


# --- what is read -------------------------------------------------------------------------


def test_whoever_reads_is_told_no_other_policy_set(tmp_path: Path) -> None:
    """What binds, and what would be decided, was told by a set that somebody put into the database."""
    directory = fresh(tmp_path)
    starter = load_directory(shipped_directory("starter"))
    with opened(directory) as engine:
        register(engine, "m")
    body = json.loads(_value(directory, "SELECT body FROM ledger_state WHERE key = 'policy'"))
    forged = json.dumps({**body, "active": starter.digest}).encode().hex()
    change(
        directory,
        f"INSERT INTO policy_set VALUES ('{starter.digest}', x'{starter.document.hex()}')",
        f"UPDATE ledger_state SET body = x'{forged}' WHERE key = 'policy'",
    )
    with LedgerReader(open_store(directory)) as reader:
        book = LocalReading(reader)
        asks: tuple[Callable[[], object], ...] = (
            book.overview,
            book.policies,
            lambda: book.dry_run(packet("p")),
        )
        for ask in asks:
            with pytest.raises(StoreCorruptError):
                ask()
        assert [one.member_id for one in reader.members()] == ["m"]


def test_a_report_of_impact_is_about_the_bytes_under_its_root(tmp_path: Path) -> None:
    """It was asked of bytes that somebody changed, and named the root of those that were signed."""
    directory = fresh(tmp_path)
    with opened(directory) as engine:
        seq = register(engine, "m").position
        size = engine.reader.head().size
    kept = _value(directory, f"SELECT raw FROM entry WHERE seq = {seq}")
    raw = kept.replace(b'"region":"us-east"', b'"region":"us-west"')
    with LedgerReader(open_store(directory)) as reader:
        book = LocalReading(reader)
        assert [book.root_at(one) is None for one in (0, 1, size, size + 1)] == [
            True,
            False,
            False,
            True,
        ]
        change(directory, f"UPDATE entry SET raw = x'{raw.hex()}' WHERE seq = {seq}")
        with pytest.raises(StoreCorruptError):
            book.impact(open_policy(), Span(), lambda *_: None)
        leaf = hashlib.sha256(bytes(1) + raw).hexdigest()
        change(directory, f"UPDATE entry SET leaf = x'{leaf}' WHERE seq = {seq}")
        with pytest.raises(StoreCorruptError):
            book.root_at(size)
