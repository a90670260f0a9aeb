"""Mistakes that an author made who wrote three companies' rules from the documents alone: one precise message each.

The hospital reads pictures, the bank pays, the games studio moderates.  What the same author told
tests that cannot occur is in ``test_policy_author_fixtures``.
"""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.editing.fixing import fix_of

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


@pytest.mark.parametrize(
    ("point", "rule"), [(row[1], row[2]) for row in RULES if "did you mean" in row[5]]
)
def test_what_was_probably_meant_is_put_in_its_place(tmp_path: Path, point: str, rule: str) -> None:
    """The fix that an editor offers replaces just the misspelt word, and the rule is well then."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    kit.write(tmp_path, {"labels.yaml": LABELS, "p.policy.yaml": text})
    (problem,) = check_directory(tmp_path).problems
    fix = fix_of(problem, text.splitlines())
    assert fix is not None
    lines = text.splitlines(keepends=True)
    line = lines[fix.line]
    lines[fix.line] = f"{line[: fix.start]}{fix.text}{line[fix.end :]}"
    assert found_in(tmp_path, {"p.policy.yaml": "".join(lines)}) == []


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


OWN_WORD = [
    ("complete", "require: packet.step == 'done'", "packet.reviews"),
    ("retain", "deny: packet.step == 'stuck' && packet.labels.risk == 'high'", "packet.reviews"),
    (
        "complete",
        "deny: \"packet.step != 'done' && !('x' in member.clearances)\"",
        "packet.reviews",
    ),
    ("export", "require: reason == 'audit'", "principal.rights"),
    ("place", "require: member.labels.grade == 'a' || member.type == 'human'", "member.type"),
    ("place", "deny: \"member.type == 'agent' && !('x' in member.clearances)\"", "member.type"),
    (
        "place",
        "require: \"member.type == 'human' || 'operator' in principal.rights\"",
        "member.type",
    ),
]


@pytest.mark.parametrize(("point", "rule", "hint"), OWN_WORD)
def test_a_way_past_a_rule_on_ones_own_word_is_doubtful(
    tmp_path: Path, point: str, rule: str, hint: str
) -> None:
    """An operand that is enough, an owner's step, a reason that is given: whoever is judged says it of itself."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    found = found_in(tmp_path, {"p.policy.yaml": text})
    assert [(code, line) for code, line, *_ in found] == [("policy.own_word", 6)]
    assert hint in found[0][3]


@pytest.mark.parametrize(
    ("point", "rule"),
    [
        ("place", "require: member.labels.grade == 'a' && member.type == 'human'"),
        ("place", "deny: packet.step == 'stuck'"),  # whose word it is is not judged
        ("handoff", "deny: reason == 'requested' && source.status == 'QUARANTINED'"),
        ("place", "require: has(member.capacity.tasks) || member.trust_score > 0.5"),
    ],
)
def test_what_another_vouches_for_beside_it_is_left_alone(
    tmp_path: Path, point: str, rule: str
) -> None:
    """A rule that no word of the judged one passes is nobody's mistake."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    assert found_in(tmp_path, {"p.policy.yaml": text}) == []


LATER = [
    ("register", "deny: \"'approver' in member.clearances\"", "on: [register, update_member]"),
    ("register", "require: member.labels.grade == 'a'", "on: [register, update_member]"),
    ("submit", "deny: packet.labels.risk == 'high'", "on: [submit, update]"),
    ("submit", "require: packet.priority < 5", "on: [submit, update]"),
]


@pytest.mark.parametrize(("point", "rule", "hint"), LATER)
def test_a_rule_that_a_later_change_goes_past_is_doubtful(
    tmp_path: Path, point: str, rule: str, hint: str
) -> None:
    """What is asked when something comes in, and may be changed unasked, is said; asked there too, it is well."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    found = found_in(tmp_path, {"p.policy.yaml": text})
    assert [(code, line) for code, line, *_ in found] == [("policy.later_change", 6)]
    assert hint in found[0][3]
    both = kit.policy(f"  - id: r\n    {rule}\n", on=hint.removeprefix("on: "))
    assert found_in(tmp_path, {"p.policy.yaml": both}) == []


@pytest.mark.parametrize(
    ("point", "rule"),
    [
        ("register", "require: has(member.region)"),
        ("submit", "deny: packet.labels.amount > 5"),  # declared to change never
        ("submit", "deny: packet.workload_type == 'a'"),
        ("register, retain", "deny: member.region == 'eu'"),
    ],
)
def test_what_cannot_change_or_is_asked_again_is_left_alone(
    tmp_path: Path, point: str, rule: str
) -> None:
    """A fact that stays as it came in needs no second question."""
    text = kit.policy(f"  - id: r\n    {rule}\n", on=f"[{point}]")
    assert found_in(tmp_path, {"p.policy.yaml": text}) == []


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
