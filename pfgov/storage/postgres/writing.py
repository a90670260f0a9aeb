"""The store's writing side in PostgreSQL: one guarded transaction for each commit, sent without waiting in between.

The first statement moves the head, if it still stands at the size and the term of this writer; whoever has lost the
leadership is refused there, and with it everything that follows.  After an error nobody knows whether the commit
happened: the caller opens the store again, which takes a new term, and that commit comes after the doubtful one or
makes it impossible.  This module knows no key and no hash.
"""

import contextlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import psycopg

from pfgov.errors import StoreCorruptError
from pfgov.storage.leases import LeaseRow
from pfgov.storage.port import Probe, WriteSet, untouched
from pfgov.storage.postgres import schema
from pfgov.storage.postgres.connections import Address, connect
from pfgov.storage.postgres.errors import translated, translating
from pfgov.storage.postgres.leading import LEASE_SECONDS, Lead
from pfgov.storage.postgres.queries import PostgresQueries

_ADVANCE: Final = "SELECT pfgov.advance(%s, %s, %s, %s, %s)"

_PACKET: Final = """INSERT INTO pfgov.packet VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (ledger, packet_id) DO UPDATE SET status = excluded.status, owner = excluded.owner,
    epoch = excluded.epoch, as_of = excluded.as_of, body = excluded.body"""
_MEMBER: Final = """INSERT INTO pfgov.member VALUES (%s, %s, %s, %s, %s) ON CONFLICT (ledger, member_id)
    DO UPDATE SET status = excluded.status, as_of = excluded.as_of, body = excluded.body"""
_LEDGER_STATE: Final = """INSERT INTO pfgov.ledger_state VALUES (%s, %s, %s, %s) ON CONFLICT (ledger, key)
    DO UPDATE SET as_of = excluded.as_of, body = excluded.body"""
_ATTACHMENT: Final = """INSERT INTO pfgov.attachment
    (ledger, digest, subject, field, parent, first, salt, payload, state)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 'present') ON CONFLICT DO NOTHING"""
_ANSWER: Final = """INSERT INTO pfgov.idempotency (ledger, principal, key, digest, first, length, time, refusal)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_TABLE: Final = """INSERT INTO pfgov.verdict_table (ledger, digest, first, body) VALUES (%s, %s, %s, %s)
    ON CONFLICT DO NOTHING"""

STATEMENTS: Final = (
    ("entries", "INSERT INTO pfgov.entry VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"),
    ("nodes", "INSERT INTO pfgov.node VALUES (%s, %s, %s, %s)"),
    ("packets", _PACKET),
    ("members", _MEMBER),
    ("ledger_state", _LEDGER_STATE),
    ("answers", _ANSWER),
    ("attachments", _ATTACHMENT),
    ("policy_sets", "INSERT INTO pfgov.policy_set VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"),
    ("tables", _TABLE),
)
"""Field of :class:`WriteSet` -> its statement, in the order in which they run; each begins with the ledger's number."""

CHECKPOINT: Final = "INSERT INTO pfgov.checkpoint VALUES (%s, %s, %s)"
LEASE: Final = "INSERT INTO pfgov.lease VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"

_ERASE: Final = """UPDATE pfgov.attachment SET state = 'erased', salt = NULL, payload = NULL
    WHERE ledger = %s AND digest = %s AND state = 'present'"""

TRIMMED_MAX: Final = 1_000
"""Rows of a kind that one trim deletes."""

_TRIM_TABLES: Final = """DELETE FROM pfgov.verdict_table WHERE ledger = %s AND digest IN (SELECT digest
    FROM pfgov.verdict_table WHERE ledger = %s AND first < %s ORDER BY first, id LIMIT %s)"""
_TRIM_ANSWERS: Final = """DELETE FROM pfgov.idempotency WHERE ledger = %s AND id IN (SELECT id
    FROM pfgov.idempotency WHERE ledger = %s AND time < %s ORDER BY time, id LIMIT %s)"""

_NO_OLDER_SNAPSHOT: Final = """SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL)"""


