"""Runs the conformance tests of the CEL specification against our engine.

Knows how a test file (``cel.expr.conformance.test.SimpleTestFile`` in the JSON form of protocol
buffers) maps to our terms: type environment, bindings, expected value or error.  Which tests count
as core, and which misses are expected, is in the test module.
"""

import base64
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pfgov.policy.cel import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    CelLoadError,
    CelType,
    Duration,
    Environment,
    Failure,
    ListType,
    MapType,
    OptionalType,
    Timestamp,
    Uint,
    check,
    parse,
    value_of,
)  # fmt: skip
from pfgov.policy.cel.types import TypeType
from pfgov.policy.cel.values import (
    MapValue,
    OptionalValue,
    TypeValue,
    is_map,
    make_map,
    map_items,
    map_size,
)  # fmt: skip

DATA = Path(__file__).parents[2] / "data" / "cel-conformance"

Message = dict[str, Any]

_PRIMITIVES: dict[str, CelType] = {
    "BOOL": BOOL, "INT64": INT, "UINT64": UINT, "DOUBLE": DOUBLE, "STRING": STRING, "BYTES": BYTES,
}  # fmt: skip
_WELL_KNOWN: dict[str, CelType] = {
    "TIMESTAMP": TIMESTAMP, "DURATION": DURATION, "ANY": DYN,
    "google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION,
    "google.protobuf.Struct": MapType(STRING, DYN), "google.protobuf.Value": DYN,
    "google.protobuf.ListValue": ListType(DYN),
}  # fmt: skip


class ProtobufError(Exception):
    """The test needs protocol buffer messages, which are outside our profile."""


@dataclass(frozen=True)
class Case:
    """One test: ``name`` is section/test."""

    file: str
    name: str
    message: Message

    @property
    def expression(self) -> str:
        return str(self.message["expr"])

    @property
    def check_only(self) -> bool:
        return bool(self.message.get("checkOnly"))

    def needs_protobuf(self) -> bool:
        return _mentions_protobuf(self.message)


def cases(file: str) -> Iterator[Case]:
    """The tests of *file*, in order."""
    document = json.loads((DATA / f"{file}.json").read_text("utf-8"))
    for section in document["section"]:
        for test in section["test"]:
            yield Case(file, f"{section['name']}/{test['name']}", test)


def run(case: Case) -> str | None:
    """None when our engine gives the expected result, else what it gave."""
    message = case.message
    expects_error = "evalError" in message or "anyEvalErrors" in message
    try:
        environment, values = _environment(case)
        checked = check(
            parse(case.expression), environment, None,
            cost_limit=None, lenient=bool(message.get("disableCheck")),
        )  # fmt: skip
    except CelLoadError as error:
        return None if expects_error else f"refused: {error}"
    if "typedResult" in message:
        typed = message["typedResult"]
        expected_type = _type(typed["deducedType"])
        if not _same_type(checked.type, expected_type):
            return f"type {checked.type!r}, expected {expected_type!r}"
        if case.check_only:
            return None
        message = {"value": typed["result"]} if "result" in typed else message
    value = value_of(checked)(values)
    if isinstance(value, Failure):
        return None if expects_error else f"error: {value}"
    if expects_error:
        return f"gave {value!r}, expected an error"
    expected = _value(message["value"]) if "value" in message else True
    return None if same(value, expected) else f"gave {value!r}, expected {expected!r}"


def same(value: object, expected: object) -> bool:
    """Identity of type and value, NaN included."""
    if is_map(value) and is_map(expected):
        return _same_maps(value, expected)  # type: ignore[arg-type]
    if type(value) is not type(expected):
        return False
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(same, value, expected))
    if isinstance(value, float) and isinstance(expected, float):
        if math.isnan(value) or math.isnan(expected):
            return math.isnan(value) and math.isnan(expected)
        return value == expected and math.copysign(1, value) == math.copysign(1, expected)
    if isinstance(value, OptionalValue) and isinstance(expected, OptionalValue):
        return value.present == expected.present and same(value.value, expected.value)
    return value == expected


