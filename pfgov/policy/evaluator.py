"""Which rules are not satisfied, for each candidate: by the exact evaluator or by generated code.

The one place that chooses between them.  The exact evaluator is the meaning; generated code is only
ever faster, is made when a decision point is first asked, and only from policies that this
installation compiled itself.  Its typed variant sees only facts whose validation the caller vouches
for.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from pfgov.policy.cel import Failure, exact
from pfgov.policy.cel.generate import Clause, Filter, Findings, Generated, generate, generate_filter
from pfgov.policy.clauses import PlannedRule

Facts = Mapping[str, object]


class Evaluator:
    """The rules of one decision point."""

    def __init__(self, rules: Sequence[PlannedRule], *, generated: bool) -> None:
        self._rules = rules
        self._is_generated = generated
        self._exact = [exact(rule.clause) for rule in rules]

    @cached_property
    def code(self) -> Generated:
        """The generated judges, made once."""
        return generate([_clause(rule) for rule in self._rules])

    def failing(
        self, shared: Facts, members: Sequence[Facts], *, validated: bool
    ) -> list[tuple[int, ...]]:
        """Return, for each of *members*, the indexes of the rules that are not satisfied."""
        if self._is_generated:
            judges = self.code
            judge = judges.filter_typed if validated else judges.filter
            return [_indexes(found) if found else () for found in judge(shared, members)]
        return [self.failing_exactly({**shared, "member": member}) for member in members]

    def failing_exactly(self, values: Facts) -> tuple[int, ...]:
        """Return the indexes of the rules that are not satisfied, by the exact evaluator."""
        return tuple([i for i, clause in enumerate(self._exact) if clause(values) is not True])


class RuleEvaluator:
    """One rule alone, on many candidates whose facts are validated."""

    def __init__(self, rule: PlannedRule, *, generated: bool) -> None:
        self._rule = rule
        self._is_generated = generated

    @cached_property
    def _filter(self) -> Filter:
        return generate_filter([_clause(self._rule)])

    @cached_property
    def _exact(self) -> Callable[[Facts], object]:
        return exact(self._rule.clause)

    def failing(self, shared: Facts, members: Sequence[Facts]) -> list[tuple[int, bool]]:
        """Return which of *members* do not satisfy the rule, and whether that was decided, not failed to be."""
        if self._is_generated:
            found = self._filter(shared, members)
            return [(at, type(one[0].value) is not Failure) for at, one in enumerate(found) if one]
        outcomes = [self._exact({**shared, "member": member}) for member in members]
        return [
            (at, type(outcome) is not Failure)
            for at, outcome in enumerate(outcomes)
            if outcome is not True
        ]


def _indexes(findings: Findings) -> tuple[int, ...]:
    return tuple([finding.index for finding in findings])


def _clause(planned: PlannedRule) -> Clause:
    when, condition = planned.when, planned.condition
    match planned.rule.kind:
        case "escalate" if when is not None:
            return Clause(planned.name, when, quiet=False)
        case "require" | "deny" if condition is not None:
            return Clause(planned.name, condition, when, quiet=planned.rule.kind == "require")
        case _:
            return Clause(planned.name, planned.clause)
