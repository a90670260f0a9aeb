"""Why a rule was not satisfied: the reason with its sentence, the value seen and the bound missed.

Only a rule whose clause was not true comes here, so a decision that allows pays nothing.  The
reason is a function of the facts that the rule reads.  The values are taken with the exact
evaluator, sub-expression by sub-expression: the first part that failed is the one that is shown.
This module decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from pfgov.core.verdicts import Reason
from pfgov.policy.cel import Checked, Failure, ir, value_of
from pfgov.policy.cel.errors import FailureKind
from pfgov.policy.cel.library import STANDARD
from pfgov.policy.cel.types import BOOL
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.evaluator import look
from pfgov.policy.judging.messages import ABSENT, fill, shorten, show

Values = Mapping[str, object]

CAUSES: Final[dict[FailureKind, str]] = {
    "missing": "missing_input",
    "type": "type_error",
    "error": "evaluation_error",
    "cost": "cost_exceeded",
}
"""The reserved reason for each way in which a condition has no value."""

_COMPARISONS: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_", "@in"})
_SENTENCE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Focus:
    """The part of a condition that decided it, with the values of its two sides.

    Attributes:
        owner: The expression that the part belongs to.
        node: The smallest part that decided.
        observed: The side that reads the candidate, as text.
        bound: The other side, as text, or None.
        wanted: Whether the part should have been true.
    """

    owner: Checked
    node: ir.Node
    observed: str | None
    bound: str | None
    wanted: bool


@dataclass(frozen=True, slots=True)
class Side:
    """One value that a reason tells of.

    Attributes:
        roots: The roots that it reads.
        value: Takes it from the facts.
        text: Writes it down.
    """

    roots: frozenset[str]
    value: Callable[[Values], object]
    text: Callable[[object], str | None]


class Explainer:
    """Makes reasons for one rule."""

    def __init__(self, planned: PlannedRule) -> None:
        self._planned = planned
        self._programs: dict[int, Callable[[Values], object]] = {}
        self._message = [value_of(checked) for checked in _message_values(planned)]
        self._clause = value_of(planned.clause)
        self._when = None if planned.when is None else value_of(planned.when)

    def reason(self, values: Values) -> Reason:
        """Return why the rule is not satisfied by *values*."""
        look()
        outcome = self._clause(values)
        if type(outcome) is Failure:
            return self._undecided(values, outcome)
        focus = self.focus(values)
        shown = [said(value(values)) for value in self._message]
        return self.rendered(
            focus.observed if focus else None, focus.bound if focus else None, shown
        )

    def rendered(self, observed: str | None, bound: str | None, shown: Sequence[str]) -> Reason:
        """Return the reason of a rule that was decided, from the texts of the values that it tells of."""
        planned, rule = self._planned, self._planned.rule
        if planned.message is not None:
            message = fill(planned.message.pieces, shown)
        else:
            message = self._sentence(observed, bound)
        effect: Literal["deny", "escalate"] = "escalate" if rule.kind == "escalate" else "deny"
        return Reason(
            planned.policy, rule.id, effect, "violated", message, observed, bound, None, rule.to,
            rule.expires, rule.approvals,
        )  # fmt: skip

    def _undecided(self, values: Values, failure: Failure) -> Reason:
        when = self._when(values) if self._when is not None else True
        part = "`when`" if type(when) is Failure else f"`{self._planned.rule.kind}`"
        return Reason(
            policy=self._planned.policy,
            rule=self._planned.rule.id,
            effect="deny",
            cause=CAUSES[failure.kind],
            message=shorten(f"{part} cannot be decided: {failure.message}", _SENTENCE_MAX),
            missing=failure.path if failure.kind == "missing" else None,
        )

    def teller(
        self, fixed: Sequence[str | None], varies: Sequence[bool]
    ) -> Callable[[Sequence[str | None]], Reason]:
        """Return what makes reasons like :meth:`told` does, from the texts of :meth:`sides`.

        Those that do not vary are *fixed*; of the others each reason has its own.
        """
        planned, rule = self._planned, self._planned.rule
        pieces, places = [""], list[int]()
        if planned.message is not None:
            pieces[0] = planned.message.pieces[0]
            for index, piece in enumerate(planned.message.pieces[1:], 2):
                if varies[index]:
                    places.append(index)
                    pieces.append(piece)
                else:
                    pieces[-1] += f"{fixed[index]}{piece}"
        policy, name, to, expires = planned.policy, rule.id, rule.to, rule.expires
        own_observed, own_bound = varies[0], varies[1]

        def tell(texts: Sequence[str | None]) -> Reason:
            observed = texts[0] if own_observed else fixed[0]
            bound = texts[1] if own_bound else fixed[1]
            if planned.message is None:
                message = self._sentence(observed, bound)
            else:
                message = fill(pieces, [texts[place] or "" for place in places])
            return Reason(
                policy, name, "deny", "violated", message, observed, bound, None, to, expires
            )

        return tell

    def _sentence(self, observed: str | None, bound: str | None) -> str:
        planned, rule = self._planned, self._planned.rule
        if rule.kind == "escalate":
            source = planned.when.source if planned.when else ""
            return shorten(f"{rule.to} must agree: {_squeeze(source)}", _SENTENCE_MAX)
        source = _squeeze(planned.condition.source if planned.condition else "")
        lead = "requires" if rule.kind == "require" else "denied because"
        tail = ""
        if observed is not None:
            tail = f" (observed {observed}"
            tail += f", bound {bound})" if bound is not None else ")"
        return shorten(f"{lead} {source}{tail}", _SENTENCE_MAX)

    # --- what decided ---------------------------------------------------------------------------

    def focus(self, values: Values) -> Focus | None:
        """Return the part of the rule's condition that made it bind."""
        planned = self._planned
        if planned.rule.kind == "escalate" and planned.when is not None:
            return self._descend(planned.when, planned.when.root, values, wanted=False)
        if planned.condition is None:
            return None
        wanted = planned.rule.kind == "require"
        return self._descend(planned.condition, planned.condition.root, values, wanted=wanted)

    def sides(self) -> tuple[Side, ...] | None:
        """Return the parts that a reason tells of, where these are the same whatever the values; else None.

        They are the two sides of the one comparison that the condition consists of, the observed one first, and then
        what the message shows.
        """
        planned = self._planned
        if planned.rule.kind == "escalate" or planned.condition is None:
            return None
        owner, node = planned.condition, planned.condition.root
        while True:
            match node:
                case ir.Named(expression=expression):
                    owner, node = expression, expression.root
                case ir.Call(function=function, arguments=(only,)) if function is STANDARD["!_"]:
                    node = only
                case ir.Call(arguments=(left, right)):
                    pair = _observed_first(left, right)
                    compared = [
                        Side(_roots(part), partial(self.value, owner, part), _text) for part in pair
                    ]
                    rendered = [
                        Side(checked.roots, value, said)
                        for checked, value in zip(
                            _message_values(planned), self._message, strict=True
                        )
                    ]
                    return (*compared, *rendered)
                case _:
                    return None

    def _descend(self, owner: Checked, node: ir.Node, values: Values, *, wanted: bool) -> Focus:
        match node:
            case ir.Named(expression=expression):
                return self._descend(expression, expression.root, values, wanted=wanted)
            case ir.Logic(operands=operands):
                guilty = [p for p in operands if self.value(owner, p, values) is not wanted]
                chosen = guilty[0] if guilty else operands[0]
                # Where all of them are guilty, one that reads the candidate says most.
                if (node.kind == "any") is wanted:
                    about = [part for part in guilty if _reads_candidate(part)]
                    chosen = about[0] if about else chosen
                return self._descend(owner, chosen, values, wanted=wanted)
            case ir.Call(function=function, arguments=(only,)) if function is STANDARD["!_"]:
                return self._descend(owner, only, values, wanted=not wanted)
            case ir.Ternary(condition=condition, then=then, otherwise=otherwise):
                taken = then if self.value(owner, condition, values) is True else otherwise
                return self._descend(owner, taken, values, wanted=wanted)
            case ir.Call(arguments=(left, right)):
                left, right = _observed_first(left, right)
                return self._two_sides(owner, node, left, right, values, wanted=wanted)
            case ir.Fold(target=target):
                return self._fold(owner, node, target, values, wanted=wanted)
            case ir.Has(operand=operand, name=name):
                path = ir.path_of(operand)
                shown = ".".join((*path, name)) if path else name
                held = "present" if self.value(owner, node, values) is True else "absent"
                return Focus(owner, node, f"{shown} is {held}", None, wanted)
            case _:
                observed = _text(self.value(owner, node, values))
                return Focus(owner, node, observed, "true" if wanted else "false", wanted)

    def _two_sides(
        self, owner: Checked, node: ir.Node, left: ir.Node, right: ir.Node, values: Values, *,
        wanted: bool,
    ) -> Focus:  # fmt: skip
        observed = _text(self.value(owner, left, values))
        return Focus(owner, node, observed, _text(self.value(owner, right, values)), wanted)

    def _fold(
        self, owner: Checked, node: ir.Fold, target: ir.Node, values: Values, *, wanted: bool
    ) -> Focus:
        """Of ``all`` and ``exists`` show the items that decided, against what the candidate has."""
        body = node.condition
        seen = candidate_part(body) if body is not None else None
        observed = None if seen is None else _text(self.value(owner, seen, values))
        items = self.guilty(owner, node, values, wanted=wanted)
        if items in (None, []) or type(items) is Failure:
            items = self.value(owner, target, values)
        if observed is None:
            return Focus(owner, node, _text(items), None, wanted)
        return Focus(owner, node, observed, _text(items), wanted)

    def guilty(self, owner: Checked, node: ir.Fold, values: Values, *, wanted: bool) -> object:
        """Return the items for which an ``all`` is false, or an ``exists`` true; None elsewhere."""
        body = node.condition
        if body is None or len(node.locals) != 1 or (node.kind == "all") is not wanted:
            return None
        if node.kind not in {"all", "exists"}:
            return None
        picked = body
        if node.kind == "all":
            picked = ir.Call(body.span, BOOL, STANDARD["!_"], (body,))
        found = ir.Fold(
            node.span, node.target.type, "filter", node.target, node.locals, picked, None
        )
        return self.value(owner, found, values, key=id(node))

    def value(
        self, owner: Checked, node: ir.Node, values: Values, key: int | None = None
    ) -> object:
        """Return the value of one part of *owner*, or the failure that took its place."""
        at = id(node) if key is None else -key
        program = self._programs.get(at)
        if program is None:
            part = Checked(
                owner.source, node, node.type, owner.cost, owner.size, owner.slots, owner.roots,
                owner.paths, owner.named,
            )  # fmt: skip
            program = value_of(part)
            self._programs[at] = program
        return program(values)


