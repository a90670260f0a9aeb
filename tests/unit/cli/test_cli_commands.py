"""Every command against a real ledger in this process: what it records, what it answers, how it exits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.commandline import CAPABLE, GOOD, PACKET, SEED, CommandLine

ORIGIN = ("--origin", "pfgov.test/cli")


@pytest.fixture
def pfgov(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line over a folder that does not exist yet."""
    return CommandLine(tmp_path / "ledger", capsys)


def says(result: dict[str, Any], key: str = "recorded") -> list[str]:
    """Return the types of the entries that a command names."""
    return [entry["type"] for entry in result[key]]


# --- beginning ----------------------------------------------------------------------------


def test_init_makes_keys_anchor_and_policies(pfgov: CommandLine) -> None:
    """A new ledger has an origin, an anchor to give away, a recovery key to move, and binding policies."""
    made = pfgov.ok("init", *ORIGIN)
    assert made["origin"] == "pfgov.test/cli"
    assert made["size"] == 2
    assert len(made["policy"]) == 64
    assert Path(made["recovery_key"]).exists()
    assert pfgov("ledger", "keys").out == made["anchor_text"]
    assert pfgov.ok("ledger", "keys")["anchor"] == made["anchor_text"]
    again = pfgov.refused("init")
    assert (again["code"], again["status"]) == ("ledger.exists", 1)


def test_init_with_a_misspelt_scheduler_leaves_nothing_behind(pfgov: CommandLine) -> None:
    """A scheduler that does not exist is refused before keys are made: another origin is possible afterwards."""
    refused = pfgov.refused("init", "--scheduler", "rendezvouz")
    assert (refused["code"], refused["status"]) == ("scheduler.unknown", 1)
    made = pfgov.ok("init", *ORIGIN, "--scheduler", "binpack:strategy=balanced")
    assert made["origin"] == "pfgov.test/cli"


def test_status_counts(pfgov: CommandLine) -> None:
    """The status says what there is, and where to look when something waits."""
    pfgov.ok("init")
    assert pfgov.ok("status")["members"] == {}
    assert "none yet" in pfgov("status").out
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok("packet", "submit", "--id", "p1", "--workload", "w", "--needs", "flying")
    found = pfgov.ok("status")
    assert found["members"] == {"ACTIVE": 1}
    assert found["packets"] == {"PENDING": 1}
    assert found["without_owner"] == 1
    assert "pfgov packet list --stuck" in pfgov("status").out


# --- members ------------------------------------------------------------------------------


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
    assert "no members here" in pfgov("member", "list", "--status", "FAILED").out
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


# --- packets ------------------------------------------------------------------------------


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
        "packet", "review", "fp-001", "--grant", "--for", "a1", "--expires", "7d", "--note", "ok"
    )
    assert says(granted, "as_a_result") == ["assignment_decision"]
    assert granted["packet"]["current_owner"] == "a1"
    assert pfgov.refused("packet", "review", "fp-001", "--grant")["code"] == "review.not_requested"


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


# --- why ----------------------------------------------------------------------------------


def test_explain_names_winner_losers_and_the_nearest_miss(pfgov: CommandLine) -> None:
    """Why this member, and why not each other one, with observed value and bound; the nearest miss in a sentence."""
    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok(
        "member", "register", "--id", "low", *CAPABLE, "--region", "us-east/1b", "--trust", "0.87"
    )
    pfgov.ok(
        "member", "register", "--id", "far", *CAPABLE, "--region", "eu-west", "--trust", "0.87"
    )
    pfgov.ok("packet", "submit", "--file", PACKET)
    waits = pfgov("packet", "explain", "fp-001")
    assert "waits for a reviewer" in waits.out
    pfgov.ok("packet", "review", "fp-001", "--grant")
    told = pfgov.ok("packet", "explain", "fp-001")
    assert told["decision"]["chosen"] == "a1"
    assert (told["decision"]["considered"], told["decision"]["eligible"]) == (3, 1)
    rows = {row["member_id"]: row for row in told["members"]}
    assert rows["a1"]["outcome"] == "allow"
    reason = rows["low"]["reasons"][0]
    assert (reason["rule"], reason["observed"], reason["bound"]) == (
        "kernel/minimum-trust",
        "0.87",
        "0.9",
    )
    assert told["nearest_miss"] == "low would be eligible with trust 0.9; has 0.87"
    text = pfgov("packet", "explain", "fp-001").out
    assert "rendezvous chose a1" in text
    assert "nearest: low would be eligible with trust 0.9; has 0.87" in text
    first = told["decision"]["seq"]
    pfgov.ok("packet", "requeue", "fp-001")
    assert pfgov.ok("packet", "explain", "fp-001")["decision"]["point"] == "handoff"
    assert pfgov.ok("packet", "explain", "fp-001", "--at", first)["decision"]["point"] == "assign"
    assert pfgov.refused("packet", "explain", "fp-001", "--at", 0)["code"] == "decision.not_found"


