"""A monitor finds on a doctored server what a verifier finds in a doctored file, and remembers what was good."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doctored import Shown, of_export
from support.ledgers import fresh, opened, place, register

from pfgov.app import evidence
from pfgov.app.evidence import FOLDER as EVIDENCE
from pfgov.app.monitor.telling import Teller
from pfgov.app.monitor.watching import NOTE, STATE, Look, Monitor
from pfgov.engine import LedgerReader
from pfgov.engine.reading.exporting import stored_log
from pfgov.engine.witnessing.asking import Reply
from pfgov.errors import StoreUnavailableError
from pfgov.storage import open_store
from pfgov_ledger import checkpoint, errors, export, keys, note
from pfgov_ledger.following import FollowingFileError
from pfgov_ledger.keys import Anchor, SeedSigner

VECTORS = Path(__file__).parents[3] / "ledger" / "vectors"

FOUND_IN_FILES_ONLY = {
    "after_trailer", "attachment_unnamed", "base64", "byte_order_mark", "checkpoint_missing", "commitment_mismatch",
    "empty", "header_mismatch", "line_ending", "line_malformed", "line_oversize", "not_an_export", "not_checked",
    "payload_after_erasure", "signature_missing", "stale", "tail_missing", "trailer_mismatch", "truncated",
}  # fmt: skip
"""What is wrong with a file or its payloads, and not with what a server shows of a log."""

LINES_ONLY = {"too_deep/deep_line", "version_unknown/lineage_2", "version_unknown/lineage_true",
              "version_unknown/line_with_a_version", "version_unknown/second_header_true",
              "non_canonical/space_in_line", "beyond_checkpoint/older_checkpoint"}  # fmt: skip
"""The same of single cases."""

WITHHELD = {"head_missing/truncate_head", "sequence/delete"}
"""On a server an entry is missing where its own checkpoint says that there is one."""

ELSEWHERE = {"origin_mismatch/another_log", "checkpoint_signature/cosignature_time"}
"""Found elsewhere (the checkpoint comes first), or with the keys of witnesses, which a monitor is not given."""


def _anchor(name: str = "anchor.txt") -> Anchor:
    return keys.parse_anchor((VECTORS / name).read_text())


def _golden(size: int | None = None) -> Shown:
    shown = of_export(VECTORS / "golden" / "v1" / "full.lineage.jsonl")
    if size is not None:
        shown.entries = shown.entries[:size]
        shown.note = (VECTORS / f"remembered-{size}.note").read_bytes()
    return shown


def _looks(folder: Path, *shown: Shown, anchor: Anchor | None = None) -> list[Look]:
    """Look at each server in turn, with a monitor of its own: what it knows comes from the disk."""
    found: list[Look] = []
    for one in shown:
        with Monitor(folder, anchor or _anchor(), one) as monitor:
            found.append(monitor.look())
    return found


def test_monitor_follows_an_honest_log_and_fetches_each_entry_once(tmp_path: Path) -> None:
    """An honest log that grows alarms, or all of it is fetched again at each look."""
    small, whole = _golden(20), _golden()
    first, second, third = _looks(tmp_path, small, whole, whole)
    assert (first.status, first.before, first.size, first.stated) == ("ok", 0, 20, 20)
    assert (second.status, second.before, second.size) == ("ok", 20, 26)
    assert ("policy_activated" in {kind for _, kind in first.news}, first.alarms) == (True, [])
    assert (third.status, third.size, third.news, third.exit_status) == ("ok", 26, [], 0)
    assert whole.asked.count("tiles/tile/entries/000.p/26") == 1
    assert not [path for path in whole.asked if "document" in path]  # seen at the first look
    assert (tmp_path / NOTE).read_bytes() == whole.note


def _cases() -> Iterator[tuple[str, dict[str, tuple[str, int]], Path, str | None, str]]:
    for case in sorted((VECTORS / "tampered").glob("*/*.case.json")):
        name = f"{case.parent.name}/{case.name.removesuffix('.case.json')}"
        said = json.loads(case.read_text())
        path = case.parent / said["file"]
        if path.suffix != ".jsonl" or b'"kind":"full"' not in path.read_bytes()[:200]:
            continue
        if case.parent.name in FOUND_IN_FILES_ONLY or name in LINES_ONLY | WITHHELD | ELSEWHERE:
            continue
        failures = {
            kind: (one["code"], one["position"]) for kind, one in said["expect"]["failures"].items()
        }
        yield name, failures, path, said["remember"], said["anchor"]


def test_monitor_finds_what_the_corpus_of_attacks_holds(tmp_path: Path) -> None:
    """A doctored server passes that an offline verifier would refuse, or another fault is named than the one."""
    wrong: list[object] = []
    count = 0
    for name, failures, path, remembered, anchor in _cases():
        folder = tmp_path / name.replace("/", "-")
        before: list[Shown] = []
        if remembered in {"remembered-20.note", "remembered-26.note"}:
            before = [_golden(20 if "20" in remembered else None)]
        elif remembered is not None:
            continue  # of another log, or of another golden history
        *_, look = _looks(folder, *before, of_export(path), anchor=_anchor(anchor))
        count += 1
        found = [
            (code, position)
            for code, position in failures.values()
            for alarm in look.alarms
            if alarm.code == code and alarm.position in {position, None}
        ]
        if not found or look.exit_status != 1:
            wrong.append((name, failures, look.to_json()))
    assert wrong == []
    assert count > 90


def _others(name: str) -> tuple[Shown, Shown]:
    """Another history of that kind, and the log's own as far as a monitor saw it before."""
    (path,) = (
        VECTORS / "tampered" / name / f"{case}.lineage.jsonl"
        for case in ("truncate_to_older_checkpoint", "fork_same_size", "fork_larger")
        if (VECTORS / "tampered" / name / f"{case}.lineage.jsonl").exists()
    )
    return of_export(path), _golden(20 if name == "fork" else None)


