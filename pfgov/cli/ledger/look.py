"""Reading the ledger: its head, its entries, what verifiers pin."""

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.screen import facts

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
def head(screen: Screen, note: bool) -> int:
    """Say where the ledger ends: its size, its root, its signed checkpoint."""
    from pfgov.cli.desk import reading
    from pfgov_ledger import checkpoint
    from pfgov_ledger import note as notes

    with reading(screen) as book:
        found = book.reader.head()
    stated = checkpoint.parse_text(notes.split(found.note)[0])
    text = found.note.decode()
    result = {
        "origin": stated.origin,
        "size": stated.size,
        "root": stated.root.hex(),
        "checkpoint": text,
    }
    if note and not screen.json:
        screen.write(text)
        return 0
    screen.show(
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
    screen: Screen,
    subject: str | None,
    types: tuple[str, ...],
    seq: int | None,
    after: int | None,
    limit: int,
) -> int:
    """List entries: the newest, or those after a position."""
    from pfgov.cli import render
    from pfgov.cli.desk import reading
    from pfgov.engine import EntryFilter
    from pfgov.errors import InvalidError
    from pfgov.events import EVENTS
    from pfgov.views import entry_view

    for name in types:
        if name not in EVENTS:
            raise InvalidError(
                f"there is no event {name!r}", hint=_near(name, list(EVENTS)), pointer="/type"
            )
    wanted = EntryFilter(
        start=0 if after is None else after + 1,
        subject=subject,
        types=types,
        limit=limit,
        newest_first=after is None,
    )
    with reading(screen) as book:
        found = [book.reader.entry(seq)] if seq is not None else book.reader.entries(wanted)
        entries = [
            entry_view(
                seq=one.row.seq,
                time=one.row.time,
                event=one.event,
                leaf=one.row.leaf,
                with_body=screen.json,
            )
            for one in sorted(found, key=lambda one: one.row.seq)
        ]
    result = {"entries": entries, "count": len(entries)}
    if not entries:
        screen.show(result, "no such entries; all of them: pfgov ledger log")
        return 0
    screen.show(result, render.entries_table(entries, width=screen.width))
    return 0


def _near(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "their names are in the reference of events"
