"""How much an auditor has to read: the counts in ``ledger/README.md`` against the modules."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

LEDGER = Path(__file__).parents[2] / "ledger"
PACKAGE = LEDGER / "pfgov_ledger"
ROWS = re.findall(
    r"^\| ([^|`]+) \| (`[^|]+) \| ([0-9,]+) \|$", (LEDGER / "README.md").read_text(), re.MULTILINE
)
NOT_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


def code_lines(source: str) -> int:
    """Lines that hold code: no blank ones, comments or texts that stand alone."""
    texts: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str())):
                texts.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            case _:
                pass
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - texts)


def modules(cell: str) -> list[str]:
    """The modules that a row of the table names."""
    return re.findall(r"`([a-z0-9_]+)`", re.sub(r"\([^)]*\)", "", cell))


@pytest.mark.parametrize(("what", "cell", "most"), ROWS, ids=[row[0] for row in ROWS])
def test_the_lines_are_counted(what: str, cell: str, most: str) -> None:
    """A part of the verifier grew beyond what its reader is told, or is far below it."""
    found = sum(code_lines((PACKAGE / f"{name}.py").read_text()) for name in modules(cell))
    stated = int(most.replace(",", ""))
    assert 0.9 * stated <= found <= stated, what


def test_every_module_has_its_place() -> None:
    """A module of the package is in no row, or in two."""
    named = sorted(name for _, cell, _ in ROWS for name in modules(cell))
    assert named == sorted(path.stem for path in PACKAGE.glob("[a-z]*.py"))


def test_the_writers_side_is_not_run_by_a_verifier() -> None:
    """A module that a verdict depends on imports one of the writer's."""
    writers = set(modules(ROWS[-1][1]))
    for _, cell, _ in ROWS[:-1]:
        for name in modules(cell):
            tree = ast.parse((PACKAGE / f"{name}.py").read_text())
            imported = {
                alias.name.rpartition(".")[2]
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom) and node.module == "pfgov_ledger"
                for alias in node.names
            } | {
                (node.module or "").rpartition(".")[2]
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
            }
            assert not imported & writers, name
