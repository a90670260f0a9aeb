"""What compiles and cannot be meant: expressions that always fail, values that never occur, rules that always deny.

Asked of sets that an author hands over as files, never of a set that a ledger recorded: that one was
made binding under the rules of its day.  Errors refuse the files, warnings only fail ``policy check``.
The exact evaluator folds the constants (:mod:`pfgov.policy.cel.possible`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pfgov.core.verdicts import Point
from pfgov.policy.cel import Checked, ir, types
from pfgov.policy.cel.constant import FLIPPED, SIGNS, always
from pfgov.policy.cel.errors import Failure
from pfgov.policy.cel.implied import same
from pfgov.policy.cel.possible import NEVER, Outlook, Reach, walk
from pfgov.policy.cel.strings import compile_pattern
from pfgov.policy.cel.types import ListType, MapType, NumberType, Record, StringType
from pfgov.policy.files.model import KERNEL, Policy, Text
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.naming import Naming, Writer, path_of
from pfgov.policy.problems import Problem, Severity

_PARTS_OF_TIME: Final[Mapping[str, tuple[int, int]]] = {
    "getMonth": (0, 11),
    "getDate": (1, 31),
    "getDayOfMonth": (0, 30),
    "getDayOfWeek": (0, 6),
    "getDayOfYear": (0, 365),
    "getHours": (0, 23),
    "getMinutes": (0, 59),
    "getSeconds": (0, 59),
    "getMilliseconds": (0, 999),
}
"""What the parts of a timestamp range over; both ends occur."""

_OF_LISTS: Final = frozenset({"@in", "region_within", "sets.contains", "sets.intersects"})
_OF_TEXTS: Final = frozenset({"startsWith", "endsWith", "contains"})

_EARLY: Final = 1_000_000_000
"""Seconds since 1970 before which no decision was ever taken; it is in 2001."""

_ABSENT: Final[Mapping[Point, Mapping[str, object]]] = {Point.ASSIGN: {"source": NEVER}}
"""Roots that the schema has at a point, for policies that are asked at several, and that are never there."""


def unsound(policies: PolicySet) -> list[Problem]:
    """Return every error and warning about the policies of a set, but the kernel's."""
    found: list[Problem] = []
    texts = expression_texts(policies)
    for policy in policies.bundle.policies:
        if policy.name != KERNEL:
            found += _policy(policies, policy, texts)
    return found


def expression_problems(text: Text, checked: Checked) -> list[Problem]:
    """Return what cannot be meant in one expression by itself, of a rule or of a test's property."""
    return list(dict.fromkeys(_Expression(text, checked).problems()))


def expression_texts(policies: PolicySet) -> dict[tuple[str, str], Text]:
    """Every named expression by its policy (or definitions) and its full name."""
    found: dict[tuple[str, str], Text] = {}
    for policy in policies.bundle.policies:
        offered = {item.text for item in policy.imports}
        for variable in policy.variables:
            found[policy.name, f"variables.{variable.name}"] = variable.expression
        for definitions in policies.bundle.definitions:
            for variable in definitions.variables if definitions.name in offered else ():
                found[policy.name, f"defs.{variable.name}"] = variable.expression
    return found


def _policy(
    policies: PolicySet, policy: Policy, texts: Mapping[tuple[str, str], Text]
) -> Iterator[Problem]:
    for rule in policy.rules:
        planned = {
            point: one
            for point in rule.on
            for one in policies.judges[point].rules
            if one.policy == policy.name and one.rule.id == rule.id
        }
        parts: list[tuple[Text, Checked]] = []
        for one in planned.values():
            for text, checked in ((rule.when, one.when), (rule.condition, one.condition)):
                if text is not None and checked is not None:
                    parts.append((text, checked))
                    parts += [
                        (texts[policy.name, name], inner)
                        for name, inner in checked.named.items()
                        if (policy.name, name) in texts
                    ]
        problems = list(
            dict.fromkeys(problem for part in parts for problem in expression_problems(*part))
        )
        yield from problems
        if not any(problem.severity == "error" for problem in problems):
            yield from _outcomes(planned)


# --- one rule at its points -----------------------------------------------------------------


def _outcomes(planned: Mapping[Point, PlannedRule]) -> Iterator[Problem]:
    """A rule that denies whatever the facts, because one of them is never there; one that never applies."""
    idle: list[Point] = []
    for point, one in planned.items():
        given = {"action": point.value, **_ABSENT.get(point, {})}
        outlook = Outlook(given)
        found = outlook.reach(one.clause.root)
        if not found.true and found.fails:
            yield _always_denies(one, point)
            return
        parts = (one.when, None if one.rule.kind == "require" else one.condition)
        if any(part is not None and _is_never(outlook.reach(part.root)) for part in parts):
            idle.append(point)
    if planned and len(idle) == len(planned):
        one = next(iter(planned.values()))
        yield one.rule.place.problem(
            "policy.never_applies",
            f"the rule `{one.rule.id}` never applies at {', '.join(idle)}",
            "its condition is about another decision point",
            "warning",
        )


