"""The conformance tests of the CEL specification, core part: what passes is counted, by file.

Core: the fifteen files about the language itself, without the tests that need protocol
buffer messages; tests/data/cel-conformance/README.md says where they come from.  Tests
marked ``checkOnly`` deduce types of declared functions and abstract types; they evaluate
nothing and are reported apart.
"""

import re
from pathlib import Path

import pytest
from conformance.cel.cel_conformance import Case, cases, run

CORE = (
    "basic", "comparisons", "conversions", "fields", "fp_math", "integer_math", "lists", "logic",
    "macros", "namespace", "parse", "plumbing", "string", "timestamps", "type_deductions",
)  # fmt: skip
EXTENSIONS = (
    "macros2", "optionals", "bindings_ext", "math_ext", "string_ext", "encoders_ext",
)  # fmt: skip
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cel.md"

MISSES = {
    "type_deductions": {
        "functions/function_result_type",
        "type_parameters/multiple_parameters_generality",
        "type_parameters/multiple_parameters_generality_2",
        "type_parameters/multiple_parameters_parameterized_ovl",
        "type_parameters/multiple_parameters_parameterized_ovl_2",
        "legacy_nullable_types/null_assignable_to_abstract_parameter_candidate",
    }
}
"""Tests that do not pass, each explained in docs/reference/cel.md.  All are checkOnly."""


def _ours(file: str) -> list[Case]:
    return [case for case in cases(file) if not case.needs_protobuf()]


@pytest.mark.parametrize("file", [*CORE, *EXTENSIONS])
def test_every_test_of_the_file_passes_or_is_a_known_miss(file: str) -> None:
    """Each test gives the specified value, error or type; exactly the listed ones do not."""
    found = [(case.name, run(case)) for case in _ours(file)]  # three names stand twice
    failed = {name: problem for name, problem in found if problem is not None}
    print(f"{file}: {len(found) - len(failed)}/{len(found)}")
    assert set(failed) == MISSES.get(file, set()), failed


def test_at_least_98_percent_of_the_runnable_core_passes() -> None:
    """The promise, in numbers; all that can be evaluated without protobuf counts."""
    total = passed = 0
    for file in CORE:
        runnable = [case for case in _ours(file) if not case.check_only]
        good = sum(run(case) is None for case in runnable)
        print(f"{file:16} {good:4}/{len(runnable)}")
        total, passed = total + len(runnable), passed + good
    print(f"{'core':16} {passed:4}/{total}")
    assert total == 1_093
    assert passed == total


def test_every_miss_is_explained_in_the_reference() -> None:
    """A reader of docs/reference/cel.md finds each miss by name, and none that passes."""
    text = REFERENCE.read_text("utf-8")
    listed = set(re.findall(r"`(\w+/\w+)`", text.partition("## Misses")[2]))
    assert listed == {name for names in MISSES.values() for name in names}


def test_the_runner_notices_a_wrong_answer() -> None:
    """The harness can fail: a test with its expectation turned is reported."""
    case = next(case for case in cases("basic") if "value" in case.message)
    turned = Case(case.file, case.name, {**case.message, "value": {"int64Value": "-77"}})
    assert run(case) is None
    assert run(turned) is not None
