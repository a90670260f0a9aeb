"""From pods and packets to actions: one table says what follows from where a pod is and where its packet is.

A pod is one try at running its packet.  When the packet's owner changes, the pod that runs elsewhere is evicted, and
whatever its ReplicaSet makes in its place goes on with the same packet.  A gate is opened for a pod whose packet is
owned by a node that is a member now, and for no other reason.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pfgov.errors import InvalidError
from pfgov.kubernetes import names as n
from pfgov.kubernetes.actions import Act, Action, Evict, Patch, Submit, Tell
from pfgov.kubernetes.asking import is_as_strict, packet_of
from pfgov.kubernetes.ledger import Packet, PacketStage
from pfgov.kubernetes.objects import Pod, PodStage
from pfgov.kubernetes.seen import Seen

GONE_SECONDS: Final = 60.0
"""How long a packet whose pod is gone waits for the pod that comes in its place."""

MESSAGE_LENGTH_MAX: Final = 1_000
"""Characters of what is said on a pod; an event takes 1,024 bytes."""


class Step(StrEnum):
    """What follows."""

    NONE = "nothing"
    SUBMIT = "submit a packet, or go on with one whose pod is gone"
    REFUSED = "say who may not own it, and why"
    REVIEW = "say that a person has to look"
    OPEN = "open the gate to the owner"
    OVER = "say that its packet has ended"
    FOLLOW = "leave it where its owner is, evict it elsewhere"
    EVICT = "evict"
    UNGOVERNED = "say that it runs without a packet"
    COMPLETE = "complete the packet"
    FAIL = "fail the packet"
    CANCEL = "cancel the packet"
    WAIT = "cancel the packet unless a pod comes in its place"


_S, _P = PodStage, PacketStage

STEPS: Final[Mapping[PodStage, Mapping[PacketStage, Step]]] = {
    _S.GATED: {
        _P.ABSENT: Step.SUBMIT, _P.WAITING: Step.REFUSED, _P.REVIEW: Step.REVIEW, _P.OWNED: Step.OPEN,
        _P.MOVING: Step.NONE, _P.ENDED: Step.OVER,
    },
    _S.OPEN: {
        _P.ABSENT: Step.UNGOVERNED, _P.WAITING: Step.EVICT, _P.REVIEW: Step.EVICT, _P.OWNED: Step.FOLLOW,
        _P.MOVING: Step.NONE, _P.ENDED: Step.EVICT,
    },
    _S.SUCCEEDED: {
        _P.ABSENT: Step.NONE, _P.WAITING: Step.CANCEL, _P.REVIEW: Step.CANCEL, _P.OWNED: Step.COMPLETE,
        _P.MOVING: Step.NONE, _P.ENDED: Step.NONE,
    },
    _S.FAILED: {
        _P.ABSENT: Step.NONE, _P.WAITING: Step.CANCEL, _P.REVIEW: Step.CANCEL, _P.OWNED: Step.FAIL,
        _P.MOVING: Step.NONE, _P.ENDED: Step.NONE,
    },
    _S.ENDING: dict.fromkeys(PacketStage, Step.NONE),
    _S.GONE: {
        _P.ABSENT: Step.NONE, _P.WAITING: Step.WAIT, _P.REVIEW: Step.WAIT, _P.OWNED: Step.WAIT, _P.MOVING: Step.NONE,
        _P.ENDED: Step.NONE,
    },
}  # fmt: skip
"""Where a pod is, where its packet is -> what follows; every pair has its row."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which pod runs which packet: each packet at most once, the pod that it is running in before all others.

    Attributes:
        packets: pod uid -> packet id.
        orphans: Live packets of this cluster that no pod runs, in the order of ids.
        trouble: pod uid -> why the packet that it names is not its own.
    """

    packets: Mapping[str, str] = field(default_factory=dict[str, str])
    orphans: tuple[Packet, ...] = ()
    trouble: Mapping[str, str] = field(default_factory=dict[str, str])


def pair(seen: Seen) -> Pairing:
    """Return which pod runs which packet."""
    packets: dict[str, str] = {}
    trouble: dict[str, str] = {}
    holders: dict[str, str] = {}
    pods = seen.governed_pods()
    for pod in sorted(pods, key=lambda one: one.stage is PodStage.GATED):
        named = pod.annotations.get(n.PACKET, n.packet_id(seen.cluster.name, pod.uid))
        if named in holders:
            trouble[pod.uid] = f"packet {named} is the one of another pod"
            continue
        packets[pod.uid], holders[named] = named, pod.uid
    orphans = tuple(
        one
        for one in sorted(seen.packets.values(), key=lambda one: one.packet_id)
        if one.packet_id not in holders and one.stage is not PacketStage.ENDED and seen.is_ours(one)
    )
    return Pairing(packets, orphans, trouble)


def decide_pods(seen: Seen, pairing: Pairing) -> Iterator[Action]:
    """Yield what is to be done about pods and their packets."""
    taken: set[str] = set()
    for pod in seen.governed_pods():
        yield from _of_pod(seen, pairing, pod, taken)
    for packet in pairing.orphans:
        if packet.packet_id not in taken:
            yield from _of_orphan(seen, packet)


def _of_pod(seen: Seen, pairing: Pairing, pod: Pod, taken: set[str]) -> Iterator[Action]:
    packet_id = pairing.packets.get(pod.uid)
    if packet_id is None:
        yield from _tell(pod, "False", "NotItsPacket", pairing.trouble[pod.uid])
        return
    packet = seen.packets.get(packet_id)
    if packet is None and packet_id not in seen.absent:
        return  # not asked for yet
    step = STEPS[pod.stage][PacketStage.ABSENT if packet is None else packet.stage]
    if packet is None:
        if step is Step.SUBMIT:
            yield from _submit(seen, pairing, pod, taken)
        elif step is Step.UNGOVERNED:
            yield from _tell(pod, "Unknown", "Ungoverned", "it was not judged before it ran")
        return
    yield from _with_packet(seen, pod, packet, step)


def _with_packet(seen: Seen, pod: Pod, packet: Packet, step: Step) -> Iterator[Action]:
    match step:
        case Step.REFUSED:
            yield from _tell(pod, "False", "Refused", _refusal(packet))
        case Step.REVIEW:
            said = f"{packet.packet_id} waits for a review: pfgov packet explain {packet.packet_id}"
            yield from _tell(pod, "False", "AwaitingReview", said)
        case Step.OPEN:
            yield from _open(seen, pod, packet)
        case Step.OVER:
            said = f"packet {packet.packet_id} is {packet.status}: this pod will not run"
            yield from _tell(pod, "False", "PacketEnded", said)
        case Step.FOLLOW:
            yield from _follow(seen, pod, packet)
        case Step.EVICT:
            yield Evict(pod.namespace, pod.name, pod.uid)
        case Step.COMPLETE:
            yield Act(packet.packet_id, "complete", packet.claim)
        case Step.FAIL:
            yield Act(packet.packet_id, "fail", {**packet.claim, "reason": "the pod failed"})
        case Step.CANCEL:
            yield Act(packet.packet_id, "cancel", {"reason": "the pod has ended"})
        case _:
            pass


def _of_orphan(seen: Seen, packet: Packet) -> Iterator[Action]:
    since = seen.gone.get(packet.packet_id, seen.now)
    if STEPS[PodStage.GONE][packet.stage] is Step.WAIT and seen.now - since >= GONE_SECONDS:
        yield Act(packet.packet_id, "cancel", {"reason": "the pod is gone"})


# --- before the gate ----------------------------------------------------------------------


def _submit(seen: Seen, pairing: Pairing, pod: Pod, taken: set[str]) -> Iterator[Action]:
    if n.PACKET in pod.annotations:
        said = f"packet {pod.annotations[n.PACKET]} is not in the ledger"
        yield from _tell(pod, "False", "NotItsPacket", said)
        return
    body = yield from _declared(seen, pod)
    if body is None:
        return
    orphan = _orphan_for(pairing, pod, body, taken)
    if orphan is not None:
        taken.add(orphan.packet_id)
        note = {n.PACKET: orphan.packet_id}
        yield _patch("note", pod, {"metadata": {"annotations": note}})
    elif pod.uid in seen.refused:
        yield from _tell(pod, "False", "NotAccepted", seen.refused[pod.uid])
    else:
        yield Submit(pod.uid, body)


def _declared(seen: Seen, pod: Pod) -> Generator[Action, None, dict[str, Any] | None]:
    """Return the body of the pod's packet, None where it cannot be made; that is told."""
    if n.HOSTNAME in pod.selector:
        said = f"it chooses its node itself: take {n.HOSTNAME} out of its nodeSelector"
        yield from _tell(pod, "False", "NotAccepted", said)
        return None
    try:
        return packet_of(pod, seen.namespaces[pod.namespace], seen.cluster)
    except InvalidError as error:
        yield from _tell(pod, "False", "NotAccepted", error.message)
        return None


