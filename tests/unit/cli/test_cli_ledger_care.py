"""Proving one entry, erasing payloads, and looking after a ledger from the command line."""

import json
import sqlite3
from pathlib import Path

import pytest
from support.commandline import GOOD, PACKET, CommandLine

from pfgov.engine import Engine, Options
from pfgov.errors import InvalidError
from pfgov.storage import open_store
from pfgov_ledger import cli as verifier

SECRET = "Ms Unmistakable"


@pytest.fixture
def pfgov(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A ledger in which a1 owns the specification's packet, whose context names a person."""
    line = CommandLine(tmp_path / "ledger", capsys)
    body = json.loads(PACKET.read_text())
    body["context_checkpoint"]["customer"] = SECRET
    packet = tmp_path / "packet.json"
    packet.write_text(json.dumps(body))
    line.ok("init", "--origin", "pfgov.test/cli")
    line.ok("member", "register", "--id", "a1", *GOOD)
    line.ok("packet", "submit", "--file", packet)
    return line


def on_disk(pfgov: CommandLine) -> bool:
    """Whether the person's name lies anywhere in the database's files."""
    return any(SECRET.encode() in file.read_bytes() for file in pfgov.directory.glob("ledger.db*"))


# --- prove --------------------------------------------------------------------------------


def test_a_proof_of_an_entry_is_accepted_by_the_verifier(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """pfgov-verify takes every entry's proof with the anchor, and refuses one in which a byte was changed."""
    anchor = str(pfgov.directory / "anchor.txt")
    size = pfgov.ok("ledger", "head")["size"]
    for seq in range(size):
        file = tmp_path / f"{seq}.tlog-proof"
        made = pfgov.ok("ledger", "prove", seq, "--out", file)
        assert (made["seq"], made["size"], made["file"]) == (seq, size, str(file))
        assert verifier.main([str(file), "--key", anchor]) == 0
    text = file.read_text()
    assert text.startswith("c2sp.org/tlog-proof@v1\n")
    file.write_text(text.replace(f"index {size - 1}\n", f"index {size - 2}\n"))
    assert verifier.main([str(file), "--key", anchor]) == 1


def test_a_proof_goes_to_standard_output_and_never_over_a_file(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """Without --out the proof is printed as it is; a file that exists is replaced only when told to."""
    text = pfgov("ledger", "prove", 0).out
    assert (
        pfgov.ok("ledger", "prove", 0)["proof"]
        == text
        == pfgov("ledger", "prove", 0, "-o", "-").out
    )
    file = tmp_path / "p"
    file.write_text("mine")
    assert pfgov.refused("ledger", "prove", 0, "--out", file)["code"] == "usage"
    assert file.read_text() == "mine"
    said = pfgov("ledger", "prove", 0, "--out", file, "--force").out.split()
    assert "entry 0 in the log of" in " ".join(said)
    assert file.read_text() == text


def test_what_is_not_there_is_not_proved(pfgov: CommandLine) -> None:
    """A position after the end is refused by name, with the positions that there are."""
    for position in (999, 2**53, 2**63 - 1, 2**63, 10**30):
        error = pfgov.refused("ledger", "prove", position)
        assert error["code"] == "entry.not_found"
        assert "holds 0 to" in error["hint"]


def test_nothing_comes_after_a_position_that_no_entry_can_have(pfgov: CommandLine) -> None:
    """A position beyond what the database can count is an empty answer, not a failure of ours."""
    for position in (2**63 - 1, 2**63, 10**30):
        assert pfgov.ok("ledger", "log", "--after", position)["count"] == 0


# --- erase --------------------------------------------------------------------------------


def test_listing_a_packets_payloads_erases_nothing(pfgov: CommandLine) -> None:
    """Without a reason the payloads are listed, by commitment, and nothing is recorded."""
    size = pfgov.ok("ledger", "head")["size"]
    listed = pfgov.ok("ledger", "erase", "--packet", "fp-001")
    assert {p["state"] for p in listed["payloads"]} == {"present"}
    assert "context" in {p["field"] for p in listed["payloads"]}
    assert listed["payloads"][0]["commitment"][:8] in pfgov(
        "ledger", "erase", "--packet", "fp-001"
    ).out.replace("\n", "")
    assert pfgov.ok("ledger", "head")["size"] == size
    assert on_disk(pfgov)


def test_an_erased_packet_still_verifies_and_replays_and_says_why(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """After an erasure no page holds the payload, the history verifies and replays, and the report gives the reason."""
    before = pfgov.ok("ledger", "erase", "--packet", "fp-001")["payloads"]
    done = pfgov.ok("ledger", "erase", "--packet", "fp-001", "--why", "data_subject_request")
    assert (done["state"], done["why"]) == ("done", "data_subject_request")
    assert sorted(done["erased"]) == sorted(p["commitment"] for p in before)
    assert not on_disk(pfgov)
    file = tmp_path / "all.lineage.jsonl"
    exported = pfgov.ok("ledger", "export", "--out", file)
    assert exported["attachments"] == 0
    report = pfgov.ok("ledger", "verify", file, "--full", "--replay")
    assert report["verdicts"]["replay"] == {"status": "pass"}
    assert report["attachments"] == {"disclosed": 0, "withheld": 0, "erased": len(before)}
    assert {one["why"] for one in report["erasures"]} == {"data_subject_request"}
    assert pfgov.ok("ledger", "replay")["replayed"]
    listed = pfgov.ok("ledger", "erase", "--packet", "fp-001")["payloads"]
    assert {(p["state"], p["why"], p["bytes"]) for p in listed} == {
        ("erased", "data_subject_request", None)
    }


def test_erasing_twice_records_it_once(pfgov: CommandLine) -> None:
    """One payload goes by its commitment; asked again, nothing more is recorded, whatever the new reason."""
    payload = pfgov.ok("ledger", "erase", "--packet", "fp-001")["payloads"][0]["commitment"]
    assert payload in pfgov.ok("ledger", "erase", payload, "--why", "retention")["erased"]
    size = pfgov.ok("ledger", "head")["size"]
    again = pfgov.ok("ledger", "erase", payload, "--why", "legal_order")
    assert (again["state"], again["erased"]) == ("done", [])
    assert payload in again["already_erased"]
    assert pfgov.ok("ledger", "head")["size"] == size
    assert "nothing was left" in pfgov("ledger", "erase", payload, "--why", "retention").out


def test_an_erasure_is_pending_while_old_pages_are_read(pfgov: CommandLine) -> None:
    """As long as somebody reads the old pages, the answer is pending and exit status 4; then it is done."""
    reader = sqlite3.connect(pfgov.directory / "ledger.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM attachment").fetchone()
    erase = ("ledger", "erase", "--packet", "fp-001", "--why", "retention")
    said = pfgov(*erase, "--json")
    assert (said.status, said.json["state"]) == (4, "pending")
    assert "run the same command again" in pfgov(*erase).out
    reader.close()
    assert pfgov.ok(*erase)["state"] == "done"
    assert not on_disk(pfgov)


def test_erase_refuses_what_makes_no_sense(pfgov: CommandLine) -> None:
    """Neither or both of commitment and packet, an unknown one, a reason of one's own: each has its code."""
    for arguments, code in (
        ((), "usage"),
        (("0" * 64, "--packet", "fp-001"), "usage"),
        (("0" * 64, "--why", "because"), "usage"),
        (("0" * 64, "--why", "retention"), "attachment.not_found"),
        (("--packet", "nobody", "--why", "retention"), "packet.not_found"),
    ):
        assert pfgov.refused("ledger", "erase", *arguments)["code"] == code


# --- doctor -------------------------------------------------------------------------------


def outcomes(pfgov: CommandLine, *options: str, status: int = 0) -> dict[str, str]:
    """Return what each check came to, and hold the exit status."""
    said = pfgov("ledger", "doctor", *options, "--json")
    assert said.status == status, said
    return {finding["check"]: finding["outcome"] for finding in said.json["findings"]}


def test_a_new_ledger_is_well_but_for_what_lies_too_close(
    pfgov: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh: two warnings, recovery key and head lock in the same place; moved away, everything is well."""
    found = outcomes(pfgov)
    assert (found.pop("key_files"), found.pop("head")) == ("warning", "warning")
    assert found.pop("disk") in {"ok", "warning"}
    assert set(found.values()) == {"ok"}
    assert set(found) == {
        "schema",
        "signers",
        "entries",
        "payloads",
        "documents",
        "rows",
        "orders",
        "erasures",
        "tables",
        "clock",
        "database_files",
    }
    outcomes(pfgov, "--strict", status=1)
    assert "PFGOV_HEAD_LOCK" in pfgov("ledger", "doctor").out
    (pfgov.directory / "keys" / "recovery.key").rename(tmp_path / "recovery.key")
    (pfgov.directory / "head.db").rename(tmp_path / "head.db")
    monkeypatch.setenv("PFGOV_HEAD_LOCK", str(tmp_path / "head.db"))
    found = outcomes(pfgov)
    assert (found["key_files"], found["head"]) == ("ok", "ok")


def altered(pfgov: CommandLine, statement: str) -> None:
    """Change the database behind the ledger's back."""
    store = sqlite3.connect(pfgov.directory / "ledger.db", isolation_level=None)
    store.execute(statement)
    store.close()


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("DROP TRIGGER entry_no_update", "schema"),
        ("UPDATE packet SET body = CAST(replace(body, 'fp-001', 'fp-002') AS BLOB)", "rows"),
        ("DELETE FROM member", "rows"),
        ("INSERT INTO checkpoint VALUES (99, x'78')", "head"),
    ],
)
def test_doctor_finds_what_was_changed_outside(
    pfgov: CommandLine, statement: str, check: str
) -> None:
    """A dropped trigger, an edited or deleted row, a checkpoint that is none: found by name, with exit status 1."""
    altered(pfgov, statement)
    found = outcomes(pfgov, status=1)
    assert found[check] == "failed"
    if check == "schema":
        assert found["rows"] == "not_checked"


def test_doctor_finds_a_restored_copy(pfgov: CommandLine, tmp_path: Path) -> None:
    """A database from before what the head lock has seen is found before anything is signed on top of it."""
    old = (pfgov.directory / "ledger.db").read_bytes()
    pfgov.ok("ledger", "export", "--fresh", "--out", tmp_path / "x.jsonl")
    (pfgov.directory / "ledger.db").write_bytes(old)
    assert outcomes(pfgov, status=1)["head"] == "failed"


def test_doctor_finds_a_payload_that_came_back(pfgov: CommandLine) -> None:
    """A payload that lies there although its erasure is recorded fails; opening for writing cures it."""
    pfgov.ok("ledger", "erase", "--packet", "fp-001", "--why", "retention")
    assert outcomes(pfgov)["erasures"] == "ok"
    altered(pfgov, "UPDATE attachment SET state = 'present', salt = zeroblob(32), payload = x'78'")
    assert outcomes(pfgov, status=1)["erasures"] == "failed"
    pfgov.ok("tick")
    assert outcomes(pfgov)["erasures"] == "ok"


def test_doctor_finds_keys_that_others_can_read_or_that_are_not_ours(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """A key that the group may read, one that is missing and one of another ledger each fail."""
    issuer = pfgov.directory / "keys" / "issuer.key"
    issuer.chmod(0o640)
    assert outcomes(pfgov, status=1)["key_files"] == "failed"
    issuer.chmod(0o600)
    other = tmp_path / "other"
    assert pfgov("--dir", other, "init").status == 0
    mine = issuer.read_bytes()
    issuer.write_bytes((other / "keys" / "issuer.key").read_bytes())
    assert outcomes(pfgov, status=1)["signers"] == "failed"
    issuer.unlink()
    assert outcomes(pfgov, status=1)["key_files"] == "failed"
    issuer.write_bytes(mine)
    issuer.chmod(0o600)
    anchor = pfgov.directory / "anchor.txt"
    anchor.write_text((other / "anchor.txt").read_text())
    assert outcomes(pfgov, status=1)["signers"] == "failed"


def test_doctor_warns_before_the_disk_is_full(
    pfgov: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Little room is a warning, hardly any a failure."""
    from pfgov.engine.maintenance import doctor

    for free, outcome, status in (
        (1 << 20, "failed", 1),
        (1 << 29, "warning", 0),
        (1 << 40, "ok", 0),
    ):
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda _, free=free: type("U", (), {"free": free})
        )
        assert outcomes(pfgov, status=status)["disk"] == outcome


def test_doctor_needs_a_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no ledger the answer says so, with exit status 4."""
    error = CommandLine(tmp_path / "none", capsys).refused("ledger", "doctor")
    assert (error["code"], error["status"]) == ("store.missing", 4)


# --- keys ---------------------------------------------------------------------------------


def test_a_revocation_is_signed_in_one_place_and_recorded_in_another(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """With the list of keys and the recovery key, and without the ledger, a statement is made that the ledger takes."""
    rotated = pfgov.ok("ledger", "keys", "rotate", "issuer")
    listed = tmp_path / "keys.json"
    said = pfgov("ledger", "keys", "list", "--json")
    listed.write_text(said.out)
    assert {key["state"] for key in said.json["keys"]} == {"in_force", "replaced"}
    assert rotated["old"][:16] in pfgov("ledger", "keys", "list").out
    recovery = tmp_path / "recovery.key"
    (pfgov.directory / "keys" / "recovery.key").rename(recovery)
    elsewhere = CommandLine(tmp_path / "nowhere", pfgov._capsys)
    sign = ("ledger", "keys", "revoke", rotated["old"][:9], "--sign-only", "--recovery", recovery)
    signed = elsewhere(*sign, "--keys", listed, "--suspect-from", 2)
    statement = tmp_path / "statement.json"
    statement.write_text(signed.out)
    assert signed.json == pfgov(*sign, "--suspect-from", 2).json, (
        "the ledger's own list says the same"
    )
    assert signed.json["keys"] == {"key": rotated["old"], "role": "issuer", "suspect_from": 2}
    size = pfgov.ok("ledger", "head")["size"]
    done = pfgov.ok("ledger", "keys", "revoke", "--statement", statement)
    assert (done["entry"], done["role"], done["old"]) == (size, "issuer", rotated["old"])
    assert (
        pfgov.refused("ledger", "keys", "revoke", "--statement", statement)["code"] == "key.revoked"
    )
    assert pfgov.ok("ledger", "verify", "--replay")["exit_status"] == 0
    assert pfgov.ok("ledger", "keys", "list")["next"]["seq"] == 2


def test_a_recovery_key_that_is_not_there_is_looked_for_where_it_was_said_to_be(
    pfgov: CommandLine, tmp_path: Path
) -> None:
    """The next step names the file of ``--recovery``, not a folder that has no part in it."""
    for action in (("--sign-only",), ()):
        error = pfgov.refused(
            "ledger", "keys", "revoke", "zz", "--recovery", tmp_path / "nope", *action
        )
        assert error["code"] == "key.unusable"
        assert str(tmp_path / "nope") in error["hint"]
        assert "keys folder" not in error["hint"]


def test_one_erased_payload_is_one(pfgov: CommandLine) -> None:
    """One is no plural, neither of payloads nor of members that were judged."""
    assert "1 member was judged" in " ".join(pfgov("packet", "explain", "fp-001").out.split())
    out = pfgov("ledger", "erase", "--packet", "fp-001", "--why", "retention").out
    assert out.startswith("1 payload erased: done\n")


def test_a_statement_that_was_changed_is_refused(pfgov: CommandLine, tmp_path: Path) -> None:
    """Whoever edits a statement, or signs for a key that still signs, gets a refusal and no entry."""
    issuer = next(k for k in pfgov.ok("ledger", "keys", "list")["keys"] if k["role"] == "issuer")
    statement = tmp_path / "statement.json"
    made = pfgov("ledger", "keys", "revoke", issuer["public"], "--sign-only").json
    statement.write_text(json.dumps(made))
    send = ("ledger", "keys", "revoke", "--statement", statement)
    assert pfgov.refused(*send)["code"] == "key.in_use"
    statement.write_text(json.dumps({**made, "seq": 1}))
    assert pfgov.refused(*send)["code"] == "key.statement_stale"
    statement.write_text(json.dumps({**made, "more": 1}))
    assert pfgov.refused(*send)["code"] == "input.unknown_field"


@pytest.mark.parametrize(
    "words",
    [
        ("rotate", "issuer", "--sign-only"), ("list", "issuer"), ("show", "--keys", "x"),
        ("revoke", "ab", "--keys", "x"), ("rotate", "log", "--statement", "x"),
        ("revoke", "ab", "--statement", "x"), ("revoke", "--statement", "x", "--sign-only"),
    ],
)  # fmt: skip
def test_options_of_keys_that_do_not_belong_together(
    pfgov: CommandLine, words: tuple[str, ...]
) -> None:
    """An option that the action has no use for is a mistake, not ignored."""
    assert pfgov.refused("ledger", "keys", *words)["code"] == "usage"


def test_a_server_takes_signers_only_for_roles_that_sign(pfgov: CommandLine) -> None:
    """--signer names issuer or log, and is refused where there is no ledger yet: it begins with keys of its own."""
    assert pfgov.refused("serve", "--signer", "recovery=env:X")["code"] == "usage"
    assert pfgov.refused("serve", "--signer", "issuer")["code"] == "usage"
    with pytest.raises(InvalidError):
        Engine.create(
            open_store(pfgov.directory.parent / "new"), options=Options(issuer=("env:X",))
        )
    assert not (pfgov.directory.parent / "new").exists()
