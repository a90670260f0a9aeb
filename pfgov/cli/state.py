"""``pfgov status`` and ``pfgov tick``: how the ledger stands, and letting time do its work."""

from typing import Any

import click

from pfgov.cli.frame import Screen, Verb
from pfgov.cli.screen import counted, facts


@click.command(
    "status",
    cls=Verb,
    examples=("pfgov status",),
    then="what waits, and why: pfgov packet list --stuck",
)
@click.pass_obj
def status(screen: Screen) -> int:
    """Say what the ledger holds and what needs a look."""
    import msgspec

    from pfgov.cli.desk import reading, warn_of_loss

    with reading(screen) as book:
        warn_of_loss(book)
        found, place = book.overview(), book.place
    result: dict[str, Any] = {"origin": found.origin, **place, **msgspec.structs.asdict(found)}
    screen.show(
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
            )
        ),
        *(["next:  pfgov packet list --stuck"] if found.without_owner else []),
    )
    return 0


@click.command(
    "tick",
    cls=Verb,
    examples=("pfgov tick",),
    then="see what came of it: pfgov ledger log --limit 20",
)
@click.option(
    "--resume", is_flag=True, help="Give every leased member a whole lease from now first."
)
@click.pass_obj
def tick(screen: Screen, resume: bool) -> int:
    """Let what is due happen: leases, deadlines, timeouts, drains, retries.

    A server does this by itself.  Without one, run it from time to time.
    """
    from pfgov.cli import render
    from pfgov.cli.desk import acting

    with acting(screen) as desk:
        done, halted = desk.tick(resume=resume)
    result = {"entries": done.followed, "count": len(done.followed), "halted": halted}
    parts: list[Any] = [
        f"{counted(len(done.followed), 'thing')} happened" if done.followed else "nothing is due"
    ]
    if done.followed:
        parts.append(render.entries_list(done.followed))
    if halted:
        parts.append(f"leases stand still ({halted}); when the cause is known: pfgov tick --resume")
    screen.show(result, *parts)
    return 0
