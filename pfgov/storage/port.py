"""The port of the store: what an engine asks of the place where a ledger is kept, whatever that is made of.

A :class:`Store` is the place itself.  It gives one :class:`StoreWriter`, whose commits are all or nothing; readers,
whose snapshots never go beyond what was published; the locks that keep a second writer out; and the :class:`HeadLock`,
which remembers what was published.  Rows are plain values and bytes.  Nothing above the store knows more.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct, field

from pfgov.errors import StoreUnavailableError
from pfgov.storage.leading import Led, WriterLock
from pfgov.storage.leases import LeaseRow

PAGE: Final = 1_000
"""Rows fetched at a time while a long answer streams."""

PATIENCE_SECONDS: Final = 2.0
"""How long a reader waits for a commit to be published."""

Probe: TypeAlias = Callable[[str, Literal["before", "after"]], None]
"""Called around every storage call with its name; a test raises from it."""

PacketRow: TypeAlias = tuple[str, str, str | None, int, int, bytes]
"""A packet's row: id, status, owner, epoch, the entries it had seen, canonical JSON."""

MemberRow: TypeAlias = tuple[str, str, int, bytes]
"""A member's: id, status, the entries it had seen, canonical JSON."""


def untouched(name: str, when: Literal["before", "after"]) -> None:
    """The probe of a store that nobody tests."""


class UnpublishedError(StoreUnavailableError):
    """What was committed is not published: in a moment it is, or the writer died in between."""

    code = "store.unpublished"


class EntryRow(NamedTuple):
    """One entry as stored."""

    seq: int
    subject: str
    subject_seq: int
    type: str
    time: int
    leaf: bytes
    signature: bytes
    raw: bytes


class AttachmentRow(NamedTuple):
    """A payload and its salt, by the commitment that names it (hex)."""

    digest: str
    subject: str
    field: str
    parent: str | None
    first: int
    salt: bytes
    payload: bytes


class AnswerRow(NamedTuple):
    """The answer to a request that carried an idempotency key: entries ``first`` to ``first + length - 1``."""

    principal: str
    key: str
    digest: bytes
    first: int
    length: int
    time: int
    refusal: bytes | None


class StoredRow(NamedTuple):
    """One row of a folded table: canonical JSON, and the entries it had seen."""

    key: str
    as_of: int
    body: bytes


class StoredPayload(NamedTuple):
    """What is known of a payload without reading it: what it belongs to, whether it is there, how many bytes it has.

    ``parent`` is the commitment that it is a redacted view of; ``first`` the position of the command that brought it.
    """

    digest: str
    subject: str
    field: str
    parent: str | None
    first: int
    state: str
    size: int | None


class Published(NamedTuple):
    """A head that may have been seen: the number of entries and the root over them."""

    size: int
    root: bytes


class WriteSet(Struct):
    """Everything that one commit changes.  Rows are tuples in the order of the table's columns."""

    entries: list[EntryRow] = field(default_factory=list[EntryRow])
    checkpoint: tuple[int, bytes] | None = None
    nodes: list[tuple[int, int, bytes]] = field(default_factory=list[tuple[int, int, bytes]])
    members: list[MemberRow] = field(default_factory=list[MemberRow])
    packets: list[PacketRow] = field(default_factory=list[PacketRow])
    ledger_state: list[tuple[str, int, bytes]] = field(default_factory=list[tuple[str, int, bytes]])
    answers: list[AnswerRow] = field(default_factory=list[AnswerRow])
    attachments: list[AttachmentRow] = field(default_factory=list[AttachmentRow])
    erased: list[str] = field(default_factory=list[str])
    policy_sets: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    tables: list[tuple[str, int, bytes]] = field(default_factory=list[tuple[str, int, bytes]])


class PacketFilter(Struct, frozen=True):
    """Which packets: all given conditions hold.  Ids in order, after ``after``; all of them without a limit."""

    statuses: tuple[str, ...] = ()
    owner: str | None = None
    after: str = ""
    limit: int | None = 1_000
    ids: tuple[str, ...] | None = None


class EntryFilter(Struct, frozen=True):
    """Which entries: positions ``start`` to ``stop - 1``, of a subject, of these types, in a span of time."""

    start: int = 0
    stop: int | None = None
    subject: str | None = None
    types: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    limit: int | None = None
    newest_first: bool = False


# --- reading ------------------------------------------------------------------------------


