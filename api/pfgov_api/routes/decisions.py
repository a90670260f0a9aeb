"""Decisions: may this member own this packet, who could, and why it was decided as it was."""

import asyncio
from typing import Annotated, Any

import msgspec
from pydantic import Field

from pfgov import commands as c
from pfgov import events as e
from pfgov import model, views
from pfgov.decide import Decided
from pfgov.engine import Attachment
from pfgov.engine.reading import Recorded
from pfgov.errors import InvalidError, NotFoundError
from pfgov.lifecycle import OWNED
from pfgov.model import Wire
from pfgov.model.fields import Bounded, Id
from pfgov.storage.queries import EntryFilter
from pfgov.views import nearest_miss, read_table
from pfgov_api.answers import limit_of, page_until, receipt_wanted, recorded, show_entry
from pfgov_api.disclosure import members_of, require_member, require_packet
from pfgov_api.operations import HOLDERS, READERS, Answer, Call, Operation, Parameter
from pfgov_api.routes.running import LIMIT, OUTCOME, RECEIPT, SPAN, moment, run
from pfgov_api.scanning import outcome_of, scan

BATCH_MAX = 100
_ASKS = frozenset({"operator", "submitter"})
_DECISIONS = (
    "assignment_decision", "handoff_started", "handoff_completed", "handoff_denied", "handoff_escalated",
    "decision_evaluated",
)  # fmt: skip


class DecisionBatch(Wire):
    """Several questions at once, answered in order."""

    decisions: Annotated[
        tuple[model.DecisionRequest, ...],
        Bounded(BATCH_MAX, unique=False),
        Field(json_schema_extra={"minItems": 1}),
    ]


class Discovery(Wire):
    """Who could own this packet: one that exists, or one that might be submitted."""

    packet_id: Id | None = None
    packet: model.FlightPacket | None = None


async def _decide(call: Call) -> Answer:
    body: model.DecisionRequest = call.body
    if call.flag("dry_run"):
        decided = await _rehearsed(call, body.to_action())
        return Answer(_told(decided.events, decided.tables))
    receipt = await run(call, body.to_action())
    answer = await recorded(call, receipt)
    told = _told(receipt.events, await asyncio.to_thread(_tables, call, receipt.events))
    shown = {"receipt": answer.body["receipt"], "events": answer.body["events"], **told}
    return Answer(shown, headers=answer.headers)


async def _batch(call: Call) -> Answer:
    body: DecisionBatch = call.body
    if not body.decisions:
        raise InvalidError("decisions: there is no question", pointer="/decisions")
    dry = call.flag("dry_run")
    answers: list[dict[str, Any]] = []
    for part, asked in enumerate(body.decisions):
        if dry:
            decided = await _rehearsed(call, asked.to_action())
            answers.append(_told(decided.events, decided.tables))
        else:
            receipt = await run(call, asked.to_action(), part=part)
            shown = await receipt_wanted(call, receipt)
            answers.append({"receipt": shown, **_told(receipt.events, {})})
    return Answer({"decisions": answers})


