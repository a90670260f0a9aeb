"""The queue: packets that wait for an owner, in the order in which they are asked.

Higher priorities come first, and among equals who came first.  Room that was freed does not make everybody ask again:
where no member has room for what a packet takes, it need not be asked, and of packets that have everything in common
that a decision reads of them one is asked for all.  So a thousand that fit nowhere hide nobody who fits.

What was tried to no effect is remembered, so that it is not tried again before something changed.  It is not state:
losing it costs a second look, never a decision.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.records import Member, Packet, Terms
from pfgov.core.scheduler import Request, fits
from pfgov.core.state import State
from pfgov.limits import FOLLOW_UPS_PER_TICK_MAX

RETRY_BASE: Final = 1_000_000
RETRY_MAX: Final = 300_000_000
"""A packet that nobody may own is looked at again after a change of the fleet, and after 1 s, 2 s, 4 s ... 300 s."""

PRUNE_FROM: Final = 1_024
"""Remembered packets, or classes of packets, below which nothing is pruned."""

NO_ROOM: Final = "no_capacity"
"""The outcome of a decision that found who may own the packet, and all of them full."""

Class = tuple[object, ...]
"""What packets have in common for which one answer holds, as far as their terms and where they come from decide."""


@dataclass(slots=True)
class Attempt:
    """The last look at a packet that led to nothing."""

    fleet: int
    freed: int
    retry_at: int
    wait: int


@dataclass(slots=True)
class Progress:
    """What owners say in heartbeats, which are no entries: that the work goes on.

    Attributes:
        said: Packet -> under which epoch, and when, its owner last said so.
        since: Since when that would have been heard.
    """

    said: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    since: int = 0

    def note(self, packet: Packet, now: int) -> None:
        """Note that *packet*'s owner says so."""
        self.said[packet.packet_id] = (packet.epoch, now)

    def of(self, packet: Packet) -> int:
        """Return when *packet*'s present owner last said so, or since when it would have been heard."""
        epoch, at = self.said.get(packet.packet_id, (packet.epoch, 0))
        return max(at if epoch == packet.epoch else 0, self.since)


@dataclass(slots=True)
class Memory:
    """What was tried.

    Attributes:
        attempts: Packet -> the last look that led to nothing.
        judged: Packet -> what its owner was last judged against.
        offered: Packet -> what its pending target was last judged against.
        scanned: Member -> the change since which all its packets were looked at.
        retained: Packet -> when its owner was last judged, where time alone can turn the answer.
        asked: Packet -> to whom it was offered in vain in this round of asking.
        classes: Class of packets -> the state of the fleet in which one of them found nobody.
        owned_from: The owned packet after which a look that was cut short goes on.
        waiting_from: The same of packets that wait: their place in the queue.
        queue_seen: The state of the fleet in which the queue was last asked before somebody who had just come, and from
            which priority on.
        hearing_since: Since when, during a halt, members are heard again.
        progress: Which owners said that their work goes on.
    """

    attempts: dict[str, Attempt] = field(default_factory=dict[str, Attempt])
    judged: dict[str, int] = field(default_factory=dict[str, int])
    offered: dict[str, int] = field(default_factory=dict[str, int])
    scanned: dict[str, int] = field(default_factory=dict[str, int])
    retained: dict[str, int] = field(default_factory=dict[str, int])
    asked: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    classes: dict[Class, tuple[int, int]] = field(default_factory=dict[Class, tuple[int, int]])
    owned_from: str = ""
    waiting_from: tuple[int, int, str] | None = None
    queue_seen: tuple[int, int, int] | None = None
    hearing_since: int | None = None
    progress: Progress = field(default_factory=Progress)

    def prune(self, state: State) -> None:
        """Forget packets that ended, once they are the larger part."""
        said = self.progress.said
        for remembered in (
            self.attempts,
            self.judged,
            self.offered,
            self.retained,
            self.asked,
            said,
        ):
            if len(remembered) > 2 * len(state.packets) + PRUNE_FROM:
                for packet_id in [known for known in remembered if known not in state.packets]:
                    del remembered[packet_id]
        if len(self.classes) > 2 * len(state.unowned) + PRUNE_FROM:
            self.classes.clear()

    def note(
        self,
        state: State,
        action: c.Action,
        events: Sequence[e.Event],
        now: int,
        *,
        principal: c.Principal,
    ) -> None:
        """Remember what *action* came to, that *principal* asked for: *events*, or nothing."""
        packet_id: str | None = getattr(action, "packet_id", None)
        if packet_id is None:
            return
        if isinstance(action, c.ReviewPacket | c.ExpireReview) and any(map(_not_granted, events)):
            # The answer was no: asking again at once would be pestering, until something changed.
            wait = state.settings.review_timeout
            self.attempts[packet_id] = Attempt(state.fleet, state.freed, now + wait, RETRY_MAX)
        elif isinstance(action, _LOOKS) and not _succeeded(events):
            if not _says_of_everybody(action, events, principal):
                return
            self._in_vain(state, packet_id, now)
            if not isinstance(action, c.HandOff) and getattr(action, "target", None) is None:
                self._nobody_for(state, packet_id)
        elif isinstance(events[-1] if events else None, e.HandoffStarted):
            self._offered_to(packet_id, events)
        elif _OFFERED_IN_VAIN in self.asked.get(packet_id, ()) and any(map(_passed, events)):
            self._in_vain(state, packet_id, now)
        elif events:
            self.attempts.pop(packet_id, None)
            self._forget_class(state, packet_id)
            if isinstance(events[-1], e.HandoffCompleted | e.AssignmentDecision):
                self.asked.pop(packet_id, None)

    def _in_vain(self, state: State, packet_id: str, now: int) -> None:
        before = self.attempts.get(packet_id)
        wait = RETRY_BASE if before is None else min(before.wait * 2, RETRY_MAX)
        self.attempts[packet_id] = Attempt(state.fleet, state.freed, now + wait, wait)

    def _nobody_for(self, state: State, packet_id: str) -> None:
        packet = state.packets.get(packet_id)
        kind = None if packet is None else class_of(packet)
        if packet is not None and kind is not None and packet.waiting is not None:
            self.classes[kind] = seen_by(state, packet)

    def _forget_class(self, state: State, packet_id: str) -> None:
        packet = state.packets.get(packet_id)
        kind = None if packet is None else class_of(packet)
        if kind is not None:
            self.classes.pop(kind, None)

    def _offered_to(self, packet_id: str, events: Sequence[e.Event]) -> None:
        """Note to whom a packet was offered; when somebody is asked again, everybody was."""
        asked = self.asked.setdefault(packet_id, set())
        asked.discard(_OFFERED_IN_VAIN)
        for event in events:
            if isinstance(event, e.HandoffStarted):
                target = event.target.member_id
                if target in asked:
                    asked.clear()
                    asked.add(_OFFERED_IN_VAIN)
                asked.add(target)

    def may_try(self, state: State, packet: Packet, now: int) -> bool:
        """Whether anything changed since the last look at *packet*, or it is time for another one."""
        return self.is_changed(state, packet) or self.is_time(packet, now)

    def is_changed(self, state: State, packet: Packet) -> bool:
        """Whether anything changed since the last look at *packet*."""
        last = self.attempts.get(packet.packet_id)
        if last is None:
            return True
        return last.fleet != state.fleet or (waits_for_room(packet) and last.freed != state.freed)

    def is_time(self, packet: Packet, now: int) -> bool:
        """Whether the last look at *packet* was long enough ago for another one."""
        last = self.attempts.get(packet.packet_id)
        return last is None or now >= last.retry_at


