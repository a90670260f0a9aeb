"""The largest value of every event, from a table that bounds each field by name.

A field without a bound raises KeyError, so a new field needs one.
"""

import types
import typing
from typing import Any

import msgspec

from pfgov import limits
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.policy import limits as policy_limits

WIDE = "\U0001f600"  # four bytes in UTF-8, the most of any character that may stand in a text
ENVELOPE = {
    "v": 1, "log": "o" * 255, "seq": limits.INTEGER_MAX, "term": limits.INTEGER_MAX, "prev": "0" * 64,
    "subject": "packet/" + "p" * limits.ID_LENGTH_MAX, "subject_seq": limits.INTEGER_MAX, "subject_prev": "0" * 64,
    "issuer": "0" * 64, "time": limits.INTEGER_MAX, "command": {"seq": limits.INTEGER_MAX, "index": 4_096},
    "type": max(e.EVENTS, key=len), "body": None,
}  # fmt: skip

ID = "i" * limits.ID_LENGTH_MAX
TEXT = WIDE * limits.TEXT_LENGTH_MAX
HASH = "0" * 64
NAME = "n" * policy_limits.NAME_LENGTH_MAX
RULE = f"{NAME}/{NAME}"
DECIMAL = "999999999.999999"

STRINGS = {
    "address": TEXT,
    "again": ID, "current_owner": ID, "last_event": ID, "minimum_trust_score": DECIMAL, "public_key": HASH,
    "scheduler": ID, "state_hash": TEXT, "workload_type": ID,
    "action": max((msgspec.inspect.type_info(a).tag for a in typing.get_args(c.AnyAction)), key=len),
    "cause": "policy_and_more", "claimed_trust": DECIMAL, "code": ID, "commitment": HASH, "detail": TEXT,
    "digest": HASH, "engine": ID, "handoff_mode": "accept", "id": ID, "key": HASH, "kind": "service",
    "level": "normal", "lineage_id": ID, "member_id": ID, "mode": "stop_first", "name": ID, "new": HASH, "note": TEXT,
    "old": HASH, "origin": "o" * 255, "packet_id": ID, "point": "handoff", "policy": HASH, "pressure": DECIMAL,
    "pressure_high": DECIMAL, "pressure_low": DECIMAL, "previous": HASH, "principal": ID, "public": HASH,
    "reason": TEXT, "region": ID, "request_id": ID, "reviewer": ID, "role": "recovery", "root": HASH, "rule": NAME,
    "runner_up": ID, "score": DECIMAL, "source": ID, "status": "QUARANTINED", "step": TEXT, "subject_": ID + "packet/",
    "table": HASH, "to": NAME, "type": "approval", "version": NAME, "active": HASH, "claimed_owner": ID,
    "description": TEXT, "category": ID, "submitted_by": ID, "about": ID + "packet/", "proposer": ID,
    "approver": ID, "binding": HASH, "manifest": HASH, "proposed": HASH, "publisher": ID, "rollback": "emergency",
}  # fmt: skip
"""Field -> its largest text.  Texts of people are in four-byte characters."""

_LABEL = ("n" * limits.NAME_LENGTH_MAX, WIDE * limits.LABEL_LENGTH_MAX)

