"""``pfgov ledger erase``: delete payloads for good, and leave an entry that says which and why.

The history stays whole: entries hold commitments, never payloads.  A payload goes together with the redacted views that
were made of it, each named by an entry of its own, so that a verifier calls all of them erased.  Nothing is called done
before the old pages are out of the write-ahead log, too.
"""

from typing import TYPE_CHECKING, Any, Final, cast

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.screen import facts, table

if TYPE_CHECKING:
    from pfgov.cli.desk import Desk, Reading
    from pfgov.storage.queries import StoredPayload

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
def erase(screen: Screen, commitment: str | None, packet_id: str | None, why: str | None) -> int:
    """List payloads, or erase them: one by its COMMITMENT, or all of a packet.

    Exits 0 when it is done, 4 while something still reads old pages (run it again then).
    """
    if (commitment is None) == (packet_id is None):
        raise click.UsageError(
            "name either a COMMITMENT or --packet ID", click.get_current_context()
        )
    if why is None:
        return _list(screen, commitment, packet_id)
    return _erase(screen, commitment, packet_id, why)


def _list(screen: Screen, commitment: str | None, packet_id: str | None) -> int:
    from pfgov.cli.desk import reading

    with reading(screen) as book:
        found = _found(book, commitment, packet_id)
        whys = _whys(book, found)
    payloads = [_view(one, whys) for one in found]
    result = {"payloads": payloads, "erased": [], "state": "listed"}
    if not found:
        screen.show(result, "no payloads were ever stored for it")
        return 0
    columns = ("commitment", "field", "#entry", "#bytes", "state", "why")
    rows = [
        (p["commitment"], p["field"], p["entry"], p["bytes"], p["state"], p["why"])
        for p in payloads
    ]
    screen.show(result, table(columns, rows), "erase them: add --why REASON")
    return 0


def _view(one: "StoredPayload", whys: dict[str, str]) -> dict[str, Any]:
    return {
        "commitment": one.digest,
        "subject": one.subject,
        "field": one.field,
        "entry": one.first,
        "view_of": one.parent,
        "bytes": one.size,
        "state": one.state,
        "why": whys.get(one.digest) or whys.get(one.parent or ""),
    }


def _whys(book: "Reading", found: "list[StoredPayload]") -> dict[str, str]:
    """Return commitment -> the recorded reason, over the subjects of *found*."""
    from pfgov.engine import EntryFilter
    from pfgov.events import AttachmentErased

    whys: dict[str, str] = {}
    for subject in {one.subject for one in found}:
        wanted = EntryFilter(subject=subject, types=("attachment_erased",))
        for entry in book.reader.entries(wanted):
            event = entry.event
            if isinstance(event, AttachmentErased):
                whys.setdefault(event.commitment, event.why)
    return whys


def _found(book: "Reading", commitment: str | None, packet_id: str | None) -> "list[StoredPayload]":
    """Return the payloads that were asked for, erased ones too.

    Raises:
        NotFoundError: ``packet.not_found`` or ``attachment.not_found``.
    """
    from pfgov.errors import NotFoundError

    if packet_id is not None:
        book.record(packet_id)
        with book.reader.snapshot() as queries:
            return list(queries.attachments(f"packet/{packet_id}"))
    with book.reader.snapshot() as queries:
        found = queries.payload_and_views(commitment or "")
    if not found:
        raise NotFoundError(
            "no payload was ever stored under that commitment",
            code="attachment.not_found",
            hint="list a packet's commitments: pfgov ledger erase --packet ID",
        )
    return found


def _erase(screen: Screen, commitment: str | None, packet_id: str | None, why: str) -> int:
    from pfgov.cli.desk import acting

    with acting(screen) as desk:
        found = _found(desk, commitment, packet_id)
        named = _whys(desk, found)
        missing = [one for one in found if one.digest not in named]
        entries = [_submit(desk, one, why) for one in reversed(missing)]
        desk.engine.settle()
        is_pending = desk.engine.status().erasure_pending
    state = "pending" if is_pending else "done"
    result = {
        "state": state,
        "why": why,
        "erased": [one.digest for one in reversed(missing)],
        "already_erased": [one.digest for one in found if one.digest in named],
        "entries": entries,
    }
    screen.show(
        result,
        f"{len(missing)} payloads erased: {state}"
        if missing
        else f"nothing was left to erase: {state}",
        facts((("why", why), ("recorded by entries", entries))),
        *(
            ["somebody still reads old pages; run the same command again when that has ended"]
            if is_pending
            else ["what copies and backups hold is erased when they are next opened for writing"]
        ),
    )
    return PENDING if is_pending else 0


def _submit(desk: "Desk", one: "StoredPayload", why: str) -> int:
    from pfgov.commands import LOCAL_OPERATOR, EraseAttachment

    # click.Choice has checked it against the same closed list
    action = EraseAttachment(subject=one.subject, commitment=one.digest, why=cast("Any", why))
    return desk.engine.submit(action, principal=LOCAL_OPERATOR).position
