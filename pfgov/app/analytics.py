"""How stable a ledger is, over its time: the metrics of the simulator, computed from entries, with the same formulas.

The entries are read once, in order, a bounded number for each question; after every few of them the metrics so far
are noted.  When there are too many notes every other one is dropped, so that a long history costs no more memory than a
short one.  A metric at a moment is over everything up to then.
"""

import threading
from collections import Counter
from typing import Final

import msgspec

from pfgov.app.views.numbers import moment
from pfgov.core.records import Stamp
from pfgov.engine.reading import LedgerReader
from pfgov.sim.metrics import DEFINITIONS, Meter
from pfgov.storage.port import EntryFilter

READ_MAX: Final = 10_000
"""Entries that one question reads; what is left is read by the next ones."""

BATCH: Final = 500
NOTES_MAX: Final = 240
SHOWN: Final = (
    "stability",
    "success_rate",
    "denial_rate",
    "churn",
    "balance",
    "moves",
    "completed",
    "reown_p99",
    "wait_p99",
)
"""The metrics that are noted."""


class NoteView(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics over everything up to an entry; None where there was nothing to divide by."""

    seq: int
    time: str
    values: dict[str, float | None]


class AnalyticsView(msgspec.Struct, frozen=True, kw_only=True):
    """Notes in order, how each metric is computed, and how many of the entries are covered."""

    covered: int
    size: int
    definitions: dict[str, dict[str, str]]
    notes: list[NoteView]


class Analytics:
    """The metrics of one ledger, kept while it grows."""

    def __init__(self) -> None:
        self._meter = Meter()
        self._covered = 0
        self._every = 10
        self._notes: list[NoteView] = []
        self._lock = threading.Lock()

    def read(self, reader: LedgerReader) -> AnalyticsView:
        """Return the metrics so far, after reading on; for a thread."""
        with self._lock:
            size = reader.head().size
            self._read_on(reader, min(size, self._covered + READ_MAX))
            return AnalyticsView(
                covered=self._covered,
                size=size,
                definitions={name: _definition(name) for name in SHOWN},
                notes=list(self._notes),
            )

    def _read_on(self, reader: LedgerReader, stop: int) -> None:
        while self._covered < stop:
            limit = min(BATCH, stop - self._covered)
            batch = reader.entries(EntryFilter(start=self._covered, stop=stop, limit=limit))
            if not batch:
                return
            for one in batch:
                self._meter.read(one.event, Stamp(one.row.seq, one.row.time))
                self._covered = one.row.seq + 1
                if self._covered % self._every == 0:
                    self._note(one.row.seq, one.row.time)

    def _note(self, seq: int, time: int) -> None:
        owned = Counter(self._meter.owner.values())
        self._meter.sample([owned[member] for member in self._meter.members])
        found = self._meter.result()
        values = {name: found[name] for name in SHOWN}
        self._notes.append(NoteView(seq=seq, time=moment(time) or "", values=values))
        if len(self._notes) > NOTES_MAX:
            self._notes = self._notes[1::2]
            self._every *= 2


def _definition(name: str) -> dict[str, str]:
    found = DEFINITIONS[name]
    return {"formula": found.formula, "unit": found.unit, "of_nothing": found.of_nothing}
