"""Agentic routing: prefer members that succeed and are not busy.

``agent`` is the specification's formula ``reliability / (1 + active)``; ``trust-weighted`` is
``reliability * trust / (1 + load)`` with the load counted in owned packets.  Both can draw a few
candidates first and compare only those ("power of two choices": Mitzenmacher 2001), which stops
every packet of a burst from running to the one best agent, and both can cap how much one member
holds.  The drawing is seeded by packet and epoch, hence repeatable.

Matching skills is not done here: capabilities are settled before a scheduler is asked.
"""

from collections.abc import Sequence
from typing import Final

from pfgov.core.scheduler import MICRO, Candidate, Choice, Pairs, Request, fits
from pfgov.scheduling.draws import best_two, chosen, ranks
from pfgov.scheduling.parameters import Parameter, Whole, settle

_PARAMETERS: Final[tuple[Parameter, ...]] = (
    Whole("choices", 0, 2, 64, zero="compare all"),
    Whole("max_active", 0, 1, 1_000_000, zero="no cap beyond the member's own"),
)


class Agent:
    """Score = ``reliability * 10**6 // (1 + active)``, reliability in micro-units.

    Args:
        parameters: ``choices`` (0 = compare all candidates, else how many to draw) and
            ``max_active`` (0 = no cap, else no member with this many packets is chosen).

    Raises:
        BadParameterError: an unknown parameter, or a value out of range.
    """

    name = "agent"
    version = "1"

    def __init__(self, parameters: Pairs = ()) -> None:
        settled = settle(self.name, _PARAMETERS, parameters)
        self.parameters: Pairs = tuple(settled.items())
        self._choices = int(settled["choices"])
        self._max_active = int(settled["max_active"])

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return each candidate's formula."""
        del request
        return [candidate.reliability * MICRO // (1 + candidate.active) for candidate in candidates]

    def choose(self, request: Request, candidates: Sequence[Candidate]) -> Choice | None:
        """Return the best-scored of the compared members that have room and are below the cap."""
        scores = self.scores(request, candidates)
        if self._choices:
            drawn = self._drawn(request, candidates)
            subset = [candidates[index] for index in drawn]
            first, second = best_two(request, subset, [scores[index] for index in drawn])
            first = drawn[first] if first >= 0 else -1
            second = drawn[second] if second >= 0 else -1
        else:
            first, second = best_two(request, candidates, scores, self._accepts)
        return chosen(candidates, scores, first, second)

    def _accepts(self, request: Request, candidate: Candidate) -> bool:
        if self._max_active and candidate.active >= self._max_active:
            return False
        return fits(request, candidate)

    def _drawn(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return the first acceptable candidates in order of their ranks."""
        rank = ranks(request, candidates)
        order = sorted(
            range(len(candidates)),
            key=lambda index: (-rank[index], candidates[index].member_id),
        )
        drawn: list[int] = []
        for index in order:
            if self._accepts(request, candidates[index]):
                drawn.append(index)
                if len(drawn) == self._choices:
                    break
        return drawn


class TrustWeighted(Agent):
    """Score = ``reliability * trust // (1 + active)``, both in micro-units; no attested trust is 0.

    A member without trust is still chosen when nobody else can be: whether that is allowed is
    policy's question, which was asked before.

    Args:
        parameters: As for :class:`Agent`.
    """

    name = "trust-weighted"
    version = "1"

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return each candidate's formula."""
        del request
        return [
            candidate.reliability * (candidate.trust or 0) // (1 + candidate.active)
            for candidate in candidates
        ]
