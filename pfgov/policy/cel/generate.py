"""From clauses to one Python function that judges them all, and one that judges many members.

A clause is a condition with an optional ``when``.  Judging yields *findings*: the clauses
that are not quiet, with the value or the failure that made them speak; ``()`` means that
every clause is quiet.  Generated code is an accelerator only: whatever it cannot decide
without doubt is decided, clause by clause, by the exact evaluator.

Two variants.  *Guarded* code is exact for any ``dict``.  *Typed* code trusts declared
types: it must only ever see facts that a schema has validated (unvalidated ones gave
wrong answers in 4 % of corrupted cases), so it has entry points of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.containers import item
from pfgov.policy.cel.emit import Emitter
from pfgov.policy.cel.emit_calls import PRODUCED_MAX, call
from pfgov.policy.cel.emit_code import UnsupportedError, kind_of
from pfgov.policy.cel.emit_loops import fold
from pfgov.policy.cel.errors import Failure
from pfgov.policy.cel.exact import exact
from pfgov.policy.cel.folds import STEP_UNITS
from pfgov.policy.cel.library import traversal, work
from pfgov.policy.cel.limits import WORK_UNITS
from pfgov.policy.cel.numbers import int64
from pfgov.policy.cel.runtime import POISON, bail, number, short, small, text_list, text_set
from pfgov.policy.cel.types import Record
from pfgov.policy.cel.values import Duration, Timestamp

Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Clause:
    """One rule, as far as the engine knows it.

    ``quiet`` is the value of the condition that yields no finding: True for a requirement,
    False for a prohibition.  A clause whose ``when`` is false is quiet.
    """

    name: str
    condition: ir.Checked
    when: ir.Checked | None = None
    quiet: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """A clause that is not quiet.

    ``value`` is the condition's value, or the :class:`Failure` of the condition, or of the
    ``when`` if ``in_when``.
    """

    index: int
    name: str
    value: bool | Failure
    in_when: bool = False


Findings = tuple[Finding, ...]

QUIET: Final[Findings] = ()
"""What judging yields when every clause is quiet; compare with ``is`` or ``not findings``."""

Decide = Callable[[Values], Findings]
Filter = Callable[[Values, Sequence[Mapping[str, object]]], list[Findings]]


@dataclass(frozen=True, slots=True)
class Generated:
    """The judges of a list of clauses.

    Attributes:
        decide: All clauses on one set of facts.
        filter: All clauses on many members: shared facts, and the varying root's values.
        decide_typed: ``decide`` for validated facts only.
        filter_typed: ``filter`` for validated facts only.
        decide_exact: ``decide`` by the exact evaluator; what the others must equal.
        sources: The generated Python by name, for inspection.
        exact_clauses: Clauses that have a part which is not generated, by variant and name.
    """

    decide: Decide
    filter: Filter
    decide_typed: Decide
    filter_typed: Filter
    decide_exact: Decide
    sources: Mapping[str, str]
    exact_clauses: tuple[str, ...]


def generate(clauses: Sequence[Clause], *, varying: str = "member") -> Generated:
    """Compile *clauses*; *varying* is the root that differs between the members of a batch."""
    judges = [_exact_clause(index, clause) for index, clause in enumerate(clauses)]

    def decide_exact(values: Values) -> Findings:
        return tuple(finding for judge in judges for finding in judge(values))

    units = {
        (typed, batch): _Unit(clauses, judges, varying, typed=typed, batch=batch).build()
        for typed in (False, True)
        for batch in (False, True)
    }
    names = {(False, False): "decide", (False, True): "filter",
             (True, False): "decide_typed", (True, True): "filter_typed"}  # fmt: skip
    return Generated(
        decide=units[False, False].function,
        filter=units[False, True].function,
        decide_typed=units[True, False].function,
        filter_typed=units[True, True].function,
        decide_exact=decide_exact,
        sources={names[key]: unit.source for key, unit in units.items()},
        exact_clauses=tuple(sorted({name for unit in units.values() for name in unit.exact})),
    )


def generate_filter(clauses: Sequence[Clause], *, varying: str = "member") -> Filter:
    """Compile *clauses* into ``filter_typed`` alone: for validated facts only."""
    judges = [_exact_clause(index, clause) for index, clause in enumerate(clauses)]
    function: Filter = _Unit(clauses, judges, varying, typed=True, batch=True).build().function
    return function


Judge = Callable[[Values], Findings]


def _exact_clause(index: int, clause: Clause) -> Judge:
    condition = exact(clause.condition)
    when = exact(clause.when) if clause.when is not None else None
    quiet, name = clause.quiet, clause.name

    def judge(values: Values) -> Findings:
        if when is not None:
            applies = when(values)
            if applies is False:
                return QUIET
            if applies is not True:
                return (Finding(index, name, applies, in_when=True),)
        value = condition(values)
        return QUIET if value is quiet else (Finding(index, name, value),)

    return judge


@dataclass(frozen=True, slots=True)
class _Built:
    function: Callable[..., Any]
    source: str
    exact: tuple[str, ...]


class _Unit:
    """One generated function: four of them make a :class:`Generated`."""

    def __init__(
        self,
        clauses: Sequence[Clause],
        judges: Sequence[Judge],
        varying: str,
        *,
        typed: bool,
        batch: bool,
    ) -> None:
        self.clauses = clauses
        self.judges = judges
        self.varying = varying
        self.batch = batch
        self.roots = sorted({root for clause in clauses for root in _roots(clause)})
        shared = frozenset(self.roots) - {varying} if batch else frozenset[str]()
        self.emitter = Emitter(typed, call, fold, shared, maybe_poison=shared)
        self.emitter.loop_bound = _loop_bound(clauses)
        self.exact: list[str] = []
        self.again: list[ir.Checked] = []

    def build(self) -> _Built:
        self.plan()
        lines = self.filter() if self.batch else self.decide()
        source = "\n".join(lines) + "\n"
        namespace = {**_RUNTIME, **self.emitter.constants}
        for index, judge in enumerate(self.judges):
            namespace[f"exact{index}"] = judge
        for index, clause in enumerate(self.clauses):
            namespace[f"found{index}"] = (Finding(index, clause.name, not clause.quiet),)
        try:
            exec(compile(source, "<policy>", "exec"), namespace)  # noqa: S102 -- names and reprs only
        except (SyntaxError, RecursionError, MemoryError):
            return self.interpreted(source)
        function = namespace["filter_" if self.batch else "decide"]
        assert callable(function)
        return _Built(function, source, tuple(self.exact))

    def interpreted(self, source: str) -> _Built:
        """The same by the exact evaluator, for code that Python's compiler would not take."""
        judges, varying = self.judges, self.varying

        def decide(values: Values) -> Findings:
            return tuple(finding for judge in judges for finding in judge(values))

        def filter_(shared: Values, members: Sequence[Mapping[str, object]]) -> list[Findings]:
            return [decide({**shared, varying: member}) for member in members]

        names = tuple(clause.name for clause in self.clauses)
        return _Built(filter_ if self.batch else decide, source, names)

    def plan(self) -> None:
        """Decide what is loaded or computed once: records read twice, names used twice."""
        counts: dict[tuple[str, ...], int] = {}
        uses: dict[int, int] = {}
        for clause in self.clauses:
            for expression in _expressions(clause):
                _count_records(expression.root, counts)
            for named in _named_uses(clause):
                uses[id(named)] = uses.get(id(named), 0) + 1
        emitter = self.emitter
        for path, count in sorted(counts.items()):
            if count > 1 and path[0] not in emitter.shared:
                emitter.containers[path] = emitter.container_name(path)
        shared_names = {
            id(named) for clause in self.clauses for named in _named_uses(clause)
            if emitter.shared and named.roots <= emitter.shared
        }  # fmt: skip
        known = {
            id(e): e for clause in self.clauses for own in _own(clause) for e in own.named.values()
        }
        again = [known[key] for key, count in uses.items() if count > 1 and key not in shared_names]
        # A name may use another: fewer names inside means earlier.
        self.again = sorted(again, key=lambda expression: len(expression.named))

    # --- parts ------------------------------------------------------------------------------

    def load_names(self) -> None:
        """Compute, once, the named sub-expressions that several places use."""
        emitter = self.emitter
        emitter.memos = {}
        for expression in self.again:
            memo = f"m{len(emitter.memos)}"
            mark, indent = len(emitter.lines), emitter.indent
            try:
                emitter.memoise(expression, memo)
            except UnsupportedError:
                del emitter.lines[mark:]
                emitter.indent = indent
            else:
                emitter.memos[id(expression)] = memo

    def load_records(self) -> None:
        """Bind the hoisted records of the current facts, longest path last."""
        emitter = self.emitter
        for path, name in sorted(emitter.containers.items()):
            # Who reads a record twice reads the record around it at least as often.
            parent = emitter.containers.get(path[:-1], emitter.root_name(path[0]))
            emitter.line(f"{name} = {parent}[{path[-1]!r}]")
            if not emitter.typed:
                with emitter.block(f"if type({name}) is not dict"):
                    emitter.line("bail()")

    def check_roots(self, roots: Iterable[str]) -> None:
        if self.emitter.typed:
            return
        for root in roots:
            if self.is_record(root):
                with self.emitter.block(f"if type({self.emitter.root_name(root)}) is not dict"):
                    self.emitter.line("bail()")

    def is_record(self, root: str) -> bool:
        return any(
            isinstance(node, ir.Var) and node.name == root and kind_of(node.type) == "dict"
            for clause in self.clauses
            for expression in _expressions(clause)
            for node in _walk(expression.root)
        )

    def clause(self, index: int, values: str, target: str) -> None:
        """The lines that judge one clause into *target*."""
        emitter, clause = self.emitter, self.clauses[index]
        mark = len(emitter.lines), emitter.indent, dict(emitter.hoists), list(emitter.prologue)
        try:
            with emitter.block("try"):
                emitter.owner = id(clause.when)
                if clause.when is None:
                    self.test(index, target)
                else:
                    with emitter.block(f"if {self.operand(clause.when)}"):
                        self.test(index, target)
            with emitter.block("except Exception"):
                emitter.line(f"{target} += exact{index}({values})")
        except UnsupportedError:
            del emitter.lines[mark[0] :]
            emitter.indent, emitter.hoists, emitter.prologue[:] = mark[1], mark[2], mark[3]
            self.exact.append(clause.name)
            emitter.line(f"{target} += exact{index}({values})")

    def test(self, index: int, target: str) -> None:
        clause = self.clauses[index]
        text = self.operand(clause.condition)
        with self.emitter.block(f"if not {text}" if clause.quiet else f"if {text}"):
            self.emitter.line(f"{target} += found{index}")

    def operand(self, expression: ir.Checked) -> str:
        self.emitter.owner = id(expression)
        return self.emitter.condition(expression.root)

    # --- functions --------------------------------------------------------------------------

    def decide(self) -> list[str]:
        emitter = self.emitter
        emitter.lines.append("def decide(values):")
        with emitter.block("try"):
            for root in self.roots:
                emitter.line(f"{self.emitter.root_name(root)} = values[{root!r}]")
            self.check_roots(self.roots)
            self.load_records()
            emitter.line("pass")
        with emitter.block("except Exception"):
            total = " + ".join(f"exact{index}(values)" for index in range(len(self.clauses)))
            emitter.line(f"return {total or '()'}")
        emitter.line("out = ()")
        self.load_names()
        for index in range(len(self.clauses)):
            self.clause(index, "values", "out")
        emitter.line("return out")
        return emitter.lines

    def filter(self) -> list[str]:
        emitter = self.emitter
        fixed = [i for i, clause in enumerate(self.clauses) if self.varying not in _roots(clause)]
        moving = [i for i in range(len(self.clauses)) if i not in fixed]
        body = self.member_loop(moving)
        head = ["def filter_(shared, members):"]
        emitter.lines, emitter.indent = head, 1
        self.load_shared()
        emitter.line("base = ()")
        emitter.shared, shared = frozenset[str](), emitter.shared
        memos, emitter.memos = emitter.memos, {}
        for index in fixed:
            self.clause(index, "shared", "base")
        emitter.shared, emitter.memos = shared, memos
        return [*head, *emitter.prologue, *body]

    def load_shared(self) -> None:
        emitter = self.emitter
        for root in sorted(emitter.shared):
            with emitter.block("try"):
                emitter.line(f"{self.emitter.root_name(root)} = shared[{root!r}]")
                self.check_roots([root])
            with emitter.block("except Exception"):
                emitter.line(f"{self.emitter.root_name(root)} = POISON")

    def member_loop(self, moving: Sequence[int]) -> list[str]:
        emitter = self.emitter
        member = emitter.root_name(self.varying)
        emitter.lines = []
        emitter.indent = 1
        emitter.line("results = []")
        emitter.line("append = results.append")
        with emitter.block(f"for {member} in members"):
            emitter.line("out = base")
            values = f"{{**shared, {self.varying!r}: {member}}}"
            with emitter.block("try"):
                self.check_roots([self.varying] if moving else [])
                self.load_records()
                emitter.line("pass")
            with emitter.block("except Exception"):
                for index in moving:
                    emitter.line(f"out += exact{index}({values})")
                emitter.line("append(ordered(out))")
                emitter.line("continue")
            self.load_names()
            for index in moving:
                self.clause(index, values, "out")
            emitter.line("append(ordered(out) if base else out)")
        emitter.line("return results")
        return emitter.lines


