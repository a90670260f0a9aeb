"""Keeping up with the ledger: this cluster's packets and members, read once and then as the events name them.

Nothing is remembered that the server does not say again: after a broken stream everything is read anew.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from pfgov.client import ApiError, AsyncClient, UnreachableError
from pfgov.errors import PfgovError
from pfgov.kubernetes.asking import Cluster
from pfgov.kubernetes.ledger import Member, Packet, PacketStage, read_member, read_packet
from pfgov.kubernetes.names import CLUSTER_LABEL, CLUSTER_UID_LABEL

PAGE: Final = 500
WHY_MAX: Final = 3
"""Nearest misses that are told of one packet."""

REST_SECONDS: Final = 2.0

log = logging.getLogger("pfgov.kubernetes")


class OtherClusterError(PfgovError):
    """Another cluster of this name is in the ledger: going on would end its packets."""

    code = "kubernetes.other_cluster"


class LedgerSide:
    """This cluster's part of the ledger as it is now."""

    def __init__(self, client: AsyncClient, changed: Callable[[], None]) -> None:
        """Keep up over *client*; *changed* is called when the ledger says that something happened."""
        self.packets: dict[str, Packet] = {}
        self.members: dict[str, Member] = {}
        self.absent: set[str] = set()
        self.error: PfgovError | None = None
        self._client, self._changed = client, changed
        self._dirty_packets: set[str] = set()
        self._dirty_members: set[str] = set()
        self._is_whole = False

    def read_all(self) -> None:
        """Have everything read again at the next look."""
        self._is_whole = False

    def touch(self, *, packet: str | None = None, member: str | None = None) -> None:
        """Have a packet or a member read again at the next look."""
        if packet is not None:
            self._dirty_packets.add(packet)
        if member is not None:
            self._dirty_members.add(member)

    async def look(self, cluster: Cluster, named: Iterable[str]) -> None:
        """Read what may have changed, and the packets *named* that are not known.

        Raises:
            ApiError, UnreachableError: the server does not say.
            OtherClusterError: another cluster of this name is there.
        """
        if not self._is_whole:
            await self._read_all(cluster)
        wanted = {one for one in named if one not in self.packets and one not in self.absent}
        for packet_id in sorted(wanted | self._dirty_packets):
            await self._read_packet(cluster, packet_id, is_asked=packet_id in wanted)
            self._dirty_packets.discard(packet_id)
        for member_id in sorted(self._dirty_members):
            await self._read_member(cluster, member_id)
            self._dirty_members.discard(member_id)

    async def _read_all(self, cluster: Cluster) -> None:
        self._dirty_packets.clear()
        self._dirty_members.clear()
        label = f"{CLUSTER_LABEL}={cluster.name}"
        shown_members = await self._pages("/api/members", label=label)
        members = {one["id"]: read_member(one) for one in shown_members}
        for member in members.values():
            self._check(cluster, member)
        packets: dict[str, Packet] = {}
        for shown in await self._pages("/api/packets"):
            if shown["labels"].get(CLUSTER_LABEL) == cluster.name:
                packets[shown["packet_id"]] = await self._explained(shown)
        self.members, self.packets = members, packets
        self.absent.clear()
        self._is_whole = True

    def _check(self, cluster: Cluster, member: Member) -> None:
        uid = member.labels.get(CLUSTER_UID_LABEL)
        if uid != cluster.uid and member.status not in {"FAILED", "RETIRED"}:
            raise OtherClusterError(
                f"{member.member_id} is of another cluster that is called {cluster.name}, too: {uid}",
                hint="give each cluster a name of its own: pfgov kubernetes run --cluster NAME",
            )

    async def _pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        after: str | None = None
        while True:
            page = await self._client.get(path, limit=PAGE, after=after, **query)
            items += page["items"]
            after = page.get("next")
            if after is None:
                return items

    async def _read_packet(self, cluster: Cluster, packet_id: str, *, is_asked: bool) -> None:
        try:
            shown = await self._client.packet(packet_id)
        except ApiError as error:
            if error.status not in {400, 404}:
                raise
            self.packets.pop(packet_id, None)
            self.absent.add(packet_id)
            return
        self.absent.discard(packet_id)
        if (
            is_asked
            or packet_id in self.packets
            or shown["labels"].get(CLUSTER_LABEL) == cluster.name
        ):
            self.packets[packet_id] = await self._explained(shown)

    async def _explained(self, shown: dict[str, Any]) -> Packet:
        """Return a packet; of one that waits, with who comes nearest and why not."""
        packet = read_packet(shown)
        known = self.packets.get(packet.packet_id)
        if packet.stage is not PacketStage.WAITING or not packet.reasons:
            return packet
        if known is not None and known.version == packet.version and known.why:
            return read_packet(shown, known.why)
        try:
            found = await self._client.send(self._ask(packet.packet_id))
        except ApiError as error:
            log.warning("%s cannot be explained: %s", packet.packet_id, error)
            return packet
        lines = [
            f"refused by {', '.join(packet.reasons)}",
            *found[0].get("nearest_misses", [])[:WHY_MAX],
        ]
        return read_packet(shown, tuple(lines))

    def _ask(self, packet_id: str) -> Any:
        from pfgov.client.core import Asks

        return Asks().ask("/api/discover", {"packet_id": packet_id})

    async def _read_member(self, cluster: Cluster, member_id: str) -> None:
        try:
            found = read_member(await self._client.member(member_id))
        except ApiError as error:
            if error.status not in {400, 404}:
                raise
            self.members.pop(member_id, None)
            return
        if found.labels.get(CLUSTER_LABEL) == cluster.name:
            self.members[member_id] = found

    async def listen(self) -> None:
        """Note whatever the ledger's events name, until this is cancelled."""
        while True:
            try:
                async for heard in self._client.events():
                    kind, _, name = str(heard.data.get("subject", "")).partition("/")
                    if kind == "packet":
                        self.touch(packet=name)
                    elif kind == "member":
                        self.touch(member=name)
                    self._changed()
            except (ApiError, UnreachableError, ValueError) as error:
                log.warning("the ledger's events cannot be heard: %s", error)
            self.read_all()
            self._changed()
            await asyncio.sleep(REST_SECONDS)
