"""What the entries of one packet say of its payloads: read once, and not again for each commit of an erasure.

Entries are only added, so that what a signed one said stays said, whatever becomes of its row.  A packet has as many
entries as its owners care to write: they are read in pages, and before anybody waits.  Nothing is erased here.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Final

from pfgov.engine.layout import Layout
from pfgov.engine.loading.intact import altered, check_entry
from pfgov.engine.loading.receipts import erasure_of
from pfgov.engine.loading.vouched import anchored_issuers
from pfgov.errors import StoreCorruptError
from pfgov.storage.port import EntryFilter, EntryRow, Queries
from pfgov_ledger import entry
from pfgov_ledger.commitments import Named, named_in
from pfgov_ledger.errors import LedgerError

_PAGE: Final = 1_000
"""Entries that are read in one snapshot, while nobody else reads."""

_PAUSE_SECONDS: Final = 0.001
"""Between two pages, so that whoever waits for a snapshot gets it."""


class PayloadHistory:
    """What is known of one *subject*, as far as its entries were read; ask for one thread at a time with :attr:`lock`.

    Attributes:
        signed: Commitments that signed entries name.
        unsigned: Those that only others name.
        whys: Commitment -> the reason, of what a signed entry says was erased.
    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.signed: set[str] = set()
        self.unsigned: set[str] = set()
        self.whys: dict[str, str] = {}
        self.lock = threading.Lock()
        self._next = 0

    def read_ahead(
        self, snapshot: Callable[[], AbstractContextManager[Queries]], layout: Layout
    ) -> None:
        """Read all there is in pages, each in a *snapshot* of its own; raises as :meth:`read`."""
        is_whole = False
        while not is_whole:
            with self.lock, snapshot() as queries:
                is_whole = self.read(queries, layout, limit=_PAGE)
            time.sleep(_PAUSE_SECONDS)

    def read(self, queries: Queries, layout: Layout, *, limit: int | None = None) -> bool:
        """Take in what was added, at most *limit* entries of it; whether that is all.

        Raises:
            StoreCorruptError: ``store.altered``, an entry cannot be read, or only its row says that it is an erasure.
        """
        issuers: dict[str, bytes] | None = None
        count = 0
        wanted = EntryFilter(subject=self.subject, start=self._next, limit=limit)
        for row in queries.entries(wanted):
            count += 1
            named = {digest for digest, _ in named_by(row)}
            erased = erasure_of(row) if row.type == "attachment_erased" else None
            if named or erased:
                issuers = anchored_issuers(queries, layout) if issuers is None else issuers
                self.unsigned |= named - self.signed
                with suppress(StoreCorruptError):
                    check_entry(row, issuers)
                    self.signed |= named
                    self.unsigned -= named
                    if erased is not None:
                        self.whys.setdefault(erased.commitment, erased.why)
            self._next = row.seq + 1
        return limit is None or count < limit


def named_by(row: EntryRow) -> list[Named]:
    """Return the commitments that an entry names.

    Raises:
        StoreCorruptError: ``store.altered``, it cannot be read.
    """
    try:
        return named_in(entry.parse(row.raw).body, row.raw)
    except LedgerError as error:
        raise altered(row.seq, str(error)) from error
