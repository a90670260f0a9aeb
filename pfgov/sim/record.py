"""The record of a long check: which seeds ran under which code, and what they came to.

A hundred thousand histories take hours, so a check writes down each part that it has done and goes on from there when
it is started again.  What was done counts for the rules (:data:`~pfgov.core.events.SEMANTICS`) under which it ran:
other rules begin anew.  Other code under the same rules goes on with the seeds that are left, in a part of its own that
names its commit and holds a digest of every source that a history runs through, so that a reader sees what ran where.
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
OUTSIDE: Final = frozenset(
    {
        "pfgov/adapters", "pfgov/app", "pfgov/cli", "pfgov/client", "pfgov/kubernetes", "pfgov/labelling",
        "pfgov/lineage", "pfgov/lsp", "pfgov/mcp", "pfgov/model", "pfgov/policy/authoring", "pfgov/schemas",
    }
)  # fmt: skip
"""Parts of the packages that no history runs through."""

SUFFIXES: Final = (".py", ".yaml")


class Part(msgspec.Struct, kw_only=True):
    """What one state of the code has done.

    Attributes:
        commit: The commit that was checked out, as far as the caller knows.
        sources: The digest of the sources that ran (:func:`sources_digest`).
        done: Runs of seeds that are finished, as ``[first, count]``, in order.
        entries: Entries that these histories wrote.
    """

    commit: str | None
    sources: str
    done: list[tuple[int, int]] = []
    entries: int = 0


class Record(msgspec.Struct, kw_only=True):
    """What has been checked, in the order in which it is written.

    Attributes:
        semantics: The number of the rules.
        start: The first seed.
        seeds: How many are to be run.
        parts: What was done, by the code that did it; the last is what runs now.
        violations: Seeds that broke a promise, with what they broke.
    """

    semantics: int = SEMANTICS
    start: int = 0
    seeds: int
    parts: list[Part] = []
    violations: list[tuple[int, str]] = []

    @property
    def done(self) -> list[tuple[int, int]]:
        """Runs of seeds that are finished, whoever did them, as ``(first, count)``, in order."""
        return _merged(run for part in self.parts for run in part.done)

    @property
    def count(self) -> int:
        """How many seeds are done."""
        return sum(count for _, count in self.done)

    @property
    def entries(self) -> int:
        """How many entries all histories wrote."""
        return sum(part.entries for part in self.parts)

    def add(self, first: int, count: int, entries: int) -> None:
        """Note that the code that runs now has done *count* seeds from *first* on."""
        part = self.parts[-1]
        part.done = _merged([*part.done, (first, count)])
        part.entries += entries

    def holds(self, first: int, count: int) -> bool:
        """Whether these seeds are done."""
        return any(
            begin <= first and first + count <= begin + length for begin, length in self.done
        )


def _merged(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, length in sorted(runs):
        if merged and sum(merged[-1]) >= begin:
            before = merged[-1]
            merged[-1] = (before[0], max(sum(before), begin + length) - before[0])
        else:
            merged.append((begin, length))
    return merged


def load(path: Path, *, start: int, seeds: int, commit: str | None) -> Record:
    """Return the record at *path* to go on with, or a new one where there is none of these rules and this first seed.

    Raises:
        StateConflictError: ``sim.record``, the file is no record of a check.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        found = None
    else:
        found = _read(raw, path)
    if found is None or (found.semantics, found.start) != (SEMANTICS, start):
        found = Record(start=start, seeds=seeds)
    found.seeds, found.violations = seeds, []
    sources = sources_digest()
    if not found.parts or found.parts[-1].sources != sources:
        found.parts.append(Part(commit=commit, sources=sources))
    found.parts[-1].commit = commit
    return found


def _read(raw: bytes, path: Path) -> Record:
    try:
        return msgspec.json.decode(raw, type=Record)
    except msgspec.MsgspecError as error:
        raise StateConflictError(
            f"{path} is not the record of a check: {error}",
            code="sim.record",
            hint="name another file, or remove it to begin anew",
        ) from None


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
        if one.is_dir() and inside not in OUTSIDE:
            yield from _files(one, inside)
        elif one.name.endswith(SUFFIXES):
            yield inside, one.read_bytes()
