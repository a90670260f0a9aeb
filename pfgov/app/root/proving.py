"""Paths through a root: an entry of a ledger, under the one checkpoint that stands over all of them."""

from pathlib import Path
from typing import Protocol

from pfgov.errors import NotFoundError
from pfgov.storage.root import RootReader
from pfgov_ledger import checkpoint, note, proof, via


class Proving(Protocol):
    """A ledger that proves its entries."""

    def head(self) -> bytes:
        """Return its newest checkpoint."""
        ...

    def proof(self, seq: int, signed: bytes | None = None) -> bytes:
        """Return one entry with its proof under the checkpoint *signed*, the newest by default."""
        ...


def path(ledger: Proving, folder: Path, seq: int, *signed: bytes | None) -> bytes:
    """Return the path of the entry at *seq* through the root in *folder*.

    Args:
        ledger: The entry's ledger.
        folder: The root's.
        seq: Which entry.
        signed: Checkpoints of the root, the better ones first: the first that covers the entry is used, and the newest
            if none does.

    Raises:
        NotFoundError: ``root.behind``, the root does not have so much of the ledger; as of a proof.
        PfgovError: ``root.*``, ``store.*``.
    """
    origin = _stated(ledger.head()).origin
    found = None
    with RootReader(folder) as root:
        for under in (*(one for one in signed if one is not None), root.head().note):
            found = root.last(origin, within=_stated(under).size)
            if found is not None and seq < found.stated.size:
                inner = ledger.proof(seq, found.signed)
                return via.write(inner, proof.make(root, found.index, under))
    ledger.proof(seq)  # the better reason, if there is no such entry
    size = 0 if found is None else found.stated.size
    raise NotFoundError(
        f"the root has {size} entries of this ledger, and not yet entry {seq}",
        code="root.behind",
        hint="ask again in a moment; without a server: pfgov root add",
    )


def _stated(raw: bytes) -> checkpoint.Checkpoint:
    return checkpoint.parse_text(note.split(raw)[0])
