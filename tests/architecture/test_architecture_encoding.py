"""No text is read or written in the encoding of whoever's locale: a file means the same everywhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("pfgov", "ledger/pfgov_ledger", "api/pfgov_api")
TEXTS = frozenset({"read_text", "write_text"})
OPENERS = frozenset({"open", "fdopen"})


def unencoded(source: str) -> Iterator[int]:
    """Return the lines of *source* on which text is read or written without saying how it is encoded."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and not any(
            k.arg in {"encoding", None} for k in node.keywords
        ):
            function = node.func
            name = (
                function.attr
                if isinstance(function, ast.Attribute)
                else getattr(function, "id", "")
            )
            if name in TEXTS or (name in OPENERS and _is_text(node)) or _is_process(node):
                yield node.lineno


def _is_text(node: ast.Call) -> bool:
    """Whether a mode among the arguments is one of a text file; an opener without any is somebody else's ``open``."""
    given = [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]
    modes = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return any(0 < len(mode) <= 3 and set(mode) <= set("rwaxt+") for mode in modes)


def _is_process(node: ast.Call) -> bool:
    """Whether it runs a program whose output is text; ``text`` may be anything's argument elsewhere."""
    called = (
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    )
    runs = called in {"run", "Popen", "call", "check_call", "check_output", "getoutput"}
    return runs and any(k.arg in {"text", "universal_newlines"} for k in node.keywords)


@pytest.mark.parametrize("source", SOURCES)
def test_texts_name_their_encoding(source: str) -> None:
    """A policy, an anchor or a key is read in the server's locale, and is another one elsewhere."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / source).rglob("*.py"))
        for line in unencoded(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "is_seen"),
    [
        ("p.read_text()", True),
        ("p.read_text(errors='replace')", True),
        ("p.write_text(t)", True),
        ("p.open('w')", True),
        ("open(p, 'r')", True),
        ("os.fdopen(h, 'w')", True),
        ("subprocess.run(c, text=True)", True),
        ("p.read_text(encoding='utf-8')", False),
        ("p.open('rb')", False),
        ("Engine.open(directory)", False),
        ("p.write_text(t, **given)", False),
    ],
)
def test_texts_without_an_encoding_would_be_seen(source: str, is_seen: bool) -> None:
    """The check misses a way to open a text, or takes something else for one."""
    assert bool(list(unencoded(source))) is is_seen


OWN_DECODERS = {
    "pfgov/decoding.py",
    "pfgov/labelling/reading.py",  # on the way of each write, which passes few files: it catches them itself
    "pfgov/lineage/traces.py",  # what this process wrote
    "pfgov/policy/files/document.py",  # what it encoded a moment before
    "pfgov/sim/record.py",
    "api/pfgov_api/oidc/settings.py",  # TOML, whose decoder raises the same errors of others, and they are caught
    "api/pfgov_api/trial_process.py",  # its own child, and all of whose failures are one
}
"""Modules that ask msgspec for the value of bytes; the others ask :mod:`pfgov.decoding`."""


@pytest.mark.parametrize("source", SOURCES)
def test_bytes_of_others_are_decoded_by_one_reader(source: str) -> None:
    """Bytes that are no UTF-8, or nested too deep, come through msgspec as errors that nobody expects."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / source).rglob("*.py"))
        if re.search(r"(?:json|toml)\.(?:decode|Decoder)\b", path.read_text(encoding="utf-8"))
    }
    assert found == {one for one in OWN_DECODERS if one.startswith(source)}
