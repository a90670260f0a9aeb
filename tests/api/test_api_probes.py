"""What the product before this one let through: each probe is refused here, and the refusal is as it should be."""

from support.api_server import Api, problem


def test_a_retired_member_gets_nothing(api: Api) -> None:
    """Assigning to a member that has left is refused, by target or by choice."""
    api.member("m1")
    assert api.post("/api/members/m1/retire").status_code == 200
    api.packet("p1", hold=True)
    answer = api.post("/api/packets/p1/assign", {"target": "m1"})
    assert answer.json()["result"] == {"packet_id": "p1", "epoch": 0, "outcome": "denied"}
    assert "kernel/active" in answer.json()["events"][0]["says"]
    assert api.get("/api/packets/p1").json()["current_owner"] is None
    api.post("/api/packets/p1/assign")
    assert api.get("/api/packets/p1").json()["current_owner"] is None


def test_a_ledger_that_one_server_writes_signs_for_nobody(api: Api) -> None:
    """Whoever asks has the log's key sign, although no other server could need to know who this is."""
    answer = api.get("/api/health/live", headers={"pfgov-challenge": "a" * 64})
    assert answer.status_code == 200
    assert "pfgov-proof" not in answer.headers


def test_a_completed_packet_stays_completed(api: Api) -> None:
    """It can be neither assigned nor moved, changed, checkpointed, cancelled or completed again."""
    api.member("m1")
    api.member("m2")
    api.packet("p1")
    owner = api.claim("p1")
    assert api.post("/api/packets/p1/complete", owner).status_code == 200
    for verb, body in (
        ("assign", {}), ("assign", {"target": "m2"}), ("handoff", {}), ("requeue", {}), ("complete", owner),
        ("fail", {**owner, "reason": "x"}), ("cancel", {}), ("checkpoint", {**owner, "context_checkpoint": {}}),
        ("reviews", {"granted": True}),
    ):  # fmt: skip
        problem(api.post(f"/api/packets/p1/{verb}", body), 409)
    problem(api("PATCH", "/api/packets/p1", {"priority": 1}), 409)
    shown = api.get("/api/packets/p1").json()
    assert (shown["status"], shown["epoch"]) == ("COMPLETED", 1)


def test_nothing_is_handed_to_a_member_that_does_not_exist(api: Api) -> None:
    """The target has to be there; the owner keeps the packet."""
    api.member("m1")
    api.packet("p1")
    problem(
        api.post("/api/packets/p1/handoff", {"target": "nobody-there"}), 404, "member.not_found"
    )
    api.packet("p2", hold=True)
    problem(api.post("/api/packets/p2/assign", {"target": "nobody-there"}), 404, "member.not_found")
    assert api.claim("p1")["member_id"] == "m1"


def test_a_handoff_is_decided_once(api: Api) -> None:
    """Accept, refuse, accept: what came first counts, the rest is refused."""
    api.member("m1", handoff_mode="accept")
    api.packet("p1")
    api.member("m2", handoff_mode="accept")
    started = api.post("/api/packets/p1/handoff", {"target": "m2"})
    assert started.status_code == 200, started.text
    accept = {"member_id": "m2", "incarnation": 1, "handoff": started.json()["result"]["handoff"]}
    assert api.post("/api/packets/p1/accept", accept).status_code == 200
    problem(api.post("/api/packets/p1/abort", {"member_id": "m2", "cause": "refused"}), 409)
    problem(api.post("/api/packets/p1/accept", accept), 409)
    shown = api.get("/api/packets/p1").json()
    assert (shown["current_owner"], shown["epoch"]) == ("m2", 2)
    back = api.post("/api/packets/p1/handoff", {"target": "m1"}).json()["result"]["handoff"]
    assert api.post("/api/packets/p1/abort", {}).status_code == 200
    late = {"member_id": "m1", "incarnation": 1, "handoff": back}
    problem(api.post("/api/packets/p1/accept", late), 409)
    assert api.get("/api/packets/p1").json()["current_owner"] == "m2"


