"""The schemas of views, made from the views: one place says what a member or a packet looks like.

What stands in a view as a free object is described in :data:`_WITHIN`.  This module knows no operation.
"""

from functools import partial
from typing import Any, Final, cast

import msgspec

from pfgov.app.analytics import AnalyticsView
from pfgov.app.fleet import FleetView
from pfgov.app.search import SearchView
from pfgov.app.tenancy import Stage
from pfgov.app.views import (
    Discovery,
    EntryView,
    MemberView,
    PacketAudit,
    PacketView,
    VerdictRow,
)
from pfgov.core.events import Configuration
from pfgov.core.overview import LedgerView

TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer", "minimum": 0}
TIME: Final = {"type": "string", "format": "date-time"}
MAYBE_TEXT: Final = {"type": ["string", "null"]}
MAYBE_TIME: Final = {"type": ["string", "null"], "format": "date-time"}
FLAG: Final = {"type": "boolean"}
NUMBER: Final = {"type": "number"}


def reference(name: str) -> dict[str, Any]:
    """Return a reference to the schema *name*."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(items: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def object_of(
    required: dict[str, Any], optional: dict[str, Any] | None = None, *, more: bool = True
) -> dict[str, Any]:
    """Return the schema of an object with these fields, and with others if there may be *more*."""
    return {
        "type": "object",
        "required": sorted(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": more,
    }


closed: Final = partial(object_of, more=False)
"""An object without further fields."""


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an object's schema that allows null, too."""
    return {**schema, "type": ["object", "null"]}


def settings_schema() -> dict[str, Any]:
    """Return the schema of the settings: each by its name, and the schedulers of workloads as they are named."""
    fields = {one.name: one.type for one in msgspec.structs.fields(Configuration)}
    del fields["schedulers"]
    shown = {name: {"type": "number"} if kind is int else TEXT for name, kind in fields.items()}
    return {
        **object_of(shown, more=False),
        "patternProperties": {"^scheduler[.]": TEXT},
        "description": "spans of time in seconds",
    }


_SEEN: Final = {"seen": COUNT, "wanted": COUNT, "missed": list_of(TEXT)}
POLICY_TEST_RUN: Final = closed(
    {
        "policy": TEXT,
        "passed": COUNT,
        "failed": COUNT,
        "results": list_of(
            closed(
                {
                    **dict.fromkeys(("file", "case", "member", "expected", "got"), TEXT),
                    "line": COUNT,
                    "passed": FLAG,
                    "problem": MAYBE_TEXT,
                    "details": list_of(TEXT),
                }
            )
        ),
        "coverage": closed({**_SEEN, "points": closed(_SEEN)}),
    }
)
"""What tests of policies came to."""

LEDGER_STANDING: Final = closed(
    {
        "name": TEXT,
        "path": {**TEXT, "description": "what stands before the paths of its API"},
        "host": {
            **MAYBE_TEXT,
            "description": "its own host, where the server has a domain for them",
        },
        "state": {**TEXT, "enum": [one.value for one in Stage]},
        "origin": MAYBE_TEXT,
        "size": {
            "type": ["integer", "null"],
            "minimum": 0,
            "description": "entries when it last rested; null if unknown",
        },
        "root": MAYBE_TEXT,
        "due": {**MAYBE_TIME, "description": "when it is opened though nobody asks for it"},
        "requests": {**COUNT, "description": "requests and streams that are being answered"},
        "error": or_null(closed({"code": TEXT, "detail": TEXT})),
    }
)
"""One ledger of many, as a server lists it."""

LEDGER_MADE: Final = closed(
    {
        "name": TEXT,
        "path": {**TEXT, "description": "what stands before the paths of its API"},
        "host": {
            **MAYBE_TEXT,
            "description": "its own host, where the server has a domain for them",
        },
        "origin": TEXT,
        "anchor": {
            **TEXT,
            "description": "for verifiers, to be given on by another way than exports",
        },
        "key": {**MAYBE_TEXT, "description": "the id of its first key"},
    }
)
"""A ledger that was made."""

