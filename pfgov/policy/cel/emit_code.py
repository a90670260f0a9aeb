"""What emitted code is: text, with what is proven of its value; and when two texts are one.

The vocabulary of the generator, without any emitting.
"""

from dataclasses import dataclass
from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.types import (
    BOOL,
    TIMESTAMP,
    CelType,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)  # fmt: skip


class UnsupportedError(Exception):
    """The expression has a part that is not generated; its clause stays exact."""


@dataclass(frozen=True, slots=True)
class Code:
    """An emitted expression.

    Attributes:
        text: Python, usable wherever a primary expression is.
        kind: Exact Python type that its value is proven to have (``str``, ``float`` ...), or "".
        items: The same of its items, for a list.
        bare: Whether it is a plain name or constant, so that it may be repeated.
        risky: Whether it may be poison.  Then the raw text may stand only where Python is
            sure to use the object (compare it, call it, iterate it); elsewhere poison could
            slip through unseen, as in ``poison in []``.
    """

    text: str
    kind: str = ""
    items: str = ""
    bare: bool = False
    risky: bool = False


KINDS: Final = {"bool", "int", "float", "str", "bytes", "list", "dict", "Timestamp", "Duration"}


def kind_of(type_: CelType) -> str:
    """The Python type that a value of *type_* has when the schema holds, or ""."""
    match type_:
        case StringType():
            return "str"
        case NumberType(name=name):
            return {"int": "int", "double": "float"}.get(name, "")
        case ListType():
            return "list"
        case MapType() | Record():
            return "dict"
        case _:
            if type_ == BOOL:
                return "bool"
            return "Timestamp" if type_ == TIMESTAMP else ""


def items_of(type_: CelType) -> str:
    """:func:`kind_of` the items of a list type."""
    return kind_of(type_.elem) if isinstance(type_, ListType) else ""


def bound_locals(node: ir.Node) -> tuple[ir.Local, ...]:
    """The macro variables that *node* itself binds."""
    match node:
        case ir.Fold(locals=locals_):
            return locals_
        case ir.OptMap(local=local) | ir.Bind(local=local):
            return (local,)
        case _:
            return ()


def structure(node: ir.Node) -> object:
    """A key under which two nodes are the same computation."""
    match node:
        case ir.Const(value=value):
            return ("const", type(value), repr(value))
        case ir.Var(name=name):
            return ("var", name)
        case ir.Named(expression=expression):
            return ("named", id(expression))
        case ir.Select(operand=operand, name=name):
            return ("select", structure(operand), name)
        case ir.Has(operand=operand, name=name):
            return ("has", structure(operand), name)
        case ir.Index(operand=operand, key=key):
            return ("index", structure(operand), structure(key))
        case ir.Call(function=function, arguments=arguments):
            return ("call", id(function), *(structure(argument) for argument in arguments))
        case _:
            return ("node", id(node))
