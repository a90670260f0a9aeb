"""The state that decisions read: members, packets, keys, configuration, active policy set.

Folding every entry of a ledger through :func:`pfgov.core.apply.apply` gives the folded tables back, byte for byte;
they are
listed in :data:`FOLDED_TABLES`.  What is derived (who owns what, who waits) is kept here for speed and never stored.
This module knows no rules: leases, salts and payloads live outside, in the engine and the store.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from pfgov.core import events as e
from pfgov.core.lifecycle import OWNED, TERMINAL, MemberStatus, PacketStatus
from pfgov.core.ordered import Ids, Rows, in_order
from pfgov.core.records import (
    ENCODE,
    Denial,
    Exempt,
    Halt,
    Key,
    Member,
    Packet,
    Proposal,
    Publisher,
    Terms,
)
from pfgov.core.scheduler import TASKS
from pfgov.core.spelling import looks
from pfgov.decoding import Reader
from pfgov.errors import StoreCorruptError
from pfgov.limits import MICRO, PREVIOUS_OWNERS_MAX

FOLDED_TABLES: Final = ("member", "packet", "ledger_state")
"""What a fold rebuilds: members, packets (with their reviews), and keys, configuration and active policy set."""


FREED_MIN: Final = 8
"""Packets that must have been given back, beside one for every eighth member, before the least is taken anew."""


@dataclass(slots=True)
class CertainRoom:
    """What every one of some members has left at least, so that most packets need not ask each.

    It only sinks as packets are given out, and is taken anew after a change of the fleet or once much was freed: in
    between it may be too low, never too high.  :func:`~pfgov.core.scheduler.fits` on each is what it stands for.

    Attributes:
        least: By dimension that one of them bounds, in micro-units; of ``tasks`` what is left by count, too.
        is_pressed: Whether one of them takes nothing new.
        freed: The count of packets given back when this was taken.
        members: How many they are.
    """

    least: dict[str, int]
    is_pressed: bool
    freed: int
    members: int

    def suffices(self, demand: Mapping[str, int]) -> bool:
        """Whether each of them has room for *demand* and one packet more."""
        if self.is_pressed:
            return False
        for name, room in self.least.items():
            wanted = demand.get(name, 0)
            if (max(wanted, MICRO) if name == TASKS else wanted) > room:
                return False
        return True

    def given(self, member: Member, terms: Terms) -> None:
        """Note that *member* holds a packet of *terms* more."""
        least, capacity = self.least, member.capacity
        if TASKS in capacity:
            least[TASKS] = min(least[TASKS], _left(member, TASKS))
        for name, _ in terms.demand:
            if name in capacity:
                least[name] = min(least[name], _left(member, name))

    def is_stale(self, freed: int) -> bool:
        """Whether so much was given back since that taking it anew may pay."""
        return freed - self.freed > FREED_MIN + self.members // 8


def certain_room(members: Iterable[Member], freed: int) -> CertainRoom:
    """Return what every one of *members* has left at least, after *freed* packets were given back."""
    found = CertainRoom({}, is_pressed=False, freed=freed, members=0)
    least = found.least
    for member in members:
        found.members += 1
        found.is_pressed = found.is_pressed or member.pressed
        for name in member.capacity:
            room = _left(member, name)
            if name not in least or room < least[name]:
                least[name] = room
    return found


def _left(member: Member, name: str) -> int:
    limit = member.capacity[name]
    left = limit - member.used.get(name, 0)
    return min(left, limit - member.active * MICRO) if name == TASKS else left


class State:
    """Everything a decision may read.  Build it with :meth:`empty` and events, or from stored rows."""

    __slots__ = (
        "_living", "_looks", "_room", "_roster", "configuration", "denials", "engine", "exempt", "expiring",
        "facts", "fleet", "freed", "halt", "keys", "live_packets", "members", "origin", "owned", "packets",
        "policies", "policies_before", "policy", "policy_since", "predecessor", "proposals", "publishers",
        "semantics", "size", "time", "touched", "unowned", "watched",
    )  # fmt: skip

    def __init__(self) -> None:
        self.origin = ""
        self.engine = ""
        self.semantics = 0
        self.size = 0
        self.time = 0
        self.predecessor: e.Predecessor | None = None
        self.configuration: e.Configuration | None = None
        self.halt: Halt | None = None
        self.exempt: Exempt | None = None
        self.keys: Rows[Key] = Rows()
        self.policy: str | None = None
        self.policy_since = 0
        self.policies: tuple[e.PolicyRef, ...] = ()
        self.denials: tuple[Denial, ...] = ()
        self.proposals: Rows[Proposal] = Rows()
        self.publishers: Rows[Publisher] = Rows()
        self.policies_before: tuple[str, ...] = ()
        self.members: Rows[Member] = Rows()
        self.packets: Rows[Packet] = Rows()
        # Derived, never stored: who owns what, who waits, how many live, and a counter of changes to the fleet.  Ended
        # packets may be in memory or not: nothing may depend on how many are.
        self.owned: Rows[Ids] = Rows()
        self.unowned = Ids()
        self.watched = Ids()
        self.live_packets = 0
        self.expiring = 0
        self.fleet = 0
        self.freed = 0
        self.facts: dict[str, dict[str, object]] = {}
        self._living: Rows[Member] = Rows()
        self._roster: list[Member] | None = None
        self._room: CertainRoom | None = None
        self._looks: dict[str, Ids] = {}
        self.touched: set[tuple[str, str]] = set()

    # --- reading ---------------------------------------------------------------------------

    @property
    def settings(self) -> e.Configuration:
        """The configuration in force.

        Raises:
            LookupError: the ledger has no genesis yet.
        """
        if self.configuration is None:
            raise LookupError("the ledger has no genesis entry")
        return self.configuration

    def roster(self) -> list[Member]:
        """Return every member that has not retired, in id order."""
        if self._roster is None:
            self._roster = self._living.values()
        return self._roster

    def has_room_everywhere(self, demand: Mapping[str, int]) -> bool:
        """Whether it is certain that every member which has not retired has room for *demand*, and takes new work."""
        known = self._room
        if known is None:
            known = self._room = certain_room(self.roster(), self.freed)
        if known.suffices(demand):
            return True
        if not known.is_stale(self.freed):
            return False
        known = self._room = certain_room(self.roster(), self.freed)
        return known.suffices(demand)

    def alike(self, member_id: str) -> str | None:
        """Return the first other member on record, retired or not, that looks like *member_id* does."""
        found = {one for look in looks(member_id) for one in self._looks.get(look, ())}
        return min(found - {member_id}, default=None)

    def live(self) -> Iterable[Packet]:
        """Return the packets that have not ended."""
        return (packet for packet in self.packets.values() if packet.status not in TERMINAL)

    # --- rows ------------------------------------------------------------------------------

    def row(self, table: str, key: str) -> bytes:
        """Return the stored form of one row of a folded table: canonical JSON."""
        if table == "member":
            return ENCODE(self.members[key])
        if table == "packet":
            return ENCODE(self.packets[key])
        return ENCODE(self._ledger_row(key))

    def _ledger_row(self, key: str) -> object:
        if key == "keys":
            return sorted(self.keys.values(), key=lambda k: (k.since, k.public))
        if key == "publishers":
            return self.publishers.values()
        if key == "policy":
            binding: dict[str, object] = {
                "active": self.policy,
                "policies": self.policies,
                "since": self.policy_since,
            }
            # each is absent where there is none, so that the rows of older ledgers are what they were
            if self.denials:
                binding["denials"] = self.denials
            if self.proposals:
                binding["proposals"] = self.proposals.values()
            if self.policies_before:
                binding["before"] = self.policies_before
            return binding
        head: dict[str, object] = {
            "configuration": self.configuration,
            "engine": self.engine,
            "origin": self.origin,
            "predecessor": self.predecessor,
            "semantics": self.semantics,
        }
        # absent where there is none, so that the rows of older rules are what they were
        rare = {"halt": self.halt, "exempt": self.exempt}
        return head | {name: value for name, value in rare.items() if value is not None}

    def load_row(self, table: str, key: str, raw: bytes) -> None:
        """Put one stored row back.  Rows may come in any order.

        Raises:
            StoreCorruptError: ``store.altered``, no version that is known writes such a row.
        """
        try:
            self._load_row(table, key, raw)
        except msgspec.MsgspecError as error:
            raise StoreCorruptError(
                f"the row of {table} {key[:64]} was changed in the database: {error}",
                code="store.altered",
                hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
            ) from error

    def _load_row(self, table: str, key: str, raw: bytes) -> None:
        if table == "member":
            member = _MEMBER.decode(raw)
            _hold(member.member_id == key, "it is about another member")
            self._put_member(member)
        elif table == "packet":
            packet = _PACKET.decode(raw)
            _hold(packet.packet_id == key, "it is about another packet")
            _hold((packet.status in OWNED) == (packet.owner is not None), "owner and status differ")
            is_offered = packet.status is PacketStatus.HANDOFF_PENDING
            _hold(is_offered == (packet.pending is not None), "handoff and status differ")
            self._put_packet(packet)
        elif key == "keys":
            keys = _KEYS.decode(raw)
            _hold(all(_PUBLIC.fullmatch(k.public) for k in keys), "one of the keys is none")
            self.keys = Rows((k.public, k) for k in keys)
        elif key == "publishers":
            stored_publishers = _PUBLISHERS.decode(raw)
            self.publishers = Rows((one.name, one) for one in stored_publishers)
        elif key == "policy":
            stored = _POLICY.decode(raw)
            self.policy, self.policies, self.policy_since = (
                stored.active,
                stored.policies,
                stored.since,
            )
            self.denials = stored.denials
            self.proposals = Rows((one.digest, one) for one in stored.proposals)
            self.policies_before = stored.before
        else:
            head = _LEDGER.decode(raw)
            self.configuration, self.engine, self.origin = (
                head.configuration,
                head.engine,
                head.origin,
            )
            self.predecessor, self.semantics = head.predecessor, head.semantics
            self.halt, self.exempt = head.halt, head.exempt

    def rows(self) -> Iterable[tuple[str, str]]:
        """Return the (table, key) of every row there is."""
        yield from (("member", key) for key in self.members)
        yield from (("packet", key) for key in self.packets)
        yield from (("ledger_state", key) for key in ("keys", "ledger", "policy"))
        if self.publishers:  # absent where there is none, as with the rows of older ledgers
            yield "ledger_state", "publishers"

    def forget(self, packet_id: str) -> None:
        """Drop an ended packet from memory; the store keeps its row."""
        packet = self.packets.get(packet_id)
        if packet is not None and packet.status in TERMINAL:
            del self.packets[packet_id]

    # --- bookkeeping used by apply ---------------------------------------------------------

    def fleet_changed(self) -> None:
        """Note that who may own what may have changed."""
        self.fleet += 1
        self._roster = self._room = None

    def member_changed(self, member_id: str) -> None:
        """Note that a member's row, and with it what policies see of it, changed."""
        self.facts.pop(member_id, None)
        self._note_living(self.members[member_id])
        self.fleet_changed()
        self.touched.add(("member", member_id))

    def take(self, packet: Packet, owner: e.Owner) -> None:
        """Make *owner* the owner of *packet*."""
        self.unowned.discard(packet.packet_id)
        packet.owner, packet.incarnation = owner.member_id, owner.incarnation
        self.owned.setdefault(owner.member_id, Ids()).add(packet.packet_id)
        self.load(owner.member_id, packet.terms, 1)

    def drop(self, packet: Packet) -> None:
        """Leave *packet* without an owner."""
        if packet.owner is None:
            return
        self.owned.get(packet.owner, Ids()).discard(packet.packet_id)
        self.load(packet.owner, packet.terms, -1)
        packet.last_owner = packet.holder
        packet.owners = (*packet.owners, packet.owner)[-PREVIOUS_OWNERS_MAX:]
        packet.owner, packet.incarnation = None, 0
        packet.obligations, packet.view = (), None

    def release_target(self, packet: Packet) -> None:
        """Give the reserved capacity of a pending handoff back."""
        if packet.pending is not None:
            self.load(packet.pending.target, packet.terms, -1)
            packet.pending = None

    def load(self, member_id: str, terms: Terms, sign: int) -> None:
        """Add or remove one packet's demand from a member's load."""
        member = self.members[member_id]
        member.active += sign
        self.freed += sign < 0
        for name, amount in terms.demand:
            left = member.used.get(name, 0) + sign * amount
            if left and name in member.used:
                member.used[name] = left
            elif left:
                member.used = in_order({**member.used, name: left})
            else:
                member.used.pop(name, None)
        if sign > 0 and self._room is not None:
            self._room.given(member, terms)
        self.touched.add(("member", member_id))

    def queue(self, packet_id: str) -> None:
        """Note that *packet_id* waits for an owner."""
        self.unowned.add(packet_id)

    def watch(self, packet: Packet) -> None:
        """Note whether time alone can make something due for *packet*, or a change of its terms did."""
        if packet.status in OWNED and (
            packet.terms.deadline is not None
            or packet.pending is not None
            or packet.waiting is not None
            or packet.terms.progress_seconds is not None
            or packet.terms_since > packet.judged
        ):
            self.watched.add(packet.packet_id)
        else:
            self.watched.discard(packet.packet_id)

    def leave_queue(self, packet: Packet) -> None:
        """Note that *packet* no longer waits."""
        self.unowned.discard(packet.packet_id)

    def _note_living(self, member: Member) -> None:
        """Keep those who have not retired apart, so that however many have cost a decision nothing."""
        if member.status is MemberStatus.RETIRED:
            self._living.pop(member.member_id, None)
        else:
            self._living[member.member_id] = member

    def add_member(self, member: Member) -> None:
        """Put *member* on record, in the place of an earlier life of it."""
        if member.member_id not in self.members:
            for look in looks(member.member_id):
                self._looks.setdefault(look, Ids()).add(member.member_id)
        self.members[member.member_id] = member

    def _put_member(self, member: Member) -> None:
        self.add_member(member)
        self._note_living(member)
        if member.attested is not None and member.attested.expires_at is not None:
            self.expiring += 1
        self.fleet_changed()

    def _put_packet(self, packet: Packet) -> None:
        self.packets[packet.packet_id] = packet
        if packet.owner is not None and packet.status in OWNED:
            self.owned.setdefault(packet.owner, Ids()).add(packet.packet_id)
        elif packet.status not in TERMINAL:
            self.queue(packet.packet_id)
        self.live_packets += packet.status not in TERMINAL
        self.watch(packet)


def _hold(holds: bool, why: str) -> None:  # noqa: FBT001 - what is held, and what is said otherwise
    if not holds:
        raise msgspec.ValidationError(why)


class _PolicyRow(msgspec.Struct, forbid_unknown_fields=True):
    active: str | None
    policies: tuple[e.PolicyRef, ...]
    since: int
    denials: tuple[Denial, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    before: tuple[str, ...] = ()


class _LedgerRow(msgspec.Struct, forbid_unknown_fields=True):
    configuration: e.Configuration | None
    engine: str
    origin: str
    predecessor: e.Predecessor | None
    semantics: int
    halt: Halt | None = None
    exempt: Exempt | None = None


_MEMBER: Final = Reader[Member](Member)
_PACKET: Final = Reader[Packet](Packet)
_PUBLIC: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = Reader[list[Key]](list[Key])
_PUBLISHERS: Final = Reader[list[Publisher]](list[Publisher])
_POLICY: Final = Reader[_PolicyRow](_PolicyRow)
_LEDGER: Final = Reader[_LedgerRow](_LedgerRow)
