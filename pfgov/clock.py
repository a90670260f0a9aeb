"""The only module that reads time.

Everything else takes a :class:`Clock`: the engine hands the present to ``decide`` as an integer, the
simulator hands in a clock that it turns by hand.  Wall time is asserted in the ledger and can step;
monotonic time measures leases and never steps back.  This module knows nothing of members or leases.
"""

import gc
import threading
import time
from typing import Any, Final, Protocol

from pfgov.errors import PfgovError
from pfgov.limits import CLOCK_IDLE_MAX


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


def processor_micros() -> int:
    """Return what the processor has spent on this thread, in microseconds, without whole walks of the collector.

    It does not grow while the thread waits, so that a busy machine makes nothing look long that is not; nor while
    the collector walks everything that lives in the process, which says how large that is and nothing of the work.
    """
    return (time.thread_time_ns() - _walks.taken) // 1_000


class _Walks(threading.local):
    """What whole walks of the collector took of this thread, in nanoseconds, and when the present one began."""

    taken: int = 0
    began: int = 0

    def note(self, phase: str, about: dict[str, Any]) -> None:
        """Hear from the collector.  Its short looks at what is young stay in: the work makes them."""
        if about["generation"] < 2:
            return
        if phase == "start":
            self.began = time.thread_time_ns()
        else:
            self.taken += time.thread_time_ns() - self.began


_walks: Final = _Walks()
gc.callbacks.append(_walks.note)


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


JUMP_MAX: Final = 300_000_000
"""A leap beyond this is doubted before there is a configuration that says so, in microseconds."""


class ClockError(PfgovError):
    """The machine's clock is so far ahead of the last entry that it is probably wrong; nothing is recorded."""

    code = "clock.ahead"
    exit_status = 4


class Timekeeper:
    """The wall clock as a ledger uses it, in microseconds: never back, never at a stand, not where it cannot be right.

    An entry's time is the wall clock's for as long as that goes with the monotonic clock.  Where it leaps ahead by more
    than the configured bound, time goes on as it passed, until the wall clock is back, or somebody or a steady while
    says that it is right.  Where it falls behind what entries say already, time goes on at half its pace until the
    wall clock has come up, or at its whole pace where that would take too long: a lease ends in any case.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._time: int | None = None
        self._monotonic = clock.monotonic()
        self._doubted_since = self._monotonic
        self._is_trusted = False
        self.ahead = 0
        """By how much the wall clock is ahead of the ledger's time, while that is doubted; negative where it is
        behind.
        """

    def now(self, floor: int, jump_max: int = JUMP_MAX) -> int:
        """Return the moment for the next entry: not before *floor*, the last entry's.

        Raises:
            ClockError: the wall clock is more than a year ahead of the last entry, and nobody said that it is right.
        """
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        if self._time is None:
            self._time = self._first(wall, floor)
            self.ahead = min(wall - self._time, 0)
        else:
            passed = monotonic - self._monotonic
            self._time = max(self._next(wall, passed, jump_max, monotonic), floor)
        self._monotonic = monotonic
        return self._time

    def _first(self, wall: int, floor: int) -> int:
        if floor and wall - floor > CLOCK_IDLE_MAX and not self._is_trusted:
            days = (wall - floor) // 86_400_000_000
            raise ClockError(
                f"this machine's clock is {days} days ahead of the last entry",
                hint="set it right; if it is right, and the ledger rested that long: pfgov tick --resume",
            )
        return max(wall, floor)

    def _next(self, wall: int, passed: int, jump_max: int, monotonic: int) -> int:
        before = self._time or 0
        expected = before + passed
        ahead = wall - expected
        if ahead > jump_max and not self._is_trusted:
            if abs(ahead - self.ahead) > jump_max:
                self._doubted_since = monotonic
            self.ahead = ahead
            return expected
        self._is_trusted = False
        self.ahead = min(ahead, 0)
        if ahead >= 0:
            return wall
        return expected if -ahead > jump_max else before + passed // 2

    def monotonic(self) -> int:
        """Return the clock that never goes back, by which durations are measured."""
        return self._clock.monotonic()

    @property
    def doubted_for(self) -> int:
        """For how long the wall clock has been steadily ahead."""
        return self._clock.monotonic() - self._doubted_since if self.ahead > 0 else 0

    def trust(self) -> None:
        """Take the wall clock as it is from the next look on: somebody, or a steady while, says that it is right."""
        self._is_trusted = True
