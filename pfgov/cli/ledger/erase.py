"""``pfgov ledger erase``: delete payloads for good, and leave an entry that says which and why.

The history stays whole: entries hold commitments, never payloads.  A payload goes together with the redacted views that
were made of it, each named by an entry of its own, so that a verifier calls all of them erased.  Nothing is called done
before the old pages are out of the write-ahead log, too.
"""

from typing import Final

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger, unless_served
from pfgov.cli.output import facts, table
from pfgov.core.wording import counted

REASONS: Final = ("data_subject_request", "retention", "operator_error", "legal_order")
"""The closed list of reasons; an entry holds no free text about a person."""

PENDING: Final = 4
"""The exit status while pages of an erased payload may still lie in the write-ahead log."""


@verb(
    ledger,
    "erase",
    examples=(
        "pfgov ledger erase --packet fp-001",
        "pfgov ledger erase --packet fp-001 --why data_subject_request",
        "pfgov ledger erase 5f1c...e2 --why retention",
    ),
    then="the history still verifies, and its report says erased and why: pfgov ledger verify --replay",
)
@click.argument("commitment", required=False)
@click.option("--packet", "packet_id", metavar="ID", help="Everything that this packet carried.")
@click.option(
    "--why",
    type=click.Choice(REASONS),
    help="The reason, recorded for good; without it nothing is erased, only listed.",
)
def erase(output: Output, commitment: str | None, packet_id: str | None, why: str | None) -> int:
    """List payloads, or erase them: one by its COMMITMENT, or all of a packet.

    Exits 0 when it is done, 4 while something still reads old pages (run it again then).
    """
    if (commitment is None) == (packet_id is None):
        raise click.UsageError(
            "name either a COMMITMENT or --packet ID", click.get_current_context()
        )
    if why is None:
        return _list(output, commitment, packet_id)
    return _erase(output, commitment, packet_id, why)


def _list(output: Output, commitment: str | None, packet_id: str | None) -> int:
    from pfgov.cli.opening import reading

    with reading(output) as book:
        payloads = book.payloads(packet_id=packet_id, commitment=commitment)
    result = {"payloads": payloads, "erased": [], "state": "listed"}
    if not payloads:
        output.show(result, "no payloads were ever stored for it")
        return 0
    columns = ("commitment", "field", "#entry", "#bytes", "state", "why")
    rows = [tuple(p[name.removeprefix("#")] for name in columns) for p in payloads]
    output.show(result, table(columns, rows), "erase them: add --why REASON")
    return 0


def _erase(output: Output, commitment: str | None, packet_id: str | None, why: str) -> int:
    from pfgov.cli.opening import acting
    from pfgov.model import Erasure, parse

    tree = {"packet_id": packet_id, "commitment": commitment, "why": why}
    what = commitment if packet_id is None else f"--packet {packet_id}"
    step = f"pfgov ledger erase {what} --why {why} --url {{url}}"
    asked = parse(Erasure, {name: value for name, value in tree.items() if value is not None})
    with unless_served(step), acting(output) as ledger_port:
        done = ledger_port.erase(asked)
    state = "done" if done.is_done else "pending"
    result = {
        "state": state,
        "why": why,
        "erased": done.erased,
        "already_erased": done.already,
        "entries": done.entries,
    }
    count = len(done.erased)
    output.show(
        result,
        f"{counted(count, 'payload')} erased: {state}"
        if count
        else f"nothing was left to erase: {state}",
        facts((("why", why), ("recorded by entries", done.entries))),
        "what copies and backups hold is erased when they are next opened for writing"
        if done.is_done
        else "somebody still reads old pages; run the same command again when that has ended",
    )
    return 0 if done.is_done else PENDING
