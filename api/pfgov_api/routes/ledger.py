"""The ledger: entries, checkpoints, proofs, exports, events."""

import asyncio
import base64
from functools import partial
from typing import Any

from pfgov import model
from pfgov.app.ledger import EntryPageWanted, ExportWanted
from pfgov.app.local import LocalLedger, shown
from pfgov.app.root.keeping import Root
from pfgov.app.visibility import SUBMITTER
from pfgov.app.witnesses import nobody_has
from pfgov.core.events import EVENTS
from pfgov.errors import InvalidError, NotFoundError
from pfgov_api.answers import followed, halt_of, limit_of, page, recorded, writes
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
from pfgov_api.preconditions import SETTINGS, configuration
from pfgov_api.routes.parameters import (
    LIMIT,
    OUTCOME,
    RECEIPT,
    SINCE,
    SPAN,
    WRITE,
    Nothing,
    moment,
    several,
)
from pfgov_api.streams import AS_FORMAT, MEDIA_TYPE, OTHER_MEDIA_TYPES, events, export_stream
from pfgov_ledger import vocabulary

_TEXT = {"type": "string", "maxLength": 200, "pattern": "^[!-~]+$"}
_PRINCIPAL = {"type": "string", "maxLength": 300, "pattern": "^[!-~]+$"}


def _subject(call: Call) -> str | None:
    """Return the subject that is asked for, if any.

    Raises:
        InvalidError: no entry can be about that.
    """
    subject = call.query.get("subject")
    if subject is not None and not vocabulary.is_subject(subject):
        raise InvalidError(
            f"{subject!r} is not a subject",
            hint="write packet/ID, member/ID, policy, keys or ledger",
            pointer="/query/subject",
        )
    return subject


async def _entries(call: Call) -> Answer:
    is_newest = call.flag("newest")
    wanted = EntryPageWanted(
        subject=_subject(call),
        types=call.several("type"),
        after=call.number("after", -1),
        before=call.number("before", 0) if "before" in call.query else None,
        since=moment(call, "since"),
        until=moment(call, "until"),
        actor=call.query.get("actor"),
        outcome=call.query.get("outcome"),
        limit=limit_of(call),
        full=True,
        newest=is_newest,
    )
    found = await call.reading(call.ledger.listed, wanted)
    return page(call, found.entries, found.following, by="before" if is_newest else "after")


async def _overview(call: Call) -> Answer:
    return Answer(await call.service.asked(call.grant.share, call.ledger.overview))


async def _configuration(call: Call) -> Answer:
    return Answer(configuration(await call.service.exclusively(call.ledger.settings)))


async def _tick(call: Call) -> Answer:
    ledger, asked = call.ledger, call.body
    before = await call.read(LocalLedger.size)
    if asked.is_resuming:
        await call.service.exclusively(partial(ledger.resume, asked))
    happened = await followed(call, before)
    status = await call.service.exclusively(ledger.engine.status)
    return Answer({**halt_of(status), **happened})


async def _entry(call: Call) -> Answer:
    found = await call.read(lambda ledger: ledger.recorded(int(call.path["seq"])))
    return Answer(
        {
            "entry": base64.b64encode(found.row.raw).decode(),
            "signature": base64.b64encode(found.row.signature).decode(),
            "position": found.row.seq,
            "shown": shown(found),
        }
    )


def _text(raw: bytes) -> Answer:
    return Answer(raw=raw, media_type="text/plain; charset=utf-8")


async def _checkpoint(call: Call) -> Answer:
    if call.flag("witnessed"):
        witnesses = call.service.witnesses
        if witnesses is None:
            raise nobody_has()
        return _text(witnesses.note())
    return _text(await call.read(lambda ledger: ledger.head()))


async def _tile(call: Call) -> Answer:
    """Give a tile or a bundle.  Like every answer it is not to be cached: who may read the log may change."""
    path = "/".join(("tile", *call.path.values()))
    raw = await call.reading(call.ledger.tile, path)
    return Answer(raw=raw, media_type="application/octet-stream")


def _root(call: Call) -> Root:
    """Return the root that this server keeps.

    Raises:
        NotFoundError: ``root.none``, it keeps none.
    """
    root = call.service.root
    if root is None:
        raise NotFoundError(
            "this server keeps no root over its ledgers",
            code="root.none",
            hint="make one, and serve with it: pfgov root init; pfgov serve --root FOLDER",
        )
    return root


async def _root_checkpoint(call: Call) -> Answer:
    return _text(await asyncio.to_thread(_root(call).note))


async def _proof(call: Call) -> Answer:
    seq = int(call.path["seq"])
    if "via" in call.query:
        return _text(await call.reading(_root(call).path, call.ledger, seq))
    return _text(await call.read(lambda ledger: ledger.proof(seq)))


