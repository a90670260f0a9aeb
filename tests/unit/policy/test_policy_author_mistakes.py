"""Mistakes that an author made who wrote three companies' rules from the documents alone: one precise message each.

The hospital reads pictures, the bank pays, the games studio moderates.  Beside each mistake in a rule stands its kind
in fixtures and cases: what no door lets in is not told to a test either.
"""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy.authoring.checking import check_directory

LABELS = (
    "apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: '1'}\n"
    "packet:\n  risk: {type: string, enum: [low, medium, high], set_by: [submitter], change: narrow}\n"
    "  amount: {type: int, set_by: [submitter]}\n"
    "member:\n  grade: {type: string, set_by: [operator], change: rights}\n"
)

RULES = [
    # (what is wrong, decision point, rule, code, column, a piece of the hint)
    (
        "a class in capitals, by its beginning",
        "place",
        "deny: packet.data_classes.exists(c, c.startsWith('PII.'))",
        "policy.spelling",
        41,
        "did you mean `pii.`?",
    ),
    (
        "a class in capitals, by a pattern",
        "place",
        "deny: packet.data_classes.exists(c, c.matches('^PII'))",
        "policy.spelling",
        41,
        "did you mean `^pii`?",
    ),
    (
        "clearances in capitals, as a set",
        "place",
        "require: 'sets.contains(member.clearances, [\"PII\"])'",
        "policy.spelling",
        15,
        "did you mean `pii`?",
    ),
    (
        "a region in capitals, within",
        "place",
        "require: 'region_within(member.region, [\"EU\"])'",
        "policy.spelling",
        15,
        "did you mean `eu`?",
    ),
    (
        "a capability in capitals, with a version",
        "place",
        "require: capability_match('OCR>=1.2', member.capability_versions)",
        "policy.spelling",
        14,
        "did you mean `ocr`?",
    ),
    (
        "a requirement that is none",
        "place",
        "require: capability_match('ocr => 1.2', member.capability_versions)",
        "cel.always_fails",
        14,
        '"ocr>=1.2,<2"',
    ),
    (
        "versions compared as texts",
        "place",
        "require: \"member.capability_versions['ocr'] >= '1.10'\"",
        "policy.text_order",
        15,
        "capability_match(",
    ),
    (
        "grades compared as texts",
        "place",
        "require: member.labels.grade >= 'b'",
        "policy.text_order",
        14,
        "list the texts",
    ),
    (
        "one case compared with the other",
        "place",
        "deny: packet.workload_type.lowerAscii() == 'Payment'",
        "cel.never_equal",
        11,
        "did you mean `payment`?",
    ),
    (
        "a status in small letters compared with capitals",
        "place",
        "deny: member.status.lowerAscii() == 'ACTIVE'",
        "cel.constant",
        11,
        "one of ACTIVE",
    ),
    (
        "a status that begins as none does",
        "place",
        "deny: member.status.startsWith('Quar')",
        "cel.constant",
        11,
        "QUARANTINED",
    ),
    (
        "all that a fact can be",
        "place",
        "deny: packet.handoff.allowed || !packet.handoff.allowed",
        "cel.constant",
        11,
        "true or false",
    ),
    (
        "a fact compared with itself",
        "place",
        "deny: packet.priority == packet.priority",
        "cel.constant",
        11,
        "name another one",
    ),
    (
        "a choice between equals",
        "place",
        "deny: 'packet.priority > 5 ? false : false'",
        "cel.constant",
        12,
        "without `?`",
    ),
    (
        "a share of nothing",
        "place",
        "require: packet.demand.cpu / 0.0 > 1.0",
        "cel.constant",
        14,
        "not zero",
    ),
    (
        "an operand that decides alone",
        "place",
        "deny: true || packet.priority > 5",
        "cel.constant",
        11,
        "leave that operand out",
    ),
    (
        "a principal by a right of its",
        "place",
        "deny: principal.id == 'member:anna'",
        "policy.spelling",
        11,
        "key:...",
    ),
    (
        "principals by a beginning that none has",
        "place",
        "require: principal.id.startsWith('member:')",
        "policy.spelling",
        14,
        "key:...",
    ),
    (
        "who asks does not do, by the wrong id",
        "place",
        "deny: member.id == packet.submitted_by.id",
        "policy.other_id",
        11,
        "packet.submitted_by.members",
    ),
    (
        "who reviews does not work, by the wrong ids",
        "place",
        "deny: member.id in packet.reviews",
        "policy.other_id",
        11,
        "packet.reviewed_for",
    ),
    (
        "a reviewer who is a member",
        "place",
        "deny: \"'anna' in packet.reviews\"",
        "policy.spelling",
        12,
        "key:...",
    ),
    (
        "an owner who is a key",
        "place",
        "deny: packet.previous_owners.exists(o, o == 'key:a')",
        "policy.spelling",
        44,
        "none of key:",
    ),
    (
        "a right that begins as none does",
        "place",
        "deny: principal.rights.exists(r, r.startsWith('members:'))",
        "policy.spelling",
        38,
        "member:ID",
    ),
    (
        "a sign of another language",
        "place",
        "deny: packet.priority <> 3",
        "cel.character",
        27,
        "write !=",
    ),
    (
        "a word between two operands",
        "place",
        "deny: packet.data_classes contains 'pii'",
        "cel.missing_operator",
        31,
        "item in list",
    ),
    (
        "a day by its name",
        "place",
        "deny: now.getDayOfWeek() == 'Friday'",
        "cel.type",
        11,
        "0 is Sunday",
    ),
    (
        "a month by its name",
        "place",
        "deny: now.getMonth() in ['May']",
        "cel.type",
        11,
        "0 is January",
    ),
    (
        "an optional fact compared with null, named",
        "place",
        "deny: packet.step == null",
        "cel.type",
        11,
        "has(packet.step)",
    ),
    (
        "a range with two ends",
        "place",
        "require: now.getHours() in lists.range(8, 18)",
        "cel.type",
        38,
        "x >= low",
    ),
    (
        "a member's ids with a blank",
        "place",
        "deny: member.id in ['Bob Smith']",
        "policy.spelling",
        11,
        "no blanks",
    ),
    (
        "a point that a review is not for",
        "review",
        "deny: review.point == 'assign'",
        "policy.spelling",
        11,
        "`place`",
    ),
    (
        "a rule to be reviewed without its policy",
        "review",
        "deny: \"'four-eyes' in review.rules\"",
        "policy.spelling",
        12,
        "POLICY/RULE",
    ),
    (
        "a decision point that a set cannot cover",
        "activate",
        "require: \"'asign' in activation.points\"",
        "cel.never_equal",
        15,
        "did you mean `assign`?",
    ),
    (
        "a set by a word",
        "activate",
        "deny: activation.digest == 'latest'",
        "policy.spelling",
        11,
        "64 digits",
    ),
    (
        "a subject in the plural",
        "export",
        "deny: export.subject.startsWith('packets/')",
        "policy.spelling",
        11,
        "packet/ID",
    ),
    (
        "a region in capitals, as it was",
        "update_member",
        "deny: before.region == 'EU'",
        "policy.spelling",
        11,
        "did you mean `eu`?",
    ),
    (
        "every value of a label",
        "place",
        "deny: packet.labels.risk in ['low', 'medium', 'high']",
        "cel.constant",
        11,
        "has(packet.labels.risk)",
    ),
]


