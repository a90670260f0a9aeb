"""What is not established is said with its reason, and never passes in silence."""

import io
from typing import Any

import pytest
from conformance.ledger_verify.corpus.build import VECTORS
from conformance.ledger_verify.corpus.memory_log import signer
from conformance.ledger_verify.corpus.story import begin, create, erase, packet, tell
from conformance.ledger_verify.corpus.tools import Export

from pfgov_ledger import checkpoint, keys, note
from pfgov_ledger.conclusions import Witnessing
from pfgov_ledger.report import Report
from pfgov_ledger.verify import Question, verify

ANCHOR = keys.parse_anchor((VECTORS / "anchor.txt").read_text())
WITNESS = signer("witness", "witness.example/w1")


def whys(report: Report) -> dict[str, str | None]:
    """The reasons of what is not checked, by verdict, replay left out."""
    return {
        name: verdict.why
        for name, verdict in report.verdicts.items()
        if verdict.why is not None and name != "replay"
    }


def case(name: str, **more: Any) -> Report:
    """The report of a file of the corpus."""
    return verify(VECTORS / name, anchor=ANCHOR, **more)


NOT_ASKED = {"freshness": "not_asked", "non_equivocation": "not_asked"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("golden/v1/full.lineage.jsonl", NOT_ASKED),
        ("tampered/checkpoint_missing/no_checkpoint.lineage.jsonl",
         dict.fromkeys(("authenticity", "completeness", "freshness", "non_equivocation"), "no_checkpoint")),
        ("tampered/checkpoint_extension/unsigned_extension.lineage.jsonl",
         dict.fromkeys(("authenticity", "completeness", "freshness", "non_equivocation"), "no_checkpoint")),
        ("tampered/truncated/no_trailer.lineage.jsonl",
         dict.fromkeys(
             ("integrity", "authenticity", "completeness", "custody", "freshness", "non_equivocation"), "truncated"
         )),
        ("tampered/float/fraction.lineage.jsonl",
         dict.fromkeys(("authenticity", "completeness", "custody", "freshness", "non_equivocation"), "stopped")),
        ("tampered/sequence/delete.lineage.jsonl",
         NOT_ASKED | {"completeness": "integrity_failed", "custody": "integrity_failed"}),
        ("tampered/head_missing/truncate_head.lineage.jsonl",
         NOT_ASKED | {"authenticity": "no_genesis"} | dict.fromkeys(("completeness", "custody"), "integrity_failed")),
        ("tampered/not_checked/range_without_keys_proof.lineage.jsonl", NOT_ASKED | {"authenticity": "no_index"}),
    ],
)  # fmt: skip
def test_every_gap_has_its_reason(name: str, expected: dict[str, str]) -> None:
    """A verdict that could not be reached passes, or is left out for another reason."""
    assert whys(case(name)) == expected


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """The checkpoint of another log under the same key closes an export."""
    log = tell()
    export = Export(log.full())
    other = checkpoint.Checkpoint("log.example/other", 26, bytes(32))
    export.set_note(note.sign(other.text(), [signer("log", log.origin)]))
    report = verify(io.BytesIO(export.build()), anchor=ANCHOR)
    verdict = report.verdicts["integrity"]
    assert (verdict.code, verdict.position) == ("ledger.origin_mismatch", 26)
    assert report.verdicts["authenticity"].code == "ledger.origin_mismatch"


def test_a_remembered_checkpoint_of_another_log_is_a_failure() -> None:
    """A log is compared with the remembered checkpoint of another one, and passes."""
    other, _ = begin("log.example/fixture-2")
    remembered = other.appender.unsigned_checkpoint()
    report = case("golden/v1/full.lineage.jsonl", remembered=remembered)
    assert report.verdicts["non_equivocation"].code == "ledger.origin_mismatch"


def test_age_needs_a_witness() -> None:
    """Freshness by age passes without any cosignature."""
    vkey = keys.vkey_of(WITNESS)
    report = case(
        "golden/v1/full.lineage.jsonl", witnessing=Witnessing((vkey,), 0, max_age=60, now=10**10)
    )
    assert whys(report)["freshness"] == "no_witness"
    assert report.exit_status == 4


