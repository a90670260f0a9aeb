"""The reader's side: read-only connections beside a running writer, never beyond the head lock.

A commit that has happened but is not yet published must not be seen: if the machine dies before the head lock moves and
a backup is restored, whoever saw it would hold a head that nobody knows.  A snapshot therefore waits a moment for
the lock to catch up, and refuses otherwise.  Readers take no lock and write nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pfgov.storage.port import PATIENCE_SECONDS
from pfgov.storage.publishing import begin_published
from pfgov.storage.sqlite import schema
from pfgov.storage.sqlite.connections import open_reader
from pfgov.storage.sqlite.errors import translating
from pfgov.storage.sqlite.head_lock import HeadReader
from pfgov.storage.sqlite.queries import SqliteQueries


class SqliteReader:
    """A ledger's database, read-only; implements :class:`pfgov.storage.port.StoreReader`."""

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
        self._patience = patience_seconds
        self._connection = open_reader(path)
        self._head: HeadReader | None = None
        try:
            with translating(path):
                schema.check(self._connection)
            if head_path is not None:
                self._head = HeadReader(head_path)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def snapshot(self) -> Generator[SqliteQueries]:
        """Give a consistent view of everything published, for as long as the block runs.

        Raises:
            UnpublishedError: the writer died between committing and publishing, or there was no patience.
        """
        queries = SqliteQueries(self._connection, self._path)
        with translating(self._path):
            self._begin(queries)
        try:
            yield queries
        finally:
            self._connection.execute("ROLLBACK")

    def _begin(self, queries: SqliteQueries) -> None:
        def begin() -> int:
            self._connection.execute("BEGIN")
            return queries.size()

        begin_published(
            begin,
            self.published,
            lambda: self._connection.execute("ROLLBACK"),
            patience_seconds=self._patience,
            location=str(self._path),
        )

    def published(self) -> int | None:
        """Return how many entries were published, which may be more than are here; None without a head lock."""
        return None if self._head is None else self._head.published()

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


def open_queries(path: Path) -> SqliteQueries:
    """Return questions over a read-only connection of their own: what is committed, published or not.

    Raises:
        PfgovError: ``store.*``, it is missing or damaged, or something stands in the place of a table.
    """
    connection = open_reader(path)
    try:
        with translating(path):
            schema.check_tables(connection)
    except BaseException:
        connection.close()
        raise
    return SqliteQueries(connection, path)


def has_entries(path: Path) -> bool:
    """Whether the database at *path*, perhaps one whose creation was interrupted, has an entry."""
    queries = open_queries(path)
    try:
        with translating(path):
            made = queries.connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'entry'"
            ).fetchone()
            return bool(made and queries.size())
    finally:
        queries.close()
