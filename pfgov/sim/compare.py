"""Schedulers side by side: the same seeds for each, means with confidence intervals, and paired differences.

Each seed gives every scheduler the same arrivals and the same random source, so that a difference is judged seed by
seed (Student's t on the paired differences) and not between two clouds of numbers.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

from pfgov.sim.scenarios import Scenario
from pfgov.sim.workload import Outcome, run_scenario

T_95: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom; 1.96 beyond."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the half-width of its 95 % confidence interval."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.half_width:.3f}"


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of *values* with its interval; of one value the interval is unknown (infinite)."""
    if len(values) < 2:
        return Estimate(values[0] if values else 0.0, math.inf)
    freedom = len(values) - 1
    quantile = T_95[freedom - 1] if freedom <= len(T_95) else 1.96
    return Estimate(fmean(values), quantile * stdev(values) / math.sqrt(len(values)))


@dataclass(frozen=True, slots=True)
class Comparison:
    """All runs, by scheduler."""

    scenario: str
    seeds: int
    runs: dict[str, list[Outcome]]

    def table(self, metrics: Sequence[str]) -> dict[str, dict[str, Estimate | None]]:
        """Return scheduler -> metric -> estimate over the runs that have a value; None where none has."""
        return {
            scheduler: {name: _over([run.metrics[name] for run in runs]) for name in metrics}
            for scheduler, runs in self.runs.items()
        }

    def differences(self, metric: str, against: str) -> dict[str, Estimate]:
        """Return scheduler -> the paired difference of *metric* to the scheduler *against*."""
        base = [run.metrics[metric] for run in self.runs[against]]
        found: dict[str, Estimate] = {}
        for scheduler, runs in self.runs.items():
            ours = [run.metrics[metric] for run in runs]
            pairs = [
                one - other
                for one, other in zip(ours, base, strict=True)
                if one is not None and other is not None
            ]
            if scheduler != against:
                found[scheduler] = estimate(pairs)
        return found


def _over(values: Sequence[float | None]) -> Estimate | None:
    known = [value for value in values if value is not None]
    return estimate(known) if known else None


def compare(
    scenario: Scenario,
    schedulers: Sequence[str],
    seeds: int,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Run *scenario* for each scheduler under the seeds 1 to *seeds*."""
    runs: dict[str, list[Outcome]] = {name: [] for name in schedulers}
    done = 0
    for seed in range(1, seeds + 1):
        for name in schedulers:
            runs[name].append(run_scenario(scenario, seed, scheduler=name))
            done += 1
            if progress is not None:
                progress(done, seeds * len(schedulers))
    return Comparison(scenario.name, seeds, runs)
