"""Members on record: joining, listing, showing, changing, trusting.

Options and files are checked by the wire models; nothing is decided here.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import (
    NUMBER,
    PAIR,
    WHEN,
    amounts,
    capability,
    file_option,
    given,
    merged,
    moment_of,
    read_tree,
)
from pfgov.cli.member.group import member

TYPES: Final = ("agent", "service", "tool", "node", "vnode", "model", "human", "worker")
STATUSES: Final = ("ACTIVE", "SUSPECT", "DRAINING", "QUARANTINED", "FAILED", "RETIRED")


@verb(
    member,
    "register",
    examples=(
        "pfgov member register --file member.json",
        "pfgov member register --id agent-1 --type agent --capability planning --region us-east --trust 0.95",
    ),
    then="pfgov member show agent-1, or give it work: pfgov packet submit --help",
)
@file_option
@click.option("--id", "member_id", help="Its id.")
@click.option("--type", "kind", type=click.Choice(TYPES), help="What it is.")
@click.option(
    "--capability",
    "capabilities",
    multiple=True,
    metavar="NAME[@VERSION]",
    help="What it can do; repeatable.",
)
@click.option("--cpu", type=NUMBER, help="Its cpu capacity.")
@click.option("--memory", type=NUMBER, help="Its memory capacity.")
@click.option(
    "--capacity",
    "capacities",
    type=PAIR,
    multiple=True,
    help="Another capacity, such as tasks=4; repeatable.",
)
@click.option("--region", help="Where it is, such as us-east or us-east/1a.")
@click.option(
    "--clearance", "clearances", multiple=True, help="A class of data it may hold; repeatable."
)
@click.option("--trust", type=NUMBER, help="Its trust score, 0 to 1, attested by you.")
@click.option(
    "--lease",
    type=int,
    metavar="SECONDS",
    help="Hold it for dead after so long without a heartbeat.",
)
@click.option(
    "--handoff-mode",
    type=click.Choice(("auto", "accept")),
    help="Whether it takes handoffs by itself.",
)
@click.option("--weight", type=int, help="Its share of the work, 1 to 1000.")
@click.option("--label", "labels", type=PAIR, multiple=True, help="A label; repeatable.")
@click.option("--public-key", metavar="HEX", help="Its Ed25519 public key.")
def register(
    output: Output,
    *,
    file: Path | None,
    member_id: str | None,
    kind: str | None,
    capabilities: tuple[str, ...],
    cpu: Decimal | None,
    memory: Decimal | None,
    capacities: tuple[tuple[str, str], ...],
    region: str | None,
    clearances: tuple[str, ...],
    trust: Decimal | None,
    lease: int | None,
    handoff_mode: str | None,
    weight: int | None,
    labels: tuple[tuple[str, str], ...],
    public_key: str | None,
) -> int:
    """Register a member, or bring back one that failed or retired.

    The file holds the specification's request: id, type, capabilities, cpu_capacity, memory_capacity, trust_score.
    """
    options = given(
        id=member_id,
        type=kind,
        capabilities=[capability(text) for text in capabilities] or None,
        cpu_capacity=cpu,
        memory_capacity=memory,
        capacity=amounts(capacities) or None,
        region=region,
        clearances=list(clearances) or None,
        trust_score=trust,
        lease_seconds=lease,
        handoff_mode=handoff_mode,
        weight=weight,
        labels=dict(labels) or None,
        public_key=public_key,
    )
    tree = merged(read_tree(file), options)
    return _register(output, tree)


def _register(output: Output, tree: dict[str, Any]) -> int:
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.model import MemberRegistration, parse

    asked = parse(MemberRegistration, tree)
    with acting(output) as ledger_port:
        done = ledger_port.do(asked)
        view = ledger_port.member(asked.id)
    headline = f"{view.id} is registered and {view.status}"
    output.show(done.result(member=view), *render.done(done, headline))
    return 0


@verb(
    member,
    "list",
    examples=(
        "pfgov member list",
        "pfgov member list --status ACTIVE --capability planning",
        "pfgov member list --type agent --text billing",
    ),
    then="pfgov member show ID",
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice(STATUSES, case_sensitive=False),
    multiple=True,
    help="Only these; repeatable.",
)
@click.option("--capability", help="Only members that can do this.")
@click.option("--region", help="Only members in this region.")
@click.option("--type", "kind", type=click.Choice(TYPES), help="Only members of this type.")
@click.option("--label", type=PAIR, help="Only members with this label.")
@click.option(
    "--text",
    "words",
    default="",
    help="Only members with this text in the id, a capability, the region or a label.",
)
@click.option("--all", "all_", is_flag=True, help="Retired members, too.")
def list_(
    output: Output,
    statuses: tuple[str, ...],
    capability: str | None,
    region: str | None,
    kind: str | None,
    label: tuple[str, str] | None,
    words: str,
    all_: bool,
) -> int:
    """List the members."""
    from pfgov.app.ledger import MembersWanted
    from pfgov.cli import render
    from pfgov.cli.opening import reading

    here = tuple(one for one in STATUSES if all_ or one != "RETIRED")
    wanted = MembersWanted(statuses or here, capability, region, label, kind=kind, words=words)
    with reading(output) as book:
        members = book.members(wanted)
    result = {"members": members, "count": len(members)}
    if members:
        output.show(result, render.members_table(members))
    elif statuses or capability or region or kind or label or words:
        output.show(result, "no member is like that; see all: pfgov member list --all")
    else:
        output.show(result, "no members here; add one with: pfgov member register --help")
    return 0


@verb(member, "show", examples=("pfgov member show agent-1",), then="pfgov member list")
@click.argument("member_id", metavar="ID")
@click.option("--history", is_flag=True, help="Every entry about it, too.")
def show(output: Output, member_id: str, history: bool) -> int:
    """Show everything about one member."""
    from pfgov.app.ledger import EntriesWanted
    from pfgov.cli import render
    from pfgov.cli.opening import reading

    with reading(output) as book:
        view = book.member(member_id)
        entries = book.entries(EntriesWanted(subject=f"member/{member_id}")) if history else []
    result: dict[str, Any] = {"member": view}
    parts = [render.member_facts(view)]
    if history:
        result["history"] = entries
        parts.append(render.entries_table(entries, width=output.width))
    output.show(result, *parts)
    return 0


@verb(
    member,
    "update",
    examples=("pfgov member update agent-1 --add-capability routing@1.2 --region us-east/1b",),
    then="what it owns is judged again: pfgov packet list --owner agent-1",
)
@click.argument("member_id", metavar="ID")
@file_option
@click.option(
    "--add-capability",
    "discovered",
    multiple=True,
    metavar="NAME[@VERSION]",
    help="It can do this now; repeatable.",
)
@click.option(
    "--drop-capability",
    "withdrawn",
    multiple=True,
    metavar="NAME",
    help="It can no longer do this; repeatable.",
)
@click.option(
    "--capacity",
    "capacities",
    type=PAIR,
    multiple=True,
    help="All its capacities, such as cpu=8; repeatable.",
)
@click.option("--region", help="Where it is now.")
@click.option(
    "--clearance", "clearances", multiple=True, help="All classes of data it may hold; repeatable."
)
@click.option("--lease", type=int, metavar="SECONDS", help="Its lease.")
@click.option(
    "--handoff-mode",
    type=click.Choice(("auto", "accept")),
    help="Whether it takes handoffs by itself.",
)
@click.option("--weight", type=int, help="Its share of the work, 1 to 1000.")
@click.option("--label", "labels", type=PAIR, multiple=True, help="All its labels; repeatable.")
def update(
    output: Output,
    *,
    member_id: str,
    file: Path | None,
    discovered: tuple[str, ...],
    withdrawn: tuple[str, ...],
    capacities: tuple[tuple[str, str], ...],
    region: str | None,
    clearances: tuple[str, ...],
    lease: int | None,
    handoff_mode: str | None,
    weight: int | None,
    labels: tuple[tuple[str, str], ...],
) -> int:
    """Change what a member says about itself; what it owns is judged again."""
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.model import MemberUpdate, parse

    options = given(
        discovered=[capability(text) for text in discovered] or None,
        withdrawn=list(withdrawn) or None,
        capacity=amounts(capacities) or None,
        region=region,
        clearances=list(clearances) or None,
        lease_seconds=lease,
        handoff_mode=handoff_mode,
        weight=weight,
        labels=dict(labels) or None,
    )
    asked = parse(MemberUpdate, merged(read_tree(file), options))
    with acting(output) as ledger_port:
        done = ledger_port.do(asked, member_id=member_id)
        view = ledger_port.member(member_id)
    headline = f"{member_id} is changed" if done.recorded else f"{member_id} was like that already"
    output.show(done.result(member=view), *render.done(done, headline))
    return 0


@verb(
    member,
    "trust",
    examples=("pfgov member trust agent-1 0.95", "pfgov member trust agent-1 0.80 --expires 30d"),
    then="pfgov member show agent-1",
)
@click.argument("member_id", metavar="ID")
@click.argument("score", type=NUMBER)
@click.option("--expires", type=WHEN, help="Until when it counts: a span like 30d, or a moment.")
def trust(output: Output, member_id: str, score: Decimal, expires: str | None) -> int:
    """Attest how far a member is trusted, 0 to 1; what it owns is judged again."""
    from pfgov.cli import render
    from pfgov.cli.opening import acting
    from pfgov.clock import SystemClock
    from pfgov.model import TrustAssessment, parse

    tree = given(score=score, expires_at=moment_of(expires, SystemClock().now()))
    asked = parse(TrustAssessment, tree)
    with acting(output) as ledger_port:
        done = ledger_port.do(asked, member_id=member_id)
        view = ledger_port.member(member_id)
    output.show(done.result(member=view), *render.done(done, f"{member_id} is trusted {score}"))
    return 0
