"""Where a ledger is kept: the port that an engine asks, and the one place that chooses what is behind it.

Storage keeps bytes and hands them back.  It knows neither policies nor schedulers, and nothing of what an entry means.
"""

from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

from pfgov.errors import DuplicateError, InvalidError
from pfgov.storage.port import Store
from pfgov.storage.postgres.folder import SCHEME as DATABASE_SCHEME
from pfgov.storage.postgres.folder import kept_url
from pfgov.storage.sqlite.store import SCHEME, SqliteStore

__all__ = ["Store", "keep_in_database", "open_store"]


def open_store(place: str | Path) -> Store:
    """Return the store at *place*: a folder, or a store's own URL.  Nothing is opened or created yet.

    A folder holds its ledger in a file, unless its ``store.url`` names a database.

    Raises:
        InvalidError: ``store.scheme``, no kind of store has that scheme; ``store.url``, the file names no database;
            ``store.driver``, what speaks to it is not installed.
        StoreUnavailableError: ``store.url`` cannot be read.
    """
    if isinstance(place, Path):
        return SqliteStore(place) if kept_url(place) is None else _in_database(place)
    scheme, _, path = place.partition(":")
    if scheme == DATABASE_SCHEME:
        path, _, leader = path.partition("?")
        return _in_database(Path(unquote(path)), leader)
    if scheme != SCHEME or not path:
        raise InvalidError(
            f"{place[:80]!r} is not the URL of a store",
            code="store.scheme",
            hint=f"use {SCHEME}:DIR, the ledger's folder",
        )
    return SqliteStore(Path(unquote(path)))


def keep_in_database(directory: Path, url: str) -> None:
    """Have the ledger that is about to be made in *directory* kept in the database at *url*.

    Where the folder names the same database already, a creation that was interrupted goes on.

    Raises:
        DuplicateError: ``ledger.exists``, there is one in the folder or the database already, or it is kept elsewhere.
        InvalidError: ``store.url`` or ``store.driver``.
        StoreUnavailableError: the database cannot be reached, or the folder cannot be written.
    """
    _require_driver()
    from pfgov.storage.postgres.store import keep_in

    if SqliteStore(directory).exists() or kept_url(directory) not in {None, url}:
        raise DuplicateError(
            f"there is a ledger in {directory} already",
            code="ledger.exists",
            hint="use it, or choose another folder with --dir",
        )
    keep_in(directory, url)


def _in_database(directory: Path, leader: str | None = None) -> Store:
    _require_driver()
    from pfgov.storage.postgres.store import PostgresStore

    return PostgresStore(directory, leader)


def _require_driver() -> None:
    try:
        import_module("psycopg")
    except ImportError as error:
        raise InvalidError(
            f"the store is a PostgreSQL database, and what speaks to it is not installed: {error}",
            code="store.driver",
            hint="install it: pip install 'pfgov[postgres]'",
        ) from error
