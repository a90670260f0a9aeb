"""What the tests have seen: every rule true, false and undecided, every ``when`` both ways, each at each of its points.

Coverage is counted in outcomes, not lines: a ``require`` that was never seen to deny is not tested,
and neither is one whose fact was never absent.  An outcome that cannot happen by the schema (a
required fact is never missing) is not asked for.  A point counts as asked where a case made the rule apply there.
Percentages are compared as exact fractions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy.cel import Checked, Failure, exact, ir
from pfgov.policy.cel.types import Record
from pfgov.policy.facts import ROOTS
from pfgov.policy.files.model import KERNEL
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet

Part = Literal["when", "condition"]
Seen = Literal["true", "false", "undecided"]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One outcome of one part of one rule that the tests ought to see."""

    policy: str
    rule: str
    part: Part
    outcome: Seen

    def __str__(self) -> str:
        """Render as ``policy/rule: when never seen false``."""
        part = "its condition" if self.part == "condition" else "`when`"
        what = {"true": "true", "false": "false", "undecided": "with a fact missing"}[self.outcome]
        return f"{self.policy}/{self.rule}: {part} was never seen {what}"


@dataclass(frozen=True, slots=True, order=True)
class Asked:
    """One rule at one of its decision points."""

    policy: str
    rule: str
    point: Point

    def __str__(self) -> str:
        """Render as ``policy/rule: never asked at retain``."""
        return f"{self.policy}/{self.rule}: no case where it applies at {self.point}"


@dataclass(slots=True)
class Coverage:
    """Counts the outcomes of every rule but the kernel's."""

    wanted: set[Target] = field(default_factory=set[Target])
    seen: set[Target] = field(default_factory=set[Target])
    wanted_points: set[Asked] = field(default_factory=set[Asked])
    seen_points: set[Asked] = field(default_factory=set[Asked])
    _programs: dict[int, tuple[Checked, Callable[[Mapping[str, object]], object]]] = field(
        default_factory=dict[int, tuple[Checked, Callable[[Mapping[str, object]], object]]]
    )

    def expect(self, policies: PolicySet) -> None:
        """Want every outcome of every rule of *policies*, and every rule at each of its points."""
        for point, judge in policies.judges.items():
            for planned in judge.rules:
                if planned.policy != KERNEL:
                    self.wanted.update(_targets(planned))
                    self.wanted_points.add(Asked(planned.policy, planned.rule.id, point))

    def see(self, policies: PolicySet, question: Question, member: Mapping[str, object]) -> None:
        """Count what every rule says about one candidate."""
        values = policies.values(question, member)
        for planned in policies.judges[question.point].rules:
            when = self._outcome(planned.when, values)
            if when in {None, "true"}:
                self.seen_points.add(Asked(planned.policy, planned.rule.id, question.point))
            if when is not None:
                self.seen.add(Target(planned.policy, planned.rule.id, "when", when))
            condition = self._outcome(planned.condition, values)
            if condition is not None and when in {None, "true"}:
                self.seen.add(Target(planned.policy, planned.rule.id, "condition", condition))

    def _outcome(self, checked: Checked | None, values: Mapping[str, object]) -> Seen | None:
        if checked is None:
            return None
        if id(checked) not in self._programs:
            self._programs[id(checked)] = (checked, exact(checked))
        value = self._programs[id(checked)][1](values)
        if type(value) is Failure:
            return "undecided"
        return "true" if value is True else "false"

    @property
    def missed(self) -> list[Target]:
        """What was wanted and never seen, in order."""
        return sorted(self.wanted - self.seen)

    @property
    def reached(self) -> int:
        """How many wanted outcomes were seen."""
        return len(self.wanted & self.seen)

    @property
    def missed_points(self) -> list[Asked]:
        """Rules at points where no case made them apply, in order."""
        return sorted(self.wanted_points - self.seen_points)

    @property
    def reached_points(self) -> int:
        """How many rules at how many of their points were asked."""
        return len(self.wanted_points & self.seen_points)

    def is_at_least(self, percent: int) -> bool:
        """Whether coverage reaches *percent*, without rounding."""
        return self.reached * 100 >= percent * len(self.wanted)

    def asks_at_least(self, percent: int) -> bool:
        """Whether the share of points reaches *percent*, without rounding."""
        return self.reached_points * 100 >= percent * len(self.wanted_points)


def _targets(planned: PlannedRule) -> set[Target]:
    targets: set[Target] = set()
    parts: tuple[tuple[Part, Checked | None], ...] = (
        ("when", planned.when),
        ("condition", planned.condition),
    )
    asked = {path for _part, checked in parts if checked for path in _asked_for(checked.root)}
    for part, checked in parts:
        if checked is None:
            continue
        outcomes: list[Seen] = ["true", "false"]
        if any(
            a.optional and not a.guarded and not _is_behind(a.path, asked) for a in checked.paths
        ):
            outcomes.append("undecided")
        targets.update(Target(planned.policy, planned.rule.id, part, o) for o in outcomes)
    return targets


def _is_behind(path: tuple[str, ...], asked: set[tuple[str, ...]]) -> bool:
    """Whether nothing of *path* is missing where what is *asked* for is there: a record comes with its fields."""
    if path in asked:
        return True
    kind: object = ROOTS["packet" if path[0] == "before" else path[0]].type
    behind = False
    for length, step in enumerate(path[1:], 2):
        known = kind.fields.get(step) if isinstance(kind, Record) else None
        if known is None:
            return False
        behind = path[:length] in asked or (behind and not known.optional)
        kind = known.type
    return behind


def _asked_for(root: ir.Node) -> set[tuple[str, ...]]:
    """The paths that ``has(a.b)`` and ``"b" in a`` ask for: behind the question nothing is missing."""
    found: set[tuple[str, ...]] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, ir.Has):
            prefix = ir.path_of(node.operand)
            if prefix is not None:
                found.add((*prefix, node.name))
        elif isinstance(node, ir.Named):
            stack.append(node.expression.root)
        elif isinstance(node, ir.Call) and node.function.name == "@in":
            key, container = node.arguments
            prefix = ir.path_of(container)
            if prefix is not None and isinstance(key, ir.Const) and isinstance(key.value, str):
                found.add((*prefix, key.value))
        stack.extend(ir.children(node))
    return found
