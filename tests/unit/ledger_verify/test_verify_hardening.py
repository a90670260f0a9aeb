"""Hostile texts, folders and amounts of keys; kept checkpoints and newer kinds of cosignatures."""

import hashlib
import io
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from conformance.ledger_verify.corpus.build import ROOT, VECTORS
from conformance.ledger_verify.corpus.key_events import revoke, rotate, rotated
from conformance.ledger_verify.corpus.memory_log import signer
from conformance.ledger_verify.corpus.run import run
from conformance.ledger_verify.corpus.second_reading import HOSTILE
from conformance.ledger_verify.corpus.story import begin, tell
from conformance.ledger_verify.corpus.tools import Export, stolen

from pfgov_ledger import (
    checkpoint,
    cli,
    ed25519,
    entry,
    errors,
    escaping,
    keys,
    lifecycle,
    note,
    proof,
    receipt,
    remember,
    report,
)
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.verify import verify

CASES = sorted(VECTORS.glob("*/*/*.case.json"))
STEERING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def steering(text: str) -> set[str]:
    """The characters of *text* that a terminal does not just show."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in STEERING}


def test_no_report_steers_the_terminal() -> None:
    """A text or JSON report holds control, format or bidirectional characters as the file has them."""
    found: set[str] = set()
    for path in CASES:
        _, judged = run(path, VECTORS)
        assert not steering(judged.to_text()), path.name
        last = judged.to_text().splitlines()[-1]
        assert (last == "PASSED") == (judged.exit_status == 0)
        assert not steering(report.dumps(judged)), path.name
        assert report.dumps(judged).isascii()
        found |= steering(json.dumps(judged.to_json(), ensure_ascii=False))
    assert {"\x7f", "\u202e", "\x85", "\u2028"} <= found  # there was something to escape


def test_every_character_that_steers_is_escaped() -> None:
    """A control, format, bidirectional or unassigned character goes to the terminal as it is."""
    for code in range(0x110000):
        escaped = escaping.shown(chr(code))
        assert not steering(escaped.replace("\n", "\x00")), hex(code)
        assert "\n" not in escaped


@pytest.mark.parametrize(
    "arguments",
    [
        [HOSTILE],
        ["x", "--key", HOSTILE],
        ["x", "--subject", HOSTILE],
        ["x", "--max-age", HOSTILE, "--witness", "w"],
        [f"--{HOSTILE}", "x"],
    ],
)
def test_no_message_steers_the_terminal(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message of the program quotes an argument as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").write_text("")
    assert cli.main(arguments) in {2, 4}
    out, err = capsys.readouterr()
    assert not steering(out + err)
    assert err


@pytest.mark.process
def test_the_folder_it_runs_in_is_not_imported_from(tmp_path: Path) -> None:
    """``python -m pfgov_ledger`` runs a module that lies in the current folder."""
    for name in ("re", "argparse", "json", "hashlib", "zlib", "pathlib", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(0)\n")
    tampered = VECTORS / "tampered" / "sequence" / "delete.lineage.jsonl"
    for safe in ([], ["-P"]):
        done = subprocess.run(
            [
                sys.executable,
                *safe,
                "-m",
                "pfgov_ledger",
                str(tampered),
                "--key",
                str(VECTORS / "anchor.txt"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={"PYTHONPATH": str(ROOT / "ledger")},
        )
        assert done.returncode == 1, done.stderr


def test_documented_commands_have_a_safe_path() -> None:
    """A document tells the reader to run a module with the current folder among the places to import from."""
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("ledger/*.md")):
        text = path.read_text()
        assert not re.search(r"python3? -m pfgov_ledger[ .][A-Za-z]", text), path
        assert not re.search(r"^\$? ?\(?.*\bpython3? (-c|[a-z_]+\.py)", text, re.MULTILINE), path


def test_documented_copies_of_the_database_are_their_owners_alone() -> None:
    """A document has the reader make a backup that others may read, with the contexts of packets in it."""
    lines = [
        (path, line)
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
        for line in path.read_text().splitlines()
        if re.search(r"ledger\.db.*[. ]backup\b", line) and re.search(r"python|sqlite3 ", line)
    ]
    assert len(lines) >= 2
    assert [(path, line) for path, line in lines if "(umask 077 && " not in line] == []


def test_two_packages_that_make_a_report_again_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A package puts what says that a report of impact holds in the place of ours."""
    ours = EntryPoint("impact", "json:loads", cli.RECOMPUTERS)
    theirs = EntryPoint("impact", "helpful_reports:recomputer", cli.RECOMPUTERS)
    for offered in ([theirs, ours], [ours, theirs]):
        monkeypatch.setattr(metadata, "entry_points", lambda offered=offered, **_: offered)
        with pytest.raises(cli.CommandError, match="helpful_reports:recomputer, json:loads") as why:
            cli._recomputer()
        assert why.value.status == cli.EXIT_NOT_CHECKED
    monkeypatch.setattr(metadata, "entry_points", lambda **_: [ours, ours])
    found: Any = cli._recomputer()
    assert found is json.loads


