"""What ``decide`` asks a policy set, and what a policy set answers; :mod:`pfgov.policy` fulfils the two protocols.

``decide`` asks before anything moves and never looks behind the answer.  This module knows neither the language of
policies nor how they are evaluated.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pfgov.core.labelling import LabelJudge
from pfgov.core.verdicts import Point, Verdict

Facts = Mapping[str, object]


def _nobody() -> Facts:
    return {"id": "", "rights": [], "members": []}


@dataclass(frozen=True, slots=True)
class Question:
    """What is being decided, apart from the candidates.

    Attributes:
        point: The decision point.
        action: What is being done; one of the points' names.
        packet: Facts of the packet; None where there is none.
        source: Facts of the last owner on a handoff, else None.
        principal: Facts of who asks.
        reason: Why, as recorded.
        now: Microseconds since 1970, from the ledger entry being made.
        more: Facts that only this point has, by root: ``before``, ``review``, ``export``, ``activation``.
    """

    point: Point
    action: str
    packet: Facts | None = None
    source: Facts | None = None
    principal: Facts = field(default_factory=_nobody)
    reason: str = ""
    now: int = 0
    more: Mapping[str, Facts] = field(default_factory=dict[str, Facts])


@dataclass(frozen=True, slots=True)
class Kinds:
    """Verdicts, each said once.

    Attributes:
        verdicts: One for each kind of candidate.
        of: For each candidate the number of its kind.
    """

    verdicts: Sequence[Verdict]
    of: Sequence[int]

    def each(self) -> list[Verdict]:
        """Return one verdict for each candidate."""
        return [self.verdicts[kind] for kind in self.of]


class FleetJudge(Protocol):
    """Judges the same candidates again and again at one decision point."""

    def kinds(self, question: Question, members: Sequence[Facts]) -> Kinds:
        """Return the verdicts on *members*; the record of a member whose facts changed is another one."""
        ...


class PolicyJudge(Protocol):
    """A compiled policy set as ``decide`` sees it; :class:`pfgov.policy.PolicySet` is one."""

    def __hash__(self) -> int:
        """Two sets are the same only when they are one object."""
        ...

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the set's canonical form: its identity in every ledger entry."""
        ...

    @property
    def reads(self) -> Mapping[Point, frozenset[str]]:
        """Paths of facts that some rule reads, by decision point."""
        ...

    @property
    def reads_load(self) -> frozenset[Point]:
        """Points whose rules read a load, a reliability or a pressure."""
        ...

    @property
    def reads_time(self) -> frozenset[Point]:
        """Points whose rules read ``now``."""
        ...

    @property
    def reads_history(self) -> frozenset[Point]:
        """Points whose rules read what changes as a packet moves."""
        ...

    @property
    def redacts(self) -> frozenset[Point]:
        """Points with a rule that withholds parts of the context."""
        ...

    @property
    def policies(self) -> tuple[tuple[str, str, str], ...]:
        """(name, version, mode) of every policy, by name."""
        ...

    @property
    def points(self) -> Collection[Point]:
        """Points that an enforcing policy besides the kernel covers."""
        ...

    @property
    def guards(self) -> frozenset[Point]:
        """Guarding points with a rule: those at which there is something to ask."""
        ...

    @property
    def semantics(self) -> int:
        """The number of the meaning under which the set was written."""
        ...

    @property
    def labels(self) -> LabelJudge:
        """What the set declares of labels."""
        ...

    def reads_of(
        self, points: Iterable[Point], policy: str, rule: str
    ) -> tuple[tuple[str, ...], ...]:
        """Return the paths of facts that the rule *rule* of *policy* reads at *points*, in order."""
        ...

    def judge(
        self, question: Question, members: Sequence[Facts], *, validated: bool = False
    ) -> list[Verdict]:
        """Return one verdict for each of *members*, in order.

        With *validated* the caller vouches that all facts were made from validated models.
        """
        ...

    def judge_one(
        self, question: Question, member: Facts | None = None, *, validated: bool = False
    ) -> Verdict:
        """Return the verdict on one member, or on none where the point has none."""
        ...

    def fleet(self, point: Point) -> FleetJudge:
        """Return what judges the same candidates again and again at *point*, with the same verdicts."""
        ...
