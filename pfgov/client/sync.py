"""The synchronous shell: it sends, waits and tries again."""

import uuid
from collections.abc import Mapping
from typing import Any

from pfgov.client import bounds
from pfgov.client.core import (
    ENDED,
    WAIT_SECONDS,
    Ask,
    Asks,
    Recorded,
    Retry,
    address,
    bearer,
    http,
    is_plain,
    member_path,
    moved,
    packet_path,
)
from pfgov.client.exchange import Closing, exchange
from pfgov.client.first_key import new_ledger
from pfgov.client.receipts import ReceiptChecker


class Client(Closing):
    """Asks a pfgov server.  Close it; or use it as a context manager."""

    def __init__(
        self,
        url: str = "http://localhost:8000",
        *,
        key: str | None = None,
        anchor: str | None = None,
        retry: Retry | None = None,
        transport: Any = None,
        timeout: float = 10.0,
    ) -> None:
        """Make a client.

        Args:
            url: Where the server listens.
            key: An API key (``pfgov_...``), where the server wants one.
            anchor: The text of the server's anchor; every receipt is then verified against it.
            retry: When to try again; writes are repeated with their idempotency key.
            transport: An httpx2 transport, for tests.
            timeout: Seconds that one attempt may take.

        Raises:
            MissingExtraError: httpx2 is not installed.
            ValueError: *url* is no address of a server, or *key* can be no API key.
        """
        self._httpx = http()
        self._asks = Asks(ReceiptChecker.of(anchor))
        self._retry = retry or Retry()
        if transport is None and is_plain(url):
            transport = self._httpx.HTTPTransport()
        http_client = self._httpx.Client(
            base_url=address(url),
            headers={**bounds.HEADERS, **bearer(key)},
            transport=transport,
            timeout=timeout,
        )
        self._http = bounds.bounded(self._httpx, http_client)

    def send(self, ask: Ask) -> tuple[Any, Mapping[str, str]]:
        """Send *ask*, again if need be, and return the answer's value and headers.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
        """
        made = exchange(self._http, self._httpx.TransportError, ask, self._retry)
        return made.value()

    def get(self, path: str, **query: Any) -> Any:
        """Return what a GET answers."""
        return self.send(self._asks.read(path, **query))[0]

    def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Change something, once, however often it has to be sent."""
        ask = self._asks.write(method, path, body or {}, key or uuid.uuid4().hex)
        return self._asks.recorded(*self.send(ask))

    def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what a POST answers whose answer is no receipt, such as ``/api/discover``."""
        return self.send(self._asks.ask(path, body))[0]

    def create_ledger(self, name: str, first_key: str | None = None) -> dict[str, Any]:
        """Have a server of many make a ledger, with a *first_key* that ``draw_key`` drew; again is the same ledger.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
            ValueError: *first_key* is no such key.
        """
        made: dict[str, Any] = self.ask("/api/ledgers", new_ledger(name, first_key))
        return made

    def register(self, member: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Register a member, as the specification's request describes one."""
        return self.write("POST", "/api/members/register", member, key=key)

    def heartbeat(
        self, member_id: str, incarnation: int, owns: Mapping[str, int] | None = None
    ) -> list[tuple[str, int]]:
        """Renew a member's lease; return the (packet, epoch) pairs of *owns* that it has lost."""
        held = [{"packet_id": packet, "epoch": epoch} for packet, epoch in (owns or {}).items()]
        body = {"incarnation": incarnation, "owns": held}
        answer = self.send(self._asks.ask(member_path(member_id, "heartbeat"), body))[0]
        return [(one["packet_id"], one["epoch"]) for one in answer["lost"]]

    def submit(self, packet: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Submit a Flight Packet; whether somebody has it already, or why not, is the answer's ``outcome``."""
        return self.write("POST", "/api/packets", packet, key=key)

    def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        found: dict[str, Any] = self.get(packet_path(packet_id))
        return found

    def wait(self, packet_id: str, seconds: int = 30) -> dict[str, Any]:
        """Return a packet once it has ended, or as it stands after *seconds*; the server holds each answer back."""
        while True:
            step = min(seconds, WAIT_SECONDS)
            found: dict[str, Any] = self.get(packet_path(packet_id), wait=step)
            seconds -= step
            if seconds <= 0 or found["status"] in ENDED:
                return found

    def result(self, packet_id: str) -> Any:
        """Return what came of a packet that this client's key submitted.

        Raises:
            ApiError: ``result.not_found``, there is none; ``access.forbidden``, somebody else submitted it.
        """
        return (self.get(packet_path(packet_id, "result")))["result"]

    def export(self, packet_id: str) -> bytes:
        """Return a packet's lineage with its proofs, to be kept or verified: see ``pfgov_ledger.verify``.

        Raises:
            ApiError: ``export.index_needed``, commit an index first; or this client's key may not have it.
            UnreachableError: it did not come in time, or is larger than an answer may be.
        """
        ask = self._asks.read(packet_path(packet_id, "export"))
        return exchange(self._http, self._httpx.TransportError, ask, self._retry).content()

    def member(self, member_id: str) -> dict[str, Any]:
        """Return a member."""
        found: dict[str, Any] = self.get(member_path(member_id))
        return found

    def act(
        self,
        packet_id: str,
        verb: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Do *verb* (``assign``, ``handoff``, ``complete`` ...) to a packet.

        Raises:
            DeniedError: the packet was to have another owner, and nobody that was asked for may have it.
            EscalatedError: a review is wanted first; the packet moves by itself once that is granted.
            ApiError: any other refusal.
        """
        done = self.write("POST", packet_path(packet_id, verb), body, key=key)
        return moved(verb, done)

    def may_own(self, packet_id: str, member_id: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Ask whether a member may own a packet; recorded, unless it is a dry run."""
        path = "/api/decisions?dry_run=true" if dry_run else "/api/decisions"
        body = {"packet_id": packet_id, "member_id": member_id}
        answer: dict[str, Any] = self.send(self._asks.ask(path, body, uuid.uuid4().hex))[0]
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
