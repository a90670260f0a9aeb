"""A cluster governed over a real ledger: what its controller does, and what becomes of it when things break."""

import re
from collections.abc import Generator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api
from support.fake_admission import Manifests
from support.kubernetes_world import World

from pfgov.kubernetes.actions import Beat
from pfgov.kubernetes.api import RefusedError
from pfgov.kubernetes.deciding_pods import GONE_SECONDS
from pfgov.kubernetes.ledger_side import OtherClusterError
from pfgov.kubernetes.manifests import Places, render

NAMES = count()


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    """One ledger for all clusters of this file."""
    with Api(tmp_path_factory.mktemp("kubernetes") / "ledger") as api:
        yield api


@pytest.fixture
def world(ledger: Api) -> Generator[World]:
    """A cluster with two nodes that are members, and one governed namespace."""
    with World(ledger, f"c{next(NAMES)}") as made:
        made.fake.namespace("team")
        made.fake.node("n1")
        made.fake.node("n2")
        made.settle()
        yield made


def placed(world: World, name: str = "p", **more: Any) -> str:
    """A pod that was admitted and runs; return its node."""
    world.fake.pod(name, **more)
    world.settle()
    assert world.fake.schedule() == [name]
    world.settle()
    return str(world.pod(name)["spec"]["nodeName"])


# --- verdicts -----------------------------------------------------------------------------


def test_an_admitted_pod_goes_where_the_ledger_says(world: World) -> None:
    """The gate opens in one patch, with the owner's node as selector and owner and epoch written on the pod."""
    world.fake.requests.clear()
    node = placed(world)
    packet = world.packet_of("p")
    assert packet["current_owner"] == f"node.{world.name}.{node}"
    assert world.pod("p")["metadata"]["annotations"] == {
        "pfgov.dev/packet": packet["packet_id"],
        "pfgov.dev/owner": packet["current_owner"],
        "pfgov.dev/epoch": str(packet["epoch"]),
    }
    patches = [one for one in world.fake.requests if one.startswith("PATCH") and "/pods/p" in one]
    assert sum("status" not in one for one in patches) == 1
    assert world.verdict("p")[:2] == ("True", "Owned")
    assert packet["demand"] == {"cpu": 1, "pods": 1}


def test_a_refused_pod_stays_and_says_why(world: World) -> None:
    """The gate stays closed; condition and event name each rule and the nearest miss, once."""
    world.fake.pod("p", annotations={"pfgov.dev/regions": "us"})
    world.settle()
    world.settle()
    assert world.is_gated("p")
    assert world.fake.schedule() == []
    status, reason, message = world.verdict("p")
    assert (status, reason) == ("False", "Refused")
    assert "kernel/region" in message
    assert "would be eligible with a region within us" in message
    events = [one for one in world.fake.all("events") if one["involvedObject"]["name"] == "p"]
    assert [one["reason"] for one in events] == ["Refused"]
    assert events[0]["message"] == message


def test_a_refused_pod_is_admitted_when_somebody_may_own_it(world: World) -> None:
    """A node that may own it comes: the packet that waited is placed, and the gate opens."""
    world.fake.pod("p", annotations={"pfgov.dev/regions": "us"})
    world.settle()
    world.fake.node("far", zone="us")
    world.settle()
    world.tick(30)
    world.settle()
    assert not world.is_gated("p")
    assert world.fake.schedule() == ["p"]
    assert world.pod("p")["spec"]["nodeName"] == "far"


def test_a_namespace_is_a_floor(world: World) -> None:
    """What a namespace declares is added to what its pods do, and its regions narrow theirs."""
    world.fake.namespace("eu", data_classes="pii.email", regions="eu-1, us")
    annotations = {"pfgov.dev/data-classes": "secret", "pfgov.dev/regions": "us/west,asia"}
    world.fake.pod("p", "eu", annotations=annotations)
    world.settle()
    packet = world.packet_of("p", "eu")
    assert packet["data_classes"] == ["pii.email", "secret"]
    assert packet["policy_constraints"]["allowed_regions"] == ["us/west"]
    assert world.is_gated("p", "eu")


