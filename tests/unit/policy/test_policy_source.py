"""The strict YAML reader: what it refuses, and that it knows where things stand."""

import time

import pytest

from pfgov.policy.files.source import Entries, Scalar, SourceError, plain, read
from pfgov.policy.limits import FILE_BYTES_MAX, YAML_DEPTH_MAX

REFUSED = [
    ("a: 1\na: 2", "duplicate_key", 2, 1),
    ("a: {b: 1, b: 2}", "duplicate_key", 1, 11),
    ("a: no", "boolean", 1, 4),
    ("a: ON", "boolean", 1, 4),
    ("a: [y]", "boolean", 1, 5),
    ("off: 1", "boolean", 1, 1),
    ("a: NULL", "boolean", 1, 4),
    ("a: &x 1", "alias", 1, 4),
    ("a: [1]\nb: *x", "alias", 2, 4),
    ("<<: {a: 1}", "merge_key", 1, 1),
    ("a: !!python/object:os.system x", "tag", 1, 4),
    ("a: !x y", "tag", 1, 4),
    ("--- 1\n--- 2", "documents", 2, 1),
    ("%YAML 1.1\n---\na: 1", "directive", 2, 1),
    ("", "empty", 1, 1),
    ("# only a comment", "empty", 1, 1),
    ("a: [1, 2", "syntax", 1, 9),
    ("a: b: c", "syntax", 1, 5),
    ("a: 012", "number", 1, 4),
    ("a: 0x1F", "number", 1, 4),
    ("a: 1_000", "number", 1, 4),
    ("a: .nan", "number", 1, 4),
    ("a: -.inf", "number", 1, 4),
    ("a: 1e999", "number", 1, 4),
    ("? [a]\n: b", "key", 1, 3),
    ('a: "\\ud800"', "text", 1, 4),
    ("a: " + "[" * YAML_DEPTH_MAX + "]" * YAML_DEPTH_MAX, "too_deep", 1, 3 + YAML_DEPTH_MAX),
    ("a: " + "x" * FILE_BYTES_MAX, "too_large", 1, 1),
]


@pytest.mark.parametrize("odd", ['"a" b: c', "- : : :", "a: !x y", "a: {b} c"])
def test_a_long_line_is_refused_at_once(odd: str) -> None:
    """What was probably meant is guessed by going back and forth in a line: 256 kB take a quarter of an hour."""
    begun = time.process_time()
    with pytest.raises(SourceError):
        read(f"a: b\n{' ' * 60_000}{odd}\n", "x.policy.yaml")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(("text", "code", "line", "column"), REFUSED)
def test_what_means_two_things_is_refused(text: str, code: str, line: int, column: int) -> None:
    """A YAML feature that hides or doubles a meaning is refused at its own place."""
    with pytest.raises(SourceError) as caught:
        read(text, "f.yaml")
    problem = caught.value.problem
    assert (problem.code, problem.line, problem.column) == (f"policy.yaml.{code}", line, column)


ACCEPTED = [
    ("on: [place]", {"on": ["place"]}),
    ("a: 'no'", {"a": "no"}),
    ("a: -1.5e3", {"a": -1500.0}),
    ("a: 7", {"a": 7}),
    ("a: 15m", {"a": "15m"}),
    ("a: 2026-11-23T00:00:00Z", {"a": "2026-11-23T00:00:00Z"}),
    ("a: ~\nb:\nc: null", {"a": None, "b": None, "c": None}),
    ('{"a": [true, "x"]}', {"a": [True, "x"]}),
    ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
]


@pytest.mark.parametrize(("text", "value"), ACCEPTED)
def test_the_rest_is_plain_data(text: str, value: object) -> None:
    """What is accepted has the value that YAML 1.2 and JSON give it."""
    found = plain(read(text, "f.yaml"))
    assert found == value
    assert repr(found) == repr(value)


PLACES = [
    ("a: one two", "two", (1, 8)),
    ("a: 'one two'", "two", (1, 9)),
    ('a: "one two"', "two", (1, 9)),
    ("a: |\n  one\n   two\n", "two", (3, 4)),
    ("a: >-\n  one\n  two\n", "two", (3, 3)),
    ("a: one\n   two", "two", (2, 4)),
    ('a: "x\\ty two"', "two", (1, 4)),
]


@pytest.mark.parametrize(("text", "word", "place"), PLACES)
def test_a_place_inside_a_text_is_a_place_in_the_file(
    text: str, word: str, place: tuple[int, int]
) -> None:
    """A mistake inside an expression is shown where it stands in the file, however it is quoted."""
    root = read(text, "f.yaml")
    assert isinstance(root, Entries)
    scalar = root.get("a")
    assert isinstance(scalar, Scalar)
    before = scalar.text[: scalar.text.index(word)]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    assert scalar.position(line, column) == place


@pytest.mark.parametrize("piece", ["{", "[", "[{", "? ", "{? ", "[? ", "- ? ", "- "])
def test_nesting_of_every_kind_is_bounded(piece: str) -> None:
    """Whatever is nested in whatever, keys that are no words above all, is refused at the same depth."""
    with pytest.raises(SourceError) as caught:
        read(piece * 3_000, "f.yaml")
    assert caught.value.problem.code == "policy.yaml.too_deep"