def found_in(folder: Path, files: dict[str, str]) -> list[tuple[str, int, int, str]]:
    """Return (code, line, column, hint) of every problem of *files*."""
    kit.write(folder, {"labels.yaml": LABELS, **files})
    return [(p.code, p.line, p.column, p.hint or "") for p in check_directory(folder).problems]


@pytest.mark.parametrize(("name", "point", "rule", "code", "column", "hint"), RULES)
def test_a_rule_that_cannot_be_meant_gives_one_message(
    tmp_path: Path, name: str, point: str, rule: str, code: str, column: int, hint: str
) -> None:
    """Each mistake is one problem, where it stands, with what to write instead."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    found = found_in(tmp_path, {"p.policy.yaml": text})
    assert [item[:3] for item in found] == [(code, 7, column)], name
    assert hint in found[0][3]


MEANT = [
    ("place", "deny: packet.data_classes.exists(c, c.startsWith('pii.'))"),
    ("place", "deny: packet.data_classes.exists(c, c.matches('(?i)^PII'))"),
    (
        "place",
        "deny: packet.data_classes.exists(c, class_within(c, 'PII'))",
    ),  # capitals lead out of no class
    ("place", "deny: principal.id.startsWith('key:') || principal.id == 'anna'"),
    (
        "place",
        "deny: \"packet.labels.risk == 'low' ? member.trust_score < 0.5 : member.trust_score < 0.6\"",
    ),
    (
        "place",
        "deny: packet.labels.risk.startsWith('hi') && packet.labels.risk != packet.workload_type",
    ),
    (
        "place",
        "deny: packet.reviewed_for.exists(m, m == member.id) || member.id in packet.submitted_by.members",
    ),
    ("review", "deny: principal.id == packet.submitted_by.id || principal.id in packet.reviews"),
    ("place", "require: capability_match('ocr>=1.2,<2', member.capability_versions)"),
    ("update_member", "deny: size(before.clearances) < size(member.clearances)"),
    ("export", "deny: export.subject.startsWith('packet/') || export.subject == 'policy'"),
    ("place", "deny: \"'member:' + member.id in principal.rights\""),
]


@pytest.mark.parametrize(("point", "rule"), MEANT)
def test_what_may_be_meant_beside_it_is_left_alone(tmp_path: Path, point: str, rule: str) -> None:
    """The right way to say each of these is nobody's mistake."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    assert found_in(tmp_path, {"p.policy.yaml": text}) == []


