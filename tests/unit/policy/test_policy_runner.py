"""Tests beside policies: the runner fails what is wrong, counts outcomes and finds counterexamples."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support import policy_kit as kit

from pfgov.errors import PolicyError
from pfgov.policy import PolicyErrors, shipped_directory
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.testing.coverage import Coverage
from pfgov.policy.authoring.testing.junit import junit
from pfgov.policy.authoring.testing.runner import Report, run_directory
from pfgov.policy.load import shipped_names

POLICY = kit.policy(
    "  - {id: trust, require: member.trust_score >= 0.6}\n"
    "  - {id: eu, when: packet.priority > 5, require: member.region == 'eu'}\n"
)
FIXTURES = (
    "apiVersion: pfgov/v1\nkind: Fixtures\n"
    "packets: {plain: {}, urgent: {priority: 9}}\n"
    "members:\n  good: {trust_score: 0.9, region: eu}\n  low: {trust_score: 0.1, region: us}\n"
    "  unknown: {region: eu}\n"
)


def run(folder: Path, test: str, policy: str = POLICY) -> Report:
    """Run one test file."""
    head = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\n"
    kit.write(
        folder,
        {
            "p.policy.yaml": policy,
            "labels.yaml": kit.labels("risk"),
            "p.test.yaml": head + test,
            "fixtures/all.yaml": FIXTURES,
        },
    )
    return run_directory(folder)


def case(expect: str, packet: str = "plain", members: str = "[good, low, unknown]") -> str:
    """Return a test file's body with one case."""
    return f"cases:\n  - {{name: x, packet: {packet}, members: {members}, expect: {expect}}}\n"


PASSES = [
    "{good: allow}",
    "{good: allow, low: deny, unknown: deny}",
    "{good: allow, low: {deny: [trust]}, unknown: {deny: [trust], missing: [member.trust_score]}}",
    "{good: allow, low: {deny: [placement/trust]}}",
]
FAILS = [
    ("{}", "good", "expected deny, got allow"),
    ("{good: deny}", "good", "expected deny, got allow"),
    ("{good: allow, low: allow}", "low", "expected allow, got deny [trust]"),
    ("{good: allow, low: {deny: [eu]}}", "low", "deny: expected [eu], got [trust]"),
    ("{good: {allow: true, shadow: [trust]}}", "good", "shadow: expected [trust], got []"),
    (
        "{good: allow, unknown: {deny: [trust]}}",
        "unknown",
        "missing: expected [], got [member.trust_score]",
    ),
    (
        "{good: {allow: true, obligations: [redact]}}",
        "good",
        "obligations: expected [redact], got []",
    ),
]


@pytest.mark.parametrize("expect", PASSES)
def test_what_is_as_expected_passes(expect: str, tmp_path: Path) -> None:
    """A case passes when every member got what is listed, and deny where nothing is."""
    report = run(tmp_path, case(expect))
    assert [result.problem for result in report.results] == [None, None, None]


@pytest.mark.parametrize(("expect", "member", "problem"), FAILS)
def test_what_is_not_as_expected_fails(
    expect: str, member: str, problem: str, tmp_path: Path
) -> None:
    """The failing member is named with what was expected and what it got."""
    report = run(tmp_path, case(expect))
    assert [(item.member, item.problem) for item in report.failed] == [(member, problem)]


def test_an_unlisted_decision_point_is_denied(tmp_path: Path) -> None:
    """A policy under test that does not cover the point denies by `pfgov:no_policy`."""
    body = (
        "cases:\n  - {name: x, action: register, members: [good],"
        " expect: {good: {deny: ['pfgov:no_policy']}}}\n"
    )
    assert not run(tmp_path, body).failed


def test_coverage_counts_outcomes(tmp_path: Path) -> None:
    """A rule is covered when it was seen true, false and undecided, and its `when` both ways."""
    report = run(tmp_path, case("{good: allow}", members="[good]"))
    assert [str(target) for target in report.coverage.missed] == [
        "placement/eu: its condition was never seen false",
        "placement/eu: its condition was never seen true",
        "placement/eu: its condition was never seen with a fact missing",
        "placement/eu: `when` was never seen true",
        "placement/trust: its condition was never seen false",
        "placement/trust: its condition was never seen with a fact missing",
    ]
    assert (report.coverage.reached, len(report.coverage.wanted)) == (2, 8)
    assert report.coverage.is_at_least(25)
    assert not report.coverage.is_at_least(26)


