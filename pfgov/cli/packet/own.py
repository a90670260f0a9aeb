"""What a packet's owner writes: progress, the end.

Every write names the member, its life and the epoch under which it believes to own the packet.  Whoever types without
naming them means the present owner; a worker names them, so that a stale one is refused.
"""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import given, read_tree
from pfgov.cli.packet.claims import as_owner, claim
from pfgov.cli.packet.group import packet
from pfgov.cli.packet.move import packet_argument, report


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
    output: Output,
    packet_id: str,
    file: Path | None,
    step: str | None,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Save the owner's progress: the ledger keeps a commitment to the context, never its body."""
    from pfgov.cli.opening import acting
    from pfgov.model import Checkpoint, parse

    body = {**read_tree(file), **given(step=step)}
    with acting(output) as ledger_port:
        owner = claim(ledger_port, packet_id, member_id, incarnation, epoch)
        asked = parse(Checkpoint, {**owner, "context_checkpoint": body})
        done = ledger_port.do(asked, packet_id=packet_id)
        view = ledger_port.packet(packet_id)
    return report(output, view, done)


@verb(
    packet,
    "complete",
    examples=(
        "pfgov packet complete fp-001",
        "pfgov packet complete fp-001 --as agent-1 --incarnation 1 --epoch 2 --result result.json",
    ),
    then="what came of it, for whoever submitted it: pfgov packet result fp-001",
)
@packet_argument
@click.option(
    "--result",
    "result",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="What came of it: a JSON object; - reads standard input. Only whoever submitted the packet may read it.",
)
@as_owner
def complete(
    output: Output,
    packet_id: str,
    result: Path | None,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Say that the owner has finished the work, and what came of it: the ledger keeps a commitment to that."""
    from pfgov.cli.opening import acting
    from pfgov.model import Completion, parse

    body = {} if result is None else {"result": read_tree(result)}
    with acting(output) as ledger_port:
        owner = claim(ledger_port, packet_id, member_id, incarnation, epoch)
        done = ledger_port.do(parse(Completion, {**owner, **body}), packet_id=packet_id)
        view = ledger_port.packet(packet_id)
    return report(output, view, done)


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
    output: Output,
    packet_id: str,
    reason: str,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Say that the owner gives up for good."""
    from pfgov.cli.opening import acting
    from pfgov.model import GivingUp, parse

    with acting(output) as ledger_port:
        owner = claim(ledger_port, packet_id, member_id, incarnation, epoch)
        done = ledger_port.do(parse(GivingUp, {**owner, "reason": reason}), packet_id=packet_id)
        view = ledger_port.packet(packet_id)
    return report(output, view, done)
