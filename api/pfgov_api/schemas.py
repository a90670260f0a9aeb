"""What answers look like, as JSON Schema: written beside the views that they describe, and held to them by tests."""

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_MAYBE_TEXT: Final = {"type": ["string", "null"]}
_COUNT: Final = {"type": "integer", "minimum": 0}


def _object(
    required: dict[str, Any], optional: dict[str, Any] | None = None, *, more: bool = True
) -> dict[str, Any]:
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": more,
    }


def _page(of: str) -> dict[str, Any]:
    items = {"type": "array", "items": {"$ref": f"#/components/schemas/{of}"}}
    return _object({"items": items}, {"next": _TEXT}, more=False)


_RECEIPT: Final = _object(
    {"position": {"type": ["integer", "null"], "minimum": 0}, "count": _COUNT, "size": _COUNT},
    {"entry": _TEXT, "signature": _TEXT, "issuer": _TEXT, "proof": _TEXT},
    more=False,
)
_ENTRIES: Final = {"type": "array", "items": {"$ref": "#/components/schemas/EntryShown"}}
_FOLLOWED: Final = {"as_a_result": _ENTRIES, "settled": {"type": "boolean"}}
_EVENT: Final = _object(
    {"position": _COUNT, "type": _TEXT, "subject": _TEXT, "says": _TEXT}, more=False
)

