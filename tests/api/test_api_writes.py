"""What goes into the ledger: receipts, idempotency, request ids."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.core import commands as c

SEED = Path(__file__).parents[1] / "data" / "seed"


def _verify(api: Api, text: str, folder: Path, name: str = "answer.json") -> tuple[int, str]:
    path = folder / name
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pfgov_ledger", str(path), "--key", str(api.directory / "anchor.txt")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def _seed_body() -> bytes:
    text = (SEED / "register-member.sh").read_text()
    return text[text.index("'{") + 1 : text.rindex("'")].encode()


def test_the_specifications_registration_has_a_receipt_that_verifies(
    api: Api, tmp_path: Path
) -> None:
    """The answer, saved as it came, is accepted by the verifier against the anchor alone."""
    answer = api.post("/api/members/register", content=_seed_body())
    assert answer.status_code == 201
    assert answer.json()["result"] == {"member_id": "agent-planner-01", "incarnation": 1}
    status, said = _verify(api, answer.text, tmp_path)
    assert status == 0, said


def test_the_specifications_packet_is_accepted_and_its_receipt_verifies(
    api: Api, tmp_path: Path
) -> None:
    """With a proof the receipt verifies alone; without one the verifier says what is missing."""
    raw = (SEED / "packet.json").read_bytes()
    answer = api.post("/api/packets?receipt=proof", content=raw)
    assert answer.status_code == 201, answer.text
    assert _verify(api, answer.text, tmp_path)[0] == 0
    plain = api.packet("another")
    status, said = _verify(api, api.post("/api/packets/another/cancel").text, tmp_path)
    assert "proof" not in plain["receipt"]
    assert status == 4
    assert "without a proof" in said


def test_an_index_and_each_of_several_decisions_have_a_receipt_that_verifies(
    api: Api, tmp_path: Path
) -> None:
    """With its proof, if asked for; where nothing is new the receipt is that of the index which is there."""
    api.member("m1")
    api.packet("p1", hold=True)
    asked = {"packet_id": "p1", "member_id": "m1"}
    many = api.post("/api/decisions/batch?receipt=proof", {"decisions": [asked, asked]}).json()
    first = api.post("/api/ledger/index?receipt=proof")
    again = api.post("/api/ledger/index?receipt=proof")
    assert first.json()["receipt"]["entry"] == again.json()["receipt"]["entry"]
    assert first.json()["position"] == first.json()["receipt"]["position"]
    assert [one["type"] for one in first.json()["events"]] == ["index_committed"]
    for answer in (*many["decisions"], first.json(), again.json()):
        status, said = _verify(api, json.dumps(answer), tmp_path)
        assert status == 0, said
    assert "proof" not in api.post("/api/ledger/index").json()["receipt"]


def test_a_receipt_that_was_altered_is_not_accepted(api: Api, tmp_path: Path) -> None:
    """Another member's receipt under this one's proof, or a changed entry, fails."""
    one = api.post("/api/members/register?receipt=proof", {"id": "a", "type": "agent"}).json()
    two = api.post("/api/members/register?receipt=proof", {"id": "b", "type": "agent"}).json()
    one["receipt"]["entry"] = two["receipt"]["entry"]
    assert _verify(api, json.dumps(one), tmp_path)[0] == 1


@pytest.mark.parametrize("damage", ["zeros", "removed"])
def test_a_receipt_without_its_issuers_signature_is_not_accepted(
    api: Api, tmp_path: Path, damage: str
) -> None:
    """The issuer's key comes with the proof, after a rotation, too, and its signature is held against it."""
    assert api.post("/api/ledger/keys/rotations", {"role": "issuer"}).status_code == 200
    one = api.post("/api/members/register?receipt=proof", {"id": "a", "type": "agent"}).json()
    status, said = _verify(api, json.dumps(one, sort_keys=True, indent=2), tmp_path)
    assert status == 0, said
    if damage == "zeros":
        one["receipt"]["signature"] = "A" * 86 + "=="
    else:
        del one["receipt"]["signature"]
    assert _verify(api, json.dumps(one), tmp_path)[0] == 1


