"""What every function, macro and operator of the profile gives for a pool of awkward values, as lines of text.

The lines are kept under ``tests/data/cel-outcomes``: a line that changes is a change of meaning.  Run this file to
write them anew, then read the difference.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pfgov.policy.cel import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STANDARD,
    STRING,
    TIMESTAMP,
    UINT,
    CelError,
    CelLoadError,
    CelType,
    Duration,
    Environment,
    Failure,
    Function,
    ListType,
    MapType,
    OptionalType,
    Timestamp,
    Uint,
    check,
    parse,
)  # fmt: skip
from pfgov.policy.cel.closures import Context
from pfgov.policy.cel.errors import WorkExceededError
from pfgov.policy.cel.exact import failure_of, program
from pfgov.policy.cel.limits import WORK_UNITS
from pfgov.policy.cel.types import StringType, TypeParam, TypeType
from pfgov.policy.cel.values import (
    ABSENT_OPTIONAL,
    CelMap,
    OptionalValue,
    TypeValue,
    is_map,
    make_map,
    map_items,
)  # fmt: skip

DATA: Final = Path(__file__).parents[2] / "data" / "cel-outcomes"

SECOND: Final = 10**9

POOL: Final[tuple[object, ...]] = (
    None, True, False,
    0, 1, -7, 2**63 - 1, -(2**63), 2**53 + 1,
    Uint(0), Uint(3), Uint(2**64 - 1),
    0.0, -0.0, 1.0, 2.5, -2.5, 1e21, 9007199254740992.0, math.nan, math.inf, -math.inf,
    "", "a", "aXbXa", " é\u2003", "-12", "1.5", "true", "2026-01-02T03:04:05.6+02:00", "1h1.5s", "YQ", "(",
    b"", b"a", b"\xff",
    [], [1], ["b", "a", "b"], [1.0, math.nan], [[1], [[2]]], [Uint(3), 3],
    {}, {"a": 1}, make_map([(1, "x"), (True, None)]),
    Timestamp(0), Timestamp(253_402_300_799 * SECOND + 999_999_999), Timestamp(-62_135_596_800 * SECOND),
    Duration(0), Duration(5_400_250 * 10**6), Duration(-1_500_000_001), Duration(2**63 - 1),
    TypeValue("int"),
    ABSENT_OPTIONAL, OptionalValue(present=True, value=0), OptionalValue(present=True, value={"a": 1}),
)  # fmt: skip
"""Values of every type, at the edges of it."""

THIRD: Final[tuple[object, ...]] = (None, 0, 1, 2, -1, 9, Uint(1), "", "a", "X")
"""Values of a third and a fourth argument."""


# --- text ------------------------------------------------------------------------------------


def show(value: object) -> str:
    """The text of a value: of different values, different texts."""
    if isinstance(value, OptionalValue):
        return f"optional.of({show(value.value)})" if value.present else "optional.none()"
    if isinstance(value, (Timestamp, Duration)):
        return f"{type(value).__name__.lower()}({value.ns}ns)"
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, CelMap) or type(value) is dict:
        pairs = ", ".join(f"{show(key)}: {show(held)}" for key, held in map_items(value))
        return f"{'' if type(value) is dict else 'map'}{{{pairs}}}"
    if isinstance(value, Uint):
        return f"{value.value}u"
    if isinstance(value, TypeValue):
        return f"type {value.name}"
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) in {str, bytes}:
        return ascii(value)
    return repr(value)


def shown(outcome: object) -> str:
    """The text of a value or of a failure."""
    if isinstance(outcome, Failure):
        at = f" at {outcome.path}" if outcome.path else ""
        return f"{outcome.kind}{at}: {ascii(outcome.message)[1:-1]}"
    return show(outcome)


# --- functions -------------------------------------------------------------------------------

_ARE: Final[dict[CelType, type]] = {
    BOOL: bool, INT: int, UINT: Uint, DOUBLE: float, STRING: str, BYTES: bytes, NULL: type(None),
    TIMESTAMP: Timestamp, DURATION: Duration,
}  # fmt: skip


def is_of(value: object, wanted: CelType) -> bool:
    """Whether *value* is of the type *wanted*, as far as it can be seen without looking into it."""
    match wanted:
        case TypeParam():
            return True
        case ListType():
            return type(value) is list
        case MapType():
            return is_map(value)
        case OptionalType():
            return isinstance(value, OptionalValue)
        case TypeType():
            return isinstance(value, TypeValue)
        case StringType():
            return type(value) is str
    return wanted == DYN or type(value) is _ARE[wanted]


def has_overload(function: Function, values: Sequence[object]) -> bool:
    """Whether a signature of *function* is for values such as these."""
    for overload in function.overloads:
        wanted = overload.arguments
        if overload.variadic and len(values) > len(wanted):
            wanted += (wanted[-1],) * (len(values) - len(wanted))
        if len(wanted) == len(values) and all(map(is_of, values, wanted)):
            return True
    return False


def outcome_of(function: Function, values: Sequence[object]) -> object:
    """What *function* gives for *values*: a value or a failure."""
    try:
        return function.call(*values)
    except (CelError, WorkExceededError) as error:
        return error.failure


def calls() -> Iterator[tuple[Function, tuple[object, ...]]]:
    """Every function of the profile on the values of the pool."""
    for function in STANDARD.values():
        if function.name == "@sortByKeys":
            continue  # no one writes it: it is what ``sortBy`` becomes, with as many keys as items
        for count in sorted({len(overload.arguments) for overload in function.overloads}):
            pools = [POOL, POOL, THIRD, THIRD][:count]
            if count > 2 and function.name not in {"slice", "flatten"}:
                pools[0] = pools[1] = ["", "a", "aXbXa", " é\u2003"]
            for values in itertools.product(*pools):
                yield function, values
            if any(overload.variadic for overload in function.overloads):
                for values in itertools.product(POOL[3:24], repeat=2):
                    yield function, values


def function_lines() -> Iterator[str]:
    """One line for each call that has an overload; of comparisons, those that are not false."""
    for function, values in calls():
        if has_overload(function, values):
            text = shown(outcome_of(function, values))
            if text != "false":
                yield f"{function.name}({', '.join(map(show, values))}) -> {text}"


class Foreign:
    """No CEL value at all, as only a host's mistake could bring in."""

    def __repr__(self) -> str:
        return "?"