def test_other_namespaces_are_left_alone(world: World) -> None:
    """A pod of a namespace that is not governed has no packet, and nothing is written on it."""
    world.fake.namespace("free", governed=False)
    world.fake.pod("p", "free")
    before = dict(world.pod("p", "free")["metadata"])
    world.settle()
    assert world.pod("p", "free")["metadata"] == before


# --- moving -------------------------------------------------------------------------------


def test_a_cordon_hands_over_and_the_next_pod_goes_on(world: World) -> None:
    """Cordon, handoff, eviction, and the pod that comes in its place runs the same packet where it is owned now."""
    world.fake.replicate("web")
    world.settle()
    (first,) = world.fake.schedule()
    world.settle()
    before, packet = str(world.pod(first)["spec"]["nodeName"]), world.packet_of(first)
    world.fake.cordon(before)
    world.settle()
    assert world.member(before)["status"] == "DRAINING"
    world.tick(1)
    world.settle()
    assert "deletionTimestamp" in world.pod(first)["metadata"]
    world.fake.reap()
    world.fake.replicate("web")
    world.settle()
    (second,) = world.fake.schedule()
    world.settle()
    moved = world.packet_of(second)
    assert moved["packet_id"] == packet["packet_id"]
    assert moved["epoch"] > packet["epoch"]
    after = str(world.pod(second)["spec"]["nodeName"])
    assert {before, after} == {"n1", "n2"}
    assert moved["current_owner"] == f"node.{world.name}.{after}"
    world.fake.cordon(before, is_cordoned=False)
    world.settle()
    assert world.member(before)["status"] == "ACTIVE"


def test_a_node_that_is_not_heard_loses_its_packets(tmp_path: Path) -> None:
    """Not ready: no lease is renewed, the member fails by the ledger's own rule, and its pods are evicted."""
    with Api(tmp_path / "ledger") as api, World(api, "alone") as world:
        world.fake.namespace("team")
        world.fake.node("n1")
        world.fake.node("n2")
        world.settle()
        not_heard(world)


def not_heard(world: World) -> None:
    """The story of a node that falls silent and comes back."""
    node = placed(world)
    other = "n2" if node == "n1" else "n1"
    world.fake.ready(node, status="Unknown")
    for _ in range(4):
        world.advance(110)
        world.settle()
        world.tick(110)
    assert world.member(node)["status"] == "FAILED"
    assert world.member(other)["status"] == "ACTIVE"
    world.settle()
    assert "deletionTimestamp" in world.pod("p")["metadata"]
    world.fake.ready(node)
    world.settle()
    assert world.member(node)["status"] == "ACTIVE"


def test_a_node_that_left_has_failed(world: World) -> None:
    """A node that is gone is declared failed, also when that was missed; one that is to be deleted is drained."""
    world.fake.change("nodes", "n1", "", lambda one: one["metadata"].update(deletionTimestamp="x"))
    world.settle()
    assert world.member("n1")["status"] == "DRAINING"
    world.fake.remove("nodes", "n1")
    world.start()
    world.settle()
    assert world.member("n1")["status"] == "FAILED"


def test_an_operators_word_stands(world: World) -> None:
    """A quarantine, a drain to retire and a retirement are not undone because the node is ready."""
    member = f"/api/members/node.{world.name}"
    world.api.post(f"{member}.n1/quarantine")
    world.api.post(f"{member}.n2/drain")
    world.settle()
    world.tick(1)
    world.settle()
    assert world.member("n1")["status"] == "QUARANTINED"
    assert world.member("n2")["status"] in {"DRAINING", "RETIRED"}


