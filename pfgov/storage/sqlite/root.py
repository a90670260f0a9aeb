"""A root over many ledgers, kept in a folder: every checkpoint that was added, the tree over them, what was published.

Leaves, tree and the signed checkpoint over them are one transaction; then the checkpoint is *published*: the file
``root.note`` is replaced, durably, before anybody is told.  So a crash leaves what is stored at most ahead of what is
published, with the same beginning, and the next step publishes it.  What is stored behind it, or beside it, is a backup
that was put back: nothing is signed then.  One process writes; readers see what is published and no more.  When a
checkpoint may be added is :func:`pfgov_ledger.via.follow`'s business; where ledgers are is not known here.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pfgov.errors import (
    NotFoundError,
    StoreCorruptError,
    StoreError,
    StoreLockedError,
    file_errors,
)
from pfgov.files import read_regular, replace_public
from pfgov.storage.port import Probe, untouched
from pfgov.storage.sqlite.connections import open_reader, open_writer
from pfgov.storage.sqlite.errors import translating
from pfgov_ledger import checkpoint, errors, keys, merkle, note, via
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.note import Vkey

DATABASE: Final = "root.db"
PUBLISHED: Final = "root.note"
LOCK: Final = "root.lock"
VKEY: Final = "root.vkey"
"""The root's verifier key; written last of all when a root is made, so that it says that one was."""

OFFERS_MAX: Final = 1_000
"""Checkpoints that one commit adds; more are added in several."""

