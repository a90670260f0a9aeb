"""Looking at packets: which there are, and everything about one."""

from typing import Any, Final

import click

from pfgov.cli.frame import Output, verb
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
    output: Output,
    statuses: tuple[str, ...],
    owner: str | None,
    stuck: bool,
    all_: bool,
    after: str,
    limit: int,
) -> int:
    """List the packets that have not ended."""
    from pfgov.app.ledger import PacketsWanted
    from pfgov.app.views.sentences import halt_says
    from pfgov.cli import render
    from pfgov.cli.opening import reading

    wanted = statuses or (STATUSES if all_ else LIVE)
    with reading(output) as book:
        packets, more = book.packets(
            PacketsWanted(wanted, owner, stuck=stuck, after=after, limit=limit)
        )
        halted = book.overview().halted if stuck else None
    result: dict[str, Any] = {"packets": packets, "count": len(packets), "more": more}
    said = halt_says(halted)
    if stuck:
        result |= {"halted": halted, "remedy": said}
    if not packets:
        nothing = (
            "nothing is stuck" if stuck else "no packets here; see: pfgov packet submit --help"
        )
        output.show(result, said or nothing)
        return 0
    parts: list[Any] = [said] if said else []
    parts.append(render.packets_table(packets, width=output.width))
    if more:
        parts.append(f"there are more: pfgov packet list --after {packets[-1].packet_id}")
    output.show(result, *parts)
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
def show(output: Output, packet_id: str, history: bool, context: bool) -> int:
    """Show everything about one packet."""
    from pfgov.app.ledger import EntriesWanted
    from pfgov.cli import render
    from pfgov.cli.opening import reading

    with reading(output) as book:
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
            parts.append(render.entries_table(entries, width=output.width))
    output.show(result, *parts)
    return 0


@verb(
    packet,
    "result",
    examples=("pfgov packet result fp-001", "pfgov packet result fp-001 --json"),
    then="how it came about: pfgov packet audit fp-001",
)
@click.argument("packet_id", metavar="ID")
def result(output: Output, packet_id: str) -> int:
    """Show what came of a packet that you submitted; nobody else may read it, and the ledger has a commitment to it."""
    from pfgov.cli import render
    from pfgov.cli.opening import reading

    with reading(output) as book:
        found = book.result(packet_id)
    output.show({"packet_id": packet_id, "result": found}, render.shown(found))
    return 0
