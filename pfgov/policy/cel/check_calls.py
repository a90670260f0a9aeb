"""Calls and operators: which function, which overload, and what its constant arguments say."""

from collections.abc import Sequence
from typing import Final

from pfgov.policy.cel import constant, ir, overloads, syntax
from pfgov.policy.cel.check_names import qualified, unbound
from pfgov.policy.cel.checking import Checking
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.hints import called_elsewhere, did_you_mean, nearest
from pfgov.policy.cel.library import Function
from pfgov.policy.cel.strings import compile_pattern
from pfgov.policy.cel.times import NAMED_ZONE, is_fixed_zone
from pfgov.policy.cel.types import DYN, ListType, OptionalType, StringType, join

BINARY: Final = {
    "+": "_+_", "-": "_-_", "*": "_*_", "/": "_/_", "%": "_%_", "<": "_<_", "<=": "_<=_",
    ">": "_>_", ">=": "_>=_", "==": "_==_", "!=": "_!=_", "in": "@in",
}  # fmt: skip
ZONED: Final = frozenset({
    "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getHours", "getMinutes", "getSeconds", "getMilliseconds",
})  # fmt: skip
_UNWRAPPING: Final = ("or", "orValue")
_OFFSET_STARTS: Final = frozenset("+-0123456789")
_MACROS: Final = {
    "has": "has(member.region)",
    "all": "list.all(x, condition)",
    "exists": "list.exists(x, condition)",
    "exists_one": "list.exists_one(x, condition)",
    "filter": "list.filter(x, condition)",
    "map": "list.map(x, expression)",
}


def call(c: Checking, node: syntax.Call) -> ir.Node:
    """``name(...)``, ``namespace.name(...)`` or ``target.name(...)``."""
    at = node.at or node.span
    target = node.target
    if target is None:
        function = c.environment.find_function(node.function, absolute=node.absolute)
        if function is None or not function.is_global:
            return _unknown(c, node, at)
        return invoke(c, function, node, c.nodes(node.arguments))
    namespaced = _namespaced(c, node, target)
    if namespaced is not None:
        return invoke(c, namespaced, node, c.nodes(node.arguments))
    if _is_of_nothing(c, node, target):
        return _unknown_in(c, node, target, at)
    before = len(c.problems)
    operand = c.node(target)
    if len(c.problems) > before and not c.lenient:
        c.nodes(
            node.arguments
        )  # what is called on is wrong already, so that nothing is said of the call
        return ir.Const(node.span, DYN, None)
    if node.function in _UNWRAPPING and len(node.arguments) == 1:
        return _or_value(c, node, operand, c.node(node.arguments[0]))
    function = c.environment.functions.get(node.function)
    if function is None or not function.is_member:
        # The arguments are left alone: of a misspelt macro, its variable would be unknown too.
        return _unknown(c, node, at)
    return invoke(c, function, node, [operand, *c.nodes(node.arguments)])


def _namespaced(c: Checking, node: syntax.Call, target: syntax.Node) -> Function | None:
    spelled = qualified(target)
    if spelled is None:
        return None
    name, absolute = spelled
    if not absolute and c.is_local(name.partition(".")[0]):
        return None
    return c.environment.find_function(f"{name}.{node.function}", absolute=absolute)


def _is_of_nothing(c: Checking, node: syntax.Call, target: syntax.Node) -> bool:
    """Whether neither what is called is known nor what it is called on: one mistake, such as ``math.max(x, y)``."""
    spelled = qualified(target)
    if spelled is None or c.lenient or node.function in _UNWRAPPING:
        return False
    head = spelled[0].partition(".")[0]
    function = c.environment.functions.get(node.function)
    if function is not None and function.is_member and _near(c, head, node.function) is None:
        return False
    known = {name.partition(".")[0] for name in c.environment.names}
    return head not in known and not (c.is_local(head) and not spelled[1])


def _near(c: Checking, head: str, function: str) -> str | None:
    """Return the function of that name in a group that is called nearly as *head*."""
    groups = {name.partition(".")[0] for name in c.environment.functions if "." in name}
    group = nearest(head, groups)
    found = f"{group}.{function}"
    return found if found in c.environment.functions else None


def _unknown_in(c: Checking, node: syntax.Call, target: syntax.Node, at: syntax.Span) -> ir.Node:
    spelled = qualified(target)
    name = f"{spelled[0] if spelled else ''}.{node.function}"
    near = _near(c, name.partition(".")[0], node.function)
    hint = f"did you mean `{near}`?" if near is not None else called_elsewhere(node.function)
    hint = hint or did_you_mean(name, c.environment.functions)
    if hint is None and c.environment.find(node.function) is not None:
        hint = f"`{node.function}` is a fact: write it without () and without what is before it"
    roots = {known.partition(".")[0] for known in c.environment.names}
    hint = hint or did_you_mean(name.partition(".")[0], roots)
    return c.problem("cel.unknown_function", f"unknown function `{name}`", at, hint)


