"""What can be read of a ledger, beside a running writer or without one: published facts only, and never a write.

The command line and the HTTP server read through this; the same object answers for a live ledger and a stopped one.
Rows become records here and nowhere else.  It decides nothing.
"""

import difflib
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from msgspec import Struct
from msgspec.structs import replace

from pfgov.core import events as e
from pfgov.core.commands import ENGINE, LOCAL_OPERATOR
from pfgov.core.lifecycle import OWNED, TERMINAL, MemberStatus, PacketStatus
from pfgov.core.records import Member, Packet
from pfgov.core.state import State
from pfgov.engine.layout import Layout
from pfgov.engine.loading import receipts
from pfgov.engine.loading.erased import is_erased
from pfgov.engine.loading.intact import (
    RowDecoder,
    check_payload,
    check_policies,
    check_table,
    missing_payload,
)
from pfgov.engine.loading.vouched import read_state
from pfgov.errors import NotFoundError
from pfgov.storage.port import (
    PAGE,
    PATIENCE_SECONDS,
    EntryFilter,
    EntryRow,
    PacketFilter,
    Queries,
    Store,
)
from pfgov_ledger.entry import parse

if TYPE_CHECKING:
    from pfgov.engine.reading.replay import Replayed

AGAIN: Final = "/again"
"""Where a submission names the packet whose work it repeats."""

LIKE_MAX: Final = 1_000
"""Ids that are compared with a misspelt one."""

_OWNED: Final = tuple(sorted(str(word) for word in OWNED))
_AT_WORK: Final = frozenset({MemberStatus.ACTIVE, MemberStatus.QUARANTINED})
_WAITING: Final = frozenset({PacketStatus.PENDING, PacketStatus.AWAITING_REVIEW})

_OF_THIS_MACHINE: Final = frozenset({LOCAL_OPERATOR.id, ENGINE.id})

_CLOSING_SECONDS: Final = 2.0

_MEMBER: Final = RowDecoder(Member, "the row of a member")
_PACKET: Final = RowDecoder(Packet, "the row of a packet")


class HeadView(Struct, frozen=True):
    """Where the ledger ends: its size and the signed checkpoint (a C2SP note) over it."""

    size: int
    note: bytes


class Recorded(Struct, frozen=True):
    """An entry with the event it records."""

    row: EntryRow
    event: e.Event


