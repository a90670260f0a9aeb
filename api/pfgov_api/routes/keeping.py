"""Keeping the ledger while it is served: payloads erased, keys replaced and revoked.

Only an administrator's key comes in here: an erasure cannot be undone, and who signs is who is believed.  Private keys
neither come nor go over HTTP: a new one is made, or opened, by this process, and the recovery key's signature comes as
a statement that was made elsewhere.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from pfgov import model
from pfgov.app.hosting import Changed
from pfgov_api.answers import happened, receipt_wanted, recorded, writing
from pfgov_api.keyring import shown_keys
from pfgov_api.operations import AUDITORS, HOLDERS, Answer, Call, Operation
from pfgov_api.routes.parameters import RECEIPT

ADMINS = frozenset({"admin"})


async def _payloads(call: Call) -> Answer:
    packet_id, commitment = call.path.get("packet_id"), call.path.get("commitment")
    list_ = partial(call.ledger.payloads, packet_id=packet_id, commitment=commitment)
    return Answer({"payloads": await call.service.at_length(call.grant.share, list_)})


async def _erase(call: Call) -> Answer:
    body: model.Erasure = call.body
    done = await call.service.keep(partial(writing(call).erase_some, body))
    answer: dict[str, Any] = {
        "state": "done" if done.is_done else "pending",
        "why": body.why,
        "erased": list(done.erased),
        "already_erased": list(done.already),
        "entries": [receipt.position for receipt in done.receipts],
        "left": done.left,
        "events": [line for receipt in done.receipts for line in happened(receipt)],
    }
    headers: dict[str, str] = {}
    if done.receipts:
        first = done.receipts[0]
        answer["receipt"] = await receipt_wanted(call, first)
        if first.replayed:
            headers["Idempotent-Replayed"] = "true"
    return Answer(answer, headers=headers)


async def _keys(call: Call) -> Answer:
    return Answer(await call.read(lambda ledger: ledger.keys_object()))


async def _api_keys(call: Call) -> Answer:
    records = await call.reading(call.service.access.keyring.records)
    return Answer({"keys": shown_keys(records)})


async def _rotate(call: Call) -> Answer:
    return await _changed(call, partial(writing(call).rotated, call.body))


async def _revoke(call: Call) -> Answer:
    return await _changed(call, partial(writing(call).revoked, call.body))


async def _changed(call: Call, ceremony: Callable[[], Changed]) -> Answer:
    """Answer a ceremony, with the checkpoint over it: both log keys signed that of a log rotation."""
    done = await call.service.keep(ceremony)
    answer = await recorded(call, done.receipt)
    note = await call.reading(call.ledger.checkpoint, done.receipt.end)
    answer.body["result"] = {"role": done.role, "old": done.old, "new": done.new}
    answer.body["checkpoint"] = None if note is None else note.decode()
    return answer


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "list_payloads", "GET", "/api/packets/{packet_id}/payloads", AUDITORS,
        "What is stored of a packet's payloads: commitments, sizes and what became of them (`altered`: changed in the database), never their bytes.",
        _payloads, "Payloads", tag="ledger", raises=(404,),
    ),
    Operation(
        "show_payload", "GET", "/api/ledger/payloads/{commitment}", AUDITORS,
        "What is stored under one commitment, with the views that were made of it; never their bytes.",
        _payloads, "Payloads", tag="ledger", raises=(404,),
    ),
    Operation(
        "erase_payloads", "POST", "/api/ledger/erasures", ADMINS,
        "Erase a packet's payloads, or one with its views: for good, with the reason on record. `pending` while a reader "
        "holds old pages; ask again.",
        _erase, "ErasedPayloads", body=model.Erasure, parameters=(RECEIPT,), tag="ledger", raises=(404,), writes=True,
    ),
    Operation(
        "list_keys", "GET", "/api/ledger/keys", HOLDERS,
        "The ledger's keys, and where the next key event will stand: what a revocation is signed for.",
        _keys, "KeyList", tag="ledger",
    ),
    Operation(
        "list_api_keys", "GET", "/api/keys", ADMINS,
        "The keys of this API, revoked ones too: what each may do and what it is called; never a secret.",
        _api_keys, "ApiKeys", tag="operations",
    ),
    Operation(
        "rotate_key", "POST", "/api/ledger/keys/rotations", ADMINS,
        "Let a new key take over; the server makes it, or opens the next one that its operator configured.",
        _rotate, "KeyChanged", body=model.Rotation, parameters=(RECEIPT,), tag="ledger", writes=True,
    ),
    Operation(
        "revoke_key", "POST", "/api/ledger/keys/revocations", ADMINS,
        "Revoke a key by a statement that the recovery key signed elsewhere: `pfgov ledger keys revoke --sign-only`.",
        _revoke, "KeyChanged", body=model.Revocation, parameters=(RECEIPT,), tag="ledger", raises=(404,), writes=True,
    ),
)  # fmt: skip
