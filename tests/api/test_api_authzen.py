"""AuthZEN 1.0: the same questions, answered by the same evaluator."""

import pytest
from support.api_server import Api, problem

PACKET = {"type": "packet", "id": "p1"}


def _ask(member: str, action: str = "assign") -> dict[str, object]:
    return {
        "subject": {"type": "member", "id": member},
        "action": {"name": action},
        "resource": PACKET,
    }


def _prepared(api: Api) -> None:
    api.member("m1")
    api.member("m2", capabilities=["other"])
    api.packet("p1", hold=True, required_capabilities=["ocr"])


def test_an_evaluation_is_recorded_and_right(api: Api) -> None:
    """Who fits is permitted, who does not is denied with reasons, and both are in the ledger."""
    _prepared(api)
    size = api.engine.status().size
    yes = api.post("/access/v1/evaluation", _ask("m1")).json()
    no = api.post("/access/v1/evaluation", _ask("m2")).json()
    assert (yes["decision"], no["decision"]) == (True, False)
    assert no["context"]["reasons"]
    assert api.engine.status().size == size + 2
    own = api.post("/access/v1/evaluation", _ask("m1", "own")).json()
    assert own["decision"] is True


def test_what_is_unknown_is_denied(api: Api) -> None:
    """An unknown action, member, packet or type is a denial, never a permit and never an error."""
    _prepared(api)
    for question in (
        _ask("nobody"), _ask("m1", "fly"), {**_ask("m1"), "resource": {"type": "packet", "id": "none"}},
        {**_ask("m1"), "resource": {"type": "door", "id": "p1"}},
        {**_ask("m1"), "subject": {"type": "user", "id": "m1"}},
    ):  # fmt: skip
        answer = api.post("/access/v1/evaluation", question)
        assert answer.status_code == 200
        assert answer.json()["decision"] is False


def test_several_evaluations_share_what_they_leave_out(api: Api) -> None:
    """Defaults come from the whole; the semantics stop where they say."""
    _prepared(api)
    members = [{"subject": {"type": "member", "id": m}} for m in ("m2", "m1", "m2")]
    whole = {"action": {"name": "assign"}, "resource": PACKET, "evaluations": members}

    def decisions(semantic: str) -> list[bool]:
        options = {"evaluations_semantic": semantic}
        answer = api.post("/access/v1/evaluations", {**whole, "options": options}).json()
        return [one["decision"] for one in answer["evaluations"]]

    assert decisions("execute_all") == [False, True, False]
    assert decisions("deny_on_first_deny") == [False]
    assert decisions("permit_on_first_permit") == [False, True]
    assert api.post("/access/v1/evaluations", _ask("m1")).json()["decision"] is True
    partly = api.post("/access/v1/evaluations", {"evaluations": [{}]}).json()
    assert partly["evaluations"][0]["decision"] is False
    problem(api.post("/access/v1/evaluations", {}), 400)


def _search(api: Api, action: str, packet: str = "p1") -> list[str]:
    question = {
        "subject": {"type": "member"},
        "action": {"name": action},
        "resource": {"type": "packet", "id": packet},
    }
    answer = api.post("/access/v1/search/subject", question)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["results"]]


def _reach(api: Api, state: str) -> None:
    """Bring the packet p1 into a state; m1 owns it where anybody does."""
    if state in {"pending", "held", "none"}:
        needs = {"hold": True} if state == "held" else {"required_capabilities": ["flying"]}
        api.packet("other" if state == "none" else "p1", **needs)
        return
    api.packet("p1", required_capabilities=["ocr"], hold=True)
    api.post("/api/packets/p1/assign", {"target": "m1"})
    if state == "offered":
        answer = api.post("/api/packets/p1/handoff", {"target": "m3"})
        assert answer.json()["events"][0]["type"] == "handoff_started", answer.text
    elif state == "completed":
        answer = api.post("/api/packets/p1/complete", api.claim())
        assert answer.status_code == 200, answer.text
    elif state == "cancelled":
        api.post("/api/packets/p1/cancel", {})


