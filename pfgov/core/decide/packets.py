"""Rules about packets that do not move them: submitting, narrowing, and what the owner writes.

Every owner's write names ``(packet, member, incarnation, epoch)`` and is checked here, inside the commit: a stale one
is refused, and the first refusal of each (member, epoch) is recorded.  Moving is in :mod:`pfgov.core.decide.handoff`.
"""

from typing import Final, Literal

import msgspec

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import new_packet, updated_terms
from pfgov.core.apply.packets import CHANGES_ALONE_COUNT
from pfgov.core.decide.asking import active_policy, facts_of
from pfgov.core.decide.context import CHECKED_AT_CHANGE, Context, Decided, NeedsOverlayError
from pfgov.core.decide.guarding import (
    before_packet,
    check_packet_labels,
    check_packet_names,
    guard,
)
from pfgov.core.decide.handoff import aborted
from pfgov.core.decide.owning import ended_already, refuse_stale, refuse_unknown, refuse_unnamed
from pfgov.core.decide.placement import first_placement, withheld
from pfgov.core.lifecycle import TERMINAL, PacketStatus, packet_after
from pfgov.core.policy_port import Facts
from pfgov.core.quantity import from_text
from pfgov.core.records import Packet, Terms
from pfgov.core.spelling import check_class
from pfgov.core.verdicts import Point
from pfgov.errors import (
    ConflictError,
    DuplicateError,
    InvalidError,
    NarrowingError,
    NotFoundError,
    TooLargeError,
)
from pfgov.limits import CLEARANCES_MAX, LIVE_PACKETS_MAX

SUBMITTER_KNOWN: Final = 4
"""The rules since which an entry says who submitted, so that policies keep submitter, owner and reviewers apart."""

SCANS_ARE_KNOWN: Final = 4
"""The rules since which what was found in a context counts among the packet's data classes."""

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
    if ctx.state.live_packets >= LIVE_PACKETS_MAX:
        raise TooLargeError(
            f"there are {LIVE_PACKETS_MAX} live packets already", code="packet.too_many"
        )
    if do.deadline is not None and do.deadline <= ctx.now:
        raise InvalidError(
            "the deadline has passed already", code="packet.deadline", pointer="/deadline"
        )
    if do.scheduler is not None:
        ctx.tools.scheduler(e.SchedulerRef(name=do.scheduler, version=""))
    check_packet_names(ctx, do)
    check_packet_labels(ctx, None, do.labels)
    created = _created(ctx, do)
    guard(ctx, Point.SUBMIT, packet=new_packet(created))
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
    principal = ctx.command.principal
    knows_submitter = ctx.state.semantics >= SUBMITTER_KNOWN
    scan = _known_scan(ctx, do.scan, do.data_classes)
    return e.PacketCreated(
        packet_id=do.packet_id,
        workload_type=do.workload_type,
        required_capabilities=do.required_capabilities,
        constraints=do.constraints,
        handoff=do.handoff,
        demand=do.demand,
        data_classes=do.data_classes
        if scan is None
        else tuple(sorted({*do.data_classes, *scan.classes})),
        priority=do.priority,
        labels=do.labels,
        scheduler=do.scheduler,
        deadline=do.deadline,
        max_handoffs=do.max_handoffs,
        progress_seconds=do.progress_seconds,
        hold=do.hold,
        created_at=do.created_at if do.created_at is not None else ctx.now,
        lineage_id=do.lineage_id,
        step=do.step,
        context=do.context,
        imported=imported,
        again=do.again,
        submitted_by=principal.id if knows_submitter else None,
        submitted_for=principal.members if knows_submitter else (),
        scan=scan,
    )


def _known_scan(ctx: Context, scan: c.Scan | None, before: tuple[str, ...]) -> c.Scan | None:
    """Return *scan* where the rules know of it; its classes come on top of those *before*.

    Raises:
        InvalidError: it names what is no class.
        TooLargeError: there would be more classes than a packet has.
    """
    if scan is None or ctx.state.semantics < SCANS_ARE_KNOWN:
        return None
    for name in scan.classes:
        check_class(name, "/context_checkpoint")
    count = len({*before, *scan.classes})
    if count > CLEARANCES_MAX:
        raise TooLargeError(
            f"with what was found in the context the packet has {count} data classes, more than {CLEARANCES_MAX}",
            hint="declare fewer, wider classes, or divide the work",
            pointer="/data_classes",
        )
    return scan


