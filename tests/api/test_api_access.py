"""Who may do what: every route, with every scope and with none."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.api_server import SCOPES, Api, path_values, problem

from pfgov.storage.port import EntryFilter
from pfgov_api.operations import Operation
from pfgov_api.routes import OPERATIONS

ANYBODY = {
    "live",
    "ready",
    "openapi",
    "docs",
    "problem",
    "checkpoint",
    "tiles_checkpoint",
    "root_checkpoint",
    "anchor",
    "authzen_configuration",
}
READING = frozenset({"admin", "assessor", "auditor", "operator", "reviewer", "submitter"})
EVERY_SCOPE = READING | {"member"}
OWNERS = frozenset({"member", "operator"})
SUBMITTERS = frozenset({"operator", "submitter"})

RULES: dict[str, set[str] | frozenset[str]] = {
    **dict.fromkeys(ANYBODY, EVERY_SCOPE | {"emergency"}),
    **dict.fromkeys(
        ("show_member", "list_capabilities", "list_packets", "show_packet", "packet_lineage", "discover", "show_entry",
         "inclusion_proof", "consistency_proof", "list_keys", "authzen_search_subject", "show_session",
         "audit_packet", "authzen_search_resource", "authzen_search_action"),
        EVERY_SCOPE,  # a member's key: only what concerns its member, see below
    ),
    **dict.fromkeys(
        ("list_members", "list_decisions", "explain_decision", "show_policies", "evaluate_policies", "test_policies",
         "list_entries",
         "status", "show_ledger", "show_configuration", "witnesses",
         "show_fleet", "search", "show_analytics", "simulate", "list_proposals",
         "list_publishers"),
        READING,
    ),
    **dict.fromkeys(
        ("register_member", "update_member", "heartbeat", "drain_member", "cancel_drain", "retire_member",
         "recover_member", "report_pressure", "hand_off_packet", "accept_handoff", "abort_handoff",
         "checkpoint_packet", "complete_packet", "fail_packet", "packet_context"),
        OWNERS,
    ),
    **dict.fromkeys(
        ("fail_member", "quarantine_member", "release_member", "commit_index", "tick"), frozenset({"operator"})
    ),
    "assess_trust": {"assessor"},
    **dict.fromkeys(
        ("submit_packet", "update_packet", "assign_packet", "cancel_packet", "evaluate_decision", "evaluate_decisions",
         "authzen_evaluation", "authzen_evaluations"),
        SUBMITTERS,
    ),
    "packet_result": SUBMITTERS,  # and of them only whoever submitted it
    "requeue_packet": {"member", "operator"},
    "review_packet": {"operator", "reviewer"},
    **dict.fromkeys(
        ("activate_policies", "promote_policy", "configure", "erase_payloads", "rotate_key", "revoke_key",
         "list_api_keys", "list_ledgers", "create_ledger", "approve_proposal", "trust_publisher", "rotate_publisher",
         "revoke_publisher"),
        frozenset({"admin"}),
    ),
    **dict.fromkeys(
        ("export_packet", "export_ledger", "list_payloads", "show_payload", "metrics", "policy_document",
         "policy_impact", "policies_in_shadow", "webhooks",
         *(f"tile_{depth}" for depth in range(1, 8))),
        frozenset({"admin", "auditor", "operator"}),
    ),
    **dict.fromkeys(("propose_policies", "reject_proposal"), frozenset({"admin", "operator"})),
    "roll_back_policies": {"admin", "emergency"},
    "stream_events": {"admin", "auditor", "operator", "member", "submitter"},  # a submitter about its own
}  # fmt: skip
"""Written by hand: a route that is not here may not exist."""


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    """Whoever adds a route has to say here who may use it."""
    assert {operation.name for operation in OPERATIONS} == set(RULES)


def _joined(api: Api) -> int:
    """The position of the entry with which m1 joined."""
    found = api.service.reader.entries(EntryFilter(subject="member/m1", limit=1))
    return found[0].row.seq


def _send(api: Api, operation: Operation, **options: Any) -> Any:
    path = operation.path.format(**path_values(packet_id="nothing", seq=str(_joined(api))))
    if operation.name == "list_packets":
        path += "?owner=m1"
    if operation.name == "consistency_proof":
        path += "?from=1"
    if operation.name == "stream_events":
        path += "?member=m1&after=x"  # refused before it would stream for ever
    body = {} if operation.body is not None else None
    return api(operation.method, path, body, **options)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_route_by_route(shared: Api, operation: Operation) -> None:
    """Each scope gets past the door of exactly the routes that its rule names; without a key nobody does."""
    allowed = RULES[operation.name]
    for scope in SCOPES:
        answer = _send(shared, operation, scope=scope)
        kind = scope.partition(":")[0]
        if kind not in allowed:
            problem(answer, 403, "access.forbidden")
        elif scope != "member:m2":  # acts for another member; who may do that is asked below
            # the packet asked for is not there, which a member's key is not told
            is_kept = any(
                said in answer.text
                for said in (
                    "nothing is none of them",
                    "hears only about packets",
                    "names its life",
                    "'operator'",
                    "'member'",
                )
            )
            expected = {403} if kind in {"member", "submitter"} and is_kept else set[int]()
            assert answer.status_code not in {401, 403, 405, 500} - expected, answer.text
            assert "there is nothing at" not in answer.text
    is_open = operation.name in ANYBODY
    for authorization in (
        None,
        "Bearer pfgov_aaaaaaaa_bbbb",
        "Basic b3A6b3A=",
        "Bearer",
        "bearer  ",
        "pfgov_x",
    ):
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = _send(shared, operation, headers=headers)
        if operation.name == "root_checkpoint":
            problem(answer, 404, "root.none")  # open as well, and this server keeps none
        elif is_open:
            assert answer.status_code < 400
        else:
            problem(answer, 401, "http.unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")


OWN = {"member_id": "m1", "incarnation": 1, "epoch": 1}
FOR_ANOTHER: list[tuple[str, str, Any]] = [
    ("POST", "/api/members/register", {"id": "m1", "type": "agent"}),
    ("PATCH", "/api/members/m1", {"region": "eu"}),
    ("POST", "/api/members/m1/heartbeat", {"incarnation": 1}),
    ("POST", "/api/members/m1/drain", {}),
    ("POST", "/api/members/m1/cancel-drain", {}),
    ("POST", "/api/members/m1/retire", {}),
    ("POST", "/api/members/m1/recover", {}),
    ("POST", "/api/members/m1/pressure", {"pressure": 0.5}),
    ("POST", "/api/packets/owned/handoff", {}),
    ("POST", "/api/packets/owned/handoff", OWN),
    ("POST", "/api/packets/owned/abort", OWN),
    ("GET", "/api/packets/owned/result", None),
    ("POST", "/api/packets/owned/accept", {"member_id": "m1", "incarnation": 1, "handoff": 1}),
    ("POST", "/api/packets/owned/abort", {"member_id": "m1"}),
    ("POST", "/api/packets/owned/checkpoint", {**OWN, "context_checkpoint": {"step": "x"}}),
    ("POST", "/api/packets/owned/complete", OWN),
    ("POST", "/api/packets/owned/fail", {**OWN, "reason": "x"}),
    ("POST", "/api/packets/owned/requeue", OWN),
    ("GET", "/api/packets/owned/context", None),
    ("GET", "/api/packets/owned/context?whole=true", None),
    ("GET", "/api/events?member=m1", None),
    ("GET", "/api/events", None),
    ("GET", "/api/members/m1", None),
    ("GET", "/api/members/nobody", None),
    ("GET", "/api/members", None),
    ("GET", "/api/packets", None),
    ("GET", "/api/packets?all=true", None),
    ("GET", "/api/packets?owner=m1", None),
    ("GET", "/api/packets?owner=m1&stuck=true", None),
    ("GET", "/api/packets?stuck=true", None),
    ("GET", "/api/members?owns=true", None),
    ("GET", "/api/packets/owned", None),
    ("HEAD", "/api/packets/owned", None),
    ("GET", "/api/packets/owned/lineage", None),
    ("GET", "/api/packets/owned/lineage?after=1", None),
    ("GET", "/api/packets/owned/export", None),
    ("GET", "/api/decisions", None),
    ("GET", "/api/decisions?member=m2", None),
    ("GET", "/api/decisions/4", None),
    ("POST", "/api/discover", {"packet_id": "owned"}),
    ("POST", "/api/discover", {"packet": {"workload_type": "x"}}),
    ("POST", "/access/v1/search/subject", {
        "subject": {"type": "member"}, "action": {"name": "own"}, "resource": {"type": "packet", "id": "owned"}}),
    ("GET", "/api/ledger/entries", None),
    ("GET", "/api/ledger/entries?subject=member/m2", None),
    ("GET", "/api/ledger/entries/0", None),
    ("GET", "/api/ledger/entries/2", None),
    ("GET", "/api/ledger/proof/2", None),
    ("GET", "/api/ledger/entries?newest=true&before=9&subject=member/m2", None),
    ("GET", "/api/ledger/export", None),
    ("GET", "/api/ledger/export?since=1", None),
    ("GET", f"/api/ledger/payloads/{'0' * 64}", None),
    ("GET", "/api/ledger", None),
    ("GET", "/api/configuration", None),
    ("PATCH", "/api/configuration", {"settings": {"lease_seconds": "9"}}),
    ("POST", "/api/tick", None),
    ("POST", "/api/ledger/index", None),
    ("GET", "/api/policies", None),
    ("GET", "/api/policies/document", None),
    ("GET", "/api/status", None),
    ("GET", "/metrics", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), FOR_ANOTHER, ids=lambda value: str(value)[:40])
def test_a_members_key_acts_only_for_its_member(
    api: Api, method: str, path: str, body: Any
) -> None:
    """The key of m2 can do nothing in the name of m1, and nothing is written."""
    api.member("m1")
    api.packet("owned", context_checkpoint={"step": "start", "note": "private"})
    api.member("m2")
    assert api.claim("owned")["member_id"] == "m1"
    api.keys()
    before = api.engine.status().size
    answer = api(method, path, body, scope="member:m2")
    if method == "HEAD":
        assert answer.status_code == 403
    else:
        problem(answer, 403, "access.forbidden")
    assert api.engine.status().size == before


MINE = {"member_id": "m2", "incarnation": 1, "epoch": 1}
ABOUT_A_PACKET: list[tuple[str, str, Any]] = [
    *((method, path, body) for method, path, body in FOR_ANOTHER if "/owned" in path or "owned" in str(body)),
    ("POST", "/api/packets/owned/accept", {"member_id": "m2", "incarnation": 1, "handoff": 1}),
    ("POST", "/api/packets/owned/abort", {"member_id": "m2"}),
    ("POST", "/api/packets/owned/handoff", {"target": "m2"}),
    ("POST", "/api/packets/owned/handoff", {"target": "nobody"}),
    ("POST", "/api/packets/owned/checkpoint", {**MINE, "context_checkpoint": {"step": "x"}}),
    *(("POST", f"/api/packets/owned/{verb}", {**MINE, "epoch": epoch, "incarnation": life, **more})
      for verb, more in (("complete", {}), ("fail", {"reason": "x"}), ("requeue", {}), ("requeue", {"reason": "x"}))
      for epoch, life in ((1, 1), (1, 2), (2, 1), (9, 1))),
    ("POST", "/api/packets/owned/requeue", {}),
    ("POST", "/api/packets/owned/reviews", {"decision": "granted", "version": 1}),
    ("POST", "/api/packets/owned/cancel", {}),
    ("POST", "/api/packets/owned/assign", {"target": "m2"}),
    ("PATCH", "/api/packets/owned", {"priority": 3}),
    ("GET", "/api/packets/owned/payloads", None),
    ("GET", "/api/packets/owned/lineage?after=900", None),
    ("POST", "/api/decisions", {"packet_id": "owned", "member_id": "m2"}),
    ("GET", "/api/decisions?packet=owned", None),
    ("GET", "/api/ledger/entries?subject=packet/owned", None),
    ("GET", "/api/ledger/export?subject=packet/owned", None),
    ("POST", "/api/packets", {"packet_id": "owned", "workload_type": "x"}),
    ("POST", "/access/v1/evaluation", {
        "subject": {"type": "member", "id": "m2"}, "action": {"name": "own"},
        "resource": {"type": "packet", "id": "owned"}}),
    ("POST", "/api/members/m2/heartbeat", {"incarnation": 1, "owns": [{"packet_id": "owned", "epoch": 1}]}),
]  # fmt: skip


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with a packet of m1's that is under way, and one that has ended; m2 never had either."""
    with Api(tmp_path_factory.mktemp("strangers")) as found:
        found.member("m1")
        for name in ("owned", "ended"):
            found.packet(name, context_checkpoint={"step": "start", "note": "private"})
        done = found.post("/api/packets/ended/complete", found.claim("ended"))
        assert done.status_code == 200
        found.member("m2")
        found.keys()
        yield found


