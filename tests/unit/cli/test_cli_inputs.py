"""What is typed: spans and moments, pairs, exact numbers, files and options together."""

import io
import sys
from decimal import Decimal
from pathlib import Path

import click
import pytest

from pfgov.cli import inputs
from pfgov.errors import InvalidError

NOW = 1_782_331_200_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", "2026-06-24T20:01:30Z"),
        ("+15m", "2026-06-24T20:15:00Z"),
        ("2h", "2026-06-24T22:00:00Z"),
        ("1d", "2026-06-25T20:00:00Z"),
        ("250ms", "2026-06-24T20:00:00.25Z"),
        ("2026-06-13T20:00:00Z", "2026-06-13T20:00:00Z"),
        (None, None),
    ],
)
def test_spans_count_from_now(text: str | None, moment: str | None) -> None:
    """A span is a moment counted from now; a moment stays what it is."""
    assert inputs.moment_of(text, NOW) == moment


@pytest.mark.parametrize("text", ["tomorrow", "15", "-3m", "1.5h", "", "m"])
def test_other_times_are_refused(text: str) -> None:
    """What is neither a span nor a moment is a usage error that shows both."""
    with pytest.raises(click.BadParameter, match="15m"):
        inputs.WHEN.convert(text, None, None)


def test_numbers_are_exact() -> None:
    """A number is the decimal that was typed."""
    assert inputs.NUMBER.convert("0.90", None, None) == Decimal("0.90")
    with pytest.raises(click.BadParameter):
        inputs.NUMBER.convert("much", None, None)


def test_pairs() -> None:
    """A pair is cut at its first equals sign."""
    assert inputs.PAIR.convert("a=b=c", None, None) == ("a", "b=c")
    for text in ("a", "=b", ""):
        with pytest.raises(click.BadParameter):
            inputs.PAIR.convert(text, None, None)


def test_amounts_that_are_no_numbers_reach_the_border() -> None:
    """What is not a number is left for the border to refuse with a pointer."""
    assert inputs.amounts([("cpu", "2.5"), ("gpu", "two")]) == {"cpu": Decimal("2.5"), "gpu": "two"}


def test_capabilities_with_versions() -> None:
    """NAME@VERSION offers a version, NAME none."""
    assert inputs.capability("plan@1.2") == {"name": "plan", "version": "1.2"}
    assert inputs.capability("plan") == "plan"


def test_options_replace_parts_of_a_file() -> None:
    """An option wins over the file; objects are merged, everything else is replaced."""
    tree = {"a": 1, "c": {"x": 1, "y": 2}, "l": [1]}
    assert inputs.merged(tree, {"c": {"y": 3}, "l": [2], "n": 0}) == {
        "a": 1, "c": {"x": 1, "y": 3}, "l": [2], "n": 0,
    }  # fmt: skip
    assert tree == {"a": 1, "c": {"x": 1, "y": 2}, "l": [1]}


def test_only_given_options_count() -> None:
    """False and zero are values; None and an empty tuple are not."""
    assert inputs.given(a=None, b=(), c=False, d=0, e="") == {"c": False, "d": 0, "e": ""}


def test_a_file_holds_an_object(tmp_path: Path) -> None:
    """A list is JSON, but not what is asked for; no file is an empty object."""
    path = tmp_path / "a.json"
    path.write_text("[1]")
    with pytest.raises(InvalidError, match="not an object"):
        inputs.read_tree(path)
    path.write_text('{"a": 0.10}')
    assert inputs.read_tree(path) == {"a": Decimal("0.10")}
    assert inputs.read_tree(None) == {}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash reads standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 1}')))
    assert inputs.read_tree(Path("-")) == {"a": 1}