def test_coverage_can_be_complete(tmp_path: Path) -> None:
    """Cases that show every outcome reach 100 %."""
    variation = "{from: good, with: {region: null}, as: nowhere}"
    body = (
        case("{good: allow}")
        + f"  - {{name: z, packet: urgent, members: [good, low, {variation}],"
        + " expect: {good: allow, low: {deny: [trust, eu]},"
        + " nowhere: {deny: [eu], missing: [member.region]}}}\n"
    )
    report = run(tmp_path, body)
    assert not report.failed
    assert report.coverage.is_at_least(100)


@pytest.mark.parametrize(
    ("rule", "missing"),
    [
        ("when: has(packet.submitted_by), deny: member.id in packet.submitted_by.members", False),
        ("deny: member.id in packet.submitted_by.members", True),
        ("require: 'has(member.capacity.cpu) && member.capacity.tasks > 1'", True),
    ],
)
def test_coverage_asks_for_nothing_that_cannot_be_missing(
    tmp_path: Path, rule: str, missing: bool
) -> None:
    """What stands in a record that the rule asked for is wanted absent, and no case can show that."""
    policies = kit.load(tmp_path, kit.policy(f"  - {{id: r, {rule}}}\n"))
    coverage = Coverage()
    coverage.expect(policies)
    assert any(target.outcome == "undecided" for target in coverage.wanted) is missing


def test_a_property_that_holds_passes(tmp_path: Path) -> None:
    """Properties that the policy has pass, on every generated input."""
    body = (
        "properties:\n"
        "  - {name: trust helps, monotone: member.trust_score}\n"
        "  - {name: no trust no work, never: 'decision == \"allow\" && !has(member.trust_score)'}\n"
    )
    assert not run(tmp_path, body).failed


def test_a_broken_property_is_shrunk(tmp_path: Path) -> None:
    """The counterexample holds only the facts that matter."""
    body = (
        "properties:\n"
        '  - {name: eu only, never: \'decision == "allow" && member.region != "eu"\'}\n'
    )
    (failed,) = run(tmp_path, body).failed
    assert failed.problem == (
        '`decision == "allow" && member.region != "eu"` is true, with decision allow'
    )
    members = [line for line in failed.details if line.startswith("member")]
    assert len(members) == 1
    assert set(_keys(members[0])) == {"region", "trust_score"}


def _keys(line: str) -> list[str]:
    import json

    return list(json.loads(line.removeprefix("member: ")))


def test_a_rule_that_punishes_trust_is_not_monotone(tmp_path: Path) -> None:
    """Raising a fact that makes the outcome worse is found, with both values."""
    policy = kit.policy("  - {id: odd, deny: member.trust_score > 0.6}\n")
    body = "properties: [{name: trust helps, monotone: member.trust_score}]\n"
    (failed,) = run(tmp_path, body, policy).failed
    assert failed.problem is not None
    assert failed.problem.startswith("with member.trust_score ")
    assert failed.problem.endswith(" it is deny")


def test_the_same_test_finds_the_same_counterexample(tmp_path: Path) -> None:
    """Generated inputs are a function of the file: a failure on one machine is one on every."""
    body = (
        'properties: [{name: eu only, never: \'decision == "allow" && member.region != "eu"\'}]\n'
    )
    first = run(tmp_path / "a", body).failed[0]
    second = run(tmp_path / "b", body).failed[0]
    assert (first.problem, first.details) == (second.problem, second.details)


def test_a_property_with_a_typo_does_not_load(tmp_path: Path) -> None:
    """The expression of a property is checked like any other."""
    body = "properties: [{name: x, never: 'decision == \"alow\"'}]\n"
    with pytest.raises(PolicyErrors) as caught:
        run(tmp_path, body)
    assert [problem.code for problem in caught.value.problems] == ["cel.never_equal"]
    assert caught.value.problems[0].line == 4


def test_a_folder_without_tests_is_an_error(tmp_path: Path) -> None:
    """No test is not a passing test."""
    kit.write(tmp_path, {"p.policy.yaml": POLICY})
    with pytest.raises(PolicyError) as caught:
        run_directory(tmp_path)
    assert caught.value.code == "policy.no_tests"


def test_junit_names_every_check(tmp_path: Path) -> None:
    """The JUnit document is XML with one test case a member and the failures in it."""
    report = run(tmp_path, case("{good: allow, low: allow}"))
    suite = ET.fromstring(junit(report))[0]
    assert [item.get("name") for item in suite] == ["x: good", "x: low", "x: unknown"]
    assert [item.tag for item in suite[1]] == ["failure"]
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")