ONE_OF_EACH: Final[tuple[object, ...]] = (
    None, True, 7, Uint(3), 2.5, "a", b"a", [1], {"a": 1}, Timestamp(0), Duration(10**9), TypeValue("int"),
    ABSENT_OPTIONAL, Foreign(),
)  # fmt: skip
"""A value of each type, and one of none."""


def refusal_lines() -> Iterator[str]:
    """One line for each argument of a function that is of no type that it takes, the others being as they should."""
    for function in STANDARD.values():
        for overload in {len(found.arguments): found for found in function.overloads}.values():
            good = [_fitting(wanted) for wanted in overload.arguments]
            for place in range(len(good)):
                for value in ONE_OF_EACH:
                    values = [*good[:place], value, *good[place + 1 :]]
                    if type(value) is not Foreign and has_overload(function, values):
                        continue
                    outcome = shown(outcome_of(function, values))
                    yield f"{function.name}({', '.join(map(show, values))}) -> {outcome}"


def _fitting(wanted: CelType) -> object:
    """Return a value of the type *wanted*."""
    return next(value for value in ("a", *ONE_OF_EACH[:-1]) if is_of(value, wanted))


SIZES: Final = (0, 1, 10, 41, 1_000)
"""Sizes of arguments at which costs are written down."""


def cost_lines() -> Iterator[str]:
    """What each function costs, takes and makes, by the sizes of what it is given."""
    for function in STANDARD.values():
        marks = [word for word in ("heavy", "is_member", "is_global") if getattr(function, word)]
        yield f"{function.name}: {' '.join(marks)}"
        count = max(len(overload.arguments) for overload in function.overloads)
        for sizes in itertools.product(*[SIZES, SIZES, (1, 10), (1,)][:count]):
            found = (function.cost(sizes), function.time(sizes), function.result_size(sizes))
            yield f"  {sizes} -> cost {found[0]}, time {found[1]}, size {found[2]}"


# --- expressions -----------------------------------------------------------------------------

XS: Final[tuple[object, ...]] = (
    None, True, 1, 0, -7, Uint(3), 2.5, -0.0, math.nan, "", "aXbXa", "(", b"\xff", [], [1], [True, 1], ["b", "a", "b"],
    [[1], [[2]]], [{"a": 1}], {}, {"a": True}, {"a": {"b": 1}}, {"a": [1, 1]}, make_map([(1, "x"), (True, None)]),
    Timestamp(0), Duration(5_400_250 * 10**6), TypeValue("int"), ABSENT_OPTIONAL, OptionalValue(present=True, value=0),
    OptionalValue(present=True, value={"a": {"b": 1}}),
    OptionalValue(present=True, value=OptionalValue(present=True, value=1)),
)  # fmt: skip
"""What x is."""

YS: Final[tuple[object, ...]] = (1, {"a": "b"}, OptionalValue(present=True, value=[1, "a"]))
"""What y is beside each x."""

ROOTS: Final = Environment({"x": DYN, "y": DYN, "z": DYN}, constant_conditions=True)


def evaluated(source: str, facts: dict[str, Any]) -> str:
    """The outcome of *source* and the work it took."""
    try:
        checked = check(parse(source), ROOTS, None, cost_limit=None, lenient=True)
    except CelLoadError as error:
        return f"refused: {ascii(str(error))[1:-1]}"
    context = Context(facts)
    try:
        outcome = program(checked, {})(context)
    except Exception as error:
        outcome = failure_of(error)
    return f"{shown(outcome)}; work {WORK_UNITS - context.work}"


def expression_lines() -> Iterator[str]:
    """One line for each expression of the two lists, which pass every branch, and each value of its facts."""
    for source in (DATA / "constant.cel").read_text().splitlines():
        yield f"{source} -> {evaluated(source, {})}"
    for source in (DATA / "over-x-and-y.cel").read_text().splitlines():
        yield f"{source} | -> {evaluated(source, {})}"
        others = YS if "y" in source.replace("type", "").replace("dyn", "") else (1,)
        for x, y in itertools.product(XS, others):
            beside = f", y = {show(y)}" if len(others) > 1 else ""
            yield f"{source} | x = {show(x)}{beside} -> {evaluated(source, {'x': x, 'y': y})}"


FILES: Final = {
    "functions.txt": function_lines,
    "refusals.txt": refusal_lines,
    "costs.txt": cost_lines,
    "expressions.txt": expression_lines,
}
"""The files of lines, and what makes them."""


if __name__ == "__main__":
    for name, lines in FILES.items():
        (DATA / name).write_text("".join(f"{line}\n" for line in lines()))
