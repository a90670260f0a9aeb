"""A root over many ledgers, kept in a folder: every checkpoint that was added, the tree over them, what was published.

Leaves, tree and the signed checkpoint over them are one transaction; then the checkpoint is *published*: the file
``root.note`` is replaced, durably, before anybody is told.  So a crash leaves what is stored at most ahead of what is
published, with the same beginning, and the next step publishes it.  What is stored behind it, or beside it, is a backup
that was put back: nothing is signed then.  Readers see what is published and no more; what writes is
:mod:`pfgov.storage.sqlite.root_writing`.  Where ledgers are is not known here.
"""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pfgov.errors import (
    NotFoundError,
    StoreCorruptError,
    StoreError,
    file_errors,
)
from pfgov.files import read_regular
from pfgov.storage.sqlite.connections import open_reader
from pfgov.storage.sqlite.errors import translating
from pfgov.storage.sqlite.schema import oddities
from pfgov_ledger import checkpoint, errors, merkle, note
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.note import Vkey

DATABASE: Final = "root.db"
PUBLISHED: Final = "root.note"
VKEY: Final = "root.vkey"
"""The root's verifier key; written last of all when a root is made, so that it says that one was."""

TABLES: Final = (
    "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), frontier BLOB NOT NULL, note BLOB NOT NULL) STRICT",
    """CREATE TABLE leaf (
        seq INTEGER PRIMARY KEY, origin TEXT NOT NULL, note BLOB NOT NULL, logs TEXT NOT NULL, proof BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX leaf_of ON leaf (origin, seq)",
    """CREATE TABLE node (
        level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)
    ) STRICT, WITHOUT ROWID""",
)


_HASH_BYTES: Final = 32
_MADE: Final = {" ".join(statement.split()) for statement in TABLES}


@dataclass(frozen=True, slots=True)
class Offer:
    """A ledger's signed checkpoint, the proof that it extends what the root has, and the keys that may sign for it."""

    signed: bytes
    proof: tuple[bytes, ...]
    logs: tuple[Vkey, ...]


@dataclass(frozen=True, slots=True)
class Added:
    """A checkpoint in the root: where, what it says, and its note with the ledger's signatures."""

    index: int
    stated: Checkpoint
    signed: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """All that is kept of a leaf, so that whoever has the folder can go through it again."""

    index: int
    offer: Offer


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint of the root: its size, and its signed note."""

    size: int
    note: bytes


class RootLostError(StoreError):
    """The root's database lacks what was published: an older copy was put back, or another one."""

    code = "root.lost"


