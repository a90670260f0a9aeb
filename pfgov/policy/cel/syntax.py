"""The syntax tree of an expression: frozen nodes, each knowing where it stands in the source.

Macros are already recognised (``list.all(x, p)`` is a :class:`Fold`, ``has(a.b)`` a
:class:`Has`); names are not resolved and nothing has a type.  Equality ignores
positions, so a tree equals the tree of its own unparsed text.
"""

from dataclasses import dataclass, field
from typing import Literal

from pfgov.policy.cel.values import Uint

Constant = None | bool | int | Uint | float | str | bytes

FoldKind = Literal[
    "all", "exists", "exists_one", "filter", "map", "transform_list", "transform_map",
    "transform_map_entry",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of source: ``source[start:end]``, beginning at a 1-based line and column."""

    start: int
    end: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """Any node.  ``span`` does not take part in equality."""

    span: Span = field(compare=False, repr=False)

    @property
    def line(self) -> int:
        """1-based line where the node starts."""
        return self.span.line

    @property
    def column(self) -> int:
        """1-based column where the node starts."""
        return self.span.column


@dataclass(frozen=True, slots=True)
class Literal_(Node):  # noqa: N801 -- typing.Literal is in use here
    """A constant: ``value`` is of the exact Python type that stands for it."""

    value: Constant

    def __eq__(self, other: object) -> bool:
        """Equal by exact type and text, so that ``1``, ``1.0`` and ``true`` stay apart."""
        return type(other) is Literal_ and _key(self.value) == _key(other.value)

    def __hash__(self) -> int:
        return hash(_key(self.value))


def _key(value: Constant) -> tuple[type, str]:
    return type(value), repr(value)


@dataclass(frozen=True, slots=True)
class Ident(Node):
    """A name; ``absolute`` when written with a leading dot."""

    name: str
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``operand.name``, or ``operand.?name`` when ``optional``."""

    operand: Node
    name: str
    optional: bool = False
    at: Span | None = field(default=None, compare=False, repr=False)
    """Where the name stands."""


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``operand[key]``, or ``operand[?key]`` when ``optional``."""

    operand: Node
    key: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call(Node):
    """``function(arguments)`` or ``target.function(arguments)``; ``absolute`` for ``.function()``."""

    function: str
    target: Node | None
    arguments: tuple[Node, ...]
    absolute: bool = False
    at: Span | None = field(default=None, compare=False, repr=False)
    """Where the name stands."""


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``!operand`` or ``-operand``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison or membership; ``operator`` is its source text."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class And(Node):
    """``a && b && ...``: two or more operands."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """``a || b || ...``: two or more operands."""

    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Ternary(Node):
    """``condition ? then : otherwise``."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """``[a, ?b]``; ``optional`` marks, per item, those written with ``?``."""

    items: tuple[Node, ...]
    optional: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    """``{k: v, ?k: v}``; ``optional`` marks the entries written with ``?``."""

    entries: tuple[tuple[Node, Node], ...]
    optional: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Has(Node):
    """The macro ``has(operand.name)``."""

    operand: Node
    name: str
    at: Span | None = field(default=None, compare=False, repr=False)
    """Where the name stands."""


@dataclass(frozen=True, slots=True)
class Fold(Node):
    """A macro over the items of ``target``, with one or two variables.

    ``condition`` is the predicate (of a ``map``/``transform`` it is the optional
    filter); ``result`` is the transformation, None for the predicates.
    """

    kind: FoldKind
    target: Node
    variables: tuple[str, ...]
    condition: Node | None
    result: Node | None


@dataclass(frozen=True, slots=True)
class OptMap(Node):
    """``target.optMap(v, result)``; ``flat`` for ``optFlatMap``."""

    target: Node
    variable: str
    result: Node
    flat: bool


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """``cel.bind(variable, value, result)``."""

    variable: str
    value: Node
    result: Node


@dataclass(frozen=True, slots=True)
class Ast:
    """A parsed expression: its source text and the root of its tree."""

    source: str = field(compare=False)
    root: Node


def children(node: Node) -> tuple[Node, ...]:
    """The direct sub-nodes of *node*, in source order."""
    match node:
        case Select(operand=operand) | Has(operand=operand) | Unary(operand=operand):
            return (operand,)
        case Index(operand=operand, key=key):
            return (operand, key)
        case Call(target=target, arguments=arguments):
            return arguments if target is None else (target, *arguments)
        case Binary(left=left, right=right):
            return (left, right)
        case And(operands=operands) | Or(operands=operands):
            return operands
        case Ternary(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case ListLiteral(items=items):
            return items
        case MapLiteral(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case Fold(target=target, condition=condition, result=result):
            return tuple(part for part in (target, condition, result) if part is not None)
        case OptMap(target=target, result=result):
            return (target, result)
        case Bind(value=value, result=result):
            return (value, result)
        case _:
            return ()
