"""From the database's errors to ours: which file, what happened, what to do.

SQLite speaks in result codes and strerror; people need the file and the next step.  This module opens nothing.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pfgov.errors import (
    PfgovError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    file_error,
)

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def translated(error: sqlite3.Error | OSError, path: Path) -> PfgovError:
    """Return the error that *error* means for the file *path*."""
    if isinstance(error, OSError):
        return file_error(error, path)
    primary = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if primary in _CORRUPT:
        return StoreCorruptError(
            f"{path} is damaged: {error}",
            hint="restore it from a backup; an export that was taken earlier still verifies",
        )
    if primary == sqlite3.SQLITE_FULL:
        return StoreUnavailableError(
            f"{path}: the disk is full",
            code="store.full",
            hint="make room and try again; nothing was half-written",
        )
    if primary in _READ_ONLY:
        return StoreUnavailableError(
            f"{path} cannot be written: {error}",
            code="store.read_only",
            hint="check who owns the folder and how it is mounted",
        )
    if primary in _BUSY:
        return StoreUnavailableError(
            f"{path} is held by another program: {error}",
            code="store.busy",
            hint="close the program that has the database open, and try again",
        )
    if primary in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
        return StoreUnavailableError(
            f"{path}: {error}", hint="check the folder, its permissions and the disk"
        )
    if isinstance(error, sqlite3.IntegrityError):
        return StoreCorruptError(
            f"{path} refuses what should fit: {error}",
            hint="verify the ledger: pfgov ledger verify",
        )
    return StoreError(f"{path}: {error}", hint="see the message; nothing was half-written")


@contextmanager
def translating(path: Path) -> Generator[None]:
    """Turn the database's and the system's errors inside the block into ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translated(error, path) from error