@pytest.mark.parametrize("key", ["", "once"])
@pytest.mark.parametrize("name", ["owned", "ended"])
def test_a_members_key_does_not_learn_whether_a_packet_exists(
    strangers: Api, name: str, key: str
) -> None:
    """By every route and verb another's packet is answered as one that there is not; nothing is recorded."""
    api, size = strangers, strangers.engine.status().size
    for number, (method, path, body) in enumerate(ABOUT_A_PACKET):
        said: list[tuple[int, str, dict[str, str]]] = []
        for packet in (name, "never"):
            sent = json.dumps(body).replace("owned", packet).encode() if body is not None else None
            headers = {"X-Request-Id": "r"}
            if key and method != "GET":
                headers["Idempotency-Key"] = f"{key}-{name}-{number}"
            answer = api(
                method,
                path.replace("owned", packet),
                content=sent,
                scope="member:m2",
                headers=headers,
            )
            plain = answer.text.replace(packet, "PACKET")
            if path.endswith("/heartbeat"):
                plain = json.dumps(answer.json()["lost"]).replace(packet, "PACKET")
            kept = {k: v for k, v in answer.headers.items() if k not in {"etag", "content-length"}}
            said.append((answer.status_code, plain, kept))
        assert said[0] == said[1], (method, path, body)
    assert api.engine.status().size == size