@pytest.mark.parametrize("name", ["rollback", "fork_same_size", "fork"])
def test_monitor_another_history_is_an_alarm_and_evidence(tmp_path: Path, name: str) -> None:
    """Another history of this name goes unnoticed, is remembered, or leaves nothing that could be shown to others."""
    bad, good = _others(name)
    first, second, third = _looks(tmp_path, good, bad, good)
    assert (first.status, second.status, third.status) == ("ok", "alarm", "ok")
    (alarm,) = second.alarms
    assert (alarm.code, second.exit_status, second.size) == (f"ledger.{name}", 1, first.size)
    kept = (tmp_path / (alarm.evidence or "")).read_bytes()
    known = (tmp_path / NOTE).read_bytes()
    for signed in (kept, known):  # both are signed by the log: together they are the proof
        checkpoint.open_checkpoint(signed, [_anchor().log_vkey])
    assert kept != known


@pytest.mark.parametrize("name", ["rollback", "fork_same_size", "fork"])
def test_monitor_that_lost_its_memory_still_has_its_note(tmp_path: Path, name: str) -> None:
    """Where `followed.db` is gone another history fits, although the note beside it says what was seen."""
    bad, good = _others(name)
    (first,) = _looks(tmp_path, good)
    kept = (tmp_path / NOTE).read_bytes()
    for round_ in range(2):
        (tmp_path / STATE).unlink()
        look, again = _looks(tmp_path, bad, bad)
        assert (look.status, again.status) == ("alarm", "alarm"), round_
        code = "ledger.rollback" if name == "rollback" else "ledger.fork"
        assert [alarm.code for alarm in look.alarms] == [code]
        assert (tmp_path / NOTE).read_bytes() == kept
    (found,) = _looks(tmp_path, good)
    assert (found.status, found.size) == ("ok", first.size)
    (tmp_path / STATE).unlink()
    (tmp_path / NOTE).write_bytes(kept.replace(b"/", b"-", 1))
    with pytest.raises(errors.LedgerError):
        _looks(tmp_path, good)