@pytest.mark.parametrize(
    ("arrange", "sentence"),
    [
        (
            lambda p: p.ok("packet", "submit", "--id", "p", "--workload", "w", "--hold"),
            "because it is held",
        ),
        (lambda p: p.ok("packet", "submit", "--id", "p", "--workload", "w"), "nobody to ask"),
    ],
)
def test_explain_without_an_owner(
    pfgov: CommandLine, arrange: Callable[[CommandLine], object], sentence: str
) -> None:
    """A packet that nobody owns says why, even where nothing was decided."""
    pfgov.ok("init")
    arrange(pfgov)
    assert sentence in pfgov("packet", "explain", "p").out
    assert pfgov.ok("packet", "explain", "p")["nearest_miss"] is None


def test_explain_regenerates_a_table_that_was_not_kept(pfgov: CommandLine) -> None:
    """Without the stored verdict table, replay makes it again, and the answer is the same."""
    import sqlite3

    pfgov.owned()
    kept = pfgov.ok("packet", "explain", "fp-001")
    with sqlite3.connect(pfgov.directory / "ledger.db") as store:
        store.execute("DELETE FROM verdict_table")
    store.close()
    assert pfgov.ok("packet", "explain", "fp-001")["members"] == kept["members"]


def test_discover(pfgov: CommandLine, tmp_path: Path) -> None:
    """Who could take it, and why not each other one, for a packet, a file, standard input or plain requirements."""
    pfgov.ok("init")
    assert "there are no members" in pfgov("discover", "--needs", "x").out
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok("member", "register", "--id", "a2", *GOOD)
    pfgov.ok(
        "member", "register", "--id", "far", *CAPABLE, "--region", "eu-west", "--trust", "0.95"
    )
    size = pfgov.ok("status")["size"]
    found = pfgov.ok(
        "discover",
        "--needs",
        "policy_review",
        "--region",
        "us-east",
        "--min-trust",
        "0.9",
        "--demand",
        "cpu=1",
    )
    assert sorted(found["eligible"]) == ["a1", "a2"]
    assert found["would_go_to"] in {"a1", "a2"}
    assert "it would go to" in pfgov("discover", "--needs", "policy_review").out
    before_review = pfgov("discover", "--packet", PACKET)
    assert before_review.status == 1
    assert "before a review" in before_review.out
    nobody = pfgov("discover", "--needs", "flying", "--data-class", "pii.x", "--scheduler", "ring")
    assert nobody.status == 1
    assert "nobody of 3 members could take it" in nobody.out
    assert "nearest" in nobody.out
    assert pfgov.ok("status")["size"] == size
    pfgov.ok("packet", "submit", "--file", PACKET)
    assert pfgov("discover", "--packet", PACKET).status == 1
    pfgov.ok("packet", "review", "fp-001", "--grant")
    moved = pfgov.ok("discover", "--packet", "fp-001")
    owner = pfgov.ok("packet", "show", "fp-001")["packet"]["current_owner"]
    assert moved["eligible"] == [name for name in ("a1", "a2") if name != owner]
    pfgov.ok("packet", "submit", "--id", "held", "--workload", "w", "--hold")
    assert pfgov.ok("discover", "--packet", "held")["eligible"] == ["a1", "a2", "far"]
    assert pfgov.refused("discover")["code"] == "usage"
    assert pfgov.refused("discover", "--packet", "no/such.json")["code"] == "usage"
    assert pfgov.refused("discover", "--packet", "nobody")["code"] == "packet.not_found"


# --- time, configuration, policy ----------------------------------------------------------


def test_tick(pfgov: CommandLine) -> None:
    """A tick says what happened, or that nothing is due."""
    pfgov.owned()
    assert pfgov.ok("tick")["count"] == 0
    assert pfgov("tick").out == "nothing is due\n"
    assert pfgov.ok("tick", "--resume")["halted"] is None