class PostgresWriter:
    """The writer's side of a ledger in PostgreSQL; implements :class:`pfgov.storage.port.StoreWriter`."""

    def __init__(
        self, address: Address, leader: str, *, must_exist: bool = True, probe: Probe = untouched
    ) -> None:
        """Open the ledger and take a new term.

        Args:
            address: Where the ledger is.
            leader: The token under which its lock is held.
            must_exist: Whether a ledger without entries is refused by the caller.
            probe: Called around every storage call.

        Raises:
            PfgovError: ``store.*``, it is missing, altered, newer, led by another, or cannot be written.
        """
        self._location = address.location
        self._probe = probe
        self._call("open", "before")
        self.connection = connect(address)
        try:
            with translating(self._location):
                if not must_exist:
                    schema.create(self.connection)
                schema.check(self.connection)
            lead = Lead(self.connection, address, leader)
            self._ledger, self._term, self._size = lead.begin_term()
            self.queries = PostgresQueries(self.connection, self._ledger, self._location)
            self._require_all(self.queries.size())
            self._call("open", "after")
        except BaseException:
            self.connection.close()
            raise

    @property
    def term(self) -> int:
        """The term that was taken."""
        return self._term

    def _require_all(self, size: int) -> None:
        if size != self._size:
            raise StoreCorruptError(
                f"{self._location} holds {size} entries, and its head says {self._size}",
                hint="restore it from a backup; an export that was taken earlier still verifies",
            )

    def _call(self, name: str, when: Literal["before", "after"]) -> None:
        try:
            self._probe(name, when)
        except psycopg.Error as error:
            raise translated(error, self._location) from error

    def write(self, batch: WriteSet) -> None:
        """Commit *batch* as a whole.

        Raises:
            PfgovError: ``store.*``; it is not known whether the commit happened.
        """
        size = self._size + len(batch.entries)
        try:
            self._send(batch, size)
        except psycopg.Error as error:
            self._abandon()
            raise translated(error, self._location) from error
        except BaseException:
            self._abandon()
            raise
        self._size = size

    def _send(self, batch: WriteSet, size: int) -> None:
        probe, connection, ledger = self._probe, self.connection, self._ledger
        with connection.pipeline():
            probe("begin", "before")
            connection.execute("BEGIN")
            self._advance(size)
            probe("begin", "after")
            cursor = connection.cursor()
            for name, statement in STATEMENTS:
                rows = getattr(batch, name)
                if rows:
                    probe(name, "before")
                    cursor.executemany(statement.encode(), [(ledger, *row) for row in rows])
                    probe(name, "after")
            if batch.checkpoint is not None:
                probe("checkpoint", "before")
                connection.execute(CHECKPOINT, (ledger, *batch.checkpoint))
                probe("checkpoint", "after")
            for digest in batch.erased:
                probe("erased", "before")
                connection.execute(_ERASE, (ledger, digest))
                probe("erased", "after")
            probe("commit", "before")
            connection.execute("COMMIT")
        probe("commit", "after")

    def _advance(self, size: int) -> None:
        self.connection.execute(
            _ADVANCE, (self._ledger, self._size, self._term, size, LEASE_SECONDS)
        )

    def _abandon(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.connection.rollback()

    def _guarded(self, *statements: tuple[str, Sequence[Sequence[object]]]) -> int:
        """Run *statements*, each with its rows, as the leader; return how many rows they changed."""
        changed = 0
        with translating(self._location), self.connection.transaction():
            self._advance(self._size)
            cursor = self.connection.cursor()
            for statement, rows in statements:
                if rows:
                    cursor.executemany(statement.encode(), rows)
                    changed += max(0, cursor.rowcount)
        return changed

    def write_leases(self, leases: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Replace the persisted leases, or without *is_whole* those of the same members; no entry is made."""
        ledger = self._ledger
        gone: tuple[str, list[tuple[Any, ...]]] = (
            ("DELETE FROM pfgov.lease WHERE ledger = %s", [(ledger,)])
            if is_whole
            else (
                "DELETE FROM pfgov.lease WHERE ledger = %s AND member_id = %s",
                [(ledger, lease.member_id) for lease in leases],
            )
        )
        self._guarded(gone, (LEASE, [(ledger, *lease) for lease in leases]))

    def apply_erasures(self, digests: Sequence[str]) -> int:
        """Delete payloads and salts again that the log says were erased (a restored backup); return how many."""
        return self._guarded((_ERASE, [(self._ledger, digest) for digest in digests]))

    def flush_erased(self) -> bool:
        """Vacuum what was deleted out of the table; False while a reader may still see it.

        The database's write-ahead log, its standbys and its backups keep what they have, as its operator set them up.
        """
        with translating(self._location):
            free = self.connection.execute(_NO_OLDER_SNAPSHOT).fetchone()
            self.connection.execute("VACUUM pfgov.attachment")
        return bool(free and free[0])

    def trim(self, *, tables_before: int, answers_before: int) -> int:
        """Delete the oldest of what is kept only for a while, at most :data:`TRIMMED_MAX` of each; return how many.

        Args:
            tables_before: Verdict tables of decisions before this position.
            answers_before: Answers to idempotency keys from before this time (microseconds).
        """
        ledger = self._ledger
        return self._guarded(
            (_TRIM_TABLES, [(ledger, ledger, tables_before, TRIMMED_MAX)]),
            (_TRIM_ANSWERS, [(ledger, ledger, answers_before, TRIMMED_MAX)]),
        )

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()
