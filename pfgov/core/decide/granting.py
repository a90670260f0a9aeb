"""Who may review what policy escalated, and vouch for members: not the owner, and nobody for a member that it acts for.

Otherwise one key with the rights of a reviewer, or of an assessor, and of a member gives itself what policy would not
give it.
"""

from typing import Final

from pfgov.core.decide.context import Context
from pfgov.core.records import Packet
from pfgov.errors import ForbiddenError

NOT_FOR_ONES_OWN: Final = 4
"""The rules since which nobody grants a review for a member that it acts for, nor one that names nobody."""


def not_by_the_owner(ctx: Context, packet: Packet) -> None:
    """Refuse a review by whoever acts for the owner of *packet*, or for the last one.

    Raises:
        ForbiddenError: ``review.own_packet``, it does.
    """
    for member_id in (packet.owner, packet.last_owner.member_id if packet.last_owner else None):
        member = ctx.state.members.get(member_id) if member_id else None
        if f"member:{member_id}" in ctx.command.principal.rights or (
            member is not None and ctx.command.principal.id == member.member_id
        ):
            raise ForbiddenError(
                f"{ctx.command.principal.id} owns the packet and cannot review it",
                code="review.own_packet",
                hint="somebody else has to look",
            )


def not_for_its_own(ctx: Context, member_id: str | None) -> None:
    """Refuse a grant for *member_id* by whoever acts for it; one for nobody by name is for everybody, its own too.

    Raises:
        ForbiddenError: ``review.own_member``, it acts for the owner-to-be.
    """
    if ctx.state.semantics < NOT_FOR_ONES_OWN:
        return
    principal, own = ctx.command.principal, _own(ctx)
    if own and (member_id is None or member_id in own):
        raise ForbiddenError(
            f"{principal.id} acts for {', '.join(sorted(own)[:3])} and cannot grant that it gets the packet",
            code="review.own_member",
            hint="somebody else has to look; or name another member that it is granted for",
        )


def may_vouch(ctx: Context, member_id: str) -> bool:
    """Whether who asks may say how far *member_id* is trusted, where it is, and what it is cleared for.

    Operators may; assessors may for others than those that they act for.
    """
    rights = ctx.command.principal.rights
    if "operator" in rights:
        return True
    is_own = ctx.state.semantics >= NOT_FOR_ONES_OWN and member_id in _own(ctx)
    return "assessor" in rights and not is_own


def _own(ctx: Context) -> set[str]:
    """Return the members that who asks acts for."""
    principal = ctx.command.principal
    own = {r.removeprefix("member:") for r in principal.rights if r.startswith("member:")}
    return own | ({principal.id} if principal.id in ctx.state.members else set[str]())
