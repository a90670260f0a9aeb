"""OpenID's certification scenario for AuthZEN 1.0, item by item, ported to members and packets (``scenario.json``)."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api

SCENARIO: dict[str, Any] = json.loads(Path(__file__).with_name("scenario.json").read_text())
POLICY = """
apiVersion: pfgov/v1
kind: Policy
metadata: {name: fixture, version: "1"}
on: [register, place, retain, update_member, submit]
rules:
  - id: known
    on: [register, assign, accept, retain]
    require: member.id != ""
  - id: write
    on: [handoff]
    require: >-
      packet.workload_type == "archived" ? member.clearances.exists(c, c == "admin") : member.id != "bob"
  - id: no-hard-delete
    on: [accept]
    deny: packet.workload_type == "active"
"""


@pytest.fixture(scope="module")
def pdp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The scenario's fixture: two subjects, two resources, eight decisions."""
    with Api(tmp_path_factory.mktemp("authzen"), public_url="https://pdp.example") as api:
        answer = api.post("/api/policies/activate", {"files": {"fixture.policy.yaml": POLICY}})
        assert answer.status_code == 200, answer.text
        api.member("alice")
        api.member("bob", clearances=["admin"])
        api.packet("record-1", workload_type="active", hold=True)
        api.packet("record-2", workload_type="archived", hold=True)
        yield api


def _sent(pdp: Api, case: dict[str, Any]) -> Any:
    headers = {"Content-Type": case.get("content_type", "application/json")}
    if "request_id" in case:
        headers["X-Request-ID"] = case["request_id"]
    send = case["send"]
    content = (send if isinstance(send, str) else json.dumps(send)).encode()
    return pdp("POST", f"/access/v1/{case['to']}", content=content, headers=headers)


@pytest.mark.parametrize("case", SCENARIO["cases"], ids=lambda case: case["item"])
def test_an_item_of_the_scenario_holds(pdp: Api, case: dict[str, Any]) -> None:
    """Status, structure, order, and the decisions that the fixture mandates; the request's id comes back as sent."""
    for _ in range(case.get("times", 1)):
        answer = _sent(pdp, case)
        assert answer.status_code == case.get("status", 200), answer.text
        assert answer.headers["x-request-id"] == case.get(
            "request_id", answer.headers["x-request-id"]
        )
        if "status" in case:
            continue
        assert answer.headers["content-type"] == "application/json"
        _holds(pdp, case, answer.json())


def _holds(pdp: Api, case: dict[str, Any], body: dict[str, Any]) -> None:
    if "decision" in case:
        assert body["decision"] is case["decision"]
        assert isinstance(body.get("context", {}), dict)
    elif "decisions" in case:
        assert [one["decision"] for one in body["evaluations"]] == case["decisions"]
        assert "decision" not in body
    elif case.get("paged"):
        _pages(pdp, case, body)
    else:
        assert _among(case["results"], body["results"])
        if case.get("exactly"):
            assert len(body["results"]) == len(case["results"])
        assert body.get("page", {"next_token": ""})["next_token"] == ""


def _among(wanted: list[dict[str, Any]], found: list[dict[str, Any]]) -> bool:
    return all({k: v for k, v in one.items() if k != "properties"} in found for one in wanted)


def _pages(pdp: Api, case: dict[str, Any], body: dict[str, Any]) -> None:
    """Following the tokens gives what one answer gives, once each, and the last token is empty."""
    whole = dict(case, send={k: v for k, v in case["send"].items() if k != "page"})
    everything = _sent(pdp, whole).json()["results"]
    limit = case["send"]["page"]["limit"]
    found: list[dict[str, Any]] = []
    for _ in range(10):
        assert next(iter(body)) == "page"
        assert len(body["results"]) <= limit
        assert body["page"]["count"] == len(body["results"])
        found += body["results"]
        token = body["page"]["next_token"]
        assert isinstance(token, str)
        if not token:
            break
        page = {"limit": limit, "token": token}
        body = _sent(pdp, dict(case, send={**case["send"], "page": page})).json()
    assert found == everything
    assert len(everything) > limit
    other = {
        **case["send"],
        "resource": {"type": "packet", "id": "record-9"},
        "page": {"token": "x"},
    }
    assert _sent(pdp, dict(case, send=other)).status_code == 400


def test_a_token_belongs_to_its_question(pdp: Api) -> None:
    """A token of one search is refused by another, and so is what is none."""
    ask = {
        "subject": {"type": "member"},
        "action": {"name": "assign"},
        "resource": {"type": "packet", "id": "record-1"},
    }
    first = pdp.post("/access/v1/search/subject", {**ask, "page": {"limit": 1}}).json()
    token = first["page"]["next_token"]
    assert token
    for changed, sent in (
        ({"resource": {"type": "packet", "id": "record-2"}}, token),
        ({"action": {"name": "own"}}, token),
        ({}, "bm9uc2Vuc2U"),
        ({}, "\u00e9\u00e9"),
        ({}, token[2:]),
    ):
        answer = pdp.post("/access/v1/search/subject", {**ask, **changed, "page": {"token": sent}})
        assert answer.status_code == 400, sent
        assert answer.json()["errors"][0]["pointer"] == "/page/token"
    for limit in (0, -1, "1", 1.5):
        assert (
            pdp.post("/access/v1/search/subject", {**ask, "page": {"limit": limit}}).status_code
            == 400
        )


def test_discovery(pdp: Api) -> None:
    """Item 6: the well-known document names HTTPS endpoints under the base URL, and each of them is there."""
    answer = pdp.get("/.well-known/authzen-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["policy_decision_point"] == "https://pdp.example"
    for name, url in told.items():
        assert url.startswith("https://pdp.example"), name
        if name.endswith("_endpoint"):
            path = url.removeprefix("https://pdp.example")
            assert "POST" in pdp("OPTIONS", path).headers["allow"]
    assert len(told) == 6


def test_every_level_is_ported() -> None:
    """No level of the scenario is left out, and no item stands twice."""
    items = [case["item"] for case in SCENARIO["cases"]]
    assert len(set(items)) == len(items)
    levels = Counter(case["level"] for case in SCENARIO["cases"])
    assert set(levels) == {
        f"{level} {part}"
        for level in ("Basic", "Batch", "Search")
        for part in ("Core", "Properties")
    }


def test_a_members_key_searches_for_its_own(tmp_path: Path) -> None:
    """It finds packets that it may read, and nothing about other members."""
    with Api(tmp_path) as api:
        api.keys()
        api.member("m1")
        api.packet("p1")
        api.member("m2")
        api.packet("p2", hold=True)
        ask = {"action": {"name": "retain"}, "resource": {"type": "packet"}}
        me = {**ask, "subject": {"type": "member", "id": "m1"}}
        answer = api.post("/access/v1/search/resource", me, scope="member:m1")
        assert answer.json() == {"results": [{"type": "packet", "id": "p1"}]}
        other = {**ask, "subject": {"type": "member", "id": "m2"}}
        for path, body in (
            ("resource", other),
            ("action", {**other, "resource": {"type": "packet", "id": "p1"}}),
            ("action", {**me, "resource": {"type": "packet", "id": "p2"}}),
        ):
            answer = api.post(f"/access/v1/search/{path}", body, scope="member:m1")
            assert answer.status_code == 403, path