def _same_maps(value: MapValue, expected: MapValue) -> bool:
    if map_size(value) != map_size(expected):
        return False
    return all(
        any(same(k, ek) and same(v, ev) for ek, ev in map_items(expected))
        for k, v in map_items(value)
    )


# --- reading a test --------------------------------------------------------------------------


def _environment(case: Case) -> tuple[Environment, dict[str, object]]:
    message = case.message
    variables: dict[str, CelType] = {
        declaration["name"]: _type(declaration["ident"]["type"])
        for declaration in message.get("typeEnv", [])
        if "ident" in declaration
    }
    values: dict[str, object] = {}
    for name, holder in message.get("bindings", {}).items():
        values[name] = _value(holder["value"])
        variables.setdefault(name, DYN)
    environment = Environment(
        variables,
        container=message.get("container", ""),
        named_zones=True,
        constant_conditions=True,
    )
    return environment, values


def _type(message: Message) -> CelType:
    kind, value = next(iter(message.items()))
    match kind:
        case "primitive":
            return _PRIMITIVES[value]
        case "wellKnown":
            return _WELL_KNOWN[value]
        case "null":
            return NULL
        case "dyn" | "error" | "typeParam":
            return DYN
        case "listType":
            return ListType(_inner(value, "elemType"))
        case "mapType":
            return MapType(_inner(value, "keyType"), _inner(value, "valueType"))
        case "type":
            return TypeType(_type(value) if value else DYN)
        case "abstractType" if value["name"] == "optional_type":
            return OptionalType(_type(value["parameterTypes"][0]))
        case "messageType" if value in _WELL_KNOWN:
            return _WELL_KNOWN[value]
        case _:
            raise ProtobufError(str(message))


def _inner(message: Message, name: str) -> CelType:
    return _type(message[name]) if name in message else DYN


def _same_type(ours: CelType, expected: CelType) -> bool:
    match ours, expected:
        case ListType(elem=a), ListType(elem=b):
            return _same_type(a, b)
        case MapType(key=ka, value=va), MapType(key=kb, value=vb):
            return _same_type(ka, kb) and _same_type(va, vb)
        case OptionalType(elem=a), OptionalType(elem=b):
            return _same_type(a, b)
        case TypeType(of=a), TypeType(of=b):
            return _same_type(a, b)
        case _:
            return str(ours) == str(expected)


def _value(message: Message) -> object:
    kind, value = next(iter(message.items()))
    match kind:
        case "boolValue" | "stringValue" | "nullValue":
            return value
        case "int64Value":
            return int(value)
        case "uint64Value":
            return Uint(int(value))
        case "doubleValue":
            return float(value)
        case "bytesValue":
            return base64.b64decode(value)
        case "typeValue":
            return TypeValue(value)
        case "listValue":
            return [_value(item) for item in value.get("values", [])]
        case "mapValue":
            entries = value.get("entries", [])
            return make_map((_value(entry["key"]), _value(entry["value"])) for entry in entries)
        case "objectValue":
            return _object(value)
        case _:
            raise ProtobufError(kind)


def _object(message: Message) -> object:
    kind, text = message["@type"].rpartition("/")[2], message.get("value")
    if kind == "google.protobuf.Timestamp":
        whole, _, fraction = text.removesuffix("Z").partition(".")
        seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
        return Timestamp(int(seconds) * 10**9 + int(fraction.ljust(9, "0") or 0))
    if kind == "google.protobuf.Duration":
        return Duration(int(Decimal(text.removesuffix("s")) * 10**9))
    raise ProtobufError(kind)


_PROTOBUF = (
    "TestAllTypes", "TestMap", "NestedTestAllTypes", "GlobalEnum", "google.protobuf.Any",
    "google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "Value{",
    "google.protobuf.BoolValue", "google.protobuf.Int", "google.protobuf.UInt",
    "google.protobuf.Float", "google.protobuf.Double", "google.protobuf.String",
    "google.protobuf.Bytes", "proto2", "proto3",
)  # fmt: skip


def _mentions_protobuf(message: Message) -> bool:
    text = repr({key: value for key, value in message.items() if key != "description"})
    return any(name in text for name in _PROTOBUF)
