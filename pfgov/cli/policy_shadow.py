"""``pfgov policy shadow`` and ``promote``: what policies in shadow mode would have done, and making one bind."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.output import table
from pfgov.cli.policy import policy
from pfgov.cli.policy_active import make_binding, report_option
from pfgov.cli.policy_impact import span_of, span_options
from pfgov.cli.policy_sets import uncovered_option


@verb(
    policy,
    "shadow",
    examples=("pfgov policy shadow", "pfgov policy shadow --since 2026-06-01T00:00:00Z"),
    then="make one of them bind: pfgov policy promote NAME",
)
@span_options
def shadow(output: Output, since: str | None, until: str | None, sample: int) -> int:
    """Say what the policies in shadow mode would have done, from the recorded decisions. Nothing is recorded.

    Each policy of the binding set that is in shadow mode is put in force, alone, and asked at every recorded decision,
    as `pfgov policy impact` asks a set. What would have followed from another answer is not guessed.
    """
    from pfgov.app.change.promoting import Shadowed, headline, promoted, shadowed, summary_row
    from pfgov.app.change.showing import SHOWN_MAX, flip_row
    from pfgov.cli.opening import reading
    from pfgov.policy import load_directory

    span = span_of(since, until, sample)
    found: list[Shadowed] = []
    with reading(output) as book, output.progress("asking") as step:
        binding = book.policy_set()
        for name in shadowed(binding):
            with promoted(binding, name) as folder:
                policies = load_directory(folder)
            found.append(Shadowed(name, book.impact(policies, span, step)))
    if output.json:
        output.emit({"shadow": [{"policy": one.policy, "report": one.report} for one in found]})
        return 0
    if not found:
        output.tell("no policy of the binding set is in shadow mode")
        return 0
    head = ("!POLICY", "#ASKED", "#WIDER", "#NARROWER", "WOULD CHANGE")
    output.tell(headline(found), table(head, [summary_row(one) for one in found]))
    for one in found:
        rows = [flip_row(flip) for flip in one.report.flips[:SHOWN_MAX]]
        if rows:
            output.tell(
                "", f"{one.policy}:", table(("#ENTRY", "!SUBJECT", "POINT", "OUTCOME", "WHY"), rows)
            )
    return 0


@verb(
    policy,
    "promote",
    examples=("pfgov policy promote residency --dry-run", "pfgov policy promote residency --yes"),
    then="see what is binding: pfgov policy show",
)
@click.argument("name", metavar="NAME")
@uncovered_option
@report_option
@click.option("--yes", is_flag=True, help="Do it whatever it changes.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what it would do; exit 1 if that needs a yes."
)
def promote(
    output: Output,
    name: str,
    leave_uncovered: tuple[str, ...],
    report: Path | None,
    yes: bool,
    dry_run: bool,
) -> int:
    """Put a policy of the binding set that is in shadow mode in force, through the same door as any other change.

    The set comes from the ledger; no file is needed. What it would change is shown, and you are asked, as with
    `pfgov policy activate`; what the configuration demands of an activation is demanded of it, too.

    Exits 0 if it is binding, 1 if it was not confirmed or is refused.
    """
    from pfgov.app.change.promoting import promoted
    from pfgov.app.changing import Rests
    from pfgov.cli.inputs import read_raw
    from pfgov.cli.opening import reading

    rests = Rests(report=None if report is None else read_raw(report))
    with reading(output) as book:
        binding = book.policy_set()
    with promoted(binding, name) as folder:
        return make_binding(
            output, folder, leave_uncovered, rests, is_confirmed=yes, is_dry_run=dry_run
        )
