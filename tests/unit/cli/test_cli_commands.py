"""The ledger on the command line, and corners of other commands."""

import json
from pathlib import Path

import pytest
from support.commandline import CAPABLE, GOOD, PACKET, CommandLine

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
    nothing = pfgov.refused("ledger", "log", "--subject", "packet/none")
    assert (nothing["code"], nothing["status"]) == ("subject.not_found", 1)
    assert "no such entries" in pfgov("ledger", "log", "--subject", "keys").out
    typed = ("--subject", "packet/fp-001", "--type", "packet_failed")
    assert "no such entries" in pfgov("ledger", "log", *typed).out
    assert "--subject" in pfgov.refused("ledger", "log", "--subject", "fp-001")["message"]
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
    monkeypatch.setattr("pfgov.engine.reading.replay_store", unavailable)
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
    pfgov.ok("packet", "review", "fp-001", "--grant", "--version", "3")
    monkeypatch.setattr(LedgerReader, "verdict_table", lambda *_: None)
    monkeypatch.setattr("pfgov.engine.reading.replay.verdict_table", unavailable)
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
    pfgov.ok("packet", "review", "fp-001", "--grant", "--version", "3")
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
    assert "warning: 1 payload was changed in the database" in " ".join(out.split())


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


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (("member", "register", "--id", "x", "--type", "agent", "--lease", "0"), "--lease: 0 is"),
        (("member", "register", "--id", "x", "--type", "agent", "--trust", "2"), "--trust: 2 is"),
        (("member", "register", "--id", "a b", "--type", "agent"), "--id: "),
        (("member", "register", "--id", "x", "--type", "agent", "--capacity", "cpu=x"), "--capacity: "),
        (("packet", "submit", "--workload", "w", "--min-trust", "2"), "--min-trust: 2 is"),
        (("packet", "submit", "--workload", "w", "--deadline", "2020-01-01T00:00:00Z"), "--deadline: "),
        (("packet", "submit", "--workload", "w", "--again", "ghost"), "--again: there is no packet ghost"),
        (("packet", "submit", "--workload", "w", "--file", "FILE"), "lease_seconds: no such field"),
        (("ledger", "export", "--since", "99", "--out", "OUT"), "--since: "),
        (("ledger", "export", "--range", "1:99", "--out", "OUT"), "--range: "),
        (("ledger", "export", "--subject", "nothing", "--out", "OUT"), "--subject: "),
        (("ledger", "log", "--type", "nothing"), "--type: "),
    ],
)  # fmt: skip
def test_an_error_names_the_option_that_it_is_about(
    pfgov: CommandLine, words: tuple[str, ...], begins: str, tmp_path: Path
) -> None:
    """Whoever typed an option is told about that option, not about the field that it fills; a file's keeps its name."""
    file = tmp_path / "packet.json"
    file.write_text('{"lease_seconds": 0}')
    pfgov.ok("init")
    places = {"FILE": file, "OUT": tmp_path / "out"}
    refused = pfgov.refused(*(places.get(word, word) for word in words))
    assert refused["message"].startswith(begins), refused["message"]


def test_a_packet_repeats_only_one_that_was(pfgov: CommandLine) -> None:
    """``--again`` names a packet that was submitted, and a misspelt one is guessed."""
    pfgov.ok("init")
    pfgov.ok("packet", "submit", "--id", "case-17", "--workload", "w")
    refused = pfgov.refused("packet", "submit", "--workload", "w", "--again", "case-71")
    assert (refused["code"], refused["hint"]) == ("packet.not_found", "did you mean case-17?")
    unlike = pfgov.refused("packet", "submit", "--workload", "w", "--again", "zzz")
    assert "pfgov packet list" in unlike["hint"]
    pfgov.ok("packet", "cancel", "case-17")
    again = pfgov.ok("packet", "submit", "--workload", "w", "--again", "case-17")["packet"]
    assert again["again"] == "case-17"


def test_the_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json --version`` prints an object, in whichever order, and ``--version`` alone a line."""
    from pfgov import __version__
    from pfgov.cli import run

    for words in (["--json", "--version"], ["--version", "--json"]):
        assert run(words) == 0
        assert json.loads(capsys.readouterr().out) == {"version": __version__}
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"pfgov {__version__}\n"