def test_monitor_waits_for_no_pipe_in_the_place_of_its_note(tmp_path: Path) -> None:
    """A pipe lies where the newest checkpoint is kept, and the monitor waits for somebody to write it."""
    os.mkfifo(tmp_path / NOTE)
    with pytest.raises(errors.RememberError):
        _looks(tmp_path, _golden())
    (tmp_path / NOTE).unlink()
    _looks(tmp_path, _golden())
    (tmp_path / NOTE).unlink()
    os.mkfifo(tmp_path / NOTE)
    with pytest.raises(errors.RememberError):
        _looks(tmp_path, _golden())


def test_monitor_what_nobody_signed_takes_no_room_from_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server sends so much rubbish that the fork it then shows is not kept."""
    monkeypatch.setattr(evidence, "UNSIGNED_MAX", 2)
    monkeypatch.setattr(evidence, "PROOFS_MAX", 1)
    rubbish: list[Shown] = []
    for number in range(5):
        bad = _golden()
        bad.anchor = f"no anchor {number}".encode()
        rubbish.append(bad)
    looks = _looks(tmp_path, *rubbish)
    assert [one.alarms[0].evidence is not None for one in looks] == [
        True,
        True,
        False,
        False,
        False,
    ]
    fork = VECTORS / "tampered" / "fork_same_size" / "fork_same_size.lineage.jsonl"
    (look,) = _looks(tmp_path, of_export(fork))
    assert look.alarms[0].evidence is not None
    assert len(list((tmp_path / EVIDENCE).iterdir())) == 3


def test_monitor_a_host_without_the_key_takes_no_room_from_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds files of the log shows its signed checkpoints over and over, with lines of others and tiles that do
    not fit, until there is no room for the fork that the log's key signs then.
    """
    monkeypatch.setattr(evidence, "PROOFS_MAX", 1)
    monkeypatch.setattr(evidence, "SIGNED_MAX", 2)
    replayed: list[Shown] = []
    for number in range(4):
        old = _golden(20)
        old.note += note.signature_line(f"x{number}.test", bytes(4), bytes(64)).encode()
        replayed.append(old)
    _, *looks = _looks(tmp_path, _golden(), *replayed)
    assert [one.status for one in looks] == ["alarm"] * 4
    assert len(list((tmp_path / EVIDENCE).iterdir())) == 1, "all of them are one signed text"
    fork = VECTORS / "tampered" / "fork_same_size" / "fork_same_size.lineage.jsonl"
    (look,) = _looks(tmp_path, of_export(fork))
    assert look.alarms[0].evidence is not None
    assert (tmp_path / look.alarms[0].evidence).read_bytes() == of_export(fork).note


def test_monitor_a_lying_subject_map_is_an_alarm_each_time(tmp_path: Path) -> None:
    """A map that hides a subject's last entries is taken once it was seen."""
    bad = of_export(VECTORS / "tampered" / "index_mismatch" / "lying_index.lineage.jsonl")
    looks = _looks(tmp_path, _golden(20), bad, bad)
    assert [one.status for one in looks] == ["ok", "alarm", "alarm"]
    assert {one.alarms[0].code for one in looks[1:]} == {"ledger.index_mismatch"}
    assert looks[2].size == 20


def test_monitor_a_policy_set_has_to_be_what_its_digest_says(tmp_path: Path) -> None:
    """Other policies are shown than those that decided; or an old alarm keeps the log from being followed."""
    bad = _golden(20)
    digest = min(bad.documents)
    bad.documents[digest] += b" "
    missing = _golden()
    missing.documents.clear()
    looks = _looks(tmp_path, bad, missing, _golden(), _golden())
    assert [one.status for one in looks] == ["alarm", "alarm", "ok", "ok"]
    assert [{alarm.code for alarm in one.alarms} for one in looks[:2]] == [
        {"ledger.policy_bytes"},
        {"ledger.policy_missing"},
    ]
    assert [one.size for one in looks] == [20, 26, 26, 26]
    assert looks[0].alarms[0].expected == digest


