"""What a policy author gets wrong: one precise message each, with place and suggestion."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy import PolicyErrors
from pfgov.policy.authoring.checking import check_directory

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
    "a quote that ends too early": (
        f'{HEAD}rules:\n  - id: pii\n    require: "pii" in packet.data_classes\n',
        ("policy.yaml.syntax", 7, 20, """'"pii" in packet.data_classes'"""),
    ),
    "an expression that YAML takes for a tag": (
        f"{HEAD}rules:\n  - id: low\n    require: !(member.trust_score > 0.5)\n",
        ("policy.yaml.syntax", 7, 14, "'!(member.trust_score > 0.5)'"),
    ),
    "a negation that YAML takes for a tag": (
        f"{HEAD}rules:\n  - id: low\n    require: !has(member.region)\n",
        ("policy.yaml.tag", 7, 14, "'!has(member.region)'"),
    ),
    "a tab": (
        f"{HEAD}rules:\n  - id: low\n    require: \tmember.trust_score > 0.5\n",
        ("policy.yaml.syntax", 7, 14, "use spaces"),
    ),
    "half an offset": (
        f"{HEAD}rules:\n  - id: day\n    require: now.getHours('+2') > 8\n",
        ("cel.zone", 7, 27, "+02:00"),
    ),
    "an offset that there is not": (
        f"{HEAD}rules:\n  - id: day\n    require: now.getHours('+99:00') > 8\n",
        ("cel.always_fails", 7, 14, "from -23:59 to +23:59"),
    ),
    "a date for a time": (
        f"{HEAD}rules:\n  - id: until\n    require: now < timestamp('2026-12-01')\n",
        ("cel.always_fails", 7, 20, "2026-12-01T00:00:00Z"),
    ),
    "a division by zero": (
        f"{HEAD}rules:\n  - id: half\n    require: packet.priority / 0 > 1\n",
        ("cel.always_fails", 7, 14, "not zero"),
    ),
    "a remainder of a param that is zero": (
        (
            f"{HEAD}params: {{z: {{type: int, value: 0}}}}\n"
            "rules:\n  - id: odd\n    require: packet.priority % params.z == 1\n"
        ),
        ("cel.always_fails", 8, 14, "not zero"),
    ),
    "a failure in a variable": (
        f"{HEAD}variables:\n  late: now > timestamp('soon')\nrules:\n  - {{id: late, deny: variables.late}}\n",
        ("cel.always_fails", 6, 15, "2026-12-01T00:00:00Z"),
    ),
    "a key that a param has not": (
        (
            f"{HEAD}params: {{t: {{type: 'map(string, int)', value: {{a: 1}}}}}}\n"
            "rules:\n  - id: t\n    require: params.t['b'] > packet.priority\n"
        ),
        ("cel.always_fails", 8, 14, None),
    ),
    "a month too many": (
        f"{HEAD}rules:\n  - id: xmas\n    deny: now.getMonth() == 12\n",
        ("cel.constant", 7, 11, "from 0 to 11"),
    ),
    "a day that no week has": (
        f"{HEAD}rules:\n  - id: weekend\n    deny: now.getDayOfWeek() in [6, 7]\n",
        ("cel.never_equal", 7, 37, "from 0 to 6"),
    ),
    "a size below nothing": (
        f"{HEAD}rules:\n  - id: some\n    require: 0 <= size(member.capabilities)\n",
        ("cel.constant", 7, 14, "from 0 to 64"),
    ),
    "a right that there is not": (
        f"{HEAD}rules:\n  - id: asked\n    require: \"'opertor' in principal.rights\"\n",
        ("cel.never_equal", 7, 15, "did you mean `operator`?"),
    ),
    "a right that there is not, in a loop": (
        f"{HEAD}rules:\n  - id: asked\n    require: principal.rights.exists(r, r in ['admin', 'revewer'])\n",
        ("cel.never_equal", 7, 41, "did you mean `reviewer`?"),
    ),
    "a last owner where there is none yet": (
        f"{HEAD}rules:\n  - id: same\n    require: source.region == member.region\n",
        ("policy.always_denies", 6, 9, "on: [handoff, accept]"),
    ),
    "a question whether there is a last owner": (
        f"{HEAD}rules:\n  - id: same\n    on: [assign]\n    deny: has(source.region)\n",
        ("policy.always_denies", 6, 9, "at another decision point"),
    ),
    "a rule about another decision point": (
        f"{HEAD}rules:\n  - id: kept\n    when: action == 'retain'\n    deny: member.trust_score < 0.2\n",
        ("policy.never_applies", 6, 9, "another decision point"),
    ),
    "a rule that a stricter one makes needless": (
        (
            f"{HEAD}rules:\n  - {{id: a, require: member.trust_score > 0.5}}\n"
            "  - {id: b, require: member.trust_score > 0.9}\n"
        ),
        ("policy.shadowed", 6, 10, "`b` is on line 7"),
    ),
    "a denial that a broader one makes needless": (
        (
            f"{HEAD}rules:\n  - {{id: a, when: packet.priority > 5, deny: member.trust_score <= 0.5}}\n"
            "  - {id: b, when: packet.priority > 7 && member.type == 'tool', deny: member.trust_score < 0.5}\n"
        ),
        ("policy.shadowed", 7, 10, "`a` is on line 6"),
    ),
    "an obligation that nobody carries out": (
        f"{HEAD}{BODY}    obligations: [{{type: approval, to: reviewer}}]\n",
        ("policy.undoable", 6, 9, "`escalate`"),
    ),
    "an index inside braces": (
        f"{HEAD}rules:\n  - {{id: eu, require: member.region in ['eu']}}\n",
        ("policy.yaml.syntax", 6, 40, "quote the expression"),
    ),
    "a word for an exclamation mark": (
        f"{HEAD}rules:\n  - id: low\n    require: not has(member.region)\n",
        ("cel.missing_operator", 7, 18, "write !(...)"),
    ),
    "a comparison with null": (
        f"{HEAD}rules:\n  - id: placed\n    deny: member.region == null\n",
        ("cel.type", 7, 11, "has(member.region)"),
    ),
    "a label that no file declares": (
        f"{HEAD}rules:\n  - id: team\n    require: member.labels.team == 'a'\n",
        ("cel.unknown_field", 7, 28, "kind: Labels"),
    ),
    "a rule that allows": (
        f"{HEAD}rules:\n  - id: good\n    allow: member.trust_score > 0.5\n",
        ("policy.unknown_key", 7, 5, "write `require`"),
    ),
    "days in a duration": (
        f"{HEAD}rules:\n  - id: old\n    deny: now - now > duration('2d')\n",
        ("cel.always_fails", 7, 23, "there are no days"),
    ),
    "a class in capitals": (
        f"{HEAD}rules:\n  - id: pii\n    deny: packet.data_classes.exists(k, k == 'PII')\n",
        ("policy.spelling", 7, 41, "did you mean `pii`?"),
    ),
    "a region in capitals": (
        f"{HEAD}rules:\n  - id: eu\n    require: member.region in ['EU', 'eu']\n",
        ("policy.spelling", 7, 14, "did you mean `eu`?"),
    ),
    "a night that ends before it begins": (
        f"{HEAD}rules:\n  - id: night\n    deny: now.getHours() >= 22 && now.getHours() < 6\n",
        ("cel.constant", 7, 11, "two halves: write ||"),
    ),
    "two exceptions of which one always holds": (
        f"{HEAD}rules:\n  - id: w\n    require: packet.workload_type != 'a' || packet.workload_type != 'b'\n",
        ("cel.constant", 7, 14, "write &&"),
    ),
    "a demand that a version gets past": (
        f"{HEAD}rules:\n  - id: shell\n    deny: packet.required_capabilities.exists(r, r == 'shell')\n",
        ("policy.requirement", 7, 50, '"^shell([<>=!~]|$)"'),
    ),
    "a version among names": (
        f"{HEAD}rules:\n  - id: ocr\n    require: \"'ocr>=1.2' in member.capabilities\"\n",
        ("policy.spelling", 7, 15, "capability_match"),
    ),
    "a list compared as a whole": (
        f"{HEAD}rules:\n  - id: pii\n    deny: packet.data_classes == ['pii', 'finance']\n",
        ("policy.whole_list", 7, 11, "packet.data_classes.exists("),
    ),
    "a region with a star": (
        f"{HEAD}rules:\n  - id: eu\n    require: member.region == 'eu-*'\n",
        ("policy.spelling", 7, 14, "region_within"),
    ),
    "true in quotes": (
        f"{HEAD}rules:\n  - id: r\n    deny: packet.handoff.allowed == 'true'\n",
        ("cel.type", 7, 11, "without quotes"),
    ),
    "a word for a number": (
        f"{HEAD}rules:\n  - id: r\n    require: packet.priority == 'high'\n",
        ("cel.type", 7, 14, "numbers with numbers"),
    ),
    "a list as if it were a text": (
        f"{HEAD}rules:\n  - id: r\n    require: packet.data_classes.contains('pii')\n",
        ("cel.type", 7, 34, "item in list"),
    ),
    "what another language calls it": (
        f"{HEAD}rules:\n  - id: r\n    require: member.clearances.containsAll(packet.data_classes)\n",
        ("cel.unknown_function", 7, 32, "sets.contains"),
    ),
    "a length": (
        f"{HEAD}rules:\n  - id: r\n    require: len(packet.data_classes) < 3\n",
        ("cel.unknown_function", 7, 14, "size(x)"),
    ),
    "a property of a list": (
        f"{HEAD}rules:\n  - id: r\n    require: packet.data_classes.length < 3\n",
        ("cel.type", 7, 34, "size(x)"),
    ),
    "a fact that is called": (
        f"{HEAD}rules:\n  - id: r\n    require: now() < timestamp('2030-01-01T00:00:00Z')\n",
        ("cel.unknown_function", 7, 14, "without ()"),
    ),
    "an hour as a field": (
        f"{HEAD}rules:\n  - id: r\n    require: now.hour >= 8\n",
        ("cel.type", 7, 18, "getHours()"),
    ),
    "a presence asked by index": (
        f"{HEAD}rules:\n  - id: r\n    require: has(member.labels['grade'])\n",
        ("cel.macro", 7, 18, None),
    ),
    "an if": (
        f"{HEAD}rules:\n  - id: r\n    require: if packet.priority > 5 then member.trust_score > 0.9\n",
        ("cel.missing_operator", 7, 17, "`when`"),
    ),
    "half a conditional": (
        f"{HEAD}rules:\n  - id: r\n    require: 'packet.priority > 5 ? member.trust_score > 0.9'\n",
        ("cel.syntax", 7, 61, "one : other"),
    ),
    "a percentage": (
        f"{HEAD}rules:\n  - id: r\n    require: member.trust_score > 80%\n",
        ("cel.syntax", 7, 38, "0.8"),
    ),
    "nothing, as elsewhere": (
        f"{HEAD}rules:\n  - id: r\n    deny: member.trust_score == None\n",
        ("cel.unknown_name", 7, 33, "has(member.region)"),
    ),
    "a fact without its owner": (
        f"{HEAD}rules:\n  - id: r\n    require: trust_score > 0.5\n",
        ("cel.unknown_name", 7, 14, "did you mean `member.trust_score`?"),
    ),
    "a record compared as a whole": (
        f"{HEAD}rules:\n  - id: r\n    deny: member.id == packet.submitted_by\n",
        ("cel.type", 7, 11, "name one of them"),
    ),
    "a right in the place of a mapping": (
        f"{HEAD}rules:\n  - id: r\n    when: packet.priority > 5\n    escalate: operator\n",
        ("policy.wrong_type", 8, 15, "{to: ...}"),
    ),
    "a rule that the kernel has already": (
        f"{HEAD}rules:\n  - id: lives\n    require: member.status == 'ACTIVE'\n",
        ("policy.shadowed", 6, 9, "the kernel asks it"),
    ),
    "a member's own word": (
        f"{HEAD}rules:\n  - id: people\n    require: member.type == 'human'\n",
        ("policy.own_word", 6, 9, "clearances"),
    ),
    "a member's own word about a label": (
        f"{HEAD}rules:\n  - id: staff\n    when: packet.priority > 1\n    deny: member.labels.badge != 'staff'\n",
        ("policy.own_word", 6, 9, "member.labels.badge"),
    ),
    "a duty that hangs on a member's own word": (
        (
            f"{HEAD}rules:\n  - id: less\n    when: member.type == 'model'\n"
            "    obligations: [{type: redact, paths: [/name]}]\n"
        ),
        ("policy.own_word", 6, 9, "at register"),
    ),
    "a rule said twice": (
        f"{HEAD}{BODY}  - id: again\n    require: member.trust_score >= 0.6\n",
        ("policy.shadowed", 8, 9, "`trust` is on line 6"),
    ),
}

SOUND = {
    "what is asked of a handoff only": "deny: action == 'handoff' && source.status == 'QUARANTINED'",
    "a closed handoff": "{on: [handoff], deny: action == 'handoff'}",
    "a range that is narrower": "require: now.getMonth() < 11 && now.getHours('-23:59') >= 1",
    "two floors of different facts": "require: member.trust_score > 0.5 && member.reliability > 0.4",
    "what others vouch for": "require: member.type == 'human' && 'approver' in member.clearances",
    "what only a member knows": "require: \"'ocr' in member.capabilities && member.capacity.cpu >= 2.0\"",
    "a label that operators set": "require: member.labels.grade == 'a'",
    "a member's own right": "require: \"'member:m-1' in principal.rights\"",
    "a failure that another operand absorbs": "require: member.trust_score > 0.5 || member.trust_score < params.x",
}


@pytest.mark.parametrize("name", SOUND)
def test_what_may_be_meant_is_left_alone(name: str, tmp_path: Path) -> None:
    """A rule that facts can satisfy and can break is nobody's mistake."""
    body = SOUND[name].strip("{}")
    text = kit.policy(f"  - {{id: a, {body}}}\n", extra="params: {x: {type: double, value: 0.1}}\n")
    found = [code for code, *_ in found_in(tmp_path, {"p.policy.yaml": text})]
    assert set(found) <= {"policy.unused_definitions", "policy.unused_param"}


