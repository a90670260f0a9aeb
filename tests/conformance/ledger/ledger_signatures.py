"""Writes ``ledger/vectors/ed25519.json``: signatures at the edges of the strict rule, for whoever writes a verifier.

``python tests/conformance/ledger/ledger_signatures.py`` writes the file; a test says when it is no longer what this
gives.  Points and verdicts are computed in textbook arithmetic alone: no verifier of ours is asked.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path

ROOT = Path(__file__).parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tests")]

from support.textbook25519 import (  # noqa: E402 (a script sets its path first)
    BASE,
    TORSION,
    L,
    P,
    challenge,
    encode,
    holds,
    lift,
    plus,
    times,
)

PATH = ROOT / "ledger" / "vectors" / "ed25519.json"
SIGN = 1 << 255
SECRET, NONCE = (
    int.from_bytes(hashlib.sha512(word).digest(), "little") % L
    for word in (b"pfgov vectors, key", b"pfgov vectors, nonce")
)
ABOUT = (
    "Signatures at the edges of the strict rule of ledger/FORMAT.md section 5. public, message and signature (R, "
    "then S) are in hexadecimal, numbers little-endian; valid is the verdict. A is the key's point, B the base "
    "point, T a fixed point of order 8, h the hash of R, A and the message, a and r fixed numbers; S is made so "
    "that SB = R + hA holds, or its eightfold alone."
)


@dataclass(frozen=True)
class Spelt:
    """A point that is *scalar* times B and *part* times T, and how it is written down."""

    scalar: int
    part: int
    raw: bytes
    about: str

    @property
    def canonical(self) -> bytes:
        """The one encoding that the point should have."""
        return encode(plus(times(self.scalar, BASE), TORSION[self.part]))


def canonical(scalar: int, part: int, letter: str) -> Spelt:
    """A point as it should be written."""
    raw = encode(plus(times(scalar, BASE), TORSION[part]))
    return Spelt(scalar, part, raw, f"{letter}B + {part}T" if scalar else f"{part}T")


def misspelt() -> Iterator[Spelt]:
    """The six non-canonical encodings of points of small order."""
    for part, (x, y) in enumerate(TORSION):
        if y < 19:
            sign = SIGN * (x & 1)
            yield Spelt(0, part, (y + P | sign).to_bytes(32, "little"), f"{part}T, y + p")
        if x == 0:
            yield Spelt(0, part, (y | SIGN).to_bytes(32, "little"), f"{part}T, sign on x = 0")
        if x == 0 and y < 19:
            raw = (y + P | SIGN).to_bytes(32, "little")
            yield Spelt(0, part, raw, f"{part}T, y + p and sign on x = 0")


def signed(
    key: Spelt, commitment: Spelt, *, reencoded: bool = False
) -> Iterator[dict[str, object]]:
    """A signature for which SB = R + hA holds and one for which only its eightfold does, where they exist."""
    h_of = (commitment.canonical, key.canonical) if reencoded else (commitment.raw, key.raw)
    over = "; h over canonical encodings" if reencoded else ""
    for is_exact, words in ((True, "SB = R + hA"), (False, "8SB = 8(R + hA) alone")):
        if not _is_possible(key.part, commitment.part, is_exact=is_exact):
            continue
        message, h = next(
            (message, h)
            for message in (str(number).encode() for number in count())
            for h in (challenge(*h_of, message),)
            if ((commitment.part + h * key.part) % 8 == 0) is is_exact
        )
        s = (commitment.scalar + h * key.scalar) % L
        yield _case(
            f"A = {key.about}; R = {commitment.about}; {words}{over}",
            key.raw, message, commitment.raw + s.to_bytes(32, "little"),
        )  # fmt: skip


def _is_possible(key: int, commitment: int, *, is_exact: bool) -> bool:
    return any(((commitment + h * key) % 8 == 0) is is_exact for h in range(8))


def _case(about: str, public: bytes, message: bytes, signature: bytes) -> dict[str, object]:
    return {
        "about": about,
        "public": public.hex(),
        "message": message.hex(),
        "signature": signature.hex(),
        "valid": holds(public, message, signature),
    }


def small_order_parts() -> Iterator[dict[str, object]]:
    """Every part of small order in A and in R, each with and without a part of prime order."""
    for a, r, i, j in product((SECRET, 0), (NONCE, 0), range(8), range(8)):
        yield from signed(canonical(a, i, "a"), canonical(r, j, "r"))


def non_canonical_points() -> Iterator[dict[str, object]]:
    """Every non-canonical A or R of small order with every other point, hashed as given and as it should be written."""
    for strange, i, reencoded in product(misspelt(), range(8), (False, True)):
        for r in (NONCE, 0):
            yield from signed(strange, canonical(r, i, "r"), reencoded=reencoded)
        for a in (SECRET, 0):
            yield from signed(canonical(a, i, "a"), strange, reencoded=reencoded)
    for key, commitment, reencoded in product(misspelt(), misspelt(), (False, True)):
        yield from signed(key, commitment, reencoded=reencoded)


def honest() -> tuple[bytes, bytes, int]:
    """The key, the R and the S of an ordinary signature of ``0``."""
    public, commitment = encode(times(SECRET, BASE)), encode(times(NONCE, BASE))
    return public, commitment, (NONCE + challenge(commitment, public, b"0") * SECRET) % L


def strange_encodings() -> Iterator[dict[str, object]]:
    """Every y that is not reduced, and some y off the curve, as A and as R beside an ordinary S."""
    public, commitment, s = honest()
    ys = [(y, f"y = p + {y - P}") for y in range(P, 2**255)]
    ys += [(y, f"y = {y}, off the curve") for y in range(20) if lift(y) is None]
    for (y, about), sign in product(ys, (0, SIGN)):
        raw = (y | sign).to_bytes(32, "little")
        spelt = f"{about}, sign set" if sign else about
        yield _case(f"A: {spelt}", raw, b"0", commitment + s.to_bytes(32, "little"))
        yield _case(f"R: {spelt}", public, b"0", raw + s.to_bytes(32, "little"))


def scalars_and_lengths() -> Iterator[dict[str, object]]:
    """S plus every multiple of the group order that fits, bits above it, other lengths, other messages."""
    public, commitment, s = honest()
    for about, other in (
        *((f"S + {k}L", s + k * L) for k in range(1, 16)),
        ("S = 0", 0), ("S - 1", s - 1), ("S + 1", s + 1), ("L - S", L - s), ("L - 1", L - 1), ("S = L", L),
        ("S with bit 253", s | 1 << 253), ("S with bit 254", s | 1 << 254), ("S with bit 255", s | 1 << 255),
        ("S of ones alone", 2**256 - 1),
    ):  # fmt: skip
        yield _case(about, public, b"0", commitment + other.to_bytes(32, "little"))
    good = commitment + s.to_bytes(32, "little")
    yield _case("another message", public, b"1", good)
    yield _case("the message and a zero byte", public, b"0\0", good)
    yield _case("-A", (int.from_bytes(public, "little") ^ SIGN).to_bytes(32, "little"), b"0", good)
    minus = (int.from_bytes(commitment, "little") ^ SIGN).to_bytes(32, "little")
    yield _case("-R", public, b"0", minus + good[32:])
    opposite = (NONCE + challenge(minus, public, b"0") * SECRET) % L
    about = "A = aB + 0T; R = -rB + 0T; SB = -R + hA"
    yield _case(about, public, b"0", minus + opposite.to_bytes(32, "little"))
    yield _case("A and R exchanged", commitment, b"0", public + good[32:])
    yield _case("S before R", public, b"0", good[32:] + commitment)
    for size in (0, 32, 63, 65, 96):
        yield _case(f"{size} bytes", public, b"0", (good + good)[:size])
    yield _case("65 bytes, the last one zero", public, b"0", good + b"\0")
    for size in (0, 31, 33):
        yield _case(f"a key of {size} bytes", (public + public)[:size], b"0", good)
    unit = encode(BASE)
    answer = (1 + challenge(unit, unit, b"0")) % L
    yield _case("A = B; R = B", unit, b"0", unit + answer.to_bytes(32, "little"))


def text() -> str:
    """The file's text, a case a line."""
    found: dict[tuple[object, ...], dict[str, object]] = {}
    for part in (small_order_parts, non_canonical_points, strange_encodings, scalars_and_lengths):
        for case in part():
            found.setdefault((case["public"], case["message"], case["signature"]), case)
    lines = ",\n".join(f"  {json.dumps(case)}" for case in found.values())
    fixed = {name: one.to_bytes(32, "little") for name, one in (("a", SECRET), ("r", NONCE))}
    points = {"B": encode(BASE), "T": encode(TORSION[1])}
    head = {"about": ABOUT} | {name: raw.hex() for name, raw in (points | fixed).items()}
    members = "".join(f" {json.dumps(name)}: {json.dumps(one)},\n" for name, one in head.items())
    return f'{{\n{members} "cases": [\n{lines}\n ]\n}}\n'


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
