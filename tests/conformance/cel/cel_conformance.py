"""Runs the conformance tests of the CEL specification against our engine.

Knows how a test file maps to our terms: type environment, bindings, expected value or
error.  Which tests count as core, and which misses are expected, is in the test module.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from conformance.cel.cel_textproto import Message, Word, read

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

DATA = Path(__file__).parents[2] / "data" / "cel-spec"

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
        return _text(self.message["expr"][0])

    @property
    def check_only(self) -> bool:
        return _flag(self.message, "check_only")

    def needs_protobuf(self) -> bool:
        return _mentions_protobuf(self.message)


def cases(file: str) -> Iterator[Case]:
    """The tests of *file*, in order."""
    document = read((DATA / f"{file}.textproto").read_text("utf-8"))
    for section in document["section"]:
        assert isinstance(section, dict)
        for test in section.get("test", []):
            assert isinstance(test, dict)
            name = f"{_text(section['name'][0])}/{_text(test['name'][0])}"
            yield Case(file, name, test)


def run(case: Case) -> str | None:
    """None when our engine gives the expected result, else what it gave."""
    message = case.message
    expects_error = "eval_error" in message or "any_eval_errors" in message
    try:
        environment, values = _environment(case)
        checked = check(
            parse(case.expression), environment, None,
            cost_limit=None, lenient=_flag(message, "disable_check"),
        )  # fmt: skip
    except CelLoadError as error:
        return None if expects_error else f"refused: {error}"
    if "typed_result" in message:
        typed = _message(message["typed_result"][0])
        expected_type = _type(_message(typed["deduced_type"][0]))
        if not _same_type(checked.type, expected_type):
            return f"type {checked.type!r}, expected {expected_type!r}"
        if case.check_only:
            return None
        message = {**message, "value": typed.get("result", message.get("value", []))}
    value = value_of(checked)(values)
    if isinstance(value, Failure):
        return None if expects_error else f"error: {value}"
    if expects_error:
        return f"gave {value!r}, expected an error"
    expected = _value(_message(message["value"][0])) if message.get("value") else True
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


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode("utf-8")


def _message(value: object) -> Message:
    assert isinstance(value, dict)
    return value


def _flag(message: Message, name: str) -> bool:
    return message.get(name, [Word("false")])[0] == "true"


def _environment(case: Case) -> tuple[Environment, dict[str, object]]:
    message = case.message
    variables: dict[str, CelType] = {}
    for declaration in map(_message, message.get("type_env", [])):
        if "ident" in declaration:
            ident = _message(declaration["ident"][0])
            variables[_text(declaration["name"][0])] = _type(_message(ident["type"][0]))
    values: dict[str, object] = {}
    for binding in map(_message, message.get("bindings", [])):
        name = _text(binding["key"][0])
        holder = _message(binding["value"][0])
        values[name] = _value(_message(holder["value"][0]))
        variables.setdefault(name, DYN)
    container = _text(message["container"][0]) if "container" in message else ""
    environment = Environment(
        variables, container=container, named_zones=True, constant_conditions=True
    )
    return environment, values


def _type(message: Message) -> CelType:
    kind, (value, *_) = next(iter(message.items()))
    match kind:
        case "primitive":
            return _PRIMITIVES[str(value)]
        case "well_known":
            return _WELL_KNOWN[str(value)]
        case "null":
            return NULL
        case "dyn" | "error":
            return DYN
        case "type_param":
            return DYN
        case "list_type":
            return ListType(_inner(value, "elem_type"))
        case "map_type":
            return MapType(_inner(value, "key_type"), _inner(value, "value_type"))
        case "type":
            return TypeType(_type(_message(value)) if value else DYN)
        case "abstract_type":
            inner = _message(value)
            if _text(inner["name"][0]) == "optional_type":
                return OptionalType(_type(_message(inner["parameter_types"][0])))
            raise ProtobufError(str(inner))
        case "message_type":
            name = _text(value)
            if name in _WELL_KNOWN:
                return _WELL_KNOWN[name]
            raise ProtobufError(name)
        case _:
            raise ProtobufError(kind)


def _inner(value: object, name: str) -> CelType:
    message = _message(value)
    return _type(_message(message[name][0])) if name in message else DYN


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
    kind, (value, *_) = next(iter(message.items()))
    match kind:
        case "bool_value":
            return value == "true"
        case "int64_value":
            return int(str(value), 0)
        case "uint64_value":
            return Uint(int(str(value), 0))
        case "double_value":
            text = str(value)
            return float(
                text if text.lower().endswith("f") and "inf" in text.lower() else text.rstrip("f")
            )
        case "string_value":
            return _text(value)
        case "bytes_value":
            return value
        case "null_value":
            return None
        case "type_value":
            return TypeValue(_text(value))
        case "list_value":
            return [_value(_message(item)) for item in _message(value).get("values", [])]
        case "map_value":
            entries = map(_message, _message(value).get("entries", []))
            return make_map(
                (_value(_message(e["key"][0])), _value(_message(e["value"][0]))) for e in entries
            )
        case "object_value":
            return _object(_message(value))
        case _:
            raise ProtobufError(kind)


def _object(message: Message) -> object:
    kind, (value, *_) = next(iter(message.items()))
    body = _message(value)
    seconds = int(str(body.get("seconds", ["0"])[0]))
    nanos = int(str(body.get("nanos", ["0"])[0]))
    if kind.endswith("google.protobuf.Timestamp"):
        return Timestamp(seconds * 10**9 + nanos)
    if kind.endswith("google.protobuf.Duration"):
        return Duration(seconds * 10**9 + nanos)
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