class RootReader:
    """A root, read-only: what is published.  Close it; or use it as a context manager.  For one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Open the root in *folder*.

        Raises:
            NotFoundError: ``root.missing``, there is none.
            PfgovError: ``store.*``, it cannot be read, or was changed from outside.
        """
        require(folder)
        self._take_up(folder, _reading(folder))

    def _take_up(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._path = folder / DATABASE
        self._connection = connection

    def head(self) -> Head:
        """Return the checkpoint that was published last.

        Raises:
            RootLostError: there is none that can be read.
        """
        raw = read_published(self._folder)
        return Head(read_stated(raw).size, raw)

    def last(self, origin: str, *, within: int) -> Added | None:
        """Return the newest checkpoint of *origin* among the first *within* leaves; None if there is none."""
        with translating(self._path):
            row = self._connection.execute(
                "SELECT seq, note FROM leaf WHERE origin = ? AND seq < ? ORDER BY seq DESC LIMIT 1",
                (origin, within),
            ).fetchone()
        if row is None:
            return None
        with self._as_stored(f"the checkpoint at {row[0]}"):
            return Added(row[0], read_stated(row[1]), row[1])

    def count(self, *, within: int) -> int:
        """Return how many ledgers the first *within* leaves are about."""
        with translating(self._path):
            row = self._connection.execute(
                "SELECT count(DISTINCT origin) FROM leaf WHERE seq < ?", (within,)
            ).fetchone()
        return int(row[0])

    def node(self, level: int, index: int) -> bytes:
        """Return a node of the tree (``merkle.Nodes``)."""
        with translating(self._path):
            row = self._connection.execute(
                "SELECT hash FROM node WHERE level = ? AND number = ?", (level, index)
            ).fetchone()
        if row is None or len(row[0]) != _HASH_BYTES:
            raise StoreCorruptError(f"{self._path}: node {index} at level {level} is missing")
        return bytes(row[0])

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the first *old* leaves are a beginning of the first *new* ones."""
        return tuple(merkle.consistency_proof(self, old, new))

    @contextmanager
    def _as_stored(self, what: str) -> Generator[None]:
        """Say of *what* the database holds, and what cannot be, that it was changed: no ledger is at fault."""
        try:
            yield
        except errors.LedgerError as error:
            raise StoreCorruptError(
                f"{self._path}: {what} was changed from outside: {error}",
                hint="put the newest copy back, and go through it: pfgov root check",
            ) from error

    def leaves(self, *, within: int) -> Generator[Leaf]:
        """Give the first *within* leaves in order, with all that is kept of them.

        Raises:
            LedgerError: what is kept of one cannot be read.
            StoreCorruptError: one is kept under another name than its own.
        """
        with translating(self._path):
            rows = self._connection.execute(
                "SELECT seq, origin, note, logs, proof FROM leaf WHERE seq < ? ORDER BY seq",
                (within,),
            )
            for seq, origin, signed, logs, proof in rows:
                if read_stated(signed).origin != origin:  # by another name it would not be found
                    raise StoreCorruptError(f"{self._path}: leaf {seq} is not about {origin[:64]}")
                vkeys = tuple(note.parse_vkey(line) for line in logs.splitlines())
                hashes = tuple(proof[at : at + 32] for at in range(0, len(proof), 32))
                yield Leaf(seq, Offer(signed, hashes, vkeys))

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def require(folder: Path) -> None:
    """Refuse a folder without a root.

    Raises:
        NotFoundError: ``root.missing``.
    """
    if not (folder / VKEY).exists():
        raise NotFoundError(
            f"there is no root in {folder}",
            code="root.missing",
            hint="make one: pfgov root init --origin NAME --folder DIR",
        )


def read_published(folder: Path) -> bytes:
    """Return the checkpoint that was published last; RootLostError if there is none that can be read."""
    path = folder / PUBLISHED
    with file_errors(path):
        try:
            raw = read_regular(path, note.NOTE_BYTES_MAX)
        except FileNotFoundError:
            raise RootLostError(
                f"{path} is missing, which says what was published last",
                code="root.published_missing",
                hint="put it back; if nothing newer was ever given away than the database has, write it anew: "
                f"pfgov root show --stored --folder {folder} > {path}",
            ) from None
    try:
        read_stated(raw)
    except errors.LedgerError as error:
        raise lost_root(folder, f"{path} is no checkpoint: {error}") from None
    return raw


def stored(folder: Path) -> bytes:
    """Return the newest checkpoint in the root's database, whether it was published or not; errors as of a reader."""
    require(folder)
    connection = _reading(folder)
    try:
        with translating(folder / DATABASE):
            row = connection.execute("SELECT note FROM head").fetchone()
    finally:
        connection.close()
    if row is None:
        raise StoreCorruptError(f"{folder / DATABASE} holds no head")
    return bytes(row[0])


def _reading(folder: Path) -> sqlite3.Connection:
    path = folder / DATABASE
    connection = open_reader(path)
    try:
        is_made = has_tables(connection, path)
    except BaseException:
        connection.close()
        raise
    if not is_made:
        connection.close()
        raise lost_root(folder, "its database is empty")
    return connection


def has_tables(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the database has its tables; StoreCorruptError if it has anything else."""
    with translating(path):
        odd = oddities(connection, _MADE)
    if odd:
        raise StoreCorruptError(
            f"{path} was changed from outside: {', '.join(odd)[:200]}",
            hint="put the newest copy back, and go through it: pfgov root check",
        )
    return odd is not None


def lost_root(folder: Path, why: str) -> RootLostError:
    """Return the error of a root that lacks what was published, with what is to be done."""
    return RootLostError(
        f"the root in {folder} cannot go on: {why}",
        hint="put the newest copy back; if there is none, begin another root under another name (pfgov root init) and "
        "tell its witnesses: two histories under one name are what a root exists to exclude",
    )


def read_stated(raw: bytes) -> Checkpoint:
    """Return what a signed checkpoint says, whoever signed it."""
    return checkpoint.parse_text(note.split(raw)[0])