def _is_never(found: Reach) -> bool:
    return not found.true and not found.fails


def _always_denies(one: PlannedRule, point: Point) -> Problem:
    absent = sorted(_ABSENT.get(point, {}).keys() & one.clause.roots)
    why = f": `{absent[0]}` is never there" if absent else ""
    others = [other.value for other in one.rule.on if other is not point]
    hint = f'give the rule `on: [{", ".join(others)}]`, or `when: action != "{point.value}"`'
    if not others:
        hint = "ask it at another decision point"
    return one.rule.place.problem(
        "policy.always_denies",
        f"the rule `{one.rule.id}` denies everybody at {point.value}{why}",
        hint,
    )


# --- one expression -------------------------------------------------------------------------


class _Expression:
    """The problems of one expression."""

    def __init__(self, text: Text, checked: Checked) -> None:
        self._say = Writer(text)
        self._root = checked.root
        self._names = Naming(self._say)
        self._outlook = Outlook()
        self._wholes = _wholes(checked.root)

    def problems(self) -> Iterator[Problem]:
        """Yield them, outer parts first."""
        decided: set[int] = set()  # parts of what is decided as a whole
        for node in walk(self._root):
            self._names.enter(node)
            failed = self._outlook.failure(node)
            if failed is not None:
                yield from self._failing(node, failed)
                continue
            if id(node) in decided:
                continue
            found = list(self._trivial(node)) or list(self._enumerated(node))
            if found:
                yield from found
                decided |= {id(part) for part in walk(node)}
            elif isinstance(node, ir.Call):
                if len(node.arguments) == 2:
                    yield from self._compared(node)
                yield from self._names.problems(node)
            else:
                yield from self._names.read_whole(node)

    def _failing(self, node: ir.Node, failed: Failure) -> Iterator[Problem]:
        inside = any(self._outlook.failure(child) is not None for child in ir.children(node))
        if not inside and not isinstance(node, ir.Named):
            shown = self._say.shown(node)
            yield self._say.problem(
                "cel.always_fails",
                f"`{shown}` always fails: {failed.message}",
                node,
                _failing_hint(node),
            )

    def _compared(self, node: ir.Call) -> Iterator[Problem]:
        """A comparison that the range of a function decides: ``now.getMonth() == 12``."""
        left, right = node.arguments
        operator = node.function.name
        yield from self._says_nothing(node)
        if operator == "@in" and isinstance(right, ir.MakeList):
            yield from self._listed(left, right)
            return
        if isinstance(left, ir.Const):
            left, right, operator = right, left, FLIPPED.get(operator, operator)
        bounds = _range(left)
        if bounds is None or not isinstance(right, ir.Const) or right.label is not None:
            return
        if operator not in SIGNS or type(right.value) not in {int, float}:
            return
        truth = always(operator, *bounds, float(right.value))  # type: ignore[arg-type]  # a number
        if truth is not None:
            word = "always" if truth else "never"
            message = f"`{self._say.shown(node)}` is {word} true"
            yield self._say.problem("cel.constant", message, node, self._between(left, bounds))

    def _says_nothing(self, node: ir.Call) -> Iterator[Problem]:
        """A question with one answer: an empty list or text, a pattern that is found everywhere."""
        name, right = node.function.name, node.arguments[1]
        if name in _OF_LISTS and isinstance(right, ir.MakeList) and not right.items:
            word = "always" if name == "sets.contains" else "never"
            message = f"`{self._say.shown(node)}` is {word} true"
            yield self._say.problem("cel.constant", message, node, "list what is meant")
        if not isinstance(right, ir.Const) or right.label is not None:
            return
        if name in _OF_TEXTS and right.value == "":
            message = f"`{self._say.shown(node)}` is always true"
            yield self._say.problem("cel.constant", message, node, "write the text that is meant")
        if name == "matches" and isinstance(right.value, str) and _is_everywhere(right.value):
            message = (
                f"`{self._say.shown(node)}` is always true: the pattern is found in every text"
            )
            hint = "it is looked for anywhere: write ^...$ around what the whole text has to be"
            yield self._say.problem("cel.constant", message, node, hint)

    def _listed(self, left: ir.Node, right: ir.MakeList) -> Iterator[Problem]:
        kind = _kind(left.type)
        for item in right.items if kind is not None else ():
            if _kind(item.type) not in {None, kind}:
                message = f"`{self._say.shown(left)}` is never {self._say.shown(item)}"
                hint = f"it is of the type {kind}"
                if kind == "number" and isinstance(item.type, StringType):
                    hint = "compare numbers with numbers, without quotes"
                elif item.type == types.NULL:
                    hint = "no fact is null: whether an optional one is there is asked with has()"
                yield self._say.problem("cel.never_equal", message, item, hint)
        bounds = _range(left)
        for item in right.items if bounds is not None else ():
            value = item.value if isinstance(item, ir.Const) else None
            if bounds and type(value) is int and not bounds[0] <= value <= bounds[1]:
                message = f"`{self._say.shown(left)}` is never {value}"
                yield self._say.problem(
                    "cel.never_equal", message, item, self._between(left, bounds)
                )

    def _between(self, node: ir.Node, bounds: tuple[float, float]) -> str:
        low, high = bounds
        return f"`{self._say.shown(node)}` is from {low:g} to {high:g}" if high != float("inf") else (
            f"`{self._say.shown(node)}` is {low:g} or more"
        )  # fmt: skip

    # --- what is always the same ------------------------------------------------------------

    def _trivial(self, node: ir.Node) -> Iterator[Problem]:
        """A comparison of a thing with itself, a choice between equals, a division by zero of doubles."""
        match node:
            case ir.Call(function=function, arguments=(left, right)) if function.name in SIGNS:
                yield from self._whole_division(left, right)
                if path_of(left) is not None and same(left, right):
                    message = f"`{self._say.shown(node)}` compares a thing with itself"
                    yield self._say.problem("cel.constant", message, node, "name another one")
            case ir.Call(function=function, arguments=(_, divisor) as arguments) if (
                function.name == "_/_"
            ):
                yield from self._lost(node, *arguments)
                if isinstance(divisor, ir.Const) and divisor.value == 0:
                    message = f"`{self._say.shown(node)}` is infinite, or no number"
                    hint = "divide by something that is not zero"
                    yield self._say.problem("cel.constant", message, node, hint)
            case ir.Call(function=function, arguments=(ir.Const(value=int(seconds)),)) if (
                function.name == "timestamp" and type(seconds) is int and seconds < _EARLY
            ):
                message = f"`{self._say.shown(node)}` is in 1970 or soon after: whole numbers are seconds since then"
                hint = 'write timestamp("2027-01-01T00:00:00Z")'
                yield self._say.problem("policy.early_time", message, node, hint, "warning")
            case ir.Has(operand=operand, name=name) if _is_always_there(operand, name):
                shown = self._say.shown(node)
                hint = f"{'.'.join(path_of(operand) or ())}.{name} is always there: compare it with something"
                severity: Severity = "error" if node in self._wholes else "warning"
                yield self._say.problem(
                    "cel.constant", f"`{shown}` is always true", node, hint, severity
                )
            case ir.Ternary(then=then, otherwise=otherwise) if same(then, otherwise):
                message = f"`{self._say.shown(node)}` is the same either way"
                yield self._say.problem("cel.constant", message, node, "write it without `?`")
            case _:
                pass

    def _lost(self, node: ir.Node, left: ir.Node, right: ir.Node) -> Iterator[Problem]:
        """A fraction written as a division of whole numbers: ``1 / 2`` is 0, and everybody has as much."""
        numbers = [
            one.value for one in (left, right) if isinstance(one, ir.Const) and not one.label
        ]
        if len(numbers) == 2 and all(type(one) is int and one for one in numbers):
            over, under = (abs(int(str(one))) for one in numbers)
            if over % under:
                severity: Severity = "warning" if over // under else "error"  # 1 / 2 is 0
                message = f"`{self._say.shown(node)}` divides whole numbers: the rest is dropped"
                hint = f"write {self._say.shown(left)}.0 / {self._say.shown(right)}.0"
                yield self._say.problem("policy.whole_division", message, node, hint, severity)

    def _whole_division(self, left: ir.Node, right: ir.Node) -> Iterator[Problem]:
        """A share of whole numbers compared with a fraction: ``load.active / capacity.tasks < 0.8``."""
        for one, other in ((left, right), (right, left)):
            is_whole = isinstance(one, ir.Call) and one.function.name == "_/_"
            is_whole = is_whole and isinstance(one.type, NumberType) and one.type.name == "int"
            fraction = other.value if isinstance(other, ir.Const) else None
            if is_whole and type(fraction) is float and not fraction.is_integer():
                yield self._say.problem(
                    "policy.whole_division",
                    f"`{self._say.shown(one)}` divides whole numbers: the rest is dropped, and {fraction:g} is none",
                    one,
                    "write double(x) / double(y)",
                    "warning",
                )

    def _enumerated(self, node: ir.Node) -> Iterator[Problem]:
        """A condition about one fact that comes to the same for each value that the fact can have."""
        path, values = _domain(node)
        if path is None or isinstance(node, ir.Var | ir.Select | ir.Index | ir.Named):
            return
        found: set[object] = set()
        for value in values:
            given: object = value
            for step in reversed(path[1:]):
                given = {step: given}
            found.add(Outlook({path[0]: given}).value(node))
        if found in ({True}, {False}):
            word = "always" if True in found else "never"
            name = ".".join(path)
            hint = f"{name} is true or false"
            if bool not in map(type, values):
                hint = f"{name} is one of {', '.join(map(str, values))}"
            is_optional = any(isinstance(p, ir.Select) and p.maybe_absent for p in walk(node))
            if is_optional:
                hint = f"{hint}; whether it is there is asked with has({name})"
            message = f"`{self._say.shown(node)}` is {word} true"
            severity: Severity = "warning" if is_optional else "error"
            yield self._say.problem("cel.constant", message, node, hint, severity)


