"""Operations: is it alive, is it ready, what does it do, and how is it asked."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

from pfgov import __version__
from pfgov.app.hosting import Status
from pfgov.errors import NotFoundError, StoreUnavailableError
from pfgov_api.answers import halt_of
from pfgov_api.operations import ANYONE, AUDITORS, READERS, Answer, Call, Operation
from pfgov_api.proving import CHALLENGE, PROOF, is_challenge, proof
from pfgov_api.reference import CONTENT_SECURITY_POLICY, page, problem_page
from pfgov_api.service import Service


async def _live(call: Call) -> Answer:
    body = {"status": "live", "version": __version__}
    challenge = call.headers.get(CHALLENGE, "")
    if not is_challenge(challenge):
        return Answer(body)
    async with call.service.proving:  # anybody may ask, and a key service may take its time
        said = await asyncio.to_thread(_proof, call.service, challenge)
    return Answer(body, headers={} if said is None else {PROOF: said})


def _proof(service: Service, challenge: str) -> str | None:
    """Return the proof that this server is the ledger's and listens where it says; None where it cannot give one."""
    address = service.engine.options.address
    if (
        address is None or not service.engine.store.can_be_led
    ):  # nobody else serves it and would ask
        return None
    signers = service.log_keys()
    if not signers:
        return None
    return proof(signers[0], service.origin, address, challenge)


async def _webhooks(call: Call) -> Answer:
    """Say how each receiver stands, with its dead letters; none where no file names any."""
    webhooks = call.service.webhooks
    return Answer({"items": [] if webhooks is None else webhooks.shown()})


async def _ready(call: Call) -> Answer:
    """Say whether the ledger can be written, and if not, why."""
    service = call.service
    if service.stopping.is_set():
        raise StoreUnavailableError("the server is stopping", code="engine.stopped")
    standing_by = service.standing_by()
    if standing_by is not None:
        raise standing_by
    if service.fault is not None:
        raise StoreUnavailableError(
            f"the ledger cannot be written: {service.fault.message}",
            code=service.fault.code,
            hint=service.fault.hint,
        )
    status = await service.status()
    body: dict[str, Any] = {"status": "ready", "policy": status.policy, **halt_of(status)}
    if status.clock_ahead:
        body["clock_ahead_seconds"] = status.clock_ahead / 1_000_000
    node = service.node()
    if node is not None:
        body["node"] = node
    if service.witnesses is not None:
        newest = service.witnesses.newest
        body["witness_alarms"] = service.witnesses.alarms
        body["witnessed"] = {
            "size": 0 if newest is None else newest.size,
            "age_seconds": service.witnesses.age_seconds(service.engine.clock.now()),
        }
    return Answer(body)


async def _status(call: Call) -> Answer:
    status = await call.service.status()
    shown = {name: getattr(status, name) for name in status.__slots__}
    counts = await call.reading(call.ledger.packet_counts)  # all packets that ever were
    node = call.service.node()
    held = {"packets": counts, "witnesses": _shown(call.service), "node": node}
    return Answer({**shown, **halt_of(status), **held})


def _shown(service: Service) -> dict[str, Any] | None:
    """Return how far witnesses vouch for the ledger; None where there are none."""
    witnesses = service.witnesses
    return None if witnesses is None else witnesses.shown(service.engine.clock.now())


async def _witnesses(call: Call) -> Answer:
    return Answer({"witnesses": _shown(call.service)})


