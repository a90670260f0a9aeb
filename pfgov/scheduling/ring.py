"""The consistent-hash ring with weights and bounded loads.

A packet belongs to the first virtual node clockwise from its position, so each member's score is
its
nearness: a candidate set needs no ring of its own, because a member's distance does not
depend on who else is eligible.  Only the leaver's packets move, within any eligible set.  *Bounded
load* (Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads", 2018) passes
over a member that already holds its weighted share times ``bound_permille / 1000``.

For many choices among the same members a *pool* merges their tokens into one array and searches it.  This
module does not move packets: what was placed stays until the engine moves it.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import partial
from typing import Final

from pfgov.core.scheduler import (
    Candidate,
    Choice,
    Pairs,
    Pool,
    Request,
    fits,
)
from pfgov.scheduling.draws import Accepts, best_two, chosen, position, ranking
from pfgov.scheduling.hash_ring import CIRCLE, tokens
from pfgov.scheduling.parameters import Parameter, Whole, settle
from pfgov.scheduling.ring_pool import SCORE_SHIFT, RingCache, RingPool, within_share

CLOSED_MAX: Final = 16_384
"""Members whose tokens a scheduler keeps."""

_PARAMETERS: Final[tuple[Parameter, ...]] = (
    Whole("bound_permille", 1_250, 1_000, 10_000, zero="no bound"),
    Whole("vnodes", 128, 1, 1_024),
)


class Ring:
    """The nearest member clockwise that has room and is not above its share.

    A member is within its share while ``active < bound x (all active + 1) x weight / all weights``,
    sums over the candidates; at least one always is.  If none of those has room, shares are taken
    anew over the candidates that have room.

    Args:
        parameters: ``vnodes`` per unit of weight, and ``bound_permille`` (1250 = a quarter above
            the share; 0 = no bound).

    Raises:
        BadParameterError: an unknown parameter, or a value out of range.
    """

    name = "ring"
    version = "1"

    def __init__(self, parameters: Pairs = ()) -> None:
        settled = settle(self.name, _PARAMETERS, parameters)
        self.parameters: Pairs = tuple(settled.items())
        self._vnodes = int(settled["vnodes"])
        self._bound = int(settled["bound_permille"])
        self._rings = RingCache(self._vnodes)
        self._closed: dict[tuple[str, int], list[int]] = {}

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return each candidate's nearness: ``(2**64 - 1 - clockwise distance) >> 11``.

        Raises:
            BadWeightError: a weight is outside its bounds.
        """
        return [value >> SCORE_SHIFT for value in self._nearness(request, candidates)]

    def choose(self, request: Request, candidates: Sequence[Candidate]) -> Choice | None:
        """Return the nearest acceptable member.

        Raises:
            BadWeightError: a weight is outside its bounds.
        """
        values = self._nearness(request, candidates)
        first, second = best_two(request, candidates, values, self._acceptance(candidates))
        if first < 0:
            first, second = self._second_pass(request, candidates, values)
        return chosen(candidates, [value >> SCORE_SHIFT for value in values], first, second)

    def preference(
        self, request: Request, candidates: Sequence[Candidate], limit: int
    ) -> list[str]:
        """Return the first *limit* members clockwise: who would take over, whatever their load."""
        values = self._nearness(request, candidates)
        order = ranking(request, candidates, values, limit)
        return [candidates[index].member_id for index in order]

    def pool(self, candidates: Sequence[Candidate]) -> Pool:
        """Return the candidates merged into one ring, for many choices."""
        return RingPool(
            self._rings.ring(candidates),
            candidates,
            bound_permille=self._bound,
            crowded=partial(self.choose, candidates=candidates),
        )

    def _nearness(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        start = position(request.packet_id)
        farthest = start + CIRCLE - 1
        known = self._closed
        nearness: list[int] = []
        for candidate in candidates:
            try:
                own = known[candidate.member_id, candidate.weight]
            except KeyError:
                own = self._close(candidate)
            nearness.append(farthest - own[bisect_left(own, start)])
        return nearness

    def _close(self, candidate: Candidate) -> list[int]:
        """Return a member's tokens with the first one again a turn later, and keep them."""
        own = tokens(candidate.member_id, candidate.weight, self._vnodes)
        if len(self._closed) >= CLOSED_MAX:
            self._closed.clear()
        closed = self._closed[candidate.member_id, candidate.weight] = [*own, own[0] + CIRCLE]
        return closed

    def _acceptance(self, candidates: Sequence[Candidate]) -> Accepts:
        active = sum([candidate.active for candidate in candidates])
        weight = sum([candidate.weight for candidate in candidates])
        return within_share(self._bound, active, weight)

    def _second_pass(
        self, request: Request, candidates: Sequence[Candidate], values: Sequence[int]
    ) -> tuple[int, int]:
        """Return the best two by shares over only those candidates that have room."""
        roomy = [index for index, other in enumerate(candidates) if fits(request, other)]
        subset = [candidates[index] for index in roomy]
        accepts = self._acceptance(subset)
        first, second = best_two(request, subset, [values[index] for index in roomy], accepts)
        return roomy[first] if first >= 0 else -1, roomy[second] if second >= 0 else -1
