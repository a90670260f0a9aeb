"""Writing exports: what goes in, what is refused, and that reading gives it back."""

import io
import json

import pytest
from conformance.ledger_verify.corpus.story import begin, create, packet, tell

from pfgov_ledger import errors, export, export_lines
from pfgov_ledger.errors import IndexNeededError
from pfgov_ledger.export_format import TEXT_MAX, EntryLine, Header, parse_line
from pfgov_ledger.verify import Question, verify


def test_what_was_written_is_counted() -> None:
    """The summary of an export is not what the file holds."""
    log, out, seen = tell(), io.BytesIO(), []
    written = export.write_full(log, out, progress=lambda *at: seen.append(at), writer="test 1")
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert (written.kind, written.size, written.entries) == ("full", 26, 26)
    assert (written.attachments, written.policies, written.altered) == (3, 2, 0)
    assert (written.lines, written.sha256) == (lines[-1]["lines"], lines[-1]["sha256"])
    assert lines[0]["writer"] == "test 1"
    assert seen == [(26, 26)]


def test_gzip_is_the_one_form() -> None:
    """A compressed export does not verify, or is not smaller."""
    log, out = tell(), io.BytesIO()
    packed = export.GzipWriter(out)
    export.write_full(log, packed)
    packed.close()
    assert verify(io.BytesIO(out.getvalue()), anchor=log.anchor()).exit_status == 0
    assert len(out.getvalue()) < len(log.full()) / 2


def test_large_payloads_travel_in_chunks() -> None:
    """A payload or a policy set larger than a line does not come back."""
    log, _ = begin()
    create(log, "fp-001", b"x" * 300_000)
    digest = log.policy(b"p" * 70_000)
    log.add("policy_activated", "policy", {"digest": digest, "policies": [], "points": []})
    create(log, "fp-002", b"")
    log.commit()
    data = log.full()
    assert data.count(b'"attachment"') == 5 + 1
    assert data.count(b'"policy":"' + digest.encode()) == 2
    report = verify(io.BytesIO(data), anchor=log.anchor())
    assert report.exit_status == 0
    assert report.attachments == {"disclosed": 2, "erased": 0, "withheld": 0, "altered": 0}


def test_a_payload_too_large_is_refused() -> None:
    """A payload of more chunks than a reader takes is written."""
    with pytest.raises(errors.OversizeError):
        export_lines.write_attachment("00" * 32, "f", bytes(32), bytes(65 * 65_536))


def test_a_policy_set_too_large_is_refused() -> None:
    """A policy set of more chunks than a reader takes is written."""
    with pytest.raises(errors.OversizeError):
        export_lines.write_policy("00" * 32, bytes(257 * 65_536))


def test_a_text_too_long_is_refused() -> None:
    """A header may carry as much text as somebody cares to write."""
    for length in (255, 256):
        line = export_lines.write_header(Header("full", "log.test", 1, 0, 1, None, "w" * length))
        if length <= TEXT_MAX:
            parse_line(line[:-1])
        else:
            with pytest.raises(errors.LineError):
                parse_line(line[:-1])


def test_an_altered_payload_is_named_and_counted() -> None:
    """A payload that does not open its commitment is exported, or left out as if it were only withheld."""
    log, _ = begin()
    create(log, "fp-001", b"{}")
    digest = next(iter(log.payloads))
    log.payloads[digest] = (bytes(32), b"other")
    log.commit()
    out = io.BytesIO()
    assert export.write_full(log, out).altered == 1
    assert b'{"altered":"' + digest.encode() + b'"}\n' in out.getvalue()
    report = verify(io.BytesIO(out.getvalue()), anchor=log.anchor())
    assert report.exit_status == 0
    assert report.attachments == {"disclosed": 0, "erased": 0, "withheld": 0, "altered": 1}
    assert "altered           1: what the exporter keeps does not open" in report.to_text()


