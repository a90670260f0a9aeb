"""AuthZEN 1.0: the same questions, answered by the same evaluator."""

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


def test_search_and_evaluation_cannot_disagree(api: Api) -> None:
    """The search finds exactly those whom an evaluation permits, and is not recorded."""
    _prepared(api)
    size = api.engine.status().size
    question = {"subject": {"type": "member"}, "action": {"name": "assign"}, "resource": PACKET}
    found = api.post("/access/v1/search/subject", question).json()["results"]
    assert api.engine.status().size == size
    permitted = [
        {"type": "member", "id": member}
        for member in ("m1", "m2")
        if api.post("/access/v1/evaluation", _ask(member)).json()["decision"]
    ]
    assert found == permitted == [{"type": "member", "id": "m1"}]


def test_the_configuration_says_where(api: Api) -> None:
    """Each endpoint of the well-known document is one that exists."""
    told = api.get("/.well-known/authzen-configuration").json()
    assert told["policy_decision_point"] == "http://localhost:8000"
    paths = set(api.get("/api/openapi.json").json()["paths"])
    for name, address in told.items():
        if name.endswith("_endpoint"):
            assert address.removeprefix("http://localhost:8000") in paths
