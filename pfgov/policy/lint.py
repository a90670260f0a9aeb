"""What is allowed and still a mistake: unused names, rules that repeat or shadow each other.

Warnings of ``policy check``; they never keep a set from loading.  A condition that can never be true
is not among them: the checker refuses it.
"""

from collections.abc import Iterator, Sequence

from pfgov.policy.cel import CelLoadError, parse
from pfgov.policy.cel.syntax import Ast
from pfgov.policy.messages import TemplateError, split
from pfgov.policy.model import Definitions, Policy, Rule, Text
from pfgov.policy.names import mentions
from pfgov.policy.problems import Problem

Name = tuple[str, str]


def lint(policies: Sequence[Policy], definitions: Sequence[Definitions]) -> list[Problem]:
    """Return every warning about policies that load."""
    found: list[Problem] = []
    imported = {text.text for policy in policies for text in policy.imports}
    for policy in policies:
        found += _unused(policy, definitions)
        found += _repeated(policy)
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
    return found


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


def _repeated(policy: Policy) -> Iterator[Problem]:
    """A rule whose condition another one has already, wherever both are asked."""
    earlier: list[tuple[Rule, Ast | None, Ast | None]] = []
    for rule in policy.rules:
        when, condition = _ast(rule.when), _ast(rule.condition)
        for other, other_when, other_condition in earlier:
            if rule.kind != other.kind or not set(rule.on) <= set(other.on):
                continue
            if condition == other_condition and other_when in (None, when):
                if rule.obligations or (condition is None and rule.to != other.to):
                    continue
                yield rule.place.problem(
                    "policy.shadowed",
                    f"the rule `{rule.id}` says nothing that `{other.id}` does not say",
                    f"`{other.id}` is on line {other.place.line}",
                    "warning",
                )
                break
        earlier.append((rule, when, condition))
