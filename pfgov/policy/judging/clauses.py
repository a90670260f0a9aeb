"""What the compiler hands to the judge: checked rules, each with one clause that must be true.

A rule's *clause* says in one expression when the rule is satisfied: ``when ? condition : true`` for
``require``, ``when ? !condition : true`` for ``deny``, ``!when`` for ``escalate``.  A clause that is
anything but true (false, missing, error) binds.  The conditional keeps its meaning fail-closed: an
error in ``when`` is an error of the clause, whatever the condition says.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pfgov.policy.cel import Checked, ir
from pfgov.policy.cel.library import STANDARD
from pfgov.policy.cel.syntax import Span
from pfgov.policy.cel.types import BOOL
from pfgov.policy.files.model import Rule, RuleKind

_NOWHERE = Span(0, 0, 1, 1)


@dataclass(frozen=True, slots=True)
class Message:
    """A template: literal pieces, and between them the expressions of the paths."""

    pieces: tuple[str, ...]
    values: tuple[Checked, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedRule:
    """One rule at one decision point, ready to be evaluated.

    Attributes:
        policy: Its policy's name.
        rule: As it was written.
        shadow: Recorded, never binding.
        when: Its checked ``when``.
        condition: Its checked ``require`` or ``deny``.
        message: Its template.
        clause: True exactly when the rule neither denies nor escalates.
        semantics: The number of the meaning under which its set was written: how its reasons read.
    """

    policy: str
    rule: Rule
    shadow: bool
    when: Checked | None
    condition: Checked | None
    message: Message | None
    clause: Checked
    semantics: int

    @property
    def name(self) -> str:
        """``policy/rule``."""
        return f"{self.policy}/{self.rule.id}"


def clause_of(kind: RuleKind, when: Checked | None, condition: Checked | None) -> Checked:
    """Return the one condition that must be true for the rule to be satisfied."""
    true = ir.Const(_NOWHERE, BOOL, value=True)
    parts = [part for part in (when, condition) if part is not None]
    if kind == "escalate":
        assert when is not None
        body: ir.Node = _not(_named("when", when))
    elif kind == "oblige":
        # Applying is not a fault, but an error or an absent fact in `when` is.
        assert when is not None
        body = ir.Ternary(_NOWHERE, BOOL, _named("when", when), true, true)
    else:
        assert condition is not None
        inner: ir.Node = _named("condition", condition)
        body = _not(inner) if kind == "deny" else inner
        if when is not None:
            body = ir.Ternary(_NOWHERE, BOOL, _named("when", when), body, true)
    return _joined(body, parts)


def _not(node: ir.Node) -> ir.Node:
    return ir.Call(_NOWHERE, BOOL, STANDARD["!_"], (node,))


def _named(name: str, checked: Checked) -> ir.Node:
    return ir.Named(_NOWHERE, BOOL, name, checked)


def _joined(body: ir.Node, parts: list[Checked]) -> Checked:
    if len(parts) == 1 and isinstance(body, ir.Named):
        return parts[0]
    named: dict[str, Checked] = {}
    for part in parts:
        named.update(part.named)
    named.update(zip(("when", "condition"), parts, strict=False))
    return Checked(
        source="; ".join(part.source for part in parts),
        root=body,
        type=BOOL,
        cost=sum(part.cost for part in parts) + 2,
        size=1,
        slots=0,
        roots=frozenset[str]().union(*(part.roots for part in parts)),
        paths=_paths(parts),
        named=named,
        time=sum(part.time for part in parts) + 2,
    )


def _paths(parts: Iterable[Checked]) -> tuple[ir.Access, ...]:
    found: dict[tuple[str, ...], ir.Access] = {}
    for part in parts:
        for access in part.paths:
            known = found.get(access.path)
            found[access.path] = (
                access
                if known is None
                else ir.Access(
                    access.path,
                    access.optional or known.optional,
                    access.guarded and known.guarded,
                )
            )
    return tuple(found[path] for path in sorted(found))
