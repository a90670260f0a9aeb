"""Explanations: every rule with its values, and what would have to be different."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import Point
from pfgov.policy import PolicySet, load_starter
from pfgov.policy.authoring.explain import explain
from pfgov.policy.judging.messages import TemplateError, fill, show, split

DEMANDS = kit.packet(
    required_capabilities=["ocr>=1.2", "plan"],
    data_classes=["pii.email"],
    policy_constraints={
        "pii_review_required": False,
        "minimum_trust_score": 0.9,
        "allowed_regions": ["us-east"],
    },
)


@pytest.fixture(scope="module")
def starter() -> PolicySet:
    """The starter set."""
    return load_starter()


def nearest(policies: PolicySet, work: kit.Facts, **changes: object) -> str | None:
    """Return the sentence about the nearest miss."""
    return explain(policies, kit.question(work=work), kit.member(**changes)).nearest


def test_the_nearest_miss_names_the_value_that_would_do(starter: PolicySet) -> None:
    """One failing bound: the value that it asks for, and the one that is there."""
    work = kit.constraints(minimum_trust_score=0.9)
    assert nearest(starter, work, trust_score=0.87) == (
        "would be eligible with trust_score 0.9; has 0.87"
    )


def test_several_misses_are_named_together(starter: PolicySet) -> None:
    """Everything that is missing is named, and only because it is enough."""
    found = nearest(
        starter,
        DEMANDS,
        trust_score=0.2,
        region="eu",
        clearances=[],
        capability_versions={"ocr": "1.0"},
    )
    assert found is not None
    for piece in (
        "trust_score 0.9; has 0.2",
        "region within [us-east]; has eu",
        "clearances with [pii.email]; has []",
        "capability_versions with [ocr>=1.2, plan]; has [ocr]",
    ):
        assert piece in found


def test_an_absent_fact_is_asked_for(starter: PolicySet) -> None:
    """A missing trust score is a miss, too: it would have to be there."""
    assert nearest(starter, kit.packet(), trust_score=...) == (
        "would be eligible with trust_score 0.5; has (absent)"
    )


def test_nothing_is_claimed_that_would_not_help(tmp_path: Path) -> None:
    """Where the packet itself is the obstacle no change of the member is promised."""
    policies = kit.load(tmp_path, kit.policy("  - {id: p, require: packet.priority > 5}\n"))
    assert nearest(policies, kit.packet()) is None
    forbidden = kit.policy('  - {id: named, deny: member.id == "m-1"}\n', name="named")
    assert nearest(kit.load(tmp_path / "b", forbidden), kit.packet()) is None


def test_a_person_cannot_be_replaced_by_a_value(starter: PolicySet) -> None:
    """Where somebody must agree the sentence says so."""
    work = kit.constraints(minimum_trust_score=0.9, pii_review_required=True)
    assert nearest(starter, work, trust_score=0.8) == (
        "would be eligible with trust_score 0.9; has 0.8, once a reviewer agrees"
    )


def test_who_is_allowed_misses_nothing(starter: PolicySet) -> None:
    """An allowed member has no nearest miss."""
    found = explain(starter, kit.question(), kit.member())
    assert (found.verdict.outcome, found.nearest) == ("allow", None)


def test_every_rule_is_shown_with_its_values(starter: PolicySet) -> None:
    """The explanation has every rule of the decision point, with the value of every part."""
    found = explain(starter, kit.question(work=DEMANDS), kit.member(trust_score=0.5))
    rules = {rule.name: rule for rule in found.rules}
    assert rules["kernel/minimum-trust"].status == "failed"
    assert rules["kernel/active"].status == "satisfied"
    assert rules["kernel/pii-review"].status == "not applicable"
    assert rules["pii/pii-trust"].status == "failed"
    steps = {step.text: step.value for step in rules["kernel/minimum-trust"].steps}
    assert steps["member.trust_score"] == "0.5"
    assert steps["packet.policy_constraints.minimum_trust_score"] == "0.9"
    bound = {rule.name for rule in found.rules if rule.reason is not None}
    assert bound == {reason.name for reason in found.verdict.reasons}


def test_an_undecided_rule_says_what_is_missing(starter: PolicySet) -> None:
    """A rule that could not be decided is neither satisfied nor failed."""
    found = explain(starter, kit.question(), kit.member(trust_score=...))
    (rule,) = [rule for rule in found.rules if rule.reason is not None]
    assert (rule.name, rule.status) == ("trust/trust-floor", "undecided")
    assert rule.steps[0].value == "missing: member.trust_score is missing"


def test_an_explanation_is_plain_data(starter: PolicySet) -> None:
    """`--json` prints the decision, its reasons and every step."""
    made = explain(starter, kit.question(Point.REGISTER), kit.member(trust_score=0.0)).as_dict()
    assert made["decision"] == "deny"
    assert made["nearest_miss"] == "would be eligible with trust_score 0.1; has 0"
    assert isinstance(made["rules"], list)


# --- sentences ------------------------------------------------------------------------------


def test_templates_hold_paths_only() -> None:
    """A template is text with paths; braces are doubled."""
    pieces, paths = split("a {member.id} b {{c}} {params.x}")
    assert (pieces, [path for path, _ in paths]) == (
        ["a ", " b {c} ", ""],
        ["member.id", "params.x"],
    )
    assert fill(pieces, ["1", "2"]) == "a 1 b {c} 2"


@pytest.mark.parametrize("text", ["{", "}", "{}", "{a + b}", "{a.b()}", "a { b", "{a{b}}", "{1}"])
def test_other_templates_are_refused(text: str) -> None:
    """A lone brace, or anything but a path, is an error and never printed as it stands."""
    with pytest.raises(TemplateError):
        split(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9, "0.9"),
        (1.0, "1"),
        (1e22, "1e+22"),
        (True, "true"),
        (None, "null"),
        ("x", "x"),
        ("a\nb", "'a\\nb'"),
        ([1.5, "x"], "[1.5, x]"),
        (list(range(10)), "[0, 1, 2, 3, 4, 5, 6, 7, and 2 more]"),
        ({"a": 1}, "{a: 1}"),
        (object, "(type)"),
    ],
)
def test_values_read_as_people_write_them(value: object, text: str) -> None:
    """A value in a sentence has its shortest form, and no control characters."""
    assert show(value) == text


def test_long_values_are_cut() -> None:
    """No label can make a sentence longer than an entry may hold."""
    assert len(show("x" * 1_000)) == 80
    assert len(fill(["", ""], ["x" * 10_000])) == 512
