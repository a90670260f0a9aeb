"""The contract between ``decide`` and whatever ranks members: the scheduler protocol.

A scheduler is given one request and the members that policy found eligible, and names one of them
or nobody. It is a pure function of its arguments: no clock, no randomness, no floats, no memory
that could change a result, and the order of the candidates never matters.  That is what lets an
auditor recompute a choice from the ledger. This module does not know about policy, storage, packets
or the network, and no scheduler decides *eligibility*.

All quantities (capacity, use, demand, trust, reliability) are integer **micro-units**: 1.0 is
1,000,000. ``capacity["tasks"]`` is no exception: a member that takes five packets at a time
declares 5,000,000.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from pfgov.errors import SchedulerError
from pfgov.limits import INTEGER_MAX, MICRO, WEIGHT_MAX

__all__ = [
    "MICRO",
    "SCORE_MAX",
    "TASKS",
    "WEIGHT_MAX",
    "BadParameterError",
    "BadWeightError",
    "BrokenSchedulerError",
    "Candidate",
    "Choice",
    "IneligibleChoiceError",
    "Pairs",
    "Pool",
    "Pooling",
    "Request",
    "Scheduler",
    "SchedulerError",
    "UnknownSchedulerError",
    "checked_choose",
    "fits",
]

TASKS: Final = "tasks"
"""The dimension that counts owned packets: every packet takes one unit of it."""

SCORE_MAX: Final = INTEGER_MAX
"""Scores are integers in 0..2**53-1, so that they stand in the ledger's JSON as they are."""


Pairs = tuple[tuple[str, str], ...]
"""Parameters as the ledger records them: unique (name, value) pairs in byte order of names."""


class UnknownSchedulerError(SchedulerError):
    """No built-in and no installed plug-in has this name."""

    code = "scheduler.unknown"


class BadParameterError(SchedulerError):
    """A parameter does not exist, is given twice, or has a value out of its range."""

    code = "scheduler.bad_parameter"


class BrokenSchedulerError(SchedulerError):
    """A plug-in cannot be loaded, is not a scheduler, or raised; nothing moves."""

    code = "scheduler.broken"


class IneligibleChoiceError(SchedulerError):
    """A scheduler named a member that was not offered to it or has no room; nothing moves."""

    code = "scheduler.ineligible_choice"


class BadWeightError(SchedulerError):
    """A member's weight is outside 1..:data:`WEIGHT_MAX`."""

    code = "scheduler.bad_weight"


class Candidate(Protocol):
    """A member as a scheduler sees it.  The engine's member state has this shape: nothing is
    copied.

    Every attribute is read-only here: a scheduler that writes to a candidate is a bug.
    """

    @property
    def member_id(self) -> str:
        """The member's id: unique among the candidates of one decision."""
        ...

    @property
    def weight(self) -> int:
        """Relative share of placements, 1..:data:`WEIGHT_MAX`."""
        ...

    @property
    def capacity(self) -> Mapping[str, int]:
        """Declared limits by dimension, in micro-units; a missing dimension is unlimited."""
        ...

    @property
    def used(self) -> Mapping[str, int]:
        """What owned and reserved packets take by dimension, in micro-units; missing means 0."""
        ...

    @property
    def active(self) -> int:
        """Packets owned or reserved now (a plain count)."""
        ...

    @property
    def trust(self) -> int | None:
        """Attested trust in micro-units, None when nobody attested it."""
        ...

    @property
    def reliability(self) -> int:
        """Reliability from recorded outcomes in micro-units (:mod:`pfgov.core.reliability`)."""
        ...

    @property
    def region(self) -> str | None:
        """Hierarchical region, such as ``us-east/1a``."""
        ...


class Request(NamedTuple):
    """What is to be placed.

    Attributes:
        packet_id: The packet's id: decides where it lands on a ring.
        epoch: The packet's present epoch (>= 0): with the id it seeds every tie-break.
        workload_type: The packet's workload type.
        demand: What the packet takes by dimension, in micro-units; missing means 0.
    """

    packet_id: str
    epoch: int
    workload_type: str
    demand: Mapping[str, int]


class Choice(NamedTuple):
    """The chosen member, and who came second.

    Attributes:
        member_id: The chosen member.
        score: Its score; a larger score is better, 0..:data:`SCORE_MAX`.
        runner_up: The next best that could have been chosen, None if nobody.
        runner_up_score: Its score.
        scores: ``(member_id, score)`` of every candidate in the order given, for the explain table.  Empty
            when a :class:`Pool` chose: it does not score everybody.
    """

    member_id: str
    score: int
    runner_up: str | None = None
    runner_up_score: int | None = None
    scores: tuple[tuple[str, int], ...] = ()


