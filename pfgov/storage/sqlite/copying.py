"""Copying a database: page by page through SQLite, so that a copy of one in use is whole, and checked before it
counts.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pfgov.storage.sqlite import schema
from pfgov.storage.sqlite.connections import make_private, open_reader
from pfgov.storage.sqlite.errors import translating


def stored_rows(
    source: Path,
) -> Iterator[tuple[str, tuple[str, ...], Iterator[tuple[object, ...]]]]:
    """Give the name, the columns and the rows of each table of the ledger's database at *source*, in one snapshot.

    Rows come in the order in which they were written; a number that only says so is left out, and leases are: whoever
    is moved gets a fresh one.

    Raises:
        PfgovError: ``store.*``, the database is missing, damaged, altered, newer or not ours.
    """
    reader = open_reader(source)
    try:
        with translating(source):
            schema.check(reader)
            reader.execute("BEGIN")
            for table, statement in schema.TABLES.items():
                if table == "lease":
                    continue
                names = [row[1] for row in reader.execute(f"PRAGMA table_info({table})")]
                columns = tuple(name for name in names if name != "id")
                order = "" if "WITHOUT ROWID" in statement else " ORDER BY rowid"
                rows = reader.execute(f"SELECT {', '.join(columns)} FROM {table}{order}")  # noqa: S608
                yield table, columns, iter(rows)
    finally:
        reader.close()


def copy_database(source: Path, target: Path) -> None:
    """Copy the ledger's database at *source* to *target*, readable by its owner only; all of it or nothing.

    Raises:
        PfgovError: ``store.*``, the source is missing, damaged, altered, newer or not ours, or there is no room.
    """
    half = target.with_name(target.name + ".restoring")
    with translating(half):
        half.unlink(missing_ok=True)
    reader = open_reader(source)
    try:
        with translating(source):
            schema.check(reader)
        make_private(half)
        with translating(half):
            writer = sqlite3.connect(half)
            try:
                reader.backup(writer)
            finally:
                writer.close()
            half.replace(target)
    finally:
        reader.close()
        half.unlink(missing_ok=True)
