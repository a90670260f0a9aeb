"""The two state machines, as literal tables.

Everything that decides whether a member or a packet may change its status is in this file: two tables, and
two functions that look them up.  The tables are walked by the tests and rendered into the documentation.
What an event does beyond the status (owners, epochs, capacity) is in :mod:`pfgov.core.state`.
"""

from enum import StrEnum
from typing import Final

from pfgov.errors import IllegalTransitionError


class MemberStatus(StrEnum):
    """Where a member stands."""

    ACTIVE = "ACTIVE"
    SUSPECT = "SUSPECT"
    DRAINING = "DRAINING"
    QUARANTINED = "QUARANTINED"
    FAILED = "FAILED"
    RETIRED = "RETIRED"


class PacketStatus(StrEnum):
    """Where a packet stands."""

    PENDING = "PENDING"
    AWAITING_REVIEW = "AWAITING_REVIEW"
    ASSIGNED = "ASSIGNED"
    HANDOFF_PENDING = "HANDOFF_PENDING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_M = MemberStatus
_P = PacketStatus

MEMBER_TRANSITIONS: Final[dict[str, dict[MemberStatus | None, frozenset[MemberStatus]]]] = {
    # event                 from             to (more than one: the event's body says which)
    "member_registered": {
        None: frozenset({_M.ACTIVE}),
        _M.FAILED: frozenset({_M.ACTIVE}),
        _M.RETIRED: frozenset({_M.ACTIVE}),
    },
    "member_suspected": {_M.ACTIVE: frozenset({_M.SUSPECT})},
    "member_recovered": {
        _M.SUSPECT: frozenset({_M.ACTIVE}),  # a heartbeat came: the same incarnation
        _M.FAILED: frozenset({_M.ACTIVE}),  # the next incarnation, which owns nothing
    },
    "member_failed": {
        _M.ACTIVE: frozenset({_M.FAILED}),
        _M.SUSPECT: frozenset({_M.FAILED}),
        _M.DRAINING: frozenset({_M.FAILED}),
        _M.QUARANTINED: frozenset({_M.FAILED}),  # ADR 0007: else what it owns would wait for ever
    },
    "member_draining": {
        _M.ACTIVE: frozenset({_M.DRAINING}),
        _M.SUSPECT: frozenset({_M.DRAINING}),
    },
    "drain_cancelled": {_M.DRAINING: frozenset({_M.ACTIVE})},
    "member_quarantined": {
        _M.ACTIVE: frozenset({_M.QUARANTINED}),
        _M.SUSPECT: frozenset({_M.QUARANTINED}),
        _M.DRAINING: frozenset({_M.QUARANTINED}),
    },
    "member_released": {_M.QUARANTINED: frozenset({_M.ACTIVE, _M.SUSPECT, _M.DRAINING})},
    "member_retired": {_M.DRAINING: frozenset({_M.RETIRED})},
}
"""Member event -> status before -> statuses after.  Retiring needs zero owned packets, checked in the commit."""

PACKET_TRANSITIONS: Final[dict[str, dict[PacketStatus | None, PacketStatus]]] = {
    "packet_created": {None: _P.PENDING},
    "assignment_allowed": {_P.PENDING: _P.ASSIGNED, _P.AWAITING_REVIEW: _P.ASSIGNED},
    "assignment_refused": {_P.PENDING: _P.PENDING, _P.AWAITING_REVIEW: _P.PENDING},
    "assignment_escalated": {
        _P.PENDING: _P.AWAITING_REVIEW,
        _P.AWAITING_REVIEW: _P.AWAITING_REVIEW,
    },
    "review_refused": {_P.AWAITING_REVIEW: _P.PENDING, _P.ASSIGNED: _P.ASSIGNED},
    "review_expired": {_P.AWAITING_REVIEW: _P.PENDING, _P.ASSIGNED: _P.ASSIGNED},
    "handoff_started": {_P.ASSIGNED: _P.HANDOFF_PENDING},
    "handoff_completed": {_P.HANDOFF_PENDING: _P.ASSIGNED},
    "handoff_aborted": {_P.HANDOFF_PENDING: _P.ASSIGNED},
    "ownership_revoked": {_P.ASSIGNED: _P.PENDING, _P.HANDOFF_PENDING: _P.PENDING},
    "packet_requeued": {_P.ASSIGNED: _P.PENDING, _P.HANDOFF_PENDING: _P.PENDING},
    "packet_completed": {_P.ASSIGNED: _P.COMPLETED, _P.HANDOFF_PENDING: _P.COMPLETED},
    "packet_failed": {
        _P.PENDING: _P.FAILED,
        _P.AWAITING_REVIEW: _P.FAILED,
        _P.ASSIGNED: _P.FAILED,
        _P.HANDOFF_PENDING: _P.FAILED,
    },
    "packet_cancelled": {
        _P.PENDING: _P.CANCELLED,
        _P.AWAITING_REVIEW: _P.CANCELLED,
        _P.ASSIGNED: _P.CANCELLED,
        _P.HANDOFF_PENDING: _P.CANCELLED,
    },
}
"""Packet event -> status before -> status after.  ``assignment_*`` are the outcomes of ``assignment_decision``.

A packet that is owned while somebody reviews its handoff stays with its owner, whatever comes of the review.
"""

EPOCH_RAISED_BY: Final = frozenset(
    {"assignment_allowed", "handoff_completed", "ownership_revoked", "packet_requeued"}
)
"""The changes of owner: each raises the packet's epoch by exactly one."""

TERMINAL: Final = frozenset({_P.COMPLETED, _P.FAILED, _P.CANCELLED})
"""A packet in one of these never changes again; running it again is a new packet that names it."""

OWNED: Final = frozenset({_P.ASSIGNED, _P.HANDOFF_PENDING})
"""A packet in one of these has exactly one owner."""

MAY_OWN: Final = frozenset({_M.ACTIVE, _M.SUSPECT, _M.DRAINING, _M.QUARANTINED})
"""A member in one of these may still write to what it owns."""


def member_after(
    member_id: str, status: MemberStatus | None, event: str
) -> frozenset[MemberStatus]:
    """Return the statuses that *event* may lead to.

    Raises:
        IllegalTransitionError: the table has no such row.
    """
    row = MEMBER_TRANSITIONS[event].get(status)
    if row is None:
        raise IllegalTransitionError(
            kind="member",
            subject=member_id,
            status=status or "not registered",
            event=event,
            hint=_member_hint(status),
        )
    return row


def packet_after(packet_id: str, status: PacketStatus | None, event: str) -> PacketStatus:
    """Return the status that *event* leads to.

    Raises:
        IllegalTransitionError: the table has no such row.
    """
    row = PACKET_TRANSITIONS[event].get(status)
    if row is None:
        raise IllegalTransitionError(
            kind="packet",
            subject=packet_id,
            status=status or "not submitted",
            event=event,
            hint=f"see its history: pfgov packet show {packet_id}",
        )
    return row


def _member_hint(status: MemberStatus | None) -> str:
    if status is MemberStatus.RETIRED:
        return "a retired member comes back by registering again; that is its next incarnation"
    if status is MemberStatus.FAILED:
        return "a failed member comes back with: pfgov member recover"
    return "see where every member stands: pfgov member list"
