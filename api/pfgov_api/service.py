"""What the server has besides the ledger that it hosts: who may come in, how many at once, and what was counted.

Counters for Prometheus are kept by hand: a few of them and one histogram need no client library, and a scrape must not
walk the ledger.  Labels are operations and status classes only, so that nobody's ids become time series.
"""

import asyncio
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pfgov.app.analytics import Analytics
from pfgov.app.hosting import INDEX_SECONDS, PATIENCE_SECONDS, TICK_SECONDS, Engine, Host
from pfgov.app.in_turn import HeldPlaces
from pfgov.app.root.keeping import Root
from pfgov.app.tenancy import Keeper
from pfgov.app.tenancy.making import Made
from pfgov.app.turns import Standing
from pfgov.app.webhook import Delivery
from pfgov.app.witnesses import Witnesses
from pfgov.errors import BusyError, PfgovError
from pfgov.model import NewLedger
from pfgov_api.access import Access, Quota
from pfgov_api.forwarding import Forwarder
from pfgov_api.grants import Grant
from pfgov_api.hosts import Domain
from pfgov_api.keyring import KeyRing
from pfgov_api.limits import (
    EXPORTS_PER_PRINCIPAL_MAX,
    IN_FLIGHT_MAX,
    LARGE_PER_PRINCIPAL_MAX,
    REQUESTS_PER_PRINCIPAL_MAX,
    STREAMS_PER_PRINCIPAL_MAX,
)
from pfgov_api.oidc.tokens import Tokens
from pfgov_api.simulations import Simulations
from pfgov_api.trials import Trials

log = logging.getLogger("pfgov.api")

ALWAYS_ADMITTED: Final = frozenset({"live", "ready", "metrics"})


