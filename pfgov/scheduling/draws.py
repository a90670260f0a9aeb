"""The numbers that stand for packets and members (hashes, draws, the tie-break), and the choice that scores make.

A packet and a member are hashed once each with SHA-256; their *draw* is then one multiplication,
``packet x member mod 2**53``, which costs a tenth of a microsecond.  The packet's number is odd, so
two members draw the same only if their numbers are equal, and the draws of one packet over all
members (and of one member over all packets) are spread evenly: the products of random numbers
modulo a power of two form a lattice, whose statistics the property tests hold against the ideal.
``docs/reference/schedulers.md`` states the bytes; ``vectors.json`` beside the tests has examples.

One rule for every scheduler: among the candidates that have room the largest score wins; among equal
scores the largest rank (:func:`ranks`, seeded by packet and epoch); among equal ranks the smallest
member id.  The rule never looks at the order of the candidates, nor where scores come from.

It is not a defence: whoever may choose a packet's or
a member's id can choose where it lands, which is why policy decides who may be chosen at all.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from heapq import nsmallest
from typing import Final

from pfgov.core.scheduler import (
    WEIGHT_MAX,
    BadWeightError,
    Candidate,
    Choice,
    Request,
    fits,
)

MASK: Final = (1 << 53) - 1
"""Draws are integers modulo 2**53."""

_PACKET: Final = b"pfgov/packet/1\0"
_VNODE: Final = b"pfgov/vnode/1\0"
_MEMBER: Final = b"pfgov/member/1\0"
_TIE: Final = b"pfgov/tie/1\0"

_CACHED_MAX: Final = 65_536
"""Members kept in memory; beyond it the cache starts again, which changes nothing but time."""

_big_endian = int.from_bytes  # its default order; naming it costs a sixth of a lookup

_numbers: dict[str, int] = {}
_extra: dict[str, tuple[int, ...]] = {}


def position(packet_id: str) -> int:
    """Return where a packet lies on the 64-bit ring: 8 bytes of SHA-256, big-endian."""
    return _big_endian(sha256(_PACKET + packet_id.encode()).digest()[:8])


def token(vnode: str) -> int:
    """Return where a virtual node (``{node}-vnode-{i}``) lies on the 64-bit ring."""
    return int.from_bytes(sha256(_VNODE + vnode.encode()).digest()[:8], "big")


def packet_number(packet_id: str) -> int:
    """Return the odd 53-bit number of a packet: :func:`position`, its low 53 bits, made odd."""
    return position(packet_id) & MASK | 1


def tie_number(request: Request) -> int:
    """Return the odd 53-bit number that breaks ties: seeded by packet and epoch."""
    seed = _TIE + request.epoch.to_bytes(8, "big") + request.packet_id.encode()
    return int.from_bytes(sha256(seed).digest()[:8], "big") & MASK | 1


def _number(member_id: str, draw: int) -> int:
    seed = _MEMBER + draw.to_bytes(4, "big") + member_id.encode()
    return int.from_bytes(sha256(seed).digest()[:8], "big") & MASK


def member_number(member_id: str) -> int:
    """Return the 53-bit number of a member (its number for draw 0)."""
    number = _numbers.get(member_id)
    if number is None:
        if len(_numbers) >= _CACHED_MAX:
            _numbers.clear()
        number = _numbers[member_id] = _number(member_id, 0)
    return number


def member_numbers(member_id: str, weight: int) -> tuple[int, ...]:
    """Return one number per unit of weight; the numbers of a smaller weight are a prefix.

    Raises:
        BadWeightError: the weight is outside 1..WEIGHT_MAX.
    """
    numbers = _extra.get(member_id, ())
    if len(numbers) < weight or weight < 1:
        if not 1 <= weight <= WEIGHT_MAX:
            raise BadWeightError(f"member {member_id} has weight {weight}, not 1..{WEIGHT_MAX}")
        if len(_extra) >= _CACHED_MAX // 16:
            _extra.clear()
        numbers += tuple(_number(member_id, draw) for draw in range(len(numbers), weight))
        _extra[member_id] = numbers
    return numbers[:weight]


def ranks(request: Request, candidates: Sequence[Candidate]) -> list[int]:
    """Return each candidate's rank among equals: the largest wins, then the smallest member id."""
    return draws(tie_number(request), candidates)


def draws(number: int, candidates: Sequence[Candidate]) -> list[int]:
    """Return ``number x member mod 2**53`` for every candidate."""
    known = _numbers
    try:
        return [number * known[candidate.member_id] & MASK for candidate in candidates]
    except KeyError:
        return [number * member_number(candidate.member_id) & MASK for candidate in candidates]


# --- from scores to a choice --------------------------------------------------------------

REFUSALS_MAX: Final = 8
"""After so many refusals all the others are asked at once, so that a full fleet costs one pass."""

Accepts = Callable[[Request, Candidate], bool]
"""Whether a candidate may be chosen: :func:`pfgov.core.scheduler.fits`, or something stricter."""


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
