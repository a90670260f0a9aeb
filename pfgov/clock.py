"""The only module that reads time.

Everything else takes a :class:`Clock`: the engine hands the present to ``decide`` as an integer, the
simulator hands in a clock that it turns by hand.  Wall time is asserted in the ledger and can step;
monotonic time measures leases and never steps back.  This module knows nothing of members or leases.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time, both in integer microseconds."""

    def now(self) -> int:
        """Return the wall clock: microseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> int:
        """Return a clock that never goes back: microseconds since an arbitrary moment."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Return the machine's wall clock."""
        return time.time_ns() // 1_000  # noqa: TID251 - this is the one place that reads it

    def monotonic(self) -> int:
        """Return the machine's monotonic clock."""
        return time.monotonic_ns() // 1_000


class ManualClock:
    """A clock that moves only when told to: for the demo, the simulator and the tests."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._monotonic = 0

    def now(self) -> int:
        """Return the moment it was last set to."""
        return self._now

    def monotonic(self) -> int:
        """Return the microseconds it was advanced by since it was made."""
        return self._monotonic

    def advance(self, microseconds: int) -> None:
        """Let *microseconds* (>= 0) pass on both clocks.

        Raises:
            ValueError: *microseconds* is negative; monotonic time cannot go back.
        """
        if microseconds < 0:
            raise ValueError(f"time cannot go back by {-microseconds} us")
        self._now += microseconds
        self._monotonic += microseconds

    def step(self, microseconds: int) -> None:
        """Move only the wall clock, either way: what an operator or NTP does."""
        self._now += microseconds
