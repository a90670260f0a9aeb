"""Reliability from recorded outcomes: how often a member completed what it owned, old outcomes
fading.

Successes and failures are counted in micro-units and halved once per half-life; between two
halvings the counts fall linearly, so that no logarithm or power of a floating-point library decides
anything.  The value is the mean of the Beta(s + 1, f + 1) distribution, ``(s + 1) / (s + f + 2)``:
a new member stands at 0.5 and no member reaches 1.

This module knows no clock, no member and no packet.  ``docs/reference/schedulers.md`` states the
arithmetic and names the vectors.

>>> day = 86_400_000_000
>>> record = observed(Record(0, 0, 0), now_us=0, success=True, half_life_us=day)
>>> value(record, now_us=0, half_life_us=day), value(record, now_us=day, half_life_us=day)
(666666, 600000)
"""

from typing import Final, NamedTuple

from pfgov.limits import MICRO

COUNT_MAX: Final = 1_000_000_000 * MICRO
"""Counts stop at a thousand million outcomes."""


class Record(NamedTuple):
    """Outcomes of one member.

    Attributes:
        successes_micro: Faded count of successes, in micro-units.
        failures_micro: Faded count of failures, in micro-units.
        as_of_us: When the counts were right, in microseconds.
    """

    successes_micro: int = 0
    failures_micro: int = 0
    as_of_us: int = 0


def faded(count_micro: int, elapsed_us: int, half_life_us: int) -> int:
    """Return what is left of a count after *elapsed_us*, rounded down.

    ``(count >> n) x (2h - r) // 2h`` with ``n, r = divmod(elapsed, h)``: halved n times, then down
    the straight line towards the next half.  Time that runs back fades nothing.

    Raises:
        ValueError: the half-life is not positive.
    """
    if half_life_us <= 0:
        raise ValueError(f"a half-life of {half_life_us} us is not positive")
    if elapsed_us <= 0:
        return count_micro
    halvings, rest = divmod(elapsed_us, half_life_us)
    return (count_micro >> halvings) * (2 * half_life_us - rest) // (2 * half_life_us)


def observed(record: Record, now_us: int, *, success: bool, half_life_us: int) -> Record:
    """Return *record* faded to *now_us* with one more outcome.

    Raises:
        ValueError: the half-life is not positive.
    """
    elapsed = now_us - record.as_of_us
    successes = faded(record.successes_micro, elapsed, half_life_us)
    failures = faded(record.failures_micro, elapsed, half_life_us)
    if success:
        successes = min(successes + MICRO, COUNT_MAX)
    else:
        failures = min(failures + MICRO, COUNT_MAX)
    return Record(successes, failures, max(now_us, record.as_of_us))


def value(record: Record, now_us: int, half_life_us: int) -> int:
    """Return the reliability at *now_us* in micro-units, rounded down: 0 <= value < 1,000,000.

    Raises:
        ValueError: the half-life is not positive.
    """
    elapsed = now_us - record.as_of_us
    successes = faded(record.successes_micro, elapsed, half_life_us)
    failures = faded(record.failures_micro, elapsed, half_life_us)
    return (successes + MICRO) * MICRO // (successes + failures + 2 * MICRO)
