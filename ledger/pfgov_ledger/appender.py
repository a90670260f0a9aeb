"""The write path: event in, chained and signed entry bytes out.

An :class:`Appender` holds the head of one log (size, last leaf, frontier) and the heads of the
subjects it has met, and stages entries on them.  It stores nothing and keeps no time: bodies come
in already canonical, time is asserted by the caller, and whoever commits the staged entries says
so with :meth:`Appender.forget` or takes them back with :meth:`Appender.rollback`.

This is the hot path of the engine: the entry is one byte string assembled in key order, equal to
``canonical.encode`` of the same object (a property test holds it to that).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from pfgov_ledger import canonical, dsse, entry, errors, note, vocabulary
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.keys import Signer, key_id
from pfgov_ledger.merkle import Frontier

SubjectHead: TypeAlias = tuple[int, bytes]
"""(the next ``subject_seq``, the leaf hash of the subject's last entry)."""

_ENTRY: Final = (
    b'{"body":%b,"command":{"index":%d,"seq":%d},%b,"prev":"%b","seq":%d,"subject":"%b",'
    b'"subject_prev":"%b","subject_seq":%d,"term":%d,"time":%d,"type":"%b","v":1}'
)
"""The skeleton of an entry, members in canonical order."""

START: Final = _ENTRY[: _ENTRY.index(b"%b")]
"""What stands in an entry before its body.  Who has the body already needs only what follows it."""

_FIRST: Final[SubjectHead] = (0, entry.ZERO)


class Staged(NamedTuple):
    """An entry that is chained and, unless asked otherwise, signed; not yet stored."""

    seq: int
    subject: str
    subject_seq: int
    raw: bytes
    leaf: bytes
    signature: bytes | None


@dataclass(slots=True)
class Head:
    """Where a log ends. ``Head(origin)`` is a log without entries.

    ``time`` is that of the last entry (microseconds), which no later one may undercut.
    """

    origin: str
    frontier: Frontier = field(default_factory=Frontier)
    last_leaf: bytes = entry.ZERO
    term: int = 0
    time: int = 0

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.frontier.size

    def copy(self) -> "Head":
        """An independent head in the same state."""
        return Head(self.origin, self.frontier.copy(), self.last_leaf, self.term, self.time)


class Mark(NamedTuple):
    """A place to roll back to."""

    head: Head
    journal: int


def sign_entry(signer: Signer, raw: bytes) -> bytes:
    """The issuer's signature of an entry: Ed25519 over its DSSE PAE."""
    return signer.sign(dsse.entry_pae(raw))


class Appender:
    """Chains entries onto one log. Not thread-safe: the sequencer owns it."""

    def __init__(
        self,
        *,
        head: Head,
        issuer: Signer,
        log: Signer,
        subject_head: Callable[[str], SubjectHead | None] = lambda _: None,
        encode: Callable[[Mapping[str, object]], bytes] = canonical.encode,
    ) -> None:
        """Continue a log.

        Args:
            head: Where the log ends; the appender keeps and changes it.
            issuer: Signs entries; ``keys.PublicSigner`` when another process does.
            log: Signs checkpoints; its name is the log's origin.
            subject_head: Loads the head of a subject not met yet; None if it has no entries.
            encode: Canonical bytes of a body given as a mapping.

        Raises:
            OriginMismatchError: The log key's name is not the origin.
            KeyRoleError: The keys do not have the roles issuer and log, or are one key.
        """
        if log.name != head.origin or not entry.is_origin(head.origin):
            raise errors.OriginMismatchError(expected=head.origin, found=log.name)
        if log.role != "log":
            raise errors.KeyRoleError("an appender takes an issuer key and a distinct log key")
        self._head = head
        self._log = log
        self._load = subject_head
        self._encode = encode
        self._subjects: dict[str, SubjectHead] = {}
        self._journal: list[tuple[str, SubjectHead]] = []
        self._journal_start = 0
        self.hand_over(issuer)

    def hand_over(self, issuer: Signer) -> None:
        """Let another issuer key sign from the next entry on: a key event that names it was just staged.

        Raises:
            KeyRoleError: It is not an issuer key, or it is the log key.
        """
        if issuer.role != "issuer" or issuer.public == self._log.public:
            raise errors.KeyRoleError("an appender takes an issuer key and a distinct log key")
        self._issuer = issuer
        self._issuer_and_log = (
            f'"issuer":"{key_id(issuer.public)}","log":"{self._head.origin}"'
        ).encode()

    @property
    def head(self) -> Head:
        """The present head; treat it as read-only."""
        return self._head

    def append(
        self,
        *,
        type: str,  # noqa: A002 (the entry's own word for it)
        subject: str,
        time: int,
        command_seq: int,
        command_index: int,
        body: Mapping[str, object] | None = None,
        body_raw: bytes | None = None,
        sign: bool = True,
    ) -> Staged:
        """Chain one entry.

        Args:
            type: An event type of the vocabulary.
            subject: The subject that type and body name (checked when *body* is given).
            time: Microseconds since the epoch, not before the last entry's.
            command_seq: The ``seq`` of the entry that records the command.
            command_index: This event's number within the command.
            body: The body; encoded here unless *body_raw* is given too.
            body_raw: The body's canonical bytes, trusted to be just that.
            sign: Whether to sign now; otherwise :func:`sign_entry` does later, elsewhere.

        Raises:
            LedgerError: The entry would not verify; nothing was staged.
        """
        head = self._head
        frontier = head.frontier
        seq = frontier.size
        if body_raw is None:
            if body is None:
                raise errors.UsageError("append takes a body or its bytes")
            body_raw = self._encode(body)
        self._check(type, subject, body, time)
        if command_seq + command_index != seq or command_index < 0:
            raise errors.CommandReferenceError(
                position=seq, expected=f"{seq}", found=f"{command_seq} + {command_index}"
            )
        subject_seq, subject_prev = at = self._subject(subject)
        raw = _ENTRY % (
            body_raw, command_index, command_seq, self._issuer_and_log,
            head.last_leaf.hex().encode(), seq, subject.encode(), subject_prev.hex().encode(),
            subject_seq, head.term, time, type.encode(),
        )  # fmt: skip
        if len(raw) > entry.ENTRY_BYTES_MAX:
            raise errors.OversizeError(
                position=seq, expected=f"at most {entry.ENTRY_BYTES_MAX} bytes", found=str(len(raw))
            )
        signature = self._issuer.sign(dsse.entry_pae(raw)) if sign else None
        leaf = sha256(b"\x00" + raw).digest()
        self._journal.append((subject, at))
        self._subjects[subject] = (subject_seq + 1, leaf)
        frontier.add(leaf)
        head.last_leaf, head.time = leaf, time
        return Staged(seq, subject, subject_seq, raw, leaf, signature)

    def _check(
        self, event_type: str, subject: str, body: Mapping[str, object] | None, time: int
    ) -> None:
        head = self._head
        if body is not None:
            named = vocabulary.subject_of(event_type, body)
            if named != subject:
                raise errors.SubjectMismatchError(position=head.size, expected=named, found=subject)
        elif event_type not in vocabulary.EVENTS:
            raise errors.EventUnknownError(found=event_type[:80])
        if not head.time <= time <= canonical.INTEGER_MAX:
            raise errors.TimeError(
                position=head.size, expected=f"at least {head.time}", found=str(time)
            )

    def _subject(self, subject: str) -> SubjectHead:
        known = self._subjects.get(subject)
        if known is None:
            if vocabulary.SUBJECT.fullmatch(subject) is None:
                raise errors.EntryShapeError("not a subject", found=repr(subject)[:80])
            known = self._load(subject) or _FIRST
        return known

    def checkpoint(self) -> bytes:
        """The signed checkpoint (a C2SP note) of everything staged so far.

        Never let it leave the process before the entries it covers are durable: a checkpoint
        that has escaped and a shorter log make a fork.
        """
        return note.sign(self.unsigned_checkpoint().text(), [self._log])

    def unsigned_checkpoint(self) -> Checkpoint:
        """Origin, size and root of everything staged so far, for a signer elsewhere."""
        head = self._head
        return Checkpoint(head.origin, head.size, head.frontier.root())

    def mark(self) -> Mark:
        """The present place, to :meth:`rollback` to or :meth:`forget` up to."""
        return Mark(self._head.copy(), self._journal_start + len(self._journal))

    def rollback(self, mark: Mark) -> None:
        """Undo every entry staged since *mark*, after a commit that surely did not happen.

        Raises:
            UsageError: *mark* lies before what was forgotten, or after the present place.
        """
        keep = mark.journal - self._journal_start
        if not 0 <= keep <= len(self._journal):
            raise errors.UsageError("cannot roll back to this mark")
        while len(self._journal) > keep:
            subject, before = self._journal.pop()
            self._subjects[subject] = before
        self._head = mark.head.copy()

    def forget(self, mark: Mark) -> None:
        """Everything before *mark* is durable: it can no longer be rolled back."""
        done = mark.journal - self._journal_start
        if done > 0:
            del self._journal[:done]
            self._journal_start += done

    def knows(self, subject: str) -> bool:
        """Whether the head of *subject* is in memory, and need not be loaded."""
        return subject in self._subjects

    def evict(self, subject: str) -> None:
        """Drop a durable subject's head from memory; it is loaded again when it is needed."""
        self._subjects.pop(subject, None)
