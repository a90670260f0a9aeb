"""What somebody does who can write a ledger's database and has no key; and what the doctor finds of it."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from pfgov.engine.maintenance.doctor import examine
from pfgov.storage import open_store


@contextmanager
def inside(directory: Path) -> Generator[sqlite3.Connection]:
    """Give the database as an intruder has it: without the triggers, which are put back."""
    with closing(sqlite3.connect(directory / "ledger.db")) as database, database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        yield database
        for _, sql in triggers:
            database.execute(sql)


def change(directory: Path, *statements: str) -> None:
    """Change one row by each of *statements*."""
    with inside(directory) as database:
        for statement in statements:
            assert database.execute(statement).rowcount == 1


def findings(directory: Path) -> dict[str, str]:
    """Return the outcome of each of the doctor's checks."""
    return {one.check: one.outcome for one in examine(open_store(directory))}