def test_an_overdue_lease_ends_in_a_later_process(
    pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases outlive the command that began them: a later tick finds the silent member dead and its work moved."""
    from pfgov.clock import SystemClock

    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD, "--lease", 30)
    pfgov.ok("packet", "submit", "--file", PACKET)
    pfgov.ok("packet", "review", "fp-001", "--grant")
    pfgov.ok("member", "register", "--id", "a2", *GOOD)
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: real(self) + 40_000_000)
    ticked = pfgov.ok("tick")
    kinds = says(ticked, "entries")
    assert kinds[:3] == ["member_suspected", "member_failed", "ownership_revoked"]
    assert pfgov.ok("packet", "show", "fp-001")["packet"]["current_owner"] == "a2"


def test_tick_says_that_leases_stand_still(
    pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When too many leases end at once nothing expires, and the tick says so and what to do."""
    from pfgov.clock import SystemClock

    pfgov.ok("init")
    for i in range(5):
        pfgov.ok("member", "register", "--id", f"a{i}", *GOOD, "--lease", 30)
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: real(self) + 40_000_000)
    said = pfgov("tick")
    assert "leases stand still (mass_expiry)" in said.out
    assert "pfgov tick --resume" in said.out


def test_config(pfgov: CommandLine) -> None:
    """Settings are shown in seconds and changed by name; an unknown one is refused."""
    pfgov.ok("init")
    settings = pfgov.ok("config", "show")["configuration"]
    assert settings["handoff_timeout"] == 60
    changed = pfgov.ok(
        "config",
        "set",
        "scheduler=ring",
        "lease_seconds=60",
        "scheduler.batch=binpack:strategy=balanced",
        "flap_window=1.5",
    )
    assert changed["configuration"]["scheduler"].startswith("ring")
    assert changed["configuration"]["lease_seconds"] == 60
    assert changed["configuration"]["flap_window"] == 1.5
    assert "binpack" in changed["configuration"]["scheduler.batch"]
    assert "lease_seconds" in pfgov("config", "show").out
    assert "like that already" in pfgov("config", "set", "lease_seconds=60").out
    assert pfgov.refused("config", "set", "colour=red")["status"] == 2


BROKEN = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: mine, version: "1"}
on: [place]
rules:
  - id: a
    require: member.trst_score >= 0.5
