"""What the controller reads of a cluster's objects: frozen values, made at the border from what the API server sent.

The server checked the shapes; what is in annotations and labels is anybody's, and is handed to the ledger's own border
as text.  An object whose shape is not what it should be is an error that names it, never half an object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, cast

from pfgov.errors import InvalidError
from pfgov.kubernetes.names import GATE, HOSTNAME
from pfgov.kubernetes.quantities import largest, quantity, summed
from pfgov.kubernetes.shapes import UnreadableError, map_in, maps_in, text_in, texts_in

ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Phases of a pod in which nothing of it runs any more."""


class PodStage(StrEnum):
    """Where a pod is in its life, as far as its packet is concerned."""

    GATED = "gated"
    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ENDING = "ending"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Controller:
    """What a pod was made by: a ReplicaSet, a Job ..."""

    kind: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.uid}"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod.  ``requests`` is what all of it asks for at once, resource -> amount; ``trouble`` why it is unknown."""

    uid: str
    namespace: str
    name: str
    version: str
    created: str = ""
    gates: tuple[str, ...] = ()
    node: str | None = None
    selector: Mapping[str, str] = field(default_factory=dict[str, str])
    phase: str = "Pending"
    is_ending: bool = False
    is_ready: bool = False
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    controller: Controller | None = None
    account: str = "default"
    images: tuple[str, ...] = ()
    requests: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    conditions: Mapping[str, tuple[str, str, str]] = field(
        default_factory=dict[str, tuple[str, str, str]]
    )
    trouble: str | None = None

    @property
    def stage(self) -> PodStage:
        """Where it is in its life."""
        if self.phase in ENDED:
            return PodStage.SUCCEEDED if self.phase == "Succeeded" else PodStage.FAILED
        if self.is_ending:
            return PodStage.ENDING
        return PodStage.GATED if GATE in self.gates else PodStage.OPEN


@dataclass(frozen=True, slots=True)
class Node:
    """A node.  ``allocatable`` is what pods may use of it."""

    uid: str
    name: str
    version: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    is_ready: bool = False
    is_cordoned: bool = False
    is_ending: bool = False
    allocatable: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    trouble: str | None = None

    @property
    def hostname(self) -> str | None:
        """The value by which a pod is sent here."""
        return self.labels.get(HOSTNAME)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace."""

    uid: str
    name: str
    version: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    is_ending: bool = False


@dataclass(frozen=True, slots=True)
class Mirror:
    """A FlightPacket or a Member of the cluster; ``namespace`` is empty for a Member."""

    uid: str
    namespace: str
    name: str
    version: str
    status: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read_pod(shown: Any) -> Pod:
    """Return a pod.

    Raises:
        UnreadableError: it is not of a pod's shape.
    """
    meta, spec, status = _meta(shown), map_in(shown, "spec"), map_in(shown, "status")
    conditions = _conditions(status)
    try:
        requests, trouble = pod_requests(spec), None
    except InvalidError as error:
        requests, trouble = {}, error.message
    containers = [*maps_in(spec, "initContainers"), *maps_in(spec, "containers")]
    return Pod(
        uid=text_in(meta, "uid"),
        namespace=text_in(meta, "namespace"),
        name=text_in(meta, "name"),
        version=text_in(meta, "resourceVersion"),
        created=text_in(meta, "creationTimestamp", ""),
        gates=tuple(text_in(one, "name") for one in maps_in(spec, "schedulingGates")),
        node=text_in(spec, "nodeName", "") or None,
        selector=texts_in(spec, "nodeSelector"),
        phase=text_in(status, "phase", "Pending"),
        is_ending="deletionTimestamp" in meta,
        is_ready=conditions.get("Ready", ("False", "", ""))[0] == "True",
        labels=texts_in(meta, "labels"),
        annotations=texts_in(meta, "annotations"),
        controller=_controller(meta),
        account=text_in(spec, "serviceAccountName", "default"),
        images=tuple(sorted({text_in(one, "image", "") for one in containers} - {""})),
        requests=requests,
        conditions=conditions,
        trouble=trouble,
    )


def read_node(shown: Any) -> Node:
    """Return a node.

    Raises:
        UnreadableError: it is not of a node's shape.
    """
    meta, spec, status = _meta(shown), map_in(shown, "spec"), map_in(shown, "status")
    try:
        allocatable, trouble = _amounts(map_in(status, "allocatable")), None
    except InvalidError as error:
        allocatable, trouble = {}, error.message
    return Node(
        uid=text_in(meta, "uid"),
        name=text_in(meta, "name"),
        version=text_in(meta, "resourceVersion"),
        labels=texts_in(meta, "labels"),
        is_ready=_conditions(status).get("Ready", ("Unknown", "", ""))[0] == "True",
        is_cordoned=spec.get("unschedulable") is True,
        is_ending="deletionTimestamp" in meta,
        allocatable=allocatable,
        trouble=trouble,
    )


def read_namespace(shown: Any) -> Namespace:
    """Return a namespace.

    Raises:
        UnreadableError: it is not of a namespace's shape.
    """
    meta = _meta(shown)
    return Namespace(
        uid=text_in(meta, "uid"),
        name=text_in(meta, "name"),
        version=text_in(meta, "resourceVersion"),
        labels=texts_in(meta, "labels"),
        annotations=texts_in(meta, "annotations"),
        is_ending="deletionTimestamp" in meta,
    )


def read_mirror(shown: Any) -> Mirror:
    """Return a mirror.

    Raises:
        UnreadableError: it has no metadata.
    """
    meta = _meta(shown)
    return Mirror(
        uid=text_in(meta, "uid"),
        namespace=text_in(meta, "namespace", ""),
        name=text_in(meta, "name"),
        version=text_in(meta, "resourceVersion"),
        status=map_in(shown, "status"),
    )


def pod_requests(spec: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what a pod asks for at once: the most that runs together in any phase of it, and its overhead.

    Raises:
        InvalidError: an amount is no quantity.
    """
    sidecars: dict[str, Decimal] = {}
    starting: list[Mapping[str, Decimal]] = []
    for one in maps_in(spec, "initContainers"):
        asked = _requests(one)
        if one.get("restartPolicy") == "Always":
            sidecars = summed((sidecars, asked))
            starting.append(sidecars)
        else:
            starting.append(summed((sidecars, asked)))
    running = summed((sidecars, *(_requests(one) for one in maps_in(spec, "containers"))))
    most = largest((running, *starting)) | _requests(
        spec
    )  # what the pod as a whole asks for stands
    return summed((most, _amounts(map_in(spec, "overhead"))))


def _requests(container: Mapping[str, Any]) -> dict[str, Decimal]:
    resources = map_in(container, "resources")
    limits = _amounts(map_in(resources, "limits"))
    return limits | _amounts(map_in(resources, "requests"))


def _amounts(shown: Mapping[str, Any]) -> dict[str, Decimal]:
    return {name: quantity(str(value)) for name, value in shown.items()}


def _conditions(status: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {
        text_in(one, "type"): (
            text_in(one, "status"),
            text_in(one, "reason", ""),
            text_in(one, "message", ""),
        )
        for one in maps_in(status, "conditions")
    }


def _controller(meta: Mapping[str, Any]) -> Controller | None:
    for one in maps_in(meta, "ownerReferences"):
        if one.get("controller") is True:
            return Controller(text_in(one, "kind"), text_in(one, "name"), text_in(one, "uid"))
    return None


def _meta(shown: Any) -> Mapping[str, Any]:
    if not isinstance(shown, dict):
        raise UnreadableError("an object of the cluster is no object")
    return map_in(cast("dict[str, Any]", shown), "metadata")
