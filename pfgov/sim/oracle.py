"""A second opinion on every placement, written by hand and sharing no code with the policy engine.

It restates what the kernel policy, the starter set and the kernel promise about an owner in plain Python over the
folded state, and is asked about each assignment and handoff that the ledger records.  Where it differs from the
engine, one of the two is wrong.  It knows nothing of CEL.
"""

from collections.abc import Iterator

from packaging.specifiers import SpecifierSet

from pfgov.core.lifecycle import MemberStatus
from pfgov.core.quantity import from_text
from pfgov.core.records import Member, Packet
from pfgov.core.state import State


def objections(
    state: State, packet: Packet, member: Member, now: int, *, is_retained: bool = False
) -> list[str]:
    """Return why *member* may not own *packet* at *now*, as the policies of the simulation promise; empty if it may."""
    return list(_objections(state, packet, member, now, is_retained=is_retained))


def _objections(
    state: State, packet: Packet, member: Member, now: int, *, is_retained: bool
) -> Iterator[str]:
    constraints = packet.terms.constraints
    if not is_retained and member.status is not MemberStatus.ACTIVE:
        yield f"status {member.status}"
    trust = _trust(member, now)
    minimum = constraints.minimum_trust_score
    if minimum is not None and (trust is None or trust < from_text(minimum)):
        yield f"trust {trust} below {minimum}"
    if constraints.allowed_regions is not None and not _within(
        member.region, constraints.allowed_regions
    ):
        yield f"region {member.region} not in {constraints.allowed_regions}"
    for data_class in packet.terms.data_classes:
        if data_class.startswith("pii") and data_class not in member.clearances:
            yield f"no clearance for {data_class}"
    for wanted in packet.terms.required_capabilities:
        if not _offers(member, wanted):
            yield f"cannot {wanted}"
    if (
        not is_retained
        and constraints.pii_review_required
        and not _is_reviewed(state, packet, member, now)
    ):
        yield "not reviewed"


def _trust(member: Member, now: int) -> int | None:
    score = member.attested
    if score is None or (score.expires_at is not None and now >= score.expires_at):
        return None
    return score.score


def _within(region: str | None, allowed: tuple[str, ...]) -> bool:
    return region is not None and any(region == a or region.startswith(f"{a}/") for a in allowed)


def _offers(member: Member, wanted: str) -> bool:
    name = wanted
    for mark in "<>=!~":
        name = name.partition(mark)[0]
    name = name.strip()
    capability = member.capabilities.get(name)
    if capability is None:
        return False
    specifier = wanted[len(name) :].strip()
    return not specifier or (
        capability.version is not None and capability.version in SpecifierSet(specifier)
    )


def _is_reviewed(state: State, packet: Packet, member: Member, now: int) -> bool:
    return any(
        review.policy == state.policy
        and (review.expires_at is None or now < review.expires_at)
        and review.member_id in {None, member.member_id}
        and set(packet.terms.data_classes) <= set(review.data_classes)
        for review in packet.reviews
    )


def overfull(member: Member) -> list[str]:
    """Return the dimensions in which *member* holds more than it declared."""
    return [
        name
        for name, limit in member.capacity.items()
        if member.used.get(name, 0) > limit
        or (name == "tasks" and member.active * 1_000_000 > limit)
    ]
