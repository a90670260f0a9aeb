"""The reader's side of a ledger in PostgreSQL: snapshots beside a running writer, never beyond the head lock.

A snapshot is one REPEATABLE READ transaction.  As in a file, what is committed waits a moment to be published; but
here that may happen on another machine, and what the database has committed any later leader signs upon.  Readers lock
nothing and write nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress

import psycopg

from pfgov.storage.port import PATIENCE_SECONDS, UnpublishedError
from pfgov.storage.postgres import schema
from pfgov.storage.postgres.connections import Address, Connection, connect
from pfgov.storage.postgres.errors import translating
from pfgov.storage.postgres.queries import PostgresQueries
from pfgov.storage.publishing import begin_published
from pfgov.storage.sqlite.head_lock import HeadReader


class PostgresReader:
    """A ledger in PostgreSQL, read-only; implements :class:`pfgov.storage.port.StoreReader`."""

    def __init__(
        self,
        address: Address,
        head: HeadReader | None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Connect.

        Args:
            address: Where the ledger is.
            head: The head lock; None reads whatever is committed (for a disaster's evidence).
            patience_seconds: How long a snapshot waits for a commit to be published.

        Raises:
            PfgovError: ``store.*``, it is missing, altered or newer, or cannot be reached.
        """
        self._address = address
        self._location = address.location
        self._head = head
        self._patience = patience_seconds
        try:
            self._connection, self._ledger = open_ledger(address)
        except BaseException:
            if head is not None:
                head.close()
            raise

    @contextmanager
    def snapshot(self) -> Generator[PostgresQueries]:
        """Give a consistent view of everything published, for as long as the block runs.

        Raises:
            UnpublishedError: the writer died between committing and publishing, or there was no patience.
        """
        if self._connection.closed:  # the database was restarted
            self._connection, self._ledger = open_ledger(self._address)
        queries = PostgresQueries(self._connection, self._ledger, self._location)
        with translating(self._location):
            self._begin(queries)
        try:
            yield queries
        finally:
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")

    def _begin(self, queries: PostgresQueries) -> None:
        def begin() -> int:
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return queries.size()

        try:
            begin_published(
                begin,
                self.published,
                lambda: self._connection.execute("ROLLBACK"),
                patience_seconds=self._patience,
                location=self._location,
            )
        except UnpublishedError:
            if not self._patience:
                raise
            begin()  # a leader on another machine published it there, or the next one will

    def published(self) -> int | None:
        """Return how many entries were published, which may be more than are here; None without a head lock."""
        return None if self._head is None else self._head.published()

    def close(self) -> None:
        """Close the connection and the head lock."""
        self._connection.close()
        if self._head is not None:
            self._head.close()


def open_ledger(address: Address) -> tuple[Connection, int]:
    """Return a read-only connection and the ledger's number.

    Raises:
        PfgovError: ``store.*``, it is missing, altered or newer, or cannot be reached.
    """
    connection = connect(address, read_only=True)
    try:
        with translating(address.location):
            schema.check(connection)
        return connection, _number(connection, address)
    except BaseException:
        connection.close()
        raise


def size_of(address: Address) -> int | None:
    """Return how many entries the ledger at *address* has; None where there is no such ledger.

    Raises:
        PfgovError: ``store.*``, the database cannot be reached, or its schema is altered or newer.
    """
    connection = connect(address, read_only=True)
    try:
        with translating(address.location):
            if not schema.is_there(connection):
                return None
            schema.check(connection)
            row = connection.execute(
                "SELECT size FROM pfgov.head WHERE name = %s", (address.name,)
            ).fetchone()
    finally:
        connection.close()
    return None if row is None else int(row[0])


def _number(connection: Connection, address: Address) -> int:
    with translating(address.location):
        row = connection.execute(
            "SELECT ledger FROM pfgov.head WHERE name = %s", (address.name,)
        ).fetchone()
    if row is None:
        raise schema.missing(address.location)
    return int(row[0])
