"""Packets on the command line: submitting, reviewing, moving, ending."""

from pathlib import Path

from support.commandline import GOOD, PACKET, CommandLine, says


def test_the_specifications_packet(pfgov: CommandLine) -> None:
    """The specification's packet waits for its review, is placed after it, and its claims are kept as imported."""
    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    made = pfgov.ok("packet", "submit", "--file", PACKET)
    assert says(made) == ["packet_created", "assignment_decision", "review_requested"]
    packet = made["packet"]
    assert packet["status"] == "AWAITING_REVIEW"
    assert packet["imported"]["current_owner"] == "agent-customer-01"
    assert packet["audit"]["lineage_id"] == "lin-7742"
    refused = pfgov("packet", "review", "fp-001", "--refuse", "--note", "no")
    assert refused.status == 0
    assert (
        pfgov.ok("packet", "show", "fp-001")["packet"]["status"] == "PENDING"
    )  # not asked again at once


def test_a_review_places(pfgov: CommandLine) -> None:
    """Granted, the pipeline runs; without a decision the command says what it needs."""
    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok("packet", "submit", "--file", PACKET)
    assert pfgov.refused("packet", "review", "fp-001")["code"] == "usage"
    granted = pfgov.ok(
        "packet",
        "review",
        "fp-001",
        "--grant",
        "--version",
        "3",
        "--for",
        "a1",
        "--expires",
        "7d",
        "--note",
        "ok",
    )
    assert says(granted, "as_a_result") == ["assignment_decision"]
    assert granted["packet"]["current_owner"] == "a1"
    assert pfgov.refused("packet", "review", "fp-001", "--grant")["code"] == "review.not_requested"


def test_asking_again_is_no_change(pfgov: CommandLine) -> None:
    """A waiting packet that somebody has judged once more is at the version that the reviewer looked at."""
    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok("packet", "submit", "--file", PACKET)
    looked_at = pfgov.ok("packet", "show", "fp-001")["packet"]
    assert pfgov("packet", "assign", "fp-001").status == 1
    pfgov.ok("packet", "update", "fp-001", "--priority", str(looked_at["priority"]))
    assert pfgov.ok("packet", "show", "fp-001")["packet"] == looked_at
    version = str(looked_at["version"])
    pfgov.ok("packet", "review", "fp-001", "--grant", "--version", version)
    assert pfgov.ok("packet", "show", "fp-001")["packet"]["current_owner"] == "a1"


def test_submitting_with_options(pfgov: CommandLine, tmp_path: Path) -> None:
    """A packet can be typed: without an id one is drawn, with ``--hold`` it is not placed."""
    pfgov.ok("init")
    pfgov.ok(
        "member",
        "register",
        "--id",
        "n1",
        "--type",
        "node",
        "--capability",
        "compute@2.0",
        "--cpu",
        4,
        "--memory",
        8,
        "--trust",
        "0.9",
    )
    context = tmp_path / "context.json"
    context.write_text('{"case": 1, "step": "begin"}')
    made = pfgov.ok(
        "packet", "submit", "--workload", "batch", "--needs", "compute>=1.2", "--min-trust", "0.8", "--demand", "cpu=2",
        "--label", "a=b", "--priority", 5, "--deadline", "2h", "--context", context, "--scheduler", "binpack", "--hold",
    )["packet"]  # fmt: skip
    assert len(made["packet_id"]) == 26
    assert made["status"] == "PENDING"
    assert made["hold"]
    assert "--no-hold" in pfgov("packet", "submit", "--id", "held", "--workload", "w", "--hold").out
    placed = pfgov.ok("packet", "update", made["packet_id"], "--no-hold")["packet"]
    assert placed["current_owner"] == "n1"
    shown = pfgov.ok("packet", "show", made["packet_id"], "--context", "--history")
    assert shown["context"] == {"case": 1, "step": "begin"}
    assert shown["history"][0]["type"] == "packet_created"
    assert "case=1" in pfgov("packet", "show", made["packet_id"], "--context", "--history").out
    assert "not here" in pfgov("packet", "show", "held", "--context").out


