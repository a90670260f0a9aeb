"""The numbers that stand for packets and members: hashes, draws and the tie-break.

A packet and a member are hashed once each with SHA-256; their *draw* is then one multiplication,
``packet x member mod 2**53``, which costs a tenth of a microsecond.  The packet's number is odd, so
two members draw the same only if their numbers are equal, and the draws of one packet over all
members (and of one member over all packets) are spread evenly: the products of random numbers
modulo a power of two form a lattice, whose statistics the property tests hold against the ideal.
``docs/reference/schedulers.md`` states the bytes; ``vectors.json`` beside the tests has examples.

This module knows neither capacity nor load.  It is not a defence: whoever may choose a packet's or
a member's id can choose where it lands, which is why policy decides who may be chosen at all.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from pfgov.scheduling.base import WEIGHT_MAX, BadWeightError, Candidate, Request

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
