"""A ledger of this machine that is written, by whoever asks.

A command settles what it caused before it answers, so that the next one finds a ledger at rest.  A server, which has a
clock tick and other callers, takes the parts instead: what is to be submitted, and what came of it.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pfgov.app import visibility
from pfgov.app.changing import NOTHING, Rests
from pfgov.app.done import Done
from pfgov.app.ledger import EntriesWanted, Erased, HeartbeatAnswer, KeyChange
from pfgov.app.local.reading import LocalReading
from pfgov.app.prepare import (
    Prepared,
    activating,
    earlier,
    prepare,
    proposing,
    refusing,
    rolling_back,
)
from pfgov.app.views import EntryView, entry_view
from pfgov.core import commands as c
from pfgov.core.decide import Decided
from pfgov.core.ids import fresh_ulid
from pfgov.core.overview import LedgerView, ledger_view
from pfgov.core.state import State
from pfgov.engine import Attachment, Engine, HeartbeatResult, LedgerReader, Receipt
from pfgov.engine import Heartbeat as Beat
from pfgov.engine.answers import LOCAL, Caller
from pfgov.errors import BusyError, NotFoundError, PfgovError

if TYPE_CHECKING:
    from pfgov.engine.maintenance.ceremony import Changed
    from pfgov.engine.maintenance.erasing import Erasure as ErasedSome
    from pfgov.model import Erasure, Heartbeat, PressureReport, Revocation, Rotation, Tick, Wire

T = TypeVar("T")


def receipt_views(receipt: Receipt) -> list[EntryView]:
    """Return the entries that a command made."""
    return [
        entry_view(seq=row.seq, time=row.time, event=event)
        for row, event in zip(receipt.entries, receipt.events, strict=True)
    ]


class LocalLedger(LocalReading):
    """A ledger of this machine, with its engine."""

    def __init__(
        self,
        engine: Engine,
        caller: Caller = LOCAL,
        *,
        reader: LedgerReader | None = None,
        draw_id: Callable[[], str] | None = None,
    ) -> None:
        """Take what is open already.

        Args:
            engine: Who writes.
            caller: Who asks.
            reader: What is read; the engine's own by default, which is opened by whoever reads first.
            draw_id: Draws ids; one at a time by default.
        """
        self.engine = engine
        self.caller = caller
        self._draw_id = draw_id
        self._given = reader

    @property
    def reader(self) -> LedgerReader:
        """What is read: not opened before, for whoever makes this may be an event loop, and must not wait."""
        return self._given or self.engine.reader

    # --- the state in memory -------------------------------------------------------------

    def look(self, read: Callable[[State], T]) -> T:
        """Return what *read* makes of the state, in the exclusive section."""
        return self.engine.look(read)

    def dry_run(
        self,
        action: c.Action,
        attachments: Sequence[Attachment] = (),
        *,
        principal: c.Principal | None = None,
    ) -> Decided:
        """Return what *action* would come to now, in the exclusive section."""
        return self.engine.dry_run(
            action, principal=principal or self.principal, attachments=attachments
        )

    def overview(self) -> LedgerView:
        """Return what the ledger holds; nobody who reads has to wait for the exclusive section meanwhile."""
        counts = self.reader.packet_counts()
        return self.look(lambda state: ledger_view(state, counts))

    def attach(self, subject: str, field: str, payload: bytes) -> Attachment:
        """Return a payload with a fresh salt and its commitment."""
        return self.engine.attach(subject, field, payload)

    def draw_id(self) -> str:
        """Return a new id, ordered by time."""
        return fresh_ulid(self.engine.clock) if self._draw_id is None else self._draw_id()

    @property
    def origin(self) -> str:
        """The ledger's name."""
        return self.engine.origin

    # --- commands ------------------------------------------------------------------------

    def do(
        self,
        asked: "Wire | c.Action",
        *,
        member_id: str | None = None,
        packet_id: str | None = None,
    ) -> Done:
        """Carry out a command, then everything that follows from it."""
        prepared = prepare(
            asked, self.attach, self.draw_id, member_id=member_id, packet_id=packet_id
        )
        return self._done(prepared)

    def _done(self, prepared: Prepared) -> Done:
        action, caller = prepared.action, self.caller
        try:
            receipt = self.engine.submit(
                action,
                principal=caller.principal,
                request_id=caller.request_id,
                idempotency=caller.idempotency,
                attachments=prepared.attachments,
            )
        except NotFoundError as error:
            raise self.suggesting(error, action) from None
        finally:
            self.engine.settle()
        return Done(
            receipt_views(receipt),
            self.followed(receipt.end)[0],
            packet_id=getattr(action, "packet_id", ""),
        )

    def hear(self, member_id: str, beat: "Heartbeat") -> HeartbeatResult:
        """Renew a member's lease, and tell it what it has lost.

        Raises:
            ForbiddenError: who asks does not act for it.
            NotFoundError: no such member.
            GrantEndedError: its rights ended while it waited for its turn.
            ConflictError: ``member.incarnation`` or ``member.gone``, that life is over; ``member.in_use`` or
                ``member.taken_over``, it is, or is to be, another process's.
        """
        visibility.require_acting(self.principal, member_id)
        held = tuple((one.packet_id, one.epoch) for one in beat.owns)
        said = Beat(
            beat.incarnation,
            held,
            tuple((one.packet_id, one.epoch) for one in beat.owns if one.progressed),
            beat.session,
            counts_by=beat.lease_seconds,
            takes_over=beat.take_over,
            leaves=beat.leaves,
            asks_why=beat.asks_why,
            knows=beat.knows,
            by=self.caller,
        )
        return self.engine.hear(member_id, said)

    def heartbeat(
        self, member_id: str, beat: "Heartbeat", pressure: "PressureReport | None"
    ) -> HeartbeatAnswer:
        """Renew a member's lease, say how loaded it is, and let happen what follows."""
        before = self.size()
        result = self.hear(member_id, beat)
        pressed: Sequence[EntryView] = ()
        if pressure is None:
            self.engine.settle()
        else:
            done = self.do(pressure, member_id=member_id)
            pressed = done.recorded
        followed = sorted([*pressed, *self.followed(before)[0]], key=lambda one: one.seq)
        held_back = list(result.held_back)
        return HeartbeatAnswer(result.lease_until, list(result.lost), held_back, Done([], followed))

    def resume(self, asked: "Tick") -> None:
        """Let leases end again after a halt, if whoever asks may still when its turn comes."""
        from pfgov.engine.sequencing.ticking import resume

        dead, share, caller = asked.dead, asked.share_permille, self.caller
        self.engine.queue.do(lambda one: resume(one, caller, dead=dead, share_permille=share))

    def tick(self, asked: "Tick") -> tuple[Done, str | None]:
        """Let what is due happen."""
        before = self.size()
        if asked.is_resuming:
            self.resume(asked)
        self.engine.settle()
        happened = self.entries(EntriesWanted(after=before - 1))
        return Done([], happened), self.engine.status().halted

    def activate(
        self, directory: Path, leave_uncovered: Collection[str] = (), rests: Rests = NOTHING
    ) -> tuple[dict[str, Any], Done, bool]:
        """Make a folder of policies, or the bundle that it was unpacked from, binding."""
        from pfgov.app.change.resting import check_root, is_recorded, resolve
        from pfgov.policy.authoring.showing import set_view

        try:
            found, bundle, report = resolve(directory, rests)
            check_root(report, self.root_at)
        except PfgovError as error:
            if is_recorded(error):
                self.engine.submit(refusing(error), principal=self.principal)
            raise
        gone = self._unknown(found.digest)
        done = self._done(activating(found, leave_uncovered, gone, bundle=bundle, report=report))
        return set_view(found), done, bool(done.recorded)

    def roll_back(self, digest: str | None, *, emergency: bool) -> tuple[str, Done]:
        """Go back to an earlier set."""
        chosen = self.look(lambda state: earlier(state, digest))
        prepared = rolling_back(self.set_of(chosen), self._unknown(chosen), emergency=emergency)
        return chosen, self._done(prepared)

    def _unknown(self, digest: str) -> list[str]:
        """Return who approved a set and cannot be asked here whether they may still: a server knows its keys."""
        found = [one for one in self.proposals() if one.digest == digest]
        return [
            a.principal
            for one in found
            for a in one.approvals
            if a.principal != c.LOCAL_OPERATOR.id
        ]

    def propose(
        self, directory: Path, note: str | None, report: bytes | None = None
    ) -> tuple[str, Done]:
        """Propose a folder of policies."""
        from pfgov.app.change.resting import check_root, resolve

        found, _, said = resolve(directory, Rests(report=report))
        check_root(said, self.root_at)
        return found.digest, self._done(proposing(found, note, said))

    def judge_proposal(
        self, digest: str, proposal: int, note: str | None, *, granted: bool
    ) -> Done:
        """Approve a proposal, or turn it down."""
        asked = c.ApprovePolicy(digest=digest, proposal=proposal, granted=granted, note=note)
        return self._done(Prepared(asked))

    def require_settled(self, packet_id: str) -> None:
        """Refuse for the moment what a change of policy, member or packet is about to take away.

        Raises:
            BusyError: ``context.unsettled``, a revocation is pending.
        """
        if not self.engine.no_revocation_pending(packet_id):
            raise BusyError(
                f"who may read the context of {packet_id} is being judged again",
                code="context.unsettled",
                hint="ask again after the next tick, in a second",
            )

    # --- keys and payloads ---------------------------------------------------------------

    def rotate(self, asked: "Rotation", *, recovery: Path | None = None) -> KeyChange:
        """Let a new key take over; with the recovery key's file the old key has no part in it."""
        return _change(self.rotated(asked, recovery=recovery))

    def rotated(self, asked: "Rotation", *, recovery: Path | None = None) -> "Changed":
        """Do as :meth:`rotate` does, and return the receipt, too."""
        from pfgov.engine.maintenance import ceremony

        return ceremony.rotate(self.engine, asked.role, recovery=recovery, caller=self.caller)

    def revoke(self, signed: "Revocation") -> KeyChange:
        """Record a revocation."""
        return _change(self.revoked(signed))

    def revoked(self, signed: "Revocation") -> "Changed":
        """Do as :meth:`revoke` does, and return the receipt, too."""
        from pfgov.engine.maintenance import ceremony

        place = ceremony.Place(signed.origin, signed.seq, bytes.fromhex(signed.prev))
        return ceremony.revoke(self.engine, signed.to_action(), place, caller=self.caller)

    def erase(self, asked: "Erasure") -> Erased:
        """Erase payloads for good."""
        from pfgov.engine.maintenance.erasing import Target, erase_all

        done = erase_all(self.engine, Target(asked.packet_id, asked.commitment), asked.why)
        entries = [receipt.position for receipt in done.receipts]
        return Erased(list(done.erased), list(done.already), entries, done.is_done)

    def erase_some(self, asked: "Erasure") -> "ErasedSome":
        """Erase as many payloads as one commit takes."""
        from pfgov.engine.maintenance.erasing import Target, erase

        target = Target(asked.packet_id, asked.commitment)
        return erase(self.engine, target, asked.why, caller=self.caller)

    def commit_index(self) -> None:
        """Commit an index of all there is, unless the newest is one."""
        self.engine.commit_index()


def _change(done: "Changed") -> KeyChange:
    return KeyChange(done.role, done.position, done.old, done.new)