LISTS: dict[str, list[Any]] = {
    "allowed_regions": [ID] * limits.REGIONS_MAX,
    "capabilities": [c.Capability(name=ID)] * limits.CAPABILITIES_MAX,
    "capacity": [("n" * limits.NAME_LENGTH_MAX, DECIMAL)] * limits.DIMENSIONS_MAX,
    "clearances": [ID] * limits.CLEARANCES_MAX,
    "data_classes": [ID] * limits.CLEARANCES_MAX,
    "classes": [ID] * limits.CLEARANCES_MAX,
    "detectors": [ID] * limits.DETECTORS_MAX,
    "demand": [("n" * limits.NAME_LENGTH_MAX, DECIMAL)] * limits.DIMENSIONS_MAX,
    "labels": [_LABEL] * limits.LABELS_MAX,
    "previous_owners": [ID] * limits.PREVIOUS_OWNERS_MAX,
    "required_capabilities": [ID] * limits.CAPABILITIES_MAX,
    "attributes": [_LABEL] * limits.ATTRIBUTES_MAX,
    "candidates": [(ID, f"{HASH}:{HASH}")] * limits.REVIEW_CANDIDATES_MAX,
    "codes": [ID] * 32,
    "dead": [ID] * limits.DEAD_NAMED_MAX,
    "keys": [e.KeyRef(role="recovery", public=HASH)] * limits.KEYS_MAX,
    "nearest": [
        e.Loser(member_id=ID, score=-limits.INTEGER_MAX, reasons=(RULE,) * limits.REASONS_PER_LOSER_MAX)
    ] * limits.NEAREST_LOSERS_MAX,
    "obligations": [],  # their bytes are bounded together: OBLIGATION_BYTES_MAX
    "parameters": [("p" * 32, "v" * 64)] * 8,
    "points": [NAME] * 8,
    "policies": [e.PolicyRef(name=NAME, version=NAME, mode="enforce")] * limits.POLICIES_MAX,
    "lapsed": ["packet.labels." + "n" * limits.NAME_LENGTH_MAX] * limits.LAPSED_SHOWN_MAX,
    "reviewed_for": [ID] * limits.PRINCIPAL_RIGHTS_MAX,
    "reviews": [limits.INTEGER_MAX] * limits.REVIEWS_PER_PACKET_MAX,
    "seen": [("packet.labels." + "n" * limits.NAME_LENGTH_MAX, HASH)] * limits.REVIEW_FACTS_MAX,
    "submitted_for": [ID] * limits.PRINCIPAL_RIGHTS_MAX,
    "reasons": [RULE] * limits.REASONS_MAX,
    "rejected": [(RULE, limits.MEMBERS_MAX)] * limits.REJECTED_RULES_MAX,
    "rules": [e.RuleRef(policy=NAME, rule=NAME)] * limits.ESCALATING_RULES_MAX,
    "schedulers": [
        (ID, e.SchedulerRef(name=NAME, version=NAME, parameters=(("p" * 32, "v" * 64),) * 4))
    ] * limits.WORKLOAD_SCHEDULERS_MAX,
    "shadow": [(RULE, limits.MEMBERS_MAX)] * limits.REJECTED_RULES_MAX,
    "signatures": [(HASH, HASH * 2)] * limits.KEYS_MAX,
}  # fmt: skip
"""Field -> its largest list."""

COPIES: dict[type[e.Event], type[c.Action]] = {
    e.MemberRegistered: c.RegisterMember,
    e.MemberUpdated: c.UpdateMember,
    e.CapabilityDiscovered: c.UpdateMember,
    e.PacketCreated: c.SubmitPacket,
    e.PacketUpdated: c.UpdatePacket,
}
"""Events whose body repeats the fields of the action that the border bounded, and the action."""

COPY_EXTRA = 6_500
"""What such a body adds to the action's own bytes: longer names, trust, a policy digest, for whom it is."""


def largest(hint: Any, name: str) -> Any:
    """The value of the most bytes that a field of this type and name may hold."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return largest(next(one for one in arguments if one is not type(None)), name)
    if origin is typing.Literal:
        return max(arguments, key=len)
    if origin is tuple:
        return (
            tuple(LISTS[name])
            if arguments[-1] is ...
            else tuple(largest(a, name) for a in arguments)
        )
    if hint is str:
        return STRINGS[name]
    if hint is int:
        return -limits.INTEGER_MAX
    if hint is bool:
        return False
    return build(hint)


def build(struct: type[Any]) -> Any:
    """The largest value of a struct, without a command."""
    hints = typing.get_type_hints(struct)
    fields = {f.name for f in msgspec.structs.fields(struct)} - {"command"}
    return struct(**{name: largest(hints[name], name) for name in sorted(fields)})


def size(value: Any) -> int:
    """Bytes in the ledger's encoding."""
    return len(msgspec.json.encode(value))


def command_bytes() -> int:
    """The most bytes of a command around an action of the border's budget."""
    principal = c.Principal(id=ID, rights=("member:" + ID,) * limits.PRINCIPAL_RIGHTS_MAX)
    command = c.Command(id=ID, request_id=ID, principal=principal, do=c.CommitIndex())
    return size({"command": command}) + limits.ACTION_BYTES_MAX


def body_bytes(event: type[e.Event]) -> int:
    """The most bytes of an event's body without its command."""
    if event in COPIES:
        return limits.ACTION_BYTES_MAX + COPY_EXTRA
    obligations = limits.OBLIGATION_BYTES_MAX if "obligations" in event.__struct_fields__ else 0
    return size(build(event)) + obligations
