"""Which decision points a policy set covers, and what holds at the others.  A pure function of the set's points.

A point is covered by a rule of an enforcing policy besides the kernel.  At a *placing* point that nothing covers
nothing is allowed: nobody joins, gets or keeps work there.  At a *guarding* point rights alone decide.  Whoever shows,
checks or activates a set asks here, so that all of them say the same.  This module judges nobody.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pfgov.core.verdicts import GUARDING, PLACING, Point
from pfgov.core.wording import counted
from pfgov.errors import InvalidError, PfgovError


class UncoveredError(PfgovError):
    """A policy set leaves a placing point uncovered, and nobody said that it may."""

    code = "policy.uncovered"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a policy set says something about; each in the order of the points.

    Attributes:
        covered: Points with a rule of an enforcing policy besides the kernel.
        closed: Placing points without one: nothing is allowed there.
        left_to_rights: Guarding points without one: who has the right may.
    """

    covered: tuple[Point, ...]
    closed: tuple[Point, ...]
    left_to_rights: tuple[Point, ...]

    def lost_from(self, before: "Coverage") -> tuple[Point, ...]:
        """Return the points that *before* covers and this one does not."""
        return tuple(point for point in before.covered if point not in self.covered)

    def view(self) -> dict[str, Any]:
        """Return what is shown of it, the names of the points as JSON has them."""
        return {
            "covered": list(map(str, self.covered)),
            "closed": list(map(str, self.closed)),
            "left_to_rights": list(map(str, self.left_to_rights)),
        }


def coverage_of(points: Collection[str]) -> Coverage:
    """Return the coverage of a set whose enforcing policies have rules at *points*.

    >>> coverage_of({"register", "assign", "handoff", "accept", "export"}).closed
    (<Point.RETAIN: 'retain'>,)
    """
    bare = [point for point in Point if point not in points]
    return Coverage(
        covered=tuple(point for point in Point if point in points),
        closed=tuple(point for point in bare if point in PLACING),
        left_to_rights=tuple(point for point in bare if point in GUARDING),
    )


def check_covered(points: Collection[str], leave_uncovered: Collection[str] = ()) -> None:
    """Refuse a set that leaves a placing point uncovered which *leave_uncovered* does not name.

    Raises:
        UncoveredError: ``policy.uncovered``, it does.
        InvalidError: what may be left uncovered is no placing point.
    """
    for name in leave_uncovered:
        if name not in PLACING:
            raise InvalidError(
                f"{name[:64]!r} is no placing point",
                hint="placing points: register, assign, handoff, accept, retain",
                pointer="/leave_uncovered",
            )
    bare = [point for point in coverage_of(points).closed if point not in leave_uncovered]
    if not bare:
        return
    named = ", ".join(bare)
    raise UncoveredError(
        f"no policy of the set covers {counted(len(bare), 'placing point')}: {named}; {_AT[bare[0]]}",
        hint=f"add rules at {named} (the starter set has some: pfgov policy init DIR), or name each point at which "
        "nothing shall be allowed: --leave-uncovered POINT, or leave_uncovered in a request",
    )


_AT = {
    Point.REGISTER: "nobody could join",
    Point.ASSIGN: "no packet would get a first owner",
    Point.HANDOFF: "no packet would get another owner",
    Point.ACCEPT: "no handoff could be accepted",
    Point.RETAIN: "every owner would lose what it has, and nobody would get anything",
}
"""What it means that nothing is allowed at a placing point."""
