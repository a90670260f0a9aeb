"""Commands that may change who owns a packet: placing, handing off, reviewing, taking back, calling off.

Each exits 0 only if what was asked for came about; a denial is recorded and exits 1 with its reasons.
"""

from typing import TYPE_CHECKING

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import WHEN, given, moment_of
from pfgov.cli.packet.claims import as_owner, named
from pfgov.cli.packet.group import packet
from pfgov.cli.packet.submit import advice, headline

if TYPE_CHECKING:
    from pfgov.app.done import Done
    from pfgov.app.ledger import LedgerPort
    from pfgov.app.views import PacketView
    from pfgov.model import Acceptance, Wire

packet_argument = click.argument("packet_id", metavar="ID")


def run(output: Output, asked: "Wire", packet_id: str) -> tuple["PacketView", "Done"]:
    """Carry out what was *asked* and return where the packet stands then, with what was recorded."""
    from pfgov.cli.opening import acting

    with acting(output) as ledger_port:
        done = ledger_port.do(asked, packet_id=packet_id)
        return ledger_port.packet(packet_id), done


def report(output: Output, view: "PacketView", done: "Done", *, succeeded: bool = True) -> int:
    """Say what became of a packet; return the exit status."""
    from pfgov.cli import render

    said = headline(view) if succeeded else f"not done: {headline(view)}"
    parts = [*render.done(done, said), *advice(view)]
    if not succeeded and view.review is None:
        parts.append(f"next:  why it stays where it is: pfgov packet explain {view.packet_id}")
    output.show(done.result(packet=view, succeeded=succeeded), *parts)
    return 0 if succeeded else 1


@verb(
    packet,
    "assign",
    examples=("pfgov packet assign fp-001", "pfgov packet assign fp-001 --to agent-1"),
    then="pfgov packet explain fp-001",
)
@packet_argument
@click.option("--to", "target", metavar="MEMBER", help="Judge only this member.")
def assign(output: Output, packet_id: str, target: str | None) -> int:
    """Find an owner for a packet that has none; naming one bypasses nothing."""
    from pfgov.model import Placement, parse

    view, done = run(output, parse(Placement, given(target=target)), packet_id)
    return report(output, view, done, succeeded=view.current_owner is not None)


