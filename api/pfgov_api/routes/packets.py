"""Packets: submitting, moving, working, ending, reviewing, and reading their history."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

from pfgov import model
from pfgov.engine import Attachment
from pfgov.engine.reading import suggesting
from pfgov.errors import BusyError, ForbiddenError, InvalidError, NotFoundError
from pfgov.lifecycle import TERMINAL, PacketStatus
from pfgov.limits import INTEGER_MAX
from pfgov.model import Wire
from pfgov.records import Packet
from pfgov.storage.queries import EntryFilter, PacketFilter
from pfgov.views import packet_view
from pfgov_api.answers import limit_of, page, recorded, show_entry
from pfgov_api.disclosure import members_of, require_member, require_packet
from pfgov_api.limits import LARGE_BYTES
from pfgov_api.operations import AUDITORS, HOLDERS, MEMBER, Answer, Call, Operation, Parameter
from pfgov_api.routes.running import AFTER, LIMIT, WRITE, run, several
from pfgov_api.streams import export_stream

_ONE = "/api/packets/{packet_id}"
_POSITION = Parameter(
    "after",
    {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX},
    "the `next` of the page before",
)
_SUBMITS = frozenset({"operator", "submitter"})
_ACTS = frozenset({"operator", MEMBER})
_MOVES = frozenset({"operator", "submitter", MEMBER})


async def _submit(call: Call) -> Answer:
    body: model.FlightPacket = call.body
    packet_id = body.packet_id or call.service.draw_id()
    attached = await _attach(call, packet_id, body.context_payload)
    action = body.to_action(packet_id=packet_id, context=attached.commitment if attached else None)
    try:
        receipt = await run(call, action, (attached,) if attached else ())
    except NotFoundError as error:
        raise await asyncio.to_thread(suggesting, call.service.reader, error, body.again) from None
    return await recorded(call, receipt, status=201)


async def _attach(
    call: Call, packet_id: str, payload_of: Callable[[], bytes | None]
) -> Attachment | None:
    def attach() -> Attachment | None:
        payload = payload_of()
        if payload is None:
            return None
        return call.service.engine.attach(f"packet/{packet_id}", "context", payload)

    return await asyncio.to_thread(attach) if len(call.raw) >= LARGE_BYTES else attach()


async def _list(call: Call) -> Answer:
    require_member(call, call.query.get("owner"))
    statuses = call.several("status")
    if not statuses and not call.flag("all"):
        statuses = tuple(str(s) for s in PacketStatus if s not in TERMINAL)
    limit = limit_of(call)
    wanted = PacketFilter(
        statuses=statuses,
        owner=call.query.get("owner"),
        after=call.query.get("after", ""),
        limit=limit + 1,
    )
    reader = call.service.reader
    ask = reader.stuck if call.flag("stuck") else reader.packets
    found = await asyncio.to_thread(ask, wanted)
    return page(call, found, packet_view, lambda p: p.packet_id, limit)


def _packet(call: Call) -> Packet:
    """Return the packet of the path, if the caller may read it."""
    packet = call.service.glance.packet(call.path["packet_id"])
    require_packet(call, packet)
    return packet


async def _show(call: Call) -> Answer:
    return Answer(packet_view(_packet(call)))


async def _checkpoint(call: Call) -> Answer:
    body: model.Checkpoint = call.body
    packet_id = call.path["packet_id"]
    attached = await _attach(call, packet_id, body.context_payload)
    if attached is None:
        raise InvalidError("a checkpoint needs a context", pointer="/context_checkpoint")
    action = body.to_action(packet_id=packet_id, context=attached.commitment)
    return await recorded(call, await run(call, action, (attached,)))


async def _act(call: Call) -> Answer:
    """Run any command whose body needs nothing but the packet's id."""
    return await recorded(
        call, await run(call, call.body.to_action(packet_id=call.path["packet_id"]))
    )


async def _lineage(call: Call) -> Answer:
    limit = limit_of(call)
    start = call.number("after", -1) + 1
    wanted = EntryFilter(subject=f"packet/{call.path['packet_id']}", start=start, limit=limit + 1)
    found = call.service.glance.entries(wanted)
    if members_of(call.principal) is not None or (not found and not start):
        _packet(call)
    return page(call, found, show_entry, lambda r: str(r.row.seq), limit)


async def _export(call: Call) -> Answer:
    _packet(call)
    return await export_stream(call, subject=f"packet/{call.path['packet_id']}")


