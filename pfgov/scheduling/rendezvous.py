"""Rendezvous hashing (highest random weight): the default scheduler.

Every eligible member draws once per unit of its weight; the largest draw owns the packet.  A
member's draws depend on the packet and on itself only, so within *any* eligible set a leaver's
packets spread over the rest and nothing else moves, and a joiner only takes.  That matters because
policy makes the eligible set differ from packet to packet.  Source: Thaler and Ravishankar, "Using
name-based mappings to increase hit rates", 1998; integer weights by repeated draws, which needs no
logarithm.

This module does not look at load: capacity alone can push a packet to the next-best member.
"""

from collections.abc import Sequence

from pfgov.core.scheduler import Candidate, Choice, Pairs, Request
from pfgov.scheduling.draws import MASK, draws, member_numbers, packet_number, select
from pfgov.scheduling.parameters import settle


class Rendezvous:
    """The member with the largest draw; score = that draw, in 0..2**53-1.

    Args:
        parameters: None are known.

    Raises:
        BadParameterError: a parameter was given.
    """

    name = "rendezvous"
    version = "1"

    def __init__(self, parameters: Pairs = ()) -> None:
        self.parameters: Pairs = tuple(settle(self.name, (), parameters).items())

    def scores(self, request: Request, candidates: Sequence[Candidate]) -> list[int]:
        """Return each candidate's largest draw for the packet.

        Raises:
            BadWeightError: a weight is outside its bounds.
        """
        number = packet_number(request.packet_id)
        drawn = draws(number, candidates)
        for index, candidate in enumerate(candidates):
            if candidate.weight != 1:
                numbers = member_numbers(candidate.member_id, candidate.weight)
                drawn[index] = max([number * other & MASK for other in numbers])
        return drawn

    def choose(self, request: Request, candidates: Sequence[Candidate]) -> Choice | None:
        """Return the member with the largest draw that has room.

        Raises:
            BadWeightError: a weight is outside its bounds.
        """
        return select(request, candidates, self.scores(request, candidates))
