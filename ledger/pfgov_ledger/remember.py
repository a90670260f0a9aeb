"""The checkpoint that a reader keeps between verifications: what makes rollbacks and forks visible.

The file is the signed note itself, so that it can be shown to others as evidence.  It is replaced
in one step, only after a verification with exit status 0, and never by an older checkpoint.
"""

import os
import tempfile
from pathlib import Path

from pfgov_ledger import checkpoint, errors, files, note
from pfgov_ledger.checkpoint import Remembered


def load(path: Path) -> Remembered | None:
    """The remembered checkpoint; None if there is no file. Whose signature it has, a verification says.

    Raises:
        errors.RememberError: The file cannot be read, or is not a checkpoint.
    """
    try:
        raw, _ = files.read_regular(path, note.NOTE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise errors.RememberError(f"cannot read {path}: {error.strerror}") from None
    try:
        return parse(raw)
    except errors.LedgerError as error:
        raise errors.RememberError(f"{path} is not a remembered checkpoint: {error}") from None


def parse(raw: bytes) -> Remembered:
    """The remembered checkpoint in the signed note *raw*.

    Raises:
        NoteError, CheckpointError: It is none.
    """
    found = checkpoint.parse_text(note.split(raw)[0])
    return Remembered(found.origin, found.size, found.root, raw)


def store(path: Path, raw: bytes) -> bool:
    """Keep the signed checkpoint *raw*, unless a newer one is kept; returns whether it was stored.

    Raises:
        errors.RememberError: The file cannot be written.
    """
    kept, new = load(path), checkpoint.parse_text(note.split(raw)[0])
    if kept is not None and (kept.origin != new.origin or kept.size >= new.size):
        return False
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)  # noqa: PTH105 (the atomic call, by its own name)
        except OSError:
            os.unlink(name)  # noqa: PTH108 (as above)
            raise
    except OSError as error:
        raise errors.RememberError(f"cannot write {path}: {error.strerror}") from None
    return True
