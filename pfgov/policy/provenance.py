"""Who can set each fact: what a rule that reads it takes somebody's word for.

A table beside the schema (:mod:`pfgov.policy.facts`), shown in the reference, in the JSON Schemas and by ``pfgov
policy check``.  It says what the core enforces (rights, :mod:`pfgov.core.decide.granting`, declarations of labels) and
enforces nothing itself.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEANING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "pfgov": "computed by pfgov, or proved by a key or a token",
        "submitter": "whoever submits the packet or changes its terms; an operator, too",
        "member": "the member itself, when it registers or later; an operator, too",
        "operator": "an operator, or an assessor who does not act for the member; never the member itself",
        "assessor": "an assessor who does not act for the member; never the member itself",
        "owner": "the packet's owner, with a checkpoint",
        "administrator": "whoever makes keys, or maps the claims of tokens",
        "asker": "whoever asks, in what is asked",
        "labels": "whom the declaration names (`set_by`)",
    }
)
"""Every word of the table, with what it means."""

_MEMBER: Final[Mapping[str, str]] = {
    "id": "pfgov",
    "type": "member",
    "capabilities": "member",
    "capability_versions": "member",
    "region": "operator",
    "clearances": "operator",
    "trust_score": "assessor",
    "reliability": "pfgov",
    "status": "pfgov",
    "load.active": "pfgov",
    "load.cpu": "pfgov",
    "load.memory": "pfgov",
    "load.pressure": "member",
    "capacity.cpu": "member",
    "capacity.memory": "member",
    "capacity.tasks": "member",
    "labels": "labels",
    "incarnation": "pfgov",
}

_PACKET: Final[Mapping[str, str]] = {
    "packet_id": "submitter",
    "workload_type": "submitter",
    "priority": "submitter",
    "required_capabilities": "submitter",
    "data_classes": "submitter",
    "scanned_by": "pfgov",
    "policy_constraints.pii_review_required": "submitter",
    "policy_constraints.minimum_trust_score": "submitter",
    "policy_constraints.allowed_regions": "submitter",
    "handoff.allowed": "submitter",
    "handoff.reason": "submitter",
    "handoff_count": "pfgov",
    "previous_owners": "pfgov",
    "labels": "labels",
    "demand.cpu": "submitter",
    "demand.memory": "submitter",
    "step": "owner",
    "epoch": "pfgov",
    "submitted_by.id": "pfgov",
    "submitted_by.members": "pfgov",
    "reviews": "pfgov",
    "reviewed_for": "pfgov",
}

_OTHERS: Final[Mapping[str, Mapping[str, str]]] = {
    "principal": {
        "id": "pfgov",
        "name": "administrator",
        "issuer": "pfgov",
        "members": "administrator",
        "rights": "administrator",
    },
    "review": {
        "granted": "asker",
        "point": "pfgov",
        "rules": "pfgov",
        "member": "asker",
        "approvals": "pfgov",
    },
    "export": {"kind": "asker", "subject": "asker"},
    "activation": dict.fromkeys(("digest", "policies", "dropped", "points"), "pfgov"),
}

SET_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{f"packet.{name}": who for name, who in _PACKET.items()},
        **{f"member.{name}": who for name, who in _MEMBER.items()},
        **{f"source.{name}": who for name, who in _MEMBER.items()},
        **{f"{root}.{name}": who for root, rows in _OTHERS.items() for name, who in rows.items()},
        "action": "pfgov",
        "reason": "asker",
        "now": "pfgov",
    }
)
"""Path of a fact -> a word of :data:`MEANING`.  ``before`` has those of the packet, or of the member."""


def setter(path: tuple[str, ...]) -> str | None:
    """Return who sets what *path* reads, or None where it is no fact with a row.

    >>> setter(("member", "capacity", "cpu")), setter(("member", "labels", "team")), setter(("params", "x"))
    ('member', 'labels', None)
    """
    for length in range(len(path), 0, -1):
        found = SET_BY.get(".".join(path[:length]))
        if found is not None:
            return found
    return None
