"""One rule on a whole fleet: candidates whose facts are equal, as far as the rule reads them, are asked about once.

A rule of twelve reads one or two facts of a member, and a thousand members have few values of these.  A *column* takes
from each candidate the facts that its rule reads, puts equal ones into one group, and evaluates the rule, with what is
the same for all candidates, once a group.  What it finds is remembered under the shared facts that the rule reads.
Only facts made from validated models may come here.  This module knows neither what an outcome leads to nor how the
columns of a set come together; :mod:`pfgov.policy.judging.fleet` does.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from pfgov.core.verdicts import Reason
from pfgov.policy.facts import LOAD_PATHS, MEMBER_ROOTS
from pfgov.policy.judging.evaluator import Fingerprint, RuleEvaluator
from pfgov.policy.judging.reasons import Explainer
from pfgov.policy.limits import COLUMN_KEYS_MAX, COLUMN_OUTCOMES_MAX

Facts = Mapping[str, object]
Texts = Sequence[str | None]
Outcome = TypeVar("Outcome")

PLAIN_FROM: Final = 4
"""Reasons of one rule from which on it is worth preparing what they have in common."""


class Column(Generic[Outcome]):
    """The groups of one rule, and what it says of each."""

    def __init__(
        self,
        paths: Iterable[tuple[str, ...]],
        evaluate: Callable[[Facts, Sequence[Facts], int], list[tuple[int, Outcome]]],
    ) -> None:
        """Read *paths*; *evaluate* answers (index, outcome) for some of the groups, the first of which has a number."""
        every = set(paths)
        self.is_moving = moves(every)
        self._fingerprint = Fingerprint(every)
        self._evaluate = evaluate
        self.forget()

    def forget(self) -> None:
        """Drop all groups, and what was found."""
        self._groups: dict[tuple[object, ...], int] = {}
        self._examples: list[Facts] = []
        self._found: dict[tuple[object, ...], tuple[int, list[tuple[int, Outcome]]]] = {}
        self._asked: set[tuple[object, ...]] = set()
        self._remembered = 0

    @property
    def size(self) -> int:
        """How many groups there are."""
        return len(self._examples)

    def group(self, facts: Facts) -> int:
        """Return the number of the group of a candidate with *facts*."""
        key = self._fingerprint.member(facts)
        number = self._groups.get(key)
        if number is None:
            number = self._groups[key] = len(self._examples)
            self._examples.append(facts)
        return number

    def outcomes(self, shared: Facts) -> Sequence[tuple[int, Outcome]]:
        """Return the groups that the rule has something to say of, with what it says."""
        key = self._fingerprint.shared(shared)
        done, found = self._found.get(key, (0, None))
        size = len(self._examples)
        if found is not None and done == size:
            return found
        more = self._evaluate(shared, self._examples[done:], done)
        if found is None:
            found = list[tuple[int, Outcome]]()
            if self._is_new(key):
                return more
        found += more
        self._remembered += 1 + len(more)
        if self._remembered > COLUMN_OUTCOMES_MAX:
            self._found.clear()
            self._remembered = 1 + len(found)
        self._found[key] = (size, found)
        return found

    def _is_new(self, key: tuple[object, ...]) -> bool:
        """Whether *key* is seen for the first time: what many packets never share is not worth keeping."""
        if key in self._asked or not key:
            return False
        if len(self._asked) >= COLUMN_KEYS_MAX:
            self._asked.clear()
        self._asked.add(key)
        return True


def moves(paths: Iterable[tuple[str, ...]]) -> bool:
    """Whether a fact at one of *paths* changes while the member's record of facts stays the same one."""
    return any(
        path[0] in MEMBER_ROOTS and (len(path) == 1 or path[1] in LOAD_PATHS) for path in paths
    )


class Reasons:
    """Evaluates one rule on examples of groups, and makes the reason of each that does not satisfy it.

    Where a rule is one comparison, its reasons differ in the texts of a few values only.  A text that depends on the
    shared facts is made once a question, one that depends on the candidate once a group, and of a candidate that
    *is_moving* each time.
    """

    def __init__(self, evaluator: RuleEvaluator, explainer: Explainer, *, is_moving: bool) -> None:
        self._evaluator = evaluator
        self._explainer = explainer
        self._is_moving = is_moving
        sides = explainer.sides()
        mixed = any(side.roots > MEMBER_ROOTS for side in sides or ())
        self._sides = None if mixed else sides
        self._own: dict[int, tuple[Facts, Texts]] = {}

    def __call__(
        self, shared: Facts, examples: Sequence[Facts], first: int
    ) -> list[tuple[int, Reason]]:
        """Return (number, reason) for each of *examples*, numbered from *first*, that the rule keeps out."""
        failing = self._evaluator.failing(shared, examples)
        if not failing:
            return []
        reason = self._explainer.remembered
        if self._sides is None or len(failing) < PLAIN_FROM:
            return [(first + at, reason({**shared, "member": examples[at]})) for at, _ in failing]
        fixed = [
            None if side.roots & MEMBER_ROOTS else side.text(side.value(shared))
            for side in self._sides
        ]
        rendered = self._explainer.teller(
            fixed, [bool(side.roots & MEMBER_ROOTS) for side in self._sides]
        )
        return [
            (first + at, rendered(self._texts(first + at, examples[at])))
            if is_decided
            else (first + at, reason({**shared, "member": examples[at]}))
            for at, is_decided in failing
        ]

    def _texts(self, number: int, example: Facts) -> Texts:
        """Return the texts that the example of a group decides."""
        known = self._own.get(number)
        if known is not None and known[0] is example and not self._is_moving:
            return known[1]
        if len(self._own) >= COLUMN_OUTCOMES_MAX:
            self._own.clear()
        values = {"member": example}
        texts = [
            side.text(side.value(values)) if side.roots & MEMBER_ROOTS else None
            for side in self._sides or ()
        ]
        self._own[number] = (example, texts)
        return texts
