"""Opening and closing one ledger of many, and learning which there are: everything that touches a disk, for threads."""

from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pfgov.app.tenancy.claims import Claims
from pfgov.app.tenancy.names import is_folder, ledger_names, unknown
from pfgov.app.tenancy.notes import Note, read_note, write_note
from pfgov.app.tenancy.places import Place
from pfgov.clock import Clock
from pfgov.engine import Engine, Options
from pfgov.engine.following import Follower
from pfgov.errors import InvalidError, PfgovError, StoreLockedError, StoreUnavailableError
from pfgov.storage import open_store
from pfgov_ledger import checkpoint
from pfgov_ledger import note as notes

FRESH_NS: Final = 2_000_000_000
"""A folder that changed so shortly before it was read may have changed since, at the same time of its clock."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a folder.

    Attributes:
        names: Every ledger's.
        notes: Those of ledgers that were not known.
        by_turns: Of these, the ones that several servers may have by turns.
        is_cut: Whether there are too many.
    """

    names: list[str]
    notes: dict[str, Note]
    by_turns: frozenset[str]
    is_cut: bool


class Folder:
    """The folder of the ledgers' folders."""

    def __init__(self, path: Path, clock: Clock, leave_out: Path | None) -> None:
        self.path = path
        self._clock = clock
        self._left_out = None if leave_out is None else leave_out.resolve()
        self._scanned = 0

    def check(self) -> None:
        """Refuse what cannot hold ledgers.

        Raises:
            InvalidError: ``store.head_lock_shared``, all of them would have one head lock.
        """
        if open_store(self.path).is_head_lock_apart():
            raise InvalidError(
                "PFGOV_HEAD_LOCK names one head lock, and each ledger needs its own",
                code="store.head_lock_shared",
                hint="unset it; each ledger's head lock is then in its own folder",
            )

    def scan(self, known: Container[str]) -> Found | None:
        """Return what is in it, with the notes of all but the *known*; None where nothing changed.

        Raises:
            StoreUnavailableError: it cannot be read.
        """
        try:
            changed = self.path.stat().st_mtime_ns
        except OSError as error:
            raise StoreUnavailableError(f"{self.path} cannot be read: {error.strerror}") from error
        if changed == self._scanned:
            return None
        names, is_cut = ledger_names(self.path)
        names = [name for name in names if self.path / name != self._left_out]
        new = {
            name: note
            for name in names
            if name not in known and (note := self._valid_note(name)) is not None
        }
        by_turns = frozenset(one for one in names if one not in known and self._can_be_led(one))
        self._scanned = 0 if self._clock.now() * 1_000 - changed < FRESH_NS else changed
        return Found(names, new, by_turns, is_cut)

    def _can_be_led(self, name: str) -> bool:
        with suppress(PfgovError):
            return open_store(self.path / name).can_be_led
        return False

    def _valid_note(self, name: str) -> Note | None:
        """Return the note of a ledger that nobody has written since."""
        note = read_note(self.path / name)
        return note if note is not None and note.stamp == self.stamp(name) else None

    def stamp(self, name: str) -> str | None:
        """Return the stamp of a ledger that rests; None where there is none."""
        with suppress(PfgovError):
            return open_store(self.path / name).stamp()
        return None


def open_engine(
    place: Place, clock: Clock, options: Options, claims: Claims | None = None
) -> Engine:
    """Open the ledger of *place*; members' leases went on while this process had it, open or at rest.

    One that servers have by turns is led here if it is to be ours and nobody else has it, and followed otherwise.

    Raises:
        UnknownLedgerError: there is none.
        PfgovError: as :meth:`pfgov.engine.Engine.open`.
    """
    if not is_folder(place.directory):
        raise unknown(place.name)
    store = open_store(place.directory)
    if not store.exists():
        raise unknown(place.name)
    place.can_be_led = store.can_be_led
    at = None if claims is None else f"{claims.address}/l/{place.name}"
    options = replace(options, address=at, fresh_leases=not place.was_open)
    if at is None or claims is None or not store.can_be_led:
        return Engine.open(store, clock=clock, options=options)
    if claims.is_ours(place.name):
        with suppress(StoreLockedError):
            return Engine.open(store, clock=clock, options=options)
    return Follower(store, at, clock=clock, options=options)


def put_to_rest(place: Place, engine: Engine, due: int | None) -> Note | None:
    """Close *engine*, leave a note beside its ledger that says what is *due*, and return it; None if none could be."""
    head = engine.reader.head().note
    engine.close()
    if engine.stamp is None:
        return None
    stated = checkpoint.parse_text(notes.split(head)[0])
    note = Note(engine.stamp, stated.origin, stated.size, stated.root.hex(), due)
    write_note(place.directory, note)
    return note
