"""The house rules that a machine can check (CONTRIBUTING, "How it should read")."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for source in ("pfgov", "ledger/pfgov_ledger", "api/pfgov_api")
    for path in sorted((ROOT / source).rglob("*.py"))
]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 500
MAY_PRINT = re.compile(
    r"^(pfgov/cli/|ledger/pfgov_ledger/(cli|__main__|build_pyz)\.py|pfgov/sim/__main__\.py|api/pfgov_api/(serve|greeting)\.py)"
)


def name_of(path: Path) -> str:
    """The path as a reader writes it."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(node: Documented, name: str) -> Iterator[tuple[str, Documented]]:
    """A module or class and what it offers; not what is private, overloaded, or inside a function."""
    yield name, node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [ast.unparse(one) for one in child.decorator_list]
            if not child.name.startswith("_") and "overload" not in decorators:
                yield from public(child, f"{name}.{child.name}")


def comments(path: Path) -> dict[int, str]:
    """Line number -> comment."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}


def test_functions_fit_a_screen() -> None:
    """No function is longer than 70 lines."""
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}: {length} lines"
        for path in SOURCES
        for function in functions(tree_of(path))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_modules_are_readable_in_one_sitting() -> None:
    """No module is longer than 500 lines."""
    long = [
        f"{name_of(path)}: {length} lines"
        for path in SOURCES
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > MODULE_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_every_public_name_is_documented() -> None:
    """Every module, public class, public function and public method of one has a docstring."""
    silent = [
        f"{name_of(path)}: {name}"
        for path in SOURCES
        for name, node in public(tree_of(path), "module")
        if not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(silent)


def test_nothing_is_left_for_later_without_an_issue() -> None:
    """A TODO names its issue: ``TODO(#12)``."""
    left = [
        f"{name_of(path)}:{line} {comment}"
        for path in SOURCES + TESTS
        for line, comment in comments(path).items()
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", comment)
    ]
    assert not left, "\n".join(left)


def test_only_command_lines_print() -> None:
    """No module but a command line prints, or writes to the standard streams."""
    printing = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if not MAY_PRINT.match(name_of(path))
        for node in ast.walk(tree_of(path))
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        )
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.stdout", "sys.stderr"})
    ]
    assert not printing, "\n".join(printing)


def test_broad_handlers_give_their_reason() -> None:
    """``except Exception`` (or wider) has a comment on its line or the next that says why."""
    bare: list[str] = []
    for path in SOURCES:
        said = comments(path)
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _passes_on(node):
                reason = said.get(node.lineno, "") + said.get(node.lineno + 1, "")
                if len(re.sub(r"noqa:? ?[A-Z0-9, ]*|[#\s-]", "", reason)) < 6:
                    bare.append(f"{name_of(path)}:{node.lineno}")
    assert not bare, "\n".join(bare)


def test_every_test_says_what_breaks() -> None:
    """Every test function has a docstring."""
    silent = [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in TESTS
        for function in functions(tree_of(path))
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert not silent, "\n".join(silent)


def test_test_files_have_names_of_their_own() -> None:
    """No two test files have the same name."""
    counts = Counter(path.name for path in TESTS)
    assert [name for name, count in counts.items() if count > 1] == []


def test_test_functions_have_names_of_their_own() -> None:
    """No test is shadowed by another of the same name in its file."""
    shadowed = [
        f"{name_of(path)}: {name}"
        for path in TESTS
        for name, count in Counter(
            node.name for node in tree_of(path).body if isinstance(node, ast.FunctionDef)
        ).items()
        if count > 1
    ]
    assert not shadowed, "\n".join(shadowed)


def test_no_module_is_a_drawer() -> None:
    """Nothing is called utils, helpers, manager, misc or common."""
    drawers = [
        name_of(path)
        for path in SOURCES
        if re.search(r"(^|_)(utils?|helpers?|managers?|misc|common)$", path.stem)
    ]
    assert not drawers


def test_facades_tell_what_they_offer() -> None:
    """An ``__all__`` is sorted, without repetition, and names what the module has."""
    wrong: list[str] = []
    for path in SOURCES:
        tree = tree_of(path)
        for node in tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names: list[str] = ast.literal_eval(node.value)
                bound = {name for one in tree.body for name in _bound(one)}
                if len(set(names)) != len(names) or not set(names) <= bound:
                    wrong.append(f"{name_of(path)}: {sorted(set(names) - bound)}")
    assert not wrong, "\n".join(wrong)


SECRETS = re.compile(r"(?i)(/home/|(?<![a-z])/root/|/Users/|[A-Z]:\\\\Users)")


@pytest.mark.parametrize("folder", ["pfgov", "ledger", "api", "policies", "docs", "tests"])
def test_no_path_of_a_machine_is_written_down(folder: str) -> None:
    """No file names a folder of somebody's machine."""
    named = [
        name_of(path)
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file()
        and path.suffix in {".py", ".md", ".toml", ".yaml", ".json"}
        and "data" not in path.parts
        and path != Path(__file__)
        and SECRETS.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert not named, "\n".join(named)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return bool(
        {"Exception", "BaseException"}
        & {ast.unparse(one) for one in ast.walk(handler.type) if isinstance(one, ast.expr)}
    )


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether the handler swallows nothing: it ends by raising again, or something named from it."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and (last.exc is None or last.cause is not None)


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign):
        return {
            one.id
            for target in node.targets
            for one in ast.walk(target)
            if isinstance(one, ast.Name)
        }
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return {node.target.id}
    if isinstance(node, ast.If | ast.Try):
        return {name for one in node.body for name in _bound(one)}
    return set()


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=name_of)
def test_a_peak_of_memory_is_the_programs_own(path: Path) -> None:
    """A peak is read as ``ru_maxrss``, which a program inherits from whoever started it (``tests/bench/peak.py``)."""
    found = [
        node
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.Attribute) and node.attr == "ru_maxrss")
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and ".ru_maxrss" in node.value
        )
    ]
    assert path.name == Path(__file__).name or found == []