def test_trust_and_clearances_never_come_from_labels(world: World) -> None:
    """Whatever a node or an agent says about itself, the ledger holds no trust and no clearance for it."""
    labels = {"pfgov.dev/member": "agent", "pfgov.dev/trust": "1", "pfgov.dev/clearances": "pii"}
    offers = {"pfgov.dev/offers": "ocr, kubernetes.pods, Kubernetes.pods", "pfgov.dev/tasks": "3"}
    placed(world, "agent", labels=labels, annotations=offers)

    def talk(one: dict[str, Any]) -> None:
        one["metadata"]["labels"].update(labels)

    world.fake.change("nodes", "n1", "", talk)
    ready = [{"type": "Ready", "status": "True"}]
    world.fake.change("pods", "agent", "team", lambda one: one["status"].update(conditions=ready))
    world.settle()
    uid = world.pod("agent")["metadata"]["uid"]
    agent = world.api.get(f"/api/members/agent.{world.name}.{uid}").json()
    assert [one["name"] for one in agent["capabilities"]] == ["ocr"]
    assert agent["capacity"] == {"tasks": 3}
    for one in (agent, world.member("n1")):
        assert (one["trust"], one["clearances"]) == (None, [])
    world.fake.finish("agent")
    world.settle()
    assert world.api.get(f"/api/members/agent.{world.name}.{uid}").json()["status"] == "FAILED"


# --- ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("phase", "status"), [("Succeeded", "COMPLETED"), ("Failed", "FAILED")])
def test_a_pod_that_ended_ends_its_packet(world: World, phase: str, status: str) -> None:
    """The packet ends as its pod did."""
    placed(world)
    world.fake.finish("p", phase=phase)
    world.settle()
    assert world.packet_of("p")["status"] == status


def test_a_packet_waits_a_while_for_the_next_pod(world: World) -> None:
    """A pod is deleted: its packet is cancelled once nothing came in its place, and not before."""
    placed(world)
    packet = world.packet_of("p")["packet_id"]
    world.fake.remove("pods", "p", "team")
    world.settle()
    world.advance(int(GONE_SECONDS) - 1)
    world.settle()
    assert world.packet(packet)["status"] == "ASSIGNED"
    world.advance(1)
    world.settle()
    assert world.packet(packet)["status"] == "CANCELLED"
    assert world.fake.all("flightpackets") == []


def test_a_cancelled_packet_ends_its_pod(world: World) -> None:
    """What nobody owns does not run on; a budget of disruption is heeded, and asked again."""
    placed(world)
    world.api.post(f"/api/packets/{world.packet_of('p')['packet_id']}/cancel")
    world.fake.is_budget_spent = True
    world.settle()
    assert "deletionTimestamp" not in world.pod("p")["metadata"]
    world.fake.is_budget_spent = False
    world.settle()
    assert "deletionTimestamp" in world.pod("p")["metadata"]


def test_a_pod_that_a_finalizer_holds_is_not_opened(world: World) -> None:
    """A gated pod that is to end is left alone, however long a finalizer holds it."""
    world.fake.pod("p", finalizers=["example.com/hold"])
    world.fake.ask("root", "DELETE", "/api/v1/namespaces/team/pods/p", {})
    world.settle()
    assert "deletionTimestamp" in world.pod("p")["metadata"]
    assert world.is_gated("p")


# --- mirrors ------------------------------------------------------------------------------


def test_mirrors_say_who_owns_what(world: World) -> None:
    """A FlightPacket says owner, node, epoch and since when; a Member its status; nobody changes what they show."""
    node = placed(world)
    packet = world.packet_of("p")
    (shown,) = world.fake.all("flightpackets")
    assert shown["metadata"]["namespace"] == "team"
    assert shown["status"] == {
        "status": "ASSIGNED",
        "owner": packet["current_owner"],
        "node": node,
        "epoch": 1,
        "since": packet["audit"]["changed_at"],
        "pod": "p",
        "reasons": [],
    }
    members = {one["metadata"]["name"]: one["status"] for one in world.fake.all("members")}
    assert members[f"node.{world.name}.{node}"]["packets"] == 1


def test_a_mirror_that_somebody_spoilt_is_mended(world: World) -> None:
    """What was written or removed by others is what the ledger says again after the next round."""
    placed(world)
    (shown,) = world.fake.all("flightpackets")
    name = shown["metadata"]["name"]
    world.fake.change("flightpackets", name, "team", lambda one: one["status"].update(owner="me"))
    world.settle()
    assert world.fake.get("flightpackets", name, "team")["status"]["owner"] != "me"
    world.fake.remove("flightpackets", name, "team")
    world.settle()
    assert world.fake.get("flightpackets", name, "team")["status"]["pod"] == "p"


