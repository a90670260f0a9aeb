"""What an author writes who comes from another language: one message each, with what to write here."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.policy.authoring.checking import check_directory

WRITTEN = [
    # (rule, code, column, a piece of the hint)
    ("member.trust_score >= 0,6", "cel.syntax", 37, "0.6"),
    ("packet.priority > 1,000", "cel.syntax", 33, "1000"),
    ("packet.priority > 1_000", "cel.number", 32, "write 1000"),
    ("member.trust_score => 0.6", "cel.character", 33, "write >="),
    ("packet.data_classes.all(c => c == 'a')", "cel.character", 40, "list.all(x, condition)"),
    ("packet.data_classes.all(c -> c == 'a')", "cel.syntax", 41, "list.all(x, condition)"),
    ("member.region =~ 'eu.*'", "cel.character", 28, "text.matches(pattern)"),
    ("member.region ~ 'eu.*'", "cel.character", 28, "text.matches(pattern)"),
    ("member.region like 'eu%'", "cel.missing_operator", 28, "text.matches(pattern)"),
    ("now.getHours() between 8 and 17", "cel.missing_operator", 29, "x >= low && x <= high"),
    ("8 <= now.getHours() <= 17", "cel.type", 14, "both halves"),
    ("member.trust_score ?? 0.0 > 0.5", "cel.syntax", 34, "has(x) ? x : other"),
    ("default(member.trust_score, 0.0) > 0.5", "cel.unknown_function", 14, "has(x) ? x : other"),
    ("exists(member.region)", "cel.unknown_function", 14, "has(member.region)"),
    ("packet.workload_type.equals('a')", "cel.unknown_function", 35, "write =="),
    ("packet.priority ** 2 > 4", "cel.syntax", 31, "x * x"),
    ("abs(packet.priority) > 4", "cel.unknown_function", 14, "math.abs(x)"),
    ("math.max(member.trust_score, 0.5) > 0.6", "cel.unknown_function", 19, "math.greatest(x, y)"),
    ("math.ab(packet.priority) > 4", "cel.unknown_function", 19, "did you mean `math.abs`?"),
    (
        "time.now() > timestamp('2027-01-01T00:00:00Z')",
        "cel.unknown_function",
        19,
        "`now` is a fact",
    ),
    (
        "set.contains(member.clearances, ['pii'])",
        "cel.unknown_function",
        18,
        "did you mean `sets.contains`?",
    ),
    ("membr.allowed(packet)", "cel.unknown_function", 20, "did you mean `member`?"),
    (
        "membr.clearances.contains(packet.data_classes)",
        "cel.unknown_name",
        14,
        "did you mean `member`?",
    ),
    ("input.priority > 4", "cel.unknown_name", 14, "who asks is `principal`"),
    ("P.trust > 0.5", "cel.unknown_name", 14, "who asks is `principal`"),
    ("oldMember.region == member.region", "cel.unknown_name", 14, "`before`"),
    ("packet.region == member.region", "cel.unknown_field", 21, "allowed_regions"),
    ("member has region", "cel.missing_operator", 21, "has(member.region)"),
    ("packet.owner == member.id", "cel.unknown_field", 21, "`source` at a handoff"),
    ("member.region in 'eu'", "cel.type", 14, "x == text"),
    ("packet.data_classes in member.clearances", "cel.type", 14, "sets.contains"),
    ("member.trust_score > '0.5'", "cel.type", 14, "without quotes"),
    ("now > '2027-01-01T00:00:00Z'", "cel.type", 14, "timestamp("),
    ("now + 3600 > timestamp('2027-01-01T00:00:00Z')", "cel.type", 14, "duration("),
    ("now - timestamp('2027-01-01T00:00:00Z') < 3600", "cel.type", 14, "duration("),
    ("now > timestamp(2027)", "policy.early_time", 20, 'timestamp("2027-01-01T00:00:00Z")'),
    ("member.load.active / 3 < 0.8", "policy.whole_division", 14, "double(x)"),
]


@pytest.mark.parametrize(("rule", "code", "column", "hint"), WRITTEN)
def test_what_another_language_writes_is_told_as_what_to_write_here(
    tmp_path: Path, rule: str, code: str, column: int, hint: str
) -> None:
    """A sign, a word or a habit of another language is one problem, where it stands, with its counterpart."""
    quoted = rule.replace('"', '\\"')
    text = kit.policy(f'  - id: r\n    require: "{quoted}"\n')
    kit.write(tmp_path, {"p.policy.yaml": text})
    found = check_directory(tmp_path).problems
    assert [(p.code, p.line, p.column) for p in found] == [(code, 7, column + 1)]
    assert hint in (found[0].hint or "")


@pytest.mark.parametrize(
    "rule",
    [
        "double(member.load.active) / double(packet.priority + 1) < 0.8",
        "member.load.active / 3 < 2",
        "now > timestamp(1800000000)",
        "now > timestamp('2027-01-01T00:00:00Z') - duration('1h')",
        "packet.priority > 5 ? member.trust_score > 0.5 : member.trust_score > 0.4",
    ],
)
def test_what_is_written_so_here_is_left_alone(tmp_path: Path, rule: str) -> None:
    """The counterparts themselves say nothing."""
    kit.write(tmp_path, {"p.policy.yaml": kit.policy(f'  - id: r\n    require: "{rule}"\n')})
    assert check_directory(tmp_path).problems == ()


@pytest.mark.parametrize(
    ("keys", "hint"),
    [
        ("effect: deny", "`require`, `deny` or `escalate`"),
        ("condition: 'true'", "under `when`"),
        ("actions: [place]", "under `on`"),
        ("deny: [member.type == 'tool']", "join conditions with &&"),
    ],
)
def test_a_key_of_another_language_is_told_as_the_key_here(
    tmp_path: Path, keys: str, hint: str
) -> None:
    """A rule written as elsewhere is not told that it meant `obligations`."""
    text = kit.policy(f"  - id: r\n    when: packet.priority > 4\n    {keys}\n")
    kit.write(tmp_path, {"p.policy.yaml": text})
    assert any(hint in (problem.hint or "") for problem in check_directory(tmp_path).problems)


def test_the_name_of_a_file_makes_no_line(tmp_path: Path) -> None:
    """A line break in a file's name is shown as one, and forges no problem of another file."""
    kit.write(tmp_path, {"a\nb.policy.yaml": "kind: Policy\n"})
    for problem in check_directory(tmp_path).problems:
        assert problem.as_text().startswith(f"{tmp_path}/a\\nb.policy.yaml:")
