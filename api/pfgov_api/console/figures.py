"""Drawings as numbers: where a bar ends, where a token lies on the ring.  The templates make SVG of them.

Nothing is drawn that cannot be seen: the tokens of the ring are drawn as a density, and one member is picked out.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pfgov.app.fleet import FleetView, OwnedView
from pfgov.app.views import MemberView
from pfgov.scheduling.draws import position
from pfgov.scheduling.hash_ring import CIRCLE, tokens

DIMENSIONS: Final = ("cpu", "memory", "tasks")
NAMES: Final = {"cpu": "CPU", "memory": "Memory", "tasks": "Tasks"}
GONE: Final = frozenset({"FAILED", "RETIRED"})
BINS: Final = 720
SLOTS: Final = 90
HEIRS_SHOWN: Final = 4
RING_MEMBERS_MAX: Final = 300
"""Members up to which the ring is drawn: each has a hundred tokens and more."""

LEAST: Final = 1e-6
"""The smallest quantity."""


@dataclass(frozen=True, slots=True)
class Bar:
    """How much of one dimension is used; ``wide`` and the blocks are hundredths of the scale."""

    used: float
    whole: float | None
    blocks: tuple[tuple[float, float], ...] = ()
    wide: float = 100.0
    is_scaled: bool = False

    @property
    def share(self) -> float:
        """The used part, 0 where there is no limit."""
        return self.used / self.whole if self.whole else 0.0

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits.

        >>> Bar(999.5, 1_000).is_full, Bar(4, 4).is_full, Bar(0.1 + 0.2, 0.3).is_full, Bar(0, None).is_full
        (False, True, True, False)
        """
        whole = self.whole or 0.0
        return whole > 0 and whole - self.used < LEAST / 2


def used(member: MemberView, dimension: str) -> float:
    """Return how much of a dimension a member's packets take."""
    return float(member.active if dimension == "tasks" else member.used.get(dimension, 0))


def bars(member: MemberView, owned: Sequence[OwnedView], scale: float) -> dict[str, Bar]:
    """Return a member's capacity by dimension; CPU to one *scale* for the whole fleet, a block a packet."""
    found = {one: Bar(used(member, one), member.capacity.get(one)) for one in DIMENSIONS}
    blocks: list[tuple[float, float]] = []
    at = 0.0
    for demand in sorted((one.demand.get("cpu", 0) for one in owned), reverse=True):
        width = demand / scale * 100
        if width:
            blocks.append((round(at, 3), round(width, 3)))
            at += width
    whole = member.capacity.get("cpu")
    wide = (whole or 0) / scale * 100
    found["cpu"] = Bar(used(member, "cpu"), whole, tuple(blocks), round(wide, 3), is_scaled=True)
    return found


def totals(members: Sequence[MemberView]) -> dict[str, Bar]:
    """Return what is used of each dimension, over the members that have a limit there and are not gone."""
    here = [one for one in members if one.status not in GONE]
    return {
        name: Bar(
            sum(used(one, name) for one in here if one.capacity.get(name)),
            sum(one.capacity.get(name, 0) for one in here),
        )
        for name in DIMENSIONS
    }


def is_full(member: MemberView) -> bool:
    """Whether a member has no room left in some dimension."""
    return any(Bar(used(member, name), member.capacity.get(name)).is_full for name in DIMENSIONS)


def fill(member: MemberView) -> float:
    """Return the largest used share of a member's dimensions."""
    shares = [
        used(member, name) / whole for name in DIMENSIONS if (whole := member.capacity.get(name))
    ]
    return max(shares, default=0.0)


# --- the ring ---------------------------------------------------------------------------------


def _at(angle: float, radius: float) -> tuple[float, float]:
    return round(radius * math.sin(angle), 2), round(-radius * math.cos(angle), 2)


def _spoke(angle: float, inner: float, outer: float) -> str:
    return "M{} {}L{} {}".format(*_at(angle, inner), *_at(angle, outer))


