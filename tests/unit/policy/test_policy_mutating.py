"""Mutants of a policy: mistakes that the tests beside it would notice, and the test that is missing for the others."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.errors import PfgovError
from pfgov.policy.authoring.mutating.expressions import mutations
from pfgov.policy.authoring.mutating.running import Mutated, mutate_directory
from pfgov.policy.authoring.testing.runner import run_directory
from pfgov.policy.cel import parse

POLICIES = Path(__file__).parents[3] / "policies"
RULES = (
    "  - {id: floor, require: member.trust_score >= params.floor}\n"
    "  - {id: busy, on: [assign], deny: member.load.active >= 2 && packet.priority < 5}\n"
)
POLICY = kit.policy(
    RULES, on="[assign, retain]", extra="params: {floor: {type: double, value: 0.6}}\n"
)
HEAD = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\ncases:\n"
LAX = """
  - name: anybody
    packet: {with: {}, as: packet}
    members: [{with: {trust_score: 0.9}, as: m}, {with: {trust_score: 0.1}, as: low}]
    expect: {m: allow, low: {deny: [floor]}}
"""


def folder(tmp_path: Path, tests: str = LAX, policy: str = POLICY) -> Path:
    """Write a policy with its tests."""
    return kit.write(tmp_path, {"p.policy.yaml": policy, "p.test.yaml": HEAD + tests})


def missed(found: Mutated) -> set[str]:
    """What the mistakes are that no test notices."""
    return {one.mutant.said for one in found.missed}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a.b >= 0.5", {"a.b > 0.5", "a.b < 0.5", "a.b >= 0.51", "a.b >= 0.49"}),
        ("a && b", {"a || b", "a", "b"}),
        ("a || b || c", {"a && b && c", "b || c", "a || c", "a || b"}),
        ("!a", {"a"}),
        (
            "x in [1, 2]",
            {
                "!(x in [1, 2])",
                "x in [2]",
                "x in [1]",
                "x in [2, 2]",
                "x in [0, 2]",
                "x in [1, 3]",
                "x in [1, 1]",
            },
        ),
        (
            "l.all(i, i > 1)",
            {
                "l.exists(i, i > 1)",
                "l.all(i, i >= 1)",
                "l.all(i, i <= 1)",
                "l.all(i, i > 2)",
                "l.all(i, i > 0)",
            },
        ),
        ("c ? true : false", {"c ? false : true", "c ? false : false", "c ? true : true"}),
        (
            "member.trust_score > 0.5",
            {
                "member.reliability > 0.5",
                "member.trust_score >= 0.5",
                "member.trust_score <= 0.5",
                "member.trust_score > 0.51",
                "member.trust_score > 0.49",
            },
        ),
    ],
)
def test_an_expression_gives_its_small_mistakes(text: str, wanted: set[str]) -> None:
    """A kind of mistake is forgotten, or one is made that is none."""
    assert {one.text for one in mutations(parse(text))} == wanted


def test_a_mistake_knows_where_it_is() -> None:
    """A survivor points at another line than the one to look at."""
    found = {one.said: (one.line, one.column) for one in mutations(parse("a > 1 &&\n  b < 2"))}
    assert found["<= for <"] == (2, 3)


def test_a_survivor_comes_with_the_test_that_notices_it(tmp_path: Path) -> None:
    """A mistake that no test notices is not named, or the proposed test does not notice it either."""
    where = folder(tmp_path)
    before = mutate_directory(where)
    assert {
        "param floor: 0.61 for 0.6",
        "rule floor: require: > for >=",
        "rule floor: not asked at retain",
        "rule busy: deny: without packet.priority < 5",
    } <= missed(before)
    proposed = [one.test for one in before.missed if one.test is not None]
    folder(tmp_path, LAX + "\n".join(proposed) + "\n")
    assert run_directory(where).failed == []
    after = mutate_directory(where)
    assert missed(after) == set()
    assert after.percent == 100
    assert before.percent < 60


EVERY_KIND = kit.policy(
    "  - {id: own-review, on: [review], deny: principal.id == packet.submitted_by.id}\n"
    "  - {id: two, on: [assign], when: packet.priority > 5, escalate: {to: reviewer, approvals: 2}}\n"
    "  - {id: hides, on: [assign], when: packet.priority < 3,"
    " obligations: [{type: redact, paths: [/a]}, {type: notify, to: o}]}\n"
    "  - {id: hours, on: [assign], when: packet.priority == 5, require: now.getHours() >= 7}\n",
    on="[assign, review]",
)


def test_a_proposed_test_holds_whatever_it_is_about(tmp_path: Path) -> None:
    """A proposed test is about an id, an asker, duties, approvals or the hour, and says so too little to hold."""
    plain = """
  - name: a plain packet
    packet: {with: {priority: 4}, as: packet}
    members: [{with: {}, as: m}]
    expect: {m: allow}
