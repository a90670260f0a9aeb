"""How many decisions a second a policy set takes, and which of its rules are dear.

Each decision point is asked about invented facts, which are drawn from a seed near what the rules read, and about a
fleet of them at once, as a placement asks.  Then each rule is asked alone.  Whoever calls has the clock.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy.authoring.testing.generate import Facts, Generator, hints_of, pool_of
from pfgov.policy.cel.types import Record
from pfgov.policy.facts import ABSENT_AT, MORE, ROOTS, ROOTS_AT, shared_facts
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.evaluator import RuleEvaluator
from pfgov.policy.judging.judge import PolicySet

QUESTIONS: Final = 32
"""Invented questions at a decision point."""

FLEET: Final = 32
"""Invented members that one question is asked about."""

Timer = Callable[[], float]
"""Returns seconds, from whatever moment."""


@dataclass(frozen=True, slots=True)
class PointRate:
    """How fast one decision point is: verdicts a second, each about one member, and how many were taken."""

    point: Point
    rules: int
    verdicts: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Verdicts a second."""
        return self.verdicts / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class RuleCost:
    """What one rule takes at one decision point: microseconds for one member."""

    name: str
    point: Point
    microseconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What a policy set takes; the dearest rules first."""

    points: tuple[PointRate, ...]
    rules: tuple[RuleCost, ...]


def measure(policies: PolicySet, timer: Timer, seconds: float) -> Measured:
    """Ask at every point that *policies* cover, for about *seconds* in all, and each rule alone as long again."""
    points = [point for point in Point if policies.judges[point].rules and point in policies.points]
    share = seconds / max(1, len(points))
    rates: list[PointRate] = []
    costs: list[RuleCost] = []
    for point in points:
        generator = _generator(policies, point)
        cases = [_case(generator, point) for _ in range(QUESTIONS)]
        rates.append(_rate(policies, point, cases, timer, share))
        rules = policies.judges[point].rules
        costs += [_cost(rule, point, cases, timer, share / len(rules)) for rule in rules]
    return Measured(tuple(rates), tuple(sorted(costs, key=lambda one: -one.microseconds)))


def _cost(
    planned: PlannedRule,
    point: Point,
    cases: list[tuple[Question, list[Facts]]],
    timer: Timer,
    seconds: float,
) -> RuleCost:
    alone = RuleEvaluator(planned, generated=True)
    asked = [(shared_facts(question), members) for question, members in cases]

    def ask() -> int:
        for facts, members in asked:
            alone.failing(facts, members)
        return sum(len(members) for _, members in asked)

    took, count = _repeat(ask, timer, seconds)
    return RuleCost(planned.name, point, took / count * 1e6)


def _rate(
    policies: PolicySet,
    point: Point,
    cases: list[tuple[Question, list[Facts]]],
    timer: Timer,
    seconds: float,
) -> PointRate:
    def ask() -> int:
        for question, members in cases:
            policies.judge(question, members, validated=True)
        return sum(len(members) for _, members in cases)

    took, count = _repeat(ask, timer, seconds)
    return PointRate(point, len(policies.judges[point].rules), count, took)


def _repeat(ask: Callable[[], int], timer: Timer, seconds: float) -> tuple[float, int]:
    """Call *ask* once to warm up, then for about *seconds*; return how long that took and what it counted."""
    ask()
    begun, count = timer(), 0
    while True:
        count += ask()
        took = timer() - begun
        if took >= seconds:
            return took, count


def _generator(policies: PolicySet, point: Point) -> Generator:
    """Return what invents facts near what the rules at *point* read, the same ones in every run."""
    rules = policies.judges[point].rules
    hints = hints_of(rule.clause.root for rule in rules)
    seed = f"bench:{point.value}"
    return Generator(seed, pool_of(policies, {}), {}, policies.reads[point], hints)


def _case(generator: Generator, point: Point) -> tuple[Question, list[Facts]]:
    """Return an invented question at *point*, and those that it is asked about."""
    absent = ABSENT_AT.get(point, ())
    made = {
        root: generator.facts(root)
        for root in ROOTS_AT[point]
        if isinstance(ROOTS[root].type, Record) and root not in absent and root != "member"
    }
    question = Question(
        point=point,
        action=point.value,
        packet=made.get("packet"),
        source=made.get("source"),
        principal=made.get("principal") or {"id": "local", "rights": ["operator"], "members": []},
        reason="requested",
        now=1_767_225_600_000_000,
        more={root: made[root] for root in MORE if root in made},
    )
    if "member" not in ROOTS_AT[point]:
        return question, [{}]
    return question, [generator.facts("member") for _ in range(FLEET)]