def test_a_members_key_is_not_told_who_else_there_is(strangers: Api) -> None:
    """A mistyped member is not answered with the name of another one."""
    _, key = strangers.keyring.create(("member:m11",), now=1)
    body = {**MINE, "member_id": "m11"}
    answer = strangers.post(
        "/api/packets/owned/complete", body, headers={"Authorization": f"Bearer {key}"}
    )
    assert "m1?" not in answer.text
    problem(answer, 404, "member.not_found")


def test_a_members_key_reads_what_concerns_its_member(api: Api) -> None:
    """Its record, the packets it owns or is offered, who could take them, and the entries and proofs about itself."""
    for member in ("m1", "m2"):
        api.member(member, handoff_mode="accept")
    api.packet("p1", context_checkpoint={"step": "a"})
    api.keys()
    owner = api.claim("p1")["member_id"]
    other = "m2" if owner == "m1" else "m1"
    mine, theirs = f"member:{owner}", f"member:{other}"
    assert api.get(f"/api/members/{owner}", scope=mine).json()["id"] == owner
    listed = api.get(f"/api/packets?owner={owner}", scope=mine).json()["items"]
    assert [one["packet_id"] for one in listed] == ["p1"]
    lineage = api.get("/api/packets/p1/lineage", scope=mine).json()["items"]
    assert [one["type"] for one in lineage] == ["packet_created", "assignment_decision"]
    entry = api.get(f"/api/ledger/entries/{lineage[1]['seq']}", scope=mine)
    assert entry.json()["shown"]["subject"] == "packet/p1"
    assert api.get(f"/api/ledger/proof/{lineage[1]['seq']}", scope=mine).status_code == 200
    told = api.post("/api/discover", {"packet_id": "p1"}, scope=mine).json()
    assert [one["member_id"] for one in told["members"]] == [other]
    assert (told["eligible"], told["nearest_miss"]) == ([other], None)
    problem(api.get("/api/packets/p1", scope=theirs), 403, "access.forbidden")
    unnamed = api.post("/api/packets/p1/handoff", {"target": other}, scope=mine)
    problem(unnamed, 403, "ownership.unnamed")
    put_back = api.post("/api/packets/p1/requeue", scope="member:m1")
    problem(put_back, 403, "ownership.unnamed")
    named = {"member_id": mine.removeprefix("member:"), "incarnation": 1, "epoch": 1}
    late = {**named, "epoch": 0, "target": other}
    problem(api.post("/api/packets/p1/handoff", late, scope=mine), 409, "ownership.stale_epoch")
    started = api.post("/api/packets/p1/handoff", {**named, "target": other}, scope=mine)
    assert started.json()["result"]["target"] == other
    pending = api.get("/api/packets/p1", scope=theirs).json()["handoff"]["pending"]
    assert pending["target"] == other, "it is offered"
    body = {
        "member_id": other,
        "incarnation": 1,
        "handoff": pending["position"],
        "view": pending["view"],
    }
    done = api.post("/api/packets/p1/accept", body, scope=theirs)
    assert done.status_code == 200, done.text
    problem(api.get("/api/packets/p1", scope=mine), 403, "access.forbidden")
    problem(api.get("/api/packets/p1/context", scope=mine), 403, "access.forbidden")


