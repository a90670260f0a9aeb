"""Make a failing history small: leave steps out for as long as it still fails.

Any sublist of a history is a history, so this is delta debugging on a list (Zeller and Hildebrandt, "Simplifying and
isolating failure-inducing input", 2002): drop halves, then quarters, then single steps.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pfgov.sim.history import ViolationError
from pfgov.sim.simulation import run_plan
from pfgov.sim.steps import Plan, Step

RUNS_MAX: Final = 400
"""Histories run to shrink one."""


def shrink(plan: Plan, template: Path, workspace: Path, *, runs_max: int = RUNS_MAX) -> Plan:
    """Return a plan with fewer steps that still breaks a promise; *plan* itself if nothing can be left out."""

    def fails(steps: tuple[Step, ...]) -> bool:
        try:
            run_plan(replace(plan, steps=steps), template, workspace)
        except ViolationError:
            return True
        return False

    return replace(plan, steps=minimal(plan.steps, fails, runs_max=runs_max))


def minimal(
    steps: tuple[Step, ...], fails: Callable[[tuple[Step, ...]], bool], *, runs_max: int = RUNS_MAX
) -> tuple[Step, ...]:
    """Return a sublist of *steps* that still *fails*; no single step of it can be left out, budget permitting."""
    size, runs = max(len(steps) // 2, 1), 0
    while steps and runs < runs_max:
        start, shrunk = 0, False
        while start < len(steps) and runs < runs_max:
            rest = steps[:start] + steps[start + size :]
            runs += 1
            if rest and fails(rest):
                steps, shrunk = rest, True
            else:
                start += size
        if size == 1 and not shrunk:
            break
        size = max(size // 2, 1)
    return steps