"""
    where = folder(tmp_path, plain, EVERY_KIND)
    before = mutate_directory(where)
    assert {
        "without the rule own-review",
        "rule two: 1 approvals for 2",
        "rule hides: without the obligation notify",
        "rule hours: require: 8 for 7",
    } <= missed(before), sorted(missed(before))
    proposed = [one.test for one in before.missed if one.test is not None]
    folder(tmp_path, plain + "\n".join(proposed) + "\n", EVERY_KIND)
    assert [one.problem for one in run_directory(where).failed] == []
    assert missed(mutate_directory(where)) == set()


def test_approvals_are_expected_where_somebody_is_asked(tmp_path: Path) -> None:
    """A number of approvals that is wrong passes, or is expected where nobody is asked."""
    asked = """
  - name: two have to agree
    packet: {with: {priority: 6}, as: packet}
    members: [{with: {}, as: m}]
    expect: {m: {escalate: [two], approvals: NUMBER}}
"""
    where = folder(tmp_path, asked.replace("NUMBER", "2"), EVERY_KIND)
    assert run_directory(where).failed == []
    folder(tmp_path, asked.replace("NUMBER", "1"), EVERY_KIND)
    assert [one.problem for one in run_directory(where).failed] == ["approvals: expected 1, got 2"]
    folder(
        tmp_path, asked.replace("escalate: [two]", "deny: [two]").replace("NUMBER", "2"), EVERY_KIND
    )
    with pytest.raises(PfgovError, match="nobody is asked"):
        run_directory(where)


def test_a_mutant_that_decides_the_same_is_not_counted(tmp_path: Path) -> None:
    """An equivalent mistake keeps a score below a hundred for ever."""
    rules = "  - {id: floor, require: 'member.trust_score >= 0.5 && member.trust_score >= 0.2'}\n"
    tests = "".join(
        f"  - name: at {trust}\n    packet: {{with: {{}}, as: p}}\n"
        f"    members: [{{with: {{trust_score: {trust}, reliability: {other}}}, as: m}}]\n"
        f"    expect: {{m: {outcome}}}\n"
        for trust, other, outcome in (
            (0.5, 0.55, "allow"),
            (0.51, 0.55, "allow"),
            (0.49, 0.55, "deny"),
            (0.1, 0.55, "deny"),
            (0.9, 0.1, "allow"),
        )
    )
    policy = kit.policy(rules, on="[assign]")
    found = mutate_directory(folder(tmp_path, tests, policy))
    equivalent = {one.mutant.said for one in found.survivors if one.is_equivalent}
    assert "rule floor: require: without member.trust_score >= 0.2" in equivalent
    assert all(one.cases > 100 for one in found.survivors if one.is_equivalent)
    assert missed(found) == set()
    assert found.is_at_least(100)


def test_failing_tests_are_said_first(tmp_path: Path) -> None:
    """Mutants are counted as noticed by a test that fails anyway."""
    where = folder(tmp_path, LAX.replace("m: allow", "m: deny"))
    with pytest.raises(PfgovError) as refusal:
        mutate_directory(where)
    assert refusal.value.code == "policy.tests_fail"


def test_only_one_policy_can_be_mutated(tmp_path: Path) -> None:
    """A name that is no policy's passes for a score of a hundred."""
    where = folder(tmp_path)
    assert mutate_directory(where, only="placement").counted > 5
    with pytest.raises(PfgovError) as refusal:
        mutate_directory(where, only="Placement")
    assert refusal.value.code == "policy.no_tests"


def test_progress_is_told(tmp_path: Path) -> None:
    """A run of minutes is silent."""
    told: list[tuple[int, int]] = []
    mutate_directory(folder(tmp_path), progress=lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] - 1


def test_the_tests_of_the_starter_set_notice_a_sample_of_mistakes() -> None:
    """A rule of it that is changed without its tests goes unnoticed; `make mutants-policies` tries every mistake."""
    found = mutate_directory(POLICIES / "starter", every=40)
    assert found.counted > 1
    assert [one.mutant.said for one in found.missed] == []