def test_narrowing(pfgov: CommandLine) -> None:
    """Constraints typed one by one are added to those that hold; widening is refused."""
    pfgov.owned()
    changed = pfgov.ok(
        "packet",
        "update",
        "fp-001",
        "--min-trust",
        "0.95",
        "--data-class",
        "pii.a",
        "--max-handoffs",
        3,
        "--label",
        "x=y",
    )
    constraints = changed["packet"]["policy_constraints"]
    assert constraints == {
        "pii_review_required": True,
        "minimum_trust_score": 0.95,
        "allowed_regions": ["us-east"],
    }
    wider = pfgov.refused("packet", "update", "fp-001", "--min-trust", "0.1")
    assert (wider["code"], wider["status"]) == ("policy.narrowing", 1)
    assert (
        pfgov.ok("packet", "update", "fp-001", "--may-not-move")["packet"]["handoff"]["allowed"]
        is False
    )


def test_packet_list(pfgov: CommandLine) -> None:
    """Live packets by default; by status, owner, stuck; long lists go on."""
    pfgov.owned()
    for name in ("p1", "p2", "p3"):
        pfgov.ok("packet", "submit", "--id", name, "--workload", "w", "--needs", "flying")
    pfgov.ok("packet", "cancel", "p3", "--reason", "mistake")
    names = lambda *args: [p["packet_id"] for p in pfgov.ok("packet", "list", *args)["packets"]]  # noqa: E731
    assert names() == ["fp-001", "p1", "p2"]
    assert names("--all") == ["fp-001", "p1", "p2", "p3"]
    assert names("--owner", "a1") == ["fp-001"]
    assert names("--status", "CANCELLED") == ["p3"]
    assert names("--stuck") == ["p1", "p2"]
    assert names("--stuck", "--limit", 1) == ["p1"]
    more = pfgov("packet", "list", "--limit", 1)
    assert "pfgov packet list --after fp-001" in more.out
    assert names("--after", "p1") == ["p2"]
    assert "kernel/capabilities" in pfgov("packet", "list").out
    pfgov.ok("member", "drain", "a1")
    assert "fp-001" in names("--stuck")


def test_a_denied_move_leaves_a_packet_well(pfgov: CommandLine) -> None:
    """A packet whose owner works is not stuck because one other member may not have it; the words name that member."""
    pfgov.owned()
    pfgov.ok("member", "register", "--id", "low", "--type", "agent", "--trust", "0.3")
    to_itself = pfgov.refused("packet", "handoff", "fp-001", "--to", "a1")
    assert (to_itself["code"], to_itself["status"]) == ("handoff.to_owner", 1)
    denied = pfgov("packet", "handoff", "fp-001", "--to", "low")
    assert "low may not take it" in denied.out
    assert "nobody" not in denied.out
    told = pfgov("packet", "explain", "fp-001").out
    assert "low may not have it: 1 member was judged" in told
    assert pfgov("packet", "list", "--stuck").out == "nothing is stuck\n"
    pfgov.ok("packet", "submit", "--id", "p1", "--workload", "w", "--needs", "flying")
    waiting = pfgov.ok("packet", "show", "p1")["packet"]["waiting"]
    assert (waiting["waits_for"], waiting["reasons"]["kernel/capabilities"]) == ("policy", 2)
    assert "policy: kernel/capabilities (2)" in pfgov("packet", "show", "p1").out


def test_nothing_listed(pfgov: CommandLine) -> None:
    """An empty list says what to do."""
    pfgov.ok("init")
    assert "pfgov packet submit --help" in pfgov("packet", "list").out
    assert pfgov("packet", "list", "--stuck").out == "nothing is stuck\n"


