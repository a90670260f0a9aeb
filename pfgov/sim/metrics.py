"""Metrics: each defined once, with its formula and unit, and computed from the ledger's entries alone.

Nothing here asks the simulation what it meant to do: an auditor with the export computes the same numbers.
Times are virtual seconds.  A *placement* gives an owner to a packet that never had one; a *move* is every later change
of owner.  Placements are not moves, so that a fleet without churn is perfectly stable.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pfgov.core import events as e
from pfgov.core.records import Stamp

SECOND: Final = 1_000_000


class Definition(NamedTuple):
    """How a metric is computed, in which unit, and what it means when there is nothing to divide by."""

    formula: str
    unit: str
    of_nothing: str = "0"


DEFINITIONS: Final[dict[str, Definition]] = {
    "packets": Definition("packets submitted", "count"),
    "completed": Definition("packets completed", "count"),
    "success_rate": Definition(
        "completed / (submitted - still owned at the end); never placed counts as not completed",
        "share",
        "none ended",
    ),
    "churn": Definition(
        "(joins + leaves + failures + recoveries) / member-hours",
        "per member and hour",
        "no time passed",
    ),
    "placements": Definition("first owners given", "count"),
    "moves": Definition("later owners given", "count"),
    "stability": Definition(
        "1 - packets that moved / packets that were placed", "share", "none was placed"
    ),
    "remap_mean": Definition(
        "mean over failures, leaves and joins of packets that moved because of it / packets owned then",
        "share",
        "nobody came or went",
    ),
    "remap_max": Definition("the largest of these", "share", "nobody came or went"),
    "remap_expected": Definition(
        "mean of 1 / members at the same moments (K/N over K)", "share", "nobody came or went"
    ),
    "overhead": Definition("moves / placements", "moves per placement", "none was placed"),
    "wait_p50": Definition(
        "median time from submission to the first owner", "seconds", "none was placed"
    ),
    "wait_p99": Definition(
        "99th percentile of the time from submission to the first owner",
        "seconds",
        "none was placed",
    ),
    "gap_mean": Definition(
        "mean time from losing an owner to the next one", "seconds", "none lost its owner"
    ),
    "gap_p99": Definition(
        "99th percentile of the time from losing an owner to the next one",
        "seconds",
        "none lost its owner",
    ),
    "reown_p50": Definition(
        "median time from a dead owner's last heartbeat to the next owner",
        "seconds",
        "no owner died",
    ),
    "reown_p99": Definition(
        "99th percentile of the time from a dead owner's last heartbeat to the next owner",
        "seconds",
        "no owner died",
    ),
    "balance": Definition(
        "mean load / largest load over active members, averaged over time",
        "share",
        "nobody owned anything",
    ),
    "denial_rate": Definition(
        "decisions that found nobody / decisions", "share", "nothing was decided"
    ),
    "stale_refused": Definition("late writes of former owners refused", "count"),
    "failed": Definition("packets that ended FAILED", "count"),
    "conserved": Definition("submitted = completed + failed + cancelled + live", "1 or 0"),
}
"""Metric -> formula, unit and what it is of nothing: the only place where they are defined."""

Metrics = dict[str, float | None]
"""Metric -> value; None where there was nothing to divide by."""


def _numbers() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class _Change:
    """A membership change and what moved because of it."""

    member_id: str
    owned: int
    members: int
    moved: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class Meter:
    """Reads entries in order and keeps what the metrics need; of packets that ended only numbers."""

    created: dict[str, int] = field(default_factory=dict[str, int])
    submitted: int = 0
    owner: dict[str, str] = field(default_factory=dict[str, str])
    had_owner: set[str] = field(default_factory=set[str])
    moved: set[str] = field(default_factory=set[str])
    moves: int = 0
    packets_moved: int = 0
    ended: Counter[str] = field(default_factory=Counter[str])
    members: set[str] = field(default_factory=set[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    decisions: int = 0
    found_nobody: int = 0
    waits: "array[float]" = field(default_factory=_numbers)
    gaps: "array[float]" = field(default_factory=_numbers)
    reown: "array[float]" = field(default_factory=_numbers)
    balances: "array[float]" = field(default_factory=_numbers)
    placements: int = 0
    member_seconds: float = 0.0
    _lost: dict[str, tuple[int, int | None]] = field(
        default_factory=dict[str, tuple[int, int | None]]
    )
    _changes: list[_Change] = field(default_factory=list[_Change])
    _by_member: dict[str, _Change] = field(default_factory=dict[str, _Change])
    _last_seen: dict[str, int] = field(default_factory=dict[str, int])
    _since: int = 0

    def read(self, event: e.Event, stamp: Stamp) -> None:
        """Take one entry in."""
        if self._since:
            self.member_seconds += len(self.members) * (stamp.time - self._since) / SECOND
        self._since = stamp.time
        self.kinds[event.type] += 1
        match event:
            case e.PacketCreated():
                self.created[event.packet_id] = stamp.time
                self.submitted += 1
            case (
                e.AssignmentDecision()
                | e.HandoffDenied()
                | e.HandoffStarted()
                | e.HandoffEscalated()
            ):
                self._decided(event, stamp)
            case e.HandoffCompleted():
                self._owns(event.packet_id, event.owner.member_id, stamp)
            case e.OwnershipRevoked() | e.PacketRequeued():
                self._loses(event, stamp)
            case e.PacketCompleted() | e.PacketFailed() | e.PacketCancelled():
                self.ended[event.type] += 1
                for known in (self.created, self.owner, self._lost):
                    known.pop(event.packet_id, None)
                self.had_owner.discard(event.packet_id)
                self.moved.discard(event.packet_id)
            case e.MemberRegistered() | e.MemberRecovered():
                self._joins(event.member_id)
            case e.MemberFailed() | e.MemberDraining():
                self._leaves(event)
            case _:
                pass

    def _decided(self, event: e.Event, stamp: Stamp) -> None:
        self.decisions += 1
        if (
            isinstance(event, e.AssignmentDecision)
            and event.outcome == "allowed"
            and event.owner is not None
        ):
            self._owns(event.packet_id, event.owner.member_id, stamp)
        elif not isinstance(event, e.HandoffStarted):
            self.found_nobody += 1

    def _owns(self, packet_id: str, member_id: str, stamp: Stamp) -> None:
        before = self.owner.get(packet_id)
        self.owner[packet_id] = member_id
        lost = self._lost.pop(packet_id, None)
        if lost is not None:
            self.gaps.append((stamp.time - lost[0]) / SECOND)
            if lost[1] is not None:
                self.reown.append((stamp.time - lost[1]) / SECOND)
        if packet_id in self.had_owner:
            self.moves += 1
            self.packets_moved += packet_id not in self.moved
            self.moved.add(packet_id)
        else:
            self.placements += 1
            self.had_owner.add(packet_id)
            self.waits.append((stamp.time - self.created.get(packet_id, stamp.time)) / SECOND)
        change = self._by_member.get(before or "") if before else None
        change = change or self._by_member.get(member_id)
        if change is not None and packet_id in self.moved:
            change.moved.add(packet_id)

    def _loses(self, event: e.OwnershipRevoked | e.PacketRequeued, stamp: Stamp) -> None:
        self.owner.pop(event.packet_id, None)
        dead = isinstance(event, e.OwnershipRevoked) and event.cause == "member_failed"
        self._lost[event.packet_id] = (
            stamp.time,
            self._last_seen.get(event.owner.member_id) if dead else None,
        )
        change = self._by_member.get(event.owner.member_id)
        if change is not None and isinstance(event, e.OwnershipRevoked):
            change.moved.add(event.packet_id)

    def _joins(self, member_id: str) -> None:
        if member_id not in self.members:
            self.members.add(member_id)
            if self.owner:
                self._change(member_id)

    def _leaves(self, event: e.MemberFailed | e.MemberDraining) -> None:
        if isinstance(event, e.MemberFailed) and event.lease is not None:
            self._last_seen[event.member_id] = event.lease.last_seen
        if event.member_id in self.members:
            self._change(event.member_id)
            self.members.discard(event.member_id)

    def _change(self, member_id: str) -> None:
        change = _Change(member_id, len(self.owner), max(len(self.members), 1))
        self._changes.append(change)
        self._by_member[member_id] = change

    def sample(self, loads: Sequence[int]) -> None:
        """Take the loads of the active members at one moment."""
        if loads and max(loads):
            self.balances.append(sum(loads) / len(loads) / max(loads))

    def result(self) -> Metrics:
        """Return every metric of :data:`DEFINITIONS`."""
        submitted, completed = self.submitted, self.ended["packet_completed"]
        ended = sum(self.ended.values())
        live = submitted - ended
        changes = [change for change in self._changes if change.owned]
        remaps = [len(change.moved) / change.owned for change in changes]
        kinds = self.kinds
        turnover = kinds["member_registered"] + kinds["member_draining"] + kinds["member_failed"]
        turnover += kinds["member_recovered"] - len(self.members)
        hours = self.member_seconds / 3_600
        moved, placed = self.moves, self.placements
        still = _share(self.packets_moved, placed)
        return {
            "packets": submitted,
            "completed": completed,
            "success_rate": _share(completed, submitted - len(self.owner)),
            "churn": _share(max(turnover, 0), hours),
            "placements": placed,
            "moves": moved,
            "stability": None if still is None else 1.0 - still,
            "remap_mean": _mean(remaps),
            "remap_max": max(remaps, default=None),
            "remap_expected": _mean([1 / change.members for change in changes]),
            "overhead": _share(moved, placed),
            "wait_p50": percentile(self.waits, 50),
            "wait_p99": percentile(self.waits, 99),
            "gap_mean": _mean(self.gaps),
            "gap_p99": percentile(self.gaps, 99),
            "reown_p50": percentile(self.reown, 50),
            "reown_p99": percentile(self.reown, 99),
            "balance": _mean(self.balances),
            "denial_rate": _share(self.found_nobody, self.decisions),
            "stale_refused": kinds["write_refused"],
            "failed": self.ended["packet_failed"],
            "conserved": float(submitted == ended + live and live >= len(self.owner)),
        }


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of *values*; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]
