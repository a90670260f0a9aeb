"""Schemas of answers are complete and true: random histories, every operation, every answer held to the document."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from support import api_schemas
from support.api_server import Api, path_values
from support.ledgers import START

from pfgov_api.routes import OPERATIONS, document

CONTEXTS: tuple[Any, ...] = ({}, {"step": "one", "a": [1, None, {"b": "\u00e9"}]}, {"step": "two"})
NOT_MET = {
    "Context",
    "ErasedPayloads",
    "Impact",
    "KeyChanged",
    "LedgerList",
    "LedgerMade",
    "Result",
    "Witnesses",
    "ShadowList",
    "Stream",
    "Text",
}
"""Answers that a history may not come to: others' tests do."""


def _step(api: Api, draw: random.Random) -> None:
    packet, member = f"p{draw.randrange(6)}", f"m{draw.randrange(4)}"
    claim = api.get(f"/api/packets/{packet}").json()
    owner = {
        "member_id": claim.get("current_owner") or member,
        "incarnation": claim.get("incarnation") or 1,
        "epoch": claim.get("epoch", 0),
    }
    follow = draw.choice(("", "?follow=true", "?receipt=proof"))
    acts: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/api/members/register", {"id": member, "type": "agent", "capabilities": ["ocr"], "trust_score": 0.9,
         "region": draw.choice(("us", "eu/west")), "lease_seconds": 60, "labels": {"team": "a"},
         "handoff_mode": draw.choice(("auto", "accept")), "clearances": ["pii"], "cpu_capacity": 2.5}),
        ("POST", "/api/packets", {"packet_id": packet, "workload_type": "scan", "hold": draw.random() < 0.2,
         "required_capabilities": draw.choice(([], ["ocr"], ["flying"])),
         "data_classes": draw.choice(([], ["pii.email"])),
         "policy_constraints": {"pii_review_required": draw.random() < 0.3, "minimum_trust_score": 0.5},
         "context_checkpoint": draw.choice(CONTEXTS), "deadline": "2029-12-31T00:00:00Z", "demand": {"cpu": 0.5},
         "current_owner": "somebody", "previous_owners": ["x"]}),
        ("POST", f"/api/packets/{packet}/assign{follow}", {}),
        ("POST", f"/api/packets/{packet}/handoff{follow}", draw.choice(({}, {"target": member}))),
        ("POST", f"/api/packets/{packet}/accept", {**owner, "member_id": member, "handoff": 1}),
        ("POST", f"/api/packets/{packet}/abort", {}),
        ("POST", f"/api/packets/{packet}/checkpoint", {**owner, "context_checkpoint": draw.choice(CONTEXTS)}),
        ("POST", f"/api/packets/{packet}/complete{follow}", owner),
        ("POST", f"/api/packets/{packet}/requeue", {}),
        ("POST", f"/api/packets/{packet}/cancel", {}),
        ("POST", f"/api/packets/{packet}/reviews", {"granted": True}),
        ("PATCH", f"/api/packets/{packet}", {"priority": draw.randrange(90), "labels": {"a": "b"}}),
        ("PATCH", f"/api/members/{member}", {"region": "us", "discovered": [{"name": "late", "version": "1.2"}]}),
        ("POST", f"/api/members/{member}/heartbeat{draw.choice(('', '?follow=true'))}",
         {"incarnation": 1, "owns": [{"packet_id": packet, "epoch": 1}]}),
        ("POST", f"/api/members/{member}/trust", {"score": 0.7}),
        ("POST", f"/api/members/{member}/pressure", {"pressure": draw.random()}),
        ("POST", f"/api/members/{member}/drain", {}),
        ("POST", f"/api/members/{member}/quarantine", {}),
        ("POST", f"/api/members/{member}/release", {}),
        ("POST", f"/api/members/{member}/fail", {}),
        ("POST", f"/api/members/{member}/recover", {}),
        ("POST", "/api/decisions", {"packet_id": packet, "member_id": member}),
        ("POST", "/api/decisions/batch", {"decisions": [{"packet_id": packet, "member_id": member}] * 2}),
        ("POST", "/api/decisions?dry_run=true", {"packet_id": packet, "member_id": member}),
        ("POST", "/api/discover", draw.choice(({"packet_id": packet}, {"packet": {"workload_type": "scan"}}))),
        ("POST", "/api/tick", {}),
    )  # fmt: skip
    api(*draw.choice(acts))
    api.clock.advance(draw.choice((0, 1_000_000, 20_000_000)))


