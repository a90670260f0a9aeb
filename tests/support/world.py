"""A world in memory: the real ``decide`` and ``apply``, a real policy set, no store, no keys, no threads.

Every event takes the way that it takes in production: encoded as canonical JSON, decoded again, applied.  After every
command the promises that can be read off the state are checked.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.decide import Decided, LeaseView, Memory, Tools, decide, due
from pfgov.core.lifecycle import (
    EPOCH_RAISED_BY,
    MEMBER_TRANSITIONS,
    OWNED,
    PACKET_TRANSITIONS,
    TERMINAL,
    MemberStatus,
    PacketStatus,
)
from pfgov.core.policy_port import Kinds, Question
from pfgov.core.records import Member, Packet, Stamp
from pfgov.core.state import State
from pfgov.core.verdicts import ALLOW, Point, Verdict, combine, reserved
from pfgov.errors import PfgovError
from pfgov.policy import SEMANTICS, PolicySet
from pfgov.policy.files.labels import Declarations
from pfgov.scheduling.registry import scheduler

START = 1_782_331_200_000_000
SECOND = 1_000_000
OPERATOR = c.LOCAL_OPERATOR


class FakePolicy:
    """A policy set whose verdicts a test writes: ``(point, packet facts, member facts) -> Verdict``."""

    digest = "f" * 64
    document = b"{}"
    policies = (("fake", "1", "enforce"),)
    points = ("register", "assign", "handoff", "accept", "retain", "export")
    guards: frozenset[Point] = frozenset()
    semantics = SEMANTICS
    labels = Declarations()

    def __init__(
        self, rule: Callable[[str, Mapping[str, Any] | None, Mapping[str, Any]], Verdict]
    ) -> None:
        self.rule = rule

    def reads_of(self, *_: object) -> tuple[tuple[str, ...], ...]:
        """Say that its rules read nothing, for it has none."""
        return ()

    reads_load = frozenset(Point)
    reads_time = frozenset(Point)
    redacts = frozenset(Point)

    def judge(
        self, question: Any, members: Sequence[Mapping[str, Any]], *, validated: bool = False
    ) -> list[Verdict]:
        """Ask the test's rule about each member."""
        return [self.rule(question.point.value, question.packet, member) for member in members]

    def fleet(self, _: Point) -> "FakePolicy":
        """Judge a whole fleet by the test's rule, too."""
        return self

    def kinds(self, question: Question, members: Sequence[Mapping[str, Any]]) -> Kinds:
        """Ask the test's rule about each member."""
        packet = question.packet
        found = [self.rule(question.action, packet, member) for member in members]
        return Kinds(found, range(len(found)))


def _row(event: e.Event) -> str:
    """Return the name of the row that *event* takes in the table of a packet or a member."""
    if isinstance(event, e.AssignmentDecision):
        outcomes = {"allowed": "assignment_allowed", "escalated": "assignment_escalated"}
        return outcomes.get(event.outcome, "assignment_refused")
    if isinstance(event, e.ReviewRecorded) and not event.granted:
        return "review_refused"
    return event.type


