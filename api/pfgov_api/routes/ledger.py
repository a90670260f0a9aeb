"""The ledger: entries, checkpoints, proofs, exports, events."""

import asyncio
import base64
from typing import Any

from pfgov.errors import InvalidError
from pfgov.events import EVENTS
from pfgov.model.times import to_microseconds
from pfgov.storage.queries import EntryFilter
from pfgov_api.answers import limit_of, page, show_entry
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
from pfgov_api.proofs import consistency, proof_of
from pfgov_api.routes.running import LIMIT, Nothing
from pfgov_api.streams import events, export_stream

_TEXT = {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"}
_MOMENT = {
    "type": "string", "format": "date-time", "maxLength": 27,
    "pattern": r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z$",
}  # fmt: skip
"""A stricter form than the reader's: UTC."""


def _seq(call: Call) -> int:
    text = call.path["seq"]
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise InvalidError(f"{text[:32]!r} is not a position", pointer="/path/seq")
    return int(text)


def _moment(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if text is None:
        return None
    return to_microseconds(text)


async def _entries(call: Call) -> Answer:
    limit = limit_of(call)
    kind = call.query.get("type")
    after = call.number("after", -1)
    wanted = EntryFilter(
        start=after + 1,
        subject=call.query.get("subject"),
        types=(kind,) if kind else (),
        since=_moment(call, "since"),
        until=_moment(call, "until"),
        limit=limit + 1,
    )
    return page(
        call, call.service.reader.entries(wanted), show_entry, lambda r: str(r.row.seq), limit
    )


async def _entry(call: Call) -> Answer:
    found = call.service.reader.entry(_seq(call))
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
    return Answer(raw=call.service.reader.head().note, media_type="text/plain; charset=utf-8")


async def _proof(call: Call) -> Answer:
    if members_of(call.principal) is not None:  # the proof holds the entry
        require_entry(call, call.service.reader.entry(_seq(call)).event)
    return Answer(raw=proof_of(call.service, _seq(call)), media_type="text/plain; charset=utf-8")


async def _consistency(call: Call) -> Answer:
    return Answer(consistency(call.service, call.number("from", 0)))


async def _export(call: Call) -> Answer:
    start = call.number("start", 0)
    stop = call.number("stop", 0) if "stop" in call.query else None
    return await export_stream(call, subject=call.query.get("subject"), start=start, stop=stop)


async def _index(call: Call) -> Answer:
    """Commit the subject map, so that exports cover everything up to now; without news there is nothing to do."""
    service = call.service
    position = await asyncio.to_thread(service.engine.commit_index)
    service.news.publish()
    return Answer({"position": position})


async def _key(call: Call) -> Answer:
    return Answer(raw=call.service.anchor.encode(), media_type="text/plain; charset=utf-8")


_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "list_entries", "GET", "/api/ledger/entries", READERS, "Entries in order, as they are shown to people.",
        _entries, "EntryPage", parameters=(
            Parameter("subject", _TEXT, "only this subject: packet/ID, member/ID, policy, keys, ledger"),
            Parameter("type", {"type": "string", "enum": sorted(EVENTS)}, "only this type"),
            Parameter("since", _MOMENT, "not before"),
            Parameter("until", _MOMENT, "not after"),
            Parameter("after", _NUMBER, "the `next` of the page before"),
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
        ),
        tag="ledger", raises=(409,), media_type="application/jsonl",
    ),
    Operation(
        "commit_index", "POST", "/api/ledger/index", frozenset({"operator"}),
        "Commit an index, so that exports cover everything up to here; done every half minute anyway.",
        _index, "Indexed", body=Nothing, body_optional=True, tag="ledger",
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
        tag="ledger", raises=(503,), media_type="text/event-stream",
    ),
)  # fmt: skip