@pytest.mark.parametrize("path", ["pressure", "heartbeat"])
def test_what_follows_is_told_only_as_far_as_it_concerns_the_member(api: Api, path: str) -> None:
    """With ``follow`` a member's key is not told what the engine did about others meanwhile; an operator's is."""
    body = {"incarnation": 1} if path == "heartbeat" else {"pressure": 0.5}
    api.member("m2", lease_seconds=86_400)
    seen: dict[str, set[str]] = {}
    for scope in ("member:m2", "operator"):
        gone = f"gone-{scope[:6]}"
        api.member(gone, lease_seconds=10)
        api.keys()
        api.clock.advance(60_000_000)
        told = api.post(f"/api/members/m2/{path}?follow=true", body, scope=scope).json()
        seen[scope] = {one["subject"] for one in told["as_a_result"]}
        assert "settled" not in told
        shown = api.get(f"/api/ledger/entries?subject=member/{gone}", scope="auditor").json()
        assert shown["items"][-1]["type"] == "member_failed"
    assert "member/gone-operat" in seen["operator"]
    assert seen["member:m2"] <= {"member/m2"}


def test_a_packet_that_comes_to_a_member_is_told_to_it(api: Api) -> None:
    """What follows from a member's own drain is told where it concerns the member: its packet goes, and it retires."""
    api.member("m1")
    api.packet("p1")
    api.member("m2")
    api.packet("p2", hold=True)
    told = api.post("/api/members/m1/drain?follow=true", scope="member:m1").json()
    assert [one["type"] for one in told["recorded"]] == ["member_draining"]
    types = [one["type"] for one in told["as_a_result"]]
    assert "handoff_started" in types
    assert types[-1] == "member_retired"
    assert {one["subject"] for one in told["as_a_result"]} <= {"packet/p1", "member/m1"}


