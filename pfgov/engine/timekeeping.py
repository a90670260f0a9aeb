"""What time it is for the ledger: never back, and a jump forward is noticed.

An entry's time is the wall clock's, or the last entry's where the clock went back.  A jump is told from an idle night
by the monotonic clock: the wall clock moved further than time passed.  This module decides nothing about leases.
"""

from pfgov.clock import Clock


class Timekeeper:
    """The wall clock as the ledger uses it.  Times and durations in microseconds."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._wall = clock.now()
        self._monotonic = clock.monotonic()

    def now(self, floor: int) -> int:
        """Return the moment for the next entry: the wall clock's, not before *floor*."""
        return max(self.clock.now(), floor)

    def jump(self) -> int:
        """Return by how much the wall clock outran the monotonic one since the last call; 0 when it did not."""
        wall, monotonic = self.clock.now(), self.clock.monotonic()
        jump = (wall - self._wall) - (monotonic - self._monotonic)
        self._wall, self._monotonic = wall, monotonic
        return max(jump, 0)
