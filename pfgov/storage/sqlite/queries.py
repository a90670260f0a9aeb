"""Every question that is asked of a ledger's database, for the writer and for readers alike.

Rows come back as bytes and plain values; what they mean is for the caller.  Nothing here writes.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pfgov.storage.leases import LeaseRow
from pfgov.storage.port import (
    PAGE,
    AnswerRow,
    AttachmentRow,
    EntryFilter,
    EntryRow,
    PacketFilter,
    StoredPayload,
    StoredRow,
)
from pfgov.storage.sqlite.errors import translated, translating

_SQLITE_MIN: Final = -(2**63)
_SQLITE_MAX: Final = 2**63 - 1

_BOUND_AT_ONCE: Final = 500
"""Values that one statement is given, at most: every SQLite takes so many."""


class SqliteQueries:
    """Reads over one connection; implements :class:`pfgov.storage.port.Queries`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self._path = path

    def _rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        with translating(self._path):
            cursor = self.connection.execute(statement, _bindable(values))
            cursor.arraysize = PAGE
            while page := cursor.fetchmany():
                yield from page

    def _row(self, statement: str, values: Sequence[object] = ()) -> tuple[object, ...] | None:
        try:  # as `translating`, which costs as much as a small read
            row: tuple[object, ...] | None = self.connection.execute(
                statement, _bindable(values)
            ).fetchone()
        except (sqlite3.Error, OSError) as error:
            raise translated(error, self._path) from error
        return row

    # --- ledger --------------------------------------------------------------------------

    def size(self) -> int:
        """Return the number of entries."""
        row = self._row("SELECT max(seq) FROM entry")
        return 0 if row is None or row[0] is None else _int(row[0]) + 1

    def checkpoint(self, at_most: int | None = None) -> tuple[int, bytes] | None:
        """Return size and note of the newest checkpoint (of at most so many entries)."""
        row = self._row(
            "SELECT size, note FROM checkpoint WHERE size <= ? ORDER BY size DESC LIMIT 1",
            (2**62 if at_most is None else at_most,),
        )
        return None if row is None else (_int(row[0]), _bytes(row[1]))

    def entry(self, seq: int) -> EntryRow | None:
        """Return one entry."""
        row = self._row("SELECT * FROM entry WHERE seq = ?", (seq,))
        return None if row is None else _entry(row)

    def entries(self, wanted: EntryFilter | None = None) -> Iterator[EntryRow]:
        """Return entries in order of position, streaming."""
        wanted = wanted or EntryFilter()
        where, values = ["seq >= ?"], [wanted.start]
        conditions: tuple[tuple[str, object | None], ...] = (
            ("seq < ?", wanted.stop),
            ("subject = ?", wanted.subject),
            ("time >= ?", wanted.since),
            ("time < ?", wanted.until),
        )
        bound: list[object] = list(values)
        for condition, value in conditions:
            if value is not None:
                where.append(condition)
                bound.append(value)
        if wanted.types:
            where.append(f"type IN ({', '.join('?' * len(wanted.types))})")
            bound.extend(wanted.types)
        order = "seq"
        if wanted.subject is not None:
            order = "subject_seq"  # the same order, and the index gives it
        bound.append(-1 if wanted.limit is None else wanted.limit)
        statement = (
            f"SELECT * FROM entry WHERE {' AND '.join(where)} "  # noqa: S608 - literals only
            f"ORDER BY {order}{' DESC' if wanted.newest_first else ''} LIMIT ?"
        )
        return (_entry(row) for row in self._rows(statement, bound))

    def signed(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """Return (raw, signature) of entries in order, streaming."""
        rows = self._rows(
            "SELECT raw, signature FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq",
            (start, stop),
        )
        return ((_bytes(row[0]), _bytes(row[1])) for row in rows)

    def latest_index(self) -> int | None:
        """Return the position of the newest ``index_committed`` entry (a partial index finds it)."""
        row = self._row("SELECT max(seq) FROM entry WHERE type = 'index_committed'")
        return None if row is None or row[0] is None else _int(row[0])

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Return leaf hashes in order."""
        rows = self._rows(
            "SELECT leaf FROM entry WHERE seq >= ? AND seq < ? ORDER BY seq", (start, stop)
        )
        return (_bytes(row[0]) for row in rows)

    def erasures(self) -> Iterator[EntryRow]:
        """Return every entry that records an erasure (a partial index finds them)."""
        rows = self._rows("SELECT * FROM entry WHERE type = 'attachment_erased' ORDER BY seq")
        return (_entry(row) for row in rows)

    def node(self, level: int, place: int) -> bytes | None:
        """Return the stored hash of a complete subtree."""
        row = self._row("SELECT hash FROM node WHERE level = ? AND place = ?", (level, place))
        return None if row is None else _bytes(row[0])

    def last_entries(self, subjects: Sequence[str]) -> list[EntryRow]:
        """Return the last entry of each of *subjects* that has one, in any order."""
        statement = "SELECT * FROM entry WHERE subject = ? ORDER BY subject_seq DESC LIMIT 1"
        found = (self._row(statement, (subject,)) for subject in dict.fromkeys(subjects))
        return [_entry(row) for row in found if row is not None]

    def subject_heads(self, before: int | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Return every subject with the number and leaf of its last entry among the first *before* ones."""
        rows = self._rows(
            "SELECT subject, max(subject_seq), leaf FROM entry WHERE seq < ? GROUP BY subject",
            (2**62 if before is None else before,),
        )
        return ((_str(row[0]), _int(row[1]), _bytes(row[2])) for row in rows)

    # --- folded tables -------------------------------------------------------------------

    def members(self) -> Iterator[StoredRow]:
        """Return every member's row, in id order."""
        rows = self._rows("SELECT member_id, as_of, body FROM member ORDER BY member_id")
        return (StoredRow(_str(row[0]), _int(row[1]), _bytes(row[2])) for row in rows)

    def member(self, member_id: str) -> StoredRow | None:
        """Return one member's row."""
        row = self._row(
            "SELECT member_id, as_of, body FROM member WHERE member_id = ?", (member_id,)
        )
        return None if row is None else StoredRow(_str(row[0]), _int(row[1]), _bytes(row[2]))

    def packet(self, packet_id: str) -> StoredRow | None:
        """Return one packet's row."""
        row = self._row(
            "SELECT packet_id, as_of, body FROM packet WHERE packet_id = ?", (packet_id,)
        )
        return None if row is None else StoredRow(_str(row[0]), _int(row[1]), _bytes(row[2]))

    def packets(self, wanted: PacketFilter | None = None) -> Iterator[StoredRow]:
        """Return packets' rows, in id order.

        Those of each status lie in id order in an index; merged, no row is read but those that are given out.
        """
        wanted = wanted or PacketFilter()
        where: list[str] = ["packet_id > ?"]
        values: list[object] = [wanted.after]
        if wanted.ids is not None:
            where.append(f"packet_id IN ({', '.join('?' * len(wanted.ids))})")
            values.extend(wanted.ids)
        if wanted.owner is not None:
            where.append("owner = ?")
            values.append(wanted.owner)
        each = f"SELECT packet_id, as_of, body FROM packet WHERE {' AND '.join(where)}"  # noqa: S608 - literals only
        statuses = dict.fromkeys(wanted.statuses)
        if statuses:
            each = " UNION ALL ".join([f"{each} AND status = ?"] * len(statuses))
            values = [value for status in statuses for value in (*values, status)]
        values.append(-1 if wanted.limit is None else wanted.limit)
        rows = self._rows(f"{each} ORDER BY packet_id LIMIT ?", values)
        return (StoredRow(_str(row[0]), _int(row[1]), _bytes(row[2])) for row in rows)

    def owned(self, statuses: Sequence[str], owner: str | None = None) -> Iterator[tuple[str, str]]:
        """Return (owner, packet) of every packet with one of *statuses*, of one owner or of all, in id order."""
        marks = ", ".join("?" * len(statuses))
        one = "" if owner is None else " AND owner = ?"
        rows = self._rows(
            f"SELECT owner, packet_id FROM packet WHERE status IN ({marks}) AND owner IS NOT NULL{one}"  # noqa: S608
            " ORDER BY packet_id",
            [*statuses, *([] if owner is None else [owner])],
        )
        return ((_str(row[0]), _str(row[1])) for row in rows)

    def packet_ids(self, start: str, stop: str, limit: int) -> list[str]:
        """Return at most *limit* ids from *start* to before *stop*."""
        rows = self._rows(
            "SELECT packet_id FROM packet WHERE packet_id >= ? AND packet_id < ? ORDER BY packet_id LIMIT ?",
            (start, stop, limit),
        )
        return [_str(row[0]) for row in rows]

    def packet_counts(self) -> dict[str, int]:
        """Return how many packets have each status."""
        rows = self._rows("SELECT status, count(*) FROM packet GROUP BY status ORDER BY status")
        return {_str(row[0]): _int(row[1]) for row in rows}

    def ledger_state(self) -> Iterator[StoredRow]:
        """Return the rows with keys, configuration and active policy set."""
        rows = self._rows("SELECT key, as_of, body FROM ledger_state ORDER BY key")
        return (StoredRow(_str(row[0]), _int(row[1]), _bytes(row[2])) for row in rows)

    # --- beside the ledger ---------------------------------------------------------------

    def answers(self, keys: Sequence[tuple[str, str]]) -> list[AnswerRow]:
        """Return the answers that were given to (principal, idempotency key) pairs, in any order."""
        found = (self._answer(*key) for key in dict.fromkeys(keys))
        return [row for row in found if row is not None]

    def _answer(self, principal: str, key: str) -> AnswerRow | None:
        row = self._row(
            "SELECT principal, key, digest, first, length, time, refusal FROM idempotency"
            " WHERE principal = ? AND key = ?",
            (principal, key),
        )
        if row is None:
            return None
        principal_, key_, digest, first, length, time, refusal = row
        return AnswerRow(
            _str(principal_), _str(key_), _bytes(digest), _int(first), _int(length), _int(time),
            None if refusal is None else _bytes(refusal),
        )  # fmt: skip

    def attachment(self, digest: str) -> AttachmentRow | None:
        """Return a payload with its salt; None if it was never stored or was erased."""
        row = self._row(
            "SELECT digest, subject, field, parent, first, salt, payload FROM attachment"
            " WHERE digest = ? AND state = 'present'",
            (digest,),
        )
        if row is None:
            return None
        name, subject, field, parent, first, salt, payload = row
        return AttachmentRow(
            _str(name), _str(subject), _str(field), None if parent is None else _str(parent),
            _int(first), _bytes(salt), _bytes(payload),
        )  # fmt: skip

    def attachments(self, subject: str) -> Iterator[StoredPayload]:
        """Return what is known of a subject's payloads, erased ones too, in the order in which they came."""
        rows = self._rows(
            "SELECT digest, subject, field, parent, first, state, length(payload) FROM attachment"
            " WHERE subject = ? ORDER BY first, rowid",
            (subject,),
        )
        return (_stored_payload(row) for row in rows)

    def payload_and_views(self, digest: str) -> list[StoredPayload]:
        """Return what is known of a payload, then of the views that were made of it; empty if it was never stored."""
        rows = self._rows(
            "SELECT digest, subject, field, parent, first, state, length(payload) FROM attachment"
            " WHERE digest = ? OR parent = ? ORDER BY parent IS NOT NULL, first, rowid",
            (digest, digest),
        )
        return [_stored_payload(row) for row in rows]

    def payloads_present(self) -> int:
        """Return how many payloads are stored."""
        row = self._row("SELECT count(*) FROM attachment WHERE state = 'present'")
        return 0 if row is None else _int(row[0])

    def verdict_tables_kept(self) -> tuple[int, int | None]:
        """Return how many verdict tables are stored, and the position of the oldest decision that has one."""
        row = self._row("SELECT count(*), min(first) FROM verdict_table")
        if row is None:
            return 0, None
        return _int(row[0]), None if row[1] is None else _int(row[1])

    def still_present(self, digests: Sequence[str]) -> list[str]:
        """Return those of *digests* behind which a payload is stored."""
        found: list[str] = []
        for start in range(0, len(digests), _BOUND_AT_ONCE):
            some = digests[start : start + _BOUND_AT_ONCE]
            rows = self._rows(
                "SELECT digest FROM attachment WHERE state = 'present'"  # noqa: S608 - literals only
                f" AND digest IN ({', '.join('?' * len(some))})",
                some,
            )
            found += [_str(row[0]) for row in rows]
        return found

    def attachment_state(self, digest: str) -> str | None:
        """Return ``present`` or ``erased``; None if it was never stored."""
        row = self._row("SELECT state FROM attachment WHERE digest = ?", (digest,))
        return None if row is None else _str(row[0])

    def policy_set(self, digest: str) -> bytes | None:
        """Return the document of a policy set."""
        row = self._row("SELECT document FROM policy_set WHERE digest = ?", (digest,))
        return None if row is None else _bytes(row[0])

    def verdict_table(self, digest: str) -> bytes | None:
        """Return a stored verdict table, still compressed."""
        row = self._row("SELECT body FROM verdict_table WHERE digest = ?", (digest,))
        return None if row is None else _bytes(row[0])

    def leases(self) -> Iterator[LeaseRow]:
        """Return the leases that were kept."""
        columns = "incarnation, last_seen, ttl, stretch, is_graced, kept_at"
        rows = self._rows(f"SELECT member_id, {columns}, session FROM lease")  # noqa: S608 - a literal
        for member_id, *numbers, session in rows:
            incarnation, last_seen, ttl, stretch, is_graced, kept_at = map(_int, numbers)
            yield LeaseRow(
                _str(member_id),
                incarnation,
                last_seen,
                ttl,
                stretch,
                is_graced,
                kept_at,
                _str(session),
            )

    @contextmanager
    def one_view(self) -> Generator[None]:
        """Answer every question from one view, for as long as the block runs; within a snapshot they are anyway."""
        if self.connection.in_transaction:
            yield
            return
        with translating(self._path):
            self.connection.execute("BEGIN")
        try:
            yield
        finally:
            with translating(self._path):
                self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _stored_payload(row: tuple[object, ...]) -> StoredPayload:
    digest, subject, field, parent, first, state, size = row
    return StoredPayload(
        _str(digest), _str(subject), _str(field), None if parent is None else _str(parent),
        _int(first), _str(state), None if size is None else _int(size),
    )  # fmt: skip


def _entry(row: tuple[object, ...]) -> EntryRow:
    return EntryRow(*row)  # type: ignore[arg-type]  # STRICT columns have these types


def _bindable(values: Sequence[object]) -> list[object]:
    """Return *values* with integers beyond SQLite's 64 bits at its bounds: no row is there, nor beyond."""
    return [
        max(_SQLITE_MIN, min(value, _SQLITE_MAX)) if isinstance(value, int) else value
        for value in values
    ]


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(type(value).__name__)
    return value


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(type(value).__name__)
    return value
