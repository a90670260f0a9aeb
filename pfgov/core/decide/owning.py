"""Who writes as a packet's owner, and whether it is: asked in the commit, before anything that only an owner may do.

Every owner's write names ``(packet, member, incarnation, epoch)``.  A stale one is refused, and the first refusal of
each (member, epoch) is recorded.
"""

from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.context import Context, Decided
from pfgov.core.lifecycle import MAY_OWN, TERMINAL
from pfgov.core.records import Packet
from pfgov.errors import (
    ForbiddenError,
    IllegalTransitionError,
    NotOwnerError,
    PfgovError,
    StaleEpochError,
    StateConflictError,
)

ONLY_THE_LATE_ARE_RECORDED: Final = 3
"""The rules since which a write under an epoch that never was is refused without an entry: it is late for nothing, and
there are as many of them as somebody cares to make up."""

NOBODY_ELSES: Final = 4
"""The rules since which a member that never had a packet is refused a write to it without an entry: there is nothing
that it could be late for, and the entry would tell it the epoch."""

OWNERS_NAME_THEMSELVES: Final = 4
"""The rules since which a member that moves a packet, or calls its handoff off, names its life and the epoch, as with
every other write: one that was late moved a packet that it had got back meanwhile, for other work."""


def refuse_unnamed(ctx: Context) -> None:
    """Refuse a member that moves a packet without naming the epoch under which it believes to own it.

    Raises:
        ForbiddenError: ``ownership.unnamed``.
    """
    if ctx.is_overseer or ctx.state.semantics < OWNERS_NAME_THEMSELVES:
        return
    raise ForbiddenError(
        "a member names its life and the epoch with everything that it writes",
        code="ownership.unnamed",
        hint="send member_id, incarnation and epoch; pfgov packet handoff --as MEMBER",
        pointer="/epoch",
    )


def refuse_target(packet: Packet, claim: c.OwnerClaim, handoff: int | None) -> None:
    """Refuse a target that names another handoff than the one that waits for it.

    Raises:
        StateConflictError: ``handoff.not_target`` or ``handoff.unknown``.
    """
    pending = packet.pending
    if pending is None or (pending.target, pending.incarnation) != (
        claim.member_id,
        claim.incarnation,
    ):
        raise StateConflictError(
            f"no handoff of {packet.packet_id} waits for {claim.member_id}",
            code="handoff.not_target",
        )
    if packet.epoch != claim.epoch or handoff not in {None, pending.position}:
        raise StateConflictError(
            f"the handoff of {packet.packet_id} that waits is another one",
            code="handoff.unknown",
            hint=f"read it again: pfgov packet show {packet.packet_id}",
        )


def ended_already(packet: Packet, event: str) -> PfgovError:
    """Return why *event* cannot happen to a packet that has ended."""
    return IllegalTransitionError(
        kind="packet",
        subject=packet.packet_id,
        status=packet.status,
        event=event,
        hint=f"see its history: pfgov packet show {packet.packet_id}",
    )


def refuse_unknown(ctx: Context, packet_id: str, claim: c.OwnerClaim) -> Decided | None:
    """Return what a member is told that writes to a packet that there is not: what it is told of another's; else None.

    Raises:
        NotFoundError: no such member was ever registered.
    """
    if not ctx.is_kept_from(packet_id):
        return None
    ctx.member(claim.member_id, pointer="/owner/member_id")
    return Decided([], _not_yours(packet_id, claim))


def refuse_stale(ctx: Context, packet: Packet, claim: c.OwnerClaim, action: str) -> Decided | None:
    """Return the recorded refusal of a write by somebody who does not own *packet*, or None when it does.

    Raises:
        NotFoundError: no such member was ever registered; that is not recorded.
    """
    member = ctx.member(claim.member_id, pointer="/owner/member_id")
    owns = (
        packet.owner == claim.member_id
        and packet.incarnation == claim.incarnation == member.incarnation
        and packet.epoch == claim.epoch
        and member.status in MAY_OWN
    )
    if owns:
        return None
    is_stranger = ctx.is_confined and packet.owner != claim.member_id
    was_owner = claim.member_id in packet.owners or ctx.state.semantics < NOBODY_ELSES
    has_ended = packet.status in TERMINAL and packet.epoch == claim.epoch
    if is_stranger and (has_ended or not was_owner):
        return Decided([], _not_yours(packet.packet_id, claim))
    if has_ended:
        raise ended_already(packet, action)
    refusal: PfgovError
    if packet.epoch != claim.epoch:
        refusal = StaleEpochError(
            f"{claim.member_id} wrote to {packet.packet_id} under epoch {claim.epoch}; it is at epoch {packet.epoch}"
            + (f" and owned by {packet.owner}" if packet.owner else ""),
            hint=_after_a_late_write(packet, claim),
        )
    else:
        refusal = NotOwnerError(
            f"{claim.member_id} (incarnation {claim.incarnation}) does not own {packet.packet_id}",
            hint=f"see who does: pfgov packet show {packet.packet_id}",
        )
    is_made_up = claim.epoch > packet.epoch and ctx.state.semantics >= ONLY_THE_LATE_ARE_RECORDED
    code = refusal.code
    if is_stranger:
        refusal = _not_yours(packet.packet_id, claim)
    if is_made_up or (claim.member_id, claim.epoch) in packet.refused:
        return Decided([], refusal)
    recorded = e.WriteRefused(
        packet_id=packet.packet_id,
        member_id=claim.member_id,
        incarnation=claim.incarnation,
        claimed_epoch=claim.epoch,
        epoch=packet.epoch,
        action=action,
        code=code,
    )
    return Decided([recorded], refusal)


def _after_a_late_write(packet: Packet, claim: c.OwnerClaim) -> str:
    """Return what the writer of another epoch should do, which depends on who has the packet now."""
    if claim.epoch > packet.epoch:
        return f"there was no epoch {claim.epoch} yet; read the packet and name the one that stands"
    if packet.owner is None:
        return "stop the work: nobody has the packet now"
    if packet.owner != claim.member_id:
        return "stop the work: somebody else has the packet now"
    return (
        f"stop what runs under epoch {claim.epoch}: the packet left and came back to {claim.member_id},"
        f" whose work goes on under epoch {packet.epoch}"
    )


def _not_yours(packet_id: str, claim: c.OwnerClaim) -> NotOwnerError:
    """Return what a member is told of a packet that is another's: not whose, how often it moved, or that it exists."""
    return NotOwnerError(
        f"{claim.member_id} (incarnation {claim.incarnation}) does not own {packet_id}"
        f" under epoch {claim.epoch}",
        hint="stop the work, if it was begun",
    )
