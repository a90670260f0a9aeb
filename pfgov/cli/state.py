"""``pfgov status`` and ``pfgov tick``: how the ledger stands, and letting time do its work."""

from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Output, Verb
from pfgov.cli.output import facts
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.app.ledger import WitnessedAge


@click.command(
    "status",
    cls=Verb,
    examples=("pfgov status",),
    then="what waits, and why: pfgov packet list --stuck",
)
@click.pass_obj
def status(output: Output) -> int:
    """Say what the ledger holds and what needs a look."""
    import msgspec

    from pfgov.app.views.sentences import halt_says
    from pfgov.cli.opening import reading, warn_of_loss

    with reading(output) as book:
        warn_of_loss(book)
        found, place, vouched = book.overview(), book.place, book.witnessed()
    result: dict[str, Any] = {"origin": found.origin, **place, **msgspec.structs.asdict(found)}
    result["remedy"] = halt_says(found.halted)
    result["witnessed"] = None if vouched is None else msgspec.structs.asdict(vouched)
    output.show(
        result,
        facts(
            (
                ("ledger", found.origin),
                ("folder", place.get("directory")),
                ("server", place.get("url")),
                ("entries", found.size),
                ("policy set", f"{(found.policy or 'none')[:12]}: {', '.join(found.policies)}"),
                ("scheduler", found.scheduler),
                ("members", found.members or "none yet: pfgov member register --help"),
                ("packets", found.packets or "none yet: pfgov packet submit --help"),
                ("without owner", found.without_owner or None),
                ("witnessed", None if vouched is None else _witnessed(vouched, found.size)),
                ("halted", result["remedy"]),
            )
        ),
        *(["next:  pfgov packet list --stuck"] if found.without_owner else []),
    )
    return 0


def _witnessed(vouched: "WitnessedAge", size: int) -> str:
    """Say how far a quorum vouches, since when, and who alarms."""
    said = "no quorum yet"
    if vouched.age_seconds is not None:
        held = counted(vouched.size, "entry", "entries")
        held = "every entry" if vouched.size == size else held
        said = f"{held}, {vouched.age_seconds} s ago"
    alarms = "".join(f"; ALARM by {name}" for name in vouched.alarms)
    return f"{said}{alarms}"


@click.command(
    "tick",
    cls=Verb,
    examples=("pfgov tick",),
    then="see what came of it: pfgov ledger log --limit 20",
)
@click.option(
    "--resume",
    is_flag=True,
    help="End a halt; every leased member gets a whole lease from now first.",
)
@click.option(
    "--dead", multiple=True, metavar="ID", help="That member is dead: its lease ends. Repeatable."
)
@click.option(
    "--dead-percent",
    type=click.IntRange(1, 100),
    help="Whoever is silent is dead, if that is no more than so many percent of all.",
)
@click.pass_obj
def tick(output: Output, resume: bool, dead: tuple[str, ...], dead_percent: int | None) -> int:
    """Let what is due happen: leases, deadlines, timeouts, drains, retries.

    A server does this by itself.  Without one, run it from time to time.  When too many leases end at once, or the
    clock leaps, nothing ends until it is known why: that halt ends by itself, or with --resume.
    """
    from pfgov.app.views.sentences import halt_says
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.model import Tick, parse

    tree = {"resume": resume, "dead": list(dead), "dead_percent": dead_percent}
    asked = parse(Tick, {name: value for name, value in tree.items() if value})
    with acting(output) as ledger_port:
        done, halted = ledger_port.tick(asked)
    remedy = halt_says(halted)
    result = {
        "entries": done.followed,
        "count": len(done.followed),
        "halted": halted,
        "remedy": remedy,
    }
    parts: list[Any] = [
        f"{counted(len(done.followed), 'thing')} happened" if done.followed else "nothing is due"
    ]
    if done.followed:
        parts.append(render.entries_list(done.followed))
    if remedy:
        parts.append(remedy)
    output.show(result, *parts)
    return 0
