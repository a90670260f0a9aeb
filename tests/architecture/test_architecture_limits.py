"""Every bound on the limits page is reached by a test that is named, or says why none reaches it."""

import ast
import importlib.util
import sys
import tomllib
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
EXEMPT_MOST = 14


def _pages() -> ModuleType:
    path = ROOT / "docs" / "generate" / "limit_pages.py"
    spec = importlib.util.spec_from_file_location("limit_pages", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["limit_pages"] = made
    spec.loader.exec_module(made)
    return made


def _bounds() -> set[str]:
    pages = _pages()
    return {
        f"{area.module}.{name}" for area in pages.AREAS for name, _, _ in pages.bounds(area.module)
    }


def _said() -> dict[str, dict[str, str]]:
    return tomllib.loads((ROOT / "tests" / "limits.toml").read_text())


def test_every_bound_has_a_test_or_a_reason() -> None:
    """A bound is documented that no test ever reaches, or one that is gone is still said to be tested."""
    said = _said()
    assert not said["reached"].keys() & said["exempt"].keys()
    assert said["reached"].keys() | said["exempt"].keys() == _bounds()
    assert len(said["exempt"]) <= EXEMPT_MOST
    assert all(len(reason) > 10 for reason in said["exempt"].values())


def test_every_test_of_a_bound_exists() -> None:
    """A bound is said to be reached by a test that is not there."""
    missing: list[str] = []
    for node in set(_said()["reached"].values()):
        path, _, name = node.partition("::")
        tree = ast.parse((ROOT / path).read_text())
        if not any(isinstance(one, ast.FunctionDef) and one.name == name for one in tree.body):
            missing.append(node)
    assert missing == []


def test_every_bound_says_what_it_is_for() -> None:
    """A bound stands on the page without a sentence, or without what happens beyond it."""
    pages = _pages()
    bare = [
        f"{area.module}.{name}"
        for area in pages.AREAS
        for name, _, why in pages.bounds(area.module)
        if why == name.replace("_", " ").lower() or not area.special.get(name, area.beyond)
    ]
    assert bare == []
