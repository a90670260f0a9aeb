"""``pfgov-verify`` as people and programs use it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.memory_log import signer

from pfgov_ledger import checkpoint, cli, keys, proof, receipt
from pfgov_ledger.verify import Replayer, verify

ANCHOR = str(VECTORS / "anchor.txt")
GOLDEN = VECTORS / "golden" / "v1"
FULL = str(GOLDEN / "full.lineage.jsonl")
OLDER = str(GOLDEN / "older.lineage.jsonl")
TAMPERED = VECTORS / "tampered"


@pytest.mark.unmeasured
def test_help_needs_nothing_heavy() -> None:
    """``pfgov-verify --help`` imports the engine, or a library that makes it slow."""
    script = (
        "import sys; from pfgov_ledger.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as done: assert done.code == 0\n"
        "heavy = {'pfgov', 'pydantic', 'litestar', 'celpy', 'cryptography', 'msgspec', 'rich',"
        " 'pfgov_ledger.verify', 'pfgov_ledger.ed25519'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"exit status:" in done.stdout


def test_a_good_export_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """A good export does not end with 0 and PASSED."""
    assert cli.main([FULL, "--key", ANCHOR, "--full"]) == 0
    out = capsys.readouterr()
    assert out.out.endswith("PASSED\n")
    assert out.err == ""


def test_the_json_is_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints something else than the report of the golden file."""
    assert cli.main([FULL, "--key", ANCHOR, "--json"]) == 0
    assert capsys.readouterr().out == (GOLDEN / "full.report.json").read_text()


def test_a_failure_names_code_and_position(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of a failed verification does not end with the first failure."""
    path = str(TAMPERED / "signature_invalid" / "edit.lineage.jsonl")
    assert cli.main([path, "--key", ANCHOR]) == 1
    out = capsys.readouterr().out
    assert "FAILED: ledger.signature_invalid at 13: A signature does not fit" in out
    assert "integrity         FAIL  ledger.chain_broken at 14" in out


def test_without_an_anchor_nothing_is_established(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an anchor an export passes, or the missing key is not said."""
    assert cli.main([FULL]) == 4
    assert "name the anchor with --key" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "FILE"),
        ([FULL, "--nonsense"], "--nonsense"),
        ([FULL, "--subject", "fp-001"], "packet/ID"),
        ([FULL, "--subject", "packet/fp-001", "--full"], "not allowed"),
        ([FULL, "--init"], "--remember"),
        ([FULL, "--require", "beauty"], "beauty"),
        ([FULL, "--quorum", "1"], "--witness"),
        ([FULL, "--max-age", "1h"], "--witness"),
        ([FULL, "--processes", "0"], "--processes"),
    ],
)
def test_a_wrong_command_line_is_usage(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line that makes no sense does not end with 2 and one sentence."""
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [FULL, "--key", "/nonexistent"],
        [FULL, "--key", FULL],
        ["/nonexistent", "--key", ANCHOR],
        [FULL, "--key", ANCHOR, "--witness", "/nonexistent"],
        [FULL, "--key", ANCHOR, "--witness", FULL],
        [FULL, "--key", ANCHOR, "--remember", ANCHOR],
    ],
)
def test_what_cannot_be_read_is_4(arguments: list[str]) -> None:
    """A file that cannot be read or used ends with another status than 4."""
    assert cli.main(arguments) == 4


@pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a device that is always full"
)
def test_a_report_that_cannot_be_written_is_4() -> None:
    """A full disk ends with a traceback, or with the status that means forgery."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pfgov_ledger", FULL, "--key", ANCHOR, "--full"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, "Traceback" in done.stderr) == (4, False), done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"])