def ring(fleet: FleetView, chosen: str | None) -> dict[str, Any] | None:
    """Return the ring: the density of its tokens, the packets that it places, and one member picked out.

    None where there is nobody on it, or too many to be drawn.
    """
    there = [one for one in fleet.members if one.status not in GONE]
    if not there or len(there) > RING_MEMBERS_MAX:
        return None
    merged = sorted((at, one.id) for one in there for at in _tokens(one, fleet.vnodes))
    bins = Counter(at * BINS // CIRCLE for at, _ in merged)
    top = max(bins.values())
    turn = math.tau / BINS
    bezel = "".join(_spoke(b * turn, 168, 171 + 15 * n / top) for b, n in sorted(bins.items()))
    placed = [one for one in fleet.packets or () if one.scheduler == "ring"]
    if chosen not in {one.id for one in there}:
        holders = Counter(one.owner for one in placed)
        chosen = holders.most_common(1)[0][0] if holders else there[0].id
    picked = next((one for one in there if one.id == chosen), None)
    mine = ""
    if picked is not None:
        angles = (at / CIRCLE * math.tau for at in _tokens(picked, fleet.vnodes))
        mine = "".join(_spoke(angle, 168, 188) for angle in angles)
    heirs = _heirs(merged, there, placed, picked)
    return {
        "bezel": bezel,
        "mine": mine,
        "dots": _dots(placed, chosen),
        "picked": picked,
        "tokens": len(merged),
        "members": len(there),
        "share": _share(merged, chosen) if picked else None,
        "held": sum(one.owner == chosen for one in placed),
        "placed": len(placed),
        "heirs": heirs.most_common(HEIRS_SHOWN),
        "more": max(len(heirs) - HEIRS_SHOWN, 0),
    }


def _tokens(member: MemberView, vnodes: int) -> Sequence[int]:
    return tokens(member.id, member.weight, vnodes)


def _share(merged: Sequence[tuple[int, str]], chosen: str | None) -> float:
    """Return the part of the circle whose next token is of *chosen*."""
    gaps = zip(merged, (merged[-1], *merged[:-1]), strict=True)
    return sum((at - before) % CIRCLE for (at, who), (before, _) in gaps if who == chosen) / CIRCLE


def _dots(placed: Sequence[OwnedView], chosen: str | None) -> list[dict[str, Any]]:
    """Return where each packet lies; those of one place are stacked inwards."""
    rows: dict[int, int] = defaultdict(int)
    found: list[dict[str, Any]] = []
    for one in placed:
        at = position(one.packet_id)
        slot = at * SLOTS // CIRCLE
        x, y = _at(at / CIRCLE * math.tau, max(152 - 12 * rows[slot], 96))
        rows[slot] += 1
        found.append({"id": one.packet_id, "x": x, "y": y, "mine": one.owner == chosen})
    return found


def _heirs(
    merged: Sequence[tuple[int, str]],
    there: Sequence[MemberView],
    placed: Sequence[OwnedView],
    picked: MemberView | None,
) -> Counter[str]:
    """Count who is next on the ring for each packet of *picked*: active members that offer what it asks for."""
    found: Counter[str] = Counter()
    if picked is None:
        return found
    skills = {
        one.id: {str(skill["name"]) for skill in one.capabilities}
        for one in there
        if one.status == "ACTIVE" and one.id != picked.id
    }
    for packet in placed:
        if packet.owner != picked.id:
            continue
        asked = {required_name(one) for one in packet.required_capabilities}
        able = {who for who, has in skills.items() if asked <= has}
        start = position(packet.packet_id)
        clockwise = [((at - start) % CIRCLE, who) for at, who in merged if who in able]
        if clockwise:
            found[min(clockwise)[1]] += 1
    return found


def required_name(requirement: str) -> str:
    """Return the name in a requirement such as ``ocr>=1.2``."""
    return requirement.rstrip("0123456789.*,<>=!~ ") or requirement


def grouped(members: Sequence[MemberView]) -> Mapping[str, list[MemberView]]:
    """Return members by the first part of their region, the fullest first and those who are gone last."""
    found: dict[str, list[MemberView]] = {}
    for one in members:
        found.setdefault((one.region or "no region").partition("/")[0], []).append(one)
    for group in found.values():
        group.sort(key=lambda one: (one.status in GONE, -fill(one), one.id))
    return dict(sorted(found.items()))
