"""Promise 6: work always finds its way.  "Nothing lost, nothing twice" holds while nothing moves; this does not.

It is read off the entries and the folded state like the other promises, without the code that looks for what is due:

* whoever could own a waiting packet, and has room, gets it within :data:`TICKS_MAX` ticks;
* an offer that its target let pass goes to somebody else while somebody else is eligible;
* a packet does not take room that a more urgent one waits for, twice while that one waits;
* one report of high pressure moves one step of packets;
* a halt ends, a dead member's lease ends, and no state that protects outlasts its end.

``docs/explanation/incidents.md`` says which public incidents these stand for.  This module changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import Decided
from pfgov.core.lifecycle import TERMINAL, MemberStatus, PacketStatus
from pfgov.core.records import Member, Packet, Stamp
from pfgov.core.state import State
from pfgov.errors import PfgovError
from pfgov.sim.history import ViolationError
from pfgov.sim.oracle import starter_objections

TICKS_MAX: Final = 3
"""Ticks for which a packet may wait although somebody could own it: the tick that notices and one on either side."""

STEP_MAX: Final = 4
"""Packets that one report of high pressure moves."""

PROMISE: Final = 6

DryRun = Callable[[c.Action], Decided]
"""What an action of the engine's own would come to now."""


@dataclass(slots=True)
class Liveness:
    """What was waited for, offered and moved so far.  Feed it every committed entry before it is folded.

    Attributes:
        starter: The digest of the policy set that the oracle restates.
        step: The number of the history's present step.
    """

    starter: str
    step: int = 0
    _ticks: dict[str, int] = field(default_factory=dict[str, int])
    _passed: dict[str, str] = field(default_factory=dict[str, str])
    _overtaken: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    _moved: dict[str, int] = field(default_factory=dict[str, int])
    _command: c.Command | None = None

    def add(self, event: e.Event, stamp: Stamp, before: State) -> None:
        """Check one entry against the state *before* it.

        Raises:
            ViolationError: promise 6.
        """
        self._command = event.command or self._command
        match event:
            case e.HandoffStarted():
                self._check_offer(event, stamp)
            case e.HandoffAborted() if event.cause in {"timeout", "refused"}:
                self._passed[event.packet_id] = event.target.member_id
            case e.AssignmentDecision() if event.outcome == "allowed":
                self._check_turn(event, stamp, before)
                self._forget(event.packet_id)
            case e.HandoffCompleted() | e.OwnershipRevoked() | e.PacketRequeued():
                self._forget(event.packet_id)
            case e.PressureChanged():
                self._moved[event.member_id] = 0
            case e.MemberRegistered() | e.MemberRecovered():
                self._moved.pop(event.member_id, None)
            case _:
                pass

    def _forget(self, packet_id: str) -> None:
        for remembered in (self._ticks, self._passed, self._overtaken):
            remembered.pop(packet_id, None)

    def _check_offer(self, event: e.HandoffStarted, stamp: Stamp) -> None:
        command = self._command
        if command is None or not isinstance(command.do, c.HandOff):
            return
        target = event.target.member_id
        is_free = command.do.target is None
        if is_free and event.decision.eligible > 1 and self._passed.get(event.packet_id) == target:
            raise ViolationError(
                PROMISE,
                f"{event.packet_id} is offered to {target} at {stamp.seq}, who let it pass, and others are eligible",
            )
        if event.reason == "pressure" and "engine" in command.principal.rights:
            source = event.source.member_id
            self._moved[source] = self._moved.get(source, 0) + 1
            if self._moved[source] > STEP_MAX:
                raise ViolationError(
                    PROMISE,
                    f"{source} lost {self._moved[source]} packets by one report of pressure",
                )

    def _check_turn(self, event: e.AssignmentDecision, stamp: Stamp, before: State) -> None:
        """Check that nobody more urgent waits for the room that is given away; once is the decision under way."""
        command = self._command
        is_own = command is not None and (
            "engine" in command.principal.rights or isinstance(command.do, c.SubmitPacket)
        )
        if not is_own or event.owner is None or before.policy != self.starter:
            return
        member = before.members.get(event.owner.member_id)
        packet = before.packets.get(event.packet_id)
        if member is None or packet is None:
            return
        for waiting_id in before.unowned:
            other = before.packets[waiting_id]
            if other.terms.priority > packet.terms.priority and _could_take(
                before, other, member, stamp.time
            ):
                step, count = self._overtaken.get(waiting_id, (self.step - 1, 0))
                if step != self.step:
                    self._overtaken[waiting_id] = (self.step, count + 1)
                    if count:
                        raise ViolationError(
                            PROMISE,
                            f"{event.packet_id} gets the room at {member.member_id} at {stamp.seq} that the more"
                            f" urgent {waiting_id} waits for, not for the first time",
                        )

    def after_tick(self, state: State, now: int, dry_run: DryRun) -> None:
        """Check after a tick of the engine that nobody waits who could be placed, for longer than the bound.

        Raises:
            ViolationError: promise 6.
        """
        for packet_id in list(state.unowned):
            packet = state.packets[packet_id]
            if not _is_asking(state, packet, now) or not _is_placeable(packet, dry_run):
                self._ticks.pop(packet_id, None)
                continue
            waited = self._ticks[packet_id] = self._ticks.get(packet_id, 0) + 1
            if waited > TICKS_MAX:
                raise ViolationError(
                    PROMISE, f"{packet_id} has waited for {waited} ticks, and somebody could own it"
                )

    def check_settled(self, state: State, now: int, silent: set[str]) -> None:
        """Check what must hold once everything was quiet for long, with only *silent* members unheard.

        Raises:
            ViolationError: promise 6.
        """
        if state.halt is not None:
            raise ViolationError(PROMISE, f"leases do not end any more: {state.halt.cause}")
        for member_id, member in state.members.items():
            if found := _outlasted(member, now):
                raise ViolationError(PROMISE, f"{member_id} is still {found}")
            ends = member_id in silent and member.lease_seconds is not None
            if ends and member.status not in {MemberStatus.FAILED, MemberStatus.RETIRED}:
                raise ViolationError(PROMISE, f"{member_id} is silent and {member.status}")
        for packet_id, packet in state.packets.items():
            if packet.status in TERMINAL:
                continue
            pending, request = packet.pending, packet.request
            if pending is not None and now >= pending.deadline:
                raise ViolationError(PROMISE, f"the offer of {packet_id} outlasts its deadline")
            if request is not None and now >= request.expires_at:
                raise ViolationError(PROMISE, f"{packet_id} waits for a review that has expired")
            if packet.terms.deadline is not None and now >= packet.terms.deadline:
                raise ViolationError(PROMISE, f"{packet_id} outlasts its deadline")