def test_one_witness_does_not_make_two() -> None:
    """A witness that cosigned twice counts twice."""
    log = tell()
    export = Export(log.full())
    twice = checkpoint.cosign(log.latest_checkpoint(), WITNESS, time=100)
    export.set_note(checkpoint.cosign(twice, WITNESS, time=200))
    vkeys = (keys.vkey_of(WITNESS), keys.vkey_of(signer("witness", "witness.example/w2")))
    for quorum, why in ((1, None), (2, "no_witness")):
        report = verify(
            io.BytesIO(export.build()), anchor=ANCHOR, witnessing=Witnessing(vkeys, quorum)
        )
        assert whys(report).get("non_equivocation") == why


def test_remembering_for_the_first_time_is_not_a_pass() -> None:
    """Somebody who wants to compare, and has nothing to compare with, gets a pass."""
    report = case("golden/v1/full.lineage.jsonl", is_remembering=True)
    assert whys(report) == dict.fromkeys(
        ("freshness", "non_equivocation"), "no_remembered_checkpoint"
    )
    assert report.exit_status == 4


def test_a_truncated_file_with_a_failure_has_failed() -> None:
    """A cut hides a failure that was already seen."""
    data = (VECTORS / "tampered/signature_missing/strip_one.lineage.jsonl").read_bytes()
    report = verify(io.BytesIO(data[:-60]), anchor=ANCHOR)
    assert (report.exit_status, report.is_truncated) == (1, True)


def test_a_full_export_answers_for_a_subject_that_is_not_there() -> None:
    """An absent subject looks as if it had a history."""
    report = case(
        "golden/v1/full.lineage.jsonl", question=Question("subject", "packet/nothing-here")
    )
    assert report.exit_status == 0
    assert (report.covered, report.is_absent) == (26, True)
    assert "there is no entry of it" in report.to_text()


def test_without_an_anchor_everything_else_is_still_checked() -> None:
    """Without an anchor a broken chain is not found."""
    path = VECTORS / "tampered/sequence/delete.lineage.jsonl"
    report = verify(path, anchor=None)
    assert report.verdicts["integrity"].code == "ledger.sequence"
    assert whys(report)["authenticity"] == "no_key"
    assert report.trust == "none"


def test_a_rollback_leaves_equivocation_open() -> None:
    """A log that was rolled back passes as the same log, though nobody compared."""
    signed = (VECTORS / "remembered-26.note").read_bytes()
    remembered = checkpoint.parse_text(note.split(signed)[0])
    report = case("golden/v1/older.lineage.jsonl", remembered=remembered)
    assert report.verdicts["freshness"].code == "ledger.rollback"
    assert whys(report) == {"non_equivocation": "older_than_remembered"}


@pytest.mark.parametrize("damage", ["drop last", "drop first", "swap", "repeat", "relabel"])
def test_chunks_come_whole_and_in_order(damage: str) -> None:
    """A payload with a piece missing, moved, repeated or of another payload is taken."""
    log, _ = begin()
    create(log, "fp-001", b"x" * 140_000)
    log.commit()
    export = Export(log.full())
    at = [number for number, line in enumerate(export.lines) if "attachment" in line]
    assert len(at) == 3
    lines = export.lines
    if damage == "drop last":
        del lines[at[2]]
    elif damage == "drop first":
        del lines[at[0]]
    elif damage == "swap":
        lines[at[0]], lines[at[1]] = lines[at[1]], lines[at[0]]
    elif damage == "repeat":
        lines.insert(at[1], dict(lines[at[0]]))
    else:
        lines[at[1]]["attachment"] = "00" * 32
    verdict = verify(io.BytesIO(export.build()), anchor=ANCHOR).verdicts["integrity"]
    assert (verdict.code, verdict.position) == ("ledger.line_malformed", 6)


