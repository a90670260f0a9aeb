"""What a policy author gets wrong: one precise message each, with place and suggestion."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy import PolicyErrors
from pfgov.policy.checking import check_directory

HEAD = (
    'apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: placement, version: "1"}\non: [place]\n'
)
BODY = "rules:\n  - id: trust\n    require: member.trust_score >= 0.6\n"

MISTAKES = {
    # name: (the file, code, line, column, a piece of the hint)
    "a typo in a fact": (
        f"{HEAD}rules:\n  - id: trust\n    require: member.trust_scor >= 0.6\n",
        ("cel.unknown_field", 7, 21, "did you mean `trust_score`?"),
    ),
    "a typo in a root": (
        f"{HEAD}rules:\n  - id: trust\n    require: membr.trust_score >= 0.6\n",
        ("cel.unknown_name", 7, 14, "did you mean `member`?"),
    ),
    "the wrong type": (
        f'{HEAD}rules:\n  - id: trust\n    require: member.trust_score >= "0.6"\n',
        ("cel.type", 7, 14, None),
    ),
    "one = for ==": (
        f"{HEAD}rules:\n  - id: region\n    require: member.region = 'eu'\n",
        ("cel.character", 7, 28, "write == to compare"),
    ),
    "missing quotes": (
        f"{HEAD}rules:\n  - id: status\n    require: member.status == ACTIVE\n",
        ("cel.unknown_name", 7, 31, 'write "ACTIVE" in quotes'),
    ),
    "an unknown rule key": (
        f"{HEAD}rules:\n  - id: trust\n    requires: member.trust_score >= 0.6\n",
        ("policy.unknown_key", 7, 5, "did you mean `require`?"),
    ),
    "two rules with one id": (
        f"{HEAD}{BODY}  - id: trust\n    require: member.trust_score >= 0.7\n",
        ("policy.duplicate_rule", 8, 9, "the first one is on line 6"),
    ),
    "an unknown import": (
        f"{HEAD}imports: [common/region]\n{BODY}",
        ("policy.unknown_import", 5, 11, "did you mean `common/regions`?"),
    ),
    "a rule that can never be true": (
        f'{HEAD}rules:\n  - id: status\n    require: member.status == "RUNNING"\n',
        ("cel.never_equal", 7, 14, "did you mean"),
    ),
    "an unused param": (
        f"{HEAD}params:\n  floor: {{type: double, value: 0.6}}\n{BODY}",
        ("policy.unused_param", 6, 3, "remove it, or use it"),
    ),
    "a param that is not declared": (
        (
            f"{HEAD}rules:\n  - id: trust\n    require: member.trust_score >= params.flor\n"
            "params:\n  floor: {type: double, value: 0.6}\n"
        ),
        ("policy.unknown_name", 7, 36, "did you mean `params.floor`?"),
    ),
    "a param of another type": (
        f"{HEAD}params:\n  floor: {{type: double, value: high}}\n{BODY}",
        ("policy.wrong_type", 6, 32, None),
    ),
    "a type that there is not": (
        f"{HEAD}params:\n  floor: {{type: doubel, value: 0.6}}\n{BODY}",
        ("policy.value", 6, 17, "did you mean `double`?"),
    ),
    "an unknown decision point": (
        HEAD.replace("[place]", "[asign]") + BODY,
        ("policy.value", 4, 6, "did you mean `assign`?"),
    ),
    "a decision point that is no list": (
        HEAD.replace("[place]", "place") + BODY,
        ("policy.wrong_type", 4, 5, "write on: [place]"),
    ),
    "a packet where there is none": (
        HEAD.replace("[place]", "[register]")
        + "rules:\n  - id: kind\n    require: packet.priority > 1\n",
        ("policy.root_unavailable", 7, 14, "give the rule its own `on`"),
    ),
    "an escalation at register": (
        HEAD.replace("[place]", "[register]")
        + "rules:\n  - id: ask\n    when: has(member.region)\n    escalate: {to: reviewer}\n",
        ("policy.escalate_point", 8, 15, "make it a `deny`"),
    ),
    "an escalation to nobody": (
        f"{HEAD}rules:\n  - id: ask\n    when: packet.priority > 5\n    escalate: {{to: reviewr}}\n",
        ("policy.value", 8, 20, "did you mean `reviewer`?"),
    ),
    "a rule that does two things": (
        f"{HEAD}{BODY}    deny: member.trust_score < 0.1\n",
        ("policy.rule_kind", 8, 11, "make two rules"),
    ),
    "a rule that does nothing": (
        f"{HEAD}rules:\n  - id: trust\n    message: hello\n",
        ("policy.rule_kind", 6, 5, "require: EXPRESSION"),
    ),
    "obligations of a denial": (
        (
            f"{HEAD}rules:\n  - id: trust\n    deny: member.trust_score < 0.1\n"
            "    obligations: [{type: notify, to: ops}]\n"
        ),
        ("policy.obligation", 8, 18, "put them on a rule with `require`"),
    ),
    "an obligation that there is not": (
        f"{HEAD}{BODY}    obligations: [{{type: redakt, paths: [/a]}}]\n",
        ("policy.value", 8, 26, "did you mean `redact`?"),
    ),
    "a path that is no pointer": (
        f"{HEAD}{BODY}    obligations: [{{type: redact, paths: [customer.email]}}]\n",
        ("policy.value", 8, 42, "write /customer/email"),
    ),
    "an expression in a message": (
        f'{HEAD}{BODY}    message: "trust {{member.trust_score + 1}}"\n',
        ("policy.message", 8, 21, "only paths"),
    ),
    "a typo in a message": (
        f'{HEAD}{BODY}    message: "trust {{member.trust}} is low"\n',
        ("policy.message", 8, 22, "did you mean `trust_score`?"),
    ),
    "a reserved name": (
        HEAD.replace("placement", "kernel") + BODY,
        ("policy.reserved_name", 3, 11, "choose another name"),
    ),
    "a version that is a number": (
        HEAD.replace('"1"', "1.0") + BODY,
        ("policy.wrong_type", 3, 38, 'quote it: "1.0"'),
    ),
    "another kind": (
        HEAD.replace("kind: Policy", "kind: Polcy") + BODY,
        ("policy.kind", 2, 7, "did you mean `Policy`?"),
    ),
    "an old apiVersion": (
        HEAD.replace("pfgov/v1", "pfgov/v0") + BODY,
        ("policy.api_version", 1, 13, "write pfgov/v1"),
    ),
    "a condition without a fact": (
        f"{HEAD}rules:\n  - id: yes-man\n    require: 1 < 2\n",
        ("cel.constant", 7, 14, "compare a fact"),
    ),
    "a rule said twice": (
        f"{HEAD}{BODY}  - id: again\n    require: member.trust_score >= 0.6\n",
        ("policy.shadowed", 8, 9, "`trust` is on line 6"),
    ),
}

REGIONS = (
    "apiVersion: pfgov/v1\nkind: Definitions\nmetadata: {name: common/regions, version: '1'}\n"
    "params: {eu: {type: list(string), value: [eu-west]}}\n"
)
USES_REGIONS = kit.policy(
    "  - {id: eu, require: 'region_within(member.region, defs.eu)'}\n",
    name="regions",
    extra="imports: [common/regions]\n",
)
TEST = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: regions\n"


def found_in(folder: Path, files: dict[str, str]) -> list[tuple[str, int, int, str | None]]:
    """Return (code, line, column, hint) of every problem but the missing tests."""
    kit.write(folder, {**files, "regions.yaml": REGIONS, "regions.policy.yaml": USES_REGIONS})
    return [(p.code, p.line, p.column, p.hint) for p in check_directory(folder).problems]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gives_one_precise_message(mistake: str, tmp_path: Path) -> None:
    """Each typical mistake is one problem with the place of the mistake and what to do about it."""
    text, (code, line, column, hint) = MISTAKES[mistake]
    found = [
        item
        for item in found_in(tmp_path, {"placement.policy.yaml": text})
        if item[0] != "policy.unused_definitions"
    ]
    assert [item[:3] for item in found] == [(code, line, column)]
    if hint is not None:
        assert hint in (found[0][3] or "")


TEST_MISTAKES = {
    "a fixture that there is not": (
        "cases:\n  - {name: x, packet: plan, members: [good], expect: {good: allow}}\n",
        ("policy.test.fixture", 5, 23, "did you mean `plain`?"),
    ),
    "a rule id that there is not": (
        "cases:\n  - {name: x, packet: plain, members: [good], expect: {good: {deny: [ue]}}}\n",
        ("policy.test.reason", 5, 70, None),
    ),
    "a member that was not asked about": (
        "cases:\n  - {name: x, packet: plain, members: [good], expect: {god: allow}}\n",
        ("policy.test.member", 5, 56, "did you mean `good`?"),
    ),
    "a fact that there is not": (
        (
            "cases:\n  - name: x\n    packet: {from: plain, with: {priorty: 1}}\n"
            "    members: [good]\n    expect: {good: allow}\n"
        ),
        ("policy.unknown_fact", 6, 34, "did you mean `priority`?"),
    ),
    "a fact of another type": (
        (
            "cases:\n  - name: x\n    packet: {from: plain, with: {data_classes: pii}}\n"
            "    members: [good]\n    expect: {good: allow}\n"
        ),
        ("policy.fact", 6, 48, "write [pii]"),
    ),
    "an outcome that there is not": (
        "cases:\n  - {name: x, packet: plain, members: [good], expect: {good: allowed}}\n",
        ("policy.value", 5, 62, "did you mean `allow`?"),
    ),
    "a policy that there is not": (
        None,
        ("policy.value", 3, 9, "did you mean `regions`?"),
    ),
    "a case without a packet": (
        "cases:\n  - {name: x, members: [good], expect: {good: allow}}\n",
        ("policy.missing_key", 5, 5, None),
    ),
    "a path that is no number": (
        "properties:\n  - {name: x, monotone: member.region}\n",
        ("policy.test.property", 5, 25, "name a number to raise"),
    ),
}

FIXTURES = "apiVersion: pfgov/v1\nkind: Fixtures\npackets: {plain: {}}\nmembers: {good: {region: eu-west}}\n"


@pytest.mark.parametrize("mistake", TEST_MISTAKES)
def test_a_mistake_in_a_test_is_a_problem_of_the_test(mistake: str, tmp_path: Path) -> None:
    """A misspelt fixture, rule or fact never makes a test pass by accident."""
    text, (code, line, column, hint) = TEST_MISTAKES[mistake]
    body = TEST.replace("regions", "region") + "cases: []\n" if text is None else TEST + text
    found = found_in(tmp_path, {"regions.test.yaml": body, "fixtures/all.yaml": FIXTURES})
    assert [item[:3] for item in found] == [(code, line, column)]
    if hint is not None:
        assert hint in (found[0][3] or "")


def test_a_bad_fixture_is_found_where_it_stands(tmp_path: Path) -> None:
    """A fixture with a value outside a fact's range is a problem of the fixture file."""
    broken = FIXTURES.replace("region: eu-west", "trust_score: 99, statsu: ACTIVE")
    found = found_in(tmp_path, {"a.test.yaml": f"{TEST}cases: []\n", "fixtures/all.yaml": broken})
    assert [item[:3] for item in found] == [
        ("policy.fact", 4, 31),
        ("policy.unknown_fact", 4, 35),
    ]


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    """An author sees every problem of every file in one run, in the order of files and lines."""
    kit.write(
        tmp_path,
        {
            "a.policy.yaml": f"{HEAD}rules:\n  - id: x\n    require: member.trust >= 1\n",
            "b.policy.yaml": "kind: Policy\n",
            "c.policy.yaml": "a: [",
            "d.policy.yaml": kit.policy("  - {id: x, deny: membr.id == ''}\n", name="d"),
        },
    )
    with pytest.raises(PolicyErrors) as caught:
        kit.load_directory(tmp_path)
    files = [Path(problem.file).name for problem in caught.value.problems]
    assert files == sorted(files)
    assert {"a.policy.yaml", "b.policy.yaml", "c.policy.yaml", "d.policy.yaml"} == set(files)
    assert caught.value.exit_status == 3
