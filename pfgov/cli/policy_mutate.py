"""``pfgov policy mutate``: whether the tests beside policies would notice a mistake in them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import FILES, Output, verb
from pfgov.cli.policy import folder, policy
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.policy.authoring.mutating.running import Mutated, Survivor


@verb(
    policy,
    "mutate",
    examples=("pfgov policy mutate policies", "pfgov policy mutate policies --min 90"),
    then="add the cases that it proposes, then: pfgov policy test policies",
    files=FILES,
)
@folder
@click.option("--only", metavar="POLICY", help="Only mutants of this policy.")
@click.option(
    "--min",
    "least",
    type=click.IntRange(0, 100),
    metavar="N",
    help="Fail below this share of mutants that are noticed.",
)
def mutate(output: Output, folder: Path, only: str | None, least: int | None) -> int:
    """Make one mistake at a time in the policies and run their tests: which mistakes would nobody notice?

    Comparisons and their boundaries, && and ||, negations, clauses, numbers, items of lists, facts that are alike,
    rules, their decision points, and whole policies. Each survivor comes with the test that would notice it. Where no
    case is found on which it decides otherwise, it is taken for equivalent, which is said and not counted.

    Exits 0, or 1 if a test fails as it is or the score is below --min, 3 if something does not compile.
    """
    from pfgov.policy.authoring.mutating.running import mutate_directory

    with output.progress("mutating") as step:
        found = mutate_directory(folder, only=only, progress=step)
    is_enough = least is None or found.is_at_least(least)
    result: dict[str, Any] = {
        "ok": is_enough,
        "policy": found.digest,
        "killed": found.killed,
        "counted": found.counted,
        "invalid": found.invalid,
        "percent": found.percent,
        "survivors": [one.as_dict() for one in found.survivors],
    }
    output.show(result, *_lines(found, least, is_enough=is_enough))
    return int(not is_enough)


def _lines(found: "Mutated", least: int | None, *, is_enough: bool) -> list[str]:
    lines = [line for one in found.missed for line in _missed(one)]
    equivalent = [one for one in found.survivors if one.is_equivalent]
    for one in equivalent:
        place = one.mutant.place
        said = f"no difference in {counted(one.cases, 'case')}"
        lines.append(f"{place.file}:{place.line}: {one.mutant.said}: {said}, taken for equivalent")
    lines.append(
        f"{counted(found.counted, 'mutant')}, {found.killed} noticed, {len(found.missed)} not: {found.percent} %; "
        f"besides, {len(equivalent)} equivalent and {found.invalid} that do not compile"
    )
    if not is_enough:
        lines.append(f"that is less than {least} %")
    return lines


def _missed(one: "Survivor") -> list[str]:
    place = one.mutant.place
    return [
        f"{place.file}:{place.line}: {one.mutant.said}: no test notices it; this one would:",
        one.test or "",
        "",
    ]
