"""Ed25519 by the strict rule, against a slow textbook computation written only for this test."""

import hashlib
import sys
from itertools import product

import pytest

from pfgov_ledger import ed25519, errors, keys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def _plus(a: Point, b: Point) -> Point:
    k = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + k, -1, P) % P
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, P) % P
    return x, y


def _times(n: int, a: Point) -> Point:
    total = IDENTITY
    while n:
        if n & 1:
            total = _plus(total, a)
        a, n = _plus(a, a), n >> 1
    return total


def _encode(a: Point) -> bytes:
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


def _lift(y: int) -> Point | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return None if (x * x - square) % P else (x, y)


_BASE_FOUND = _lift(4 * pow(5, -1, P) % P)
assert _BASE_FOUND is not None
BASE = _BASE_FOUND if _BASE_FOUND[0] % 2 == 0 else (P - _BASE_FOUND[0], _BASE_FOUND[1])


def _torsion() -> list[Point]:
    for y in range(2, 100):
        point = _lift(y)
        if point is not None:
            eighth = _times(L, point)
            if _times(4, eighth) != IDENTITY:
                return [_times(k, eighth) for k in range(8)]
    raise AssertionError


TORSION = _torsion()


def _both(public: bytes, message: bytes, signature: bytes) -> bool:
    found = {f(public, message, signature) for f in (ed25519.verify, ed25519.verify_pure)}
    assert len(found) == 1, "the library and the pure verifier disagree"
    return found.pop()


@pytest.mark.parametrize(
    "prime_parts", [(True, True), (True, False), (False, True), (False, False)]
)
def test_keys_and_commitments_with_small_order_parts(prime_parts: tuple[bool, bool]) -> None:
    """For A = aB + T and R = rB + T' exactly the equation without cofactor decides, and small order refuses."""
    a, r = (int.from_bytes(hashlib.sha256(word).digest(), "big") % L if on else 0
            for word, on in zip((b"a", b"r"), prime_parts, strict=True))  # fmt: skip
    base_a, base_r = _times(a, BASE), _times(r, BASE)
    accepted = 0
    for i, j in product(range(8), repeat=2):
        public, commitment = _encode(_plus(base_a, TORSION[i])), _encode(_plus(base_r, TORSION[j]))
        h = int.from_bytes(hashlib.sha512(commitment + public + b"m").digest(), "little") % L
        signature = commitment + ((r + h * a) % L).to_bytes(32, "little")
        expected = all(prime_parts) and (j + h * i) % 8 == 0
        assert _both(public, b"m", signature) is expected, (i, j)
        accepted += expected
    assert not all(prime_parts) or accepted >= 2


def test_non_canonical_points_are_refused() -> None:
    """A key or R whose y is not reduced, or whose zero x carries a sign, is never accepted."""
    signer = keys.SeedSigner(role="issuer", name="i", seed=bytes(32))
    good = signer.sign(b"m")
    strange = [(y + P).to_bytes(32, "little") for y in range(19)]
    strange += [bytes([*item[:31], item[31] | 0x80]) for item in strange]
    strange += [_encode(point) for point in TORSION]
    strange += [bytes([*_encode(point)[:31], _encode(point)[31] ^ 0x80]) for point in TORSION]
    for item in strange:
        assert not _both(item, b"m", good)
        assert not _both(signer.public, b"m", item + good[32:])
        with pytest.raises(errors.WeakKeyError):
            ed25519.check_public(item)
        with pytest.raises(errors.SignatureFormError):
            ed25519.check(signer.public, b"m", item + good[32:])


def test_the_identity_as_a_key_signs_nothing() -> None:
    """Under the identity point one constant signature fits every message unless the key is refused."""
    identity = (1).to_bytes(32, "little")
    for message in (b"", b"a", b"anything"):
        assert not _both(identity, message, _encode(BASE) + (1).to_bytes(32, "little"))


def test_points_off_the_curve_are_no_keys() -> None:
    """A y without x is refused when the key is loaded, not when it is first used."""
    off = next(y for y in range(2, 100) if _lift(y) is None)
    with pytest.raises(errors.WeakKeyError):
        ed25519.check_public(off.to_bytes(32, "little"))
    assert not _both(off.to_bytes(32, "little"), b"m", bytes([*_encode(BASE), *bytes(32)]))


def test_each_fault_of_a_signature_has_its_code() -> None:
    """Missing, malformed, too large S, wrong message, wrong key: told apart."""
    signer = keys.SeedSigner(role="issuer", name="i", seed=bytes(32))
    good = signer.sign(b"m")
    ed25519.check(signer.public, b"m", good)
    s = int.from_bytes(good[32:], "little")
    cases = [
        (b"", "ledger.signature_missing"), (good[:-1], "ledger.signature_non_canonical"),
        (good + b"\0", "ledger.signature_non_canonical"),
        (good[:32] + (s + L).to_bytes(32, "little"), "ledger.signature_non_canonical"),
        (good[:32] + (s ^ 1).to_bytes(32, "little"), "ledger.signature_invalid"),
    ]  # fmt: skip
    for signature, code in cases:
        with pytest.raises(errors.AuthenticityError) as caught:
            ed25519.check(signer.public, b"m", signature)
        assert caught.value.code == code
        assert not _both(signer.public, b"m", signature)
    assert not _both(signer.public, b"n", good)
    assert not _both(signer.public[:-1], b"m", good)
    with pytest.raises(errors.WeakKeyError):
        ed25519.check(b"", b"m", good)


def test_without_the_library_the_pure_verifier_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `cryptography` cannot be imported, verify gives the same answers."""
    signer = keys.SeedSigner(role="issuer", name="i", seed=bytes([77]) * 32)
    good = signer.sign(b"m")
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    ed25519._checker.cache_clear()
    assert ed25519._checker(signer.public).func is ed25519._holds  # type: ignore[attr-defined]
    assert ed25519.verify(signer.public, b"m", good)
    assert not ed25519.verify(signer.public, b"n", good)
    ed25519._checker.cache_clear()
