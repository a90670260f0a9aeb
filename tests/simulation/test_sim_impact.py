"""On simulated histories, with every fault that they have: a set has no impact on what it decided itself, and another
one has the impact that is found the long way.
"""

from pathlib import Path

import pytest
from support import policy_kit as kit
from support.asking_plainly import plain_impact

from pfgov.engine import LedgerReader
from pfgov.engine.reading import Span, impact_of_store
from pfgov.engine.reading.impact import encode
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


OTHERS = {
    "a floor": "  - {id: floor, require: member.trust_score >= 0.8}",
    "what is followed": """
  - {id: count, require: packet.handoff_count < 1}
  - {id: before, deny: 'member.id in packet.previous_owners && packet.epoch > 1'}
  - {id: step, deny: 'has(packet.step) && packet.step != ""'}
  - {id: who, deny: 'has(packet.submitted_by) && packet.submitted_by.id == "local"'}
  - {id: asker, when: '"engine" in principal.rights', require: member.reliability >= 0.5}
""",
    "what cannot be remembered": """
  - {id: busy, require: member.load.active < 2}
  - {id: again, on: [place], when: 'packet.reviews.size() == 0 && packet.priority > 3', escalate: {to: reviewer}}
""",
    "obligations": """
  - {id: hidden, require: 'member.id != ""', obligations: [{type: redact, paths: [/secret]}]}
""",
    "nobody": "  - {id: none, require: member.trust_score > 0.9999}",
}

JOINING = kit.policy('  - {id: joins, require: member.id < "z"}\n', on="[register]", name="joining")


@pytest.mark.parametrize("name", OTHERS)
def test_another_set_has_the_impact_that_is_found_the_long_way(
    name: str, template: Path, workspace: Path, tmp_path: Path
) -> None:
    """What is remembered between two questions, or compared without its table, makes another report."""
    policies = kit.load(tmp_path / "set", kit.policy(OTHERS[name], on="[place, retain]"), JOINING)
    flips = 0
    for seed in range(HISTORIES):
        folder = workspace / f"seed-{seed}"
        if not folder.exists():
            run_plan(draw_plan(seed), template, workspace)
        with LedgerReader(open_store(folder)) as reader, reader.snapshot() as queries:
            found = impact_of_store(queries, policies, Span())
            assert encode(found) == encode(plain_impact(queries, policies, Span()))
        flips += found.counts.flips
    assert flips > 0
