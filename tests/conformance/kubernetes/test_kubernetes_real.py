"""The whole story on a real API server, scheduler and etcd, with a real controller process: ``make test-kubernetes``.

Elsewhere it is skipped: the programs take a quarter of an hour to build.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from support.api_process import ROOT, Server
from support.kubernetes_real import MEMBER, RealCluster, RefusedByServerError, until
from support.kubernetes_ways import CLOSED, MERGE, NAMESPACE, PODS, WAYS, WITHOUT_GATE, pod
from support.ledgers import fresh

from pfgov.kubernetes.manifests import Places, render

PROGRAMS: Final = Path(os.environ.get("PFGOV_KUBERNETES", ".cache/kubernetes")).resolve()
IS_ASKED: Final = "PFGOV_KUBERNETES" in os.environ

pytestmark = [
    pytest.mark.skipif(not IS_ASKED, reason="make test-kubernetes: needs etcd and kube-apiserver"),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl"),
    pytest.mark.process,
    pytest.mark.long,
]


class Governed:
    """A real cluster, a real server of a ledger, and a controller process between them."""

    def __init__(self, cluster: RealCluster, server: Server) -> None:
        self.cluster, self.server = cluster, server
        self.token = cluster.folder / "controller.token"
        self.controller: subprocess.Popen[bytes] | None = None
        self.pods = 0

    def start(self) -> None:
        """Start a controller, with a token of its own account."""
        self.token.write_text(
            self.cluster.kubectl("create", "token", "pfgov-controller", "-n", "pfgov-system")
        )
        words = [
            sys.executable, "-m", "pfgov.cli", "kubernetes", "run", "--url", self.server.url, "--kubernetes",
            self.cluster.url, "--token-file", str(self.token), "--ca-file", str(self.cluster.ca), "--cluster", "real",
            "--lease-seconds", "60", "--identity", f"controller-{os.urandom(4).hex()}",
        ]  # fmt: skip
        with (self.cluster.folder / "controller.log").open("ab") as log:
            self.controller = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL it, wherever it is."""
        assert self.controller is not None
        self.controller.send_signal(signal.SIGKILL)
        self.controller.wait()

    def ledger(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Ask the ledger's server."""
        answer = httpx2.request(method, f"{self.server.url}{path}", json=body, timeout=30)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def pod(self, name: str, namespace: str = "team") -> Any:
        """Return a pod as it is."""
        return self.cluster.admin("GET", f"/api/v1/namespaces/{namespace}/pods/{name}")

    def verdict(self, name: str) -> tuple[str, str]:
        """Return reason and message of what is said on a pod."""
        for one in self.pod(name)["status"].get("conditions", []):
            if one["type"] == "pfgov.dev/Verdict":
                return one["reason"], one["message"]
        return "", ""

    def packet(self, name: str) -> Any:
        """Return the packet of a pod that was opened."""
        return self.ledger(
            f"/api/packets/{self.pod(name)['metadata']['annotations']['pfgov.dev/packet']}"
        )

    def replicate(self, **more: Any) -> str:
        """Make a pod as the controller of a ReplicaSet would, and return its name."""
        self.pods += 1
        body = pod(f"web-{self.pods}", **more)
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": "rs-web",
            "controller": True,
        }
        body["metadata"]["ownerReferences"] = [owner]
        self.cluster.admin("POST", PODS, body)
        return str(body["metadata"]["name"])

    def bound(self, name: str) -> str:
        """Wait until the scheduler has bound a pod, and return its node."""
        return str(until(lambda: self.pod(name)["spec"].get("nodeName"), f"{name} is bound"))


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Governed]:
    """Two nodes that are members, one governed namespace, and a tenant who may do everything in it."""
    folder = tmp_path_factory.mktemp("real")
    server = Server(fresh(folder / "ledger"))
    server.start()
    try:
        with RealCluster(PROGRAMS, folder) as cluster:
            cluster.kubectl("apply", "-f", "-", text=render(Places()))
            cluster.kubectl(
                "wait",
                "--for=condition=Established",
                "crd/flightpackets.pfgov.dev",
                "crd/members.pfgov.dev",
            )
            cluster.kubectl("create", "namespace", "team")
            cluster.kubectl("annotate", "namespace", "team", "pfgov.dev/data-classes=internal")
            cluster.kubectl("label", "namespace", "team", "pfgov.dev/governed=true")
            every = (
                "--verb=*",
                "--resource=pods,pods/status,pods/binding,bindings,pods/resize,pods/ephemeralcontainers",
            )
            cluster.kubectl("create", "clusterrole", "tenant", *every)
            cluster.kubectl(
                "create",
                "clusterrole",
                "labels",
                "--verb=get,patch,update",
                "--resource=namespaces",
            )
            for role in ("tenant", "labels"):
                cluster.kubectl(
                    "create", "clusterrolebinding", role, f"--clusterrole={role}", "--user=tenant"
                )
            for name in ("n1", "n2"):
                cluster.node(name)
            made = Governed(cluster, server)
            made.start()
            try:
                yield made
            finally:
                made.kill()
                sys.stderr.write((folder / "controller.log").read_text()[-4_000:])
    finally:
        server.stop()


