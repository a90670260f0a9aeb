"""The history checker: a second, independent reading of the ledger that must never be surprised.

It sees nothing but committed entries and the engine's own rows.  It folds the entries into a shadow state and checks,
entry by entry and step by step, the promises of ``ARCHITECTURE.md``: nothing moves unjudged, at most one
owner can commit, nothing is lost or stuck in silence, state and entry are one commit, the ledger is the state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.lifecycle import (
    EPOCH_RAISED_BY,
    MAY_OWN,
    MEMBER_TRANSITIONS,
    OWNED,
    PACKET_TRANSITIONS,
    TERMINAL,
    PacketStatus,
)
from pfgov.core.records import Packet, Stamp
from pfgov.core.state import State
from pfgov.sim.oracle import objections, overfull, starter_objections


class ViolationError(Exception):
    """A promise was broken.  ``promise`` is its number in ``ARCHITECTURE.md``, "Promises"."""

    def __init__(self, promise: int, message: str) -> None:
        super().__init__(f"promise {promise}: {message}")
        self.promise = promise


@dataclass(slots=True)
class History:
    """What the ledger said so far.  Feed it every committed entry once, in order.

    Attributes:
        starter: The digest of the policy set that the oracle restates as a whole; of other sets it restates the kernel.
    """

    starter: str | None = None
    shadow: State = field(default_factory=State)
    created: int = 0
    ended: int = 0
    epochs: dict[str, int] = field(default_factory=dict[str, int])
    owner_since: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    capacity_cut: set[str] = field(default_factory=set[str])

    def add(self, event: e.Event, stamp: Stamp) -> None:
        """Check one entry against everything before it, then fold it.

        Raises:
            ViolationError: a promise is broken.
        """
        if stamp.seq != self.shadow.size:
            raise ViolationError(4, f"entry {stamp.seq} follows {self.shadow.size - 1}")
        if stamp.time < self.shadow.time:
            raise ViolationError(4, f"time went back at {stamp.seq}")
        before = self._packet_of(event)
        status = before.status if before else None
        self._check_transition(event, status)
        self._check_judged(event, stamp)
        self._check_offer(event, before, stamp)
        self._check_writer(event, before)
        apply(self.shadow, event, stamp)
        self._check_epoch(event, status)
        if isinstance(event, e.MemberUpdated) and event.capacity is not None:
            self.capacity_cut.add(event.member_id)
        if isinstance(event, e.MemberRegistered) and self.shadow.members[event.member_id].active:
            # What its dead life still holds counts until it is revoked, and may be more than the new life declares.
            self.capacity_cut.add(event.member_id)

    def _packet_of(self, event: e.Event) -> Packet | None:
        packet_id = getattr(event, "packet_id", None)
        return None if packet_id is None else self.shadow.packets.get(packet_id)

    # --- promise 3 and the tables ----------------------------------------------------------

    def _check_transition(self, event: e.Event, status: PacketStatus | None) -> None:
        name = _row(event)
        if name in PACKET_TRANSITIONS and status not in PACKET_TRANSITIONS[name]:
            raise ViolationError(3, f"{name} on a packet that is {status}")
        if event.type in MEMBER_TRANSITIONS:
            member = self.shadow.members.get(getattr(event, "member_id", ""))
            if (member.status if member else None) not in MEMBER_TRANSITIONS[event.type]:
                raise ViolationError(
                    3, f"{event.type} on a member that is {member and member.status}"
                )
        if isinstance(event, e.MemberRetired) and self.shadow.members[event.member_id].active:
            raise ViolationError(3, f"{event.member_id} retired while it owned packets")
        if status in TERMINAL and event.type not in {
            "write_refused",
            "attachment_erased",
        }:
            raise ViolationError(3, f"{event.type} after the end of a packet")

    # --- promise 1 -------------------------------------------------------------------------

    def _check_judged(self, event: e.Event, stamp: Stamp) -> None:
        if (isinstance(event, e.AssignmentDecision) and event.outcome == "allowed") or isinstance(
            event, e.HandoffCompleted
        ):
            owner = event.owner
        else:
            return
        if (
            owner is None
            or not event.decision.policy
            or event.decision.policy != self.shadow.policy
        ):
            raise ViolationError(1, f"a move at {stamp.seq} was not judged by the active policy")
        member = self.shadow.members.get(owner.member_id)
        if member is None or member.incarnation != owner.incarnation:
            raise ViolationError(
                1, f"{owner.member_id} in life {owner.incarnation} got a packet and does not live"
            )
        packet = self.shadow.packets[event.packet_id]
        object_to = starter_objections if self.shadow.policy == self.starter else objections
        if found := object_to(self.shadow, packet, member, stamp.time):
            raise ViolationError(
                1, f"{owner.member_id} got {event.packet_id} at {stamp.seq} despite {found}"
            )
        if packet.last_owner is not None and not packet.terms.handoff.allowed:
            raise ViolationError(1, f"{event.packet_id} moved at {stamp.seq} and may not")

    def _check_offer(self, event: e.Event, before: Packet | None, stamp: Stamp) -> None:
        """Check that a handoff is taken in time, and that nobody is told that it may get what it owns."""
        if before is None:
            return
        pending = before.pending
        if isinstance(event, e.HandoffCompleted) and pending and stamp.time >= pending.deadline:
            raise ViolationError(1, f"{event.packet_id} was taken over at {stamp.seq}, too late")
        if (
            isinstance(event, e.DecisionEvaluated)
            and event.outcome == "allowed"
            and event.decision.point in {"assign", "handoff"}
            and event.member_id == before.owner
        ):
            raise ViolationError(1, f"{event.member_id} may get what it owns, says {stamp.seq}")

    # --- promise 2 -------------------------------------------------------------------------

    def _check_writer(self, event: e.Event, before: Packet | None) -> None:
        if not isinstance(event, e.CheckpointCommitted | e.PacketCompleted | e.PacketFailed):
            return
        if isinstance(event, e.PacketFailed) and event.cause != "owner":
            return
        owner = event.owner
        if before is None or owner is None or before.holder != owner or before.epoch != event.epoch:
            raise ViolationError(2, f"a stale write was accepted: {event}")
        member = self.shadow.members[owner.member_id]
        if member.incarnation != owner.incarnation:
            raise ViolationError(2, f"a write of a former life was accepted: {event}")

    def _check_epoch(self, event: e.Event, status: PacketStatus | None) -> None:
        packet = self._packet_of(event)
        if packet is None:
            return
        known = self.epochs.get(packet.packet_id, 0)
        rise = 1 if _row(event) in EPOCH_RAISED_BY else 0
        if packet.epoch != known + rise:
            raise ViolationError(
                2, f"{event.type} took {packet.packet_id} from epoch {known} to {packet.epoch}"
            )
        self.epochs[packet.packet_id] = packet.epoch
        if status is None:
            self.created += 1
        if packet.status in TERMINAL and status not in TERMINAL:
            self.ended += 1
        if packet.owner is not None:
            first = self.owner_since.setdefault((packet.packet_id, packet.epoch), packet.owner)
            if first != packet.owner:
                raise ViolationError(
                    2, f"{packet.packet_id} had two owners at epoch {packet.epoch}"
                )

    # --- after a step ----------------------------------------------------------------------

    def check_rest(self, engine: State) -> None:
        """Check what must hold between two commands: the engine's state is the fold, nobody is lost or over its limits.

        Raises:
            ViolationError: a promise is broken.
        """
        shadow = self.shadow
        live = [p for p in shadow.packets.values() if p.status not in TERMINAL]
        if self.created != self.ended + len(live):
            raise ViolationError(3, f"{self.created} created, {self.ended} ended, {len(live)} live")
        for packet in live:
            self._check_live(packet)
        for member in shadow.members.values():
            if member.member_id not in self.capacity_cut and (full := overfull(member)):
                raise ViolationError(1, f"{member.member_id} holds more {full} than it has")
        self.compare(engine, (key for key in engine.rows() if not _is_forgotten(engine, key)))

    def _check_live(self, packet: Packet) -> None:
        if packet.status in OWNED:
            owner = self.shadow.members.get(packet.owner or "")
            if owner is None:
                raise ViolationError(2, f"{packet.packet_id} is {packet.status} and has no owner")
        elif packet.owner is not None:
            raise ViolationError(2, f"{packet.packet_id} is {packet.status} and has an owner")
        elif packet.packet_id not in self.shadow.unowned:
            raise ViolationError(3, f"{packet.packet_id} waits and nobody will look at it")

    def check_settled(self) -> None:
        """Check what must hold once everything that was due has run: the dead own nothing, and who waits says why.

        Raises:
            ViolationError: a promise is broken.
        """
        for packet in self.shadow.packets.values():
            if packet.status in OWNED:
                owner = self.shadow.members[packet.owner or ""]
                if owner.status not in MAY_OWN or owner.incarnation != packet.incarnation:
                    raise ViolationError(
                        3,
                        f"{packet.packet_id} is stuck with {owner.member_id}, which is {owner.status}",
                    )
            elif packet.status not in TERMINAL and packet.waiting is None and not packet.terms.hold:
                raise ViolationError(3, f"{packet.packet_id} waits and nobody can read why")

    def compare(self, other: State, rows: Iterable[tuple[str, str]]) -> None:
        """Check that *other* has exactly the fold's rows.

        Raises:
            ViolationError: a row differs.
        """
        for table, key in rows:
            theirs = other.row(table, key)
            try:
                ours = self.shadow.row(table, key)
            except KeyError:
                raise ViolationError(
                    5, f"{table} {key} is in the tables and not in the ledger"
                ) from None
            if ours != theirs:
                raise ViolationError(5, f"{table} {key} is {theirs!r} and the ledger says {ours!r}")
        for packet_id, packet in self.shadow.packets.items():
            if packet.status not in TERMINAL and packet_id not in other.packets:
                raise ViolationError(3, f"{packet_id} is in the ledger and not in the tables")


def _is_forgotten(engine: State, key: tuple[str, str]) -> bool:
    table, name = key
    return table == "packet" and name not in engine.packets


def _row(event: e.Event) -> str:
    """Return the name of the table row that *event* takes."""
    if isinstance(event, e.AssignmentDecision):
        outcomes = {"allowed": "assignment_allowed", "escalated": "assignment_escalated"}
        return outcomes.get(event.outcome, "assignment_refused")
    return event.type