@pytest.mark.parametrize("named", [FULL, "missing.lineage.jsonl"])
def test_a_stream_that_is_closed_is_no_verdict(closed: str, named: str) -> None:
    """A program that closes what it does not read is told that a good export is a forgery."""
    done = subprocess.run(
        ["bash", "-c", f'"$0" -m pfgov_ledger "$1" --key "$2" --full {closed}', sys.executable, named, ANCHOR],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    is_heard = closed == "2>&-" and named == FULL
    assert done.returncode == (0 if is_heard else 4), done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout.endswith(b"PASSED\n") == is_heard


def test_a_character_that_the_terminal_lacks_is_no_verdict(tmp_path: Path) -> None:
    """A file that holds is called a forgery where the locale has no character for what it says."""
    witness = signer("witness", "w\u00e4chter.example/w")
    found = proof.parse((VECTORS / "golden" / "v1" / "entry-13.tlog-proof").read_bytes())
    cosigned = checkpoint.cosign(found.checkpoint, witness, time=1)
    path, trusted = tmp_path / "entry-13.tlog-proof", tmp_path / "witnesses.txt"
    path.write_bytes(proof.write(proof.TlogProof(found.index, found.hashes, cosigned, found.extra)))
    trusted.write_text(f"{keys.vkey_of(witness)}\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pfgov_ledger", path, "--key", ANCHOR, "--witness", trusted],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"w\\xe4chter.example/w saw it" in done.stdout
    assert done.stdout.endswith(b"PASSED\n")


def test_remembering(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A remembered checkpoint is not asked for, not kept, lowered, or kept after a failure."""
    note = tmp_path / "seen.note"
    keep = ["--key", ANCHOR, "--remember", str(note)]
    assert cli.main([OLDER, *keep]) == 4
    assert not note.exists()
    assert cli.main([str(TAMPERED / "sequence" / "delete.lineage.jsonl"), *keep, "--init"]) == 1
    assert not note.exists()
    assert cli.main([OLDER, *keep, "--init"]) == 0
    assert note.read_bytes() == (VECTORS / "remembered-20.note").read_bytes()
    assert cli.main([OLDER, *keep, "--init"]) == 2
    assert cli.main([FULL, *keep]) == 0
    assert note.read_bytes() == (VECTORS / "remembered-26.note").read_bytes()
    assert cli.main([OLDER, *keep]) == 1
    assert "ledger.rollback at 20" in capsys.readouterr().out
    assert note.read_bytes() == (VECTORS / "remembered-26.note").read_bytes()
    assert list(tmp_path.iterdir()) == [note]


def test_a_note_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint that could not be kept looks kept."""
    missing = tmp_path / "missing" / "seen.note"
    assert cli.main([FULL, "--key", ANCHOR, "--remember", str(missing), "--init"]) == 4
    assert "cannot write" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that cannot be read is not named, or the reason is not said."""
    missing = str(tmp_path / "missing.lineage.jsonl")
    assert cli.main([missing, "--key", ANCHOR]) == 4
    assert f"cannot read {missing}: No such file" in capsys.readouterr().err


def test_the_note_of_another_log_says_nothing_of_freshness(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A remembered checkpoint of another log, signed by the same key, makes an export fresh."""
    kept = tmp_path / "seen.note"
    kept.write_bytes((VECTORS / "remembered-another.note").read_bytes())
    assert cli.main([FULL, "--key", ANCHOR, "--remember", str(kept), "--json"]) == 1
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert verdicts["freshness"] == {"status": "not_checked", "why": "no_remembered_checkpoint"}
    assert verdicts["non_equivocation"]["code"] == "ledger.origin_mismatch"
    assert kept.read_bytes() == (VECTORS / "remembered-another.note").read_bytes()


def test_require_replaces_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """``--require`` adds to the default instead of replacing it, or is not heeded."""
    assert cli.main([FULL, "--require", "integrity,completeness"]) == 0
    assert cli.main([FULL, "--key", ANCHOR, "--require", "non-equivocation"]) == 4
    assert cli.main([FULL, "--key", ANCHOR, "--require", "replay"]) == 4
    capsys.readouterr()


def test_a_witness_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cosigned checkpoint does not satisfy a quorum, or an old one is fresh."""
    case = json.loads((GOLDEN / "witnessed.case.json").read_bytes())
    witnesses = tmp_path / "witnesses.txt"
    witnesses.write_text("# who watches\n" + "\n".join(case["witnesses"]) + "\n")
    path = str(GOLDEN / "witnessed.lineage.jsonl")
    trust = ["--key", ANCHOR, "--witness", str(witnesses)]
    assert cli.main([path, *trust]) == 0
    assert "witness.example/w1 saw it" in capsys.readouterr().out
    assert cli.main([FULL, *trust]) == 4
    assert cli.main([path, *trust, "--max-age", "1s"]) == 1
    assert cli.main([path, *trust, "--max-age", "soon"]) == 2
    assert cli.main([path, *trust, "--quorum", "2"]) == 2


@pytest.mark.parametrize("text", ["", "\n", "# who watches\n", " \t\n# nobody"])
def test_a_list_without_witnesses_passes_nothing(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An emptied file of witnesses asks for no cosignature, and what nobody saw passes."""
    witnesses = tmp_path / "witnesses.txt"
    witnesses.write_text(text)
    for more in ([], ["--quorum", "0"], ["--max-age", "1h"]):
        assert cli.main([FULL, "--key", ANCHOR, "--witness", str(witnesses), *more]) == 4
        found = capsys.readouterr()
        assert found.out == ""
        assert f"there is no key in {witnesses}" in found.err


@pytest.mark.parametrize("before", [65_536, 65_535, 70_000])
def test_a_list_of_witnesses_is_read_to_its_end(
    before: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a long file of witnesses those behind its first 64 KiB need not have cosigned."""
    case = json.loads((GOLDEN / "witnessed.case.json").read_bytes())
    known, more = case["witnesses"][0], str(keys.vkey_of(signer("witness", "w.example/late")))
    witnesses = tmp_path / "witnesses.txt"
    witnesses.write_text(f"{known}\n#".ljust(before - 1, "x") + f"\n{more}\n")
    path = str(GOLDEN / "witnessed.lineage.jsonl")
    assert cli.main([path, "--key", ANCHOR, "--witness", str(witnesses)]) == 4
    found = capsys.readouterr()
    assert found.out == ""
    assert "is larger than 65536 bytes" in found.err


def test_a_receipt_and_a_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A receipt is not verified alone, or a changed one passes."""
    for name in ("entry-13.tlog-proof", "entry-13.receipt.json"):
        raw = (GOLDEN / name).read_bytes()
        assert cli.main([str(GOLDEN / name), "--key", ANCHOR]) == 0
        assert "entry 13, 1 entry" in capsys.readouterr().out
        assert cli.main([str(GOLDEN / name)]) == 4
        bent = tmp_path / name
        bent.write_bytes(raw.replace(b"index 13", b"index 12"))
        assert cli.main([str(bent), "--key", ANCHOR]) == 1
    members = json.loads((GOLDEN / "entry-13.receipt.json").read_bytes())
    alone = tmp_path / "alone.json"
    alone.write_text(json.dumps({k: v for k, v in members.items() if k != "proof"}))
    assert cli.main([str(alone), "--key", ANCHOR]) == 4
    alone.write_text(json.dumps(members | {"issuer": "00" * 32}))
    assert cli.main([str(alone), "--key", ANCHOR]) == 1
    alone.write_text(json.dumps({"receipt": members, "status": "ok"}, indent=1))
    assert cli.main([str(alone), "--key", ANCHOR]) == 4 - 4


@pytest.mark.parametrize("name", ["entry-13.tlog-proof", "entry-13.receipt.json"])
def test_a_receipt_is_no_answer_about_a_history(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receipt passes as the whole log, as a range, or as the history that its entry belongs to."""
    for asked in (["--full"], ["--range"], ["--subject", "keys"], ["--subject", "packet/fp-001"]):
        assert cli.main([str(GOLDEN / name), "--key", ANCHOR, *asked]) == 1
        assert "FAILED: ledger.other_question at 0" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["entry-13.tlog-proof", "entry-13.receipt.json"])
def test_a_receipts_checkpoint_is_remembered(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receipt passes without the checkpoint to compare with, or its own is not kept after it passed."""
    note = tmp_path / "seen.note"
    asked = [str(GOLDEN / name), "--key", ANCHOR, "--remember", str(note)]
    assert cli.main(asked) == 4
    assert not note.exists()
    assert cli.main([*asked, "--full", "--init"]) == 1
    assert not note.exists()
    assert cli.main([*asked, "--init"]) == 0
    assert note.read_bytes() == (VECTORS / "remembered-26.note").read_bytes()
    assert cli.main(asked) == 0
    assert "non-equivocation  pass" in capsys.readouterr().out
    assert cli.main([FULL, *asked[1:]]) == 0


def test_a_receipt_does_not_raise_what_is_remembered(tmp_path: Path) -> None:
    """Without a proof that the log only grew, a receipt's larger checkpoint replaces the remembered one."""
    note = tmp_path / "seen.note"
    older = (VECTORS / "remembered-20.note").read_bytes()
    note.write_bytes(older)
    path = str(GOLDEN / "entry-13.receipt.json")
    assert cli.main([path, "--key", ANCHOR, "--remember", str(note)]) == 4
    assert note.read_bytes() == older


def test_an_older_receipt_does_not_lower_what_is_remembered(tmp_path: Path) -> None:
    """A receipt under an older checkpoint than the remembered one passes, or replaces it."""
    note = tmp_path / "seen.note"
    newer = (VECTORS / "remembered-26.note").read_bytes()
    note.write_bytes(newer)
    path = str(TAMPERED / "rollback" / "receipt.receipt.json")
    assert cli.main([path, "--key", ANCHOR]) == 0
    assert cli.main([path, "--key", ANCHOR, "--remember", str(note)]) == 1
    assert note.read_bytes() == newer


def test_a_receipt_cannot_be_replayed() -> None:
    """Whoever asks for a replay of one entry is told that everything was checked."""

    class Never:
        """Runs nothing."""

        def feed(self, *_: object) -> None:
            """Take nothing."""
            raise AssertionError

    path = GOLDEN / "entry-13.receipt.json"
    anchor = keys.parse_anchor(Path(ANCHOR).read_text())
    report = verify(path, anchor=anchor, replayer=cast("Replayer", Never()))
    assert report.exit_status == 4
    assert report.verdicts["replay"].why == "partial"


def test_a_receipt_is_recognised_however_it_is_written(tmp_path: Path) -> None:
    """The order of a receipt's members or its indentation decides whether it verifies, or its size does not."""
    members = json.loads((GOLDEN / "entry-13.receipt.json").read_bytes())
    answer = {"as_a_result": [], "receipt": members, "events": [{"says": '\\"{['}]}
    path = tmp_path / "answer.json"
    for indent, is_sorted in ((None, False), (None, True), (2, True), (40, False)):
        path.write_text("\n " * 50 + json.dumps(answer, indent=indent, sort_keys=is_sorted))
        assert cli.main([str(path), "--key", ANCHOR]) == 0
    room = receipt.RECEIPT_BYTES_MAX - len(json.dumps(answer))
    path.write_text(json.dumps(answer) + " " * room)
    assert cli.main([str(path), "--key", ANCHOR]) == 0
    path.write_text(json.dumps(answer) + " " * (room + 1))
    assert cli.main([str(path), "--key", ANCHOR]) == 1
    path.write_text(json.dumps(members) + " " * receipt.RECEIPT_BYTES_MAX)
    assert cli.main([str(path), "--key", ANCHOR]) == 1


def test_quick_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """``--quick`` passes without saying what it left out, or passes without a key."""
    assert cli.main([FULL, "--key", ANCHOR, "--quick"]) == 0
    assert "entry signatures were left out" in capsys.readouterr().out
    assert cli.main([FULL, "--quick"]) == 4


def test_the_module_is_the_program() -> None:
    """``python -m pfgov_ledger`` does not end with the report's status."""
    done = subprocess.run(
        [sys.executable, "-m", "pfgov_ledger", FULL], capture_output=True, check=False
    )
    assert done.returncode == 4
    assert done.stderr == b""


def test_progress_is_shown_to_people_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A progress bar is written where nobody looks, or not where somebody does."""
    monkeypatch.setattr("pfgov_ledger.examine.PROGRESS_EVERY", 5)
    assert cli.main([FULL, "--key", ANCHOR]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main([FULL, "--key", ANCHOR]) == 0
    err = capsys.readouterr().err
    assert "5 of 26" in err
    assert err.startswith("\r[")


@pytest.mark.parametrize("error", [BrokenPipeError, KeyboardInterrupt])
def test_an_interruption_is_no_traceback(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that goes away, or Ctrl-C, gives a traceback or looks like a verdict."""

    def interrupted(_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", interrupted)
    assert cli.main([FULL]) == 4


def test_standard_input_is_a_file_too() -> None:
    """An export on standard input is not verified."""
    command = [sys.executable, "-m", "pfgov_ledger", "-", "--key", ANCHOR]
    done = subprocess.run(command, input=Path(FULL).read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0
