"""Ed25519 by the strict rule, against a slow textbook computation."""

import hashlib
import sys
from itertools import product

import pytest
from support.textbook25519 import BASE, TORSION, L, P, challenge, encode, holds, lift, plus, times

from pfgov_ledger import ed25519, errors, keys


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
    base_a, base_r = times(a, BASE), times(r, BASE)
    accepted = 0
    for i, j in product(range(8), repeat=2):
        public, commitment = encode(plus(base_a, TORSION[i])), encode(plus(base_r, TORSION[j]))
        h = challenge(commitment, public, b"m")
        signature = commitment + ((r + h * a) % L).to_bytes(32, "little")
        expected = all(prime_parts) and (j + h * i) % 8 == 0
        assert _both(public, b"m", signature) is expected, (i, j)
        assert holds(public, b"m", signature) is expected, (i, j)
        accepted += expected
    assert not all(prime_parts) or accepted >= 2


def test_non_canonical_points_are_refused() -> None:
    """A key or R whose y is not reduced, or whose zero x carries a sign, is never accepted."""
    signer = keys.SeedSigner(role="issuer", name="i", seed=bytes(32))
    good = signer.sign(b"m")
    strange = [(y + P).to_bytes(32, "little") for y in range(19)]
    strange += [bytes([*item[:31], item[31] | 0x80]) for item in strange]
    strange += [encode(point) for point in TORSION]
    strange += [bytes([*encode(point)[:31], encode(point)[31] ^ 0x80]) for point in TORSION]
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
        assert not _both(identity, message, encode(BASE) + (1).to_bytes(32, "little"))


def test_points_off_the_curve_are_no_keys() -> None:
    """A y without x is refused when the key is loaded, not when it is first used."""
    off = next(y for y in range(2, 100) if lift(y) is None)
    with pytest.raises(errors.WeakKeyError):
        ed25519.check_public(off.to_bytes(32, "little"))
    assert not _both(off.to_bytes(32, "little"), b"m", bytes([*encode(BASE), *bytes(32)]))


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
