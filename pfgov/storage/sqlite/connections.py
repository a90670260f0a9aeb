"""Opening the database: the writer's connection, and read-only ones that never write.

The writer: WAL, ``synchronous=FULL`` (with NORMAL an acknowledged commit whose checkpoint has escaped can be lost,
which is a fork), ``secure_delete`` before the first write, so that an erased payload is overwritten.
A new file is its owner's alone, whatever the umask and the folder; SQLite gives what it lays beside it the same mode.
Readers open ``mode=ro`` and work beside a running writer.  This module knows no table.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pfgov.errors import StoreUnavailableError
from pfgov.files import check_regular
from pfgov.storage.sqlite.errors import translating

BUSY_SECONDS: Final = 5.0
"""How long a statement waits for a lock that another connection holds for a moment."""

CACHE_KIB: Final = 32_768
"""Pages the writer keeps in memory."""

WAL_PAGES_MAX: Final = 4_096
"""Pages in the write-ahead log before a commit moves them into the database: 16 MiB."""


PRIVATE: Final = 0o600
"""Payloads lie in the database, so nobody but its owner reads it."""


def check_files(path: Path) -> None:
    """Refuse what is at *path*, and what lies beside it where SQLite keeps its own, if it is no regular file.

    SQLite opens a journal that it finds, and would wait for a pipe.

    Raises:
        OSError: one of them is not.
    """
    for beside in ("", "-wal", "-shm", "-journal"):
        check_regular(path.with_name(path.name + beside))


def make_private(path: Path) -> None:
    """Create an empty file at *path* for its owner alone, unless there is one: an administrator may have shared it.

    Raises:
        StoreUnavailableError: it cannot be created.
    """
    with translating(path):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        except FileExistsError:
            return
        try:
            os.fchmod(handle, PRIVATE)  # the umask may have taken more away than others' rights
        finally:
            os.close(handle)


def open_writer(path: Path, *, must_exist: bool) -> sqlite3.Connection:
    """Return the one connection that writes *path*; the caller holds the writer lock.

    It may pass between threads; whoever holds the exclusive section uses it.

    Raises:
        PfgovError: ``store.*``, the file cannot be opened or is not a database.
    """
    if must_exist and not path.exists():
        raise StoreUnavailableError(
            f"{path} does not exist", code="store.missing", hint="create it with: pfgov init"
        )
    make_private(path)
    with translating(path):
        check_files(path)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False,
            cached_statements=256,
        )  # fmt: skip
        try:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write.

    A folder that cannot be written holds no shared-memory file; then a database that was closed cleanly is read as
    immutable.

    Raises:
        PfgovError: ``store.*``, the file is missing, cannot be opened or is not a database.
    """
    if not path.exists():
        raise StoreUnavailableError(
            f"{path} does not exist", code="store.missing", hint="create it with: pfgov init"
        )
    with translating(path):
        check_files(path)
        try:
            return _reading(path, "mode=ro")
        except sqlite3.OperationalError as error:
            beside = path.with_name(path.name + "-wal")
            cannot_open = error.sqlite_errorcode & 0xFF in {
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            }
            if cannot_open and not (beside.exists() and beside.stat().st_size):
                return _reading(path, "mode=ro&immutable=1")
            raise


def _reading(path: Path, options: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{options}", uri=True, timeout=BUSY_SECONDS,
        isolation_level=None, check_same_thread=False,
    )  # fmt: skip
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
