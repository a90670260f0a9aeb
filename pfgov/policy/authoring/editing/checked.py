"""A folder of policies as an editor has it: files on the disk, some of them with a text that was not saved yet.

It is checked by what ``policy check`` runs, on a copy in which the unsaved texts stand, so that both say the same.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pfgov.errors import PolicyError
from pfgov.files import read_regular
from pfgov.policy.authoring.checking import check_files
from pfgov.policy.budget import too_long, too_many_patterns
from pfgov.policy.compile import wrong_in
from pfgov.policy.files.documents import read_policy
from pfgov.policy.files.folder import FIXTURES, list_folder
from pfgov.policy.files.model import Policy, Rule
from pfgov.policy.files.reader import Reader
from pfgov.policy.files.source import SourceError, read
from pfgov.policy.limits import FILE_BYTES_MAX
from pfgov.policy.load import Files, kind_of, read_directory
from pfgov.policy.problems import Problem, in_order

POLICY_SUFFIXES: Final = (".policy.yaml", ".policy.yml")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is wrong or doubtful in a folder, and the files of it that could be read."""

    problems: tuple[Problem, ...]
    files: Files


def root_of(path: Path, workspace: Path | None) -> Path:
    """Return the folder of policies that the file *path* belongs to: the outermost one that holds a policy.

    It is looked for in *workspace*; without one, from the file's own folder up to where there is no policy any more.
    """
    found = path.parent.parent if path.parent.name == FIXTURES else path.parent
    for folder in (found, *found.parents):
        if workspace is not None and not folder.is_relative_to(workspace):
            break
        holds = any(one.name.endswith(POLICY_SUFFIXES) for one in folder.glob("*.policy.*"))
        if holds:
            found = folder
        elif workspace is None and folder != path.parent:
            break
    return found


def check(root: Path, unsaved: Mapping[Path, str]) -> Seen:
    """Return what ``policy check`` says of *root* with the texts of *unsaved* in place of what is on the disk."""
    try:
        listed = list_folder(root)
    except PolicyError as error:
        return Seen((Problem(error.code, error.message, str(root), hint=error.hint),), Files())
    paths = {*listed.policies, *listed.tests, *listed.fixtures}
    paths |= {path for path in unsaved if path.is_relative_to(root)}
    with tempfile.TemporaryDirectory(prefix="pfgov-editing-") as name:
        copy = Path(name)
        for path in paths:
            _copy(path, copy / path.relative_to(root), unsaved.get(path))
        try:
            files = read_directory(copy)
            problems = check_files(copy, files).problems
        except PolicyError as error:
            return Seen(tuple(listed.problems), Files()) if not paths else _unchecked(error, root)
        said = tuple(_at_home(problem, name, str(root)) for problem in problems)
    return Seen(in_order((*listed.problems, *said)), files)


def _unchecked(error: PolicyError, root: Path) -> Seen:
    return Seen((Problem(error.code, error.message, str(root), hint=error.hint),), Files())


def _copy(path: Path, target: Path, text: str | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        raw = read_regular(path, FILE_BYTES_MAX) if text is None else text.encode()
        target.write_bytes(raw)  # of one that is too large as much as shows that it is
    except (OSError, UnicodeEncodeError):
        return  # it went away meanwhile, or holds half a character; the next change checks again


def _at_home(problem: Problem, copy: str, root: str) -> Problem:
    """Return *problem* as of the folder itself."""
    hint = None if problem.hint is None else problem.hint.replace(copy, root)
    return replace(
        problem,
        file=problem.file.replace(copy, root),
        message=problem.message.replace(copy, root),
        hint=hint,
    )


class Alone:
    """Files one by one, beside the definitions and labels that were read last; what is sound is not checked again."""

    def __init__(self, beside: Files) -> None:
        self._beside = beside
        self._sound: dict[Path, tuple[Policy, frozenset[Rule]]] = {}

    def is_beside(self, files: Files) -> bool:
        """Whether everything here is said beside *files*, too."""
        known = self._beside
        return files.definitions == known.definitions and files.labels == known.labels

    def errors(self, path: Path, text: str) -> tuple[Problem, ...]:
        """Return the errors of the file *path* with this text.

        Much faster than :func:`check`, and less: whatever it finds, that finds, too.
        """
        reader = Reader(str(path))
        try:
            node = read(text, str(path))
        except SourceError as error:
            return (error.problem,)
        if not path.name.endswith(POLICY_SUFFIXES):
            return ()
        policy = read_policy(reader, node) if kind_of(reader, node, ("Policy",)) else None
        if policy is not None and not reader.problems:
            reader.problems += self._wrong_in(path, policy)
        return tuple(one for one in reader.problems if one.severity == "error")

    def _wrong_in(self, path: Path, policy: Policy) -> list[Problem]:
        beside = self._beside.definitions
        if too_much := [*too_long([policy], beside), *too_many_patterns([policy], beside)]:
            return [one for one in too_much if one.file == str(path)]
        head = replace(policy, rules=())
        known, sound = self._sound.get(path, (head, frozenset[Rule]()))
        kept = sound if known == head else frozenset[Rule]()
        found, kept = wrong_in(policy, beside, self._beside.labels, kept)
        self._sound[path] = (head, kept)
        return [one for one in in_order(found) if one.file == str(path)]


_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*|\S+")


def end_of(problem: Problem, line: str) -> int:
    """Return the column, 1-based, after what *problem* is about in its *line*: a word, or what stands there."""
    found = _WORD.match(line, max(problem.column - 1, 0))
    return found.end() + 1 if found else max(problem.column, len(line) + 1)