def test_nobody_hands_out_tokens(api: Api) -> None:
    """There is no route that makes a key, with or without one."""
    api.keys()
    problem(api.post("/api/keys", {}, scope="admin"), 405)  # it lists them, and names no secret
    for path in ("/api/auth/token", "/api/tokens", "/api/admin/token", "/token"):
        for method in ("GET", "POST"):
            for scope in (None, "admin"):
                problem(api(method, path, {} if method == "POST" else None, scope=scope), 404)


def test_a_header_makes_nobody_somebody_else(api: Api) -> None:
    """Tenant, user and proxy headers change neither the right nor the principal."""
    api.member("m1")
    api.keys()
    tricks = {
        "X-Tenant-Id": "other", "X-User": "admin", "X-Forwarded-User": "admin", "X-Original-URL": "/api/health/live",
        "X-Forwarded-For": "127.0.0.1", "X-HTTP-Method-Override": "GET", "X-Api-Key": "admin",
    }  # fmt: skip
    problem(api.post("/api/packets", {"workload_type": "x"}, headers=tricks), 401)
    problem(api.post("/api/packets", {"workload_type": "x"}, headers=tricks, scope="auditor"), 403)
    done = api.post(
        "/api/packets", {"workload_type": "x"}, headers=tricks, scope="submitter"
    ).json()
    entry = api.get(f"/api/ledger/entries/{done['receipt']['position']}", scope="auditor").json()
    assert entry["shown"]["principal"].startswith("key:")


def test_trust_is_not_what_a_member_says_of_itself(api: Api) -> None:
    """A score of 99 is refused; one in range that the member claims for itself counts for nothing."""
    api.keys()
    body = {"id": "m1", "type": "agent", "capabilities": ["ocr"], "trust_score": 99}
    problem(api.post("/api/members/register", body, scope="operator"), 400, "input.invalid")
    claimed = api.post("/api/members/register", {**body, "trust_score": 0.99}, scope="member:m1")
    assert claimed.status_code == 201, claimed.text
    shown = api.get("/api/members/m1", scope="auditor").json()
    assert (shown["trust"], shown["claimed_trust"]) == (None, 0.99)
    packet = {
        "packet_id": "p1",
        "workload_type": "x",
        "policy_constraints": {"minimum_trust_score": 0.5},
    }
    api.post("/api/packets", packet, scope="operator")
    assert api.get("/api/packets/p1", scope="auditor").json()["current_owner"] is None
    problem(api.post("/api/members/m1/trust", {"score": 0.9}, scope="member:m1"), 403)
    assert api.post("/api/members/m1/trust", {"score": 0.9}, scope="assessor").status_code == 200


def test_all_capabilities_are_needed_not_any(api: Api) -> None:
    """A member with one of two required capabilities does not match."""
    api.member("m1", capabilities=["ocr"])
    api.packet("p1", required_capabilities=["ocr", "flying"])
    assert api.get("/api/packets/p1").json()["current_owner"] is None
    asked = api.post("/api/decisions", {"packet_id": "p1", "member_id": "m1"}).json()
    assert asked["allowed"] is False


def test_a_policy_that_does_not_load_switches_nothing_off(api: Api) -> None:
    """It is refused and the refusal recorded; the last good set stays binding, and still denies."""
    api.member("m1", capabilities=["ocr"])
    before = api.get("/api/policies").json()["digest"]
    size = api.engine.status().size
    for text in ("", ": : :", "kind: Policy", "a: !!python/object:os.system x", "x" * 60_000):
        found = problem(api.post("/api/policies/activate", {"files": {"bad.yaml": text}}), 400)
        assert found["code"].startswith("policy.")
    for name in ("../up.yaml", "/etc/x.yaml", "a/b.yaml", "x.txt", ".hidden.yaml", "A.yaml"):
        problem(api.post("/api/policies/activate", {"files": {name: "kind: Policy"}}), 400)
    assert api.get("/api/policies").json()["digest"] == before
    kinds = {
        one["type"] for one in api.get(f"/api/ledger/entries?after={size - 1}").json()["items"]
    }
    assert kinds == {"policy_refused"}
    api.packet("p1", required_capabilities=["flying"])
    assert api.get("/api/packets/p1").json()["current_owner"] is None
