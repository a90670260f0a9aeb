"""What a set covers, and what it may not leave uncovered without somebody saying so."""

from itertools import chain, combinations

import pytest

from pfgov.core.coverage import UncoveredError, check_covered, coverage_of
from pfgov.core.verdicts import GUARDING, PLACING, Point
from pfgov.errors import InvalidError


def _some_sets() -> list[frozenset[Point]]:
    singles = [*combinations(Point, 0), *combinations(Point, 1), *combinations(Point, 2)]
    others = [frozenset(Point) - frozenset(few) for few in singles]
    return [*map(frozenset, singles), *others, PLACING, GUARDING]


@pytest.mark.parametrize("points", _some_sets(), ids=lambda points: ",".join(sorted(points)))
def test_every_point_is_covered_closed_or_left_to_rights(points: frozenset[Point]) -> None:
    """A point of which nothing is said, or two things; a closed point that is a guarding one."""
    found = coverage_of(points)
    assert sorted(chain(found.covered, found.closed, found.left_to_rights)) == sorted(Point)
    assert set(found.covered) == points
    assert set(found.closed) == PLACING - points
    assert set(found.left_to_rights) == GUARDING - points


@pytest.mark.parametrize("points", _some_sets(), ids=lambda points: ",".join(sorted(points)))
def test_what_is_closed_has_to_be_named_and_nothing_else(points: frozenset[Point]) -> None:
    """A set that closes a point passes; one that closes none, or whose closed points are named, does not."""
    closed = PLACING - points
    check_covered(points, closed)
    check_covered(points, PLACING)
    for kept_silent in sorted(closed):
        with pytest.raises(UncoveredError, match=kept_silent):
            check_covered(points, closed - {kept_silent})
    if not closed:
        check_covered(points)


@pytest.mark.parametrize(
    "name", ["export", "Retain", "retain ", "retain\u200b", "place", "", "x" * 5_000]
)
def test_only_placing_points_can_be_named(name: str) -> None:
    """A misspelt point is taken for one that was meant, or a guarding one that needs no leave."""
    with pytest.raises(InvalidError) as caught:
        check_covered(PLACING, (name,))
    assert len(caught.value.message) < 200


def test_what_is_lost_is_what_was_covered_before() -> None:
    """A guard that a new set drops goes without a word."""
    before, after = (
        coverage_of({"register", "export", "submit"}),
        coverage_of({"register", "submit"}),
    )
    assert after.lost_from(before) == (Point.EXPORT,)
    assert before.lost_from(after) == ()
