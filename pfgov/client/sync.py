"""The synchronous shell: it sends, waits and tries again."""

import random
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from pfgov.client.core import (
    RETRIED,
    ApiError,
    Ask,
    Asks,
    Recorded,
    Retry,
    UnreachableError,
    bearer,
    http,
    member_path,
    packet_path,
    value_of,
)
from pfgov.client.receipts import ReceiptChecker


class Client:
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
        """
        self._httpx = http()
        self._asks = Asks(ReceiptChecker.of(anchor))
        self._retry = retry or Retry()
        self._http = self._httpx.Client(
            base_url=url, headers=bearer(key), transport=transport, timeout=timeout
        )

    def send(self, ask: Ask) -> tuple[Any, Mapping[str, str]]:
        """Send *ask*, again if need be, and return the answer's value and headers.

        Raises:
            ApiError: the server refused.
            UnreachableError: no answer came in time.
        """
        start, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            asked: str | None = None
            try:
                answer = self._http.request(
                    ask.method, ask.path, content=ask.body, headers=ask.headers()
                )
                if answer.status_code not in RETRIED:
                    return value_of(answer.status_code, answer.content), answer.headers
                failure: Exception = ApiError(answer.status_code, {})
                asked = answer.headers.get("retry-after")
            except self._httpx.TransportError as error:
                failure = error
            pause = self._retry.pause(attempt, asked=asked, spread=random.random())  # noqa: S311
            if time.monotonic() + pause - start > self._retry.patience:
                raise UnreachableError(
                    f"no answer after {attempt} attempts: {failure!r}", hint="is the server up?"
                ) from failure
            time.sleep(pause)

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

    def register(self, member: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Register a member, as the specification's request describes one."""
        return self.write("POST", "/api/members/register", member, key=key)

    def heartbeat(
        self, member_id: str, incarnation: int, owns: Mapping[str, int] | None = None
    ) -> list[tuple[str, int]]:
        """Renew a member's lease; return the (packet, epoch) pairs of *owns* that it has lost."""
        held = [{"packet_id": packet, "epoch": epoch} for packet, epoch in (owns or {}).items()]
        body = {"incarnation": incarnation, "owns": held}
        told = self.send(self._asks.ask(member_path(member_id, "heartbeat"), body))[0]
        return [(one["packet_id"], one["epoch"]) for one in told["lost"]]

    def submit(self, packet: Mapping[str, Any], *, key: str | None = None) -> Recorded:
        """Submit a Flight Packet."""
        return self.write("POST", "/api/packets", packet, key=key)

    def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        found: dict[str, Any] = self.get(packet_path(packet_id))
        return found

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
        """Do *verb* (``assign``, ``handoff``, ``complete`` ...) to a packet."""
        return self.write("POST", packet_path(packet_id, verb), body, key=key)

    def may_own(self, packet_id: str, member_id: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Ask whether a member may own a packet; recorded, unless it is a dry run."""
        path = "/api/decisions?dry_run=true" if dry_run else "/api/decisions"
        body = {"packet_id": packet_id, "member_id": member_id}
        told: dict[str, Any] = self.send(self._asks.ask(path, body, uuid.uuid4().hex))[0]
        return told

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
