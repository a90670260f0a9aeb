"""The curve of Ed25519 in textbook arithmetic, for tests and vectors that must not take our verifiers' word.

Affine points, one addition formula, every step in the order of RFC 8032.  Slow, and knows nothing of pfgov.
"""

import hashlib
from functools import cache

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def plus(a: Point, b: Point) -> Point:
    """The sum of two points."""
    k = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + k, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, P) % P
    return x, y


@cache
def _doubled(a: Point, count: int) -> Point:
    if count == 0:
        return a
    half = _doubled(a, count - 1)
    return plus(half, half)


def times(n: int, a: Point) -> Point:
    """*n* times a point."""
    total = IDENTITY
    for bit in range(n.bit_length()):
        step = _doubled(a, bit)
        if n >> bit & 1:
            total = plus(total, step)
    return total


def encode(a: Point) -> bytes:
    """The canonical encoding of a point."""
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


def lift(y: int) -> Point | None:
    """One of the two points with this y, or None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return None if (x * x - square) % P else (x, y)


@cache
def decode(encoded: bytes) -> Point | None:
    """The point of a canonical encoding, or None for any other bytes."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number % 2**255
    point = lift(y) if len(encoded) == 32 and y < P else None
    if point is None or (point[0] == 0 and sign == 1):
        return None
    return point if point[0] & 1 == sign else (P - point[0], y)


def _base() -> Point:
    point = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    assert point is not None
    return point


def _torsion() -> list[Point]:
    for y in range(2, 100):
        point = lift(y)
        if point is not None:
            eighth = times(L, point)
            if times(4, eighth) != IDENTITY:
                return [times(k, eighth) for k in range(8)]
    raise AssertionError


BASE = _base()
TORSION = _torsion()
"""The multiples 0 to 7 of a point of order 8."""


def challenge(commitment: bytes, public: bytes, message: bytes) -> int:
    """The number h that a signature answers."""
    return int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little") % L


def holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature holds by the strict rule (``FORMAT.md`` section 5), word for word."""
    a, r = decode(public), decode(signature[:32])
    if len(signature) != 64 or a is None or r is None:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L or IDENTITY in (times(8, a), times(8, r)):
        return False
    h = challenge(signature[:32], public, message)
    return times(s, BASE) == plus(r, times(h, a))
