"""Traces: every sub-expression with its value, comparisons with both sides."""

from typing import Any

import pytest
from unit.cel.cel_kit import ENVIRONMENT, MEMBER, PACKET

from pfgov.policy.cel import (
    DYN,
    Comparison,
    Environment,
    Failure,
    Trace,
    check,
    closures,
    parse,
    trace,
)  # fmt: skip
from pfgov.policy.cel.trace import NODES_MAX


def traced(source: str, environment: Environment = ENVIRONMENT, **facts: Any) -> Trace:
    """The trace of *source* on *facts*."""
    return trace(check(parse(source), environment, cost_limit=None), facts)


def test_a_comparison_shows_observed_and_bound() -> None:
    """A failed comparison tells both values and the paths they came from."""
    root = traced("member.trust_score >= params.floor", member={"trust_score": 0.5})
    assert root.value is False
    assert root.comparison == Comparison(
        ">=", 0.5, 0.6, "member.trust_score", "params.floor", "member.trust_score", "params.floor"
    )
    assert [child.text for child in root.children] == ["member.trust_score", "params.floor"]


def test_membership_and_equality_are_comparisons_too() -> None:
    """`in` and `==` show their sides as well; a computed side has no path."""
    root = traced("member.region in ['a', 'b']", member={"region": "eu"})
    assert root.comparison is not None
    assert (root.comparison.left, root.comparison.right) == ("eu", ["a", "b"])
    assert root.comparison.right_path is None
    root = traced("size(member.clearances) == 2", member={"clearances": ["a"]})
    assert root.comparison is not None
    assert (root.comparison.left, root.comparison.left_path) == (1, None)


def test_what_was_not_evaluated_does_not_appear() -> None:
    """Behind a deciding operand nothing is shown, because nothing was computed."""
    root = traced("member.draining && member.region == 'x'", member={"draining": False})
    assert [node.text for node in root.walk()] == [
        "member.draining && member.region == 'x'", "member.draining",
    ]  # fmt: skip


def test_a_failure_is_shown_where_it_arose() -> None:
    """The failing sub-expression carries the failure, and so does everything above it."""
    root = traced("member.region == 'eu' || member.draining", member={"draining": False})
    assert isinstance(root.value, Failure)
    first = root.children[0]
    assert first.text == "member.region == 'eu'"
    assert isinstance(first.value, Failure)
    assert first.comparison is None
    assert first.children[0].value == first.value


def test_loops_show_each_step() -> None:
    """A macro's body appears once an item."""
    root = traced(
        "packet.data_classes.all(c, c in member.clearances)",
        packet={"data_classes": ["a", "b"]}, member={"clearances": ["a"]},
    )  # fmt: skip
    steps = [node for node in root.walk() if node.text == "c in member.clearances"]
    assert [step.value for step in steps] == [True, False]


def test_a_long_loop_is_cut() -> None:
    """A trace is bounded, whatever the facts."""
    root = traced(
        "packet.data_classes.all(c, c != 'x' && c != 'y')",
        packet={"data_classes": ["a"] * 3_000},
    )
    assert root.value is True
    assert len(root.walk()) <= NODES_MAX + 1


def test_a_named_expression_shows_its_own_text() -> None:
    """The trace goes through a name into the expression behind it."""
    pii = check(parse("packet.data_classes.exists(c, c == 'pii')"), ENVIRONMENT)
    environment = Environment({"member": MEMBER, "packet": PACKET}, named={"variables.pii": pii})
    root = traced("!variables.pii", environment, packet={"data_classes": ["pii"]})
    texts = [node.text for node in root.walk()]
    assert texts[:3] == ["!variables.pii", "variables.pii", pii.source]


def test_running_out_of_work_is_shown_at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace of an evaluation that is stopped still has a root, with the failure."""
    monkeypatch.setattr(closures, "WORK_UNITS", 20_000)
    environment = Environment({"x": DYN})
    root = traced("x.all(a, x.all(b, a + b >= 0))", environment, x=list(range(200)))
    assert isinstance(root.value, Failure)
    assert root.value.kind == "cost"
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    root = traced("x == [x]", environment, x=deep)
    assert isinstance(root.value, Failure)
