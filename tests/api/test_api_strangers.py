"""What a member's key is told of a packet that is another's: what it would be told if there were none.

Every operation about a packet is asked with conditions and keys that a caller may add; which words a refusal has is not
known here.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.api_server import Api, path_values, problem

from pfgov_api.routes import OPERATIONS

NOBODYS, OWNED, WAITING = "nobodys", "p1", "p2"
"""A packet that there is not, one that another member owns, one that nobody may own."""

ABOUT_A_PACKET = [one for one in OPERATIONS if "packet_id" in one.path_parameters]

BODIES: list[dict[str, Any]] = [
    {},
    {"member_id": "m1", "incarnation": 1, "epoch": 1},
    {"member_id": "m1", "incarnation": 1, "epoch": 2},
    {"member_id": "m1", "incarnation": 1, "handoff": 3},
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A member ``m1`` that owns nothing, beside one that owns a packet."""
    with Api(tmp_path_factory.mktemp("strangers")) as api:
        api.keys()
        api.member("m2")
        api.packet(OWNED)
        api.packet(WAITING, required_capabilities=["nothing>=9"])
        api.member("m1")
        yield api


def _said(told: Api, method: str, path: str, body: Any, headers: dict[str, str], name: str) -> Any:
    answer = told(method, path, body, scope="member:m1", headers=headers)
    text = re.sub(r"urn:request:[^\"]*", "", answer.text).replace(name, "NAME")
    return answer.status_code, text


@pytest.mark.parametrize("operation", ABOUT_A_PACKET, ids=lambda one: one.name)
def test_a_stranger_is_told_the_same_of_what_is_there_and_what_is_not(
    told: Api, operation: Any
) -> None:
    """A condition or a key that comes with a write tells whose a packet is, or that there is one."""
    size = told.engine.status().size
    shown = told.get(f"/api/packets/{OWNED}", scope="operator").headers["etag"]
    conditions = ["*", shown, '"x"'] if operation.writes else []
    for body in BODIES if operation.body is not None else [None]:
        for headers in ({}, {"If-None-Match": "*"}, *({"If-Match": one} for one in conditions)):
            said = {
                name: _said(
                    told,
                    operation.method,
                    operation.path.format(**path_values(packet_id=name)),
                    body,
                    headers,
                    name,
                )
                for name in (NOBODYS, OWNED, WAITING)
            }
            assert len(set(said.values())) == 1, (headers, json.dumps(body), said)
    assert told.engine.status().size == size


def test_a_condition_on_another_member_never_holds(told: Api) -> None:
    """By conditions a member's key learns how another member stands, or that there is one."""
    shown = told.get("/api/members/m2", scope="operator").headers["etag"]
    for name in ("m2", NOBODYS):
        for header in ("*", shown):
            answer = told.post(
                f"/api/members/{name}/retire", {}, scope="member:m1", headers={"If-Match": header}
            )
            problem(answer, 412, "http.precondition")
    own = told.get("/api/members/m1", scope="member:m1").headers["etag"]
    drained = told.post("/api/members/m1/drain", {}, scope="member:m1", headers={"If-Match": own})
    assert drained.is_success, drained.text
