"""The audit of a packet: seven questions, and for each line the entries that prove it."""

import json
from typing import Any

import pytest
from support.api_server import Api, problem

from pfgov.app.views.audit import QUESTIONS, PacketAudit, audit_markdown, notes


def _told(api: Api) -> None:
    """A packet that is placed, checkpointed, handed off and taken from the dead, and whose member retires."""
    api.member("m1", lease_seconds=30)
    api.member("m2")
    api.packet("p1", required_capabilities=["ocr"], context_checkpoint={"step": "one", "a": 1})
    if api.claim()["member_id"] != "m1":
        api.post("/api/packets/p1/handoff", {"target": "m1"})
    api("PATCH", "/api/members/m1", {"discovered": [{"name": "late", "version": "2"}]})
    api.post("/api/packets/p1/checkpoint", {**api.claim(), "context_checkpoint": {"step": "two"}})
    api.post("/api/packets/p1/handoff", {"target": "m2", "reason": "tired"})
    api.post("/api/packets/p1/handoff", {"target": "m1"})
    api.post("/api/members/m1/fail", {"reason": "it burns"})
    api.engine.settle()
    api.post("/api/members/m2/drain", {})
    api.member("m3")
    api.engine.settle()
    api.post("/api/members/m2/retire")


def _audit(api: Api, **options: Any) -> dict[str, Any]:
    answer = api.get("/api/packets/p1/audit", **options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_each_question_is_answered_with_the_entries_that_prove_it(api: Api) -> None:
    """What is named is an entry of the ledger, with that hash, and of the kind that the question is about."""
    _told(api)
    audit = _audit(api)
    assert [one["key"] for one in audit["answers"]] == list(QUESTIONS)
    assert (audit["whole"], audit["withheld"]) == (True, 0)
    kinds: dict[str, set[str]] = {}
    for answer in audit["answers"]:
        assert answer["lines"], answer["key"]
        for line in answer["lines"]:
            assert line["entries"], line["says"]
            for entry in line["entries"]:
                shown = api.get(f"/api/ledger/entries/{entry['seq']}").json()["shown"]
                assert (shown["leaf"], shown["type"], shown["time"]) == (
                    entry["leaf"], entry["type"], entry["time"],
                )  # fmt: skip
                kinds.setdefault(answer["key"], set()).add(entry["type"])
    assert kinds["registered"] == {"packet_created", "member_registered"}
    assert kinds["advertised"] >= {"member_registered"}
    assert kinds["selected"] >= {"assignment_decision", "handoff_started", "handoff_completed"}
    said = {
        entry["type"]: line["says"]
        for answer in audit["answers"]
        for line in answer["lines"]
        for entry in line["entries"]
        if answer["key"] == "selected"
    }
    assert "scored it" in said["assignment_decision"]
    assert "scored it" not in said["handoff_completed"], (
        "no scheduler is asked where it is taken over"
    )
    assert kinds["context"] >= {"packet_created", "checkpoint_committed", "handoff_started"}
    assert kinds["handoffs"] >= {
        "handoff_started",
        "handoff_completed",
        "ownership_revoked",
        "member_failed",
    }
    assert kinds["policies"] >= {"assignment_decision", "handoff_completed"}
    assert kinds["retired"] == {"member_failed", "member_draining", "member_retired"} | (
        {"member_registered"} & kinds["retired"]
    )
    said = json.dumps(audit)
    for words in ("tired", "it burns", "late 2", "m2 retired", "m3"):
        assert (words in said) is (words != "late 2"), words


def test_what_is_advertised_is_what_was_offered_then(api: Api) -> None:
    """A capability that came before the packet did counts, one that came later or was withdrawn does not."""
    api.member("m1")
    api(
        "PATCH",
        "/api/members/m1",
        {"discovered": [{"name": "early", "version": "3"}], "withdrawn": ["ocr"]},
    )
    api.packet("p1")
    api("PATCH", "/api/members/m1", {"discovered": [{"name": "late"}]})
    lines = next(one for one in _audit(api)["answers"] if one["key"] == "advertised")["lines"]
    assert [line["details"]["capabilities"] for line in lines] == [{"early": "3"}]
    proof = [entry["type"] for entry in lines[0]["entries"]]
    assert proof[0] == "member_registered"
    assert sorted(proof[1:]) == ["capability_discovered", "capability_withdrawn"]


def test_a_packet_that_nobody_had_is_audited(api: Api) -> None:
    """Questions without an answer say so; an unknown packet is not found."""
    api.packet("p1", hold=True)
    audit = _audit(api)
    lines = {one["key"]: len(one["lines"]) for one in audit["answers"]}
    assert lines == {**dict.fromkeys(QUESTIONS, 0), "registered": 1}
    problem(api.get("/api/packets/none/audit"), 404, "packet.not_found")


def test_a_members_key_audits_its_own_packet_and_learns_nothing_of_others(api: Api) -> None:
    """Entries of members that are not its own are counted as withheld; a packet of another is refused."""
    _told_for_two(api)
    mine = _audit(api, scope="member:m2")
    whole = _audit(api, scope="auditor")
    assert mine["withheld"] > 0
    assert whole["withheld"] == 0
    subjects = {
        e["subject"] for a in mine["answers"] for line in a["lines"] for e in line["entries"]
    }
    assert subjects == {"packet/p1", "member/m2"}
    problem(api.get("/api/packets/p1/audit", scope="member:m1"), 403)


def _told_for_two(api: Api) -> None:
    api.keys()
    api.member("m1")
    api.packet("p1")
    api.member("m2")
    assert (
        api.post("/api/packets/p1/handoff", {"target": "m2"}, scope="operator").status_code == 200
    )


@pytest.mark.parametrize("name", ["a", "p-_.:@~"])
def test_markdown_shows_names_as_they_are(api: Api, name: str) -> None:
    """Nothing that a name holds becomes markup; every line of the answers is there, and the way to verify them."""
    api.member("m1")
    api.packet(name, labels={"a": "*b*"})
    answer = api.get(f"/api/packets/{name}/audit").json()
    import msgspec

    audit = msgspec.convert(answer, PacketAudit)
    text = audit_markdown(audit)
    assert text.startswith("# Audit of packet ")
    for question in QUESTIONS.values():
        assert f"## {question}\n" in text
    assert sum(len(one.lines) for one in audit.answers) == text.count("\n- ")
    if "_" in name:
        assert "\\_" in text.splitlines()[0]
    less = msgspec.structs.replace(audit, withheld=3, whole=False)
    assert len(notes(less)) == len(notes(audit)) + 2
