"""The committing side: chain, sign, write one transaction, move the head lock, and only then answer.

A key event takes effect after its own entry: the entry that follows it, in the same transaction or a later one, is
signed by the successor, which this side takes from where keys lie; no private key is ever handed to it.
A writer is opened from the store, which is the path that recovery takes too.  After the first error it is fenced: it
refuses every later batch, because a batch that was decided on top of a failed one must never be signed.  The caller
opens a new one.  Signatures of a failed commit do not leave this object.  It decides nothing and reads no policy.
"""

import zlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from typing import Final

from pfgov.core import events as e
from pfgov.engine.committing.batch import Batch, Committed
from pfgov.engine.keys.signing import KeySources, adopt, renew_anchor
from pfgov.engine.loading.erased import signed_erasures
from pfgov.engine.loading.intact import (
    Ends,
    check_entry,
    ends_of,
    leaf_of,
    map_of,
)
from pfgov.engine.loading.receipts import erasure_of
from pfgov.engine.loading.tree import TILE, TILE_LEVELS, StoredNodes, frontier_at, load_head
from pfgov.engine.loading.vouched import (
    KeyHistory,
    check_head,
    check_rows,
    ledger_rows,
    vkeys_of,
    vouched_issuers,
    vouched_keys,
)
from pfgov.errors import StoreCorruptError, StoreError, StoreUnavailableError
from pfgov.storage.port import EntryFilter, EntryRow, HeadLock, Probe, Published, Store, untouched
from pfgov_ledger import entry, merkle, note
from pfgov_ledger.appender import Appender, Head
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.keys import Signer
from pfgov_ledger.subject_map import SubjectMap

KEY_EVENTS: Final = frozenset({"key_rotated", "key_revoked"})

TERMS_AT_ONCE_MAX: Final = 1 << 32
"""Terms between two entries: one is taken at each opening, and this many take a century."""

ORPHAN_SECONDS: Final = 30.0
"""How long a writer waits for one that outlived its killed engine to finish its last batch and end."""