# --- keys ----------------------------------------------------------------------------------------


def many_keys(count: int) -> bytes:
    """A log of its own keys, in which the issuer's key is rotated *count* times."""
    log, _ = begin()
    for number in range(count):
        seed = hashlib.sha256(b"%d" % number).digest()
        fresh = keys.SeedSigner(role="issuer", name=f"k/{number}", seed=seed)
        rotate(log, "issuer", log.issuer, fresh, [log.issuer, fresh])
        log.sign_with(fresh)
    log.commit()
    return log.full()


def test_a_log_has_at_most_so_many_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile export of ever more keys is judged without end, or an honest one at the limit is refused."""
    monkeypatch.setattr(lifecycle, "KEYS_MAX", 8)
    passed = verify(io.BytesIO(many_keys(5)), anchor=tell().anchor())
    assert passed.verdicts["authenticity"].code in {None, "ledger.genesis_mismatch"}
    refused = verify(io.BytesIO(many_keys(6)), anchor=None)
    assert refused.verdicts["authenticity"].code == "ledger.key_limit"
    assert refused.verdicts["authenticity"].position == 10


class Unscanned(dict[bytes, Any]):
    """Keys that can be looked up and not gone through."""

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("every key is looked at")

    items = values = keys = __iter__  # type: ignore[assignment]


def test_a_key_event_looks_keys_up() -> None:
    """Each key event goes through all keys before it: quadratic time for a hostile file."""
    log, _ = begin()
    ring = lifecycle.KeyRing()
    ring.open(entry.parse(log.rows[0].raw))
    ring._keys = Unscanned(ring._keys)
    second, third = signer("issuer", "2"), signer("issuer", "3")
    rotate(log, "issuer", None, second, [log.recovery, second])
    rotate(log, "issuer", log.issuer, third, [log.issuer, third])
    revoke(log, "issuer", second.public, [log.recovery])
    for row in log.rows:
        ring.apply(entry.parse(row.raw))
    assert len(ring._keys) == 5


def test_a_key_is_judged_alike_with_and_without_its_table() -> None:
    """A signature in plain Python depends on how often its key was used before."""
    key = stolen("issuer", "often")
    good, bad = key.sign(b"x"), key.sign(b"y")
    for _ in range(ed25519._TABLE_AFTER + 2):
        assert ed25519.verify_pure(key.public, b"x", good)
        assert not ed25519.verify_pure(key.public, b"x", bad)


def test_the_verifiers_and_the_engine_have_one_limit() -> None:
    """The engine lets a ledger have more keys than a verifier believes, or the page counts otherwise."""
    from pfgov.limits import LEDGER_KEYS_MAX

    assert lifecycle.KEYS_MAX == LEDGER_KEYS_MAX
    assert f"const KEYS_MAX = {LEDGER_KEYS_MAX};" in (ROOT / "ledger" / "verify.html").read_text()


# --- what is kept, and who cosigns ---------------------------------------------------------------


def test_only_a_checkpoint_that_the_log_signed_is_kept() -> None:
    """A checkpoint whose signature nobody checked could be remembered."""
    full = VECTORS / "golden/v1/full.lineage.jsonl"
    assert verify(full, anchor=tell().anchor()).note
    assert not verify(full, anchor=None, require=["integrity"]).note
    whole = VECTORS / "golden/v1/entry-13.receipt.json"
    assert verify(whole, anchor=tell().anchor()).note
    assert not verify(whole, anchor=None, require=["integrity"]).note


def test_a_remembered_checkpoint_needs_a_key() -> None:
    """Without an anchor a remembered checkpoint is believed."""
    kept = remember.parse((VECTORS / "remembered-20.note").read_bytes())
    judged = verify(VECTORS / "golden/v1/full.lineage.jsonl", anchor=None, remembered=kept)
    assert judged.verdicts["freshness"].why == "no_key"
    assert judged.verdicts["non_equivocation"].why == "no_key"


def mldsa() -> tuple[bytes, note.Vkey]:
    """The story's log with a cosignature of type 0x06, and the witness's key."""
    module = pytest.importorskip(
        "cryptography.hazmat.primitives.asymmetric.mldsa", reason="cryptography has no ML-DSA"
    )
    private = module.MLDSA44PrivateKey.from_seed_bytes(bytes(range(32)))
    public, name = private.public_key().public_bytes_raw(), "witness.example/pq"
    identity = note.key_id(name, note.COSIGNATURE_MLDSA44, public)
    log = tell()
    raw = log.latest_checkpoint()
    text, when = note.split(raw)[0], 1_782_331_200
    signature = when.to_bytes(8, "big") + private.sign(checkpoint.mldsa44_message(name, text, when))
    export = Export(log.full())
    export.set_note(raw + note.signature_line(name, identity, signature).encode())
    return export.build(), note.Vkey(name, identity, note.COSIGNATURE_MLDSA44, public)


def test_a_newer_cosignature_is_checked_where_the_library_can() -> None:
    """An ML-DSA-44 cosignature is not believed, or believed whatever it signs, or believed under another name."""
    data, vkey = mldsa()
    assert note.parse_vkey(str(vkey)) == vkey
    asked = Witnessing((vkey,), 1, 86_400, 1_782_331_260)
    judged = verify(io.BytesIO(data), anchor=tell().anchor(), witnessing=asked)
    assert judged.exit_status == 0
    assert judged.to_json()["checkpoint"]["cosigned_by"] == [
        {"name": vkey.name, "time": 1_782_331_200}
    ]  # type: ignore[index]
    export = Export(data)
    line = export.tail("checkpoint")
    raw = line["checkpoint"].encode()
    text, signatures = note.split(raw)
    name, identity, signature = signatures[-1]
    kept = raw[: raw.rfind(b"\xe2\x80\x94")]
    for wrong in (
        signature[:-1] + bytes([signature[-1] ^ 1]),
        signature[:-1],
        bytes(8) + signature[8:],
    ):
        export.set_note(kept + note.signature_line(name, identity, wrong).encode())
        judged = verify(io.BytesIO(export.build()), anchor=tell().anchor(), witnessing=asked)
        assert judged.verdicts["authenticity"].code == "ledger.checkpoint_signature"
    assert text.startswith(b"log.example")


def test_a_newer_cosignature_is_left_by_name_where_it_cannot_be_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A witness whose signatures cannot be checked here passes, fails, or is said not to have signed."""
    data, vkey = mldsa()
    monkeypatch.setattr(checkpoint, "_has_mldsa44", lambda: False)
    asked = Witnessing((vkey,), 1, 86_400, 1_782_331_260)
    judged = verify(io.BytesIO(data), anchor=tell().anchor(), witnessing=asked)
    assert judged.exit_status == 4
    assert judged.verdicts["non_equivocation"].why == "witness_type"
    assert judged.verdicts["freshness"].why == "witness_type"


