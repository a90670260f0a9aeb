"""Capacitated bin packing in any number of dimensions, scored *after* the packet is placed.

A member's *free share* in a dimension is ``(capacity - used - demand) * 10**6 // capacity``: what
would be left, in micro-units of its capacity, rounded down.  The dimensions compared are those of
the parameter ``dimensions`` and those that the packet asks for; they are the same for every
candidate.  A strategy makes one score of the shares.  A member without room scores 0 and is never
chosen.

This module reserves nothing: the kernel takes the capacity in the commit that records the choice.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from math import isqrt
from typing import Final

from pfgov.core.scheduler import (
    MICRO,
    Candidate,
    Choice,
    Pairs,
    Pool,
    Request,
    fits,
)
from pfgov.limits import DIMENSIONS_MAX
from pfgov.scheduling.binpack_pool import BinPackPool
from pfgov.scheduling.draws import best_two, chosen
from pfgov.scheduling.parameters import Names, OneOf, Parameter, settle
from pfgov.scheduling.shares import compared_dimensions, shares_after, taken


def _least(shares: Sequence[int]) -> int:
    return sum(shares)


def _most(shares: Sequence[int]) -> int:
    return len(shares) * MICRO - sum(shares)


def _balanced(shares: Sequence[int]) -> int:
    count = len(shares)
    spread = count * sum([share * share for share in shares]) - sum(shares) ** 2
    return MICRO - isqrt(spread) // count


def _dominant(shares: Sequence[int]) -> int:
    return min(shares)


STRATEGIES: Final[dict[str, Callable[[Sequence[int]], int]]] = {
    "least-allocated": _least,
    "most-allocated": _most,
    "balanced": _balanced,
    "dominant-resource": _dominant,
}
"""Score of the free shares, larger is better.

* ``least-allocated``: their sum, the specification's formula; spreads work over the fleet.
* ``most-allocated``: the sum of what is taken; fills members up, so that others can be let go.
* ``balanced``: 10**6 less the standard deviation, ``isqrt(n * sum(x*x) - sum(x)**2) // n``.
* ``dominant-resource``: the smallest share, so that the scarcest resource decides.
"""

_PARAMETERS: Final[tuple[Parameter, ...]] = (
    Names("dimensions", "cpu,memory", DIMENSIONS_MAX),
    OneOf("strategy", "least-allocated", tuple(STRATEGIES)),
)


class BinPack:
    """The member whose free shares after placement score highest.

    Args:
        parameters: ``strategy``, a key of :data:`STRATEGIES`, and ``dimensions``, the dimensions
            that are always compared, comma-separated; ``tasks`` counts owned packets.

    Raises:
        BadParameterError: an unknown parameter, or a value that is not allowed.
    """

    name = "binpack"
    version = "1"

    def __init__(self, parameters: Pairs = ()) -> None:
        settled = settle(self.name, _PARAMETERS, parameters)
        self.parameters: Pairs = tuple(settled.items())
        self._strategy = settled["strategy"]
        self._score = STRATEGIES[self._strategy]
        self._dimensions = frozenset(settled["dimensions"].split(","))

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return each candidate's score after placement, 0 when it has no room."""
        return [max(score, 0) for score in self._values(request, candidates)]

    def choose(self, request: Request, candidates: Sequence[Candidate]) -> Choice | None:
        """Return the best-scored member with room."""
        values = self._values(request, candidates)
        first, second = best_two(request, candidates, values)
        return chosen(candidates, [max(value, 0) for value in values], first, second)

    def pool(self, candidates: Sequence[Candidate], *, accelerated: bool | None = None) -> Pool:
        """Return the candidates prepared for many choices.

        Args:
            candidates: The members.
            accelerated: Whether to use numpy (the extra ``fast``); None: if it is installed.  The
                choices are the same.
        """
        if accelerated is None:
            accelerated = find_spec("numpy") is not None
        if accelerated:
            from pfgov.scheduling.vectorised import FastBinPackPool

            return FastBinPackPool(candidates, self._dimensions, self._strategy, self.value)
        return BinPackPool(candidates, self._dimensions, self._strategy, self.value)

    def value(self, request: Request, candidate: Candidate) -> int:
        """Return one candidate's score, -1 when it has no room: the reference for pools."""
        return self._values(request, (candidate,))[0]

    def _values(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        compared = [
            (dimension, taken(request, dimension))
            for dimension in compared_dimensions(request, self._dimensions)
        ]
        values: list[int] = []
        for candidate in candidates:
            shares = shares_after(candidate, compared)
            if shares is None or not fits(request, candidate):
                values.append(-1)
            else:
                values.append(self._score(shares))
        return values
