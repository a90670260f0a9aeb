"""The path through a root: an entry is in a ledger, the ledger's checkpoint is in a log of checkpoints (the *root*).

A path is two C2SP tlog-proofs, one in the other (``FORMAT.md`` section "Paths through a root"): the root's proof of a
ledger's checkpoint, whose ``extra`` line carries the ledger's own proof of the entry.  A root's leaf is the text of
a checkpoint, three lines.  So one checkpoint, with the witnesses' cosignatures on it, stands over the entries of many
ledgers.  What the ledger's half says is :mod:`pfgov_ledger.receipt`'s business; how a root is kept is not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pfgov_ledger import checkpoint, entry, errors, merkle, note, proof
from pfgov_ledger.checkpoint import Checkpoint, Opened
from pfgov_ledger.note import Vkey
from pfgov_ledger.proof import TlogProof


@dataclass(frozen=True, slots=True)
class Path:
    """A path whose hashes hold: *ledger* is leaf *index* under *root*; who signed either was not looked at.

    ``inner`` is the ledger's own proof, ``note`` the root's signed checkpoint.
    """

    inner: bytes
    ledger: Checkpoint
    index: int
    root: Checkpoint
    note: bytes


def leaf(ledger: Checkpoint) -> bytes:
    """The hash under which a root has the checkpoint *ledger*: that of its text, without signatures."""
    return entry.leaf_hash(ledger.text())


def follow(
    signed: bytes, hashes: Sequence[bytes], logs: Iterable[Vkey], known: Checkpoint | None
) -> Checkpoint:
    """The checkpoint in the note *signed*, if a root that added *known* of its log last may add it next.

    Args:
        signed: The note.
        hashes: The consistency proof from *known*.
        logs: The log's keys.
        known: What was added last of this origin; None if nothing was.

    Raises:
        LedgerError: It is no checkpoint, or none of *logs* signed it.
        RollbackError, SameSizeForkError, ConsistencyError: It does not extend what is known.
    """
    new = checkpoint.open_checkpoint(signed, logs).checkpoint
    old = Checkpoint(new.origin, 0, merkle.EMPTY_ROOT) if known is None else known
    if new.origin != old.origin:
        raise errors.OriginMismatchError(expected=old.origin, found=new.origin)
    merkle.check_consistency(old.size, new.size, old.root, new.root, hashes)
    return new


def write(inner: bytes, root: TlogProof) -> bytes:
    """The path: *inner*, a ledger's proof of an entry, behind *root*, the root's proof of that proof's checkpoint."""
    return proof.write(TlogProof(root.index, root.hashes, root.checkpoint, inner))


def read(raw: bytes) -> Path:
    """Read a path, and follow its hashes from the ledger's checkpoint to the root's.

    Raises:
        ViaMissingError: There is none in the file.
        ViaMalformedError: The root's half is no proof under a checkpoint.
        ViaOriginError: The root is the ledger itself.
        ViaInclusionError: The root does not have the ledger's checkpoint there.
        MalformedError: The ledger's half is no proof under a checkpoint.
    """
    if not raw.startswith(proof.START):
        raise errors.ViaMissingError
    try:
        outer = proof.parse(raw)
        root = checkpoint.parse_text(note.split(outer.checkpoint)[0])
    except errors.MalformedError as error:
        raise errors.ViaMalformedError(str(error)) from None
    if outer.extra is None or not outer.extra.startswith(proof.START):
        raise errors.ViaMissingError
    inner = proof.parse(outer.extra)
    ledger = checkpoint.parse_text(note.split(inner.checkpoint)[0])
    if root.origin == ledger.origin:
        raise errors.ViaOriginError("the root is the ledger itself", found=root.origin)
    try:
        merkle.check_inclusion(leaf(ledger), outer.index, root.size, outer.hashes, root.root)
    except errors.InclusionError as error:
        raise errors.ViaInclusionError(expected=error.expected, found=error.found) from None
    return Path(outer.extra, ledger, outer.index, root, outer.checkpoint)


def open_root(path: Path, vkey: Vkey, witnesses: Iterable[Vkey] = ()) -> Opened:
    """Check that the root's key signed its checkpoint, and the cosignatures of *witnesses* on it.

    Raises:
        ViaSignatureError: A known key's signature does not hold.
        ViaUnsignedError: The root's key did not sign.
        ViaOriginError: It is the key of another log.
    """
    if path.root.origin != vkey.name:
        raise errors.ViaOriginError(expected=vkey.name, found=path.root.origin)
    try:
        return checkpoint.open_checkpoint(path.note, [vkey], witnesses)
    except errors.CheckpointSignatureError as error:
        raise errors.ViaSignatureError(str(error)) from None
    except errors.CheckpointUnsignedError:
        raise errors.ViaUnsignedError from None