def test_a_payload_belongs_to_an_entry() -> None:
    """A payload before the first entry is taken."""
    export = Export(tell().full())
    export.lines.insert(1, dict(export.chunk(5)))
    report = verify(io.BytesIO(export.build()), anchor=ANCHOR)
    assert report.verdicts["integrity"].code == "ledger.line_malformed"


def test_a_policy_set_belongs_to_its_activation() -> None:
    """A policy set that nothing activates, or that another entry activated, is taken."""
    export = Export(tell().full())
    export.lines.insert(export.after(3), dict(export.chunk(1, "policy")))
    verdict = verify(io.BytesIO(export.build()), anchor=ANCHOR).verdicts["integrity"]
    assert (verdict.code, verdict.position) == ("ledger.attachment_unnamed", 3)


def test_an_erased_payload_cannot_come_back_later() -> None:
    """A payload that a later entry names again is taken after its erasure."""
    log, _ = begin()
    create(log, "fp-001", b"{}")
    digest, (salt, payload) = next(iter(log.payloads.items()))
    at = erase(log, "fp-001")
    again = {"context": {"digest": digest, "size": 256}, "epoch": 0, "owner": None}
    packet(log, "fp-001", "packet_updated", **again)
    log.payloads[digest] = (salt, payload)
    log.commit()
    export = Export(log.full())
    first = next(line for line in export.lines if "attachment" in line)
    export.lines.remove(first)
    export.lines.insert(export.after(7), first)
    verdict = verify(io.BytesIO(export.build()), anchor=log.anchor()).verdicts["integrity"]
    assert (verdict.code, verdict.position) == ("ledger.payload_after_erasure", at)


def bent(name: str) -> Export:
    """A golden file, open to change."""
    return Export((VECTORS / "golden" / "v1" / name).read_bytes())


def a_second_header() -> Export:
    """A header in the middle."""
    export = bent("full.lineage.jsonl")
    export.lines.insert(5, dict(export.lines[0]))
    return export


def two_checkpoints() -> Export:
    """The checkpoint line twice."""
    export = bent("full.lineage.jsonl")
    export.lines.append(dict(export.lines[-1]))
    return export


def entry_after_checkpoint() -> Export:
    """An entry after the checkpoint."""
    export = bent("full.lineage.jsonl")
    export.lines.append(export.lines.pop(-2))
    return export


def map_before_entry() -> Export:
    """A map proof among the entries."""
    export = bent("packet-fp-001.lineage.jsonl")
    export.lines.insert(2, dict(export.tail("map")))
    return export


def proof_in_full() -> Export:
    """An inclusion proof in a full export."""
    export = bent("full.lineage.jsonl")
    export.lines[1]["p"] = []
    return export


def no_proof_in_part() -> Export:
    """No inclusion proof in a partial export."""
    export = bent("packet-fp-001.lineage.jsonl")
    del export.line_of(5)["p"]
    return export


@pytest.mark.parametrize(
    "make",
    [
        a_second_header,
        two_checkpoints,
        entry_after_checkpoint,
        map_before_entry,
        proof_in_full,
        no_proof_in_part,
    ],
)
def test_lines_keep_their_order(make: Any) -> None:
    """A line where it must not stand is taken."""
    report = verify(io.BytesIO(make().build()), anchor=ANCHOR)
    assert report.verdicts["integrity"].code == "ledger.line_malformed"


def test_the_first_line_is_a_header() -> None:
    """A file that begins with another line of an export is read."""
    export = bent("full.lineage.jsonl")
    del export.lines[0]
    report = verify(io.BytesIO(export.build()), anchor=ANCHOR)
    assert report.verdicts["integrity"].code == "ledger.not_an_export"


def test_map_proofs_need_the_index_entry() -> None:
    """Map proofs count without the entry that commits to the map."""
    export = bent("packet-fp-001.lineage.jsonl")
    export.drop(25)
    report = verify(io.BytesIO(export.build()), anchor=ANCHOR)
    verdict = report.verdicts["completeness"]
    assert verdict.code == "ledger.subject_map_proof"
    assert report.exit_status == 1
