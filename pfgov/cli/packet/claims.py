"""Who writes to a packet, as options of a command: what is not said is what is true now."""

from typing import TYPE_CHECKING, Any

import click

from pfgov.cli.frame import Function, Output

if TYPE_CHECKING:
    from pfgov.app.ledger import LedgerPort


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
    ledger_port: "LedgerPort",
    packet_id: str,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> dict[str, Any]:
    """Return who writes, as the border reads it; what is not said is what is true now.

    Raises:
        NotOwnerError: nobody owns the packet, and nobody was named.
        NotFoundError: there is no such packet or member.
    """
    from pfgov.errors import NotOwnerError

    view = ledger_port.packet(packet_id)
    last = view.last_owner
    if member_id is None and last is None:
        raise NotOwnerError(
            f"nobody owns {packet_id}, which is {view.status}",
            hint=f"see what it waits for: pfgov packet explain {packet_id}",
        )
    if incarnation is None and last is not None and member_id in {None, last.member_id}:
        incarnation = last.incarnation
    elif incarnation is None and member_id is not None:
        incarnation = ledger_port.member(member_id).incarnation
    return {
        "member_id": member_id or (last.member_id if last else ""),
        "incarnation": incarnation,
        "epoch": view.epoch if epoch is None else epoch,
    }


def named(
    output: Output,
    packet_id: str,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> dict[str, Any]:
    """Return the claim of whoever names itself; nothing for an operator, who does not."""
    from pfgov.cli.opening import acting

    if (member_id, incarnation, epoch) == (None, None, None):
        return {}
    with acting(output) as ledger_port:
        return claim(ledger_port, packet_id, member_id, incarnation, epoch)