LEAD_SECONDS: Final = 0.25
"""How often a server looks whether it leads still."""

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the latency histogram, in seconds."""


@dataclass(slots=True)
class Metrics:
    """What one process counts."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    latency: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests[operation, status] += 1
        buckets = self.latency.setdefault(operation, [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds[operation] = self.seconds.get(operation, 0.0) + seconds

    def text(
        self, gauges: dict[str, float], over_share: dict[str, int], counters: dict[str, int]
    ) -> bytes:
        """Return everything in the text format; what is given is read by the caller at this moment."""
        lines = [
            "# HELP pfgov_requests_total Requests answered.",
            "# TYPE pfgov_requests_total counter",
        ]
        lines += [
            f'pfgov_requests_total{{operation="{name}",status="{status}"}} {count}'
            for (name, status), count in sorted(self.requests.items())
        ]
        lines += [
            "# HELP pfgov_request_seconds Time to answer.",
            "# TYPE pfgov_request_seconds histogram",
        ]
        for name, buckets in sorted(self.latency.items()):
            running = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
                running += count
                lines.append(
                    f'pfgov_request_seconds_bucket{{operation="{name}",le="{bound}"}} {running}'
                )
            lines.append(
                f'pfgov_request_seconds_sum{{operation="{name}"}} {self.seconds[name]:.6f}'
            )
            lines.append(f'pfgov_request_seconds_count{{operation="{name}"}} {running}')
        lines += [
            "# HELP pfgov_over_share_total Refused because the principal had its share in use.",
            "# TYPE pfgov_over_share_total counter",
        ]
        lines += [
            f'pfgov_over_share_total{{of="{of}"}} {count}' for of, count in over_share.items()
        ]
        for name, value in counters.items():
            lines += [f"# TYPE {name} counter", f"{name} {value}"]
        for name, level in sorted(gauges.items()):
            lines += [f"# TYPE {name} gauge", f"{name} {level:g}"]
        return ("\n".join(lines) + "\n").encode()


class Others(Protocol):
    """The ledgers beside the default one, as its service needs them."""

    @property
    def keeper(self) -> Keeper:
        """What opens and closes them."""
        ...

    @property
    def domain(self) -> Domain | None:
        """Where each of them has a host of its own."""
        ...

    async def make(self, wanted: NewLedger, by: Grant) -> tuple[Made, bool]:
        """Make one more; return how it was made, and whether the same request had made it."""
        ...

    def gauges(self) -> dict[str, int]:
        """Return how they stand."""
        ...

    def counters(self) -> dict[str, int]:
        """Return what was done with them."""
        ...

    def greeting(self, url: str) -> str:
        """Return what is said of them when the server starts."""
        ...


class Service(Host):
    """A hosted ledger behind HTTP, for one process."""

    def __init__(  # noqa: PLR0913 - what a server may be given
        self,
        engine: Engine,
        keyring: KeyRing,
        *,
        tick_seconds: float = TICK_SECONDS,
        index_seconds: float = INDEX_SECONDS,
        in_flight_max: int = IN_FLIGHT_MAX,
        tokens: Tokens | None = None,
        public_url: str | None = None,
        witnesses: Witnesses | None = None,
        webhooks: Delivery | None = None,
        root: Root | None = None,
        access: Access | None = None,
        beside: "Service | None" = None,
    ) -> None:
        super().__init__(engine, tick_seconds=tick_seconds, index_seconds=index_seconds)
        self.public_url: str | None = public_url if beside is None else beside.public_url
        self.access = access or Access(keyring, tokens)
        self.requests = Quota("requests", REQUESTS_PER_PRINCIPAL_MAX)
        self.large = HeldPlaces(LARGE_PER_PRINCIPAL_MAX)
        self.streams = Quota("streams", STREAMS_PER_PRINCIPAL_MAX)
        self.exports = Quota("exports", EXPORTS_PER_PRINCIPAL_MAX)
        # Processes of their own: so many for the whole server, however many ledgers it has.
        self.trials: Trials = Trials() if beside is None else beside.trials
        self.simulations: Simulations = Simulations() if beside is None else beside.simulations
        self.proving: asyncio.Lock = asyncio.Lock() if beside is None else beside.proving
        """Held while the log's key signs for whoever asks: in one thread of the whole server."""
        self._default = beside
        self.named: Others | None = None
        """The ledgers beside this one, where it is the default one of several."""
        self.analytics = Analytics()
        self.metrics = Metrics()
        self.in_flight = 0
        self._in_flight_max = in_flight_max
        self.witnesses = witnesses
        self.webhooks = webhooks
        self.root: Root | None = root if beside is None else beside.root
        """What stands over the ledgers of this server, if it keeps a root."""
        self.forwarder: Forwarder | None = None
        self.leave: Callable[[], None] | None = None
        """Stops answering, so that this process can take another part; set by who runs the service."""
        self.hands_over = False
        self._watch: asyncio.Task[None] | None = None
        self.risks: Sequence[str] = ()
        """What a loss of the place of the ledger would cost, in sentences."""

    async def start(self) -> None:
        """Begin to tick, and to keep the keys of an issuer fresh, and the ledgers beside this one."""
        if self.named is not None:
            await self.named.keeper.start()
        await super().start()
        if self.engine.store.can_be_led:
            await self._weigh()
            self._watch = asyncio.create_task(self._watch_lead())
        await self.access.start()
        if self.witnesses is not None:
            self.witnesses.start()
        if self.webhooks is not None:
            self.webhooks.start()
        if self.root is not None and not self._is_beside:
            self.root.start()

    @property
    def _is_beside(self) -> bool:
        """Whether this is one ledger of many, and what the server has but once is the default one's."""
        return self._default is not None

    async def _weigh(self) -> None:
        """Learn what a loss would cost, and say it once: not again what the default ledger's service said."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                self.risks = await self._at_once(self.engine.store.risks)
        except TimeoutError:  # nobody is answered before this is over
            self.risks = ("it is not known what the database promises: it does not answer",)
        except PfgovError as error:
            self.risks = (f"it is not known what the database promises: {error.message}",)
        said = () if self._default is None else self._default.risks
        for risk in self.risks:
            if risk not in said:
                log.warning("durability: %s", risk)

    async def stop(self) -> None:
        """End streams and ticks; what was accepted is answered."""
        if self._watch is not None:
            self._watch.cancel()
        if self.named is not None:
            await self.named.keeper.stop()
        await self.access.stop()
        if not self._is_beside:
            self.trials.kill()
            self.simulations.kill()
        if self.witnesses is not None:
            self.witnesses.stop()
        if self.webhooks is not None:
            await asyncio.to_thread(self.webhooks.stop)
        if self.root is not None and not self._is_beside:
            await asyncio.to_thread(self.root.stop)
        await super().stop()

    async def tick(self, *, lag: float = 0.0, index: bool = False) -> None:
        """Let what is due happen, and say what witnesses alarm about; the arguments are the host's."""
        await super().tick(lag=lag, index=index)
        if self.witnesses is not None:
            self.witnesses.log_alarms()

    async def _watch_lead(self) -> None:
        """Hand over when the lead is lost; apart from the tick, which may have to wait for the engine."""
        while True:
            await asyncio.sleep(LEAD_SECONDS)
            if self.engine.lock.is_lost:
                log.warning("another leads, or is to lead, the ledger: this server stands by")
                self.hand_over()
                return

    def hand_over(self) -> None:
        """Stop answering, so that this process can lead, or stand by, instead."""
        if not self.hands_over and self.leave is not None:
            self.hands_over = True
            self.leave()

    def root_gauges(self) -> dict[str, int]:
        """Return how the root stands, in the default ledger's metrics alone."""
        return {} if self.root is None or self._is_beside else self.root.gauges()

    @property
    def last_followed(self) -> int:
        """Entries that can be read here, at least; a standby's, for whoever leads has them all."""
        return 0

    def standing_by(self) -> PfgovError | None:
        """Return why nothing can be written here, if another server is to be asked; None where this one leads."""
        return None

    def node(self) -> dict[str, Any] | None:
        """Return who leads, and what this server is to the ledger; None where servers cannot lead it by turns."""
        standing = self.standing()
        if standing is None:
            return None
        leads = self.standing_by() is None
        return {
            "role": "leader" if leads else "standby",
            "term": standing.term,
            "leader": standing.leader,
            "position": standing.size if leads else self.last_followed,
            "lag": 0 if leads else max(standing.size - self.last_followed, 0),
            "draining": standing.is_draining,
            "risks": list(self.risks),
        }

    def standing(self) -> Standing | None:
        """Return how the ledger stood a moment ago; None where servers cannot lead it by turns."""
        return self.engine.lock.standing

    @property
    def quotas(self) -> tuple[Quota, ...]:
        """What is counted for each principal; what all ledgers of a server have in common, by the default one alone."""
        own = (self.requests, self.streams, self.exports)
        return own if self._is_beside else (*own, self.trials.quota)

    def may_still(self, principal_id: str, right: str) -> bool:
        """Whether a principal that was let in once has *right* now, as far as that can be told."""
        return self.access.may_still(principal_id, right)

    def admit(self, operation: str) -> bool:
        """Count a request in, and return whether it counts: :meth:`dismiss` counts it out.

        Probes do not: anybody may ask them, and what they wait for is in nobody's way.

        Raises:
            BusyError: too many are being answered.
        """
        if operation in ALWAYS_ADMITTED:
            return False
        if self.in_flight >= self._in_flight_max:
            raise BusyError(
                f"{self.in_flight} requests are being answered", hint="try again in a moment"
            )
        self.in_flight += 1
        return True

    def dismiss(self, share: str | None, *, counted: bool) -> None:
        """Count an admitted request out, and out of the *share* of its principal."""
        self.in_flight -= counted
        if self.large.held:
            self.large.leave()
        if share is not None:
            self.requests.give(share)