@runtime_checkable
class Scheduler(Protocol):
    """What an entry point of the group ``pfgov.schedulers`` yields when called with parameters."""

    @property
    def name(self) -> str:
        """The entry point's name, recorded in every decision."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever equal inputs could give another choice; recorded in every decision."""
        ...

    @property
    def parameters(self) -> Pairs:
        """All parameters in force, defaults included, in byte order of their names."""
        ...

    def choose(self, request: Request, candidates: Sequence[Candidate]) -> Choice | None:
        """Return the choice among *candidates*, or None when none of them has capacity."""
        ...

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return every candidate's score, in the order given, whether it has capacity or not."""
        ...


class Pool(Protocol):
    """Candidates prepared for many choices.

    Answers as ``Scheduler.choose`` would, without the table of scores, and faster.  A pool holds for one set of
    members with their weights and capacities; when these change, make another.
    """

    def choose(self, request: Request) -> Choice | None:
        """Return what the scheduler would choose among the pool's candidates as they are now."""
        ...

    def refresh(self, member_id: str) -> None:
        """Read ``used`` and ``active`` of one member again, after a placement or a release.

        Raises:
            KeyError: the pool has no such member.
        """
        ...


@runtime_checkable
class Pooling(Protocol):
    """A scheduler that can prepare its candidates."""

    def pool(self, candidates: Sequence[Candidate]) -> Pool:
        """Return a pool over *candidates*."""
        ...


def fits(request: Request, candidate: Candidate) -> bool:
    """Say whether *candidate* has room: the kernel's capacity check, the same for every scheduler.

    ``used + demand <= capacity`` in every declared dimension, also in those that the packet does
    not ask for: a member that is over its limits anywhere takes nothing more.  ``active + 1 <=
    capacity["tasks"]`` when declared.
    """
    capacity = candidate.capacity
    if not capacity:
        return True
    used, demand = candidate.used, request.demand
    for dimension, limit in capacity.items():
        if used.get(dimension, 0) + demand.get(dimension, 0) > limit:
            return False
    tasks = capacity.get(TASKS)
    return tasks is None or (candidate.active + 1) * MICRO <= tasks


def checked_choose(
    scheduler: Scheduler, request: Request, candidates: Sequence[Candidate]
) -> Choice | None:
    """Ask *scheduler*, and refuse an answer that nobody may act on.

    Raises:
        IneligibleChoiceError: it named a member that was not offered, or one without room.
        BrokenSchedulerError: it raised, or returned something that is not a choice.
    """
    try:
        choice = scheduler.choose(request, candidates)
    except SchedulerError:
        raise
    except Exception as error:  # a plug-in is the outside world: whatever it raises, nothing moves
        raise BrokenSchedulerError(
            f"scheduler {scheduler.name} failed: {type(error).__name__}: {error}"
        ) from error
    if choice is None:
        return None
    _check_shape(scheduler, choice)
    for named in (choice.member_id, choice.runner_up):
        if named is not None and _offered(candidates, named) is None:
            raise IneligibleChoiceError(
                f"scheduler {scheduler.name} named {named!r}, which is not eligible"
                f" for packet {request.packet_id}"
            )
    chosen = _offered(candidates, choice.member_id)
    if chosen is None or not fits(request, chosen):
        raise IneligibleChoiceError(
            f"scheduler {scheduler.name} chose {choice.member_id!r}, which has no room"
            f" for packet {request.packet_id}"
        )
    return choice


def _offered(candidates: Sequence[Candidate], member_id: str) -> Candidate | None:
    return next((each for each in candidates if each.member_id == member_id), None)


def _check_shape(scheduler: Scheduler, choice: object) -> None:
    """Refuse what a plug-in without type checks might return: the ledger records integers."""
    if not isinstance(choice, Choice):
        raise BrokenSchedulerError(
            f"scheduler {scheduler.name} returned {choice!r}, which is not a Choice"
        )
    given = [choice.score] if choice.runner_up is None else [choice.score, choice.runner_up_score]
    for score in given:
        if type(score) is not int or not 0 <= score <= SCORE_MAX:
            raise BrokenSchedulerError(
                f"scheduler {scheduler.name} gave the score {score!r}, not 0..{SCORE_MAX}"
            )