CASES = [
    # (what is wrong, what it is of, facts, code, a piece of the hint or the message)
    (
        "a demand in capitals",
        "packet",
        "{required_capabilities: [OCR]}",
        "policy.fact",
        "did you mean ocr?",
    ),
    (
        "a demand that is none",
        "packet",
        "{required_capabilities: ['ocr=>1']}",
        "policy.fact",
        "version specifier",
    ),
    ("an id with a blank", "packet", "{packet_id: 'a b'}", "policy.fact", "no blanks"),
    (
        "an owner with a blank",
        "packet",
        "{previous_owners: [Bob Smith]}",
        "policy.fact",
        "no blanks",
    ),
    (
        "a number for a label",
        "packet",
        "{labels: {amount: 20000}}",
        "policy.fact",
        'quote it: "20000"',
    ),
    (
        "a submitter who is nobody",
        "packet",
        "{submitted_by: {id: anna}}",
        "policy.test.packet",
        "key:...",
    ),
    (
        "a submitter for somebody else",
        "packet",
        "{submitted_by: {id: anna, members: [bob]}}",
        "policy.test.packet",
        "key:...",
    ),
    (
        "the local operator for a member",
        "packet",
        "{submitted_by: {id: local, members: [a]}}",
        "policy.test.packet",
        "acts for no member",
    ),
    (
        "a reviewer who is a member",
        "packet",
        "{reviews: [anna]}",
        "policy.fact",
        "no right but the member's",
    ),
    (
        "a capability in capitals",
        "member",
        "{capabilities: [OCR]}",
        "policy.fact",
        "did you mean ocr?",
    ),
    (
        "a versioned capability in capitals",
        "member",
        "{capabilities: [{name: OCR, version: '1'}]}",
        "policy.fact",
        "did you mean ocr?",
    ),
    ("a member with a blank", "member", "{id: 'm 1'}", "policy.fact", "no blanks"),
    ("trust in per cent", "member", "{trust_score: 95}", "policy.fact", "write 0.95"),
    (
        "a right that there is not",
        "principal",
        "{id: 'key:a', rights: [review]}",
        "policy.fact",
        "did you mean `reviewer`?",
    ),
    (
        "the local operator with few rights",
        "principal",
        "{id: local, rights: [submitter]}",
        "policy.test.principal",
        "are admin, assessor",
    ),
    (
        "nobody with rights",
        "principal",
        "{id: anyone, rights: [admin]}",
        "policy.test.principal",
        "are none",
    ),
    (
        "a key with the engine's right",
        "principal",
        "{id: 'key:a', rights: [engine]}",
        "policy.test.principal",
        "pfgov:engine's alone",
    ),
    (
        "a key with an issuer",
        "principal",
        "{id: 'key:a', issuer: 'https://x', rights: [operator]}",
        "policy.test.principal",
        "no issuer",
    ),
    (
        "a token with a key's name",
        "principal",
        "{id: 'oidc:x', name: Anna}",
        "policy.test.principal",
        "no name",
    ),
    (
        "a key without a name after it",
        "principal",
        "{id: 'key:', rights: [operator]}",
        "policy.fact",
        "key:...",
    ),
    (
        "a review for no such point",
        "case",
        "action: review, packet: p, review: {point: assign}, expect: allow",
        "policy.fact",
        "`place`",
    ),
    (
        "a reviewed rule without its policy",
        "case",
        "action: review, packet: p, review: {rules: [four]}, expect: allow",
        "policy.fact",
        "POLICY/RULE",
    ),
    (
        "an export of one subject that is not named",
        "case",
        "action: export, export: {kind: subject}, expect: allow",
        "policy.test.case",
        "subject: packet/ID",
    ),
    (
        "a subject that is none",
        "case",
        "action: export, export: {kind: subject, subject: p}, expect: allow",
        "policy.fact",
        "packet/ID",
    ),
    (
        "a covered point that there is not",
        "case",
        "action: activate, activation: {points: [asign]}, expect: allow",
        "policy.fact",
        "did you mean `assign`?",
    ),
    (
        "one outcome for several members",
        "case",
        "packet: p, members: [m], expect: allow",
        "policy.wrong_type",
        "expect: {m: allow}",
    ),
    (
        "a member where there is none",
        "case",
        "action: submit, packet: p, expect: {m: allow}",
        "policy.test.expect",
        "expect: allow",
    ),
    (
        "facts without `with`",
        "case",
        "packet: {labels: {amount: '3'}}, members: [m], expect: {m: allow}",
        "policy.test.case",
        "{with: {...}}",
    ),
    (
        "one member that is no list",
        "case",
        "packet: p, members: m, expect: {m: deny}",
        "policy.wrong_type",
        "write [m]",
    ),
]

