"""Whether one condition says all that another one says: proved once, and remembered only for what says the same."""

import itertools

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import Point
from pfgov.policy.cel import ir
from pfgov.policy.cel.implied import Prover

CONDITIONS = (
    "member.trust_score > 0.9",
    "member.trust_score >= 0.9",
    "member.trust_score > 0.5",
    "member.trust_score > 0.5 && member.region == 'eu'",
    "member.region == 'eu' && member.trust_score > 0.5",
    "member.trust_score > 0.95 || member.trust_score > 0.6",
    "member.region in ['eu', 'us']",
    "member.region == 'eu'",
    "packet.data_classes.exists(c, c == 'pii')",
    "packet.data_classes.exists(d, d == 'finance')",
    "packet.priority > 1",
    "packet.priority > 1.0",
)
IMPLIED = {
    (0, 1), (0, 2), (1, 2), (3, 2), (4, 2), (3, 4), (4, 3), (5, 2), (0, 5), (1, 5), (3, 6), (4, 6), (7, 6), (3, 7),
    (4, 7), (10, 11), (11, 10),
}  # fmt: skip


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[ir.Node]:
    """Compile each condition as a rule of its own."""
    rules = "".join(
        f'  - {{id: r{at:02}, require: "{text}"}}\n' for at, text in enumerate(CONDITIONS)
    )
    policies = kit.load(tmp_path_factory.mktemp("set"), kit.policy(rules))
    found = {
        one.rule.id: one.condition.root
        for one in policies.judges[Point.ASSIGN].rules
        if one.policy == "placement" and one.condition is not None
    }
    return [found[name] for name in sorted(found)]


def test_a_prover_remembers_nothing_that_is_not_so(roots: list[ir.Node]) -> None:
    """An answer depends on what was asked before it."""
    pairs = list(itertools.product(range(len(roots)), repeat=2))
    shared, backwards = Prover(), Prover()
    said = {(a, b): shared.implies(roots[a], roots[b]) for a, b in pairs}
    again = {(a, b): backwards.implies(roots[a], roots[b]) for a, b in reversed(pairs)}
    fresh = {(a, b): Prover().implies(roots[a], roots[b]) for a, b in pairs}
    assert said == again == fresh
    assert {pair for pair, is_so in said.items() if is_so and pair[0] != pair[1]} == IMPLIED
    assert all(said[at, at] for at in range(len(roots)))
