"""Members on the command line: joining, changing, leaving."""

from pathlib import Path

from support.commandline import GOOD, SEED, CommandLine, says


def test_the_specifications_member_registers(pfgov: CommandLine, tmp_path: Path) -> None:
    """The body of the specification's request is a member file as it stands; options replace parts of it."""
    pfgov.ok("init")
    body = (SEED / "register-member.sh").read_text().partition("-d '")[2].partition("'")[0]
    path = tmp_path / "member.json"
    path.write_text(body)
    member = pfgov.ok("member", "register", "--file", path)["member"]
    assert member["id"] == "agent-planner-01"
    assert member["capacity"] == {"cpu": 50, "memory": 500}
    assert member["trust"]["score"] == 0.95
    other = pfgov.ok("member", "register", "--file", path, "--id", "b", "--capacity", "gpu=2")
    assert other["member"]["capacity"] == {"cpu": 50, "gpu": 2, "memory": 500}


def test_member_list_and_show(pfgov: CommandLine) -> None:
    """Members are filtered by status, capability and region; one is shown with its history."""
    pfgov.owned()
    pfgov.ok(
        "member",
        "register",
        "--id",
        "b1",
        "--type",
        "node",
        "--region",
        "eu-west",
        "--capability",
        "x@1.0",
        "--label",
        "a=b",
        "--lease",
        "30",
        "--clearance",
        "pii.a",
    )
    names = lambda *args: [m["id"] for m in pfgov.ok("member", "list", *args)["members"]]  # noqa: E731
    assert names() == ["a1", "b1"]
    assert names("--capability", "x") == ["b1"]
    assert names("--region", "us-east") == ["a1"]
    assert names("--status", "failed") == []
    assert names("--type", "node") == ["b1"]
    assert names("--text", "EU-") == ["b1"]
    assert names("--label", "a=b") == ["b1"]
    assert names("--label", "a=c") == names("--type", "human") == names("--text", "zzz") == []
    for filtered in (("--status", "FAILED"), ("--text", "zzz"), ("--region", "mars")):
        assert "no member is like that" in pfgov("member", "list", *filtered).out
    for wrong in (("--region", "EU!!"), ("--capability", "X Y"), ("--label", "a")):
        assert pfgov("member", "list", *wrong).status in {1, 2}, wrong
    pfgov.ok("member", "retire", "b1")
    assert names() == ["a1"]
    assert names("--all") == ["a1", "b1"]
    assert "a1" in pfgov("member", "list").out
    shown = pfgov.ok("member", "show", "a1", "--history")
    assert shown["member"]["owns"] == ["fp-001"]
    assert shown["history"][0]["type"] == "member_registered"
    text = pfgov("member", "show", "a1", "--history").out
    assert "policy_review" in text
    assert "joined as agent" in text


def test_member_changes(pfgov: CommandLine) -> None:
    """Capabilities come and go by name, trust is attested, and an owner that no longer may own loses its packet."""
    pfgov.owned()
    changed = pfgov.ok("member", "update", "a1", "--add-capability", "fly@2.0", "--weight", 3)
    assert says(changed) == ["member_updated", "capability_discovered"]
    same = pfgov.ok("member", "update", "a1", "--add-capability", "fly@2.0")
    assert same["recorded"] == []
    assert (
        "was like that already"
        in pfgov("member", "update", "a1", "--add-capability", "fly@2.0").out
    )
    lower = pfgov.ok("member", "trust", "a1", "0.5", "--expires", "1h")
    assert says(lower) == ["trust_assessed"]
    assert says(lower, "as_a_result")[0] == "ownership_revoked"
    assert lower["member"]["owns"] == []


def test_a_members_life(pfgov: CommandLine) -> None:
    """Quarantine, release, failure, recovery and drain each say where the member stands and what moved."""
    pfgov.owned()
    assert (
        pfgov.ok("member", "quarantine", "a1", "--reason", "odd", "--until", "2h")["member"][
            "status"
        ]
        == "QUARANTINED"
    )
    assert pfgov.ok("member", "release", "a1")["member"]["status"] == "ACTIVE"
    pfgov.ok("member", "register", "--id", "a2", *GOOD)
    failed = pfgov.ok("member", "fail", "a1", "--reason", "gone")
    assert says(failed, "as_a_result") == ["ownership_revoked", "assignment_decision"]
    assert pfgov.ok("packet", "show", "fp-001")["packet"]["current_owner"] == "a2"
    back = pfgov.ok("member", "recover", "a1")["member"]
    assert (back["status"], back["incarnation"], back["owns"]) == ("ACTIVE", 2, [])
    drained = pfgov.ok("member", "drain", "a2", "--deadline", "15m")
    assert says(drained, "as_a_result") == [
        "handoff_started",
        "handoff_completed",
        "member_retired",
    ]
    assert drained["member"]["status"] == "RETIRED"


def test_a_drain_can_be_cancelled(pfgov: CommandLine) -> None:
    """A member whose work has nowhere to go keeps draining, and stays if the drain is cancelled."""
    pfgov.owned()
    assert (
        pfgov.ok("member", "drain", "a1", "--mode", "start_first")["member"]["status"] == "DRAINING"
    )
    refused = pfgov.refused("member", "retire", "a1")
    assert refused["code"] == "member.owns_packets"
    assert pfgov.ok("member", "drain", "a1", "--cancel")["member"]["status"] == "ACTIVE"


def test_heartbeats(pfgov: CommandLine) -> None:
    """A heartbeat renews the lease, names what was lost with exit 1, and carries pressure."""
    pfgov.owned()
    beat = pfgov.ok("member", "heartbeat", "a1", "--owns", "fp-001:1")
    assert beat["lost"] == []
    lost = pfgov("member", "heartbeat", "a1", "--owns", "fp-001:7", "--json")
    assert lost.status == 1
    assert lost.json["lost"] == [{"packet_id": "fp-001", "epoch": 7}]
    assert "must stop working" in pfgov("member", "heartbeat", "a1", "--owns", "fp-001:7").out
    high = pfgov.ok("member", "heartbeat", "a1", "--pressure", "0.95")
    assert "pressure_changed" in says(high, "as_a_result")
    assert (
        pfgov.refused("member", "heartbeat", "a1", "--incarnation", 9)["code"]
        == "member.incarnation"
    )
    assert pfgov.refused("member", "heartbeat", "a1", "--owns", "fp-001")["code"] == "usage"