POLICY = kit.policy(
    "  - id: a\n    on: [assign]\n    deny: packet.labels.amount > 5\n"
    "  - id: b\n    deny: principal.rights.exists(r, r == 'admin')\n",
    on="[assign, submit, review, export, activate]",
)


@pytest.mark.parametrize(("name", "root", "facts", "code", "said"), CASES)
def test_what_cannot_occur_is_told_to_no_test(
    tmp_path: Path, name: str, root: str, facts: str, code: str, said: str
) -> None:
    """A fixture or a case that no door lets in is one problem with its remedy, and never a green test."""
    known = {
        "packet": "p: {}",
        "member": "m: {}",
        "principal": "q: {id: 'key:a', rights: [operator]}",
    }
    if root != "case":
        known[root] = f"{known[root][0]}: {facts}"
    case = "packet: p, members: [m], principal: q, expect: {m: allow}" if root != "case" else facts
    fixtures = "".join(f"{one}s:\n  {text}\n" for one, text in known.items())
    kit.write(
        tmp_path,
        {
            "labels.yaml": LABELS,
            "p.policy.yaml": POLICY,
            "p.test.yaml": f"apiVersion: pfgov/v1\nkind: PolicyTest\ncases:\n  - {{name: x, {case}}}\n",
            "fixtures/f.yaml": f"apiVersion: pfgov/v1\nkind: Fixtures\n{fixtures}",
        },
    )
    found = check_directory(tmp_path).problems
    assert [problem.code for problem in found] == [code], name
    assert said in f"{found[0].message} {found[0].hint}"


def test_a_label_whose_declaration_is_wrong_is_one_problem(tmp_path: Path) -> None:
    """A broken declaration is told once, and not again wherever the label is read."""
    for wrong, hint in (("set_by: submitter", "write [submitter]"), ("set_by: []", "name who may")):
        broken = LABELS.replace("{type: int, set_by: [submitter]", "{type: int, " + wrong)
        kit.write(
            tmp_path,
            {
                "labels.yaml": broken,
                "p.policy.yaml": kit.policy("  - {id: a, deny: packet.labels.amount > 5}\n"),
            },
        )
        found = check_directory(tmp_path).problems
        assert [problem.hint for problem in found] == [hint]
