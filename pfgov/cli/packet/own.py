"""What a packet's owner writes: progress, the end.

Every write names the member, its life and the epoch under which it believes to own the packet.  Whoever types without
naming them means the present owner; a worker names them, so that a stale one is refused.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Function, Screen, verb
from pfgov.cli.inputs import given, read_tree
from pfgov.cli.packet.group import packet
from pfgov.cli.packet.move import packet_argument, report

if TYPE_CHECKING:
    from pfgov.cli.desk import Desk


def as_owner(function: Function) -> Function:
    """Add the options that say who writes."""
    options = (
        click.option(
            "--as", "member_id", metavar="MEMBER", help="Who writes; the owner by default."
        ),
        click.option(
            "--incarnation", type=int, help="In which life; the owner's present one by default."
        ),
        click.option("--epoch", type=int, help="Under which epoch; the present one by default."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def claim(
    desk: "Desk", packet_id: str, member_id: str | None, incarnation: int | None, epoch: int | None
) -> dict[str, Any]:
    """Return who writes, as the border reads it; what is not said is what is true now.

    Raises:
        NotOwnerError: nobody owns the packet, and nobody was named.
        NotFoundError: there is no such packet or member.
    """
    from pfgov.errors import NotOwnerError

    view = desk.packet(packet_id)
    last = view.last_owner
    if member_id is None and last is None:
        raise NotOwnerError(
            f"nobody owns {packet_id}, which is {view.status}",
            hint=f"see what it waits for: pfgov packet explain {packet_id}",
        )
    if incarnation is None and last is not None and member_id in {None, last.member_id}:
        incarnation = last.incarnation
    elif incarnation is None and member_id is not None:
        incarnation = desk.member(member_id).incarnation
    return {
        "member_id": member_id or (last.member_id if last else ""),
        "incarnation": incarnation,
        "epoch": view.epoch if epoch is None else epoch,
    }


@verb(
    packet,
    "checkpoint",
    examples=("pfgov packet checkpoint fp-001 --step review_done --file context.json",),
    then="pfgov packet show fp-001 --context",
)
@packet_argument
@click.option(
    "--file",
    "-f",
    "file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="The whole context: a JSON object; - reads standard input.",
)
@click.option("--step", help="The step it is at, a label that policies may read.")
@as_owner
def checkpoint(
    screen: Screen,
    packet_id: str,
    file: Path | None,
    step: str | None,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Save the owner's progress: the ledger keeps a commitment to the context, never its body."""
    from pfgov.cli.desk import acting
    from pfgov.model import Checkpoint, parse

    body = {**read_tree(file), **given(step=step)}
    with acting(screen) as desk:
        owner = claim(desk, packet_id, member_id, incarnation, epoch)
        asked = parse(Checkpoint, {**owner, "context_checkpoint": body})
        done = desk.do(asked, packet_id=packet_id)
        view = desk.packet(packet_id)
    return report(screen, view, done)


@verb(
    packet,
    "complete",
    examples=(
        "pfgov packet complete fp-001",
        "pfgov packet complete fp-001 --as agent-1 --incarnation 1 --epoch 2",
    ),
    then="pfgov ledger export --subject packet/fp-001",
)
@packet_argument
@as_owner
def complete(
    screen: Screen,
    packet_id: str,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Say that the owner has finished the work."""
    from pfgov.cli.desk import acting
    from pfgov.model import Completion, parse

    with acting(screen) as desk:
        owner = claim(desk, packet_id, member_id, incarnation, epoch)
        done = desk.do(parse(Completion, owner), packet_id=packet_id)
        view = desk.packet(packet_id)
    return report(screen, view, done)


@verb(
    packet,
    "fail",
    examples=("pfgov packet fail fp-001 --reason 'the case does not exist'",),
    then="run it again as a new packet: pfgov packet submit --again fp-001",
)
@packet_argument
@click.option("--reason", required=True, help="Why; it is recorded.")
@as_owner
def fail(
    screen: Screen,
    packet_id: str,
    reason: str,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Say that the owner gives up for good."""
    from pfgov.cli.desk import acting
    from pfgov.model import GivingUp, parse

    with acting(screen) as desk:
        owner = claim(desk, packet_id, member_id, incarnation, epoch)
        done = desk.do(parse(GivingUp, {**owner, "reason": reason}), packet_id=packet_id)
        view = desk.packet(packet_id)
    return report(screen, view, done)
