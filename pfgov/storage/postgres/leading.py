"""Who leads a ledger in PostgreSQL: a row with a token, a term, and a lease on the database's clock.

Whoever leads renews its lease, and each commit does, too.  A leader whose lease ran out is replaced under a new term,
and from then on the guard of every commit refuses what it sends, however late it wakes.  The advisory lock that a
living leader holds only says sooner that it is dead; it never decides, because a stopped process keeps it.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

import psycopg

from pfgov.errors import LeadershipLostError, PfgovError, StoreLockedError
from pfgov.storage.leading import Standing
from pfgov.storage.postgres import schema
from pfgov.storage.postgres.connections import Address, Connection, connect
from pfgov.storage.postgres.errors import translating

LEASE_SECONDS: Final = 3.0
"""How long a leader leads without a word from it."""

RENEW_SECONDS: Final = 1.0
"""How often an idle leader renews its lease."""

_PAUSE_SECONDS: Final = 0.05
_ADVISORY: Final = 0x70666776
"""First key of a ledger's advisory lock; the second is the ledger's number."""

LEASE_MAX_SECONDS: Final = 60
"""A lease that lasts longer is none that a leader has: somebody else wrote it, or the database's clock went back."""

FREE: Final = f"""(leader IS NULL OR until < clock_timestamp()
    OR until > clock_timestamp() + make_interval(secs => {LEASE_MAX_SECONDS}))"""
"""Whether nobody leads, of a row of ``head``."""

_TAKE: Final = f"""UPDATE pfgov.head SET leader = %s, holder = %s, address = %s, term = term + 1,
    until = clock_timestamp() + make_interval(secs => %s)
    WHERE ledger = %s AND {FREE} RETURNING term"""  # noqa: S608 - literals
_BEGIN_TERM: Final = f"""UPDATE pfgov.head SET leader = %(token)s, term = term + 1,
    until = clock_timestamp() + make_interval(secs => %(seconds)s)
    WHERE ledger = %(ledger)s AND (leader = %(token)s OR {FREE})
    RETURNING term, size"""  # noqa: S608 - literals
_RENEW: Final = """UPDATE pfgov.head SET until = clock_timestamp() + make_interval(secs => %s)
    WHERE ledger = %s AND leader = %s RETURNING term, size"""
_LEAVE: Final = (
    "UPDATE pfgov.head SET leader = NULL, address = NULL WHERE ledger = %s AND leader = %s"
)
_HEARD: Final = """INSERT INTO pfgov.server SELECT ledger, %(token)s, %(holder)s, %(address)s,
    coalesce(%(served)s, size), clock_timestamp(), false FROM pfgov.head WHERE ledger = %(ledger)s
    ON CONFLICT (ledger, token) DO UPDATE SET size = excluded.size, seen = excluded.seen
    RETURNING draining"""
_GONE: Final = "DELETE FROM pfgov.server WHERE ledger = %s AND token = %s"
_LOOK: Final = f"""SELECT holder, address, until FROM pfgov.head
    WHERE ledger = %s AND NOT {FREE}"""  # noqa: S608 - literals
_THERE: Final = "SELECT 1 FROM pfgov.head WHERE ledger = %s"


class Leader(NamedTuple):
    """Who leads: in words, where it listens, and until when unless it renews."""

    holder: str
    address: str | None
    until: datetime


