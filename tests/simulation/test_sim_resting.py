"""A ledger that is closed until something is due misses nothing, in every history."""

from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Final

import pytest
from support.searching import examples

from pfgov.core import commands as c
from pfgov.core.decide import due, next_due
from pfgov.engine.sequencing import Sequencer
from pfgov.sim.simulation import Simulation, run_plan
from pfgov.sim.steps import Step, draw_plan

SLICE: Final = examples(60)
FAR: Final = 3_600_000_000
"""How far ahead is looked where nothing is due, in microseconds."""


def _due(sequencer: Sequencer, now: int) -> list[c.Action]:
    """Return what is due at *now*, touching nothing."""
    decider = sequencer.decider
    memory, leases = deepcopy(decider.memory), dict(sequencer.leases.view())
    return due(decider.state, memory, leases, now, is_timed=decider.is_timed)


def _look(sequencer: Sequencer) -> str:
    """Look between now and the moment that is named, and at it; say what was found."""
    now = sequencer.now()
    if sequencer.state.halt is not None or sequencer.halted or _due(sequencer, now):
        return "not at rest"
    decider, leases = sequencer.decider, sequencer.leases.view()
    moment = next_due(decider.state, decider.memory, leases, now, is_timed=decider.is_timed)
    if moment == now:
        return "cannot be told"
    until = now + FAR if moment is None else moment
    for part in range(1, 8):
        at = now + (until - now) * part // 8
        assert not _due(sequencer, at), f"due {until - at} us sooner than was said"
    assert not _due(sequencer, until - 1)
    if moment is None:
        return "never"
    return "due" if _due(sequencer, moment) else "too early"


def _looked(template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Run histories, and look at each of their steps."""
    found: Counter[str] = Counter()
    step = Simulation.step

    def looking(simulation: Simulation, one: Step) -> None:
        step(simulation, one)
        if simulation.fault is None:
            found[simulation.engine.exclusively(_look)] += 1

    monkeypatch.setattr(Simulation, "step", looking)
    for seed in range(SLICE):
        run_plan(draw_plan(seed), template, workspace)
    return found


def test_sim_nothing_is_due_before_a_ledger_is_looked_at(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that rests would be opened too late: a deadline, a lease or a retry passed while nobody looked."""
    found = _looked(template, workspace, monkeypatch)
    print(dict(found))
    assert found["due"] > 10
    assert found["too early"] <= found["due"]
