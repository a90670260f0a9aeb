"""The exact evaluator's parts: one closure for each checked node.

A closure takes the frame (a list: the context, the macro variables, the roots) and
returns a value or raises :class:`CelError`.  What a closure does *is* the meaning of
the node; the generated evaluator is only ever a faster way to the same answer.
Macros are in :mod:`pfgov.policy.cel.folds`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from pfgov.policy.cel import containers, ir
from pfgov.policy.cel.errors import CelError, WorkExceededError
from pfgov.policy.cel.library import Function, work
from pfgov.policy.cel.limits import WORK_UNITS
from pfgov.policy.cel.values import (
    ABSENT_OPTIONAL,
    CelMap,
    OptionalValue,
    extent,
    is_map,
    make_map,
    map_get,
    no_overload,
    type_name,
    written,
)  # fmt: skip

Frame = list[Any]
Closure = Callable[[Frame], object]
Compile = Callable[[ir.Node], Closure]
Observe = Callable[[ir.Checked, ir.Node, Closure], Closure]

ABSENT: Final = object()


class Context:
    """One evaluation: its facts, the named sub-expressions computed so far, the work left."""

    __slots__ = ("memo", "values", "work")

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self.memo: dict[int, object] = {}
        self.work = WORK_UNITS

    def spend(self, units: int) -> None:
        """Take *units* from the budget.

        Raises:
            WorkExceededError: Nothing is left.
        """
        self.work -= units
        if self.work < 0:
            raise WorkExceededError

    def spend_call(self, function: Function, arguments: Sequence[object]) -> None:
        """Take what a call of a heavy function on lists or maps costs.

        Raises:
            WorkExceededError: Nothing is left.
        """
        cap = self.work + 1
        self.spend(work(function, [extent(argument, cap) for argument in arguments]))


def missing(path: str, what: str | None = None) -> CelError:
    """The error for reading something that is not there."""
    return CelError(what or f"{path} is missing", kind="missing", path=path)


# --- names and fields -----------------------------------------------------------------------


def constant(value: object) -> Closure:
    """A known value."""
    return lambda _frame: value


def variable(slot: int) -> Closure:
    """A macro variable."""
    return lambda frame: frame[slot]


def root(name: str, slot: int) -> Closure:
    """A declared root."""

    def load(frame: Frame) -> object:
        value = frame[slot]
        if value is ABSENT:
            raise missing(name)
        return value

    return load


def named(program: Callable[[Context], object], key: int) -> Closure:
    """A named sub-expression: computed at most once, its error kept like a value."""

    def load(frame: Frame) -> object:
        context: Context = frame[0]
        value = context.memo.get(key, ABSENT)
        if value is ABSENT:
            try:
                value = program(context)
            except CelError as error:
                value = error
            context.memo[key] = value
        if type(value) is CelError:
            raise CelError(str(value), kind=value.kind, path=value.path)
        return value

    return load


def chain(base: str, slot: int, steps: tuple[str, ...]) -> Closure:
    """Fields of a root, ``member.load.cpu``: the common case in one closure."""

    def load(frame: Frame) -> object:
        value: Any = frame[slot]
        if value is ABSENT:
            raise missing(base)
        for depth, name in enumerate(steps):
            # Exact types throughout: a subclass of dict could answer anything.
            if type(value) is dict:
                value = cast("dict[str, object]", value).get(name, ABSENT)
                if value is ABSENT:
                    raise missing(".".join((base, *steps[: depth + 1])))
            else:
                value = field(value, name, ".".join((base, *steps[: depth + 1])))
        return value

    return load


def select(operand: Closure, name: str, path: str | None) -> Closure:
    """``operand.name``."""
    return lambda frame: field(operand(frame), name, path)


def field(value: object, name: str, path: str | None) -> object:
    """The field *name* of *value*; through an optional, an optional."""
    if is_map(value):
        found = map_get(cast("CelMap", value), name, ABSENT)
        if found is ABSENT:
            shown = path or name
            raise CelError(f"{shown} is missing", kind="missing", path=path)
        return found
    if isinstance(value, OptionalValue):
        return through_optional(value, name)
    owner = path.rpartition(".")[0] if path else None
    raise CelError(
        f"{owner or 'the value'} is {type_name(value)}, which has no fields",
        kind="type",
        path=owner,
    )


def through_optional(value: OptionalValue, key: object) -> object:
    """A field or item of what an optional holds, as an optional that is not nested."""
    if not value.present:
        return ABSENT_OPTIONAL
    inner = containers.item_or_absent(value.value, key)
    if isinstance(inner.value, OptionalValue):
        return inner.value
    return inner


def index(operand: Closure, key: Closure, path: str | None) -> Closure:
    """``operand[key]``."""

    def load(frame: Frame) -> object:
        value, at = operand(frame), key(frame)
        if isinstance(value, OptionalValue):
            return through_optional(value, at)
        try:
            return containers.item(value, at)
        except CelError as error:
            if error.path is None and path is not None:
                shown = f"{path}.{at}" if type(at) is str else f"{path}[{written(at)}]"
                error.path = shown if error.kind == "missing" else path
            raise

    return load


def optional_access(operand: Closure, key: Closure) -> Closure:
    """``operand.?name`` and ``operand[?key]``."""

    def load(frame: Frame) -> object:
        value, at = operand(frame), key(frame)
        if isinstance(value, OptionalValue):
            return through_optional(value, at)
        return containers.item_or_absent(value, at)

    return load


def has(operand: Closure, name: str, path: str | None) -> Closure:
    """``has(operand.name)``: only the last step is a question; errors before it stay errors."""

    def test(frame: Frame) -> object:
        value = operand(frame)
        if type(value) is dict:
            return name in value
        if isinstance(value, OptionalValue):
            return cast("OptionalValue", through_optional(value, name)).present
        if isinstance(value, CelMap):
            return name in value.entries
        raise CelError(
            f"{path or 'the value'} is {type_name(value)}, which has no fields",
            kind="type", path=path,
        )  # fmt: skip

    return test


# --- logic ----------------------------------------------------------------------------------


def _not_bool(value: object, node: ir.Node) -> CelError:
    path = ir.path_of(node)
    shown = ".".join(path) if path else None
    return CelError(
        f"{shown or 'the operand'} is {type_name(value)}, not bool", kind="type", path=shown
    )


def logic(node: ir.Logic, operands: tuple[Closure, ...]) -> Closure:
    """``&&`` or ``||``: one deciding operand decides, whatever the others do.

    When none decides, the failure reported is that of the leftmost failing operand.
    """
    deciding = node.kind == "any"
    steps = tuple((i, operands[i], node.operands[i]) for i in ir.evaluation_order(node))

    def combine(frame: Frame) -> object:
        found: CelError | None = None
        found_at = len(steps)
        for index, operand, source in steps:
            try:
                value = operand(frame)
                if value is deciding:
                    return deciding
                if type(value) is not bool:
                    raise _not_bool(value, source)
            except CelError as error:
                if index < found_at:
                    found, found_at = error, index
        if found is not None:
            raise found
        return not deciding

    return combine


def ternary(node: ir.Ternary, condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    """``condition ? then : otherwise``: only the chosen one is evaluated."""

    def choose(frame: Frame) -> object:
        chosen = condition(frame)
        if chosen is True:
            return then(frame)
        if chosen is False:
            return otherwise(frame)
        raise _not_bool(chosen, node.condition)

    return choose


# --- literals -------------------------------------------------------------------------------


def make_list(items: tuple[Closure, ...], optional: tuple[bool, ...]) -> Closure:
    """A list literal."""
    if not any(optional):
        return lambda frame: [item(frame) for item in items]
    parts = tuple(zip(items, optional, strict=True))

    def build(frame: Frame) -> object:
        values: list[object] = []
        for item, is_optional in parts:
            value = item(frame)
            if not is_optional:
                values.append(value)
            elif not isinstance(value, OptionalValue):
                raise no_overload("[?_]", value)
            elif value.present:
                values.append(value.value)
        return values

    return build


def make_map_literal(
    entries: tuple[tuple[Closure, Closure], ...], optional: tuple[bool, ...]
) -> Closure:
    """A map literal; a repeated key is an error."""
    parts = tuple(zip(entries, optional, strict=True))

    def build(frame: Frame) -> object:
        pairs: list[tuple[object, object]] = []
        for (key, value), is_optional in parts:
            at, held = key(frame), value(frame)
            if not is_optional:
                pairs.append((at, held))
            elif not isinstance(held, OptionalValue):
                raise no_overload("{?_}", held)
            elif held.present:
                pairs.append((at, held.value))
        return make_map(pairs)

    return build


# --- optionals ------------------------------------------------------------------------------


def or_value(target: Closure, other: Closure, *, unwrap: bool) -> Closure:
    """``or`` and ``orValue``: the other is evaluated only when needed."""

    def choose(frame: Frame) -> object:
        value = target(frame)
        if not isinstance(value, OptionalValue):
            raise no_overload("orValue" if unwrap else "or", value)
        if value.present:
            return value.value if unwrap else value
        alternative = other(frame)
        if not unwrap and not isinstance(alternative, OptionalValue):
            raise no_overload("or", value, alternative)
        return alternative

    return choose


def opt_map(target: Closure, slot: int, result: Closure, *, flat: bool) -> Closure:
    """``optMap`` and ``optFlatMap``."""

    def apply(frame: Frame) -> object:
        value = target(frame)
        if not isinstance(value, OptionalValue):
            raise no_overload("optFlatMap" if flat else "optMap", value)
        if not value.present:
            return ABSENT_OPTIONAL
        frame[slot] = value.value
        mapped = result(frame)
        if not flat:
            return OptionalValue(present=True, value=mapped)
        if not isinstance(mapped, OptionalValue):
            raise no_overload("optFlatMap", mapped)
        return mapped

    return apply


def bind(slot: int, value: Closure, result: Closure) -> Closure:
    """``cel.bind``: the value is computed first, used or not (its error is the result's)."""

    def apply(frame: Frame) -> object:
        frame[slot] = value(frame)
        return result(frame)

    return apply
