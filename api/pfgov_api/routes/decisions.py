"""Decisions: may this member own this packet, who could, and why it was decided as it was."""

from functools import partial
from typing import Annotated, Any

import msgspec
from pydantic import Field

from pfgov import model
from pfgov.app.hosting import MismatchError
from pfgov.app.ledger import DecisionsWanted
from pfgov.app.local import shown
from pfgov.app.prepare import Prepared, takes_long
from pfgov.app.views import decision_view
from pfgov.errors import ConflictError, InputError, InvalidError, NotFoundError
from pfgov.model import Wire
from pfgov.model.fields import Bounded, Id
from pfgov_api.answers import limit_of, page, receipt_wanted, recorded, run
from pfgov_api.operations import HOLDERS, READERS, Answer, Call, Operation, Parameter
from pfgov_api.outgoing import RequestId
from pfgov_api.problems import problem
from pfgov_api.routes.parameters import LIMIT, OUTCOME, RECEIPT, SPAN, moment

BATCH_MAX = 100
_ASKS = frozenset({"operator", "submitter"})


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
        return Answer(await _dry(call, body))
    receipt = await run(call, Prepared(body.to_action()))
    answer = await recorded(call, receipt)
    decided = await call.reading(call.ledger.decided, receipt.events)
    names = ("receipt", "events", "position", "reasons", "review")
    said = {name: answer.body[name] for name in names if name in answer.body}
    shown = {**said, **decided}
    return Answer(shown, headers=answer.headers)


async def _batch(call: Call) -> Answer:
    body: DecisionBatch = call.body
    if not body.decisions:
        raise InvalidError("decisions: there is no question", pointer="/decisions")
    answers = [await _one(call, part, asked) for part, asked in enumerate(body.decisions)]
    return Answer({"decisions": answers})


async def _one(call: Call, part: int, asked: model.DecisionRequest) -> dict[str, Any]:
    """Return the answer to one of several questions: a refusal of it is its own, and nobody else's.

    Raises:
        PfgovError: the server cannot answer any of them now.
    """
    try:
        if call.flag("dry_run"):
            return await _dry(call, asked)
        receipt = await run(call, Prepared(asked.to_action()), part=part)
    except MismatchError:
        raise
    except (ConflictError, NotFoundError, InputError) as error:
        return {
            "outcome": "denied",
            "allowed": False,
            "packet_id": asked.packet_id,
            "member_id": asked.member_id,
            "reasons": [error.code],
            "problem": problem(error, RequestId(call.request_id, call.request_id).urn),
        }
    shown = await receipt_wanted(call, receipt)
    view = decision_view(receipt.events, {})
    return {"receipt": shown, "position": receipt.position, **view}


async def _dry(call: Call, asked: model.DecisionRequest) -> dict[str, Any]:
    decided = await call.service.asked(
        call.grant.share, partial(call.ledger.dry_run, asked.to_action())
    )
    return decision_view(decided.events, decided.tables)


async def _discover(call: Call) -> Answer:
    body: Discovery = call.body
    asked = body.packet_id if body.packet is None else body.packet
    if asked is None or (body.packet is not None and body.packet_id is not None):
        raise InvalidError("give packet_id or packet, one of them", pointer="")
    question = None
    if body.packet is not None and takes_long(body.packet, call.raw):
        ask = partial(call.ledger.question, asked)
        question = await call.service.looking.run(call.grant.share, ask)
    found, decided = await call.service.asked(
        call.grant.share, partial(call.ledger.search, asked, question)
    )
    return Answer({**decided, **msgspec.structs.asdict(found)})


async def _show(call: Call) -> Answer:
    found = await call.read(lambda ledger: ledger.recorded(int(call.path["seq"])))
    decided = await call.reading(call.ledger.decided, (found.event,))
    return Answer({**decided, "entry": shown(found)})


async def _list(call: Call) -> Answer:
    wanted = DecisionsWanted(
        outcome=call.query.get("outcome"),
        member=call.query.get("member"),
        packet=call.query.get("packet"),
        rule=call.query.get("rule"),
        after=call.number("after", -1),
        since=moment(call, "since"),
        until=moment(call, "until"),
        limit=limit_of(call),
        before=call.number("before", 0) if "before" in call.query else None,
        newest=call.flag("newest"),
    )
    found = await call.reading(call.ledger.decisions, wanted)
    by = "before" if wanted.newest else "after"
    return page(call, found.entries, found.following, by=by)


_ID = {"type": "string", "maxLength": 128, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:@~-]*$"}
_FLAG = {"type": "string", "enum": ["true", "false"]}
_DRY = Parameter("dry_run", _FLAG, "answer, but record nothing")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "evaluate_decision", "POST", "/api/decisions", _ASKS, "May this member own this packet? Recorded, nothing moves.", _decide, "DecisionAnswer", body=model.DecisionRequest, parameters=(_DRY, RECEIPT), tag="decisions",
        raises=(404,), writes=True,
    ),
    Operation(
        "evaluate_decisions", "POST", "/api/decisions/batch", _ASKS, "Several such questions, answered in order, each by itself: one about what is not there, or has ended, has its `problem`.",
        _batch, "DecisionAnswers", body=DecisionBatch, parameters=(_DRY, RECEIPT), tag="decisions", raises=(404,), writes=True,
    ),
    Operation(
        "list_decisions", "GET", "/api/decisions", READERS, "Past decisions, oldest first unless asked otherwise.", _list, "EntryPage",
        parameters=(
            OUTCOME,
            Parameter("member", _ID, "only about this member"),
            Parameter("packet", _ID, "only about this packet"),
            Parameter("rule", {"type": "string", "maxLength": 300, "pattern": "^[!-~]*$"}, "only where this rule kept somebody out"),
            *SPAN,
            Parameter("after", {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}, "the `next` of the page before"),
            Parameter("before", {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}, "only before this position: the `next` of the page before, newest first"),
            Parameter("newest", _FLAG, "newest first"),
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
        _discover, "Discovered", body=Discovery, tag="discovery", raises=(404, 409),
    ),
)  # fmt: skip
