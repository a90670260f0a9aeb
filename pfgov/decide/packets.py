"""Rules about packets that do not move them: submitting, narrowing, and what the owner writes.

Every owner's write names ``(packet, member, incarnation, epoch)`` and is checked here, inside the commit: a stale one
is refused, and the first refusal of each (member, epoch) is recorded.  Moving is in :mod:`pfgov.decide.moves`.
"""

from typing import Final, Literal

from pfgov import commands as c
from pfgov import events as e
from pfgov.apply import new_packet, updated_terms
from pfgov.decide.context import Context, Decided, NeedsOverlayError
from pfgov.decide.moves import aborted, first_placement
from pfgov.decide.placement import withheld
from pfgov.errors import (
    ConflictError,
    DuplicateError,
    InvalidError,
    NarrowingError,
    NotFoundError,
    NotOwnerError,
    PfgovError,
    StaleEpochError,
    TooLargeError,
)
from pfgov.lifecycle import MAY_OWN, TERMINAL, PacketStatus, packet_after
from pfgov.limits import LIVE_PACKETS_MAX
from pfgov.quantity import from_text
from pfgov.records import Packet, Terms

ONLY_THE_LATE_ARE_RECORDED: Final = 3
"""The rules since which a write under an epoch that never was is refused without an entry: it is late for nothing, and
there are as many of them as somebody cares to make up."""

AGAIN_IS_KNOWN: Final = 2
"""The rules since which a packet runs again only one that was submitted."""


def submit(ctx: Context, do: c.SubmitPacket) -> Decided:
    """Take a new packet in, and place it at once unless it is held."""
    ctx.authorise(do)
    if ctx.find_packet(do.packet_id) is not None:
        raise DuplicateError(
            f"packet {do.packet_id} was submitted before",
            code="packet.exists",
            hint=f"see it with: pfgov packet show {do.packet_id}; running it again is a new packet with `again`",
            pointer="/packet_id",
        )
    is_asked = ctx.state.semantics >= AGAIN_IS_KNOWN
    if is_asked and do.again is not None and ctx.find_packet(do.again) is None:
        raise NotFoundError(
            f"there is no packet {do.again} to run again",
            code="packet.not_found",
            hint="see what has ended: pfgov packet list --all",
            pointer="/again",
        )
    if len(ctx.state.packets) >= LIVE_PACKETS_MAX:
        raise TooLargeError(
            f"there are {LIVE_PACKETS_MAX} live packets already", code="packet.too_many"
        )
    if do.deadline is not None and do.deadline <= ctx.now:
        raise InvalidError(
            "the deadline has passed already", code="packet.deadline", pointer="/deadline"
        )
    if do.scheduler is not None:
        ctx.tools.scheduler(e.SchedulerRef(name=do.scheduler, version=""))
    created = _created(ctx, do)
    if do.hold:
        return Decided([created])
    placed = first_placement(ctx, new_packet(created), do.views)
    return Decided([created, *placed.events], tables=placed.tables)


def _created(ctx: Context, do: c.SubmitPacket) -> e.PacketCreated:
    claims = (
        do.claimed_owner,
        do.claimed_owners,
        do.claimed_status,
        do.claimed_event,
        do.claimed_state_hash,
    )
    imported = None
    if any(claims):
        imported = e.Imported(
            current_owner=do.claimed_owner,
            previous_owners=do.claimed_owners,
            status=do.claimed_status,
            last_event=do.claimed_event,
            state_hash=do.claimed_state_hash,
        )
    return e.PacketCreated(
        packet_id=do.packet_id,
        workload_type=do.workload_type,
        required_capabilities=do.required_capabilities,
        constraints=do.constraints,
        handoff=do.handoff,
        demand=do.demand,
        data_classes=do.data_classes,
        priority=do.priority,
        labels=do.labels,
        scheduler=do.scheduler,
        deadline=do.deadline,
        max_handoffs=do.max_handoffs,
        hold=do.hold,
        created_at=do.created_at if do.created_at is not None else ctx.now,
        lineage_id=do.lineage_id,
        step=do.step,
        context=do.context,
        imported=imported,
        again=do.again,
    )


