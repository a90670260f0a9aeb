"""``pfgov policy diff``: what is different between two policy sets, by what is written and by what they decide."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.policy import policy
from pfgov.cli.policy_sets import Asked, asked

if TYPE_CHECKING:
    from pfgov.policy.authoring.comparing.comparison import Comparison

KINDS: Final = ("widen", "narrow", "differ")


@verb(
    policy,
    "diff",
    examples=(
        "pfgov policy diff binding ./policies",
        "pfgov policy diff main/policies ./policies --format markdown --fail-on widen",
    ),
    then="ask the recorded history, too: pfgov policy impact ./policies",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--cases",
    type=click.IntRange(1, 1_000_000),
    default=4_000,
    show_default=True,
    metavar="N",
    help="How many cases are tried at each decision point.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "markdown")),
    default="text",
    show_default=True,
    help="How the differences are written: for a terminal, a program, or a review.",
)
@click.option(
    "--fail-on",
    "fail_on",
    multiple=True,
    type=click.Choice(KINDS),
    help="Exit 1 if the new set allows more (widen), less (narrow), or if any difference was found. Repeatable.",
)
def diff(
    output: Output, old: str, new: str, cases: int, form: str, fail_on: tuple[str, ...]
) -> int:
    """Compare two policy sets: a folder, a digest that the ledger recorded, or `binding`.

    First what is written differently; a rename is not a change. Then, for each decision point at which something is
    said differently, the smallest case that was found on which the two decide differently, as facts and as a test:
    one where the new set allows more, and one where it allows less, if there are both. Where none was found it
    says in how many cases: that is no proof that there is none.

    Exits 0, or 1 if --fail-on says so, 3 if a set does not compile.
    """
    from pfgov.policy.authoring.comparing.comparison import compare

    before, after = asked(output, old), asked(output, new)
    folders = [Path(name) for name in (old, new) if Path(name).is_dir()]
    found = compare(before.policies, after.policies, tests=folders, most=cases)
    if output.json or form == "json":
        output.emit({**found.as_dict(), "names": {"old": before.name, "new": after.name}})
    elif form == "markdown":
        from pfgov.app.change.comparing import markdown

        output.write(markdown(found, before.name, after.name))
    else:
        _tell(output, found, before, after)
    failing = {
        "widen": found.is_widening,
        "narrow": found.is_narrowing,
        "differ": bool(found.disagreements),
    }
    return int(any(failing[kind] for kind in fail_on))


def _tell(output: Output, found: "Comparison", before: Asked, after: Asked) -> None:
    from pfgov.app.change.comparing import change_lines, facts_lines, unseen_lines, verdict_line
    from pfgov.policy.authoring.comparing.comparison import as_test

    output.tell(f"old: {before.name}, policy set {before.policies.digest[:12]}")
    output.tell(f"new: {after.name}, policy set {after.policies.digest[:12]}", "")
    if before.policies.digest == after.policies.digest:
        output.tell("it is the same set")
        return
    output.tell(*change_lines(found), "")
    for points, one in found.grouped:
        output.tell(f"{', '.join(point.value for point in points)}: {verdict_line(one)}")
        output.tell(*facts_lines(one.case), "  as a test:", as_test(one), "")
    output.tell(*unseen_lines(found))
