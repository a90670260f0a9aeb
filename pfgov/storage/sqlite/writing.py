"""The store's writing side: entries, checkpoint and projections of one commit, all or nothing.

One ``BEGIN IMMEDIATE`` transaction with plain statements on the connection (sqlite-utils' ``insert`` costs 2.8 times
as much, and its ``atomic`` is a deferred BEGIN that fails at once on a stale snapshot).  After an error nobody knows
whether the commit happened: the caller opens the store again and looks.  This module knows no key and no hash.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from pfgov.storage.leases import LeaseRow
from pfgov.storage.port import Probe, WriteSet, untouched
from pfgov.storage.sqlite import schema
from pfgov.storage.sqlite.connections import BUSY_SECONDS, open_writer
from pfgov.storage.sqlite.errors import translated, translating
from pfgov.storage.sqlite.queries import SqliteQueries

_PACKET: Final = """INSERT INTO packet VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (packet_id) DO UPDATE SET
    status = excluded.status, owner = excluded.owner, epoch = excluded.epoch,
    as_of = excluded.as_of, body = excluded.body"""
_MEMBER: Final = """INSERT INTO member VALUES (?, ?, ?, ?) ON CONFLICT (member_id) DO UPDATE SET
    status = excluded.status, as_of = excluded.as_of, body = excluded.body"""
_LEDGER_STATE: Final = """INSERT INTO ledger_state VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    as_of = excluded.as_of, body = excluded.body"""
_ATTACHMENT: Final = """INSERT INTO attachment VALUES (?, ?, ?, ?, ?, 'present', ?, ?)
    ON CONFLICT DO NOTHING"""

_STATEMENTS: Final = (
    ("entries", "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
    ("nodes", "INSERT INTO node VALUES (?, ?, ?)"),
    ("packets", _PACKET),
    ("members", _MEMBER),
    ("ledger_state", _LEDGER_STATE),
    ("answers", "INSERT INTO idempotency VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"),
    ("attachments", _ATTACHMENT),
    ("policy_sets", "INSERT INTO policy_set VALUES (?, ?) ON CONFLICT DO NOTHING"),
    ("tables", "INSERT INTO verdict_table VALUES (?, ?, ?) ON CONFLICT DO NOTHING"),
)
"""Field of :class:`WriteSet` -> its statement, in the order in which they run."""

_TRIM_TABLES: Final = """DELETE FROM verdict_table WHERE rowid IN
    (SELECT rowid FROM verdict_table WHERE first < ? ORDER BY rowid LIMIT ?)"""
_TRIM_ANSWERS: Final = """DELETE FROM idempotency WHERE id IN
    (SELECT id FROM idempotency WHERE time < ? ORDER BY id LIMIT ?)"""
"""Rows are numbered in the order in which they came, so that the oldest are found without a scan."""

TRIMMED_MAX: Final = 1_000
"""Rows of a kind that one trim deletes."""

_ERASE_SET: Final = "UPDATE attachment SET state = 'erased', salt = NULL, payload = NULL"
_ERASE: Final = f"{_ERASE_SET} WHERE digest = ?"


class SqliteWriter:
    """The writer's side of a ledger's database; implements :class:`pfgov.storage.port.StoreWriter`."""

    def __init__(self, path: Path, *, must_exist: bool = True, probe: Probe = untouched) -> None:
        """Open the database, creating it if that is allowed.

        Raises:
            PfgovError: ``store.*``, it is missing, damaged, altered, newer, not ours, or cannot be written.
        """
        self._path = path
        self._probe = probe
        self._call("open", "before")
        self.connection = open_writer(path, must_exist=must_exist)
        try:
            with translating(path):
                schema.check_notes(self.connection)
                if not must_exist or schema.is_behind(self.connection):
                    from pfgov.storage.sqlite import migrations

                    migrations.create(self.connection)
                schema.check(self.connection)
        except BaseException:
            self.connection.close()
            raise
        self._call("open", "after")
        self.queries = SqliteQueries(self.connection, path)

    @property
    def term(self) -> int:
        """None is needed: one process writes."""
        return 0

    def _call(self, name: str, when: Literal["before", "after"]) -> None:
        try:
            self._probe(name, when)
        except (sqlite3.Error, OSError) as error:
            raise translated(error, self._path) from error

    def write(self, batch: WriteSet) -> None:
        """Commit *batch* as a whole.

        Raises:
            PfgovError: ``store.*``; it is not known whether the commit happened.
        """
        probe, connection = self._probe, self.connection
        try:
            probe("begin", "before")
            connection.execute("BEGIN IMMEDIATE")
            probe("begin", "after")
            for name, statement in _STATEMENTS:
                rows = getattr(batch, name)
                if rows:
                    probe(name, "before")
                    connection.executemany(statement, rows)
                    probe(name, "after")
            self._write_rest(batch)
            probe("commit", "before")
            connection.execute("COMMIT")
            probe("commit", "after")
        except (sqlite3.Error, OSError) as error:
            self._abandon()
            raise translated(error, self._path) from error
        except BaseException:
            self._abandon()
            raise

    def _write_rest(self, batch: WriteSet) -> None:
        if batch.checkpoint is not None:
            self._probe("checkpoint", "before")
            self.connection.execute("INSERT INTO checkpoint VALUES (?, ?)", batch.checkpoint)
            self._probe("checkpoint", "after")
        for digest in batch.erased:
            self._probe("erased", "before")
            self.connection.execute(_ERASE, (digest,))
            self._probe("erased", "after")

    def _abandon(self) -> None:
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.connection.close()

    def write_leases(self, leases: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Replace the persisted leases, or without *is_whole* those of the same members; no entry is made."""
        with translating(self._path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                if is_whole:
                    self.connection.execute("DELETE FROM lease")
                self.connection.executemany(
                    "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?, ?, ?)", leases
                )
                self.connection.execute("COMMIT")
            except BaseException:
                self._abandon()
                raise

    def apply_erasures(self, digests: Sequence[str]) -> int:
        """Delete payloads and salts again that the log says were erased (a restored backup); return how many."""
        found = 0
        with translating(self._path):
            for digest in digests:
                found += self.connection.execute(
                    f"{_ERASE} AND state = 'present'", (digest,)
                ).rowcount
        return found

    def flush_erased(self) -> bool:
        """Push deletions out of the write-ahead log too; False while a reader still holds an old page."""
        with translating(self._path):
            self.connection.execute(
                "PRAGMA busy_timeout = 0"
            )  # do not make everybody wait for a reader
            try:
                row = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self.connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1_000)}")
        return int(row[0]) == 0

    def trim(self, *, tables_before: int, answers_before: int) -> int:
        """Delete the oldest of what is kept only for a while, at most :data:`TRIMMED_MAX` of each; return how many.

        Args:
            tables_before: Verdict tables of decisions before this position.
            answers_before: Answers to idempotency keys from before this time (microseconds).
        """
        with translating(self._path):
            tables = self.connection.execute(_TRIM_TABLES, (tables_before, TRIMMED_MAX)).rowcount
            return (
                tables
                + self.connection.execute(_TRIM_ANSWERS, (answers_before, TRIMMED_MAX)).rowcount
            )

    def close(self) -> None:
        """Close the connection."""
        with translating(self._path):
            self.connection.close()
