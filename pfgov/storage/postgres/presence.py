"""Servers of a ledger in PostgreSQL that are there, and what each serves: rows that nobody signs or depends on.

A server says that it is there about once a second.  Who leads says the row of the ledger's head alone.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import psycopg

from pfgov.errors import NotFoundError, PfgovError, StoreLockedError
from pfgov.storage.leading import Node, Standing
from pfgov.storage.postgres import schema
from pfgov.storage.postgres.connections import Address, connect
from pfgov.storage.postgres.errors import translating
from pfgov.storage.postgres.leading import FREE, Lead
from pfgov.storage.sqlite.writer_lock import FileLock

GONE_SECONDS: Final = 60.0
"""After so long without a word a server is not shown any more, nor one whose last word is so long ahead: somebody wrote
it, or the database's clock went back, and until it has come so far again nobody is there."""

_STANDING: Final = f"""SELECT term, size, CASE WHEN NOT {FREE} THEN address END, {FREE}
    FROM pfgov.head WHERE ledger = %s"""  # noqa: S608 - literals
_NODES: Final = f"""SELECT s.address, s.holder, h.leader = s.token AND NOT {FREE}, h.term,
    s.size, h.size, extract(epoch FROM clock_timestamp() - s.seen)::float8, s.draining
    FROM pfgov.server s JOIN pfgov.head h USING (ledger)
    WHERE h.name = %(name)s
    AND s.seen > clock_timestamp() - make_interval(secs => %(gone)s)
    AND s.seen < clock_timestamp() + make_interval(secs => %(gone)s)
    """  # noqa: S608 - literals
_DRAIN: Final = """UPDATE pfgov.server SET draining = true FROM pfgov.head h
    WHERE h.ledger = server.ledger AND h.name = %s AND server.address = %s"""


class PostgresPresence:
    """A server that stands by; implements :class:`pfgov.storage.leading.Presence`."""

    def __init__(self, address: Address, token: str, listens_at: str, keeper: Path) -> None:
        """Connect, and be there.

        Args:
            address: Where the ledger is.
            token: What this server would lead under.
            listens_at: Where it listens.
            keeper: The file whose holder moves the folder's head lock while it does not lead: two may share a folder.

        Raises:
            PfgovError: ``store.*``, there is no ledger, or it cannot be reached.
        """
        self._address = address
        self._token = token
        self._listens_at = listens_at
        self._keeper = keeper
        self._kept: FileLock | None = None
        self._open()

    def _open(self) -> None:
        self._connection = connect(self._address)
        try:
            with translating(self._address.location):
                schema.create(self._connection)
                schema.check(self._connection)
            self._lead = Lead(self._connection, self._address, self._token)
        except BaseException:
            self._connection.close()
            raise

    def look(self, served: int) -> Standing:
        """Return how the ledger stands, and say that *served* entries can be read here."""
        if self._connection.closed:  # the database was restarted
            self._open()
        is_draining = self._lead.is_draining(self._listens_at, served)
        with translating(self._address.location):
            row = self._connection.execute(_STANDING.encode(), (self._lead.ledger,)).fetchone()
        if row is None:
            raise schema.missing(self._address.location)
        term, size, leader, is_free = row
        return Standing(term, size, leader, is_free, is_draining)

    def may_publish(self) -> bool:
        """Whether no other server of the folder moves its head lock."""
        if self._kept is None:
            with suppress(StoreLockedError):
                self._kept = FileLock(self._keeper)
        return self._kept is not None

    def close(self) -> None:
        """Be gone."""
        with suppress(PfgovError, psycopg.Error):
            self._lead.be_gone()
        self._connection.close()
        if self._kept is not None:
            self._kept.release()


def nodes(address: Address) -> list[Node]:
    """Return the servers of the ledger at *address*, whoever leads first.

    Raises:
        PfgovError: ``store.*``, there is no ledger, or it cannot be reached.
    """
    connection = connect(address, read_only=True)
    try:
        with translating(address.location):
            schema.check(connection)
            rows = connection.execute(
                _NODES.encode(), {"name": address.name, "gone": GONE_SECONDS}
            ).fetchall()
    finally:
        connection.close()
    found = [
        Node(
            at, holder, bool(leads), term, size if not leads else total, 0 if leads else max(total - size, 0),
            abs(silent), draining,
        )
        for at, holder, leads, term, size, total, silent, draining in rows
    ]  # fmt: skip
    return sorted(found, key=lambda node: (not node.is_leader, node.address))


def drain(address: Address, listens_at: str) -> None:
    """Tell the server at *listens_at* to lead no more, until it ends.

    Raises:
        NotFoundError: ``node.not_found``, no such server is there.
        PfgovError: ``store.*``.
    """
    connection = connect(address)
    try:
        with translating(address.location):
            schema.check(connection)
            marked = connection.execute(_DRAIN, (address.name, listens_at)).rowcount
    finally:
        connection.close()
    if not marked:
        raise NotFoundError(
            f"no server of this ledger is at {listens_at[:200]}",
            code="node.not_found",
            hint="see which there are: pfgov node list",
        )
