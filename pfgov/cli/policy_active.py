"""``pfgov policy activate`` and ``show``: which policies are binding.

They join the authors' commands, which need no ledger.  A set that does not load changes nothing: the last good one
stays, and the refusal is recorded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.policy import policy
from pfgov.cli.screen import facts

if TYPE_CHECKING:
    from pfgov.policy import PolicyErrors, PolicySet


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
    from pfgov.cli.desk import acting
    from pfgov.commands import LOCAL_OPERATOR
    from pfgov.policy import PolicyErrors, load_directory

    with acting(screen) as desk:
        before = desk.size()
        try:
            found = load_directory(directory)
        except PolicyErrors as error:
            _refuse(desk, error)
            raise
        receipt = desk.engine.activate(found, principal=LOCAL_OPERATOR)
        done = desk.settled(before)
    said = "is binding" if receipt.count else "was binding already"
    screen.show(
        {"policy": set_view(found), "entries": done.followed},
        f"policy set {found.digest[:12]} {said}",
        render.entries_list(done.followed),
    )
    return 0


def _refuse(desk: Any, error: "PolicyErrors") -> None:
    """Record that a set did not load."""
    from pfgov.commands import LOCAL_OPERATOR, RefusePolicy

    action = RefusePolicy(codes=error.codes, errors=len(error.problems))
    desk.engine.submit(action, principal=LOCAL_OPERATOR)


def set_view(found: "PolicySet") -> dict[str, Any]:
    """Return a policy set as it is shown."""
    return {
        "digest": found.digest,
        "points": sorted(str(point) for point in found.points),
        "policies": [
            {
                "name": one.name,
                "version": one.version,
                "mode": one.mode,
                "description": one.description,
                "rules": [
                    {"id": rule.id, "on": sorted(str(point) for point in rule.on)}
                    for rule in one.rules
                ],
            }
            for one in found.bundle.policies
        ],
    }


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
    from pfgov.policy import from_document, kernel_only

    with reading(screen) as book:
        digest = book.reader.state().policy
        found = from_document(book.reader.policy_document(digest)) if digest else kernel_only()
    view = set_view(found)
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
