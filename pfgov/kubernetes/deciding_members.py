"""From nodes and agents to members: one table says what follows from where a thing is and where its member is.

A lease is renewed for what is ready and for nothing else, so that a node that is not heard becomes suspect and then
fails by the ledger's own rule.  What a tenant or a kubelet can write about itself never becomes trust or a clearance.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from pfgov.errors import InvalidError
from pfgov.kubernetes import names as n
from pfgov.kubernetes.actions import Action, Beat, Register, Turn, Update
from pfgov.kubernetes.ledger import Member
from pfgov.kubernetes.objects import Node, Pod, PodStage
from pfgov.kubernetes.quantities import in_units, number, quantity
from pfgov.kubernetes.seen import Seen

BEATS_PER_LEASE: Final = 3
LEAVING: Final = "it left the cluster"
PAUSE: Final = {"mode": "start_first", "stays": True}


class Presence(StrEnum):
    """Where the thing behind a member is."""

    READY = "ready"
    UNREADY = "not ready"
    PAUSED = "paused"
    LEAVING = "leaving"
    GONE = "gone"


class Standing(StrEnum):
    """Where the member is in the ledger; ``PAUSED`` is a drain after which it stays."""

    ABSENT = "absent"
    ACTIVE = "ACTIVE"
    SUSPECT = "SUSPECT"
    PAUSED = "paused"
    DRAINING = "DRAINING"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"
    RETIRED = "RETIRED"


class Step(StrEnum):
    """What follows."""

    NONE = "nothing"
    REGISTER = "register"
    KEEP = "renew the lease"
    PAUSE = "drain, to stay"
    RESUME = "cancel the drain"
    RECOVER = "recover"
    FAIL = "declare failed"


_IN: Final = (Standing.ACTIVE, Standing.SUSPECT, Standing.PAUSED, Standing.DRAINING, Standing.QUARANTINED)  # fmt: skip

STEPS: Final[Mapping[Presence, Mapping[Standing, Step]]] = {
    Presence.READY: {
        Standing.ABSENT: Step.REGISTER,
        Standing.PAUSED: Step.RESUME,
        Standing.FAILED: Step.RECOVER,
        Standing.RETIRED: Step.NONE,  # somebody retired it: it comes back by hand
        **dict.fromkeys((Standing.ACTIVE, Standing.SUSPECT, Standing.DRAINING, Standing.QUARANTINED), Step.KEEP),
    },
    Presence.UNREADY: dict.fromkeys(Standing, Step.NONE),  # the lease runs out
    Presence.PAUSED: {
        **dict.fromkeys((Standing.ABSENT, Standing.FAILED, Standing.RETIRED), Step.NONE),
        **dict.fromkeys((Standing.ACTIVE, Standing.SUSPECT), Step.PAUSE),
        **dict.fromkeys((Standing.PAUSED, Standing.DRAINING, Standing.QUARANTINED), Step.KEEP),
    },
    Presence.LEAVING: {
        **dict.fromkeys((Standing.ABSENT, Standing.FAILED, Standing.RETIRED), Step.NONE),
        **dict.fromkeys((Standing.ACTIVE, Standing.SUSPECT), Step.PAUSE),
        **dict.fromkeys((Standing.PAUSED, Standing.DRAINING, Standing.QUARANTINED), Step.NONE),
    },
    Presence.GONE: {
        **dict.fromkeys((Standing.ABSENT, Standing.FAILED, Standing.RETIRED), Step.NONE),
        **dict.fromkeys(_IN, Step.FAIL),
    },
}  # fmt: skip
"""Where the thing is, where its member is -> what follows; every pair has its row."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thing of the cluster that is or was a member."""

    member_id: str
    presence: Presence
    body: Mapping[str, Any]
    trouble: str | None = None


def decide_members(seen: Seen) -> Iterator[Action]:
    """Yield what is to be done about members."""
    candidates = {one.member_id: one for one in (*_nodes(seen), *_agents(seen))}
    for member_id in sorted({*candidates, *seen.members}):
        member = seen.members.get(member_id)
        gone = Candidate(member_id, Presence.GONE, {})
        yield from _of(seen, candidates.get(member_id, gone), member)


def standing_of(member: Member | None) -> Standing:
    """Return where a member is."""
    if member is None:
        return Standing.ABSENT
    if member.status == "DRAINING" and member.is_paused:
        return Standing.PAUSED
    return Standing(member.status)


def _of(seen: Seen, one: Candidate, member: Member | None) -> Iterator[Action]:
    standing = standing_of(member)
    step = STEPS[one.presence][standing]
    if one.trouble is not None and one.presence is Presence.READY:
        step = STEPS[Presence.PAUSED][standing]
    match step:
        case Step.REGISTER if one.member_id not in seen.refused:
            yield Register(one.member_id, one.body)
        case Step.PAUSE:
            yield Turn(one.member_id, "drain", PAUSE)
        case Step.RESUME:
            yield Turn(one.member_id, "cancel-drain", {})
        case Step.RECOVER:
            yield Turn(one.member_id, "recover", {})
        case Step.FAIL:
            yield Turn(one.member_id, "fail", {"reason": LEAVING})
        case _:
            pass
    if member is None or step is Step.FAIL:
        return
    if step in {Step.KEEP, Step.PAUSE, Step.RESUME} and _is_beat_due(seen, one):
        yield Beat(one.member_id, member.incarnation)
    if one.presence is Presence.READY and step in {Step.KEEP, Step.RESUME} and one.trouble is None:
        changed = _changed(member, one.body)
        if changed and one.member_id not in seen.refused:
            yield Update(one.member_id, changed)