def _unknown(c: Checking, node: syntax.Call, at: syntax.Span) -> ir.Node:
    name, functions = node.function, c.environment.functions
    if c.lenient:
        return unbound(node, name)
    hint: str | None
    if name in functions:
        hint = f"write {name}(x)" if node.target is not None else f"write x.{name}(...)"
    elif name == "exists" and node.target is None and len(node.arguments) == 1:
        hint = "whether a fact is there is asked with has(member.region)"
    elif name in _MACROS:
        hint = f"write {_MACROS[name]}"
    else:
        known = [n for n, f in functions.items() if n[0].isalpha() and (
            f.is_member if node.target is not None else True)]  # fmt: skip
        hint = called_elsewhere(name) or did_you_mean(name, [*known, *_MACROS])
        if node.target is None and not node.arguments and c.environment.find(name) is not None:
            hint = f"`{name}` is a fact: write it without ()"
    return c.problem("cel.unknown_function", f"unknown function `{name}`", at, hint)


def operator(c: Checking, name: str, node: syntax.Node, parts: Sequence[syntax.Node]) -> ir.Node:
    """An operator, by the name of its function."""
    return invoke(c, c.environment.functions[name], node, c.nodes(parts))


def invoke(
    c: Checking, function: Function, node: syntax.Node, arguments: Sequence[ir.Node]
) -> ir.Node:
    """The call of *function* on checked arguments."""
    types = [argument.type for argument in arguments]
    result = overloads.resolve(function, types)
    if result is None:
        message, hint = overloads.complaint(function, types)
        hint = _of_part(arguments) or hint
        at = node.at if isinstance(node, syntax.Call) and node.at else node.span
        c.mismatch("cel.type", message, at, hint)
        result = function.overloads[0].result if len(function.overloads) == 1 else DYN
    _constant_arguments(c, function, node, arguments)
    return ir.Call(node.span, result, function, tuple(arguments))


_NUMBERED: Final = {
    "getDayOfWeek": "it is a number: 0 is Sunday, 6 is Saturday",
    "getMonth": "it is a number: 0 is January, 11 is December",
}


def _of_part(arguments: Sequence[ir.Node]) -> str | None:
    """Return what helps where a name of a day or a month, or null, is compared."""
    for one, other in (arguments, arguments[::-1]) if len(arguments) == 2 else ():
        kind = other.type.elem if isinstance(other.type, ListType) else other.type
        if isinstance(one, ir.Call) and isinstance(kind, StringType):
            hint = _NUMBERED.get(one.function.name)
            if hint is not None:
                return hint
        path = ir.path_of(one)
        if path is not None and isinstance(other, ir.Const) and other.value is None:
            return f"no fact is null: whether an optional one is there is asked with has({'.'.join(path)})"
    return None


def _constant_arguments(
    c: Checking, function: Function, node: syntax.Node, arguments: Sequence[ir.Node]
) -> None:
    """What can be said of constants: patterns, zones, values that a fact never takes."""
    last = arguments[-1] if arguments else None
    text = last.value if isinstance(last, ir.Const) and type(last.value) is str else None
    if function.name == "matches" and text is not None and last is not None:
        try:
            compile_pattern(text)
        except CelError as error:
            c.mismatch("cel.pattern", str(error), last.span)
    zoned = function.name in ZONED and len(arguments) == 2 and last is not None
    if zoned and not c.environment.named_zones and (text is None or not is_fixed_zone(text)):
        at = last.span if last is not None else node.span
        if text is not None and text[:1] in _OFFSET_STARTS:
            c.mismatch(
                "cel.zone", f"`{text}` is no UTC offset", at, "write hours and minutes: +02:00"
            )
        elif text is None:
            c.mismatch(
                "cel.zone",
                "a time zone has to be known before anything is asked, so that it is none by name",
                at,
                'write an offset such as +02:00, a param, or shift the time: (now + duration("2h")).getHours()',
            )
        else:
            c.mismatch("cel.zone", NAMED_ZONE, at)
    found = constant.never_taken(function, arguments)
    if found is not None and not c.lenient:
        c.problem("cel.never_equal", found[0], node.span, found[1])


def _or_value(c: Checking, node: syntax.Call, operand: ir.Node, other: ir.Node) -> ir.Node:
    unwrap = node.function == "orValue"
    inner = operand.type.elem if isinstance(operand.type, OptionalType) else DYN
    if not isinstance(operand.type, OptionalType) and operand.type != DYN:
        c.mismatch("cel.type", f"a {operand.type} is not an optional", node.span)
    result = join(inner, other.type) if unwrap else join(operand.type, other.type)
    return ir.OrValue(node.span, result, operand, other, unwrap)
