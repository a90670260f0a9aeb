"""What is seen of a cluster and its ledger at one moment: all that a decision knows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pfgov.kubernetes import names as n
from pfgov.kubernetes.asking import Cluster
from pfgov.kubernetes.ledger import Member, Packet
from pfgov.kubernetes.objects import Mirror, Namespace, Node, Pod


@dataclass(frozen=True, slots=True)
class Seen:
    """Both sides.  Nothing is decided before all of it was read once.

    Attributes:
        cluster: Which cluster it is.
        now: The time in seconds, of a clock that never goes back.
        namespaces: name -> namespace.
        nodes: name -> node.
        pods: uid -> pod.
        packets: id -> packet of this cluster, or of the same id as one of its pods.
        absent: Ids that the ledger was asked for and does not know.
        members: id -> member of this cluster.
        packet_mirrors: (namespace, name) -> FlightPacket.
        member_mirrors: name -> Member.
        refused: pod's uid or member's id -> why the ledger did not take what was asked.
        beats: member id -> when its lease was last renewed.
        gone: packet id -> since when its pod is not there.
    """

    cluster: Cluster
    now: float = 0.0
    namespaces: Mapping[str, Namespace] = field(default_factory=dict[str, Namespace])
    nodes: Mapping[str, Node] = field(default_factory=dict[str, Node])
    pods: Mapping[str, Pod] = field(default_factory=dict[str, Pod])
    packets: Mapping[str, Packet] = field(default_factory=dict[str, Packet])
    absent: frozenset[str] = frozenset()
    members: Mapping[str, Member] = field(default_factory=dict[str, Member])
    packet_mirrors: Mapping[tuple[str, str], Mirror] = field(
        default_factory=dict[tuple[str, str], Mirror]
    )
    member_mirrors: Mapping[str, Mirror] = field(default_factory=dict[str, Mirror])
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    beats: Mapping[str, float] = field(default_factory=dict[str, float])
    gone: Mapping[str, float] = field(default_factory=dict[str, float])

    def is_governed(self, namespace: str) -> bool:
        """Whether the pods of a namespace are governed."""
        found = self.namespaces.get(namespace)
        return found is not None and found.labels.get(n.GOVERNED) == "true"

    def is_ours(self, packet: Packet) -> bool:
        """Whether a packet is of a pod of this cluster."""
        return packet.is_of(self.cluster.name, self.cluster.uid)

    def governed_pods(self) -> list[Pod]:
        """Return the pods of governed namespaces, the oldest first."""
        found = (pod for pod in self.pods.values() if self.is_governed(pod.namespace))
        return sorted(found, key=lambda pod: (pod.created, pod.uid))

    def is_there(self, member_id: str) -> bool:
        """Whether the node or pod that a member is, or was, is in the cluster."""
        nodes, agents = (one(self.cluster.name, "") for one in (n.node_member, n.pod_member))
        if member_id.startswith(nodes):
            return member_id.removeprefix(nodes) in self.nodes
        return member_id.removeprefix(agents) in self.pods

    def node_of(self, member_id: str | None) -> Node | None:
        """Return the node that a member is, if it is one of this cluster and is a member now."""
        prefix = n.node_member(self.cluster.name, "")
        if member_id is None or not member_id.startswith(prefix):
            return None
        node = self.nodes.get(member_id.removeprefix(prefix))
        return None if node is None or node.labels.get(n.MEMBER_NODE) != "true" else node
