"""What is allowed and still a mistake: unused names, rules that repeat or shadow each other.

Warnings of ``policy check``; they never keep a set from loading.  A condition that can never be true
is not among them: the checker refuses it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pfgov.core.verdicts import CARRIED_OUT, Point
from pfgov.policy.authoring.bypassing import bypassed
from pfgov.policy.authoring.portability import unportable
from pfgov.policy.authoring.trusting import trusting
from pfgov.policy.cel import CelLoadError, parse
from pfgov.policy.cel.implied import Prover
from pfgov.policy.cel.syntax import Ast
from pfgov.policy.facts import ROOTS
from pfgov.policy.files.model import KERNEL, Definitions, Policy, Rule, Text
from pfgov.policy.files.names import mentions
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.judging.messages import TemplateError, split
from pfgov.policy.problems import Problem

Name = tuple[str, str]


def lint(
    policies: Sequence[Policy], definitions: Sequence[Definitions], compiled: PolicySet
) -> list[Problem]:
    """Return every warning about policies that load, as *compiled*."""
    found: list[Problem] = []
    imported = {text.text for policy in policies for text in policy.imports}
    for policy in policies:
        found += _unused(policy, definitions)
        found += _undoable(policy)
        found += _misplaced(policy)
    for item in definitions:
        if item.name not in imported:
            found.append(
                item.place.problem(
                    "policy.unused_definitions",
                    f"no policy imports `{item.name}`",
                    "remove the file, or import it",
                    "warning",
                )
            )
    return [
        *found,
        *_repeated(compiled),
        *trusting(compiled),
        *bypassed(compiled),
        *unportable(compiled),
    ]


def _unused(policy: Policy, definitions: Sequence[Definitions]) -> Iterator[Problem]:
    used = _used(policy)
    for param in policy.params:
        if ("params", param.name) not in used:
            yield param.place.problem(
                "policy.unused_param",
                f"no rule reads `params.{param.name}`",
                "remove it, or use it",
                "warning",
            )
    for variable in policy.variables:
        if ("variables", variable.name) not in used:
            yield variable.place.problem(
                "policy.unused_variable",
                f"no rule reads `variables.{variable.name}`",
                "remove it, or use it",
                "warning",
            )
    offers = {
        item.name: {p.name for p in item.params} | {v.name for v in item.variables}
        for item in definitions
    }
    for text in policy.imports:
        if not any(("defs", name) in used for name in offers.get(text.text, ())):
            yield text.problem(
                "policy.unused_import",
                f"nothing from `{text.text}` is used",
                hint="remove the import",
                severity="warning",
            )


def _used(policy: Policy) -> set[Name]:
    used: set[Name] = set()
    for rule in policy.rules:
        for text in (rule.when, rule.condition):
            used |= _names(text)
        used |= _message_names(rule.message)
    bodies = {variable.name: variable.expression for variable in policy.variables}
    waiting = [name for root, name in used if root == "variables"]
    while waiting:
        inner = _names(bodies.get(waiting.pop())) - used
        used |= inner
        waiting += [name for root, name in inner if root == "variables"]
    return used


def _names(text: Text | None) -> set[Name]:
    ast = _ast(text)
    if ast is None:
        return set()
    return {(m.root, m.member) for m in mentions(ast) if m.member is not None}


def _ast(text: Text | None) -> Ast | None:
    if text is None:
        return None
    try:
        return parse(text.text)
    except CelLoadError:
        return None


def _message_names(text: Text | None) -> set[Name]:
    if text is None:
        return set()
    try:
        _pieces, paths = split(text.text)
    except TemplateError:
        return set()
    steps = [path.split(".") for path, _ in paths]
    return {(step[0], step[1]) for step in steps if len(step) > 1}


def _undoable(policy: Policy) -> Iterator[Problem]:
    """A rule whose obligations pfgov cannot carry out: wherever they fall due, nothing is allowed."""
    for rule in policy.rules:
        types = sorted({item.type for item in rule.obligations} - CARRIED_OUT)
        if types:
            yield rule.place.problem(
                "policy.undoable",
                f"pfgov cannot carry out `{types[0]}`: where the rule `{rule.id}` lets a member pass, it is denied",
                "to ask somebody first, write a rule with `when` and `escalate`",
                "warning",
            )


def _misplaced(policy: Policy) -> Iterator[Problem]:
    """A message in which a value stands as another language shows it: with two braces, a dollar, or by a sign."""
    for rule in policy.rules:
        for found in _FOREIGN.finditer(rule.message.text if rule.message else ""):
            assert rule.message is not None
            path = found["doubled"] or found["marked"] or found["called"]
            message = f"in the message: `{found[0]}` is shown as it stands, and no value"
            hint = f"write {{{path}}}" if path else "a value is shown by its path: {member.region}"
            if found["marked"]:
                message = f"in the message: the `{found[0][0]}` of `{found[0]}` is shown, too"
                hint = f"write {{{path}}}; where a sign of money is meant, put a blank behind it"
            yield rule.message.problem(
                "policy.message", message, 1, found.start() + 1, hint, "warning"
            )


_PATHS: Final = rf"(?:{'|'.join((*ROOTS, 'params', 'variables', 'defs'))})\b[\w.]*"
_FOREIGN: Final = re.compile(
    rf"\{{\{{\s*\.?(?P<doubled>{_PATHS})\s*\}}\}}|[$#%]\{{(?P<marked>{_PATHS})\}}"
    rf"|(?:\$\(|\\\(|<%=?\s*|\$)(?P<called>{_PATHS})\s*(?:\)|%>)?|%[sdvf](?![\w%])"
)
"""How other languages show a value in a text."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A rule of a set, as it is asked."""

    rule: Rule
    planned: PlannedRule

    def covers(self, other: "_Asked", prover: Prover) -> bool:
        """Whether *other* says nothing that this does not say, wherever it is asked."""
        if not set(other.rule.on) <= set(self.rule.on) or other.rule.obligations:
            return False
        if self.planned.shadow and not other.planned.shadow:
            return False  # what only watches binds nobody
        same_name = self.planned.policy == other.planned.policy
        if same_name and self.rule.place.file != other.rule.place.file:
            return False  # two policies of one name are an error of their own
        return _covers(self.rule, self.planned, other.rule, other.planned, prover)