def test_a_recorded_refusal_has_a_receipt_too(api: Api, tmp_path: Path) -> None:
    """What was denied and recorded is a problem with the receipt of the denial."""
    api.member("m1")
    api.packet("p1")
    stale = {**api.claim("p1"), "epoch": 0}
    answer = api.post("/api/packets/p1/complete", stale)
    found = problem(answer, 409, "ownership.stale_epoch")
    position = found["receipt"]["position"]
    shown = api.get(f"/api/ledger/entries/{position}").json()
    assert shown["shown"]["type"] == "write_refused"
    assert shown["entry"] == found["receipt"]["entry"]


def _writes(api: Api) -> list[tuple[str, str, Any, Any]]:
    api.member("m1", handoff_mode="accept")
    api.packet("p1", context_checkpoint={"step": "one"})
    owner = api.claim("p1")
    question = {"action": {"name": "own"}, "resource": {"type": "packet", "id": "p1"}}
    return [
        ("POST", "/api/members/register", {"id": "m2", "type": "agent"}, {"id": "m3", "type": "agent"}),
        ("PATCH", "/api/members/m1", {"labels": {"a": "1"}}, {"labels": {"a": "2"}}),
        ("POST", "/api/members/m1/trust", {"score": 0.5}, {"score": 0.6}),
        ("POST", "/api/packets", {"workload_type": "x", "context_checkpoint": {"step": "s"}}, {"workload_type": "y"}),
        ("POST", "/api/decisions", {"packet_id": "p1", "member_id": "m1"}, {"packet_id": "p1", "member_id": "m2"}),
        ("POST", "/api/decisions/batch", {"decisions": [{"packet_id": "p1", "member_id": "m1"}] * 2},
         {"decisions": [{"packet_id": "p1", "member_id": "m2"}]}),
        ("POST", "/api/packets/p1/checkpoint", {**owner, "context_checkpoint": {"step": "two"}},
         {**owner, "context_checkpoint": {"step": "three"}}),
        ("PATCH", "/api/packets/p1", {"priority": 5}, {"priority": 6}),
        ("POST", "/access/v1/evaluation",
         {"subject": {"type": "member", "id": "m1"}, **question},
         {"subject": {"type": "member", "id": "m2"}, **question}),
        ("POST", "/api/packets/p1/complete", owner, {**owner, "epoch": 7}),
    ]  # fmt: skip


def test_the_same_key_gets_the_same_answer_and_nothing_is_done_twice(api: Api) -> None:
    """On every kind of write: same key and body, same bytes back; other body, 422; the ledger grows once."""
    for method, path, body, other in _writes(api):
        key = {"Idempotency-Key": f"key-{path}"}
        first = api(method, path, body, headers=key)
        assert first.is_success, first.text
        assert "idempotent-replayed" not in first.headers
        size = api.engine.status().size
        again = api(method, path, body, headers=key)
        assert again.status_code == first.status_code
        assert _comparable(again.json()) == _comparable(first.json()), path
        if "evaluation" not in path and "batch" not in path:
            assert again.headers["idempotent-replayed"] == "true"
        problem(api(method, path, other, headers=key), 422, "idempotency.mismatch")
        assert api.engine.status().size == size


def _comparable(body: Any) -> Any:
    """Leave out the size of the ledger, which is that of now."""
    if isinstance(body, dict):
        return {k: _comparable(v) for k, v in body.items() if k not in {"size", "proof"}}
    return [_comparable(one) for one in body] if isinstance(body, list) else body


def test_a_key_belongs_to_its_principal_and_its_route(api: Api) -> None:
    """The same key of somebody else, or for something else, is another key."""
    api.member("m1")
    api.keys()
    key = {"Idempotency-Key": "one"}
    body = {"workload_type": "x"}
    one = api.post("/api/packets", body, headers=key, scope="operator").json()
    two = api.post("/api/packets", body, headers=key, scope="submitter").json()
    assert one["result"]["packet_id"] != two["result"]["packet_id"]
    for packet in (one, two):
        path = f"/api/packets/{packet['result']['packet_id']}/cancel"
        assert api.post(path, {}, headers=key, scope="operator").status_code == 200


