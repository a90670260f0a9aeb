"""What follows from a reading: the checkpoint, the tree, completeness, freshness, no split view.

``FORMAT.md`` section "Verification procedure", checks 15 to 22.  Everything here works on what
:class:`~pfgov_ledger.examine.Examination` noted; nothing reads the file again.  Times come in as
arguments.  What the reader asks, remembers and whom they trust is held against a receipt by the same
two functions, :func:`check_question` and :func:`check_elsewhere`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import checkpoint, errors, keys, merkle, note
from pfgov_ledger.checkpoint import Checkpoint, Opened, Remembered
from pfgov_ledger.examine import Examination
from pfgov_ledger.export_format import ConsistencyLine
from pfgov_ledger.note import Vkey
from pfgov_ledger.verdicts import (
    AUTHENTICITY,
    COMPLETENESS,
    CUSTODY,
    FRESHNESS,
    INTEGRITY,
    NON_EQUIVOCATION,
    Findings,
)


@dataclass(frozen=True, slots=True)
class Question:
    """What the reader wants to know about: ``full``, ``subject`` (which), ``range``, or ``file``.

    ``file`` takes the question from the file's own header, and the report says so.
    """

    kind: str = "file"
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Witnessing:
    """Which witnesses the reader trusts, how many must have cosigned, and how recently.

    ``max_age`` is seconds between a cosignature's time and ``now`` (seconds since the epoch).
    """

    vkeys: tuple[Vkey, ...] = ()
    quorum: int = 0
    max_age: int | None = None
    now: int = 0


CLOCKS_DIFFER_MAX: Final = 300
"""Seconds that a witness's clock may be ahead of the reader's; a cosignature beyond that is not fresh."""
FILE_QUESTION: Final = Question()
NO_WITNESSES: Final = Witnessing()


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader pins, asks, remembers and trusts; nothing of it comes from the file.

    ``is_remembering`` says that the reader wants a checkpoint kept, so that having none must be said; ``via`` is the
    key of the root through which the file has to lead: then what is remembered and who witnesses is about the root.
    """

    anchor: keys.Anchor | None = None
    question: Question = FILE_QUESTION
    remembered: Checkpoint | None = None
    is_remembering: bool = False
    witnessing: Witnessing = NO_WITNESSES
    via: Vkey | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """What a file shows of the log since the remembered size: its root then, or a consistency proof."""

    past_root: bytes | None = None
    consistency: ConsistencyLine | None = None


NO_GROWTH: Final = Growth()


def conclude(seen: Examination, asked: Asked) -> tuple[Checkpoint | None, Opened | None]:
    """Draw every conclusion into the findings.

    Returns:
        The checkpoint as it stands in the file, and as opened with trusted keys; None where that
        could not be done.
    """
    findings, shown = seen.findings, seen.shown
    header = shown.header
    if header is not None:
        check_question(findings, asked.question, header.kind, header.subject)  # FORMAT 12 (20)
    _leave_what_has_no_meaning(seen)
    if shown.is_stopped or not shown.has_trailer:
        why = "stopped" if shown.is_stopped else "truncated"
        for name in (AUTHENTICITY, INTEGRITY, COMPLETENESS, CUSTODY, FRESHNESS, NON_EQUIVOCATION):
            findings.leave(name, why)
        return None, None
    log_keys = _log_keys(
        seen, asked.anchor
    )  # as of the entries, whatever the checkpoint's own fault
    signed, opened = _checkpoint(seen, asked.witnessing, log_keys)
    if signed is None:
        findings.leave(COMPLETENESS, "no_checkpoint")
    else:
        _check_tree(seen, signed)  # FORMAT 12 (17)
        if header is not None and header.kind != "range":
            _check_completeness(seen, signed)  # FORMAT 12 (18)
        _check_keys_whole(seen)  # FORMAT 12 (19)
    growth = Growth(shown.past_root, shown.consistency)
    check_elsewhere(findings, signed, opened, asked, growth, log_keys)
    return signed, opened


