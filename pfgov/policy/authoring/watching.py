"""A folder of policies while it is being written: check it, run its tests, and again whenever a file of it changes.

How time passes between two looks, and how a round is shown, is not known here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pfgov.errors import PolicyError
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.testing.runner import Report, run_directory
from pfgov.policy.files.folder import FIXTURE_SUFFIXES
from pfgov.policy.problems import NoTestsError, PolicyErrors, Problem

Stamps = dict[Path, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Round:
    """What a folder came to once.

    Attributes:
        changed: The files that are new, gone or other than a round before, by their names below the folder.
        problems: What is wrong or doubtful.
        report: What the tests came to; None where nothing could be run.
    """

    changed: tuple[str, ...]
    problems: tuple[Problem, ...]
    report: Report | None

    @property
    def passes(self) -> bool:
        """Whether nothing refuses the set, and no test fails."""
        is_refused = any(problem.severity == "error" for problem in self.problems)
        return not is_refused and not (self.report and self.report.failed)


def stamps(folder: Path) -> Stamps:
    """Return when each file of *folder* was written last, and its size."""
    found: Stamps = {}
    for path in folder.rglob("*"):
        if path.name.lower().endswith(FIXTURE_SUFFIXES) and not path.name.startswith("."):
            try:
                seen = path.stat()
            except OSError:
                continue  # an editor replaces a file by another
            found[path] = (seen.st_mtime_ns, seen.st_size)
    return found


def rounds(folder: Path, pause: Callable[[], None]) -> Iterator[Round]:
    """Yield what *folder* comes to, at once and after each change, for ever; *pause* between two looks at its files.

    Raises:
        PolicyError: at first, there is no such folder.
    """
    before = stamps(folder)
    yield _round(folder, ())
    while True:
        pause()
        now = stamps(folder)
        if now == before:
            continue
        changed = {path for path in {*before, *now} if before.get(path) != now.get(path)}
        before = now
        yield _round(folder, tuple(sorted(str(path.relative_to(folder)) for path in changed)))


def _round(folder: Path, changed: tuple[str, ...]) -> Round:
    try:
        checked = check_directory(folder)
        if checked.errors:
            return Round(changed, checked.problems, None)
        try:
            return Round(changed, checked.problems, run_directory(folder))
        except NoTestsError:
            return Round(changed, checked.problems, None)
    except PolicyErrors as error:
        return Round(changed, tuple(error.problems), None)
    except PolicyError as error:
        if not changed:
            raise  # no such folder, or nothing in it: a word now is better than waiting for ever
        wrong = Problem(error.code, error.message, str(folder), hint=error.hint)
        return Round(changed, (wrong,), None)
