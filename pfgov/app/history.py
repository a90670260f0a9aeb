"""Lists of entries by what no index knows: of which type, who asked, and what was decided.

A question looks at a bounded number of entries.  Where that is not enough for a page, the page is short, or empty, and
its cursor goes on where the look ended, so that nothing is passed over.  Times are positions first: no entry is older
than the one before it.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from pfgov.core import events as e
from pfgov.engine.reading import LedgerReader, Recorded
from pfgov.limits import SCANNED_MAX
from pfgov.storage.port import EntryFilter

BATCH: Final = 500

Fits = Callable[[Recorded], bool]
Found = tuple[list[Recorded], int | None]


def scan(reader: LedgerReader, wanted: EntryFilter, fits: Fits, limit: int) -> Found:
    """Return at most *limit* entries that *wanted* asks for and that fit, and the cursor of what follows.

    The cursor is the position after which, newest first before which, to go on; None at the end.
    """
    start, stop = _span(reader, wanted)
    low, high = start, stop
    if wanted.subject is None:  # else there is an index, and only the subject's own entries count
        low = max(start, stop - SCANNED_MAX) if wanted.newest_first else start
        high = stop if wanted.newest_first else min(stop, start + SCANNED_MAX)
    found: list[Recorded] = []
    looked = 0
    while low < high and looked < SCANNED_MAX:
        asked = replace(wanted, start=low, stop=high, since=None, until=None, limit=BATCH)
        batch = reader.entries(asked)
        looked += len(batch)
        for one in filter(fits, batch):
            if len(found) == limit:
                return found, found[-1].row.seq
            found.append(one)
        low, high = _left(batch, low, high, is_newest=wanted.newest_first)
    if wanted.newest_first:
        return found, high if start < high <= stop else None
    return found, low - 1 if low < stop else None


def _left(batch: list[Recorded], low: int, high: int, *, is_newest: bool) -> tuple[int, int]:
    """Return what of the window is not looked at yet; its end, as an empty one, when a *batch* was not full."""
    is_whole = len(batch) < BATCH
    if is_newest:
        return low, low if is_whole else batch[-1].row.seq
    return (high if is_whole else batch[-1].row.seq + 1), high


def _span(reader: LedgerReader, wanted: EntryFilter) -> tuple[int, int]:
    """Return the positions that *wanted* spans, its times among them."""
    size = reader.head().size
    start, stop = wanted.start, size if wanted.stop is None else min(wanted.stop, size)
    if wanted.since is not None:
        start = max(start, _first_at(reader, wanted.since, size))
    if wanted.until is not None:
        stop = min(stop, _first_at(reader, wanted.until, size))
    return start, stop


def _first_at(reader: LedgerReader, moment: int, size: int) -> int:
    return bisect_left(range(size), moment, key=lambda seq: reader.entry(seq).row.time)


def outcome_of(event: e.Event) -> str | None:
    """Return how the decision in *event* came out; None where nothing was decided."""
    if not isinstance(getattr(event, "decision", None), e.Decision):
        return None
    found: str = getattr(event, "outcome", "allowed")
    return found


class Actors:
    """Says whose command caused an entry: its first entry names it, and the others follow that one."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader
        self._known: dict[int, str] = {}

    def of(self, found: Recorded) -> str:
        """Return the principal's id; empty where no command caused the entry."""
        position, command = found.row.seq, found.event.command
        passed = [position]
        while command is None and position > 0 and position not in self._known:
            position -= 1
            passed.append(position)
            command = self._reader.entry(position).event.command
        known = self._known.get(position, "")
        who = known if command is None else command.principal.id
        self._known.update(dict.fromkeys(passed, who))
        return who
