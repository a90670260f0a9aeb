"""From a standby to the leader: a request goes over as it came, and its answer comes back as it is.

Nothing is forwarded twice, and nothing while it is not known who leads, or over a connection on which nobody proved to
be a server of this ledger: a request carries somebody's key, and whoever listens at an address may be another in a
moment.  So connections are kept for the next request.  When another leader, or another term, comes up
before the answer, the connection is cut: whoever asked learns that the outcome is unknown, and asks again with the same
``Idempotency-Key``.  That an answer counts is the leader's to know; it gives none before its commit.
"""

import asyncio
import contextlib
import http.client
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pfgov.app.hosting import UnknownOutcomeError
from pfgov.app.turns import Follower
from pfgov.deadlines import TimedConnection, timed
from pfgov.errors import PfgovError, StandbyError
from pfgov_api.limits import FORWARD_THREADS
from pfgov_api.proving import CHALLENGE, PROOF, drawn, is_proved
from pfgov_api.replies import Reply
from pfgov_ledger.keys import Signer

FORWARDED: Final = "pfgov-forwarded"
"""The header of a request that a standby sent on: the term of the leader that it knows."""

FORWARD_SECONDS: Final = 60.0
"""How long an answer may take; before that, a leader that is silent has lost its lease."""

LIVE: Final = "/api/health/live"
"""What is asked of a server that has to prove that it is one."""

LIVE_BYTES_MAX: Final = 65_536
"""More than that answer has."""

KEPT_SECONDS: Final = 10.0
"""For how long a connection is kept on which nothing is asked: its server closes it in three times as long."""

_OWN: Final = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection, not to what is asked or answered."""


@dataclass(slots=True)
class _Way:
    """One request on its way to *leader*, and what it goes over."""

    leader: str
    connection: TimedConnection

    def cut(self) -> None:
        """End the connection, in whose answer another thread waits."""
        with contextlib.suppress(OSError):
            if self.connection.sock is not None:
                self.connection.sock.shutdown(2)


@dataclass(slots=True)
class _Kept:
    """A connection on which *leader* proved to be a server of the ledger, since when nothing is asked on it."""

    leader: str
    connection: TimedConnection
    since: float


class Forwarder:
    """Sends requests on to whoever leads."""

    def __init__(
        self,
        follower: Follower,
        log_keys: Callable[[], Sequence[Signer]],
        claimant: Callable[[], str | None] | None = None,
    ) -> None:
        """Send what is asked to whoever leads, and proves to have one of the log's keys, as this server does.

        Args:
            follower: Says who leads.
            log_keys: The log's keys.
            claimant: Says who is to lead while nobody does: a ledger that rests is opened there by what is sent.
        """
        self._follower = follower
        self._log_keys = log_keys
        self._claimant = claimant
        self._kept: list[_Kept] = []
        self._changes = 0
        self._threads = ThreadPoolExecutor(FORWARD_THREADS, thread_name_prefix="forward")
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Cut what is under way: another leads, or under another term."""
        self._changes += 1
        while self._kept:
            self._kept.pop().connection.close()
        self._changed.set()
        self._changed = asyncio.Event()

    async def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """Return the leader's answer.

        Raises:
            StandbyError: it is not known who leads, nobody was reached, or the request was forwarded already.
            UnknownOutcomeError: the leader was lost before it answered.
        """
        standing = self._follower.standing
        if standing is None or FORWARDED in headers:
            raise self._follower.refusal()
        leader = standing.leader
        if leader is None and standing.is_free and self._claimant is not None:
            leader = self._claimant()
        if leader is None:
            raise self._follower.refusal()
        try:
            at = urlsplit(leader)
            connection = timed(
                at.hostname or "", at.port, FORWARD_SECONDS, is_secure=at.scheme == "https"
            )
        except ValueError:  # whoever writes the database can write anything there
            raise self._follower.refusal() from None
        sent = {name: value for name, value in headers.items() if name not in _OWN}
        sent[FORWARDED] = str(standing.term)
        way = _Way(leader, connection)
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(self._threads, self._ask, way, method, target, sent, body)
        cut = asyncio.ensure_future(self._changed.wait())
        either: set[asyncio.Future[Any]] = {asking, cut}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise _unknown("the leader changed before it answered")
            return asking.result()
        finally:
            cut.cancel()
            if not asking.done():
                way.cut()
                asking.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _ask(
        self, way: _Way, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> Reply:
        mount, changes = urlsplit(way.leader).path.rstrip("/"), self._changes
        self._connect(way, mount)
        connection, stays = way.connection, False
        try:
            connection.request(method, mount + target, body=body or None, headers=headers)
            answer = connection.getresponse()
            raw = answer.read()
            stays = not answer.will_close
        except (OSError, http.client.HTTPException) as error:
            raise _unknown(
                f"the leader was lost before it answered: {type(error).__name__}"
            ) from None
        finally:
            if stays and changes == self._changes:
                self._kept.append(_Kept(way.leader, connection, time.monotonic()))
            else:
                connection.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        kept = {name: value for name, value in found.items() if name not in _OWN}
        return Reply(answer.status, raw, media_type=kept.get("content-type", ""), headers=kept)

    def _connect(self, way: _Way, mount: str) -> None:
        """Have a connection on which the leader proved to be a server of this ledger: one that was kept, or a new one.

        Raises:
            StandbyError: nobody is reached, or who is does not prove it.
        """
        new, kept = way.connection, self._take(way.leader)
        if kept is not None:
            kept.due, way.connection = new.due, kept
            return
        try:
            new.connect()
            self._prove(way.leader, mount, new)
        except OSError:
            new.close()
            raise self._follower.refusal() from None
        except BaseException:
            new.close()
            raise

    def _take(self, leader: str) -> TimedConnection | None:
        """Return a connection that was kept, if its server has not closed it; None where there is none."""
        with contextlib.suppress(IndexError):  # other threads take them, too
            while True:
                kept = self._kept.pop()
                is_new = time.monotonic() - kept.since < KEPT_SECONDS
                if kept.leader == leader and is_new and _is_silent(kept.connection.sock):
                    return kept.connection
                kept.connection.close()
        return None

    def _prove(self, leader: str, mount: str, connection: TimedConnection) -> None:
        """Have whoever answers prove that it is a server of this ledger.

        Raises:
            StandbyError: it does not.
        """
        challenge = drawn()
        try:
            connection.request("GET", mount + LIVE, headers={CHALLENGE: challenge})
            answer = connection.getresponse()
            answer.read(LIVE_BYTES_MAX)
            said = answer.getheader(PROOF, "") if answer.isclosed() else ""
        except (OSError, http.client.HTTPException):
            raise self._follower.refusal() from None
        publics = [one.public for one in self._log_keys()]
        if not is_proved(said, publics, self._follower.origin, leader, challenge):
            raise StandbyError(
                f"who answers at {leader} does not prove to be a server of this ledger",
                hint="is the address right, is that server of this version, and are the log's keys the same on both?",
            )
        if connection.sock is None:  # the next request would go over another
            raise self._follower.refusal()

    def close(self) -> None:
        """Send nothing more."""
        self.changed()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _is_silent(sock: socket.socket | None) -> bool:
    """Whether nothing has come over a connection: neither its end, nor what nobody asked for."""
    if sock is None:
        return False
    looking = select.poll()
    looking.register(sock, select.POLLIN)
    return not looking.poll(0)


def _unknown(why: str) -> PfgovError:
    return UnknownOutcomeError(why, hint="ask again with the same Idempotency-Key")
