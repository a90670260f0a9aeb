"""The names that pfgov has in a cluster: the gate, annotations, labels, and the ids in the ledger.

The manifests use the same names; a test compares.  This module knows no object and no rule.
"""

from typing import Final

DOMAIN: Final = "pfgov.dev"

GATE: Final = f"{DOMAIN}/verdict"
"""The scheduling gate with which a pod of a governed namespace is born."""

GOVERNED: Final = f"{DOMAIN}/governed"
"""The label of a namespace whose pods are governed; its value is ``true``."""

MEMBER_NODE: Final = "pfgov.dev.node-restriction.kubernetes.io/member"
"""The label of a node that is a member; a kubelet cannot give it to itself (admission plug-in NodeRestriction)."""

MEMBER_POD: Final = f"{DOMAIN}/member"
"""The label of a pod that is a member, too: an agent that takes packets.  Its value is ``agent``."""

HOSTNAME: Final = "kubernetes.io/hostname"
"""The label of a node by which a pod is sent to it."""

REGION: Final = "topology.kubernetes.io/region"
ZONE: Final = "topology.kubernetes.io/zone"

CONDITION: Final = f"{DOMAIN}/Verdict"
"""The condition of a pod that says what became of it."""

# What the maker of a pod, or of a namespace, declares; frozen from birth.
DATA_CLASSES: Final = f"{DOMAIN}/data-classes"
REGIONS: Final = f"{DOMAIN}/regions"
CAPABILITIES: Final = f"{DOMAIN}/capabilities"
MINIMUM_TRUST: Final = f"{DOMAIN}/minimum-trust"
PRIORITY: Final = f"{DOMAIN}/priority"
WORKLOAD: Final = f"{DOMAIN}/workload-type"
OFFERS: Final = f"{DOMAIN}/offers"
TASKS: Final = f"{DOMAIN}/tasks"

# What the controller alone writes.
PACKET: Final = f"{DOMAIN}/packet"
OWNER: Final = f"{DOMAIN}/owner"
EPOCH: Final = f"{DOMAIN}/epoch"
WRITTEN: Final = (PACKET, OWNER, EPOCH)

# Labels in the ledger.
CLUSTER_LABEL: Final = "kubernetes/cluster"
CLUSTER_UID_LABEL: Final = "kubernetes/cluster-uid"
NAMESPACE_LABEL: Final = "kubernetes/namespace"
POD_LABEL: Final = "kubernetes/pod"
ACCOUNT_LABEL: Final = "kubernetes/service-account"
WORKLOAD_LABEL: Final = "kubernetes/controller"
IMAGES_LABEL: Final = "kubernetes/images"


def runs_pods(cluster: str) -> str:
    """Return the capability that the packets of a cluster's pods require, and that its nodes alone have."""
    return f"kubernetes.{cluster}"


def packet_id(cluster: str, uid: str) -> str:
    """Return the id of the packet of the pod *uid*."""
    return f"pod.{cluster}.{uid}"


def node_member(cluster: str, node: str) -> str:
    """Return the id of the member that is a node."""
    return f"node.{cluster}.{node}"


def pod_member(cluster: str, uid: str) -> str:
    """Return the id of the member that is a pod."""
    return f"agent.{cluster}.{uid}"
