"""What means something else in another engine is named where a policy uses it, and the page says the truth about it."""

import math
from pathlib import Path

import pytest
from support.policy_kit import policy, write

from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.cel import Environment, check, exact, parse

RULE = """
    - id: one
      require: {text}
"""
DIFFERS = (
    "int(now - now) < 5",
    "double(member.region) > 1.0",
    'string(member.trust_score) == "1"',
    "math.greatest(member.trust_score, 0.5) > 0.4",
    "math.least(1, member.trust_score) > 0.4",
)


def _codes(folder: Path, text: str) -> list[tuple[str, int]]:
    quoted = text.replace("'", "''")
    write(folder, {"a.policy.yaml": policy(RULE.format(text=f"'{quoted}'"))})
    return [(p.code, p.line) for p in check_directory(folder).problems]


@pytest.mark.parametrize("text", DIFFERS)
def test_what_cel_go_reads_otherwise_is_named(tmp_path: Path, text: str) -> None:
    """A policy that was written for cel-go means something else here, and nobody is told."""
    assert [code for code, _ in _codes(tmp_path, text)] == ["policy.not_portable"]


def test_what_all_read_alike_is_not(tmp_path: Path) -> None:
    """A conversion that means the same everywhere is warned of."""
    for text in ("int(member.trust_score) == 0", 'string(member.load.active) == "1"'):
        assert _codes(tmp_path, text) == []


def test_the_differences_are_what_the_page_says() -> None:
    """The page describes what the evaluator does not do."""

    def value(text: str) -> object:
        return exact(check(parse(text), Environment({}), None))({})

    def holds(text: str) -> object:
        environment = Environment({}, constant_conditions=True)
        return exact(check(parse(text), environment))({})

    assert holds('int(duration("1h")) == 3600') is True
    assert holds('double("1e400") == double("inf")') is True
    assert holds('string(1000000.0) == "1000000"') is True
    assert holds('math.greatest(1, double("NaN")) == 1') is True
    assert holds('math.least(1, double("NaN")) == 1') is True
    assert math.inf > 0
    assert value("true") is True
