"""Macros: calls that bind a variable or test presence, recognised in the syntax tree.

The table maps a name and an argument count to the node it stands for (CEL language
definition, "Macros"; cel-spec extensions for two variables, optionals and
``cel.bind``).  A call that matches no row stays an ordinary call, which the checker
will judge.
"""

from collections.abc import Callable
from typing import Final

from pfgov.policy.cel.syntax import (
    Bind,
    Call,
    Fold,
    FoldKind,
    Has,
    Ident,
    Index,
    Node,
    OptMap,
    Select,
)

Refuse = Callable[[str, str, Node], Exception]
"""Makes the error: (code, message, node) -> exception."""

_PREDICATES: Final[dict[str, FoldKind]] = {
    "all": "all",
    "exists": "exists",
    "exists_one": "exists_one",
    "existsOne": "exists_one",
}
_TRANSFORMS: Final[dict[str, FoldKind]] = {
    "transformList": "transform_list",
    "transformMap": "transform_map",
    "transformMapEntry": "transform_map_entry",
}


def expand(call: Call, refuse: Refuse) -> Node:
    """Return the macro node that *call* stands for, or *call* itself.

    Raises:
        Exception: Whatever *refuse* makes, when the call is a macro used wrongly.
    """
    if call.target is None:
        return _has(call, refuse) if call.function == "has" and not call.absolute else call
    arguments = call.arguments
    if call.function == "bind" and call.target == Ident(call.span, "cel") and len(arguments) == 3:
        return Bind(call.span, _name(arguments[0], refuse), arguments[1], arguments[2])
    if call.function in ("optMap", "optFlatMap") and len(arguments) == 2:
        variable = _name(arguments[0], refuse)
        return OptMap(call.span, call.target, variable, arguments[1], call.function == "optFlatMap")
    if call.function == "sortBy" and len(arguments) == 2:
        return _sort_by(call, call.target, refuse)
    return _fold(call, call.target, refuse)


SORTED: Final = "@sorted"
"""The variable behind ``sortBy``; no author can write this name."""


def _sort_by(call: Call, target: Node, refuse: Refuse) -> Node:
    """``list.sortBy(x, key)``: bind the list, map it to its keys, sort by those."""
    items = Ident(target.span, SORTED)
    variables = _names(call.arguments[:1], refuse)
    keys = Fold(call.span, "map", items, variables, None, call.arguments[1])
    return Bind(call.span, SORTED, target, Call(call.span, "@sortByKeys", None, (items, keys)))


def _has(call: Call, refuse: Refuse) -> Node:
    if len(call.arguments) != 1:
        raise refuse("cel.macro", "has() takes one field, as in has(member.region)", call)
    argument = call.arguments[0]
    if not isinstance(argument, Select) or argument.optional:
        is_index = isinstance(argument, Index)
        how = (
            "; whether a list or map holds something is asked with `item in list`"
            if is_index
            else ""
        )
        raise refuse("cel.macro", f"has() takes a field, as in has(member.region){how}", argument)
    return Has(call.span, argument.operand, argument.name, argument.at)


def _fold(call: Call, target: Node, refuse: Refuse) -> Node:
    name, arguments, count = call.function, call.arguments, len(call.arguments)
    if name in _PREDICATES and count in (2, 3):
        variables = _names(arguments[:-1], refuse)
        return Fold(call.span, _PREDICATES[name], target, variables, arguments[-1], None)
    if name == "filter" and count == 2:
        variables = _names(arguments[:1], refuse)
        return Fold(call.span, "filter", target, variables, arguments[1], None)
    if name == "map" and count in (2, 3):
        condition = arguments[1] if count == 3 else None
        variables = _names(arguments[:1], refuse)
        return Fold(call.span, "map", target, variables, condition, arguments[-1])
    if name in _TRANSFORMS and count in (3, 4):
        condition = arguments[2] if count == 4 else None
        variables = _names(arguments[:2], refuse)
        return Fold(call.span, _TRANSFORMS[name], target, variables, condition, arguments[-1])
    return call


def _names(arguments: tuple[Node, ...], refuse: Refuse) -> tuple[str, ...]:
    names = tuple(_name(argument, refuse) for argument in arguments)
    if len(set(names)) != len(names):
        raise refuse("cel.macro", "the two variables need different names", arguments[-1])
    return names


def _name(argument: Node, refuse: Refuse) -> str:
    if not isinstance(argument, Ident) or argument.absolute:
        raise refuse("cel.macro", "the variable of a macro must be a plain name", argument)
    return argument.name