async def _consistency(call: Call) -> Answer:
    return Answer(await call.read(lambda ledger: ledger.consistency(call.number("from", 0))))


async def _export(call: Call) -> Answer:
    subject = _subject(call)
    start = call.number("start", 0)
    stop = call.number("stop", 0) if "stop" in call.query else None
    is_span = subject is None and (start or stop is not None)
    since = call.number("since", 0) if "since" in call.query else None
    wanted = ExportWanted(subject, (start, stop) if is_span else None, since)
    return await export_stream(call, wanted)


async def _index(call: Call) -> Answer:
    """Commit the subject map, so that exports cover everything up to now.

    Without news there is nothing to do, and the receipt is that of the index which covers everything already.
    """
    receipt = await call.service.commit_index()
    answer = await recorded(call, receipt)
    answer.body["position"] = receipt.position
    return answer


async def _key(call: Call) -> Answer:
    return _text(call.service.anchor.encode())


_TILE_PATH = tuple(f"{{tile_{number}}}" for number in range(1, 8))
"""The parts of a tile's number, three digits each, and of a partial tile its width: as many as the largest log has."""

_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "show_ledger", "GET", "/api/ledger", READERS, "What the ledger holds, at a glance.", _overview, "Ledger",
        tag="ledger",
    ),
    Operation(
        "show_configuration", "GET", SETTINGS, READERS, "The settings that decisions read.", _configuration,
        "Configuration", tag="ledger",
    ),
    Operation(
        "configure", "PATCH", SETTINGS, frozenset({"admin"}), "Change settings; absent ones stay.",
        writes(), "Recorded", body=model.Settings, parameters=WRITE, tag="ledger", writes=True,
    ),
    Operation(
        "tick", "POST", "/api/tick", frozenset({"operator"}),
        "Let what is due happen now, not with the next tick, and list it; with `resume` end a halt.", _tick,
        "Ticked", body=model.Tick, body_optional=True, tag="operations", raises=(404, 409),
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
        "Text", parameters=(
            Parameter(
                "witnessed", {"type": "string", "enum": ["true", "false"]},
                "the newest that a quorum of witnesses cosigned, with their cosignatures",
            ),
        ),
        tag="ledger", raises=(404,), media_type="text/plain",
    ),
    Operation(
        "tiles_checkpoint", "GET", "/tiles/checkpoint", ANYONE,
        "The newest signed checkpoint, where readers of C2SP tlog-tiles look for it.", _checkpoint,
        "Text", tag="ledger", media_type="text/plain",
    ),
    *(
        Operation(
            f"tile_{depth}", "GET", f"/tiles/tile/{{tile_level}}/{'/'.join(_TILE_PATH[:depth])}", AUDITORS,
            "A C2SP tlog-tiles resource: 256 hashes of a level of the tree, or the entries below them.", _tile,
            "Stream", tag="ledger", raises=(404,), media_type="application/octet-stream",
        )
        for depth in range(1, len(_TILE_PATH) + 1)
    ),
    Operation(
        "inclusion_proof", "GET", "/api/ledger/proof/{seq}", HOLDERS, "A C2SP tlog-proof that an entry is in the log.",
        _proof, "Text", parameters=(
            Parameter(
                "via", {"type": "string", "enum": ["root"]},
                "through the root over the server's ledgers: two such proofs, one in the other",
            ),
        ),
        tag="ledger", raises=(404,), media_type="text/plain",
    ),
    Operation(
        "root_checkpoint", "GET", "/api/ledger/root", ANYONE,
        "The newest signed checkpoint (C2SP) of the root over the server's ledgers, cosigned where it has witnesses.",
        _root_checkpoint, "Text", tag="ledger", raises=(404,), media_type="text/plain",
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
            AS_FORMAT,
        ),
        tag="ledger", raises=(409, 413), media_type=MEDIA_TYPE, other_media_types=OTHER_MEDIA_TYPES,
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
        "stream_events", "GET", "/api/events", AUDITORS | {MEMBER, SUBMITTER},
        "Every entry as it is committed (server-sent events); `Last-Event-ID` resumes without loss. A submitter's key hears about the packets that were submitted with it.", events, "Stream",
        parameters=(
            Parameter("after", _NUMBER, "begin after this position"),
            Parameter("member", _TEXT, "only what concerns this member"),
            Parameter("packet", _TEXT, "only what is about this packet"),
            Parameter("type", several(EVENTS), "only entries of these types, separated by commas"),
            Parameter("named", {"type": "string", "enum": ["true", "false"]}, "name each event by its entry's type; unnamed ones are what `onmessage` of an EventSource hears"),
        ),
        tag="ledger", raises=(409, 503), media_type="text/event-stream",
    ),
)  # fmt: skip