def update(ctx: Context, do: c.UpdatePacket) -> Decided:
    """Narrow a packet's constraints, or change what constrains nobody."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    if packet.status in TERMINAL:
        raise _ended(packet, "packet_updated")
    names = [
        name
        for name in do.__struct_fields__
        if name != "packet_id" and getattr(do, name) is not None
    ]
    if not names:
        return Decided([])
    event = e.PacketUpdated(packet_id=do.packet_id, **{name: getattr(do, name) for name in names})
    _only_narrows(packet.terms, updated_terms(packet.terms, event))
    if do.scheduler is not None:
        ctx.tools.scheduler(e.SchedulerRef(name=do.scheduler, version=""))
    events: list[e.Event] = [event]
    if packet.pending is not None:
        events.insert(0, aborted(packet, "updated"))
    return Decided(events)


def _only_narrows(before: Terms, after: Terms) -> None:
    """Refuse whatever would let the packet go where it could not go before (POLICY, "Meaning", 6)."""
    old, new = before.constraints, after.constraints
    if old.pii_review_required and not new.pii_review_required:
        raise _widens("pii_review_required", "a review that is required stays required")
    if _trust(new) < _trust(old):
        raise _widens(
            "minimum_trust_score",
            f"{old.minimum_trust_score} cannot become {new.minimum_trust_score}",
        )
    if old.allowed_regions is not None and (
        new.allowed_regions is None or not set(new.allowed_regions) <= set(old.allowed_regions)
    ):
        raise _widens(
            "allowed_regions", f"only a subset of {list(old.allowed_regions)} is narrower"
        )
    if not set(before.required_capabilities) <= set(after.required_capabilities):
        raise _widens("required_capabilities", "a capability that is required stays required")
    if not set(before.data_classes) <= set(after.data_classes):
        raise _widens("data_classes", "a data class once declared stays declared")
    if after.handoff.allowed and not before.handoff.allowed:
        raise _widens("handoff", "a packet that may not move stays where it is")


def _trust(constraints: c.Constraints) -> int:
    return (
        0 if constraints.minimum_trust_score is None else from_text(constraints.minimum_trust_score)
    )


def _widens(name: str, why: str) -> NarrowingError:
    return NarrowingError(
        f"{name} can only become narrower: {why}",
        hint="submit a new packet if the work really changed",
        pointer=f"/policy_constraints/{name}",
    )


def _ended(packet: Packet, event: str) -> PfgovError:
    try:
        packet_after(
            packet.packet_id, packet.status, event if event in _TABLED else "packet_cancelled"
        )
    except ConflictError as error:
        return error
    raise AssertionError(packet.status)


_TABLED = frozenset({"packet_completed", "packet_failed", "packet_cancelled"})


# --- what the owner writes ----------------------------------------------------------------


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
    if packet.status in TERMINAL and packet.epoch == claim.epoch:
        raise _ended(packet, action)
    refusal: PfgovError
    if packet.epoch != claim.epoch:
        refusal = StaleEpochError(
            f"{claim.member_id} wrote to {packet.packet_id} under epoch {claim.epoch}; it is at epoch {packet.epoch}"
            + (f" and owned by {packet.owner}" if packet.owner else ""),
            hint="stop the work: "
            + ("somebody else has the packet now" if packet.owner else "nobody has the packet now"),
        )
    else:
        refusal = NotOwnerError(
            f"{claim.member_id} (incarnation {claim.incarnation}) does not own {packet.packet_id}",
            hint=f"see who does: pfgov packet show {packet.packet_id}",
        )
    is_made_up = claim.epoch > packet.epoch and ctx.state.semantics >= ONLY_THE_LATE_ARE_RECORDED
    if is_made_up or (claim.member_id, claim.epoch) in packet.refused:
        return Decided([], refusal)
    recorded = e.WriteRefused(
        packet_id=packet.packet_id,
        member_id=claim.member_id,
        incarnation=claim.incarnation,
        claimed_epoch=claim.epoch,
        epoch=packet.epoch,
        action=action,
        code=refusal.code,
    )
    return Decided([recorded], refusal)


def checkpoint(ctx: Context, do: c.CommitCheckpoint) -> Decided:
    """Save the owner's progress."""
    ctx.authorise(do, do.owner.member_id)
    packet = ctx.packet(do.packet_id)
    if refused := refuse_stale(ctx, packet, do.owner, "checkpoint_committed"):
        return refused
    if packet.status is PacketStatus.HANDOFF_PENDING:
        raise ConflictError(
            f"packet {do.packet_id} is being handed off; its context is pinned",
            code="handoff.pending",
            hint="complete or abort the handoff first",
        )
    hidden = withheld(packet.obligations)
    if hidden and packet.view is not None and packet.context is not None and do.view is None:
        raise NeedsOverlayError(hidden, packet.context, do.context)
    return Decided(
        [
            e.CheckpointCommitted(
                packet_id=do.packet_id,
                epoch=packet.epoch,
                owner=_claimed(do.owner),
                step=do.step,
                context=do.context,
                view=do.view,
            )
        ]
    )