def test_a_key_with_another_scope_reads_everything(api: Api) -> None:
    """A member that is also a reviewer is not confined to itself."""
    api.member("m1")
    api.keys()
    _, key = api.keyring.create(("member:m2", "reviewer"), now=1)
    answer = api.get("/api/members", headers={"Authorization": f"Bearer {key}"})
    assert [one["id"] for one in answer.json()["items"]] == ["m1"]


def test_a_members_key_does_its_members_work(api: Api) -> None:
    """The key of m1 is enough for m1's whole working life."""
    api.keys()
    body = {"id": "m1", "type": "agent", "capabilities": ["ocr"]}
    assert api.post("/api/members/register", body, scope="member:m1").status_code == 201
    context = {"step": "start", "note": "mine"}
    api.packet("p1", context_checkpoint=context)
    assert api.get("/api/packets/p1", scope="member:m1").json()["current_owner"] == "m1"
    assert (
        api.post("/api/members/m1/heartbeat", {"incarnation": 1}, scope="member:m1").status_code
        == 200
    )
    assert api.get("/api/packets/p1/context", scope="member:m1").json()["context"] == context
    done = api.post("/api/packets/p1/complete", api.claim("p1"), scope="member:m1")
    assert done.status_code == 200
    assert done.json()["events"][0]["type"] == "packet_completed"


def test_a_refused_write_brings_a_member_no_entry_about_others(api: Api) -> None:
    """The entry of a late write names the epoch under which another has the packet: the late one gets neither."""
    api.member("m1")
    api.packet("p1")
    claim = api.claim("p1")
    api.member("m2")
    api.keys()
    api.post("/api/packets/p1/requeue", {"reason": "x"}, scope="operator")
    api.post("/api/packets/p1/assign", {"target": "m2"}, scope="operator")
    for scope, has_receipt in (("member:m1", False), ("operator", True)):
        late = api.post(
            "/api/packets/p1/complete",
            {**claim, "epoch": claim["epoch"] + has_receipt},
            scope=scope,
        )
        found = problem(late, 409)
        assert ("receipt" in found) == has_receipt
        assert ("m2" in late.text) == has_receipt
    seq = next(
        one.row.seq for one in api.engine.reader.entries() if one.row.type == "write_refused"
    )
    problem(api.get(f"/api/ledger/entries/{seq}", scope="member:m1"), 403)
    problem(api.get(f"/api/ledger/proof/{seq}", scope="member:m1"), 403)