@verb(
    packet,
    "handoff",
    examples=(
        "pfgov packet handoff fp-001 --reason 'shift ends'",
        "pfgov packet handoff fp-001 --to agent-2",
    ),
    then="the target takes it: pfgov packet accept fp-001",
)
@packet_argument
@click.option("--to", "target", metavar="MEMBER", help="Judge only this member.")
@click.option("--reason", help="Why; policies may read it.")
@as_owner
def handoff(
    output: Output,
    packet_id: str,
    target: str | None,
    reason: str | None,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Move a packet away from its owner, to a target or to whoever is best; with a member's key, name the member."""
    from pfgov.model import Handoff, parse

    who = named(output, packet_id, member_id, incarnation, epoch)
    view, done = run(
        output, parse(Handoff, {**given(target=target, reason=reason), **who}), packet_id
    )
    began = "handoff_started" in done.types and "handoff_aborted" not in done.types
    return report(output, view, done, succeeded=began)


@verb(packet, "accept", examples=("pfgov packet accept fp-001",), then="pfgov packet show fp-001")
@packet_argument
@click.option("--as", "member_id", metavar="MEMBER", help="Who takes it; the target by default.")
@click.option("--incarnation", type=int, help="Its life; the one the handoff names by default.")
@click.option(
    "--handoff", "position", type=int, help="The handoff's position; the pending one by default."
)
@click.option(
    "--view", metavar="DIGEST", help="The commitment of what it read; the pinned one by default."
)
def accept(
    output: Output,
    packet_id: str,
    member_id: str | None,
    incarnation: int | None,
    position: int | None,
    view: str | None,
) -> int:
    """Take over a packet that is being handed off; policy judges once more."""
    from pfgov.cli.opening import acting

    with acting(output) as ledger_port:
        asked = _acceptance(ledger_port, packet_id, member_id, incarnation, position, view)
        done = ledger_port.do(asked, packet_id=packet_id)
        now = ledger_port.packet(packet_id)
    return report(output, now, done, succeeded="handoff_completed" in done.types)


def _acceptance(
    ledger_port: "LedgerPort",
    packet_id: str,
    member_id: str | None,
    incarnation: int | None,
    position: int | None,
    view: str | None,
) -> "Acceptance":
    from pfgov.errors import StateConflictError
    from pfgov.model import Acceptance, parse

    pending = ledger_port.packet(packet_id).handoff.pending
    if pending is None:
        raise StateConflictError(
            f"packet {packet_id} is not being handed off",
            code="handoff.none",
            hint=f"start one: pfgov packet handoff {packet_id}",
        )
    tree = given(
        member_id=member_id or pending["target"],
        incarnation=pending["incarnation"] if incarnation is None else incarnation,
        handoff=pending["position"] if position is None else position,
        view=view or pending["view"],
    )
    return parse(Acceptance, tree)


@verb(
    packet,
    "abort",
    examples=("pfgov packet abort fp-001",),
    then="its owner keeps it: pfgov packet show fp-001",
)
@packet_argument
@as_owner
def abort(
    output: Output,
    packet_id: str,
    member_id: str | None,
    incarnation: int | None,
    epoch: int | None,
) -> int:
    """Call a pending handoff off, or refuse it as its target; the owner keeps the packet."""
    from pfgov.model import Abort, parse

    who = named(output, packet_id, member_id, incarnation, epoch)
    view, done = run(output, parse(Abort, who), packet_id)
    return report(output, view, done)


@verb(
    packet,
    "review",
    examples=("pfgov packet review fp-001 --grant --version 3 --note 'checked the case'",),
    then="pfgov packet explain fp-001",
)
@packet_argument
@click.option("--grant/--refuse", "granted", default=None, help="What you decide.")
@click.option(
    "--version",
    type=click.IntRange(min=0),
    metavar="N",
    help="The packet's version that you looked at; granting needs it.",
)
@click.option("--for", "member_id", metavar="MEMBER", help="Only for this member.")
@click.option("--expires", type=WHEN, help="Until when it counts: a span like 7d, or a moment.")
@click.option("--note", help="Why; it is recorded.")
def review(
    output: Output,
    packet_id: str,
    granted: bool | None,
    version: int | None,
    member_id: str | None,
    expires: str | None,
    note: str | None,
) -> int:
    """Grant or refuse what policy asked a person to look at."""
    from pfgov.clock import SystemClock
    from pfgov.model import Review, parse

    if granted is None:
        raise click.UsageError("say --grant or --refuse", click.get_current_context())
    tree = given(
        granted=granted,
        version=version,
        member_id=member_id,
        expires_at=moment_of(expires, SystemClock().now()),
        note=note,
    )
    view, done = run(output, parse(Review, tree), packet_id)
    return report(output, view, done)


@verb(
    packet,
    "requeue",
    examples=("pfgov packet requeue fp-001 --reason 'owner is stuck'",),
    then="pfgov packet explain fp-001",
)
@packet_argument
@click.option("--reason", help="Why; it is recorded.")
@click.option("--elsewhere", is_flag=True, default=None, help="Others get it first.")
def requeue(output: Output, packet_id: str, reason: str | None, elsewhere: bool | None) -> int:
    """Take a packet from its owner and place it again."""
    from pfgov.model import Requeue, parse

    asked = parse(Requeue, given(reason=reason, elsewhere=elsewhere))
    view, done = run(output, asked, packet_id)
    return report(output, view, done)


@verb(
    packet,
    "cancel",
    examples=("pfgov packet cancel fp-001 --reason duplicate",),
    then="pfgov packet list --all",
)
@packet_argument
@click.option("--reason", help="Why; it is recorded.")
def cancel(output: Output, packet_id: str, reason: str | None) -> int:
    """Call the work off, wherever it stands."""
    from pfgov.model import Cancellation, parse

    view, done = run(output, parse(Cancellation, given(reason=reason)), packet_id)
    return report(output, view, done)
