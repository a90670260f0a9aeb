"""On simulated histories, with every fault that they have, a set has no impact on what it decided itself."""

from pathlib import Path

from pfgov.engine import LedgerReader
from pfgov.engine.reading import Span, impact_of_store
from pfgov.policy import from_document
from pfgov.sim.simulation import run_plan
from pfgov.sim.steps import draw_plan
from pfgov.storage import open_store

HISTORIES = 3
"""``tests/bench/impact.py --histories N`` asks more of them."""


def self_impact(directory: Path) -> int:
    """Return how many decisions of the binding set were asked; fail where one comes out otherwise."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        state = reader.state()
        if state.policy is None:
            return 0
        policies = from_document(reader.policy_document(state.policy))
        found = impact_of_store(queries, policies, Span(since=state.policy_since))
    assert found.counts.same == found.counts.decisions, found.flips[:3]
    assert found.now == type(found.now)()
    return found.counts.decisions


def test_a_set_has_no_impact_on_its_own_history(template: Path, workspace: Path) -> None:
    """Some state that a decision read is another one when it is asked again."""
    asked = 0
    for seed in range(HISTORIES):
        run_plan(draw_plan(seed), template, workspace)
        asked += self_impact(workspace / f"seed-{seed}")
    assert asked > 0
