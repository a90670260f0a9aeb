"""``pfgov status`` and ``pfgov tick``: how the ledger stands, and letting time do its work."""

from collections import Counter
from typing import Any

import click

from pfgov.cli.frame import Screen, Verb
from pfgov.cli.screen import facts


@click.command(
    "status",
    cls=Verb,
    examples=("pfgov status",),
    then="what waits, and why: pfgov packet list --stuck",
)
@click.pass_obj
def status(screen: Screen) -> int:
    """Say what the ledger holds and what needs a look."""
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        state = book.reader.state()
        counts = book.reader.packet_counts()
    members = dict(sorted(Counter(str(m.status) for m in state.members.values()).items()))
    waiting = [p.packet_id for p in state.live() if p.owner is None and not p.terms.hold]
    result: dict[str, Any] = {
        "origin": state.origin,
        "directory": str(screen.directory),
        "size": state.size,
        "semantics": state.semantics,
        "policy": state.policy,
        "policies": [f"{ref.name} {ref.version}" for ref in state.policies],
        "scheduler": state.settings.scheduler.name,
        "members": members,
        "packets": counts,
        "without_owner": len(waiting),
    }
    screen.show(
        result,
        facts(
            (
                ("ledger", state.origin),
                ("folder", screen.directory),
                ("entries", state.size),
                ("policy set", f"{(state.policy or 'none')[:12]}: {', '.join(result['policies'])}"),
                ("scheduler", result["scheduler"]),
                ("members", members or "none yet: pfgov member register --help"),
                ("packets", counts or "none yet: pfgov packet submit --help"),
                ("without owner", len(waiting) or None),
            )
        ),
        *(["next:  pfgov packet list --stuck"] if waiting else []),
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
        before = desk.size()
        if resume:
            desk.engine.resume()
        done = desk.settled(before)
        halted = desk.engine.status().halted
    result = {"entries": done.followed, "count": len(done.followed), "halted": halted}
    parts: list[Any] = [
        f"{len(done.followed)} things happened" if done.followed else "nothing is due"
    ]
    if done.followed:
        parts.append(render.entries_list(done.followed))
    if halted:
        parts.append(f"leases stand still ({halted}); when the cause is known: pfgov tick --resume")
    screen.show(result, *parts)
    return 0
