"""The record of a long check: which seeds ran under which code, and what they came to.

A hundred thousand histories take hours, so a check writes down each part that it has done and goes on from there when
it is started again.  What was done counts for the code that did it: the record names the commit and holds a digest of
every source that a history runs through, and another code begins anew.
"""

import hashlib
import json
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import msgspec

from pfgov.core.events import SEMANTICS
from pfgov.errors import StateConflictError
from pfgov.files import replace_public

PACKAGES: Final = ("pfgov", "pfgov_ledger")
DOORS: Final = frozenset({"pfgov/app", "pfgov/cli", "pfgov/client"})
"""Parts of the packages that no history runs through."""

SUFFIXES: Final = (".py", ".yaml")


class Record(msgspec.Struct, kw_only=True):
    """What has been checked, in the order in which it is written.

    Attributes:
        commit: The commit that was checked out, as far as the caller knows.
        sources: The digest of the sources that ran (:func:`sources_digest`).
        semantics: The number of the rules.
        start: The first seed.
        seeds: How many are to be run.
        done: Runs of seeds that are finished, as ``[first, count]``, in order.
        entries: Entries that these histories wrote.
        violations: Seeds that broke a promise, with what they broke.
    """

    commit: str | None
    sources: str
    semantics: int = SEMANTICS
    start: int = 0
    seeds: int
    done: list[tuple[int, int]] = []
    entries: int = 0
    violations: list[tuple[int, str]] = []

    @property
    def count(self) -> int:
        """How many seeds are done."""
        return sum(count for _, count in self.done)

    def add(self, first: int, count: int, entries: int) -> None:
        """Note that *count* seeds from *first* on are done."""
        merged: list[tuple[int, int]] = []
        for begin, length in sorted([*self.done, (first, count)]):
            if merged and sum(merged[-1]) >= begin:
                merged[-1] = (merged[-1][0], max(sum(merged[-1]), begin + length) - merged[-1][0])
            else:
                merged.append((begin, length))
        self.done, self.entries = merged, self.entries + entries

    def holds(self, first: int, count: int) -> bool:
        """Whether these seeds are done."""
        return any(
            begin <= first and first + count <= begin + length for begin, length in self.done
        )


def load(path: Path, *, start: int, seeds: int, commit: str | None) -> Record:
    """Return the record at *path* to go on with, or a new one where there is none of this code and these seeds.

    Raises:
        StateConflictError: ``sim.record``, the file is no record of a check.
    """
    sources = sources_digest()
    fresh = Record(commit=commit, sources=sources, start=start, seeds=seeds)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return fresh
    try:
        found = msgspec.json.decode(raw, type=Record)
    except msgspec.MsgspecError as error:
        raise StateConflictError(
            f"{path} is not the record of a check: {error}",
            code="sim.record",
            hint="name another file, or remove it to begin anew",
        ) from None
    if (found.sources, found.start, found.violations) != (sources, start, []):
        return fresh
    found.seeds, found.commit = seeds, commit
    return found


def save(record: Record, path: Path) -> None:
    """Write *record*, whole or not at all."""
    text = json.dumps(msgspec.to_builtins(record), indent=1)
    replace_public(path, f"{text}\n".encode())


def sources_digest() -> str:
    """Return the SHA-256 (hex) of every source that a history runs through, by name and content."""
    digest = hashlib.sha256()
    for name in PACKAGES:
        for path, file in sorted(_files(resources.files(name), name)):
            digest.update(f"{path}\0{hashlib.sha256(file).hexdigest()}\n".encode())
    return digest.hexdigest()


def _files(folder: Traversable, path: str) -> Iterable[tuple[str, bytes]]:
    for one in folder.iterdir():
        inside = f"{path}/{one.name}"
        if one.is_dir() and inside not in DOORS:
            yield from _files(one, inside)
        elif one.name.endswith(SUFFIXES):
            yield inside, one.read_bytes()
