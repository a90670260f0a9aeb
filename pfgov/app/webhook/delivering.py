"""Telling receivers what was committed: each entry that one wants to hear of, in order, at least once.

The ledger is the queue: what is kept beside it is how far each receiver was told, and what was given up.  A message
that is not taken is sent again with growing pauses; after the last it is a dead letter, on a list that an operator
reads.  While a receiver takes nothing each further message has one try, a long pause after the last.  A message says
what happened and where it stands in the ledger; whoever may read more asks for it.
"""

import contextlib
import http.client
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from pfgov.app.webhook.addresses import Resolve, address_of, resolve
from pfgov.app.webhook.endpoints import Endpoint, Webhooks
from pfgov.app.webhook.limits import DEAD_MAX, STOP_SECONDS, TIMEOUT_SECONDS
from pfgov.client.webhooks import sign
from pfgov.deadlines import timed
from pfgov.decoding import Reader
from pfgov.errors import PfgovError
from pfgov.files import read_regular, replace_private
from pfgov.limits import INTEGER_MAX

FILE: Final = "webhooks.json"
PAUSES: Final = (5.0, 30.0, 120.0, 600.0, 3_600.0)
"""Seconds before the second try, the third ...; after the last the message is a dead letter."""

POLL_SECONDS: Final = 0.5
BATCH: Final = 200

log = logging.getLogger("pfgov.api")


@dataclass(frozen=True, slots=True)
class Happened:
    """An entry as a receiver is told of it: position, event, asserted time (RFC 3339), subject, and one sentence."""

    position: int
    type: str
    time: str
    subject: str
    says: str


Since = Callable[[int, int], Sequence[Happened]]
"""Returns at most so many entries from a position on."""

Send = Callable[[Endpoint, bytes, dict[str, str]], int]
"""Posts a body with headers, and returns the status.  It raises OSError, HTTPException or PfgovError."""


class Letter(msgspec.Struct, frozen=True):
    """A message that was given up: the entry's position and event, after how many tries, and why."""

    position: int
    type: str
    tries: int
    why: str


class Kept(msgspec.Struct, forbid_unknown_fields=True):
    """What is kept of how one receiver stands: what it is told next, and what was given up."""

    next: Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]
    dropped: int = 0
    dead: list[Letter] = []


_KEPT: Final = Reader[dict[str, Kept]](dict[str, Kept])


@dataclass(slots=True)
class Standing:
    """How one receiver stands: what it is told next, in which try, and what was given up."""

    next: int
    tries: int = 0
    why: str | None = None
    delivered: int = 0
    dropped: int = 0
    dead: list[Letter] = field(default_factory=list[Letter])


class Poster:
    """Posts messages to addresses that were looked at."""

    def __init__(self, allowed: frozenset[str], look_up: Resolve = resolve) -> None:
        self._allowed = allowed
        self._look_up = look_up

    def __call__(self, to: Endpoint, body: bytes, headers: dict[str, str]) -> int:
        """Post, follow no redirect, and read nothing of the answer but its status."""
        address = address_of(to.host, to.port, allowed=self._allowed, look_up=self._look_up)
        connection = timed(address, to.port, TIMEOUT_SECONDS, is_secure=False)
        try:
            connection.connect()
            if not to.is_plain:
                context = ssl.create_default_context()
                connection.sock = context.wrap_socket(connection.sock, server_hostname=to.host)
            host = f"[{to.host}]" if ":" in to.host else to.host
            named = host if to.port in {80, 443} else f"{host}:{to.port}"
            sent = {"Host": named, "Content-Type": "application/json", **headers}
            connection.request("POST", to.path, body, sent)
            return connection.getresponse().status
        finally:
            connection.close()


