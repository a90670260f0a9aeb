"""One look at somebody's ledger: what is new is read once and checked, and what does not fit is an alarm.

The server is asked for its newest checkpoint and for the tiles of the entries after those that are known.  A
checkpoint that does not extend the remembered one, an entry that does not follow or that no announced key signed, a map
of subjects that is not that of the entries, a policy document that is not the one whose digest is on record: each is
an alarm with the code that an offline verifier gives, and what the log's key signed is kept as evidence.  A server that
does not answer is no alarm; that nothing could be said is said, too.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

from pfgov.app.evidence import Evidence
from pfgov.app.monitor.fetching import Fetch
from pfgov.errors import PfgovError, file_errors
from pfgov.limits import REQUEST_BYTES_MAX
from pfgov_ledger import checkpoint, entry, errors, keys, merkle, note, remember, tiles
from pfgov_ledger.checkpoint import Checkpoint, Opened
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.following import Follower
from pfgov_ledger.tiles import Tile, TileTree

Progress = Callable[[int, int], None]
"""Called with (entries read, entries in all)."""

STATE: Final = "followed.db"
NOTE: Final = "checkpoint.note"

POLICIES_PER_LOOK_MAX: Final = 256
"""Policy documents that one look compares with their digests; the next look goes on."""

NEWS_MAX: Final = 100
"""Changes of keys and policies that one look lists; it says how many there were."""

POLICY_BYTES_MAX: Final = 4 * REQUEST_BYTES_MAX
ANCHOR_BYTES_MAX: Final = 65_536

_NEWS: Final = frozenset(
    {"key_rotated", "key_revoked", "policy_activated", "policy_refused", "engine_upgraded"}
)

Status = Literal["ok", "alarm", "unknown"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """What does not fit: the code, the position, one sentence, what was expected and found, and the kept evidence."""

    code: str
    position: int | None
    says: str
    expected: str | None = None
    found: str | None = None
    evidence: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "code": self.code,
            "position": self.position,
            "says": self.says,
            "expected": self.expected,
            "found": self.found,
            "evidence": self.evidence,
        }


@dataclass(slots=True)
class Look:
    """What one look came to.

    Attributes:
        before: Entries that were known.
        size: Entries that are known now; as many as before, unless all of it fits.
        stated: Entries that the server says there are; None if it was not understood.
        news: Positions and types of changes of keys and policies, at most :data:`NEWS_MAX`; ``changes`` counts all.
        alarms: What does not fit.
        why: Why nothing could be said, if that is so.
    """

    origin: str
    before: int
    size: int
    root: str = ""
    stated: int | None = None
    changes: int = 0
    news: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    alarms: list[Alarm] = field(default_factory=list[Alarm])
    why: str | None = None

    @property
    def status(self) -> Status:
        """All of it fits, something does not, or nothing could be said."""
        if self.alarms:
            return "alarm"
        return "ok" if self.why is None else "unknown"

    @property
    def exit_status(self) -> int:
        """0, 1 and 4 for these."""
        return {"ok": 0, "alarm": 1, "unknown": 4}[self.status]

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "status": self.status,
            "origin": self.origin,
            "size": self.size,
            "root": self.root,
            "before": self.before,
            "stated": self.stated,
            "changes": self.changes,
            "news": [{"position": at, "type": kind} for at, kind in self.news],
            "alarms": [one.to_json() for one in self.alarms],
            "why": self.why,
        }


class Monitor:
    """What watches one ledger, with its memory in *folder*.  Close it; or use it as a context manager."""

    def __init__(self, folder: Path, anchor: keys.Anchor, fetch: Fetch) -> None:
        """Take up what was remembered.

        Raises:
            LedgerError: ``ledger.following_file``, it is not this ledger's, or another monitor has it;
                ``ledger.remember_file``, its note is none.
            StoreUnavailableError: the folder cannot be made.
        """
        with file_errors(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._anchor, self._fetch = folder, anchor, fetch
        self._follower = Follower(folder / STATE, anchor)
        self._evidence = Evidence(folder)
        try:
            self._noted = self._read_note()
        except BaseException:
            self._follower.close()
            raise

    def _read_note(self) -> Checkpoint | None:
        """Return the checkpoint in the note where the rest of the memory is gone: it still says what was seen."""
        if self._follower.remembered is not None:
            return None
        path = self._folder / NOTE
        known = remember.load(path)
        if known is not None and known.origin != self._follower.origin:
            raise errors.RememberError(f"{path} is of another log: {known.origin}")
        return known

    @property
    def size(self) -> int:
        """Entries that are known."""
        return self._follower.size

    def look(self, progress: Progress | None = None) -> Look:
        """Look once, and remember what fits.

        Raises:
            LedgerError: ``ledger.following_file``, nothing can be remembered.
        """
        follower = self._follower
        look = Look(follower.origin, follower.size, follower.size)
        raw = b""
        try:
            raw = self._have(tiles.CHECKPOINT, note.NOTE_BYTES_MAX)
            self._follow(look, raw, progress)
            self._compare_policies(look)
            self._compare_anchor(look)
        except PfgovError as error:
            look.why = error.message
            follower.forget()
        except errors.UsageError:
            raise
        except LedgerError as error:
            follower.forget()
            found = self._diagnose(error, raw)
            look.alarms.append(self._alarm(found, raw))
        look.size, look.root = follower.size, follower.root.hex()
        return look

    # --- the log ---------------------------------------------------------------------------

    def _have(self, path: str, most: int) -> bytes:
        found = self._fetch(f"tiles/{path}", most)
        if found is None:
            raise _MissingError(f"the server does not have tiles/{path}")
        return found

    def _follow(self, look: Look, raw: bytes, progress: Progress | None) -> None:
        """Take what is new, up to the checkpoint *raw*, and remember that."""
        follower, known = self._follower, self._follower.remembered
        stated = checkpoint.parse_text(note.split(raw)[0])
        look.stated = stated.size
        if stated.origin != follower.origin:
            raise errors.OriginMismatchError(
                position=stated.size, expected=follower.origin, found=stated.origin
            )
        if known is None and self._noted is not None and stated.size < self._noted.size:
            raise errors.RollbackError(
                position=stated.size,
                expected=f"at least {self._noted.size}",
                found=str(stated.size),
            )
        if known is not None and stated.size <= known.size:
            checkpoint.open_checkpoint(raw, follower.log_keys())
            merkle.check_consistency(known.size, stated.size, known.root, stated.root, ())
        else:
            with suppress(errors.CheckpointUnsignedError):  # by a key that the new entries announce
                checkpoint.open_checkpoint(raw, follower.log_keys())
            self._read(look, stated, progress)
        opened = follower.open(raw)
        self._keep(opened)

    def _read(self, look: Look, stated: Checkpoint, progress: Progress | None) -> None:
        """Take the entries that are not known yet, a bundle at a time."""
        follower = self._follower
        while follower.size < stated.size:
            at = follower.size
            index, skipped = divmod(at, tiles.WIDTH)
            width = min(tiles.WIDTH, stated.size - index * tiles.WIDTH)
            bundle = Tile(None, index, width)
            raws = tiles.read_bundle(*self._bundle(bundle, 2 + entry.ENTRY_BYTES_MAX))
            signed = tiles.read_signatures(
                *self._bundle(Tile(None, index, width, is_signatures=True), tiles.SIGNATURE_BYTES)
            )
            for raw, signature in list(zip(raws, signed, strict=False))[skipped:width]:
                of = follower.take(raw, signature)
                self._compare_noted()
                if of.type in _NEWS:
                    look.changes += 1
                    if len(look.news) < NEWS_MAX:
                        look.news.append((of.seq, of.type))
            if follower.size == at:
                raise errors.SequenceError(position=at, expected=str(at), found="nothing")
            if progress is not None:
                progress(follower.size, stated.size)

    def _compare_noted(self) -> None:
        """Hold the tree to the note where that was left of a memory that is gone."""
        noted, follower = self._noted, self._follower
        if noted is None or follower.size != noted.size or follower.root == noted.root:
            return
        raise errors.ConsistencyError(
            "the log has another history than the one in the note that was kept",
            position=noted.size,
            expected=noted.root.hex(),
            found=follower.root.hex(),
        )

    def _bundle(self, tile: Tile, each: int) -> tuple[bytes, int]:
        """Return the bytes of a bundle and how many it holds: a host of files drops partial ones that became whole."""
        found = self._fetch(f"tiles/{tile.path}", each * tile.width)
        if found is not None or tile.width == tiles.WIDTH:
            return found if found is not None else self._have(tile.path, 0), tile.width
        whole = Tile(None, tile.index, is_signatures=tile.is_signatures)
        return self._have(whole.path, each * tiles.WIDTH), tiles.WIDTH

    def _keep(self, opened: Opened) -> None:
        self._follower.keep(opened)
        remember.store(self._folder / NOTE, opened.raw)

    # --- beside the log --------------------------------------------------------------------

    def _compare_policies(self, look: Look) -> None:
        """Hold the documents of policy sets against the digests on record; what fits is not asked for again."""
        for policy in self._follower.unseen_policies(POLICIES_PER_LOOK_MAX):
            document = self._fetch(
                f"api/policies/document?digest={policy.digest}", POLICY_BYTES_MAX
            )
            found = None if document is None else hashlib.sha256(document).hexdigest()
            if found == policy.digest:
                self._follower.see_policy(policy.digest)
                continue
            error: LedgerError = errors.PolicyMissingError(
                position=policy.seq, expected=policy.digest, found="nothing"
            )
            if found is not None:
                error = errors.PolicyBytesError(
                    position=policy.seq, expected=policy.digest, found=found
                )
            look.alarms.append(self._alarm(error, document or b""))

    def _compare_anchor(self, look: Look) -> None:
        """Hold what the server tells others to pin against what the log says of its keys."""
        raw = self._fetch("api/ledger/key", ANCHOR_BYTES_MAX)
        if raw is None:
            return  # a host of files has none
        try:
            anchor = keys.parse_anchor(raw.decode("utf-8", "replace"))
            pinned = self._anchor.genesis_leaf
            if pinned is not None and anchor.genesis_leaf != pinned:
                raise errors.GenesisError(
                    "the server gives others another genesis to pin",
                    position=0,
                    expected=pinned.hex(),
                    found=str(anchor.genesis_leaf and anchor.genesis_leaf.hex()),
                )
            if not self._follower.knows(anchor.log_vkey.public):
                raise errors.KeyUnknownError(
                    "the server gives others a key to pin that the log never announced",
                    position=self._follower.size,
                    found=str(anchor.log_vkey),
                )
        except LedgerError as error:
            look.alarms.append(self._alarm(error, raw))

    # --- alarms ----------------------------------------------------------------------------

    def _diagnose(self, error: LedgerError, raw: bytes) -> LedgerError:
        """Return what lies behind *error*: another history than the remembered one, if the server's tree shows that.

        A fork is met as an entry that does not follow, or as a root that does not come out.
        """
        known = self._follower.remembered
        if known is None or not isinstance(error, errors.ChainError | errors.RootMismatchError):
            return error
        with suppress(PfgovError, errors.MalformedError, errors.UsageError, tiles.TileError):
            stated = checkpoint.parse_text(note.split(raw)[0])
            if stated.size > known.size:
                tree = TileTree(
                    lambda path: self._have(path, tiles.WIDTH * merkle.HASH_BYTES), stated.size
                )
                proof = merkle.consistency_proof(tree, known.size, stated.size)
                try:
                    merkle.check_consistency(
                        known.size, stated.size, known.root, stated.root, proof
                    )
                except errors.ConsistencyError as fork:
                    return fork
        return error

    def _alarm(self, error: LedgerError, raw: bytes) -> Alarm:
        says = Exception.__str__(error)
        return Alarm(
            error.code, error.position, says, error.expected, error.found, self._keep_evidence(raw)
        )

    def _keep_evidence(self, raw: bytes) -> str | None:
        """Keep what the server said; return the file's name."""
        if not raw:
            return None
        try:
            stated = checkpoint.open_checkpoint(raw, self._follower.log_keys()).checkpoint
        except LedgerError:
            return self._evidence.keep_unsigned(raw)
        text, known = note.split(raw)[0], self._follower.remembered or self._noted
        if known is not None and known.size == stated.size and known.root != stated.root:
            return self._evidence.keep_proof(text, raw)
        return self._evidence.keep_signed(text, raw)

    def close(self) -> None:
        """Give the folder back."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _MissingError(PfgovError):
    """The server has no tile that its own checkpoint says there is."""

    code = "monitor.missing"
    exit_status = 4
