"""Submitting a packet and changing what it demands."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import (
    NUMBER,
    PAIR,
    WHEN,
    amounts,
    file_option,
    given,
    merged,
    moment_of,
    read_tree,
)
from pfgov.cli.packet.group import packet
from pfgov.core.wording import with_article

if TYPE_CHECKING:
    from pfgov.app.views import PacketView


@verb(
    packet,
    "submit",
    examples=(
        "pfgov packet submit --file packet.json",
        "pfgov packet submit --id fp-7 --workload planning --needs planning --min-trust 0.9 --region us-east",
    ),
    then="why this member, and why not each other one: pfgov packet explain fp-001",
)
@file_option
@click.option("--id", "packet_id", help="Its id; drawn if there is none.")
@click.option("--workload", help="What kind of work it is.")
@click.option(
    "--needs",
    multiple=True,
    metavar="CAPABILITY",
    help='What its owner must be able to do, such as "planning>=1.2"; repeatable.',
)
@click.option("--min-trust", type=NUMBER, help="The least trust score of an owner, 0 to 1.")
@click.option("--region", "regions", multiple=True, help="Where it may be; repeatable.")
@click.option(
    "--pii-review/--no-pii-review",
    default=None,
    help="Whether a reviewer must agree before anybody owns it.",
)
@click.option(
    "--data-class",
    "data_classes",
    multiple=True,
    help="Data it carries, such as pii.customer; repeatable.",
)
@click.option(
    "--demand",
    "demands",
    type=PAIR,
    multiple=True,
    help="Resources it takes, such as cpu=2; repeatable.",
)
@click.option("--priority", type=int, help="0 to 1000, the higher the sooner.")
@click.option("--label", "labels", type=PAIR, multiple=True, help="A label; repeatable.")
@click.option(
    "--scheduler", help="Who chooses among the eligible: ring, rendezvous, binpack, agent ..."
)
@click.option(
    "--deadline", type=WHEN, help="When it fails if it is not done: a span like 2h, or a moment."
)
@click.option(
    "--progress-seconds", type=int, help="For how long its owner may stand still with it."
)
@click.option(
    "--context",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Its context: a JSON object.",
)
@click.option("--hold", is_flag=True, default=None, help="Do not place it yet.")
@click.option("--again", metavar="ID", help="The ended packet whose work it repeats.")
def submit(
    output: Output,
    *,
    file: Path | None,
    packet_id: str | None,
    workload: str | None,
    needs: tuple[str, ...],
    min_trust: Decimal | None,
    regions: tuple[str, ...],
    pii_review: bool | None,
    data_classes: tuple[str, ...],
    demands: tuple[tuple[str, str], ...],
    priority: int | None,
    labels: tuple[tuple[str, str], ...],
    scheduler: str | None,
    deadline: str | None,
    progress_seconds: int | None,
    context: Path | None,
    hold: bool | None,
    again: str | None,
) -> int:
    """Submit a packet; it is placed at once unless it is held.

    The file holds the specification's envelope.  An owner, a history or a status in it is recorded as claimed, and not
    believed.
    """
    from pfgov.clock import SystemClock

    constraints = given(
        minimum_trust_score=min_trust,
        allowed_regions=list(regions) or None,
        pii_review_required=pii_review,
    )
    options = given(
        packet_id=packet_id,
        workload_type=workload,
        required_capabilities=list(needs) or None,
        policy_constraints=constraints or None,
        data_classes=list(data_classes) or None,
        demand=amounts(demands) or None,
        priority=priority,
        labels=dict(labels) or None,
        scheduler=scheduler,
        deadline=moment_of(deadline, SystemClock().now()),
        progress_seconds=progress_seconds,
        context_checkpoint=read_tree(context) if context else None,
        hold=hold,
        again=again,
    )
    return _submit(output, merged(read_tree(file), options))


def _submit(output: Output, tree: dict[str, Any]) -> int:
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.model import FlightPacket, parse

    asked = parse(FlightPacket, tree)
    with acting(output) as ledger_port:
        done = ledger_port.do(asked)
        view = ledger_port.packet(done.packet_id)
    parts = [*render.done(done, headline(view)), *advice(view)]
    output.show(done.result(packet=view), *parts)
    return 0


def headline(view: "PacketView") -> str:
    """Return where a packet stands, in one sentence."""
    if view.status in {"ASSIGNED", "HANDOFF_PENDING"}:
        said = f"{view.packet_id} is owned by {view.current_owner} under epoch {view.epoch}"
        pending = view.handoff.pending
        return f"{said}, and waits for {pending['target']} to accept it" if pending else said
    if view.status == "AWAITING_REVIEW" and view.review is not None:
        return f"{view.packet_id} waits for {with_article(view.review.to)}"
    if view.is_held:
        return f"{view.packet_id} is held"
    if view.status == "PENDING":
        return f"{view.packet_id} waits for an owner"
    return f"{view.packet_id} is {view.status}"


def advice(view: "PacketView") -> list[str]:
    """Return what to type next, where somebody has to do something."""
    if view.review is not None:
        return [
            f"next:  pfgov packet review {view.packet_id} --grant --version {view.version}, or --refuse"
        ]
    if view.handoff.pending is not None:
        return [f"next:  pfgov packet accept {view.packet_id}, or abort it"]
    if view.is_held:
        return [f"next:  pfgov packet update {view.packet_id} --no-hold"]
    if view.status == "PENDING":
        return [f"next:  pfgov packet explain {view.packet_id}"]
    return []


@verb(
    packet,
    "update",
    examples=(
        "pfgov packet update fp-001 --min-trust 0.95",
        "pfgov packet update fp-001 --no-hold",
    ),
    then="pfgov packet explain fp-001",
)
@click.argument("packet_id", metavar="ID")
@file_option
@click.option(
    "--needs",
    multiple=True,
    metavar="CAPABILITY",
    help="All required capabilities; only more are possible.",
)
@click.option("--min-trust", type=NUMBER, help="The least trust score; only higher is possible.")
@click.option(
    "--region", "regions", multiple=True, help="All allowed regions; only fewer are possible."
)
@click.option("--pii-review", is_flag=True, default=None, help="Ask for a review from now on.")
@click.option(
    "--data-class", "data_classes", multiple=True, help="All data classes; only more are possible."
)
@click.option("--may-move/--may-not-move", default=None, help="Whether it may be handed off.")
@click.option("--priority", type=int, help="0 to 1000, the higher the sooner.")
@click.option("--label", "labels", type=PAIR, multiple=True, help="All its labels; repeatable.")
@click.option("--scheduler", help="Who chooses among the eligible.")
@click.option("--deadline", type=WHEN, help="When it fails if it is not done.")
@click.option("--max-handoffs", type=int, help="How often it may move.")
@click.option(
    "--progress-seconds", type=int, help="For how long its owner may stand still with it."
)
@click.option("--hold/--no-hold", default=None, help="Whether to keep it from being placed.")
def update(
    output: Output,
    *,
    packet_id: str,
    file: Path | None,
    needs: tuple[str, ...],
    min_trust: Decimal | None,
    regions: tuple[str, ...],
    pii_review: bool | None,
    data_classes: tuple[str, ...],
    may_move: bool | None,
    priority: int | None,
    labels: tuple[tuple[str, str], ...],
    scheduler: str | None,
    deadline: str | None,
    max_handoffs: int | None,
    progress_seconds: int | None,
    hold: bool | None,
) -> int:
    """Narrow what a packet demands, or change its priority, labels, deadline, hold.

    What is not given stays as it is.  Constraints can only become narrower.
    """
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.clock import SystemClock
    from pfgov.model import PacketUpdate, parse

    options = given(
        required_capabilities=list(needs) or None,
        data_classes=list(data_classes) or None,
        handoff=None if may_move is None else {"allowed": may_move},
        priority=priority,
        labels=dict(labels) or None,
        scheduler=scheduler,
        deadline=moment_of(deadline, SystemClock().now()),
        max_handoffs=max_handoffs,
        progress_seconds=progress_seconds,
        hold=hold,
    )
    narrower = given(
        minimum_trust_score=min_trust,
        allowed_regions=list(regions) or None,
        pii_review_required=pii_review,
    )
    tree = merged(read_tree(file), options)
    with acting(output) as ledger_port:
        if narrower:
            present = ledger_port.packet(packet_id).policy_constraints
            stated = tree.get("policy_constraints", present)
            tree["policy_constraints"] = {**stated, **narrower}
        done = ledger_port.do(parse(PacketUpdate, tree), packet_id=packet_id)
        view = ledger_port.packet(packet_id)
    output.show(done.result(packet=view), *render.done(done, headline(view)), *advice(view))
    return 0