def test_a_newer_key_is_read_strictly() -> None:
    """A verifier key of type 0x06 with another length or id is taken."""
    _, vkey = mldsa()
    shorter = note.Vkey(vkey.name, vkey.id, vkey.algorithm, vkey.public[:-1])
    other = note.Vkey(vkey.name, bytes(4), vkey.algorithm, vkey.public)
    for bad in (shorter, other):
        with pytest.raises(errors.KeyTextError):
            note.parse_vkey(str(bad))


def test_a_quorum_counts_witnesses_and_not_lines(tmp_path: Path) -> None:
    """One witness that stands twice in the file counts as two."""
    vkeys = tmp_path / "witnesses"
    vkeys.write_text(f"{keys.vkey_of(stolen('witness', 'w.example/1'))}\n" * 2)
    arguments = cli.parser().parse_args(["x", "--witness", str(vkeys)])
    assert cli._witnessing(arguments).quorum == 1
    assert cli.main(["x", "--witness", str(vkeys), "--quorum", "2"]) == 2


# --- files ---------------------------------------------------------------------------------------


def test_a_receipt_behind_too_many_spaces_is_none() -> None:
    """What is a receipt depends on how much of a file was read to find out."""
    whole = (VECTORS / "golden/v1/entry-13.receipt.json").read_bytes()
    for spaces in (receipt.RECEIPT_BYTES_MAX, receipt.RECEIPT_BYTES_MAX - 5):
        judged = verify(io.BytesIO(b" " * spaces + whole), anchor=tell().anchor())
        assert judged.verdicts["integrity"].code == "ledger.line_oversize"
    judged = verify(
        io.BytesIO(b" " * (receipt.RECEIPT_BYTES_MAX - 20) + whole), anchor=tell().anchor()
    )
    assert judged.verdicts["integrity"].code == "ledger.oversize"