def test_a_recorded_refusal_is_repeated_and_one_that_was_not_is_tried_again(api: Api) -> None:
    """Only what was committed is kept under a key."""
    api.member("m1")
    key = {"Idempotency-Key": "k"}
    problem(api.post("/api/packets/p1/cancel", {}, headers=key), 404)
    api.packet("p1")
    assert api.post("/api/packets/p1/cancel", {}, headers=key).status_code == 200
    api.packet("p2")
    stale = {**api.claim("p2"), "epoch": 0}
    first = problem(api.post("/api/packets/p2/complete", stale, headers=key), 409)
    answer = api.post("/api/packets/p2/complete", stale, headers=key)
    again = problem(answer, 409, first["code"])
    assert answer.headers["idempotent-replayed"] == "true"
    assert again["receipt"]["position"] == first["receipt"]["position"]


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "é"])
def test_a_malformed_idempotency_key_is_refused(shared: Api, key: str) -> None:
    """A key that a proxy might change is not taken."""
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = shared.post("/api/packets", {"workload_type": "x"}, headers=headers, scope="operator")
    problem(answer, 400, "idempotency.key")


def test_request_ids_go_into_the_entry(api: Api) -> None:
    """The caller's id, its trace id, or a drawn one is in the answer, in the problem, and in the ledger."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for number, (headers, wanted) in enumerate(
        [
            ({"X-Request-Id": "call-7"}, "call-7"),
            (
                {"X-Request-Id": "call-8", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
                "call-8",
            ),
            ({"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}, trace),
            ({"X-Request-Id": "a b\tc"}, None),
            ({"traceparent": "00-xyz"}, None),
            ({}, None),
        ]
    ):
        answer = api.post(
            "/api/members/register", {"id": f"r{number}", "type": "agent"}, headers=headers
        )
        used = answer.headers["x-request-id"]
        assert wanted in (None, used)
        assert used not in {"a b\tc", "00-xyz"}
        position = answer.json()["receipt"]["position"]
        shown = api.get(f"/api/ledger/entries/{position}").json()["shown"]
        assert shown["request_id"] == used
        assert problem(api.get("/api/packets/none", headers=headers), 404)["instance"].startswith(
            "urn:request:"
        )


def test_too_many_requests_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    """Above the bound every answer is 503 with Retry-After, health still answers, and afterwards all is well."""
    with Api(tmp_path, in_flight_max=1) as api:
        api.service.in_flight = 1
        answer = api.post("/api/packets", {"workload_type": "x"})
        problem(answer, 503, "engine.busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert api.get("/api/health/ready").status_code == 200
        api.service.in_flight = 0
        assert api.post("/api/packets", {"workload_type": "x"}).status_code == 201
        assert api.service.in_flight == 0


def test_a_full_queue_is_told_to_come_back(tmp_path: Path) -> None:
    """When the engine's queue is full, writes are 503 with Retry-After; nothing of them is recorded."""
    with Api(tmp_path, queue_max=0) as api:
        size = api.engine.reader.head().size
        answer = api.post("/api/packets", {"workload_type": "x"})
        problem(answer, 503, "engine.busy")
        assert answer.headers["retry-after"] == "1"
        assert api.engine.reader.head().size == size


@pytest.mark.parametrize(
    "name", ["key:abc", "oidc:alice", "oidc:~x", "pfgov:engine", "local", "anyone"]
)
def test_no_member_takes_the_name_of_a_principal(api: Api, name: str) -> None:
    """Names of keys, subjects and the engine are refused at the border; a member from before runs again and works."""
    refused = api.post("/api/members/register", {"id": name, "type": "agent"})
    assert problem(refused, 400)["errors"][0]["pointer"] == "/id"
    before = c.RegisterMember(member_id=name, type="agent")
    api.engine.submit(before, principal=c.LOCAL_OPERATOR)
    assert api.get(f"/api/members/{name}").json()["id"] == name
    assert api.post(f"/api/members/{name}/heartbeat", {"incarnation": 1}).status_code == 200
    assert api.post("/api/members/register", {"id": f"{name}s", "type": "agent"}).status_code == (
        201 if ":" not in name else 400
    )
    api.engine.reader.replay()


def test_follow_lists_what_a_command_caused(api: Api) -> None:
    """With ``follow`` the answer waits for what is due and lists what the command and then the engine did."""
    api.member("m1")
    api.packet("p1")
    api.member("m2")
    told = api.post("/api/members/m1/drain?follow=true").json()
    assert [one["type"] for one in told["recorded"]] == ["member_draining"]
    caused = [one["type"] for one in told["as_a_result"]]
    assert "handoff_started" in caused
    assert caused[-1] == "member_retired"
    assert "settled" not in told
    assert api.get("/api/members/m1").json()["status"] == "RETIRED"
    assert api.get("/api/members/m2").json()["owns"] == ["p1"]
    plain = api.post("/api/members/m2/quarantine").json()
    assert "recorded" not in plain


