"""Keeping the ledger while it is served: payloads erased, keys replaced and revoked.

Only an administrator's key comes in here: an erasure cannot be undone, and who signs is who is believed.  Private keys
neither come nor go over HTTP: a new one is made, or opened, by this process, and the recovery key's signature comes as
a statement that was made elsewhere.
"""

import asyncio
from typing import Any

from pfgov import model
from pfgov.engine import ceremony, erasing
from pfgov.engine.answers import Caller
from pfgov_api.answers import happened, receipt_wanted, recorded
from pfgov_api.operations import AUDITORS, HOLDERS, Answer, Call, Operation
from pfgov_api.routes.running import RECEIPT, once

ADMINS = frozenset({"admin"})


def _caller(call: Call) -> Caller:
    return Caller(call.principal, call.request_id, once(call))


# --- payloads -------------------------------------------------------------------------------


async def _payloads(call: Call) -> Answer:
    target = erasing.Target(call.path.get("packet_id"), call.path.get("commitment"))
    with call.service.glance.snapshot() as queries:
        return Answer({"payloads": erasing.payload_objects(queries, target)})


async def _erase(call: Call) -> Answer:
    body: model.Erasure = call.body
    target = erasing.Target(body.packet_id, body.commitment)
    engine, caller = call.service.engine, _caller(call)
    done = await call.service.keep(lambda: erasing.erase(engine, target, body.why, caller=caller))
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


# --- keys -----------------------------------------------------------------------------------


async def _keys(call: Call) -> Answer:
    with call.service.glance.snapshot() as queries:
        return Answer(ceremony.keys_object(queries, call.service.origin))


async def _rotate(call: Call) -> Answer:
    body: model.Rotation = call.body
    engine, caller = call.service.engine, _caller(call)
    return await _changed(
        call, await call.service.keep(lambda: ceremony.rotate(engine, body.role, caller=caller))
    )


async def _revoke(call: Call) -> Answer:
    body: model.Revocation = call.body
    engine, caller = call.service.engine, _caller(call)
    place = ceremony.Place(body.origin, body.seq, bytes.fromhex(body.prev))
    action = body.to_action()
    return await _changed(
        call, await call.service.keep(lambda: ceremony.revoke(engine, action, place, caller=caller))
    )


def _checkpoint(call: Call, size: int) -> tuple[int, bytes] | None:
    with call.service.reader.snapshot() as queries:
        return queries.checkpoint(at_most=size)


async def _changed(call: Call, done: ceremony.Changed) -> Answer:
    """Return the answer to a ceremony, with the checkpoint over it: both log keys signed that of a log rotation."""
    answer = await recorded(call, done.receipt)
    note = await asyncio.to_thread(_checkpoint, call, done.receipt.position + done.receipt.count)
    answer.body["result"] = {"role": done.role, "old": done.old, "new": done.new}
    answer.body["checkpoint"] = None if note is None else note[1].decode()
    return answer


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "list_payloads", "GET", "/api/packets/{packet_id}/payloads", AUDITORS,
        "What is stored of a packet's payloads: commitments, sizes and what became of them, never their bytes.",
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
