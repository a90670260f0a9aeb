"""The JSON Schemas of request bodies: the wire models' own, with the bounds that their validators hold in code.

What JSON Schema cannot say (that a key stands once, that two fields exclude each other, which characters may not stand
in a free object) stays with the models; everything that it can say is said, so that a generated client refuses early.
"""

from collections.abc import Iterable
from typing import Any, Final, cast

from pydantic.json_schema import models_json_schema

from pfgov.limits import (
    HANDOFFS_MAX,
    INTEGER_MAX,
    LEASE_SECONDS_MAX,
    PRIORITY_MAX,
    PROGRESS_SECONDS_MAX,
    WEIGHT_MAX,
)
from pfgov.model import Wire
from pfgov.model.times import DATE_TIME
from pfgov_api.operations import Operation

_WITHOUT_NULL: Final = frozenset({"MemberUpdate", "PacketUpdate", "PolicyConstraints"})
_INTEGERS: Final[dict[str, tuple[int, int]]] = {
    "incarnation": (1, INTEGER_MAX),
    "weight": (1, WEIGHT_MAX),
    "lease_seconds": (1, LEASE_SECONDS_MAX),
    "priority": (0, PRIORITY_MAX),
    "max_handoffs": (0, HANDOFFS_MAX),
    "progress_seconds": (1, PROGRESS_SECONDS_MAX),
}


_OFFER: Final = {"$ref": "#/components/schemas/CapabilityOffer"}
_NAME: Final = {"type": "string", "description": "its name alone"}
"""A capability without further fields is sent as its name, as in the specification's request."""


def body_schemas(
    operations: Iterable[Operation],
) -> tuple[dict[type[Wire], dict[str, Any]], dict[str, Any]]:
    """Return the schema of each body, a reference, and the components that they refer to."""
    models = sorted(
        {op.body for op in operations if op.body is not None}, key=lambda model: model.__name__
    )
    names, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    components: dict[str, Any] = definitions.get("$defs", {})
    for name, schema in components.items():
        _tighten(schema, "", without_null=name in _WITHOUT_NULL)
    bodies = {model: schema for (model, _), schema in names.items()}
    return cast("dict[type[Wire], dict[str, Any]]", bodies), components


def _simplify(found: dict[str, Any], *, without_null: bool) -> None:
    """Say the same in words that every generator of clients knows."""
    if without_null and "anyOf" in found:
        found["anyOf"] = [one for one in found["anyOf"] if one != {"type": "null"}]
        found.pop("default", None)
    if isinstance(found.get("default"), dict | list):
        found.pop("default")  # what is left out is empty: generators of clients stumble over it
    if "prefixItems" in found and "items" not in found:  # as many as there are, of one kind
        found["items"] = found["prefixItems"][0]
    if len(found.get("anyOf", ())) == 1:  # no choice
        found.update(found.pop("anyOf")[0])


def _tighten(schema: Any, name: str, *, without_null: bool) -> None:
    if not isinstance(schema, dict):
        return
    found = cast("dict[str, Any]", schema)
    _simplify(found, without_null=without_null)
    if found.get("type") == "integer" and "minimum" not in found:
        found["minimum"], found["maximum"] = _INTEGERS.get(name, (0, INTEGER_MAX))
    if found.get("format") == "date-time":
        found["pattern"] = DATE_TIME
    for key, value in list(found.items()):
        if key == "properties":
            for inner, described in cast("dict[str, Any]", value).items():
                _tighten(described, inner, without_null=without_null)
        elif key == "items" and value == _OFFER:
            found["items"] = {"anyOf": [_OFFER, _NAME]}
        elif key in {"items", "additionalProperties"}:
            _tighten(value, name, without_null=without_null)
        elif key == "anyOf":
            for one in cast("list[Any]", value):
                _tighten(one, name, without_null=without_null)