def _text(value: object) -> str | None:
    if type(value) is Failure:
        return ABSENT if value.kind == "missing" else None
    return shorten(show(value), _SENTENCE_MAX)


def said(value: object) -> str:
    """Return how a message shows *value*."""
    return ABSENT if type(value) is Failure else show(value)


def _observed_first(left: ir.Node, right: ir.Node) -> tuple[ir.Node, ir.Node]:
    swapped = _reads_candidate(right) and not _reads_candidate(left)
    return (right, left) if swapped else (left, right)


def _roots(node: ir.Node) -> frozenset[str]:
    found: set[str] = set()
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ir.Var):
            found.add(part.name)
        elif isinstance(part, ir.Named):
            found |= part.expression.roots
        stack.extend(ir.children(part))
    return frozenset(found)


def _squeeze(source: str) -> str:
    return " ".join(source.split())


def _reads_candidate(node: ir.Node) -> bool:
    return candidate_part(node) is not None


def candidate_part(node: ir.Node) -> ir.Node | None:
    """Return the first access of the member (or of the last owner) inside *node*."""
    stack = [node]
    while stack:
        current = stack.pop()
        path = ir.path_of(current)
        if path is not None:
            if path[0] in {"member", "source", "principal"}:
                return current
            continue
        if isinstance(current, ir.Named):
            stack.append(current.expression.root)
        stack.extend(reversed(ir.children(current)))
    return None


def _message_values(planned: PlannedRule) -> tuple[Checked, ...]:
    return planned.message.values if planned.message else ()
