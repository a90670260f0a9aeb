"""The reader's side: read-only connections beside a running writer, never beyond the head lock.

A commit that has happened but is not yet published must not be seen: if the machine dies before the head lock moves and
a backup is restored, whoever saw it would hold a head that nobody knows.  A snapshot therefore waits a moment for
the lock to catch up, and refuses otherwise.  Readers take no lock and write nothing.
"""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pfgov.errors import StoreUnavailableError
from pfgov.storage import schema
from pfgov.storage.connections import open_reader
from pfgov.storage.errors import translating
from pfgov.storage.queries import Queries

PATIENCE_SECONDS: Final = 2.0
"""How long a reader waits for a commit to be published."""

_PAUSE_SECONDS: Final = 0.002


class UnpublishedError(StoreUnavailableError):
    """What was committed is not published: in a moment it is, or the writer died in between."""

    code = "store.unpublished"


class ReadStore:
    """A ledger's database, read-only.  Open one per thread."""

    def __init__(
        self, path: Path, head_path: Path | None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Open the database.

        Args:
            path: The database.
            head_path: The head lock; None reads whatever is committed (for a disaster's evidence).
            patience_seconds: How long a snapshot waits for a commit to be published.

        Raises:
            PfgovError: ``store.*``, it is missing, damaged, altered, newer or not ours.
        """
        self._path = path
        self._patience = int(patience_seconds / _PAUSE_SECONDS)
        self._connection = open_reader(path)
        self._head: sqlite3.Connection | None = None
        try:
            with translating(path):
                schema.check(self._connection)
            if head_path is not None:
                self._head_path = head_path
                self._head = open_reader(head_path)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def snapshot(self) -> Generator[Queries]:
        """Give a consistent view of everything published, for as long as the block runs.

        Raises:
            UnpublishedError: the writer died between committing and publishing, or there was no patience.
        """
        queries = Queries(self._connection, self._path)
        with translating(self._path):
            self._begin(queries)
        try:
            yield queries
        finally:
            self._connection.execute("ROLLBACK")

    def _begin(self, queries: Queries) -> None:
        patience = self._patience
        while True:
            self._connection.execute("BEGIN")
            size = queries.size()
            if self._head is None or size <= self.published():
                return
            self._connection.execute("ROLLBACK")
            if not patience:
                raise UnpublishedError(
                    f"{self._path} holds entries that were never published: the writer died",
                    hint="let a writer open the ledger once: pfgov tick",
                )
            patience -= 1
            time.sleep(_PAUSE_SECONDS)

    def published(self) -> int:
        """Return how many entries were published, which may be more than are here; 0 without a head lock."""
        if self._head is None:
            return 0
        with translating(self._head_path):
            row = self._head.execute("SELECT max(size) FROM head").fetchone()
        return int(row[0] or 0)

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        if self._head is not None:
            self._head.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
