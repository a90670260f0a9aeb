"""OpenTelemetry: a packet is a trace, each time that a member owns it a span.  OTLP in JSON, a request a line.

Traces of packets that have not ended wait in memory, and in a temporary file when they are many.  An entry about
something else than a packet is a span of its own, in the trace of its subject.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from pfgov.lineage.records import TERMINAL, Lineage, Record
from pfgov.lineage.text import line
from pfgov_ledger.disk_map import DiskMap

UNSET, OK, ERROR = 0, 1, 2

EVENTS_MAX: Final = 64
"""Events of one span; a packet with more has spans "so far" under its root.  Exporters cut off at 128."""

TRACES_MAX: Final = 2_000
"""Traces that wait in memory."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What a span keeps of the entry at which it begins or ends."""

    log: str
    seq: int
    leaf: str
    time: int
    type: str
    subject: str
    packet: str | None
    member: str | None
    owner: str | None
    policy: str | None


class Trace(msgspec.Struct, array_like=True):
    """A packet: its first entry, that of its present owner, and the events that no span has yet, from one on."""

    first: Mark
    owner: Mark | None = None
    since: Mark | None = None
    events: list[dict[str, Any]] = []
    has_ended: bool = False


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Trace).decode


def _mark(record: Record) -> Mark:
    entry = record.entry
    return Mark(
        entry.log, entry.seq, entry.leaf.hex(), entry.time, entry.type, entry.subject, record.packet_id,
        record.member_id, record.owner, record.policy,
    )  # fmt: skip


def to_opentelemetry(lineage: Lineage) -> Iterator[str]:
    """Yield OTLP trace requests in JSON, one span a line; entries are events of a packet's root span."""
    traces: DiskMap[Trace] = DiskMap(
        TRACES_MAX, pack=lambda trace: _encode(trace).decode(), unpack=_decode
    )
    last: Mark | None = None
    try:
        for record in lineage:
            if record.packet_id is None:
                yield _alone(record)
            else:
                last = _mark(record)
                yield from _continued(traces, record.packet_id, record, last)
        for _, trace in traces.in_file_order():
            if last is not None and not trace.has_ended:
                yield from _closed(trace, last)
    finally:
        traces.close()


def _continued(traces: DiskMap[Trace], packet: str, record: Record, mark: Mark) -> Iterator[str]:
    """Yield the spans that end with an entry of *packet*, and keep what goes on."""
    trace = traces.get(packet)
    if trace is None or trace.has_ended:
        trace = Trace(mark)
    since = trace.since = trace.since or mark
    trace.events.append(_event(record))
    is_last = mark.type in TERMINAL
    if trace.owner is not None and (
        is_last or mark.owner is not None or mark.type == "ownership_revoked"
    ):
        yield _owned(trace.owner, mark)
        trace.owner = None
    if mark.owner is not None:
        trace.owner = mark
    if is_last:
        yield from _closed(trace, mark)
        trace = Trace(trace.first, has_ended=True)
    elif len(trace.events) >= EVENTS_MAX:
        root = _ids(trace.first)[1]
        span = _hex(f"{root}\n{since.seq}", 8)
        yield _span(since, mark, "so far", span, root, events=trace.events)
        trace.since, trace.events = None, []
    traces.put(packet, trace)


def _closed(trace: Trace, last: Mark) -> Iterator[str]:
    """Yield the owner's span and the root span of a trace."""
    if trace.owner is not None:
        yield _owned(trace.owner, last)
    is_over = last.packet == trace.first.packet and last.type in TERMINAL
    status = UNSET if not is_over else ERROR if last.type == "packet_failed" else OK
    name, root = f"packet {trace.first.packet}", _ids(trace.first)[1]
    yield _span(trace.first, last, name, root, "", status=status, events=trace.events)


def _owned(first: Mark, last: Mark) -> str:
    has_failed = last.packet == first.packet and last.type in {"packet_failed", "ownership_revoked"}
    span, parent = _hex(f"{first.log}\n{first.seq}", 8), _ids(first)[1]
    status = ERROR if has_failed else OK
    return _span(first, last, f"owned by {first.owner}", span, parent, status=status)


def _alone(record: Record) -> str:
    """Return the span of an entry that is about no packet."""
    mark = _mark(record)
    span = _hex(f"{_ids(mark)[0]}\n{mark.seq}", 8)
    return _span(mark, mark, mark.type, span, "", events=[_event(record)])


def _hex(text: str, size: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * size]


def _ids(mark: Mark) -> tuple[str, str]:
    """Return the ids of the trace that an entry belongs to, and of its root span."""
    name = f"{mark.log}\n{mark.subject if mark.packet is None else mark.packet}"
    return _hex(name, 16), _hex(f"{name}\nroot", 8)


def _attributes(pairs: dict[str, str | int | None]) -> list[Any]:
    return [
        {
            "key": key,
            "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value},
        }
        for key, value in pairs.items()
        if value is not None
    ]


def _span(
    first: Mark,
    last: Mark,
    name: str,
    span: str,
    parent: str,
    *,
    status: int = UNSET,
    events: list[dict[str, Any]] | None = None,
) -> str:
    made: dict[str, object] = {
        "traceId": _ids(first)[0],
        "spanId": span,
        "parentSpanId": parent,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(first.time * 1_000),
        "endTimeUnixNano": str(last.time * 1_000),
        "attributes": _attributes(
            {
                "pfgov.log": first.log,
                "pfgov.seq": first.seq,
                "pfgov.leaf": first.leaf,
                "pfgov.end.seq": last.seq,
                "pfgov.end.leaf": last.leaf,
                "pfgov.subject": first.subject,
                "pfgov.packet": first.packet,
                "pfgov.member": first.member,
                "pfgov.policy": first.policy,
            }
        ),
        "events": events or [],
        "status": {"code": status},
    }
    resource = {"attributes": _attributes({"service.name": "pfgov", "pfgov.log": first.log})}
    scope = {"scope": {"name": "pfgov.lineage"}, "spans": [made]}
    return line({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]})


def _event(record: Record) -> dict[str, Any]:
    entry = record.entry
    return {
        "timeUnixNano": str(entry.time * 1_000),
        "name": entry.type,
        "attributes": _attributes(
            {
                "pfgov.seq": entry.seq,
                "pfgov.leaf": entry.leaf.hex(),
                "pfgov.outcome": record.outcome,
                "pfgov.body": json.dumps(entry.body, ensure_ascii=False, separators=(",", ":")),
            }
        ),
    }
