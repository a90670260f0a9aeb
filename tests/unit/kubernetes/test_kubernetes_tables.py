"""The tables by which a controller decides, quantities, what a pod asks for, and how a cluster is reached."""

from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from support.fake_admission import Manifests

from pfgov.errors import InvalidError
from pfgov.kubernetes import deciding_members, deciding_pods, names
from pfgov.kubernetes.asking import Cluster, is_as_strict, packet_of
from pfgov.kubernetes.connecting import NoClusterError, connection
from pfgov.kubernetes.deciding import decide
from pfgov.kubernetes.deciding_members import Presence, Standing
from pfgov.kubernetes.ledger import STAGES, Packet, PacketStage, read_packet
from pfgov.kubernetes.manifests import NotANameError, Places, render
from pfgov.kubernetes.objects import Namespace, Node, Pod, PodStage, pod_requests, read_pod
from pfgov.kubernetes.quantities import in_units, quantity
from pfgov.kubernetes.seen import Seen
from pfgov.kubernetes.shapes import UnreadableError

# --- tables -------------------------------------------------------------------------------


def test_every_pair_has_its_row() -> None:
    """Wherever a pod and its packet are, and a node and its member, the table says what follows."""
    pods = {(pod, packet) for pod, row in deciding_pods.STEPS.items() for packet in row}
    assert pods == set(product(PodStage, PacketStage))
    members = {(one, other) for one, row in deciding_members.STEPS.items() for other in row}
    assert members == set(product(Presence, Standing))


def test_the_gate_opens_in_one_row_only() -> None:
    """Only a gated pod whose packet is owned is opened."""
    rows = [
        (pod, packet)
        for pod, row in deciding_pods.STEPS.items()
        for packet, step in row.items()
        if step is deciding_pods.Step.OPEN
    ]
    assert rows == [(PodStage.GATED, PacketStage.OWNED)]


def test_only_what_is_ready_or_drained_by_hand_lives() -> None:
    """No lease is renewed for what is not ready, leaves or is gone."""
    keeps = {
        one
        for one, row in deciding_members.STEPS.items()
        if deciding_members.Step.KEEP in row.values()
    }
    assert keeps == {Presence.READY, Presence.PAUSED}


def test_every_status_of_the_ledger_has_its_stage() -> None:
    """A packet or a member of any status that a ledger has can be read."""
    from pfgov.core.lifecycle import MemberStatus, PacketStatus

    assert set(STAGES) == {one.value for one in PacketStatus}
    assert {one.value for one in MemberStatus} <= {one.value for one in Standing}


POD = Pod("u1", "team", "p", "1", gates=(names.GATE,))
SEEN = Seen(
    Cluster("c", "uid"),
    namespaces={"team": Namespace("n", "team", "1", {names.GOVERNED: "true"})},
    nodes={"n1": Node("1", "n1", "1", {names.HOSTNAME: "n1", names.MEMBER_NODE: "true"})},
    pods={"u1": POD},
)


@pytest.mark.parametrize("governed", ["True", "yes", "1", "", "true ", "TRUE", None])
def test_only_true_is_governed(governed: str | None) -> None:
    """Any other spelling of the label is a namespace that is not governed, here as in the policies."""
    labels = {} if governed is None else {names.GOVERNED: governed}
    seen = Seen(
        SEEN.cluster, namespaces={"team": Namespace("n", "team", "1", labels)}, pods={"u1": POD}
    )
    assert decide(seen) == []


def test_nothing_is_decided_about_what_was_not_asked() -> None:
    """A packet that nobody asked the ledger for is neither submitted nor told of."""
    assert decide(SEEN) == []


def owned(owner: str, **more: Any) -> Seen:
    """The pod's packet is owned."""
    body = packet_of(POD, SEEN.namespaces["team"], SEEN.cluster)
    packet = Packet(
        body["packet_id"],
        "ASSIGNED",
        owner,
        1,
        3,
        required_capabilities=tuple(body["required_capabilities"]),
        demand={"pods": Decimal(1)},
        labels=body["labels"],
        **more,
    )
    return Seen(
        SEEN.cluster, 0.0, SEEN.namespaces, SEEN.nodes, SEEN.pods, {packet.packet_id: packet}
    )


