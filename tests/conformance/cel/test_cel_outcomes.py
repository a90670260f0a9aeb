"""What functions, macros and operators give, line by line, as it was written down; and overloads against code."""

import difflib
import itertools

import pytest
from conformance.cel.cel_outcomes import DATA, FILES, calls, has_overload, outcome_of, show, shown

from pfgov.policy.cel import Failure

NULL_IS_NOT_GIVEN = {"lastIndexOf", "substring"}
"""Functions that take null for a last argument that is not there; docs/reference/cel.md says so."""


@pytest.mark.parametrize("name", FILES)
def test_outcomes_are_what_was_written_down(name: str) -> None:
    """A value, a failure's sentence, a cost or the work of an evaluation changed: recorded decisions would differ."""
    found = list(FILES[name]())
    wanted = (DATA / name).read_text().splitlines()
    if found != wanted:
        differing = difflib.unified_diff(wanted, found, "written", "found", lineterm="", n=0)
        pytest.fail("\n".join(itertools.islice(differing, 40)))


def test_outcomes_of_calls_without_an_overload_are_type_errors() -> None:
    """A function takes values that no overload of it names, or refuses them as something else than a type."""
    wrong = []
    for function, values in calls():
        if has_overload(function, values):
            continue
        if function.name in NULL_IS_NOT_GIVEN and values[-1] is None:
            continue
        outcome = outcome_of(function, values)
        is_flatten = function.name == "flatten" and "non-negative" in str(outcome)
        if not is_flatten and not (isinstance(outcome, Failure) and outcome.kind == "type"):
            wrong.append(f"{function.name}({', '.join(map(show, values))}) -> {shown(outcome)}")
    assert not wrong, wrong[:10]
