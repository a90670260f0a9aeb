"""Commands are run and answered: receipts, what happened, what follows; and pages of lists."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from pfgov.app.hosting import Idempotency, Receipt, Status
from pfgov.app.local import LocalLedger, receipt_views
from pfgov.app.prepare import Prepared, takes_long
from pfgov.app.views import outcome_view, sentence
from pfgov.app.views.sentences import halt_says
from pfgov.core import events as e
from pfgov.core.commands import Action
from pfgov.core.state import State
from pfgov.errors import NotFoundError, StateConflictError
from pfgov.model import Wire
from pfgov_api.limits import LARGE_BYTES
from pfgov_api.operations import Answer, Call, Handler
from pfgov_api.outgoing import receipt_object
from pfgov_api.preconditions import HEADER, precondition

PAGE_DEFAULT: Final = 100


WITNESSED: Final = "witnessed"
"""A receipt whose proof leads to a checkpoint that a quorum of witnesses cosigned."""


def can_be_witnessed(call: Call) -> None:
    """Refuse before anything is done what could not be answered as it is wanted.

    Raises:
        StateConflictError: ``witness.none``, a witnessed receipt is wanted and this server asks no witness.
    """
    if call.query.get("receipt") == WITNESSED and call.service.witnesses is None:
        raise StateConflictError(
            "this server has no witnesses",
            code="witness.none",
            hint="ask for receipt=proof, or have its operator name witnesses: pfgov serve --witnesses FILE",
            pointer="/query/receipt",
        )


async def receipt_wanted(call: Call, receipt: Receipt, *, proof: bool = False) -> dict[str, Any]:
    """Return a receipt; with what lets it verify alone, if the caller or, where it did not say, *proof* asks for that.

    That costs a few reads, off the event loop.
    """
    shown = receipt_object(receipt)
    wanted = call.query.get("receipt", "proof" if proof else "entry")
    if wanted in {"proof", WITNESSED} and receipt.entries:
        signed, witnesses = None, call.service.witnesses
        if wanted == WITNESSED and witnesses is not None:
            signed = await witnesses.over(receipt.position, call.service.stopping)
        shown.update(await call.reading(call.ledger.vouchers, receipt.position, signed))
    return shown


def happened(receipt: Receipt) -> list[dict[str, Any]]:
    """Return what the command led to, one line an entry."""
    return [
        {"position": row.seq, "type": row.type, "subject": row.subject, "says": sentence(event)}
        for row, event in zip(receipt.entries, receipt.events, strict=True)
    ]


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
        **outcome_view(receipt.events),
        "position": receipt.position if receipt.entries else None,
        "events": happened(receipt),
        "result": result(receipt),
    }
    witnesses = call.service.witnesses
    if call.query.get("receipt") == WITNESSED and witnesses is not None:
        body[WITNESSED] = witnesses.covers(receipt.position)
    if call.flag("follow"):
        body["recorded"] = receipt_views(receipt)
        body.update(await followed(call, receipt.end))
    headers = {"Idempotent-Replayed": "true"} if receipt.replayed else {}
    return Answer(body, status=status, headers=headers)


# --- commands -------------------------------------------------------------------------------


def once(call: Call, part: int | None = None) -> Idempotency | None:
    """Return the engine's key for the caller's ``Idempotency-Key``, if any: bound to the route and the body."""
    key = call.headers.get("idempotency-key")
    if key is None:
        return None
    route = f"{call.operation.method} {call.url}" + ("" if part is None else f"#{part}")
    scoped = hashlib.sha256(f"{route}\0{key}".encode()).hexdigest()
    return Idempotency(scoped, hashlib.sha256(route.encode() + b"\0" + call.raw).digest())


def writing(call: Call) -> LocalLedger:
    """Return the ledger for what keeps it, once for each ``Idempotency-Key``; for a thread."""
    return call.service.ledger(call.calls(once(call)))


async def run(
    call: Call,
    prepared: Prepared,
    *,
    part: int | None = None,
    expects: Callable[[State], None] | None = None,
) -> Receipt:
    """Run a command for the caller, once for each ``Idempotency-Key`` (and *part* of a request that runs several).

    What the route *expects* of the state is asked when the command has its turn; where the caller does, too, first.

    Raises:
        PfgovError: refused.
    """
    try:
        own = precondition(call) if HEADER in call.headers else None
        caller = call.calls(once(call, part), _both(own, expects))
        return await call.service.submit(prepared.action, caller, prepared.attachments)
    except NotFoundError as error:
        raise await call.reading(call.ledger.suggesting, error, prepared.action) from None


def _both(
    first: Callable[[State], None] | None, second: Callable[[State], None] | None
) -> Callable[[State], None] | None:
    if first is None or second is None:
        return first or second

    def check(state: State) -> None:
        first(state)
        second(state)

    return check


async def write(call: Call, asked: Wire | Action) -> Receipt:
    """Run what a body, or an action, asks for about the member or packet of the path.

    Raises:
        PfgovError: refused.
    """
    prepare = partial(
        call.service.prepare,
        asked,
        member_id=call.path.get("member_id"),
        packet_id=call.path.get("packet_id"),
    )
    if takes_long(asked, call.raw):
        prepared = await call.service.looking.run(call.grant.share, prepare)
    elif len(call.raw) >= LARGE_BYTES:
        prepared = await asyncio.to_thread(prepare)
    else:
        prepared = prepare()
    return await run(call, prepared)


def writes(
    action: Callable[..., Action] | None = None, *, status: int = 200, proof: bool = False
) -> Handler:
    """Return the handler that runs what the body asks for, or *action* about the member of the path, and answers it."""

    async def handle(call: Call) -> Answer:
        asked = call.body if action is None else action(**call.path)
        return await recorded(call, await write(call, asked), status=status, proof=proof)

    return handle


# --- what follows, and pages ----------------------------------------------------------------

FOLLOWED_MAX: Final = 1_000
"""Entries that are listed as what followed from a command."""


async def followed(call: Call, start: int) -> dict[str, Any]:
    """Let what is due happen, and return the engine's own entries from position *start* on.

    What others ask for meanwhile is not among them, and a member's key is told only what concerns its member.  Where
    there was too much to do in the time, ``settled`` is false.
    """
    is_settled = await call.service.settle()
    shown, is_whole = await call.reading(call.ledger.followed, start, FOLLOWED_MAX)
    return {"as_a_result": shown, **({} if is_settled and is_whole else {"settled": False})}


def page(
    call: Call, items: Sequence[Any], following: str | int | None, by: str = "after"
) -> Answer:
    """Return a page of a list, with a ``Link`` to what is *following*, if anything may be: the cursor *by* leads on."""
    body: dict[str, Any] = {"items": items}
    headers: dict[str, str] = {}
    if following is not None:
        body["next"] = str(following)
        asked = {**call.query, by: str(following)}
        headers["Link"] = f'<{call.mount}{call.url}?{urlencode(asked)}>; rel="next"'
    return Answer(body, headers=headers)


def halt_of(status: Status) -> dict[str, str | None]:
    """Return whether leases do not end, and what ends that: named wherever somebody looks for what stands still."""
    return {"halted": status.halted, "remedy": halt_says(status.halted)}


def limit_of(call: Call) -> int:
    """Return the page size that was asked for."""
    return call.number("limit", PAGE_DEFAULT)