def check_question(findings: Findings, question: Question, kind: str, subject: str | None) -> None:
    """Refuse a file of another *kind*, or about another *subject*, than the reader asked for."""
    if question.kind == "file" or kind == "full":
        return
    asked = question.subject if question.kind == "subject" else question.kind
    answered = subject if kind == "subject" else kind
    if asked != answered:
        findings.fail(
            COMPLETENESS,
            errors.QuestionError(position=0, expected=str(asked), found=str(answered)),
        )


def _leave_what_has_no_meaning(seen: Examination) -> None:
    findings, shown = seen.findings, seen.shown
    if shown.is_chain_broken:
        for name in (COMPLETENESS, CUSTODY):
            findings.leave(name, "integrity_failed")
    if shown.header is None:
        return
    subject = str(shown.header.subject)
    if shown.header.kind == "range":
        if not findings.has_failed(COMPLETENESS):
            findings.dismiss(COMPLETENESS)
        findings.dismiss(CUSTODY)
    elif shown.header.kind == "subject" and not subject.startswith("packet/"):
        findings.dismiss(CUSTODY)


# --- the checkpoint --------------------------------------------------------------------------


def _checkpoint(
    seen: Examination, witnessing: Witnessing, log_keys: Sequence[Vkey]
) -> tuple[Checkpoint | None, Opened | None]:
    findings, raw = seen.findings, seen.shown.note
    size = 0 if seen.shown.header is None else seen.shown.header.size
    if raw is None:
        findings.fail(INTEGRITY, errors.CheckpointMissingError(position=size))
        findings.leave(AUTHENTICITY, "no_checkpoint")
        return None, None
    try:
        signed = checkpoint.parse_text(note.split(raw)[0])  # FORMAT 12 (15)
    except errors.LedgerError as error:
        findings.fail(INTEGRITY, error.at(size))
        findings.leave(AUTHENTICITY, "no_checkpoint")
        return None, None
    if not log_keys:
        findings.leave(AUTHENTICITY, "no_key")
        return signed, None
    try:
        return signed, _open(seen, raw, log_keys, witnessing.vkeys, signed.size)
    except errors.LedgerError as error:
        findings.fail(AUTHENTICITY, error.at(signed.size))
        return signed, None


def _open(
    seen: Examination, raw: bytes, log_keys: Sequence[Vkey], witnesses: Sequence[Vkey], size: int
) -> Opened:
    """The checkpoint under the log's keys: the anchored one, and those that the log rotated to."""
    is_open = seen.shown.genesis_leaf is not None and not seen.findings.has_failed(AUTHENTICITY)
    anchored = log_keys[0].public
    if is_open and anchored not in seen.ring.ever("log"):
        raise errors.KeyUnknownError(position=size, found=keys.key_id(anchored))
    opened = checkpoint.open_checkpoint(raw, log_keys, witnesses)  # FORMAT 12 (16)
    if seen.shown.genesis_leaf is not None:
        active = seen.ring.active("log")
        if not any(key.public in active for key in opened.log_keys):
            seen.ring.check_log(opened.log_keys[0].public, size)
    return opened


def _log_keys(seen: Examination, anchor: keys.Anchor | None) -> list[Vkey]:
    """The log's keys that may be believed, active or not, the anchored one first; none without an anchor.

    A rotation is believed only when the anchor fixes genesis, which names the recovery keys.
    """
    if anchor is None:
        return []
    is_fixed = anchor.genesis_leaf is not None and seen.shown.genesis_leaf is not None
    ever = seen.ring.ever("log") if is_fixed and not seen.findings.has_failed(AUTHENTICITY) else []
    others = [key for key in ever if key != anchor.log_vkey.public]
    return [anchor.log_vkey, *(note.vkey(anchor.log_vkey.name, key) for key in others)]


def _check_tree(seen: Examination, signed: Checkpoint) -> None:
    findings, shown = seen.findings, seen.shown
    header = shown.header
    if header is None:
        return
    if signed.origin != header.origin:
        findings.fail(
            INTEGRITY,
            errors.OriginMismatchError(
                position=signed.size, expected=header.origin, found=signed.origin
            ),
        )
    elif header.kind == "full":
        if shown.frontier.size == signed.size and shown.frontier.root() != signed.root:
            _root_mismatch(seen, signed, shown.frontier.root())
    elif header.size == signed.size and shown.path_root not in {None, signed.root}:
        _root_mismatch(seen, signed, shown.path_root or b"")
    expected, found = f"0 to {header.size}", f"{header.start} to {header.stop}"
    if header.size != signed.size:
        expected, found = str(signed.size), str(header.size)
    elif header.kind == "range" and header.start < header.stop <= header.size:
        return
    if found != expected:
        findings.fail(
            INTEGRITY, errors.HeaderError(position=signed.size, expected=expected, found=found)
        )


