"""The checked tree: every name resolved, every node typed.

What the checker produces and the evaluators, the generator, the cost estimate and the
tracer consume.  A node says *what* it is (a root, a field, a call of this function),
never how to compute it.
"""

from dataclasses import dataclass, field
from typing import Literal

from pfgov.policy.cel.library import Function
from pfgov.policy.cel.sizes import Size
from pfgov.policy.cel.syntax import FoldKind, Span
from pfgov.policy.cel.types import CelType


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Any checked node, compared by identity."""

    span: Span = field(repr=False)
    type: CelType


@dataclass(frozen=True, slots=True, eq=False)
class Const(Node):
    """A value known at load; ``label`` is its name when it was declared as a constant."""

    value: object
    label: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Var(Node):
    """A declared root."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Local(Node):
    """A variable of an enclosing macro; ``slot`` is unique within the expression."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True, eq=False)
class Named(Node):
    """A named sub-expression such as ``variables.handles_pii``."""

    name: str
    expression: "Checked"


@dataclass(frozen=True, slots=True, eq=False)
class Select(Node):
    """``operand.name``.  ``maybe_absent``: the schema says that the field may be missing."""

    operand: Node
    name: str
    maybe_absent: bool


@dataclass(frozen=True, slots=True, eq=False)
class Index(Node):
    """``operand[key]``."""

    operand: Node
    key: Node


@dataclass(frozen=True, slots=True, eq=False)
class OptionalAccess(Node):
    """``operand.?name`` or ``operand[?key]``."""

    operand: Node
    key: Node


@dataclass(frozen=True, slots=True, eq=False)
class Has(Node):
    """``has(operand.name)``."""

    operand: Node
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A function or operator on its arguments (a member call's target comes first)."""

    function: Function
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Logic(Node):
    """``&&`` (``all``) or ``||`` (``any``) over two or more operands."""

    kind: Literal["all", "any"]
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ternary(Node):
    """``condition ? then : otherwise``."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True, eq=False)
class MakeList(Node):
    """A list literal."""

    items: tuple[Node, ...]
    optional: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MakeMap(Node):
    """A map literal."""

    entries: tuple[tuple[Node, Node], ...]
    optional: tuple[bool, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Fold(Node):
    """A macro over the items of ``target``.

    With one local, it is an item (of a map: a key); with two, index and item (key and value).
    """

    kind: FoldKind
    target: Node
    locals: tuple[Local, ...]
    condition: Node | None
    result: Node | None


@dataclass(frozen=True, slots=True, eq=False)
class OptMap(Node):
    """``target.optMap(local, result)``; ``flat`` for ``optFlatMap``."""

    target: Node
    local: Local
    result: Node
    flat: bool


@dataclass(frozen=True, slots=True, eq=False)
class OrValue(Node):
    """``a.or(b)`` and ``a.orValue(b)``: *b* is evaluated only when *a* is absent."""

    target: Node
    other: Node
    unwrap: bool


@dataclass(frozen=True, slots=True, eq=False)
class Bind(Node):
    """``cel.bind(local, value, result)``."""

    local: Local
    value: Node
    result: Node


@dataclass(frozen=True, slots=True)
class Access:
    """One access path that an expression reads, such as ``("member", "trust_score")``.

    ``optional``: some step of it may be absent by the schema.  ``guarded``: it only
    occurs inside ``has()`` or behind an optional access.
    """

    path: tuple[str, ...]
    optional: bool
    guarded: bool

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """An expression that passed the checker: ready for any evaluator.

    Attributes:
        source: Its text.
        root: Its checked tree.
        type: The type of its value.
        cost: Largest cost of one evaluation, in cel-go's units, named sub-expressions included.
        size: Largest size of its value.
        slots: Number of macro variables.
        roots: Declared roots it reads, named sub-expressions included.
        paths: Access paths it reads, named sub-expressions included, sorted.
        named: Named sub-expressions it uses, directly or not, by name.
        time: The longest that one evaluation can take, in units of at most 0.1 microseconds.
        held: Largest size of its value, and of what that holds, as the time counts it.
    """

    source: str
    root: Node
    type: CelType
    cost: int
    size: int
    slots: int
    roots: frozenset[str]
    paths: tuple[Access, ...]
    named: dict[str, "Checked"]
    time: int = 0
    held: Size | None = None


def children(node: Node) -> tuple[Node, ...]:
    """The direct sub-nodes, in evaluation order; a named sub-expression is a leaf."""
    match node:
        case Select(operand=operand) | Has(operand=operand):
            return (operand,)
        case Index(operand=operand, key=key) | OptionalAccess(operand=operand, key=key):
            return (operand, key)
        case Call(arguments=arguments):
            return arguments
        case Logic(operands=operands):
            return operands
        case Ternary(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case MakeList(items=items):
            return items
        case MakeMap(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case Fold(target=target, condition=condition, result=result):
            return tuple(part for part in (target, condition, result) if part is not None)
        case OptMap(target=target, result=result) | Bind(value=target, result=result):
            return (target, result)
        case OrValue(target=target, other=other):
            return (target, other)
        case _:
            return ()


def has_loop(node: Node) -> bool:
    """Whether evaluating *node* can run a macro's loop, its named sub-expressions included."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, Fold):
            return True
        stack.extend([part.expression.root] if isinstance(part, Named) else children(part))
    return False


def evaluation_order(node: Logic) -> list[int]:
    """The order in which the operands of *node* are evaluated: those with loops come last.

    Free to choose, because ``&&`` and ``||`` are commutative; but one choice for every
    evaluator, because it decides what an exhausted work budget was spent on.
    """
    loops = [has_loop(operand) for operand in node.operands]
    return sorted(range(len(loops)), key=lambda index: loops[index])


def path_of(node: Node) -> tuple[str, ...] | None:
    """The access path of a chain of fields from a root, else None."""
    steps: list[str] = []
    while True:
        match node:
            case Var(name=name):
                return (name, *reversed(steps))
            case Select(operand=operand, name=name):
                steps.append(name)
                node = operand
            case Index(operand=operand, key=Const(value=key)) if type(key) is str:
                steps.append(key)
                node = operand
            case _:
                return None
