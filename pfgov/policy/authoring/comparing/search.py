"""Searching a case on which two policy sets disagree, near what they compare facts with.

The search is systematic before it is random: it begins with facts that one of the sets allows (the fixtures beside the
policies, and plain ones made to pass), then changes one fact, then two, to each value that a rule compares it with, its
neighbours, and its absence.  Most cases are settled by the changed rules alone, which is cheap; both sets are asked
where those disagree.  What is found is made smaller.  Finding nothing in so many cases is not a proof, and is not
called one.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point, Verdict
from pfgov.limits import ID_LENGTH_MAX
from pfgov.policy.authoring import inputs
from pfgov.policy.authoring.asking import usual_reason, with_more
from pfgov.policy.authoring.comparing import near as asked_of
from pfgov.policy.authoring.comparing import shapes
from pfgov.policy.authoring.comparing.changing import (
    ABSENT,
    as_label,
    kin,
    moments,
    plain,
    with_value,
)
from pfgov.policy.authoring.nearmiss import nearest_miss
from pfgov.policy.authoring.testing.generate import (
    Facts,
    Generator,
    Hints,
    Known,
    Pool,
    constants_of,
    hints_of,
    pool_of,
    shrink,
)
from pfgov.policy.cel import exact
from pfgov.policy.cel.types import (
    BOOL,
    TIMESTAMP,
    CelType,
    Field,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)
from pfgov.policy.facts import ABSENT_AT, MORE, RIGHTS, ROOTS, ROOTS_AT, root_types
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet

CASES_MAX: Final = 4_000
"""Cases tried at one decision point."""

RANDOM_SHARE: Final = 4
"""One case in so many is drawn at random, behind the systematic ones."""

BASES_MAX: Final = 24
BASES_CONSIDERED_MAX: Final = 96
VALUES_MAX: Final = 24
PAIRED_FIRST: Final = 7
"""Values of each of two facts that are tried together before all others are."""
REPAIRS_MAX: Final = 64
"""Cases in which the changed rules disagree and others hide it, that are tried to be mended."""

HOUR: Final = 3_600_000_000
START: Final = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z, a Thursday: the time of a case that names none."""

FactPath = tuple[str, ...]
_Program = Callable[[Mapping[str, object]], object]


@dataclass(frozen=True, slots=True)
class Case:
    """Facts, by root, and the time in microseconds."""

    point: Point
    roots: Mapping[str, Facts]
    now: int = START

    def question(self) -> Question:
        """Return the question; the candidate is ``roots["member"]``."""
        asked = Question(
            point=self.point,
            action=self.point.value,
            packet=self.roots.get("packet"),
            source=self.roots.get("source"),
            principal=self.roots["principal"],
            reason=usual_reason(self.point),
            now=self.now,
            more={root: facts for root, facts in self.roots.items() if root in MORE},
        )
        return with_more(asked, self.roots.get("member", {}))


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A case on which two sets differ, and what each says."""

    case: Case
    old: Verdict
    new: Verdict


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to: a disagreement, or none in so many cases."""

    point: Point
    found: Disagreement | None
    cases: int


@dataclass(slots=True)
class _Changed:
    """The rules of one set that the other has not, as programs."""

    policies: PolicySet
    rules: Sequence[PlannedRule]
    programs: list[tuple[PlannedRule, _Program]] = field(init=False)
    whens: list[tuple[PlannedRule, _Program | None]] = field(init=False)

    def __post_init__(self) -> None:
        binding = [rule for rule in self.rules if not rule.shadow]
        self.programs = [(rule, exact(rule.clause)) for rule in binding]
        self.whens = [
            (rule, None if rule.when is None else exact(rule.when))
            for rule in binding
            if rule.rule.obligations
        ]

    def says(self, values: Mapping[str, object]) -> tuple[object, ...]:
        """Return what these rules alone do: deny, escalate to whom, and which duties they impose."""
        failing = [rule.rule for rule, program in self.programs if program(values) is not True]
        denies = any(rule.kind != "escalate" for rule in failing)
        asks = frozenset((rule.to, rule.approvals) for rule in failing if rule.kind == "escalate")
        duties = frozenset(
            duty
            for rule, when in self.whens
            if when is None or when(values) is True
            for duty in rule.rule.obligations
        )
        return denies, asks, duties


def difference(old: Verdict, new: Verdict) -> bool:
    """Whether two verdicts do not come to the same: reasons may have other names."""
    return _comes_to(old) != _comes_to(new)


