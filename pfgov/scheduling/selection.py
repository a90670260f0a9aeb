"""From scores to a choice: the best candidate that has room, and the one after it.

One rule for every scheduler: the largest score wins; among equal scores the largest rank
(:func:`pfgov.scheduling.draws.ranks`, seeded by packet and epoch) wins; among equal ranks the smallest
member id.  The rule never looks at the order of the candidates.  This module does not know where
scores come from.
"""

from collections.abc import Callable, Sequence
from heapq import nsmallest
from typing import Final

from pfgov.scheduling.base import (
    SCORE_MAX,
    BrokenSchedulerError,
    Candidate,
    Choice,
    IneligibleChoiceError,
    Request,
    Scheduler,
    SchedulerError,
    fits,
)
from pfgov.scheduling.draws import ranks

REFUSALS_MAX: Final = 8
"""After so many refusals all the others are asked at once, so that a full fleet costs one pass."""

Accepts = Callable[[Request, Candidate], bool]
"""Whether a candidate may be chosen: :func:`pfgov.scheduling.base.fits`, or something stricter."""


def best_two(
    request: Request,
    candidates: Sequence[Candidate],
    values: Sequence[int],
    accepts: Accepts = fits,
) -> tuple[int, int]:
    """Return the indices of the best and the second-best accepted candidate, -1 for nobody.

    Acceptance is asked as late as possible: it costs more than a comparison, and the first
    candidates in order are nearly always accepted.

    Args:
        request: What is to be placed.
        candidates: The eligible members, in any order.
        values: One value >= 0 per candidate; the largest is the best.
        accepts: Whether a candidate may be chosen.
    """
    left = list(values)
    found: list[int] = []
    refusals = 0
    while len(found) < 2 and left:
        top = max(left)
        if top < 0:
            break
        index = left.index(top) if left.count(top) == 1 else _first(request, candidates, left, top)
        left[index] = -1
        if accepts(request, candidates[index]):
            found.append(index)
            continue
        refusals += 1
        if refusals == REFUSALS_MAX:
            for other, candidate in enumerate(candidates):
                if left[other] >= 0 and not accepts(request, candidate):
                    left[other] = -1
    found += (-1, -1)
    return found[0], found[1]


def _first(
    request: Request, candidates: Sequence[Candidate], values: Sequence[int], top: int
) -> int:
    tied = [index for index, value in enumerate(values) if value == top]
    return tied[first_of_equals(request, [candidates[index] for index in tied])]


def first_of_equals(request: Request, candidates: Sequence[Candidate]) -> int:
    """Return the index of the candidate that wins among equals."""
    drawn = ranks(request, candidates)
    top = max(drawn)
    if drawn.count(top) == 1:
        return drawn.index(top)
    return min(
        (index for index, rank in enumerate(drawn) if rank == top),
        key=lambda index: candidates[index].member_id,
    )


def select(
    request: Request,
    candidates: Sequence[Candidate],
    scores: Sequence[int],
    accepts: Accepts = fits,
) -> Choice | None:
    """Return the choice that *scores* make, or None when no candidate is accepted."""
    first, second = best_two(request, candidates, scores, accepts)
    return chosen(candidates, scores, first, second)


def chosen(
    candidates: Sequence[Candidate], scores: Sequence[int], first: int, second: int
) -> Choice | None:
    """Return the choice of the candidate at *first* before the one at *second* (-1: nobody)."""
    if first < 0:
        return None
    table = tuple(
        [(candidate.member_id, score) for candidate, score in zip(candidates, scores, strict=True)]
    )
    if second < 0:
        return Choice(*table[first], None, None, table)
    return Choice(*table[first], *table[second], table)


def ranking(
    request: Request, candidates: Sequence[Candidate], scores: Sequence[int], limit: int
) -> list[int]:
    """Return the indices of the *limit* best candidates, best first, with or without room."""
    drawn = ranks(request, candidates)
    return nsmallest(
        limit,
        range(len(candidates)),
        key=lambda index: (-scores[index], -drawn[index], candidates[index].member_id),
    )


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
    offered = {candidate.member_id: candidate for candidate in candidates}
    for named in (choice.member_id, choice.runner_up):
        if named is not None and named not in offered:
            raise IneligibleChoiceError(
                f"scheduler {scheduler.name} named {named!r}, which is not eligible"
                f" for packet {request.packet_id}"
            )
    if not fits(request, offered[choice.member_id]):
        raise IneligibleChoiceError(
            f"scheduler {scheduler.name} chose {choice.member_id!r}, which has no room"
            f" for packet {request.packet_id}"
        )
    return choice


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