_LOOKS: Final = (c.PlacePacket, c.HandOff, c.SubmitPacket)
"""Actions that look for an owner."""

_OFFERED_IN_VAIN: Final = ""
"""Among whom a packet was offered to: the present one was asked before, so that nobody else is left."""


def waits_for_room(packet: Packet) -> bool:
    """Whether somebody may own *packet* and has no room."""
    return packet.waiting is not None and packet.waiting.outcome == NO_ROOM


def seen_by(state: State, packet: Packet) -> tuple[int, int]:
    """Return the state of the fleet as far as it matters to *packet*: freed room helps only who waits for room."""
    return state.fleet, state.freed if waits_for_room(packet) else -1


def class_of(packet: Packet) -> Class | None:
    """Return the class of *packet*; None where what is on record for it alone may decide."""
    if packet.reviews or packet.request is not None:
        return None
    last = packet.last_owner.member_id if packet.last_owner else None
    return (packet.terms, last, packet.submitted_by, packet.submitted_for)


def _not_granted(event: e.Event) -> bool:
    return isinstance(event, e.ReviewExpired) or (
        isinstance(event, e.ReviewRecorded) and not event.granted
    )


def _succeeded(events: Sequence[e.Event]) -> bool:
    """Whether a look for an owner came to something: one, an offer to one, or the packet's end."""
    last = events[-1] if events else None
    if isinstance(last, e.AssignmentDecision):
        return last.outcome == "allowed"
    if isinstance(last, e.PacketCreated):
        return True  # it is held back, and nobody looked
    return isinstance(last, e.HandoffCompleted | e.HandoffStarted | e.PacketFailed)


def _says_of_everybody(action: c.Action, events: Sequence[e.Event], principal: c.Principal) -> bool:
    """Whether a look that led to nothing says that nobody can be found now.

    The engine's own looks do, and the first of a packet that was submitted.  Anybody else's may have been refused
    before a look (by right, by status, because the id is taken), may ask about one member, or is judged as that
    caller's: if it counted, whoever asks often enough could keep a packet of others from being asked about.
    """
    return "engine" in principal.rights or (isinstance(action, c.SubmitPacket) and bool(events))


def _passed(event: e.Event) -> bool:
    return isinstance(event, e.HandoffAborted) and event.cause in {"timeout", "refused"}


# --- in order -----------------------------------------------------------------------------

Place = tuple[int, int, str]
"""A packet's place in the queue: what sorts it."""

