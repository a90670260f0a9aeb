"""What a tenant tries in a governed namespace, and the shipped admission policies that refuse it, run as CEL."""

from typing import Final

import pytest
from support.fake_kubernetes import CONTROLLER, SCHEDULER, FakeCluster, StatusError
from support.kubernetes_ways import CLOSED, MERGE, NAMESPACE, PODS, WAYS, WITHOUT_GATE, born, pod

from pfgov.kubernetes.manifests import Places, render

TENANT: Final = "tenant"
POLICIES: Final = ("born-gated", "gate", "frozen", "binding", "namespace")
MANIFESTS: Final = render(Places(gives_gate=False))
WITH_GATE: Final = render(Places())


def cluster(manifests: str = MANIFESTS) -> FakeCluster:
    """A cluster with a node, a governed namespace, and a gated pod in it."""
    fake = FakeCluster(manifests)
    fake.namespace("team", data_classes="pii")
    fake.node("n1")
    fake.add("pods", pod(gates=CLOSED, annotations={"pfgov.dev/regions": "us"}))
    return fake


TRIED: Final = WAYS | WITHOUT_GATE


@pytest.mark.parametrize("way", TRIED)
def test_a_tenant_is_refused(way: str) -> None:
    """Each way in which a tenant with every right in its namespace could have a pod run unjudged is refused."""
    fake = cluster()
    with pytest.raises(StatusError) as caught:
        fake.ask(TENANT, *TRIED[way])
    assert "denied request" in caught.value.message
    assert fake.get("pods", "p", "team")["spec"]["schedulingGates"] == CLOSED
    assert "nodeName" not in fake.get("pods", "p", "team")["spec"]


@pytest.mark.parametrize("where", [f"{PODS}/p", f"{PODS}/p/status", NAMESPACE])
def test_a_tenant_may_do_what_changes_no_verdict(where: str) -> None:
    """Other labels and annotations are the tenant's own."""
    other = {"metadata": {"labels": {"app": "web"}, "annotations": {"a": "b"}}}
    cluster().ask(TENANT, "PATCH", where, other, MERGE)


def test_a_gated_pod_may_be_made_and_removed() -> None:
    """A pod with the gate is admitted, also with a selector and a gate of its own; and it may be deleted."""
    fake = cluster()
    gates = [{"name": "other.example/gate"}, *CLOSED]
    fake.ask(TENANT, *born(gates=gates, nodeSelector={"disk": "ssd"}))
    fake.ask(TENANT, "PATCH", f"{PODS}/q", {"spec": {"schedulingGates": CLOSED}}, MERGE)
    fake.ask(TENANT, "DELETE", f"{PODS}/q", {})


def test_the_policies_bind_no_other_namespace() -> None:
    """In a namespace that is not governed, nothing is refused."""
    fake = cluster()
    fake.namespace("free", governed=False)
    method, _, body, how = born()
    fake.ask(TENANT, method, "/api/v1/namespaces/free/pods", body, how)


def test_the_gate_is_given_at_birth() -> None:
    """With the mutating policy, a pod without the gate is born with it; one that names its node is refused still."""
    fake = cluster(WITH_GATE)
    fake.ask(TENANT, *born())
    assert fake.get("pods", "q", "team")["spec"]["schedulingGates"] == CLOSED
    with pytest.raises(StatusError):
        fake.ask(TENANT, *born(nodeName="n1"))


def test_only_the_controller_opens_the_gate() -> None:
    """The controller's account may; another account of the same name in another namespace may not."""
    fake = cluster()
    others = (
        "system:serviceaccount:team:pfgov-controller",
        "system:serviceaccount:pfgov-system:default",
        "system:admin",
        f"{CONTROLLER} ",
        CONTROLLER.upper(),
    )
    for user in others:
        with pytest.raises(StatusError):
            fake.ask(user, *WAYS["take the gate off"])
    fake.ask(CONTROLLER, *WAYS["take the gate off"])
    assert not fake.get("pods", "p", "team")["spec"].get("schedulingGates")


def test_only_the_scheduler_binds() -> None:
    """The scheduler may bind, and even it binds no pod whose gate is closed."""
    fake = cluster()
    with pytest.raises(StatusError, match="schedulingGates"):
        fake.ask(SCHEDULER, *WAYS["bind it"])
    fake.ask(CONTROLLER, *WAYS["take the gate off"])
    for user in (
        CONTROLLER,
        "system:admin",
        "system:serviceaccount:kube-system:daemon-set-controller",
    ):
        with pytest.raises(StatusError):
            fake.ask(user, *WAYS["bind it"])
    fake.ask(SCHEDULER, *WAYS["bind it"])
    assert fake.get("pods", "p", "team")["spec"]["nodeName"] == "n1"


def test_who_may_govern_changes_the_namespace() -> None:
    """Whoever has the verb govern on a namespace takes it out, or changes what it declares."""
    fake = cluster()
    fake.admission.governors.add("governor")
    fake.ask("governor", *WAYS["lower the floor of the namespace"])
    fake.ask("governor", *WAYS["take the namespace out"])


@pytest.mark.parametrize("name", [f"pfgov-{one}" for one in POLICIES])
def test_each_policy_is_needed(name: str) -> None:
    """Without any one of the policies, some way is open."""
    fake = cluster()
    wanted = {
        one["metadata"]["name"]: one["spec"]
        for one in fake.manifests.kind("ValidatingAdmissionPolicy")
    }
    fake.admission.policies.remove(wanted[name])
    opened = []
    for way, asked in TRIED.items():
        try:
            fake.ask(TENANT, *asked)
        except StatusError as error:
            if "denied request" in error.message:
                continue
        opened.append(way)
    assert opened


def test_every_policy_is_bound_and_fails_closed() -> None:
    """Each policy has a binding that denies, and refuses where it cannot be evaluated."""
    manifests = FakeCluster(WITH_GATE).manifests
    policies = manifests.kind("ValidatingAdmissionPolicy")
    bound = {
        one["spec"]["policyName"]
        for one in manifests.kind("ValidatingAdmissionPolicyBinding")
        if one["spec"]["validationActions"] == ["Deny"]
    }
    assert {one["metadata"]["name"] for one in policies} == bound
    assert bound == {f"pfgov-{one}" for one in POLICIES}
    every = [*policies, *manifests.kind("MutatingAdmissionPolicy")]
    assert {one["spec"]["failurePolicy"] for one in every} == {"Fail"}
