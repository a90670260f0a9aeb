"""A ledger in a folder: which files there are, and what opens them.

    DIR/ledger.db     the ledger and its projections         DIR/writer.lock   whose holder writes
    DIR/head.db       the head lock                          DIR/commit.lock   whose holder commits

The head lock may lie elsewhere, on another disk or machine.  This module runs no statement.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pfgov.errors import DuplicateError, NotFoundError, StandbyError, StoreUnavailableError
from pfgov.storage.leading import Node, Presence
from pfgov.storage.moving import leave, require_here
from pfgov.storage.port import PATIENCE_SECONDS, Probe, Published, untouched
from pfgov.storage.sqlite.copying import copy_database
from pfgov.storage.sqlite.head_lock import SqliteHeadLock, read_head
from pfgov.storage.sqlite.queries import SqliteQueries
from pfgov.storage.sqlite.reading import SqliteReader, has_entries, open_queries
from pfgov.storage.sqlite.writer_lock import FileLock
from pfgov.storage.sqlite.writing import SqliteWriter

SCHEME: Final = "sqlite"
"""The scheme of a store's URL."""

HEAD_LOCK_VARIABLE: Final = "PFGOV_HEAD_LOCK"
"""Environment variable: another place for the head lock, on another disk or machine."""

_BESIDE: Final = ("", "-wal", "-shm")
"""What SQLite keeps beside a database while it is in use."""


@dataclass(frozen=True, slots=True)
class SqliteStore:
    """The ledger in *directory*; implements :class:`pfgov.storage.port.Store`."""

    directory: Path

    @property
    def url(self) -> str:
        """``sqlite:DIR``, as the folder was given."""
        return f"{SCHEME}:{quote(str(self.directory))}"

    @property
    def location(self) -> str:
        """The database file."""
        return str(self.database)

    @property
    def database(self) -> Path:
        """The ledger and its projections."""
        return self.directory / "ledger.db"

    @property
    def head(self) -> Path:
        """The head lock; the environment may put it elsewhere."""
        elsewhere = os.environ.get(HEAD_LOCK_VARIABLE)
        return Path(elsewhere) if elsewhere else self.directory / "head.db"

    @property
    def lock(self) -> Path:
        """The file whose holder writes."""
        return self.directory / "writer.lock"

    @property
    def commit_lock(self) -> Path:
        """The file whose holder commits: a writer process that outlives its engine for a moment still holds it."""
        return self.directory / "commit.lock"

    def require(self) -> None:
        """Refuse a folder that holds no ledger."""
        if not self.exists():
            raise StoreUnavailableError(
                f"there is no ledger in {self.directory}",
                code="store.missing",
                hint="create one with: pfgov init, or name its folder with --dir",
            )

    def exists(self) -> bool:
        """Whether there is a database."""
        return self.database.exists()

    def stamp(self) -> str | None:
        """Return what the file system says of the database; None while its log has pages of its own."""
        try:
            if self.holds_old_pages():
                return None
            found = self.database.stat()
        except OSError:
            return None
        return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"

    def has_entries(self) -> bool:
        """Whether there is a database, and an entry in it."""
        return self.exists() and has_entries(self.database)

    def take_in(self, backup: Path) -> None:
        """Copy a database to this place."""
        if self.exists():
            raise DuplicateError(
                f"there is a ledger in {self.directory} already",
                code="ledger.exists",
                hint="choose another folder with --dir, or restore what lies there: pfgov ledger restore",
            )
        copy_database(backup, self.database)

    def has_head_lock(self) -> bool:
        """Whether there is a head lock."""
        return self.head.exists()

    def lock_writer(self, address: str | None) -> FileLock:
        """Take the right to write; ``store.moved`` if the ledger is elsewhere by now."""
        require_here(self.directory)
        return FileLock(self.lock, address=address)

    @property
    def can_be_led(self) -> bool:
        """Never: its locks end with the machine."""
        return False

    def stand_by(self, address: str) -> Presence:
        """Refuse: a second process does not wait."""
        raise StandbyError(
            f"nobody can stand by at {address} for a ledger in a file",
            hint="for servers that take over keep the ledger in PostgreSQL",
        )

    def following(self) -> "SqliteStore":
        """Return itself."""
        return self

    def nodes(self) -> list[Node]:
        """Return none: who writes is named by the lock, to whoever wants to."""
        return []

    def risks(self) -> tuple[str, ...]:
        """Return none: every commit is on this machine's disk."""
        return ()

    def leave_for(self, place: str) -> None:
        """Leave a pointer to where the ledger is."""
        leave(self.directory, place)

    def drain(self, address: str) -> None:
        """Refuse: there is nobody to take over."""
        raise NotFoundError(
            f"the ledger in {self.directory} is written on one machine, and {address[:200]} is no node of it",
            code="node.not_found",
            hint="stop the server there; for servers that take over keep the ledger in PostgreSQL",
        )

    def lock_commits(self, patience: float) -> FileLock:
        """Take the right to commit."""
        return FileLock(self.commit_lock, patience=patience)

    def open_writer(self, *, must_exist: bool, probe: Probe = untouched) -> SqliteWriter:
        """Open the database for writing."""
        return SqliteWriter(self.database, must_exist=must_exist, probe=probe)

    def open_queries(self) -> SqliteQueries:
        """Return questions over a read-only connection."""
        return open_queries(self.database)

    def open_reader(
        self, *, heed_head_lock: bool = True, patience_seconds: float = PATIENCE_SECONDS
    ) -> SqliteReader:
        """Open the database for reading; a copy without its head lock can be read, for what it is."""
        self.require()
        head = self.head if heed_head_lock and self.has_head_lock() else None
        return SqliteReader(self.database, head, patience_seconds=patience_seconds)

    def open_head_lock(self, origin: str, *, sync: bool) -> SqliteHeadLock:
        """Open the head lock, creating the file if it is missing."""
        return SqliteHeadLock(self.head, origin, sync=sync)

    def read_head(self, origin: str) -> Published | None:
        """Return what the head lock says."""
        return read_head(self.head, origin)

    def is_head_lock_apart(self) -> bool:
        """Whether the head lock lies in another folder."""
        return self.head.absolute().parent != self.directory.absolute()

    def holds_old_pages(self) -> bool:
        """Whether the write-ahead log has pages."""
        beside = self.database.with_name(self.database.name + "-wal")
        return beside.exists() and beside.stat().st_size > 0

    def files(self) -> list[Path]:
        """Return the databases with what lies beside them, and the locks, as far as they exist."""
        databases = [
            path.with_name(path.name + beside)
            for path in (self.database, self.head)
            for beside in _BESIDE
        ]
        return [path for path in (*databases, self.lock, self.commit_lock) if path.exists()]
