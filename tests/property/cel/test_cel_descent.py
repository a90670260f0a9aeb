"""Two parsers, one tree: recursive descent over our tokens, and cel-python's grammar.

What the one reads the other reads, down to where each part stands; what the other refuses the one does not read.
"""

import dataclasses
import os
import random
from itertools import islice
from typing import Any

import pytest
import yaml
from conformance.cel.cel_conformance import DATA, cases
from property.cel.cel_worlds import Expressions
from support.searching import examples

from pfgov.policy import shipped_directory
from pfgov.policy.cel.descent import descend
from pfgov.policy.cel.errors import CelLoadError
from pfgov.policy.cel.parser import by_grammar
from pfgov.policy.cel.scan import scan
from pfgov.policy.cel.syntax import Node

SEED = int(os.environ.get("PFGOV_FUZZ_SEED", "20261129"))


def whole(node: Node | None) -> list[Any]:
    """Return all of a tree, part by part, the spans too, which do not take part in its equality."""
    found: list[Any] = []
    left: list[Any] = [node]
    while left:
        one = left.pop()
        if isinstance(one, Node):
            found.append(type(one).__name__)
            left += [getattr(one, part.name) for part in dataclasses.fields(one)]
        elif isinstance(one, tuple):
            found.append(len(one))
            left += one
        else:
            found.append((type(one).__name__, repr(one)))
    return found


def agree(source: str) -> bool:
    """Check that both parsers say the same of *source*; whether they read it."""
    try:
        scanned = scan(source)
    except CelLoadError:
        return False
    found = descend(scanned)
    try:
        expected = by_grammar(scanned)
    except CelLoadError:
        assert found is None, source
        return False
    assert found is not None, source
    assert whole(found) == whole(expected), source
    return True


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []


def test_every_shipped_expression_has_one_tree() -> None:
    """The starter set and the packs are read by both, and so is whatever else stands in their files."""
    read = 0
    for file in sorted(shipped_directory("starter").parent.rglob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            read += sum(map(agree, _strings(document)))
    assert read > 100


def test_every_expression_of_the_specification_has_one_tree() -> None:
    """The conformance data of cel-spec, valid and not."""
    files = sorted(file.stem for file in DATA.glob("*.json"))
    read = sum(agree(case.expression) for file in files for case in cases(file))
    assert read > 900


def test_drawn_expressions_have_one_tree() -> None:
    """Valid expressions of every kind, as the differential tests of the evaluators draw them."""
    rng = random.Random(SEED)
    for size in range(examples(400)):
        assert agree(Expressions(rng).condition(1 + size % 3))


PIECES = (
    "a", "b", "in", "has", "x", "cel", "bind", "all", "map", "filter", "sortBy", "optMap", "true", "null", "for",
    "1", "-1", "- 1", "0x1f", "2u", "1.5", ".5", ".5u", "1e3", "99999999999999999999", "'t'", '"t\\n"', "b'x'",
    "r'\\d'", "'''m\nn'''", ".", ".", ",", ",", "(", ")", "(", ")", "[", "]", "{", "}", ":", "?", ".?", "[?", "{?",
    "&&", "||", "!", "-", "+", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "`b-c`", ".`b-c`", "// c\n", " ", "\n",
    "a.b", "a.b(c)", "f(1)", "[1, 2]", "{'k': v}", "x, ", "a ? b : c", "!a", "a[0]", "(a)", ".a", ".f(x)", "let",
)  # fmt: skip
"""What soup is made of: everything of the language, its optional syntax and its slips."""


@pytest.mark.parametrize("salt", range(4))
def test_soup_has_one_tree_or_none(salt: int) -> None:
    """Pieces in any order: mostly refused by both, and sometimes read by both."""
    rng = random.Random(SEED * 31 + salt)
    read = sum(agree(soup) for soup in islice(_soups(rng), examples(2_500)))
    assert read > examples(100)


def _soups(rng: random.Random) -> Any:
    while True:
        count = rng.choice((1, 2, 3, 3, 4, 5, 6, 8, 12))
        yield "".join(rng.choice(PIECES) + rng.choice(("", "", " ")) for _ in range(count))


def test_long_chains_are_loops() -> None:
    """A chain as long as the bound on tokens recurses in neither."""
    for source in (
        "&&".join(["a"] * 900),
        "+".join(["a"] * 900),
        "?b:".join(["a"] * 450),
        "!" * 1_500 + "a",
        "a" + ".b" * 900,
        "a" + "[0]" * 400,
        "(" * 31 + "a" + ")" * 31,
        "[" * 31 + "-1" + "]" * 31,
        "f(" * 31 + ")" * 31,
    ):
        scanned = scan(source)
        assert whole(descend(scanned)) == whole(by_grammar(scanned)), source[:40]
