"""The note beside a ledger that rests: where it ended, and when something is due.

A server that starts reads it instead of opening the ledger.  It counts only while the ledger's file is the one that was
closed then: whoever writes it afterwards, from a command line or after a crash, changes the stamp, and the ledger is
looked at again.  What the note says decides when to look, and nothing else; whoever forges it can write the ledger.
"""

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from pfgov.decoding import Reader
from pfgov.files import read_regular, replace_private
from pfgov.limits import INTEGER_MAX

FILE: Final = "resting.json"
NOTE_BYTES_MAX: Final = 4_096


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a ledger ended, and the moment in microseconds at which to look at it again; None is never."""

    stamp: str
    origin: str
    size: int
    root: str
    due: int | None


_NOTE: Final = Reader[Note](Note)


def read_note(directory: Path) -> Note | None:
    """Return the note in *directory*; None where there is none that can be read."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        note = _NOTE.decode(read_regular(directory / FILE, NOTE_BYTES_MAX))
        if 0 <= note.size <= INTEGER_MAX and 0 <= (note.due or 0) <= INTEGER_MAX:
            return note
    return None


def write_note(directory: Path, note: Note) -> None:
    """Leave *note* in *directory*, if that can be done: without it the ledger is only looked at once more."""
    with contextlib.suppress(OSError):
        replace_private(directory / FILE, msgspec.json.encode(note))
