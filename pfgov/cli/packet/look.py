"""Looking at packets: which there are, and everything about one."""

from typing import Any, Final

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.packet.group import packet

STATUSES: Final = (
    "PENDING", "AWAITING_REVIEW", "ASSIGNED", "HANDOFF_PENDING", "COMPLETED", "FAILED", "CANCELLED",
)  # fmt: skip
LIVE: Final = STATUSES[:4]
LIST_MAX: Final = 1_000


@verb(
    packet,
    "list",
    examples=(
        "pfgov packet list",
        "pfgov packet list --stuck",
        "pfgov packet list --owner agent-1 --json",
    ),
    then="why one waits: pfgov packet explain ID",
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice(STATUSES, case_sensitive=False),
    multiple=True,
    help="Only these; repeatable.",
)
@click.option("--owner", metavar="MEMBER", help="Only what this member owns.")
@click.option(
    "--stuck", is_flag=True, help="Only what cannot move on by itself now, with the reason."
)
@click.option("--all", "all_", is_flag=True, help="Ended packets, too.")
@click.option("--after", default="", metavar="ID", help="Continue a long list after this packet.")
@click.option(
    "--limit",
    type=click.IntRange(1, LIST_MAX),
    default=LIST_MAX,
    show_default=True,
    help="At most so many.",
)
def list_(
    screen: Screen,
    statuses: tuple[str, ...],
    owner: str | None,
    stuck: bool,
    all_: bool,
    after: str,
    limit: int,
) -> int:
    """List the packets that have not ended."""
    from pfgov.cli import render
    from pfgov.cli.desk import PacketsWanted, reading

    wanted = statuses or (STATUSES if all_ else LIVE)
    with reading(screen) as book:
        packets, more = book.packets(
            PacketsWanted(wanted, owner, stuck=stuck, after=after, limit=limit)
        )
    result = {"packets": packets, "count": len(packets), "more": more}
    if not packets:
        screen.show(
            result,
            "nothing is stuck" if stuck else "no packets here; see: pfgov packet submit --help",
        )
        return 0
    parts = [render.packets_table(packets, width=screen.width)]
    if more:
        parts.append(f"there are more: pfgov packet list --after {packets[-1].packet_id}")
    screen.show(result, *parts)
    return 0


@verb(
    packet,
    "show",
    examples=("pfgov packet show fp-001", "pfgov packet show fp-001 --history --context"),
    then="pfgov packet explain fp-001",
)
@click.argument("packet_id", metavar="ID")
@click.option("--history", is_flag=True, help="Every entry about it, too.")
@click.option(
    "--context", is_flag=True, help="The context's body, too, held against its commitment."
)
def show(screen: Screen, packet_id: str, history: bool, context: bool) -> int:
    """Show everything about one packet."""
    from pfgov.cli import render
    from pfgov.cli.desk import EntriesWanted, reading

    with reading(screen) as book:
        view = book.packet(packet_id)
        result: dict[str, Any] = {"packet": view}
        parts = [render.packet_facts(view)]
        if context:
            body = book.context(view)
            result["context"] = body
            parts.append(
                f"\ncontext: {render.shown(body) if body is not None else 'not here: erased, or never sent'}"
            )
        if history:
            entries = book.entries(EntriesWanted(subject=f"packet/{packet_id}"))
            result["history"] = entries
            parts.append(render.entries_table(entries, width=screen.width))
    screen.show(result, *parts)
    return 0
