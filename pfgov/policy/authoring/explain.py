"""One decision in full: what every rule said, with the value of every sub-expression.

For people and for ``--json``; never on the hot path.  The trace comes from the exact evaluator run
once more with a recorder, so it cannot disagree with the decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Reason, Verdict
from pfgov.core.wording import all_of
from pfgov.policy.authoring.nearmiss import Change, nearest_miss
from pfgov.policy.cel import Checked, Failure
from pfgov.policy.cel.trace import Trace, trace
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.judging.messages import show
from pfgov.policy.judging.reasons import Explainer

Status = Literal["satisfied", "not applicable", "applies", "failed", "undecided"]

_STEPS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Step:
    """A sub-expression with its value, as text; ``depth`` is how deep it stands."""

    depth: int
    text: str
    value: str


@dataclass(frozen=True, slots=True)
class RuleView:
    """What one rule said.

    Attributes:
        name: ``policy/rule``.
        kind: ``require``, ``deny``, ``escalate`` or ``oblige``.
        status: What came of it.
        shadow: Recorded, never binding.
        reason: Why it binds, if it does.
        steps: Its ``when`` and its condition, sub-expression by sub-expression.
    """

    name: str
    kind: str
    status: Status
    shadow: bool
    reason: Reason | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One decision: the verdict, every rule, and what would have to be different."""

    verdict: Verdict
    rules: tuple[RuleView, ...]
    changes: tuple[Change, ...] | None

    @property
    def nearest(self) -> str | None:
        """``would be eligible with trust_score 0.9; has 0.87``, or None."""
        if not self.changes:
            return None
        asked = sorted({r.to for r in self.verdict.reasons if r.effect == "escalate" and r.to})
        after = (
            f", once {all_of(asked)} {'agrees' if len(asked) == 1 else 'agree'}" if asked else ""
        )
        return f"would be eligible with {', and '.join(c.sentence for c in self.changes)}{after}"

    @property
    def distance(self) -> int | None:
        """How far the member is from being eligible (:mod:`pfgov.core.nearness`); None where nothing was found."""
        return None if self.changes is None else sum(change.distance for change in self.changes)

    def as_dict(self, *, rules: bool = True) -> dict[str, object]:
        """Return the explanation as ``--json`` prints it, with every rule's steps if *rules* are asked for."""
        made = {
            **verdict_dict(self.verdict),
            "nearest_miss": self.nearest,
            "distance": self.distance,
        }
        return {**made, "rules": self._rules()} if rules else made

    def _rules(self) -> list[dict[str, object]]:
        return [
            {
                "rule": rule.name,
                "kind": rule.kind,
                "status": rule.status,
                "shadow": rule.shadow,
                "steps": [{"depth": s.depth, "text": s.text, "value": s.value} for s in rule.steps],
            }
            for rule in self.rules
        ]


_NEAREST_KINDS: Final = 8


def nearest_of_each_kind(every: Mapping[str, Explanation]) -> list[str]:
    """Return the names of those of *every* that are nearest to being eligible, one for each set of denying rules."""
    nearest: dict[frozenset[str], tuple[int, str]] = {}
    for name, found in every.items():
        if found.changes and found.distance is not None:
            kind = frozenset(r.name for r in found.verdict.reasons if r.effect == "deny")
            here = (found.distance, name)
            nearest[kind] = min(here, nearest.get(kind, here))
    return [name for _, name in sorted(nearest.values())[:_NEAREST_KINDS]]


def verdict_dict(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as ``--json`` prints it."""
    return {
        "decision": verdict.outcome,
        "reasons": [_reason_dict(reason) for reason in verdict.reasons],
        "obligations": [
            {"type": item.type, "paths": list(item.paths), "to": item.to}
            for item in verdict.obligations
        ],
        "shadow": [_reason_dict(reason) for reason in verdict.shadow],
    }


def _reason_dict(reason: Reason) -> dict[str, object]:
    return {
        "rule": reason.name,
        "effect": reason.effect,
        "cause": reason.cause,
        "message": reason.message,
        "observed": reason.observed,
        "bound": reason.bound,
        "missing": reason.missing,
        "to": reason.to,
    }


def explain(policies: PolicySet, question: Question, member: Mapping[str, object]) -> Explanation:
    """Judge *member* and say everything about it."""
    verdict = policies.judge_one(question, member)
    values = policies.values(question, member)
    rules = tuple(_rule(planned, values) for planned in policies.judges[question.point].rules)
    return Explanation(verdict, rules, nearest_miss(policies, question, member))


def _rule(planned: PlannedRule, values: Mapping[str, object]) -> RuleView:
    steps: list[Step] = []
    when = _steps(planned.when, values, steps, 0)
    condition: object = None
    if when in {None, True}:
        condition = _steps(planned.condition, values, steps, 0)
    status, bound = _status(planned.rule.kind, when, condition)
    reason = Explainer(planned).reason(values) if bound else None
    return RuleView(planned.name, planned.rule.kind, status, planned.shadow, reason, tuple(steps))


def _status(kind: str, when: object, condition: object) -> tuple[Status, bool]:
    """Return the status of a rule, and whether it binds."""
    if type(when) is Failure or type(condition) is Failure:
        return "undecided", True
    if when is False:
        return "not applicable", False
    if kind == "escalate":
        return "applies", True
    if kind == "oblige":
        return "applies", False
    return ("satisfied", False) if condition is (kind == "require") else ("failed", True)


def steps_of(checked: Checked, values: Mapping[str, object]) -> tuple[Step, ...]:
    """Return the value of *checked*, whatever its type, and of its parts, outermost first."""
    steps: list[Step] = []
    _walk(trace(checked, values), steps, 0)
    return tuple(steps)


def _steps(
    checked: Checked | None, values: Mapping[str, object], steps: list[Step], depth: int
) -> object:
    """Add the trace of *checked* to *steps* and return its value; None without an expression."""
    if checked is None:
        return None
    root = trace(checked, values)
    _walk(root, steps, depth)
    return root.value if type(root.value) in {bool, Failure} else Failure("type", None, "")


def _walk(node: Trace, steps: list[Step], depth: int) -> None:
    if len(steps) >= _STEPS_MAX:
        return
    text = " ".join(node.text.split())
    if depth and not node.children and text[:1] in "\"'0123456789[-":
        return  # a literal says nothing that its parent does not show
    steps.append(Step(depth, text, _shown(node.value)))
    if text.startswith("has("):
        return  # the whole record behind the question is no news
    for child in node.children:
        if child.text != node.text or child.children:
            _walk(child, steps, depth + 1)


def _shown(value: object) -> str:
    if type(value) is Failure:
        return f"{value.kind}: {value.message}"
    return show(value)
