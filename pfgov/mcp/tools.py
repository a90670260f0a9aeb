"""The tools: what each is called, what it takes and what it answers, as JSON Schema.

Arguments that a schema does not name are refused.  What the values mean is the server's business, which judges them
again; the bounds here only keep what cannot be meant from being sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

ITEMS_MAX: Final = 64
"""Elements of a list among the arguments."""

CONTEXT: Final = "context"
"""The argument that is data, of any size that fits into a request."""

TEXT_MAX: Final = 512
"""Characters of a text among the arguments."""

_ID: Final = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}$"}
_TEXT: Final = {"type": "string", "maxLength": TEXT_MAX}
_COUNT: Final = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_TEXTS: Final = {"type": "array", "items": _TEXT, "maxItems": ITEMS_MAX}


@dataclass(frozen=True, slots=True)
class ToolData:
    """One tool.

    Attributes:
        name: What it is called by.
        description: When to use it, for a model.
        takes: Schema of its arguments.
        answers: Schema of its structured answer; every answer may be an ``error`` instead.
        writes: Whether it changes the ledger.
    """

    name: str
    description: str
    takes: Mapping[str, Any]
    answers: Mapping[str, Any]
    writes: bool


def _described(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


_ERROR: Final = {
    "type": "object",
    "description": "Why nothing was done: tell refusals apart by `code`.",
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "hint": {"type": ["string", "null"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["code", "detail", "hint", "reasons"],
}


def _answers(properties: Mapping[str, Any], *always: str) -> dict[str, Any]:
    """Return the schema of an answer that has *always*, or an ``error`` instead."""
    return {
        "type": "object",
        "properties": {**properties, "error": _ERROR},
        "anyOf": [{"required": list(always)}, {"required": ["error"]}],
    }


_REVIEW: Final = {
    "type": ["object", "null"],
    "description": "Who has to review (`to`), which `rules`, until when; null where nobody has to.",
}
_OUTCOME: Final = {
    "type": "string",
    "enum": ["allowed", "denied", "escalated", "pending", "unchanged"],
    "description": (
        "allowed: done. pending: done, and it waits for room, members or its target. denied: it stays where it is,"
        " `reasons` says why. escalated: it stays until a `review` is granted, then it moves by itself."
    ),
}
_RECORDED: Final = {
    "outcome": _OUTCOME,
    "reasons": {"type": "array", "items": {"type": "string"}},
    "says": {"type": "array", "items": {"type": "string"}, "description": "One sentence an entry."},
    "packet_id": {"type": ["string", "null"]},
    "owner": {"type": ["string", "null"]},
    "epoch": {"type": ["integer", "null"]},
    "review": _REVIEW,
    "position": {"type": ["integer", "null"], "description": "Where the ledger has it."},
    "receipt": {"type": "object", "description": "What proves it: keep it, it can be verified."},
}
_RECORDED_ALWAYS: Final = ("outcome", "reasons", "says", "position", "receipt")
_PACKET: Final[Mapping[str, Any]] = {
    "packet_id": _described(_ID, "Its id; one is drawn where it has none."),
    "workload_type": _described(_TEXT, "What kind of work it is."),
    "required_capabilities": _described(_TEXTS, "What its owner has to be able to do."),
    "data_classes": _described(_TEXTS, "Classes of data in it, such as pii.email."),
    "labels": {
        "type": "object",
        "additionalProperties": _TEXT,
        "maxProperties": ITEMS_MAX,
        "description": "What policy reads, such as the amount of a refund.",
    },
    "minimum_trust_score": {"type": "number", "minimum": 0, "maximum": 1},
    "allowed_regions": _TEXTS,
    "pii_review_required": {"type": "boolean"},
    CONTEXT: {"type": "object", "description": "The data that moves with it; committed to."},
    "priority": {"type": "integer"},
    "hold": {"type": "boolean", "description": "Wait until somebody places it."},
}
_ONCE: Final = {
    "idempotency_key": _described(
        {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "The same call with the same key is done once; use one for each thing that you mean.",
    )
}

TOOLS: Final[tuple[ToolData, ...]] = (
    ToolData(
        "discover",
        "Ask who could own a packet, and why not each other member. Nothing is recorded. Name a packet that exists, or"
        " describe one that might be submitted.",
        _object(_PACKET),
        _answers(
            {
                "eligible": {"type": "array", "items": {"type": "string"}},
                "would_go_to": {"type": ["string", "null"]},
                "members": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "member_id": {"type": "string"},
                            "outcome": {"type": "string"},
                            "reasons": {"type": "array", "items": {"type": "string"}},
                        },
                        "required": ["member_id", "outcome", "reasons"],
                    },
                },
                "nearest_misses": {"type": "array", "items": {"type": "string"}},
            },
            "eligible",
            "would_go_to",
            "members",
            "nearest_misses",
        ),
        writes=False,
    ),
    ToolData(
        "submit",
        "Submit a packet of work. Policy and a scheduler choose its owner; `outcome` says whether it has one.",
        _object({**_PACKET, **_ONCE}, "workload_type"),
        _answers(_RECORDED, *_RECORDED_ALWAYS),
        writes=True,
    ),
    ToolData(
        "explain",
        "Say how a packet stands and why: its owner, epoch and version, what it waits for, and seven answers from the"
        " ledger, each with the entries that prove it.",
        _object({"packet_id": _ID}, "packet_id"),
        _answers(
            {
                "packet_id": {"type": "string"},
                "status": {"type": "string"},
                "owner": {"type": ["string", "null"]},
                "incarnation": {"type": ["integer", "null"]},
                "epoch": {"type": "integer"},
                "version": {"type": "integer", "description": "What a review names."},
                "waiting": {"type": ["object", "null"]},
                "review": _REVIEW,
                "answers": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "question": {"type": "string"},
                            "lines": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "properties": {
                                        "says": {"type": "string"},
                                        "entries": {"type": "array", "items": {"type": "integer"}},
                                    },
                                    "required": ["says", "entries"],
                                },
                            },
                        },
                        "required": ["question", "lines"],
                    },
                },
            },
            "packet_id",
            "status",
            "owner",
            "epoch",
            "version",
            "answers",
        ),
        writes=False,
    ),
    ToolData(
        "hand_off",
        "Move a packet from its owner to a target, or to whoever is best. An owner names itself: member_id,"
        " incarnation and epoch, as `explain` says them. Look at `outcome`: a denial is no handoff.",
        _object(
            {
                "packet_id": _ID,
                "target": _described(
                    _ID, "The member; whoever policy and the scheduler choose, if none is named."
                ),
                "reason": _TEXT,
                "member_id": _described(_ID, "The owner that hands it off."),
                "incarnation": _COUNT,
                "epoch": _described(_COUNT, "A handoff under an epoch that is over is refused."),
                **_ONCE,
            },
            "packet_id",
        ),
        _answers(_RECORDED, *_RECORDED_ALWAYS),
        writes=True,
    ),
    ToolData(
        "review",
        "Grant or refuse what policy escalated, for the version of the packet that was looked at. Only for whoever has"
        " the right that `review.to` names; never for work of one's own.",
        _object(
            {
                "packet_id": _ID,
                "granted": {"type": "boolean"},
                "version": _COUNT,
                "member_id": _described(_ID, "For this member alone."),
                "note": _TEXT,
                **_ONCE,
            },
            "packet_id",
            "granted",
            "version",
        ),
        _answers(_RECORDED, *_RECORDED_ALWAYS),
        writes=True,
    ),
    ToolData(
        "verify",
        "Fetch a packet's lineage and verify it here, against the anchor that was pinned when this server was started:"
        " signatures, chain, completeness and custody.",
        _object(
            {
                "packet_id": _ID,
                "fresh": {
                    "type": "boolean",
                    "description": "Have everything up to now committed to first; that takes the right of an operator.",
                },
            },
            "packet_id",
        ),
        _answers(
            {
                "passed": {"type": "boolean"},
                "covered": {
                    "type": ["integer", "null"],
                    "description": "Entries before this position are covered; later ones are not in it yet.",
                },
                "verdicts": {"type": "object", "additionalProperties": {"type": "string"}},
                "report": {"type": "object"},
            },
            "passed",
            "covered",
            "verdicts",
            "report",
        ),
        writes=True,
    ),
)
"""All of them, in the order in which they are listed."""