# --- hostile ------------------------------------------------------------------------------


def test_a_milder_packet_under_the_same_id_opens_nothing(world: World) -> None:
    """Somebody who may submit was quicker, with less declared: the gate stays, and it is said."""
    pod = world.fake.pod("p", annotations={"pfgov.dev/regions": "us"})
    body = {
        "packet_id": f"pod.{world.name}.{pod['metadata']['uid']}",
        "workload_type": "pod",
        "required_capabilities": [f"kubernetes.{world.name}"],
    }
    answer = world.api.post("/api/packets", body).json()
    assert answer["result"]["outcome"] == "allowed"
    world.settle()
    assert world.is_gated("p")
    assert world.verdict("p")[1] == "NotItsPacket"


@pytest.mark.parametrize("other", ["of another pod", "of another namespace", "of nobody"])
def test_a_pod_that_names_a_packet_of_others_stays(world: World, other: str) -> None:
    """Where admission let it pass: a pod that says whose packet it runs runs none."""
    placed(world)
    world.fake.namespace("rich")
    world.fake.pod("q", "rich")
    world.settle()
    named = {
        "of another pod": world.packet_of("p")["packet_id"],
        "of another namespace": world.packet_of("q", "rich")["packet_id"],
        "of nobody": "pod.no.such",
    }[other]
    if other == "of another namespace":
        world.fake.remove("pods", "q", "rich")
    world.fake.pod("thief", annotations={"pfgov.dev/packet": named})
    world.settle()
    assert world.is_gated("thief")
    assert world.verdict("thief")[1] == "NotItsPacket"
    assert world.verdict("p")[1] == "Owned"


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"data-classes": "PII"}, "PII"),
        ({"data-classes": "pii-email"}, "pii"),
        ({"regions": "EU"}, "EU"),
        ({"regions": "eu\u200b"}, "eu"),
        ({"workload-type": "Batch"}, "Batch"),
        ({"priority": "high"}, "priority"),
        ({"priority": "-1"}, "-1"),
        ({"minimum-trust": "1.5"}, "1.5"),
        ({"capabilities": ",".join(f"c{number}" for number in range(70))}, "more than the 64"),
    ],
)
def test_what_cannot_be_declared_is_told(
    world: World, annotations: dict[str, str], said: str
) -> None:
    """Capitals, what nobody sees, numbers that are none, too much: the gate stays and the pod says what is wrong."""
    world.fake.pod("p", annotations={f"pfgov.dev/{k}": v for k, v in annotations.items()})
    world.settle()
    assert world.is_gated("p")
    status, reason, message = world.verdict("p")
    assert (status, reason) == ("False", "NotAccepted")
    assert said in message
    assert len(world.fake.all("events")) == 1


def test_no_regions_are_no_regions(world: World) -> None:
    """An empty list of regions, and two that have nothing in common, allow none."""
    world.fake.pod("p", annotations={"pfgov.dev/regions": " , "})
    world.settle()
    assert world.packet_of("p")["policy_constraints"]["allowed_regions"] == []
    assert world.is_gated("p")


def test_a_pod_that_chooses_its_node_is_not_asked_about(world: World) -> None:
    """Where admission let it pass: a selector by hostname is refused before a packet is made."""
    world.fake.pod("p", spec={"nodeSelector": {"kubernetes.io/hostname": "n2"}})
    world.settle()
    assert world.is_gated("p")
    assert "chooses its node" in world.verdict("p")[2]


def test_twins_among_nodes_take_nothing(world: World) -> None:
    """Two nodes with one hostname: a selector would not say which, so neither is given packets."""

    def rename(one: dict[str, Any]) -> None:
        one["metadata"]["labels"]["kubernetes.io/hostname"] = "n1"

    world.fake.change("nodes", "n2", "", rename)
    world.fake.pod("p")
    world.settle()
    assert {world.member(one)["status"] for one in ("n1", "n2")} == {"DRAINING"}
    assert world.is_gated("p")


