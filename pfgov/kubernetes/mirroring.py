"""What ``kubectl get flightpackets`` and ``kubectl get members.pfgov.dev`` show: mirrors, which nobody reads back."""

from collections.abc import Iterator
from typing import Any, Final

from pfgov.kubernetes import names as n
from pfgov.kubernetes.actions import Action, Drop, Show
from pfgov.kubernetes.deciding_pods import Pairing
from pfgov.kubernetes.ledger import Packet
from pfgov.kubernetes.objects import Mirror, Pod
from pfgov.kubernetes.quantities import number
from pfgov.kubernetes.seen import Seen

PACKETS: Final = "flightpackets"
MEMBERS: Final = "members"
OVER: Final = frozenset({"FAILED", "RETIRED"})


def decide_mirrors(seen: Seen, pairing: Pairing) -> Iterator[Action]:
    """Yield what makes the mirrors say what the ledger says."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for uid, packet_id in pairing.packets.items():
        packet = seen.packets.get(packet_id)
        if packet is not None and seen.is_ours(packet):
            pod = seen.pods[uid]
            wanted[pod.namespace, packet_id] = _packet_status(seen, packet, pod)
    for packet in pairing.orphans:
        namespace = packet.labels.get(n.NAMESPACE_LABEL, "")
        found = seen.namespaces.get(namespace)
        if found is not None and not found.is_ending:
            wanted[namespace, packet.packet_id] = _packet_status(seen, packet, None)
    for (namespace, name), status in sorted(wanted.items()):
        shown = seen.packet_mirrors.get((namespace, name))
        yield from _shown(PACKETS, namespace, name, {"packet": name}, status, shown)
    for (namespace, name), shown in sorted(seen.packet_mirrors.items()):
        if (namespace, name) not in wanted:
            yield Drop(PACKETS, namespace, name, shown.uid)
    yield from _members(seen)


def _members(seen: Seen) -> Iterator[Action]:
    """Yield what makes the mirrors of members true; of one that is over, only while its node is there."""
    kept: set[str] = set()
    for member_id, member in sorted(seen.members.items()):
        if member.status in OVER and not seen.is_there(member_id):
            continue
        kept.add(member_id)
        status = {
            "type": member.type,
            "status": member.status,
            "incarnation": member.incarnation,
            "region": member.region or "",
            "packets": member.active,
            "capacity": {k: str(number(v)) for k, v in sorted(member.capacity.items())},
        }
        shown = seen.member_mirrors.get(member_id)
        yield from _shown(MEMBERS, "", member_id, {"member": member_id}, status, shown)
    for name, shown in sorted(seen.member_mirrors.items()):
        if name not in kept:
            yield Drop(MEMBERS, "", name, shown.uid)


def _shown(
    kind: str, namespace: str, name: str, spec: dict[str, Any], status: dict[str, Any], shown: Mirror | None
) -> Iterator[Action]:  # fmt: skip
    if shown is None or shown.status != status:
        version = None if shown is None else shown.version
        yield Show(kind, namespace, name, spec, status, version)


def _packet_status(seen: Seen, packet: Packet, pod: Pod | None) -> dict[str, Any]:
    node = seen.node_of(packet.owner)
    return {
        "status": packet.status,
        "owner": packet.owner or "",
        "node": "" if node is None else node.name,
        "epoch": packet.epoch,
        "since": packet.changed_at,
        "pod": "" if pod is None else pod.name,
        "reasons": list(packet.reasons),
    }
