"""A second opinion on every placement, written by hand and sharing no code with the policy engine.

It restates what the kernel policy and the kernel promise about an owner, and what the starter set adds to that, in
plain Python over the folded state.  It is asked about each assignment and handoff that the ledger records, and about
whoever waits while somebody else gets room.  Where it differs from the engine, one of the two is wrong.  It knows
nothing of CEL.
"""

from collections.abc import Iterator
from typing import Final

from packaging.specifiers import SpecifierSet

from pfgov.core.lifecycle import MemberStatus
from pfgov.core.quantity import from_text
from pfgov.core.records import Member, Packet
from pfgov.core.state import State


def objections(
    state: State, packet: Packet, member: Member, now: int, *, is_retained: bool = False
) -> list[str]:
    """Return why *member* may not own *packet* at *now*, as every set of the simulation promises; empty if it may."""
    return list(_objections(state, packet, member, now, is_retained=is_retained))


def starter_objections(state: State, packet: Packet, member: Member, now: int) -> list[str]:
    """Return why *member* may not get *packet* at *now* under the starter set; empty exactly where that lets it.

    A review that the set asks for counts as an objection until it is there, as the kernel's does.
    """
    return [
        *_objections(state, packet, member, now, is_retained=False),
        *_more_of_the_starter_set(state, packet, member, now),
    ]


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


TRUST_FLOOR: Final = from_text("0.5")
PII_TRUST: Final = from_text("0.8")
MOVES_UNREVIEWED: Final = 3
CLOSED: Final = ("embargoed",)


def _more_of_the_starter_set(
    state: State, packet: Packet, member: Member, now: int
) -> Iterator[str]:
    trust = _trust(member, now)
    if trust is None or trust < TRUST_FLOOR:
        yield f"trust {trust} below the floor"
    handles_pii = any(_is_pii(data_class) for data_class in packet.terms.data_classes)
    if handles_pii and (trust is None or trust < PII_TRUST):
        yield f"trust {trust} too low for personal data"
    if _within(member.region, CLOSED):
        yield f"region {member.region} is closed"
    residency = dict(packet.terms.labels).get("residency")
    if residency is not None and not _within(member.region, (residency,)):
        yield f"region {member.region} is not the residency {residency}"
    if packet.last_owner is None:
        return
    moves = packet.handoff_count
    if handles_pii and moves >= MOVES_UNREVIEWED and not _is_reviewed(state, packet, member, now):
        yield "moved too often without a review"
    source = state.members.get(packet.last_owner.member_id)
    is_quarantined = source is not None and source.status is MemberStatus.QUARANTINED
    if is_quarantined and packet.terms.constraints.pii_review_required:
        yield "its last owner is quarantined"


def _is_pii(data_class: str) -> bool:
    return data_class.partition(".")[0] == "pii"


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
