"""Reviews on record: what they discharge, and for which facts they were granted.

A grant holds for what was looked at.  When it is given, each fact that the discharged rules read is noted as a digest
of its value; as soon as one has another value, the review has lapsed, and whoever reviews has to look again.  What says
who asks, why and when is no fact of what was looked at.  This module grants nothing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec

from pfgov.core import events as e
from pfgov.core.decide.asking import active_policy, facts_of, facts_of_packet
from pfgov.core.decide.context import Context
from pfgov.core.judging import LOAD_FACTS, MOVING_FACTS, REVIEW_FACTS
from pfgov.core.policy_port import Facts
from pfgov.core.records import Member, Packet, Review
from pfgov.core.verdicts import Point, Reason
from pfgov.limits import LAPSED_SHOWN_MAX

PLACE: Final = "place"
"""A review at one of assign, handoff, accept holds for all three: policies say ``on: [place]`` for them."""

PLACING_OWNERS: Final = (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT)

BOUND_TO_FACTS: Final = 4
"""The rules since which a review holds for a version of a packet, and only as long as the facts are those of it."""

_ENCODE: Final = msgspec.json.Encoder(order="sorted", enc_hook=repr).encode
_ABSENT: Final = "absent"

Path = tuple[str, ...]


def review_point(point: Point) -> str:
    """Return the point that a review asked for at *point* holds for."""
    return PLACE if point in PLACING_OWNERS else point.value


@dataclass(slots=True)
class Reads:
    """The paths of facts that some rules read, by what they are facts of."""

    packet: list[Path] = field(default_factory=list[Path])
    source: list[Path] = field(default_factory=list[Path])
    member: list[Path] = field(default_factory=list[Path])


def reads_of(ctx: Context, rules: Iterable[e.RuleRef], point: str) -> Reads:
    """Return what *rules* read that a review is granted for."""
    policy = active_policy(ctx)
    points = PLACING_OWNERS if point == PLACE else (Point(point),)
    found = {path for rule in rules for path in policy.reads_of(points, rule.policy, rule.rule)}
    reads = Reads()
    groups = {"packet": reads.packet, "source": reads.source, "member": reads.member}
    for path in sorted(found):
        if path[0] in groups and not (path[0] == "packet" and path[1:2] in REVIEW_FACTS):
            groups[path[0]].append(path)
    return reads


def source_of(ctx: Context, packet: Packet) -> Member | None:
    """Return who owns *packet*, or did last."""
    last = packet.holder or packet.last_owner
    return None if last is None else ctx.state.members.get(last.member_id)


def seen_now(ctx: Context, reads: Reads, packet: Packet, source: Member | None) -> dict[str, str]:
    """Return what a reviewer sees of *packet* and *source*: path -> digest of the value."""
    facts: Facts = {}
    if reads.packet:
        facts = facts_of_packet(ctx, active_policy(ctx), packet)
    seen = {".".join(path): _digest([_value(facts, path)]) for path in reads.packet}
    came_from = None if source is None else facts_of(ctx, source, load=True)
    for path in reads.source:
        seen[".".join(path)] = _digest([_value(came_from or {}, path)])
    return seen


def candidate_now(ctx: Context, reads: Reads, member: Member) -> str:
    """Return what a reviewer sees of *member*: a digest of what is its own, and one of what its work makes of it."""
    facts = facts_of(ctx, member, load=True)
    own = [path for path in reads.member if path[1:2] not in LOAD_FACTS]
    load = [path for path in reads.member if path[1:2] in LOAD_FACTS]
    return ":".join(_digest([_value(facts, path) for path in paths]) for paths in (own, load))


def _value(facts: Mapping[str, object], path: Path) -> object:
    value: object = facts
    for step in path[1:]:
        if not isinstance(value, dict) or step not in value:
            return [_ABSENT]
        value = cast("Facts", value)[step]
    return [_ABSENT, value]


def _digest(values: Sequence[object]) -> str:
    return hashlib.sha256(_ENCODE(values)).hexdigest()


@dataclass(slots=True)
class Standing:
    """The reviews of one packet as they stand at one question; what was worked out once is kept."""

    ctx: Context
    packet: Packet
    point: Point
    source: Member | None
    _reads: dict[int, Reads] = field(default_factory=dict[int, Reads])
    _changed: dict[int, tuple[str, ...]] = field(default_factory=dict[int, tuple[str, ...]])

    def lapsed(self, review: Review, member: Member) -> tuple[str, ...]:
        """Return the paths of facts that are not what they were when *review* was granted."""
        if review.seen is None:
            return ()
        number = review.position
        if number not in self._reads:
            self._reads[number] = reads_of(self.ctx, review.rules, review.point)
            now = seen_now(self.ctx, self._reads[number], self.packet, self.source)
            self._changed[number] = tuple(p for p, digest in review.seen if now.get(p) != digest)
        changed = self._changed[number]
        reads = self._reads[number]
        if not reads.member:
            return changed
        then = dict(review.candidates).get(member.member_id, "")
        now_ = candidate_now(self.ctx, reads, member)
        if self.point is Point.ACCEPT:  # the room reserved for it is no change of who it is
            then, now_ = then.partition(":")[0], now_.partition(":")[0]
        if then == now_:
            return changed
        return (*changed, *(".".join(path) for path in reads.member))

    def covers(self, review: Review, member: Member, policy: str, rule: str) -> bool:
        """Whether *review* was granted for that rule here, and has not expired; it may have lapsed."""
        ctx, packet = self.ctx, self.packet
        return (
            review.policy == ctx.state.policy
            and review.point == review_point(self.point)
            and (review.member_id is None or review.member_id == member.member_id)
            and (review.expires_at is None or ctx.now < review.expires_at)
            and set(packet.terms.data_classes) <= set(review.data_classes)
            and any(known.policy == policy and known.rule == rule for known in review.rules)
        )

    def in_force(self, member: Member, policy: str, rule: str) -> list[Review]:
        """Return the reviews that discharge that rule for *member*."""
        return [
            review
            for review in self.packet.reviews
            if self.covers(review, member, policy, rule) and not self.lapsed(review, member)
        ]

    def settled(self, member: Member, reason: Reason) -> Reason | None:
        """Return None where reviews discharge *reason*, else what is left of it: why an earlier one does not, too."""
        found = self.in_force(member, reason.policy, reason.rule)
        if len({review.reviewer for review in found}) >= reason.approvals:
            return None
        paths = {
            path
            for review in self.packet.reviews
            if self.covers(review, member, reason.policy, reason.rule)
            for path in self.lapsed(review, member)
        }
        if not paths:
            return reason
        said = f"{reason.message}; a review lapsed: {', '.join(sorted(paths)[:4])} changed"
        return msgspec.structs.replace(reason, cause="review_lapsed", message=said.lstrip("; "))

    def used(self, member: Member, reasons: Sequence[Reason]) -> tuple[int, ...]:
        """Return the positions of the reviews that discharge escalations among *reasons* for *member*."""
        found = {
            review.position
            for reason in reasons
            if reason.effect == "escalate" and self.settled(member, reason) is None
            for review in self.in_force(member, reason.policy, reason.rule)
        }
        return tuple(sorted(found))


def lapsed_for_owner(ctx: Context, packet: Packet, owner: Member) -> tuple[str, ...]:
    """Return the facts that are not what they were when the reviews were granted under which *owner* got *packet*.

    What the placement itself changed (the source, counts of moves, loads) was seen as it was before it.
    """
    changed: set[str] = set()
    for review in packet.reviews:
        if review.position not in packet.placed_under or review.seen is None:
            continue
        reads = reads_of(ctx, review.rules, review.point)
        reads.source.clear()
        reads.packet = [path for path in reads.packet if path[1:2] not in MOVING_FACTS]
        then = dict(review.seen)
        now = seen_now(ctx, reads, packet, None)
        changed.update(path for path, digest in now.items() if then.get(path) != digest)
        if not set(packet.terms.data_classes) <= set(review.data_classes):
            changed.add("packet.data_classes")
        known = dict(review.candidates).get(owner.member_id, "").partition(":")[0]
        if reads.member and known != candidate_now(ctx, reads, owner).partition(":")[0]:
            changed.update(".".join(p) for p in reads.member if p[1:2] not in LOAD_FACTS)
    return tuple(sorted(changed))


def lapsed_since(
    ctx: Context, packet: Packet, point: Point, target: Member | None
) -> tuple[str, ...]:
    """Return the facts that have other values than when the packet's last review was granted."""
    if not packet.reviews or packet.reviews[-1].point != review_point(point):
        return ()
    last = packet.reviews[-1]
    reads = reads_of(ctx, last.rules, last.point)
    now = seen_now(ctx, reads, packet, source_of(ctx, packet))
    changed = [path for path, digest in last.seen or () if now.get(path) != digest]
    known = target or ctx.state.members.get(last.member_id or "")
    if known is not None and reads.member:
        then = dict(last.candidates).get(known.member_id)
        if then != candidate_now(ctx, reads, known):
            changed += [".".join(path) for path in reads.member]
    return tuple(changed[:LAPSED_SHOWN_MAX])
