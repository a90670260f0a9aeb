"""JSON Schemas of the five kinds of file, for editors that complete and underline.

They say what the readers say about shape; what an expression means no schema can say.  A test holds
both together: every shipped file is valid, and what the readers refuse for its shape is not.
"""

from typing import Any, Final, get_args

from pfgov.core.verdicts import Point
from pfgov.policy import limits
from pfgov.policy.cel.types import (
    BOOL,
    CelType,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)
from pfgov.policy.facts import ROOTS
from pfgov.policy.files import params
from pfgov.policy.files.documents import API_VERSION, MAY_REVIEW, OBLIGATIONS
from pfgov.policy.files.labels import ENUM_MAX, SETTERS
from pfgov.policy.files.model import LabelChange, LabelType
from pfgov.policy.files.reader import IDENTIFIER, LABEL_NAME, NAME
from pfgov.policy.provenance import MEANING, SET_BY

Schema = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_POINTS: Final = [point.value for point in Point]
_DURATION: Final = {"type": "string", "pattern": "^[1-9][0-9]{0,8}[smhd]$"}
_TEXT: Final = {"type": "string", "minLength": 1}
_EXPRESSION: Final = {"type": "string", "minLength": 1, "description": "A CEL expression."}


def schemas() -> dict[str, Schema]:
    """Return the schema of each kind of file."""
    return {
        "Policy": _policy(),
        "Definitions": _definitions(),
        "Labels": _labels(),
        "PolicyTest": _test(),
        "Fixtures": _fixtures(),
    }


def _object(properties: Schema, required: list[str], description: str = "") -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        made["required"] = required
    if description:
        made["description"] = description
    return made


def _file(kind: str, properties: Schema, required: list[str], description: str) -> Schema:
    shared: Schema = {"apiVersion": {"const": API_VERSION}, "kind": {"const": kind}}
    made = _object({**shared, **properties}, ["apiVersion", "kind", *required], description)
    return {"$schema": _DIALECT, "title": f"pfgov {kind}", **made}


def _names(pattern: str, value: Schema) -> Schema:
    return {
        "type": "object",
        "patternProperties": {f"^{pattern}$": value},
        "additionalProperties": False,
    }


_METADATA: Final = _object(
    {
        "name": {"type": "string", "minLength": 1, "description": "Unique within the set."},
        "version": {
            "type": "string",
            "minLength": 1,
            "description": "Recorded with each activation.",
        },
        "description": _TEXT,
    },
    ["name", "version"],
)

_PARAMS: Final = _names(
    IDENTIFIER.pattern,
    _object(
        {
            "type": {"enum": list(params.TYPE_NAMES)},
            "value": {"type": ["boolean", "number", "string", "array", "object"]},
        },
        ["type", "value"],
        "A typed constant, read as params.NAME.",
    ),
)

_VARIABLES: Final = _names(IDENTIFIER.pattern, _EXPRESSION)

_OBLIGATION: Final = {
    "oneOf": [
        _object(
            {
                "type": {"const": "redact"},
                "paths": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "pattern": "^/"},
                },
            },
            ["type", "paths"],
            "Values at these JSON pointers are withheld from this member.",
        ),
        _object({"type": {"const": "approval"}, "to": _TEXT, "expires": _DURATION}, ["type", "to"]),
        _object({"type": {"const": "notify"}, "to": _TEXT}, ["type", "to"]),
    ]
}


def _points(*, place: bool) -> Schema:
    names = [*(["place"] if place else []), *_POINTS]
    return {"type": "array", "minItems": 1, "items": {"enum": names}}


def _rule() -> Schema:
    properties: Schema = {
        "id": {"type": "string", "pattern": f"^{NAME.pattern}$"},
        "on": {**_points(place=True), "description": "Fewer decision points than the policy's."},
        "when": {**_EXPRESSION, "description": "The rule applies only when this is true."},
        "require": {**_EXPRESSION, "description": "Denies unless this is true."},
        "deny": {**_EXPRESSION, "description": "Denies unless this is false."},
        "escalate": _object(
            {
                "to": {"enum": list(MAY_REVIEW)},
                "expires": _DURATION,
                "approvals": {"type": "integer", "minimum": 1, "maximum": limits.APPROVALS_MAX},
            },
            ["to"],
            "Somebody with this right must agree.",
        ),
        "message": {**_TEXT, "description": "A sentence with {path} places."},
        "obligations": {"type": "array", "items": _OBLIGATION, "maxItems": 8},
    }
    ways = [["require"], ["deny"], ["when", "escalate"], ["when", "obligations"]]
    return {**_object(properties, ["id"]), "anyOf": [{"required": way} for way in ways]}


def _policy() -> Schema:
    return _file(
        "Policy",
        {
            "metadata": _METADATA,
            "on": {
                **_points(place=True),
                "description": "Decision points; place is assign, handoff, accept.",
            },
            "imports": {"type": "array", "items": _TEXT},
            "params": _PARAMS,
            "variables": _VARIABLES,
            "rules": {"type": "array", "minItems": 1, "items": _rule()},
            "mode": {"enum": ["enforce", "shadow"]},
        },
        ["metadata", "on", "rules"],
        "Rules about who may own work. All of them are evaluated; deny wins over escalate over allow.",
    )


def _definitions() -> Schema:
    return _file(
        "Definitions",
        {"metadata": _METADATA, "params": _PARAMS, "variables": _VARIABLES},
        ["metadata"],
        "Names shared between policies, read as defs.NAME.",
    )