def update(ctx: Context, do: c.UpdatePacket) -> Decided:
    """Narrow a packet's constraints, or change what constrains nobody."""
    ctx.authorise(do)
    packet = ctx.packet(do.packet_id)
    if packet.status in TERMINAL:
        raise ended_already(packet, "packet_updated")
    names = [
        name
        for name in do.__struct_fields__
        if name != "packet_id" and getattr(do, name) is not None
    ]
    if not names:
        return Decided([])
    if ctx.state.semantics >= CHECKED_AT_CHANGE:
        _can_still_hold(ctx, packet, do)
    event = e.PacketUpdated(packet_id=do.packet_id, **{name: getattr(do, name) for name in names})
    check_packet_names(ctx, do)
    check_packet_labels(ctx, packet.terms.labels, do.labels)
    terms = updated_terms(packet.terms, event)
    _only_narrows(packet.terms, terms)
    if Point.UPDATE in active_policy(ctx).guards:
        after = msgspec.structs.replace(packet, terms=terms)
        guard(ctx, Point.UPDATE, packet=after, more=before_packet(ctx, packet))
    if do.scheduler is not None:
        ctx.tools.scheduler(e.SchedulerRef(name=do.scheduler, version=""))
    if terms == packet.terms and ctx.state.semantics >= CHANGES_ALONE_COUNT:
        return Decided([])  # it is that already
    events: list[e.Event] = [event]
    if packet.pending is not None:
        events.insert(0, aborted(packet, "updated"))
    return Decided(events)


def _can_still_hold(ctx: Context, packet: Packet, do: c.UpdatePacket) -> None:
    """Refuse a deadline or a number of handoffs that is used up already: the packet would fail at the next look."""
    if do.deadline is not None and do.deadline <= ctx.now:
        raise InvalidError(
            "the deadline has passed already",
            code="packet.deadline",
            hint="name a later time; to call the work off: pfgov packet cancel",
            pointer="/deadline",
        )
    if do.max_handoffs is not None and do.max_handoffs < packet.handoff_count:
        raise InvalidError(
            f"packet {packet.packet_id} was handed off {packet.handoff_count} times already",
            code="packet.max_handoffs",
            hint=f"name at least {packet.handoff_count}",
            pointer="/max_handoffs",
        )


def _only_narrows(before: Terms, after: Terms) -> None:
    """Refuse whatever would let the packet go where it could not go before."""
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


# --- what the owner writes ----------------------------------------------------------------


def checkpoint(ctx: Context, do: c.CommitCheckpoint) -> Decided:
    """Save the owner's progress."""
    ctx.authorise(do, do.owner.member_id)
    if unknown := refuse_unknown(ctx, do.packet_id, do.owner):
        return unknown
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
                scan=_known_scan(ctx, do.scan, packet.terms.data_classes),
            )
        ]
    )


def complete(ctx: Context, do: c.CompletePacket) -> Decided:
    """End the work well; a handoff that was under way is off."""
    ctx.authorise(do, do.owner.member_id)
    if unknown := refuse_unknown(ctx, do.packet_id, do.owner):
        return unknown
    packet = ctx.packet(do.packet_id)
    if refused := refuse_stale(ctx, packet, do.owner, "packet_completed"):
        return refused
    packet_after(do.packet_id, packet.status, "packet_completed")
    guard(ctx, Point.COMPLETE, packet=packet, member=_owner_facts(ctx, do.owner))
    ended = e.PacketCompleted(
        packet_id=do.packet_id, epoch=packet.epoch, owner=_claimed(do.owner), result=do.result
    )
    return Decided([*_abort_first(packet, "completed"), ended])


def _owner_facts(ctx: Context, claim: c.OwnerClaim) -> Facts:
    return facts_of(ctx, ctx.state.members[claim.member_id], load=True)


def fail(ctx: Context, do: c.FailPacket) -> Decided:
    """End the work badly, for good."""
    ctx.authorise(do, do.owner.member_id)
    if unknown := refuse_unknown(ctx, do.packet_id, do.owner):
        return unknown
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
    if do.owner is None and ctx.is_confined:
        refuse_unnamed(ctx)
    ctx.authorise(do, do.owner.member_id if do.owner else None)
    if do.owner is not None and (unknown := refuse_unknown(ctx, do.packet_id, do.owner)):
        return unknown
    packet = ctx.packet(do.packet_id)
    if do.owner is not None and (refused := refuse_stale(ctx, packet, do.owner, "packet_requeued")):
        return refused
    packet_after(do.packet_id, packet.status, "packet_requeued")
    holder = packet.holder
    if holder is None:
        raise AssertionError(do.packet_id)
    return Decided(
        [
            e.PacketRequeued(
                packet_id=do.packet_id,
                epoch=packet.epoch + 1,
                owner=holder,
                reason=do.reason,
                elsewhere=do.elsewhere,
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
