"""Policy sets as one text that a person edits, and as the files that the API takes.

The documents of a text are separated by lines of three dashes, as ``pfgov policy show --source`` prints them; each is
one file.  The kernel is in no text: it cannot be changed.  Nothing here compiles what came from outside.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from pfgov.policy import PolicySet, from_document, kernel_only, load_directory
from pfgov.policy.authoring.comparing.structure import changes
from pfgov.policy.authoring.showing import source_texts
from pfgov.policy.files.folder import TEST_SUFFIX, list_folder
from pfgov.policy.files.model import KERNEL
from pfgov.policy.load import shipped_directory

PACKS: Final = ("starter", "agent-fleet", "eu-residency", "regulated-review")
"""Sets that ship with pfgov, to begin with."""

LINES_MAX: Final = 4_000
"""Lines up to which two texts are compared line by line."""

PAIRS_MAX: Final = 1_000_000
"""Pairs of lines, between what two texts begin and end with alike: to compare them takes time by their number."""

_AROUND: Final = 2
"""Lines that are shown before and after what changed."""

_BETWEEN: Final = re.compile(r"(?m)^---[ \t]*$\n?")
_FIXTURES: Final = re.compile(r"""(?m)^[\s{]*["']?kind["']?\s*:\s*["']?Fixtures\b""")


def set_of(document: bytes) -> PolicySet:
    """Return the set of a document that the ledger attached; the kernel alone for an empty one.

    Raises:
        PolicyError: it has other semantics than this engine.
    """
    return from_document(document, generated=True) if document else kernel_only()


def text_of(found: PolicySet) -> str:
    """Return a set as one text, without the kernel."""
    own = tuple(one for one in found.bundle.policies if one.name != KERNEL)
    return "---\n".join(source_texts(replace(found.bundle, policies=own)))


def pack(name: str) -> str:
    """Return the text of a set that ships with pfgov, without comments."""
    return text_of(load_directory(shipped_directory(name)))


def files_of(text: str) -> dict[str, str]:
    r"""Return the files of a text: name -> YAML.

    >>> files_of("kind: Policy\n---\nkind: Labels\n")
    {'01.yaml': 'kind: Policy\n', '02.yaml': 'kind: Labels\n'}
    """
    parts = [one for one in _BETWEEN.split(text) if one.strip()]
    return {f"{index:02}.yaml": one for index, one in enumerate(parts, 1)}


def tests_of(text: str) -> dict[str, str]:
    r"""Return the test and fixture files of a text: name -> YAML, each line where it stands in the whole.

    >>> tests_of("kind: Fixtures\n---\nkind: PolicyTest\n")
    {'01.yaml': 'kind: Fixtures\n', '02.test.yaml': '\n\nkind: PolicyTest\n'}
    """
    found: dict[str, str] = {}
    begins = 0
    for ends, goes_on in [
        *((one.start(), one.end()) for one in _BETWEEN.finditer(text)),
        (len(text), 0),
    ]:
        part = text[begins:ends]
        if part.strip():
            suffix = ".yaml" if _FIXTURES.search(part) else TEST_SUFFIX
            found[f"{len(found) + 1:02}{suffix}"] = "\n" * text.count("\n", 0, begins) + part
        begins = goes_on
    return found


def tests_of_pack(name: str) -> str:
    """Return the tests of a set that ships with pfgov, and the fixtures that they name, as one text."""
    found = list_folder(shipped_directory(name))
    return "---\n".join(
        path.read_text(encoding="utf-8") for path in (*found.fixtures, *found.tests)
    )


def pack_of(digest: str) -> str | None:
    """Return which set that ships has this digest."""
    return next((name for name in PACKS if _digest(name) == digest), None)


@cache
def _digest(name: str) -> str:
    return load_directory(shipped_directory(name)).digest


def lines_changed(old: str, new: str) -> Sequence[tuple[str, str]] | None:
    """Return the changed lines of two texts with those around them, each with a sign; None where they are too many."""
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > LINES_MAX:
        return None
    least = min(len(before), len(after))
    begun = _alike(before, after, least)
    ended = _alike(before[::-1], after[::-1], least - begun)
    if (len(before) - begun - ended) * (len(after) - begun - ended) > PAIRS_MAX:
        return None
    first, last = max(begun - _AROUND, 0), max(ended - _AROUND, 0)
    before, after = before[first : len(before) - last], after[first : len(after) - last]
    found = list(difflib.unified_diff(before, after, lineterm="", n=_AROUND))[2:]
    return [("@", "") if line.startswith("@@") else (line[:1], line[1:]) for line in found]


def _alike(one: Sequence[str], other: Sequence[str], most: int) -> int:
    """Return how many lines two texts begin with alike, at *most* so many."""
    pairs = zip(one[:most], other, strict=False)
    return next((at for at, (line, there) in enumerate(pairs) if line != there), most)


def changed(old: PolicySet, new: PolicySet) -> list[Mapping[str, Any]]:
    """Return what is written differently in two recorded sets, a row a change."""
    return [
        {"where": one.where, "what": one.what, "old": one.old, "new": one.new, "effect": one.effect}
        for one in changes(old, new)
    ]