def test_a_node_that_is_no_member_gets_nothing(world: World) -> None:
    """A node without the label of members is not registered, and one that loses it is drained."""
    world.fake.node("n3", member=False)
    name = "pfgov.dev.node-restriction.kubernetes.io/member"
    world.fake.change("nodes", "n1", "", lambda one: one["metadata"]["labels"].pop(name))
    world.settle()
    assert world.api.get(f"/api/members/node.{world.name}.n3").status_code == 404
    assert world.member("n1")["status"] == "DRAINING"
    assert placed(world) == "n2"


def test_a_pod_that_was_bound_elsewhere_is_evicted(world: World) -> None:
    """Where a binding passed by the selector, the pod ends: the ledger says who owns it."""
    node = placed(world)
    other = "n2" if node == "n1" else "n1"
    world.fake.change("pods", "p", "team", lambda one: one["spec"].update(nodeName=other))
    world.settle()
    assert "deletionTimestamp" in world.pod("p")["metadata"]


def test_a_pod_that_runs_unjudged_is_named(world: World) -> None:
    """What ran before its namespace was governed goes on, and says that nobody judged it."""
    world.fake.pod("old", spec={"schedulingGates": []})
    world.settle()
    assert world.verdict("old")[:2] == ("Unknown", "Ungoverned")
    assert "deletionTimestamp" not in world.pod("old")["metadata"]


def test_another_cluster_of_the_same_name_is_refused(world: World) -> None:
    """A second cluster under a name that is taken would end the first one's packets: nothing is done."""
    other = World(world.api, world.name)
    other.fake.change("namespaces", "kube-system", "", lambda one: one["metadata"].update(uid="x"))
    with other, pytest.raises(OtherClusterError) as caught:
        other.settle()
    assert caught.value.code == "kubernetes.other_cluster"
    assert world.member("n1")["status"] == "ACTIVE"


# --- rights -------------------------------------------------------------------------------

MAIN = render(Places())


def a_whole_story(world: World) -> None:
    """Everything that a controller has a right for, once."""
    fake = world.fake
    fake.namespace("team")
    fake.node("n1")
    fake.node("n0", cpu="0")
    placed(world)
    fake.remove("nodes", "n0")
    fake.pod("q", annotations={"pfgov.dev/regions": "us"})
    world.settle()
    world.api.post(f"/api/packets/{world.packet_of('p')['packet_id']}/cancel")
    world.settle()
    fake.reap()
    world.settle()
    assert [one["spec"]["packet"] for one in fake.all("flightpackets")] == [
        world.packet_of("q")["packet_id"]
    ]
    world.runner.run(world.controller.leadership.renew())
    world.runner.run(world.controller.leadership.renew())
    assert fake.all("leases")


def watched(world: World) -> None:
    """Each kind is watched for a moment."""
    loop = world.runner.get_loop()
    for one in world.controller.watched:
        world.runner.run(one.list())
        world.fake.before = lambda _: loop.call_later(0.001, world.fake.cut)
        world.runner.run(one.watch())
        world.fake.before = lambda _: None


def test_the_rights_are_enough(ledger: Api) -> None:
    """With the rights of the manifests the whole story goes through."""
    with World(ledger, f"c{next(NAMES)}", manifests=MAIN) as world:
        a_whole_story(world)
        watched(world)


VERBS = Manifests.of(MAIN).verbs()


def watched_story(world: World) -> None:
    """The whole story, and each kind watched."""
    a_whole_story(world)
    watched(world)


@pytest.mark.parametrize("taken", VERBS, ids=" ".join)
def test_each_right_is_needed(ledger: Api, taken: tuple[str, str, str]) -> None:
    """Each verb of the manifests, taken away, makes something fail for the lack of it."""
    _, resource, verb = taken
    with World(ledger, f"c{next(NAMES)}", manifests=MAIN) as world:
        world.fake.rules = [
            (None, {"apiGroups": [group], "resources": [one], "verbs": [left]})
            for group, one, left in VERBS
            if (group, one, left) != taken
        ]
        lack = re.escape(f"cannot {verb} {resource}")
        with pytest.raises((AssertionError, RefusedError), match=lack):
            watched_story(world)


