"""``pfgov policy bench``: how fast a policy set decides, and which rules are dear."""

import time

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.output import facts, table
from pfgov.cli.policy import policy
from pfgov.cli.policy_sets import asked

SHOWN_MAX = 10
"""Rules that people are shown; the JSON object has them all."""


@verb(
    policy,
    "bench",
    examples=("pfgov policy bench policies", "pfgov policy bench policies --seconds 5 --json"),
    then="see what a dear rule does: pfgov policy eval --explain --help",
)
@click.argument("against", metavar="[DIR|DIGEST|BUNDLE]", required=False)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=2.0,
    show_default=True,
    help="How long to ask in all; the rules alone take as long again.",
)
def bench(output: Output, against: str | None, seconds: float) -> int:
    """Say how many verdicts a second a policy set gives, and its dearest rules.

    Every decision point that the set covers is asked about invented packets and members, 32 members to a question; a
    verdict is about one member. The facts are the same in every run, the times are those of this machine: compare
    two sets on one machine, one after the other. Without a name it is the binding set, or the starter set where there
    is no ledger.
    """
    from pfgov.policy.authoring.measuring import measure

    chosen = asked(output, against)
    found = measure(chosen.policies, time.process_time, seconds)
    rates = [
        {
            "point": one.point.value,
            "rules": one.rules,
            "verdicts": one.verdicts,
            "per_second": round(one.per_second),
        }
        for one in found.points
    ]
    rules = [
        {"rule": one.name, "point": one.point.value, "microseconds": round(one.microseconds, 3)}
        for one in found.rules
    ]
    output.show(
        {"points": rates, "rules": rules, **chosen.result()},
        table(
            ("!POINT", "#RULES", "#VERDICTS A SECOND"),
            [(one.point.value, one.rules, f"{one.per_second:,.0f}") for one in found.points],
        ),
        "",
        table(
            ("!RULE", "POINT", "#MICROSECONDS"),
            [
                (one.name, one.point.value, f"{one.microseconds:,.2f}")
                for one in found.rules[:SHOWN_MAX]
            ],
        ),
        facts(
            [("processor time", f"{sum(one.seconds for one in found.points):.1f} s at the points")]
        ),
        chosen.line(),
    )
    return 0
