"""What was erased: what entries say that are as an issuer of the log signed them.

Rows say it, too, of a payload and of an entry, and whoever can write the database writes both.  Nothing is erased here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

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
    queries: Queries, layout: Layout, subject: str, digest: str | None = None
) -> Iterator[e.AttachmentErased]:
    """Give the erasures of a *subject*'s payloads, or of the one behind the commitment *digest* (hex) alone."""
    rows = queries.entries(EntryFilter(subject=subject, types=("attachment_erased",)))
    if digest is not None:
        rows = (row for row in rows if erasure_of(row).commitment == digest)
    return signed_erasures(rows, lambda: anchored_issuers(queries, layout))


def is_erased(queries: Queries, layout: Layout, digest: str) -> bool:
    """Whether an entry says that the payload behind a commitment (hex) was erased, as one does of each view, too.

    That its row says so is not believed, nor that it is a view of what was.
    """
    for row in queries.payload_and_views(digest):
        if row.digest == digest:
            return any(True for _ in erasures_of(queries, layout, row.subject, digest))
    return False