STATES = ("none", "pending", "held", "owned", "offered", "completed", "cancelled")


@pytest.mark.parametrize("state", STATES)
def test_search_and_evaluation_cannot_disagree(api: Api, state: str) -> None:
    """Whatever is asked of a packet in whatever state, a search finds exactly those whom an evaluation permits."""
    api.member("m1", handoff_mode="accept")
    api.member("m2", capabilities=["other"])
    api.member("m3", handoff_mode="accept")
    api.member("m4", capacity={"tasks": 0})
    api.post("/api/members/m4/drain", {})
    _reach(api, state)
    members = ("m1", "m2", "m3", "m4", "nobody")
    for action in ("own", "assign", "handoff", "accept", "retain", "fly"):
        size = api.engine.status().size
        found = _search(api, action)
        assert api.engine.status().size == size, "a search is not recorded"
        answers = {m: api.post("/access/v1/evaluation", _ask(m, action)) for m in members}
        assert {one.status_code for one in answers.values()} == {200}
        permitted = [m for m in members if answers[m].json()["decision"]]
        assert found == permitted, (state, action)
        if state in {"none", "completed", "cancelled"} or action == "fly":
            assert found == []
            assert api.engine.status().size == size, "nothing is recorded of what nobody can own"
            assert all(one.json()["context"]["reasons"] for one in answers.values())
        if state == "owned" and action != "fly":
            assert ("m1" in found) is (action in {"accept", "retain"})
            assert "m3" in found


def test_a_search_over_a_fleet_asks_about_everybody(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that takes several turns is searched to its end."""
    monkeypatch.setattr("pfgov_api.routes.authzen.SEARCHED_AT_ONCE", 2)
    names = [f"m{number}" for number in range(5)]
    for name in names:
        api.member(name)
    api.packet("p1", hold=True)
    assert _search(api, "assign") == names


def test_the_configuration_says_where(api: Api) -> None:
    """Each endpoint of the well-known document is one that exists."""
    told = api.get("/.well-known/authzen-configuration").json()
    assert told["policy_decision_point"] == "http://localhost:8000"
    paths = set(api.get("/api/openapi.json").json()["paths"])
    for name, address in told.items():
        if name.endswith("_endpoint"):
            assert address.removeprefix("http://localhost:8000") in paths


def test_one_question_that_cannot_be_read_spoils_no_other(api: Api) -> None:
    """One item without an id is a 400 for all, or a default that no item needs is."""
    _prepared(api)
    size = api.engine.status().size
    spoilt = (
        {**_ask("m1"), "resource": {"type": "packet"}},
        {**_ask("m1"), "subject": {"type": "member", "id": 7}},
        {**_ask("m1"), "action": "assign"},
        {**_ask("m1"), "action": {"name": ""}, "unknown": True},
        "no question at all",
        {},
    )
    asked = [part for one in spoilt for part in (one, _ask("m1"))]
    answer = api.post("/access/v1/evaluations", {"evaluations": asked})
    assert answer.status_code == 200
    assert [one["decision"] for one in answer.json()["evaluations"]] == [False, True] * len(spoilt)
    assert "resource.id" in answer.json()["evaluations"][0]["context"]["reasons"][0]
    assert api.engine.status().size == size + len(spoilt)
    for defaults in (_ask("m1"), {"resource": {"type": "packet"}}, {"subject": None, "action": 1}):
        complete = {**defaults, "evaluations": [_ask("m1"), _ask("m2")]}
        answer = api.post("/access/v1/evaluations", complete)
        assert [one["decision"] for one in answer.json()["evaluations"]] == [True, False]
    halves = {"resource": {"type": "packet"}, "evaluations": [{**_ask("m1"), "resource": None}]}
    answer = api.post("/access/v1/evaluations", halves)
    assert answer.json()["evaluations"][0]["decision"] is False
    problem(api.post("/access/v1/evaluations", {**_ask("m1"), "resource": {"type": "packet"}}), 400)
