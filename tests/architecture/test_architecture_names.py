"""Names that were given up for the field's do not come back; ``docs/explanation/glossary.md`` has both."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("pfgov", "ledger/pfgov_ledger", "api/pfgov_api")

GIVEN_UP = re.compile(
    r"(?:^|_)(?:desk|glance|told|relay|bell|corked|spill|spilled|screen|carry_out|rehearse|rehearsal)(?:$|_)"
    r"|^(?:Desk|Front|Heard|Relay|Bell|Corked|Shares|SpillDict|Screen|Told)$"
    r"|(?:Desk|Screen|Relay)$"
)
IN_PROSE = re.compile(
    r"\b(?:held for dead|the engine's (?:own )?turn|:class:`~?(?:Desk|Screen|Heard)`)",
    re.IGNORECASE,
)


def identifiers(path: Path) -> Iterator[tuple[int, str]]:
    """Each name that the module gives to something, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


@pytest.mark.parametrize("source", SOURCES)
def test_no_old_name_is_given(source: str) -> None:
    """A module, class, function, argument or variable has a name that the glossary gave up."""
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / source).rglob("*.py"))
        for line, name in [(1, path.stem), *identifiers(path)]
        if GIVEN_UP.search(name)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("source", SOURCES)
def test_no_old_term_is_written(source: str) -> None:
    """A docstring, comment or message uses a term that the glossary gave up."""
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in sorted((ROOT / source).rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if IN_PROSE.search(line)
    ]
    assert not found, "\n".join(found)


def test_an_old_name_would_be_seen() -> None:
    """The pattern misses a name that it is there for."""
    for name in (
        "desk",
        "_desk",
        "server_desk",
        "Desk",
        "ServerDesk",
        "Heard",
        "told",
        "is_spilled",
    ):
        assert GIVEN_UP.search(name), name
    for name in (
        "Frontier",
        "frontier",
        "bellman",
        "told_apart_by"[5:],
        "description",
        "SharesOut",
    ):
        assert not GIVEN_UP.search(name), name
