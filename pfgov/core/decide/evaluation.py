"""The rule that answers whether a member may own a packet, on record, and moves nothing."""

from typing import Final

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.context import Context, Decided
from pfgov.core.decide.placement import decide_placement
from pfgov.core.lifecycle import TERMINAL, packet_after
from pfgov.core.verdicts import Point

ASKED_AS_IT_STANDS: Final = 3
"""The rules since which nobody is told that it may own a packet that has ended, or may get one that it owns."""


def evaluate(ctx: Context, do: c.EvaluateDecision) -> Decided:
    """Answer whether a member may own a packet, on record, and move nothing.

    Raises:
        IllegalTransitionError: the packet has ended, so that nobody will own it; nothing is recorded.
    """
    ctx.authorise(do)
    packet, member = ctx.packet(do.packet_id), ctx.member(do.member_id)
    as_it_stands = ctx.state.semantics >= ASKED_AS_IT_STANDS
    if as_it_stands and packet.status in TERMINAL:
        packet_after(do.packet_id, packet.status, "assignment_allowed")
    last = packet.holder or packet.last_owner
    point = Point(do.point) if do.point else (Point.ASSIGN if last is None else Point.HANDOFF)
    source = ctx.state.members.get(last.member_id) if last and point is not Point.ASSIGN else None
    placement = decide_placement(
        ctx,
        packet,
        point,
        source=source,
        target=member,
        reason="evaluated",
        exclude=packet.owner if as_it_stands else None,
    )
    outcome = {"allowed": "allowed", "escalated": "escalated"}.get(placement.outcome, "denied")
    event = e.DecisionEvaluated(
        packet_id=do.packet_id,
        member_id=do.member_id,
        outcome=outcome,  # type: ignore[arg-type]  # one of the three literals
        reasons=tuple(name for name, _ in placement.decision.rejected),
        obligations=placement.verdict.obligations if placement.verdict else (),
        decision=placement.decision,
    )
    return Decided([event], tables={placement.decision.table: placement.table})
