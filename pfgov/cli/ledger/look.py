"""Reading the ledger: its head, its entries, what verifiers pin."""

from typing import TYPE_CHECKING

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import facts

if TYPE_CHECKING:
    from pfgov.app.ledger import Reading

LIMIT: int = 50


@verb(
    ledger,
    "head",
    examples=("pfgov ledger head", "pfgov ledger head --note > head.note"),
    then="keep it: who holds it can tell later whether history was rewritten",
)
@click.option(
    "--note", is_flag=True, help="Print only the signed checkpoint, as C2SP programs read it."
)
def head(output: Output, note: bool) -> int:
    """Say where the ledger ends: its size, its root, its signed checkpoint."""
    from pfgov.cli.opening import reading
    from pfgov_ledger import checkpoint
    from pfgov_ledger import note as notes

    with reading(output) as book:
        signed = book.head()
    stated = checkpoint.parse_text(notes.split(signed)[0])
    text = signed.decode()
    result = {
        "origin": stated.origin,
        "size": stated.size,
        "root": stated.root.hex(),
        "checkpoint": text,
    }
    if note and not output.json:
        output.write(text)
        return 0
    output.show(
        result,
        facts((("ledger", stated.origin), ("entries", stated.size), ("root", stated.root.hex()))),
    )
    return 0


@verb(
    ledger,
    "log",
    examples=(
        "pfgov ledger log",
        "pfgov ledger log --subject packet/fp-001",
        "pfgov ledger log --type assignment_decision --limit 5 --json",
    ),
    then="one entry in full: pfgov ledger log --at SEQ --json",
)
@click.option("--subject", help="Only this history: packet/ID, member/ID, policy, keys or ledger.")
@click.option(
    "--type", "types", multiple=True, metavar="EVENT", help="Only this event; repeatable."
)
@click.option(
    "--at",
    "seq",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="Only the entry at this position.",
)
@click.option(
    "--after",
    type=click.IntRange(min=-1),
    metavar="SEQ",
    help="Oldest first, from after this position.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=LIMIT,
    show_default=True,
    help="At most so many.",
)
def log(
    output: Output,
    subject: str | None,
    types: tuple[str, ...],
    seq: int | None,
    after: int | None,
    limit: int,
) -> int:
    """List entries: the newest, or those after a position."""
    from pfgov.app.ledger import EntriesWanted
    from pfgov.cli import render
    from pfgov.cli.ledger.export import checked
    from pfgov.cli.opening import reading
    from pfgov.core.events import EVENTS
    from pfgov.errors import InvalidError

    for name in types:
        if name not in EVENTS:
            raise InvalidError(
                f"--type: there is no event {name!r}",
                hint=_near(name, list(EVENTS)),
                pointer="/type",
            )
    wanted = EntriesWanted(checked(subject), types, after, limit, full=output.json)
    with reading(output) as book:
        if seq is not None:
            entries = [book.entry(seq, full=output.json)]
        else:
            entries = book.entries(wanted)
            if not entries and subject is not None:
                _is_known(book, subject)
    result = {"entries": entries, "count": len(entries)}
    if not entries:
        output.show(result, "no such entries; all of them: pfgov ledger log")
        return 0
    output.show(result, render.entries_table(entries, width=output.width))
    return 0


def _is_known(book: "Reading", subject: str) -> None:
    """Refuse a member or a packet of which nothing was ever recorded.

    Raises:
        NotFoundError: ``subject.not_found``.
    """
    from pfgov.app.ledger import EntriesWanted
    from pfgov.errors import NotFoundError

    kind, found, _ = subject.partition("/")
    if found and not book.entries(EntriesWanted(subject, limit=1)):
        listed = {"member": "pfgov member list --all", "packet": "pfgov packet list --all"}
        raise NotFoundError(
            f"nothing was ever recorded about {subject}",
            code="subject.not_found",
            hint=f"see what there is: {listed[kind]}",
            pointer="/subject",
        )


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "their names are in the reference of events"
