"""What a refusal says: about what was sent, in the sender's own words, and nothing of the server's inside."""

import tempfile
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.core.lifecycle import MEMBER_TRANSITIONS, PACKET_TRANSITIONS
from pfgov.errors import IllegalTransitionError, InputError
from pfgov.model import Wire, check_tree, parse
from pfgov_api.routes import OPERATIONS


def test_a_charset_is_named_as_what_is_wrong(api: Api) -> None:
    """The media type was right, so it is not what is complained of."""
    headers = {"Content-Type": "application/json; charset=latin1"}
    found = problem(api.post("/api/packets", {}, headers=headers), 415, "http.media_type")
    assert "latin1" in found["detail"]
    assert "not application/json" not in found["detail"]


@pytest.mark.parametrize(
    "path", ["/api/ledger/proof/{}", "/api/ledger/entries/{}", "/api/decisions/{}"]
)
@pytest.mark.parametrize("text", ["-1", "one", "1" * 16, "%D9%A1", "+1", "1e3"])
def test_what_is_no_position_is_called_that(api: Api, path: str, text: str) -> None:
    """Where a position is asked for nobody is told about ids."""
    found = problem(api.get(path.format(text)), 400, "input.invalid")
    assert "is not a position" in found["detail"]
    assert found["errors"][0]["pointer"] == "/path/seq"
    assert "counted" in found["hint"]


def test_a_body_without_fields_says_so(api: Api) -> None:
    """There is nothing to list."""
    found = problem(api.post("/api/ledger/index", {"x": 1}), 400, "input.unknown_field")
    assert found["hint"] == "there are no fields here"


BROKEN = "apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: x}\nrules: [{id: a, requir: true}]\n"


@pytest.mark.parametrize(
    "files", [{"mine.policy.yaml": BROKEN}, {"mine.policy.yaml": "["}, {"mine_test.yaml": "a: b"}]
)
@pytest.mark.parametrize("path", ["/api/policies/activate", "/api/policies/evaluate"])
def test_a_broken_policy_is_told_by_its_own_name(
    api: Api, path: str, files: dict[str, str]
) -> None:
    """Where the server put it meanwhile is neither useful nor anybody's business."""
    more: dict[str, Any] = {}
    if path.endswith("evaluate"):
        more = {"packet": {"workload_type": "x"}, "members": [{"id": "m", "type": "agent"}]}
    answer = api.post(path, {"files": files, **more})
    found = problem(answer, 400)
    assert "pfgov-policies-" not in answer.text
    assert tempfile.gettempdir() not in answer.text
    if "mine.policy.yaml" in files:
        assert found["detail"].startswith("mine.policy.yaml:")
        assert found["errors"][0]["pointer"].startswith("mine.policy.yaml:")


def test_what_is_too_little_or_too_much_is_called_that(api: Api) -> None:
    """With the bound; "not acceptable" would leave everybody guessing."""
    found = problem(api.post("/api/policies/activate", {"files": {}}), 400)
    assert found["detail"] == "files: {} is too little: 1 or more are needed"
    many = {f"p{number}.policy.yaml": "" for number in range(65)}
    assert (
        "too much: 64 are allowed"
        in problem(api.post("/api/policies/activate", {"files": many}), 400)["detail"]
    )
    asked = {
        "subject": {"type": "", "id": "x" * 129},
        "action": {"name": "own"},
        "resource": {"type": "packet", "id": "p"},
    }
    told = problem(api.post("/access/v1/evaluation", asked), 400)
    assert [one["detail"].rpartition(": ")[2] for one in told["errors"]] == [
        "1 or more characters are needed",
        "128 characters are allowed",
    ]


WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 5, 1.5, 2**53 - 1, 1 - 2**53, "", "x" * 3000, "\x00", "a b", [], {}, ["x", "x"], {"a": 1},
    {"a": {"b": None}}, [None], [{}],
)  # fmt: skip


def _models(root: type[Wire] = Wire) -> set[type[Wire]]:
    below = root.__subclasses__()
    return set(below).union(*(_models(one) for one in below))


def test_no_field_of_any_body_is_refused_without_what_is_taken() -> None:
    """A bound or a form that somebody gives a field is not said by the refusal."""
    assert len(OPERATIONS) > 50  # whose modules define all bodies
    refused = 0
    for model in _models():
        for name, field in model.model_fields.items():
            for value in WRONG:
                try:
                    parse(model, check_tree({field.alias or name: value}))
                except InputError as error:
                    refused += 1
                    for one in error.errors:
                        assert "acceptable" not in one.detail, (model.__name__, one)
    assert refused > 1000


def test_what_cannot_happen_to_a_packet_that_has_ended_is_what_was_asked_for(api: Api) -> None:
    """An owner that hands off, or saves progress, too late is told that the packet cannot be cancelled."""
    api.member("m1")
    api.packet("p1")
    claim = api.claim()
    api.post("/api/packets/p1/complete", claim)
    shown = api.get("/api/packets/p1").json()
    claim["epoch"] = shown["epoch"]
    for verb, more, said in (
        ("handoff", {}, "be handed off"), ("abort", {}, "have a handoff called off"),
        ("requeue", {}, "be put back into the queue"), ("complete", {}, "be completed"),
        ("fail", {"reason": "x"}, "be given up"),
        ("checkpoint", {"context_checkpoint": {"a": 1}}, "have progress saved"),
    ):  # fmt: skip
        answer = api.post(f"/api/packets/p1/{verb}", {**claim, **more})
        found = problem(answer, 409, "lifecycle.illegal")
        assert found["detail"] == f"packet p1 is COMPLETED, and so it cannot {said}"
    changed = problem(api("PATCH", "/api/packets/p1", {"priority": 1}), 409, "lifecycle.illegal")
    assert changed["detail"].endswith("and so it cannot be changed")
    for event in {*PACKET_TRANSITIONS, *MEMBER_TRANSITIONS}:
        error = IllegalTransitionError(kind="packet", subject="p", status="PENDING", event=event)
        assert event not in error.message


def test_a_mismatch_names_the_key_that_was_sent(api: Api) -> None:
    """And not what the engine keeps of it, which the caller never saw."""
    headers = {"Idempotency-Key": "order-17"}
    for packet_id, status in (("p1", 201), ("p2", 422)):
        body = {"packet_id": packet_id, "workload_type": "x", "hold": True}
        answer = api.post("/api/packets", body, headers=headers)
        assert answer.status_code == status
    found = problem(answer, 422, "idempotency.mismatch")
    assert found["detail"] == "the idempotency key 'order-17' was used with another request"
    assert "draw a new key" in found["hint"]
