"""The part that a reason shows is among the fewest parts that decide, whatever all others are."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.searching import examples

from pfgov.policy.cel import BOOL, INT, Environment, Failure, Field, Record, check, exact, parse
from pfgov.policy.judging.deciding import Finder, Here

NAMES = "abcd"
VALUES = {"T": 1, "F": -1, "E": 0, "M": None}
"""What ``100 / member.NAME > 0`` has to read to be true, false, an error, missing."""

MEMBER = Record("member", {name: Field(INT, optional=True) for name in NAMES})


@dataclass(frozen=True)
class Formula:
    """A condition, with the parts in it and its meaning by hand: True, False, or None where it has no value."""

    text: str
    parts: str

    def means(self, held: Mapping[str, bool | None]) -> bool | None:
        """Return what the condition comes to where its parts come to *held*."""
        raise NotImplementedError


class Atom(Formula):
    """One comparison."""

    def means(self, held: Mapping[str, bool | None]) -> bool | None:
        """It is what it is held to be."""
        return held[self.parts]


@dataclass(frozen=True)
class Joined(Formula):
    """``&&`` or ``||``."""

    inner: tuple[Formula, ...]
    deciding: bool

    def means(self, held: Mapping[str, bool | None]) -> bool | None:
        """One that decides is enough; else one without a value leaves it without one."""
        found = [one.means(held) for one in self.inner]
        if self.deciding in found:
            return self.deciding
        return None if None in found else not self.deciding


@dataclass(frozen=True)
class Not(Formula):
    """``!``."""

    inner: Formula

    def means(self, held: Mapping[str, bool | None]) -> bool | None:
        """The other."""
        found = self.inner.means(held)
        return None if found is None else not found


@dataclass(frozen=True)
class Chosen(Formula):
    """``condition ? then : otherwise``; a branch may be a constant."""

    condition: Formula
    then: Formula | bool
    otherwise: Formula | bool

    def means(self, held: Mapping[str, bool | None]) -> bool | None:
        """The branch that is taken."""
        found = self.condition.means(held)
        if found is None:
            return None
        taken = self.then if found else self.otherwise
        return taken if isinstance(taken, bool) else taken.means(held)


def formulas(names: str) -> st.SearchStrategy[Formula]:
    """Draw conditions in which each of *names* stands once."""
    if len(names) == 1:
        atom = st.just(Atom(f"100 / member.{names} > 0", names))
        return atom | atom.map(lambda one: Not(f"!({one.text})", names, one))
    return st.integers(1, len(names) - 1).flatmap(
        lambda at: st.tuples(formulas(names[:at]), formulas(names[at:])).flatmap(_joined)
    )


def _joined(pair: tuple[Formula, Formula]) -> st.SearchStrategy[Formula]:
    left, right = pair
    parts = left.parts + right.parts
    both = [
        Joined(f"({left.text}) {sign} ({right.text})", parts, pair, deciding)
        for sign, deciding in (("&&", False), ("||", True))
    ]
    chosen: list[Formula] = []
    for constant in (True, False):
        said = str(constant).lower()
        text = f"({left.text}) ? ({right.text}) : {said}"
        chosen.append(Chosen(text, parts, left, right, constant))
        text = f"({left.text}) ? {said} : ({right.text})"
        chosen.append(Chosen(text, parts, left, constant, right))
    made = [*both, *both, *chosen]
    return st.sampled_from([*made, *(Not(f"!({one.text})", parts, one) for one in made)])


def deciding_sets(formula: Formula, held: Mapping[str, bool | None]) -> Iterator[set[str]]:
    """Yield the smallest sets of parts that fix the result, tried out against everything the others may be."""
    result = formula.means(held)
    for size in range(len(formula.parts) + 1):
        found = False
        for fixed in itertools.combinations(formula.parts, size):
            free = [name for name in formula.parts if name not in fixed]
            if all(
                formula.means({**held, **dict(zip(free, others, strict=True))}) is result
                for others in itertools.product((True, False, None), repeat=len(free))
            ):
                found = True
                yield set(fixed)
        if found:
            return


@settings(max_examples=examples(300), deadline=None)
@given(formula=st.integers(1, 4).flatmap(lambda n: formulas(NAMES[:n])), data=st.data())
def test_the_part_that_is_shown_decides(formula: Formula, data: st.DataObject) -> None:
    """A part is shown that was missing, or without which the result would be the same, though fewer others decide."""
    states = data.draw(st.tuples(*(st.sampled_from("TFEM") for _ in formula.parts)))
    meant = {"T": True, "F": False, "E": None, "M": None}
    held = {name: meant[state] for name, state in zip(formula.parts, states, strict=True)}
    facts = {
        name: VALUES[state] for name, state in zip(formula.parts, states, strict=True)
    }  # fmt: skip
    values = {"member": {name: value for name, value in facts.items() if value is not None}}
    checked = check(parse(formula.text), Environment({"member": MEMBER}), BOOL)
    result = exact(checked)(values)
    assert (None if isinstance(result, Failure) else result) is formula.means(held)
    assume(not isinstance(result, Failure))
    focus = Finder().descend(Here(checked), checked.root, values, wanted=not result)
    text = checked.source[focus.node.span.start : focus.node.span.end]
    shown = text.partition("member.")[2][:1]
    smallest = list(deciding_sets(formula, held))
    assert held[shown] is not None, "what has no value decided nothing"
    assert any(shown in one for one in smallest), (formula.text, states, shown, smallest)
    if len(smallest[0]) == 1:
        assert {shown} in smallest, "one part alone decided, and another one is shown"
