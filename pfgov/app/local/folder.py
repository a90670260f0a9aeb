"""A ledger's folder: making it, opening it to read, to write or to serve, looking it over, and the keys in it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pfgov.app.local.reading import LocalReading
from pfgov.clock import Clock
from pfgov.engine import Layout, LedgerReader
from pfgov.engine.answers import LOCAL, Caller
from pfgov.engine.keys import ROTATING
from pfgov.faces import face
from pfgov.storage import keep_in_database, open_store

if TYPE_CHECKING:
    from pfgov.app.local.ledger import LocalLedger
    from pfgov.engine.maintenance.doctor import Finding
    from pfgov.engine.maintenance.restoring import Restored, Succeeded
    from pfgov.engine.reading import Replay
    from pfgov.model import KeyList, Revocation
    from pfgov.policy import PolicySet

__all__ = [
    "SIGNERS", "Replay", "acting_on_folder", "creating", "examine", "has_ledger", "migrating", "reading_folder",
    "recovery_path", "require", "restore", "revocation", "succeed",
]  # fmt: skip

__getattr__ = face(__name__, {"pfgov.engine.reading": ("Replay",)})

SIGNERS: Final = frozenset(ROTATING)
"""The roles whose keys sign while the ledger is written."""


@contextmanager
def reading_folder(
    directory: Path, caller: Caller = LOCAL, *, heed_head_lock: bool = True
) -> Generator[LocalReading]:
    """Open a folder's ledger for reading; no lock is taken, and a server may write it meanwhile.

    Raises:
        PfgovError: ``store.*``, there is none, or it cannot be read.
    """
    ledger = LocalReading(
        LedgerReader(open_store(directory), heed_head_lock=heed_head_lock), caller
    )
    try:
        yield ledger
    finally:
        ledger.reader.close()


@contextmanager
def acting_on_folder(directory: Path) -> Generator["LocalLedger"]:
    """Open a folder's ledger for writing; the writer's lock is held meanwhile, and the leases of the last run stand.

    Raises:
        PfgovError: ``store.*``, there is none, another process writes it, or it cannot be written.
    """
    from pfgov.app.local.ledger import LocalLedger
    from pfgov.engine import Engine, Options

    with Engine.open(open_store(directory), options=Options(fresh_leases=False)) as engine:
        yield LocalLedger(engine)


@contextmanager
def creating(
    directory: Path,
    origin: str | None = None,
    *,
    policy: "PolicySet | None" = None,
    scheduler: str = "rendezvous",
    clock: Clock | None = None,
    database: str | None = None,
) -> Generator["LocalLedger"]:
    """Make a ledger in a folder, and give it for writing.

    Args:
        directory: The folder of its keys, and of its entries unless a database holds them.
        origin: The ledger's name; drawn by default.
        policy: The first policies; the starter set by default.
        scheduler: Who chooses among eligible members.
        clock: The system's by default.
        database: URL of the PostgreSQL database that holds the entries.

    Raises:
        DuplicateError: ``ledger.exists``, there is one already.
        PfgovError: ``store.*`` or ``key.*``, a file cannot be written.
    """
    from pfgov.app.local.ledger import LocalLedger
    from pfgov.engine import Engine

    if database is not None:
        keep_in_database(directory, database)
    with Engine.create(
        open_store(directory), origin, policy=policy, scheduler=scheduler, clock=clock
    ) as engine:
        yield LocalLedger(engine)


def has_ledger(directory: Path) -> bool:
    """Whether there is a ledger in *directory*."""
    return open_store(directory).exists()


def require(directory: Path) -> None:
    """Refuse a folder without a ledger.

    Raises:
        PfgovError: ``store.missing``, there is none.
    """
    open_store(directory).require()


def examine(directory: Path) -> "Sequence[Finding]":
    """Look a ledger's files over; errors as of :func:`require`."""
    from pfgov.engine.maintenance import doctor

    store = open_store(directory)
    store.require()
    return doctor.examine(store)


def recovery_path(directory: Path) -> Path:
    """Return where a new ledger's recovery key is."""
    return Layout(directory).key("recovery")


def revocation(
    found: "KeyList", key: str, recovery: Path, *, suspect_from: int | None
) -> "Revocation":
    """Return the revocation of *key*, signed by the recovery key, for the place where the next key event will stand.

    Raises:
        PfgovError: ``key.*``, there is no such key, or the recovery key is not this ledger's.
    """
    from pfgov.core.records import Key
    from pfgov.engine.maintenance.ceremony import Place, find_key, recovery_key, sign_revocation
    from pfgov.model import Revocation

    known = {
        one.public: Key(one.role, one.public, one.since, one.until, one.state == "revoked")
        for one in found.keys
    }
    place = Place(found.origin, found.next.seq, bytes.fromhex(found.next.prev))
    guard = recovery_key(known, recovery)
    action = sign_revocation(place, find_key(known, key), guard, suspect_from=suspect_from)
    return Revocation.of(action, origin=place.origin, seq=place.seq, prev=place.prev)


def restore(
    directory: Path,
    backup: Path | None,
    *,
    seen: bytes | None,
    is_newest: bool,
    database: str | None = None,
) -> "Restored":
    """Let a backup be written again in *directory*; as :func:`pfgov.engine.maintenance.restoring.restore`.

    With *database*, the URL of a PostgreSQL database, the entries of *backup* are put there.
    """
    from pfgov.engine.maintenance import restoring

    if database is not None and backup is not None:
        restoring.require_backup(backup)
        keep_in_database(directory, database)
    return restoring.restore(open_store(directory), backup, seen=seen, is_newest=is_newest)


@contextmanager
def migrating(directory: Path, target: Path, url: str) -> Generator[int]:
    """Move the ledger in *directory* into the database at *url*, with *target* as its folder; as
    :func:`pfgov.engine.maintenance.migrating.migrating`.
    """
    from pfgov.engine.maintenance.migrating import migrating as moving

    old = open_store(directory)
    old.require()
    keep_in_database(target, url)
    with moving(old, open_store(target)) as size:
        yield size


def succeed(
    directory: Path, old: Path, *, origin: str | None, database: str | None = None
) -> "Succeeded":
    """Begin in *directory* the ledger that continues the one in *old*; as
    :func:`pfgov.engine.maintenance.restoring.succeed`.

    With *database*, the URL of a PostgreSQL database, its entries are kept there.
    """
    from pfgov.engine.maintenance import restoring

    before = open_store(old)
    before.require()
    if database is not None:
        keep_in_database(directory, database)
    return restoring.succeed(open_store(directory), before, origin=origin)