REGIONS = (
    "apiVersion: pfgov/v1\nkind: Definitions\nmetadata: {name: common/regions, version: '1'}\n"
    "params: {eu: {type: list(string), value: [eu-west]}}\n"
)
USES_REGIONS = kit.policy(
    "  - {id: eu, require: 'region_within(member.region, defs.eu)'}\n",
    name="regions",
    extra="imports: [common/regions]\n",
)
DECLARED = (
    "apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: '1'}\n"
    "member:\n  badge: {type: string, set_by: [member, operator], change: rights}\n"
    "  grade: {type: string, set_by: [operator], change: rights}\n"
)
TEST = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: regions\n"


def found_in(folder: Path, files: dict[str, str]) -> list[tuple[str, int, int, str | None]]:
    """Return (code, line, column, hint) of every problem but the missing tests."""
    kit.write(
        folder,
        {
            **files,
            "regions.yaml": REGIONS,
            "regions.policy.yaml": USES_REGIONS,
            "labels.yaml": DECLARED,
        },
    )
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
        ("policy.test.policy", 3, 9, "did you mean `regions`?"),
    ),
    "a case without a packet": (
        "cases:\n  - {name: x, members: [good], expect: {good: allow}}\n",
        ("policy.missing_key", 5, 5, None),
    ),
    "a denial that looks like an allowance": (
        "cases:\n  - {name: x, packet: plain, members: [good], expect: {good: {allow: false}}}\n",
        ("policy.test.expect", 5, 70, "write `deny`"),
    ),
    "a denial for no reason": (
        "cases:\n  - {name: x, packet: plain, members: [good], expect: {good: {deny: []}}}\n",
        ("policy.test.expect", 5, 69, "name the rules"),
    ),
    "a path of no fact": (
        (
            "cases:\n  - name: x\n    packet: plain\n    members: [good]\n"
            "    expect: {good: {deny: [eu], missing: [member.regoin]}}\n"
        ),
        ("policy.unknown_fact", 8, 43, "did you mean `region`?"),
    ),
    "an obligation that there is not": (
        (
            "cases:\n  - name: x\n    packet: plain\n    members: [good]\n"
            "    expect: {good: {allow: true, obligations: [redakt]}}\n"
        ),
        ("policy.value", 8, 48, "did you mean `redact`?"),
    ),
    "a last owner who is not named": (
        "cases:\n  - {name: x, action: handoff, packet: plain, members: [good], expect: {good: allow}}\n",
        ("policy.missing_key", 5, 5, "source: null"),
    ),
    "a last owner before there is one": (
        "cases:\n  - {name: x, packet: plain, source: good, members: [good], expect: {good: allow}}\n",
        ("policy.test.case", 5, 38, None),
    ),
    "no cases": ("cases: []\n", ("policy.test.empty", 4, 8, None)),
    "no properties": ("properties: []\n", ("policy.test.empty", 4, 13, None)),
    "a case about nobody": (
        "cases:\n  - {name: x, packet: plain, members: [], expect: {}}\n",
        ("policy.test.empty", 5, 39, None),
    ),
    "a property about a fact that there is not": (
        "properties:\n  - {name: x, never: 'decision == \"allow\" && member.trst_score < 0.5'}\n",
        ("cel.unknown_field", 5, 53, "did you mean `trust_score`?"),
    ),
    "a property of another type": (
        "properties:\n  - {name: x, never: packet.priority}\n",
        ("cel.result", 5, 22, None),
    ),
    "a property that is no expression": (
        'properties:\n  - name: x\n    never: decision == "allow" &&\n',
        ("cel.syntax", 6, 34, None),
    ),
    "a property about an outcome that there is not": (
        "properties:\n  - {name: x, never: 'decision == \"alow\"'}\n",
        ("cel.never_equal", 5, 23, "did you mean `allow`?"),
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
    one = "cases:\n  - {name: x, packet: plain, members: [good], expect: {good: allow}}\n"
    body = TEST.replace("regions", "region") + one if text is None else TEST + text
    found = found_in(tmp_path, {"regions.test.yaml": body, "fixtures/all.yaml": FIXTURES})
    assert [item[:3] for item in found] == [(code, line, column)]
    if hint is not None:
        assert hint in (found[0][3] or "")


def test_a_bad_fixture_is_found_where_it_stands(tmp_path: Path) -> None:
    """A fixture with a value outside a fact's range is a problem of the fixture file."""
    broken = FIXTURES.replace("region: eu-west", "trust_score: 99, statsu: ACTIVE")
    found = found_in(tmp_path, {"fixtures/all.yaml": broken})
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


def test_a_comma_inside_braces_says_what_it_did(tmp_path: Path) -> None:
    """An expression that YAML cuts at its comma is told as that, not as an odd key."""
    text = f"{HEAD}rules:\n  - {{id: a, require: packet.data_classes.all(k, k in member.clearances)}}\n"
    hints = [
        hint or ""
        for code, *_, hint in kit.problems(tmp_path, text)
        if code == "policy.unknown_key"
    ]
    assert len(hints) == 1
    assert "quote the expression" in hints[0]


STRICT = kit.policy("  - {id: high, require: member.trust_score >= 0.9}\n", name="strict")
LAX = kit.policy("  - {id: low, require: member.trust_score >= 0.5}\n", name="lax")
LATER = kit.policy(
    "  - {id: low, on: [retain], require: member.trust_score >= 0.5}\n", name="lax", on="[retain]"
)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((STRICT, LAX), [("low", "strict/high")]),
        ((STRICT, STRICT.replace("strict", "again")), [("high", "again/high")]),
        ((STRICT, LATER), []),  # an owner keeps what it would not get
        ((STRICT.replace("on: [place]", "on: [place]\nmode: shadow"), LAX), []),
        (
            (STRICT, LAX.replace("on: [place]", "on: [place]\nmode: shadow")),
            [("low", "strict/high")],
        ),
    ],
)
def test_a_weaker_rule_beside_a_stricter_one_of_another_policy(
    tmp_path: Path, files: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    """Whoever relaxes a rule hears that a stricter one of another file still stands; one in shadow does not."""
    kit.write(tmp_path, {f"f{number}.policy.yaml": text for number, text in enumerate(files)})
    found = [p for p in check_directory(tmp_path).problems if p.code == "policy.shadowed"]
    said = [(p.message.split("`")[1], p.message.split("`")[3]) for p in found]
    assert said == expected
    assert all(".policy.yaml, line" in (p.hint or "") for p in found)
