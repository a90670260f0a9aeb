"""What a worker needs of a client: the few requests by which a member lives."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from pfgov.client.core import Recorded
from pfgov.client.stream import StreamEvent


class Speaks(Protocol):
    """Speaks to a server for a member."""

    async def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Change something, once."""
        ...

    async def beat(self, member_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Renew a lease, in one attempt; return the whole answer."""
        ...

    async def packet(self, packet_id: str) -> dict[str, Any]:
        """Return a packet."""
        ...

    async def get(self, path: str, **query: Any) -> Any:
        """Read anything."""
        ...

    async def act(
        self,
        packet_id: str,
        verb: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> Recorded:
        """Do something to a packet."""
        ...

    def events(
        self, *, after: int | None = None, member: str | None = None
    ) -> AsyncIterator[StreamEvent]:
        """Listen."""
        ...