"""
STRICT = BROKEN.replace("trst_score >= 0.5", "trust_score >= 0.99")


def test_policy_activation(pfgov: CommandLine, tmp_path: Path) -> None:
    """A set takes effect by being activated, owners are judged again; one that does not load changes nothing."""
    pfgov.owned()
    before = pfgov.ok("policy", "show")["policy"]
    assert {one["name"] for one in before["policies"]} == {"kernel", "pii", "region", "trust"}
    folder = tmp_path / "policies"
    folder.mkdir()
    path = folder / "mine.policy.yaml"
    path.write_text(BROKEN)
    refused = pfgov.refused("policy", "activate", folder)
    assert refused["status"] == 3
    assert refused["problems"][0]["line"] == 7
    assert "trust_score" in json.dumps(refused["problems"])
    assert pfgov.ok("policy", "show")["policy"]["digest"] == before["digest"]
    assert pfgov.ok("ledger", "log", "--type", "policy_refused")["count"] == 1
    path.write_text(STRICT)
    made = pfgov.ok("policy", "activate", folder)
    assert says(made, "entries")[0] == "policy_activated"
    assert pfgov.ok("policy", "show")["policy"]["digest"] == made["policy"]["digest"]
    assert "was binding already" in pfgov("policy", "activate", folder).out
    assert "mine" in pfgov("policy", "show").out


# --- ledger -------------------------------------------------------------------------------


def test_ledger_log_and_head(pfgov: CommandLine) -> None:
    """Entries by subject, type and position; the head with its signed checkpoint."""
    pfgov.owned()
    head = pfgov.ok("ledger", "head")
    assert head["origin"] == "pfgov.test/cli"
    assert head["size"] == pfgov.ok("status")["size"]
    assert pfgov("ledger", "head", "--note").out == head["checkpoint"]
    assert head["root"] in pfgov("ledger", "head").out
    every = pfgov.ok("ledger", "log")["entries"]
    assert [entry["seq"] for entry in every] == list(range(head["size"]))
    assert every[0]["body"]["origin"] == "pfgov.test/cli"
    assert [e["seq"] for e in pfgov.ok("ledger", "log", "--limit", 2)["entries"]] == [
        head["size"] - 2,
        head["size"] - 1,
    ]
    assert [e["seq"] for e in pfgov.ok("ledger", "log", "--after", 0, "--limit", 2)["entries"]] == [
        1,
        2,
    ]
    assert {
        e["subject"] for e in pfgov.ok("ledger", "log", "--subject", "packet/fp-001")["entries"]
    } == {"packet/fp-001"}
    assert pfgov.ok("ledger", "log", "--at", 0)["entries"][0]["type"] == "ledger_created"
    assert pfgov.refused("ledger", "log", "--at", 999)["code"] == "entry.not_found"
    assert (
        "did you mean packet_created?"
        in pfgov.refused("ledger", "log", "--type", "packet_create")["hint"]
    )
    assert "no such entries" in pfgov("ledger", "log", "--subject", "packet/none").out
    assert "the ledger pfgov.test/cli begins" in pfgov("ledger", "log").out


def test_export_and_verify(
    pfgov: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, of one subject, of a range, compressed: each verifies, and what is about something else does not."""
    monkeypatch.chdir(tmp_path)
    pfgov.owned()
    whole = pfgov.ok("ledger", "export")
    assert (whole["file"], whole["kind"]) == ("ledger.lineage.jsonl", "full")
    assert pfgov.ok("ledger", "verify", whole["file"], "--full", "--replay")["verdicts"][
        "replay"
    ] == {"status": "pass"}
    needed = pfgov.refused("ledger", "export", "--subject", "packet/fp-001")
    assert (needed["code"], "--fresh" in needed["hint"]) == ("export.index_needed", True)
    one = pfgov.ok("ledger", "export", "--subject", "packet/fp-001", "--fresh")
    assert one["file"] == "packet-fp-001.lineage.jsonl"
    assert (
        pfgov.ok("ledger", "verify", one["file"], "--subject", "packet/fp-001")["exit_status"] == 0
    )
    other = pfgov("ledger", "verify", one["file"], "--subject", "packet/fp-002", "--json")
    assert other.status == 1
    span = pfgov.ok("ledger", "export", "--range", "1:4", "--out", "part.jsonl.gz", "--since", 2)
    assert pfgov.ok("ledger", "verify", span["file"], "--range", "--quick")["exit_status"] == 0
    assert pfgov.refused("ledger", "export", "--out", "part.jsonl.gz")["code"] == "usage"
    assert pfgov.ok("ledger", "export", "--out", "part.jsonl.gz", "--force")["kind"] == "full"
    text = pfgov("ledger", "export", "--force").out
    assert "pfgov-verify ledger.lineage.jsonl --key" in text
    assert pfgov("ledger", "verify").out.rstrip().endswith("PASSED")


def test_verify_names_a_file_that_is_not_there(pfgov: CommandLine, tmp_path: Path) -> None:
    """A file that cannot be read is named on standard error."""
    pfgov.ok("init")
    done = pfgov("ledger", "verify", tmp_path / "missing.lineage.jsonl")
    assert done.status == 4
    assert f"cannot read {tmp_path / 'missing.lineage.jsonl'}: No such file" in done.err


def test_export_refuses_nonsense(pfgov: CommandLine, tmp_path: Path) -> None:
    """Two questions at once, a subject or a range that is none: usage errors, and no file."""
    pfgov.ok("init")
    out = ("--out", tmp_path / "x")
    assert (
        pfgov.refused("ledger", "export", "--subject", "ledger", "--range", "0:1", *out)["code"]
        == "usage"
    )
    assert (
        pfgov.refused("ledger", "export", "--subject", "nonsense", *out)["code"] == "input.invalid"
    )
    for text in ("5", "3:3", "a:b"):
        assert pfgov.refused("ledger", "export", "--range", text, *out)["code"] == "usage"
    refused = pfgov.refused("ledger", "export", "--range", "1:9000", *out)
    assert refused["code"] == "input.invalid"
    assert "--fresh" not in refused["hint"]
    size = int(refused["hint"].rpartition(":")[2])
    assert (
        pfgov.refused("ledger", "export", "--range", f"0:{size}", *out)["code"]
        == "export.index_needed"
    )
    assert pfgov.ok("ledger", "export", "--range", f"0:{size}", "--fresh", *out)["kind"] == "range"
    (tmp_path / "x").unlink()
    assert list(tmp_path.glob("x*")) == []


