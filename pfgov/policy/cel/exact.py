"""The exact evaluator: the meaning of a checked expression, as a function of the facts.

An expression becomes a tree of closures once; an evaluation runs it on a mapping from
root name to value.  It never raises: the outcome is a value or a :class:`Failure`.
Slow paths of every other evaluator end here.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pfgov.policy.cel import calls, closures, folds, ir
from pfgov.policy.cel.closures import ABSENT, Closure, Context, Observe
from pfgov.policy.cel.errors import CelError, Failure, WorkExceededError
from pfgov.policy.cel.values import type_name

Values = Mapping[str, object]
Program = Callable[[Context], object]


def exact(checked: ir.Checked) -> Callable[[Values], bool | Failure]:
    """A function from facts to the truth of the condition *checked*.

    It returns exactly ``True`` or ``False``, or the :class:`Failure` that says why
    neither; a value of another type is a failure of kind ``type``.
    """
    run = value_of(checked)

    def decide(values: Values) -> bool | Failure:
        value = run(values)
        if value is True or value is False or type(value) is Failure:
            return value
        return _not_a_condition(checked, value)

    return decide


def _not_a_condition(checked: ir.Checked, value: object) -> Failure:
    path = ir.path_of(checked.root)
    shown = ".".join(path) if path else None
    return Failure("type", shown, f"{shown or 'the value'} is {type_name(value)}, not bool")


def value_of(checked: ir.Checked) -> Callable[[Values], object]:
    """A function from facts to the value of *checked*, or to a :class:`Failure`."""
    run = program(checked, {})

    def evaluate(values: Values) -> object:
        try:
            return run(Context(values))
        except Exception as error:  # noqa: BLE001 -- a host function's bug must not become an allow
            return failure_of(error)

    return evaluate


def failure_of(error: Exception) -> Failure:
    """The outcome of an evaluation that *error* ended."""
    match error:
        case CelError() | WorkExceededError():
            return error.failure
        case RecursionError():
            return Failure("error", None, "the facts are nested too deeply")
        case MemoryError():
            return Failure("cost", None, "the evaluation took too much memory")
        case _:
            return Failure("error", None, f"a function failed: {type(error).__name__}")


def program(
    checked: ir.Checked, programs: dict[int, Program], observe: Observe | None = None
) -> Program:
    """Compile *checked*; *programs* shares its named sub-expressions between users."""
    known = programs.get(id(checked))
    if known is not None:
        return known
    compiler = _Compiler(checked, programs, observe)
    body = compiler.compile(checked.root)
    names = tuple(compiler.roots)
    blank = [None] * checked.slots

    def run(context: Context) -> object:
        values = context.values
        frame: closures.Frame = [context, *blank]
        for name in names:
            frame.append(values.get(name, ABSENT))
        return body(frame)

    programs[id(checked)] = run
    return run


class _Compiler:
    def __init__(
        self, checked: ir.Checked, programs: dict[int, Program], observe: Observe | None
    ) -> None:
        self.checked = checked
        self.programs = programs
        self.observe = observe
        self.roots: dict[str, int] = {}

    def root_slot(self, name: str) -> int:
        """The frame slot of a root: behind the context and the macro variables."""
        if name not in self.roots:
            self.roots[name] = 1 + self.checked.slots + len(self.roots)
        return self.roots[name]

    def compile(self, node: ir.Node) -> Closure:
        closure = self.closure(node)
        return closure if self.observe is None else self.observe(self.checked, node, closure)

    def optional(self, node: ir.Node | None) -> Closure | None:
        return None if node is None else self.compile(node)

    def closure(self, node: ir.Node) -> Closure:
        return _RULES[type(node)](self, node)

    def each(self, nodes: Iterable[ir.Node]) -> tuple[Closure, ...]:
        return tuple(self.compile(node) for node in nodes)

    def named(self, node: ir.Named) -> Closure:
        run = program(node.expression, self.programs, self.observe)
        return closures.named(run, id(node.expression))

    def fold(self, node: ir.Fold) -> Closure:
        target = self.compile(node.target)
        return folds.fold(node, target, self.optional(node.condition), self.optional(node.result))

    def make_map(self, node: ir.MakeMap) -> Closure:
        pairs = tuple((self.compile(key), self.compile(value)) for key, value in node.entries)
        return closures.make_map_literal(pairs, node.optional)

    def opt_map(self, node: ir.OptMap) -> Closure:
        target, result = self.each((node.target, node.result))
        return closures.opt_map(target, node.local.slot + 1, result, flat=node.flat)

    def select(self, node: ir.Select) -> Closure:
        steps = [node.name]
        base = node.operand
        while isinstance(base, ir.Select):
            steps.append(base.name)
            base = base.operand
        if isinstance(base, ir.Var):
            return closures.chain(base.name, self.root_slot(base.name), tuple(reversed(steps)))
        path = ir.path_of(node)
        shown = ".".join(path) if path else None
        return closures.select(self.compile(node.operand), node.name, shown)


_RULES: Final[dict[type[ir.Node], Callable[[_Compiler, Any], Closure]]] = {
    ir.Const: lambda _c, n: closures.constant(n.value),
    ir.Var: lambda c, n: closures.root(n.name, c.root_slot(n.name)),
    ir.Local: lambda _c, n: closures.variable(n.slot + 1),
    ir.Named: _Compiler.named,
    ir.Select: _Compiler.select,
    ir.Index: lambda c, n: closures.index(c.compile(n.operand), c.compile(n.key), _path(n.operand)),
    ir.OptionalAccess: lambda c, n: closures.optional_access(*c.each((n.operand, n.key))),
    ir.Has: lambda c, n: closures.has(c.compile(n.operand), n.name, _path(n.operand)),
    ir.Call: lambda c, n: calls.call(n, c.each(n.arguments)),
    ir.Logic: lambda c, n: closures.logic(n, c.each(n.operands)),
    ir.Ternary: lambda c, n: closures.ternary(n, *c.each((n.condition, n.then, n.otherwise))),
    ir.MakeList: lambda c, n: closures.make_list(c.each(n.items), n.optional),
    ir.MakeMap: _Compiler.make_map,
    ir.Fold: _Compiler.fold,
    ir.OptMap: _Compiler.opt_map,
    ir.OrValue: lambda c, n: closures.or_value(*c.each((n.target, n.other)), unwrap=n.unwrap),
    ir.Bind: lambda c, n: closures.bind(n.local.slot + 1, *c.each((n.value, n.result))),
}


def _path(node: ir.Node) -> str | None:
    path = ir.path_of(node)
    return ".".join(path) if path else None
