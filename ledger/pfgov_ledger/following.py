"""Following a log as it grows: each entry once, against everything before it, and what is kept between two looks.

A look takes the entries after those that were followed, one by one, and ends with the signed checkpoint over all of
them.  Only then is anything kept; a look that found something wrong leaves no trace.  What is kept is a file: the
checkpoint, the edge of the tree, the last entry, the history of the keys, and a row for each subject, so that a map
that the log commits to can be computed.  Where entries come from is not known here.
"""

import json
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from pfgov_ledger import (
    canonical,
    checkpoint,
    custody,
    dsse,
    ed25519,
    entry,
    errors,
    keys,
    merkle,
    note,
)
from pfgov_ledger.chain import Chain
from pfgov_ledger.checkpoint import Opened, Remembered
from pfgov_ledger.entry import Entry
from pfgov_ledger.export_format import Header
from pfgov_ledger.keys import Anchor
from pfgov_ledger.lifecycle import KeyRing
from pfgov_ledger.note import Vkey
from pfgov_ledger.subjects import IN_MEMORY_MAX, Row, SubjectTable

_APPLICATION: Final = 0x7066676D
"""``pfgm``: what an SQLite file says that it is for."""
_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE place (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE key_entry (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL);
CREATE TABLE subject (name TEXT PRIMARY KEY, next_seq INTEGER NOT NULL, leaf BLOB NOT NULL, custody TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE policy (digest TEXT PRIMARY KEY, seq INTEGER NOT NULL, is_seen INTEGER NOT NULL) WITHOUT ROWID;
"""


class FollowingFileError(errors.UsageError, code="ledger.following_file"):
    """What was kept of a log that is followed is another log's, was changed, or is in use."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy set that the log made binding at *seq*: the SHA-256 of its document, in hex."""

    digest: str
    seq: int


class Follower:
    """A log as far as it was followed, in a file.  Close it, or use it as a context manager; one process at a time.

    Attributes:
        remembered: The checkpoint that the last good look ended with; None before the first.
    """

    def __init__(
        self, path: Path, anchor: Anchor, *, subjects_in_memory: int = IN_MEMORY_MAX
    ) -> None:
        """Take up what was kept in the file *path*, which may be missing.

        Raises:
            FollowingFileError: It is not what was kept of this log, or another process has it.
        """
        self._anchor = anchor
        self._subjects_in_memory = subjects_in_memory
        self._path = path
        self._file = _open(path)
        self._table = SubjectTable(subjects_in_memory)
        self.remembered: Remembered | None = None
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    # --- where it stands -------------------------------------------------------------------

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._anchor.log_vkey.name

    @property
    def size(self) -> int:
        """Entries taken, kept or not."""
        return self._frontier.size

    @property
    def root(self) -> bytes:
        """The root over them."""
        return self._frontier.root()

    def log_keys(self) -> list[Vkey]:
        """The keys by which the log ever signed, as far as the entries taken say.

        The pinned one alone before the first entry, and where the anchor does not fix genesis, which names the keys
        that a rotation needs.
        """
        ever = self._ring.ever("log") if self._anchor.genesis_leaf is not None else []
        return [note.vkey(self.origin, key) for key in ever] or [self._anchor.log_vkey]

    def knows(self, public: bytes) -> bool:
        """Whether the log ever announced *public* as a log key."""
        return public in self._ring.ever("log")

    # --- following -------------------------------------------------------------------------

    def take(self, raw: bytes, signature: bytes) -> Entry:
        """Check the next entry against everything before it; return it.

        After an error nothing can be taken any more: :meth:`forget`.

        Raises:
            LedgerError: It does not follow, is not signed by a key that may, or says what is not so.
        """
        try:
            of = entry.parse(raw)
        except errors.LedgerError as error:
            raise error.at(self.size) from None
        row = self._chain.admit(of, is_body_checked=False)
        if of.seq == 0:
            self._open_ring(of)
        public = self._ring.issuer_of(of)
        try:
            ed25519.check(public, dsse.entry_pae(raw), signature)
        except errors.LedgerError as error:
            raise error.at(of.seq) from None
        self._frontier.add(of.leaf)
        if of.type == "index_committed":
            self._check_index(of)
        self._ring.apply(of)
        row.state = custody.judge(row.state, of, self._member)
        self._table.put(of.subject, row)
        self._note(of, row)
        return of

    def open(self, raw: bytes) -> Opened:
        """Return the checkpoint *raw*, if a key signed it that the log had announced by the entries taken.

        Raises:
            LedgerError: None did, only one whose time is over did, or one signed under the log's name that nobody
                announced.
        """
        opened = checkpoint.open_checkpoint(raw, self.log_keys())
        if self.size:
            if not self.knows(self._anchor.log_vkey.public):
                raise errors.KeyUnknownError(
                    "the log never announced the key that is pinned",
                    position=opened.checkpoint.size,
                    found=keys.key_id(self._anchor.log_vkey.public),
                )
            active = self._ring.active("log")
            if not any(key.public in active for key in opened.log_keys):
                self._ring.check_log(opened.log_keys[0].public, opened.checkpoint.size)
        if self.origin in opened.unknown:
            raise errors.KeyUnknownError(
                "a key that the log never announced signed under its name",
                position=opened.checkpoint.size,
                found=self.origin,
            )
        return opened

    def keep(self, opened: Opened) -> None:
        """End a look: remember the checkpoint over exactly the entries taken.

        Raises:
            RootMismatchError: Its root is another one.
            FollowingFileError: It cannot be written.
        """
        stated = opened.checkpoint
        if (stated.size, stated.root) != (self.size, self.root):
            raise errors.RootMismatchError(
                position=stated.size, expected=stated.root.hex(), found=self.root.hex()
            )
        last = self._chain.last
        place = {
            "note": opened.raw,
            "frontier": self._frontier.to_bytes(),
            "last": b"" if last is None else last.raw,
        }
        with _file_errors(self._path):
            self._begin()
            self._file.executemany("INSERT OR REPLACE INTO place VALUES (?, ?)", place.items())
            self._file.execute("COMMIT")
        self.remembered = _remembered(opened.raw)

    def forget(self) -> None:
        """Go back to the end of the last good look.

        Raises:
            FollowingFileError: As when it was opened.
        """
        with _file_errors(self._path):
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
        self._load()

    def unseen_policies(self, limit: int) -> list[Policy]:
        """The policy sets that became binding and whose documents nobody has compared yet, the oldest first."""
        with _file_errors(self._path):
            rows = self._file.execute(
                "SELECT digest, seq FROM policy WHERE NOT is_seen ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
        return [Policy(digest, seq) for digest, seq in rows]

    def see_policy(self, digest: str) -> None:
        """The document of *digest* is what the log says; kept at once."""
        with _file_errors(self._path):
            self._file.execute("UPDATE policy SET is_seen = 1 WHERE digest = ?", (digest,))

    def close(self) -> None:
        """Give the file back."""
        self._table.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- one entry -------------------------------------------------------------------------

    def _open_ring(self, genesis: Entry) -> None:
        pinned = self._anchor.genesis_leaf
        if genesis.log != self.origin:
            raise errors.OriginMismatchError(position=0, expected=self.origin, found=genesis.log)
        if pinned is not None and pinned != genesis.leaf:
            raise errors.GenesisError(position=0, expected=pinned.hex(), found=genesis.leaf.hex())
        self._ring.open(genesis)

    def _check_index(self, of: Entry) -> None:
        claimed = [of.body.get(name) for name in ("size", "subjects", "root")]
        found = [of.seq, self._table.count, self._table.root().hex()]
        if canonical.encode(claimed) != canonical.encode(found):
            raise errors.IndexMismatchError(
                position=of.seq, expected=str(found), found=str(claimed)[:200]
            )

    def _member(self, member_id: str) -> custody.Member | None:
        row = self._table.get(f"member/{member_id}")
        return row.state if row is not None and isinstance(row.state, custody.Member) else None

    def _note(self, of: Entry, row: Row) -> None:
        """Write what the entry changes, to be kept with the checkpoint."""
        with _file_errors(self._path):
            self._begin()
            self._file.execute(
                "INSERT OR REPLACE INTO subject VALUES (?, ?, ?, ?)",
                (of.subject, row.next_seq, row.leaf, json.dumps(custody.pack(row.state))),
            )
            if of.seq == 0 or of.subject == "keys":
                self._file.execute("INSERT INTO key_entry VALUES (?, ?)", (of.seq, of.raw))
            digest = of.body.get("digest")
            if of.type == "policy_activated" and isinstance(digest, str):
                self._file.execute(
                    "INSERT OR IGNORE INTO policy VALUES (?, ?, 0)", (digest, of.seq)
                )

    def _begin(self) -> None:
        if not self._file.in_transaction:
            self._file.execute("BEGIN IMMEDIATE")

    # --- what was kept ---------------------------------------------------------------------

    def _load(self) -> None:
        self._table.close()
        self._table = SubjectTable(self._subjects_in_memory)
        self._ring = KeyRing()
        self._frontier = merkle.Frontier()
        self._chain = Chain(Header("full", self.origin, 0, 0, 0, None, ""), self._table)
        self.remembered = None
        try:
            with _file_errors(self._path):
                place = dict(self._file.execute("SELECT name, value FROM place").fetchall())
                if place:
                    self._restore(place)
        except FollowingFileError:
            raise
        except (errors.LedgerError, KeyError, ValueError, TypeError, RecursionError) as error:
            raise FollowingFileError(f"{self._path}: {error}") from None

    def _restore(self, place: dict[str, bytes]) -> None:
        for (raw,) in self._file.execute("SELECT raw FROM key_entry ORDER BY seq"):
            of = entry.parse(raw)
            if of.seq == 0:
                self._open_ring(of)
            self._ring.apply(of)
        if not self._ring.ever("log"):
            raise FollowingFileError(f"{self._path}: the history of the keys is not there")
        for name, next_seq, leaf, state in self._file.execute("SELECT * FROM subject"):
            if not _is_row(name, next_seq, leaf):
                raise FollowingFileError(f"{self._path}: {str(name)[:200]} is no subject")
            self._table.restore(name, Row(next_seq, leaf, custody.unpack(json.loads(state))))
        self._frontier = merkle.Frontier.from_bytes(place["frontier"])
        self._chain.resume(entry.parse(place["last"]))
        opened = checkpoint.open_checkpoint(place["note"], self.log_keys())
        stated = opened.checkpoint
        if (stated.size, stated.root) != (self.size, self.root):
            raise FollowingFileError(f"{self._path}: the checkpoint is over another tree")
        if self._chain.next_seq != self.size:
            raise FollowingFileError(f"{self._path}: the last entry is another one")
        self.remembered = _remembered(place["note"])


def _remembered(raw: bytes) -> Remembered:
    found = checkpoint.parse_text(note.split(raw)[0])
    return Remembered(found.origin, found.size, found.root, raw)


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, made if it is missing, for this process alone."""
    with _file_errors(path):
        _check_files(path)
        file = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            file.execute("PRAGMA locking_mode = EXCLUSIVE")
            file.execute("PRAGMA journal_mode = TRUNCATE")
            file.execute("PRAGMA synchronous = FULL")
            file.execute("BEGIN EXCLUSIVE")
            kind = file.execute("PRAGMA application_id").fetchone()[0]
            version = file.execute("PRAGMA user_version").fetchone()[0]
            is_new = (kind, file.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]) == (
                0,
                0,
            )
            if is_new:
                for statement in _TABLES.split(";\n"):
                    file.execute(statement)
                file.execute(f"PRAGMA application_id = {_APPLICATION}")
                file.execute(f"PRAGMA user_version = {_VERSION}")
            made = file.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
            file.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                file.close()
            raise
    # A view in the place of a table might have no end, and a trigger would run with every look.
    is_as_made = _words(str(sql) for (sql,) in made) == _words(_TABLES.split(";\n"))
    if not is_as_made or (not is_new and (kind, version) != (_APPLICATION, _VERSION)):
        file.close()
        raise FollowingFileError(f"{path} is no file of a log that is followed")
    return file


def _is_row(name: object, next_seq: object, leaf: object) -> bool:
    """Whether these are a subject's name, a position and a hash: the file's tables take anything."""
    return (
        isinstance(name, str)
        and isinstance(next_seq, int)
        and 0 <= next_seq <= canonical.INTEGER_MAX
        and isinstance(leaf, bytes)
        and len(leaf) == merkle.HASH_BYTES
    )


def _words(statements: Iterable[str]) -> list[str]:
    return sorted(found for one in statements if (found := " ".join(one.split())))


def _check_files(path: Path) -> None:
    """Refuse what would hold whoever opens it: SQLite opens a journal that it finds, and would wait for a pipe."""
    for beside in ("", "-wal", "-shm", "-journal"):
        found = path.with_name(path.name + beside)
        if found.exists() and not found.is_file():
            raise FollowingFileError(f"{found} is no regular file")


@contextmanager
def _file_errors(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise FollowingFileError(f"{path} is in use by another process") from None
        raise FollowingFileError(f"{path}: {error}") from None
    except sqlite3.Error as error:
        raise FollowingFileError(f"{path}: {error}") from None
