"""Operations: is it alive, is it ready, what does it do, and how is it asked."""

from typing import Any

from pfgov import __version__
from pfgov.errors import NotFoundError, StoreUnavailableError
from pfgov_api.operations import ANYONE, AUDITORS, READERS, Answer, Call, Operation


async def _live(_: Call) -> Answer:
    return Answer({"status": "live", "version": __version__})


async def _ready(call: Call) -> Answer:
    """Say whether the ledger can be written, and if not, why."""
    service = call.service
    if service.stopping.is_set():
        raise StoreUnavailableError("the server is stopping", code="engine.stopped")
    if service.fault is not None:
        raise StoreUnavailableError(
            f"the ledger cannot be written: {service.fault.message}",
            code=service.fault.code,
            hint=service.fault.hint,
        )
    status = await service.in_turn(service.engine.status)
    body: dict[str, Any] = {"status": "ready", "policy": status.policy, "halted": status.halted}
    return Answer(body)


async def _status(call: Call) -> Answer:
    status = await call.service.in_turn(call.service.engine.status)
    shown = {name: getattr(status, name) for name in status.__slots__}
    return Answer({**shown, "packets": call.service.glance.packet_counts()})


async def _metrics(call: Call) -> Answer:
    status = await call.service.in_turn(call.service.engine.status)
    gauges = {
        "pfgov_entries": status.size,
        "pfgov_members": status.members,
        "pfgov_live_packets": status.live_packets,
        "pfgov_waiting_packets": status.waiting_packets,
        "pfgov_queued_commands": status.queued,
        "pfgov_engine_reloads": status.reloads,
        "pfgov_event_streams": call.service.news.count,
        "pfgov_streams": call.service.streams.total,
        "pfgov_requests_in_flight": call.service.in_flight,
        "pfgov_ready": int(call.service.fault is None),
    }
    shares = (call.service.requests, call.service.streams, call.service.exports)
    text = call.service.metrics.text(
        {name: float(value) for name, value in gauges.items()},
        {one.what: one.refused for one in shares},
    )
    media_type = "text/plain; version=0.0.4; charset=utf-8"
    return Answer(raw=text, media_type=media_type, headers={"Cache-Control": "no-store"})


async def _openapi(_: Call) -> Answer:
    from pfgov_api.openapi import document

    return Answer(document())


async def _docs(_: Call) -> Answer:
    from pfgov_api.reference import CONTENT_SECURITY_POLICY, page

    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Answer(raw=page(), media_type="text/html; charset=utf-8", headers=headers)


async def _problem(call: Call) -> Answer:
    from pfgov_api.reference import problem_page

    found = problem_page(call.path["code"])
    if found is None:
        raise NotFoundError(
            f"there is no problem {call.path['code'][:64]!r}", code="http.not_found"
        )
    from pfgov_api.reference import CONTENT_SECURITY_POLICY

    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Answer(raw=found, media_type="text/html; charset=utf-8", headers=headers)


OPERATIONS: tuple[Operation, ...] = (
    Operation("live", "GET", "/api/health/live", ANYONE, "The process answers.", _live, "Object"),
    Operation("ready", "GET", "/api/health/ready", ANYONE, "The ledger can be written; else why not.", _ready, "Object",
              raises=(503,)),
    Operation("status", "GET", "/api/status", READERS, "What the server holds.", _status, "Object"),
    Operation("metrics", "GET", "/metrics", AUDITORS, "Counters for Prometheus.", _metrics, "Text",
    media_type="text/plain"), Operation("openapi", "GET", "/api/openapi.json", ANYONE, "This API as OpenAPI 3.1.",
    _openapi, "Object"), Operation("docs", "GET", "/api/docs", ANYONE, "This API as a page; it needs no network.",
    _docs, "Text",
              media_type="text/html"),
    Operation("problem", "GET", "/api/problems/{code}", ANYONE, "What a problem's code means.", _problem, "Text",
              raises=(404,), media_type="text/html"),
)  # fmt: skip
