"""Verify an export against what the reader pins and asks: the entry to this package.

    report = verify(path, anchor=anchor, question=Question("subject", "packet/fp-001"))
    report.exit_status, report.verdicts["integrity"].status

Nothing in the file is believed: keys come from the anchor (and from the log that it fixes), the
question from the reader, time and former checkpoints from the caller.  Hostile files lead to a
report, never to an exception.  Replaying decisions needs a policy engine, which is a plug-in here.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Final

from pfgov_ledger import receipt, replaying
from pfgov_ledger.checkpoint import Checkpoint, Opened
from pfgov_ledger.conclusions import (
    FILE_QUESTION,
    NO_WITNESSES,
    Asked,
    Question,
    Witnessing,
    conclude,
)
from pfgov_ledger.examine import Examination, Progress
from pfgov_ledger.keys import Anchor
from pfgov_ledger.note import Vkey
from pfgov_ledger.reader import LineReader, Readable
from pfgov_ledger.replaying import Replayer, ReplayUnavailableError
from pfgov_ledger.report import Report, Shape, signed_of
from pfgov_ledger.subjects import IN_MEMORY_MAX
from pfgov_ledger.verdicts import (
    AUTHENTICITY,
    FRESHNESS,
    NON_EQUIVOCATION,
    REPLAY,
    REQUIRED,
    VERDICTS,
    Findings,
    Status,
)

__all__ = [
    "Question",
    "ReplayUnavailableError",
    "Replayer",
    "Report",
    "Witnessing",
    "verify",
]

Source = str | PathLike[str] | Readable
_SNIFF_BYTES: Final = 64


def verify(  # noqa: PLR0913 (each is one thing that the reader pins, asks or allows)
    source: Source,
    *,
    anchor: Anchor | None,
    question: Question = FILE_QUESTION,
    remembered: Checkpoint | None = None,
    is_remembering: bool = False,
    witnessing: Witnessing = NO_WITNESSES,
    via: Vkey | None = None,
    quick: bool = False,
    require: Iterable[str] | None = None,
    processes: int = 1,
    progress: Progress | None = None,
    replayer: Replayer | None = None,
    subjects_in_memory: int = IN_MEMORY_MAX,
) -> Report:
    """Check an export, a receipt or a tlog-proof; an unreadable file is *not checked*, never an exception.

    Args:
        source: A path, or a binary stream (which cannot be replayed).
        anchor: What the reader pins; without it authenticity is not checked.
        question: What the reader asks; an export about something else fails.
        remembered: The checkpoint kept from an earlier verification; one with its note must be signed by the log.
        is_remembering: Whether the reader wants one kept, so that having none must be said.
        witnessing: Trusted witnesses, quorum and maximal age.
        via: The key of a root through which the file must lead; *remembered* and *witnessing* are then about the root.
        quick: Leave entry signatures out; the report says so.
        require: The verdicts that must pass for exit status 0, in place of the default.
        processes: Worker processes for signatures; 1 starts none.
        progress: Called now and then.
        replayer: Runs recorded commands again.
        subjects_in_memory: Subjects held in memory before a temporary file is used.
    """
    findings = Findings()
    asked = Asked(anchor, question, remembered, is_remembering, witnessing, via)
    is_quick = False
    with ExitStack() as stack:
        try:
            head, stream = _begin(source, stack)
        except OSError as error:
            return _unread(findings, error, asked, require)
        if via is not None or receipt.looks_like(head):
            _leave_replay(findings, replayer)
            report = receipt.examine(stream, findings, asked)
        else:
            seen = Examination(
                findings,
                anchor=anchor,
                is_quick=quick,
                remembered_size=None if remembered is None else remembered.size,
                processes=processes,
                subjects_in_memory=subjects_in_memory,
                progress=progress,
            )
            stack.callback(seen.close)
            seen.read(LineReader(stream))
            signed, opened = conclude(seen, asked)
            if quick and not findings.is_left(AUTHENTICITY):
                findings.leave(AUTHENTICITY, "quick")
                is_quick = opened is not None  # the checkpoint's signature is asked for instead
            _replay(seen, source, replayer, signed)
            report = _report(seen, asked, signed, opened)
    chosen = _required(report, asked, is_quick=is_quick, is_replaying=replayer is not None)
    return replace(report, required=chosen if require is None else _ordered(require))


def _begin(source: Source, stack: ExitStack) -> tuple[bytes, Readable]:
    stream = _open(source, stack)
    head = stream.read(_SNIFF_BYTES)
    if receipt.wants_all(head):
        head += receipt.read_all(stream)
    return head, _Pushback(head, stream)


def _open(source: Source, stack: ExitStack) -> Readable:
    if isinstance(source, str | PathLike):
        return stack.enter_context(Path(source).open("rb"))
    return source


class _Pushback:
    """A stream with some bytes put back in front."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head + self._rest.read(max(size - len(head), 0) if size >= 0 else size)
        return self._rest.read(size)


