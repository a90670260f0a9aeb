"""Every example in README and docs runs, and does what the page says."""

import doctest
import importlib
import io
import re
from pathlib import Path

import pytest
from support.doc_examples import DiffersError, matches, run_page

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "ledger/*.md", "policies/**/*.md")
    for path in ROOT.glob(pattern)
)
LONG = {"read-the-simulator.md"}
"""Pages whose examples take long; the commands themselves are tried by other tests, too."""

LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
TARGET = re.compile(r"^make((?: [a-z-]+)+)|`make((?: [a-z-]+)+)`", re.MULTILINE)


NEEDED = {
    "govern-agent-frameworks.md": ("agents", "langgraph", "mcp", "a2a"),
    "give-agents-tools.md": ("mcp",),
}
"""Packages without which a page's examples cannot run."""


@pytest.mark.process
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.long) if page.name in LONG else page for page in PAGES],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    """The Python, the files and the commands of this page do what it says."""
    for package in NEEDED.get(page.name, ()):
        pytest.importorskip(package, reason=f"{package} is not installed: make test leaves it out")
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of this page names a file that exists."""
    links = LINK.findall(page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*/*.md")), ids=lambda page: page.name)
def test_every_page_can_be_found(page: Path) -> None:
    """The index of this page's folder links to it."""
    if page.name not in {"README.md", "template.md"}:
        assert f"]({page.name}" in (page.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_make_targets_exist(page: Path) -> None:
    """Every ``make TARGET`` that this page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word
        for first, second in TARGET.findall(page.read_text(encoding="utf-8"))
        for word in (first + second).split()
    }
    assert named <= targets


SHOWN = sorted(
    path
    for source in ("pfgov", "ledger/pfgov_ledger", "api/pfgov_api")
    for path in (ROOT / source).rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_docstring_examples_hold(path: Path) -> None:
    """Every ``>>>`` in a docstring of this module does what it shows."""
    source = next(
        root for root in (ROOT / "ledger", ROOT / "api", ROOT) if path.is_relative_to(root)
    )
    name = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
    said = io.StringIO()
    module = importlib.import_module(name)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for found in finder.find(module):
        runner.run(found, out=said.write)
    assert runner.failures == 0, said.getvalue()
    assert runner.tries


PAGE = """# A page

```python
x = 1
```

```yaml file=sub/a.yaml
a: 1
```

```console
$ cat sub/a.yaml
a: {value}
$ ls packet.json && echo one && echo two && echo three
...
one
...
three
$ false
[exit status 1]
$ echo \\
two \\
lines
two lines
```

```python
>>> assert x == 1
>>> x + 1
2
```
"""


@pytest.mark.process
def test_the_machinery_runs_examples(tmp_path: Path) -> None:
    """Files are written, commands compared, and Python keeps its names from block to block."""
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("{value}", "1"))
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    assert run_page(page, workspace) == 4


@pytest.mark.process
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (PAGE.replace("{value}", "2"), "wanted"),
        ("```console\n$ false\n```\n", "exit status 1"),
        ("```console\n$ true\n[exit status 1]\n```\n", "exit status 0"),
        ("```python\n>>> 1 + 1\n3\n```\n", "Expected"),
        ("```python\nassert False\n```\n", ""),
    ],
)
def test_the_machinery_sees_a_lie(body: str, words: str, tmp_path: Path) -> None:
    """A wrong output, a wrong exit status and a failing assertion are each found."""
    page = tmp_path / "page.md"
    page.write_text(body)
    with pytest.raises(AssertionError) as caught:
        run_page(page, tmp_path)
    assert words in str(caught.value)
    assert isinstance(caught.value, DiffersError) is bool(words)


@pytest.mark.parametrize(
    ("wanted", "found", "same"),
    [
        ("a", "a\n", True), ("a", "b", False), ("a ... c", "a b c", True), ("a\n...\nd", "a\nb\nc\nd", True),
        ("(a)", "(a)", True), ("a", "a\nb", False), ("...b", "a\nb", True), (".", "x", False),
    ],
)  # fmt: skip
def test_matching(wanted: str, found: str, same: bool) -> None:
    """Three dots stand for anything, everything else for itself."""
    assert matches(wanted, found) is same