def test_partial_exports_need_an_index() -> None:
    """A history or range without a committed map is written, though nobody could believe it."""
    log, _ = begin()
    with pytest.raises(IndexNeededError):
        log.of("packet/fp-001")
    with pytest.raises(IndexNeededError):
        log.range(0, 2)
    log.commit_index()
    create(log, "fp-001")
    log.commit()
    with pytest.raises(IndexNeededError):
        log.range(4, len(log.rows))
    with pytest.raises(errors.UsageError):
        log.range(3, 3)
    del log.notes[6]
    with pytest.raises(IndexNeededError):
        log.of("packet/fp-001")


def test_what_is_newer_than_the_index_is_not_covered() -> None:
    """A history claims to cover entries after its index."""
    log = tell()
    packet(log, "fp-003", "packet_cancelled", epoch=0, reason="requested")
    log.commit()
    report = verify(
        io.BytesIO(log.of("packet/fp-003")),
        anchor=log.anchor(),
        question=Question("subject", "packet/fp-003"),
    )
    assert report.exit_status == 0
    assert report.covered == 25
    log.commit_index()
    fresh = verify(io.BytesIO(log.of("packet/fp-003")), anchor=log.anchor())
    assert fresh.covered == 27
    assert fresh.export is not None
    assert report.export is not None
    assert fresh.export.entries == report.export.entries + 1


def test_growth_is_proven_from_any_size() -> None:
    """The consistency proof of an export does not connect to an earlier checkpoint."""
    from pfgov_ledger import checkpoint, note

    log = tell()
    for size, signed in log.notes.items():
        remembered = checkpoint.parse_text(note.split(signed)[0])
        for data in (log.of("packet/fp-001", since=size), log.full(since=size)):
            report = verify(io.BytesIO(data), anchor=log.anchor(), remembered=remembered)
            assert report.exit_status == 0, size


def test_every_range_of_the_story_verifies() -> None:
    """A range somewhere in the log does not verify, or shows other entries than asked."""
    log = tell()
    for start in range(25):
        for stop in {start + 1, start + 2, (start + 27) // 2, 26}:
            report = verify(io.BytesIO(log.range(start, stop)), anchor=log.anchor())
            assert report.exit_status == 0, (start, stop)
            assert report.export is not None
            assert (report.export.start, report.export.stop) == (start, stop)


def test_lines_survive_writing_and_reading() -> None:
    """A line that the writer writes is not read back as it was."""
    header = Header("subject", "log.example", 9, 0, 9, "packet/x", "test")
    assert parse_line(export_lines.write_header(header)[:-1]) == header
    line = parse_line(export_lines.write_entry(b"\x00\xff", b"s", [bytes(32)])[:-1])
    assert line == EntryLine(b"\x00\xff", b"s", (bytes(32),))
    line = parse_line(export_lines.write_entry(b"\x00\xff", b"s")[:-1])
    assert line == EntryLine(b"\x00\xff", b"s", None)


@pytest.mark.parametrize(
    "text",
    [
        b"7",
        b'{"e":"","p":0,"s":""}',
        b'{"e":"","p":[7],"s":""}',
        b'{"e":7,"s":""}',
        b'{"checkpoint":7}',
        b'{"entries":-1,"lines":0,"sha256":""}',
        b'{"entries":true,"lines":0,"sha256":""}',
        b'{"index":1,"map":{},"subject":"nothing"}',
        b'{"consistency":7,"since":0}',
        b'{"chunk":1,"chunks":1,"data":"","policy":"' + b"0" * 64 + b'"}',
        b'{"chunk":0,"chunks":1,"data":"","policy":"xyz"}',
        b'{"kind":"odd","lineage":1,"origin":"a","size":0,"start":0,"stop":0,"subject":null,"writer":""}',
        b'{"kind":"full","lineage":1,"origin":"a","size":0,"start":0,"stop":0,"subject":"keys","writer":""}',
        b'{"kind":"subject","lineage":1,"origin":"a","size":0,"start":0,"stop":0,"subject":"x","writer":""}',
        b'{"kind":"full","lineage":1,"origin":"' + b"a" * 256
        + b'","size":0,"start":0,"stop":0,"subject":null,"writer":""}',
    ],
)  # fmt: skip
def test_odd_lines_are_refused(text: bytes) -> None:
    """A line with the right members and wrong values is taken."""
    with pytest.raises(errors.MalformedError):
        parse_line(text)
