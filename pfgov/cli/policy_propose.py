"""``pfgov policy propose``, ``proposals``, ``approve`` and ``reject``: somebody else agrees before a set is binding.

How many have to is the setting ``activation_approvals``; without it nothing here is needed, and a proposal is a way to
have a set looked at.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfgov.app.ledger import in_order
from pfgov.cli import render
from pfgov.cli.frame import Output, verb
from pfgov.cli.output import table
from pfgov.cli.policy import policy
from pfgov.cli.policy_sets import NotRead

if TYPE_CHECKING:
    from pfgov.app.ledger import Reading
    from pfgov.app.views import ProposalView

note_option = click.option("--note", metavar="TEXT", help="Why; recorded.")


@verb(
    policy,
    "propose",
    examples=(
        'pfgov policy propose ./policies --note "floor of trust up to 0.7"',
        "pfgov policy propose ./policies --report trial.json",
    ),
    then="somebody else looks at it: pfgov policy proposals",
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@note_option
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A signed report of its impact, or of a trial; recorded by its digest.",
)
def propose(output: Output, directory: Path, note: str | None, report: Path | None) -> int:
    """Propose a folder of policies to be made binding; recorded, with the set, so that others can read it.

    A change of the folder is another set and another proposal, which nobody has approved; so is the same one with
    another report. Whenever a set is made binding, every open proposal is closed: each was to replace the one before.

    A report is what `pfgov policy impact` or `pfgov policy try` wrote with --sign, by a key of a publisher that is
    trusted. Its digest, both sets and the entries that it is about are recorded with the proposal.
    """
    from pfgov.cli.inputs import read_raw
    from pfgov.cli.opening import acting

    with acting(output) as ledger_port:
        raw = None if report is None else read_raw(report)
        digest, done = ledger_port.propose(directory, note, raw)
    happened = in_order(done)
    said = "is proposed" if happened else "was proposed already"
    not_read = NotRead.of(directory)
    output.show(
        {"digest": digest, "unread": not_read.result(), "entries": happened},
        *not_read.lines(),
        f"policy set {digest[:12]} {said}",
        render.entries_list(happened),
    )
    return 0


@verb(
    policy,
    "proposals",
    examples=("pfgov policy proposals", "pfgov policy diff binding DIGEST"),
    then="approve one: pfgov policy approve DIGEST",
)
def proposals(output: Output) -> int:
    """List the policy sets that are proposed, who proposed them, and who approved."""
    from pfgov.cli.opening import reading

    with reading(output) as book:
        found = book.proposals()
    rows = [
        (
            one.digest[:12],
            one.proposal,
            one.name or one.proposer,
            f"{len(one.approvals)} of {one.needed}" if one.needed else len(one.approvals),
            [a.name or a.principal for a in one.approvals],
            (one.report or "")[:12],
            one.note,
        )
        for one in found
    ]
    head = ("!SET", "#ENTRY", "PROPOSED BY", "#APPROVED", "BY", "REPORT", "NOTE")
    output.show({"proposals": found}, table(head, rows) if rows else "nothing is proposed")
    return 0


@verb(
    policy,
    "approve",
    examples=("pfgov policy approve 3f2a9c",),
    then="make it binding: pfgov policy activate DIR",
)
@click.argument("digest", metavar="DIGEST")
@click.option(
    "--proposal",
    type=click.IntRange(0),
    metavar="ENTRY",
    help="The proposal that you looked at, by its entry; by default the one that is open now.",
)
@note_option
def approve(output: Output, digest: str, proposal: int | None, note: str | None) -> int:
    """Agree to a proposed policy set, by its digest or what it begins with.

    Whoever proposed it does not count, nor anybody twice, nor one person with several keys of one name; that is refused
    and recorded. An approval counts as long as who gave it may still give it, and until any set is made binding.
    """
    return _judge(output, digest, proposal, note, granted=True)


@verb(
    policy,
    "reject",
    examples=('pfgov policy reject 3f2a9c --note "the floor is too high"',),
    then="see what is left: pfgov policy proposals",
)
@click.argument("digest", metavar="DIGEST")
@click.option(
    "--proposal", type=click.IntRange(0), metavar="ENTRY", help="The proposal that is meant."
)
@note_option
def reject(output: Output, digest: str, proposal: int | None, note: str | None) -> int:
    """Turn a proposed policy set down; whoever proposed it withdraws it so."""
    return _judge(output, digest, proposal, note, granted=False)


def _judge(
    output: Output, digest: str, proposal: int | None, note: str | None, *, granted: bool
) -> int:
    from pfgov.cli.opening import acting

    with acting(output) as ledger_port:
        found = _named(ledger_port, digest)
        seen = found.proposal if proposal is None else proposal
        done = ledger_port.judge_proposal(found.digest, seen, note, granted=granted)
    happened = in_order(done)
    said = "approved" if granted else "turned down"
    output.show(
        {"digest": found.digest, "entries": happened},
        f"policy set {found.digest[:12]}: {said}",
        render.entries_list(happened),
    )
    return 0


def _named(book: "Reading", text: str) -> "ProposalView":
    """Return the one proposal whose digest begins with *text*.

    Raises:
        NotFoundError: none does, or several.
    """
    from pfgov.errors import NotFoundError

    fitting = [one for one in book.proposals() if one.digest.startswith(text)]
    if len(fitting) == 1:
        return fitting[0]
    many = "several proposed policy sets begin" if fitting else "no proposed policy set begins"
    raise NotFoundError(
        f"{many} with {text[:64]!r}",
        code="policy.not_proposed",
        hint="see what is proposed: pfgov policy proposals",
    )