def _ordered(findings: Findings) -> Findings:
    """Findings in the order of their clauses."""
    return tuple(sorted(findings, key=lambda finding: finding.index))


_RUNTIME: Final[Mapping[str, object]] = {
    "POISON": POISON,
    "UNSET": object(),
    "Duration": Duration,
    "Timestamp": Timestamp,
    "bail": bail,
    "int64": int64,
    "item": item,
    "number": number,
    "ordered": _ordered,
    "short": short,
    "small": small,
    "text_list": text_list,
    "text_set": text_set,
}


# --- what clauses contain --------------------------------------------------------------------


def _own(clause: Clause) -> list[ir.Checked]:
    return [clause.condition] if clause.when is None else [clause.when, clause.condition]


def _roots(clause: Clause) -> frozenset[str]:
    return frozenset(root for expression in _own(clause) for root in expression.roots)


def _expressions(clause: Clause) -> list[ir.Checked]:
    """The clause's expressions and the named ones they use."""
    found = {id(e): e for own in _own(clause) for e in (own, *own.named.values())}
    return list(found.values())


def _named_uses(clause: Clause) -> list[ir.Checked]:
    return [
        node.expression
        for expression in _expressions(clause)
        for node in _walk(expression.root)
        if isinstance(node, ir.Named)
    ]


