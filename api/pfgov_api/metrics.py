"""Counters for Prometheus, in its text format (version 0.0.4).

Kept by hand: a few counters and one histogram need no client library, and a scrape must not walk the ledger.  Labels
are operations and status classes only, so that nobody's ids become time series.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the latency histogram, in seconds."""


@dataclass(slots=True)
class Metrics:
    """What one process counts."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    latency: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    ticks: int = 0
    tick_failures: int = 0

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests[operation, status] += 1
        buckets = self.latency.setdefault(operation, [0] * (len(BUCKETS) + 1))
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self.seconds[operation] = self.seconds.get(operation, 0.0) + seconds

    def text(self, gauges: dict[str, float], over_share: dict[str, int]) -> bytes:
        """Return everything in the text format; *gauges* and *over_share* are read by the caller at this moment."""
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
        counters = {
            "pfgov_ticks_total": self.ticks,
            "pfgov_tick_failures_total": self.tick_failures,
        }
        for name, value in counters.items():
            lines += [f"# TYPE {name} counter", f"{name} {value}"]
        for name, level in sorted(gauges.items()):
            lines += [f"# TYPE {name} gauge", f"{name} {level:g}"]
        return ("\n".join(lines) + "\n").encode()
