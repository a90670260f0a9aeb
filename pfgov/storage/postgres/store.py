"""A ledger in a database, and the folder of what belongs to it and is in none: its keys, its anchor, its head lock.

    DIR/store.url     the database's URL, with the ledger's name           DIR/head.db   the head lock

The file ``store.url`` tells such a folder from one with a database of its own.  The head lock stays outside of the
database on purpose: a standby that was promoted without the last commits is found by it.
"""

import secrets
from pathlib import Path
from urllib.parse import quote

from pfgov.errors import DuplicateError
from pfgov.storage.leading import Node
from pfgov.storage.moving import leave, require_here
from pfgov.storage.port import PATIENCE_SECONDS, Probe, Published, untouched
from pfgov.storage.postgres import schema
from pfgov.storage.postgres.connections import Address, connect, read_url
from pfgov.storage.postgres.copying import copy_in
from pfgov.storage.postgres.durability import risks
from pfgov.storage.postgres.errors import translating
from pfgov.storage.postgres.folder import SCHEME, URL_FILE, keep_url, kept_url
from pfgov.storage.postgres.leading import LeaderLock, NoLock
from pfgov.storage.postgres.presence import PostgresPresence, drain, nodes
from pfgov.storage.postgres.queries import PostgresQueries
from pfgov.storage.postgres.reading import PostgresReader, open_ledger, size_of
from pfgov.storage.postgres.writing import PostgresWriter
from pfgov.storage.sqlite.head_lock import HeadReader, SqliteHeadLock, read_head
from pfgov.storage.sqlite.store import SqliteStore


def keep_in(directory: Path, url: str) -> None:
    """Have the ledger of *directory* kept in the database at *url*, which can be reached and holds none of that name.

    Raises:
        DuplicateError: ``ledger.exists``, it holds one; the folder's own, if the folder names it, may be begun anew.
        InvalidError: ``store.url``, it is no such URL.
        StoreUnavailableError: the database cannot be reached, or the folder cannot be written.
    """
    address = read_url(url)
    if size_of(address):
        raise DuplicateError(
            f"there is a ledger in {address.location} already",
            code="ledger.exists",
            hint="choose another name after the # of its URL; or restore what lies there: pfgov ledger restore",
        )
    keep_url(directory, url)


class PostgresStore:
    """The ledger that *directory* says is in a database; implements :class:`pfgov.storage.port.Store`."""

    def __init__(
        self, directory: Path, leader: str | None = None, *, heeds_head_lock: bool = True
    ) -> None:
        """Read where it is.

        Args:
            directory: The folder.
            leader: The token under which the ledger is led, for the writer process of a leader.
            heeds_head_lock: Whether readers wait for what is committed to be published here: not beside a leader on
                another machine, which publishes there.

        Raises:
            InvalidError: ``store.url``, the file ``store.url`` holds none.
            StoreUnavailableError: it cannot be read.
        """
        self.directory = directory
        self._beside = SqliteStore(directory)
        self._address: Address = read_url(kept_url(directory) or "", directory / URL_FILE)
        self._leader = leader or secrets.token_hex(16)
        self._heeds = heeds_head_lock

    @property
    def url(self) -> str:
        """The folder and the token: where the database is stays in the folder's file."""
        return f"{SCHEME}:{quote(str(self.directory))}?{self._leader}"

    @property
    def location(self) -> str:
        """The database and the ledger's name, without a password."""
        return self._address.location

    def require(self) -> None:
        """Refuse a place that holds no ledger."""
        if not self.exists():
            raise schema.missing(self.location)

    def exists(self) -> bool:
        """Whether the database has a ledger of that name."""
        return size_of(self._address) is not None

    def stamp(self) -> None:
        """Say nothing: that takes asking the database."""

    def has_entries(self) -> bool:
        """Whether it has an entry."""
        return bool(size_of(self._address))

    def take_in(self, backup: Path) -> None:
        """Copy a ledger's database file to this place."""
        copy_in(backup, self._address)

    def has_head_lock(self) -> bool:
        """Whether there is a head lock."""
        return self._beside.has_head_lock()

    def lock_writer(self, address: str | None) -> LeaderLock:
        """Become the leader; ``store.moved`` if the ledger is elsewhere by now."""
        require_here(self.directory)
        connection = connect(self._address)
        try:
            with translating(self.location):
                schema.create(connection)
                schema.check(connection)
        finally:
            connection.close()
        return LeaderLock(self._address, self._leader, address)

    @property
    def can_be_led(self) -> bool:
        """Always."""
        return True

    def following(self) -> "PostgresStore":
        """Return the same store for a server that stands by: what is committed can be read."""
        return PostgresStore(self.directory, self._leader, heeds_head_lock=False)

    def stand_by(self, address: str) -> PostgresPresence:
        """Be there for when nobody leads."""
        keeper = self._beside.head.with_name("head.lock")
        return PostgresPresence(self._address, self._leader, address, keeper)

    def nodes(self) -> list[Node]:
        """Return the servers of the ledger."""
        return nodes(self._address)

    def risks(self) -> tuple[str, ...]:
        """Return what a loss of the database's primary would cost."""
        return risks(self._address)

    def leave_for(self, place: str) -> None:
        """Leave a pointer to where the ledger is."""
        leave(self.directory, place)

    def drain(self, address: str) -> None:
        """Tell a server to lead no more."""
        drain(self._address, address)

    def lock_commits(self, patience: float) -> NoLock:
        """Take nothing: a writer that outlives its engine is refused by its term."""
        del patience
        return NoLock()

    def open_writer(self, *, must_exist: bool, probe: Probe = untouched) -> PostgresWriter:
        """Open the ledger for writing, under a new term."""
        return PostgresWriter(self._address, self._leader, must_exist=must_exist, probe=probe)

    def open_queries(self) -> PostgresQueries:
        """Return questions over a read-only connection."""
        connection, ledger = open_ledger(self._address)
        return PostgresQueries(
            connection, ledger, self.location, lambda: open_ledger(self._address)[0]
        )

    def open_reader(
        self, *, heed_head_lock: bool = True, patience_seconds: float = PATIENCE_SECONDS
    ) -> PostgresReader:
        """Open the ledger for reading."""
        heeds = heed_head_lock and self._heeds and self.has_head_lock()
        head = HeadReader(self._beside.head) if heeds else None
        return PostgresReader(self._address, head, patience_seconds=patience_seconds)

    def open_head_lock(self, origin: str, *, sync: bool) -> SqliteHeadLock:
        """Open the head lock, creating the file if it is missing."""
        return self._beside.open_head_lock(origin, sync=sync)

    def read_head(self, origin: str) -> Published | None:
        """Return what the head lock says."""
        return read_head(self._beside.head, origin)

    def is_head_lock_apart(self) -> bool:
        """Whether a restored copy leaves the head lock alone: it lies in no database."""
        return True

    def holds_old_pages(self) -> bool:
        """Whether deleted rows lie in a log of the store's own; what the database keeps is its operator's to say."""
        return False

    def files(self) -> list[Path]:
        """Return the file with the URL, and the head lock's, as far as they exist."""
        return [self.directory / URL_FILE, *self._beside.files()]