def test_an_admitted_pod_is_bound_where_the_ledger_chose(governed: Governed) -> None:
    """Born with the gate, judged, opened, and bound by the scheduler to the node of its packet's owner."""
    governed.cluster.ask("tenant", "POST", PODS, pod("first"))
    node = governed.bound("first")
    packet = governed.packet("first")
    assert packet["current_owner"] == f"node.real.{node}"
    assert packet["data_classes"] == ["internal"]
    until(lambda: governed.verdict("first")[0] == "Owned")
    shown = until(lambda: governed.cluster.kubectl("get", "flightpackets", "-n", "team"))
    row = next(one for one in shown.splitlines() if packet["packet_id"] in one)
    assert row.split()[1:4] == ["ASSIGNED", packet["current_owner"], str(packet["epoch"])]
    members = until(lambda: governed.cluster.kubectl("get", "members.pfgov.dev"))
    assert "node.real.n1" in members


def test_a_refused_pod_stays_pending_with_its_reasons(governed: Governed) -> None:
    """The gate stays closed; condition and event say each rule and the nearest miss, and describe shows them."""
    governed.cluster.ask("tenant", "POST", PODS, pod("p", annotations={"pfgov.dev/regions": "us"}))
    reason, message = until(lambda: governed.verdict("p")[0] and governed.verdict("p"))
    assert reason == "Refused"
    assert "kernel/region" in message
    assert "node.real.n1 would be eligible with a region within us" in message
    assert governed.pod("p")["spec"]["schedulingGates"] == CLOSED
    described = until(lambda: governed.cluster.kubectl("describe", "pod", "-n", "team", "p"))
    assert "kernel/region" in described


REFUSALS: Final = (
    "ValidatingAdmissionPolicy 'pfgov-",
    "cannot be set until all schedulingGates have been cleared",  # born on a node, where the gate is given
)


@pytest.mark.parametrize("way", WAYS)
def test_a_tenant_opens_no_gate(governed: Governed, way: str) -> None:
    """Each way in which a tenant with every right in its namespace could open the gate is refused by a policy."""
    with pytest.raises(RefusedByServerError) as caught:
        governed.cluster.ask("tenant", *WAYS[way])
    said = str(caught.value)
    assert any(words in said for words in REFUSALS), said
    assert governed.pod("p")["spec"]["schedulingGates"] == CLOSED
    assert "nodeName" not in governed.pod("p")["spec"]


@pytest.mark.parametrize("way", WITHOUT_GATE)
def test_without_mutation_a_pod_has_to_name_the_gate(governed: Governed, way: str) -> None:
    """Where nothing gives the gate, a pod without it is refused; where it is given, the pod is born with it."""
    kubectl = governed.cluster.kubectl
    method, path, body, how = WITHOUT_GATE[way]

    def gates() -> Any:
        try:
            made = governed.cluster.ask("tenant", method, f"{path}?dryRun=All", body, how)
        except RefusedByServerError as error:
            return "refused" if "pfgov-born-gated" in str(error) else None
        return made["spec"]["schedulingGates"]

    kubectl("delete", "mutatingadmissionpolicybinding", "pfgov-give-gate")
    try:
        until(lambda: gates() == "refused", "nothing gives the gate")
    finally:
        kubectl("apply", "-f", "-", text=render(Places()))
    until(
        lambda: gates() in (CLOSED, [*body["spec"]["schedulingGates"], *CLOSED]),
        "the gate is given",
    )


def test_even_an_administrator_does_not_open_it_by_hand(governed: Governed) -> None:
    """Only the controller's account opens the gate; an administrator would have to change the policies."""
    with pytest.raises(RefusedByServerError, match="pfgov-gate"):
        governed.cluster.admin(*WAYS["take the gate off"])


