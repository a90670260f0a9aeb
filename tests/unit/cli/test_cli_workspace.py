"""A workspace on the command line: beginning, time, configuration, policy."""

import json
from pathlib import Path

import pytest
from support.commandline import GOOD, PACKET, CommandLine, says

ORIGIN = ("--origin", "pfgov.test/cli")


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
    pfgov.ok("packet", "review", "fp-001", "--grant", "--version", "3")
    pfgov.ok("member", "register", "--id", "a2", *GOOD)
    real = SystemClock.now
    monkeypatch.setattr(SystemClock, "now", lambda self: real(self) + 40_000_000)
    ticked = pfgov.ok("tick")
    kinds = says(ticked, "entries")
    assert kinds[:3] == ["member_suspected", "member_failed", "ownership_revoked"]
    assert pfgov.ok("packet", "show", "fp-001")["packet"]["current_owner"] == "a2"


def test_tick_says_that_leases_do_not_end(
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
    assert "leases do not end (mass_expiry)" in said.out
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
on: [register, place, retain]
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
    unsaid = pfgov.refused("policy", "activate", folder)
    assert (unsaid["code"], unsaid["status"]) == ("policy.unconfirmed", 1)
    assert pfgov.ok("policy", "show")["policy"]["digest"] == before["digest"]
    made = pfgov.ok("policy", "activate", folder, "--yes")
    assert says(made, "entries")[0] == "policy_activated"
    assert pfgov.ok("policy", "show")["policy"]["digest"] == made["policy"]["digest"]
    assert "was binding already" in pfgov("policy", "activate", folder).out
    assert "mine" in pfgov("policy", "show").out


def test_a_folder_without_policies_does_not_fail_to_compile(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """Status 3 is for policies that do not compile; a wrong folder or pack is a mistake of the command line."""
    pfgov.ok("init", "--origin", "pfgov.test/cli")
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "x").write_text("mine")
    for arguments, code in (
        (("activate", empty), "policy.no_files"),
        (("init", full), "policy.exists"),
        (("init", tmp_path / "new", "--pack", "nope"), "policy.not_shipped"),
        (("init", tmp_path / "new", "--pack", "kernel"), "policy.not_shipped"),
    ):
        error = pfgov.refused("policy", *arguments)
        assert (error["code"], error["status"]) == (code, 2)


@pytest.mark.parametrize(
    "text", ["lease_seconds=0", "half_life=-1", "pressure_high=2", "flap_limit=x"]
)
def test_a_setting_that_cannot_be_is_named(pfgov: CommandLine, text: str) -> None:
    """Among several settings the error says which one it is about."""
    pfgov.ok("init", "--origin", "pfgov.test/cli")
    error = pfgov.refused("config", "set", "max_handoffs=3", text)
    assert error["code"] == "input.invalid"
    assert error["message"].startswith(f"{text.partition('=')[0]}: ")


def test_a_key_file_without_a_server_is_refused(pfgov: CommandLine, tmp_path: Path) -> None:
    """A key that nobody would be shown was meant for a server that is not named; it is not ignored."""
    pfgov.ok("init", "--origin", "pfgov.test/cli")
    for command in (("status",), ("packet", "list"), ("policy", "init", tmp_path / "new")):
        error = pfgov.refused(*command, "--key-file", tmp_path / "nope")
        assert (error["code"], error["status"]) == ("usage", 2)
        assert "--url" in error["hint"]
    assert not (tmp_path / "new").exists()
