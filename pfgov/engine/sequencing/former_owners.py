"""Who may still be at work on a packet that was taken from it: former owners that have not said that they stopped.

A change of owner is final when it is committed, but who had the packet hears of it later; or not at all, until its
lease is over by its own clock.  Until one or the other the next owner owns the packet and must not begin: each of its
heartbeats says so.  Nothing here is recorded and nothing is decided upon it, for a late write is refused by its epoch
whatever is known here.  Only a process that named its session was promised a lease to work by.  Times are microseconds
of the monotonic clock, since members count by theirs: a wall clock that steps ends nothing early.  After a restart
nobody knows who was heard when; whoever had a packet lately counts as heard.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pfgov.core import events as e
from pfgov.core.records import Member, Packet
from pfgov.core.state import State
from pfgov.engine.answers import Request
from pfgov.limits import MICRO

Life = tuple[str, int]
"""A member in one of its lives: id and incarnation."""


@dataclass(slots=True)
class _Former:
    """That a life had a packet, up to ``epoch``, until the entry at ``position``; it works on it at most ``until``."""

    epoch: int
    position: int
    until: int
    is_extended: bool = False


@dataclass(slots=True)
class _Lived:
    """Until when a life may work on what it has, as far as it was told, and the name of its process."""

    until: int
    session: str | None = None
    had: dict[str, _Former] = field(default_factory=dict[str, _Former])


class FormerOwners:
    """The former owners of one ledger's packets.  The holder of the exclusive section uses it."""

    def __init__(self, monotonic: Callable[[], int]) -> None:
        """Take the clock by which leases are counted here."""
        self._monotonic = monotonic
        self._lives: dict[Life, _Lived] = {}
        self._of_packet: dict[str, set[Life]] = {}

    # --- until when a life may work -------------------------------------------------------

    def lives(self, member: Member, ttl: int) -> None:
        """Let *member* work for *ttl* from now: its lease began, or was renewed."""
        self._live((member.member_id, member.incarnation), ttl)

    def _live(self, life: Life, ttl: int, session: str | None = None) -> None:
        lived = self._lives.setdefault(life, _Lived(0))
        lived.until = self._monotonic() + ttl
        if session is not None:
            lived.session = session

    def heard(
        self,
        member: Member,
        session: str,
        held: Sequence[tuple[str, int]],
        *,
        knows: int | None,
        size: int,
    ) -> None:
        """Take note of what the process *session* of *member* says that it holds, now that its lease is renewed.

        It *knows* what was committed up to that position, and a packet that it does not name then is one on which it
        stopped.  One that knows less may be about to begin what it owned when it asked: once its lease counts anew.
        """
        lived = self._lives[member.member_id, member.incarnation]
        lived.session = session
        named: dict[str, int] = {}
        for packet_id, epoch in held:
            named[packet_id] = min(epoch, named.get(packet_id, epoch))
        if knows is not None and knows >= size:
            knows = None  # it speaks of another history
        for packet_id, former in tuple(lived.had.items()):
            if named.get(packet_id, former.epoch + 1) <= former.epoch:
                continue  # it is told that it lost the packet, or hears nothing and has no longer lease
            if knows is not None and knows >= former.position:
                self._forget((member.member_id, member.incarnation), packet_id)
            elif not former.is_extended:
                former.is_extended, former.until = True, lived.until

    def goes_on(self, member: Member, packet_id: str) -> None:
        """Note that *member* is told nothing of a loss that is decided and not committed: its lease counts for it."""
        lived = self._lives.get((member.member_id, member.incarnation))
        former = None if lived is None else lived.had.get(packet_id)
        if lived is not None and former is not None:
            former.until = lived.until

    def left(self, member_id: str, incarnation: int, session: str | None) -> None:
        """Let the process *session* have stopped everything: it says so, even after its life was declared over."""
        life = (member_id, incarnation)
        lived = self._lives.get(life)
        if lived is not None and session is not None and lived.session == session:
            self._end(life)

    def dead(self, member_id: str) -> None:
        """Let every process of *member_id* be dead: an operator says so."""
        for life in [life for life in self._lives if life[0] == member_id]:
            self._end(life)

    def _end(self, life: Life) -> None:
        for packet_id in tuple(self._lives[life].had):
            self._forget(life, packet_id)
        del self._lives[life]

    # --- what was taken from whom ---------------------------------------------------------

    def note(self, request: Request) -> None:
        """Take note of what was just decided upon *request*, for once it is committed anybody may read it.

        An owner that gives a packet away itself works on it no more.  What is never committed is noted, too: then the
        owner stays, and nobody waits for who had the packet under its own epoch.
        """
        claim = getattr(request.action, "owner", None)
        by = None if claim is None else claim.member_id
        for position, event in enumerate(request.events, request.first):
            if isinstance(event, e.OwnershipRevoked | e.PacketRequeued):
                self._taken(event.packet_id, event.owner, event.epoch, position, by)
            elif isinstance(event, e.HandoffCompleted):
                self._taken(event.packet_id, event.source, event.epoch, position, by)

    def ended(self, packet_id: str) -> None:
        """Forget the former owners of a packet that has ended."""
        for life in tuple(self._of_packet.get(packet_id, ())):
            self._forget(life, packet_id)

    def _taken(
        self, packet_id: str, owner: e.Owner, epoch: int, position: int, by: str | None
    ) -> None:
        lived = self._lives.get((owner.member_id, owner.incarnation))
        if lived is None or lived.session is None or by == owner.member_id:
            return
        if lived.until > self._monotonic():
            former = _Former(epoch - 1, position, lived.until)
            self._add((owner.member_id, owner.incarnation), packet_id, former)

    def _add(self, life: Life, packet_id: str, former: _Former) -> None:
        self._lives[life].had[packet_id] = former
        self._of_packet.setdefault(packet_id, set()).add(life)

    def _forget(self, life: Life, packet_id: str) -> None:
        self._lives[life].had.pop(packet_id, None)
        lives = self._of_packet[packet_id]
        lives.discard(life)
        if not lives:
            del self._of_packet[packet_id]

    # --- what follows from it -------------------------------------------------------------

    def hold_back(self, packet_id: str, epoch: int) -> int:
        """Return for how long at most, in microseconds, who owns a packet under *epoch* must not begin; 0: it may."""
        now = self._monotonic()
        former = (self._lives[life].had[packet_id] for life in self._of_packet.get(packet_id, ()))
        return max((one.until - now for one in former if one.epoch < epoch), default=0)

    def are_over(self) -> bool:
        """Whether nobody was promised a lease that still runs."""
        self.trim()
        return not self._lives

    def trim(self) -> None:
        """Forget what is over."""
        now = self._monotonic()
        for life, lived in tuple(self._lives.items()):
            for packet_id, former in tuple(lived.had.items()):
                if former.until <= now:
                    self._forget(life, packet_id)
            if lived.until <= now and not lived.had:
                del self._lives[life]

    # --- after a restart ------------------------------------------------------------------

    def after_restart(
        self, state: State, ttls: Mapping[str, int], sessions: Mapping[str, str], now: int
    ) -> None:
        """Begin at *now* (the ledger's time) with members whose leases last *ttls* and whose processes are *sessions*.

        Whatever was moved less than a lease ago may still be worked on by whoever had it: for a lease from now, unless
        that says that it is not.  Nobody knows whether a member had a process that was declared failed as lately.
        """
        promised: dict[str, int] = {}
        for member in state.members.values():
            name, default = member.member_id, member.lease_seconds or state.settings.lease_seconds
            ttl = ttls.get(name, default * MICRO)
            if name in sessions or _has_failed(member, now, ttl):
                promised[name] = ttl
                self._live((name, member.incarnation), ttl, sessions.get(name, _UNKNOWN))
        for packet in state.packets.values():
            life = (packet.owner or "", packet.incarnation)
            if (
                packet.owner in promised and life not in self._lives
            ):  # to be taken from a former life
                self._live(life, promised[packet.owner], _UNKNOWN)
            moved_for = now - (packet.changed_at if packet.owner is None else packet.moved_at)
            for name in set(packet.owners):
                if moved_for < promised.get(name, 0):
                    self._may_have_had(state, name, packet, promised[name], now)

    def _may_have_had(self, state: State, name: str, packet: Packet, ttl: int, now: int) -> None:
        """Count a member as a former owner of *packet*, in whichever of its lives may have had it lately.

        Only the last owner is on record as a life.  Of the others it is the present one, and the one before where that
        was declared over less than a lease ago.
        """
        member, last = state.members[name], packet.last_owner
        incarnations = {member.incarnation}
        if last is not None and last.member_id == name:
            incarnations.add(last.incarnation)
        if _has_failed(member, now, ttl):
            incarnations.add(member.incarnation - 1)
        epoch = packet.epoch if packet.owner is None else packet.epoch - 1
        for life in sorted((name, incarnation) for incarnation in incarnations):
            if life not in self._lives:
                self._live(life, ttl, _UNKNOWN)
            former = _Former(epoch, state.size - 1, self._lives[life].until)
            self._add(life, packet.packet_id, former)


_UNKNOWN: Final = ""
"""The session of a life that may have had one: nobody draws that name."""


def _has_failed(member: Member, now: int, ttl: int) -> bool:
    """Whether a life of *member* was declared over less than a lease ago."""
    return bool(member.failures) and now - member.failures[-1] < ttl
