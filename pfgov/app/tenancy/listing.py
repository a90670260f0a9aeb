"""The ledgers in a folder as they lie there, without a server: where each ends, and which cannot be read."""

from pathlib import Path

import msgspec

from pfgov.app.tenancy.names import ledger_names
from pfgov.app.tenancy.notes import read_note
from pfgov.app.views.numbers import moment
from pfgov.engine import LedgerReader
from pfgov.errors import PfgovError
from pfgov.storage import open_store
from pfgov_ledger import checkpoint
from pfgov_ledger import note as notes
from pfgov_ledger.errors import LedgerError


class Trouble(msgspec.Struct, frozen=True):
    """Why a ledger cannot be opened."""

    code: str
    detail: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger of many; ``state`` is a server's word for how it stands, or ``readable`` where none was asked."""

    name: str
    state: str
    origin: str | None = None
    size: int | None = None
    root: str | None = None
    due: str | None = None
    requests: int = 0
    error: Trouble | None = None
    host: str | None = None


def listed(folder: Path) -> list[Listed]:
    """Return every ledger in *folder*; what a server that rests it noted is believed while nobody wrote it since.

    Raises:
        StoreUnavailableError: the folder cannot be read.
    """
    names, _ = ledger_names(folder)
    return [_one(folder / name) for name in names]


def _one(directory: Path) -> Listed:
    try:
        store, note = open_store(directory), read_note(directory)
        if note is not None and note.stamp == store.stamp():
            return Listed(
                name=directory.name,
                state="readable",
                origin=note.origin,
                size=note.size,
                root=note.root,
                due=moment(note.due),
            )
        with LedgerReader(store) as reader:
            stated = checkpoint.parse_text(notes.split(reader.head().note)[0])
    except (PfgovError, LedgerError) as error:  # whatever was changed in it, it is told of alone
        trouble = Trouble(error.code, str(error))
        return Listed(name=directory.name, state="failed", error=trouble)
    root = stated.root.hex()
    return Listed(
        name=directory.name, state="readable", origin=stated.origin, size=stated.size, root=root
    )
