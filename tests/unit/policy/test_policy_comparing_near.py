"""What a diff looks near: sizes, moments and patterns that rules ask about, not only what they compare facts with."""

import re
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy.authoring.comparing.comparison import compare
from pfgov.policy.authoring.comparing.near import texts
from pfgov.policy.cel import Environment, StringType, check, ir, parse

RULES = {
    "another pattern": ("deny", 'packet.workload_type.matches("^secret-[0-9]{4}$")', "{4}", "{5}"),
    "fewer characters": ("deny", 'packet.workload_type.matches("^secret-[0-9]{4}$")', "0-9", "1-9"),
    "alternatives": ("deny", 'packet.workload_type.matches("^(pay|hr)-\\\\w+$")', "|hr", ""),
    "a day later": ("deny", 'now > timestamp("2027-01-01T00:00:00Z")', "01-01", "01-02"),
    "a longer id": ("deny", "packet.packet_id.size() > 100", "100", "101"),
    "one more owner": (
        "deny",
        "size(packet.previous_owners) > 5 && member.id in packet.previous_owners",
        "> 5",
        "> 6",
    ),
    "a second review": (
        "deny",
        "principal.id in packet.reviews",
        "reviews",
        "reviews && packet.reviews.size() > 1",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_widening_that_only_a_size_a_time_or_a_pattern_shows(name: str, tmp_path: Path) -> None:
    """A gate on widenings lets it through, because no case comes near what the rule asks."""
    kind, before, part, other = RULES[name]
    assert part in before
    old, new = (
        kit.load(tmp_path / where, kit.policy(f"  - {{id: r, {kind}: '{text}'}}\n"))
        for where, text in (("old", before), ("new", before.replace(part, other, 1)))
    )
    assert compare(old, new).is_widening


@pytest.mark.parametrize(
    "pattern",
    ["^a$", "secret-[0-9]{4}", "(pay|hr)-\\w+", "[^a-c]x?", ".*\\.(com|org)", "[\\d_]{2,3}\\s\\S\\W\\D", "a{3}(b|c)*?"],
)  # fmt: skip
def test_a_text_that_is_made_for_a_pattern_has_it(pattern: str) -> None:
    """Texts near a pattern are none that it takes."""
    found = texts([_root(pattern)])
    assert found
    assert all(re.search(pattern, one) for one in found), found


def test_texts_for_patterns_are_bounded() -> None:
    """A pattern of numbers in numbers is written out until memory ends, or what Python cannot read ends the diff."""
    assert all(len(one) <= 1_024 for one in texts([_root("(((a{9}){9}){9})*")]))
    assert texts([_root("\\\\pL+")]) is not None


def _root(pattern: str) -> ir.Node:
    source = f"s.matches(r'{pattern}')"
    return check(parse(source), Environment({"s": StringType(64)})).root
