"""What decides asks no table that another interpreter has otherwise: characters, representations, others' sentences."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DECIDING = (
    "pfgov/core/apply", "pfgov/core/decide", "pfgov/core/commands", "pfgov/core/events", "pfgov/core",
    "pfgov/scheduling", "pfgov/policy/judging", "pfgov/policy/files/labels.py",
    *(f"pfgov/policy/cel/{name}.py" for name in (
        "calls", "closures", "containers", "conversions", "exact", "folds", "formatting", "library", "numbers",
        "strings", "times", "values",
    )),
)  # fmt: skip
"""Where decisions are made, and the sentences in them."""

METHODS = frozenset({
    "isprintable", "casefold", "isalnum", "isalpha", "isdecimal", "isnumeric", "isidentifier", "swapcase", "title",
    "capitalize",
})  # fmt: skip
"""Methods of texts whose answers grow with Unicode."""

ALLOWED = {
    "pfgov/core/characters.py": "the one place that asks",
    "pfgov/core/lookalikes.py": "sentences for who writes a policy; names that rules compare are ASCII",
    "pfgov/core/nearness.py": "the sentences that it reads again are its own",
    "pfgov/core/spelling.py": "what comes in, and refusals, whose sentences are not recorded",
    "pfgov/policy/cel/times.py": "of time zones by name, which no policy can use",
    "pfgov/policy/cel/values.py": "a representation for who looks into a process; sentences use `written`",
    "pfgov/policy/judging/functions.py": "sentences of its own errors, which use `written`",
    "pfgov/policy/judging/judge.py": "a number",
    "pfgov/scheduling/parameters.py": "a hint",
}
"""Modules that may, each with the reason."""


def asked(source: str) -> Iterator[tuple[int, str]]:
    """Return the lines of *source* that ask a table of the interpreter, with what they ask.

    The sentence of an error other than ``CelError`` is not part of a decision: it refuses one.
    """
    tree = ast.parse(source)
    refusing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_refusal(node.func)
        for inner in ast.walk(node)
    }
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    for node in ast.walk(tree):
        if id(node) in refusing:
            continue
        match node:
            case ast.Import(names=names) if any(one.name == "unicodedata" for one in names):
                yield node.lineno, "unicodedata"
            case ast.Attribute(attr=attr) if attr in METHODS:
                yield node.lineno, f".{attr}"
            case ast.FormattedValue(conversion=114 | 97):
                yield node.lineno, "!r"
            case ast.FormattedValue(value=ast.Name(id=name)) if name in caught:
                yield node.lineno, f"{{{name}}}"
            case _:
                pass


def _is_refusal(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name.endswith(("Error", "Refusal")) and name != "CelError"


def _files() -> Iterator[Path]:
    for place in DECIDING:
        path = ROOT / place
        yield from [path] if path.suffix else sorted(path.rglob("*.py"))


def test_what_decides_asks_no_table_of_the_interpreter() -> None:
    """A sentence or a comparison in a decision differs on an interpreter that knows more characters."""
    found = {
        f"{name}:{line}: {what}"
        for path in _files()
        if (name := path.relative_to(ROOT).as_posix()) not in ALLOWED
        for line, what in asked(path.read_text(encoding="utf-8"))
    }
    assert not found, "\n".join(sorted(found))


def test_exceptions_from_the_rule_are_needed() -> None:
    """A module is excepted that asks nothing."""
    unneeded = [name for name in ALLOWED if not list(asked((ROOT / name).read_text("utf-8")))]
    assert not unneeded


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import unicodedata", "unicodedata"),
        ("x = text.isprintable()", ".isprintable"),
        ("raise CelError(f'no such key: {key!r}')", "!r"),
        (
            "try:\n    f()\nexcept ValueError as error:\n    raise CelError(f'wrong: {error}')",
            "{error}",
        ),
        ("reason = Reason(message=f'{value!a}')", "!r"),
    ],
)
def test_asking_is_seen(source: str, what: str) -> None:
    """A way to ask the interpreter is not seen."""
    assert [found for _, found in asked(source)] == [what]


def test_refusing_is_let_pass() -> None:
    """The sentence of a refusal, which nothing records, is taken for a part of a decision."""
    assert not list(asked("raise InvalidError(f'{text!r} is no number')"))
