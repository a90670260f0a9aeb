"""Packets: submitting, moving, working, ending, reviewing, and reading their history."""

import asyncio
import contextlib
from functools import partial

from pfgov import model
from pfgov.app.hosting import POLL_SECONDS
from pfgov.app.ledger import ExportWanted, PacketsWanted
from pfgov.app.local import LocalLedger
from pfgov.app.visibility import holds
from pfgov.core.lifecycle import TERMINAL, PacketStatus
from pfgov.limits import INTEGER_MAX
from pfgov_api.answers import halt_of, limit_of, page, writes
from pfgov_api.operations import AUDITORS, HOLDERS, MEMBER, Answer, Call, Operation, Parameter
from pfgov_api.routes.parameters import AFTER, LIMIT, WRITE, command, several
from pfgov_api.streams import AS_FORMAT, MEDIA_TYPE, OTHER_MEDIA_TYPES, export_stream

_ONE = "/api/packets/{packet_id}"
_POSITION = Parameter(
    "after",
    {"type": "integer", "minimum": 0, "maximum": INTEGER_MAX},
    "the `next` of the page before",
)
WAIT_SECONDS_MAX = 60
"""How long an answer may wait for the end of a packet."""

_SUBMITS = frozenset({"operator", "submitter"})
_ACTS = frozenset({"operator", MEMBER})


async def _list(call: Call) -> Answer:
    statuses = call.several("status")
    if not statuses and not call.flag("all"):
        statuses = tuple(str(s) for s in PacketStatus if s not in TERMINAL)
    wanted = PacketsWanted(
        statuses=statuses,
        owner=call.query.get("owner"),
        stuck=call.flag("stuck"),
        after=call.query.get("after", ""),
        limit=limit_of(call),
    )
    found, has_more = await call.reading(call.ledger.packets, wanted)
    listed = page(call, found, found[-1].packet_id if has_more else None)
    if wanted.stuck:
        listed.body.update(halt_of(await call.service.status()))
    return listed


async def _show(call: Call) -> Answer:
    """Show a packet, once it has ended or the time to wait for that is over."""
    loop, packet_id = asyncio.get_running_loop(), call.path["packet_id"]
    until = loop.time() + call.number("wait", 0)
    with call.service.news.subscription() as news:
        while True:
            news.clear()
            found = await call.read(lambda ledger: ledger.packet(packet_id))
            left = until - loop.time()
            is_over = left <= 0 or call.service.stopping.is_set() or not call.grant.holds()
            if is_over or PacketStatus(found.status) in TERMINAL:
                return Answer(found)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, POLL_SECONDS)):
                    await news.wait()


async def _result(call: Call) -> Answer:
    """Give whoever submitted the packet what came of it."""
    packet_id = call.path["packet_id"]

    def result(ledger: LocalLedger) -> Answer:
        named = ledger.readable_result(packet_id)
        found = ledger.payload(packet_id, named.digest, what="result")
        return Answer({"commitment": named.digest, "result": found})

    return await call.read(result)


async def _lineage(call: Call) -> Answer:
    packet_id, after, limit = call.path["packet_id"], call.number("after", -1), limit_of(call)
    found = await call.read(lambda ledger: ledger.lineage(packet_id, after, limit))
    return page(call, found.entries, found.following)


async def _audit(call: Call) -> Answer:
    return Answer(
        await call.service.at_length(call.grant.share, call.ledger.audit, call.path["packet_id"])
    )


async def _export(call: Call) -> Answer:
    await call.read(lambda ledger: ledger.record(call.path["packet_id"]))
    return await export_stream(call, ExportWanted(subject=f"packet/{call.path['packet_id']}"))


async def _context(call: Call) -> Answer:
    """Give the owner, or the target of a pending handoff, its view of the context."""
    packet_id, whole = call.path["packet_id"], call.flag("whole")
    named = await call.read(lambda ledger: ledger.readable_context(packet_id, whole=whole))
    is_held = not whole and await call.read(
        lambda ledger: holds(call.principal, ledger.record(packet_id))
    )
    if "operator" in call.principal.rights and not is_held:
        taken_out = partial(call.ledger.check_taken_out, packet_id, whole=whole)
        await call.service.at_length(call.grant.share, taken_out)
    else:
        await call.service.exclusively(partial(call.ledger.require_settled, packet_id))
    context = await call.read(lambda ledger: ledger.payload(packet_id, named.digest))
    return Answer({"commitment": named.digest, "context": context})