def _tables(call: Call, events: tuple[e.Event, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for event in events:
        decision = getattr(event, "decision", None)
        if isinstance(decision, e.Decision):
            table = call.service.reader.verdict_table(decision.table)
            if table is not None:
                found[decision.table] = table
    return found


def _told(events: Any, tables: Any) -> dict[str, Any]:
    """Return what the last decision among *events* says, with every member's reasons where the table is at hand."""
    for event in reversed(tuple(events)):
        decision = getattr(event, "decision", None)
        if not isinstance(decision, e.Decision):
            continue
        outcome = getattr(event, "outcome", "allowed")
        owner = getattr(event, "owner", None)
        told: dict[str, Any] = {
            "outcome": outcome,
            "allowed": outcome == "allowed",
            "member_id": getattr(event, "member_id", None) or (owner.member_id if owner else None),
            "point": decision.point,
            "policy": decision.policy,
            "considered": decision.considered,
            "eligible": decision.eligible,
            "rejected": dict(decision.rejected),
            "table": decision.table,
        }
        if decision.table in tables:
            rows = read_table(tables[decision.table], digest=decision.table)
            told["members"] = rows
            told["nearest_miss"] = nearest_miss(rows)
        return told
    raise NotFoundError("there is no decision in this entry", code="decision.not_found")


async def _discover(call: Call) -> Answer:
    body: Discovery = call.body
    if body.packet is not None:
        require_member(call, None)  # a packet of one's own making would ask about everybody
    if (body.packet_id is None) == (body.packet is None):
        raise InvalidError("give packet_id or packet, one of them", pointer="")
    found, told = await _search(call, body)
    if members_of(call.principal) is not None:  # who can take the packet; not how the others stand
        able = [row for row in found.members if row.outcome == "allow"]
        found = msgspec.structs.replace(found, members=able, nearest_miss=None)
    return Answer({**told, **msgspec.structs.asdict(found)})


async def _rehearsed(
    call: Call,
    action: c.Action,
    principal: c.Principal | None = None,
    attachments: tuple[Attachment, ...] = (),
) -> Decided:
    engine, asks = call.service.engine, principal or call.principal
    return await call.service.in_turn(
        lambda: engine.rehearse(action, principal=asks, attachments=attachments)
    )


async def _search(call: Call, body: Discovery) -> tuple[views.Discovery, dict[str, Any]]:
    """Return who could own a packet, and what the decision would say; nothing is recorded.

    Raises:
        PfgovError: there is no such packet, or it could not be submitted.
    """
    action: c.Action
    attached: tuple[Attachment, ...] = ()
    if body.packet is not None:
        # As if it were not held; one whose id is taken is judged as a new one.
        packet_id = body.packet.packet_id
        if packet_id is None or call.service.glance.has_packet(packet_id):
            packet_id = call.service.draw_id()
        packet = body.packet.model_copy(update={"packet_id": packet_id, "hold": False})
        payload = packet.context_payload()
        if payload is not None:
            attached = (call.service.engine.attach(f"packet/{packet_id}", "context", payload),)
        context = attached[0].commitment if attached else None
        action = packet.to_action(packet_id=packet_id, context=context)
    else:
        known = call.service.glance.packet(body.packet_id or "")
        require_packet(call, known)
        action = (
            c.HandOff(packet_id=known.packet_id)
            if known.status in OWNED
            else c.PlacePacket(packet_id=known.packet_id)
        )
    decided = await _rehearsed(call, action, c.LOCAL_OPERATOR, attached)
    found = views.discovery(decided.events, decided.tables)
    return found, _told(decided.events, decided.tables) if found.members else {}


async def _show(call: Call) -> Answer:
    found = call.service.glance.entry(int(call.path["seq"]))
    told = _told((found.event,), await asyncio.to_thread(_tables, call, (found.event,)))
    return Answer({**told, "entry": show_entry(found)})


async def _list(call: Call) -> Answer:
    outcome, member, packet, rule = (
        call.query.get(n) for n in ("outcome", "member", "packet", "rule")
    )

    def wanted(found: Recorded) -> bool:
        event: Any = found.event
        owner = getattr(event, "owner", None) or getattr(event, "target", None)
        names = {name for name, _ in event.decision.rejected}
        return (
            (outcome is None or outcome_of(event) == outcome)
            and (
                member is None
                or member in {getattr(event, "member_id", None), getattr(owner, "member_id", None)}
            )
            and (rule is None or rule in names)
        )

    asked = EntryFilter(
        start=call.number("after", -1) + 1,
        types=_DECISIONS,
        subject=f"packet/{packet}" if packet else None,
        since=moment(call, "since"),
        until=moment(call, "until"),
    )
    found, cursor = await asyncio.to_thread(
        scan, call.service.reader, asked, wanted, limit_of(call)
    )
    return page_until(call, found, show_entry, cursor)


_ID = {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@~-]*$"}
_FLAG = {"type": "string", "enum": ["true", "false"]}
_DRY = Parameter("dry_run", _FLAG, "answer, but record nothing")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "evaluate_decision", "POST", "/api/decisions", _ASKS, "May this member own this packet? Recorded, nothing moves.", _decide, "DecisionAnswer", body=model.DecisionRequest, parameters=(_DRY, RECEIPT), tag="decisions",
        raises=(404,), writes=True,
    ),
    Operation(
        "evaluate_decisions", "POST", "/api/decisions/batch", _ASKS, "Several such questions, answered in order.",
        _batch, "DecisionAnswers", body=DecisionBatch, parameters=(_DRY, RECEIPT), tag="decisions", raises=(404,), writes=True,
    ),
    Operation(
        "list_decisions", "GET", "/api/decisions", READERS, "Past decisions, oldest first.", _list, "EntryPage",
        parameters=(
            OUTCOME,
            Parameter("member", _ID, "only about this member"),
            Parameter("packet", _ID, "only about this packet"),
            Parameter("rule", {"type": "string", "maxLength": 300, "pattern": "^[!-~]*$"}, "only where this rule kept somebody out"),
            *SPAN,
            Parameter("after", {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}, "the `next` of the page before"),
            LIMIT,
        ),
        tag="decisions",
    ),
    Operation(
        "explain_decision", "GET", "/api/decisions/{seq}", READERS,
        "Why a past decision came out as it did: every member, each failing rule with observed value and bound.", _show,
        "DecisionAnswer", tag="decisions", raises=(404,),
    ),
    Operation(
        "discover", "POST", "/api/discover", HOLDERS, "Who could own a packet, and why not each other member.",
        _discover, "Discovery", body=Discovery, tag="discovery", raises=(404, 409),
    ),
)  # fmt: skip
