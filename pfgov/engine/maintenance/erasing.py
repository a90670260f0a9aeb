"""Erasing payloads while the ledger goes on being written: what is erased, in which order, and when it is done.

A payload goes together with the redacted views that were made of it, each named by an entry of its own, so that a
verifier calls all of them erased.  What an entry names already is not named again.  Nothing is called done before the
old pages are out of the write-ahead log, too; while somebody reads them, every later exclusive section tries again.
This module deletes nothing itself: the committing side does, in the transaction that records it.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal
from weakref import WeakKeyDictionary

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.engine.answers import LOCAL, VIEW, Caller, Idempotency, Receipt, Request
from pfgov.engine.layout import Layout
from pfgov.engine.loading.erased import erasures_of, naming
from pfgov.engine.loading.intact import check_entry, opens
from pfgov.engine.loading.vouched import anchored_issuers
from pfgov.engine.maintenance.payload_history import PayloadHistory, named_by
from pfgov.engine.sequencing.exclusive import earlier, run_to_completion
from pfgov.errors import NotFoundError, StoreCorruptError
from pfgov.limits import BATCH_MAX
from pfgov.storage.port import EntryFilter, Queries, StoredPayload
from pfgov_ledger import entry

if TYPE_CHECKING:
    from pfgov.engine.engine import Engine
    from pfgov.engine.sequencing import Sequencer

Why = Literal["data_subject_request", "retention", "operator_error", "legal_order"]
"""The closed list of reasons; an entry holds no free text about a person."""

ERASED_AT_ONCE: Final = BATCH_MAX
"""Payloads that one request erases, in one commit; whoever has more asks again."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be erased: everything that a packet carried, or one payload with its views."""

    packet_id: str | None = None
    commitment: str | None = None

    def payloads(self, queries: Queries) -> list[StoredPayload]:
        """Return what is known of it, erased payloads too.

        Raises:
            NotFoundError: ``packet.not_found`` or ``attachment.not_found``.
            StoreCorruptError: ``attachment.altered``, a row says of a payload that it is a view, and no entry does.
        """
        if self.packet_id is not None:
            if queries.packet(self.packet_id) is None:
                raise NotFoundError(
                    f"there is no packet {self.packet_id}",
                    code="packet.not_found",
                    hint="see what was submitted: pfgov packet list --all",
                    pointer="/packet_id",
                )
            return list(queries.attachments(f"packet/{self.packet_id}"))
        found = queries.payload_and_views(self.commitment or "")
        if not found:
            raise NotFoundError(
                "no payload was ever stored under that commitment",
                code="attachment.not_found",
                hint="list a packet's commitments: pfgov ledger erase --packet ID",
                pointer="/commitment",
            )
        _require_views(queries, [one for one in found if one.digest != self.commitment], found[0])
        return found


def _require_views(queries: Queries, views: Sequence[StoredPayload], of: StoredPayload) -> None:
    """Refuse *views* that are none of the packet of which they are said to be: they are erased in somebody's name."""
    if not views:
        return
    named: set[tuple[str, str]] = set()
    for row in naming(
        queries.entries(EntryFilter(subject=of.subject)), [one.digest for one in views]
    ):
        named.update(named_by(row))
    for one in views:
        if (one.digest, VIEW) not in named:
            raise StoreCorruptError(
                f"the payload under {one.digest} was changed in the database: it is no view of {of.digest}",
                code="attachment.altered",
                hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
            )


def _require_signed(
    wanted: set[str], signed: Collection[str], left_out: Collection[str] = ()
) -> None:
    """Refuse to erase as payloads of a packet what its *signed* entries do not name, and to leave out what they do.

    Whoever asks is told that it was done, and it is done in somebody's name.

    Raises:
        StoreCorruptError: ``attachment.altered``, a row says of which packet a payload is, and the entries do not.
    """
    for digest in (*sorted(wanted.difference(signed)), *left_out):
        raise StoreCorruptError(
            f"the payload under {digest} was changed in the database: whose it is, its row and the entries differ",
            code="attachment.altered",
            hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
        )