def _leave_replay(findings: Findings, replayer: Replayer | None) -> None:
    """One entry cannot be run again: that is said to whoever asked for it."""
    if replayer is None:
        findings.dismiss(REPLAY)
    else:
        findings.leave(REPLAY, "partial")


def _replay(
    seen: Examination, source: Source, replayer: Replayer | None, signed: Checkpoint | None
) -> None:
    """A second reading, now that the first has shown that nothing in the file is forged."""
    findings, header = seen.findings, seen.shown.header
    if replayer is None:
        findings.leave(REPLAY, "no_replayer")
    elif header is not None and header.kind != "full":
        findings.leave(REPLAY, "partial")
    else:
        verdicts = findings.verdicts()
        for name in ("integrity", "authenticity", "completeness"):
            if verdicts[name].status is not Status.PASS:
                findings.leave(REPLAY, f"{name}_failed")
        if (
            not findings.is_left(REPLAY)
            and isinstance(source, str | PathLike)
            and signed is not None
        ):
            replaying.replay(Path(source), replayer, findings, signed.root)  # FORMAT 12 (23)
        else:
            findings.leave(REPLAY, "stopped")


def _report(
    seen: Examination, asked: Asked, signed: Checkpoint | None, opened: Opened | None
) -> Report:
    shown, header, question = seen.shown, seen.shown.header, asked.question
    is_truncated = not shown.has_trailer and not shown.is_stopped
    subject = question.subject or (None if header is None else header.subject)
    row = None if subject is None else seen.table.get(subject)
    covered = None
    if header is not None and shown.has_trailer and header.kind == "subject":
        covered = header.size - 1
    elif header is not None and shown.has_trailer and subject is not None:
        covered = header.size
    return Report(
        verdicts=seen.findings.verdicts(),
        required=(),
        question=(question.kind, question.subject),
        trust=trust_of(asked.anchor),
        export=None
        if header is None
        else Shape(
            header.kind,
            header.origin,
            header.subject,
            header.size,
            header.start,
            header.stop,
            seen.entries,
        ),
        checkpoint=None if signed is None else signed_of(signed, opened),
        is_truncated=is_truncated,
        covered=covered,
        is_absent=covered is not None and row is None,
        attachments=dict(seen.attachments.counts),
        erasures=tuple(seen.attachments.erasures),
        suspects=tuple(seen.ring.suspects),
        note=b"" if opened is None else opened.raw,
        anchor=_new_anchor(seen, asked.anchor, opened),
    )


def _new_anchor(seen: Examination, anchor: Anchor | None, opened: Opened | None) -> str:
    """What a reader may pin from now on: after a rotation of the log key another one than before (FORMAT 8 rule 8)."""
    if anchor is None or anchor.genesis_leaf is None or opened is None:
        return ""
    active = set(seen.ring.active("log"))
    signed = [vkey for vkey in opened.log_keys if vkey.public in active]
    return Anchor(signed[-1], anchor.genesis_leaf).to_text() if signed else ""


def trust_of(anchor: Anchor | None) -> str:
    """Where trust comes from, as the report names it."""
    if anchor is None:
        return "none"
    return "log_key_only" if anchor.genesis_leaf is None else "anchor"


def _required(
    report: Report, asked: Asked, *, is_quick: bool, is_replaying: bool
) -> tuple[str, ...]:
    """The default of what must pass: by question, and each option adds its own."""
    kind = "full" if report.export is None else report.export.kind
    if report.question[0] != "file":
        kind = report.question[0]
    subject = report.question[1] or (None if report.export is None else report.export.subject)
    if kind == "subject" and str(subject).startswith("packet/"):
        kind = "packet"
    required = set(REQUIRED[kind])
    if is_quick:
        required.discard(AUTHENTICITY)
    if asked.is_remembering or asked.remembered is not None:
        required |= {FRESHNESS, NON_EQUIVOCATION}
    if asked.witnessing.quorum > 0:
        required.add(NON_EQUIVOCATION)
    if asked.witnessing.max_age is not None:
        required.add(FRESHNESS)
    if is_replaying:
        required.add(REPLAY)
    return _ordered(required)


def _ordered(names: Iterable[str]) -> tuple[str, ...]:
    chosen = set(names)
    return tuple(name for name in VERDICTS if name in chosen)


def _unread(
    findings: Findings, error: OSError, asked: Asked, require: Iterable[str] | None
) -> Report:
    for name in VERDICTS:
        findings.leave(name, "unreadable", error.strerror)
    question = asked.question
    kind = question.kind if question.kind in REQUIRED else "full"
    return Report(
        verdicts=findings.verdicts(),
        required=_ordered(REQUIRED[kind] if require is None else require),
        question=(question.kind, question.subject),
        trust=trust_of(asked.anchor),
    )
