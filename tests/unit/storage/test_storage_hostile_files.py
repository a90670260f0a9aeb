"""A database in which something else stands in the place of a table, beside the ledger or as it, holds up nobody."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support.ledgers import START, fresh, opened, place

from pfgov.clock import ManualClock
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.maintenance.doctor import examine
from pfgov.engine.maintenance.restoring import restore, succeed
from pfgov.errors import PfgovError, StoreCorruptError
from pfgov.storage import open_store

_LOOSE = (
    "ALTER TABLE head RENAME TO was",
    "CREATE TABLE head (origin, size, root)",
)

HEAD_LOCKS = {
    "a view": (
        "ALTER TABLE head RENAME TO was",
        "CREATE VIEW head AS SELECT origin, size, root FROM was",
    ),
    "a size in words": (*_LOOSE, "INSERT INTO head SELECT origin, 'abc', root FROM was"),
    "no size": (*_LOOSE, "INSERT INTO head SELECT origin, NULL, root FROM was"),
    "an endless size": (*_LOOSE, "INSERT INTO head SELECT origin, 1e999, root FROM was"),
    "no root": (*_LOOSE, "INSERT INTO head SELECT origin, size, NULL FROM was"),
    "a root in words": (*_LOOSE, "INSERT INTO head SELECT origin, size, 'abc' FROM was"),
    "a root that is a number": (*_LOOSE, "INSERT INTO head SELECT origin, size, 3000000000 FROM was"),
    "fewer than none": ("UPDATE head SET size = -5",),
    "more than there can be": ("UPDATE head SET size = 9223372036854775807",),
    "a trigger that keeps it behind": (
        "CREATE TRIGGER back AFTER UPDATE ON head BEGIN UPDATE head SET size = size - 1; END",
    ),
    "a trigger that keeps it": (
        "CREATE TRIGGER stay BEFORE UPDATE ON head BEGIN SELECT RAISE(IGNORE); END",
    ),
}  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger with a packet."""
    found = fresh(tmp_path)
    with opened(found) as engine:
        place(engine, "p")
    return found


def _change(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def _read(directory: Path) -> None:
    with LedgerReader(open_store(directory)) as reader:
        reader.head()


@pytest.mark.parametrize("name", HEAD_LOCKS)
def test_a_head_lock_that_is_none_is_named(directory: Path, name: str) -> None:
    """It is taken for one, its reader is told of a mistake of ours, or a trigger in it keeps it behind the ledger."""
    _change(directory / "head.db", *HEAD_LOCKS[name])
    for use in (_read, opened):
        with pytest.raises(StoreCorruptError, match="head lock"):
            use(directory)
    assert {one.check: one.outcome for one in examine(open_store(directory))}["head"] == "failed"


DOORS: dict[str, Callable[[Path, Path], object]] = {
    "read": lambda directory, _: _read(directory),
    "write": lambda directory, _: opened(directory),
    "restore in place": lambda directory, _: restore(open_store(directory), None, is_newest=True),
    "restore": lambda directory, new: restore(
        open_store(new), directory / "ledger.db", is_newest=True
    ),
    "succeed": lambda directory, new: succeed(open_store(new), open_store(directory)),
    "create": lambda directory, _: Engine.create(
        open_store(directory), "pfgov.test/two", clock=ManualClock(START)
    ),
}


@pytest.mark.parametrize(
    "table", ["entry", "member", "packet", "ledger_state", "checkpoint", "node"]
)
@pytest.mark.parametrize("door", DOORS)
def test_a_view_in_the_place_of_a_table_is_read_by_nobody(
    directory: Path, tmp_path: Path, door: str, table: str
) -> None:
    """A view need not end: whoever reads it, or takes a ledger over from it, is held up for ever."""
    _change(
        directory / "ledger.db",
        f"ALTER TABLE {table} RENAME TO was",
        f"CREATE VIEW {table} AS SELECT * FROM was",
    )
    with pytest.raises(PfgovError):
        DOORS[door](directory, tmp_path / "new")


@pytest.mark.parametrize("door", ["read", "write", "restore"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW _sqlite_migrations AS SELECT * FROM was",
        "CREATE TABLE _sqlite_migrations (a)",
        'CREATE TABLE "_sqlite_migrations" ("id" INTEGER PRIMARY KEY, "name" TEXT AS (hex(zeroblob(1e9))))',
    ],
)
def test_what_migrations_ran_is_read_from_a_plain_table(
    directory: Path, tmp_path: Path, door: str, statement: str
) -> None:
    """Before the schema was looked at, a view without end in this place held up whoever opened an older ledger."""
    _change(
        directory / "ledger.db",
        "ALTER TABLE _sqlite_migrations RENAME TO was",
        statement,
        "PRAGMA user_version = 2",
    )
    with pytest.raises(StoreCorruptError, match="_sqlite_migrations"):
        DOORS[door](directory, tmp_path / "new")