def _is_beat_due(seen: Seen, one: Candidate) -> bool:
    if one.presence is Presence.LEAVING:
        return False
    last = seen.beats.get(one.member_id)
    return last is None or seen.now - last >= seen.cluster.lease_seconds / BEATS_PER_LEASE


def _changed(member: Member, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of *body* the ledger does not know yet; labels that others set stay."""
    changed: dict[str, Any] = {}
    capacity = {name: Decimal(str(value)) for name, value in body["capacity"].items()}
    if capacity != member.capacity:
        changed["capacity"] = body["capacity"]
    if body.get("region") is not None and body["region"] != member.region:
        changed["region"] = body["region"]
    if not body["labels"].items() <= member.labels.items():
        changed["labels"] = {**member.labels, **body["labels"]}
    return changed


# --- nodes --------------------------------------------------------------------------------


def _nodes(seen: Seen) -> Iterator[Candidate]:
    hostnames = Counter(node.hostname for node in seen.nodes.values())
    for node in seen.nodes.values():
        member_id = n.node_member(seen.cluster.name, node.name)
        is_member = node.labels.get(n.MEMBER_NODE) == "true"
        if not is_member and member_id not in seen.members:
            continue
        trouble = node.trouble
        if node.hostname is None or hostnames[node.hostname] > 1:
            trouble = f"no other node may have its label {n.HOSTNAME}"
        presence = _presence(node) if is_member else Presence.PAUSED
        yield Candidate(member_id, presence, _node_body(seen, node), trouble)


def _presence(node: Node) -> Presence:
    if node.is_ending:
        return Presence.LEAVING
    if not node.is_ready:
        return Presence.UNREADY
    return Presence.PAUSED if node.is_cordoned else Presence.READY


def region_of(node: Node) -> str | None:
    """Return where a node is: its zone, within its region if it names one."""
    region, zone = node.labels.get(n.REGION), node.labels.get(n.ZONE)
    found = f"{region}/{zone}" if region and zone else zone or region
    return None if found is None else found.lower()


def _node_body(seen: Seen, node: Node) -> dict[str, Any]:
    offered = in_units(node.allocatable, offered=True)
    body: dict[str, Any] = {
        "id": n.node_member(seen.cluster.name, node.name),
        "type": "node",
        "capabilities": [n.runs_pods(seen.cluster.name)],
        "capacity": {name: number(value) for name, value in offered.items()},
        "labels": _member_labels(seen, node.labels),
        "lease_seconds": seen.cluster.lease_seconds,
    }
    region = region_of(node)
    return body if region is None else {**body, "region": region}


def _member_labels(seen: Seen, labels: Mapping[str, str]) -> dict[str, str]:
    found = {known: labels[name] for name, known in seen.cluster.node_labels.items() if labels.get(name)}  # fmt: skip
    return {
        **found,
        n.CLUSTER_LABEL: seen.cluster.name,
        n.CLUSTER_UID_LABEL: seen.cluster.uid,
    }


# --- agents -------------------------------------------------------------------------------


def _agents(seen: Seen) -> Iterable[Candidate]:
    for pod in seen.governed_pods():
        if pod.labels.get(n.MEMBER_POD) != "agent" or pod.stage is PodStage.GATED:
            continue
        if pod.stage in {PodStage.SUCCEEDED, PodStage.FAILED}:
            presence = Presence.GONE
        elif pod.stage is PodStage.ENDING:
            presence = Presence.LEAVING
        else:
            presence = Presence.READY if pod.is_ready else Presence.UNREADY
        yield Candidate(n.pod_member(seen.cluster.name, pod.uid), presence, _agent_body(seen, pod))


def is_kept(capability: str) -> bool:
    """Whether a capability is the nodes' own, which no pod may claim."""
    return capability.lower().startswith("kubernetes")


def _agent_body(seen: Seen, pod: Pod) -> dict[str, Any]:
    offers = [one.strip() for one in pod.annotations.get(n.OFFERS, "").split(",")]
    node = seen.nodes.get(pod.node or "")
    region = None if node is None else region_of(node)
    try:
        tasks = number(quantity(pod.annotations.get(n.TASKS, "1")))
    except InvalidError:
        tasks = 1
    body: dict[str, Any] = {
        "id": n.pod_member(seen.cluster.name, pod.uid),
        "type": "agent",
        "capabilities": [one for one in dict.fromkeys(offers) if one and not is_kept(one)],
        "capacity": {"tasks": tasks},
        "labels": {
            **_member_labels(seen, {}),
            n.NAMESPACE_LABEL: pod.namespace,
            n.POD_LABEL: pod.name,
            n.ACCOUNT_LABEL: pod.account,
        },
        "lease_seconds": seen.cluster.lease_seconds,
    }
    return body if region is None else {**body, "region": region}
