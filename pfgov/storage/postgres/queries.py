"""Every question that is asked of a ledger in PostgreSQL, for the writer and for readers alike.

Long answers come page by page, each page a question of its own that begins after the last row, so that other questions
may be asked in between and nothing is held in memory.  PostgreSQL's text has no NUL: a name with one is nowhere.
Rows come back as bytes and plain values; what they mean is for the caller.  Nothing here writes.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

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
from pfgov.storage.postgres.connections import Connection
from pfgov.storage.postgres.errors import translated, translating

_BIGINT_MIN: Final = -(2**63)
_BIGINT_MAX: Final = 2**63 - 1

_ENTRY: Final = "seq, subject, subject_seq, type, time, leaf, signature, raw"
_PAYLOAD: Final = "digest, subject, field, parent, first, state, length(payload)"


class PostgresQueries:
    """Reads over one connection; implements :class:`pfgov.storage.port.Queries`."""

    def __init__(
        self,
        connection: Connection,
        ledger: int,
        location: str,
        reopen: Callable[[], Connection] | None = None,
    ) -> None:
        """Ask over *connection*.

        Args:
            connection: To the ledger's database.
            ledger: The ledger's number in it.
            location: The ledger, in words.
            reopen: Gives another connection after this one broke; only where no question depends on the one before.
        """
        self.connection = connection
        self.ledger = ledger
        self._location = location
        self._reopen = reopen

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return every row of *statement*, whose first value is the ledger's number."""
        bound = [self.ledger, *map(_bindable, values)]
        try:
            try:
                return self.connection.execute(statement.encode(), bound, binary=True).fetchall()
            except psycopg.OperationalError:
                if self._reopen is None or not self.connection.closed:
                    raise
                self.connection = self._reopen()
                return self.connection.execute(statement.encode(), bound, binary=True).fetchall()
        except psycopg.Error as error:
            raise translated(error, self._location) from error

    def _one(self, statement: str, values: Sequence[object] = ()) -> tuple[Any, ...] | None:
        if any(isinstance(value, str) and "\0" in value for value in values):
            return None
        rows = self._all(statement, values)
        return rows[0] if rows else None

    # --- ledger --------------------------------------------------------------------------

    def size(self) -> int:
        """Return the number of entries."""
        row = self._one("SELECT max(seq) FROM pfgov.entry WHERE ledger = %s")
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    def checkpoint(self, at_most: int | None = None) -> tuple[int, bytes] | None:
        """Return size and note of the newest checkpoint (of at most so many entries)."""
        row = self._one(
            "SELECT size, note FROM pfgov.checkpoint WHERE ledger = %s AND size <= %s"
            " ORDER BY size DESC LIMIT 1",
            (_BIGINT_MAX if at_most is None else at_most,),
        )
        return None if row is None else (row[0], row[1])

    def entry(self, seq: int) -> EntryRow | None:
        """Return one entry."""
        row = self._one(
            f"SELECT {_ENTRY} FROM pfgov.entry WHERE ledger = %s AND seq = %s",  # noqa: S608
            (seq,),
        )
        return None if row is None else EntryRow(*row)

    def entries(self, wanted: EntryFilter | None = None) -> Iterator[EntryRow]:
        """Return entries in order of position, a page at a time."""
        wanted = wanted or EntryFilter()
        if wanted.subject is not None and "\0" in wanted.subject:
            return
        where, values = ["ledger = %s"], list[object]()
        conditions: tuple[tuple[str, object | None], ...] = (
            ("seq < %s", wanted.stop),
            ("subject = %s", wanted.subject),
            ("time >= %s", wanted.since),
            ("time < %s", wanted.until),
            ("type = ANY(%s)", list(wanted.types) or None),
        )
        for condition, value in conditions:
            if value is not None:
                where.append(condition)
                values.append(value)
        # the same order, and the index gives it
        order = "seq" if wanted.subject is None else "subject_seq"
        direction, beyond = (" DESC", "<") if wanted.newest_first else ("", ">")
        left = _BIGINT_MAX if wanted.limit is None else wanted.limit
        after: int | None = None
        while left > 0:
            more = ["seq >= %s"] if after is None else ["seq >= %s", f"{order} {beyond} %s"]
            page = self._all(
                f"SELECT {_ENTRY} FROM pfgov.entry WHERE {' AND '.join(where + more)}"  # noqa: S608
                f" ORDER BY {order}{direction} LIMIT %s",
                [
                    *values,
                    wanted.start,
                    *([] if after is None else [after]),
                    min(left, PAGE),
                ],
            )
            for row in page:
                yield EntryRow(*row)
            if len(page) < min(left, PAGE):
                return
            left -= len(page)
            after = page[-1][0 if order == "seq" else 2]

    def _by_position(self, columns: str, start: int, stop: int) -> Iterator[tuple[Any, ...]]:
        for first in range(start, min(stop, self.size()), PAGE):
            yield from self._all(
                f"SELECT {columns} FROM pfgov.entry WHERE ledger = %s AND seq >= %s AND seq < %s"  # noqa: S608
                " ORDER BY seq",
                (first, min(first + PAGE, stop)),
            )

    def signed(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """Return (raw, signature) of entries in order, a page at a time."""
        return ((row[0], row[1]) for row in self._by_position("raw, signature", start, stop))

    def latest_index(self) -> int | None:
        """Return the position of the newest ``index_committed`` entry (a partial index finds it)."""
        row = self._one(
            "SELECT max(seq) FROM pfgov.entry WHERE ledger = %s AND type = 'index_committed'"
        )
        return None if row is None or row[0] is None else int(row[0])

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Return leaf hashes in order."""
        return (row[0] for row in self._by_position("leaf", start, stop))

    def erasures(self) -> Iterator[EntryRow]:
        """Return every entry that records an erasure (a partial index finds them)."""
        return self.entries(EntryFilter(types=("attachment_erased",)))

    def node(self, level: int, place: int) -> bytes | None:
        """Return the stored hash of a complete subtree."""
        row = self._one(
            "SELECT hash FROM pfgov.node WHERE ledger = %s AND level = %s AND place = %s",
            (level, place),
        )
        return None if row is None else row[0]

    def last_entries(self, subjects: Sequence[str]) -> list[EntryRow]:
        """Return the last entry of each of *subjects* that has one, in any order."""
        rows = self._all(
            f"SELECT {_ENTRY} FROM (SELECT %s::int AS number) AS mine"  # noqa: S608
            " CROSS JOIN unnest(%s::text[]) AS wanted CROSS JOIN LATERAL"
            " (SELECT * FROM pfgov.entry WHERE ledger = number AND subject = wanted"
            " ORDER BY subject_seq DESC LIMIT 1) AS last",
            ([subject for subject in dict.fromkeys(subjects) if "\0" not in subject],),
        )
        return [EntryRow(*row) for row in rows]

    def subject_heads(self, before: int | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Return every subject with the number and leaf of its last entry among the first *before* ones."""
        rows = self._pages(
            "SELECT DISTINCT ON (subject) subject, subject_seq, leaf FROM pfgov.entry"
            " WHERE ledger = %s AND subject > %s AND seq < %s ORDER BY subject, subject_seq DESC LIMIT %s",
            _BIGINT_MAX if before is None else before,
        )
        return ((row[0], row[1], row[2]) for row in rows)

    def _pages(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Return the rows of *statement*; it is given the ledger, the name to begin after, *values* and a limit."""
        after = ""
        while page := self._all(statement, (after, *values, PAGE)):
            yield from page
            after = page[-1][0]

    # --- folded tables -------------------------------------------------------------------

    def members(self) -> Iterator[StoredRow]:
        """Return every member's row, in id order."""
        rows = self._pages(
            "SELECT member_id, as_of, body FROM pfgov.member WHERE ledger = %s AND member_id > %s"
            " ORDER BY member_id LIMIT %s"
        )
        return (StoredRow(*row) for row in rows)

    def member(self, member_id: str) -> StoredRow | None:
        """Return one member's row."""
        row = self._one(
            "SELECT member_id, as_of, body FROM pfgov.member WHERE ledger = %s AND member_id = %s",
            (member_id,),
        )
        return None if row is None else StoredRow(*row)

    def packet(self, packet_id: str) -> StoredRow | None:
        """Return one packet's row."""
        row = self._one(
            "SELECT packet_id, as_of, body FROM pfgov.packet WHERE ledger = %s AND packet_id = %s",
            (packet_id,),
        )
        return None if row is None else StoredRow(*row)

    def packets(self, wanted: PacketFilter | None = None) -> Iterator[StoredRow]:
        """Return packets' rows, in id order: those of each status lie so in an index, and are merged."""
        wanted = wanted or PacketFilter()
        if wanted.owner is not None and "\0" in wanted.owner:
            return
        where, values = ["ledger = %s", "packet_id > %s"], list[object]()
        if wanted.ids is not None:
            where.append("packet_id = ANY(%s)")
            values.append([one for one in wanted.ids if "\0" not in one])
        if wanted.owner is not None:
            where.append("owner = %s")
            values.append(wanted.owner)
        statuses = list(dict.fromkeys(wanted.statuses))
        each = f"SELECT packet_id, as_of, body FROM pfgov.packet WHERE {' AND '.join(where)}"  # noqa: S608
        if statuses:
            each = " UNION ALL ".join([f"{each} AND status = %s"] * len(statuses))
        left = _BIGINT_MAX if wanted.limit is None else wanted.limit
        after = _cut(wanted.after)
        while left > 0:
            bound: list[object] = [
                after,
                *values,
            ]  # the first ledger is bound wherever something is asked
            if statuses:
                bound.append(statuses[0])
            for one in statuses[1:]:
                bound += [self.ledger, after, *values, one]
            page = self._all(f"{each} ORDER BY packet_id LIMIT %s", [*bound, min(left, PAGE)])
            for row in page:
                yield StoredRow(*row)
            if len(page) < min(left, PAGE):
                return
            left -= len(page)
            after = page[-1][0]

    def owned(self, statuses: Sequence[str], owner: str | None = None) -> Iterator[tuple[str, str]]:
        """Return (owner, packet) of every packet with one of *statuses*, of one owner or of all, in id order."""
        if owner is not None and "\0" in owner:
            return iter(())
        one, values = ("", []) if owner is None else (" AND owner = %s", [owner])
        rows = self._pages(
            "SELECT packet_id, owner FROM pfgov.packet WHERE ledger = %s AND packet_id > %s"  # noqa: S608
            f" AND status = ANY(%s) AND owner IS NOT NULL{one} ORDER BY packet_id LIMIT %s",
            list(statuses),
            *values,
        )
        return ((row[1], row[0]) for row in rows)

    def packet_ids(self, start: str, stop: str, limit: int) -> list[str]:
        """Return at most *limit* ids from *start* to before *stop*."""
        least = (
            ">" if "\0" in start else ">="
        )  # nothing is called as what stands before the NUL, and more
        most = "<=" if "\0" in stop else "<"
        rows = self._all(
            f"SELECT packet_id FROM pfgov.packet WHERE ledger = %s AND packet_id {least} %s"  # noqa: S608
            f" AND packet_id {most} %s ORDER BY packet_id LIMIT %s",
            (_cut(start), _cut(stop), limit),
        )
        return [row[0] for row in rows]

    def packet_counts(self) -> dict[str, int]:
        """Return how many packets have each status."""
        rows = self._all(
            "SELECT status, count(*) FROM pfgov.packet WHERE ledger = %s GROUP BY status ORDER BY status"
        )
        return {row[0]: row[1] for row in rows}

    def ledger_state(self) -> Iterator[StoredRow]:
        """Return the rows with keys, configuration and active policy set."""
        rows = self._all(
            "SELECT key, as_of, body FROM pfgov.ledger_state WHERE ledger = %s ORDER BY key"
        )
        return (StoredRow(*row) for row in rows)

    # --- beside the ledger ---------------------------------------------------------------

    def answers(self, keys: Sequence[tuple[str, str]]) -> list[AnswerRow]:
        """Return the answers that were given to (principal, idempotency key) pairs, in any order."""
        possible = [pair for pair in keys if "\0" not in pair[0] and "\0" not in pair[1]]
        rows = self._all(
            "SELECT principal, key, digest, first, length, time, refusal FROM pfgov.idempotency"
            " WHERE ledger = %s AND (principal, key) IN (SELECT * FROM unnest(%s::text[], %s::text[]))",
            [[principal for principal, _ in possible], [key for _, key in possible]],
        )
        return [AnswerRow(*row) for row in rows]

    def attachment(self, digest: str) -> AttachmentRow | None:
        """Return a payload with its salt; None if it was never stored or was erased."""
        row = self._one(
            "SELECT digest, subject, field, parent, first, salt, payload FROM pfgov.attachment"
            " WHERE ledger = %s AND digest = %s AND state = 'present'",
            (digest,),
        )
        return None if row is None else AttachmentRow(*row)

    def attachments(self, subject: str) -> Iterator[StoredPayload]:
        """Return what is known of a subject's payloads, erased ones too, in the order in which they came."""
        if "\0" in subject:
            return iter(())
        rows = self._all(
            f"SELECT {_PAYLOAD} FROM pfgov.attachment WHERE ledger = %s AND subject = %s"  # noqa: S608
            " ORDER BY first, id",
            (subject,),
        )
        return (StoredPayload(*row) for row in rows)

    def payload_and_views(self, digest: str) -> list[StoredPayload]:
        """Return what is known of a payload, then of the views that were made of it; empty if it was never stored."""
        if "\0" in digest:
            return []
        rows = self._all(
            f"SELECT {_PAYLOAD} FROM pfgov.attachment WHERE ledger = %s AND (digest = %s OR parent = %s)"  # noqa: S608
            " ORDER BY parent IS NOT NULL, first, id",
            (digest, digest),
        )
        return [StoredPayload(*row) for row in rows]

    def payloads_present(self) -> int:
        """Return how many payloads are stored."""
        row = self._one(
            "SELECT count(*) FROM pfgov.attachment WHERE ledger = %s AND state = 'present'"
        )
        return 0 if row is None else int(row[0])

    def still_present(self, digests: Sequence[str]) -> list[str]:
        """Return those of *digests* behind which a payload is stored."""
        rows = self._all(
            "SELECT digest FROM pfgov.attachment WHERE ledger = %s AND state = 'present' AND digest = ANY(%s)",
            ([one for one in digests if "\0" not in one],),
        )
        return [row[0] for row in rows]

    def attachment_state(self, digest: str) -> str | None:
        """Return ``present`` or ``erased``; None if it was never stored."""
        row = self._one(
            "SELECT state FROM pfgov.attachment WHERE ledger = %s AND digest = %s", (digest,)
        )
        return None if row is None else row[0]

    def policy_set(self, digest: str) -> bytes | None:
        """Return the document of a policy set."""
        row = self._one(
            "SELECT document FROM pfgov.policy_set WHERE ledger = %s AND digest = %s", (digest,)
        )
        return None if row is None else row[0]

    def verdict_table(self, digest: str) -> bytes | None:
        """Return a stored verdict table, still compressed."""
        row = self._one(
            "SELECT body FROM pfgov.verdict_table WHERE ledger = %s AND digest = %s", (digest,)
        )
        return None if row is None else row[0]

    def verdict_tables_kept(self) -> tuple[int, int | None]:
        """Return how many verdict tables are stored, and the position of the oldest decision that has one."""
        row = self._one("SELECT count(*), min(first) FROM pfgov.verdict_table WHERE ledger = %s")
        return (0, None) if row is None else (row[0], row[1])

    def leases(self) -> Iterator[LeaseRow]:
        """Return the leases that were kept."""
        rows = self._all(
            "SELECT member_id, incarnation, last_seen, ttl, stretch, is_graced, kept_at, session"
            " FROM pfgov.lease WHERE ledger = %s ORDER BY member_id"
        )
        return (LeaseRow(*row) for row in rows)

    @contextmanager
    def one_view(self) -> Generator[None]:
        """Answer every question from one view, for as long as the block runs; within a snapshot they are anyway.

        A connection that breaks meanwhile is not replaced: the next would have another view.
        """
        if self.connection.closed and self._reopen is not None:
            self.connection = self._reopen()
        if self.connection.info.transaction_status is not TransactionStatus.IDLE:
            yield
            return
        reopen, self._reopen = self._reopen, None
        try:
            with translating(self._location):
                self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        finally:
            self._reopen = reopen
            with suppress(psycopg.Error):
                self.connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _bindable(value: object) -> object:
    """Return an integer beyond 64 bits at its bound: no row is there, nor beyond."""
    return max(_BIGINT_MIN, min(value, _BIGINT_MAX)) if isinstance(value, int) else value


def _cut(text: str) -> str:
    """Return *text* up to its first NUL: every name without one sorts as it does against the whole."""
    return text.partition("\0")[0]