async def _metrics(call: Call) -> Answer:
    """Give what is known, above all when the engine does not answer: that is what is looked for then."""
    service = call.service
    try:
        status: Status | None = await service.status()
        is_ready = service.fault is None
    except Exception:  # noqa: BLE001 - no thread to ask in, too: whatever it is, it is what is looked for
        status, is_ready = service.last_status, False
    gauges: dict[str, int] = {
        "pfgov_event_streams": service.news.count,
        "pfgov_streams": service.streams.total,
        "pfgov_requests_in_flight": service.in_flight,
        "pfgov_ready": int(is_ready and not service.stopping.is_set()),
    }
    if status is not None:
        gauges |= {
            "pfgov_entries": status.size,
            "pfgov_members": status.members,
            "pfgov_live_packets": status.live_packets,
            "pfgov_waiting_packets": status.waiting_packets,
            "pfgov_queued_commands": status.queued,
            "pfgov_engine_reloads": status.reloads,
            "pfgov_halted": int(status.halted is not None),
            "pfgov_clock_ahead_seconds": status.clock_ahead // 1_000_000,
        }
    standing = service.standing()
    if standing is not None:
        leads = service.standing_by() is None
        gauges |= {
            "pfgov_leads": int(leads),
            "pfgov_term": standing.term,
            "pfgov_lag_entries": 0 if leads else max(standing.size - service.last_followed, 0),
            "pfgov_durability_risks": len(service.risks),
        }
    if service.witnesses is not None:
        gauges |= service.witnesses.gauges(service.engine.clock.now())
    gauges |= service.root_gauges()
    counters = {
        "pfgov_ticks_total": service.ticks,
        "pfgov_tick_failures_total": service.tick_failures,
    }
    if service.named is not None:
        gauges |= service.named.gauges()
        counters |= service.named.counters()
    quota = service.quotas
    text = service.metrics.text(
        {name: float(value) for name, value in gauges.items()},
        {one.what: one.refused for one in quota},
        counters,
    )
    media_type = "text/plain; version=0.0.4; charset=utf-8"
    return Answer(raw=text, media_type=media_type, headers={"Cache-Control": "no-store"})


async def _problem(call: Call) -> Answer:
    found = problem_page(call.path["code"])
    if found is None:
        raise NotFoundError(
            f"there is no problem {call.path['code'][:64]!r}", code="http.not_found"
        )
    return _page(found)


def _page(html: bytes) -> Answer:
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return Answer(raw=html, media_type="text/html; charset=utf-8", headers=headers)


def operations(document: Callable[[], dict[str, Any]]) -> tuple[Operation, ...]:
    """Return them; two of them show the OpenAPI *document* of all operations, these included."""
    reference = cache(lambda: page(document()))

    async def openapi(call: Call) -> Answer:
        found = document()
        return Answer({**found, "servers": [{"url": f"{call.mount}/"}]} if call.mount else found)

    async def docs(_: Call) -> Answer:
        return _page(reference())

    return (
        Operation("live", "GET", "/api/health/live", ANYONE, "The process answers.", _live, "Live",
                  is_static=True),
        Operation("ready", "GET", "/api/health/ready", ANYONE, "The ledger can be written; else why not.", _ready,
                  "Ready", raises=(503,)),
        Operation("status", "GET", "/api/status", READERS, "What the server holds.", _status, "Status"),
        Operation("witnesses", "GET", "/api/ledger/witnesses", READERS,
                  "How far a quorum of witnesses vouches for the ledger, and how each stands.", _witnesses, "Witnesses",
                  tag="ledger"),
        Operation("webhooks", "GET", "/api/webhooks", AUDITORS,
                  "Who is told of what is committed: how far, in which try, and what was given up.", _webhooks, "Webhooks",
                  tag="ledger"),
        Operation("metrics", "GET", "/metrics", AUDITORS, "Counters for Prometheus.", _metrics, "Text",
                  media_type="text/plain"),
        Operation("openapi", "GET", "/api/openapi.json", ANYONE, "This API as OpenAPI 3.1.", openapi, "OpenApi",
                  is_static=True),
        Operation("docs", "GET", "/api/docs", ANYONE, "This API as a page; it needs no network.", docs, "Text",
                  media_type="text/html", is_static=True),
        Operation("problem", "GET", "/api/problems/{code}", ANYONE, "What a problem's code means.", _problem, "Text",
                  raises=(404,), media_type="text/html", is_static=True),
    )  # fmt: skip
