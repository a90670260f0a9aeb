"""Numbers about a ledger over its time, and runs of the simulator."""

from collections.abc import AsyncIterator

from pfgov.errors import InvalidError
from pfgov.sim.watching import WATCHED
from pfgov_api.operations import READERS, Answer, Call, Operation
from pfgov_api.simulations import Simulation


async def _analytics(call: Call) -> Answer:
    service = call.service
    return Answer(await call.reading(lambda: service.analytics.read(service.reader)))


async def _simulate(call: Call) -> Answer:
    asked: Simulation = call.body
    if asked.scenario not in WATCHED:
        raise InvalidError(
            f"there is no scenario {asked.scenario[:64]!r} that can be watched",
            hint=f"there are: {', '.join(WATCHED)}",
            pointer="/scenario",
        )
    share = call.grant.share
    call.service.simulations.check(share)
    return Answer(
        stream=_held(call, asked, share),
        media_type="application/jsonl",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _held(call: Call, asked: Simulation, share: str | None) -> AsyncIterator[bytes]:
    """Yield a run for as long as the grant of whoever asked for it holds, and the server runs."""
    async for line in call.service.simulations.lines(asked, share):
        if call.service.stopping.is_set() or not call.grant.holds():
            return
        yield line


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "show_analytics", "GET", "/api/analytics", READERS,
        "The metrics of `pfgov sim metrics` over the ledger's time, computed from its entries.", _analytics, "Analytics",
        tag="ledger",
    ),
    Operation(
        "simulate", "POST", "/api/simulations", READERS,
        "Run a scenario of the simulator and stream it, a JSON object a line: frames, then the metrics of `pfgov sim run`.",
        _simulate, "Stream", body=Simulation, tag="operations", media_type="application/jsonl",
    ),
)  # fmt: skip
