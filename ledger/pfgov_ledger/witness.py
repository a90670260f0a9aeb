"""C2SP tlog-witness: what a log sends to a witness, and what a witness makes of it.

A submission is the size that the witness knows, the consistency proof from there, and a signed checkpoint; the answer
is a cosignature or an HTTP status, which the specification fixes for every reason.  Persisting and sending are for
others.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import checkpoint, errors, merkle, note, strict64
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.note import NoteSigner, Vkey

PATH: Final = "add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
HASHES_MAX: Final = 63
SUBMISSION_BYTES_MAX: Final = note.NOTE_BYTES_MAX + 8 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


class RefusedError(Exception):
    """A witness does not cosign: the HTTP status, why, and for 409 the size that it knows."""

    def __init__(self, status: int, message: str, known: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.known = known


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint with the proof that it extends the first *old* entries."""

    old: int
    proof: tuple[bytes, ...]
    signed: bytes

    def to_bytes(self) -> bytes:
        """The body of the request."""
        lines = [f"old {self.old}", *(strict64.encode(item) for item in self.proof), "", ""]
        return "\n".join(lines).encode() + self.signed


def parse(raw: bytes) -> Submission:
    """Read the body of a request; nothing is verified.

    Raises:
        RefusedError: 400, it is none.
    """
    head, blank, signed = raw.partition(b"\n\n")
    try:
        first, *rest = head.decode("ascii").split("\n")
        size = first.removeprefix("old ")
        if not blank or not first.startswith("old ") or _SIZE.fullmatch(size) is None:
            raise RefusedError(400, "the first line is: old SIZE")
        if len(rest) > HASHES_MAX:
            raise RefusedError(400, f"more than {HASHES_MAX} hashes")
        proof = tuple(strict64.decode(line, size=merkle.HASH_BYTES) for line in rest)
    except (UnicodeDecodeError, errors.Base64Error) as error:
        raise RefusedError(400, f"not a proof: {error}") from None
    return Submission(int(size), proof, signed)


def parse_size(raw: bytes) -> int:
    """Read the size in the body of a 409.

    Raises:
        ValueError: It is none.
    """
    text = raw.decode("ascii").removesuffix("\n")
    if _SIZE.fullmatch(text) is None:
        raise ValueError("not a size")
    return int(text)


def stated(submission: Submission) -> Checkpoint:
    """The checkpoint in a submission, before its signature was checked.

    Raises:
        RefusedError: 400, there is none.
    """
    try:
        return checkpoint.parse_text(note.split(submission.signed)[0])
    except errors.LedgerError as error:
        raise RefusedError(400, f"not a checkpoint: {error}") from None


def examine(
    submission: Submission, logs: Mapping[str, Sequence[Vkey]], known: Checkpoint | None
) -> Checkpoint:
    """The checkpoint that may be cosigned, given the last one that was *known* of its log.

    Raises:
        RefusedError: 404 no such log, 403 not signed by it, 400, 409 another size is known, 422 another history.
    """
    new = stated(submission)
    keys = logs.get(new.origin)
    if keys is None:
        raise RefusedError(404, "this witness does not follow that log")
    try:
        checkpoint.open_checkpoint(submission.signed, keys)
    except errors.LedgerError as error:
        raise RefusedError(403, str(error)) from None
    if submission.old > new.size:
        raise RefusedError(400, "the old size is larger than the checkpoint's")
    size = 0 if known is None else known.size
    if submission.old != size:
        raise RefusedError(409, "another size is known", size)
    if known is not None and size == new.size and known.root != new.root:
        raise RefusedError(409, "another root of this size is known", size)
    old_root = merkle.EMPTY_ROOT if known is None else known.root
    try:
        merkle.check_consistency(size, new.size, old_root, new.root, submission.proof)
    except errors.LedgerError as error:
        raise RefusedError(422, str(error)) from None
    return new


def cosignature(signed: bytes, signer: NoteSigner, *, time: int) -> bytes:
    """The body of a successful answer: one signature line."""
    return checkpoint.cosign(signed, signer, time=time)[len(signed) :]


def accepted(signed: bytes, answer: bytes, witness: Vkey) -> bytes:
    """The lines of *answer* by which *witness* cosigned the note *signed*, and no others.

    Raises:
        LedgerError: There is none that holds, or it is no answer.
    """
    text, _ = note.split(signed)
    _, lines = note.split(text + b"\n" + answer)
    mine = [
        note.signature_line(name, identity, signature).encode()
        for name, identity, signature in lines
        if (name, identity) == (witness.name, witness.id)
    ]
    found = text + b"\n" + b"".join(mine)
    if not mine:
        raise errors.CheckpointUnsignedError(f"no line by {witness.name}")
    note.open_note(found, [witness], checkpoint.algorithms([witness]))
    return b"".join(mine)
