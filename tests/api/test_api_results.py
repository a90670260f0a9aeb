"""What came of a packet: whoever submitted it reads it, nobody else does, and it verifies."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.limits import CONTEXT_BYTES_MAX

RESULT = {"refund": "granted", "amount": 12, "nested": {"z": [1, None], "a": "é"}}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """An API with keys, a member and a packet that a submitter submitted."""
    with Api(tmp_path) as found:
        found.member("m1")
        found.keys()
        body = {"packet_id": "p1", "workload_type": "scan"}
        found.post("/api/packets", body, scope="submitter")
        yield found


def _complete(api: Api, **more: Any) -> Any:
    return api.post("/api/packets/p1/complete", {**api.claim(), **more}, scope="member:m1")


def test_api_a_result_is_read_by_whoever_submitted(api: Api) -> None:
    """A result cannot be read back, or its text is in an entry."""
    problem(api.get("/api/packets/p1/result", scope="submitter"), 404, "result.not_found")
    done = _complete(api, result=RESULT)
    assert done.status_code == 200, done.text
    shown = api.get("/api/packets/p1", scope="submitter").json()
    found = api.get("/api/packets/p1/result", scope="submitter").json()
    assert found == {"commitment": shown["result"]["commitment"], "result": RESULT}
    lineage = api.get("/api/packets/p1/lineage", scope="auditor").text
    assert "granted" not in lineage
    assert found["commitment"] in lineage


@pytest.mark.parametrize(
    "scope", ["operator", "admin", "auditor", "reviewer", "assessor", "member:m1", "member:m2"]
)
def test_api_nobody_else_reads_a_result(api: Api, scope: str) -> None:
    """A result is read by whoever asks for it."""
    _complete(api, result=RESULT)
    answer = api.get("/api/packets/p1/result", scope=scope)
    assert answer.status_code == 403
    assert "granted" not in answer.text


def test_api_a_result_is_bounded_and_may_be_missing(api: Api) -> None:
    """Anything at all is taken as a result, or a packet cannot end without one."""
    for bad in ([1], "x", 1):
        assert _complete(api, result=bad).status_code == 400, bad
    large = {"x": "y" * CONTEXT_BYTES_MAX}
    assert _complete(api, result=large).status_code in {400, 413}
    assert _complete(api).status_code == 200
    assert api.get("/api/packets/p1", scope="submitter").json()["result"] is None
    problem(api.get("/api/packets/p1/result", scope="submitter"), 404, "result.not_found")


def test_api_an_erased_result_is_gone(api: Api) -> None:
    """Personal data in a result stays when it is erased."""
    _complete(api, result=RESULT)
    body = {"packet_id": "p1", "why": "retention"}
    erased = api.post("/api/ledger/erasures", body, scope="admin")
    assert erased.status_code == 200, erased.text
    problem(api.get("/api/packets/p1/result", scope="submitter"), 404, "result.erased")


def test_api_whoever_waits_hears_of_the_end(api: Api) -> None:
    """An answer is held back although the packet has ended, or given although it has not."""
    shown = api.get("/api/packets/p1?wait=1", scope="submitter").json()
    assert shown["status"] == "ASSIGNED"
    _complete(api, result=RESULT)
    assert api.get("/api/packets/p1?wait=60", scope="submitter").json()["status"] == "COMPLETED"
    assert json.loads(api.get("/api/packets/p1?wait=61", scope="submitter").text)["status"] == 400