class Writer:
    """The one object that signs and writes.  Not thread-safe."""

    def __init__(
        self,
        store: Store,
        sources: KeySources,
        monotonic: Callable[[], int],
        *,
        must_exist: bool = True,
        sync_head: bool = False,
        probe: Probe | None = None,
    ) -> None:
        """Open the store, load the head, find the keys that are in force, and reconcile with the head lock.

        Keys are looked for once nobody else can commit: a writer that outlived its engine may just be recording that
        another key takes over.

        Raises:
            SigningKeyError: a signing key is missing, damaged, or readable by others.
            PfgovError: ``store.*``; a damaged ledger, one that was rolled back or forked, or an unusable file.
        """
        self._place = store
        self._sources = sources
        self._monotonic = monotonic
        self._fenced: BaseException | None = None
        self._has_lost_keys = False
        self._replaced: list[Signer] = []
        self._subjects: SubjectMap | None = None
        self._ends: Ends | None = None
        self._signed_by: dict[str, bytes] | None = None
        self._keys: KeyHistory | None = None
        self.new_term: int | None = None
        """The term of this writer, where there is no entry of it yet."""
        self._tiles: dict[int, list[bytes]] = {}
        self._last: dict[str, EntryRow] = {}
        self._probe = probe or untouched
        self.erased_again = 0
        self._commit_lock = store.lock_commits(ORPHAN_SECONDS)
        try:
            self.store = store.open_writer(must_exist=must_exist, probe=self._probe)
        except BaseException:
            self._commit_lock.release()
            raise
        try:
            self.queries = self.store.queries
            with self.queries.one_view():  # what is looked at is what is gone on from
                now = self._open(sync_head=sync_head, must_exist=must_exist)
        except BaseException:
            self.store.close()
            self._commit_lock.release()
            raise
        try:
            self._erase_again(now)
        except BaseException:
            self.close()
            raise

    def _open(self, *, sync_head: bool, must_exist: bool) -> Published:
        layout, state = self._sources.layout, ledger_rows(self.queries)
        known = state.keys
        signers = self._sources.chosen(known) if known else self._sources.first()
        origin = signers.log.name
        self._issuer, self._log = signers.issuer, signers.log
        try:
            check_head(self.queries, layout, vkeys_of(self._sources.at_hand("log")))
            head = load_head(self.queries, origin)
            now = Published(head.size, head.frontier.root())
            if head.size:
                check_rows(self.queries, layout, *now, state)
            self._begin_term(head)
            self._appender = Appender(
                head=head,
                issuer=self._issuer,
                log=self._log,
                subject_head=self._subject_head,
            )
        except LedgerError as error:
            raise StoreCorruptError(f"{self._place.location}: {error}") from error
        if (genesis := self.queries.entry(0)) is not None:
            adopt(layout, known, self._probe)  # files follow what was checked
            renew_anchor(layout, self._log, genesis.leaf, self._probe)
        self._head_lock = self._place.open_head_lock(origin, sync=sync_head)
        try:
            if not must_exist and head.size == 0:
                self._head_lock.start(merkle.EMPTY_ROOT)
            reconcile(self._head_lock, now, self.root_at, self._monotonic())
        except BaseException:
            self._head_lock.close()
            raise
        self._published, self._root = head.size, now.root
        return now

    def _erase_again(self, now: Published) -> None:
        """Delete what is here although an entry says that it was erased: an older database was put back."""
        queries, layout = self.queries, self._sources.layout
        named = [erasure_of(row).commitment for row in queries.erasures()]
        left = set(queries.still_present(named))
        rows = (row for row in queries.erasures() if erasure_of(row).commitment in left)
        issuers = partial(vouched_issuers, queries, layout, now.size, now.root)
        signed = signed_erasures(rows, issuers) if left else ()
        self.erased_again = self.store.apply_erasures([one.commitment for one in signed])

    def _begin_term(self, head: Head) -> None:
        """Go on under the store's term.  None goes back: one near the last that there is would be nobody's for good."""
        if self.store.term - head.term > TERMS_AT_ONCE_MAX:
            raise StoreCorruptError(
                f"the term was changed in the database: {self.store.term}, and the last entry's is {head.term}",
                code="store.altered",
                hint="set it to the last entry's; see what else was changed: pfgov ledger doctor",
            )
        if head.term < self.store.term:
            head.term = self.new_term = self.store.term

    @property
    def size(self) -> int:
        """The number of entries that are committed and published."""
        return self._published

    def root_at(self, size: int) -> bytes:
        """Return the Merkle root over the first *size* entries."""
        return frontier_at(StoredNodes(self.queries), size).root()

    def write(self, batch: Batch) -> Committed:
        """Make *batch* durable and publish it.

        Raises:
            StoreError: an earlier batch failed; this one was not tried.
            PfgovError: it failed, and it is not known whether it is durable; the writer is fenced from here on.
        """
        if self._fenced is not None:
            raise StoreError("an earlier commit failed", code="store.fenced") from self._fenced
        try:
            return self._write(batch)
        except BaseException as error:
            self._fenced = error
            raise

    def _write(self, batch: Batch) -> Committed:
        appender = self._appender
        before = self._published
        if batch.start != before:
            raise StoreError(
                f"a batch decided at {batch.start} does not follow {before}", code="store.fenced"
            )
        self._read_ends({body.subject for body in batch.bodies})
        rows = [self._chained(*body) for body in batch.bodies]
        head = appender.head
        committed = Committed(before, rows, self._checkpoint())
        batch.writes.entries = rows
        batch.writes.tables = [
            (digest, first, zlib.compress(table, 1)) for digest, first, table in batch.writes.tables
        ]
        batch.writes.nodes = self._full_tiles(before, rows)
        batch.writes.checkpoint = (head.size, committed.note)
        self.store.write(batch.writes)
        self._publish(before, Published(head.size, head.frontier.root()))
        if any(row.type in KEY_EVENTS for row in rows):
            self._signed_by = None
        appender.forget(appender.mark())
        for subject in batch.ended:
            appender.evict(subject)
        self._count_subjects(rows)
        return committed

    def _read_ends(self, subjects: Iterable[str]) -> None:
        """Read the last entries of *subjects* together: in a database each question is a journey over the network."""
        new = sorted(subject for subject in subjects if not self._appender.knows(subject))
        self._last = {row.subject: row for row in self.queries.last_entries(new)} if new else {}

    def _subject_head(self, subject: str) -> tuple[int, bytes] | None:
        """Return where the chain of *subject* ends; the next entry is signed upon it, so it is checked first."""
        row = self._last.get(subject)
        if row is not None:
            check_entry(row, self._issuers())
        end = None if row is None else (row.subject_seq, row.leaf)
        if self._subjects is None and self._ends is None:
            self._ends = ends_of(self._rows, self._published, self._root, self._issuers)
        if self._subjects is not None:
            is_last = self._subjects.get(subject) == end
        elif self._ends is not None:
            hole = self._ends.hole
            is_last = self._ends.heads.get(subject) == end and hole <= (row.seq if row else -1)
        else:
            is_last = True
        if not is_last:
            raise StoreCorruptError(
                f"entries were changed in the database: the last one of {subject} is another, or gone",
                code="store.altered",
                hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
            )
        return None if row is None else (row.subject_seq + 1, row.leaf)

    def _issuers(self) -> dict[str, bytes]:
        if self._signed_by is None:
            layout = self._sources.layout
            self._signed_by = vouched_issuers(self.queries, layout, self._published, self._root)
        return self._signed_by

    def _rows(self) -> Iterable[EntryRow]:
        return self.queries.entries(EntryFilter(stop=self._published))

    def _checkpoint(self) -> bytes:
        """Return the checkpoint, signed by the log key and, in the batch that replaced it, by the one before, too."""
        signers = [*self._replaced, self._log]
        self._replaced = []
        return note.sign(self._appender.unsigned_checkpoint().text(), signers)

    def _chained(
        self, kind: str, subject: str, time: int, command_seq: int, index: int, body: bytes
    ) -> EntryRow:
        if self._has_lost_keys:  # what this key signs from here on would not verify
            raise StoreError(
                "another key has taken over from the one at hand", code="store.keys_changed"
            )
        staged = self._appender.append(
            type=kind,
            subject=subject,
            time=time,
            command_seq=command_seq,
            command_index=index,
            body_raw=body,
        )
        if kind in KEY_EVENTS:
            self._require_authorised(staged.raw)
            self._follow(e.decode_body(kind, body))
        return EntryRow(
            staged.seq, subject, staged.subject_seq, kind, time, staged.leaf,
            staged.signature or b"", staged.raw,
        )  # fmt: skip

    def _require_authorised(self, raw: bytes) -> None:
        """Refuse a key event that no verifier takes: its signatures are for a place, and that was read in the database.

        Raises:
            StoreCorruptError: ``store.altered``, it does not stand where they say.
        """
        if self._keys is None:
            layout = self._sources.layout
            self._keys = vouched_keys(self.queries, layout, self._published, self._root)
        try:
            self._keys.take(entry.parse(raw))
        except LedgerError as error:
            raise StoreCorruptError(
                f"entries about keys were changed in the database: the next one was signed for another place ({error})",
                code="store.altered",
                hint="nothing was recorded; restore a backup: pfgov ledger doctor",
            ) from error

    def _follow(self, event: e.Event) -> None:
        """Do what a key event says to whoever signs after it: hand over, or sign nothing more."""
        mine = {signer.role: signer for signer in (self._issuer, self._log)}
        if isinstance(event, e.KeyRevoked):
            self._has_lost_keys |= event.key in {s.public.hex() for s in mine.values()}
        elif isinstance(event, e.KeyRotated) and event.role in mine:
            before = mine[event.role]
            new = self._sources.successor(event.role, event.new)  # type: ignore[arg-type]  # a key of mine
            if new is None or (event.role == "log" and new.name != before.name):
                self._has_lost_keys |= event.old == before.public.hex()
            elif event.role == "issuer":
                self._issuer = new
                self._appender.hand_over(new)
            else:
                self._replaced.append(before)
                self._log = new

    def _publish(self, before: int, head: Published) -> None:
        self._probe("publish", "before")
        self._head_lock.move(before, head, self._monotonic())
        self._probe("publish", "after")
        self._published, self._root = head.size, head.root

    # --- the tree's stored levels --------------------------------------------------------

    def _full_tiles(self, start: int, rows: list[EntryRow]) -> list[tuple[int, int, bytes]]:
        """Return the stored nodes that *rows* complete."""
        end = start + len(rows)
        full: list[tuple[int, int, bytes]] = []
        for place in range(start // TILE, end // TILE):
            first = place * TILE
            wanted = EntryFilter(start=first, stop=start)
            leaves = list(map(leaf_of, self.queries.entries(wanted))) if first < start else []
            leaves += [row.leaf for row in rows[max(0, first - start) : first + TILE - start]]
            full.append((8, place, merkle.root_of(leaves)))
        for level in TILE_LEVELS[1:]:
            below = {place: digest for at, place, digest in full if at == level - 8}
            for place in range(start >> level, end >> level):
                children = range(place * TILE, (place + 1) * TILE)
                known = [below.get(child) or self._stored(level - 8, child) for child in children]
                full.append((level, place, merkle.root_of(known)))
        return full

    def _stored(self, level: int, place: int) -> bytes:
        return StoredNodes(self.queries).node(level, place)

    # --- the subject map -----------------------------------------------------------------

    def _count_subjects(self, rows: list[EntryRow]) -> None:
        for row in rows:
            if self._subjects is not None:
                self._subjects.update(row.subject, row.subject_seq, row.leaf)
            elif self._ends is not None:
                self._ends.heads[row.subject] = (row.subject_seq, row.leaf)

    def index(self) -> tuple[int, int, str]:
        """Return how many entries are committed, the number of their subjects, and the root of the map of these.

        The map is made when it is first asked for, and kept from then on.

        Raises:
            StoreCorruptError: ``store.altered``, the entries are not what was signed.
        """
        if self._subjects is None:
            self._subjects = map_of(self._rows, self._published, self._root)
            self._ends = None
        return self._published, len(self._subjects), self._subjects.root().hex()

    def close(self) -> None:
        """Release the files."""
        with ExitStack() as stack:
            stack.callback(self._commit_lock.release)
            stack.callback(self.store.close)
            stack.callback(self._head_lock.close)


def reconcile(
    lock: HeadLock, head: Published, root_at: Callable[[int], bytes], monotonic: int
) -> None:
    """Compare a ledger that was just opened with its lock, and catch the lock up if that is honest.

    Equal: go on.  The ledger is longer and the lock's head is its prefix (a crash between COMMIT and the move): advance
    the lock, and only then serve.

    Args:
        lock: The ledger's lock.
        head: Where the ledger ends.
        root_at: The ledger's root over its first so many entries.
        monotonic: As in :meth:`HeadLock.move`.

    Raises:
        StoreUnavailableError: ``store.head_missing``, the lock is gone but the ledger has entries.
        StoreCorruptError: ``store.rolled_back``, the ledger is shorter than what was published; ``store.forked``, it
            has another root there.
    """
    published = lock.read()
    if published is None:
        if head.size:
            raise StoreUnavailableError(
                f"the head lock is missing, and the ledger has {head.size} entries",
                code="store.head_missing",
                hint="put the lock file back; if it is lost for good: pfgov ledger restore",
            )
        return
    if published.size > head.size:
        raise StoreCorruptError(
            f"{published.size} entries were published, and the ledger holds {head.size}: "
            "it was restored from an older copy",
            code="store.rolled_back",
            hint="restore a newer copy, or begin a successor: pfgov ledger succeed; signing from here would fork it",
        )
    if root_at(published.size) != published.root:
        raise StoreCorruptError(
            f"the ledger's root over {published.size} entries is not the one that was published",
            code="store.forked",
            hint="keep both copies as evidence, and begin a successor: pfgov ledger succeed",
        )
    if published.size < head.size:
        lock.move(published.size, head, monotonic)