def test_a_rotation_is_followed_to_a_new_anchor(tmp_path: Path) -> None:
    """A reader whose anchor is from before a rotation of the log key cannot go on without the operator."""
    old, new = tmp_path / "anchor.txt", tmp_path / "new.txt"
    log = rotated()
    old.write_text(log.anchor().to_text())
    whole = tmp_path / "whole.lineage.jsonl"
    whole.write_bytes(log.full())
    row = log.rows[3]
    text = proof.make(log.tree(), 3, log.latest_checkpoint())
    first = signer("issuer", f"{log.origin}/engine-1")
    single = tmp_path / "single.receipt.json"
    single.write_bytes(
        receipt.write(row.raw, row.signature or b"", issuer=first.public, proof=proof.write(text))
    )
    assert cli.main([str(single), "--key", str(old)]) == 1
    arguments = [str(whole), "--key", str(old), "--new-anchor", str(new)]
    assert cli.main(arguments) == 0
    made = keys.parse_anchor(new.read_text())
    assert (made.log_vkey.public, made.genesis_leaf) == (log.log_key.public, log.rows[0].leaf)
    assert made.log_vkey.public != log.anchor().log_vkey.public
    assert cli.main([str(single), "--key", str(new)]) == 0
    assert cli.main([str(whole), "--key", str(new)]) == 0
    assert cli.main(arguments) == 4  # what is there is not replaced


def test_a_new_anchor_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where the disk is full a file without a key stays behind, and the next try refuses to replace it."""
    new = tmp_path / "new.txt"
    full, anchor = VECTORS / "golden" / "v1" / "full.lineage.jsonl", VECTORS / "anchor.txt"
    command = [
        sys.executable,
        "-P",
        "-m",
        "pfgov_ledger",
        full,
        "--key",
        anchor,
        "--new-anchor",
        new,
    ]
    limits = (
        "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    failed = subprocess.run(
        [sys.executable, "-P", "-c", limits, *command], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, "cannot write" in failed.stderr) == (4, True)
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert [one.name for one in tmp_path.iterdir()] == ["new.txt"]
    for taken in (tmp_path, Path()):
        arguments = [str(full), "--key", str(anchor), "--new-anchor", str(taken)]
        assert cli.main(arguments) == 4


def test_no_new_anchor_comes_from_less(tmp_path: Path) -> None:
    """A new anchor is made although the old one fixes no genesis, or the file failed or is a receipt."""
    new = tmp_path / "new.txt"
    vectors = {
        "golden/v1/keys-full.lineage.jsonl": "log-key-only.txt",
        "golden/v1/entry-13.receipt.json": "anchor.txt",
        "tampered/sequence/delete.lineage.jsonl": "anchor.txt",
    }
    for name, anchor in vectors.items():
        asked = [str(VECTORS / name), "--key", str(VECTORS / anchor), "--new-anchor", str(new)]
        assert cli.main(asked) in {1, 4}
        assert not new.exists()
