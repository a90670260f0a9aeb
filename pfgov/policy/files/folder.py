"""What is in a folder of policies: each file is one to read, or named with why it is not.

A restrictive policy that is skipped in silence is a hole, so nothing is passed over: what looks like a policy and
cannot be read as one is a problem that refuses the folder, and everything else is listed.  Nothing is opened here: a
pipe that is named like a policy never hangs its reader.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from pfgov.core.lookalikes import plainly
from pfgov.policy import limits
from pfgov.policy.problems import Problem, one_line

TEST_SUFFIX: Final = ".test.yaml"
FIXTURES: Final = "fixtures"
POLICY_SUFFIXES: Final = (".yaml", ".yml")
"""How files of policies end."""
_MEANT: Final = (".policy", ".policy.json", ".policy.yaml.txt", ".policy.yml.txt", ".policy.toml")
FIXTURE_SUFFIXES: Final = (*POLICY_SUFFIXES, ".json")
"""How files end that may hold facts of a test; those of policies and tests are among them."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A file or folder that is not read, and why."""

    path: Path
    why: str

    @property
    def shown(self) -> str:
        """The path on one line."""
        return one_line(str(self.path))


@dataclass(slots=True)
class Folder:
    """The files below one folder, each list in order; ``unread`` has what is none of them."""

    policies: list[Path] = field(default_factory=list[Path])
    tests: list[Path] = field(default_factory=list[Path])
    fixtures: list[Path] = field(default_factory=list[Path])
    unread: list[Unread] = field(default_factory=list[Unread])
    problems: list[Problem] = field(default_factory=list[Problem])


def list_folder(root: Path) -> Folder:
    """Return what is below *root*."""
    found = Folder()
    for count, (path, is_fixture) in enumerate(_walk(root, found)):
        if count >= limits.FILES_MAX:
            found.problems.append(
                Problem("policy.too_many", f"more than {limits.FILES_MAX} files", str(root))
            )
            break
        _sort(path, found, is_fixture=is_fixture)
    return found


def _walk(root: Path, found: Folder) -> Iterator[tuple[Path, bool]]:
    def unlisted(error: OSError) -> None:
        where = os.fspath(error.filename or root)
        found.problems.append(Problem("policy.unreadable", f"{error.strerror}", where))

    for folder, folders, names in os.walk(root, onerror=unlisted):
        kept: list[str] = []
        for name in sorted(folders):
            path = Path(folder) / name
            if path.is_symlink():
                _refuse(found, path, "is a link to a folder, which is not followed")
            elif name.startswith(".") and _holds_policy(path):
                _refuse(found, path, "is hidden, and holds policies")
            elif name.startswith("."):
                found.unread.append(Unread(path, "hidden"))
            else:
                kept.append(name)
        folders[:] = kept
        is_fixture = FIXTURES in Path(folder).relative_to(root).parts
        for name in sorted(names):
            yield Path(folder) / name, is_fixture


def _sort(path: Path, found: Folder, *, is_fixture: bool) -> None:
    suffixes = FIXTURE_SUFFIXES if is_fixture else POLICY_SUFFIXES
    name = path.name
    if not name.lower().endswith(suffixes) and _is_meant(name):
        _refuse(found, path, f"{name!r} looks like a policy, and does not end with .yaml or .yml")
    elif not name.lower().endswith(suffixes):
        found.unread.append(Unread(path, f"its name does not end with {' or '.join(suffixes)}"))
    elif name.startswith("."):
        _refuse(found, path, "is hidden: its name begins with a dot")
    elif not name.endswith(suffixes) or _is_test(name.lower()) != _is_test(name):
        _refuse(found, path, "ends with capitals: write .yaml, .yml or .test.yaml")
    elif _mode(path) is None:
        found.problems.append(
            Problem(
                "policy.unreadable", "the file is a link to nothing, or out of reach", str(path)
            )
        )
    elif not stat.S_ISREG(_mode(path) or 0):
        _refuse(found, path, "is no regular file")
    elif is_fixture:
        found.fixtures.append(path)
    else:
        (found.tests if _is_test(name) else found.policies).append(path)


def _is_meant(name: str) -> bool:
    """Whether a person takes *name* for that of a policy: it ends with a blank, a look-alike, or another suffix."""
    seen = plainly(name).strip().lower()
    return seen.endswith((*POLICY_SUFFIXES, *_MEANT))


def _holds_policy(folder: Path) -> bool:
    """Whether a policy stands in the hidden *folder*; what is deeper in it is not looked at, nor more than a bound."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name.lower() for entry in islice(entries, limits.FILES_MAX)]
    except OSError:
        return False
    return any(name.endswith((".policy.yaml", ".policy.yml")) for name in names)


def _is_test(name: str) -> bool:
    return name.endswith(TEST_SUFFIX)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _refuse(found: Folder, path: Path, why: str) -> None:
    found.problems.append(
        Problem(
            "policy.unread",
            f"the file {why}" if not path.is_dir() else f"it {why}",
            str(path),
            hint="rename it, put the file itself here, or move it out of the folder",
        )
    )
