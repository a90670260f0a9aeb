"""A backup is put back, or continued, with commands that exist; reading it needs nothing."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from support.commandline import GOOD, CommandLine

from pfgov.clock import ManualClock, SystemClock
from pfgov.core import events as e
from pfgov.engine.maintenance.doctor import examine
from pfgov.engine.reading.reader import LedgerReader
from pfgov.storage import open_store
from pfgov.storage.sqlite import schema


def _backup(source: Path, target: Path) -> None:
    """Copy the database as the production page says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = sqlite3.connect(source / "ledger.db"), sqlite3.connect(target)
    ours.backup(theirs)
    theirs.close()
    ours.close()


@pytest.fixture
def copy(pfgov: CommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line over a new folder with a copy of a ledger's database and its keys, as after a lost machine."""
    pfgov.ok("init", "--origin", "pfgov.test/old")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    _backup(pfgov.directory, tmp_path / "new" / "ledger.db")
    shutil.copytree(pfgov.directory / "keys", tmp_path / "new" / "keys")
    return CommandLine(tmp_path / "new", capsys)


def test_a_copy_can_always_be_read(copy: CommandLine) -> None:
    """A backup in a new folder is told to be created, which is refused because it exists."""
    found = copy("status", "--json")
    assert found.status == 0
    assert "pfgov.test/old" in found.out
    assert "pfgov ledger restore" in found.err
    refused = copy.refused("tick")
    assert refused["code"] == "store.head_missing"
    assert "pfgov ledger restore" in refused["hint"]


def test_a_copy_is_written_again_when_something_speaks_for_it(
    copy: CommandLine, pfgov: CommandLine, tmp_path: Path
) -> None:
    """A copy is restored on nobody's word, or not although a checkpoint that was kept covers it."""
    assert copy.refused("ledger", "restore")["code"] == "restore.no_evidence"
    note = tmp_path / "head.note"
    note.write_text(pfgov("ledger", "head", "--note").out)
    done = copy.ok("ledger", "restore", "--checkpoint", str(note))
    assert (done["origin"], done["size"]) == ("pfgov.test/old", 3)
    copy.ok("member", "register", "--id", "a2", *GOOD)
    assert copy.ok("status")["members"] == {"ACTIVE": 2}
    assert copy("ledger", "doctor").status == 0


def test_an_older_copy_is_not_written_again(
    copy: CommandLine, pfgov: CommandLine, tmp_path: Path
) -> None:
    """A copy from before what was published signs a second history."""
    pfgov.ok("member", "register", "--id", "later", *GOOD)
    note = tmp_path / "head.note"
    note.write_text(pfgov("ledger", "head", "--note").out)
    refused = copy.refused("ledger", "restore", "--checkpoint", str(note), "--newest")
    assert refused["code"] == "store.rolled_back"
    shutil.copy(pfgov.directory / "head.db", copy.directory / "head.db")
    assert copy.refused("ledger", "restore", "--newest")["code"] == "store.rolled_back"
    (copy.directory / "head.db").unlink()
    note.write_text("nothing of the kind\n")
    refused = copy.refused("ledger", "restore", "--checkpoint", str(note))
    assert refused["code"] == "restore.checkpoint"


def test_a_backup_file_is_put_into_a_folder(
    copy: CommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A restored database is readable by others, or overwrites a ledger that is there."""
    third = CommandLine(tmp_path / "third", capsys)
    backup = copy.directory / "ledger.db"
    done = third.ok("ledger", "restore", str(backup), "--newest")
    assert "word" in done["evidence"]
    assert (third.directory / "ledger.db").stat().st_mode & 0o077 == 0
    assert third.refused("ledger", "restore", str(backup), "--newest")["code"] == "ledger.exists"


def test_a_backup_that_is_not_there_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip in the backup's name makes a folder, or binds it to a database."""
    new = CommandLine(tmp_path / "new", capsys)
    for more in ((), ("--store", "postgresql://nobody@/none?host=/none")):
        refused = new.refused("ledger", "restore", str(tmp_path / "no.db"), *more)
        assert refused["code"] == "store.missing"
        assert "backup" in refused["hint"] or "database file" in refused["hint"]
        assert not new.directory.exists()
    assert new.refused("ledger", "restore", "--store", "postgresql://x@/y")["code"] == "usage"


def test_a_successor_names_the_head_of_what_it_continues(
    copy: CommandLine, pfgov: CommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger that cannot go on has no successor, or one that nobody can tie to it."""
    root = pfgov.ok("ledger", "head")["root"]
    after = CommandLine(tmp_path / "after", capsys)
    done = after.ok("ledger", "succeed", str(copy.directory))
    assert done["predecessor"] == {"origin": "pfgov.test/old", "size": 3, "root": root}
    with LedgerReader(open_store(after.directory)) as reader:
        genesis = next(iter(reader.entries())).event
    assert isinstance(genesis, e.LedgerCreated)
    assert genesis.predecessor == e.Predecessor(origin="pfgov.test/old", size=3, root=root)
    assert after.ok("status")["policy"] == pfgov.ok("status")["policy"]
    after.ok("member", "register", "--id", "a1", *GOOD)
    assert after.refused("ledger", "succeed", str(copy.directory))["code"] == "ledger.exists"
    same = after.refused("ledger", "succeed", str(after.directory))
    assert same["code"] == "restore.same_folder"


@pytest.mark.parametrize(
    ("table", "column", "before", "after"),
    [
        ("policy_set", "document", "Personal data", "Personal dust"),
        ("checkpoint", "note", "\n2\n", "\n1\n"),
    ],
)
def test_a_successor_takes_over_nothing_that_was_changed(
    pfgov: CommandLine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    table: str,
    column: str,
    before: str,
    after: str,
) -> None:
    """Whoever can write the old database chooses the new one's policies, or the head that it says to continue."""
    pfgov.ok("init")
    database = sqlite3.connect(pfgov.directory / "ledger.db")
    database.execute(f"DROP TRIGGER {table}_no_update")
    stored = bytes(
        database.execute(f"SELECT {column} FROM {table} ORDER BY rowid DESC").fetchone()[0]
    )
    changed = stored.replace(before.encode(), after.encode())
    assert changed != stored
    database.execute(f"UPDATE {table} SET {column} = ?", (changed,))
    database.execute(schema.TRIGGERS[f"{table}_no_update"])
    database.commit()
    database.close()
    successor = CommandLine(tmp_path / "after", capsys)
    refused = successor.refused("ledger", "succeed", str(pfgov.directory))
    assert refused["code"] == "store.altered"
    assert not (successor.directory / "ledger.db").exists()


@pytest.mark.parametrize("version", sorted(schema.EARLIER))
def test_a_database_of_an_earlier_schema_is_read_and_brought_up_to_date(
    pfgov: CommandLine, version: int
) -> None:
    """An upgrade makes existing ledgers unreadable, or takes an older schema for one that was tampered with."""
    pfgov.ok("init")
    database = sqlite3.connect(pfgov.directory / "ledger.db")
    earlier = schema.EARLIER[version]
    for name in schema.INDEXES.keys() - earlier.keys():
        database.execute(f"DROP INDEX {name}")
    for name in [name for name in schema.TABLES if earlier[name] != schema.TABLES[name]]:
        database.execute(f"DROP TABLE {name}")
        database.execute(earlier[name])
    later = f"{version + 1:04}"
    database.execute("DELETE FROM _sqlite_migrations WHERE name >= ?", (later,))
    database.execute(f"PRAGMA user_version = {version}")
    database.commit()
    database.close()
    assert pfgov.ok("status")["size"] == 2
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    assert pfgov.ok("tick")["count"] == 0
    assert pfgov("ledger", "doctor").status == 0
    database = sqlite3.connect(pfgov.directory / "ledger.db")
    assert database.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    database.close()


def test_doctor_finds_a_clock_that_cannot_be_right(pfgov: CommandLine) -> None:
    """Neither a clock years ahead nor a ledger years ahead of it is noticed."""
    pfgov.ok("init")
    store, now = open_store(pfgov.directory), SystemClock().now()
    year = 366 * 86_400 * 1_000_000
    outcomes = {
        shift: next(f for f in examine(store, clock=ManualClock(now + shift)) if f.check == "clock")
        for shift in (0, 2 * year, -2 * year)
    }
    assert [found.outcome for found in outcomes.values()] == ["ok", "failed", "failed"]
    assert "tick --resume" in (outcomes[2 * year].hint or "")
    assert "ledger succeed" in (outcomes[-2 * year].hint or "")
