"""What each event does to the state: one function per event, in one table.

``apply`` is the only code that changes the state.  The engine runs it after deciding, the auditor after verifying;
both get the same rows.  It knows no rules: that an event was allowed to happen is the business of
:mod:`pfgov.core.decide`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pfgov.core import events as e
from pfgov.core.apply import ledger, members, packets
from pfgov.core.apply.packets import new_packet, terms_of, updated_terms
from pfgov.core.records import Stamp
from pfgov.core.state import State

__all__ = ["APPLY", "apply", "new_packet", "terms_of", "updated_terms"]


def apply(state: State, event: e.Event, stamp: Stamp) -> None:
    """Change *state* as *event* says, at *stamp*.

    The event was decided or verified before; a row that is not there is our own mistake.

    Raises:
        KeyError: the event names a member or packet that the state does not hold.
    """
    APPLY[event.type](state, event, stamp)
    state.size = stamp.seq + 1
    state.time = stamp.time


APPLY: Final[Mapping[str, Callable[[State, Any, Stamp], None]]] = {
    "ledger_created": ledger.ledger_created,
    "engine_upgraded": ledger.engine_upgraded,
    "configuration_changed": ledger.configuration_changed,
    "key_rotated": ledger.key_rotated,
    "key_revoked": ledger.key_revoked,
    "policy_activated": ledger.policy_activated,
    "policy_denied": ledger.policy_denied,
    "policy_proposed": ledger.policy_proposed,
    "policy_approved": ledger.policy_approved,
    "policy_rejected": ledger.policy_rejected,
    "policy_change_refused": ledger.refused,
    "publisher_trusted": ledger.publisher_trusted,
    "publisher_rotated": ledger.publisher_rotated,
    "publisher_revoked": ledger.publisher_revoked,
    "policy_refused": ledger.refused,
    "expiry_halted": ledger.expiry_halted,
    "expiry_resumed": ledger.expiry_resumed,
    "index_committed": ledger.nothing,
    "leader_changed": ledger.nothing,
    "attachment_erased": ledger.nothing,
    "decision_evaluated": ledger.nothing,
    "registration_denied": ledger.refused,
    "member_registered": members.member_registered,
    "member_updated": members.member_updated,
    "capability_discovered": members.capability_discovered,
    "capability_withdrawn": members.capability_withdrawn,
    "trust_assessed": members.trust_assessed,
    "trust_expired": members.trust_expired,
    "member_suspected": members.member_suspected,
    "member_failed": members.member_failed,
    "member_recovered": members.member_recovered,
    "member_draining": members.member_draining,
    "drain_cancelled": members.drain_cancelled,
    "member_quarantined": members.member_quarantined,
    "member_released": members.member_released,
    "member_retired": members.member_retired,
    "pressure_changed": members.pressure_changed,
    "packet_created": packets.packet_created,
    "packet_updated": packets.packet_updated,
    "assignment_decision": packets.assignment_decision,
    "review_requested": packets.review_requested,
    "review_recorded": packets.review_recorded,
    "review_expired": packets.review_expired,
    "handoff_started": packets.handoff_started,
    "handoff_completed": packets.handoff_completed,
    "handoff_denied": packets.handoff_refused,
    "handoff_escalated": packets.handoff_refused,
    "handoff_aborted": packets.handoff_aborted,
    "ownership_revoked": packets.ownership_revoked,
    "checkpoint_committed": packets.checkpoint_committed,
    "packet_completed": packets.packet_ended,
    "packet_failed": packets.packet_ended,
    "packet_requeued": packets.packet_requeued,
    "packet_cancelled": packets.packet_ended,
    "write_refused": packets.write_refused,
}
"""What each event does.  Its keys are exactly the vocabulary of :data:`pfgov.core.events.EVENTS`."""