def _walk(root: ir.Node) -> Iterable[ir.Node]:
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(ir.children(node))


def _count_records(root: ir.Node, counts: dict[tuple[str, ...], int]) -> None:
    """Count the reads of each record that a schema says is always there."""
    for node in _walk(root):
        if isinstance(node, (ir.Select, ir.Has)):
            owner = node.operand
            path = ir.path_of(owner)
            if path is not None and len(path) > 1 and _always_there(owner):
                counts[path] = counts.get(path, 0) + 1


def _always_there(node: ir.Node) -> bool:
    while isinstance(node, ir.Select):
        if node.maybe_absent or not isinstance(node.type, Record):
            return False
        node = node.operand
    return isinstance(node, ir.Var)


def _loop_bound(clauses: Sequence[Clause]) -> int:
    """The longest list for which no clause could exhaust the work budget of the exact evaluator."""
    bound = 10_000
    for clause in clauses:
        loads = [_loads(expression.root, 0) for expression in _expressions(clause)]
        weights = [weight for load in loads for weight in load]
        while bound > 0 and sum(factor * bound**depth for depth, factor in weights) > WORK_UNITS:
            bound = bound * 3 // 4
    return bound


def _call_loads(node: ir.Call, depth: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    if node.function.result_size(_PROBE) is not None:
        found.append((depth, traversal(PRODUCED_MAX)))
    if node.function.heavy:
        # The cost rules are polynomials: what they say of 10 tells their degree and factor.
        units = work(node.function, [10] * len(node.arguments))
        degree = len(str(units)) - 1
        found.append((depth + degree, -(-units // 10**degree)))
    return found


_PROBE: Final = (1, 1, 1, 1)


def _loads(node: ir.Node, depth: int) -> list[tuple[int, int]]:
    """(loop depth, units) of everything below *node* that is work."""
    inner = depth + 1 if isinstance(node, ir.Fold) else depth
    found: list[tuple[int, int]] = []
    if isinstance(node, ir.Fold):
        found.append((inner, STEP_UNITS + 1))
    if isinstance(node, ir.Call):
        found.extend(_call_loads(node, depth))
    for child in ir.children(node):
        at = depth if isinstance(node, ir.Fold) and child is node.target else inner
        found.extend(_loads(child, at))
    return found
