"""A mapping that stays small: beyond a limit its rows move to a temporary SQLite file.

Verifying a log of any size must not need memory of that size.  Values are packed to text for the
file; what they mean is not known here.
"""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

V = TypeVar("V")


class DiskMap(Generic[V]):
    """Text keys to values.  Values are owned by the mapping: change them only by :meth:`put`."""

    def __init__(
        self,
        limit: int,
        *,
        pack: Callable[[V], str],
        unpack: Callable[[str], V],
        key: Callable[[str], bytes] = str.encode,
    ) -> None:
        """An empty mapping.

        Args:
            limit: Rows held in memory before all of them move to the file.
            pack: A value as text.
            unpack: The value that *pack* wrote.
            key: The key under which a row is kept and ordered in the file.
        """
        self._rows: dict[str, V] = {}
        self._limit = max(limit, 1)
        self._pack, self._unpack, self._key = pack, unpack, key
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._store: sqlite3.Connection | None = None

    @property
    def is_on_disk(self) -> bool:
        """Whether rows have moved to a file."""
        return self._store is not None

    def get(self, key: str) -> V | None:
        """The value of *key*, or None."""
        value = self._rows.get(key)
        if value is not None or self._store is None:
            return value
        found = self._store.execute(
            "SELECT value FROM row WHERE key = ?", (self._key(key),)
        ).fetchone()
        return None if found is None else self._unpack(found[0])

    def put(self, key: str, value: V) -> None:
        """Set the value of *key*."""
        self._rows[key] = value
        if len(self._rows) > self._limit:
            self.flush()

    def flush(self) -> None:
        """Move every row to the file."""
        if self._store is None:
            self._folder = tempfile.TemporaryDirectory(prefix="pfgov-verify-")
            self._store = sqlite3.connect(Path(self._folder.name) / "rows")
            self._store.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                "CREATE TABLE row (key BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID;"
            )
        self._store.executemany(
            "INSERT OR REPLACE INTO row VALUES (?, ?)",
            sorted((self._key(key), self._pack(value)) for key, value in self._rows.items()),
        )
        self._store.commit()
        self._rows.clear()

    def in_file_order(self) -> Iterator[tuple[bytes, V]]:
        """Every row, by its key in the file, whether there is one or not."""
        if self._store is None:
            yield from sorted(
                ((self._key(key), value) for key, value in self._rows.items()),
                key=lambda row: row[0],
            )
        else:
            self.flush()
            for key, value in self._store.execute("SELECT key, value FROM row ORDER BY key"):
                yield key, self._unpack(value)

    def in_file(self, first: bytes, last: bytes) -> Iterator[tuple[bytes, V]]:
        """The rows from the key *first* to the key *last*, by key; all of them are in the file then."""
        self.flush()
        assert self._store is not None
        asked = "SELECT key, value FROM row WHERE key BETWEEN ? AND ? ORDER BY key"
        for key, value in self._store.execute(asked, (first, last)):
            yield key, self._unpack(value)

    def close(self) -> None:
        """Remove the file."""
        if self._store is not None:
            self._store.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._store, self._folder = None, None
        self._rows.clear()
