"""Choosing a function's overload for the types of its arguments.

``dyn`` matches anything, so several overloads may apply; the result type is then what
all of them agree on.  Comparison and membership are stricter than their runtime, which
merely answers false: two things that can never be equal are a mistake at load.
"""

from collections.abc import Sequence

from pfgov.policy.cel.hints import taken_as
from pfgov.policy.cel.library import Function, Overload
from pfgov.policy.cel.types import (
    DYN,
    CelType,
    ListType,
    MapType,
    Record,
    TypeParam,
    fits,
    is_number,
    join,
    substitute,
)  # fmt: skip

_EQUALITY = frozenset({"_==_", "_!=_"})
_SYMBOLS = {
    "_+_": "+", "_-_": "-", "_*_": "*", "_/_": "/", "_%_": "%", "-_": "-", "!_": "!",
    "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">=", "_==_": "==", "_!=_": "!=", "@in": "in",
}  # fmt: skip


def symbol(function: Function) -> str:
    """The function as an author writes it."""
    return _SYMBOLS.get(function.name, f"{function.name}()")


def resolve(function: Function, arguments: Sequence[CelType]) -> CelType | None:
    """The result type of *function* on *arguments*, or None when no overload takes them."""
    if function.name in _EQUALITY and not comparable(arguments[0], arguments[1]):
        return None
    if function.name == "@in" and not _may_contain(arguments[1], arguments[0]):
        return None
    result: CelType | None = None
    for overload in function.overloads:
        bindings: dict[str, CelType] = {}
        if _takes(overload, arguments, bindings):
            found = substitute(overload.result, bindings)
            if DYN not in arguments and function.name != "@in":
                return found
            result = found if result is None else join(result, found)
    return result


def _takes(overload: Overload, arguments: Sequence[CelType], bindings: dict[str, CelType]) -> bool:
    wanted = overload.arguments
    if overload.variadic:
        if not arguments:
            return False
        wanted = (*wanted, *([wanted[-1]] * (len(arguments) - len(wanted))))
    if len(wanted) != len(arguments):
        return False
    return all(fits(a, w, bindings) for a, w in zip(arguments, wanted, strict=True))


def comparable(left: CelType, right: CelType) -> bool:
    """Whether values of these types can ever be equal.  Numbers compare across types."""
    if is_number(left) and is_number(right):
        return True
    return fits(left, right) or fits(right, left)


def _may_contain(container: CelType, needle: CelType) -> bool:
    match container:
        case ListType(elem=elem):
            return isinstance(elem, TypeParam) or comparable(elem, needle)
        case MapType(key=key):
            return comparable(key, needle)
        case Record():
            return True
        case _:
            return container == DYN


def complaint(function: Function, arguments: Sequence[CelType]) -> tuple[str, str | None]:
    """The message, and perhaps a hint, for arguments that no overload takes."""
    sign = symbol(function)
    shown = [str(argument) for argument in arguments]
    if function.name == "@in":
        return _membership_complaint(arguments)
    if sign.isalpha() or sign.endswith("()"):
        counts = {len(overload.arguments) for overload in function.overloads}
        if len(arguments) not in counts and not any(o.variadic for o in function.overloads):
            expected = " or ".join(str(count) for count in sorted(counts))
            word = "argument" if counts == {1} else "arguments"
            hint = (
                "it counts from 0: write x >= low && x < high" if sign == "lists.range()" else None
            )
            return f"{sign} takes {expected} {word}, not {len(arguments)}", hint
        hint = taken_as(function.name) or _expected(function)
        if function.name == "contains" and isinstance(arguments[0], ListType):
            hint = "write item in list"
        return f"{sign} does not take ({', '.join(shown)})", hint
    if len(shown) == 1:
        hint = (
            "write !(a == b), or a != b: `!` is about what stands next to it"
            if sign == "!"
            else None
        )
        return f"`{sign}` does not apply to {shown[0]}", hint
    if function.name in _EQUALITY:
        hint = _quoting(arguments)
        record = next((one for one in arguments if isinstance(one, Record)), None)
        if record is not None:
            hint = f"{record} has {', '.join(sorted(record.fields)[:8])}: name one of them"
        return f"{shown[0]} and {shown[1]} are never equal", hint
    hint = _numeric(function, arguments) or _ordering(function, shown)
    return f"`{sign}` does not apply to {shown[0]} and {shown[1]}", hint


def _membership_complaint(arguments: Sequence[CelType]) -> tuple[str, str | None]:
    needle, container = arguments
    if isinstance(container, (ListType, MapType)):
        inside = container.elem if isinstance(container, ListType) else container.key
        items = f"its items are {inside}"
        if isinstance(needle, ListType):
            items = f"{items}: write sets.contains(list, part), or part.all(x, x in list)"
        return f"{needle} is never in {container}", items
    is_text = str(container) == "string"
    hint = "write text.contains(part), or x == text, or x in [text, ...]" if is_text else None
    return f"`in` needs a list or map on the right, not {container}", hint


def _expected(function: Function) -> str | None:
    if len(function.overloads) > 3:
        return None
    signatures = (
        f"({', '.join(str(argument) for argument in overload.arguments)})"
        for overload in function.overloads
    )
    return f"it takes {' or '.join(signatures)}"


def _quoting(arguments: Sequence[CelType]) -> str | None:
    kinds = {str(argument) for argument in arguments}
    if "string" in kinds and kinds & {"int", "double", "uint"}:
        return "compare numbers with numbers, without quotes, or convert with int() or string()"
    if kinds == {"bool", "string"}:
        return "write true or false, without quotes"
    return None


def _ordering(function: Function, shown: Sequence[str]) -> str | None:
    """Return what to write where two kinds are compared by size, or a number is added to a time."""
    kinds = set(shown)
    if function.name in {"_+_", "_-_"} and "timestamp" in kinds and kinds & {"int", "double"}:
        return 'write now + duration("3600s")'
    if function.name not in {"_<_", "_<=_", "_>_", "_>=_"}:
        return None
    if kinds == {"timestamp", "string"}:
        return 'write timestamp("2026-12-01T00:00:00Z")'
    if "duration" in kinds:
        return 'write duration("1h")'
    if kinds in ({"bool", "int"}, {"bool", "double"}):
        return "write both halves: low <= x && x <= high"
    if "string" in kinds and kinds & {"int", "double"}:
        return "compare numbers with numbers, without quotes"
    return None


def _numeric(function: Function, arguments: Sequence[CelType]) -> str | None:
    kinds = {str(argument) for argument in arguments}
    if function.name == "_-_" and all(isinstance(one, ListType) for one in arguments):
        return "write part.all(x, x in list), or sets.contains(list, part)"
    if function.name in ("_+_", "_-_", "_*_", "_/_") and kinds == {"int", "double"}:
        return "arithmetic does not mix int and double; write 1.0 or double(x)"
    return None