class LedgerReader:
    """A ledger, read-only.  Safe to share among threads: one question at a time."""

    def __init__(
        self,
        store: Store,
        *,
        heed_head_lock: bool = True,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Open the ledger in *store*.

        Args:
            store: Where it is kept.
            heed_head_lock: Whether to serve only what was published; a disaster's evidence is read without.
            patience_seconds: How long to wait for a commit to be published; 0 for whoever must not wait.

        Raises:
            PfgovError: ``store.*``, it is missing, damaged, altered, newer or not ours.
        """
        self.store = store
        self.layout = Layout(store.directory)
        self._store = store.open_reader(
            heed_head_lock=heed_head_lock, patience_seconds=patience_seconds
        )
        self._turn = threading.RLock()
        self._held: Queries | None = None

    @contextmanager
    def snapshot(self) -> Generator[Queries]:
        """Give a consistent view for as long as the block runs; other threads wait, questions inside it see it too.

        Raises:
            StoreUnavailableError: ``store.unpublished``, a dead writer left commits that nobody has published.
        """
        with self._turn:
            if self._held is not None:
                yield self._held
                return
            with self._store.snapshot() as queries:
                self._held = queries
                try:
                    yield queries
                finally:
                    self._held = None

    # --- ledger --------------------------------------------------------------------------

    def lost(self) -> int | None:
        """Return how many published entries are not here: more than none if an older copy was put back.

        None if nobody can tell, for there is no head lock.

        Not to be asked inside a snapshot, which may be older than what was published meanwhile.
        """
        with self._turn:
            published = self._store.published()
            with self.snapshot() as queries:
                return None if published is None else max(published - queries.size(), 0)

    def head(self) -> HeadView:
        """Return where the ledger ends.

        Raises:
            NotFoundError: it has no entries.
        """
        with self.snapshot() as queries:
            latest = queries.checkpoint()
        if latest is None:
            raise NotFoundError("the ledger has no entries yet", hint="create it with: pfgov init")
        return HeadView(*latest)

    def entry(self, seq: int) -> Recorded:
        """Return the entry at position *seq*.

        Raises:
            NotFoundError: there is none.
        """
        with self.snapshot() as queries:
            row = queries.entry(seq)
            size = queries.size()
        if row is None:
            raise NotFoundError(
                f"there is no entry {seq}",
                code="entry.not_found",
                hint=f"the ledger holds 0 to {size - 1}",
            )
        return Recorded(row, receipts.event_of(row))

    def other_principal(self, start: int = 0) -> str | None:
        """Return the id of the newest principal that is neither whoever sits at this machine nor the engine, or None.

        It is the holder of an API key or of a token: a server that has such a ledger asked for proof once.  Entries
        before *start* are not looked at.
        """
        with self.snapshot() as queries:
            for row in queries.entries(EntryFilter(start, newest_first=True)):
                found = receipts.principal_of(row)
                if found is not None and found not in _OF_THIS_MACHINE:
                    return found
        return None

    def predecessor(self) -> str | None:
        """Return the name of the ledger that this one continues; None where it is the first, or has no entries."""
        with self.snapshot() as queries:
            row = queries.entry(0)
        event = None if row is None else receipts.event_of(row)
        before = event.predecessor if isinstance(event, e.LedgerCreated) else None
        return None if before is None else before.origin

    def entries(self, wanted: EntryFilter | None = None) -> list[Recorded]:
        """Return the entries that *wanted* asks for; give it a limit."""
        with self.snapshot() as queries:
            return [Recorded(row, receipts.event_of(row)) for row in queries.entries(wanted)]

    def lineage(self, subject: str) -> list[Recorded]:
        """Return every entry of ``packet/ID``, ``member/ID``, ``policy``, ``keys`` or ``ledger``, oldest first."""
        return self.entries(EntryFilter(subject=subject))

    def state(self) -> State:
        """Return the whole state as of now, without ended packets: for dry runs; nobody else sees changes to it.

        Raises:
            StoreCorruptError: ``store.altered``, a row says that another policy set binds than the one that does.
        """
        with self.snapshot() as queries:
            return read_state(queries, self.layout)

    def policy_document(self, digest: str) -> bytes:
        """Return the document of a policy set.

        Raises:
            NotFoundError: it was never activated here.
            StoreCorruptError: ``store.altered``, what is stored there is another.
        """
        with self.snapshot() as queries:
            found = queries.policy_set(digest)
        if found is None:
            raise NotFoundError(
                f"there is no policy set {digest}",
                code="policy.not_found",
                hint="see which were activated: pfgov ledger log --type policy_activated",
            )
        return check_policies(found, digest)

    def verdict_table(self, digest: str) -> bytes | None:
        """Return a stored verdict table (canonical JSON); None where it was not kept.

        Raises:
            StoreCorruptError: ``store.altered``, what is stored there is another.
        """
        with self.snapshot() as queries:
            found = queries.verdict_table(digest)
        return None if found is None else check_table(found, digest)

    def table_of(self, seq: int) -> bytes | None:
        """Return the verdict table of the decision at position *seq*: stored, or run again.

        None for an entry that decided nothing.

        Raises:
            NotFoundError: there is no such entry.
            LedgerError: the ledger does not run again as recorded.
        """
        event = self.entry(seq).event
        decision: e.Decision | None = getattr(event, "decision", None)
        digest: str | None = getattr(event, "table", None) if decision is None else decision.table
        if digest is None:
            return None
        stored_table = self.verdict_table(digest)
        if stored_table is not None:
            return stored_table
        from pfgov.engine.reading.replay import verdict_table

        with self.snapshot() as queries:
            return verdict_table(queries, seq, digest)

    def replay(self, progress: Callable[[int, int], None] | None = None) -> "Replayed":
        """Run every recorded command again, compare every body, and every row of the folded tables.

        Raises:
            LedgerError: ``ledger.replay_differs``, ``ledger.rows_differ``; ``position`` names the first difference.
            ReplayUnavailableError: it cannot be told: other rules, a missing policy set or plug-in.
        """
        from pfgov.engine.reading.replay import replay_store

        with self.snapshot() as queries:
            return replay_store(queries, progress=progress)

    def payload(self, digest: str) -> bytes | None:
        """Return the payload behind a commitment (hex); None where it was erased or never stored.

        Raises:
            StoreCorruptError: ``attachment.altered``, what is stored there does not open it, or is marked as erased
                though nothing says that it was.
        """
        with self.snapshot() as queries:
            found, genesis = queries.attachment(digest), queries.entry(0)
            if found is not None and genesis is not None:
                return check_payload(found, parse(genesis.raw).log)
            is_known = queries.attachment_state(digest) is not None
            if is_known and not is_erased(queries, self.layout, digest):
                raise missing_payload(digest)
            return None

    def named_payload(self, digest: str) -> bytes | None:
        """Return the payload behind a commitment that an entry names; None where an entry says that it was erased.

        Raises:
            StoreCorruptError: ``attachment.altered``, as :meth:`payload`, or it is gone without that.
        """
        found = self.payload(digest)
        if found is None:
            with self.snapshot() as queries:
                if not is_erased(queries, self.layout, digest):
                    raise missing_payload(digest)
        return found

    # --- members and packets -------------------------------------------------------------

    def members(self) -> list[Member]:
        """Return every member, in id order."""
        with self.snapshot() as queries:
            return [_MEMBER.decode(row.body) for row in queries.members()]

    def member(self, member_id: str) -> Member:
        """Return one member.

        Raises:
            NotFoundError: there is none of this id.
        """
        with self.snapshot() as queries:
            row = queries.member(member_id)
        if row is None:
            raise NotFoundError(
                f"there is no member {member_id}",
                code="member.not_found",
                hint="see who is registered: pfgov member list",
            )
        return _MEMBER.decode(row.body)

    def packets(self, wanted: PacketFilter | None = None) -> list[Packet]:
        """Return the packets that *wanted* asks for, in id order."""
        if wanted is not None and wanted.owner is not None and not wanted.statuses:
            wanted = replace(
                wanted, statuses=tuple(PacketStatus)
            )  # as the index of owners has them
        with self.snapshot() as queries:
            return [_PACKET.decode(row.body) for row in queries.packets(wanted)]

    def packet(self, packet_id: str) -> Packet:
        """Return one packet, ended ones too.

        Raises:
            NotFoundError: there is none of this id.
        """
        with self.snapshot() as queries:
            row = queries.packet(packet_id)
        if row is None:
            raise NotFoundError(
                f"there is no packet {packet_id}",
                code="packet.not_found",
                hint="see what was submitted: pfgov packet list --all",
            )
        return _PACKET.decode(row.body)

    def owned(self, owner: str | None = None) -> dict[str, list[str]]:
        """Return the ids of the packets that each member owns, or *owner* alone."""
        found: dict[str, list[str]] = {}
        with self.snapshot() as queries:
            for name, packet_id in queries.owned(_OWNED, owner):
                found.setdefault(name, []).append(packet_id)
        return found

    def stuck(self, wanted: PacketFilter) -> list[Packet]:
        """Return at most ``wanted.limit`` packets that wait for somebody: a reviewer, an able member, an owner at work.

        Whatever has ended is not stuck, whichever statuses are asked for.
        """
        found: list[Packet] = []
        after = wanted.after
        with self.snapshot():
            away = {one.member_id for one in self.members() if one.status not in _AT_WORK}
            while True:
                page = self.packets(replace(wanted, after=after, limit=PAGE))
                found += [one for one in page if _is_stuck(one, away)]
                if len(page) < PAGE or (wanted.limit is not None and len(found) >= wanted.limit):
                    return found[: wanted.limit]
                after = page[-1].packet_id

    def like(self, packet_id: str) -> str | None:
        """Return the id of a packet that may have been meant by *packet_id*; only a bounded number is looked at."""
        first = packet_id[:1]
        with self.snapshot() as queries:
            known = queries.packet_ids(first, f"{first}\x7f", LIKE_MAX)
        near = difflib.get_close_matches(packet_id, known, n=1)
        return near[0] if near else None

    def has_packet(self, packet_id: str) -> bool:
        """Whether a packet of this id was ever submitted."""
        with self.snapshot() as queries:
            return queries.packet(packet_id) is not None

    def packet_counts(self) -> dict[str, int]:
        """Return how many packets have each status."""
        with self.snapshot() as queries:
            return queries.packet_counts()

    def close(self) -> None:
        """Close the files, once nobody asks any more: to close SQLite's under a question crashes the process.

        A question that does not end within a moment, on a disk that hangs, keeps them open.
        """
        if not self._turn.acquire(timeout=_CLOSING_SECONDS):
            return
        try:
            self._store.close()
        finally:
            self._turn.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def suggesting(reader: LedgerReader, error: NotFoundError, packet_id: str | None) -> NotFoundError:
    """Return *error* with the packet that was probably meant as its hint, where one is near and it is about that id."""
    near = reader.like(packet_id) if packet_id and error.pointer == AGAIN else None
    if near is None:
        return error
    return NotFoundError(
        error.message, code=error.code, hint=f"did you mean {near}?", pointer=error.pointer
    )


def _is_stuck(packet: Packet, away: set[str]) -> bool:
    """Whether nothing moves *packet* on; one that an owner at work holds is well, whoever else may not have it."""
    if packet.status in TERMINAL:
        return False
    if packet.owner is None:
        return packet.status in _WAITING or packet.waiting is not None
    return packet.owner in away or packet.request is not None
