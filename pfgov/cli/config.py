"""``pfgov config``: the settings that decisions read.  They are state, and every change is an entry."""

from typing import Final

import click

from pfgov.cli.frame import Nouns, Output, verb
from pfgov.cli.inputs import PAIR
from pfgov.cli.output import facts

config: Final = Nouns(
    "config",
    help="The settings that decisions read: scheduler, leases, limits.",
    examples=("pfgov config show",),
    then="pfgov config set scheduler=ring",
)


@verb(config, "show", examples=("pfgov config show",), then="pfgov config set lease_seconds=60")
def show(output: Output) -> int:
    """Show every setting."""
    from pfgov.cli.opening import reading

    with reading(output) as book:
        settings = book.settings()
    output.show({"configuration": settings}, facts(settings.items()))
    return 0


@verb(
    config,
    "set",
    examples=(
        "pfgov config set scheduler=binpack:strategy=balanced",
        "pfgov config set scheduler.planning=ring lease_seconds=60",
    ),
    then="pfgov config show",
)
@click.argument("settings", nargs=-1, required=True, type=PAIR, metavar="NAME=VALUE...")
def set_(output: Output, settings: tuple[tuple[str, str], ...]) -> int:
    """Change settings; times are in seconds, shares in permille or 0 to 1.

    scheduler.WORKLOAD chooses the scheduler of one kind of work.
    """
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.model import Settings, parse

    asked = parse(Settings, {"settings": dict(settings)})
    with acting(output) as ledger_port:
        done = ledger_port.do(asked)
        now = ledger_port.settings()
    headline = "changed" if done.recorded else "it was like that already"
    output.show(done.result(configuration=now), *render.done(done, headline))
    return 0