def _orphan_for(pairing: Pairing, pod: Pod, body: Mapping[str, Any], taken: set[str]) -> Packet | None:  # fmt: skip
    """Return a packet that *pod* goes on with: its ReplicaSet's, in its namespace, judged on as much."""
    if pod.controller is None:
        return None
    for one in pairing.orphans:
        if one.packet_id not in taken and is_as_strict(one, body, same_pod=False):
            return one
    return None


def _open(seen: Seen, pod: Pod, packet: Packet) -> Iterator[Action]:
    body = yield from _declared(seen, pod)
    if body is None:
        return
    same = packet.packet_id == body["packet_id"]
    if not is_as_strict(packet, body, same_pod=same):
        said = f"packet {packet.packet_id} was not judged on what this pod declares"
        yield from _tell(pod, "False", "NotItsPacket", said)
        return
    node = seen.node_of(packet.owner)
    if node is None or node.hostname is None:
        said = f"its owner {packet.owner} is no node of this cluster"
        yield from _tell(pod, "False", "NoNode", said)
        return
    if node.is_cordoned or node.is_ending:
        said = f"its owner {packet.owner} takes no pods at present"
        yield from _tell(pod, "False", "NoNode", said)
        return
    patch = {
        "metadata": {"annotations": _written(packet)},
        "spec": {
            "nodeSelector": {n.HOSTNAME: node.hostname},
            "schedulingGates": [{"name": one} for one in pod.gates if one != n.GATE],
        },
    }
    yield _patch("open", pod, patch)