_CAPABILITY: Final = closed(
    {"name": TEXT},
    {
        "version": TEXT,
        "category": TEXT,
        "description": TEXT,
        "attributes": list_of({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2}),
    },
)
_PENDING: Final = closed(
    {
        "position": COUNT,
        "target": TEXT,
        "incarnation": COUNT,
        "deadline": TIME,
        "reason": TEXT,
        "view": MAYBE_TEXT,
    }
)
_IMPORTED: Final = closed(
    {},
    {
        "current_owner": TEXT,
        "previous_owners": list_of(TEXT),
        "status": TEXT,
        "last_event": TEXT,
        "state_hash": TEXT,
    },
)
_WITHIN: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("Member", "capabilities"): list_of(_CAPABILITY),
    ("Packet", "policy_constraints"): closed(
        {"pii_review_required": FLAG},
        {"minimum_trust_score": NUMBER, "allowed_regions": list_of(TEXT)},
    ),
    ("Packet", "obligations"): list_of(
        closed({"type": TEXT}, {"paths": list_of(TEXT), "to": TEXT, "expires": COUNT})
    ),
    ("Packet", "imported"): or_null(_IMPORTED),
    ("HandoffView", "pending"): or_null(_PENDING),
    ("EntryShown", "body"): {
        "description": "What the entry says, as the ledger has it, times in microseconds: docs/reference/events.md.",
        "type": ["object", "null"],
        "additionalProperties": True,
    },
}
"""What a field of a view holds that its type calls an object."""

_MOMENTS: Final = frozenset(
    {
        "assessed_at",
        "changed_at",
        "created_at",
        "deadline",
        "expires_at",
        "quarantine_until",
        "since",
        "time",
    }
)
"""Fields of views that are moments."""

_NAMES: Final = {
    "MemberView": "Member",
    "PacketView": "Packet",
    "EntryView": "EntryShown",
    "Discovery": "Discovered",
    "LedgerView": "Ledger",
    "FleetView": "Fleet",
    "SearchView": "Found",
    "AnalyticsView": "Analytics",
}
"""View -> the name of its schema, where that is another."""


def _anything(_: type) -> dict[str, Any]:
    """Return the schema of what is only called an object; :data:`_WITHIN` says more."""
    return {"description": "anything"}


def view_schemas() -> dict[str, Any]:
    """Return the schemas of the views, and of what stands in them."""
    views = (
        MemberView, PacketView, EntryView, Discovery, VerdictRow, LedgerView, PacketAudit, FleetView, SearchView,
        AnalyticsView,
    )  # fmt: skip
    _, found = msgspec.json.schema_components(views, schema_hook=_anything, ref_template="{name}")
    return {
        _NAMES.get(name, name): _described(_NAMES.get(name, name), schema)
        for name, schema in found.items()
    }


def _described(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field, described in schema["properties"].items():
        properties[field] = _WITHIN.get((name, field)) or _renamed(described)
        if field in _MOMENTS:
            properties[field] = TIME if described.get("type") == "string" else MAYBE_TIME
    # msgspec calls a field with a default optional; it is sent all the same
    made = closed(properties)
    return {"description": schema.get("description", ""), **made}


def _renamed(schema: object) -> Any:
    if isinstance(schema, list):
        return [_renamed(one) for one in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    found = cast("dict[str, Any]", schema)
    if "$ref" in found:
        name = str(found["$ref"])
        return reference(_NAMES.get(name, name))
    kept: dict[str, Any] = {
        name: _renamed(value) for name, value in found.items() if name != "default"
    }
    options: list[dict[str, Any]] | None = kept.get("anyOf")
    if options is not None and all(set(one) == {"type"} for one in options):
        # generators of clients understand a list of types better than a choice of schemas
        types = sorted({one["type"] for one in options})
        types = [one for one in types if one != "integer" or "number" not in types]
        return {"type": types if len(types) > 1 else types[0]}
    return kept
