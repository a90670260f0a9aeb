"""Reliability: fading counts in exact integers."""

import pytest

from pfgov.core.reliability import COUNT_MAX, Record, faded, observed, value

DAY = 86_400_000_000


def test_a_member_without_outcomes_stands_in_the_middle() -> None:
    """Nobody starts as perfect: one success must beat none, and 98 of 100 must beat one of one."""
    new = value(Record(), 0, DAY)
    once = value(observed(Record(), 0, success=True, half_life_us=DAY), 0, DAY)
    record = Record(98_000_000, 2_000_000, 0)
    assert new == 500_000
    assert new < once < value(record, 0, DAY)


@pytest.mark.parametrize(
    ("elapsed", "left"),
    [(-1, 1_000), (0, 1_000), (1, 999), (DAY // 2, 750), (DAY, 500), (2 * DAY, 250)],
)
def test_a_count_halves_once_per_half_life(elapsed: int, left: int) -> None:
    """Linear between halvings, rounded down, and never fading backwards in time."""
    assert faded(1_000, elapsed, DAY) == left


def test_old_outcomes_are_forgotten() -> None:
    """After many half-lives a member is judged as if it were new."""
    assert faded(COUNT_MAX, 10**30, 1) == 0
    assert value(Record(COUNT_MAX, 0, 0), 1_000 * DAY, DAY) == 500_000


def test_counts_stop_at_their_limit() -> None:
    """A member cannot bank more than a thousand million outcomes."""
    record = Record(COUNT_MAX, COUNT_MAX, 5)
    for success in (True, False):
        assert observed(record, 5, success=success, half_life_us=DAY) == record
    assert value(Record(COUNT_MAX, 0, 0), 0, DAY) == 999_999
    assert value(Record(0, COUNT_MAX, 0), 0, DAY) == 0


def test_time_does_not_run_back_in_a_record() -> None:
    """An outcome with an earlier time counts now; the record keeps the later time."""
    record = observed(Record(0, 0, 100), 50, success=True, half_life_us=DAY)
    assert record == Record(1_000_000, 0, 100)


@pytest.mark.parametrize("half_life", [0, -1])
def test_a_half_life_is_positive(half_life: int) -> None:
    """A half-life of nothing is our own mistake, and does not divide by zero."""
    with pytest.raises(ValueError, match="not positive"):
        value(Record(), 0, half_life)
