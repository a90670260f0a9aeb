"""The closed vocabulary of events, version 1, and whose history each belongs to.

An entry's ``subject`` is a function of its type and body, so that a writer cannot file an event
under another subject to hide it.  A rule is the body member that carries the id (``packet_id``,
``member_id``), or a fixed subject; ``attachment_erased`` names the subject whose attachment it
erases.  What the bodies mean is not known here.
"""

import re
from collections.abc import Mapping
from typing import Final

from pfgov_ledger import canonical, errors

VERSION: Final = 1
ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
"""Every id in the ledger; compared as bytes."""

_ID: Final = re.compile(ID_PATTERN)
SUBJECT_PATTERN: Final = rf"(?:packet|member)/{ID_PATTERN}|policy|keys|ledger"
SUBJECT: Final = re.compile(SUBJECT_PATTERN)

_PACKET: Final = (
    "packet_created", "packet_updated", "assignment_decision", "review_requested",
    "review_recorded", "review_expired", "handoff_started", "handoff_completed", "handoff_denied",
    "handoff_escalated", "handoff_aborted", "ownership_revoked", "checkpoint_committed",
    "packet_completed", "packet_failed", "packet_requeued", "packet_cancelled", "write_refused",
    "decision_evaluated",
)  # fmt: skip
_MEMBER: Final = (
    "member_registered", "registration_denied", "member_updated", "capability_discovered",
    "capability_withdrawn", "trust_assessed", "trust_expired", "member_suspected", "member_failed",
    "member_recovered", "member_draining", "drain_cancelled", "member_quarantined",
    "member_released", "member_retired", "pressure_changed",
)  # fmt: skip
_POLICY: Final = (
    "policy_activated", "policy_denied", "policy_refused", "policy_proposed", "policy_approved",
    "policy_rejected", "policy_change_refused", "publisher_trusted", "publisher_rotated",
    "publisher_revoked",
)  # fmt: skip
_KEYS: Final = ("key_rotated", "key_revoked")
_LEDGER: Final = (
    "ledger_created", "engine_upgraded", "configuration_changed", "expiry_halted", "expiry_resumed",
    "index_committed", "leader_changed",
)  # fmt: skip

EVENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(_PACKET, "packet"),
    **dict.fromkeys(_MEMBER, "member"),
    **dict.fromkeys(_POLICY, "policy"),
    **dict.fromkeys(_KEYS, "keys"),
    **dict.fromkeys(_LEDGER, "ledger"),
    "attachment_erased": "named",
}
"""Event type -> rule: ``packet`` and ``member`` read an id, ``named`` a subject, others are fixed."""

PAIR_FIELDS: Final = frozenset(
    {"attributes", "capacity", "demand", "labels", "parameters", "settings"}
)
"""Body members that are free-form maps, hence arrays of pairs (:func:`canonical.check_pairs`)."""


def is_subject(text: str) -> bool:
    """Whether *text* is ``packet/ID``, ``member/ID``, ``policy``, ``keys`` or ``ledger``."""
    return SUBJECT.fullmatch(text) is not None


def subject_of(event_type: str, body: Mapping[str, object]) -> str:
    """The subject that an event of this type with this body belongs to.

    Raises:
        EventUnknownError: The type is not in the vocabulary.
        SubjectMismatchError: The body does not carry the id that the rule reads, or not as an id.
    """
    rule = EVENTS.get(event_type)
    if rule is None:
        raise errors.EventUnknownError(found=event_type[:80])
    if rule in {"packet", "member"}:
        found = body.get(f"{rule}_id")
        if isinstance(found, str) and _ID.fullmatch(found) is not None:
            return f"{rule}/{found}"
    elif rule == "named":
        found = body.get("subject")
        if isinstance(found, str) and is_subject(found):
            return found
    else:
        return rule
    raise errors.SubjectMismatchError(
        f"the body of {event_type} names no subject",
        expected=f"{rule} id",
        found=canonical.text_of(found, 80),
    )