class Queries(Protocol):
    """Every question that is asked of a store, by the writer and by readers alike.  Not thread-safe.

    Each may raise ``store.*``: the store cannot be read, or is damaged.
    """

    def size(self) -> int:
        """Return the number of entries."""
        ...

    def checkpoint(self, at_most: int | None = None) -> tuple[int, bytes] | None:
        """Return size and note of the newest checkpoint (of at most so many entries)."""
        ...

    def entry(self, seq: int) -> EntryRow | None:
        """Return one entry."""
        ...

    def entries(self, wanted: EntryFilter | None = None) -> Iterator[EntryRow]:
        """Return entries in order of position, streaming."""
        ...

    def signed(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """Return (raw, signature) of entries in order, streaming."""
        ...

    def latest_index(self) -> int | None:
        """Return the position of the newest ``index_committed`` entry."""
        ...

    def leaves(self, start: int, stop: int) -> Iterator[bytes]:
        """Return leaf hashes in order."""
        ...

    def erasures(self) -> Iterator[EntryRow]:
        """Return every entry that records an erasure."""
        ...

    def node(self, level: int, place: int) -> bytes | None:
        """Return the stored hash of a complete subtree."""
        ...

    def last_entries(self, subjects: Sequence[str]) -> list[EntryRow]:
        """Return the last entry of each of *subjects* that has one, in any order."""
        ...

    def subject_heads(self, before: int | None = None) -> Iterator[tuple[str, int, bytes]]:
        """Return every subject with the number and leaf of its last entry among the first *before* ones."""
        ...

    def members(self) -> Iterator[StoredRow]:
        """Return every member's row, in id order."""
        ...

    def member(self, member_id: str) -> StoredRow | None:
        """Return one member's row."""
        ...

    def packets(self, wanted: PacketFilter | None = None) -> Iterator[StoredRow]:
        """Return packets' rows, in id order."""
        ...

    def packet(self, packet_id: str) -> StoredRow | None:
        """Return one packet's row."""
        ...

    def owned(self, statuses: Sequence[str], owner: str | None = None) -> Iterator[tuple[str, str]]:
        """Return (owner, packet) of every packet with one of *statuses*, of one owner or of all, in id order."""
        ...

    def packet_ids(self, start: str, stop: str, limit: int) -> list[str]:
        """Return at most *limit* ids from *start* to before *stop*."""
        ...

    def packet_counts(self) -> dict[str, int]:
        """Return how many packets have each status."""
        ...

    def ledger_state(self) -> Iterator[StoredRow]:
        """Return the rows with keys, configuration and active policy set."""
        ...

    def answers(self, keys: Sequence[tuple[str, str]]) -> list[AnswerRow]:
        """Return the answers that were given to (principal, idempotency key) pairs, in any order."""
        ...

    def attachment(self, digest: str) -> AttachmentRow | None:
        """Return a payload with its salt; None if it was never stored or was erased."""
        ...

    def attachments(self, subject: str) -> Iterator[StoredPayload]:
        """Return what is known of a subject's payloads, erased ones too, in the order in which they came."""
        ...

    def payload_and_views(self, digest: str) -> list[StoredPayload]:
        """Return what is known of a payload, then of the views that were made of it; empty if it was never stored."""
        ...

    def payloads_present(self) -> int:
        """Return how many payloads are stored."""
        ...

    def still_present(self, digests: Sequence[str]) -> list[str]:
        """Return those of *digests* behind which a payload is stored."""
        ...

    def attachment_state(self, digest: str) -> str | None:
        """Return ``present`` or ``erased``; None if it was never stored."""
        ...

    def policy_set(self, digest: str) -> bytes | None:
        """Return the document of a policy set."""
        ...

    def verdict_table(self, digest: str) -> bytes | None:
        """Return a stored verdict table, still compressed."""
        ...

    def verdict_tables_kept(self) -> tuple[int, int | None]:
        """Return how many verdict tables are stored, and the position of the oldest decision that has one."""
        ...

    def leases(self) -> Iterator[LeaseRow]:
        """Return the leases that were kept."""
        ...

    def one_view(self) -> AbstractContextManager[None]:
        """Answer every question from one view, for as long as the block runs; nothing is written meanwhile."""
        ...

    def close(self) -> None:
        """Release what the questions are asked over."""
        ...


class StoreReader(Protocol):
    """A store, read-only.  Open one per thread."""

    def snapshot(self) -> AbstractContextManager[Queries]:
        """Give a consistent view of everything published, for as long as the block runs.

        Raises:
            UnpublishedError: the writer died between committing and publishing, or there was no patience.
        """
        ...

    def published(self) -> int | None:
        """Return how many entries were published, which may be more than are here; None without a head lock."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...


# --- writing ------------------------------------------------------------------------------


class StoreWriter(Protocol):
    """The writer's side.  One thread at a time; the caller holds the locks."""

    @property
    def queries(self) -> Queries:
        """What is committed, over the writer's own connection."""
        ...

    @property
    def term(self) -> int:
        """The term under which it writes; 0 where nobody else can."""
        ...

    def write(self, batch: WriteSet) -> None:
        """Commit *batch* as a whole.

        Raises:
            PfgovError: ``store.*``; it is not known whether the commit happened.
        """
        ...

    def write_leases(self, leases: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Replace the persisted leases, or without *is_whole* those of the same members; no entry is made."""
        ...

    def apply_erasures(self, digests: Sequence[str]) -> int:
        """Delete payloads and salts again that the log says were erased (a restored backup); return how many."""
        ...

    def flush_erased(self) -> bool:
        """Push deletions out of every log of the store's own, too; False while a reader holds an old page."""
        ...

    def trim(self, *, tables_before: int, answers_before: int) -> int:
        """Delete verdict tables of decisions before a position, and answers from before a time (microseconds): the
        oldest of each, a bounded number; return how many.
        """
        ...

    def close(self) -> None:
        """Release everything."""
        ...


class HeadLock(Protocol):
    """The last head that left this machine, kept apart from the ledger: what finds a restored backup."""

    def read(self) -> Published | None:
        """Return the last published head, or None before the first."""
        ...

    def start(self, empty_root: bytes) -> None:
        """Put the lock of a new ledger at no entries, before its first commit."""
        ...

    def move(self, old: int, new: Published, monotonic: int) -> None:
        """Publish *new* if the lock still stands at *old* entries.

        Args:
            old: The size it was moved to before.
            new: The head that is about to be seen.
            monotonic: Microseconds on a clock that never goes back, to space the syncs.

        Raises:
            StoreCorruptError: ``store.head_moved``, somebody else moved the lock: stop at once.
            StoreUnavailableError: it cannot be written.
        """
        ...

    def close(self) -> None:
        """Make it durable and release it."""
        ...


class Store(Led, Protocol):
    """The place where one ledger is kept.  It holds nothing open, and another process can open it from its URL."""

    @property
    def url(self) -> str:
        """What :func:`pfgov.storage.open_store` makes the same store of."""
        ...

    @property
    def directory(self) -> Path:
        """The folder of what belongs to the ledger and is in no database: its keys and its anchor."""
        ...

    @property
    def location(self) -> str:
        """Where the rows are, as a message names it."""
        ...

    def require(self) -> None:
        """Refuse a place that holds no ledger.

        Raises:
            StoreUnavailableError: ``store.missing``.
        """
        ...

    def exists(self) -> bool:
        """Whether there is anything to open."""
        ...

    def stamp(self) -> str | None:
        """Return what is another after every write, nothing being opened for it; None where it cannot be told."""
        ...

    def has_entries(self) -> bool:
        """Whether a ledger was begun here; ``store.*`` if what is there cannot be read."""
        ...

    def take_in(self, backup: Path) -> None:
        """Copy a database that was kept elsewhere to this place; ``ledger.exists`` or ``store.*`` if it cannot be."""
        ...

    def has_head_lock(self) -> bool:
        """Whether there is a head lock."""
        ...

    def lock_writer(self, address: str | None) -> WriterLock:
        """Take the right to write; *address* is where the holder can be reached, to be named to others.

        Raises:
            StoreLockedError: another process holds it.
        """
        ...

    def lock_commits(self, patience: float) -> WriterLock:
        """Take the right to commit, waiting for *patience* seconds: a writer may outlive its engine for a moment.

        Raises:
            StoreLockedError: another process holds it.
        """
        ...

    def open_writer(self, *, must_exist: bool, probe: Probe = untouched) -> StoreWriter:
        """Open the store for writing, creating it if that is allowed.

        Raises:
            PfgovError: ``store.*``, it is missing, damaged, altered, newer, not ours, or cannot be written.
        """
        ...

    def open_queries(self) -> Queries:
        """Return questions over a connection of their own: what is committed, published or not."""
        ...

    def open_reader(
        self, *, heed_head_lock: bool = True, patience_seconds: float = PATIENCE_SECONDS
    ) -> StoreReader:
        """Open the store for reading.

        Args:
            heed_head_lock: Whether to serve only what was published; a disaster's evidence is read without.
            patience_seconds: How long a snapshot waits for a commit to be published.

        Raises:
            PfgovError: ``store.*``, it is missing, damaged, altered, newer or not ours.
        """
        ...

    def open_head_lock(self, origin: str, *, sync: bool) -> HeadLock:
        """Open the head lock of the ledger *origin*; with *sync* every move is forced to disk.

        Raises:
            PfgovError: ``store.*``, it cannot be opened, or is not a lock.
        """
        ...

    def read_head(self, origin: str) -> Published | None:
        """Return what the head lock says, without ever writing; None where it says nothing of *origin*.

        Raises:
            StoreUnavailableError: ``store.missing``, there is no lock.
        """
        ...

    def is_head_lock_apart(self) -> bool:
        """Whether the head lock is kept elsewhere, so that a restored copy of the ledger does not bring its own."""
        ...

    def holds_old_pages(self) -> bool:
        """Whether what was deleted may still lie in a log of the store's own."""
        ...

    def files(self) -> list[Path]:
        """Return the files that the store keeps on this machine: they are their owner's alone."""
        ...