def complete(ctx: Context, do: c.CompletePacket) -> Decided:
    """End the work well; a handoff that was under way is off."""
    ctx.authorise(do, do.owner.member_id)
    packet = ctx.packet(do.packet_id)
    if refused := refuse_stale(ctx, packet, do.owner, "packet_completed"):
        return refused
    packet_after(do.packet_id, packet.status, "packet_completed")
    ended = e.PacketCompleted(packet_id=do.packet_id, epoch=packet.epoch, owner=_claimed(do.owner))
    return Decided([*_abort_first(packet, "completed"), ended])


def fail(ctx: Context, do: c.FailPacket) -> Decided:
    """End the work badly, for good."""
    ctx.authorise(do, do.owner.member_id)
    packet = ctx.packet(do.packet_id)
    if refused := refuse_stale(ctx, packet, do.owner, "packet_failed"):
        return refused
    packet_after(do.packet_id, packet.status, "packet_failed")
    ended = e.PacketFailed(
        packet_id=do.packet_id,
        epoch=packet.epoch,
        owner=_claimed(do.owner),
        cause="owner",
        reasons=(do.reason,),
    )
    return Decided([*_abort_first(packet, "failed"), ended])


def requeue(ctx: Context, do: c.RequeuePacket) -> Decided:
    """Put an owned packet back into the queue."""
    packet = ctx.packet(do.packet_id)
    ctx.authorise(do, do.owner.member_id if do.owner else None)
    if do.owner is not None and (refused := refuse_stale(ctx, packet, do.owner, "packet_requeued")):
        return refused
    packet_after(do.packet_id, packet.status, "packet_requeued")
    holder = packet.holder
    if holder is None:
        raise AssertionError(do.packet_id)
    return Decided(
        [
            e.PacketRequeued(
                packet_id=do.packet_id, epoch=packet.epoch + 1, owner=holder, reason=do.reason
            )
        ]
    )


def cancel(ctx: Context, do: c.CancelPacket) -> Decided:
    """Call the work off, wherever it stands."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    packet_after(do.packet_id, packet.status, "packet_cancelled")
    return Decided(
        [
            e.PacketCancelled(
                packet_id=do.packet_id, epoch=packet.epoch, owner=packet.holder, reason=do.reason
            )
        ]
    )


def expire(ctx: Context, do: c.ExpirePacket) -> Decided:
    """End a packet whose deadline or attempts are used up, with the reasons it was waiting for."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    if packet.status in TERMINAL:
        return Decided([])
    reasons = tuple(name for name, _ in packet.waiting.reasons) if packet.waiting else ()
    if packet.terms.deadline is not None and ctx.now >= packet.terms.deadline:
        cause: Literal["deadline", "attempts"] = "deadline"
    elif packet.attempts >= ctx.state.settings.attempts_max:
        cause = "attempts"
    else:
        return Decided([])
    return Decided(
        [
            e.PacketFailed(
                packet_id=do.packet_id,
                epoch=packet.epoch,
                owner=packet.holder,
                cause=cause,
                reasons=reasons,
            )
        ]
    )


def _claimed(claim: c.OwnerClaim) -> e.Owner:
    return e.Owner(member_id=claim.member_id, incarnation=claim.incarnation)


def _abort_first(packet: Packet, cause: str) -> list[e.Event]:
    return [aborted(packet, cause)] if packet.pending is not None else []
