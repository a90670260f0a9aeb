"""One entry's proof of inclusion as a text file: C2SP tlog-proof, version 1.

It holds the entry's index, the inclusion proof and a signed checkpoint; whoever has the entry and
the log's verifier key can check it offline.  ``extra`` (here: the entry and its signature) is not
authenticated by the format and must be checked like any other input.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import checkpoint, errors, merkle, note, strict64
from pfgov_ledger.note import Vkey

START: Final = b"c2sp.org/tlog-proof@"
"""What a proof begins with, of whatever version."""
_HEADER: Final = "c2sp.org/tlog-proof@v1"
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")
PROOF_BYTES_MAX: Final = note.NOTE_BYTES_MAX + 128 * 1024
HASHES_MAX: Final = 63
"""More siblings than any tree of at most 2^53 - 1 leaves has."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Entry *index* is in the tree of the signed note *checkpoint*."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def write(proof: TlogProof) -> bytes:
    """The text of *proof*."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {strict64.encode(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(strict64.encode(item) for item in proof.hashes)
    return "\n".join([*lines, "", ""]).encode() + proof.checkpoint


def parse(raw: bytes) -> TlogProof:
    """Read a proof; nothing is verified.

    Raises:
        ProofShapeError: Not a tlog-proof.
    """
    if len(raw) > PROOF_BYTES_MAX:
        raise errors.ProofShapeError("too large", expected=f"at most {PROOF_BYTES_MAX}")
    head, blank, signed = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if not blank or lines.pop(0) != _HEADER:
            raise errors.ProofShapeError(f"the first line is {_HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = strict64.decode(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None:
            raise errors.ProofShapeError("no index line")
        if len(lines) > HASHES_MAX:
            raise errors.ProofShapeError("too many hashes")
        hashes = tuple(strict64.decode(line, size=merkle.HASH_BYTES) for line in lines)
    except (UnicodeDecodeError, errors.Base64Error) as error:
        raise errors.ProofShapeError(str(error)) from None
    return TlogProof(int(index.group(1)), hashes, signed, extra)


def make(
    nodes: merkle.Nodes, index: int, signed: bytes, *, extra: bytes | None = None
) -> TlogProof:
    """The proof of entry *index* for the signed note *signed*, from the tree's hashes.

    Raises:
        NoteError, CheckpointError: *signed* is not a checkpoint.
        UsageError: It does not cover the entry.
    """
    size = checkpoint.parse_text(note.split(signed)[0]).size
    hashes: Sequence[bytes] = merkle.inclusion_proof(nodes, index, size)
    return TlogProof(index, tuple(hashes), signed, extra)


def check(
    proof: TlogProof, leaf: bytes, logs: Iterable[Vkey], witnesses: Iterable[Vkey] = ()
) -> checkpoint.Opened:
    """Refuse *proof* unless the entry with this leaf hash is in a tree that the log signed.

    Returns:
        The opened checkpoint, with the cosignatures that hold.

    Raises:
        LedgerError: As :func:`checkpoint.open_checkpoint`, or InclusionError.
    """
    opened = checkpoint.open_checkpoint(proof.checkpoint, logs, witnesses)
    tree = opened.checkpoint
    merkle.check_inclusion(leaf, proof.index, tree.size, proof.hashes, tree.root)
    return opened
