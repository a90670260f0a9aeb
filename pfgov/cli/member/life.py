"""A member's life: heartbeats, draining, retiring, failing, coming back, quarantine.

Each command says what happened to the packets that the member owned.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import NUMBER, WHEN, given, moment_of
from pfgov.cli.member.group import member

if TYPE_CHECKING:
    from pfgov.core.commands import Action
    from pfgov.model import Wire

member_argument = click.argument("member_id", metavar="ID")
reason_option = click.option("--reason", help="Why; it is recorded.")


def _run(output: Output, asked: "Wire | Action", member_id: str, headline: str) -> int:
    """Carry out what was *asked* and say what became of the member and its work."""
    from pfgov.cli import render
    from pfgov.cli.opening import acting

    with acting(output) as ledger_port:
        done = ledger_port.do(asked, member_id=member_id)
        view = ledger_port.member(member_id)
    left = f", and owns {len(view.owns)} packets" if view.owns else ""
    said = headline.format(id=member_id, status=view.status) + left
    output.show(done.result(member=view), *render.done(done, said))
    return 0


@verb(
    member,
    "heartbeat",
    examples=("pfgov member heartbeat agent-1", "pfgov member heartbeat agent-1 --owns fp-001:2"),
    then="let overdue leases end: pfgov tick",
)
@member_argument
@click.option(
    "--incarnation", type=int, help="Which life it believes to be in; its present one by default."
)
@click.option(
    "--owns", multiple=True, metavar="PACKET:EPOCH", help="What it believes to own; repeatable."
)
@click.option("--pressure", type=NUMBER, help="How loaded it is, 0 to 1.")
def heartbeat(
    output: Output,
    member_id: str,
    incarnation: int | None,
    owns: tuple[str, ...],
    pressure: Decimal | None,
) -> int:
    """Say that a member is alive: its lease begins anew.

    The answer names the packets it believes to own and has lost, and those that it must not begin yet, because who had
    them before may be at work still.
    """
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.core.wording import counted
    from pfgov.model import Heartbeat, PressureReport, parse
    from pfgov.model.times import to_moment

    believed = [_believed(text) for text in owns]
    report = None if pressure is None else parse(PressureReport, {"pressure": pressure})
    with acting(output) as ledger_port:
        life = ledger_port.member(member_id).incarnation if incarnation is None else incarnation
        beat = parse(Heartbeat, given(incarnation=life, owns=believed or None))
        heard = ledger_port.heartbeat(member_id, beat, report)
    done = heard.done
    lost = [{"packet_id": packet_id, "epoch": epoch} for packet_id, epoch in heard.lost]
    until = to_moment(heard.lease_until)
    parts = render.done(done, f"{member_id} was heard; its lease runs until {until}")
    parts += [
        f"it has lost {name} (epoch {epoch}): it must stop working on it"
        for name, epoch in heard.lost
    ]
    held_back = [
        {"packet_id": packet_id, "epoch": epoch, "seconds": seconds}
        for packet_id, epoch, seconds in heard.held_back
    ]
    parts += [
        f"it must not begin {name} (epoch {epoch}) yet: who had it before may be at work still, for"
        f" {counted(seconds, 'second')} at most"
        for name, epoch, seconds in heard.held_back
    ]
    about = done.result(member_id=member_id, lease_until=until, lost=lost, held_back=held_back)
    output.show(about, *parts)
    return 1 if lost else 0


def _believed(text: str) -> dict[str, object]:
    name, found, epoch = text.rpartition(":")
    if not found or not epoch.isdecimal():
        raise click.BadParameter(f"{text!r} is not PACKET:EPOCH", param_hint="--owns")
    return {"packet_id": name, "epoch": int(epoch)}


@verb(
    member,
    "drain",
    examples=("pfgov member drain agent-1 --deadline 15m", "pfgov member drain agent-1 --cancel"),
    then="see what it still owns: pfgov member show agent-1",
)
@member_argument
@click.option(
    "--deadline", type=WHEN, help="When the rest is taken away: a span like 15m, or a moment."
)
@click.option(
    "--mode",
    type=click.Choice(("start_first", "stop_first")),
    help="Move each packet while it is owned, or take it away first.",
)
@click.option("--cancel", is_flag=True, help="Keep the member after all.")
def drain(
    output: Output, member_id: str, deadline: str | None, mode: str | None, cancel: bool
) -> int:
    """Move everything off a member; when it owns nothing it retires."""
    from pfgov.clock import SystemClock
    from pfgov.core.commands import CancelDrain
    from pfgov.model import Drain, parse

    if cancel:
        return _run(
            output, CancelDrain(member_id=member_id), member_id, "{id} stays and is {status}"
        )
    tree = given(deadline=moment_of(deadline, SystemClock().now()), mode=mode)
    asked = parse(Drain, tree)
    return _run(output, asked, member_id, "{id} is {status}")


@verb(member, "retire", examples=("pfgov member retire agent-1",), then="pfgov member list --all")
@member_argument
def retire(output: Output, member_id: str) -> int:
    """Let a member go: at once when it owns nothing, else after its work has moved."""
    from pfgov.core.commands import RetireMember

    return _run(output, RetireMember(member_id=member_id), member_id, "{id} is {status}")


@verb(
    member,
    "fail",
    examples=("pfgov member fail agent-1 --reason 'the node is gone'",),
    then="see where its work went: pfgov packet list",
)
@member_argument
@reason_option
def fail(output: Output, member_id: str, reason: str | None) -> int:
    """Report a member dead: everything it owns is taken away and placed again."""
    from pfgov.model import Failure, parse

    asked = parse(Failure, given(reason=reason))
    return _run(output, asked, member_id, "{id} is {status}")


@verb(
    member, "recover", examples=("pfgov member recover agent-1",), then="pfgov member show agent-1"
)
@member_argument
def recover(output: Output, member_id: str) -> int:
    """Take a failed member back in its next life; it owns nothing of before."""
    from pfgov.core.commands import RecoverMember

    return _run(output, RecoverMember(member_id=member_id), member_id, "{id} is back and {status}")


@verb(
    member,
    "quarantine",
    examples=("pfgov member quarantine agent-1 --until 2h --reason 'odd results'",),
    then="pfgov member release agent-1",
)
@member_argument
@reason_option
@click.option("--until", type=WHEN, help="When it ends by itself: a span like 2h, or a moment.")
def quarantine(output: Output, member_id: str, reason: str | None, until: str | None) -> int:
    """Give a member no new work; it keeps what it owns unless policy says otherwise."""
    from pfgov.clock import SystemClock
    from pfgov.model import Quarantine, parse

    tree = given(reason=reason, until=moment_of(until, SystemClock().now()))
    asked = parse(Quarantine, tree)
    return _run(output, asked, member_id, "{id} is {status}")


@verb(
    member, "release", examples=("pfgov member release agent-1",), then="pfgov member show agent-1"
)
@member_argument
def release(output: Output, member_id: str) -> int:
    """End a member's quarantine."""
    from pfgov.core.commands import ReleaseMember

    return _run(output, ReleaseMember(member_id=member_id), member_id, "{id} is {status} again")