def _repeated(compiled: PolicySet) -> Iterator[Problem]:
    """A rule that another one of the set makes needless wherever both are asked: it is equal, or weaker.

    Of very many rules, or very long ones, only those that come last are compared with all others.
    """
    at_point = {
        point: {(one.policy, one.rule.id): one for one in judge.rules}
        for point, judge in compiled.judges.items()
    }
    rules = [
        _Asked(rule, planned)
        for policy in sorted(
            compiled.bundle.policies, key=lambda one: (one.name != KERNEL, one.name)
        )
        for rule in policy.rules
        if (planned := _planned(rule, policy, at_point))
    ]
    needless: set[str] = set()
    prover = Prover()
    for one in reversed(rules):  # of two that say the same, the later one is needless
        if one.planned.policy == KERNEL:
            continue
        if prover.is_spent:
            return
        other = next(
            (
                other
                for other in rules
                if other is not one
                and other.planned.name not in needless
                and other.covers(one, prover)
            ),
            None,
        )
        if other is not None:
            needless.add(one.planned.name)
            yield _needless(one, other)


def _needless(one: _Asked, other: _Asked) -> Problem:
    place, name = other.rule.place, other.rule.id
    where = f"`{name}` is on line {place.line}"
    if other.planned.policy != one.planned.policy:
        name = other.planned.name
        where = f"`{name}` is in {Path(place.file).name}, line {place.line}"
    if other.planned.policy == KERNEL:
        where = "the kernel asks it of every packet"
    return one.rule.place.problem(
        "policy.shadowed",
        f"the rule `{one.rule.id}` says nothing that `{name}` does not say",
        f"{where}: remove the one that is not meant",
        "warning",
    )


def _planned(
    rule: Rule, policy: Policy, at_point: Mapping[Point, Mapping[Name, PlannedRule]]
) -> PlannedRule | None:
    every = (at_point[point].get((policy.name, rule.id)) for point in rule.on)
    return next(filter(None, every), None)


def _covers(
    one: Rule, planned: PlannedRule, other: Rule, others: PlannedRule, prover: Prover
) -> bool:
    """Whether *one* binds wherever *other* does, with the same effect."""
    if one.kind != other.kind or one.to != other.to:
        return False
    applies = planned.when is None or (
        others.when is not None and prover.implies(others.when.root, planned.when.root)
    )
    if planned.condition is None or others.condition is None:
        return applies and planned.condition is others.condition
    strict, lax = planned.condition.root, others.condition.root
    if one.kind == "require":
        return applies and prover.implies(strict, lax)
    return applies and prover.implies(lax, strict)
