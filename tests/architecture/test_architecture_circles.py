"""No circles of imports, between packages and inside each of them.

Seen from a package, a child is a module, a whole package, or its own ``__init__``.  Late imports and those for types
alone count, because whoever reads one side has to read the other.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {"pfgov": "pfgov", "pfgov_ledger": "ledger/pfgov_ledger", "pfgov_api": "api/pfgov_api"}

Graph = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Every module by its dotted name; a package has the name of its folder."""
    found: dict[str, Path] = {}
    for name, folder in SOURCES.items():
        for path in (root / folder).rglob("*.py"):
            parts = (name, *path.relative_to(root / folder).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(root: Path) -> Graph:
    """Which modules each module names in an import, wherever it stands."""
    known = modules(root)
    found: Graph = defaultdict(set)
    for module, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found[module] |= {one.name for one in node.names} & known.keys()
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                for one in node.names:
                    inner = f"{node.module}.{one.name}"
                    found[module] |= {inner if inner in known else node.module} & known.keys()
    return found


def siblings(graph: Graph, package: str) -> Graph:
    """Which children of *package* import which others; what it offers itself is its child ``__init__``."""

    def child(module: str) -> str | None:
        if module == package:
            return "__init__"
        inside = f"{package}." if package else ""
        return module.removeprefix(inside).partition(".")[0] if module.startswith(inside) else None

    found: Graph = defaultdict(set)
    for module, named in graph.items():
        if (own := child(module)) is not None:
            found[own] |= {one for one in map(child, named) if one not in {None, own}}
    return found


def circle(graph: Graph) -> list[str]:
    """The children of the first circle that is found, or none."""
    done: set[str] = set()

    def walk(child: str, path: list[str]) -> list[str]:
        if child in path:
            return path[path.index(child) :]
        if child in done:
            return []
        done.add(child)
        for other in sorted(graph.get(child, ())):
            if found := walk(other, [*path, child]):
                return found
        return []

    return next((found for child in sorted(graph) if (found := walk(child, []))), [])


def circles(root: Path) -> Iterator[str]:
    """Say of each package where its children import each other in a circle."""
    graph = imports(root)
    parts = [module.split(".") for module in graph]
    packages = {".".join(names[:end]) for names in parts for end in range(len(names))}
    for package in sorted(packages):
        if found := circle(siblings(graph, package)):
            yield f"{package or 'the top'}: {' -> '.join([*found, found[0]])}"


def test_there_are_no_circles() -> None:
    """Whoever reads one module of a package can do so before those that import it."""
    assert list(circles(ROOT)) == []


PLANTS = {
    "two modules": {"pfgov/core/a.py": "import pfgov.core.b", "pfgov/core/b.py": "from pfgov.core import a"},
    "three, one of them late": {
        "pfgov/a.py": "import pfgov.b",
        "pfgov/b.py": "def late():\n    import pfgov.c",
        "pfgov/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pfgov.a import A",
    },
    "two packages": {"pfgov/x/a.py": "import pfgov.y.b", "pfgov/y/b.py": "pass", "pfgov/y/c.py": "import pfgov.x.a"},
    "a face": {"pfgov/z/__init__.py": "from pfgov.z.a import A", "pfgov/z/a.py": "from pfgov.z import A"},
    "the roots": {"pfgov/a.py": "import pfgov_api.b", "api/pfgov_api/b.py": "import pfgov.a"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_planted_circle_is_seen(name: str, tmp_path: Path) -> None:
    """Each kind of circle is found where it is planted, and nothing where it is not."""
    for path, text in PLANTS[name].items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert len(list(circles(tmp_path))) == 1
    file.write_text("")
    assert list(circles(tmp_path)) == []