# --- behind it ----------------------------------------------------------------------------


def _follow(seen: Seen, pod: Pod, packet: Packet) -> Iterator[Action]:
    """Leave the pod where its packet's owner is; the node that it runs on is looked at, not what is written on it."""
    node = seen.node_of(packet.owner)
    is_elsewhere = node is None or (
        pod.node != node.name if pod.node else pod.selector.get(n.HOSTNAME) != node.hostname
    )
    if is_elsewhere:
        yield Evict(pod.namespace, pod.name, pod.uid)
        return
    written = _written(packet)
    if not written.items() <= pod.annotations.items():
        yield _patch("note", pod, {"metadata": {"annotations": written}})
    said = f"{packet.owner} owns {packet.packet_id} under epoch {packet.epoch}"
    yield from _tell(pod, "True", "Owned", said)


def _written(packet: Packet) -> dict[str, str]:
    return {
        n.PACKET: packet.packet_id,
        n.OWNER: packet.owner or "",
        n.EPOCH: str(packet.epoch),
    }


def _patch(what: str, pod: Pod, patch: Mapping[str, Any]) -> Patch:
    return Patch(what, pod.namespace, pod.name, pod.version, patch)


def _refusal(packet: Packet) -> str:
    if packet.why:
        return "; ".join(packet.why)
    if packet.reasons:
        return f"nobody may own {packet.packet_id}: {', '.join(packet.reasons)}"
    return f"{packet.packet_id} waits for a member"


def _tell(pod: Pod, status: str, reason: str, message: str) -> Iterator[Action]:
    said = (
        message if len(message) <= MESSAGE_LENGTH_MAX else f"{message[: MESSAGE_LENGTH_MAX - 3]}..."
    )
    if pod.conditions.get(n.CONDITION) != (status, reason, said):
        yield Tell(pod.namespace, pod.name, pod.uid, status, reason, said)
