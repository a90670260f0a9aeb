"""What making a policy set binding would do at once, on a state that nobody changes.

Who would lose what it owns, which packets that wait would find an owner, who could not register as it is now, and which
decision points nothing would cover.  Asked as the engine's own follow-ups would ask, one by one; what would follow from
those in turn is not guessed.  Nothing here reads a store or a clock.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import NeedsOverlayError, NeedsViewError, Tools, decide
from pfgov.core.decide.asking import facts_of, question_of
from pfgov.core.decide.context import Context
from pfgov.core.lifecycle import OWNED, MemberStatus
from pfgov.core.scheduler import Scheduler
from pfgov.core.state import State
from pfgov.core.verdicts import GUARDING, PLACING, Point
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet

LISTED_MAX: Final = 1_000
"""Rows that are listed of each kind; all are counted."""

ID: Final = "impact"
"""The id of the commands that are asked here; they are never recorded."""


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """A packet or a member for which something would change at once.

    Attributes:
        packet_id: The packet; None where a member alone is meant.
        member_id: Who owns it, would own it, or could not register.
        rules: The names of the rules that say so.
    """

    packet_id: str | None = None
    member_id: str | None = None
    rules: tuple[str, ...] = ()


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are, and the first of them in the order of their ids."""

    count: int = 0
    first: tuple[Affected, ...] = ()


class Consequences(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen at once.

    Attributes:
        revoked: Packets that their owners would lose, and would keep under the binding set.
        redacted: Packets of whose context more would be withheld from their owners.
        placed: Packets that wait and would find an owner.
        kept_out: Members that could not register as they are, and could under the binding set.
        uncovered: Placing points that the binding set covers and nothing would: nothing is allowed there.
        unguarded: Guarding points that would be left to rights alone.
    """

    revoked: Listed = Listed()
    redacted: Listed = Listed()
    placed: Listed = Listed()
    kept_out: Listed = Listed()
    uncovered: tuple[str, ...] = ()
    unguarded: tuple[str, ...] = ()

    @property
    def is_harmful(self) -> bool:
        """Whether somebody loses something: an owner, a newcomer, or a point its cover."""
        return bool(
            self.revoked.count or self.kept_out.count or self.uncovered or self.unguarded
        )  # fmt: skip


@dataclass(slots=True)
class _List:
    """Rows that are counted, and listed up to a bound."""

    count: int = 0
    first: list[Affected] = field(default_factory=list[Affected])

    def add(self, row: Affected) -> None:
        self.count += 1
        if len(self.first) < LISTED_MAX:
            self.first.append(row)

    def listed(self) -> Listed:
        return Listed(count=self.count, first=tuple(self.first))


def consequences(
    state: State,
    binding: PolicySet,
    proposed: PolicySet,
    scheduler: Callable[[e.SchedulerRef], Scheduler],
) -> Consequences:
    """Return what making *proposed* binding instead of *binding* would do at once.

    *state* may hold ended packets or not; it is the same afterwards.  The time is that of its last entry.
    """
    old, new = _World(state, binding, scheduler), _World(state, proposed, scheduler)
    revoked, redacted = _owners(state, old, new)
    return Consequences(
        revoked=revoked,
        redacted=redacted,
        placed=_waiting(state, old, new),
        kept_out=_members(state, old, new),
        uncovered=_named((binding.points - proposed.points) & PLACING),
        unguarded=_named((binding.guards - proposed.guards) & GUARDING),
    )


def _named(points: Iterable[Point]) -> tuple[str, ...]:
    return tuple(point.value for point in Point if point in points)


class _World:
    """A state under one set, as if that set were binding."""

    def __init__(
        self, state: State, policies: PolicySet, scheduler: Callable[[e.SchedulerRef], Scheduler]
    ) -> None:
        self._state, self._policies = state, policies
        self._facts: dict[str, dict[str, object]] = {}
        self._tools = Tools(
            policies=lambda _: policies,
            scheduler=scheduler,
            index=lambda: (0, ""),
            complete=True,
        )

    def decided(self, action: c.RejudgeOwner | c.PlacePacket) -> list[e.Event] | None:
        """Return what the engine would record of *action*; None where it would first have to redact a context.

        Raises:
            PfgovError: it is refused.
        """
        state = self._state
        kept = (state.facts, state.policy)
        state.facts, state.policy = self._facts, self._policies.digest
        try:
            command = c.Command(id=ID, principal=c.ENGINE, do=action)
            return decide(state, command, state.time, self._tools).events
        except (NeedsViewError, NeedsOverlayError):
            return None
        finally:
            state.facts, state.policy = kept

    def keeps_out(self, member_id: str) -> tuple[str, ...]:
        """Return the rules that would keep a member out that registers as this one is now."""
        state = self._state
        kept = (state.facts, state.policy)
        state.facts, state.policy = self._facts, self._policies.digest
        try:
            command = c.Command(id=ID, principal=c.LOCAL_OPERATOR, do=c.CommitIndex())
            ctx = Context(state, command, state.time, self._tools)
            member = state.members[member_id]
            facts = {**facts_of(ctx, member, load=True), "status": MemberStatus.ACTIVE.value}
            question = question_of(ctx, self._policies, Point.REGISTER)
            verdict = self._policies.judge_one(question, facts, validated=True)
        finally:
            state.facts, state.policy = kept
        return () if verdict.outcome == "allow" else tuple(r.name for r in verdict.reasons)


def _owners(state: State, old: _World, new: _World) -> tuple[Listed, Listed]:
    """Return the packets whose owners would lose them, and those of whose context more would be withheld."""
    revoked, redacted = _List(), _List()
    owned = sorted(packet_id for ids in state.owned.values() for packet_id in ids)
    for packet_id in owned:
        packet = state.packets.get(packet_id)
        if packet is None or packet.status not in OWNED or packet.owner is None:
            continue
        asked = c.RejudgeOwner(packet_id=packet_id, epoch=packet.epoch)
        found = new.decided(asked)
        if found is None:
            redacted.add(Affected(packet_id=packet_id, member_id=packet.owner))
            continue
        rules = _taken(found)
        if rules is not None and _taken(old.decided(asked) or []) is None:
            revoked.add(Affected(packet_id=packet_id, member_id=packet.owner, rules=rules))
    return revoked.listed(), redacted.listed()


def _taken(events: Iterable[e.Event]) -> tuple[str, ...] | None:
    return next((x.reasons for x in events if isinstance(x, e.OwnershipRevoked)), None)


def _waiting(state: State, old: _World, new: _World) -> Listed:
    """Return the packets without an owner that would get one."""
    placed = _List()
    for packet_id in sorted(state.unowned):
        asked = c.PlacePacket(packet_id=packet_id)
        winner = _winner(new, asked)
        if winner is not None and _winner(old, asked) is None:
            placed.add(Affected(packet_id=packet_id, member_id=winner or None))
    return placed.listed()


def _winner(world: _World, asked: c.PlacePacket) -> str | None:
    """Return who would own the packet; None for nobody, and the empty text where its context is redacted first."""
    try:
        found = world.decided(asked)
    except PfgovError:
        return None
    if found is None:
        return ""
    owners = (x.owner for x in found if isinstance(x, e.AssignmentDecision))
    return next((owner.member_id for owner in owners if owner is not None), None)


def _members(state: State, old: _World, new: _World) -> Listed:
    """Return the members that could not register any more."""
    out = _List()
    for member in state.roster():
        rules = new.keeps_out(member.member_id)
        if rules and not old.keeps_out(member.member_id):
            out.add(Affected(member_id=member.member_id, rules=rules))
    return out.listed()