_post = partial(command, "packets")


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "submit_packet", "POST", "/api/packets", _SUBMITS, "Submit a Flight Packet; it is placed at once unless held.",
        writes(status=201), "Recorded", body=model.FlightPacket, status=201, parameters=WRITE, tag="packets", raises=(404, 409),
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
    Operation(
        "show_packet", "GET", _ONE, HOLDERS, "One packet.", _show, "Packet", tag="packets", raises=(404,), is_long=True,
        parameters=(
            Parameter("wait", {"type": "integer", "minimum": 0, "maximum": WAIT_SECONDS_MAX},
                      "answer when the packet has ended, or after so many seconds"),
        ),
    ),
    Operation(
        "update_packet", "PATCH", _ONE, _SUBMITS, "Change a packet; constraints only narrow.", writes(), "Recorded",
        body=model.PacketUpdate, parameters=WRITE, tag="packets", raises=(404, 409), writes=True,
    ),
    _post("assign_packet", f"{_ONE}/assign", "Find an owner; with a target, judge only that member.", model.Placement,
          _SUBMITS, body_optional=True),
    _post("hand_off_packet", f"{_ONE}/handoff", "Start to move the packet from its owner.", model.Handoff, _ACTS,
          body_optional=True),
    _post("accept_handoff", f"{_ONE}/accept", "Take the packet over, as the target of its handoff.", model.Acceptance, _ACTS),
    _post("abort_handoff", f"{_ONE}/abort", "Call the handoff off, or refuse it.", model.Abort, _ACTS, body_optional=True),
    _post("checkpoint_packet", f"{_ONE}/checkpoint", "Save the owner's progress.", model.Checkpoint, _ACTS),
    _post("complete_packet", f"{_ONE}/complete", "The owner has finished.", model.Completion, _ACTS),
    _post("fail_packet", f"{_ONE}/fail", "The owner gives up for good.", model.GivingUp, _ACTS),
    _post("requeue_packet", f"{_ONE}/requeue", "Put the packet back into the queue.", model.Requeue, _ACTS, body_optional=True),
    _post("cancel_packet", f"{_ONE}/cancel", "Call the work off.", model.Cancellation, _SUBMITS, body_optional=True),
    _post("review_packet", f"{_ONE}/reviews", "Grant or refuse what policy escalated.", model.Review,
          frozenset({"operator", "reviewer"})),
    Operation(
        "packet_lineage", "GET", f"{_ONE}/lineage", HOLDERS, "Everything that happened to the packet, oldest first.",
        _lineage, "EntryPage", parameters=(_POSITION, LIMIT), tag="packets", raises=(404,),
    ),
    Operation(
        "audit_packet", "GET", f"{_ONE}/audit", HOLDERS,
        "Who registered, what was advertised, why this member, what context moved, why it changed hands, which policy allowed it, when the member retired; each with its entries.",
        _audit, "PacketAudit", tag="packets", raises=(404,),
    ),
    Operation(
        "export_packet", "GET", f"{_ONE}/export", AUDITORS,
        "The packet's lineage with its proofs, to be verified offline.", _export, "Stream",
        parameters=(AS_FORMAT,),
        tag="packets",
        raises=(404, 409, 413), media_type=MEDIA_TYPE, other_media_types=OTHER_MEDIA_TYPES,
    ),
    Operation(
        "packet_context", "GET", f"{_ONE}/context", _ACTS, "The context as the owner or target may read it.", _context,
        "Context", parameters=(
            Parameter("whole", {"type": "string", "enum": ["true", "false"]}, "nothing withheld; for operators"),
        ),
        tag="packets", raises=(404,),
    ),
    Operation(
        "packet_result", "GET", f"{_ONE}/result", _SUBMITS, "What came of the packet, for whoever submitted it.", _result,
        "Result", tag="packets", raises=(404,),
    ),
)  # fmt: skip