def test_moving(pfgov: CommandLine) -> None:
    """A handoff in two phases: started, accepted with what was read; a denial exits 1 and says why."""
    pfgov.owned()
    denied = pfgov("packet", "handoff", "fp-001", "--json")
    assert denied.status == 1
    assert says(denied.json) == ["handoff_denied"]
    assert "not done" in pfgov("packet", "handoff", "fp-001").out
    pfgov.ok("member", "register", "--id", "a2", *GOOD, "--handoff-mode", "accept")
    begun = pfgov.ok("packet", "handoff", "fp-001", "--to", "a2", "--reason", "shift")
    assert says(begun) == ["handoff_started"]
    assert begun["packet"]["handoff"]["pending"]["target"] == "a2"
    off = pfgov.ok("packet", "abort", "fp-001", "--as", "a2")
    assert says(off) == ["handoff_aborted"]
    pfgov.ok("packet", "handoff", "fp-001", "--to", "a2")
    other = pfgov.refused("packet", "accept", "fp-001", "--view", "0" * 64)
    assert other["code"] == "handoff.context_mismatch"
    done = pfgov.ok("packet", "accept", "fp-001")
    assert done["packet"]["current_owner"] == "a2"
    assert done["packet"]["epoch"] == 2
    assert pfgov.refused("packet", "accept", "fp-001")["code"] == "handoff.none"


def test_assigning(pfgov: CommandLine) -> None:
    """Assigning to a member that may not own it exits 1 and records the denial."""
    pfgov.ok("init")
    pfgov.ok("packet", "submit", "--id", "p1", "--workload", "w", "--needs", "x")
    pfgov.ok("member", "register", "--id", "n1", "--type", "node", "--trust", "0.9")
    denied = pfgov("packet", "assign", "p1", "--to", "n1", "--json")
    assert denied.status == 1
    assert denied.json["succeeded"] is False
    assert "explain p1" in pfgov("packet", "assign", "p1", "--to", "n1").out
    pfgov.ok("member", "update", "n1", "--add-capability", "x")
    assert pfgov.ok("packet", "show", "p1")["packet"]["current_owner"] == "n1"


def test_the_owner_writes(pfgov: CommandLine, tmp_path: Path) -> None:
    """Checkpoint, requeue, complete; a stale epoch is refused and recorded once."""
    pfgov.owned()
    body = tmp_path / "context.json"
    body.write_text('{"verified": 3}')
    saved = pfgov.ok("packet", "checkpoint", "fp-001", "--file", body, "--step", "half")
    assert saved["packet"]["context_checkpoint"]["step"] == "half"
    assert pfgov.ok("packet", "show", "fp-001", "--context")["context"] == {
        "step": "half",
        "verified": 3,
    }
    back = pfgov.ok("packet", "requeue", "fp-001", "--reason", "stuck")
    assert says(back) == ["packet_requeued"]
    assert back["packet"]["current_owner"] == "a1"
    assert back["packet"]["epoch"] == 3
    stale = pfgov.refused("packet", "complete", "fp-001", "--as", "a1", "--epoch", 1)
    assert (stale["code"], stale["status"]) == ("ownership.stale_epoch", 1)
    assert pfgov.ok("packet", "complete", "fp-001")["packet"]["status"] == "COMPLETED"
    assert pfgov.refused("packet", "complete", "fp-001")["code"] == "lifecycle.illegal"


def test_giving_up(pfgov: CommandLine) -> None:
    """The owner of a failed packet gives its reason; nobody can write to a packet that nobody owns."""
    pfgov.owned()
    assert (
        pfgov.ok("packet", "fail", "fp-001", "--reason", "no such case")["packet"]["status"]
        == "FAILED"
    )
    pfgov.ok(
        "packet",
        "submit",
        "--id",
        "p1",
        "--workload",
        "w",
        "--needs",
        "flying",
        "--again",
        "fp-001",
    )
    refused = pfgov.refused("packet", "complete", "p1")
    assert refused["code"] == "ownership.not_owner"
    named = pfgov.refused("packet", "complete", "p1", "--as", "a1")
    assert named["code"] == "ownership.not_owner"
