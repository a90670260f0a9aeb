"""Batches in order: decide, hand over, answer after the commit; after a failure, load again and look what happened.

One thread at a time runs this, whoever holds the exclusive section.  While the committing side works on one batch the
next may be decided on top of it in memory; nobody is answered from memory, not even with a refusal.  A failed or
unknown commit makes the memory worthless: the state is loaded from the store, and each request that was under way is
answered from what is found at its place.  Loading is the start-up path, so that recovery is exercised every time.  This
module knows no threads and no queue.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pfgov.clock import JUMP_MAX, Timekeeper
from pfgov.core import commands as c
from pfgov.core.apply.ledger import HALTS_ARE_STATE
from pfgov.core.decide import before
from pfgov.core.state import State
from pfgov.engine.answers import Receipt, Request, UnderWay
from pfgov.engine.committing.committers import Committer, Reports
from pfgov.engine.loading import receipts
from pfgov.engine.loading.state import load_state
from pfgov.engine.sequencing.deciding import Decider, Draft, StateSpoiledError
from pfgov.engine.sequencing.failing import UnknownOutcomeError, fail_all, not_recorded
from pfgov.engine.sequencing.leases import Leases
from pfgov.engine.sequencing.ports import Ports
from pfgov.errors import BusyError, PfgovError, StoreError
from pfgov.storage.port import Queries

LOOK_EVERY: Final = 16
"""Commands decided between two looks at whether an older batch is finished."""

TRIM_EVERY: Final = 512
"""Entries between two looks at what is kept only for a while: fewer than one look can delete."""

QUEUE_ROUNDS: Final = 4
"""How often the queue is asked before somebody new is placed: where one of a class found an owner, more may."""


class Sequencer:
    """The single writer's loop body.  Not thread-safe: whoever is in the exclusive section uses it."""

    def __init__(self, ports: Ports) -> None:
        """Open the committing side and load the state.

        Raises:
            PfgovError: ``store.*``.
        """
        self._ports = ports
        self._commands = 0
        self._under_way: deque[Draft] = deque()
        self._keys = UnderWay()
        self._committer: Committer | None = None
        self._decider: Decider | None = None
        self._lost: Exception | None = None
        self._reports: Reports | None = None
        self._new_term: int | None = None
        self.leases = Leases(ports.time.monotonic)
        self._halted: str | None = None  # under older rules a halt is this engine's alone
        self.reloads = -1
        self._trimmed_at = 0
        self.erasure_pending = True  # an earlier run may have died between a deletion and its flush
        self._load()

    # --- the memory ----------------------------------------------------------------------

    def _load(self) -> tuple[Committer, Decider]:
        committer = self._ports.open_committer()
        try:
            queries = committer.queries
            with queries.one_view():
                state = self._ports.vouched(queries, load_state(queries))
            decider = Decider(
                state,
                queries,
                self._index,
                self._ports.draw,
                keep_tables=self._ports.keep_tables,
                over_network=self._ports.over_network,
            )
        except BaseException:
            committer.close()
            raise
        decider.memory.progress = self.leases.progress  # what members said is not in the store
        self._committer, self._decider = committer, decider
        self.reloads += 1
        # an event loop that decided would wait for the network, and with it whoever asks for anything
        descriptor = None if self._ports.over_network else committer.reports_at
        self._reports = None if descriptor is None else Reports(self.reloads, descriptor)
        self._new_term = committer.new_term
        return committer, decider

    @property
    def committer(self) -> Committer:
        """The committing side, opened again if it was lost.

        Raises:
            PfgovError: ``store.*``, it cannot be opened.
        """
        return self._committer or self._load()[0]

    @property
    def decider(self) -> Decider:
        """The state and what decides upon it, loaded again if it was lost.

        Raises:
            PfgovError: ``store.*``, it cannot be loaded.
        """
        return self._decider or self._load()[1]

    @property
    def state(self) -> State:
        """The state: decided, but perhaps not yet committed."""
        return self.decider.state

    @property
    def overlaps(self) -> bool:
        """Whether a batch can be decided while another is committed."""
        return self._committer is not None and self._committer.ahead > 0

    @property
    def is_settled(self) -> bool:
        """Whether everything that was decided is committed."""
        return not self._under_way

    @property
    def queries(self) -> Queries:
        """What is committed."""
        return self.committer.queries

    # --- without waiting -----------------------------------------------------------------

    @property
    def reports(self) -> Reports | None:
        """Where to look for when :meth:`collect` has something to do; None where nothing is ever left under way."""
        return self._reports  # read without the turn: one attribute, set as a whole

    @property
    def has_room(self) -> bool:
        """Whether :meth:`start` can hand a batch over at once: nothing is lost, and no more than one is under way."""
        committer, is_loaded = self._committer, self._decider is not None
        return committer is not None and is_loaded and len(self._under_way) <= committer.ahead

    def start(self, requests: Sequence[Request]) -> bool:
        """Decide *requests*, hand them over, and wait for nothing; only with room, and for no :class:`CommitIndex`.

        Returns:
            False when something is lost; :meth:`drain` then waits for the recovery.
        """
        decider, committer = self.decider, self.committer
        draft = decider.begin(self.now())
        if self._new_term is not None:
            requests = self._under_new_term(requests)
        for position, request in enumerate(requests):
            try:
                self._take(decider, draft, request)
            except StateSpoiledError as error:
                self._give_up(error, draft, request, requests[position + 1 :])
                return True
        self._under_way.append(draft)
        try:
            batch = decider.finish(draft)
            if batch.bodies:
                committer.start(batch)
        except Exception as error:  # noqa: BLE001 - said again to drain(), for the committing side keeps only its own
            self._lost = error
            return False
        return self.collect()

    def collect(self) -> bool:
        """Answer what is finished and wait for nothing; False as :meth:`start` says."""
        if self._lost is not None:
            return False
        if self._committer is None or self._decider is None:
            return not self._under_way
        try:
            while self._under_way and (
                not self._under_way[0].batch.bodies or self._committer.is_done()
            ):
                self._finish_one(self._committer, self._decider)
            return bool(self._under_way) or not self._committer.is_done()  # it speaks unasked: lost
        except Exception:  # noqa: BLE001 - as above
            return False

    # --- batches -------------------------------------------------------------------------

    def run(self, requests: Sequence[Request]) -> None:
        """Decide *requests*, at most a batch of them, and hand them over.

        Each is answered when its commit is done: now, by a later call, or by :meth:`drain`.
        """
        part: list[Request] = []
        for request in requests:
            if isinstance(request.action, c.CommitIndex):
                self._run(part)
                part = []
                self._run_alone(request)
            else:
                part.append(request)
        self._run(part)

    def _run_alone(self, request: Request) -> None:
        """Decide *request* when everything is committed, for it reads that."""
        self.drain()
        try:
            self.decider  # noqa: B018 - loads what was lost, which may begin a new term
        except Exception as error:  # noqa: BLE001 - as in _run
            request.fail(error)
            return
        self.announce()
        self._run([request])
        self.drain()

    def _index(self) -> tuple[int, str]:
        """Return the number of subjects and the root of their map, over everything before the next entry.

        Raises:
            BusyError: something is decided that is not committed yet, and so is not in the map.
        """
        covered, subjects, root = self.committer.index()
        if covered != self.state.size:
            raise BusyError(
                f"the subject map covers {covered} entries of {self.state.size}",
                hint="the map was not recorded; ask again in a moment",
            )
        return subjects, root

    def _run(self, requests: Sequence[Request]) -> None:
        if not requests:
            return
        try:
            decider = self.decider
            decider.lookups.read(requests, decider.state.packets)
            draft = decider.begin(self.now())
        except Exception as error:  # noqa: BLE001 - no descriptor, no memory: they are told, and the thread lives
            fail_all(requests, error)
            return
        if self._new_term is not None:
            requests = self._under_new_term(requests)
        for position, request in enumerate(requests):
            left = requests[position:] if position % LOOK_EVERY == 0 else ()
            if self._under_way and left and not self._look(decider, left):
                self._again([*draft.requests, *left])  # decided on top of what failed
                return
            try:
                self._take(decider, draft, request)
            except StateSpoiledError as error:
                self._give_up(error, draft, request, requests[position + 1 :])
                return
        self._hand_over(decider, draft)

    def announce(self) -> None:
        """Say on record who leads, if somebody else did before: that this can be written is known from then on."""
        if self._new_term is not None:
            request = self._under_new_term([])
            self._run(request)
            self.drain()

    def _under_new_term(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Let a server's first entry under a new term say whose that is; only a genesis comes before it."""
        term, address = self._new_term, self._ports.address
        self._new_term = None
        known = not self.state.size or any(isinstance(r.action, c.ChangeLeader) for r in requests)
        if term is None or address is None or known:
            return requests
        return [Request(c.ChangeLeader(term=term, address=address), c.ENGINE), *requests]

    def _give_up(
        self, error: StateSpoiledError, draft: Draft, culprit: Request, others: Sequence[Request]
    ) -> None:
        """Load the state again, and decide without the *culprit* what was decided with it."""
        culprit.fail(error)
        self.drain()
        self._lose()
        self._again([*draft.requests, *others])

    def _look(self, decider: Decider, left: Sequence[Request]) -> bool:
        """Answer an older batch that was finished meanwhile, and look up again for those that are *left* to decide;
        False if the memory was lost with it.
        """
        try:
            self._say_lost()
            if self.committer.is_done():
                self._finish_one(self.committer, decider)
                decider.lookups.read(left, decider.state.packets)
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody knows what is on disk
            self._recover(error)
        return self._decider is decider

    def _take(self, decider: Decider, draft: Draft, request: Request) -> None:
        try:
            request.require_rights()
            if request.idempotency is not None and self.was_answered(request):
                return
            if isinstance(request.action, c.SubmitPacket) and not request.action.hold:
                self._queue_first(decider, draft, request.action.priority)
            if not self._is_outdated(request.action):
                self._commands += 1
                request.command_id = f"{self._ports.run}-{self._commands}"
                decider.take(draft, request)
                if not isinstance(request.action, c.SubmitPacket):
                    self.leases.former.note(request)
        except StateSpoiledError:
            raise
        except Exception as error:  # noqa: BLE001 - one caller's refusal, or a plug-in's bug, is not the others'
            request.error = error
        draft.requests.append(request)
        if request.events:
            self._keys.add(request)

    def _queue_first(self, decider: Decider, draft: Draft, priority: int) -> None:
        """Offer room that was freed to whoever waits with at least that *priority*, before somebody new gets it."""
        for _ in range(QUEUE_ROUNDS):
            asked = [
                Request(action, c.ENGINE)
                for action in before(decider.state, decider.memory, priority)
            ]
            for request in asked:
                self._take(decider, draft, request)
            if not any(request.events for request in asked):
                break
            decider.memory.queue_seen = None  # where one of a class was placed, the next is asked

    def was_answered(self, request: Request) -> bool:
        """Answer *request* if its idempotency key was used before; join the request under way that uses it."""
        return self.decider.lookups.was_answered(request, self._keys)

    def _is_outdated(self, action: c.Action) -> bool:
        """Whether the evidence of a lease's end no longer holds: the member was heard meanwhile."""
        return isinstance(action, c.ExpireLease) and not self.leases.is_overdue_still(
            action.member_id, action.last_seen
        )

    def _hand_over(self, decider: Decider, draft: Draft) -> None:
        self._under_way.append(draft)
        try:
            batch = decider.finish(draft)
            committer = self.committer
            if batch.bodies:
                committer.start(batch)
            while len(self._under_way) > committer.ahead:
                self._finish_one(committer, decider)
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody knows what is on disk
            self._recover(error)

    def _say_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def drain(self) -> None:
        """Finish and answer everything that was started."""
        try:
            self._say_lost()
            while self._under_way:
                self._finish_one(self.committer, self.decider)
            if self._committer is not None and self._committer.is_done():
                self._recover(StoreError("the committing side was lost", code="store.writer_lost"))
        except Exception as error:  # noqa: BLE001 - as above
            self._recover(error)
        if self.erasure_pending:
            # The rows are gone; only old pages are left, and a later try gets them.
            with suppress(Exception):
                self.erasure_pending = not self.committer.flush_erased()

    def _finish_one(self, committer: Committer, decider: Decider) -> None:
        draft = self._under_way[0]
        entries = committer.finish().entries if draft.batch.bodies else []
        self._under_way.popleft()
        decider.settle(draft)
        decider.lookups.forget()
        self._note(draft)
        start = draft.batch.start
        size = start + len(entries)
        for request in draft.requests:
            self._keys.remove(request)
            if request.error is not None:
                request.fail(request.error)
            elif not request.events and request.refusal is not None:
                request.fail(request.refusal)
            else:
                first = request.first - start
                rows = tuple(entries[first : first + len(request.events)])
                request.answer(Receipt(request.first, rows, request.events, size))

    def _note(self, draft: Draft) -> None:
        """Do outside the state what follows from *draft*, now that it is durable."""
        self.erasure_pending |= bool(draft.batch.writes.erased)
        if draft.members:
            self.leases.follow(self.state, sorted(draft.members), draft.now)
        for packet_id in draft.ended:
            self.leases.former.ended(packet_id)
        for request in draft.requests:
            if isinstance(request.action, c.HaltExpiry) and request.events:
                self._halted = request.action.cause

    def unhalt(self) -> None:
        """End a halt of older rules, which leave no entry of it."""
        self._halted = None

    # --- failure -------------------------------------------------------------------------

    def _again(self, requests: Sequence[Request]) -> None:
        """Decide *requests*, which nobody handed over, once more on what is committed."""
        for request in requests:
            self._keys.remove(request)
            request.reset()
        self._run(requests)

    def _recover(self, error: Exception) -> None:
        """Load the state again and answer everything under way from what is found in the store."""
        drafts = list(self._under_way)
        requests = [request for draft in drafts for request in draft.requests]
        self._lose()
        try:
            queries = self.queries
            found = [receipts.find(queries, r) if r.events else None for r in requests]
        except Exception as second:  # noqa: BLE001 - the store is gone; say so to everybody
            unknown = UnknownOutcomeError(
                f"the commit failed ({error}), and the store cannot be read ({second})",
                hint="ask again with the same idempotency key once the store is back",
            )
            fail_all(requests, unknown)
            return
        size = self.state.size
        for draft in drafts:
            if draft.batch.bodies and draft.batch.start < size:
                self._note(draft)
        for request, receipt in zip(requests, found, strict=True):
            if receipt is not None:
                request.answer(receipt)
            else:
                request.fail(not_recorded(error))

    def _lose(self) -> None:
        committer, self._committer, self._decider, self._lost = self._committer, None, None, None
        self._reports = None
        self._under_way.clear()
        self._keys.clear()
        if committer is not None:
            with suppress(Exception):  # it is broken already; what counts is on disk
                committer.close()

    # --- now and then --------------------------------------------------------------------

    @property
    def time(self) -> Timekeeper:
        """The clock."""
        return self._ports.time

    def now(self) -> int:
        """Return the moment for the next entry.

        Raises:
            ClockError: the machine's clock cannot be right.
        """
        state = self.state
        bound = JUMP_MAX if state.configuration is None else state.settings.clock_jump_max
        return self._ports.time.now(state.time, bound)

    @property
    def halted(self) -> str | None:
        """Why leases do not end, if they do not."""
        state = self.state
        if state.semantics >= HALTS_ARE_STATE:
            return None if state.halt is None else state.halt.cause
        return self._halted

    def keep_leases(self, *, at_once: bool = False) -> None:
        """Now and then, keep the leases for the next start, however this run ends; only with nothing under way."""
        with suppress(PfgovError):  # losing them costs a whole lease each
            self.leases.keep(self.committer.save_leases, self.now(), at_once=at_once)

    def trim(self) -> None:
        """Now and then, delete what is kept only for a while."""
        state, ports = self.state, self._ports
        if state.size - self._trimmed_at >= TRIM_EVERY:
            with suppress(PfgovError):  # it can wait
                self.committer.trim(state.size - ports.tables_kept, state.time - ports.answers_kept)
            self._trimmed_at = state.size

    def close(self) -> None:
        """Finish what was started, keep the leases, release the files."""
        self.drain()
        try:
            if self._committer is not None:
                self.keep_leases(at_once=True)
        finally:
            self._lose()

    def abandon(self) -> None:
        """Release the files and nothing else, as the kernel does for a killed process."""
        self._lose()
