"""Generated code for calls: operators and functions whose operands' types are proven.

A row of the table turns a call into Python that means the same for those exact types.
What has no row calls the very implementation that the exact evaluator calls.
"""

from collections.abc import Callable
from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.emit import Emitter
from pfgov.policy.cel.emit_code import Code, UnsupportedError, kind_of
from pfgov.policy.cel.library import STANDARD, STANDARD_WITH_ZONES
from pfgov.policy.cel.strings import compile_pattern
from pfgov.policy.cel.types import (
    BOOL,
    DYN,
    CelType,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)
from pfgov.policy.cel.values import is_list

PRODUCED_MAX: Final = 256
"""Longest string or list that one generated call may build; a longer one is left to exact."""

_SIGNS: Final = {"_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
_PROBE: Final = (1, 1, 1, 1)


def call(emitter: Emitter, node: ir.Call) -> Code:
    """Emit *node*."""
    handler = _HANDLERS.get(node.function.name)
    known = STANDARD.get(node.function.name) is node.function
    if handler is not None and known:
        code = handler(emitter, node)
        if code is not None:
            return code
    return _general(emitter, node)


def _general(emitter: Emitter, node: ir.Call) -> Code:
    """The exact implementation itself."""
    function = node.function
    if function.name == "type":
        raise UnsupportedError("type()")
    name = emitter.constant(function.call, "F")
    arguments = [emitter.safe(emitter.value(argument)) for argument in node.arguments]
    if function.heavy:
        arguments = [
            f"small({text}, {emitter.loop_bound})" if _may_be_long(argument.type) else text
            for text, argument in zip(arguments, node.arguments, strict=True)
        ]
    text = f"{name}({', '.join(arguments)})"
    if function.result_size(_PROBE) is not None:
        return Code(f"short({text}, {PRODUCED_MAX})")
    ours = function is STANDARD.get(function.name) or function is STANDARD_WITH_ZONES.get(
        function.name
    )
    # Our own functions return what they declare; a host's is checked like any fact.
    return Code(text, "bool" if ours and node.type == BOOL else "")


def _may_be_long(type_: CelType) -> bool:
    return type_ == DYN or isinstance(type_, (ListType, MapType, Record))


def _is_text(type_: CelType) -> bool:
    return isinstance(type_, StringType)


def _number_name(type_: CelType) -> str:
    return type_.name if isinstance(type_, NumberType) else ""


def _ordering(emitter: Emitter, node: ir.Call) -> Code | None:
    left, right = node.arguments
    sign = _SIGNS[node.function.name]
    kinds = {_number_name(left.type), _number_name(right.type)}
    if kinds == {"int"}:
        kind = "int"
    elif "" not in kinds and "uint" not in kinds:
        kind = "float"
    elif _is_text(left.type) and _is_text(right.type):
        kind = "str"
    elif kind_of(left.type) == kind_of(right.type) == "Timestamp":
        a, b = emitter.operand(left, "Timestamp"), emitter.operand(right, "Timestamp")
        return Code(f"({a}.ns {sign} {b}.ns)", "bool")
    else:
        return None
    return Code(f"({emitter.operand(left, kind)} {sign} {emitter.operand(right, kind)})", "bool")


def _equality(emitter: Emitter, node: ir.Call) -> Code | None:
    left, right = node.arguments
    sign = "==" if node.function.name == "_==_" else "!="
    if _is_text(left.type) and _is_text(right.type):
        return _text_equality(emitter, left, right, sign)
    names = {_number_name(left.type), _number_name(right.type)}
    if names == {"int"}:
        kind = "int"
    elif "" not in names and "uint" not in names:
        kind = "float"
    elif left.type == BOOL and right.type == BOOL:
        kind = "bool"
    elif kind_of(left.type) == kind_of(right.type) == "Timestamp":
        a, b = emitter.operand(left, "Timestamp"), emitter.operand(right, "Timestamp")
        return Code(f"({a}.ns {sign} {b}.ns)", "bool")
    else:
        return None
    return Code(f"({emitter.operand(left, kind)} {sign} {emitter.operand(right, kind)})", "bool")


def _text_equality(emitter: Emitter, left: ir.Node, right: ir.Node, sign: str) -> Code:
    # With an exact str on one side Python's == is CEL's, whatever stands on the other; the
    # exact evaluator asks Python too, and takes only True for equal.
    if isinstance(right, ir.Const):
        sides = emitter.value(left), emitter.literal(right.value)
    else:
        sides = Code(emitter.operand(left, "str"), "str"), emitter.value(right)
    a, b = sides
    if a.kind == b.kind == "str":
        return Code(f"({a.text} {sign} {b.text})", "bool")
    truth = "True" if sign == "==" else "not True"
    return Code(f"(({a.text} == {b.text}) is {truth})", "bool")


def _membership(emitter: Emitter, node: ir.Call) -> Code | None:
    needle, container = node.arguments
    if not _is_text(needle.type):
        return None
    if isinstance(container.type, (MapType, Record)):
        key = emitter.expression(needle, "str")
        return Code(f"({key} in {emitter.record(container)})", "bool")
    if not isinstance(container.type, ListType):
        return None
    constant = _constant_texts(container)
    if constant is not None:
        name = emitter.constant(frozenset(constant))
        return Code(f"({emitter.expression(needle, 'str')} in {name})", "bool")
    if _is_text(container.type.elem):
        hoisted = emitter.hoisted(container, "textset")
        if hoisted is not None:
            return Code(f"({emitter.expression(needle, 'str')} in {hoisted.text})", "bool")
    key = emitter.expression(needle, "str")
    return Code(f"({key} in {emitter.listed(container)})", "bool")


def _constant_texts(node: ir.Node) -> list[str] | None:
    """The strings of a list known at load, or None."""
    if isinstance(node, ir.Const):
        items: list[object] = node.value if is_list(node.value) else [None]
    elif isinstance(node, ir.MakeList) and not any(node.optional):
        items = [item.value if isinstance(item, ir.Const) else None for item in node.items]
    else:
        return None
    return (
        [item for item in items if type(item) is str]
        if all(type(item) is str for item in items)
        else None
    )


def _not(emitter: Emitter, node: ir.Call) -> Code | None:
    return Code(f"(not {emitter.condition(node.arguments[0])})", "bool")


def _size(emitter: Emitter, node: ir.Call) -> Code | None:
    kind = kind_of(node.arguments[0].type)
    if kind not in ("str", "list", "dict"):
        return None
    return Code(f"len({emitter.operand(node.arguments[0], kind)})", "int")


def _texts(template: str) -> Callable[[Emitter, ir.Call], Code | None]:
    def emit(emitter: Emitter, node: ir.Call) -> Code | None:
        # str methods and `in` on a str refuse any argument that is no str.
        a, b = (emitter.operand(argument, "str") for argument in node.arguments)
        return Code(template.format(a, b), "bool")

    return emit


def _matches(emitter: Emitter, node: ir.Call) -> Code | None:
    text, pattern = node.arguments
    if not isinstance(pattern, ir.Const) or type(pattern.value) is not str:
        return None
    search = emitter.constant(compile_pattern(pattern.value).search, "M")
    return Code(f"({search}({emitter.expression(text, 'str')}) is not None)", "bool")


def _arithmetic(sign: str) -> Callable[[Emitter, ir.Call], Code | None]:
    def emit(emitter: Emitter, node: ir.Call) -> Code | None:
        names = {_number_name(argument.type) for argument in node.arguments}
        left, right = node.arguments
        if names == {"int"}:
            a, b = emitter.operand(left, "int"), emitter.operand(right, "int")
            return Code(f"int64({a} {sign} {b})", "int")
        if names == {"double"}:
            # Not `numeric`: an int beside a double has no overload in CEL.
            a = emitter.proven(emitter.value(left), "float", used=True)
            b = emitter.proven(emitter.value(right), "float", used=True)
            return Code(f"({a} {sign} {b})", "float")
        return None

    return emit


_HANDLERS: Final[dict[str, Callable[[Emitter, ir.Call], Code | None]]] = {
    **dict.fromkeys(_SIGNS, _ordering),
    "_==_": _equality,
    "_!=_": _equality,
    "@in": _membership,
    "!_": _not,
    "size": _size,
    "startsWith": _texts("{}.startswith({})"),
    "endsWith": _texts("{}.endswith({})"),
    "contains": _texts("({1} in {0})"),
    "matches": _matches,
    "_+_": _arithmetic("+"),
    "_-_": _arithmetic("-"),
    "_*_": _arithmetic("*"),
}
