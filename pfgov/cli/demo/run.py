"""Playing the story, exporting and verifying it, tampering with the export, and summing up.

Every number in the summary is counted from the ledger.  The exit status is 0 only if the export verified, the changed
one did not, and replay regenerated every decision.
"""

import base64
import json
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pfgov.app.ledger import ExportWanted
from pfgov.app.local import LocalReading
from pfgov.app.local.folder import creating, reading_folder
from pfgov.cli.demo.stage import Stage, Voice
from pfgov.cli.demo.story import ACTS, FAR, FIRST, PACKET
from pfgov.cli.ledger.verify import examine, fresh_replay
from pfgov.cli.output import Output, facts, indented, styled
from pfgov.cli.writing import put, target
from pfgov.clock import ManualClock
from pfgov.errors import StateConflictError
from pfgov.model.times import to_microseconds
from pfgov_ledger.conclusions import Question
from pfgov_ledger.keys import Anchor, parse_anchor
from pfgov_ledger.report import Report
from pfgov_ledger.verdicts import Status

START: Final = "2026-06-13T20:00:00Z"
"""When the story begins: the moment at which the specification's packet was created."""

OPENING: Final = (
    "Who owns this work now, what moved with it, and who can prove it?",
    "Keys, policies, ledger and verifier are real; only the clock is turned by hand.",
)
"""What the story begins with."""

ORIGIN: Final = "pfgov.example/demo"
EXPORT: Final = "demo.lineage.jsonl"


def run(output: Output, keep: Path | None) -> int:
    """Play the story; return the exit status."""
    voice = Voice(output)
    with _folder(keep) as folder:
        ledger = folder / "ledger"
        with _opened(ledger, voice) as stage:
            for act in ACTS:
                act(stage)
        with reading_folder(ledger) as book:
            anchor = parse_anchor((ledger / "anchor.txt").read_text(encoding="utf-8"))
            path = _export(book, folder, voice)
            report = _verify(path, anchor, voice)
            tampered = _tamper(path, book, anchor, voice)
            summary = _summary(book, report, tampered)
    _end(output, summary, keep)
    is_good = summary["verified"] and summary["replayed"] and summary["tampered"] is not None
    return 0 if is_good else 1


@contextmanager
def _folder(keep: Path | None) -> Generator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="pfgov-demo-") as name:
            yield Path(name)
        return
    if keep.exists() and any(keep.iterdir()):
        raise StateConflictError(
            f"{keep} is not empty", code="demo.not_empty", hint="name a new folder with --keep"
        )
    keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield keep


@contextmanager
def _opened(folder: Path, voice: Voice) -> Generator[Stage]:
    """Create the ledger, and tell what it begins with."""
    clock = ManualClock(to_microseconds(START))
    voice.say(*OPENING)
    voice.chapter(
        "A ledger of its own",
        "Keys for entries and checkpoints, an anchor for verifiers, the starter policies.",
    )
    voice.command("pfgov init")
    with creating(folder, ORIGIN, clock=clock) as ledger:
        stage = Stage(ledger, clock, voice)
        voice.entries(stage.since(0))
        yield stage


def _export(book: LocalReading, folder: Path, voice: Voice) -> Path:
    path = folder / EXPORT
    with target(path) as file:
        written = book.export(ExportWanted(), file)
    voice.chapter(
        "Export, and verify offline",
        f"{written.entries} entries, {written.attachments} payloads and the policies in force go into one file.",
    )
    voice.command("pfgov ledger export")
    return path


def _verify(path: Path, anchor: Anchor, voice: Voice) -> Report:
    """Verify the export against the anchor, and run every command in it again."""
    report = examine(path, anchor=anchor, question=Question("full"), replayer=fresh_replay())
    voice.command(f"pfgov ledger verify {EXPORT} --key anchor.txt --full --replay")
    voice.show(indented(report.to_text().rstrip("\n")))
    return report


