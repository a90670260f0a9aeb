"""The exact evaluator: the meaning of a checked expression, as a function of the facts.

An expression becomes a tree of closures once; an evaluation runs it on a mapping from
root name to value.  It never raises: the outcome is a value or a :class:`Failure`.
Slow paths of every other evaluator end here.
"""

from collections.abc import Callable, Mapping

from pfgov.policy.cel import closures, folds, ir
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
        except (CelError, WorkExceededError) as error:
            return error.failure
        except RecursionError:
            return Failure("error", None, "the facts are nested too deeply")
        except MemoryError:
            return Failure("cost", None, "the evaluation took too much memory")
        except Exception as error:  # noqa: BLE001 -- a host function's bug must not become an allow
            return Failure("error", None, f"a function failed: {type(error).__name__}")

    return evaluate


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
        frame = [context, *blank]
        for name in names:
            frame.append(values.get(name, ABSENT))  # noqa: PERF401 -- a frame is built in place
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

    def closure(self, node: ir.Node) -> Closure:  # noqa: C901 -- one line a node class
        compile_ = self.compile
        match node:
            case ir.Const(value=value):
                return closures.constant(value)
            case ir.Var(name=name):
                return closures.root(name, self.root_slot(name))
            case ir.Local(slot=slot):
                return closures.variable(slot + 1)
            case ir.Named(expression=expression):
                run = program(expression, self.programs, self.observe)
                return closures.named(run, id(expression))
            case ir.Select():
                return self.select(node)
            case ir.Index(operand=operand, key=key):
                return closures.index(compile_(operand), compile_(key), _path(operand))
            case ir.OptionalAccess(operand=operand, key=key):
                return closures.optional_access(compile_(operand), compile_(key))
            case ir.Has(operand=operand, name=name):
                return closures.has(compile_(operand), name, _path(operand))
            case ir.Call(arguments=arguments):
                return closures.call(node, tuple(compile_(part) for part in arguments))
            case ir.Logic(operands=operands):
                return closures.logic(node, tuple(compile_(part) for part in operands))
            case ir.Ternary(condition=condition, then=then, otherwise=otherwise):
                return closures.ternary(
                    node, compile_(condition), compile_(then), compile_(otherwise)
                )
            case ir.MakeList(items=items, optional=optional):
                return closures.make_list(tuple(compile_(item) for item in items), optional)
            case ir.MakeMap(entries=entries, optional=optional):
                pairs = tuple((compile_(key), compile_(value)) for key, value in entries)
                return closures.make_map_literal(pairs, optional)
            case ir.Fold(target=target, condition=condition, result=result):
                return folds.fold(
                    node, compile_(target), self.optional(condition), self.optional(result)
                )
            case ir.OptMap(target=target, local=local, result=result, flat=flat):
                return closures.opt_map(
                    compile_(target), local.slot + 1, compile_(result), flat=flat
                )
            case ir.OrValue(target=target, other=other, unwrap=unwrap):
                return closures.or_value(compile_(target), compile_(other), unwrap=unwrap)
            case ir.Bind(local=local, value=value, result=result):
                return closures.bind(local.slot + 1, compile_(value), compile_(result))
            case _:
                raise AssertionError(node)

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


def _path(node: ir.Node) -> str | None:
    path = ir.path_of(node)
    return ".".join(path) if path else None
