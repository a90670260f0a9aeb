"""The tables of a ledger's database, as literal statements, and the check that they are still these.

Entries, checkpoints, tree nodes and policy sets are append-only: triggers refuse updates and deletes.  The triggers
are a seat-belt, the hash chain is the proof; but tools can drop them silently (sqlite-utils' ``transform`` does), so
every opening compares what the file says with what is written here.  This module runs no other statement.

``packet`` has no index on owner or status: each costs a decision 11 us, and a listing is a scan of narrow columns.
"""

import re
import sqlite3
from collections.abc import Collection, Iterable
from typing import Final

from pfgov.errors import StoreCorruptError, StoreError

VERSION: Final = 4
"""``PRAGMA user_version`` of the present schema."""

APPLICATION_ID: Final = 0x50464756
"""``PRAGMA application_id``: the letters PFGV."""

TABLES: Final = {
    # the ledger
    "entry": """CREATE TABLE entry (
        seq INTEGER PRIMARY KEY,
        subject TEXT NOT NULL,
        subject_seq INTEGER NOT NULL,
        type TEXT NOT NULL,
        time INTEGER NOT NULL,
        leaf BLOB NOT NULL,
        signature BLOB NOT NULL,
        raw BLOB NOT NULL
    ) STRICT""",
    "checkpoint": """CREATE TABLE checkpoint (
        size INTEGER PRIMARY KEY,
        note BLOB NOT NULL
    ) STRICT""",
    "node": """CREATE TABLE node (
        level INTEGER NOT NULL,
        place INTEGER NOT NULL,
        hash BLOB NOT NULL,
        PRIMARY KEY (level, place)
    ) STRICT, WITHOUT ROWID""",
    # folded tables: rebuilt by folding the entries
    "member": """CREATE TABLE member (
        member_id TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        as_of INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "packet": """CREATE TABLE packet (
        packet_id TEXT PRIMARY KEY,
        status TEXT NOT NULL,
        owner TEXT,
        epoch INTEGER NOT NULL,
        as_of INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    "ledger_state": """CREATE TABLE ledger_state (
        key TEXT PRIMARY KEY,
        as_of INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # beside the ledger
    "idempotency": """CREATE TABLE idempotency (
        id INTEGER PRIMARY KEY,
        principal TEXT NOT NULL,
        key TEXT NOT NULL,
        digest BLOB NOT NULL,
        first INTEGER NOT NULL,
        length INTEGER NOT NULL,
        time INTEGER NOT NULL,
        refusal BLOB,
        UNIQUE (principal, key)
    ) STRICT""",
    "attachment": """CREATE TABLE attachment (
        digest TEXT PRIMARY KEY,
        subject TEXT NOT NULL,
        field TEXT NOT NULL,
        parent TEXT,
        first INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('present', 'erased')),
        salt BLOB,
        payload BLOB,
        CHECK ((state = 'present') = (salt IS NOT NULL AND payload IS NOT NULL))
    ) STRICT""",
    "policy_set": """CREATE TABLE policy_set (
        digest TEXT PRIMARY KEY,
        document BLOB NOT NULL
    ) STRICT""",
    "verdict_table": """CREATE TABLE verdict_table (
        digest TEXT PRIMARY KEY,
        first INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT""",
    "lease": """CREATE TABLE lease (
        member_id TEXT PRIMARY KEY,
        incarnation INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        ttl INTEGER NOT NULL,
        stretch INTEGER NOT NULL,
        is_graced INTEGER NOT NULL,
        kept_at INTEGER NOT NULL,
        session TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
}
"""Table name -> the statement that creates it.  STRICT, so that SQLite converts nothing behind our back."""

INDEXES: Final = {
    "entry_subject": "CREATE UNIQUE INDEX entry_subject ON entry (subject, subject_seq)",
    "entry_erased": "CREATE INDEX entry_erased ON entry (seq) WHERE type = 'attachment_erased'",
    "entry_index": "CREATE INDEX entry_index ON entry (seq) WHERE type = 'index_committed'",
    "packet_status": "CREATE INDEX packet_status ON packet (status, packet_id)",
    "packet_owner": "CREATE INDEX packet_owner ON packet (owner, status, packet_id) WHERE owner IS NOT NULL",
    "attachment_subject": "CREATE INDEX attachment_subject ON attachment (subject, first)",
    "attachment_parent": "CREATE INDEX attachment_parent ON attachment (parent) WHERE parent IS NOT NULL",
}

APPEND_ONLY: Final = ("entry", "checkpoint", "node", "policy_set")

TRIGGERS: Final = {
    f"{table}_no_{verb.lower()}": (
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )
    for table in APPEND_ONLY
    for verb in ("UPDATE", "DELETE")
}

EXPECTED: Final = {**TABLES, **INDEXES, **TRIGGERS}
"""Everything there is, in an order in which it can be created."""

SINCE_4: Final = ("packet_status", "packet_owner", "attachment_subject")
"""Indexes that the fourth version brought."""

_BEFORE_4: Final = {name: made for name, made in EXPECTED.items() if name not in SINCE_4}

EARLIER: Final = {
    1: {
        **_BEFORE_4,
        "lease": """CREATE TABLE lease (
        member_id TEXT PRIMARY KEY,
        incarnation INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        ttl INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    },
    2: {
        **_BEFORE_4,
        "lease": """CREATE TABLE lease (
        member_id TEXT PRIMARY KEY,
        incarnation INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        ttl INTEGER NOT NULL,
        stretch INTEGER NOT NULL,
        is_graced INTEGER NOT NULL,
        kept_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    },
    3: _BEFORE_4,
}
"""What earlier versions made: a reader takes it as it is, and the next writer brings it up to date."""

MIGRATIONS_TABLE: Final = "_sqlite_migrations"
"""Where sqlite-utils notes which migrations ran: a plain table and index, whichever version of it made them."""

_NOTED: Final = re.compile(
    r'(CREATE TABLE "_sqlite_migrations" \((?: ?"\w+" (?:INTEGER PRIMARY KEY|TEXT),?)+ \)'
    r'|CREATE UNIQUE INDEX "\w+" ON "_sqlite_migrations" \("\w+"(?:, "\w+")*\))',
    re.ASCII,
)


def is_behind(connection: sqlite3.Connection) -> bool:
    """Whether an older version of pfgov made this database."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    return application == APPLICATION_ID and version in EARLIER


def check_tables(connection: sqlite3.Connection) -> None:
    """Refuse a database in which something stands in the place of a table that is read: a view may have no end.

    What is missing is for whoever asks for it to miss, and triggers do nothing to who reads.

    Raises:
        StoreCorruptError: something does.
    """
    known = {
        name: {" ".join(made[name].split()) for made in (EXPECTED, *EARLIER.values())}
        for name in TABLES
    }
    odd = {
        name
        for name, sql in _found(connection, "WHERE type IN ('table', 'view')")
        if name in known and sql not in known[name]
    }
    if odd:
        raise _changed(odd)


def check_notes(connection: sqlite3.Connection) -> None:
    """Refuse a database in which something else stands where it is noted which migrations ran.

    Raises:
        StoreCorruptError: something does.
    """
    noted = _found(connection, f"WHERE '{MIGRATIONS_TABLE}' IN (lower(name), lower(tbl_name))")
    if odd := {name for name, sql in noted if not _NOTED.fullmatch(sql)}:
        raise _changed(odd)


def check(connection: sqlite3.Connection) -> None:
    """Refuse a database whose schema is not the one written here.

    Raises:
        StoreCorruptError: a table, index or trigger is missing, altered, or not ours.
        StoreError: ``store.newer``, a later version of pfgov made it; ``store.foreign``, somebody else did.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise StoreError(
            "the database is not a pfgov ledger",
            code="store.foreign",
            hint="choose another folder with --dir",
        )
    if version > VERSION:
        raise StoreError(
            f"the database has schema {version}, and this pfgov knows up to {VERSION}",
            code="store.newer",
            hint="use the version of pfgov that wrote it, or a later one",
        )
    check_notes(connection)
    found = _found(connection, f"WHERE tbl_name <> '{MIGRATIONS_TABLE}' AND sql IS NOT NULL")
    expected = {
        (name, " ".join(sql.split())) for name, sql in EARLIER.get(version, EXPECTED).items()
    }
    odd = {name for name, _ in set(found) ^ expected}
    if not odd and len(found) == len(expected):
        return
    raise _changed(odd)


def _changed(odd: Iterable[str]) -> StoreCorruptError:
    return StoreCorruptError(
        f"the schema was changed from outside: {', '.join(sorted(odd))}",
        hint="restore the file from a backup, or export what verifies and begin a successor: pfgov ledger succeed",
    )


def oddities(connection: sqlite3.Connection, wanted: Collection[str]) -> list[str] | None:
    """Return the names of what a small database of ours has beside or instead of *wanted*; None if it has nothing.

    A view in the place of a table might have no end, and a trigger would undo what is written.  *wanted* are statements
    with single spaces.
    """
    found = _found(connection, "WHERE sql IS NOT NULL")
    if not found:
        return None
    odd = {name for name, sql in found if sql not in wanted}
    is_short = len(found) != len(wanted) and not odd
    return sorted(odd) or (["something is missing"] if is_short else [])


def _found(connection: sqlite3.Connection, where: str) -> list[tuple[str, str]]:
    """Return what there is, a row for each: a trigger may have the name of a table, and would be hidden behind it."""
    rows = connection.execute(f"SELECT name, sql FROM sqlite_master {where}")  # noqa: S608 - literals
    return [(str(name), " ".join(str(sql).split())) for name, sql in rows.fetchall()]