# --- killed -------------------------------------------------------------------------------


class KilledError(BaseException):
    """The process is gone."""


def a_move(world: World) -> None:
    """A node is cordoned, the packet moves, the next pod goes on; each step may be repeated by a new controller."""
    fake = world.fake
    fake.replicate("web")
    world.settle()
    fake.schedule()
    world.settle()
    fake.cordon("n1")
    world.settle()
    world.tick(1)
    world.settle()
    fake.reap()
    fake.replicate("web")
    world.settle()
    fake.schedule()
    world.settle()


def outcome(world: World) -> dict[str, Any]:
    """What a story came to, but for names that are drawn."""
    (pod,) = world.fake.all("pods")
    (mirror,) = world.fake.all("flightpackets")
    packets = world.api.get("/api/packets?all=true&limit=1000").json()["items"]
    ours = [one for one in packets if one["labels"].get("kubernetes/cluster") == world.name]
    return {
        "node": pod["spec"]["nodeName"],
        "gates": pod["spec"]["schedulingGates"],
        "owner": pod["metadata"]["annotations"]["pfgov.dev/owner"].removeprefix(
            f"node.{world.name}."
        ),
        "packets": [one["status"] for one in ours],
        "mirror": mirror["status"]["owner"].removeprefix(f"node.{world.name}."),
        "members": sorted(world.member(one)["status"] for one in ("n1", "n2")),
        "events": sorted({one["reason"] for one in world.fake.all("events")}),
    }


def run_killed(world: World, step: int) -> int:
    """Run the story with the controller killed after its write number *step*; return how many there were."""
    made = 0

    def die(what: str) -> None:
        nonlocal made
        if not what.startswith("GET"):
            made += 1
            if made == step:
                raise KilledError

    world.fake.after = world.bridge.after = die
    settle = world.settle

    def settle_anyhow() -> Any:
        try:
            return settle()
        except KilledError:
            world.start()
            return settle()

    world.settle = settle_anyhow  # type: ignore[method-assign]
    world.fake.namespace("team")
    world.fake.node("n1")
    world.fake.node("n2", cpu="2")
    a_move(world)
    return made


def test_killed_at_each_step(ledger: Api) -> None:
    """Killed after any of its writes, a new controller brings the story to the same end."""
    ends: dict[int, dict[str, Any]] = {}
    step = writes = 0
    while step <= writes:
        with World(ledger, f"c{next(NAMES)}") as world:
            made = run_killed(world, step)
            ends[step] = outcome(world)
            writes = made if step == 0 else writes
        step += 1
    assert writes > 15
    assert all(one == ends[0] for one in ends.values()), ends


# --- the API server -----------------------------------------------------------------------


def test_an_api_server_that_is_away_is_waited_for(world: World) -> None:
    """No answer: nothing is done and nothing is lost; then the round goes through."""
    world.fake.pod("p")
    world.fake.is_down = True
    with pytest.raises(Exception, match="no answer"):
        world.settle_somehow()
    world.fake.is_down = False
    world.settle()
    assert not world.is_gated("p")


def test_a_change_in_between_is_no_failure(world: World) -> None:
    """Somebody changes the pod between look and patch (409): the next look opens the gate."""
    world.fake.pod("p")
    once = [True]

    def meddle(what: str) -> None:
        if once and what == "PATCH /api/v1/namespaces/team/pods/p":
            once.clear()
            world.fake.change(
                "pods", "p", "team", lambda one: one["metadata"].update(labels={"a": "b"})
            )

    world.fake.before = meddle
    world.settle()
    assert not once
    assert not world.is_gated("p")
    assert world.pod("p")["metadata"]["labels"] == {"a": "b"}


def test_beats_come_three_times_a_lease(world: World) -> None:
    """A ready node's lease is renewed once in a third of it, not in every round."""
    world.advance(99)
    assert not [one for one in world.settle().actions if isinstance(one, Beat)]
    world.bridge.requests.clear()
    world.advance(1)
    world.settle()
    assert sum("heartbeat" in one for one in world.bridge.requests) == 2
