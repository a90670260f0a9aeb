"""A run that is watched, as the page of the simulator does: it comes to what ``pfgov sim run`` says."""

import dataclasses

import pytest

from pfgov.sim.scenarios import SCENARIOS
from pfgov.sim.watching import FRAMES, SHOWN, WATCHED, Frame, watch
from pfgov.sim.workload import run_scenario

PATTERNS = ("consistent-hashing", "k8s-scheduling", "agentic-registry")
"""The three of the specification; the others are left to the long run."""

MINUTES = 1
"""As long as each runs here: what is looked at does not depend on how long."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=() if one in PATTERNS else pytest.mark.long) for one in WATCHED],
)
def test_a_run_that_is_watched_has_the_numbers_of_one_that_is_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at a run of some scenario changes what it comes to, or its last frame shows other numbers."""
    short = dataclasses.replace(SCENARIOS[name], minutes=MINUTES)
    monkeypatch.setitem(SCENARIOS, name, short)
    frames: list[Frame] = []
    found = watch(name, 5, frames.append)
    wanted = run_scenario(short, 5)
    assert (found.metrics, found.entries) == (wanted.metrics, wanted.entries)
    assert found.scheduler == wanted.scheduler
    last = frames[-1]
    assert last.second == last.seconds
    assert set(last.metrics) == set(SHOWN)
    assert 2 < len(frames) <= FRAMES + 1