def test_junit_is_xml_and_steers_no_terminal_whatever_a_test_is_called(tmp_path: Path) -> None:
    """A name of a test makes a document that no build server reads, failures and all, or that clears a screen."""
    hostile = case("{good: allow, low: allow}").replace(
        "name: x", r'name: "a\e[2J\u202e\x08\u2028&<b"'
    )
    text = junit(run(tmp_path, hostile))
    assert all(line.isprintable() for line in text.split("\n"))
    assert ET.fromstring(text)[0][1].get("name") == r"a\x1b[2J\u{202e}\x08\u{2028}&<b: low"


@pytest.mark.parametrize("pack", shipped_names())
def test_every_shipped_pack_passes_with_full_coverage(pack: str) -> None:
    """Every pack that an author may copy is tested to the last outcome, and at the last point."""
    report = run_directory(shipped_directory(pack))
    assert not report.failed
    assert report.coverage.is_at_least(100), [str(item) for item in report.coverage.missed]
    assert report.coverage.asks_at_least(100), list(map(str, report.coverage.missed_points))
    assert len(report.results) >= 10


def test_a_run_that_tries_nothing_is_no_pass(tmp_path: Path) -> None:
    """A typo after --only passes in CI, because no test at all was run."""
    run(tmp_path, case("{good: allow}"))
    with pytest.raises(PolicyError) as caught:
        run_directory(tmp_path, only="zzz")
    assert caught.value.code == "policy.no_tests"


# --- nothing passes by saying nothing -----------------------------------------------------------

LABELLED = kit.policy(
    "  - {id: trust, require: member.trust_score >= 0.6}\n"
    '  - {id: risky, when: \'"risk" in packet.labels && packet.labels.risk == "high"\','
    " deny: member.trust_score < 0.9}\n"
)
CASES = (
    "cases:\n  - {name: x, packet: {from: plain, with: {labels: {risk: high}}}, members: [good],"
    " expect: {good: allow}}\n"
)


@pytest.mark.parametrize(
    ("never", "problem"),
    [
        ('decision == "allow" && packet.labels.risk == "high" && member.trust_score < 0.9', None),
        ('decision == "allow" && size(packet.previous_owners) > 90', "never held"),
        ("source.region == member.region && source.region == 'mars'", "could never be decided"),
    ],
)
def test_a_property_whose_premise_never_held_fails(
    tmp_path: Path, never: str, problem: str | None
) -> None:
    """A property that no generated input could have broken is no promise."""
    body = f"{CASES}properties:\n  - {{name: prop, on: [assign], never: {json.dumps(never)}}}\n"
    failed = [item.problem or "" for item in run(tmp_path, body, LABELLED).failed]
    assert len(failed) == (problem is not None)
    if problem is not None:
        assert problem in failed[0]


def test_a_property_about_a_label_that_nobody_sets_is_an_error(tmp_path: Path) -> None:
    """A misspelt label would be absent in every input, and the property would hold of everything: none is declared."""
    never = 'decision == "allow" && packet.labels.rsik == "high"'
    body = f"{CASES}properties:\n  - {{name: prop, never: {json.dumps(never)}}}\n"
    with pytest.raises(PolicyErrors) as caught:
        run(tmp_path, body, LABELLED)
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("cel.unknown_field", "did you mean `risk`?")


def test_check_finds_a_label_that_no_input_has(tmp_path: Path) -> None:
    """A property about a declared label that no rule reads and no case sets is found without a run."""
    never = 'decision == "allow" && packet.labels.team == "red"'
    test = f"apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\n{CASES}"
    files = {
        "p.policy.yaml": LABELLED,
        "labels.yaml": kit.labels("risk", "team"),
        "fixtures/all.yaml": FIXTURES,
        "p.test.yaml": f"{test}properties:\n  - name: prop\n    never: {json.dumps(never)}\n",
    }
    (problem,) = check_directory(kit.write(tmp_path, files)).errors
    assert (problem.code, problem.line, problem.file) == (
        "policy.test.label", 8, str(tmp_path / "p.test.yaml"),
    )  # fmt: skip


# --- what would be changed is one packet, or one member -------------------------------------------

CHANGES = kit.policy(
    "  - {id: same, deny: member.id != before.id || member.type != before.type}\n"
    '  - {id: stays, deny: "!sets.contains(member.clearances, before.clearances)"}\n',
    on="[update_member]",
)