def _root_mismatch(seen: Examination, signed: Checkpoint, found: bytes) -> None:
    seen.findings.fail(
        INTEGRITY,
        errors.RootMismatchError(
            position=signed.size, expected=signed.root.hex(), found=found.hex()
        ),
    )


# --- completeness ----------------------------------------------------------------------------


def _check_completeness(seen: Examination, signed: Checkpoint) -> None:
    shown, findings = seen.shown, seen.findings
    if shown.is_chain_broken or shown.header is None:
        return
    if shown.header.kind == "full":
        if seen.entries < signed.size:
            findings.fail(
                COMPLETENESS,
                errors.TailMissingError(
                    position=seen.entries, expected=str(signed.size), found=str(seen.entries)
                ),
            )
        elif seen.entries > signed.size:
            findings.fail(
                COMPLETENESS,
                errors.BeyondCheckpointError(
                    position=signed.size, expected=str(signed.size), found=str(seen.entries)
                ),
            )
        if seen.attachments.missing is not None:
            findings.fail(COMPLETENESS, seen.attachments.missing)
        return
    for subject in seen.histories.needed():
        try:
            _check_placed(seen, subject)
        except errors.LedgerError as error:
            findings.fail(COMPLETENESS, error)


def _check_placed(seen: Examination, subject: str) -> None:
    """The subject's last entry in the file is its last in the map."""
    index = 0 if seen.shown.header is None else seen.shown.header.size - 1
    row = seen.table.get(subject)
    claim = seen.histories.claim(subject)
    if not claim.is_placed:
        raise errors.SubjectMapError(
            position=index, expected=f"a map proof of {subject}", found="none"
        )
    placed = claim.place
    expected = "no entry" if placed is None else f"subject_seq {placed[0]}"
    found = "no entry" if row is None else f"subject_seq {row.next_seq - 1}"
    if placed is None and row is None:
        return
    if placed is None or (row is not None and row.next_seq - 1 > placed[0]):
        raise errors.SubjectMapError(position=index, expected=expected, found=found)
    if row is None or row.next_seq - 1 < placed[0]:
        raise errors.SubjectTailError(position=index, expected=expected, found=found)
    if row.leaf != placed[1]:
        raise errors.SubjectMapError(position=index, expected=placed[1].hex(), found=row.leaf.hex())


def _check_keys_whole(seen: Examination) -> None:
    """A range says nothing of its signers unless the key events that it shows are all of them."""
    shown, findings = seen.shown, seen.findings
    if shown.header is None or shown.header.kind != "range":
        return
    if shown.is_chain_broken or not seen.histories.claim("keys").is_placed:
        findings.leave(AUTHENTICITY, "no_index")
        return
    try:
        _check_placed(seen, "keys")
    except errors.LedgerError as error:
        findings.fail(AUTHENTICITY, error)


# --- against what was seen elsewhere -----------------------------------------------------------


