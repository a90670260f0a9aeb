"""Metrics: each defined once, with its formula and unit, and computed from the ledger's entries alone.

Nothing here asks the simulation what it meant to do: an auditor with the export computes the same numbers.
Times are virtual seconds.  A *placement* gives an owner to a packet that never had one; a *move* is every later change
of owner.  Placements are not moves, so that a fleet without churn is perfectly stable.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from pfgov import events as e
from pfgov.records import Stamp

SECOND: Final = 1_000_000

DEFINITIONS: Final[dict[str, tuple[str, str]]] = {
    "packets": ("packets submitted", "count"),
    "completed": ("packets completed", "count"),
    "success_rate": (
        "completed / (submitted - still owned at the end); never placed counts as not completed",
        "share",
    ),
    "churn": ("(joins + leaves + failures + recoveries) / member-hours", "per member and hour"),
    "placements": ("first owners given", "count"),
    "moves": ("later owners given", "count"),
    "stability": ("1 - packets that moved / packets that were placed", "share"),
    "remap_mean": (
        "mean over failures, leaves and joins of packets that moved because of it / packets owned then",
        "share",
    ),
    "remap_max": ("the largest of these", "share"),
    "remap_expected": ("mean of 1 / members at the same moments (K/N over K)", "share"),
    "overhead": ("moves / placements", "moves per placement"),
    "gap_mean": ("mean time from losing an owner to the next one", "seconds"),
    "gap_p99": ("99th percentile of it", "seconds"),
    "reown_p50": ("median time from a dead owner's last heartbeat to the next owner", "seconds"),
    "reown_p99": ("99th percentile of it", "seconds"),
    "balance": ("mean load / largest load over active members, averaged over time", "share"),
    "denial_rate": ("decisions that found nobody / decisions", "share"),
    "stale_refused": ("late writes of former owners refused", "count"),
    "failed": ("packets that ended FAILED", "count"),
    "conserved": ("submitted = completed + failed + cancelled + live", "1 or 0"),
}
"""Metric -> (formula, unit): the only place where they are defined."""


@dataclass(slots=True)
class _Change:
    """A membership change and what moved because of it."""

    member_id: str
    owned: int
    members: int
    moved: set[str] = field(default_factory=set[str])


@dataclass(slots=True)
class Meter:
    """Reads entries in order and keeps what the metrics need."""

    created: dict[str, int] = field(default_factory=dict[str, int])
    owner: dict[str, str] = field(default_factory=dict[str, str])
    had_owner: set[str] = field(default_factory=set[str])
    moved: Counter[str] = field(default_factory=Counter[str])
    ended: Counter[str] = field(default_factory=Counter[str])
    members: set[str] = field(default_factory=set[str])
    kinds: Counter[str] = field(default_factory=Counter[str])
    decisions: int = 0
    found_nobody: int = 0
    gaps: list[float] = field(default_factory=list[float])
    reown: list[float] = field(default_factory=list[float])
    balances: list[float] = field(default_factory=list[float])
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
                self.owner.pop(event.packet_id, None)
                self._lost.pop(event.packet_id, None)
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
            self.moved[packet_id] += 1
        else:
            self.placements += 1
            self.had_owner.add(packet_id)
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

    def result(self) -> dict[str, float]:
        """Return every metric of :data:`DEFINITIONS`."""
        submitted, completed = len(self.created), self.ended["packet_completed"]
        ended = sum(self.ended.values())
        live = submitted - ended
        changes = [change for change in self._changes if change.owned]
        remaps = [len(change.moved) / change.owned for change in changes]
        kinds = self.kinds
        turnover = kinds["member_registered"] + kinds["member_draining"] + kinds["member_failed"]
        turnover += kinds["member_recovered"] - len(self.members)
        hours = self.member_seconds / 3_600
        return {
            "packets": submitted,
            "completed": completed,
            "success_rate": _share(completed, submitted - len(self.owner), default=1.0),
            "churn": _share(max(turnover, 0), hours),
            "placements": self.placements,
            "moves": sum(self.moved.values()),
            "stability": 1.0 - _share(len(self.moved), self.placements),
            "remap_mean": _mean(remaps),
            "remap_max": max(remaps, default=0.0),
            "remap_expected": _mean([1 / change.members for change in changes]),
            "overhead": _share(sum(self.moved.values()), self.placements),
            "gap_mean": _mean(self.gaps),
            "gap_p99": percentile(self.gaps, 99),
            "reown_p50": percentile(self.reown, 50),
            "reown_p99": percentile(self.reown, 99),
            "balance": _mean(self.balances, default=1.0),
            "denial_rate": _share(self.found_nobody, self.decisions),
            "stale_refused": kinds["write_refused"],
            "failed": self.ended["packet_failed"],
            "conserved": float(submitted == ended + live and live >= len(self.owner)),
        }


def _share(part: float, whole: float, *, default: float = 0.0) -> float:
    return part / whole if whole else default


def _mean(values: Sequence[float], *, default: float = 0.0) -> float:
    return sum(values) / len(values) if values else default


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile of *values*; 0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]
