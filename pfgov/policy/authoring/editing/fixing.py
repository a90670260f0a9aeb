"""What an editor can put in the place of a mistake: the word that was probably meant.

The guess is the one in the problem's hint; here it only finds its place in the text.
"""

import re
from dataclasses import dataclass
from typing import Final

from pfgov.policy.problems import Problem

LINE_CHARACTERS_MAX: Final = 10_000
"""Characters of a line in which an editor is told where something is, and offered what was meant."""

_MEANT: Final = re.compile(r"did you mean `([^`]+)`\?")
_QUOTED: Final = re.compile(r"`([^`]+)`|'([^']+)'")


@dataclass(frozen=True, slots=True)
class Fix:
    """Characters *start* to *end* of a line, 0-based, are to read *text*."""

    line: int
    start: int
    end: int
    text: str

    @property
    def title(self) -> str:
        """What the editor offers."""
        return f"Change to `{self.text}`"


def fix_of(problem: Problem, lines: list[str]) -> Fix | None:
    """Return what was probably meant in the place of what *problem* is about; None where nothing is near."""
    meant = _MEANT.search(problem.hint or "")
    if meant is None or not 0 < problem.line <= len(lines):
        return None
    line, at = lines[problem.line - 1], max(problem.column - 1, 0)
    if (
        len(line) > LINE_CHARACTERS_MAX
    ):  # each of thousands of problems would be looked for in all of it
        return None
    for found in _QUOTED.finditer(problem.message):
        quoted = found[1] or found[2]
        for word in dict.fromkeys((quoted, quoted.rpartition(".")[2])):
            place = _place(word, line, at)
            if place is not None and word != meant[1]:
                return Fix(problem.line - 1, place, place + len(word), meant[1])
    return None


def _place(word: str, line: str, at: int) -> int | None:
    """Return where *word* stands whole in *line*: at *at*, else after it, else before it."""
    places = [
        found.start() for found in re.finditer(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line)
    ]
    return next((place for place in places if place >= at), places[-1] if places else None)
