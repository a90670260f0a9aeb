"""What compiles and cannot be meant: expressions that always fail, values that never occur, rules that always deny.

Asked of sets that an author hands over as files, never of a set that a ledger recorded: that one was
made binding under the rules of its day.  Errors refuse the files, warnings only fail ``policy check``.
The exact evaluator folds the constants (:mod:`pfgov.policy.cel.possible`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pfgov.core.spelling import CLASS_PATTERN, NAME_PATTERN, REGION_PATTERN
from pfgov.core.verdicts import Point
from pfgov.policy.cel import Checked, ir, types
from pfgov.policy.cel.constant import FLIPPED, SIGNS, always
from pfgov.policy.cel.errors import Failure
from pfgov.policy.cel.possible import NEVER, Outlook, Reach, walk
from pfgov.policy.cel.types import ListType, MapType, NumberType, StringType
from pfgov.policy.facts import RIGHTS
from pfgov.policy.files.model import KERNEL, Policy, Text
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import Problem, Severity, did_you_mean

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
            dict.fromkeys(problem for part in parts for problem in _Expression(*part).problems())
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
        parts = [part for part in (one.when, one.condition) if part is not None]
        if one.rule.kind != "require" and any(_is_never(outlook.reach(p.root)) for p in parts):
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


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """Values of a fact that is a list of words."""

    words: tuple[str, ...]
    prefix: str

    def problem(self, word: str) -> str | None:
        """Return a hint if *word* never occurs, else None."""
        if word in self.words or (word.startswith(self.prefix) and word != self.prefix):
            return None
        return did_you_mean(word, self.words) or f"one of {', '.join(self.words)}, {self.prefix}ID"


_VOCABULARIES: Final[Mapping[tuple[str, ...], _Vocabulary]] = {
    ("principal", "rights"): _Vocabulary(RIGHTS, "member:")
}


_SPELLINGS: Final[Mapping[tuple[str, ...], str]] = {
    ("packet", "data_classes"): CLASS_PATTERN,
    ("member", "clearances"): CLASS_PATTERN,
    ("source", "clearances"): CLASS_PATTERN,
    ("packet", "policy_constraints", "allowed_regions"): REGION_PATTERN,
    ("member", "region"): REGION_PATTERN,
    ("source", "region"): REGION_PATTERN,
    ("packet", "workload_type"): NAME_PATTERN,
    ("member", "capabilities"): NAME_PATTERN,
    ("source", "capabilities"): NAME_PATTERN,
}
"""How names are spelt since the border takes one spelling; an older ledger may hold others, so that this only warns."""


_PLAINLY: Final[Mapping[str, str]] = {
    "capabilities": "it holds names; versions are asked with capability_match(requirement, member.capability_versions)",
    "region": "region_within(member.region, [...]) takes in everything within a region",
}


class _Expression:
    """The problems of one expression."""

    def __init__(self, text: Text, checked: Checked) -> None:
        self._text = text
        self._root = checked.root
        self._items: dict[int, tuple[str, ...]] = {}
        self._outlook = Outlook()

    def problems(self) -> Iterator[Problem]:
        """Yield them, outer parts first."""
        for node in walk(self._root):
            if isinstance(node, ir.Fold) and len(node.locals) == 1:
                path = ir.path_of(node.target)
                if path is not None:
                    self._items[node.locals[0].slot] = path
            failed = self._outlook.failure(node)
            if failed is not None:
                yield from self._failing(node, failed)
            elif isinstance(node, ir.Call) and len(node.arguments) == 2:
                yield from self._compared(node)
                yield from self._worded(node)

    def _failing(self, node: ir.Node, failed: Failure) -> Iterator[Problem]:
        inside = any(self._outlook.failure(child) is not None for child in ir.children(node))
        if not inside and not isinstance(node, ir.Named):
            shown = self._shown(node)
            yield self._problem(
                "cel.always_fails",
                f"`{shown}` always fails: {failed.message}",
                node,
                _failing_hint(node),
            )

    def _compared(self, node: ir.Call) -> Iterator[Problem]:
        """A comparison that the range of a function decides: ``now.getMonth() == 12``."""
        left, right = node.arguments
        operator = node.function.name
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
            message = f"`{self._shown(node)}` is {word} true"
            yield self._problem("cel.constant", message, node, self._between(left, bounds))

    def _listed(self, left: ir.Node, right: ir.MakeList) -> Iterator[Problem]:
        bounds = _range(left)
        for item in right.items if bounds is not None else ():
            value = item.value if isinstance(item, ir.Const) else None
            if bounds and type(value) is int and not bounds[0] <= value <= bounds[1]:
                message = f"`{self._shown(left)}` is never {value}"
                yield self._problem("cel.never_equal", message, item, self._between(left, bounds))

    def _between(self, node: ir.Node, bounds: tuple[float, float]) -> str:
        low, high = bounds
        return f"`{self._shown(node)}` is from {low:g} to {high:g}" if high != float("inf") else (
            f"`{self._shown(node)}` is {low:g} or more"
        )  # fmt: skip

    def _worded(self, node: ir.Call) -> Iterator[Problem]:
        """A word that a list never holds: ``"opertor" in principal.rights``."""
        yield from self._whole(node)
        for path, part in _words(node, self._items):
            yield from self._misspelt(path, part, node)
            yield from self._demanded(path, part, node)
            vocabulary = _VOCABULARIES.get(path)
            if vocabulary is None or type(part.value) is not str:
                continue
            hint = vocabulary.problem(part.value)
            if hint is not None:
                message = f"{'.'.join(path)} never holds {part.value!r}"
                yield self._problem("cel.never_equal", message, node, hint)

    def _whole(self, node: ir.Call) -> Iterator[Problem]:
        """A list that is compared as a whole: ``packet.data_classes == ["pii"]``."""
        paths = [path for part in node.arguments if (path := ir.path_of(part)) is not None]
        is_written = any(isinstance(part, ir.MakeList) and part.items for part in node.arguments)
        if node.function.name in {"_==_", "_!=_"} and is_written and len(paths) == 1:
            name = ".".join(paths[0])
            yield self._problem(
                "policy.whole_list",
                f"`{self._shown(node)}` is about just these, in byte order: one more makes it another list",
                node,
                f"ask of each: {name}.all(x, x in [...]), or {name}.exists(x, x in [...])",
                "warning",
            )

    def _demanded(self, path: tuple[str, ...], part: ir.Const, node: ir.Node) -> Iterator[Problem]:
        """A bare name among demands that may have a version: ``"shell" in packet.required_capabilities``."""
        if path != ("packet", "required_capabilities") or type(part.value) is not str:
            return
        yield self._problem(
            "policy.requirement",
            f"a packet that asks for `{part.value}>=0` asks for {part.value}, too, and passes `{self._shown(node)}` by",
            node,
            f'write packet.required_capabilities.exists(r, r.matches("^{part.value}([<>=!~]|$)"))',
            "warning",
        )

    def _misspelt(self, path: tuple[str, ...], part: ir.Const, node: ir.Node) -> Iterator[Problem]:
        """A name that no ledger of today holds: ``"PII" in packet.data_classes``."""
        spelling = _SPELLINGS.get(path)
        word = part.value
        if spelling is None or type(word) is not str or re.fullmatch(spelling, word, re.ASCII):
            return
        message = f"{'.'.join(path)} is never spelt {word!r}"
        lowered = word.lower()
        hint = f"did you mean `{lowered}`?" if re.fullmatch(spelling, lowered, re.ASCII) else None
        yield self._problem(
            "policy.spelling",
            message,
            node,
            hint or _PLAINLY.get(path[-1], "names are in lower case, without blanks"),
            "warning",
        )

    def _shown(self, node: ir.Node) -> str:
        return " ".join(self._text.text[node.span.start : node.span.end].split())

    def _problem(
        self, code: str, message: str, node: ir.Node, hint: str | None, severity: Severity = "error"
    ) -> Problem:
        return self._text.problem(code, message, node.span.line, node.span.column, hint, severity)


def _words(
    node: ir.Call, items: Mapping[int, tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], ir.Const]]:
    """Yield (path of a list, constant that an item of it is compared with)."""
    left, right = node.arguments
    match node.function.name:
        case "@in" if isinstance(left, ir.Const):
            path = ir.path_of(right)
            if path is not None:
                yield path, left
        case "@in" if isinstance(right, ir.MakeList):
            path = items.get(left.slot) if isinstance(left, ir.Local) else ir.path_of(left)
            if path is not None:
                yield from ((path, item) for item in right.items if isinstance(item, ir.Const))
        case "_==_" | "_!=_":
            for one, other in ((left, right), (right, left)):
                if not isinstance(other, ir.Const):
                    continue
                path = items.get(one.slot) if isinstance(one, ir.Local) else ir.path_of(one)
                if path is not None:
                    yield path, other
        case _:
            pass


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
        case "_/_" | "_%_":
            return "divide by something that is not zero"
        case name if name.startswith("get") and isinstance(node.type, NumberType):
            return "write an offset from -23:59 to +23:59, such as +02:00"
        case _:
            return None
