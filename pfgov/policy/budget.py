"""What one decision may take: how long the rules of a set can run on one candidate, and how long all of it may.

Each expression has a bound of its own (:mod:`pfgov.policy.cel.limits`), and a thousand expressions at that bound would
keep a server busy for minutes.  So a set is refused whose rules, at one decision point, could take longer than
:data:`~pfgov.policy.limits.SET_TIME_UNITS_MAX` on one candidate, by what calls take by the clock.  That is asked of
sets that are about to become binding, never of one that a ledger recorded.  Whoever decides bounds the whole decision
as well (:mod:`pfgov.policy.judging.evaluator`).
"""

from collections.abc import Sequence

import msgspec

from pfgov.limits import ESCALATING_RULES_MAX, OBLIGATION_BYTES_MAX
from pfgov.policy import limits
from pfgov.policy.files.label_documents import PATTERNS_COST
from pfgov.policy.files.labels import Declarations, steps_of
from pfgov.policy.files.model import Definitions, Policy, Text
from pfgov.policy.judging.clauses import PlannedRule
from pfgov.policy.judging.judge import PolicySet
from pfgov.policy.problems import PolicyErrors, Problem


def too_costly(policies: PolicySet) -> list[Problem]:
    """Return a problem, at the costliest rule, for each decision point at which *policies* can take too long."""
    found: dict[str, Problem] = {}
    for point, judge in policies.judges.items():
        units = sum(rule.clause.time for rule in judge.rules)
        if units <= limits.SET_TIME_UNITS_MAX:
            continue
        worst = max(judge.rules, key=lambda rule: rule.clause.time)
        message = (
            f"at {point.value} the rules can take {units:,} units for one candidate, more than "
            f"{limits.SET_TIME_UNITS_MAX:,}; {worst.name} alone {worst.clause.time:,}"
        )
        found.setdefault(worst.name, _problem(worst, message))
    return [*found.values(), *_patterned(policies.labels)]


def _patterned(labels: Declarations) -> list[Problem]:
    """Return a problem, at the costliest label, if values can take too long to be held to their patterns."""
    steps = {
        label: _steps(label.pattern)
        for label in (*labels.packet.values(), *labels.member.values())
        if label.pattern is not None
    }
    total = sum(steps.values())
    if total <= limits.LABEL_PATTERN_STEPS_MAX:
        return []
    worst = max(steps, key=steps.__getitem__)
    most = limits.LABEL_PATTERN_STEPS_MAX
    message = f"the patterns of all labels have {total:,} steps, more than {most:,} in one set"
    return [worst.place.problem("policy.too_costly", message, hint=PATTERNS_COST)]


def require_affordable(policies: PolicySet) -> None:
    """Refuse a set whose rules can take too long on one candidate.

    Raises:
        PolicyErrors: ``policy.too_costly``.
    """
    problems = too_costly(policies)
    if problems:
        raise PolicyErrors(problems)


def _problem(rule: PlannedRule, message: str) -> Problem:
    text: Text | None = rule.rule.condition or rule.rule.when
    hint = (
        "loops inside loops multiply, and timestamps, conversions and patterns in them; declare bounds or simplify; "
        "write patterns out, and ask for a length by size()"
    )
    if text is None:
        return Problem("policy.too_costly", message, rule.policy, hint=hint)
    return text.problem("policy.too_costly", message, hint=hint)


def too_many(policies: Sequence[Policy]) -> list[Problem]:
    """Return a problem for each bound of what a set can put into one entry that *policies* pass: a review names every
    rule that escalates, and an owner gets every obligation.
    """
    found: list[Problem] = []
    rules = [rule for policy in policies for rule in policy.rules]
    escalating = [rule for rule in rules if rule.kind == "escalate"]
    if len(escalating) > ESCALATING_RULES_MAX:
        message = f"{len(escalating)} rules escalate: at most {ESCALATING_RULES_MAX} in one set"
        hint = "say in one rule what the same reviewers are asked for"
        found.append(escalating[-1].place.problem("policy.too_many", message, hint=hint))
    obliging = [rule for rule in rules if rule.obligations]
    size = sum(len(msgspec.json.encode(item)) + 1 for rule in obliging for item in rule.obligations)
    if size > OBLIGATION_BYTES_MAX:
        message = f"all obligations are {size:,} bytes: at most {OBLIGATION_BYTES_MAX:,} in one set"
        hint = "name what stands above several paths, or oblige to less"
        found.append(obliging[-1].place.problem("policy.too_many", message, hint=hint))
    return found


def _steps(pattern: str) -> int:
    try:
        return steps_of(pattern)
    except ValueError:
        return limits.LABEL_PATTERN_STEPS_MAX + 1  # of a set from before there was a bound


def too_many_patterns(
    policies: Sequence[Policy], definitions: Sequence[Definitions]
) -> list[Problem]:
    """Return a problem if the expressions of *policies* and *definitions* match more patterns than can be compiled."""
    texts = _texts(policies, definitions)
    total = sum(text.text.count("matches") for text in texts)
    if total <= limits.PATTERNS_MAX:
        return []
    message = f"`matches` stands {total:,} times in the expressions, more than {limits.PATTERNS_MAX:,} in one set"
    most = max(texts, key=lambda text: text.text.count("matches"))
    hint = "say in one pattern what several say, as in `a|b`"
    return [most.problem("policy.too_many", message, hint=hint)]


def too_long(policies: Sequence[Policy], definitions: Sequence[Definitions]) -> list[Problem]:
    """Return a problem if the expressions of *policies* and *definitions* are too much to be compiled."""
    texts = _texts(policies, definitions)
    total = sum(len(text.text) for text in texts)
    if total <= limits.SOURCE_CHARACTERS_MAX:
        return []
    message = f"the expressions are {total:,} characters, more than {limits.SOURCE_CHARACTERS_MAX:,} in one set"
    longest = max(texts, key=lambda text: len(text.text))
    return [
        longest.problem("policy.too_many", message, hint="say what repeats once, as a variable")
    ]


def _texts(policies: Sequence[Policy], definitions: Sequence[Definitions]) -> list[Text]:
    texts = [
        text
        for policy in policies
        for rule in policy.rules
        for text in (rule.when, rule.condition, rule.message)
        if text is not None
    ]
    for named in (*(one.variables for one in policies), *(one.variables for one in definitions)):
        texts += [variable.expression for variable in named]
    return texts
