"""From policies as written to rules that can be evaluated, or to every problem in them.

Each expression is parsed once and checked once for every shape of facts that its rule meets: at
``register`` there is no packet, at ``export`` no member.  Variables and definitions become named
sub-expressions, params constants.  All problems of all files are collected before one is raised.
This module evaluates nothing; :mod:`pfgov.policy.judging.judge` does.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pfgov.core.verdicts import Point
from pfgov.errors import PolicyError
from pfgov.policy import limits
from pfgov.policy.cel import CelLoadError, Checked, Constant, Environment, check, parse
from pfgov.policy.cel.syntax import Ast
from pfgov.policy.cel.types import BOOL, CelType
from pfgov.policy.facts import ROOTS, ROOTS_AT, SEMANTICS, LabelTypes, root_types
from pfgov.policy.files import document, params
from pfgov.policy.files.labels import FREE, declarations
from pfgov.policy.files.model import (
    KERNEL,
    Bundle,
    Definitions,
    Labels,
    ParamValue,
    Policy,
    Rule,
    Text,
    Variable,
)
from pfgov.policy.files.names import Mention, mentions
from pfgov.policy.judging.clauses import Message, PlannedRule, clause_of
from pfgov.policy.judging.functions import FUNCTIONS
from pfgov.policy.judging.judge import PolicySet, make_set
from pfgov.policy.judging.messages import TemplateError, split
from pfgov.policy.problems import PolicyErrors, Problem, did_you_mean

Shape = tuple[str, ...]

_WORD: Final = re.compile(r"\w+")

AUTHOR_ROOTS: Final = ("params", "variables", "defs")


def compile_set(
    policies: Sequence[Policy],
    definitions: Sequence[Definitions],
    labels: Sequence[Labels] = (),
    *,
    generated: bool = True,
    older: Bundle | None = None,
) -> PolicySet:
    """Compile *policies* (the kernel among them) into a set.

    With *generated* the fast evaluator is used, else only the exact one.  *older* is the bundle of a set's document
    with older semantics, which the set keeps.

    Raises:
        PolicyErrors: With every problem of every policy.
        PolicyError: The set is too large to be recorded.
    """
    if not any(policy.name == KERNEL for policy in policies):
        raise PolicyError("there is no policy set without the kernel policy", code="policy.kernel")
    # One order of reasons for one set, wherever it was read from: the kernel's first, then by name.
    policies = sorted(policies, key=lambda policy: (policy.name != KERNEL, policy.name))
    semantics = older.semantics if older and older.semantics is not None else SEMANTICS
    declared = FREE if semantics < document.LABELS_SINCE else declarations(labels)
    compiler = Compiler(definitions, declared.types(), semantics)
    planned = [compiler.policy(policy) for policy in policies]
    compiler.all_definitions()
    total = sum(len(policy.rules) for policy in policies)
    if len(policies) > limits.POLICIES_MAX or total > limits.RULES_PER_SET_MAX:
        where = policies[-1].place
        compiler.problems.append(
            where.problem(
                "policy.too_many",
                f"{len(policies)} policies with {total} rules: at most {limits.POLICIES_MAX} "
                f"with {limits.RULES_PER_SET_MAX}",
            )
        )
    if compiler.problems:
        raise PolicyErrors(compiler.problems)
    used = {text.text for policy in policies for text in policy.imports}
    bundle = Bundle(
        policies=tuple(sorted(policies, key=lambda policy: policy.name)),
        definitions=tuple(
            sorted((d for d in definitions if d.name in used), key=lambda item: item.name)
        ),
        labels=tuple(sorted(labels, key=lambda item: item.name)),
        semantics=older.semantics if older else None,
        schema=older.schema if older else None,
    )
    rules = {point: _at(point, planned) for point in Point}
    return make_set(bundle, document.encode(bundle), rules, generated=generated)


def wrong_in(
    policy: Policy,
    definitions: Sequence[Definitions],
    labels: Sequence[Labels],
    sound: Collection[Rule] = (),
) -> tuple[list[Problem], frozenset[Rule]]:
    """Return what is wrong in the expressions of one policy beside *definitions* and *labels*, and the rules without.

    No set is made.  Nothing is wrong in the rules that are *sound*: somebody saw that with the same params, variables
    and imports.
    """
    compiler = Compiler(definitions, declarations(labels).types())
    planned = compiler.policy(policy, sound)
    ready = {point: {one.rule for one in rules} for point, rules in planned.items()}
    kept = (
        rule
        for rule in policy.rules
        if rule in sound or all(rule in ready.get(point, ()) for point in rule.on)
    )
    return compiler.problems, frozenset(kept)


def environment_of(bundle: Bundle, policy: Policy | None, point: Point) -> Environment:
    """Return what an expression at *point* may name: facts, functions, and what *policy* of *bundle* declares."""
    is_older = bundle.semantics is not None and bundle.semantics < document.LABELS_SINCE
    declared = FREE if is_older else declarations(bundle.labels)
    roots = root_types(ROOTS_AT[point], declared.types())
    if policy is None:
        return _environment(roots, {}, {})
    return Compiler(bundle.definitions, declared.types()).scope(policy, ROOTS_AT[point]).environment


def _at(
    point: Point, planned: Sequence[Mapping[Point, Sequence[PlannedRule]]]
) -> list[PlannedRule]:
    return [rule for policy in planned for rule in policy.get(point, ())]


@dataclass(slots=True)
class Scope:
    """The names of one policy at one shape, and why some of them do not exist there."""

    environment: Environment
    names: set[str] = field(default_factory=set[str])
    broken: dict[tuple[str, str], list[Problem]] = field(
        default_factory=dict[tuple[str, str], list[Problem]]
    )

    def misread(self, names: Collection[str]) -> None:
        """Take the full *names* whose problems are told where they are declared."""
        for name in names:
            root, _, member = name.partition(".")
            self.broken[root, member] = []


class Compiler:
    """Compiles policies against one collection of definitions; collects ``problems``."""

    def __init__(
        self,
        definitions: Sequence[Definitions],
        labels: LabelTypes | None = None,
        semantics: int = SEMANTICS,
    ) -> None:
        self.problems: list[Problem] = []
        self._semantics = semantics
        self._labels = labels
        self._definitions = {item.name: item for item in definitions}
        self._asts: dict[tuple[str, int, int, str], Ast | None] = {}

    def policy(
        self, policy: Policy, sound: Collection[Rule] = ()
    ) -> dict[Point, list[PlannedRule]]:
        """Return the rules of *policy* at each of its decision points, but for those that are *sound*."""
        self._check_imports(policy)
        scopes: dict[Shape, Scope] = {}
        planned: dict[Point, list[PlannedRule]] = {}
        for rule in policy.rules:
            made: dict[Shape, PlannedRule | None] = {}
            for point in rule.on:
                shape = ROOTS_AT[point]
                if shape not in scopes:
                    scopes[shape] = self.scope(policy, shape)
                if rule in sound:
                    continue
                if shape not in made:
                    made[shape] = self._rule(policy, rule, point, scopes[shape])
                ready = made[shape]
                if ready is not None:
                    planned.setdefault(point, []).append(ready)
        self._unreachable_variables(policy, scopes)
        return planned

    def all_definitions(self) -> None:
        """Check the definitions that no policy imports, so that their mistakes are found, too."""
        shape = tuple(ROOTS)
        for definitions in self._definitions.values():
            scope = Scope(Environment({}))
            self._define(definitions, self._roots(shape), {}, {}, scope)
            for problems in scope.broken.values():
                self.problems += problems

    # --- names --------------------------------------------------------------------------------

    def _check_imports(self, policy: Policy) -> None:
        origin: dict[str, str] = {}
        for text in policy.imports:
            found = self._definitions.get(text.text)
            if found is None:
                known = self._definitions
                hint = did_you_mean(text.text, known) or (
                    f"known definitions: {', '.join(sorted(known))}"
                    if known
                    else "no file here has kind: Definitions"
                )
                self.problems.append(
                    text.problem(
                        "policy.unknown_import",
                        f"there are no definitions named `{text.text}`",
                        hint=hint,
                    )
                )
                continue
            for name in [item.name for item in found.params] + [v.name for v in found.variables]:
                if name in origin:
                    self.problems.append(
                        text.problem(
                            "policy.duplicate_name",
                            f"`defs.{name}` comes from {origin[name]} and {found.name}",
                            hint="rename one of them",
                        )
                    )
                origin[name] = found.name

    def scope(self, policy: Policy, shape: Shape) -> Scope:
        """Return the names that there are in *policy* at one shape of facts."""
        roots = self._roots(shape)
        named: dict[str, Checked] = {}
        constants: dict[str, Constant] = {}
        scope = Scope(Environment({}))
        for text in policy.imports:
            found = self._definitions.get(text.text)
            if found is not None:
                self._define(found, roots, named, constants, scope)
        scope.misread(policy.misread)
        for param in policy.params:
            constants[f"params.{param.name}"] = _constant(param.type, param.value)
        scope.names.update(constants)
        for variable in policy.variables:
            self._variable("variables", variable, roots, named, constants, scope)
        scope.environment = _environment(roots, named, constants)
        return scope

    def _define(
        self,
        found: Definitions,
        roots: Mapping[str, CelType],
        named: dict[str, Checked],
        constants: dict[str, Constant],
        scope: Scope,
    ) -> None:
        own_named: dict[str, Checked] = {}
        own: dict[str, Constant] = {}
        scope.misread({f"defs.{name.partition('.')[2]}" for name in found.misread})
        for param in found.params:
            own[f"defs.{param.name}"] = _constant(param.type, param.value)
        scope.names.update(own)
        for variable in found.variables:
            self._variable("defs", variable, roots, own_named, own, scope)
        named.update(own_named)
        constants.update(own)

    def _variable(
        self,
        prefix: str,
        variable: Variable,
        roots: Mapping[str, CelType],
        named: dict[str, Checked],
        constants: dict[str, Constant],
        scope: Scope,
    ) -> None:
        text = variable.expression
        ast = self._parse(text)
        key = (prefix, variable.name)
        if ast is None:
            scope.broken[key] = []
            return
        inner = self._borrowed(ast, roots, scope, text, None)
        if inner is not None:
            scope.broken[key] = inner
            return
        try:
            environment = _environment(roots, named, constants)
            named[f"{prefix}.{variable.name}"] = check(ast, environment, None)
            scope.names.add(f"{prefix}.{variable.name}")
        except CelLoadError as error:
            scope.broken[key] = [_placed(text, problem) for problem in error.problems]

    def _unreachable_variables(self, policy: Policy, scopes: Mapping[Shape, Scope]) -> None:
        """Report a variable that makes no sense at any shape of facts, even if nobody uses it."""
        for variable in policy.variables:
            key = ("variables", variable.name)
            found = [scope.broken[key] for scope in scopes.values() if key in scope.broken]
            if scopes and len(found) == len(scopes):
                self.problems += found[0]

    # --- rules --------------------------------------------------------------------------------

    def _rule(self, policy: Policy, rule: Rule, point: Point, scope: Scope) -> PlannedRule | None:
        before = len(self.problems)
        when = self._condition(rule.when, point, scope)
        condition = self._condition(rule.condition, point, scope)
        message = self._message(rule.message, point, scope)
        is_read = (when is None) == (rule.when is None)
        is_read = is_read and (condition is None) == (rule.condition is None)
        if len(self.problems) > before or not is_read:
            return None
        return PlannedRule(
            policy=policy.name,
            rule=rule,
            shadow=policy.mode == "shadow",
            when=when,
            condition=condition,
            message=message,
            clause=clause_of(rule.kind, when, condition),
            semantics=self._semantics,
        )

    def _condition(self, text: Text | None, point: Point, scope: Scope) -> Checked | None:
        if text is None:
            return None
        ast = self._parse(text)
        if ast is None:
            return None
        roots = self._roots(ROOTS_AT[point])
        inner = self._borrowed(ast, roots, scope, text, point)
        if inner is not None:
            self.problems += inner
            return None
        try:
            return check(ast, scope.environment, BOOL)
        except CelLoadError as error:
            self.problems += [_placed(text, problem) for problem in error.problems]
            return None

    def _message(self, text: Text | None, point: Point, scope: Scope) -> Message | None:
        if text is None:
            return None
        try:
            pieces, paths = split(text.text)
        except TemplateError as error:
            self.problems.append(
                text.problem("policy.message", str(error), 1, error.offset + 1, error.hint)
            )
            return None
        roots = self._roots(ROOTS_AT[point])
        values: list[Checked] = []
        for path, offset in paths:
            shifted = Text(path, text.place, None)
            try:
                ast = parse(path)
                inner = self._borrowed(ast, roots, scope, shifted, point)
                if inner is None:
                    values.append(check(ast, scope.environment, None))
                    continue
                found = [(problem.message, problem.hint) for problem in inner]
            except CelLoadError as error:
                found = [(problem.message, problem.hint) for problem in error.problems]
            for message, hint in found:
                self.problems.append(
                    text.problem(
                        "policy.message", f"in the message: {message}", 1, offset + 1, hint
                    )
                )
        return Message(tuple(pieces), tuple(values)) if len(values) == len(paths) else None

    def _borrowed(
        self,
        ast: Ast,
        roots: Mapping[str, CelType],
        scope: Scope,
        text: Text,
        point: Point | None,
    ) -> list[Problem] | None:
        """Return the problems of names that exist, only not here; None when there are none."""
        found: list[Problem] = []
        for mention in mentions(ast):
            if mention.root in ROOTS and mention.root not in roots:
                found.append(_not_here(text, mention, point))
            elif mention.root in AUTHOR_ROOTS and mention.member is not None:
                key = (mention.root, mention.member)
                full = f"{mention.root}.{mention.member}"
                if key in scope.broken:
                    found += scope.broken[key]
                elif full not in scope.names:
                    found.append(self._undeclared(text, mention, scope))
        broken = any((m.root, m.member) in scope.broken for m in mentions(ast) if m.member)
        return found if found or broken else None

    def _undeclared(self, text: Text, mention: Mention, scope: Scope) -> Problem:
        full = f"{mention.root}.{mention.member}"
        kind = {"params": "param", "variables": "variable", "defs": "imported definition"}
        hint = did_you_mean(full, [n for n in scope.names if n.startswith(f"{mention.root}.")])
        if hint is None and mention.root == "defs":
            offers = [
                item.name
                for item in self._definitions.values()
                if mention.member
                in {*(p.name for p in item.params), *(v.name for v in item.variables)}
            ]
            hint = f"import {offers[0]}, which defines it" if offers else None
        hint = (
            hint or f"declare it under `{mention.root if mention.root != 'defs' else 'imports'}:`"
        )
        if mention.root == "variables":
            hint += "; a variable can only use those above it"
        return text.problem(
            "policy.unknown_name",
            f"there is no {kind[mention.root]} `{full}`",
            mention.line,
            mention.column,
            hint,
        )

    def _roots(self, shape: Shape) -> dict[str, CelType]:
        return root_types(shape, self._labels)

    def _parse(self, text: Text) -> Ast | None:
        key = (text.place.file, text.place.line, text.place.column, text.text)
        if key not in self._asts:
            try:
                self._asts[key] = parse(text.text)
            except CelLoadError as error:
                self.problems += [_placed(text, problem) for problem in error.problems]
                self._asts[key] = None
        return self._asts[key]


def _environment(
    roots: Mapping[str, CelType], named: Mapping[str, Checked], constants: Mapping[str, Constant]
) -> Environment:
    return Environment(roots, FUNCTIONS, named=named, constants=constants)


def _constant(type_name: str, value: ParamValue) -> Constant:
    return Constant(params.cel_value(type_name, value), params.cel_type(type_name, value))


def _placed(text: Text, problem: object) -> Problem:
    from pfgov.policy.cel.errors import Problem as CelProblem

    assert isinstance(problem, CelProblem)
    hint = problem.hint
    if problem.code == "cel.unknown_name":
        line = text.text.split("\n")[problem.line - 1]
        word = _WORD.match(line, problem.column - 1)
        after = line[word.end() :] if word is not None else ""
        if word is not None and word[0].isupper() and len(word[0]) > 1 and after[:1] != ".":
            hint = f'write "{word[0]}" in quotes'
    if problem.code == "cel.unterminated" and getattr(text.source, "is_commented", False):
        hint = "` #` begins a comment in YAML: quote the whole expression"
    return text.problem(problem.code, problem.message, problem.line, problem.column, hint)


def _not_here(text: Text, mention: Mention, point: Point | None) -> Problem:
    where = f"at {point.value}" if point else "at every decision point of this policy"
    there = [other.value for other in Point if mention.root in ROOTS_AT[other]]
    return text.problem(
        "policy.root_unavailable",
        f"`{mention.root}` does not exist {where}",
        mention.line,
        mention.column,
        f"it is there at {', '.join(there)}: give the rule its own `on`",
    )
