"""Names and fields: what an identifier or an access path stands for.

The longest declared name wins (``a.b.c`` before ``a.b``), a macro variable hides every
declared name, and a leading dot skips both.  Unknown names come with a suggestion.
"""

from pfgov.policy.cel import ir, overloads, syntax
from pfgov.policy.cel.checking import Checking, unwrapped
from pfgov.policy.cel.environment import Constant
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.hints import (
    called_elsewhere,
    called_of,
    did_you_mean,
    named_elsewhere,
)
from pfgov.policy.cel.library import Function
from pfgov.policy.cel.types import (
    BOOL,
    DYN,
    INT,
    STRING,
    CelType,
    Field,
    ListType,
    MapType,
    OptionalType,
    Record,
    fits,
    settled,
)  # fmt: skip
from pfgov.policy.cel.values import TypeValue

FIELDS_SHOWN = 12
"""An unknown field's message lists the known ones when they are this few."""


def ident(c: Checking, node: syntax.Ident) -> ir.Node:
    """A bare name."""
    found = _resolved(c, node, node.name, absolute=node.absolute)
    return unknown(c, node) if found is None else found


def _resolved(c: Checking, node: syntax.Node, name: str, *, absolute: bool) -> ir.Node | None:
    if not absolute:
        head, _, rest = name.partition(".")
        for local in reversed(c.scope):
            if local.name == head:
                return None if rest else ir.Local(node.span, local.type, head, local.slot)
    found = c.environment.find(name, absolute=absolute)
    if found is None:
        return None
    full, declaration = found
    match declaration:
        case Constant(value=value, type=type_):
            label = None if isinstance(value, TypeValue) else full
            return ir.Const(node.span, type_, value, label)
        case ir.Checked():
            c.named.update(declaration.named)
            c.named[full] = declaration
            return ir.Named(node.span, declaration.type, full, declaration)
        case _:
            return ir.Var(node.span, declaration, full)


def qualified(node: syntax.Node) -> tuple[str, bool] | None:
    """The dotted name that a chain of plain fields spells, and whether it is absolute."""
    steps: list[str] = []
    while isinstance(node, syntax.Select) and not node.optional:
        steps.append(node.name)
        node = node.operand
    if not isinstance(node, syntax.Ident):
        return None
    return ".".join([node.name, *reversed(steps)]), node.absolute


def unknown(c: Checking, node: syntax.Ident) -> ir.Node:
    """Refuse a name that nothing declares."""
    if c.lenient:
        return unbound(node, node.name)
    declared = c.environment.names.items()
    names = [
        name for name, declaration in declared
        if not (isinstance(declaration, Constant) and isinstance(declaration.value, TypeValue))
    ]  # fmt: skip
    inside = [name for name in names if name.startswith(f"{node.name}.")]
    if inside:
        shown = ", ".join(sorted(inside)[:FIELDS_SHOWN])
        return c.problem(
            "cel.unknown_name", f"`{node.name}` is a group of names", node.span, f"one of {shown}"
        )
    foreign = named_elsewhere(node.name)
    if foreign is not None:
        return c.problem("cel.unknown_name", f"unknown name `{node.name}`", node.span, foreign)
    hint: str | None = did_you_mean(node.name, [*names, *(local.name for local in c.scope)])
    owners = [
        f"{name}.{node.name}"
        for name, declared_as in declared
        if _has_field(declared_as, node.name)
    ]
    if owners:
        hint = f"did you mean `{min(owners)}`?"
    if hint is None:
        roots = sorted({name.partition(".")[0] for name in names})
        hint = f"known are {', '.join(roots)}; write text in quotes" if roots else None
    return c.problem("cel.unknown_name", f"unknown name `{node.name}`", node.span, hint)


def _has_field(declaration: object, name: str) -> bool:
    """Whether a declared root has a field of that name: ``trust_score`` alone is meant to be a member's."""
    return isinstance(declaration, Record) and name in declaration.fields


def unbound(node: syntax.Node, name: str) -> ir.Node:
    """An unknown name in a lenient check: an error only if it is evaluated."""

    def fail() -> object:
        raise CelError(f"unbound: {name}")

    return ir.Call(node.span, DYN, Function.simple(name, (), DYN, fail), ())


# --- fields ---------------------------------------------------------------------------------