def _wholes(root: ir.Node) -> tuple[ir.Node, ...]:
    """Return *root*, and what it negates: what decides the whole condition."""
    found = [root]
    while isinstance(root, ir.Call) and root.function.name == "!_":
        root = root.arguments[0]
        found.append(root)
    return tuple(found)


_ALWAYS_THERE: Final = frozenset(
    {"packet", "member", "principal", "review", "export", "activation"}
)


def _is_always_there(operand: ir.Node, name: str) -> bool:
    """Whether the field *name* of a fact is there in every decision: neither it nor what is before it is optional."""
    path = path_of(operand)
    if path is None or path[0] not in _ALWAYS_THERE:
        return False
    if any(isinstance(part, ir.Select) and part.maybe_absent for part in walk(operand)):
        return False
    kind = operand.type
    return isinstance(kind, Record) and name in kind.fields and not kind.fields[name].optional


def _domain(node: ir.Node) -> tuple[tuple[str, ...] | None, Sequence[object]]:
    """Return the only fact that the condition *node* reads and its values, where there are but a few."""
    if node.type != types.BOOL or ir.has_loop(node):
        return None, ()
    read: dict[tuple[str, ...], types.CelType] = {}
    waiting = [node]
    while waiting:
        part = waiting.pop()
        path = ir.path_of(part)
        if path is not None:
            read[path] = part.type
        elif isinstance(part, ir.Var | ir.Local | ir.Has | ir.OptionalAccess):
            return None, ()
        elif isinstance(part, ir.Named):
            waiting.append(part.expression.root)
        elif isinstance(part, ir.Const) and part.label is not None:
            return None, ()  # a param is meant to be changed
        else:
            waiting += ir.children(part)
    if len(read) != 1:
        return None, ()
    path, kind = next(iter(read.items()))
    if kind == types.BOOL:
        return path, (True, False)
    allowed = kind.allowed if isinstance(kind, StringType) else None
    return (path, sorted(allowed)) if allowed else (None, ())