def test_a_kubelet_makes_itself_no_member(governed: Governed) -> None:
    """A node's own account cannot give itself the label of members, nor take it from another node."""
    body = {"metadata": {"labels": {MEMBER: "false"}}}
    with pytest.raises(RefusedByServerError, match="forbidden"):
        governed.cluster.ask("system:node:n1", "PATCH", "/api/v1/nodes/n1", body, MERGE)


def test_nobody_changes_a_mirror(governed: Governed) -> None:
    """The spec of a mirror is refused by its schema, also to an administrator; a name that is not its packet's, too."""
    shown = governed.cluster.admin("GET", "/apis/pfgov.dev/v1alpha1/namespaces/team/flightpackets")[
        "items"
    ][0]
    path = f"/apis/pfgov.dev/v1alpha1/namespaces/team/flightpackets/{shown['metadata']['name']}"
    with pytest.raises(RefusedByServerError, match="mirror"):
        governed.cluster.admin("PATCH", path, {"spec": {"packet": "other"}}, MERGE)


def test_a_cordon_hands_over_though_the_controller_is_killed_at_each_step(
    governed: Governed,
) -> None:
    """Killed after each step, a new controller goes on: the packet moves, the pod is evicted, the next continues."""
    name = governed.replicate()
    before = governed.bound(name)
    governed.cluster.runs(name)
    packet = governed.packet(name)
    governed.kill()
    governed.cluster.kubectl("cordon", before)
    governed.start()
    until(lambda: governed.ledger(f"/api/members/node.real.{before}")["status"] == "DRAINING")
    governed.kill()
    moved = until(
        lambda: (
            (found := governed.ledger(f"/api/packets/{packet['packet_id']}"))["epoch"]
            > packet["epoch"]
            and found
        )
    )
    assert moved["current_owner"] != packet["current_owner"]
    governed.start()
    until(lambda: "deletionTimestamp" in governed.pod(name)["metadata"], "it is evicted")
    governed.kill()
    governed.cluster.reap()
    second = governed.replicate()
    governed.start()
    after = governed.bound(second)
    assert governed.packet(second)["packet_id"] == packet["packet_id"]
    assert governed.packet(second)["current_owner"] == f"node.real.{after}"
    assert after != before
    governed.cluster.kubectl("uncordon", before)
    until(lambda: governed.ledger(f"/api/members/node.real.{before}")["status"] == "ACTIVE")


def test_the_api_server_is_restarted(governed: Governed) -> None:
    """Killed and started again on the same etcd: the controller goes on with what came meanwhile."""
    governed.cluster.restart_api()
    governed.cluster.ask("tenant", "POST", PODS, pod("late"))
    node = governed.bound("late")
    assert governed.packet("late")["current_owner"] == f"node.real.{node}"


def test_history_that_is_compacted_is_listed_anew(governed: Governed) -> None:
    """The server is away, and every older version is compacted: what ended meanwhile ends its packet."""
    governed.cluster.runs("late")
    packet = governed.packet("late")["packet_id"]
    governed.cluster.restart_api(governed.cluster.compact)
    body = {"status": {"phase": "Succeeded"}}
    governed.cluster.admin("PATCH", f"{PODS}/late/status", body, MERGE)
    until(lambda: governed.ledger(f"/api/packets/{packet}")["status"] == "COMPLETED")


def test_a_controller_that_is_told_to_stop_gives_the_lease_up(governed: Governed) -> None:
    """SIGTERM: it leaves with 0 and nobody holds the lease, so that the next acts at once."""
    lease = "/apis/coordination.k8s.io/v1/namespaces/pfgov-system/leases/pfgov-controller"
    until(lambda: governed.cluster.admin("GET", lease)["spec"]["holderIdentity"])
    assert governed.controller is not None
    governed.controller.terminate()
    assert governed.controller.wait(30) == 0
    assert not governed.cluster.admin("GET", lease)["spec"].get("holderIdentity")
    governed.start()
    until(lambda: governed.cluster.admin("GET", lease)["spec"].get("holderIdentity"))


def test_the_history_verifies(governed: Governed) -> None:
    """Everything that happened is in the ledger, and its export verifies."""
    anchor = governed.server.directory / "anchor.txt"
    done = subprocess.run(
        [sys.executable, "-m", "pfgov.cli", "ledger", "verify", "--url", governed.server.url, "--key", str(anchor)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        governed.cluster.admin("GET", NAMESPACE)["metadata"]["labels"]["pfgov.dev/governed"]
        == "true"
    )
