"""Whether one condition says all that another one says: proved once, and remembered only for what says the same."""

import itertools
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import Point
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.cel import implied, ir
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


def test_a_prover_that_took_so_many_steps_proves_nothing_more(
    roots: list[ir.Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand rules of three parts each take whoever checks them a quarter of a minute."""
    monkeypatch.setattr(implied, "STEPS_MAX", 20)
    prover, taken = Prover(), 0
    really = Prover._proved

    def counted(self: Prover, one: ir.Node, other: ir.Node) -> bool:
        nonlocal taken
        taken += 1
        return really(self, one, other)

    monkeypatch.setattr(Prover, "_proved", counted)
    pairs = itertools.product(range(len(roots)), repeat=2)
    said = {(a, b) for a, b in pairs if a != b and prover.implies(roots[a], roots[b])}
    assert prover.is_spent
    assert 0 < taken <= 20
    assert said < IMPLIED
    assert all(prover.implies(root, root) for root in roots)


def test_rules_are_compared_as_long_as_the_prover_has_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule of a large set is still compared with each other when nothing is proved any more."""
    rules = "".join(
        f"  - {{id: r{at:02}, deny: \"member.id == 'a{at}' && member.region == 'b{at}'\"}}\n"
        for at in range(40)
    )
    (tmp_path / "p.policy.yaml").write_text(
        kit.policy(f"{rules}  - {{id: r99, deny: \"member.id == 'a0'\"}}\n")
    )
    asked = 0
    really = Prover.implies

    def counted(self: Prover, one: ir.Node, other: ir.Node) -> bool:
        nonlocal asked
        asked += 1
        return really(self, one, other)

    monkeypatch.setattr(Prover, "implies", counted)
    said = [one.message for one in check_directory(tmp_path).problems]
    assert "the rule `r00` says nothing that `r99` does not say" in said
    needed, asked = asked, 0
    monkeypatch.setattr(implied, "STEPS_MAX", 100)
    check_directory(tmp_path)
    assert asked < needed / 4
