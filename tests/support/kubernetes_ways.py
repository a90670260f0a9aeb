"""Ways in which a tenant with every right in a governed namespace tries to have a pod run unjudged."""

from typing import Any, Final

PODS: Final = "/api/v1/namespaces/team/pods"
NAMESPACE: Final = "/api/v1/namespaces/team"
MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"

Way = tuple[str, str, Any, str]

CLOSED: Final = [{"name": "pfgov.dev/verdict"}]
REQUESTS: Final = {"requests": {"cpu": "1"}}
MORE: Final = {"requests": {"cpu": "3"}}
TERMS: Final = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["x"]}]}]
AFFINITY: Final = {
    "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": TERMS}}
}
BINDING: Final = {
    "apiVersion": "v1",
    "kind": "Binding",
    "metadata": {"name": "p"},
    "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
}
SLIPPED: Final = {
    "name": "x",
    "image": "evil:1",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "Always",
}


def pod(name: str = "p", *, gates: Any = None, annotations: Any = None, **spec: Any) -> Any:
    """A pod as a tenant makes it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "team", "annotations": annotations or {}},
        "spec": {
            "containers": [{"name": "c", "image": "app:1", "resources": REQUESTS}],
            "schedulingGates": gates or [],
            **spec,
        },
    }


def born(**more: Any) -> Way:
    """A pod that is created."""
    return "POST", PODS, pod("q", **more), "application/json"


def patch(sub: str = "", how: str = MERGE, **body: Any) -> Way:
    """A patch of the pod that is gated."""
    return "PATCH", f"{PODS}/p{sub}", body, how


def of_namespace(**meta: Any) -> Way:
    """A patch of the namespace."""
    return "PATCH", NAMESPACE, {"metadata": meta}, MERGE


def annotations(**named: str | None) -> dict[str, Any]:
    """Metadata with annotations of ours."""
    return {
        "annotations": {f"pfgov.dev/{key.replace('_', '-')}": value for key, value in named.items()}
    }


WAYS: Final[dict[str, Way]] = {
    "take the gate off": patch(spec={"schedulingGates": None}),
    "take the gate off with an empty list": patch(spec={"schedulingGates": []}),
    "bind it": ("POST", f"{PODS}/p/binding", BINDING, "application/json"),
    "bind it by the older way": ("POST", "/api/v1/namespaces/team/bindings", BINDING, "application/json"),
    "be born on a node": born(gates=None, nodeName="n1"),
    "be born for a node": born(gates=CLOSED, nodeSelector={"kubernetes.io/hostname": "n1"}),
    "be born with somebody's packet": born(gates=CLOSED, annotations={"pfgov.dev/packet": "pod.c.1"}),
    "choose another node": patch(spec={"nodeSelector": {"zone": "x"}}),
    "prefer another node": patch(spec={"affinity": AFFINITY}),
    "name another owner": patch(metadata=annotations(owner="me")),
    "name another packet": patch(metadata=annotations(packet="other")),
    "name another packet by the status": patch("/status", metadata=annotations(packet="other")),
    "declare less": patch(metadata=annotations(regions=None)),
    "declare less by the status": patch("/status", metadata=annotations(regions="")),
    "declare more": patch(metadata=annotations(data_classes="public")),
    "become a member": patch(metadata={"labels": {"pfgov.dev/member": "agent"}}),
    "run another image": patch(how=STRATEGIC, spec={"containers": [{"name": "c", "image": "evil:1"}]}),
    "ask for more": patch("/resize", STRATEGIC, spec={"containers": [{"name": "c", "resources": MORE}]}),
    "slip a container in": patch("/ephemeralcontainers", STRATEGIC, spec={"ephemeralContainers": [SLIPPED]}),
    "take the namespace out": of_namespace(labels={"pfgov.dev/governed": None}),
    "say that it is not governed": of_namespace(labels={"pfgov.dev/governed": "True"}),
    "lower the floor of the namespace": of_namespace(**annotations(data_classes=None)),
}  # fmt: skip
"""What is tried: each is refused by an admission policy, with the gate given at birth or not."""

WITHOUT_GATE: Final[dict[str, Way]] = {
    "be born without the gate": born(gates=None),
    "put another gate in its place": born(gates=[{"name": "pfgov.dev/verdict2"}]),
}
"""What is refused where nothing gives the gate; where it is given, such a pod is born gated."""