def _read_everything(api: Api) -> None:
    size = api.engine.status().size
    for operation in OPERATIONS:
        if operation.method != "GET" or operation.answer == "Stream":
            continue
        for number in range(6 if operation.path_parameters else 1):
            values = path_values(
                member_id=f"m{number}", packet_id=f"p{number}", seq=str(number * size // 6)
            )
            query = "?from=1" if operation.name == "consistency_proof" else ""
            query = "?all=true" if operation.name == "list_packets" else query
            query = "?q=p" if operation.name == "search" else query
            answer = api.get(operation.path.format(**values) + query)
            if operation.media_type == "application/json" and answer.status_code == 200:
                assert not list(_raw_moments(answer.json())), operation.path


def _raw_moments(value: Any) -> Iterator[str]:
    """Yield the names under which a moment is a number of microseconds; what an entry holds is shown as it is."""
    if isinstance(value, list):
        for one in value:
            yield from _raw_moments(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            is_moment = isinstance(one, int) and abs(one - START) < 10**14
            if is_moment and name not in {"score", "runner_up_score", "maximum"}:
                yield name
            elif name not in {"body", "command", "entry"}:
                yield from _raw_moments(one)


@pytest.mark.parametrize("seed", [1])
def test_every_answer_of_a_history_is_described(api: Api, seed: int) -> None:
    """Whatever happened: an answer with a field that is not described, or without one that is, fails here."""
    draw = random.Random(seed)
    for _ in range(120):
        _step(api, draw)
    api.member("m9")
    asked = {"incarnation": 1, "asks_why": True}
    assert api.post("/api/members/m9/heartbeat", asked).json().keys() >= {"idle"}
    ask = {
        "subject": {"type": "member", "id": "m1"},
        "action": {"name": "own"},
        "resource": {"type": "packet", "id": "p1"},
    }
    for what in ("evaluation", "evaluations", "search/subject", "search/resource", "search/action"):
        assert api.post(f"/access/v1/{what}", {**ask, "page": {"limit": 1}}).status_code == 200
    packet = {"workload_type": "x"}
    members = [{"id": "m", "type": "agent"}]
    assert (
        api.post("/api/policies/evaluate", {"packet": packet, "members": members}).status_code
        == 200
    )
    head = "apiVersion: pfgov/v1\nkind: "
    people = (
        f"{head}Fixtures\npackets: {{p: {{workload_type: w}}}}\nmembers: {{m: {{type: agent}}}}\n"
    )
    cases = "cases: [{name: one, packet: p, members: [m], expect: {m: allow}}]\n"
    tests = {"f.yaml": people, "k.test.yaml": f"{head}PolicyTest\npolicy: kernel\n{cases}"}
    answer = api.post("/api/policies/test", {"tests": tests})
    assert answer.status_code == 200, answer.text
    assert api.post("/api/ledger/index").status_code == 200
    _read_everything(api)
    wanted = {one.answer for one in OPERATIONS if one.media_type == "application/json"}
    assert wanted - api_schemas.seen - NOT_MET == set()


def test_no_answer_is_any_object() -> None:
    """Every object that is answered says what is in it; what is free says why."""
    schemas = document()["components"]["schemas"]
    free: set[str] = set()

    def walk(schema: Any, where: str) -> None:
        if isinstance(schema, list):
            for one in schema:
                walk(one, where)
        elif isinstance(schema, dict):
            kinds = schema.get("type")
            if "object" in (kinds if isinstance(kinds, list) else [kinds]):
                more = schema.get("additionalProperties")
                if "properties" not in schema and (more is None or more is True):
                    free.add(where)
            for name, value in schema.items():
                walk(
                    value,
                    f"{where}.{name}" if name not in {"properties", "items", "anyOf"} else where,
                )

    for name in ("Packet", "Member", "Recorded", "EntryShown", "Discovered", "DecisionAnswer", "PacketAudit",
                 "AuditLine", "Status", "Ledger", "PolicySet", "VerdictRow", "HandoffView"):  # fmt: skip
        walk(schemas[name], name)
    assert free == {"EntryShown.body", "AuditLine.details"}
    assert len(schemas["Packet"]["properties"]) == len(schemas["Packet"]["required"]) > 25