Rooms = dict[tuple[tuple[str, int], ...], bool]
"""What a packet takes -> whether some member has room for that."""

FIRST_MAX: Final = FOLLOW_UPS_PER_TICK_MAX // 4
"""Packets that are asked from the head of the queue before the look goes on where the last one stopped."""


def waiting(state: State, memory: Memory, now: int) -> Iterator[c.Action]:
    """Yield what is due for packets without an owner: their ends first, then looks for an owner in order."""
    asking: list[tuple[Place, Packet]] = []
    again: list[tuple[int, Place, Packet]] = []
    attempts_max = state.settings.attempts_max
    rooms: Rooms = {}
    for packet_id in sorted(state.unowned):
        packet = state.packets[packet_id]
        terms = packet.terms
        is_late = terms.deadline is not None and now >= terms.deadline
        if is_late or packet.attempts >= attempts_max:
            yield c.ExpirePacket(packet_id=packet_id)
        elif packet.request is not None and now >= packet.request.expires_at:
            yield c.ExpireReview(packet_id=packet_id)
        elif terms.hold:
            continue
        elif memory.is_changed(state, packet) and _may_fit(state, memory, packet, rooms):
            asking.append((place_of(packet), packet))
        elif memory.is_time(packet, now):
            attempt = memory.attempts.get(packet_id)
            again.append((attempt.retry_at if attempt else 0, place_of(packet), packet))
    asking.sort(key=_by_place)
    yield from _in_order(memory, list(_representatives(memory, asking)))
    # Time alone brings these up: for a policy that reads the time, or the packet's own history, one does not speak for
    # all.  The longest due comes first, so that each has its turn.
    again.sort(key=_by_time)
    yield from (c.PlacePacket(packet_id=packet.packet_id) for _, _, packet in again)


def before(state: State, memory: Memory, priority: int) -> Iterator[c.Action]:
    """Yield looks for an owner for those who wait with at least that *priority*, once after each change of the fleet.

    Room belongs to them before it belongs to a packet that has just come.
    """
    seen = state.fleet, state.freed
    known = memory.queue_seen
    if not state.unowned or (known is not None and known[:2] == seen and known[2] <= priority):
        return
    rooms: Rooms = {}
    asking = [
        (place_of(packet), packet)
        for packet in map(state.packets.__getitem__, state.unowned)
        if packet.terms.priority >= priority
        and not packet.terms.hold
        and packet.request is None
        and memory.is_changed(state, packet)
        and _may_fit(state, memory, packet, rooms)
    ]
    asking.sort(key=_by_place)
    memory.queue_seen = (*seen, priority)
    for _, packet in islice(_representatives(memory, asking), FOLLOW_UPS_PER_TICK_MAX):
        yield c.PlacePacket(packet_id=packet.packet_id)


def place_of(packet: Packet) -> Place:
    """Return *packet*'s place in the queue."""
    return -packet.terms.priority, packet.terms_since, packet.packet_id


def _by_place(one: tuple[Place, Packet]) -> Place:
    return one[0]


def _by_time(one: tuple[int, Place, Packet]) -> tuple[int, Place]:
    return one[:2]


def _may_fit(state: State, memory: Memory, packet: Packet, rooms: Rooms) -> bool:
    """Whether asking may be worth it: somebody has room, and nobody like it was told no in the same state of things."""
    kind = class_of(packet)
    if kind is not None and memory.classes.get(kind) == seen_by(state, packet):
        return False
    if not waits_for_room(packet):
        return True
    demand = packet.terms.demand
    if demand not in rooms:
        rooms[demand] = any(_has_room(member, packet.terms) for member in state.roster())
    return rooms[demand]


def _has_room(member: Member, terms: Terms) -> bool:
    if member.status is not MemberStatus.ACTIVE or member.pressed:
        return False
    return fits(Request("", 0, terms.workload_type, dict(terms.demand)), member)


def _representatives(
    memory: Memory, asking: list[tuple[Place, Packet]]
) -> Iterator[tuple[Place, Packet]]:
    """Yield one packet of each class of which one was told no before; when it finds an owner, the others follow."""
    spoken_for: set[Class] = set()
    for place, packet in asking:
        kind = class_of(packet)
        if kind is not None and kind in memory.classes:
            if kind in spoken_for:
                continue
            spoken_for.add(kind)
        yield place, packet


def _in_order(memory: Memory, asking: list[tuple[Place, Packet]]) -> Iterator[c.PlacePacket]:
    """Yield looks for an owner from the head of the queue, then from where the last look was cut short."""
    for _, packet in asking[:FIRST_MAX]:
        yield c.PlacePacket(packet_id=packet.packet_id)
    rest = asking[FIRST_MAX:]
    stopped = memory.waiting_from
    start = 0 if stopped is None else bisect_right(rest, stopped, key=_by_place)
    for place, packet in (*rest[start:], *rest[:start]):
        memory.waiting_from = place
        yield c.PlacePacket(packet_id=packet.packet_id)
    memory.waiting_from = None