def active_only(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
    """Allow whoever is ACTIVE, and everybody at retain."""
    if point in {"retain", "register"} or member["status"] == "ACTIVE":
        return ALLOW
    return combine((reserved("lifecycle", f"{member['id']} is {member['status']}"),))


@dataclass
class World:
    """A ledger's worth of history, in memory."""

    policy: PolicySet | FakePolicy = field(default_factory=lambda: FakePolicy(active_only))
    scheduler: str = "rendezvous"
    now: int = START
    state: State = field(default_factory=State)
    entries: list[tuple[Stamp, e.Event]] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    leases: dict[str, LeaseView] = field(default_factory=dict)
    tables: dict[str, bytes] = field(default_factory=dict)
    drawn: int = 0

    def __post_init__(self) -> None:
        """Write the genesis and activate the policy."""
        self.tools = Tools(
            policies=lambda _: self.policy,  # type: ignore[arg-type,return-value]
            scheduler=lambda ref: scheduler(ref.name, ref.parameters),
            index=lambda: (0, "0" * 64),
            complete=True,
        )
        self.do(
            c.CreateLedger(
                origin="pfgov.test/world",
                engine="test",
                semantics=e.SEMANTICS,
                keys=(("issuer", "1" * 64), ("log", "2" * 64)),
                scheduler=self.scheduler,
            )
        )
        self.do(
            c.ActivatePolicy(
                digest=self.policy.digest, policies=tuple(self.policy.policies), points=()
            )
        )

    # --- acting ----------------------------------------------------------------------------

    def decide(self, action: c.Action, principal: c.Principal = OPERATOR) -> Decided:
        """Decide without applying."""
        self.drawn += 1
        command = c.Command(id=f"c{self.drawn:06d}", principal=principal, do=action)  # type: ignore[arg-type]
        return decide(self.state, command, self.now, self.tools)

    def do(self, action: c.Action, principal: c.Principal = OPERATOR) -> list[e.Event]:
        """Decide, encode, decode, apply, check; raise the refusal if there is one."""
        decided = self.decide(action, principal)
        for event in decided.events:
            self.append(e.decode_body(event.type, e.encode_body(event)))
        self.tables.update(decided.tables)
        self.memory.note(self.state, action, decided.events, self.now, principal=principal)
        self.check()
        if decided.refusal is not None:
            raise decided.refusal
        return list(decided.events)

    def append(self, event: e.Event) -> None:
        """Apply one event at the next position."""
        stamp = Stamp(self.state.size, self.now)
        before, statuses = self._epochs(), self._statuses()
        apply(self.state, event, stamp)
        self.entries.append((stamp, event))
        self._epoch_rose_by_one(event, before)
        self._took_a_row(event, statuses)

    def settle(self, rounds: int = 50) -> list[e.Event]:
        """Run follow-ups until nothing is due."""
        done: list[e.Event] = []
        for _ in range(rounds):
            actions = self.due()
            if not actions:
                return done
            for action in actions:
                self.follow(action, done)
        raise AssertionError(f"still due after {rounds} rounds: {actions[:3]}")

    def due(self) -> list[c.Action]:
        """Return what is due."""
        is_timed = isinstance(self.policy, PolicySet) and Point.RETAIN in self.policy.reads_time
        return due(self.state, self.memory, self.leases, self.now, is_timed=is_timed)

    def follow(self, action: c.Action, done: list[e.Event]) -> None:
        """Run one follow-up as the engine does, and note a fruitless one."""
        try:
            events = self.do(action, c.ENGINE)
        except PfgovError:
            events = []
        done += events

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += round(seconds * SECOND)

    # --- shorthands ------------------------------------------------------------------------

    def member(self, member_id: str, **fields: Any) -> Member:
        """Register a member and return it."""
        self.do(c.RegisterMember(member_id=member_id, type="agent", **fields))
        return self.state.members[member_id]

    def packet(self, packet_id: str, **fields: Any) -> Packet:
        """Submit a packet and return it."""
        self.do(
            c.SubmitPacket(
                packet_id=packet_id, workload_type="test", lineage_id=f"lin-{packet_id}", **fields
            )
        )
        return self.state.packets[packet_id]

    def review(self, packet_id: str, *, granted: bool = True, **fields: Any) -> c.ReviewPacket:
        """Return a review of a packet as it stands now."""
        version = self.state.packets[packet_id].version
        return c.ReviewPacket(packet_id=packet_id, granted=granted, version=version, **fields)

    def claim(self, packet_id: str) -> c.OwnerClaim:
        """Return the claim of a packet's present owner."""
        packet = self.state.packets[packet_id]
        assert packet.owner is not None
        return c.OwnerClaim(
            member_id=packet.owner, incarnation=packet.incarnation, epoch=packet.epoch
        )

    def types(self, start: int = 0) -> list[str]:
        """Return the types of the entries from *start* on."""
        return [event.type for _, event in self.entries[start:]]

    # --- the promises ----------------------------------------------------------------------

    def _epochs(self) -> dict[str, int]:
        return {packet_id: packet.epoch for packet_id, packet in self.state.packets.items()}

    def _statuses(self) -> tuple[dict[str, PacketStatus], dict[str, MemberStatus]]:
        packets, members = self.state.packets.values(), self.state.members.values()
        return {p.packet_id: p.status for p in packets}, {m.member_id: m.status for m in members}

    def _took_a_row(
        self,
        event: e.Event,
        before: tuple[dict[str, PacketStatus], dict[str, MemberStatus]],
    ) -> None:
        """Each change of a status is a row of its table, and nothing else changes one."""
        name, (packets, members) = _row(event), before
        packet_id, member_id = getattr(event, "packet_id", None), getattr(event, "member_id", None)
        rows = PACKET_TRANSITIONS.get(name)
        for other, packet in self.state.packets.items():
            was = packets.get(other)
            wanted = rows.get(was) if rows is not None and other == packet_id else was
            assert packet.status is wanted, (name, other, was, packet.status)
        living = MEMBER_TRANSITIONS.get(name)
        for other, member in self.state.members.items():
            status = members.get(other)
            if living is not None and other == member_id:
                assert member.status in living.get(status, frozenset()), (name, other, status)
            else:
                assert member.status is status, (name, other, status, member.status)

    def _epoch_rose_by_one(self, event: e.Event, before: dict[str, int]) -> None:
        name, packet_id = _row(event), getattr(event, "packet_id", None)
        for other, packet in self.state.packets.items():
            rise = 1 if other == packet_id and name in EPOCH_RAISED_BY else 0
            assert packet.epoch == before.get(other, 0) + rise, (name, other)

    def check(self) -> None:
        """One owner at most, load equals what is owned or reserved, nobody waits in silence."""
        owned: dict[str, int] = {}
        for packet in self.state.packets.values():
            assert (packet.owner is not None) == (packet.status in OWNED), packet
            for holder in (packet.owner, packet.pending.target if packet.pending else None):
                if holder is not None:
                    owned[holder] = owned.get(holder, 0) + 1
            if packet.status not in TERMINAL and packet.owner is None:
                assert packet.packet_id in self.state.unowned
        for member in self.state.members.values():
            assert member.active == owned.get(member.member_id, 0), member.member_id
            assert not any(amount < 0 for amount in member.used.values())

    def refold(self) -> State:
        """Fold the history into a fresh state."""
        fresh = State()
        for stamp, event in self.entries:
            apply(fresh, event, stamp)
        return fresh