def _signed_of(
    queries: Queries, layout: Layout, subject: str, digests: Collection[str]
) -> set[str]:
    """Return which of a few *digests* signed entries of a *subject* name.

    Raises:
        StoreCorruptError: ``store.altered``, one of these cannot be read.
    """
    signed, issuers = set[str](), None
    for row in naming(queries.entries(EntryFilter(subject=subject)), digests):
        of_this = {digest for digest, _ in named_by(row)}
        if of_this.difference(signed):
            issuers = anchored_issuers(queries, layout) if issuers is None else issuers
            with suppress(StoreCorruptError):
                check_entry(row, issuers)
                signed |= of_this
    return signed


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of a request to erase.

    Attributes:
        receipts: One for each payload that it erased, in the order of ``erased``.
        erased: Their commitments.
        already: Those that had been erased before.
        left: How many payloads are still to be erased: there were more than one commit takes.
        is_flushed: Whether no old page is left, either.
    """

    receipts: tuple[Receipt, ...]
    erased: tuple[str, ...]
    already: tuple[str, ...]
    left: int
    is_flushed: bool

    @property
    def is_done(self) -> bool:
        """Whether nothing is left, neither a payload nor an old page."""
        return self.is_flushed and not self.left


def reasons(
    queries: Queries, layout: Layout, target: Target, found: Iterable[StoredPayload]
) -> dict[str, str]:
    """Return commitment -> the recorded reason, of what of *found*, the payloads of *target*, was erased."""
    by_subject: dict[str, list[str]] = {}
    for one in found:
        by_subject.setdefault(one.subject, []).append(one.digest)
    whys: dict[str, str] = {}
    for subject, digests in by_subject.items():
        only = digests if target.packet_id is None else ()
        for event in erasures_of(queries, layout, subject, only):
            whys.setdefault(event.commitment, event.why)
    return whys


def erase(engine: "Engine", target: Target, why: Why, *, caller: Caller = LOCAL) -> Erasure:
    """Delete the payloads and salts of *target* for good, and leave entries that say which and why.

    Asked again it records nothing twice.  ``is_done`` is False while a reader holds old pages, or when there were more
    payloads than one commit takes.

    Raises:
        NotFoundError: ``packet.not_found`` or ``attachment.not_found``.
        PfgovError: as :meth:`Engine.submit`.
    """
    history = _history_of(engine, target)
    try:
        if history is not None:
            history.read_ahead(engine.reader.snapshot, engine.layout)
        done = engine.exclusively(
            lambda sequencer: _erase(sequencer, engine.layout, target, why, caller, history)
        )
    except StoreCorruptError:
        _KNOWN.pop(engine, None)  # what was changed may be put right
        raise
    if history is not None and (not done.left or len(history.signed) > _REMEMBERED_MAX):
        _KNOWN.pop(engine, None)
    return done


_KNOWN: Final[WeakKeyDictionary["Engine", PayloadHistory]] = WeakKeyDictionary()
"""What was read of the packet that is being erased: it takes many commits to erase what many entries name."""

_REMEMBERED_MAX: Final = 100_000
"""Commitments of a packet that are remembered from one commit to the next; of one with more they are read again."""


def _history_of(engine: "Engine", target: Target) -> PayloadHistory | None:
    """Return what is remembered of the packet that is *target*, or is to be; None of a single payload."""
    if target.packet_id is None:
        return None
    subject = f"packet/{target.packet_id}"
    known = _KNOWN.get(engine)
    if known is None or known.subject != subject:
        known = _KNOWN[engine] = PayloadHistory(subject)
    return known


def erase_all(engine: "Engine", target: Target, why: Why) -> Erasure:
    """Do as :func:`erase` does, in as many commits as it takes, for whoever sits at this machine.

    Raises:
        PfgovError: as :func:`erase`.
    """
    done = erase(engine, target, why)
    while done.left:
        more = erase(engine, target, why)
        done = replace(
            more,
            receipts=(*done.receipts, *more.receipts),
            erased=(*done.erased, *more.erased),
            already=done.already,
        )
    return done


def _erase(
    sequencer: "Sequencer",
    layout: Layout,
    target: Target,
    why: Why,
    caller: Caller,
    history: PayloadHistory | None,
) -> Erasure:
    queries = sequencer.queries
    first = _earlier(sequencer, caller)
    found = target.payloads(queries)
    if history is None:
        named = reasons(queries, layout, target, found)
        missing = [one for one in reversed(found) if one.digest not in named]
        for subject in sorted({one.subject for one in missing}):
            wanted = {one.digest for one in missing if one.subject == subject}
            _require_signed(wanted, _signed_of(queries, layout, subject, wanted))
    else:
        with history.lock:
            history.read(queries, layout)
            named = dict(history.whys)
            missing = [one for one in reversed(found) if one.digest not in named]
            wanted = {one.digest for one in missing}
            others = sorted((history.signed | history.unsigned) - wanted)
            _require_signed(wanted, history.signed, queries.still_present(others))
    requests = [
        Request(
            c.EraseAttachment(subject=one.subject, commitment=one.digest, why=why),
            caller.principal,
            caller.request_id,
            _key(caller, None if number == 0 and first is None else one.digest),
            holds=caller.holds,
        )
        for number, one in enumerate(missing[:ERASED_AT_ONCE])
    ]
    receipts = [*([] if first is None else [first])]
    receipts += _answered(sequencer, caller, found)
    receipts += run_to_completion(sequencer, requests)
    erased = [_commitment(receipt) for receipt in receipts]
    return Erasure(
        receipts=tuple(receipts),
        erased=tuple(erased),
        already=tuple(sorted(set(named) & {one.digest for one in found} - set(erased))),
        left=len(missing) - len(requests),
        is_flushed=not sequencer.erasure_pending,
    )


# --- the same request again: the first entry bears the caller's key, the others keys that follow from it ----------


def _key(caller: Caller, digest: str | None) -> Idempotency | None:
    key = caller.idempotency
    if key is None or digest is None:
        return key
    derived = hashlib.sha256(f"{key.key}\0{digest}".encode()).hexdigest()
    return Idempotency(derived, key.digest)


def _earlier(sequencer: "Sequencer", caller: Caller) -> Receipt | None:
    nothing = c.EraseAttachment(subject="", commitment="", why="retention")  # never decided
    return earlier(
        sequencer, Request(nothing, caller.principal, caller.request_id, caller.idempotency)
    )


def _answered(
    sequencer: "Sequencer", caller: Caller, found: Iterable[StoredPayload]
) -> list[Receipt]:
    """Return the receipts of the other payloads that the same request erased before, in the same order."""
    if caller.idempotency is None:
        return []
    receipts = [
        earlier(
            sequencer,
            Request(
                c.EraseAttachment(subject=one.subject, commitment=one.digest, why="retention"),
                caller.principal,
                caller.request_id,
                _key(caller, one.digest),
            ),
        )
        for one in found
    ]
    return sorted((one for one in receipts if one is not None), key=lambda one: one.position)


def _commitment(receipt: Receipt) -> str:
    event = receipt.events[0]
    if not isinstance(event, e.AttachmentErased):
        raise TypeError(event.type)
    return event.commitment


def payload_objects(queries: Queries, layout: Layout, target: Target) -> list[dict[str, object]]:
    """Return what is shown of the payloads of *target*.

    Raises:
        NotFoundError: as :meth:`Target.payloads`.
    """
    found = target.payloads(queries)
    whys = reasons(queries, layout, target, found)
    origin = _origin(queries)
    return [payload_object(one, whys, state_of(queries, one, whys, origin)) for one in found]


def _origin(queries: Queries) -> str:
    row = queries.entry(0)
    return "" if row is None else entry.parse(row.raw).log


def state_of(queries: Queries, one: StoredPayload, whys: dict[str, str], origin: str) -> str:
    """Return ``present``, ``erased``, or ``altered`` for what somebody changed, or took away, in the database."""
    row = queries.attachment(one.digest)
    if row is not None:
        return "present" if opens(row, origin) else "altered"
    return "erased" if one.digest in whys else "altered"


def payload_object(one: StoredPayload, whys: dict[str, str], state: str) -> dict[str, object]:
    """Return what is shown of a stored payload: never a byte of it."""
    return {
        "commitment": one.digest,
        "subject": one.subject,
        "field": one.field,
        "entry": one.first,
        "view_of": one.parent,
        "bytes": one.size,
        "state": state,
        "why": whys.get(one.digest),
    }