@pytest.mark.parametrize(
    ("owner", "is_opened"),
    [
        ("node.c.n1", True),
        ("node.c.N1", False),
        ("node.c.n1 ", False),
        ("node.d.n1", False),
        ("n1", False),
        ("agent.c.u1", False),
        ("node.c.", False),
        ("node.c.n2", False),
    ],
)
def test_the_gate_opens_for_a_node_of_this_cluster_only(owner: str, is_opened: bool) -> None:
    """An owner that only looks like a node's member opens nothing."""
    kinds = [type(one).__name__ for one in decide(owned(owner)) if type(one).__name__ != "Show"]
    assert kinds == (["Patch"] if is_opened else ["Tell"])


def test_a_packet_has_to_be_as_strict() -> None:
    """Each thing that a pod declares has to be in its packet; more may be."""
    floor = Namespace(
        "n",
        "team",
        "1",
        {},
        {names.DATA_CLASSES: "pii", names.REGIONS: "eu,us", names.MINIMUM_TRUST: "0.5"},
    )
    pod = Pod("u1", "team", "p", "1", requests={"cpu": Decimal(2)})
    body = packet_of(pod, floor, SEEN.cluster)
    shown = {
        **body, "status": "PENDING", "current_owner": None, "incarnation": None, "epoch": 0, "version": 1,
        "audit": {"changed_at": "x"},
    }  # fmt: skip
    assert is_as_strict(read_packet(shown), body)
    stricter = {"data_classes": ["pii", "x"], "demand": {"cpu": 3, "pods": 1}}
    assert is_as_strict(read_packet({**shown, **stricter}), body)
    milder: list[dict[str, Any]] = [
        {"data_classes": []},
        {"demand": {"cpu": 1.999999, "pods": 1}},
        {"demand": {"cpu": 2}},
        {"required_capabilities": []},
        {"policy_constraints": {}},
        {
            "policy_constraints": {
                "allowed_regions": ["eu", "us", "asia"],
                "minimum_trust_score": 0.5,
            }
        },
        {"policy_constraints": {"allowed_regions": ["eu"], "minimum_trust_score": 0.4}},
        {"labels": {}},
        {"labels": {**body["labels"], names.NAMESPACE_LABEL: "other"}},
        {"workload_type": "batch"},
    ]
    for one in milder:
        assert not is_as_strict(read_packet({**shown, **one}), body), one


META = {"uid": "u", "namespace": "n", "name": "p", "resourceVersion": "1"}

