"""Why a rule was not satisfied: the reason with its sentence, the value seen and the bound missed.

Only a rule whose clause was not true comes here, so a decision that allows pays nothing.  The
reason is a function of the facts that the rule reads.  The values are taken with the exact
evaluator, sub-expression by sub-expression; which part is shown is said in :mod:`.deciding`.
This module decides nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, cast

from pfgov.core.verdicts import Reason
from pfgov.policy.cel import Checked, Failure, ir, value_of
from pfgov.policy.cel.errors import FailureKind
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.deciding import NOT, SHOWS_WHAT_DECIDED, Finder, Focus, Here, Values
from pfgov.policy.judging.deciding_before import FinderBefore
from pfgov.policy.judging.evaluator import Facts, Fingerprint, look, paths_of
from pfgov.policy.judging.messages import SENTENCE_MAX, fill, shorten
from pfgov.policy.limits import REASONS_KEPT_MAX

CAUSES: Final[dict[FailureKind, str]] = {
    "missing": "missing_input",
    "type": "type_error",
    "error": "evaluation_error",
    "cost": "cost_exceeded",
}
"""The reserved reason for each way in which a condition has no value."""

_VALUE_IN_SENTENCE: Final = 60
"""Characters of a value in a sentence that would be too long with the whole of it."""


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
        self._shows_what_decided = planned.semantics >= SHOWS_WHAT_DECIDED
        self._finder = Finder() if self._shows_what_decided else FinderBefore()
        self._message = [value_of(checked) for checked in _message_values(planned)]
        self._clause = value_of(planned.clause)
        self._when = None if planned.when is None else value_of(planned.when)
        self._fingerprint = Fingerprint(paths_of(planned))
        self._known: dict[tuple[object, object], Reason] = {}

    def remembered(self, values: Values) -> Reason:
        """Return what :meth:`reason` does, made once for equal facts; *values* are from validated models."""
        read = self._fingerprint
        key = (read.shared(values), read.member(cast("Facts", values["member"])))
        known = self._known.get(key)
        if known is None:
            known = self.reason(values)
            if len(self._known) >= REASONS_KEPT_MAX:
                self._known.clear()
            self._known[key] = known
        return known

    def reason(self, values: Values) -> Reason:
        """Return why the rule is not satisfied by *values*."""
        look()
        outcome = self._clause(values)
        if type(outcome) is Failure:
            return self._undecided(values, outcome)
        focus = self.focus(values)
        shown = [self._finder.said(value(values)) for value in self._message]
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
            message=shorten(f"{part} cannot be decided: {failure.message}", SENTENCE_MAX),
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
            return shorten(f"{self._askers()} must agree: {_squeeze(source)}", SENTENCE_MAX)
        source = _squeeze(planned.condition.source if planned.condition else "")
        lead = "requires" if rule.kind == "require" else "denied because"
        said = f"{lead} {source}{_tail(observed, bound)}"
        if len(said) <= SENTENCE_MAX or not self._shows_what_decided:
            return shorten(said, SENTENCE_MAX)
        seen, missed = (text and shorten(text, _VALUE_IN_SENTENCE) for text in (observed, bound))
        tail = _tail(seen, missed)
        return f"{lead} {shorten(source, SENTENCE_MAX - len(lead) - len(tail) - 1)}{tail}"

    def _askers(self) -> str:
        rule = self._planned.rule
        if rule.approvals > 1 and self._shows_what_decided:
            return f"{rule.approvals} different principals with the right {rule.to}"
        return str(rule.to)

    # --- what decided ---------------------------------------------------------------------------

    def focus(self, values: Values) -> Focus | None:
        """Return the part of the rule's condition that made it bind."""
        planned = self._planned
        if planned.rule.kind == "escalate" and planned.when is not None:
            checked, wanted = planned.when, False
        elif planned.condition is not None:
            checked, wanted = planned.condition, planned.rule.kind == "require"
        else:
            return None
        return self._finder.descend(Here(checked), checked.root, values, wanted=wanted)

    def sides(self) -> tuple[Side, ...] | None:
        """Return the parts that a reason tells of, where these are the same whatever the values; else None.

        They are the two sides of the one comparison that the condition consists of, the observed one first, and then
        what the message shows.
        """
        planned = self._planned
        if planned.rule.kind == "escalate" or planned.condition is None:
            return None
        here, node = Here(planned.condition), planned.condition.root
        while True:
            match node:
                case ir.Named(expression=expression):
                    here, node = Here(expression), expression.root
                case ir.Call(function=function, arguments=(only,)) if function is NOT:
                    node = only
                case ir.Call(arguments=(left, right)):
                    finder = self._finder
                    pair = finder.observed_first(left, right, here)
                    compared = [
                        Side(_roots(part), partial(finder.value, here, part), finder.shown)
                        for part in pair
                    ]
                    rendered = [
                        Side(checked.roots, value, finder.said)
                        for checked, value in zip(
                            _message_values(planned), self._message, strict=True
                        )
                    ]
                    return (*compared, *rendered)
                case _:
                    return None

    def value(self, here: Here, node: ir.Node, values: Values) -> object:
        """Return the value of one part of the condition, or the failure that took its place."""
        return self._finder.value(here, node, values)


def _tail(observed: str | None, bound: str | None) -> str:
    if observed is None:
        return ""
    return f" (observed {observed}" + (f", bound {bound})" if bound is not None else ")")


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


def _message_values(planned: PlannedRule) -> tuple[Checked, ...]:
    return planned.message.values if planned.message else ()