class Delivery:
    """Tells all receivers, each in a thread of its own."""

    def __init__(
        self,
        webhooks: Webhooks,
        directory: Path,
        *,
        since: Since,
        size: Callable[[], int],
        now: Callable[[], int],
        send: Send | None = None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """Take up where an earlier run stopped; a receiver that is new hears what comes next.

        Args:
            webhooks: Whom to tell.
            directory: Where the ledger is, and what is kept.
            since: What happened.
            size: How many entries there are.
            now: The time, in seconds since the epoch.
            send: How messages go out.
            pauses: Between two tries, in seconds.
        """
        self._webhooks, self._file = webhooks, directory / FILE
        self._since, self._now = since, now
        self._send: Send = send or Poster(webhooks.allowed)
        self._pauses = tuple(pauses)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        kept = self._kept()
        self.standings = {
            one.name: kept.get(one.name) or Standing(size()) for one in webhooks.endpoints
        }

    def start(self) -> None:
        """Begin to tell, from where each receiver stands: that is kept first, so that a restart skips nothing."""
        self._keep()
        for one in self._webhooks.endpoints:
            thread = threading.Thread(
                target=self._run, args=(one,), name=f"webhook-{one.name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Tell nobody any more; what is under way and not over in a moment is told again at the next start."""
        self._stopping.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))

    def _run(self, to: Endpoint) -> None:
        while not self._stopping.is_set():
            try:
                is_idle = self._tell_some(to)
            except PfgovError as error:
                log.warning("webhook %s waits: %s", to.name, error.message)
                is_idle = True
            except Exception:
                # Nobody would start this thread again: what nobody foresaw must not leave a receiver untold for good.
                log.exception("webhook %s waits", to.name)
                self._stopping.wait(self._pauses[0])
                is_idle = True
            if is_idle:
                self._stopping.wait(POLL_SECONDS)

    def _tell_some(self, to: Endpoint) -> bool:
        """Tell *to* of what is next; return whether there is nothing."""
        found = self._since(self.standings[to.name].next, BATCH)
        for one in found:
            if not self.tell(to, one):
                break
        return not found

    def tell(self, to: Endpoint, one: Happened) -> bool:
        """Tell *to* of one entry, until it takes it or it is given up; False when everything stops."""
        standing = self.standings[to.name]
        if to.types and one.type not in to.types:
            standing.next = one.position + 1
            return True
        body = message(one)
        if standing.why is not None and standing.tries == 0:
            self._stopping.wait(
                self._pauses[-1]
            )  # the last message was given up: one try for this one, and not soon
            standing.tries = len(self._pauses)
        while True:
            if self._stopping.is_set():
                return False
            why = self._try(to, one, body)
            if why is None:
                self._note(to, one, None)
                return True
            standing.tries += 1
            standing.why = why
            if standing.tries > len(self._pauses):
                self._note(to, one, why)
                return True
            self._stopping.wait(self._pauses[standing.tries - 1])

    def _try(self, to: Endpoint, one: Happened, body: bytes) -> str | None:
        """Return why the message was not taken; None if it was."""
        headers = sign(to.secret, f"entry-{one.position}", self._now(), body)
        try:
            status = self._send(to, body, headers)
        except PfgovError as error:
            return error.message
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"[:300]
        return None if 200 <= status < 300 else f"it answered {status}"

    def _note(self, to: Endpoint, one: Happened, why: str | None) -> None:
        """Keep how far *to* was told."""
        standing = self.standings[to.name]
        if why is None:
            standing.delivered += 1
        else:
            log.error("webhook %s was not told of entry %d: %s", to.name, one.position, why)
            standing.dead.append(Letter(one.position, one.type, standing.tries, why))
            standing.dropped += max(len(standing.dead) - DEAD_MAX, 0)
            del standing.dead[:-DEAD_MAX]
        standing.next, standing.tries = one.position + 1, 0
        standing.why = why
        self._keep()

    def shown(self) -> list[dict[str, Any]]:
        """Return how each receiver stands, with its dead letters."""
        return [
            {
                "name": one.name,
                "host": one.host,
                "types": sorted(one.types),
                "next": standing.next,
                "tries": standing.tries,
                "why": standing.why,
                "delivered": standing.delivered,
                "dropped": standing.dropped,
                "dead": msgspec.to_builtins(standing.dead),
            }
            for one in self._webhooks.endpoints
            for standing in (self.standings[one.name],)
        ]

    # --- what is kept ----------------------------------------------------------------------

    def _kept(self) -> dict[str, Standing]:
        try:
            found = _KEPT.decode(read_regular(self._file))
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "%s cannot be read, so receivers hear what comes next: %s", self._file, error
            )
            return {}
        return {
            name: Standing(one.next, dropped=one.dropped, dead=one.dead)
            for name, one in found.items()
        }

    def _keep(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # else told again at the next start
            kept = {
                name: Kept(one.next, one.dropped, one.dead) for name, one in self.standings.items()
            }
            replace_private(self._file, msgspec.json.encode(kept))


def message(one: Happened) -> bytes:
    """Return the bytes of a message, as the scheme wants them: type, timestamp, data."""
    data = {"position": one.position, "subject": one.subject, "says": one.says}
    return json.dumps({"type": one.type, "timestamp": one.time, "data": data}).encode()
