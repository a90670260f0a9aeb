"""The ledger: entries, checkpoints, proofs, exports, events."""

import asyncio
import base64
from typing import Any

from pfgov import model
from pfgov.engine.proofs import prove
from pfgov.engine.reading import LedgerReader, Recorded
from pfgov.errors import InvalidError
from pfgov.events import EVENTS
from pfgov.glance import ledger_view, settings_view
from pfgov.model import Wire
from pfgov.storage.queries import EntryFilter
from pfgov_api.answers import followed, limit_of, page, page_until, recorded, show_entry
from pfgov_api.disclosure import members_of, require_entry
from pfgov_api.operations import (
    ANYONE,
    AUDITORS,
    HOLDERS,
    MEMBER,
    READERS,
    Answer,
    Call,
    Operation,
    Parameter,
)
from pfgov_api.proofs import consistency
from pfgov_api.routes.running import (
    LIMIT,
    OUTCOME,
    RECEIPT,
    SINCE,
    SPAN,
    WRITE,
    Nothing,
    moment,
    run,
    several,
)
from pfgov_api.scanning import Actors, Fits, outcome_of, scan
from pfgov_api.streams import events, export_stream
from pfgov_ledger import vocabulary

_TEXT = {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"}
_PRINCIPAL = {"type": "string", "maxLength": 300, "pattern": "^[!-~]+$"}


def _seq(call: Call) -> int:
    return int(call.path["seq"])


async def _entries(call: Call) -> Answer:
    limit, is_newest = limit_of(call), call.flag("newest")
    wanted = EntryFilter(
        start=call.number("after", -1) + 1,
        stop=call.number("before", 0) if "before" in call.query else None,
        subject=call.query.get("subject"),
        types=call.several("type"),
        since=moment(call, "since"),
        until=moment(call, "until"),
        limit=limit + 1,
        newest_first=is_newest,
    )
    following = "before" if is_newest else "after"
    reader = call.service.reader
    if call.query.keys() & {"actor", "outcome"}:
        fits = _fits(reader, call.query.get("actor"), call.query.get("outcome"))
        scanned, cursor = await asyncio.to_thread(scan, reader, wanted, fits, limit)
        return page_until(call, scanned, show_entry, cursor, parameter=following)
    found = await asyncio.to_thread(reader.entries, wanted)
    return page(call, found, show_entry, lambda r: str(r.row.seq), limit, parameter=following)


def _fits(reader: LedgerReader, actor: str | None, outcome: str | None) -> Fits:
    actors = Actors(reader)

    def fits(found: Recorded) -> bool:
        return (outcome is None or outcome_of(found.event) == outcome) and (
            actor is None or actors.of(found) == actor
        )

    return fits


async def _overview(call: Call) -> Answer:
    counts = await asyncio.to_thread(call.service.reader.packet_counts)
    engine = call.service.engine
    return Answer(
        await call.service.in_turn(lambda: engine.look(lambda state: ledger_view(state, counts)))
    )


async def _configuration(call: Call) -> Answer:
    engine = call.service.engine
    settings = await call.service.in_turn(lambda: engine.look(lambda state: state.settings))
    return Answer({"configuration": settings_view(settings)})


async def _configure(call: Call) -> Answer:
    return await recorded(call, await run(call, call.body.to_action()))


class Tick(Wire):
    """Let what is due happen; with ``resume`` every leased member gets a whole lease from now first."""

    resume: bool = False


async def _tick(call: Call) -> Answer:
    engine = call.service.engine
    before = await asyncio.to_thread(call.service.size)
    if call.body.resume:
        await call.service.in_turn(engine.resume)
    told = await followed(call, before)
    status = await call.service.in_turn(engine.status)
    return Answer({"halted": status.halted, **told})


async def _entry(call: Call) -> Answer:
    found = call.service.glance.entry(_seq(call))
    require_entry(call, found.event)
    return Answer(
        {
            "entry": base64.b64encode(found.row.raw).decode(),
            "signature": base64.b64encode(found.row.signature).decode(),
            "position": found.row.seq,
            "shown": show_entry(found),
        }
    )


async def _checkpoint(call: Call) -> Answer:
    return Answer(raw=call.service.glance.head().note, media_type="text/plain; charset=utf-8")


async def _proof(call: Call) -> Answer:
    if members_of(call.principal) is not None:  # the proof holds the entry
        require_entry(call, call.service.glance.entry(_seq(call)).event)
    return Answer(
        raw=prove(call.service.glance, _seq(call)), media_type="text/plain; charset=utf-8"
    )


async def _consistency(call: Call) -> Answer:
    return Answer(consistency(call.service.glance, call.number("from", 0)))


async def _export(call: Call) -> Answer:
    subject = call.query.get("subject")
    if subject is not None and not vocabulary.is_subject(subject):
        raise InvalidError(
            f"{subject!r} is not a subject",
            hint="write packet/ID, member/ID, policy, keys or ledger",
            pointer="/query/subject",
        )
    start = call.number("start", 0)
    stop = call.number("stop", 0) if "stop" in call.query else None
    return await export_stream(call, subject=subject, start=start, stop=stop)


async def _index(call: Call) -> Answer:
    """Commit the subject map, so that exports cover everything up to now.

    Without news there is nothing to do, and the receipt is that of the index which covers everything already.
    """
    receipt = await call.service.commit_index()
    answer = await recorded(call, receipt)
    answer.body["position"] = receipt.position
    return answer


async def _key(call: Call) -> Answer:
    return Answer(raw=call.service.anchor.encode(), media_type="text/plain; charset=utf-8")


_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "show_ledger", "GET", "/api/ledger", READERS, "What the ledger holds, at a glance.", _overview, "Ledger",
        tag="ledger",
    ),
    Operation(
        "show_configuration", "GET", "/api/configuration", READERS, "The settings that decisions read.", _configuration,
        "Configuration", tag="ledger",
    ),
    Operation(
        "configure", "PATCH", "/api/configuration", frozenset({"admin"}), "Change settings; absent ones stay.",
        _configure, "Recorded", body=model.Settings, parameters=WRITE, tag="ledger", writes=True,
    ),
    Operation(
        "tick", "POST", "/api/tick", frozenset({"operator"}),
        "Let what is due happen now, not with the next tick, and list it; with `resume` let leases end again.", _tick,
        "Ticked", body=Tick, body_optional=True, tag="operations",
    ),
    Operation(
        "list_entries", "GET", "/api/ledger/entries", READERS, "Entries in order, as they are shown to people.",
        _entries, "EntryPage", parameters=(
            Parameter("subject", _TEXT, "only this subject: packet/ID, member/ID, policy, keys, ledger"),
            Parameter("type", several(EVENTS), "only one of these types, separated by commas"),
            Parameter("actor", _PRINCIPAL, "only what this principal's commands caused, such as key:ID or local"),
            OUTCOME,
            *SPAN,
            Parameter("after", _NUMBER, "only after this position: the `next` of the page before"),
            Parameter("before", _NUMBER, "only before this position: the `next` of the page before, newest first"),
            Parameter("newest", {"type": "string", "enum": ["true", "false"]}, "newest first"),
            LIMIT,
        ),
        tag="ledger",
    ),
    Operation(
        "show_entry", "GET", "/api/ledger/entries/{seq}", HOLDERS, "One entry: its bytes, its signature, its meaning.",
        _entry, "Entry", tag="ledger", raises=(404,),
    ),
    Operation(
        "checkpoint", "GET", "/api/ledger/checkpoint", ANYONE, "The newest signed checkpoint (C2SP).", _checkpoint,
        "Text", tag="ledger", media_type="text/plain",
    ),
    Operation(
        "inclusion_proof", "GET", "/api/ledger/proof/{seq}", HOLDERS, "A C2SP tlog-proof that an entry is in the log.",
        _proof, "Text", tag="ledger", raises=(404,), media_type="text/plain",
    ),
    Operation(
        "consistency_proof", "GET", "/api/ledger/consistency", HOLDERS, "A proof that nothing before was changed.",
        _consistency, "Consistency", parameters=(Parameter("from", _NUMBER, "the size that you know", required=True),),
        tag="ledger",
    ),
    Operation(
        "export_ledger", "GET", "/api/ledger/export", AUDITORS, "The history with its proofs, to be verified offline.",
        _export, "Stream",
        parameters=(
            Parameter("subject", _TEXT, "only this subject"),
            Parameter("start", _NUMBER, "from this position"),
            Parameter("stop", _NUMBER, "up to, not including, this position"),
            SINCE,
        ),
        tag="ledger", raises=(409,), media_type="application/jsonl",
    ),
    Operation(
        "commit_index", "POST", "/api/ledger/index", frozenset({"operator"}),
        "Commit an index, so that exports cover everything up to here; done every half minute anyway.",
        _index, "Indexed", body=Nothing, body_optional=True, parameters=(RECEIPT,), tag="ledger",
    ),
    Operation(
        "anchor", "GET", "/api/ledger/key", ANYONE, "The anchor that a verifier pins; compare it over another channel.",
        _key, "Text", tag="ledger", media_type="text/plain",
    ),
    Operation(
        "stream_events", "GET", "/api/events", AUDITORS | {MEMBER},
        "Every entry as it is committed (server-sent events); `Last-Event-ID` resumes without loss.", events, "Stream",
        parameters=(
            Parameter("after", _NUMBER, "begin after this position"),
            Parameter("member", _TEXT, "only what concerns this member"),
        ),
        tag="ledger", raises=(409, 503), media_type="text/event-stream",
    ),
)  # fmt: skip