def _tamper(path: Path, book: LocalReading, anchor: Anchor, voice: Voice) -> dict[str, Any] | None:
    """Change one byte of the export, and let the verifier name the entry."""
    seq = next(
        found.row.seq
        for found in book.reader.lineage(f"packet/{PACKET}")
        if found.event.type == "assignment_decision" and getattr(found.event, "owner", None)
    )
    changed = _one_byte_changed(path.read_bytes(), seq)
    forged = path.with_name(f"forged-{path.name}")
    put(forged, changed)
    voice.chapter(
        "One byte is changed",
        f"In entry {seq} the export now says that {FAR} was chosen, not {FIRST}.",
    )
    voice.command(f"pfgov ledger verify {forged.name} --key anchor.txt --full")
    report = examine(forged, anchor=anchor, question=Question("full"))
    voice.show(*(indented(line, "red") for line in _failures(report)))
    first = report.first_failure
    if first is None:
        return None
    verdict = report.verdicts[first]
    return {"code": verdict.code, "position": verdict.position}


def _failures(report: Report) -> list[str]:
    """Return the failed verdicts and the conclusion, in a line each."""
    failed = [
        f"{name:<13} {verdict.code} at {verdict.position}"
        for name, verdict in report.verdicts.items()
        if verdict.status is Status.FAIL
    ]
    return [*failed, report.to_text().rstrip("\n").rsplit("\n", 1)[-1]]


def _one_byte_changed(raw: bytes, seq: int) -> bytes:
    """Return the export with another owner in entry *seq*.

    One digit of the owner's name becomes another.  They differ in their two lowest bits, which lie in one character of
    the entry's base64: exactly one byte of the file changes.
    """
    lines = raw.split(b"\n")
    for i, line in enumerate(lines):
        if not line.startswith(b'{"e":"'):
            continue
        entry = base64.b64decode(json.loads(line)["e"])
        if json.loads(entry)["seq"] == seq:
            at = entry.index(FIRST.encode(), entry.index(b'"owner":')) + len(FIRST) - 1
            forged = entry[:at] + FAR[-1].encode() + entry[at + 1 :]
            lines[i] = line.replace(base64.b64encode(entry), base64.b64encode(forged))
    return b"\n".join(lines)


def _summary(book: LocalReading, report: Report, tampered: dict[str, Any] | None) -> dict[str, Any]:
    """Count from the ledger what happened."""
    events: list[Any] = [found.event for found in book.reader.entries()]
    decisions = [event for event in events if event.type == "assignment_decision"]
    allowed = [event for event in decisions if event.outcome == "allowed"]
    kinds = [event.type for event in events]
    others = ("integrity", "authenticity", "completeness", "custody")
    return {
        "packets": kinds.count("packet_created"),
        "members": kinds.count("member_registered"),
        "assignments": len(allowed),
        "denied": sum(event.outcome == "denied" for event in decisions)
        + kinds.count("handoff_denied")
        + kinds.count("registration_denied"),
        "escalated": sum(event.outcome == "escalated" for event in decisions),
        "reviews": kinds.count("review_recorded"),
        "handoffs": kinds.count("handoff_completed")
        + sum(event.source is not None for event in allowed),
        "stale_writes_refused": kinds.count("write_refused"),
        "completed": kinds.count("packet_completed"),
        "ledger_entries": len(events),
        "verified": all(report.verdicts[name].status is Status.PASS for name in others),
        "tampered": tampered,
        "replayed": report.verdicts["replay"].status is Status.PASS,
    }


def _end(output: Output, summary: dict[str, Any], keep: Path | None) -> None:
    """Print the summary and what to try next."""
    if output.json:
        output.emit(summary)
        return
    tampered = summary["tampered"]
    named = f"{tampered['code']} at entry {tampered['position']}" if tampered else "NOT FOUND"
    shown = {**summary, "tampered": named}
    output.tell(
        "",
        styled("In sum", "bold"),
        facts((f"   {name.replace('_', ' ')}", value) for name, value in shown.items()),
        "",
        styled("Try next", "bold"),
    )
    for command, why in _next(keep):  # a command is never folded, so that it can be copied
        output.write(f"   {command:<29}  {why}\n" if keep is None else f"   {command}\n")


def _next(keep: Path | None) -> tuple[tuple[str, str], ...]:
    if keep is None:
        return (
            ("pfgov demo --keep ./demo", "the same, and keep it"),
            ("pfgov init", "begin your own"),
            ("pfgov policy init ./policies", "write your own policies"),
        )
    at = f"pfgov --dir {keep / 'ledger'}"
    return (
        (f"{at} packet explain {PACKET}", "why it is where it is"),
        (f"{at} ledger log", "the whole story"),
        (f"{at} ledger verify --replay", "verify it yourself"),
    )
