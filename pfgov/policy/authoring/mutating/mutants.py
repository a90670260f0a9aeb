"""Mutants of a policy: the same policy with one mistake in it, small or large.

Every expression gives its small mistakes (:mod:`.expressions`).  Large ones are a rule that is gone, one that is not
asked at a decision point, one that always applies, one that means the opposite, a duty that is gone, a constant next to
the right one, and a policy that is gone or only recorded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pfgov.policy.authoring.mutating.expressions import mutations, neighbours
from pfgov.policy.cel import CelLoadError, parse
from pfgov.policy.files.model import Param, ParamValue, Place, Policy, Rule, Text, Variable

_SWAPPED: Final = {"require": "deny", "deny": "require"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A policy with a mistake.

    Attributes:
        policy: The name of the policy that it is a mutant of.
        place: Where the mistake is.
        said: What it is, in a few words.
        mutated: The policy with it; None where the policy is gone.
    """

    policy: str
    place: Place
    said: str
    mutated: Policy | None


def mutants(policy: Policy) -> list[Mutant]:
    """Return every mutant of *policy*, in the order of the file."""
    found = [*_whole(policy), *_params(policy), *_variables(policy), *_rules(policy)]
    return sorted(found, key=lambda one: (one.place.line, one.place.column, one.said))


def _whole(policy: Policy) -> Iterator[Mutant]:
    yield Mutant(policy.name, policy.place, f"without the policy {policy.name}", None)
    if policy.mode == "enforce":
        shadowed = replace(policy, mode="shadow")
        yield Mutant(policy.name, policy.place, f"{policy.name} in shadow mode", shadowed)


def _params(policy: Policy) -> Iterator[Mutant]:
    for at, param in enumerate(policy.params):
        for said, value in _values(param):
            params = (*policy.params[:at], replace(param, value=value), *policy.params[at + 1 :])
            yield Mutant(
                policy.name,
                param.place,
                f"param {param.name}: {said}",
                replace(policy, params=params),
            )


def _values(param: Param) -> Iterator[tuple[str, ParamValue]]:
    value = param.value
    if isinstance(value, list):
        for at, gone in enumerate(value):
            if len(value) > 1:
                yield f"without {gone}", [*value[:at], *value[at + 1 :]]
    elif isinstance(value, bool | int | float):
        for other in neighbours(float(value) if param.type == "double" else value):
            yield f"{other} for {value}", other


def _variables(policy: Policy) -> Iterator[Mutant]:
    for at, variable in enumerate(policy.variables):
        for place, said, text in _texts(variable.expression):
            other: Variable = replace(variable, expression=text)
            made = (*policy.variables[:at], other, *policy.variables[at + 1 :])
            yield Mutant(
                policy.name,
                place,
                f"variable {variable.name}: {said}",
                replace(policy, variables=made),
            )


def _rules(policy: Policy) -> Iterator[Mutant]:
    for at, rule in enumerate(policy.rules):
        left = (*policy.rules[:at], *policy.rules[at + 1 :])
        if left:
            yield Mutant(
                policy.name, rule.place, f"without the rule {rule.id}", replace(policy, rules=left)
            )
        for place, said, other in _of_rule(rule):
            rules = (*policy.rules[:at], other, *policy.rules[at + 1 :])
            yield Mutant(
                policy.name, place, f"rule {rule.id}: {said}", replace(policy, rules=rules)
            )


def _of_rule(rule: Rule) -> Iterator[tuple[Place, str, Rule]]:
    if len(rule.on) > 1:
        for point in rule.on:
            left = tuple(one for one in rule.on if one is not point)
            yield rule.place, f"not asked at {point.value}", replace(rule, on=left)
    if rule.kind in _SWAPPED:
        swapped = _SWAPPED[rule.kind]
        yield rule.place, f"{swapped} for {rule.kind}", replace(rule, kind=swapped)  # type: ignore[arg-type]
    if rule.when is not None:
        if rule.kind in _SWAPPED:
            yield rule.when.place, "without its when", replace(rule, when=None)
        for place, said, text in _texts(rule.when):
            yield place, f"when: {said}", replace(rule, when=text)
    if rule.condition is not None:
        for place, said, text in _texts(rule.condition):
            yield place, f"{rule.kind}: {said}", replace(rule, condition=text)
    for at, duty in enumerate(rule.obligations):
        rest = (*rule.obligations[:at], *rule.obligations[at + 1 :])
        if rest or rule.kind != "oblige":
            yield (
                rule.place,
                f"without the obligation {duty.type}",
                replace(rule, obligations=rest),
            )
    if rule.approvals > 1:
        fewer = replace(rule, approvals=rule.approvals - 1)
        yield rule.place, f"{rule.approvals - 1} approvals for {rule.approvals}", fewer


def _texts(text: Text) -> Iterator[tuple[Place, str, Text]]:
    try:
        ast = parse(text.text)
    except CelLoadError:
        return
    for one in mutations(ast):
        line, column = text.place.line, text.place.column
        if text.source is not None:
            line, column = text.source.position(one.line, one.column)
        place = replace(text.place, line=line, column=column)
        yield place, one.said, Text(one.text, place)
