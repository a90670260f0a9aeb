"""``pfgov monitor`` against a real server: what it prints, how it leaves, and when it goes on."""

import json
from pathlib import Path

import pytest
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import fresh, opened, place, register

from pfgov.cli import run


def test_monitor_over_http(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command cannot read a real server, says the wrong number, or takes a ledger put back for an honest one."""
    directory = fresh(tmp_path)
    anchor, state = tmp_path / "anchor.txt", tmp_path / "state"
    anchor.write_text((directory / "anchor.txt").read_text())
    how = ("monitor", "--key", anchor, "--state", state, "--once")
    with opened(directory) as engine:
        register(engine, "m1")
        older = tmp_path / "older"
    import shutil

    shutil.copytree(directory, older)
    with opened(directory, seed="more") as engine:
        place(engine, "p1")
        size = engine.status().size
    with Served(directory) as server:
        line = RemoteLine(server.url, capsys)
        first = line.ok(*how)
        assert (first["status"], first["size"], first["before"]) == ("ok", size, 0)
        assert first["news"] == [{"position": 1, "type": "policy_activated"}]
        told = line(*how)
        assert (told.status, told.out) == (0, f"pfgov.test/one: fits: {size} entries, 0 new\n")
        asked = line(
            "monitor", "--key", anchor, "--state", state, "--once", "--webhook", "http://u:p@x/"
        )
        assert asked.status == 2
    silent = line(*how, "--json")
    assert (silent.status, json.loads(silent.out)["status"]) == (4, "unknown")
    with Served(older) as server:
        line = RemoteLine(server.url, capsys)
        said = line(*how, "--json")
        assert said.status == 1
        (alarm,) = json.loads(said.out)["alarms"]
        assert alarm["code"] == "ledger.rollback"
        text = line(*how)
        assert text.status == 1
        assert f"ALARM: ledger.rollback at {size - 2}" in text.out
        assert "evidence" in text.out


NO_MONITOR = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: exports, version: "1"}
on: [register, place, retain, export]
rules:
  - id: not-the-monitor
    on: [export]
    deny: has(principal.name) && principal.name == "monitor"
    message: "{principal.name} may not take lineage out"
  - {id: members, on: [register, place, retain], deny: member.trust_score < 0.1}
"""


def test_a_rule_at_export_denies_the_monitors_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A denied monitor takes no entry, alarms about nothing, says whose word it is, and goes on once it is let."""
    directory = fresh(tmp_path)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "exports.policy.yaml").write_text(NO_MONITOR)
    how = (
        "monitor",
        "--key",
        directory / "anchor.txt",
        "--state",
        tmp_path / "state",
        "--once",
        "--json",
    )
    with Served(directory) as server:
        line = RemoteLine(server.url, capsys)
        keys = {
            name: server.keyring.create((scope,), now=1, name=name)[1]
            for name, scope in (("monitor", "auditor"), ("root", "admin"))
        }
        monkeypatch.setenv("PFGOV_API_KEY", keys["monitor"])
        before = line.ok(*how)
        monkeypatch.setenv("PFGOV_API_KEY", keys["root"])
        line.ok("policy", "activate", folder, "--yes")
        monkeypatch.setenv("PFGOV_API_KEY", keys["monitor"])
        for _ in range(2):
            said = line(*how)
            found = json.loads(said.out)
            assert (said.status, found["status"], found["alarms"]) == (4, "unknown", [])
            assert (found["size"], found["news"]) == (before["size"], [])
            assert "monitor may not take lineage out [policy.denied]" in found["why"]
        monkeypatch.setenv("PFGOV_API_KEY", keys["root"])
        line.ok("policy", "rollback")
        monkeypatch.setenv("PFGOV_API_KEY", keys["monitor"])
        after = line.ok(*how)
        assert (after["status"], after["before"]) == ("ok", before["size"])
        assert after["size"] > before["size"]


def test_monitor_needs_a_server_and_an_anchor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server, or with something else for an anchor, it fails somewhere deep inside."""
    pfgov = CommandLine(tmp_path / "ledger", capsys)
    anchor = tmp_path / "anchor.txt"
    assert pfgov.refused("monitor", "--key", anchor, "--once")["status"] == 2
    anchor.write_text("nonsense")
    line = RemoteLine("http://127.0.0.1:1", capsys)
    assert line.refused("monitor", "--key", anchor, "--once")["code"].startswith("ledger.key")
    assert line.refused("monitor", "--key", tmp_path / "none", "--once")["status"] == 4
    assert line("monitor", "--once").status == 2


def test_monitor_goes_on_and_says_what_is_new(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running monitor repeats itself, stops by itself, or forgets what its last look came to."""
    directory = fresh(tmp_path)
    state = tmp_path / "state"
    with Served(directory) as server:
        steps = ["look", "register", "stop"]

        def sleep(seconds: float) -> None:
            assert seconds == 5.0
            step = steps.pop(0)
            if step == "register":
                register(server.engine, "m1")
            if step == "stop":
                raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", sleep)
        words = ["monitor", "--url", server.url, "--key", str(directory / "anchor.txt"), "--state"]
        assert run([*words, str(state), "--interval", "5"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [text for text in lines if "fits" in text] == [
            "pfgov.test/one: fits: 2 entries, 2 new",
            "pfgov.test/one: fits: 3 entries, 1 new",
        ]
        steps[:] = ["look", "stop"]
        assert run([*words, str(state), "--interval", "5", "--json"]) == 0
        looks = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
        assert [one["size"] for one in looks] == [3, 3]
