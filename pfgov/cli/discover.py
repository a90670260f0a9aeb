"""``pfgov discover``: who could take a packet, and why not each other one.  Nothing is written.

A packet that is in the ledger is judged as it stands; a file or a list of requirements as if it were submitted now.
"""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Output, Verb
from pfgov.cli.inputs import NUMBER, PAIR, amounts, given, merged, read_tree

if TYPE_CHECKING:
    from pfgov.app.views import VerdictRow
    from pfgov.model import FlightPacket


@click.command(
    "discover",
    cls=Verb,
    examples=(
        "pfgov discover --packet fp-001",
        "pfgov discover --needs planning --region us-east --min-trust 0.9",
    ),
    then="place it: pfgov packet submit --help",
)
@click.option(
    "--packet",
    metavar="FILE|ID",
    help="A packet in the ledger, or a JSON file; - reads standard input.",
)
@click.option(
    "--needs",
    multiple=True,
    metavar="CAPABILITY",
    help="What the owner must be able to do; repeatable.",
)
@click.option("--min-trust", type=NUMBER, help="The least trust score, 0 to 1.")
@click.option("--region", "regions", multiple=True, help="Where it may be; repeatable.")
@click.option("--data-class", "data_classes", multiple=True, help="Data it carries; repeatable.")
@click.option(
    "--demand", "demands", type=PAIR, multiple=True, help="Resources it takes; repeatable."
)
@click.option("--scheduler", help="Who chooses among the eligible.")
@click.pass_obj
def discover(
    output: Output,
    packet: str | None,
    needs: tuple[str, ...],
    min_trust: Decimal | None,
    regions: tuple[str, ...],
    data_classes: tuple[str, ...],
    demands: tuple[tuple[str, str], ...],
    scheduler: str | None,
) -> int:
    """Ask who could take a packet, and why not each other one; nothing is written.

    Exits 0 if somebody could, 1 if nobody can.
    """
    constraints = given(minimum_trust_score=min_trust, allowed_regions=list(regions) or None)
    options = given(
        required_capabilities=list(needs) or None,
        policy_constraints=constraints or None,
        data_classes=list(data_classes) or None,
        demand=amounts(demands) or None,
        scheduler=scheduler,
    )
    if packet is None and not options:
        raise click.UsageError(
            "say what is asked for: --packet, or --needs and the like", click.get_current_context()
        )
    return _discover(output, packet, options)


def _discover(output: Output, packet: str | None, options: dict[str, Any]) -> int:
    from pfgov.app.views import misses_result
    from pfgov.cli import render
    from pfgov.cli.opening import reading

    asked = _asked(packet, options)
    with reading(output) as book:
        found = book.discover(asked)
    rows, chosen = found.members, found.would_go_to
    result = {
        "eligible": found.eligible,
        "would_go_to": chosen,
        "members": rows,
        **misses_result(found.nearest_misses),
    }
    table = render.verdicts_table(rows, chosen=chosen, width=output.width)
    output.show(result, *_parts(rows, found.eligible, chosen, found.nearest_misses, table))
    return 0 if found.eligible else 1


def _parts(
    rows: list["VerdictRow"], eligible: list[str], chosen: str | None, misses: list[str], table: Any
) -> list[Any]:
    if not rows:
        return ["there are no members; add one with: pfgov member register --help"]
    if chosen:
        said = f"{len(eligible)} of {len(rows)} members could take it; it would go to {chosen}"
    elif eligible:
        said = f"{len(eligible)} of {len(rows)} members could take it"
    elif any(row.outcome == "escalate" for row in rows):
        said = f"nobody of {len(rows)} members could take it before a review"
    else:
        said = f"nobody of {len(rows)} members could take it"
    parts: list[Any] = [said, table]
    if not eligible:
        parts += [f"nearest: {one}" for one in misses]
    return parts


def _asked(packet: str | None, options: dict[str, Any]) -> "str | FlightPacket":
    """Return the id of a packet, or one as it would be submitted."""
    from pfgov.model import FlightPacket, parse

    if packet is None:
        return parse(FlightPacket, {"workload_type": "any", **options})
    path = Path(packet)
    if packet == "-" or path.is_file():
        return parse(FlightPacket, merged(read_tree(path), options))
    if packet.endswith(".json") or "/" in packet:
        raise click.BadParameter(f"there is no file {packet}", param_hint="--packet")
    return packet
