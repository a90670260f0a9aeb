"""What an expression means here and would not mean in another engine that calls itself CEL.

The specification leaves these open, or has them not at all, and cel-go has decided otherwise.  None is wrong here;
a policy that was written for another engine may have meant something else.  ``docs/reference/cel.md`` lists them all.
"""

from collections.abc import Iterator
from typing import Final

from pfgov.policy.cel import Checked, ir
from pfgov.policy.cel.types import DOUBLE, DURATION, STRING, CelType, fits
from pfgov.policy.files.model import KERNEL, Text
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import Problem
from pfgov.policy.soundness import expression_texts

CODE: Final = "policy.not_portable"

DIFFERENCES: Final[dict[str, tuple[CelType, str, str]]] = {
    "int": (
        DURATION,
        "int() of a duration is seconds here; cel-go gives nanoseconds, and the specification has no such conversion",
        "write d.getSeconds(), or compare with another duration",
    ),
    "double": (
        STRING,
        "double() of a text beyond every double, such as 1e400, is infinite here and an error in cel-go",
        "compare numbers that are facts already",
    ),
    "string": (
        DOUBLE,
        "string() of a double writes 1000000 here and 1e+06 in cel-go",
        "compare numbers, not their text",
    ),
    "math.greatest": (
        DOUBLE,
        "math.greatest() passes over a NaN that is not its first argument here; cel-go fails",
        "ask math.isNaN() first",
    ),
    "math.least": (
        DOUBLE,
        "math.least() passes over a NaN that is not its first argument here; cel-go fails",
        "ask math.isNaN() first",
    ),
}
"""Function -> the type of an argument for which it differs, how, and what to write instead."""


def unportable(policies: PolicySet) -> list[Problem]:
    """Return a warning for each use, in any policy but the kernel's, of what differs."""
    texts = expression_texts(policies)
    found: dict[Problem, None] = {}
    for judge in policies.judges.values():
        for planned in judge.rules:
            if planned.policy == KERNEL:
                continue
            rule = planned.rule
            for text, checked in ((rule.when, planned.when), (rule.condition, planned.condition)):
                if text is None or checked is None:
                    continue
                found.update(dict.fromkeys(_of(text, checked)))
                for name, inner in checked.named.items():
                    named = texts.get((planned.policy, name))
                    if named is not None:
                        found.update(dict.fromkeys(_of(named, inner)))
    return list(found)


def _is(found: CelType, wanted: CelType) -> bool:
    """Whether *found* is *wanted*, within whatever bounds, and known to be."""
    return type(found) is type(wanted) and fits(found, wanted)


def _of(text: Text, checked: Checked) -> Iterator[Problem]:
    waiting = [checked.root]
    while waiting:
        node = waiting.pop()
        waiting += ir.children(node)
        if not isinstance(node, ir.Call):
            continue
        known = DIFFERENCES.get(node.function.name)
        if known is not None and any(_is(argument.type, known[0]) for argument in node.arguments):
            _, what, instead = known
            at = node.span
            yield text.problem(CODE, what, at.line, at.column, instead, severity="warning")
