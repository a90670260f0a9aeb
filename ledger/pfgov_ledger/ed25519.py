"""Ed25519 verification under one strict rule, so that no two verifiers disagree.

RFC 8032 leaves room, and libraries fill it differently: some accept points of small order (under
which one signature fits every message) or non-canonical encodings.  The rule here
(``FORMAT.md`` section 5): 64-byte signature; S < L; R and the key are canonical encodings
(y < 2^255 - 19) of points that are not of small order; and the *cofactorless* equation holds with
the encoded R compared byte for byte.  The form is checked before any library sees the input.

:func:`verify` uses `cryptography` where it is installed and :func:`verify_pure` elsewhere; both
accept the same signatures.  Neither is constant-time in its inputs: all of them are public.
This module cannot sign and knows no notes, entries or key files.
"""

import hashlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, TypeAlias

from pfgov_ledger import errors

P: Final = 2**255 - 19
"""The field's prime."""
L: Final = 2**252 + 27742317777372353535851937790883648493
"""The order of the base point."""
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_MASK: Final = 2**255 - 1
_D: Final = -121665 * pow(121666, -1, P) % P
_SQRT_MINUS_ONE: Final = pow(2, (P - 1) // 4, P)
_ORDER_8_Y: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER_Y: Final = frozenset({0, 1, P - 1, _ORDER_8_Y, P - _ORDER_8_Y})
"""The y of the eight points whose order divides 8; the sign of x does not matter."""


def check_public(public: bytes) -> None:
    """Refuse a public key that must never be trusted.

    Raises:
        WeakKeyError: Not 32 bytes, not canonical, of small order, or not on the curve.
    """
    if not _is_sound_public(public):
        raise errors.WeakKeyError(found=public.hex()[:80])


def check(public: bytes, message: bytes, signature: bytes) -> None:
    """Refuse a signature that does not hold, saying why.

    Raises:
        SignatureMissingError: There is none.
        SignatureFormError: It is not 64 bytes in canonical form.
        WeakKeyError: The key must not be trusted.
        SignatureInvalidError: It does not fit key and message.
    """
    if not signature:
        raise errors.SignatureMissingError
    if not _is_sound_form(signature):
        raise errors.SignatureFormError(found=signature.hex()[:160])
    check_public(public)
    if not verify(public, message, signature):
        raise errors.SignatureInvalidError


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether *signature* of *message* holds under *public* by the strict rule."""
    if not (_is_sound_form(signature) and _is_sound_public(public)):
        return False
    return _checker(public)(message, signature)


def verify_pure(public: bytes, message: bytes, signature: bytes) -> bool:
    """:func:`verify` with nothing but the standard library."""
    return (
        _is_sound_form(signature)
        and _is_sound_public(public)
        and _holds(public, message, signature)
    )


def _is_sound_form(signature: bytes) -> bool:
    if len(signature) != SIGNATURE_BYTES:
        return False
    y = int.from_bytes(signature[:32], "little") & _MASK
    return y < P and y not in _SMALL_ORDER_Y and int.from_bytes(signature[32:], "little") < L


@lru_cache(maxsize=4096)
def _is_sound_public(public: bytes) -> bool:
    if len(public) != PUBLIC_BYTES:
        return False
    y = int.from_bytes(public, "little") & _MASK
    return y < P and y not in _SMALL_ORDER_Y and _decompress(public) is not None


@lru_cache(maxsize=4096)
def _checker(public: bytes) -> Callable[[bytes, bytes], bool]:
    """How signatures of sound form are checked under a sound key: by the library if there is one."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return partial(_holds, public)
    key = Ed25519PublicKey.from_public_bytes(public)

    def holds(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return holds


# --- the curve, in plain integers ------------------------------------------------------------
#
# -x^2 + y^2 = 1 + d x^2 y^2 over the field of P elements (RFC 8032 section 5.1).  Points are
# extended coordinates (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z; table points are
# (y + x, y - x, 2dxy), which makes an addition seven multiplications.

_Point: TypeAlias = tuple[int, int, int, int]
_Ready: TypeAlias = tuple[int, int, int]


def _decompress(encoded: bytes) -> _Point | None:
    """The point of a canonical encoding, or None off the curve (RFC 8032 section 5.1.3)."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & _MASK
    u, v = (y * y - 1) % P, (_D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P != 0:
        x = x * _SQRT_MINUS_ONE % P
    if (v * x * x - u) % P != 0 or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _add(p: _Point, q: _Ready) -> _Point:
    x, y, z, t = p
    plus, minus, scaled = q
    a, b, c = (y - x) * minus % P, (y + x) * plus % P, t * scaled % P
    e, f, g, h = b - a, 2 * z - c, 2 * z + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _double(p: _Point) -> _Point:
    x, y, z, _ = p
    a, b = x * x % P, y * y % P
    h = a + b
    e, g = h - (x + y) * (x + y) % P, a - b
    f = 2 * z * z % P + g
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _ready(points: list[_Point]) -> list[_Ready]:
    """Table form of *points*, sharing one inversion among them (Montgomery's trick)."""
    partial = [1]
    for p in points:
        partial.append(partial[-1] * p[2] % P)
    inverse = pow(partial[-1], -1, P)
    table: list[_Ready] = []
    for p, before in zip(reversed(points), reversed(partial[:-1]), strict=True):
        z = inverse * before % P
        inverse = inverse * p[2] % P
        x, y = p[0] * z % P, p[1] * z % P
        table.append((y + x, y - x, 2 * _D * x * y % P))
    table.reverse()
    return table


class _Multiples:
    """All j * 16^i * point: a scalar costs one addition for each of its hexadecimal digits."""

    def __init__(self, point: _Point) -> None:
        bases = [point]
        for _ in range(63):
            for _ in range(4):
                point = _double(point)
            bases.append(point)
        multiples: list[_Point] = []
        for base, step in zip(bases, _ready(bases), strict=True):
            multiples.append(base)
            for _ in range(14):
                multiples.append(_add(multiples[-1], step))
        ready = _ready(multiples)
        self._rows = [ready[i : i + 15] for i in range(0, len(ready), 15)]

    def add_to(self, total: _Point, scalar: int) -> _Point:
        """*total* + *scalar* times the point."""
        for row in self._rows:
            digit = scalar & 15
            if digit:
                total = _add(total, row[digit - 1])
            scalar >>= 4
        return total


@lru_cache(maxsize=1)
def _base() -> _Multiples:
    point = _decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    if point is None:
        raise errors.UsageError("the base point is a constant")
    return _Multiples(point)


_TABLE_AFTER: Final = 8
"""Uses of a key before its table pays; a file whose keys all differ never makes one."""


class _Negated:
    """A key's point, negated: its multiples step by step at first, from a table once it is used often."""

    def __init__(self, point: _Point) -> None:
        self._point = (P - point[0], point[1], 1, P - point[3])
        self._uses = 0
        self._table: _Multiples | None = None

    def times(self, scalar: int) -> _Point:
        self._uses += 1
        if self._uses <= _TABLE_AFTER:
            return _times(self._point, scalar)
        self._table = self._table or _Multiples(self._point)
        return self._table.add_to(_NEUTRAL, scalar)


_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def _times(point: _Point, scalar: int) -> _Point:
    """*scalar* times *point*, four bits at a time from the highest."""
    step, multiples = _ready([point])[0], [point]
    for _ in range(14):
        multiples.append(_add(multiples[-1], step))
    ready, total = _ready(multiples), _NEUTRAL
    for at in range(252, -1, -4):
        for _ in range(4):
            total = _double(total)
        digit = scalar >> at & 15
        if digit:
            total = _add(total, ready[digit - 1])
    return total


@lru_cache(maxsize=64)
def _negated(public: bytes) -> _Negated | None:
    point = _decompress(public)
    return None if point is None else _Negated(point)


def _holds(public: bytes, message: bytes, signature: bytes) -> bool:
    """encode(S B - h A) == R, with h = SHA-512(R || A || M) mod L (RFC 8032 section 5.1.7)."""
    negated = _negated(public)
    if negated is None:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    total = negated.times(int.from_bytes(digest, "little") % L)
    x, y, z, _ = _base().add_to(total, int.from_bytes(signature[32:], "little"))
    inverse = pow(z, -1, P)
    encoded = (y * inverse % P) | ((x * inverse % P) & 1) << 255
    return encoded.to_bytes(32, "little") == signature[:32]
