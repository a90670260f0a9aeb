"""Expressions tried on facts: the value, and the value of every part, as a rule of a policy set would see them.

Nothing is judged here, and where facts and expressions come from is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pfgov.core.policy_port import Question
from pfgov.policy.authoring.explain import Step, steps_of
from pfgov.policy.cel import CelLoadError, check, parse
from pfgov.policy.compile import environment_of
from pfgov.policy.files.model import Policy
from pfgov.policy.judging.judge import PolicySet


@dataclass(frozen=True, slots=True)
class Tried:
    """An expression and what became of it.

    Attributes:
        text: As it was written.
        type: What it gives, such as ``bool``; empty where it does not compile.
        steps: It and its parts with their values, outermost first.
        problems: What is wrong with it, each with a hint where there is one.
    """

    text: str
    type: str = ""
    steps: tuple[Step, ...] = ()
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it as ``--json`` prints it."""
        return {
            "expression": self.text,
            "type": self.type or None,
            "value": self.steps[0].value if self.steps else None,
            "steps": [{"depth": s.depth, "text": s.text, "value": s.value} for s in self.steps],
            "problems": list(self.problems),
        }


class Trial:
    """One question and one member, on which expressions are tried."""

    def __init__(
        self,
        policies: PolicySet,
        question: Question,
        member: Mapping[str, object],
        *,
        names_of: Policy | None = None,
    ) -> None:
        """Use the facts of *question* and *member*, and the params, variables and imports of the policy *names_of*."""
        self.values = policies.values(question, member)
        self._environment = environment_of(policies.bundle, names_of, question.point)

    def value_of(self, text: str) -> Tried:
        """Return what *text* comes to, or what is wrong with it."""
        try:
            checked = check(parse(text), self._environment, None)
        except CelLoadError as error:
            return Tried(
                text,
                problems=tuple(
                    f"{one.message}; {one.hint}" if one.hint else one.message
                    for one in error.problems
                ),
            )
        return Tried(text, str(checked.type), steps_of(checked, self.values))
