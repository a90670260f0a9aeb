"""What YAML makes of an expression that somebody wrote: what it cuts, joins or takes along is told as that."""

from pathlib import Path

import pytest
from support import policy_kit as kit
from support.policy_kit import found_in

from pfgov.policy.authoring.checking import check_directory

YAML = [
    # (how a value is written, column, a piece of the hint)
    ("['eu'].exists(r, r == member.region)", 20, "quote the whole of it: \"['eu'].exists"),
    ("{'a': 1}.size() > 0", 22, "quote the whole of it"),
    ("&member.trust_score > 0.5", 14, "quote the value: '&member"),
    ("|member.trust_score > 0.5", 14, "on the next line"),
    (">member.trust_score", 14, "on the next line"),
    ("%member.trust_score", 14, "quote the value"),
    ("!(member.trust_score > 0.5)", 14, "quote the value"),
]


@pytest.mark.parametrize(("value", "column", "hint"), YAML)
def test_a_value_that_yaml_cuts_is_told_as_that(
    tmp_path: Path, value: str, column: int, hint: str
) -> None:
    """A sign that YAML keeps for itself, or a bracket that ends the value, is named; not the indentation."""
    text = kit.policy(f"  - id: r\n    require: {value}\n")
    (found,) = found_in(tmp_path, {"p.policy.yaml": text})
    assert found[:3] == ("policy.yaml.syntax", 7, column)
    assert hint in found[3]


def test_a_comment_that_cuts_a_text_is_named(tmp_path: Path) -> None:
    """Whoever writes ` #` in an unquoted expression is not told to add a quote."""
    text = kit.policy('  - id: r\n    require: member.id == "a # b"\n')
    (found,) = found_in(tmp_path, {"p.policy.yaml": text})
    assert found[:3] == ("cel.unterminated", 7, 27)
    assert "begins a comment" in found[3]


def test_a_file_in_another_encoding_is_told_with_its_place(tmp_path: Path) -> None:
    """An editor's other encoding is named without the line, and without what to do."""
    text = kit.policy("  - id: r\n    require: member.trust_score > 0.5\n    message: gr\u00fcn\n")
    (tmp_path / "p.policy.yaml").write_bytes(text.encode("latin-1"))
    (found,) = check_directory(tmp_path).problems
    assert (found.code, found.line, found.column) == ("policy.yaml.encoding", 8, 16)
    assert found.hint == "save the file as UTF-8"


def test_a_comma_in_braces_is_told_as_that(tmp_path: Path) -> None:
    """A call with two arguments in `{ }` is cut by YAML, and a key that nobody wrote is no help."""
    text = kit.policy("  - {id: r, require: region_within(member.region, ['eu'])}\n")
    (found,) = found_in(tmp_path, {"p.policy.yaml": text})
    assert found[0] == "policy.yaml.key"
    assert "quote the expression" in found[3]


SWALLOWED = [
    (">\n      member.trust_score > 0.5 // floor\n      && member.status == 'ACTIVE'\n", 8, 32),
    (
        ">-\n      member.trust_score > 0.5 &&\n      // floor\n      member.status == 'ACTIVE'\n",
        9,
        7,
    ),
    ("member.trust_score > 0.5 // floor\n      && member.status == 'ACTIVE'\n", 7, 39),
    ("'member.trust_score > 0.5 // floor\n      && member.id != \"b\"'\n", 7, 40),
    ("\"member.trust_score > 0.5 // floor\n      && member.id != 'b'\"\n", 7, 40),
    ('"member.trust_score > 0.5 // floor\n      && member.id != \\"b\\""\n', 7, 14),
    ("\"member.trust_score > 0.5 // floor\\r && member.id != 'b'\"\n", 7, 14),
    ("\"member.trust_score > 0.5 // floor\\L && member.id != 'b'\"\n", 7, 14),
]


@pytest.mark.parametrize(("value", "line", "column"), SWALLOWED)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_comment_does_not_swallow_what_stands_below_it(
    tmp_path: Path, value: str, line: int, column: int, end: str
) -> None:
    """Where YAML joins lines a comment would go on to the end of the last one, and its condition is never asked."""
    text = kit.policy(f"  - id: r\n    require: {value}").replace("\n", end)
    (tmp_path / "p.policy.yaml").write_bytes(text.encode())
    (found,) = check_directory(tmp_path).problems
    assert (found.code, found.line, found.column) == ("policy.comment", line, column)


KEPT = [
    "|\n      member.trust_score > 0.5 // floor\n      && member.status == 'ACTIVE'\n",
    ">\n      member.trust_score > 0.5\n      && member.status == 'ACTIVE' // the last line\n",
    ">\n      member.trust_score > 0.5 && // a line that is kept\n\n      member.status == 'ACTIVE'\n",
    "member.trust_score > 0.5 // floor\n",
    "'member.id != \"a//b\"\n      && member.trust_score > 0.5'\n",
]


@pytest.mark.parametrize("value", KEPT)
def test_a_comment_that_ends_with_its_line_is_fine(tmp_path: Path, value: str) -> None:
    """A comment is refused for what it hides, and not for standing in an expression."""
    text = kit.policy(f"  - id: r\n    require: {value}")
    assert [
        one for one in found_in(tmp_path, {"p.policy.yaml": text}) if one[0] == "policy.comment"
    ] == []


def test_nothing_is_missed_on_the_line_of_its_key(tmp_path: Path) -> None:
    """A key without a value is a problem of the key, and not of the line after it."""
    (found,) = found_in(tmp_path, {"p.policy.yaml": kit.policy("  - id: r\n    require:\n")})
    assert found[:3] == ("policy.wrong_type", 7, 5)