def check_elsewhere(
    findings: Findings,
    signed: Checkpoint | None,
    opened: Opened | None,
    asked: Asked,
    growth: Growth,
    log_keys: Sequence[Vkey],
) -> None:
    """Hold a file's checkpoint against the remembered one and the witnesses: fresh, and no split view.

    Args:
        findings: Where it is written down.
        signed: The checkpoint as the file has it; None if it has none.
        opened: The same under trusted keys; None if that could not be done.
        asked: What the reader remembers and whom the reader trusts.
        growth: What the file shows of how the log grew.
        log_keys: The log's keys that may be believed; one of them must have signed what is remembered.
    """
    if signed is None:
        for name in (FRESHNESS, NON_EQUIVOCATION):
            findings.leave(name, "no_checkpoint")
        return
    witnessing = asked.witnessing
    if asked.remembered is not None:
        why = _why_not_believed(asked.remembered, log_keys)
        if why is None:
            _check_remembered(findings, signed, asked.remembered, growth)  # FORMAT 12 (21)
        else:
            for name in (FRESHNESS, NON_EQUIVOCATION):
                findings.leave(name, why)
    elif asked.is_remembering:
        for name in (FRESHNESS, NON_EQUIVOCATION):
            findings.leave(name, "no_remembered_checkpoint")
    _check_witnesses(findings, signed, opened, witnessing)  # FORMAT 12 (22)
    if asked.remembered is None and not asked.is_remembering:
        if witnessing.max_age is None:
            findings.leave(FRESHNESS, "not_asked")
        if witnessing.quorum == 0:
            findings.leave(NON_EQUIVOCATION, "not_asked")


def _why_not_believed(remembered: Checkpoint, log_keys: Sequence[Vkey]) -> str | None:
    """Why what the reader kept says nothing; a plain checkpoint is vouched for by whoever passes it."""
    if not isinstance(remembered, Remembered):
        return None
    if not log_keys:
        return "no_key"
    try:
        note.open_note(remembered.raw, log_keys)
    except errors.LedgerError:
        return "remembered_unsigned"
    return None


def _check_remembered(
    findings: Findings, signed: Checkpoint, remembered: Checkpoint, growth: Growth
) -> None:
    if remembered.origin != signed.origin:
        error = errors.OriginMismatchError(
            position=signed.size, expected=remembered.origin, found=signed.origin
        )
        findings.fail(NON_EQUIVOCATION, error)
        findings.leave(FRESHNESS, "no_remembered_checkpoint")
    elif signed.size < remembered.size:
        findings.fail(
            FRESHNESS,
            errors.RollbackError(
                position=signed.size,
                expected=f"at least {remembered.size}",
                found=str(signed.size),
            ),
        )
        findings.leave(NON_EQUIVOCATION, "older_than_remembered")
    else:
        _check_consistent(findings, signed, remembered, growth)


def _check_consistent(
    findings: Findings, signed: Checkpoint, remembered: Checkpoint, growth: Growth
) -> None:
    try:
        if signed.size == remembered.size:
            merkle.check_consistency(remembered.size, signed.size, remembered.root, signed.root, ())
        elif growth.past_root is not None:
            if growth.past_root != remembered.root:
                raise errors.ConsistencyError(
                    position=remembered.size,
                    expected=remembered.root.hex(),
                    found=growth.past_root.hex(),
                )
        elif growth.consistency is not None and growth.consistency.since == remembered.size:
            merkle.check_consistency(
                remembered.size,
                signed.size,
                remembered.root,
                signed.root,
                growth.consistency.path,
            )
        else:
            findings.leave(NON_EQUIVOCATION, "no_consistency_proof")
    except errors.LedgerError as error:
        findings.fail(NON_EQUIVOCATION, error)


def _check_witnesses(
    findings: Findings, signed: Checkpoint, opened: Opened | None, witnessing: Witnessing
) -> None:
    cosigned = [] if opened is None else list(opened.witnesses)
    known = checkpoint.cosignatures(witnessing.vkeys)
    is_any_unknown = any(vkey.algorithm not in known for vkey in witnessing.vkeys)
    missing = "witness_type" if is_any_unknown else "no_witness"
    if witnessing.quorum > 0 and len({v.vkey.public for v in cosigned}) < witnessing.quorum:
        findings.leave(NON_EQUIVOCATION, missing)
    if witnessing.max_age is None:
        return
    times = [verified.time for verified in cosigned if verified.time is not None]
    past = [time for time in times if time <= witnessing.now + CLOCKS_DIFFER_MAX]
    if not past:
        findings.leave(FRESHNESS, "future_cosignature" if times else missing)
        return
    age = max(witnessing.now - max(past), 0)
    if age > witnessing.max_age:
        findings.fail(
            FRESHNESS,
            errors.StaleError(
                position=signed.size,
                expected=f"at most {witnessing.max_age} s",
                found=f"{age} s",
            ),
        )
