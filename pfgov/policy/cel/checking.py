"""The state of one check: scopes, problems found so far, and how to check a sub-expression.

The rules themselves are functions over this state, in :mod:`check_names`,
:mod:`check_calls` and :mod:`check_macros`; :mod:`checker` ties them together.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pfgov.policy.cel import ir, syntax
from pfgov.policy.cel.environment import Environment
from pfgov.policy.cel.errors import Problem
from pfgov.policy.cel.types import (
    BOOL,
    DYN,
    FREE,
    CelType,
    ListType,
    OptionalType,
    StringType,
    fits,
    join,
    settled,
)  # fmt: skip


@dataclass(slots=True)
class Checking:
    """One walk over one tree.

    Attributes:
        environment: What may be named.
        lenient: Leave mismatched types to run time.
        visit: Checks any node (the dispatcher).
        problems: Found so far.
        scope: Macro variables in force, innermost last.
        slots: How many macro variables there were.
        named: Named sub-expressions used, with those that they use.
    """

    environment: Environment
    lenient: bool
    visit: Callable[["Checking", syntax.Node], ir.Node]
    problems: list[Problem] = field(default_factory=list[Problem])
    scope: list[ir.Local] = field(default_factory=list[ir.Local])
    slots: int = 0
    named: dict[str, ir.Checked] = field(default_factory=dict[str, ir.Checked])

    def node(self, node: syntax.Node) -> ir.Node:
        """Check *node*; after a problem the result is of type dyn."""
        return self.visit(self, node)

    def nodes(self, nodes: Sequence[syntax.Node]) -> list[ir.Node]:
        """Check several nodes."""
        return [self.node(node) for node in nodes]

    def problem(self, code: str, message: str, at: syntax.Span, hint: str | None = None) -> ir.Node:
        """Note a problem; returns a stand-in for the node it concerns."""
        self.problems.append(Problem(code, message, at.line, at.column, hint))
        return ir.Const(at, DYN, None)

    def mismatch(self, code: str, message: str, at: syntax.Span, hint: str | None = None) -> None:
        """Note a problem of types, which a lenient check leaves to run time."""
        if not self.lenient:
            self.problem(code, message, at, hint)

    def bools(self, operands: Sequence[syntax.Node], sign: str) -> tuple[ir.Node, ...]:
        """Check operands that must be bool."""
        nodes = self.nodes(operands)
        for node, source in zip(nodes, operands, strict=True):
            if not fits(node.type, BOOL):
                message = f"`{sign}` needs bool, not {node.type}"
                hint = condition_hint(node.type)
                if isinstance(node.type, StringType):
                    hint = "write each comparison out: x == a || x == b, or x in [a, b]"
                self.mismatch("cel.type", message, source.span, hint)
        return tuple(nodes)

    # --- macro variables --------------------------------------------------------------------

    def is_local(self, name: str) -> bool:
        """Whether *name* is a macro variable in force."""
        return any(local.name == name for local in self.scope)

    def local(self, at: syntax.Span, name: str, type_: CelType) -> ir.Local:
        """A new macro variable."""
        self.slots += 1
        return ir.Local(at, settled(type_), name, self.slots - 1)

    @contextmanager
    def within(self, locals_: Sequence[ir.Local]) -> Generator[None]:
        """Names in force inside a macro."""
        self.scope.extend(locals_)
        yield
        del self.scope[len(self.scope) - len(locals_) :]


def condition_hint(type_: CelType) -> str:
    """Return how what is of *type_* becomes a condition."""
    if isinstance(type_, ListType):
        if fits(type_.elem, BOOL):
            return "write list.all(x, condition), or list.exists(x, condition), in the place of map"
        return "ask of its items: list.exists(x, condition), or item in list"
    return "compare it with something"


def unwrapped(type_: CelType) -> CelType:
    """The type inside an optional; any other type itself."""
    return type_.elem if isinstance(type_, OptionalType) else type_


def joined(types: Sequence[CelType]) -> CelType:
    """What holds values of all *types*; of none, anything."""
    result: CelType = FREE
    for type_ in types:
        result = join(result, type_)
    return result
