"""How answers are built: receipts, what happened, pages of lists."""

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from pfgov import events as e
from pfgov.commands import ENGINE
from pfgov.engine import Receipt
from pfgov.engine.reading import Recorded
from pfgov.storage.queries import EntryFilter
from pfgov.views import EntryView, entry_view, sentence
from pfgov_api.disclosure import may_see
from pfgov_api.operations import Answer, Call

T = TypeVar("T")

PAGE_DEFAULT: Final = 100


def receipt_object(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as ``pfgov-verify`` reads it: the entry's bytes and signature in base64, and its position."""
    if not receipt.entries:
        return {"position": None, "count": 0, "size": receipt.size}
    return {
        "entry": base64.b64encode(receipt.entry).decode(),
        "signature": base64.b64encode(receipt.signature).decode(),
        "position": receipt.position,
        "count": receipt.count,
        "size": receipt.size,
    }


async def receipt_wanted(call: Call, receipt: Receipt, *, proof: bool = False) -> dict[str, Any]:
    """Return a receipt; with what lets it verify alone, if the caller or, where it did not say, *proof* asks for that.

    That costs a few reads, off the event loop.
    """
    shown = receipt_object(receipt)
    wanted = call.query.get("receipt", "proof" if proof else "entry")
    if wanted == "proof" and receipt.entries:
        from pfgov.engine.proofs import vouchers

        shown.update(await asyncio.to_thread(vouchers, call.service.reader, receipt.position))
    return shown


def happened(receipt: Receipt) -> list[dict[str, Any]]:
    """Return what the command led to, one line an entry."""
    return [
        {"position": row.seq, "type": row.type, "subject": row.subject, "says": sentence(event)}
        for row, event in zip(receipt.entries, receipt.events, strict=True)
    ]


def show_entry(found: Recorded) -> EntryView:
    """Return an entry as lists and streams show it."""
    row = found.row
    return entry_view(seq=row.seq, time=row.time, event=found.event, leaf=row.leaf, with_body=True)


def result(receipt: Receipt) -> dict[str, Any]:
    """Return where the command left its packet or member, as its own entries say.

    Taken from the receipt alone, so that the same request with the same idempotency key has the same answer.
    """
    found: dict[str, Any] = {}
    for event in receipt.events:
        for name in ("packet_id", "member_id", "incarnation", "epoch", "outcome", "digest"):
            value = getattr(event, name, None)
            if value is not None:
                found[name] = value
        owner = getattr(event, "owner", None)
        if isinstance(owner, e.Owner):
            ended = isinstance(
                event, e.OwnershipRevoked | e.PacketRequeued | e.PacketCompleted | e.PacketFailed
            )
            found["owner"] = None if ended else owner.member_id
        if isinstance(event, e.HandoffStarted):
            found["target"], found["handoff"] = event.target.member_id, _position(receipt, event)
    return found


def _position(receipt: Receipt, wanted: e.Event) -> int:
    return next(
        row.seq
        for row, event in zip(receipt.entries, receipt.events, strict=True)
        if event is wanted
    )


async def recorded(
    call: Call, receipt: Receipt, *, status: int = 200, proof: bool = False
) -> Answer:
    """Return the answer to a command, its receipt first: what a verifier looks for.

    The receipt verifies alone when it carries a proof, which costs a few reads: *proof* where the caller does not say.
    """
    body: dict[str, Any] = {
        "receipt": await receipt_wanted(call, receipt, proof=proof),
        "events": happened(receipt),
        "result": result(receipt),
    }
    if call.flag("follow"):
        body["recorded"] = [
            entry_view(seq=row.seq, time=row.time, event=event)
            for row, event in zip(receipt.entries, receipt.events, strict=True)
        ]
        start = receipt.position + receipt.count if receipt.entries else receipt.size
        body.update(await followed(call, start))
    headers = {"Idempotent-Replayed": "true"} if receipt.replayed else {}
    return Answer(body, status=status, headers=headers)


FOLLOWED_MAX: Final = 1_000
"""Entries that are listed as what followed from a command."""


async def followed(call: Call, start: int) -> dict[str, Any]:
    """Let what is due happen, and return the engine's own entries from position *start* on.

    What others ask for meanwhile is not among them, and a member's key is told only what concerns its member.  Where
    there was too much to do in the time, ``settled`` is false.
    """
    settled = await call.service.settle()
    wanted = EntryFilter(start=start, limit=FOLLOWED_MAX + 1)
    found = await asyncio.to_thread(call.service.reader.entries, wanted)
    shown: list[EntryView] = []
    is_engines = False
    for one in found[:FOLLOWED_MAX]:
        command = one.event.command
        if command is not None:
            is_engines = command.principal.id == ENGINE.id
        if is_engines and one.row.type != "index_committed" and may_see(call, one.event):
            shown.append(entry_view(seq=one.row.seq, time=one.row.time, event=one.event))
    is_whole = settled and len(found) <= FOLLOWED_MAX
    return {"as_a_result": shown, **({} if is_whole else {"settled": False})}


def page(
    call: Call,
    items: Sequence[T],
    show: Callable[[T], Any],
    cursor: Callable[[T], str],
    limit: int,
    *,
    parameter: str = "after",
) -> Answer:
    """Return a page of at most *limit* of *items* (fetch one more than that), with a ``Link`` to the next.

    The cursor goes into the query *parameter*.
    """
    shown = items[:limit]
    following = cursor(shown[-1]) if len(items) > limit else None
    return page_until(call, shown, show, following, parameter=parameter)


def page_until(
    call: Call,
    items: Sequence[T],
    show: Callable[[T], Any],
    following: str | int | None,
    *,
    parameter: str = "after",
) -> Answer:
    """Return the page of all *items*, with a ``Link`` to what is *following*, if anything may be."""
    body: dict[str, Any] = {"items": [show(item) for item in items]}
    headers: dict[str, str] = {}
    if following is not None:
        body["next"] = str(following)
        asked = {**call.query, parameter: str(following)}
        headers["Link"] = f'<{call.url}?{urlencode(asked)}>; rel="next"'
    return Answer(body, headers=headers)


def limit_of(call: Call) -> int:
    """Return the page size that was asked for."""
    return call.number("limit", PAGE_DEFAULT)
