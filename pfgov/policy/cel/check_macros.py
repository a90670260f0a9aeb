"""Macros, literals and the conditional: nodes that bind variables or combine types."""

from collections.abc import Sequence

from pfgov.policy.cel import ir, syntax
from pfgov.policy.cel.checking import Checking, joined
from pfgov.policy.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    NULL,
    STRING,
    UINT,
    BytesType,
    CelType,
    ListType,
    MapType,
    OptionalType,
    Record,
    StringType,
    fits,
    join,
)  # fmt: skip
from pfgov.policy.cel.values import Uint


def literal(_c: Checking, node: syntax.Literal_) -> ir.Node:
    """A constant."""
    return ir.Const(node.span, literal_type(node.value), node.value)


def literal_type(value: syntax.Constant) -> CelType:
    """The type of a constant, with its size as bound."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case str():
            return StringType(len(value)) if value else STRING
        case bytes():
            return BytesType(len(value)) if value else BYTES
        case Uint():
            return UINT
        case int():
            return INT
        case _:
            return DOUBLE


def ternary(c: Checking, node: syntax.Ternary) -> ir.Node:
    """``condition ? then : otherwise``: both values of one type."""
    condition = c.bools([node.condition], "?")[0]
    then, otherwise = c.node(node.then), c.node(node.otherwise)
    type_ = join(then.type, otherwise.type)
    if type_ == DYN and DYN not in (then.type, otherwise.type):
        message = f"the two values differ: {then.type} and {otherwise.type}"
        c.mismatch("cel.type", message, node.otherwise.span)
    return ir.Ternary(node.span, type_, condition, then, otherwise)


# --- list and map literals ------------------------------------------------------------------


def list_literal(c: Checking, node: syntax.ListLiteral) -> ir.Node:
    """``[a, ?b]``."""
    items = c.nodes(node.items)
    types = [
        _present(c, item) if optional else item.type
        for item, optional in zip(items, node.optional, strict=True)
    ]
    type_ = ListType(joined(types), len(items))
    return ir.MakeList(node.span, type_, tuple(items), node.optional)


def map_literal(c: Checking, node: syntax.MapLiteral) -> ir.Node:
    """``{k: v, ?k: v}``."""
    entries = tuple((c.node(key), c.node(value)) for key, value in node.entries)
    values = [
        _present(c, value) if optional else value.type
        for (_, value), optional in zip(entries, node.optional, strict=True)
    ]
    keys = joined([key.type for key, _ in entries])
    return ir.MakeMap(
        node.span, MapType(keys, joined(values), len(entries)), entries, node.optional
    )


def _present(c: Checking, item: ir.Node) -> CelType:
    """The type inside an optional item."""
    if isinstance(item.type, OptionalType):
        return item.type.elem
    if item.type != DYN:
        c.mismatch("cel.type", f"`?` needs an optional, not {item.type}", item.span)
    return DYN


# --- macros ---------------------------------------------------------------------------------


def fold(c: Checking, node: syntax.Fold) -> ir.Node:
    """``target.all(x, ...)`` and its like."""
    target = c.node(node.target)
    types = _item_types(c, target, len(node.variables))
    locals_ = tuple(
        c.local(node.span, name, type_) for name, type_ in zip(node.variables, types, strict=True)
    )
    with c.within(locals_):
        condition = None if node.condition is None else c.node(node.condition)
        result = None if node.result is None else c.node(node.result)
    if condition is not None and not fits(condition.type, BOOL):
        message = f"the condition is {condition.type}, not bool"
        c.mismatch("cel.type", message, condition.span)
    type_ = _fold_type(node.kind, target.type, types, result)
    return ir.Fold(node.span, type_, node.kind, target, locals_, condition, result)


def _item_types(c: Checking, target: ir.Node, count: int) -> Sequence[CelType]:
    """The types of the macro's variables."""
    type_ = target.type
    match type_:
        case ListType(elem=elem):
            return [elem] if count == 1 else [INT, elem]
        case MapType(key=key, value=value):
            return [key, value][:count]
        case Record():
            return [STRING, DYN][:count]
        case _:
            if type_ != DYN:
                c.mismatch("cel.type", f"a {type_} has no items; a list is needed", target.span)
            return [DYN] * count


def _fold_type(
    kind: syntax.FoldKind, target: CelType, types: Sequence[CelType], result: ir.Node | None
) -> CelType:
    bound = target.max_items if isinstance(target, (ListType, MapType)) else None
    value = result.type if result is not None else DYN
    match kind:
        case "filter":
            return ListType(types[0], bound)
        case "map" | "transform_list":
            return ListType(value, bound)
        case "transform_map":
            return MapType(types[0], value, bound)
        case "transform_map_entry":
            key, inner = (value.key, value.value) if isinstance(value, MapType) else (DYN, DYN)
            return MapType(key, inner, bound)
        case _:
            return BOOL


def opt_map(c: Checking, node: syntax.OptMap) -> ir.Node:
    """``target.optMap(v, result)``."""
    target = c.node(node.target)
    inner = target.type.elem if isinstance(target.type, OptionalType) else DYN
    if not isinstance(target.type, OptionalType) and target.type != DYN:
        c.mismatch("cel.type", f"a {target.type} is not an optional", target.span)
    local = c.local(node.span, node.variable, inner)
    with c.within([local]):
        result = c.node(node.result)
    type_ = result.type if node.flat else OptionalType(result.type)
    return ir.OptMap(node.span, type_, target, local, result, node.flat)


def bind(c: Checking, node: syntax.Bind) -> ir.Node:
    """``cel.bind(v, value, result)``."""
    value = c.node(node.value)
    local = c.local(node.span, node.variable, value.type)
    with c.within([local]):
        result = c.node(node.result)
    return ir.Bind(node.span, result.type, local, value, result)