# --- facts ----------------------------------------------------------------------------------


def _labels() -> Schema:
    label = _object(
        {
            "type": {"enum": list(get_args(LabelType))},
            "enum": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": ENUM_MAX},
            "pattern": {**_TEXT, "description": "RE2; a whole value matches it."},
            "set_by": {"type": "array", "items": {"enum": list(SETTERS)}, "minItems": 1},
            "change": {"enum": list(get_args(LabelChange))},
        },
        ["type", "set_by"],
        "A label that rules may read.",
    )
    names = _names(LABEL_NAME.pattern, label)
    return _file(
        "Labels",
        {"metadata": _METADATA, "packet": names, "member": names},
        ["metadata"],
        "Labels of packets and members: of which type they are, who sets them, what may become of them.",
    )


def _described(path: str, doc: str) -> str:
    who = SET_BY.get(path)
    return f"{doc} Set by: {MEANING[who]}." if who else doc


def _fact(kind: CelType, path: str) -> Schema:
    match kind:
        case Record(fields=fields):
            inner = {
                name: {
                    **_fact(f.type, f"{path}.{name}"),
                    "description": _described(f"{path}.{name}", f.doc),
                }
                for name, f in fields.items()
            }
            return _nullable(_object(inner, []))
        case ListType(elem=elem):
            return _nullable({"type": "array", "items": _fact(elem, path)})
        case MapType(value=value):
            return _nullable({"type": "object", "additionalProperties": _fact(value, path)})
        case StringType(allowed=allowed) if allowed is not None:
            return {"enum": [*sorted(allowed), None]}
        case StringType():
            return {"type": ["string", "null"]}
        case NumberType():
            return _number(kind)
        case _:
            return {"type": ["boolean", "null"]} if kind == BOOL else {}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _number(kind: NumberType) -> Schema:
    made: Schema = {"type": ["number" if kind.name == "double" else "integer", "null"]}
    if kind.minimum is not None:
        made["minimum"] = kind.minimum
    if kind.maximum is not None:
        made["maximum"] = kind.maximum
    return made


def _facts(root: str) -> Schema:
    made = _fact(ROOTS[root].type, root)
    if root == "member":
        capability = _object({"name": _TEXT, "version": _TEXT}, ["name"])
        made["properties"]["capabilities"] = {
            "type": "array",
            "items": {"anyOf": [_TEXT, capability]},
        }
    return {**made, "type": "object"}


def _fixtures() -> Schema:
    def named(root: str) -> Schema:
        return {"type": "object", "additionalProperties": _facts(root)}

    return _file(
        "Fixtures",
        {
            "packets": named("packet"),
            "members": named("member"),
            "principals": named("principal"),
        },
        [],
        "Named facts for tests. What is left out gets a neutral default; optional facts stay absent.",
    )


# --- tests ----------------------------------------------------------------------------------


def _variation(root: str) -> Schema:
    varied = _object({"from": _TEXT, "with": _facts(root), "as": _TEXT}, [])
    return {"anyOf": [_TEXT, varied]}


def _case(expectation: Schema) -> Schema:
    return _object(
        {
            "name": _TEXT,
            "packet": _variation("packet"),
            "members": {"type": "array", "minItems": 1, "items": _variation("member")},
            "source": {"anyOf": [*_variation("member")["anyOf"], {"type": "null"}]},
            "principal": _variation("principal"),
            "action": {"enum": _POINTS},
            "before": {"anyOf": [_variation("packet"), _variation("member")]},
            "review": _facts("review"),
            "export": _facts("export"),
            "activation": _facts("activation"),
            "reason": _TEXT,
            "now": _TEXT,
            "expect": {
                "anyOf": [expectation, {"type": "object", "additionalProperties": expectation}]
            },
        },
        ["name", "expect"],
    )


def _test() -> Schema:
    words = {"type": "array", "items": _TEXT}
    some_words = {**words, "minItems": 1}
    expectation: Schema = {
        "anyOf": [
            {"enum": ["allow", "escalate", "deny"]},
            _object(
                {
                    "allow": {"const": True},
                    "deny": some_words,
                    "escalate": some_words,
                    "shadow": words,
                    "approvals": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": limits.APPROVALS_MAX,
                    },
                    "missing": words,
                    "obligations": {
                        "type": "array",
                        "items": {"enum": list(OBLIGATIONS)},
                    },
                },
                [],
            ),
        ]
    }
    case = _case(expectation)
    invariant = _object(
        {
            "name": _TEXT,
            "never": _EXPRESSION,
            "monotone": {"type": "string", "description": "The path of a number."},
            "direction": {"enum": ["up", "down"]},
            "on": _points(place=False),
            "runs": {"type": "integer", "minimum": 0},
            "seed": {"type": "integer", "minimum": 0},
        },
        ["name"],
    )
    return _file(
        "PolicyTest",
        {
            "policy": {
                **_TEXT,
                "description": "The policy under test; without it, the whole folder.",
            },
            "mode": {
                "enum": ["enforce"],
                "description": "Try a policy that is in shadow mode as if it were binding.",
            },
            "now": _TEXT,
            "cases": {"type": "array", "minItems": 1, "items": case},
            "properties": {"type": "array", "minItems": 1, "items": invariant},
        },
        [],
        "Cases and properties of a policy. A member that is not listed under expect is expected to be denied.",
    )