def changing(folder: Path, case: str, policy: str = CHANGES) -> Report:
    """Run one case under CHANGES, with members of several kinds."""
    members = (
        "  plain: {}\n  cleared: {clearances: [pii]}\n  node: {type: node, clearances: [pii]}\n"
        "  ann: {id: ann, clearances: [pii]}\n  bob: {id: bob}\n"
    )
    head = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\n"
    fixtures = "apiVersion: pfgov/v1\nkind: Fixtures\npackets: {low: {}, high: {priority: 9}}\n"
    kit.write(
        folder,
        {
            "p.policy.yaml": policy,
            "p.test.yaml": f"{head}cases:\n  - {{name: x, {case}}}\n",
            "fixtures/all.yaml": f"{fixtures}members:\n{members}",
        },
    )
    return run_directory(folder)


@pytest.mark.parametrize(
    "case",
    [
        "before: plain, members: [cleared, ann, bob], expect: {cleared: allow, ann: allow, bob: allow}",
        "before: cleared, members: [plain, ann], expect: {plain: {deny: [stays]}, ann: allow}",
        "members: [plain, node, ann], expect: {plain: allow, node: allow, ann: allow}",
        "before: {with: {clearances: [pii]}}, members: [node, plain], expect: {node: allow, plain: {deny: [stays]}}",
        "before: {from: ann, with: {clearances: []}}, members: [ann], expect: {ann: allow}",
    ],
)
def test_what_would_be_changed_was_itself_before(tmp_path: Path, case: str) -> None:
    """Each candidate of a case is compared with itself: one id, one type, and as it is where nothing is said."""
    report = changing(tmp_path, f"action: update_member, {case}")
    assert [result.problem for result in report.failed] == []


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "action: update_member, before: ann, members: [bob], expect: {bob: allow}",
            "'ann', and 'bob'",
        ),
        (
            "action: update_member, before: ann, members: [ann, plain], expect: {}",
            "'ann', and 'plain'",
        ),
        (
            "action: update_member, before: node, members: [plain], expect: {plain: allow}",
            "`before.type`",
        ),
        (
            "action: update_member, before: {with: {trust_score: 0.5}}, members: [plain], expect: {plain: allow}",
            "`before.trust_score`",
        ),
        (
            "action: update, before: {with: {packet_id: q}}, packet: low, expect: allow",
            "'q', and 'low'",
        ),
        ("action: update, before: {with: {step: a}}, packet: low, expect: allow", "`before.step`"),
    ],
)
def test_a_change_of_two_things_is_told_to_no_test(tmp_path: Path, case: str, said: str) -> None:
    """A ``before`` that is another packet or member than what would be changed is an error of the case."""
    policy = CHANGES
    if "update," in case:
        policy = kit.policy("  - {id: a, deny: packet.priority < before.priority}\n", on="[update]")
    with pytest.raises(PolicyErrors) as caught:
        changing(tmp_path, case, policy)
    (problem,) = caught.value.problems
    assert (problem.code, problem.line) == ("policy.test.case", 5)
    assert said in problem.message
    assert "an update of a" in (problem.hint or "")


def test_a_property_compares_what_would_be_changed_with_itself(tmp_path: Path) -> None:
    """Generated inputs at a point of change are changes of one packet or member."""
    body = (
        "properties:\n  - {name: prop, on: [update_member], never: 'decision == \"deny\"'}\n"
        "  - {name: other, on: [update], never: 'decision == \"deny\"'}\n"
    )
    rules = (
        "  - {id: same, on: [update_member], deny: member.id != before.id || member.type != before.type}\n"
        "  - {id: packet, on: [update], deny: packet.packet_id != before.packet_id || packet.epoch != before.epoch}\n"
    )
    report = run(tmp_path, body, kit.policy(rules, on="[update, update_member]"))
    assert [result.problem for result in report.failed] == []


SHADOWED = POLICY + "mode: shadow\n"


@pytest.mark.parametrize(
    ("extra", "expect", "passes"),
    [
        (
            "",
            "{good: {shadow: []}, low: {shadow: [trust]}, unknown: {deny: [pfgov:no_policy], shadow: [trust]}}",
            True,
        ),
        ("", "{good: {shadow: [trust]}, low: deny}", False),
        ("", "{good: allow, low: {deny: [trust]}}", False),
        ("mode: enforce\n", "{good: allow, low: {deny: [trust]}, unknown: deny}", True),
        ("mode: enforce\n", "{good: allow, low: {shadow: [trust]}}", False),
    ],
)
def test_a_policy_in_shadow_mode_can_be_tested(
    tmp_path: Path, extra: str, expect: str, passes: bool
) -> None:
    """What it would say can be expected as `shadow`, and the file can try it as if it were binding."""
    report = run(tmp_path, extra + case(expect), SHADOWED)
    assert (not report.failed) == passes
    if not passes and not extra:
        assert any("is in shadow mode" in line for item in report.failed for line in item.details)
