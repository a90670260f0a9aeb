"""``pfgov policy activate`` and ``show``: which policies are binding.

They join the authors' commands, which need no ledger.  A set that does not load changes nothing: the last good one
stays, and the refusal is recorded.
"""

from pathlib import Path

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.policy import policy
from pfgov.cli.screen import facts


@verb(
    policy,
    "activate",
    examples=("pfgov policy activate ./policies",),
    then="see what is binding: pfgov policy show",
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def activate(screen: Screen, directory: Path) -> int:
    """Make a folder of policies binding; what members own is judged again.

    A set that does not load is refused and recorded, and the last good one stays.
    """
    from pfgov.cli import render
    from pfgov.cli.desk import acting, in_order

    with acting(screen) as desk:
        view, done, is_new = desk.activate(directory)
    happened = in_order(done)
    said = "is binding" if is_new else "was binding already"
    screen.show(
        {"policy": view, "entries": happened},
        f"policy set {view['digest'][:12]} {said}",
        render.entries_list(happened),
    )
    return 0


@verb(
    policy,
    "show",
    examples=("pfgov policy show", "pfgov policy show --json"),
    then="make another set binding: pfgov policy activate DIR",
)
def show(screen: Screen) -> int:
    """Show the binding policy set: its digest, its policies and their rules."""
    from pfgov.cli import screen as parts
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        view, digest = book.policies(), book.overview().policy
    rows = [
        (f"{one['name']}/{rule['id']}", _points(rule["on"]), one["mode"])
        for one in view["policies"]
        for rule in one["rules"]
    ]
    screen.show(
        {"policy": view},
        facts(
            (("policy set", digest or "none but the kernel"), ("covers", _points(view["points"])))
        ),
        parts.table(("!RULE", "ASKED AT", "MODE"), rows),
    )
    return 0


def _points(names: list[str]) -> str:
    """Return decision points in the order in which they come."""
    from pfgov.verdicts import Point

    return ", ".join(point.value for point in Point if point.value in names)
