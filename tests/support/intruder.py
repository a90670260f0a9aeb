"""What somebody does who can write a ledger's database and has no key."""

import sqlite3
from pathlib import Path


def change(directory: Path, *statements: str) -> None:
    """Change the database as an intruder does: without the triggers, which are put back."""
    with sqlite3.connect(directory / "ledger.db") as database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert database.execute(statement).rowcount == 1
        for _, sql in triggers:
            database.execute(sql)
    database.close()
