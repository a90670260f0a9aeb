"""All rules on all candidates: the verdicts of one decision point.

Every rule of every policy is evaluated, whatever the others say; the set of reasons does not depend
on order, and one rule that is not plainly true binds.  Verdicts with equal reasons are one shared
object.  The hot path is a candidate that every rule allows; everything about reasons is elsewhere
(:mod:`pfgov.policy.reasons`).  This module knows no files and no state.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pfgov.commands import Obligation
from pfgov.policy.cel import Checked, Failure, NumberType, exact
from pfgov.policy.cel.types import Record
from pfgov.policy.clauses import PlannedRule
from pfgov.policy.evaluator import Evaluator
from pfgov.policy.facts import ROOTS
from pfgov.policy.limits import REASONS_CACHED_MAX
from pfgov.policy.reasons import Explainer, Values
from pfgov.verdicts import ALLOW, RESERVED, Point, Reason, Verdict, combine

NO_POLICY: Final = "no_policy"


def no_policy(point: Point) -> Reason:
    """The reserved reason of a decision point that no enforcing policy covers."""
    return Reason(
        policy=RESERVED,
        rule=NO_POLICY,
        cause=NO_POLICY,
        message=f"no policy in force covers `{point.value}`: nothing is allowed there",
    )


class Judge:
    """The rules of one decision point, compiled."""

    def __init__(
        self, point: Point, rules: Sequence[PlannedRule], *, covered: bool, generated: bool
    ) -> None:
        self.point = point
        self.rules = tuple(rules)
        self._always = () if covered else (no_policy(point),)
        self._explainers = [Explainer(rule) for rule in rules]
        self._evaluator = Evaluator([rule.clause for rule in rules], generated=generated)
        self._duties = [
            (index, None if rule.when is None else exact(rule.when), rule.rule.obligations)
            for index, rule in enumerate(rules)
            if rule.rule.obligations and not rule.shadow
        ]
        self._scores = _bounded_paths([rule.clause for rule in rules])
        self._verdicts: dict[tuple[object, ...], Verdict] = {}
        self._plain_allow = not self._always and not self._duties

    def verdicts(
        self, shared: Values, members: Sequence[Mapping[str, object]], *, validated: bool
    ) -> list[Verdict]:
        """Return one verdict for each of *members*, with the facts in *shared* the same for all."""
        found = self._evaluator.failing(shared, members, validated=validated)
        if validated and self._plain_allow:
            return [
                ALLOW if failing is None else self._verdict(shared, member, failing)
                for member, failing in zip(members, found, strict=True)
            ]
        return [
            self._checked(shared, member, failing, validated=validated)
            for member, failing in zip(members, found, strict=True)
        ]

    def _checked(
        self,
        shared: Values,
        member: Mapping[str, object],
        failing: Sequence[int] | None,
        *,
        validated: bool,
    ) -> Verdict:
        strange = () if validated or not self._scores else self._strange(shared, member)
        if failing is None and not strange and self._plain_allow:
            return ALLOW
        return self._verdict(shared, member, failing or (), strange)

    def _verdict(
        self,
        shared: Values,
        member: Mapping[str, object],
        failing: Sequence[int],
        strange: tuple[Reason, ...] = (),
    ) -> Verdict:
        values = {**shared, "member": member}
        reasons, shadow = [*self._always, *strange], list[Reason]()
        for index in failing:
            reason = self._explainers[index].reason(values)
            (shadow if self.rules[index].shadow else reasons).append(reason)
        obligations: tuple[Obligation, ...] = ()
        if self._duties and not any(reason.effect == "deny" for reason in reasons):
            obligations = self._obligations(values)
        return self._shared(tuple(reasons), obligations, tuple(shadow))

    def _obligations(self, values: Values) -> tuple[Obligation, ...]:
        owed: dict[Obligation, None] = {}
        for _index, when, obligations in self._duties:
            if when is None or when(values) is True:
                owed.update(dict.fromkeys(obligations))
        return tuple(owed)

    def _shared(
        self,
        reasons: tuple[Reason, ...],
        obligations: tuple[Obligation, ...],
        shadow: tuple[Reason, ...],
    ) -> Verdict:
        key = (reasons, obligations, shadow)
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = combine(reasons, obligations, shadow)
            if len(self._verdicts) >= REASONS_CACHED_MAX:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    # --- what no condition can see ----------------------------------------------------------------

    def _strange(self, shared: Values, member: Mapping[str, object]) -> tuple[Reason, ...]:
        """Refuse numbers outside their declared range, NaN among them.

        ``deny: member.trust_score < 0.9`` is false for NaN and for 7.0: CEL says so, and an
        unchecked dictionary could hold either.  The border refuses them; facts that did not come
        through the border are looked at here, those that some rule reads.
        """
        found: list[Reason] = []
        for path, low, high in self._scores:
            value: object = member if path[0] == "member" else shared.get(path[0])
            for step in path[1:]:
                value = value.get(step) if type(value) is dict else None
            if type(value) is float and not low <= value <= high:
                found.append(out_of_range(".".join(path), value, low, high))
        return tuple(found)


def out_of_range(path: str, value: float, low: float, high: float) -> Reason:
    """The reserved reason for a fact that no border would have let in."""
    return Reason(
        policy=RESERVED,
        rule="type_error",
        cause="type_error",
        message=f"{path} is {value!r}, not a number from {low:g} to {high:g}",
        observed=repr(value),
        bound=f"{low:g} to {high:g}",
    )


def _bounded_paths(clauses: Sequence[Checked]) -> tuple[tuple[tuple[str, ...], float, float], ...]:
    """Return every path of a bounded double that the clauses read, with its bounds."""
    found: dict[tuple[str, ...], tuple[float, float]] = {}
    for clause in clauses:
        for access in clause.paths:
            kind = ROOTS[access.path[0]].type if access.path[0] in ROOTS else None
            for step in access.path[1:]:
                known = kind.fields.get(step) if isinstance(kind, Record) else None
                kind = known.type if known else None
            if isinstance(kind, NumberType) and kind.name == "double":
                low, high = kind.minimum, kind.maximum
                if low is not None and high is not None:
                    found[access.path] = (low, high)
    return tuple((path, *bounds) for path, bounds in sorted(found.items()))


__all__ = ["Failure", "Judge", "no_policy", "out_of_range"]
