"""``pfgov config``: the settings that decisions read.  They are state, and every change is an entry."""

from typing import Any, Final

import click

from pfgov.cli.frame import Nouns, Screen, verb
from pfgov.cli.inputs import PAIR
from pfgov.cli.screen import facts

config: Final = Nouns(
    "config",
    help="The settings that decisions read: scheduler, leases, limits.",
    examples=("pfgov config show",),
    then="pfgov config set scheduler=ring",
)


@verb(config, "show", examples=("pfgov config show",), then="pfgov config set lease_seconds=60")
def show(screen: Screen) -> int:
    """Show every setting."""
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        settings = _plain(book.reader.state().settings)
    screen.show({"configuration": settings}, facts(settings.items()))
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
def set_(screen: Screen, settings: tuple[tuple[str, str], ...]) -> int:
    """Change settings; times are in seconds, shares in permille or 0 to 1.

    scheduler.WORKLOAD chooses the scheduler of one kind of work.
    """
    from pfgov.cli import render
    from pfgov.cli.desk import acting
    from pfgov.commands import Configure

    with acting(screen) as desk:
        done = desk.do(Configure(settings=tuple(sorted(settings))))
        now = _plain(desk.reader.state().settings)
    headline = "changed" if done.recorded else "it was like that already"
    screen.show(done.result(configuration=now), *render.done(done, headline))
    return 0


def _plain(settings: Any) -> dict[str, Any]:
    """Return the configuration with readable units: durations in seconds."""
    import msgspec

    made: dict[str, Any] = {}
    spans = {
        "handoff_timeout",
        "review_timeout",
        "half_life",
        "clock_jump_max",
        "rebalance_cooldown",
        "flap_window",
        "flap_penalty",
    }
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name == "scheduler":
            made[name] = _scheduler(value)
        elif name == "schedulers":
            made.update({f"scheduler.{workload}": _scheduler(ref) for workload, ref in value})
        elif name in spans:
            made[name] = value // 1_000_000 if value % 1_000_000 == 0 else value / 1_000_000
        else:
            made[name] = msgspec.to_builtins(value)
    return made


def _scheduler(ref: Any) -> str:
    parameters = ",".join(f"{name}={value}" for name, value in ref.parameters)
    return f"{ref.name}:{parameters}" if parameters else str(ref.name)