_TABLES: Final = (
    "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), frontier BLOB NOT NULL, note BLOB NOT NULL) STRICT",
    """CREATE TABLE leaf (
        seq INTEGER PRIMARY KEY, origin TEXT NOT NULL, note BLOB NOT NULL, logs TEXT NOT NULL, proof BLOB NOT NULL
    ) STRICT""",
    "CREATE INDEX leaf_of ON leaf (origin, seq)",
    """CREATE TABLE node (
        level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)
    ) STRICT, WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A ledger's signed checkpoint, the proof that it extends what the root has, and the keys that may sign for it."""

    signed: bytes
    proof: tuple[bytes, ...]
    logs: tuple[Vkey, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An offer that was not added, and why."""

    offer: Offer
    error: errors.LedgerError


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
            PfgovError: ``store.*``, it cannot be read.
        """
        require(folder)
        self._take_up(folder, open_reader(folder / DATABASE))

    def _take_up(self, folder: Path, connection: sqlite3.Connection) -> None:
        self._folder = folder
        self._path = folder / DATABASE
        self._connection = connection

    def head(self) -> Head:
        """Return the checkpoint that was published last.

        Raises:
            RootLostError: there is none that can be read.
        """
        raw = _published(self._folder)
        return Head(_stated(raw).size, raw)

    def last(self, origin: str, *, within: int) -> Added | None:
        """Return the newest checkpoint of *origin* among the first *within* leaves; None if there is none."""
        with translating(self._path):
            row = self._connection.execute(
                "SELECT seq, note FROM leaf WHERE origin = ? AND seq < ? ORDER BY seq DESC LIMIT 1",
                (origin, within),
            ).fetchone()
        return None if row is None else Added(row[0], _stated(row[1]), row[1])

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
        if row is None:
            raise StoreCorruptError(f"{self._path}: node {index} at level {level} is missing")
        return bytes(row[0])

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the first *old* leaves are a beginning of the first *new* ones."""
        return tuple(merkle.consistency_proof(self, old, new))

    def leaves(self, *, within: int) -> Generator[Leaf]:
        """Give the first *within* leaves in order, with all that is kept of them.

        Raises:
            LedgerError: what is kept of one cannot be read.
        """
        with translating(self._path):
            rows = self._connection.execute(
                "SELECT seq, note, logs, proof FROM leaf WHERE seq < ? ORDER BY seq", (within,)
            )
            for seq, signed, logs, proof in rows:
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


class RootWriter(RootReader):
    """A root that is written.  Thread-safe for adding; one process at a time."""

    def __init__(
        self, folder: Path, signer: keys.Signer, *, is_new: bool = False, step: Probe = untouched
    ) -> None:
        """Take the folder, and publish what a crash left unpublished.

        Args:
            folder: Where the root is kept.
            signer: Its key.
            is_new: Whether to make what is not there: it is being made, and nobody was given anything yet.
            step: Called before and after ``commit`` and ``publish``.

        Raises:
            NotFoundError: ``root.missing``, there is none.
            StoreLockedError: another process writes it.
            RootLostError: ``root.lost``, ``root.published_missing``: nothing may be signed.
            PfgovError: ``store.*``, it cannot be read or written.
        """
        if not is_new:
            require(folder)
        self._signer = signer
        self._step = step
        self._is_new = is_new
        self._one = threading.Lock()
        self._lock = _taken(folder / LOCK)
        try:
            self._take_up(folder, open_writer(folder / DATABASE, must_exist=False))
            try:
                self._begin()
                self._settle()
            except BaseException:
                self._connection.close()
                raise
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def origin(self) -> str:
        """The root's name."""
        return self._signer.name

    def known(self, origin: str) -> Checkpoint | None:
        """Return what was added last of *origin*."""
        with self._one:
            found = self.last(origin, within=merkle.SIZE_MAX)
        return None if found is None else found.stated

    def add(self, offers: Sequence[Offer]) -> list[Refusal]:
        """Add what follows, under one new checkpoint that is published before this returns; return what does not.

        An offer that is known already is neither added nor refused.

        Raises:
            PfgovError: ``store.*``, ``root.*``: nothing was added, or it is not known; the next call finds out.
        """
        refused: list[Refusal] = []
        with self._one:
            self._settle()
            for start in range(0, len(offers), OFFERS_MAX):
                signed = self._commit(offers[start : start + OFFERS_MAX], refused)
                if signed is not None:
                    self._publish(signed)
        return refused

    # --- one commit ------------------------------------------------------------------------

    def _commit(self, offers: Iterable[Offer], refused: list[Refusal]) -> bytes | None:
        """Store what follows and the checkpoint over it; return that, or None where nothing was new."""
        with self._transaction():
            frontier = self._frontier()
            before = frontier.size
            for offer in offers:
                try:
                    self._take(offer, frontier)
                except errors.LedgerError as error:
                    refused.append(Refusal(offer, error))
            if frontier.size == before:
                return None
            signed = self._sign(frontier)
            self._connection.execute(
                "UPDATE head SET frontier = ?, note = ?", (frontier.to_bytes(), signed)
            )
        return signed

    def _take(self, offer: Offer, frontier: merkle.Frontier) -> None:
        """Add *offer* if it follows and is new.

        Raises:
            LedgerError: it does not follow.
        """
        origin = _stated(offer.signed).origin
        if origin == self.origin:
            raise errors.ViaOriginError("a root does not add itself", found=origin)
        before = self.last(origin, within=merkle.SIZE_MAX)
        known = None if before is None else before.stated
        new = via.follow(offer.signed, offer.proof, offer.logs, known)
        if new.size == (0 if known is None else known.size):
            return
        row = (
            frontier.size,
            origin,
            _signed_by(offer.signed, offer.logs),
            "\n".join(map(str, offer.logs)),
            b"".join(offer.proof),
        )
        self._connection.execute("INSERT INTO leaf VALUES (?, ?, ?, ?, ?)", row)
        self._grow(frontier.size, via.leaf(new))
        frontier.add(via.leaf(new))

    def _grow(self, index: int, digest: bytes) -> None:
        """Store every subtree that the leaf *index* completes."""
        level = 0
        while True:
            self._connection.execute("INSERT INTO node VALUES (?, ?, ?)", (level, index, digest))
            if not index & 1:
                return
            digest = merkle.node_hash(self.node(level, index - 1), digest)
            level, index = level + 1, index >> 1

    def _sign(self, frontier: merkle.Frontier) -> bytes:
        stated = Checkpoint(self.origin, frontier.size, frontier.root())
        return checkpoint.sign(stated, self._signer)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with translating(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._step("commit", "before")
                self._connection.execute("COMMIT")
                self._step("commit", "after")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    # --- what is stored, and what is published ---------------------------------------------

    def _begin(self) -> None:
        """Make the tables, and the checkpoint over nothing, in a folder that has neither."""
        with translating(self._path):
            made = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if made:
            return
        if not self._is_new or (self._folder / PUBLISHED).exists():
            raise _lost(self._folder, "its database is empty")
        with self._transaction():
            for statement in _TABLES:
                self._connection.execute(statement)
            empty = merkle.Frontier()
            self._connection.execute(
                "INSERT INTO head VALUES (1, ?, ?)", (empty.to_bytes(), self._sign(empty))
            )

    def _frontier(self) -> merkle.Frontier:
        return merkle.Frontier.from_bytes(self._row()[0])

    def _row(self) -> tuple[bytes, bytes]:
        with translating(self._path):
            row = self._connection.execute("SELECT frontier, note FROM head").fetchone()
        if row is None:
            raise StoreCorruptError(f"{self._path} holds no head")
        return bytes(row[0]), bytes(row[1])

    def _settle(self) -> None:
        """Hold what is stored against what was published; publish what a crash left unpublished.

        Raises:
            RootLostError: what was published is not stored.
        """
        frontier, signed = self._frontier(), self._row()[1]
        stored = self._opened(signed)
        if (stored.size, stored.root) != (frontier.size, frontier.root()):
            raise StoreCorruptError(f"{self._path}: the tree is not the one that was signed")
        if self._is_new and stored.size == 0 and not (self._folder / PUBLISHED).exists():
            self._publish(signed)
        published = self._opened(_published(self._folder))
        if published.size > stored.size:
            why = f"{published.size} checkpoints were published, and it has {stored.size}"
            raise _lost(self._folder, why)
        if merkle.root(self, published.size) != published.root:
            raise _lost(
                self._folder, f"its first {published.size} leaves are others than published"
            )
        if stored.size > published.size:
            self._publish(signed)

    def _opened(self, raw: bytes) -> Checkpoint:
        try:
            return checkpoint.open_checkpoint(raw, [keys.vkey_of(self._signer)]).checkpoint
        except errors.LedgerError as error:
            raise _lost(
                self._folder, f"a checkpoint in it is not signed by its key: {error}"
            ) from None

    def _publish(self, signed: bytes) -> None:
        path = self._folder / PUBLISHED
        self._step("publish", "before")
        with file_errors(path):
            replace_public(path, signed, durably=True)
        self._step("publish", "after")

    def close(self) -> None:
        """Close it, and give the folder back."""
        super().close()
        os.close(self._lock)


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


def _published(folder: Path) -> bytes:
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
        _stated(raw)
    except errors.LedgerError as error:
        raise _lost(folder, f"{path} is no checkpoint: {error}") from None
    return raw


def stored(folder: Path) -> bytes:
    """Return the newest checkpoint in the root's database, whether it was published or not; errors as of a reader."""
    require(folder)
    connection = open_reader(folder / DATABASE)
    try:
        with translating(folder / DATABASE):
            row = connection.execute("SELECT note FROM head").fetchone()
    finally:
        connection.close()
    if row is None:
        raise StoreCorruptError(f"{folder / DATABASE} holds no head")
    return bytes(row[0])


def _lost(folder: Path, why: str) -> RootLostError:
    return RootLostError(
        f"the root in {folder} cannot go on: {why}",
        hint="put the newest copy back; if there is none, begin another root under another name (pfgov root init) and "
        "tell its witnesses: two histories under one name are what a root exists to exclude",
    )


def _stated(raw: bytes) -> Checkpoint:
    return checkpoint.parse_text(note.split(raw)[0])


def _signed_by(raw: bytes, logs: Iterable[Vkey]) -> bytes:
    """The note with the signatures of *logs* alone: what others wrote below it is not carried further."""
    text, lines = note.split(raw)
    known = {(one.name, one.id) for one in logs}
    kept = [
        note.signature_line(name, identity, signature)
        for name, identity, signature in lines
        if (name, identity) in known
    ]
    return text + b"\n" + "".join(kept).encode()


def _taken(path: Path) -> int:
    with file_errors(path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreLockedError(f"another process keeps the root in {path.parent}") from None
    return lock