class Lead:
    """The leadership of one ledger, asked for under one token."""

    def __init__(self, connection: Connection, address: Address, token: str) -> None:
        self._connection = connection
        self._location = address.location
        self._token = token
        self._is_seen = False
        with translating(self._location):
            connection.execute(
                "INSERT INTO pfgov.head (name) VALUES (%s) ON CONFLICT (name) DO NOTHING",
                (address.name,),
            )
            row = connection.execute(
                "SELECT ledger FROM pfgov.head WHERE name = %s", (address.name,)
            ).fetchone()
        if row is None:
            raise AssertionError("a row that was just made is not there")
        self.ledger: int = row[0]

    def take(self, listens_at: str | None) -> None:
        """Become the leader; a dead one's lease is waited for, a living one's is not.

        Whoever renews its lease meanwhile lives, whatever its advisory lock says.

        Raises:
            StoreLockedError: another process leads.
            StoreUnavailableError: the database cannot be reached.
        """
        holder = who()
        ends: datetime | None = None
        with translating(self._location):
            while True:
                taken = self._connection.execute(
                    _TAKE.encode(), (self._token, holder, listens_at, LEASE_SECONDS, self.ledger)
                ).fetchone()
                if taken is not None:
                    break
                found = self._look()
                if found is None:
                    self._require_row()
                    continue
                ends = ends or found.until
                if found.until > ends or not self._has_died():
                    raise locked(self._location, found)
                time.sleep(_PAUSE_SECONDS)

    @property
    def _keys(self) -> tuple[int, int]:
        return _ADVISORY, self.ledger

    def _look(self) -> Leader | None:
        row = self._connection.execute(_LOOK.encode(), (self.ledger,)).fetchone()
        return None if row is None else Leader(*row)

    def _require_row(self) -> None:
        if self._connection.execute(_THERE, (self.ledger,)).fetchone() is None:
            raise schema.missing(self._location)

    def _has_died(self) -> bool:
        """Whether the leader's connection has ended, so that its lease is all that is left of it."""
        if not self._locks():
            return False
        self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", self._keys)
        return True

    def begin_term(self) -> tuple[int, int, int]:
        """Begin a new term; return the ledger's number, the term, and the size of the ledger now.

        It waits for a commit that is under way, and makes any later one of an earlier term impossible.

        Raises:
            LeadershipLostError: another process leads.
        """
        with translating(self._location):
            row = self._connection.execute(
                _BEGIN_TERM.encode(),
                {"token": self._token, "seconds": LEASE_SECONDS, "ledger": self.ledger},
            ).fetchone()
        if row is None:
            raise LeadershipLostError(
                f"{self._location}: another process leads this ledger",
                hint="nothing was written; ask the process that leads it now",
            )
        return self.ledger, row[0], row[1]

    def renew(self) -> tuple[int, int] | None:
        """Renew the lease and return term and size; None if another leads.

        A connection of its own holds the advisory lock from here on.  Somebody who looks whether the leader has died
        has it for a moment, and then the next time is soon enough.
        """
        with translating(self._location):
            row = self._connection.execute(
                _RENEW, (LEASE_SECONDS, self.ledger, self._token)
            ).fetchone()
            if row is not None and not self._is_seen:
                self._is_seen = self._locks()
        return None if row is None else (row[0], row[1])

    def _locks(self) -> bool:
        """Take the advisory lock; return whether it was free."""
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s, %s)", self._keys).fetchone()
        return bool(row and row[0])

    def is_draining(self, listens_at: str, served: int | None = None) -> bool:
        """Say that the server is there, which serves *served* entries, or all; return whether it was told to leave."""
        said = {
            "ledger": self.ledger,
            "token": self._token,
            "holder": who(),
            "address": listens_at,
            "served": served,
        }
        with translating(self._location):
            row = self._connection.execute(_HEARD, said).fetchone()
        return bool(row and row[0])

    def be_gone(self) -> None:
        """Say that the server is not there any more."""
        with translating(self._location):
            self._connection.execute(_GONE, (self.ledger, self._token))

    def leave(self) -> None:
        """Let others lead at once."""
        with translating(self._location):
            self._connection.execute(_LEAVE, (self.ledger, self._token))


def locked(location: str, leader: Leader) -> StoreLockedError:
    """Return the error for a ledger that *leader* leads."""
    at = f" at {leader.address}" if leader.address else ""
    return StoreLockedError(
        f"{location} is being written by {leader.holder}{at}",
        hint=(
            f"ask that server: the same command with --url {leader.address}; reading needs no lock"
            if leader.address
            else "let that process end, or send it your commands; reading needs no lock"
        ),
        address=leader.address,
    )


def who() -> str:
    """Return this process, in words."""
    return f"process {os.getpid()} on {socket.gethostname()}"


class LeaderLock:
    """The right to lead, kept by a thread that renews it; implements :class:`pfgov.storage.leading.WriterLock`."""

    def __init__(self, address: Address, token: str, listens_at: str | None) -> None:
        """Become the leader.

        Raises:
            StoreLockedError: another process leads.
            StoreUnavailableError: the database cannot be reached.
        """
        self._address = address
        self._token = token
        self._listens_at = listens_at
        self._ended = threading.Event()
        self._is_released = False
        self._is_lost = False
        self.standing: Standing | None = None
        """How the ledger stood when the lease was renewed last."""
        self._connection = connect(address)
        try:
            self._lead = Lead(self._connection, address, token)
            self._lead.take(listens_at)
            self._renew()
        except BaseException:
            self._connection.close()
            raise
        self._thread = threading.Thread(target=self._keep, name="leader", daemon=True)
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether another leads, or this server was told to leave."""
        return self._is_lost

    def _keep(self) -> None:
        """Renew until released; a connection that broke is opened again.

        A leadership that is lost stays lost, although the writer may find out first: its next commit is refused, or
        where nobody has led since, it takes a term again.
        """
        while not self._ended.wait(RENEW_SECONDS):
            with suppress(PfgovError):
                if self._connection.closed:
                    self._connection = connect(self._address)
                    self._lead = Lead(self._connection, self._address, self._token)
                self._renew()
            if self._connection.broken:
                self._connection.close()

    def _renew(self) -> None:
        """Renew the lease, and say that this server is there, if it is one; leave where it was told to."""
        found = self._lead.renew()
        self._is_lost = found is None
        if found is None:
            return
        is_draining = self._listens_at is not None and self._lead.is_draining(self._listens_at)
        term, size = found
        self.standing = Standing(
            term, size, self._listens_at, is_free=False, is_draining=is_draining
        )
        if is_draining:
            self._lead.leave()
            self._is_lost = True

    def release(self) -> None:
        """Let others lead."""
        if self._is_released:
            return
        self._is_released = True
        self._ended.set()
        self._thread.join()
        with suppress(PfgovError, psycopg.Error):
            self._lead.leave()
            if not self._is_lost:  # else it stands by from here on
                self._lead.be_gone()
        self._connection.close()


class NoLock:
    """The right to commit, which the term gives already; implements :class:`pfgov.storage.leading.WriterLock`."""

    is_lost = False
    standing = None

    def release(self) -> None:
        """Nothing was taken."""