def _outlasted(member: Member, now: int) -> str | None:
    """Return the state that *member* is still in after its end, if it is."""
    until = member.quarantine_until
    if member.status is MemberStatus.QUARANTINED and until is not None and now >= until:
        return "quarantined"
    if member.status is MemberStatus.DRAINING and member.active == 0:
        return "draining, with nothing left"
    return None


def _is_asking(state: State, packet: Packet, now: int) -> bool:
    """Whether *packet* is to be placed as far as it itself is concerned."""
    terms = packet.terms
    return (
        not terms.hold
        and (terms.deadline is None or now < terms.deadline)
        and packet.attempts < state.settings.attempts_max
        and packet.status is PacketStatus.PENDING
    )


def _is_placeable(packet: Packet, dry_run: DryRun) -> bool:
    try:
        decided = dry_run(c.PlacePacket(packet_id=packet.packet_id))
    except PfgovError:
        return False
    return any(
        isinstance(event, e.AssignmentDecision) and event.outcome == "allowed"
        for event in decided.events
    )


def _could_take(state: State, packet: Packet, member: Member, now: int) -> bool:
    """Whether *packet*, which waits for room, could go to *member* now under the starter set, said by the oracle."""
    waits = packet.waiting is not None and packet.waiting.outcome == "no_capacity"
    if not waits or packet.request is not None or not _is_asking(state, packet, now):
        return False
    terms = packet.terms
    if packet.last_owner is not None:
        limit = state.settings.max_handoffs if terms.max_handoffs is None else terms.max_handoffs
        if not terms.handoff.allowed or packet.handoff_count >= limit:
            return False
    return (
        not member.pressed
        and _has_room(member, packet)
        and not starter_objections(state, packet, member, now)
    )


def _has_room(member: Member, packet: Packet) -> bool:
    demand = dict(packet.terms.demand)
    for name, limit in member.capacity.items():
        taken = member.used.get(name, 0) + demand.get(name, 0)
        if name == "tasks":
            taken = max(taken, (member.active + 1) * 1_000_000)
        if taken > limit:
            return False
    return True