SCHEMAS: Final[dict[str, Any]] = {
    "Object": {"type": "object"},
    "Text": {"type": "string"},
    "Stream": {"type": "string", "description": "lines, sent as they are made"},
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": _COUNT,
            "detail": _TEXT,
            "instance": _TEXT,
            "code": _TEXT,
        },
        {
            "hint": _TEXT,
            "errors": {
                "type": "array",
                "items": _object(
                    {"pointer": _TEXT, "detail": _TEXT, "code": _TEXT}, {"hint": _TEXT}, more=False
                ),
            },
            "receipt": {"$ref": "#/components/schemas/Receipt"},
        },
        more=False,
    ),
    "Receipt": _RECEIPT,
    "Recorded": _object(
        {
            "receipt": {"$ref": "#/components/schemas/Receipt"},
            "events": {"type": "array", "items": _EVENT},
            "result": {"type": "object"},
        },
        {"recorded": _ENTRIES, **_FOLLOWED},
        more=False,
    ),
    "Payloads": _object(
        {
            "payloads": {
                "type": "array",
                "items": _object(
                    {
                        "commitment": _TEXT,
                        "subject": _TEXT,
                        "field": _TEXT,
                        "entry": _COUNT,
                        "view_of": _MAYBE_TEXT,
                        "bytes": {"type": ["integer", "null"], "minimum": 0},
                        "state": {"type": "string", "enum": ["present", "erased"]},
                        "why": _MAYBE_TEXT,
                    },
                    more=False,
                ),
            }
        },
        more=False,
    ),
    "ErasedPayloads": _object(
        {
            "state": {"type": "string", "enum": ["done", "pending"]},
            "why": _TEXT,
            "erased": {"type": "array", "items": _TEXT},
            "already_erased": {"type": "array", "items": _TEXT},
            "entries": {"type": "array", "items": _COUNT},
            "left": _COUNT,
            "events": {"type": "array", "items": _EVENT},
        },
        {"receipt": {"$ref": "#/components/schemas/Receipt"}},
        more=False,
    ),
    "KeyList": _object(
        {
            "origin": _TEXT,
            "next": _object({"seq": _COUNT, "prev": _TEXT}, more=False),
            "keys": {
                "type": "array",
                "items": _object(
                    {
                        "role": _TEXT,
                        "public": _TEXT,
                        "id": _TEXT,
                        "since": _COUNT,
                        "until": {"type": ["integer", "null"], "minimum": 0},
                        "state": {"type": "string", "enum": ["in_force", "replaced", "revoked"]},
                    },
                    more=False,
                ),
            },
        },
        more=False,
    ),
    "KeyChanged": _object(
        {
            "receipt": {"$ref": "#/components/schemas/Receipt"},
            "events": {"type": "array", "items": _EVENT},
            "result": _object({"role": _TEXT, "old": _MAYBE_TEXT, "new": _MAYBE_TEXT}, more=False),
            "checkpoint": _MAYBE_TEXT,
        },
        more=False,
    ),
    "Ticked": _object({"halted": _MAYBE_TEXT, "as_a_result": _ENTRIES}, _FOLLOWED, more=False),
    "Ledger": _object(
        {
            "origin": _TEXT,
            "size": _COUNT,
            "semantics": _COUNT,
            "policy": _MAYBE_TEXT,
            "policies": {"type": "array", "items": _TEXT},
            "scheduler": _TEXT,
            "members": {"type": "object", "additionalProperties": _COUNT},
            "packets": {"type": "object", "additionalProperties": _COUNT},
            "without_owner": _COUNT,
        }
    ),
    "Configuration": _object({"configuration": {"type": "object"}}, more=False),
    "Member": _object({"id": _TEXT, "status": _TEXT, "incarnation": _COUNT, "type": _TEXT}),
    "MemberPage": _page("Member"),
    "Packet": _object({"packet_id": _TEXT, "status": _TEXT, "epoch": _COUNT}),
    "PacketPage": _page("Packet"),
    "EntryShown": _object(
        {"seq": _COUNT, "time": _TEXT, "type": _TEXT, "subject": _TEXT, "says": _TEXT}
    ),
    "EntryPage": _page("EntryShown"),
    "Entry": _object(
        {
            "entry": _TEXT,
            "signature": _TEXT,
            "position": _COUNT,
            "shown": {"$ref": "#/components/schemas/EntryShown"},
        },
        more=False,
    ),
    "Indexed": _object(
        {
            "position": _COUNT,
            "receipt": {"$ref": "#/components/schemas/Receipt"},
            "events": {"type": "array", "items": _EVENT},
            "result": {"type": "object"},
        },
        more=False,
    ),
    "Heard": _object(
        {
            "lost": {
                "type": "array",
                "items": _object({"packet_id": _TEXT, "epoch": _COUNT}, more=False),
            },
            "lease_until": _COUNT,
            "was_suspect": {"type": "boolean"},
        },
        _FOLLOWED,
        more=False,
    ),
    "CapabilityList": _object(
        {
            "items": {
                "type": "array",
                "items": _object(
                    {
                        "name": _TEXT,
                        "versions": {"type": "array", "items": _TEXT},
                        "members": {"type": "array", "items": _TEXT},
                    },
                    more=False,
                ),
            }
        },
        more=False,
    ),
    "Context": _object({"commitment": _TEXT, "context": {}}, more=False),
    "Consistency": _object(
        {
            "from": _COUNT,
            "to": _COUNT,
            "hashes": {"type": "array", "items": _TEXT},
            "checkpoint": _TEXT,
        },
        more=False,
    ),
    "DecisionAnswer": _object(
        {"outcome": _TEXT, "allowed": {"type": "boolean"}, "point": _TEXT, "policy": _TEXT},
        {"member_id": _MAYBE_TEXT, "nearest_miss": _MAYBE_TEXT},
    ),
    "Discovery": _object(
        {
            "eligible": {"type": "array", "items": _TEXT},
            "would_go_to": _MAYBE_TEXT,
            "members": {"type": "array", "items": {"type": "object"}},
            "nearest_miss": _MAYBE_TEXT,
        }
    ),
    "DecisionAnswers": _object(
        {"decisions": {"type": "array", "items": {"$ref": "#/components/schemas/DecisionAnswer"}}},
        more=False,
    ),
    "PolicySet": _object(
        {
            "digest": _TEXT,
            "points": {"type": "array", "items": _TEXT},
            "policies": {"type": "array", "items": {"type": "object"}},
        },
        more=False,
    ),
    "Playground": _object(
        {
            "policy": _TEXT,
            "members": {"type": "array", "items": {"type": "object"}},
            "nearest_miss": _MAYBE_TEXT,
        },
        more=False,
    ),
    "AuthzenDecision": _object(
        {"decision": {"type": "boolean"}}, {"context": {"type": "object"}}, more=False
    ),
    "AuthzenSubjects": _object(
        {
            "results": {
                "type": "array",
                "items": _object({"type": _TEXT, "id": _TEXT}, more=False),
            }
        },
        more=False,
    ),
}
"""Name -> schema of every answer that an operation may name."""
