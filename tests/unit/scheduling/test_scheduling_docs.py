"""The reference page of the schedulers runs as it is printed."""

import doctest
from pathlib import Path

import pfgov.core.reliability

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "schedulers.md"


def test_every_example_of_the_page_runs() -> None:
    """A reader who types the examples sees what the page shows."""
    failed, run = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert run >= 10
    assert not failed


def test_the_docstring_example_of_reliability_runs() -> None:
    """The example in the module is what the module does."""
    failed, run = doctest.testmod(pfgov.core.reliability)
    assert run
    assert not failed
