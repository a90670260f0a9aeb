"""All rules on all candidates: the verdicts of one decision point.

Every rule of every policy is evaluated, whatever the others say; the set of reasons does not depend
on order, and one rule that is not plainly true binds.  Verdicts with equal reasons are one shared
object.  The hot path is a candidate that every rule allows; everything about reasons is elsewhere
(:mod:`pfgov.policy.reasons`).  This module knows no files and no state.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

from pfgov.commands import Obligation
from pfgov.policy.cel import Checked, NumberType, exact
from pfgov.policy.cel.types import Record
from pfgov.policy.clauses import PlannedRule
from pfgov.policy.columns import Column, Reasons
from pfgov.policy.evaluator import Evaluator, RuleEvaluator
from pfgov.policy.facts import ROOTS
from pfgov.policy.fingerprint import Facts, Fingerprint, paths_of
from pfgov.policy.fleet import Fleet, Rules
from pfgov.policy.limits import VERDICTS_CACHED_MAX
from pfgov.policy.reasons import Explainer
from pfgov.verdicts import ALLOW, RESERVED, Point, Reason, Verdict, combine

NO_POLICY: Final = "no_policy"

Failing = tuple[int, ...]


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
        self.is_generated = generated
        self.rules = tuple(rules)
        self._always = () if covered else (no_policy(point),)
        self._explainers = [Explainer(rule) for rule in rules]
        self._evaluator = Evaluator(self.rules, generated=generated)
        self._duties = [
            (rule, None if rule.when is None else exact(rule.when), rule.rule.obligations)
            for rule in rules
            if rule.rule.obligations and not rule.shadow
        ]
        self._duty_paths = set[tuple[str, ...]]().union(
            *(_when_paths(rule) for rule, _, _ in self._duties)
        )
        self._scores = _bounded_paths([rule.clause for rule in rules])
        self._fingerprints: dict[Failing, Fingerprint] = {}
        self._verdicts: dict[object, Verdict] = {}
        self._plain_allow = not self._always and not self._duties

    def verdicts(
        self, shared: Facts, members: Sequence[Facts], *, validated: bool
    ) -> list[Verdict]:
        """Return one verdict for each of *members*, with the facts in *shared* the same for all."""
        found = self._evaluator.failing(shared, members, validated=validated)
        known: dict[Failing, object] = {}
        verdicts: list[Verdict] = []
        for member, failing in zip(members, found, strict=True):
            strange = () if validated or not self._scores else self._strange(shared, member)
            if strange:
                verdicts.append(self._verdict(shared, member, failing, strange))
            elif not failing and self._plain_allow:
                verdicts.append(ALLOW)
            else:
                verdicts.append(self._remembered(shared, member, failing, known))
        return verdicts

    def fleet(self) -> Fleet:
        """Return what gives the same verdicts on many candidates, again and again, from validated facts."""
        return Fleet(self._rules_of_a_fleet())

    def _rules_of_a_fleet(self) -> Rules:
        columns = [
            Column(paths_of(rule), Reasons(RuleEvaluator(rule, generated=self.is_generated), made))
            for rule, made in zip(self.rules, self._explainers, strict=True)
        ]
        return Rules(
            always=self._always,
            binding=[c for c, rule in zip(columns, self.rules, strict=True) if not rule.shadow],
            shadowed=[c for c, rule in zip(columns, self.rules, strict=True) if rule.shadow],
            duties=[
                Column(_when_paths(rule), partial(_due, when, obligations))
                for rule, when, obligations in self._duties
            ],
        )

    def _remembered(
        self, shared: Facts, member: Facts, failing: Failing, known: dict[Failing, object]
    ) -> Verdict:
        """Return the verdict that equal facts got before, or a new one."""
        fingerprint = self._fingerprints.get(failing)
        if fingerprint is None:
            paths = self._duty_paths.union(*(paths_of(self.rules[index]) for index in failing))
            if len(self._fingerprints) >= VERDICTS_CACHED_MAX:
                self._fingerprints.clear()
            fingerprint = self._fingerprints[failing] = Fingerprint(paths)
        common = known.get(failing)
        if common is None:
            common = known[failing] = fingerprint.shared(shared)
        try:
            key = (failing, common, fingerprint.member(member))
            verdict = self._verdicts.get(key)
        except TypeError:  # an unhashable value where the schema has none: corrupted facts
            return self._verdict(shared, member, failing)
        if verdict is None:
            verdict = self._verdict(shared, member, failing)
            if len(self._verdicts) >= VERDICTS_CACHED_MAX:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def _verdict(
        self,
        shared: Facts,
        member: Facts,
        failing: Failing,
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
        return combine(tuple(reasons), obligations, tuple(shadow))

    def _obligations(self, values: Facts) -> tuple[Obligation, ...]:
        owed: dict[Obligation, None] = {}
        for _, when, obligations in self._duties:
            if when is None or when(values) is True:
                owed.update(dict.fromkeys(obligations))
        return tuple(owed)

    # --- what no condition can see ----------------------------------------------------------------

    def _strange(self, shared: Facts, member: Facts) -> tuple[Reason, ...]:
        """Refuse numbers outside their declared range, NaN among them.

        ``deny: member.trust_score < 0.9`` is false for NaN and for 7.0: CEL says so, and an
        unchecked dictionary could hold either.  The border refuses them; facts that did not come
        through the border are looked at here, those that some rule reads.
        """
        found: list[Reason] = []
        for path, low, high in self._scores:
            value: object = member if path[0] == "member" else shared.get(path[0])
            for step in path[1:]:
                value = cast("dict[str, object]", value).get(step) if type(value) is dict else None
            if type(value) is float and not low <= value <= high:
                found.append(out_of_range(".".join(path), value, low, high))
        return tuple(found)


def _when_paths(rule: PlannedRule) -> set[tuple[str, ...]]:
    return set() if rule.when is None else {access.path for access in rule.when.paths}


def _due(
    when: Callable[[Facts], object] | None,
    owed: tuple[Obligation, ...],
    shared: Facts,
    examples: Sequence[Facts],
    first: int,
) -> list[tuple[int, tuple[Obligation, ...]]]:
    """Return the numbers of the *examples* to which the obligations of a rule apply, with these."""
    return [
        (first + at, owed)
        for at, member in enumerate(examples)
        if when is None or when({**shared, "member": member}) is True
    ]


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