def test_monitor_a_key_that_was_never_announced_is_an_alarm(tmp_path: Path) -> None:
    """A second key signs under the log's name, or is given to others to pin, and nobody hears of it."""
    thief = SeedSigner(role="log", name=_anchor().log_vkey.name, seed=b"t" * 32)
    text, _ = note.split(_golden().note)
    second = _golden()
    second.note = note.sign(text, [thief]).replace(text, second.note, 1).replace(b"\n\n\n", b"\n\n")
    second.note = _golden().note + note.sign(text, [thief]).rpartition(b"\n\n")[2]
    alone = _golden()
    alone.note = note.sign(text, [thief])
    pinned, other = _golden(), _golden()
    pinned.anchor = (VECTORS / "anchor.txt").read_bytes()
    other.anchor = Anchor(keys.vkey_of(thief), _anchor().genesis_leaf).to_text().encode()
    genesis = _golden()
    genesis.anchor = Anchor(_anchor().log_vkey, bytes(32)).to_text().encode()
    looks = _looks(tmp_path, second, alone, pinned, other, genesis)
    assert [[alarm.code for alarm in one.alarms] for one in looks] == [
        ["ledger.key_unknown"],
        ["ledger.checkpoint_unsigned"],
        [],
        ["ledger.key_unknown"],
        ["ledger.genesis_mismatch"],
    ]
    assert [one.size for one in looks] == [0, 0, 26, 26, 26]


def test_monitor_lines_of_others_are_not_the_logs(tmp_path: Path) -> None:
    """A witness's cosignature is taken for an unannounced key of the log."""
    witness = SeedSigner(role="witness", name="witness.test/w", seed=b"w" * 32)
    shown = _golden()
    shown.note = checkpoint.cosign(shown.note, witness, time=1)
    (look,) = _looks(tmp_path, shown)
    assert look.status == "ok"


def _shown(directory: Path) -> Shown:
    path = directory.parent / "export.jsonl"
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        path.open("wb") as out,
    ):
        export.write_full(log, out)
    return of_export(path)


def test_monitor_follows_bundles_and_their_partial_forms(tmp_path: Path) -> None:
    """An entry at the edge of a bundle is left out, or a host that dropped a partial bundle is taken for a liar."""
    directory = fresh(tmp_path)
    anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
    shown: list[Shown] = []
    with opened(directory) as engine:
        register(engine, "m", capacity=())
        for at, until in ((0, 100), (100, 127), (127, 300)):
            for number in range(at, until):
                place(engine, f"p{number}")
            shown.append(_shown(directory))
    sizes = [len(one.entries) for one in shown]
    assert sizes[1] == 257
    shown[2].partial = False
    looks = _looks(tmp_path / "m", *shown, anchor=anchor)
    assert [(one.status, one.size) for one in looks] == [("ok", size) for size in sizes]
    early = _shown(directory)
    early.note = shown[0].note  # a checkpoint from before, over what has grown
    early.partial = False
    (look,) = _looks(tmp_path / "n", early, anchor=anchor)
    assert (look.status, look.size) == ("ok", sizes[0])


def test_monitor_follows_a_rotation_of_the_log_key(tmp_path: Path) -> None:
    """A monitor that pinned the first key takes the announced second one for a thief's, or the retired one for good."""
    shown = of_export(VECTORS / "golden" / "v1" / "keys-full.lineage.jsonl")
    looks = _looks(tmp_path, shown, shown)
    assert [(one.status, one.size) for one in looks] == [("ok", 13), ("ok", 13)]
    assert {"key_rotated", "key_revoked"} <= {kind for _, kind in looks[0].news}
    (path,) = (VECTORS / "tampered" / "rollback").glob("retired_signer*.jsonl")
    (later,) = _looks(tmp_path, of_export(path))
    assert (later.status, later.alarms[0].code) == ("alarm", "ledger.rollback")


def test_monitor_what_is_withheld_is_no_alarm_and_nothing_is_remembered(tmp_path: Path) -> None:
    """A server that hides entries under its own checkpoint is taken for an honest one, or for a forger."""
    shown = _golden()
    shown.entries = shown.entries[:20]
    (look,) = _looks(tmp_path, shown)
    assert (look.status, look.exit_status, look.size) == ("unknown", 4, 0)
    assert look.why is not None
    assert "does not have tiles/tile/entries/000" in look.why
    assert not (tmp_path / EVIDENCE).exists()


