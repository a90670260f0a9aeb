"""The ledger as an export reads it: a consistent, published view, and never a write.

Implements ``pfgov_ledger.export.ExportSource`` over one snapshot.  What an export contains and proves is the ledger
package's business.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

from pfgov.core.commands import Principal
from pfgov.engine.layout import Layout
from pfgov.engine.loading.erased import Erased
from pfgov.engine.reading.guarding import check_export
from pfgov.engine.reading.reader import LedgerReader
from pfgov.errors import InvalidError, NotFoundError, StateConflictError
from pfgov.storage.port import EntryFilter, Queries
from pfgov_ledger import checkpoint, export, note
from pfgov_ledger.commitment import SALT_BYTES
from pfgov_ledger.errors import IndexNeededError


class StoredLog:
    """One snapshot of a ledger, for ``write_full``, ``write_subject`` and ``write_range``."""

    def __init__(self, queries: Queries, layout: Layout) -> None:
        """Look at the newest published checkpoint.

        Raises:
            NotFoundError: the ledger has no entries.
        """
        latest = queries.checkpoint()
        if latest is None:
            raise NotFoundError("the ledger has no entries yet", hint="create it with: pfgov init")
        self._queries = queries
        self._layout = layout
        self._erased = Erased(queries, layout)
        self._size, self._note = latest
        self._origin = checkpoint.parse_text(note.split(self._note)[0]).origin

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    def check_export(
        self,
        principal: Principal,
        now: int,
        *,
        subject: str | None,
        span: tuple[int, int] | None,
    ) -> None:
        """Refuse an export that the policy in force does not allow *principal*.

        Raises:
            PolicyDeniedError: it does not allow it.
        """
        check_export(self._queries, self._layout, principal, now, subject=subject, span=span)

    def size(self) -> int:
        """The number of entries."""
        return self._size

    def entries(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """(raw, signature) of the entries ``start <= seq < stop``, in order."""
        return self._queries.signed(start, min(stop, self._size))

    def subject_entries(self, subject: str) -> Iterator[tuple[bytes, bytes]]:
        """(raw, signature) of every entry of *subject*, in order."""
        rows = self._queries.entries(EntryFilter(subject=subject, stop=self._size))
        return ((row.raw, row.signature) for row in rows)

    def subject_heads(self, size: int) -> Iterable[tuple[str, int, bytes]]:
        """(subject, last ``subject_seq``, that entry's leaf hash) over the first *size* entries."""
        return self._queries.subject_heads(before=size)

    def leaf_hashes(self, start: int, stop: int) -> Iterator[bytes]:
        """The leaf hashes of the entries ``start <= seq < stop``, in order."""
        return self._queries.leaves(start, stop)

    def checkpoint(self, size: int) -> bytes | None:
        """The signed checkpoint of exactly *size* entries, if there is one."""
        found = self._queries.checkpoint(at_most=size)
        return found[1] if found is not None and found[0] == size else None

    def latest_checkpoint(self) -> bytes:
        """The newest signed checkpoint."""
        return self._note

    def latest_index(self) -> int | None:
        """The ``seq`` of the newest ``index_committed`` entry."""
        return self._queries.latest_index()

    def attachments(self, commitment: str) -> tuple[bytes, bytes] | None:
        """(salt, payload) of a commitment (hex); None if it was erased or never stored.

        What was taken out of its row, though no entry says that it was erased, opens nothing.
        """
        row = self._queries.attachment(commitment)
        if row is not None:
            return row.salt, row.payload
        is_known = self._queries.attachment_state(commitment) is not None
        return (bytes(SALT_BYTES), b"") if is_known and not self._erased.holds(commitment) else None

    def policy_set(self, digest: str) -> bytes | None:
        """The bytes whose SHA-256 is *digest* (hex)."""
        return self._queries.policy_set(digest)


@contextmanager
def stored_log(reader: LedgerReader) -> Generator[StoredLog]:
    """Give the log as it stands, for as long as the block runs.

    Raises:
        NotFoundError: the ledger has no entries.
        StoreUnavailableError: ``store.unpublished``.
    """
    with reader.snapshot() as queries:
        yield StoredLog(queries, reader.layout)


def write_export(
    log: StoredLog,
    out: export.Writable,
    *,
    principal: Principal,
    now: int,
    subject: str | None = None,
    span: tuple[int, int] | None = None,
    since: int | None = None,
    progress: export.Progress | None = None,
) -> export.Written:
    """Write *subject*'s history, the positions in *span*, or the whole log, with the proof that *since* is a prefix.

    Policy is asked first whether *principal* may have it at *now* (microseconds since 1970).

    Raises:
        PolicyDeniedError: it may not.
        InvalidError: *span* or *since* is not within the log.
        StateConflictError: ``export.index_needed``, no committed index covers what is asked for.
    """
    size = log.size()
    if since is not None and since > size:
        raise InvalidError(
            f"a head of {since} is beyond the ledger's {size} entries", pointer="/since"
        )
    if span is not None and not 0 <= span[0] < span[1] <= size:
        raise InvalidError(
            f"there are {size} entries, and {span[0]}:{span[1]} is no range of them",
            hint=f"write a range that ends at {size} or before: {min(span[0], size - 1)}:{size}",
            pointer="/range",
        )
    log.check_export(principal, now, subject=subject, span=span)
    try:
        if subject is not None:
            return export.write_subject(log, subject, out, progress=progress, since=since)
        if span is not None:
            return export.write_range(log, *span, out, progress=progress, since=since)
        return export.write_full(log, out, progress=progress, since=since)
    except IndexNeededError as error:
        raise StateConflictError(
            str(error),
            code="export.index_needed",
            hint="commit one first: --fresh, or POST /api/ledger/index",
        ) from error