def _is_everywhere(pattern: str) -> bool:
    """Whether *pattern* is found in a text of nothing, and in one that nobody would think of."""
    compiled = compile_pattern(pattern)
    return all(compiled.search(text) is not None for text in ("", "\x01"))


def _kind(one: types.CelType) -> str | None:
    """Return with what a value of the type can be equal, by name: numbers with all numbers; None where any may be."""
    if isinstance(one, NumberType):
        return "number"
    if isinstance(one, StringType):
        return "string"
    plain = (types.BOOL, types.NULL, types.BYTES, types.TIMESTAMP, types.DURATION)
    return str(one) if one in plain else None


def _range(node: ir.Node) -> tuple[float, float] | None:
    """What the value of a call ranges over; None where nothing is known."""
    if not isinstance(node, ir.Call) or not node.arguments:
        return None
    name, first = node.function.name, node.arguments[0]
    if name in _PARTS_OF_TIME and first.type == types.TIMESTAMP:
        return _PARTS_OF_TIME[name]
    if name == "size":
        most = None
        if isinstance(first.type, ListType | MapType):
            most = first.type.max_items
        elif isinstance(first.type, StringType):
            most = first.type.max_length
        return 0, float("inf") if most is None else most
    if name in {"indexOf", "lastIndexOf"}:
        return -1, float("inf")
    return None


def _failing_hint(node: ir.Node) -> str | None:
    if not isinstance(node, ir.Call):
        return None
    match node.function.name:
        case "timestamp":
            return 'write a whole time with its offset: timestamp("2026-12-01T00:00:00Z")'
        case "duration":
            return (
                'write duration("36h"): h, m, s, ms, us and ns are the units, and there are no days'
            )
        case "capability_match":
            return 'write a name, or a name and versions: "ocr>=1.2,<2"'
        case "_/_" | "_%_":
            return "divide by something that is not zero"
        case name if name.startswith("get") and isinstance(node.type, NumberType):
            return "write an offset from -23:59 to +23:59, such as +02:00"
        case _:
            return None
