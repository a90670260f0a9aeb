"""The checker: does this expression make sense of these facts, and what does it cost?

Every name must be declared, every operation must exist on its operands' types, the
result must be what is expected, and the largest possible cost must be affordable.
All problems are reported at once, each with its position and, where one can be guessed,
what was meant.  The result is the checked tree of :mod:`pfgov.policy.cel.ir`.

A deliberate relaxation of CEL: ``double >= int`` is accepted without ``dyn()``, because
comparison across numeric types is defined at run time and an author means it.
"""

from collections.abc import Callable
from typing import Any, Final

from pfgov.policy.cel import check_calls, check_macros, check_names, constant, cost, ir, syntax
from pfgov.policy.cel.access import accesses
from pfgov.policy.cel.checking import Checking, condition_hint
from pfgov.policy.cel.environment import Environment
from pfgov.policy.cel.errors import CelCheckErrors, Problem
from pfgov.policy.cel.limits import COST_UNITS
from pfgov.policy.cel.types import BOOL, DYN, CelType, fits, settled


def check(
    ast: syntax.Ast,
    environment: Environment,
    expect: CelType | None = BOOL,
    *,
    cost_limit: int | None = COST_UNITS,
    lenient: bool = False,
) -> ir.Checked:
    """Resolve and type *ast* against *environment*.

    Args:
        ast: From :func:`pfgov.policy.cel.parse`.
        environment: The names and functions it may use.
        expect: The type its value must have; None for any.
        cost_limit: Largest static cost, in units; None for any.
        lenient: Let names be unknown and the types of operands disagree (an error at run
            time then), as CEL does for unchecked expressions.  For conformance runs.

    Raises:
        CelCheckErrors: With every problem.
    """
    checking = Checking(environment, lenient, _visit)
    root = checking.node(ast.root)
    if not checking.problems:
        _judge_result(checking, root, expect)
    if checking.problems:
        raise CelCheckErrors(checking.problems)
    units, size = cost.estimate(root, checking.named)
    if cost_limit is not None and units > cost_limit:
        raise CelCheckErrors([_too_costly(units, cost_limit, root.span)])
    paths = accesses(root, checking.named)
    time, held = cost.time_of(root, checking.named)
    return ir.Checked(
        source=ast.source,
        root=root,
        type=settled(root.type),
        cost=units,
        size=size,
        slots=checking.slots,
        roots=frozenset(access.path[0] for access in paths),
        paths=paths,
        named=checking.named,
        time=time,
        held=held,
    )


def _judge_result(c: Checking, root: ir.Node, expect: CelType | None) -> None:
    if expect is None:
        return
    if not fits(root.type, expect):
        hint = condition_hint(root.type) if expect == BOOL else None
        c.mismatch("cel.result", f"the value is {root.type}, not {expect}", root.span, hint)
    elif expect == BOOL and not c.environment.constant_conditions:
        found = constant.condition_problem(root)
        if found is not None:
            c.problem("cel.constant", found[0], root.span, found[1])


def _too_costly(units: int, limit: int, at: syntax.Span) -> Problem:
    return Problem(
        "cel.cost",
        f"may cost up to {units:,} units, more than {limit:,}",
        at.line,
        at.column,
        "loops inside loops multiply; declare bounds or simplify",
    )


def _unary(c: Checking, node: syntax.Unary) -> ir.Node:
    inner = c.node(node.operand)
    result = check_calls.invoke(c, c.environment.functions[f"{node.operator}_"], node, [inner])
    is_wrong = node.operator == "!" and not fits(inner.type, BOOL) and not c.lenient
    return ir.Const(node.span, DYN, None) if is_wrong else result


def _binary(c: Checking, node: syntax.Binary) -> ir.Node:
    name = check_calls.BINARY[node.operator]
    return check_calls.operator(c, name, node, [node.left, node.right])


def _and(c: Checking, node: syntax.And) -> ir.Node:
    return ir.Logic(node.span, BOOL, "all", c.bools(node.operands, "&&"))


def _or(c: Checking, node: syntax.Or) -> ir.Node:
    return ir.Logic(node.span, BOOL, "any", c.bools(node.operands, "||"))


_RULES: Final[dict[type[syntax.Node], Callable[[Checking, Any], ir.Node]]] = {
    syntax.Literal_: check_macros.literal,
    syntax.Ident: check_names.ident,
    syntax.Select: check_names.select,
    syntax.Index: check_names.index,
    syntax.Has: check_names.has,
    syntax.Call: check_calls.call,
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.And: _and,
    syntax.Or: _or,
    syntax.Ternary: check_macros.ternary,
    syntax.ListLiteral: check_macros.list_literal,
    syntax.MapLiteral: check_macros.map_literal,
    syntax.Fold: check_macros.fold,
    syntax.OptMap: check_macros.opt_map,
    syntax.Bind: check_macros.bind,
}


def _visit(c: Checking, node: syntax.Node) -> ir.Node:
    return _RULES[type(node)](c, node)
