"""From PostgreSQL's errors to ours: which database, what happened, what to do.  This module opens nothing."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import psycopg

from pfgov.errors import (
    LeadershipLostError,
    PfgovError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
)
from pfgov.storage.postgres.schema import LEADERSHIP_LOST

_FULL: Final = frozenset({"53100", "53200"})
_READ_ONLY: Final = frozenset({"25006", "42501"})
_DAMAGED: Final = frozenset({"XX001", "XX002"})


def translated(error: psycopg.Error, location: str) -> PfgovError:
    """Return the error that *error* means for the database at *location*."""
    state = error.sqlstate or ""
    said = " ".join(str(error).split())
    if state == LEADERSHIP_LOST:
        return LeadershipLostError(
            f"{location}: {said}",
            hint="nothing was written; ask the process that leads it now",
        )
    if state in _FULL:
        return StoreUnavailableError(
            f"{location}: {said}",
            code="store.full",
            hint="make room on the database's machine and try again; nothing was half-written",
        )
    if state in _READ_ONLY:
        return StoreUnavailableError(
            f"{location} cannot be written: {said}",
            code="store.read_only",
            hint="name the primary, not a standby, and check what the role may do",
        )
    if state in _DAMAGED or isinstance(error, psycopg.IntegrityError):
        return StoreCorruptError(
            f"{location} refuses what should fit: {said}",
            hint="verify the ledger: pfgov ledger verify",
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnavailableError(
            f"{location} cannot be reached: {said}",
            hint="check that the database runs, and that the URL of the store names it",
        )
    return StoreError(f"{location}: {said}", hint="see the message; nothing was half-written")


@contextmanager
def translating(location: str) -> Generator[None]:
    """Turn the database's errors inside the block into ours."""
    try:
        yield
    except psycopg.Error as error:
        raise translated(error, location) from error