def _comes_to(verdict: Verdict) -> tuple[object, ...]:
    asked = {(one.to, one.approvals) for one in verdict.reasons if one.effect == "escalate"}
    return (
        verdict.outcome,
        frozenset(verdict.obligations),
        frozenset(asked if verdict.outcome == "escalate" else ()),
    )


def search(
    old: PolicySet,
    new: PolicySet,
    point: Point,
    known: Sequence[Case] = (),
    *,
    most: int = CASES_MAX,
    fits: Callable[[Disagreement], bool] = lambda _: True,
) -> Searched:
    """Return a smallest case at *point* on which *old* and *new* disagree as it *fits*, if one is found in *most*.

    *known* are cases to begin with, such as those of the tests beside the policies.
    """
    return _Search(old, new, point, known, most, fits).run()


class _Search:
    def __init__(
        self,
        old: PolicySet,
        new: PolicySet,
        point: Point,
        known: Sequence[Case],
        most: int,
        fits: Callable[[Disagreement], bool],
    ) -> None:
        self.old, self.new, self.point, self._fits = old, new, point, fits
        self._known, self._most, self._cases = known, most, 0
        self._gone = _Changed(old, shapes.only_in(old, new, point))
        self._come = _Changed(new, shapes.only_in(new, old, point))
        self._is_cover_same = (point in old.points) == (point in new.points)
        facts = _known_facts(known)
        planned = [r for p in (old, new) for r in p.judges[point].rules]
        self._hints = hints_of([rule.clause.root for rule in planned])
        self._pool = _joined(pool_of(old, facts), pool_of(new, facts))
        changed = [rule.clause.root for rule in (*self._gone.rules, *self._come.rules)]
        self._named = constants_of([*changed, *(rule.clause.root for rule in planned)])
        self._named.words = [*asked_of.texts(changed), *self._named.words]
        self._lengths, self._times = asked_of.lengths(changed), asked_of.times(changed)
        self._who = [str(plain(one, point)["id"]) for one in ("member", "principal")]
        self._facts = facts
        self._types = root_types(ROOTS_AT[point], new.labels.types())

    def run(self) -> Searched:
        if shapes.is_same_at(self.old, self.new, self.point):
            return Searched(self.point, None, 0)
        seen: set[str] = set()
        for case in itertools.islice(self._all(), self._most):
            self._cases += 1
            if not self._may_differ(case):
                continue
            found = self._asked(case) or self._behind(case, seen)
            if found is not None:
                return Searched(self.point, self._smallest(found), self._cases)
        return Searched(self.point, None, self._cases)

    def _behind(self, case: Case, seen: set[str]) -> Disagreement | None:
        """Look behind the rules that hide a difference in *case*: let them pass, once for each set of them."""
        verdict = self.old.judge_one(case.question(), case.roots.get("member"))
        key = repr(sorted(reason.name for reason in verdict.reasons))
        if key in seen or len(seen) >= REPAIRS_MAX:
            return None
        seen.add(key)
        for mended in self._mended(case):
            self._cases += 1
            found = self._asked(mended)
            if found is not None:
                return found
        return None

    # --- asking ---------------------------------------------------------------------------

    def _may_differ(self, case: Case) -> bool:
        """Whether the rules that changed disagree: where they do not, neither do the sets."""
        if not self._is_cover_same or self.old.bundle.labels != self.new.bundle.labels:
            return True
        question, member = case.question(), case.roots.get("member")
        return self._gone.says(self.old.values(question, member)) != self._come.says(
            self.new.values(question, member)
        )

    def _asked(self, case: Case) -> Disagreement | None:
        if not all(inputs.can_occur(root, facts) for root, facts in case.roots.items()):
            return None  # a case that no door lets in shows nothing
        question, member = case.question(), case.roots.get("member")
        old, new = self.old.judge_one(question, member), self.new.judge_one(question, member)
        found = Disagreement(case, old, new)
        return found if difference(old, new) and self._fits(found) else None

    def _smallest(self, found: Disagreement) -> Disagreement:
        """Make the case smaller as long as the same outcomes stay apart."""
        wanted = (found.old.outcome, found.new.outcome)

        def still(roots: Mapping[str, Facts]) -> bool:
            smaller = self._asked(replace(found.case, roots=roots))
            return smaller is not None and (smaller.old.outcome, smaller.new.outcome) == wanted

        case = replace(found.case, roots=shrink(found.case.roots, still))
        usual = {**case.roots, "principal": plain("principal", case.point)}
        if still(usual):
            case = replace(case, roots=usual)
        return self._asked(replace(case, now=START)) or self._asked(case) or found

    def _mended(self, case: Case) -> Iterator[Case]:
        """Return *case* with what would let each set's other rules pass."""
        member = case.roots.get("member")
        for policies in (self.old, self.new) if member else ():
            changes = nearest_miss(policies, case.question(), member or {})
            if not changes:
                continue
            for left in range(len(changes) + 1):
                facts: Facts = dict(member or {})
                for at, change in enumerate(changes):
                    if at != left:
                        facts = with_value(facts, change.path, change.value)
                yield replace(case, roots={**case.roots, "member": facts})
        if any(self.point in policies.reads_time for policies in (self.old, self.new)):
            for hour in (*range(24), *range(36, 24 * 7, 24)):  # each of a day, then each noon
                yield replace(case, now=START + hour * HOUR)

    # --- cases ----------------------------------------------------------------------------

    def _all(self) -> Iterator[Case]:
        share = self._most - self._most // RANDOM_SHARE
        yield from itertools.islice(self._systematic(), share)
        yield from self._random()

    def _systematic(self) -> Iterator[Case]:
        bases = self._bases()
        yield from bases
        near = self._read([*self._gone.rules, *self._come.rules])
        every = self._read([r for p in (self.old, self.new) for r in p.judges[self.point].rules])
        values = {path: self._values(path) for path in every}
        for base in bases:
            for path in near:
                for value in values[path]:
                    yield _changed(base, path, value)
        yield from self._moments(bases, near, values)
        mixed = itertools.product(near, (path for path in every if path not in near))
        pairs = [*itertools.combinations(near, 2), *mixed]
        for few in (PAIRED_FIRST, VALUES_MAX):  # what rules name comes first, on every base
            for base in bases:
                for first, second in pairs:
                    for value, other in itertools.product(
                        values[first][:few], values[second][:few]
                    ):
                        yield _changed(_changed(base, first, value), second, other)

    def _moments(
        self,
        bases: Sequence[Case],
        near: Sequence[FactPath],
        values: Mapping[FactPath, list[object]],
    ) -> Iterator[Case]:
        """Return cases of which a rule that reads the time has something to say, at each hour of a week."""
        rules = [*self._gone.rules, *self._come.rules]
        if not any("now" in rule.clause.roots for rule in rules):
            return
        changed = (
            _changed(base, path, value) for base in bases for path in near for value in values[path]
        )
        every = itertools.chain(bases, changed)
        concerned = list(itertools.islice((one for one in every if self._applies(one, rules)), 4))
        for base, now in itertools.product(concerned, self._times):
            yield replace(base, now=now)
        for base, hour in itertools.product(concerned, range(24 * 7)):
            yield replace(base, now=START + hour * HOUR)

    def _applies(self, case: Case, rules: Iterable[PlannedRule]) -> bool:
        """Whether one of *rules* that reads the time has something to say of *case*."""
        values = self.old.values(case.question(), case.roots.get("member"))
        timed = [rule for rule in rules if "now" in rule.clause.roots]
        return any(rule.when is None or exact(rule.when)(values) is True for rule in timed)

    def _random(self) -> Iterator[Case]:
        reads = [str(p) for s in (self.old, self.new) for p in s.reads[self.point]]
        generator = Generator(self.point.value, self._pool, self._facts, reads, self._hints)
        while True:
            roots = {root: generator.facts(root) for root in self._roots()}
            yield Case(self.point, roots)

    def _roots(self) -> list[str]:
        return [
            root
            for root in ROOTS_AT[self.point]
            if isinstance(ROOTS[root].type, Record) and root not in ABSENT_AT.get(self.point, ())
        ]

    def _bases(self) -> list[Case]:
        """Return cases to begin with: known ones and plain ones, each as it is and as each set allows it."""
        usual = {root: plain(root, self.point) for root in self._roots()}
        here = [case for case in self._known if case.point is self.point]
        elsewhere = [
            Case(self.point, {root: case.roots.get(root, facts) for root, facts in usual.items()})
            for case in self._known
            if case.point is not self.point and case.roots.keys() & usual.keys() - {"principal"}
        ]
        begun = [Case(self.point, usual), *here, *elsewhere]
        made: list[Case] = []
        for case in begun:
            made.append(case)
            member = case.roots.get("member")
            if member is None or len(made) >= BASES_CONSIDERED_MAX:
                continue
            for policies in (self.old, self.new):
                changes = nearest_miss(policies, case.question(), member)
                facts: Facts = dict(member)
                for change in changes or ():
                    facts = with_value(facts, change.path, change.value)
                if changes:
                    made.append(replace(case, roots={**case.roots, "member": facts}))
        distinct = {repr((case.roots, case.now)): case for case in made}
        return sorted(distinct.values(), key=self._is_kept_out)[:BASES_MAX]

    def _is_kept_out(self, case: Case) -> bool:
        """Whether both sets deny *case*: near those that one allows more is to be found."""
        question, member = case.question(), case.roots.get("member")
        return all(
            one.judge_one(question, member).outcome == "deny" for one in (self.old, self.new)
        )

    def _read(self, rules: Iterable[PlannedRule]) -> list[FactPath]:
        found = {access.path for rule in rules for access in rule.clause.paths}
        paths = [path for path in sorted(found) if path[0] in self._types and len(path) > 1]
        return [path for path in paths if self._field(path) is not None]

    def _field(self, path: FactPath) -> Field | None:
        kind: CelType | None = self._types[path[0]]
        known: Field | None = None
        for step in path[1:]:
            if isinstance(kind, MapType):
                known = Field(kind.value, optional=True)
            else:
                known = kind.fields.get(step) if isinstance(kind, Record) else None
            if known is None:
                return None
            kind = known.type
        return known

    def _values(self, path: FactPath) -> list[object]:
        """Return what the fact at *path* is set to: what it is compared with, its neighbours, and its absence."""
        known = self._field(path)
        if known is None:
            return []
        found = [ABSENT] if known.optional else list[object]()
        for count, who in itertools.product(self._lengths.get(path, ()), self._who):
            found += asked_of.of_length(known.type, count, who)
        found += self._of_type(known.type, self._hints.get(path, ()), path)
        return found[:VALUES_MAX]

    def _of_type(self, kind: CelType, hints: Sequence[object], path: FactPath) -> list[object]:
        words = [w for w in (*hints, *self._named.words, *self._pool.words) if isinstance(w, str)]
        words = list(dict.fromkeys(word for one in words for word in kin(one)))[:VALUES_MAX]
        if path == ("principal", "rights"):
            return [list[object](), *([right] for right in RIGHTS)]
        if path == ("packet", "submitted_by", "id"):
            words = [str(plain("principal", self.point)["id"]), *words]
        match kind:
            case StringType(allowed=allowed) if allowed is not None:
                return [*sorted(allowed)]
            case StringType():
                return ["", *words]
            case NumberType(minimum=low, maximum=high):
                named = (*hints, *self._named.numbers, *self._pool.numbers)
                numbers = [n for n in named if isinstance(n, int | float)]
                fitting = [
                    n
                    for n in dict.fromkeys(numbers)
                    if (low is None or n >= low) and (high is None or n <= high)
                ]
                made: list[object] = [int(n) if kind.name == "int" else float(n) for n in fitting]
                return list(dict.fromkeys(made))
            case ListType(elem=elem):
                items = self._of_type(elem, [], path)[: VALUES_MAX - 2]
                who = [[one] for one in self._who] if elem == StringType(ID_LENGTH_MAX) else []
                return [list[object](), *who, *([item] for item in items), items]
            case MapType(value=inner):
                items = self._of_type(inner, [], path)[:2]
                return [Facts(), *({word: item} for word in words[:7] for item in items)]
            case _ if kind == TIMESTAMP:
                return [*moments(START)]
            case _:
                return [True, False] if kind == BOOL else []


def _known_facts(known: Iterable[Case]) -> Known:
    found: dict[str, list[dict[str, object]]] = {}
    for case in known:
        for root, facts in case.roots.items():
            found.setdefault(root, []).append(dict(facts))
    return found


def _joined(one: Pool, other: Pool) -> Pool:
    return Pool(sorted({*one.words, *other.words}), sorted({*one.numbers, *other.numbers}))


def _changed(case: Case, path: FactPath, value: object) -> Case:
    root, *steps = path
    facts = case.roots.get(root)
    if facts is None:
        facts = plain(root, case.point)
    if steps[0] == "labels" and len(steps) == 2 and value is not ABSENT:
        value = as_label(value)
    made = with_value(facts, tuple(steps), value)
    if len(steps) > 1 and root == "packet":  # a record that was not there is there as a whole
        made = inputs.complete(root, made, root)
    if root == "principal":
        made = inputs.as_principal(made)
    return replace(case, roots={**case.roots, root: made})


__all__ = ["CASES_MAX", "Case", "Disagreement", "Hints", "Searched", "difference", "search"]
