"""How a database comes to the present schema: sqlite-utils' migrations, each in a transaction of its own.

Never ``transform`` a table here: it silently drops every trigger (upstream issues 611 and 849).  A later schema adds
a function and raises :data:`pfgov.storage.sqlite.schema.VERSION`; the check on opening holds it to the literal
statements.  Imported only where there is something to do: sqlite-utils takes a sixth of a command's time to import.
"""

import sqlite3
from typing import Final

from sqlite_utils import Database, Migrations

from pfgov.storage.sqlite import schema

MIGRATIONS: Final = Migrations("pfgov")


@MIGRATIONS(name="0001_first")
def _first(db: Database) -> None:
    for statement in schema.EXPECTED.values():
        db.conn.execute(statement)
    db.conn.execute(f"PRAGMA user_version = {schema.VERSION}")


@MIGRATIONS(name="0002_leases")
def _leases(db: Database) -> None:
    """Keep of each lease what was left of it: no entry, and losing the few that were kept costs a whole lease each."""
    db.conn.execute("DROP TABLE lease")
    db.conn.execute(schema.TABLES["lease"])
    db.conn.execute(f"PRAGMA user_version = {schema.VERSION}")


@MIGRATIONS(name="0003_sessions")
def _sessions(db: Database) -> None:
    """Keep of each lease which process lives by it, too."""
    columns = "member_id, incarnation, last_seen, ttl, stretch, is_graced, kept_at"
    db.conn.execute("ALTER TABLE lease RENAME TO lease_before")
    db.conn.execute(schema.TABLES["lease"])
    db.conn.execute(f"INSERT INTO lease SELECT {columns}, '' FROM lease_before")  # noqa: S608 - a literal
    db.conn.execute("DROP TABLE lease_before")
    db.conn.execute(f"PRAGMA user_version = {schema.VERSION}")


@MIGRATIONS(name="0004_indexes")
def _indexes(db: Database) -> None:
    """Find the packets of a status or of an owner, and the payloads of a packet, without a walk through all of them."""
    there = {str(row[0]) for row in db.conn.execute("SELECT name FROM sqlite_master")}
    for name in schema.SINCE_4:
        if name not in there:  # a new database has them from the first
            db.conn.execute(schema.INDEXES[name])
    db.conn.execute(f"PRAGMA user_version = {schema.VERSION}")


def create(connection: sqlite3.Connection) -> None:
    """Bring an empty database, or one of an older version, to the present schema."""
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    MIGRATIONS.apply(wrapped(connection))


def wrapped(connection: sqlite3.Connection) -> Database:
    """Return sqlite-utils' view of *connection*: no plug-ins, no changed settings."""
    return Database(connection, recursive_triggers=False, execute_plugins=False)
