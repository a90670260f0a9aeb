"""The folder of a root: making it, opening it to add to it, and going through all that it holds once more."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pfgov.engine.witnessing.keeping import kept
from pfgov.errors import DuplicateError, InvalidError, file_errors
from pfgov.files import read_regular, replace_public
from pfgov.storage.port import Probe, untouched
from pfgov.storage.root import VKEY, RootLostError, RootReader, RootWriter, require, stored
from pfgov_ledger import checkpoint, entry, errors, keys, merkle, note, via
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.keys import Signer
from pfgov_ledger.note import Vkey

__all__ = [
    "RootLostError", "RootReader", "RootWriter", "create", "examine", "require", "stored", "vkey", "witnessed",
    "writing",
]  # fmt: skip

KEY: Final = "root.key"


def create(folder: Path, origin: str) -> Vkey:
    """Make a root called *origin* in *folder*; return its verifier key.  A creation that was interrupted goes on.

    Raises:
        DuplicateError: ``root.exists``, there is one.
        InvalidError: ``root.origin``, it cannot be called that.
        PfgovError: the folder cannot be written.
    """
    if (folder / VKEY).exists():
        raise DuplicateError(
            f"{folder} holds a root already", code="root.exists", hint="choose another folder"
        )
    if not entry.is_origin(origin):
        raise InvalidError(
            f"{origin!r} cannot name a root",
            code="root.origin",
            hint="name it like a URL: example.org/root",
        )
    with file_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / KEY).exists():
            signer = keys.file_signer(folder / KEY)
        else:
            signer = keys.generate(role="log", name=origin)
            keys.write_file(folder / KEY, signer)
    if signer.name != origin:
        raise InvalidError(
            f"{folder / KEY} is the key of {signer.name}",
            code="root.origin",
            hint="choose another folder",
        )
    RootWriter(folder, signer, is_new=True).close()
    found = keys.vkey_of(signer)
    with file_errors(folder):
        replace_public(folder / VKEY, f"{found}\n".encode(), durably=True)
    return found


def vkey(folder: Path) -> Vkey:
    """Return the verifier key of the root in *folder*; errors as of :func:`require`, LedgerError if it is no key."""
    require(folder)
    with file_errors(folder / VKEY):
        return note.parse_vkey(
            read_regular(folder / VKEY, note.NOTE_BYTES_MAX).decode(errors="replace").strip()
        )


@contextmanager
def writing(folder: Path, *, step: Probe = untouched) -> Generator[RootWriter]:
    """Open the root in *folder* to add to it; errors as of its writer, LedgerError if its key cannot be used."""
    require(folder)
    signer: Signer = keys.file_signer(folder / KEY)
    with RootWriter(folder, signer, step=step) as found:
        yield found


def witnessed(folder: Path) -> bytes | None:
    """Return the newest checkpoint of the root in *folder* that a quorum cosigned; None if none ever did."""
    found = kept(folder)
    return None if found is None else found.signed


@dataclass(frozen=True, slots=True)
class Examined:
    """What a root holds: checkpoints, of how many ledgers."""

    size: int
    ledgers: int


def examine(folder: Path) -> Examined:
    """Go through everything in the root again: each leaf by the proof with which it was added, the tree, the signature.

    Raises:
        LedgerError: a leaf does not follow the one of its ledger before it, or the tree is not the one that was signed.
        PfgovError: it cannot be read.
    """
    key = vkey(folder)
    with RootReader(folder) as root:
        head = root.head()
        opened = checkpoint.open_checkpoint(head.note, [key]).checkpoint
        known: dict[str, Checkpoint] = {}
        frontier = merkle.Frontier()
        for leaf in root.leaves(within=head.size):
            offer = leaf.offer
            origin = checkpoint.parse_text(note.split(offer.signed)[0]).origin
            if leaf.index != frontier.size:
                raise errors.SequenceError(
                    position=frontier.size, expected=str(frontier.size), found=str(leaf.index)
                )
            try:
                new = via.follow(offer.signed, offer.proof, offer.logs, known.get(origin))
            except errors.LedgerError as error:
                error.position = leaf.index
                raise
            known[origin] = new
            frontier.add(via.leaf(new))
    if (frontier.size, frontier.root()) != (opened.size, opened.root):
        raise errors.RootMismatchError(
            position=opened.size, expected=opened.root.hex(), found=frontier.root().hex()
        )
    return Examined(opened.size, len(known))