def test_an_export_that_fails_leaves_nothing(pfgov: CommandLine, tmp_path: Path) -> None:
    """A file appears under its name only when it is whole."""
    pfgov.ok("init")
    pfgov.refused("ledger", "export", "--subject", "keys", "--out", tmp_path / "a.lineage.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["ledger"]


def test_verify_remembers(pfgov: CommandLine, tmp_path: Path) -> None:
    """A kept checkpoint is compared with and then replaced by the newer one; misuse is a usage error."""
    pfgov.ok("init")
    note = tmp_path / "seen.note"
    assert pfgov.refused("ledger", "verify", "--init")["code"] == "usage"
    assert pfgov("ledger", "verify", "--remember", note, "--json").json["exit_status"] == 4
    assert pfgov.ok("ledger", "verify", "--remember", note, "--init")["exit_status"] == 0
    first = note.read_text()
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    assert pfgov.refused("ledger", "verify", "--remember", note, "--init")["code"] == "usage"
    path = tmp_path / "all.jsonl"
    pfgov.ok("ledger", "export", "--out", path, "--since", 2)
    assert (
        pfgov.ok("ledger", "verify", path, "--full", "--remember", note)["verdicts"][
            "non_equivocation"
        ]["status"]
        == "pass"
    )
    assert note.read_text() != first


def test_verify_questions(pfgov: CommandLine, tmp_path: Path) -> None:
    """What is no subject or no verdict is refused; without an anchor authenticity is not checked, exit 4."""
    pfgov.ok("init")
    assert pfgov.refused("ledger", "verify", "--subject", "x")["code"] == "usage"
    assert pfgov.refused("ledger", "verify", "--require", "beauty")["code"] == "usage"
    assert pfgov.ok("ledger", "verify", "--require", "integrity, custody")["required"] == [
        "integrity",
        "custody",
    ]
    path = tmp_path / "all.jsonl"
    pfgov.ok("ledger", "export", "--out", path)
    elsewhere = CommandLine(tmp_path / "nowhere", pfgov._capsys)
    report = elsewhere("ledger", "verify", path, "--json")
    assert report.status == 4
    assert report.json["trust"] == "none"
    kept = tmp_path / "anchor.txt"
    kept.write_text(pfgov("ledger", "keys").out)
    assert elsewhere("ledger", "verify", path, "--key", kept).status == 0
    assert elsewhere("ledger", "verify", path, "--key", tmp_path / "none.txt").status == 4
    kept.write_text("nonsense")
    assert elsewhere("ledger", "verify", path, "--key", kept).status == 4


def test_replay(pfgov: CommandLine) -> None:
    """Every command is run again; a table that was changed behind the ledger's back is found."""
    import sqlite3

    pfgov.owned()
    found = pfgov.ok("ledger", "replay")
    assert found["replayed"] is True
    assert found["entries"] == pfgov.ok("status")["size"]
    assert "byte for byte" in pfgov("ledger", "replay").out
    with sqlite3.connect(pfgov.directory / "ledger.db") as store:
        changed = "CAST(replace(CAST(body AS TEXT), 'us-east/1a', 'us-east/1b') AS BLOB)"
        store.execute(f"UPDATE member SET body = {changed}")
    store.close()
    differs = pfgov("ledger", "replay", "--json")
    assert differs.status == 1
    assert differs.json["code"] == "ledger.rows_differ"
    assert "FAILED: ledger.rows_differ" in pfgov("ledger", "replay").out


def test_replay_that_cannot_be_told(pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a set or a plug-in is missing the answer is neither yes nor no: exit 4."""
    from pfgov_ledger.replaying import ReplayUnavailableError

    def unavailable(*_: object, **__: object) -> None:
        raise ReplayUnavailableError("scheduler:mine:1.0")

    pfgov.ok("init")
    monkeypatch.setattr("pfgov.replay.replay_store", unavailable)
    told = pfgov("ledger", "replay", "--json")
    assert (told.status, told.json["why"]) == (4, "scheduler:mine:1.0")


# --- corners ------------------------------------------------------------------------------


def test_explain_while_a_handoff_is_pending(pfgov: CommandLine) -> None:
    """Until the target accepts, the owner owns; the answer names both and the deadline."""
    pfgov.owned()
    pfgov.ok("member", "register", "--id", "a2", *GOOD, "--handoff-mode", "accept")
    pfgov.ok("packet", "handoff", "fp-001")
    said = pfgov("packet", "explain", "fp-001").out
    assert "fp-001 is owned by a1" in said
    assert "a2 has until" in said
    assert "a2 to accept" in pfgov("packet", "list").out
    shown = pfgov("packet", "show", "fp-001").out
    assert "a2 to accept" in shown
    told = pfgov.ok("packet", "explain", "fp-001")
    assert told["decision"]["type"] == "handoff_started"
    assert told["decision"]["chosen"] == "a2"


def test_explain_with_nothing_but_the_entry(
    pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the table is gone and cannot be made again, the entry's own losers are shown, and that it is so."""
    from pfgov.engine import LedgerReader
    from pfgov_ledger.replaying import ReplayUnavailableError

    def unavailable(*_: object) -> None:
        raise ReplayUnavailableError("scheduler:mine:1.0")

    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok("member", "register", "--id", "low", *CAPABLE, "--region", "us-east", "--trust", "0.6")
    pfgov.ok("packet", "submit", "--file", PACKET)
    pfgov.ok("packet", "review", "fp-001", "--grant")
    monkeypatch.setattr(LedgerReader, "verdict_table", lambda *_: None)
    monkeypatch.setattr("pfgov.replay.verdict_table", unavailable)
    told = pfgov.ok("packet", "explain", "fp-001")
    assert [row["member_id"] for row in told["members"]] == ["a1", "low"]
    assert told["members"][1]["reasons"][0]["rule"] == "kernel/minimum-trust"
    assert told["nearest_miss"] is None
    assert "cannot be had" in pfgov("packet", "explain", "fp-001").out


def test_explain_two_eligible(pfgov: CommandLine) -> None:
    """Where two could own it the runner-up is named, with both scores."""
    pfgov.ok("init")
    for name in ("a1", "a2"):
        pfgov.ok("member", "register", "--id", name, *GOOD)
    pfgov.ok("packet", "submit", "--file", PACKET)
    pfgov.ok("packet", "review", "fp-001", "--grant")
    said = pfgov("packet", "explain", "fp-001").out
    assert "before a" in said
    assert "satisfies every rule" in said
    assert "eligible" in said


def test_wide_windows_show_more(pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a wide window tables have columns for the event, the verdict, the step."""
    pfgov.owned()
    monkeypatch.setenv("COLUMNS", "140")
    assert "EVENT" in pfgov("ledger", "log").out
    assert "STEP" in pfgov("packet", "list").out
    assert "VERDICT" in pfgov("packet", "explain", "fp-001").out
    monkeypatch.setenv("COLUMNS", "80")
    assert "EVENT" not in pfgov("ledger", "log").out
    assert "STEP" not in pfgov("packet", "list").out
    assert "VERDICT" not in pfgov("packet", "explain", "fp-001").out


def test_everything_about_a_member_is_shown(pfgov: CommandLine) -> None:
    """Drain, quarantine, pressure, capacity, labels and versions each have their line."""
    pfgov.owned()
    options = "--type node --capability x@1.0 --cpu 4 --label rack=7 --lease 30 --weight 2 --handoff-mode accept"
    pfgov.ok("member", "register", "--id", "n1", *options.split(), "--trust", "0.9")
    pfgov.ok("member", "trust", "n1", "0.8", "--expires", "30d")
    shown = pfgov("member", "show", "n1").out
    for words in ("x@1.0", "0 of 4 used", "rack=7", "30 s", "must accept", "0.8 by local, until"):
        assert words in shown
    pfgov.ok("member", "drain", "a1", "--deadline", "1h")
    assert "start_first, until 20" in pfgov("member", "show", "a1").out
    pfgov.ok("member", "quarantine", "n1", "--until", "1h")
    assert "quarantined until" in pfgov("member", "show", "n1").out


def test_a_payload_that_does_not_open_is_said(pfgov: CommandLine, tmp_path: Path) -> None:
    """An export says how many payloads it had to leave out because they were changed."""
    import sqlite3

    pfgov.owned()
    with sqlite3.connect(pfgov.directory / "ledger.db") as store:
        store.execute("UPDATE attachment SET payload = x'00'")
    store.close()
    out = pfgov("ledger", "export", "--out", tmp_path / "a.jsonl").out
    assert "warning: 1 payloads do not open their commitments" in out


def test_discover_from_standard_input(pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packet can be piped in; options narrow it."""
    import io
    import sys

    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    tree = {"workload_type": "w", "required_capabilities": ["policy_review"]}
    for extra, eligible in (((), ["a1"]), (("--region", "eu"), [])):
        raw = io.TextIOWrapper(io.BytesIO(json.dumps(tree).encode()))
        monkeypatch.setattr(sys, "stdin", raw)
        assert pfgov("discover", "--packet", "-", *extra, "--json").json["eligible"] == eligible