async def _context(call: Call) -> Answer:
    """Give the owner, or the target of a pending handoff, its view of the context."""
    packet = call.service.glance.packet(call.path["packet_id"])
    pending = packet.pending
    rights = call.principal.rights
    if call.flag("whole"):
        if "operator" not in rights:
            raise ForbiddenError(
                "only an operator may read what is withheld from owners",
                hint="leave whole out, or use a key with the scope operator",
            )
        named = packet.context
    elif packet.owner is not None and (f"member:{packet.owner}" in rights or "operator" in rights):
        named = packet.view or packet.context
    elif pending is not None and f"member:{pending.target}" in rights:
        named = pending.view or pending.context
    elif "operator" in rights:
        named = packet.context
    else:
        raise ForbiddenError(
            f"only the owner of {packet.packet_id}, or the target of its handoff, may read its context",
            hint="use the key of that member",
        )
    if named is None:
        raise NotFoundError(f"{packet.packet_id} has no context", code="context.not_found")
    if "operator" not in rights:
        await _stands(call, packet.packet_id)
    payload = call.service.glance.payload(named.digest)
    if payload is None:
        raise NotFoundError(
            f"the context of {packet.packet_id} was erased",
            code="context.erased",
            hint="the ledger says why: see its lineage",
        )
    return Answer({"commitment": named.digest, "context": _json_or_base64(payload)})


async def _stands(call: Call, packet_id: str) -> None:
    """Refuse for the moment what a change of policy, member or packet is about to take away."""
    engine = call.service.engine
    if not await call.service.in_turn(lambda: engine.stands(packet_id)):
        raise BusyError(
            f"who may read the context of {packet_id} is being judged again",
            code="context.unsettled",
            hint="ask again after the next tick, in a second",
        )


def _json_or_base64(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return {"base64": base64.b64encode(payload).decode()}


def _post(
    name: str, verb: str, about: str, body: type[Wire], access: frozenset[str], **more: Any
) -> Operation:
    return Operation(
        name=name,
        method="POST",
        path=f"{_ONE}/{verb}",
        access=access,
        about=about,
        handler=more.pop("handler", _act),
        body=body,
        answer="Recorded",
        parameters=WRITE,
        tag="packets",
        raises=(404, 409),
        writes=True,
        **more,
    )


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "submit_packet", "POST", "/api/packets", _SUBMITS, "Submit a Flight Packet; it is placed at once unless held.",
        _submit, "Recorded", body=model.FlightPacket, status=201, parameters=WRITE, tag="packets", raises=(404, 409),
        writes=True,
    ),
    Operation(
        "list_packets", "GET", "/api/packets", HOLDERS, "Packets in id order; live ones unless asked otherwise.", _list,
        "PacketPage",
        parameters=(
            Parameter("status", several(PacketStatus), "only with one of these statuses, separated by commas"),
            Parameter("owner", {"type": "string", "maxLength": 128, "pattern": "^[ -~]*$"}, "only with this owner"),
            Parameter("all", {"type": "string", "enum": ["true", "false"]}, "ended ones too"),
            Parameter("stuck", {"type": "string", "enum": ["true", "false"]}, "only what waits for somebody"),
            AFTER, LIMIT,
        ),
        tag="packets",
    ),
    Operation("show_packet", "GET", _ONE, HOLDERS, "One packet.", _show, "Packet", tag="packets", raises=(404,)),
    Operation(
        "update_packet", "PATCH", _ONE, _SUBMITS, "Change a packet; constraints only narrow.", _act, "Recorded",
        body=model.PacketUpdate, parameters=WRITE, tag="packets", raises=(404, 409), writes=True,
    ),
    _post("assign_packet", "assign", "Find an owner; with a target, judge only that member.", model.Placement,
          _SUBMITS, body_optional=True),
    _post("hand_off_packet", "handoff", "Start to move the packet from its owner.", model.Handoff, _ACTS,
          body_optional=True),
    _post("accept_handoff", "accept", "Take the packet over, as the target of its handoff.", model.Acceptance, _ACTS),
    _post("abort_handoff", "abort", "Call the handoff off, or refuse it.", model.Abort, _ACTS, body_optional=True),
    _post("checkpoint_packet", "checkpoint", "Save the owner's progress.", model.Checkpoint, _ACTS,
    handler=_checkpoint), _post("complete_packet", "complete", "The owner has finished.", model.Completion, _ACTS),
    _post("fail_packet", "fail", "The owner gives up for good.", model.GivingUp, _ACTS), _post("requeue_packet",
    "requeue", "Put the packet back into the queue.", model.Requeue, _MOVES, body_optional=True),
    _post("cancel_packet", "cancel", "Call the work off.", model.Cancellation, _SUBMITS, body_optional=True),
    _post("review_packet", "reviews", "Grant or refuse what policy escalated.", model.Review,
          frozenset({"operator", "reviewer"})),
    Operation(
        "packet_lineage", "GET", f"{_ONE}/lineage", HOLDERS, "Everything that happened to the packet, oldest first.",
        _lineage, "EntryPage", parameters=(_POSITION, LIMIT), tag="packets", raises=(404,),
    ),
    Operation(
        "export_packet", "GET", f"{_ONE}/export", AUDITORS,
        "The packet's lineage with its proofs, to be verified offline.", _export, "Stream",
        tag="packets",
        raises=(404, 409), media_type="application/jsonl",
    ),
    Operation(
        "packet_context", "GET", f"{_ONE}/context", _ACTS, "The context as the owner or target may read it.", _context,
        "Context", parameters=(
            Parameter("whole", {"type": "string", "enum": ["true", "false"]}, "nothing withheld; for operators"),
        ),
        tag="packets", raises=(404,),
    ),
)  # fmt: skip
