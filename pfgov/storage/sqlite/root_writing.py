"""Adding checkpoints to a root: one commit and its publication, and what a crash or an old copy leaves to be done.

The protocol is told in :mod:`pfgov.storage.sqlite.root`.  One process writes at a time.  When a checkpoint may be added
is :func:`pfgov_ledger.via.follow`'s business; where ledgers are is not known here.
"""

import fcntl
import os
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pfgov.errors import StoreCorruptError, StoreLockedError, file_errors
from pfgov.files import replace_public
from pfgov.storage.port import Probe, untouched
from pfgov.storage.sqlite.connections import open_writer
from pfgov.storage.sqlite.errors import translating
from pfgov.storage.sqlite.root import (
    DATABASE,
    PUBLISHED,
    TABLES,
    Offer,
    RootReader,
    has_tables,
    lost_root,
    read_published,
    read_stated,
    require,
)
from pfgov_ledger import checkpoint, errors, keys, merkle, note, via
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.note import Vkey

LOCK: Final = "root.lock"
OFFERS_MAX: Final = 1_000
"""Checkpoints that one commit adds; more are added in several."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An offer that was not added, and why."""

    offer: Offer
    error: errors.LedgerError


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
        origin = read_stated(offer.signed).origin
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
        if has_tables(self._connection, self._path):
            return
        if not self._is_new or (self._folder / PUBLISHED).exists():
            raise lost_root(self._folder, "its database is empty")
        with self._transaction():
            for statement in TABLES:
                self._connection.execute(statement)
            empty = merkle.Frontier()
            self._connection.execute(
                "INSERT INTO head VALUES (1, ?, ?)", (empty.to_bytes(), self._sign(empty))
            )

    def _frontier(self) -> merkle.Frontier:
        with self._as_stored("the tree"):
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
        published = self._opened(read_published(self._folder))
        if published.size > stored.size:
            why = f"{published.size} checkpoints were published, and it has {stored.size}"
            raise lost_root(self._folder, why)
        if merkle.root(self, published.size) != published.root:
            raise lost_root(
                self._folder, f"its first {published.size} leaves are others than published"
            )
        if stored.size > published.size:
            self._publish(signed)

    def _opened(self, raw: bytes) -> Checkpoint:
        try:
            return checkpoint.open_checkpoint(raw, [keys.vkey_of(self._signer)]).checkpoint
        except errors.LedgerError as error:
            raise lost_root(
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
