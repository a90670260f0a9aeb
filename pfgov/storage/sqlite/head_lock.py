"""The last head that left this machine, kept apart from the ledger: what finds a restored backup.

A second small database holds the size and Merkle root of the last published checkpoint.  The writer moves it *after*
the ledger's COMMIT and *before* anybody is answered, by compare-and-set; so a ledger that is shorter than its lock,
or has another root there, has lost or changed something that others may have seen, and must not sign again.  Put it
on another disk where that matters.  This module compares; it does not know how a root is computed.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

from pfgov.errors import StoreCorruptError
from pfgov.limits import INTEGER_MAX
from pfgov.storage.port import Published
from pfgov.storage.sqlite.connections import BUSY_SECONDS, check_files, make_private, open_reader
from pfgov.storage.sqlite.errors import translated, translating
from pfgov.storage.sqlite.schema import oddities

SYNC_INTERVAL_US: Final = 1_000_000
"""The lock is forced to disk at least this often while it moves; ``sync`` mode forces every move."""

_TABLE: Final = "CREATE TABLE head ( origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL ) STRICT"

_ROOT_BYTES: Final = 32


class SqliteHeadLock:
    """The lock of one ledger; implements :class:`pfgov.storage.port.HeadLock`."""

    def __init__(self, path: Path, origin: str, *, sync: bool = False) -> None:
        """Open the lock, creating the file if it is missing.

        Raises:
            PfgovError: ``store.*``, the file cannot be opened, or is not a lock.
        """
        self._path = path
        self._origin = origin
        self._synced = 0
        make_private(path)
        with translating(path):
            check_files(path)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
            if not _is_there(self._connection, path):
                self._connection.execute(_TABLE.replace("TABLE", "TABLE IF NOT EXISTS"))
                _is_there(self._connection, path)  # somebody else may have been first

    def read(self) -> Published | None:
        """Return the last published head, or None before the first."""
        with translating(self._path):
            row = self._connection.execute(
                "SELECT size, root FROM head WHERE origin = ?", (self._origin,)
            ).fetchone()
        return _published(row, self._path)

    def start(self, empty_root: bytes) -> None:
        """Put the lock of a new ledger at no entries, before its first commit."""
        with translating(self._path):
            self._connection.execute(
                "INSERT INTO head VALUES (?, 0, ?) ON CONFLICT DO NOTHING",
                (self._origin, empty_root),
            )

    def move(self, old: int, new: Published, monotonic: int) -> None:
        """Publish *new* if the lock still stands at *old* entries.

        Args:
            old: The size it was moved to before.
            new: The head that is about to be seen.
            monotonic: Microseconds on a clock that never goes back, to space the syncs.

        Raises:
            StoreCorruptError: ``store.head_moved``, somebody else moved the lock: stop at once.
            StoreUnavailableError: it cannot be written.
        """
        try:  # as `translating`, which costs more than the statement's own bookkeeping
            moved = self._connection.execute(
                "UPDATE head SET size = ?, root = ? WHERE origin = ? AND size = ?",
                (new.size, new.root, self._origin, old),
            ).rowcount
            if monotonic - self._synced >= SYNC_INTERVAL_US:
                self.sync()
                self._synced = monotonic
        except (sqlite3.Error, OSError) as error:
            raise translated(error, self._path) from error
        if moved != 1:
            raise StoreCorruptError(
                f"the head lock no longer stands at {old}: another writer signs for {self._origin}",
                code="store.head_moved",
                hint="find the other writer and stop it before anything else is signed",
            )

    def sync(self) -> None:
        """Force what was moved to disk."""
        beside = self._path.with_name(self._path.name + "-wal")
        if beside.exists():
            handle = os.open(beside, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def close(self) -> None:
        """Force it to disk and close the file."""
        with translating(self._path):
            self.sync()
            self._connection.close()


class HeadReader:
    """What was published, for readers: never written, and never waited for."""

    def __init__(self, path: Path) -> None:
        """Open the lock at *path*; errors as of :func:`read_head`."""
        self._path = path
        self._connection = open_reader(path)
        try:
            with translating(path):
                _is_there(self._connection, path)
        except BaseException:
            self._connection.close()
            raise

    def published(self) -> int:
        """Return how many entries were published."""
        with translating(self._path):
            row = self._connection.execute("SELECT max(size) FROM head").fetchone()
        size: int = row[0] or 0
        if not 0 <= size <= INTEGER_MAX:
            raise _changed(self._path, "it holds no head")
        return size

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def read_head(path: Path, origin: str) -> Published | None:
    """Return what the lock at *path* says, without ever writing; None if there is no such row.

    Raises:
        StoreUnavailableError: ``store.missing``, there is no lock file.
        StoreCorruptError: it holds something else than a lock, or no head.
    """
    connection = open_reader(path)
    try:
        with translating(path):
            _is_there(connection, path)
            row = connection.execute(
                "SELECT size, root FROM head WHERE origin = ?", (origin,)
            ).fetchone()
    finally:
        connection.close()
    return _published(row, path)


def _is_there(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has its table; a view in its place might have no end, and a trigger would move it back.

    Raises:
        StoreCorruptError: it has anything else.
    """
    odd = oddities(connection, {_TABLE})
    if odd:
        raise _changed(path, ", ".join(odd)[:200])
    return odd is not None


def _published(row: tuple[int, bytes] | None, path: Path) -> Published | None:
    if row is None:
        return None
    size, root = row
    if not 0 <= size <= INTEGER_MAX or len(root) != _ROOT_BYTES:
        raise _changed(path, "it holds no head")
    return Published(size, root)


def _changed(path: Path, what: str) -> StoreCorruptError:
    return StoreCorruptError(
        f"the head lock {path} was changed from outside: {what}",
        hint="put it back as it was; without it nothing tells what was published: pfgov ledger restore --help",
    )
