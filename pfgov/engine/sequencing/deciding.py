"""The dispatcher around ``decide``: it supplies what a rule asks for, and turns the answer into a batch.

Ended packets are loaded from the store, views are committed to, policy sets are compiled and kept.  Each event is
encoded before any is applied, so that an entry that cannot be written never changes the state.  Nothing here
signs, commits or answers.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

import msgspec

from pfgov.clock import processor_micros
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.decide import (
    Decided,
    Memory,
    NeedsOverlayError,
    NeedsPacketError,
    NeedsViewError,
    Tools,
    decide,
)
from pfgov.core.decide.guarding import PolicyDeniedError
from pfgov.core.lifecycle import TERMINAL
from pfgov.core.records import Stamp
from pfgov.core.scheduler import Scheduler
from pfgov.core.state import State
from pfgov.core.verdicts import Point
from pfgov.engine.answers import (
    CONTEXT,
    VIEW,
    Attachment,
    Entropy,
    PolicyDocument,
    Request,
    attach,
    encode_refusal,
)
from pfgov.engine.committing.batch import Batch, Body
from pfgov.engine.loading.intact import check_payload
from pfgov.engine.sequencing.context_views import overlaid, without
from pfgov.engine.sequencing.lookups import Lookups
from pfgov.errors import (
    DecisionTooLongError,
    InvalidError,
    NotFoundError,
    PfgovError,
    StateConflictError,
    TooLargeError,
)
from pfgov.limits import ENTRY_BYTES_REACHABLE_MAX
from pfgov.policy import PolicySet, from_document, kernel_only
from pfgov.policy.budget import require_affordable
from pfgov.policy.judging.evaluator import watched
from pfgov.scheduling.registry import scheduler
from pfgov.storage.port import AnswerRow, AttachmentRow, Queries

ROUNDS_MAX: Final = 64
"""How often one command may ask for something before it is our mistake: a packet, and a view per obligation."""

POLICY_SETS_KEPT: Final = 8
SCHEDULERS_KEPT: Final = 64


@lru_cache(maxsize=POLICY_SETS_KEPT)
def _compile(document: bytes) -> PolicySet:
    """Compile a set once, not again after every reload: sets are immutable."""
    return from_document(document, generated=True)


DECISION_MICROS: Final = 500_000
MEMBER_MICROS: Final = 100
"""What one decision may take of the processor, and how much more for each member: 0.6 s among a thousand."""

MOMENT_SECONDS: Final = 0.02
"""For how long a decision runs before it is counted what it takes of the processor."""


Result = TypeVar("Result")


class _Patience:
    """What one decision about so many members may take of the processor; calling it ends a decision that takes more.

    To read and compile a set is not its rules' time: it happens once, and on a slow machine takes longer than they may.
    What the processor spent is asked of the kernel, which costs as much as a tenth of a decision: it counts from when
    the decision has run for a moment, which nearly none does.
    """

    def __init__(self, members: int) -> None:
        self._members = members
        self._counts_from = time.monotonic() + MOMENT_SECONDS
        self._end: int | None = None

    def __call__(self) -> None:
        if self._end is None:
            if time.monotonic() >= self._counts_from:
                self._end = processor_micros() + DECISION_MICROS + self._members * MEMBER_MICROS
        elif processor_micros() > self._end:
            raise DecisionTooLongError(
                f"the policies take longer than a decision about {self._members} members may",
                hint="simplify what loops, or activate another set: pfgov policy check DIR",
            )

    def uncounted(self, work: Callable[[], Result]) -> Result:
        """Do *work*, whose time is not counted."""
        if self._end is None:
            return work()
        before = processor_micros()
        done = work()
        self._end += processor_micros() - before
        return done


class StateSpoiledError(Exception):
    """An event could not be applied: the state in memory is worthless and must be loaded again."""


@dataclass(slots=True)
class Draft:
    """A batch while it is being decided, with the requests it will answer.

    Attributes:
        batch: What is committed of it.
        now: Its moment, in microseconds.
        requests: Who is answered by it, in order.
        loaded: Packets that had ended and were taken from the store.
        ended: Packets that it ended.
        members: Members of whom it records something.
    """

    batch: Batch
    now: int
    requests: list[Request] = field(default_factory=list[Request])
    loaded: list[str] = field(default_factory=list[str])
    ended: list[str] = field(default_factory=list[str])
    members: set[str] = field(default_factory=set[str])


class Decider:
    """The state of one ledger and everything that decides upon it.  Whoever is in the exclusive section uses it."""

    def __init__(
        self,
        state: State,
        queries: Queries,
        index: Callable[[], tuple[int, str]],
        draw: Entropy,
        *,
        keep_tables: bool,
        over_network: bool = False,
    ) -> None:
        self.state = state
        self.memory = Memory()
        self.lookups = Lookups(queries, together=over_network)
        self._queries = queries
        self._draw = draw
        self._keep_tables = keep_tables
        self._sets: dict[str, PolicySet] = {}
        self._schedulers: dict[e.SchedulerRef, Scheduler] = {}
        self._offered: dict[str, bytes] = {}
        self._drafts: list[Draft] = []
        self._patience: _Patience | None = None
        self.tools = Tools(policies=self._policies, scheduler=self._scheduler, index=index)

    # --- what decide asks for ------------------------------------------------------------

    def _policies(self, digest: str) -> PolicySet:
        found = self._sets.get(digest)
        if found is None:
            patience, compiled = self._patience, partial(self._compiled, digest)
            found = compiled() if patience is None else patience.uncounted(compiled)
            if len(self._sets) >= POLICY_SETS_KEPT:
                self._sets = {k: s for k, s in self._sets.items() if k == self.state.policy}
            self._sets[digest] = found
        return found

    def _compiled(self, digest: str) -> PolicySet:
        if not digest:
            return kernel_only()
        document = self._offered.get(digest) or self._queries.policy_set(digest)
        if document is None:
            raise NotFoundError(
                f"there is no policy set {digest}",
                code="policy.not_found",
                hint="activate a folder of policies: pfgov policy activate DIR",
            )
        found = _compile(document)
        if found.digest != digest:
            raise InvalidError(f"the policy set's digest is {found.digest}, not {digest}")
        if digest in self._offered:
            require_affordable(found)
        return found

    @property
    def is_timed(self) -> bool:
        """Whether a rule at ``retain`` reads the time, so that an owner may have to go though nothing changed."""
        return Point.RETAIN in self._policies(self.state.policy or "").reads_time

    def _scheduler(self, wanted: e.SchedulerRef) -> Scheduler:
        found = self._schedulers.get(wanted)
        if found is None:
            if len(self._schedulers) >= SCHEDULERS_KEPT:
                self._schedulers.clear()
            found = scheduler(wanted.name, wanted.parameters)
            self._schedulers[wanted] = found
        return found

    # --- one command ---------------------------------------------------------------------

    def begin(self, now: int) -> Draft:
        """Return an empty batch at *now*, on top of everything decided so far."""
        draft = Draft(Batch(self.state.size), now)
        self._drafts.append(draft)
        return draft

    def settle(self, draft: Draft) -> None:
        """Forget the ended packets of *draft*, the oldest begun, now that it is durable."""
        self._drafts.remove(draft)
        later = {packet_id for other in self._drafts for packet_id in (*other.ended, *other.loaded)}
        later |= {
            key for table, key in self.state.touched if table == "packet"
        }  # being decided now
        for packet_id in {*draft.ended, *draft.loaded} - later:
            self.state.forget(packet_id)

    def take(self, draft: Draft, request: Request) -> None:
        """Decide *request* into *draft*.

        Raises:
            PfgovError: refused, and nothing is recorded.
            StateSpoiledError: an event could not be applied; nothing of *draft* may be committed.
        """
        request.first = self.state.size
        self._offered = {}
        given = self._opened(request) if request.attachments else {}
        if request.expects is not None:
            self._find(draft, request.action)
            request.expects(self.state)
        try:
            decided, command, views = self._decide(draft, request, given)
            events, bodies = _encoded(decided, command)
        except PfgovError:
            self._note(draft, request, ())
            raise
        request.refusal = decided.refusal
        if not events:
            self._note(draft, request, ())
            return
        try:
            self._append(draft, events, bodies)
            self._note(draft, request, events)
            request.events = events
            self._collect(draft, request, decided)
            if decided.refusal is not None:
                given = {}  # nothing came of it: a payload that no entry needs is not kept
            for attachment in (*given.values(), *views):
                draft.batch.writes.attachments.append(_row(attachment, request.first))
        except Exception as error:
            kind = type(request.action).__name__
            raise StateSpoiledError(f"{kind} could not be applied") from error

    def _note(self, draft: Draft, request: Request, events: Sequence[e.Event]) -> None:
        self.memory.note(self.state, request.action, events, draft.now, principal=request.principal)

    def dry_run(
        self,
        action: c.Action,
        principal: c.Principal,
        now: int,
        attachments: Sequence[Attachment] = (),
    ) -> Decided:
        """Return what *action*, with its payloads, would come to at *now*, and leave everything as it is.

        Raises:
            PfgovError: it would be refused.
        """
        draft = Draft(Batch(self.state.size), now)
        try:
            request = Request(action, principal, command_id="dry-run", attachments=attachments)
            decided = self._decide(draft, request, self._opened(request))[0]
            if isinstance(decided.refusal, PolicyDeniedError):
                raise decided.refusal  # what would be recorded of it is no answer to what would happen
            return decided
        finally:
            for packet_id in draft.loaded:
                self.state.forget(packet_id)

    def _opened(self, request: Request) -> dict[str, Attachment]:
        """Take in what came with *request*: policy documents, and payloads that open their commitments."""
        self._offered = {
            a.digest: a.document for a in request.attachments if isinstance(a, PolicyDocument)
        }
        if isinstance(request.action, c.ProposePolicy):
            self._policies(request.action.digest)  # who approves it has to be able to read it
        given = {a.commitment.digest: a for a in request.attachments if isinstance(a, Attachment)}
        for attachment in given.values():
            if not attachment.opens(self.state.origin):
                raise InvalidError(
                    "an attachment does not open its commitment", code="attachment.mismatch"
                )
        return given

    def _command(self, request: Request, action: c.Action) -> c.Command:
        return c.Command(
            id=request.command_id,
            principal=request.principal,
            do=action,  # type: ignore[arg-type]  # Action is the base of AnyAction's members
            request_id=request.request_id,
        )

    def _decide(
        self, draft: Draft, request: Request, given: dict[str, Attachment]
    ) -> tuple[Decided, c.Command, list[Attachment]]:
        action, views = request.action, list[Attachment]()
        self.tools.absent.clear()
        self._find(draft, action)  # every rule about a packet asks for it first
        for _ in range(ROUNDS_MAX):
            command = self._command(request, action)
            try:
                self._patience = _Patience(len(self.state.members))
                with watched(self._patience):
                    decided = decide(self.state, command, draft.now, self.tools)
                return decided, command, views  # noqa: TRY300 - needs of `decide` are answered below
            except NeedsPacketError as needed:
                self._load_packet(draft, needed.packet_id)
            except NeedsOverlayError as needed:
                action, made = self._completed(action, needed, given)
                views += made
            except NeedsViewError as needed:
                view = self._view(action, needed, given)
                views.append(view)
                action = _with_view(action, c.View(paths=needed.paths, view=view.commitment))
        raise AssertionError(f"{type(request.action).__name__} asked {ROUNDS_MAX} times")

    def _find(self, draft: Draft, action: c.Action) -> None:
        """Load the packet that *action* is about, if it has ended."""
        packet_id = getattr(action, "packet_id", None)
        if packet_id is not None and packet_id not in self.state.packets:
            self._load_packet(draft, packet_id)

    def _load_packet(self, draft: Draft, packet_id: str) -> None:
        row = self.lookups.packet(packet_id)
        if row is None:
            self.tools.absent.add(packet_id)
        else:
            self.state.load_row("packet", packet_id, row.body)
            draft.loaded.append(packet_id)

    def _completed(
        self, action: c.Action, needed: NeedsOverlayError, given: dict[str, Attachment]
    ) -> tuple[c.Action, list[Attachment]]:
        """Return the checkpoint of a redacted owner with the whole context, in which what it never saw is unchanged."""
        subject = f"packet/{getattr(action, 'packet_id', '')}"
        written = self._payload(needed.written.digest, given)
        whole = overlaid(written, self._payload(needed.whole.digest, given), needed.paths)
        origin, draw = self.state.origin, self._draw
        context = attach(origin, subject, CONTEXT, whole, draw)
        parent = context.commitment.digest
        view = attach(origin, subject, VIEW, without(written, needed.paths), draw, parent=parent)
        given.pop(needed.written.digest, None)
        changed: Any = msgspec.structs.replace(
            action, context=context.commitment, view=view.commitment
        )
        return changed, [context, view]

    def _view(
        self, action: c.Action, needed: NeedsViewError, given: dict[str, Attachment]
    ) -> Attachment:
        try:
            shown = without(self._payload(needed.context.digest, given), needed.paths)
        except PfgovError:
            if not isinstance(action, c.RejudgeOwner):
                raise
            shown = b"null"  # it is owned already: what cannot be redacted is withheld as a whole
        return attach(
            self.state.origin,
            f"packet/{getattr(action, 'packet_id', '')}",
            VIEW,
            shown,
            self._draw,
            parent=needed.context.digest,
        )

    def _payload(self, digest: str, given: dict[str, Attachment]) -> bytes:
        if digest in given:
            return given[digest].payload
        for draft in self._drafts:
            for row in draft.batch.writes.attachments:
                if row.digest == digest:
                    return row.payload
        stored = self._queries.attachment(digest)
        if stored is None:
            raise StateConflictError(
                "policy wants the context redacted, and its payload is not here any more",
                code="attachment.missing",
                hint="commit a new context checkpoint, then try again",
            )
        return check_payload(stored, self.state.origin)

    # --- what it comes to ----------------------------------------------------------------

    def _append(self, draft: Draft, events: Sequence[e.Event], bodies: Sequence[bytes]) -> None:
        state, now = self.state, draft.now
        first = state.size
        for index, (event, body) in enumerate(zip(events, bodies, strict=True)):
            subject: str = event.subject  # type: ignore[attr-defined]  # every event of the vocabulary has one
            draft.batch.bodies.append(Body(event.type, subject, now, first, index, body))
            apply(state, event, Stamp(first + index, now))
            if isinstance(event, e.MemberEvent):
                draft.members.add(event.member_id)

    def _collect(self, draft: Draft, request: Request, decided: Decided) -> None:
        writes = draft.batch.writes
        if self._keep_tables:
            writes.tables.extend(
                (digest, request.first, table) for digest, table in decided.tables.items()
            )
        if request.idempotency is not None:
            refusal = None if decided.refusal is None else encode_refusal(decided.refusal)
            answer = AnswerRow(
                request.principal.id, request.idempotency.key, request.idempotency.digest,
                request.first, len(request.events), draft.now, refusal,
            )  # fmt: skip
            writes.answers.append(answer)
        for event in request.events:
            if isinstance(event, e.PolicyActivated | e.PolicyProposed):
                found = self._policies(event.digest)
                writes.policy_sets.append((found.digest, found.document))
            elif isinstance(event, e.AttachmentErased):
                writes.erased.append(event.commitment)

    def finish(self, draft: Draft) -> Batch:
        """Return the complete batch, with every row that its commands changed."""
        state, batch = self.state, draft.batch
        writes, as_of = batch.writes, state.size - 1
        for table, key in sorted(state.touched):
            body = state.row(table, key)
            if table == "packet":
                packet = state.packets[key]
                writes.packets.append((key, packet.status, packet.owner, packet.epoch, as_of, body))
                if packet.status in TERMINAL:
                    draft.ended.append(key)
            elif table == "member":
                writes.members.append((key, state.members[key].status, as_of, body))
            else:
                writes.ledger_state.append((key, as_of, body))
        state.touched.clear()
        batch.ended = [f"packet/{packet_id}" for packet_id in draft.ended]
        return batch


def _encoded(decided: Decided, command: c.Command) -> tuple[tuple[e.Event, ...], Sequence[bytes]]:
    """Return the events of *decided*, the first with its *command*, and their bodies.

    Raises:
        TooLargeError: ``entry.too_large``.
    """
    if not decided.events:
        return (), ()
    events = (msgspec.structs.replace(decided.events[0], command=command), *decided.events[1:])
    bodies = [e.encode_body(event) for event in events]
    if max(map(len, bodies)) > ENTRY_BYTES_REACHABLE_MAX:
        raise TooLargeError(
            f"the entry would be larger than {ENTRY_BYTES_REACHABLE_MAX} bytes",
            code="entry.too_large",
            hint="use fewer or shorter labels, capabilities and regions",
        )
    return events, bodies


def _row(item: Attachment, first: int) -> AttachmentRow:
    return AttachmentRow(
        item.commitment.digest, item.subject, item.field, item.parent, first, item.salt, item.payload
    )  # fmt: skip


def _with_view(action: c.Action, view: c.View) -> c.Action:
    views: tuple[c.View, ...] | None = getattr(action, "views", None)
    if views is None:
        raise AssertionError(f"{type(action).__name__} cannot carry a view")
    changed: Any = msgspec.structs.replace(action, views=(*views, view))
    return changed  # type: ignore[no-any-return]
