"""What the ledger is asked about a pod: its packet, from what the pod and its namespace declare.

The namespace is a floor under what its tenants declare: its classes of data are added, its regions and its least trust
narrow, and only who administers the cluster writes it.  Whether a text is a class or a region is the ledger's to say,
and its refusal is told on the pod.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from pfgov.errors import InvalidError
from pfgov.kubernetes import names as n
from pfgov.kubernetes.ledger import Packet
from pfgov.kubernetes.objects import Namespace, Pod
from pfgov.kubernetes.quantities import in_units, number, quantity

IMAGES_LENGTH_MAX: Final = 256
"""Longer than this, the images of a pod are named by a digest: a label of the ledger takes no more."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which cluster it is, and which labels policies are shown: name in the cluster -> name in the ledger."""

    name: str
    uid: str
    pod_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    node_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    lease_seconds: int = 300


class UndeclarableError(InvalidError):
    """What a pod or its namespace declares cannot be asked about."""

    code = "kubernetes.declaration"


def packet_of(pod: Pod, namespace: Namespace, cluster: Cluster) -> dict[str, Any]:
    """Return the body of the packet that *pod* is.

    Raises:
        UndeclarableError: something that it declares is no number, or its requests are not known.
    """
    if pod.trouble is not None:
        raise UndeclarableError(pod.trouble)
    declared, floor = pod.annotations, namespace.annotations
    needed = n.runs_pods(cluster.name)
    body: dict[str, Any] = {
        "packet_id": n.packet_id(cluster.name, pod.uid),
        "workload_type": declared.get(n.WORKLOAD, "pod"),
        "required_capabilities": [
            needed,
            *(one for one in _listed(declared, n.CAPABILITIES) if one != needed),
        ],
        "data_classes": sorted(
            {*_listed(declared, n.DATA_CLASSES), *_listed(floor, n.DATA_CLASSES)}
        ),
        "policy_constraints": _constraints(declared, floor),
        "demand": _demand(pod),
        "labels": _labels(pod, cluster),
    }
    if n.PRIORITY in declared:
        body["priority"] = int(_decimal(declared[n.PRIORITY], n.PRIORITY))
    return body


def is_as_strict(packet: Packet, body: Mapping[str, Any], *, same_pod: bool = True) -> bool:
    """Whether a packet that exists was judged on at least what *body* declares: nobody slipped a milder one in.

    Args:
        packet: The packet, as the ledger shows it.
        body: What is asked about a pod.
        same_pod: Whether it has to be the packet of this very pod, and not of an earlier one in its place.
    """
    constraints, asked = packet.constraints, body["policy_constraints"]
    labels = {k: v for k, v in body["labels"].items() if same_pod or k != n.POD_LABEL}
    return (
        packet.workload_type == body["workload_type"]
        and set(packet.required_capabilities) >= set(body["required_capabilities"])
        and set(packet.data_classes) >= set(body["data_classes"])
        and all(
            packet.demand.get(k, Decimal(0)) >= Decimal(str(v)) for k, v in body["demand"].items()
        )
        and labels.items() <= packet.labels.items()
        and _within(constraints.get("allowed_regions"), asked.get("allowed_regions"))
        and _trust(constraints) >= _trust(asked)
    )


def _within(given: Any, asked: Any) -> bool:
    return asked is None or (given is not None and set(given) <= set(asked))


def _trust(constraints: Mapping[str, Any]) -> Decimal:
    return Decimal(str(constraints.get("minimum_trust_score") or 0))


def _constraints(declared: Mapping[str, str], floor: Mapping[str, str]) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    asked = _listed(declared, n.REGIONS) if n.REGIONS in declared else None
    within = _listed(floor, n.REGIONS) if n.REGIONS in floor else None
    regions = _narrowed(asked, within)
    if regions is not None:
        constraints["allowed_regions"] = regions
    trusts = [
        _decimal(one[n.MINIMUM_TRUST], n.MINIMUM_TRUST)
        for one in (declared, floor)
        if n.MINIMUM_TRUST in one
    ]
    if trusts:
        constraints["minimum_trust_score"] = number(max(trusts))
    return constraints


def _narrowed(asked: list[str] | None, within: list[str] | None) -> list[str] | None:
    """Return the regions that both allow: of the two that lie in each other, the narrower."""
    if asked is None or within is None:
        return within if asked is None else asked
    both = {a for a in asked if _is_inside(a, within)} | {w for w in within if _is_inside(w, asked)}
    return sorted(both)


def _is_inside(region: str, regions: Iterable[str]) -> bool:
    return any(region == one or region.startswith(f"{one}/") for one in regions)


def _demand(pod: Pod) -> dict[str, int | float]:
    try:
        found = in_units(pod.requests, offered=False)
    except InvalidError as error:
        raise UndeclarableError(error.message) from error
    return {name: number(value) for name, value in {**found, "pods": Decimal(1)}.items()}


def _labels(pod: Pod, cluster: Cluster) -> dict[str, str]:
    labels = {
        n.CLUSTER_LABEL: cluster.name,
        n.CLUSTER_UID_LABEL: cluster.uid,
        n.NAMESPACE_LABEL: pod.namespace,
        n.POD_LABEL: pod.name,
        n.ACCOUNT_LABEL: pod.account,
    }
    if pod.controller is not None:
        labels[n.WORKLOAD_LABEL] = str(pod.controller)
    if pod.images:
        listed = ",".join(pod.images)
        is_long = len(listed) > IMAGES_LENGTH_MAX
        digest = hashlib.sha256(listed.encode()).hexdigest()
        labels[n.IMAGES_LABEL] = f"sha256:{digest}" if is_long else listed
    for name, known in cluster.pod_labels.items():
        if pod.labels.get(name):
            labels.setdefault(known, pod.labels[name])
    return labels


def _listed(declared: Mapping[str, str], name: str) -> list[str]:
    found = [one.strip() for one in declared.get(name, "").split(",")]
    return list(dict.fromkeys(one for one in found if one))


def _decimal(text: str, name: str) -> Decimal:
    try:
        return quantity(text.strip())
    except InvalidError:
        raise UndeclarableError(f"{name} is {text[:64]!r}, which is no number") from None