def test_follow_after_a_repeated_request(api: Api) -> None:
    """The same request with the same key lists the same, and what others did since is not among it."""
    api.member("m1")
    api.packet("p1", hold=True)
    headers = {"Idempotency-Key": "once"}
    path = "/api/members/m1/trust?follow=true"
    first = api.post(path, {"score": 0.9}, headers=headers).json()
    api.packet("p2", hold=True)
    again = api.post(path, {"score": 0.9}, headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["recorded"] == first["recorded"]
    assert again.json()["as_a_result"] == first["as_a_result"] == []


def test_what_cannot_be_waited_for_is_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more is due than there is time for, or a tick fails, the command stands and ``settled`` is false."""
    from pfgov.errors import StoreUnavailableError

    api.member("m1")

    def failing(*, lag: int = 0) -> None:
        raise StoreUnavailableError("the disk is full")

    monkeypatch.setattr(api.engine, "tick", failing)
    told = api.post("/api/members/m1/quarantine?follow=true").json()
    assert told["settled"] is False
    assert told["recorded"][0]["type"] == "member_quarantined"
    monkeypatch.undo()
    assert "settled" not in api.post("/api/members/m1/release?follow=true").json()


def test_a_tick_on_request(api: Api) -> None:
    """An operator lets what is due happen now; ``resume`` starts leases again; a plain tick changes nothing."""
    assert api.post("/api/tick").json() == {
        "halted": None,
        "remedy": None,
        "as_a_result": [],
    }
    api.member("m1", lease_seconds=10)
    api.clock.advance(60_000_000)
    told = api.post("/api/tick", {}).json()
    assert [one["type"] for one in told["as_a_result"]][-1] == "member_failed"
    assert api.post("/api/tick", {"resume": True}).json()["halted"] is None
    problem(api.post("/api/tick", {"resume": "yes"}), 400)


def test_settings_are_changed_and_shown(api: Api) -> None:
    """Settings are text by name; an unknown one is refused, and what is like that already changes nothing."""
    assert api.get("/api/configuration").json()["configuration"]["lease_seconds"] == 30
    body = {"settings": {"lease_seconds": "45", "scheduler.batch": "ring"}}
    told = api("PATCH", "/api/configuration", body).json()
    assert told["events"][0]["type"] == "configuration_changed"
    settings = api.get("/api/configuration").json()["configuration"]
    assert (settings["lease_seconds"], "scheduler.batch" in settings) == (45, True)
    assert api("PATCH", "/api/configuration", body).json()["receipt"]["count"] == 0
    problem(api("PATCH", "/api/configuration", {"settings": {"colour": "red"}}), 400)
    problem(api("PATCH", "/api/configuration", {"settings": {"lease_seconds": 45}}), 400)
    problem(api("PATCH", "/api/configuration", {}), 400)


def test_a_packet_repeats_only_one_that_was_submitted(api: Api) -> None:
    """``again`` names a packet that exists; the hint guesses a misspelt one."""
    api.packet("case-17", hold=True)
    body = {"workload_type": "scan", "again": "case-71"}
    found = problem(api.post("/api/packets", body), 404, "packet.not_found")
    assert found["hint"] == "did you mean case-17?"
    assert found["errors"][0]["pointer"] == "/again"
    assert api.post("/api/packets", {**body, "again": "case-17"}).status_code == 201


def test_who_is_dead_is_said_to_a_halt(api: Api) -> None:
    """An operator cannot say over HTTP who is dead, or says it of nobody that there is."""
    api.member("m1", lease_seconds=30)
    told = api.post("/api/tick", {"dead": ["m1"]})
    assert told.status_code == 200
    assert told.json()["halted"] is None
    last = [recorded.event.type for recorded in api.engine.reader.entries()]
    assert "expiry_resumed" in last
    problem(api.post("/api/tick", {"dead": ["nobody"]}), 404)
    problem(api.post("/api/tick", {"dead_percent": 101}), 400)
    assert "pfgov_halted 0" in api.get("/metrics").text
