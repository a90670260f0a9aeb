"""Why a packet is where it is, and who could have it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.commandline import CAPABLE, GOOD, PACKET, CommandLine


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
    pfgov.ok("packet", "review", "fp-001", "--grant", "--version", "3")
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
    pfgov.ok("packet", "review", "fp-001", "--grant", "--version", "3")
    moved = pfgov.ok("discover", "--packet", "fp-001")
    owner = pfgov.ok("packet", "show", "fp-001")["packet"]["current_owner"]
    assert moved["eligible"] == [name for name in ("a1", "a2") if name != owner]
    pfgov.ok("packet", "submit", "--id", "held", "--workload", "w", "--hold")
    assert pfgov.ok("discover", "--packet", "held")["eligible"] == ["a1", "a2", "far"]
    assert pfgov.refused("discover")["code"] == "usage"
    assert pfgov.refused("discover", "--packet", "no/such.json")["code"] == "usage"
    assert pfgov.refused("discover", "--packet", "nobody")["code"] == "packet.not_found"


def test_an_owner_that_keeps_its_packet_is_waited_for_by_nobody(pfgov: CommandLine) -> None:
    """A move that was refused leaves a packet healthy: it waits for nothing, and what kept it is said as that."""
    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", *GOOD)
    pfgov.ok("member", "register", "--id", "low", "--type", "agent", "--trust", "0.2")
    pfgov.ok("packet", "submit", "--id", "p", "--workload", "w")
    assert pfgov("packet", "handoff", "p").status == 1
    shown = pfgov("packet", "show", "p").out
    assert "waits for" not in shown
    assert "stays because  pfgov:lifecycle (1), trust/trust-floor (1)" in shown
    assert "stays: pfgov:lifecycle (1)" in pfgov("packet", "list").out
    assert "nothing is stuck" in pfgov("packet", "list", "--stuck").out
    assert "Nobody may take it over" in pfgov("packet", "explain", "p").out


def test_every_kind_of_near_miss_is_shown(pfgov: CommandLine) -> None:
    """Five members that are kept out for five sets of reasons are five kinds, on record and in `policy who`."""
    pfgov.ok("init")
    facts = {
        "low": ("--region", "eu", "--trust", "0.78", "--capability", "ocr"),
        "far": ("--region", "us", "--trust", "0.9", "--capability", "ocr"),
        "lame": ("--region", "eu", "--trust", "0.9"),
        "both": ("--region", "us", "--trust", "0.7", "--capability", "ocr"),
        "none": ("--region", "us", "--trust", "0.7"),
    }
    for name, given in facts.items():
        pfgov.ok("member", "register", "--id", name, "--type", "agent", *given)
    pfgov.ok("packet", "submit", "--id", "p", "--workload", "w", "--needs", "ocr",
             "--min-trust", "0.8", "--region", "eu")  # fmt: skip
    told = pfgov.ok("packet", "explain", "p")
    assert [one.partition(" ")[0] for one in told["nearest_misses"]] == [
        "low", "far", "lame", "both", "none",
    ]  # fmt: skip


def test_a_held_packet_says_what_it_waits_for_after_its_review(pfgov: CommandLine) -> None:
    """A packet on hold whose review is done waits for nothing that anybody could read anywhere."""
    pfgov.ok("init")
    pfgov.ok("member", "register", "--id", "a1", "--clearance", "pii", *GOOD)
    pfgov.ok(
        "packet", "submit", "--id", "p", "--workload", "w", "--hold", "--data-class", "pii",
        "--pii-review",
    )  # fmt: skip
    assert pfgov("packet", "assign", "p").status == 1
    before = pfgov.ok("packet", "show", "p")["packet"]
    assert before["status"] == "AWAITING_REVIEW", before
    pfgov.ok("packet", "review", "p", "--grant", "--version", str(before["version"]), "--for", "a1")
    pfgov.ok("packet", "update", "p", "--label", "k=v")
    shown = pfgov("packet", "show", "p").out
    assert "release: it is held" in shown
    assert "release: it is held" in pfgov("packet", "list").out
    assert "because it is held" in pfgov("packet", "explain", "p").out
    moved = pfgov("packet", "update", "p", "--label", "k=w").out
    assert "p is held" in moved
    assert "next:  pfgov packet update p --no-hold" in moved
