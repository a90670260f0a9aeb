"""``pfgov policy repl``: expressions tried on facts, one a line, with the value of every part."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.policy import POINTS, now_option, policy, principal_option
from pfgov.cli.policy_sets import against_option, asked

if TYPE_CHECKING:
    from pfgov.app.ledger import Reading
    from pfgov.app.views import EntryView, PacketView
    from pfgov.policy import PolicySet
    from pfgov.policy.authoring.asking import Facts
    from pfgov.policy.authoring.trying import Tried
    from pfgov.policy.files.model import Policy

PROMPT = "> "


@verb(
    policy,
    "repl",
    examples=(
        "pfgov policy repl --packet p-1 --member agent-a",
        "pfgov policy repl --packet fixtures/packets.yaml#plain --member fixtures/members.yaml#good --in trust",
        "pfgov policy repl --member member.json --action register < expressions.txt",
    ),
    then="put what holds into a rule, then: pfgov policy watch policies",
)
@click.option("--packet", metavar="FILE[#NAME]|ID", help="The packet: a file's, or the ledger's.")
@click.option("--member", metavar="FILE[#NAME]|ID", help="The member.")
@click.option("--source", metavar="FILE[#NAME]|ID", help="The last owner, on a handoff.")
@click.option(
    "--before",
    metavar="FILE[#NAME]|ID",
    help="At update and update_member: the packet, or the member, as it is; the same by default.",
)
@click.option("--review", metavar="FILE", help="At review: the facts of the review.")
@click.option("--export", metavar="FILE", help="At export: the facts of the export.")
@click.option("--activation", metavar="FILE", help="At activate: the facts of the set.")
@principal_option
@click.option("--reason", metavar="TEXT", help="Why; what the engine would say by default.")
@click.option("--action", type=click.Choice(POINTS), default="assign", show_default=True)
@now_option
@against_option
@click.option(
    "--in", "names_of", metavar="POLICY", help="Know the params, variables and imports of this one."
)
def repl(  # noqa: PLR0917 - click passes each option by its name
    output: Output,
    packet: str | None,
    member: str | None,
    source: str | None,
    before: str | None,
    review: str | None,
    export: str | None,
    activation: str | None,
    principal: str | None,
    reason: str | None,
    action: str,
    now: str | None,
    against: str | None,
    names_of: str | None,
) -> int:
    """Read expressions, one a line, and say what each comes to on these facts, with the value of every part.

    A name that is no file is looked up in the ledger: the packet or the member as it is now. What is not named has the
    plain facts that a test begins with. `:facts` prints what there is, `:quit` or the end of the input ends it.

    Exits 0, or 1 if the input is not a terminal and an expression in it is wrong.
    """
    from pfgov.clock import SystemClock
    from pfgov.policy.authoring import asking
    from pfgov.policy.authoring.trying import Trial

    chosen = asked(output, against)
    named = {
        "packet": packet, "member": member, "source": source,
        "before": before, "review": review, "export": export, "activation": activation,
    }  # fmt: skip
    moment = asking.moment(now) if now else SystemClock().now()
    found = _found(output, action, named, moment)
    question = asking.ask(
        action,
        packet=found.pop("packet", None),
        source=found.pop("source", None),
        principal=asking.read_one(principal, "principal") if principal else None,
        reason=reason,
        now=moment,
        more={name: facts for name, facts in found.items() if name != "member"},
    )
    held = found.get("member", {})
    question = asking.with_more(question, held, before)
    trial = Trial(chosen.policies, question, held, names_of=_policy(chosen.policies, names_of))
    is_terminal = sys.stdin.isatty()
    tried: list[Tried] = []
    for text in _lines(prompt=is_terminal and not output.json):
        if text == ":facts":
            output.tell(*_known(trial.values))
            continue
        tried.append(trial.value_of(text))
        if not output.json:
            _tell(output, tried[-1])
    if output.json:
        output.emit({"expressions": [one.as_dict() for one in tried], **chosen.result()})
    return int(not is_terminal and any(one.problems for one in tried))


def _found(
    output: Output, action: str, named: dict[str, str | None], now: int
) -> "dict[str, Facts]":
    """Return the facts that there are at *action*: those that are named, and plain ones where there have to be some.

    Raises:
        UsageError: what is named does not exist at that point.
    """
    from pfgov.core.verdicts import Point
    from pfgov.policy.authoring import asking, inputs
    from pfgov.policy.facts import ABSENT_AT

    has, needs = asking.takes(action)
    strange = next((name for name, given in named.items() if given and name not in has), None)
    if strange is not None:
        message = f"a decision at {action} has no --{strange}"
        raise click.UsageError(message, click.get_current_context())
    plain = needs | (has & {"source"} - ABSENT_AT.get(Point(action), frozenset()))
    found = {root: inputs.complete(root, {}, root) for root in sorted(plain)}
    found |= asking.read_more(action, {**named, "before": None})
    for root in ("packet", "member", "source", "before"):
        name = named[root]
        if name is not None:
            found[root] = _facts(output, asking.kind_of(root, action), name, now)
    return found


def _policy(policies: "PolicySet", name: str | None) -> "Policy | None":
    """Return the policy of that name in the set.

    Raises:
        BadParameter: there is none.
    """
    from pfgov.policy.problems import did_you_mean

    if name is None:
        return None
    known = {one.name: one for one in policies.bundle.policies}
    if name not in known:
        hint = did_you_mean(name, known) or f"it has: {', '.join(sorted(known))}"
        raise click.BadParameter(
            f"no policy of the set has the name {name}; {hint}", param_hint="--in"
        )
    return known[name]


def _facts(output: Output, root: str, name: str, now: int) -> "Facts":
    """Return the facts that a file holds, or those of the ledger's packet or member of that id."""
    from pathlib import Path

    from pfgov.policy.authoring import asking, inputs

    if Path(name.partition("#")[0]).exists() or "#" in name or "/" in name:
        return asking.read_one(name, root)
    from pfgov.app.views.facts import facts_of_member, facts_of_packet
    from pfgov.cli.opening import reading

    with reading(output) as book:
        if root in {"packet", inputs.BEFORE_UPDATE}:
            packet = book.packet(name)
            return facts_of_packet(packet, _said_of(book, packet))
        return facts_of_member(book.member(name), now)


def _said_of(book: "Reading", packet: "PacketView") -> "list[EntryView]":
    """Return the entries that hold what the view of a packet does not: its creation, and its reviews."""
    from pfgov.app.ledger import EntriesWanted

    subject = f"packet/{packet.packet_id}"
    created = EntriesWanted(subject, ("packet_created",), after=-1, limit=1, full=True)
    reviews = [book.entry(review.position, full=True) for review in packet.reviews]
    return [*book.entries(created), *reviews]


def _lines(*, prompt: bool) -> Iterator[str]:
    """Yield the lines that say something, until the input ends or somebody quits."""
    while True:
        if prompt:
            try:
                line = input(PROMPT)
            except EOFError:
                return
        else:
            line = sys.stdin.readline()
            if not line:
                return
        text = line.strip()
        if text in {":quit", ":q"}:
            return
        if text:
            yield text


def _known(values: dict[str, object]) -> list[str]:
    import json

    return [f"{root}: {json.dumps(facts, default=str)}" for root, facts in sorted(values.items())]


def _tell(output: Output, one: "Tried") -> None:
    for problem in one.problems:
        output.out.print(f"not an expression here: {problem}", soft_wrap=True)
    for step in one.steps:
        output.out.print(f"{'  ' * step.depth}{step.text} = {step.value}", soft_wrap=True)
