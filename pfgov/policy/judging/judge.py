"""A compiled policy set, and all its rules on all candidates: the verdicts of one decision point.

    policies = load_starter()
    verdict, = policies.judge(Question(Point.ASSIGN, "assign", packet=..., ...), [member])

A set is immutable, identified by its digest, and answers for all candidates at once.  The engine asks with facts as
plain dictionaries (:mod:`pfgov.policy.facts` has their shape) and gets one :class:`~pfgov.core.verdicts.Verdict` a
candidate.

Every rule of every policy is evaluated, whatever the others say; the set of reasons does not depend
on order, and one rule that is not plainly true binds.  Verdicts with equal reasons are one shared
object.  The hot path is a candidate that every rule allows; everything about reasons is elsewhere
(:mod:`pfgov.policy.judging.reasons`).  This module knows no files, no state and no ledger: the present comes with the
question.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, cast

from pfgov.core.commands import Obligation
from pfgov.core.policy_port import Question
from pfgov.core.verdicts import ALLOW, GUARDING, RESERVED, Point, Reason, Verdict, combine
from pfgov.policy import facts
from pfgov.policy.cel import Checked, NumberType, exact
from pfgov.policy.cel.types import Record
from pfgov.policy.facts import ROOTS_AT, root_types, shared_facts
from pfgov.policy.files.document import LABELS_SINCE, digest_of
from pfgov.policy.files.labels import FREE, Declarations, declarations
from pfgov.policy.files.model import KERNEL, Bundle, LabelOwner
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.columns import Column, Reasons, moves
from pfgov.policy.judging.evaluator import Evaluator, Facts, Fingerprint, RuleEvaluator, paths_of
from pfgov.policy.judging.fleet import Fleet, Rules
from pfgov.policy.judging.reasons import Explainer
from pfgov.policy.limits import VERDICTS_CACHED_MAX

NO_POLICY: Final = "no_policy"

Failing = tuple[int, ...]
Path = tuple[str, ...]


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
        self._scores = _bounded_paths(point, [rule.clause for rule in rules])
        self._fingerprints: dict[tuple[Failing, bool], Fingerprint] = {}
        self._verdicts: dict[object, Verdict] = {}
        self._plain_allow = not self._always and not self._duties
        self._alone = [RuleEvaluator(rule, generated=generated) for rule in self.rules]

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
                verdicts.append(self._remembered(shared, member, failing, known, validated))
        return verdicts

    def fleet(self) -> Fleet:
        """Return what gives the same verdicts on many candidates, again and again, from validated facts."""
        return Fleet(self._rules_of_a_fleet())

    def _rules_of_a_fleet(self) -> Rules:
        columns = [
            Column(paths, Reasons(evaluator, made, is_moving=moves(paths)))
            for paths, evaluator, made in zip(
                map(paths_of, self.rules), self._alone, self._explainers, strict=True
            )
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
        self,
        shared: Facts,
        member: Facts,
        failing: Failing,
        known: dict[Failing, object],
        validated: bool,  # noqa: FBT001 -- on the hot path
    ) -> Verdict:
        """Return the verdict that equal facts got before, or a new one."""
        fingerprint = self._fingerprints.get((failing, validated))
        if fingerprint is None:
            paths = self._duty_paths.union(*(paths_of(self.rules[index]) for index in failing))
            if len(self._fingerprints) >= VERDICTS_CACHED_MAX:
                self._fingerprints.clear()
            fingerprint = Fingerprint(paths, validated=validated)
            self._fingerprints[failing, validated] = fingerprint
        common = known.get(failing)
        if common is None:
            common = known[failing] = fingerprint.shared(shared)
        try:
            key = (failing, validated, common, fingerprint.member(member))
            verdict = self._verdicts.get(key)
        except TypeError:  # an unhashable value where the schema has none: corrupted facts
            return self._verdict(shared, member, failing)
        if verdict is None:
            verdict = self._verdict(shared, member, failing, validated=validated)
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
        *,
        validated: bool = False,
    ) -> Verdict:
        values = {**shared, "member": member}
        reasons, shadow = [*self._always, *strange], list[Reason]()
        for index in failing:
            explainer = self._explainers[index]
            reason = explainer.remembered(values) if validated else explainer.reason(values)
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


def _bounded_paths(
    point: Point, clauses: Sequence[Checked]
) -> tuple[tuple[tuple[str, ...], float, float], ...]:
    """Return every path of a bounded double that the clauses read, with its bounds."""
    found: dict[tuple[str, ...], tuple[float, float]] = {}
    types = root_types(ROOTS_AT[point])
    for clause in clauses:
        for access in clause.paths:
            kind = types.get(access.path[0])
            for step in access.path[1:]:
                known = kind.fields.get(step) if isinstance(kind, Record) else None
                kind = known.type if known else None
            if isinstance(kind, NumberType) and kind.name == "double":
                low, high = kind.minimum, kind.maximum
                if low is not None and high is not None:
                    found[access.path] = (low, high)
    return tuple((path, *bounds) for path, bounds in sorted(found.items()))


# --- a set --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PolicySet:
    """What the loader returns; make it with :func:`pfgov.policy.load_directory` and its like.

    Attributes:
        digest: Hex SHA-256 of ``document``: the set's identity in every ledger entry.
        document: The canonical form, from which the set can be compiled again.
        bundle: The policies and definitions as they were written.
        points: Decision points covered by an enforcing policy besides the kernel.
        reads: Paths of facts that some rule reads, by decision point.
        reads_load: Points whose rules read a load, a reliability or a pressure.
        reads_time: Points whose rules read ``now``.
        reads_history: Points whose rules read what changes as a packet moves.
        redacts: Points with a rule that withholds parts of the context.
        guards: Guarding points with a rule: those at which there is something to ask.
        labels: The labels that the set declares.
        semantics: The number of the meaning under which the set was written.
    """

    digest: str
    document: bytes
    bundle: Bundle
    points: frozenset[Point]
    reads: Mapping[Point, frozenset[str]]
    reads_load: frozenset[Point]
    reads_time: frozenset[Point]
    reads_history: frozenset[Point]
    redacts: frozenset[Point]
    guards: frozenset[Point]
    labels: Declarations
    semantics: int
    judges: Mapping[Point, Judge]

    def reads_of(self, points: Iterable[Point], policy: str, rule: str) -> tuple[Path, ...]:
        """Return the paths of facts that the rule *rule* of *policy* reads at *points*, in order."""
        found: set[Path] = set()
        for point in points:
            for planned in self.judges[point].rules:
                if planned.policy == policy and planned.rule.id == rule:
                    found.update(access.path for access in planned.clause.paths)
        return tuple(sorted(found))

    @property
    def policies(self) -> tuple[tuple[str, str, str], ...]:
        """(name, version, mode) of every policy, the kernel among them, by name."""
        return tuple((p.name, p.version, p.mode) for p in self.bundle.policies)

    def values(self, question: Question, member: Facts | None = None) -> dict[str, object]:
        """Return the facts of *question* and of *member* as rules see them, with each label in its declared type."""
        values = {**shared_facts(question), "member": member or {}}
        if self.labels.is_free:
            return values
        return {name: self._labelled(found) for name, found in values.items()}

    def _labelled(self, found: object) -> object:
        if not isinstance(found, dict):
            return found
        known = cast("dict[str, object]", found)
        if type(labels := known.get("labels")) is not dict:
            return known
        owner: LabelOwner = "packet" if "packet_id" in known else "member"
        return {**known, "labels": self.labels.typed(owner, cast("dict[str, object]", labels))}

    def judge(
        self, question: Question, members: Sequence[Facts], *, validated: bool = False
    ) -> list[Verdict]:
        """Return one verdict for each of *members*, in order.

        With *validated* the caller vouches that all facts were made from validated models
        (:mod:`pfgov.core.judging`); without, they may be any dictionaries, and what is not of its declared
        type or range denies.
        """
        judge = self.judges[question.point]
        if validated:
            return judge.verdicts(shared_facts(question), members, validated=True)
        values = [self.values(question, member) for member in members]
        shared = values[0] if values else shared_facts(question)
        known = [cast("Facts", found["member"]) for found in values]
        return judge.verdicts(shared, known, validated=False)

    def fleet(self, point: Point) -> Fleet:
        """Return what judges the same candidates again and again at *point*: faster, with the same verdicts.

        Its questions are about *point*, and the facts are made from validated models.
        """
        return self.judges[point].fleet()

    def judge_one(
        self, question: Question, member: Facts | None = None, *, validated: bool = False
    ) -> Verdict:
        """Return the verdict on one member, or on none where the point has none."""
        return self.judge(question, [member or {}], validated=validated)[0]


def make_set(
    bundle: Bundle,
    document: bytes,
    rules: Mapping[Point, Sequence[PlannedRule]],
    *,
    generated: bool,
) -> PolicySet:
    """Return the set of compiled *rules*, which the compiler made from *bundle*."""
    points = frozenset(
        point
        for policy in bundle.policies
        if policy.name != KERNEL and policy.mode == "enforce"
        for rule in policy.rules
        for point in rule.on
    )
    reads = {point: _reads(rules[point]) for point in Point}
    semantics = bundle.semantics or facts.SEMANTICS
    return PolicySet(
        digest=digest_of(document),
        document=document,
        bundle=bundle,
        points=points,
        reads=MappingProxyType(reads),
        reads_load=_where(reads, ("member", "source"), facts.LOAD_PATHS),
        reads_time=frozenset(point for point in Point if "now" in reads[point]),
        reads_history=_where(reads, ("packet",), facts.HISTORY_PATHS),
        redacts=frozenset(point for point in Point if any(map(_redacts, rules[point]))),
        guards=frozenset(point for point in GUARDING if rules[point]),
        labels=FREE if semantics < LABELS_SINCE else declarations(bundle.labels),
        semantics=semantics,
        judges=MappingProxyType(
            {
                point: Judge(
                    point,
                    rules[point],
                    covered=point in points or point in GUARDING,
                    generated=generated,
                )
                for point in Point
            }
        ),
    )


def _redacts(rule: PlannedRule) -> bool:
    return not rule.shadow and any(o.type == "redact" for o in rule.rule.obligations)


def _reads(rules: Sequence[PlannedRule]) -> frozenset[str]:
    found: set[str] = set()
    for rule in rules:
        found.update(str(access) for access in rule.clause.paths)
        for checked in rule.message.values if rule.message else ():
            found.update(str(access) for access in checked.paths)
    return frozenset(found)


def _where(
    reads: Mapping[Point, frozenset[str]], roots: tuple[str, ...], names: frozenset[str]
) -> frozenset[Point]:
    def touches(path: str) -> bool:
        root, _, rest = path.partition(".")
        return root in roots and (not rest or rest.partition(".")[0] in names)

    return frozenset(point for point in Point if any(touches(path) for path in reads[point]))