# --- amounts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("500m", "0.5"), ("1.5Gi", 1610612736), ("2e3", 2000), ("1E3", 1000),
     ("1E", 10**18), ("0.1u", "1e-7"), (".5", "0.5")],
)  # fmt: skip
def test_a_quantity_is_exact(text: str, value: Any) -> None:
    """Suffixes and exponents mean what Kubernetes means by them."""
    assert quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", "x", "1 ", "1gi", "1e", "--1", "1e999", "\u0661", "1" * 40, "NaN", "Infinity", "0x1"],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """Anything else is an error, no zero."""
    with pytest.raises(InvalidError):
        quantity(text)


def test_what_is_asked_is_rounded_up_and_what_is_offered_down() -> None:
    """No more is promised than there is; two resources that read the same are added up."""
    amounts = {
        "memory": Decimal(1),
        "cpu": Decimal("0.0000001"),
        "a.b/c": Decimal(1),
        "a-b/c": Decimal(2),
    }
    assert in_units(amounts, offered=False) == {
        "memory": Decimal("0.000001"),
        "cpu": Decimal("0.000001"),
        "a_b_c": 3,
    }
    assert in_units(amounts, offered=True) == {"a_b_c": 3}
    with pytest.raises(InvalidError):
        in_units({"cpu": Decimal("1e29")}, offered=False)


def test_a_pod_asks_for_the_most_that_runs_at_once() -> None:
    """Containers together, each step of the start with the sidecars before it, limits where no request is, overhead."""

    def one(cpu: str, **more: Any) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [one("5"), one("1", restartPolicy="Always"), one("6")],
        "containers": [one("2"), {"resources": {"limits": {"cpu": "3"}}}],
        "overhead": {"cpu": "500m"},
    }
    assert pod_requests(spec) == {"cpu": Decimal("7.5")}


@pytest.mark.parametrize(
    "shown",
    [
        {"metadata": {"uid": 1}},
        {"metadata": []},
        {"metadata": {**META, "labels": {"a": 1}}},
        {"metadata": META, "spec": {"schedulingGates": {}}},
        {"metadata": META, "spec": {"schedulingGates": [{}]}},
        {"metadata": META, "spec": {"schedulingGates": "pfgov.dev/verdict"}},
        [],
    ],
)  # fmt: skip
def test_half_an_object_is_none(shown: Any) -> None:
    """A pod whose gates or labels cannot be read is an error, never a pod without them."""
    with pytest.raises(UnreadableError) as caught:
        read_pod(shown)
    assert caught.value.code == "kubernetes.unreadable"


# --- manifests and the way to the cluster -------------------------------------------------


def test_the_manifests_use_our_names() -> None:
    """Gate, labels and annotations in the manifests are those of the code; each is frozen or the controller's own."""
    text = render(Places())
    for name in (names.GATE, names.GOVERNED, names.HOSTNAME, *names.WRITTEN):
        assert name in text
    for name in (
        names.DATA_CLASSES, names.REGIONS, names.CAPABILITIES, names.MINIMUM_TRUST, names.PRIORITY, names.WORKLOAD,
        names.OFFERS, names.TASKS, names.MEMBER_POD,
    ):  # fmt: skip
        assert f"'{name}'" in text
    assert Places(namespace="x").account in render(Places(namespace="x"))


def test_a_deployment_is_there_if_asked_for() -> None:
    """With an image the controller is deployed; without mutation nothing gives the gate."""
    full = Manifests.of(render(Places(image="a/b:1", url="https://ledger.example")))
    assert len(full.kind("Deployment")) == 1
    less = Manifests.of(render(Places(gives_gate=False)))
    assert not less.kind("Deployment")
    assert not less.kind("MutatingAdmissionPolicy")


@pytest.mark.parametrize(
    "places",
    [
        Places(namespace="a: b"), Places(namespace="A"), Places(namespace="a\nb"), Places(cluster="a.b"),
        Places(scheduler="x' || true || '"), Places(image="a b", url="https://x"), Places(image="a"),
        Places(image="a", url="https://x/?y"), Places(image="a", url="javascript:x"), Places(cluster=""),
    ],
)  # fmt: skip
def test_only_names_are_put_into_manifests(places: Places) -> None:
    """Whatever could be more than a name in YAML or CEL is refused."""
    with pytest.raises(NotANameError):
        render(places)


def test_the_cluster_around_is_found(tmp_path: Path) -> None:
    """In a pod, its account's token, authority and namespace are used; the token is read anew each time."""
    (tmp_path / "namespace").write_text("here\n")
    (tmp_path / "token").write_text("one\n")
    around = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    found = connection(environment=around, account=tmp_path)
    assert (found.url, found.namespace, found.token()) == ("https://[fd00::1]:6443", "here", "one")
    (tmp_path / "token").write_text("two")
    assert found.token() == "two"
    for bad in ("", "a b", "x\u00e9", "x" * 70_000):
        (tmp_path / "token").write_text(bad, encoding="utf-8")
        with pytest.raises(NoClusterError):
            found.token()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8080", "ftp://x", "x", "https://u:p@x", "https://x?y=1", "https://x/path", "http://localhost.evil:1"]
)  # fmt: skip
def test_a_token_goes_to_no_other_machine_in_the_clear(url: str) -> None:
    """A URL that is none, or would carry a token over a network unencrypted, is refused."""
    with pytest.raises(NoClusterError):
        connection(url, environment={})


def test_a_process_in_no_cluster_has_to_name_one() -> None:
    """Without a cluster around and none named, it is said how to name one."""
    with pytest.raises(NoClusterError) as caught:
        connection(environment={})
    assert "--kubernetes" in str(caught.value.hint)
    assert connection("http://127.0.0.1:8001/", environment={}).url == "http://127.0.0.1:8001"
