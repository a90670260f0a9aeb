"""What was erased: what entries say that are as an issuer of the log signed them.

Rows say it, too, of a payload and of an entry, and whoever can write the database writes both.  Nothing is erased here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Final

from pfgov.core import events as e
from pfgov.engine.layout import Layout
from pfgov.engine.loading.intact import check_entry
from pfgov.engine.loading.receipts import erasure_of
from pfgov.engine.loading.vouched import anchored_issuers
from pfgov.errors import StoreCorruptError
from pfgov.storage.port import EntryFilter, EntryRow, Queries

Issuers = Callable[[], Mapping[str, bytes]]
"""Gives the keys that may have signed, by the id that entries name: asked for once there is something to look at."""


def signed_erasures(rows: Iterable[EntryRow], issuers: Issuers) -> Iterator[e.AttachmentErased]:
    """Give what those of *rows* record that one of *issuers* signed.

    Raises:
        StoreCorruptError: ``store.altered``, only its row says that an entry is an erasure.
    """
    known: Mapping[str, bytes] | None = None
    for row in rows:
        event = erasure_of(row)
        known = issuers() if known is None else known
        with suppress(StoreCorruptError):
            check_entry(row, known)
            yield event


def erasures_of(
    queries: Queries, layout: Layout, subject: str, digests: Iterable[str] = ()
) -> Iterator[e.AttachmentErased]:
    """Give the erasures of a *subject*'s payloads; of a few *digests* only those: nothing else is decoded."""
    rows = _rows_of(queries, subject)
    return signed_erasures(naming(rows, digests), lambda: anchored_issuers(queries, layout))


def naming(rows: Iterable[EntryRow], digests: Iterable[str]) -> Iterable[EntryRow]:
    """Give those of *rows* in whose bytes one of a few *digests* (hex) stands; all of them where there is none.

    To decode an entry and to check its signature takes a hundred times as long.
    """
    texts = [one.encode() for one in digests]
    return (row for row in rows if any(one in row.raw for one in texts)) if texts else rows


def _rows_of(queries: Queries, subject: str) -> Iterator[EntryRow]:
    return queries.entries(EntryFilter(subject=subject, types=("attachment_erased",)))


_REMEMBERED_MAX: Final = 100_000
"""Erasures that are remembered over the subjects that one :class:`Erased` was asked about."""


class Erased:
    """Says of one payload after the other, in one snapshot, whether it was erased."""

    def __init__(self, queries: Queries, layout: Layout) -> None:
        self._queries = queries
        self._issuers: Issuers = cache(lambda: anchored_issuers(queries, layout))
        self._known: dict[str, frozenset[str]] = {}
        self._remembered = 0

    def holds(self, digest: str) -> bool:
        """Whether an entry says that the payload behind a commitment (hex) was erased, as one does of each view, too.

        That its row says so is not believed, nor that it is a view of what was.
        """
        for row in self._queries.payload_and_views(digest):
            if row.digest == digest:
                return digest in self._of(row.subject)
        return False

    def _of(self, subject: str) -> frozenset[str]:
        known = self._known.get(subject)
        if known is None:
            if self._remembered > _REMEMBERED_MAX:
                self._known.clear()
                self._remembered = 0
            rows = _rows_of(self._queries, subject)
            known = frozenset(one.commitment for one in signed_erasures(rows, self._issuers))
            self._known[subject] = known
            self._remembered += len(known) + 1
        return known


def is_erased(queries: Queries, layout: Layout, digest: str) -> bool:
    """Whether the payload behind one commitment (hex) was erased; as :meth:`Erased.holds`."""
    for row in queries.payload_and_views(digest):
        if row.digest == digest:
            found = erasures_of(queries, layout, row.subject, (digest,))
            return any(one.commitment == digest for one in found)
    return False