def select(c: Checking, node: syntax.Select) -> ir.Node:
    """``operand.name`` and ``operand.?name``, or a declared dotted name."""
    if not node.optional:
        spelled = qualified(node)
        if spelled is not None:
            whole = _resolved(c, node, spelled[0], absolute=spelled[1])
            if whole is None:
                whole = _unknown_in_group(c, node)
            if whole is not None:
                return whole
    operand = c.node(node.operand)
    found = field(c, operand.type, node.name, node.at or node.span)
    if node.optional:
        key = ir.Const(node.span, STRING, node.name)
        result = OptionalType(unwrapped(found.type))
        return ir.OptionalAccess(node.span, result, operand, key)
    return ir.Select(node.span, found.type, operand, node.name, found.optional)


def _unknown_in_group(c: Checking, node: syntax.Select) -> ir.Node | None:
    """A problem when ``variables.x`` names nothing though there are other ``variables.``."""
    operand = node.operand
    if not isinstance(operand, syntax.Ident) or c.is_local(operand.name):
        return None
    if c.environment.find(operand.name, absolute=operand.absolute) is not None:
        return None
    group = [name for name in c.environment.names if name.startswith(f"{operand.name}.")]
    if not group:
        return None
    name = f"{operand.name}.{node.name}"
    if any(known.startswith(f"{name}.") for known in group):
        return None
    hint = did_you_mean(name, group)
    return c.problem("cel.unknown_name", f"unknown name `{name}`", node.at or node.span, hint)


def field(c: Checking, type_: CelType, name: str, at: syntax.Span) -> Field:
    """The declaration of field *name* of *type_*."""
    match type_:
        case Record(fields=fields):
            if name in fields:
                return fields[name]
            _unknown_field(c, type_, name, at)
            return Field(DYN)
        case MapType(key=key, value=value):
            if not fits(STRING, key):
                c.mismatch("cel.type", f"the keys of {type_} are not strings", at)
            return Field(settled(value), optional=True)
        case OptionalType(elem=elem):
            return Field(OptionalType(unwrapped(field(c, settled(elem), name, at).type)))
        case _:
            if type_ != DYN:
                is_known = name in c.environment.functions
                hint = f"call it: {name}()" if is_known else called_elsewhere(name)
                c.mismatch("cel.type", f"a {type_} has no fields", at, hint)
            return Field(DYN, optional=True)


def _unknown_field(c: Checking, record: Record, name: str, at: syntax.Span) -> None:
    hint = called_of(record.name, name) or did_you_mean(name, record.fields)
    if hint is None and record.name == "packet":
        hint = called_elsewhere(name)
    if hint is None and not record.fields:
        hint = (
            "no file declares any: add one with `kind: Labels`" if record.name == "labels" else None
        )
    elif hint is None and len(record.fields) <= FIELDS_SHOWN:
        hint = f"it has {', '.join(sorted(record.fields))}"
        if record.name == "labels":
            hint = f"declare it in a file of `kind: Labels`; declared are {', '.join(sorted(record.fields))}"
    c.problem("cel.unknown_field", f"{record} has no field `{name}`", at, hint)


def has(c: Checking, node: syntax.Has) -> ir.Node:
    """``has(operand.name)``."""
    operand = c.node(node.operand)
    field(c, operand.type, node.name, node.at or node.span)
    return ir.Has(node.span, BOOL, operand, node.name)


def index(c: Checking, node: syntax.Index) -> ir.Node:
    """``operand[key]`` and ``operand[?key]``."""
    operand, key = c.node(node.operand), c.node(node.key)
    result = settled(_item(c, operand.type, key))
    if node.optional:
        return ir.OptionalAccess(node.span, OptionalType(unwrapped(result)), operand, key)
    return ir.Index(node.span, result, operand, key)


def _item(c: Checking, type_: CelType, key: ir.Node) -> CelType:
    match type_:
        case ListType(elem=elem):
            if not fits(key.type, INT):
                c.mismatch("cel.type", f"a list index is an int, not {key.type}", key.span)
            return elem
        case MapType(key=wanted, value=value):
            if not overloads.comparable(key.type, wanted):
                message = f"the keys of {type_} are {wanted}, not {key.type}"
                c.mismatch("cel.type", message, key.span)
            return value
        case Record(fields=fields) if isinstance(key, ir.Const) and type(key.value) is str:
            if key.value in fields:
                return fields[key.value].type
            _unknown_field(c, type_, key.value, key.span)
            return DYN
        case Record() if fits(key.type, STRING):
            return DYN
        case OptionalType(elem=elem):
            return OptionalType(unwrapped(_item(c, settled(elem), key)))
        case _:
            if type_ != DYN:
                c.mismatch("cel.type", f"a {type_} cannot be indexed", key.span)
            return DYN