@pytest.mark.parametrize("what", ["short", "garbled", "signatures", "note"])
def test_monitor_garbage_is_an_alarm(tmp_path: Path, what: str) -> None:
    """Bytes that are no tile crash the monitor, or pass."""
    shown = _golden()
    answer = shown.answer

    def garble(path: str) -> bytes | None:
        found = answer(path)
        if found is None:
            return None
        is_it = {
            "short": "entries" in path, "garbled": "entries" in path, "signatures": "signatures" in path,
            "note": path == "tiles/checkpoint",
        }[what]  # fmt: skip
        if not is_it:
            return found
        return b"\x00" * len(found) if what == "garbled" else found[:-1]

    shown.answer = garble  # type: ignore[method-assign]
    (look,) = _looks(tmp_path, shown)
    assert (look.status, look.size) == ("alarm", 0)


def test_monitor_what_it_remembers_is_held_against_the_key(tmp_path: Path) -> None:
    """A changed memory is believed, two monitors write one, or one ledger's memory serves for another."""
    _looks(tmp_path, _golden(20))
    with Monitor(tmp_path, _anchor(), _golden()), pytest.raises(FollowingFileError, match="in use"):
        Monitor(tmp_path, _anchor(), _golden())
    other = Anchor(_anchor().log_vkey, bytes(32))
    with pytest.raises(FollowingFileError):
        Monitor(tmp_path, other, _golden())

    for statement in (
        "UPDATE place SET value = (SELECT value FROM place WHERE name = 'last') WHERE name = 'note'",
        "UPDATE place SET value = zeroblob(length(value)) WHERE name = 'frontier'",
        "DELETE FROM place WHERE name = 'last'",
        "DELETE FROM key_entry",
        "UPDATE subject SET custody = '['",
        "PRAGMA user_version = 9",
    ):
        copy = tmp_path / "copy"
        copy.mkdir(exist_ok=True)
        (copy / STATE).write_bytes((tmp_path / STATE).read_bytes())
        file = sqlite3.connect(copy / STATE)
        file.execute(statement)
        file.commit()
        file.close()
        with pytest.raises(FollowingFileError):
            Monitor(copy, _anchor(), _golden())
    (copy / STATE).write_bytes(b"nonsense" * 1_000)
    with pytest.raises(FollowingFileError):
        Monitor(copy, _anchor(), _golden())
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError):
        Monitor(tmp_path / "file", _anchor(), _golden())


def test_monitor_changed_rows_of_subjects_never_make_it_silent(tmp_path: Path) -> None:
    """Whoever changes what is remembered of subjects makes a lying map pass."""
    _looks(tmp_path, _golden(20))
    file = sqlite3.connect(tmp_path / STATE)
    file.execute("UPDATE subject SET leaf = zeroblob(32)")
    file.commit()
    file.close()
    (look,) = _looks(tmp_path, _golden())
    assert look.status == "alarm"


def test_monitor_tells_of_each_alarm_once(tmp_path: Path) -> None:
    """Whoever is told is told every minute, or not again when it comes back, or never after a failure."""
    sent: list[dict[str, object]] = []
    answers = [Reply(500, "", b""), Reply(200, "", b""), Reply(204, "", b"")]

    def post(_: str, body: bytes) -> Reply:
        sent.append(json.loads(body))
        return answers.pop(0)

    bad = of_export(VECTORS / "tampered" / "index_mismatch" / "lying_index.lineage.jsonl")
    alarm, good = (*_looks(tmp_path, bad), *_looks(tmp_path, _golden()))
    silent = Look("x", 0, 0, why="no answer")
    teller = Teller("http://pager.test", post)
    assert teller.tell(good) is None
    assert "answers 500" in (teller.tell(alarm) or "")
    assert teller.tell(alarm) is None
    assert teller.tell(silent) is None
    assert teller.tell(alarm) is None
    assert len(sent) == 2
    assert teller.tell(good) is None
    assert teller.tell(alarm) is None
    assert len(sent) == 3
    assert sent[0]["status"] == "alarm"

    def fail(*_: object) -> Reply:
        raise ConnectionRefusedError

    assert "no answer" in (Teller("http://pager.test", fail).tell(alarm) or "")
