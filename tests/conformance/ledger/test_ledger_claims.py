"""Our Merkle proofs before the verifier of transparency-dev (Go), honest and damaged: the same verdicts.

Every index and every pair of sizes of small trees, and sizes around a power of two.  Sizes and
indices that are off by one may still lead to the same root, so there the two verifiers are only
compared; a changed hash, a missing or an added one is refused.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pfgov_ledger import errors, merkle

SMALL = range(1, 18)
LARGE = (127, 128, 129, 300)
TREE = merkle.LeafTree(merkle.node_hash(bytes([n % 256]) * 32, bytes(32)) for n in range(301))
OTHER = b"\x5a" * 32


@dataclass(frozen=True)
class Claim:
    """An inclusion proof if ``old`` is None, else a consistency proof; ``first`` is the leaf or the old root."""

    old: int | None
    index: int
    size: int
    first: bytes
    root: bytes
    proof: tuple[bytes, ...]

    def is_accepted_here(self) -> bool:
        """The verdict of our verifier."""
        try:
            if self.old is None:
                merkle.check_inclusion(self.first, self.index, self.size, self.proof, self.root)
            else:
                merkle.check_consistency(self.old, self.size, self.first, self.root, self.proof)
        except errors.TreeError:
            return False
        return True

    def request(self) -> dict[str, Any]:
        """The question for the Go program."""

        def text(item: bytes) -> str:
            return base64.b64encode(item).decode()

        common = {"size": self.size, "root": text(self.root), "proof": [*map(text, self.proof)]}
        if self.old is None:
            return {**common, "index": self.index, "leaf": text(self.first)}
        return {**common, "old_size": self.old, "old_root": text(self.first)}


def inclusions() -> Iterator[Claim]:
    """One honest claim for each leaf of the small trees, and some of the large."""
    for size in (*SMALL, *LARGE):
        root = merkle.root(TREE, size)
        for index in range(size) if size in SMALL else (0, 1, 126, size // 2, size - 1):
            proof = tuple(merkle.inclusion_proof(TREE, index, size))
            yield Claim(None, index, size, TREE.node(0, index), root, proof)


def consistencies() -> Iterator[Claim]:
    """One honest claim for each pair of small sizes, and some of the large."""
    for size in (*SMALL, *LARGE):
        root = merkle.root(TREE, size)
        for old in range(size + 1) if size in SMALL else (1, 64, 100, 126, size - 1, size):
            proof = tuple(merkle.consistency_proof(TREE, old, size))
            yield Claim(old, 0, size, merkle.root(TREE, old), root, proof)


def flipped(item: bytes) -> bytes:
    """The hash with one bit turned."""
    return bytes([item[0] ^ 1]) + item[1:]


def false(claim: Claim) -> Iterator[Claim]:
    """The claim with one hash changed, missing, added or moved."""
    proof = claim.proof
    yield replace(claim, root=OTHER)
    if claim.old != 0:  # see test_a_made_up_root_of_the_empty_tree
        yield replace(claim, first=OTHER)
        yield replace(claim, first=flipped(claim.first))
    for n, item in enumerate(proof):
        yield replace(claim, proof=(*proof[:n], flipped(item), *proof[n + 1 :]))
        yield replace(claim, proof=(*proof[:n], *proof[n + 1 :]))
        yield replace(claim, proof=(*proof[:n], item, *proof[n:]))
    for added in (OTHER, bytes(32), claim.root, claim.first):
        yield replace(claim, proof=(added, *proof))
        yield replace(claim, proof=(*proof, added))
    if len(set(proof)) > 1:
        yield replace(claim, proof=proof[::-1])
    if claim.proof:
        yield replace(claim, proof=())


def shifted(claim: Claim) -> Iterator[Claim]:
    """The claim about a place or a size beside the true one."""
    yield replace(claim, size=claim.size + 1)
    yield replace(claim, size=2 * claim.size)
    yield replace(claim, size=claim.size - 1)
    if claim.old is None:
        yield replace(claim, index=claim.index + 1)
        yield replace(claim, index=claim.index ^ 1)
        yield replace(claim, index=claim.size)
    else:
        yield replace(claim, old=claim.old + 1)
        if claim.old > 1:
            yield replace(claim, old=claim.old - 1)


def verdicts(go: Callable[..., list[str]], claims: Sequence[Claim]) -> list[bool]:
    """What both verifiers say; they say the same."""
    theirs = go([claim.request() for claim in claims], "claims")
    ours = [claim.is_accepted_here() for claim in claims]
    assert set(theirs) <= {"accepted", "refused"}
    differ = [c for c, a, b in zip(claims, ours, theirs, strict=True) if a != (b == "accepted")]
    assert differ == []
    return ours


@pytest.mark.go
@pytest.mark.parametrize("kind", [inclusions, consistencies])
def test_transparency_dev_judges_our_proofs_as_we_do(
    kind: Callable[[], Iterator[Claim]], go: Callable[..., list[str]]
) -> None:
    """Honest proofs are accepted there; false ones are refused; shifted ones are judged there as here."""
    honest = list(kind())
    assert all(verdicts(go, honest))
    lies = [lie for claim in honest for lie in false(claim)]
    # The root of the empty tree says nothing, and any root follows from it.
    judged = [lie for lie in lies if lie.old != 0 or lie.proof]
    assert not any(verdicts(go, judged))
    moved = verdicts(go, [item for claim in honest for item in shifted(claim)])
    print(f"{kind.__name__}: {len(honest)} honest, {len(judged)} false, {len(moved)} shifted")
    assert len(honest) > 150
    assert len(judged) > 2_500


@pytest.mark.go
def test_a_made_up_root_of_the_empty_tree(go: Callable[..., list[str]]) -> None:
    """The one difference: an old root for size 0 that is not the empty one is refused here, ignored there."""
    claim = Claim(0, 0, 5, OTHER, merkle.root(TREE, 5), ())
    assert go([claim.request()], "claims") == ["accepted"]
    assert not claim.is_accepted_here()
