"""The Merkle tree of RFC 6962: a running root, inclusion and consistency proofs, their checks.

Leaves come in as hashes (``entry.leaf_hash``); an inner node is ``SHA-256(0x01 || left || right)``.
A *node* (level, index) is the root of the complete subtree over leaves
``[index << level, (index + 1) << level)``; proofs are made from any :class:`Nodes`, which may be
memory (:class:`LeafTree`), a table or tiles.  Everything is pure; nothing here is signed.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from pfgov_ledger import errors

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of no leaves (RFC 6962 section 2.1)."""
HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**53 - 1
"""The largest tree: ``seq`` is an integer of the canonical profile."""
PROOF_HASHES_MAX: Final = 128

_sha256 = hashlib.sha256


def node_hash(left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x01 || left || right)``."""
    return _sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: enough to add leaves and to give the root, nothing more.

    Holds one hash for each one-bit of the size, largest subtree first.
    """

    __slots__ = ("_edge", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append a leaf hash."""
        edge, size = self._edge, self.size
        while size & 1:
            leaf = _sha256(b"\x01" + edge.pop() + leaf).digest()
            size >>= 1
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._edge:
            return EMPTY_ROOT
        edge = iter(reversed(self._edge))
        total = next(edge)
        for left in edge:
            total = node_hash(left, total)
        return total

    def copy(self) -> "Frontier":
        """An independent frontier in the same state."""
        twin = Frontier()
        twin.size, twin._edge = self.size, self._edge.copy()
        return twin

    def to_bytes(self) -> bytes:
        """The state: size as eight bytes, most significant first, then the hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self._edge)

    @staticmethod
    def from_bytes(state: bytes) -> "Frontier":
        """The frontier that :meth:`to_bytes` wrote.

        Raises:
            ProofShapeError: Not such a state.
        """
        size = int.from_bytes(state[:8], "big")
        edge = [state[i : i + HASH_BYTES] for i in range(8, len(state), HASH_BYTES)]
        if len(state) != 8 + HASH_BYTES * size.bit_count() or size > SIZE_MAX:
            raise errors.ProofShapeError("not a frontier", found=f"{len(state)} bytes")
        frontier = Frontier()
        frontier.size, frontier._edge = size, edge
        return frontier


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over *leaves* (leaf hashes, in order)."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root()


# --- making proofs ---------------------------------------------------------------------------


class Nodes(Protocol):
    """Where the hashes of complete subtrees are read from."""

    def node(self, level: int, index: int) -> bytes:
        """The root over the leaves ``[index << level, (index + 1) << level)``."""
        ...


class LeafTree:
    """Every complete subtree of a list of leaves, in memory: 64 bytes a leaf."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        for leaf in leaves:
            self.add(leaf)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // HASH_BYTES

    def add(self, leaf: bytes) -> None:
        """Append a leaf hash."""
        index = self.size
        self._levels[0] += leaf
        level = 0
        while index & 1:
            row = self._levels[level]
            leaf = _sha256(b"\x01" + row[-64:]).digest()
            level, index = level + 1, index >> 1
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += leaf

    def node(self, level: int, index: int) -> bytes:
        """See :class:`Nodes`.

        Raises:
            UsageError: The subtree is not complete.
        """
        at = index * HASH_BYTES
        if not 0 <= level < len(self._levels) or at + HASH_BYTES > len(self._levels[level]):
            raise errors.UsageError(f"no node at level {level}, index {index}")
        return bytes(self._levels[level][at : at + HASH_BYTES])


def root(nodes: Nodes, size: int) -> bytes:
    """The root of the first *size* leaves."""
    return _range_root(nodes, 0, size) if size else EMPTY_ROOT


def inclusion_proof(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """The audit path of leaf *index* in the tree of the first *size* leaves (RFC 6962, 2.1.1).

    Raises:
        UsageError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise errors.UsageError(f"no leaf {index} in a tree of {size}")
    return _path(nodes, index, 0, size)


def consistency_proof(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """The proof that the first *new* leaves extend the first *old* ones (RFC 6962, 2.1.2).

    Raises:
        UsageError: *old* is larger than *new*, or negative.
    """
    if not 0 <= old <= new:
        raise errors.UsageError(f"a tree of {new} cannot extend one of {old}")
    return [] if old in {0, new} else _subproof(nodes, old, 0, new, is_whole=True)


def _split(size: int) -> int:
    """The largest power of two smaller than *size*."""
    return 1 << (size - 1).bit_length() - 1


def _range_root(nodes: Nodes, start: int, size: int) -> bytes:
    """The root over ``[start, start + size)``; *start* is a multiple of the power of two above."""
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return nodes.node(level, start >> level)
    k = _split(size)
    return node_hash(_range_root(nodes, start, k), _range_root(nodes, start + k, size - k))


def _path(nodes: Nodes, index: int, start: int, size: int) -> list[bytes]:
    if size == 1:
        return []
    k = _split(size)
    if index < k:
        return [*_path(nodes, index, start, k), _range_root(nodes, start + k, size - k)]
    return [*_path(nodes, index - k, start + k, size - k), _range_root(nodes, start, k)]


def _subproof(nodes: Nodes, old: int, start: int, size: int, *, is_whole: bool) -> list[bytes]:
    if old == size:
        return [] if is_whole else [_range_root(nodes, start, size)]
    k = _split(size)
    if old <= k:
        right = _range_root(nodes, start + k, size - k)
        return [*_subproof(nodes, old, start, k, is_whole=is_whole), right]
    left = _range_root(nodes, start, k)
    return [*_subproof(nodes, old - k, start + k, size - k, is_whole=False), left]


# --- checking proofs -------------------------------------------------------------------------


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Refuse *proof* unless it leads from *leaf* at *index* to the root (RFC 9162, 2.1.3.2).

    Raises:
        InclusionError: It does not.
    """
    found = root_from_inclusion(leaf, index, size, proof)
    if found != expected_root:
        raise errors.InclusionError(position=index, expected=expected_root.hex(), found=found.hex())


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that *proof* leads to from *leaf* at *index* of *size*.

    Raises:
        InclusionError: The proof has the wrong shape for this index and size.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise errors.InclusionError(f"no leaf {index} in a tree of {size}", position=index)
    first, last = index, size - 1
    total, *siblings = _hashes([leaf, *proof], errors.InclusionError)
    for sibling in siblings:
        if last == 0:
            raise errors.InclusionError("the proof is too long", position=index)
        if first & 1 or first == last:
            total = node_hash(sibling, total)
            while not first & 1:
                first, last = first >> 1, last >> 1
        else:
            total = node_hash(total, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise errors.InclusionError("the proof is too short", position=index)
    return total


def check_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Refuse *proof* unless the tree of *new* leaves extends that of *old* (RFC 9162, 2.1.4.2).

    Raises:
        RollbackError: *new* is smaller than *old*.
        SameSizeForkError: Equal sizes, different roots.
        ConsistencyError: The proof does not connect the two roots.
    """
    if new < old:
        raise errors.RollbackError(position=new, expected=f"at least {old}", found=str(new))
    hashes = _hashes([old_root, new_root, *proof], errors.ConsistencyError)[2:]
    if old == 0 and old_root != EMPTY_ROOT:
        raise errors.ConsistencyError(position=0, expected=EMPTY_ROOT.hex(), found=old_root.hex())
    if old == new and old_root != new_root:
        raise errors.SameSizeForkError(position=old, expected=old_root.hex(), found=new_root.hex())
    if old in {0, new}:
        if proof:
            raise errors.ConsistencyError("the proof is too long", position=old)
        return
    if old & (old - 1) == 0:
        hashes = [old_root, *hashes]
    if not hashes:
        raise errors.ConsistencyError("the proof is too short", position=old)
    _connect(old, new, old_root, new_root, hashes)


def _connect(old: int, new: int, old_root: bytes, new_root: bytes, hashes: list[bytes]) -> None:
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    from_old = from_new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise errors.ConsistencyError("the proof is too long", position=old)
        if first & 1 or first == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        first, last = first >> 1, last >> 1
    if last != 0:
        raise errors.ConsistencyError("the proof is too short", position=old)
    if from_old != old_root:
        raise errors.ConsistencyError(position=old, expected=old_root.hex(), found=from_old.hex())
    if from_new != new_root:
        raise errors.ConsistencyError(position=old, expected=new_root.hex(), found=from_new.hex())


def _hashes(proof: Sequence[bytes], refusal: type[errors.TreeError]) -> list[bytes]:
    if len(proof) > PROOF_HASHES_MAX or any(len(item) != HASH_BYTES for item in proof):
        raise refusal("a proof is a short list of 32-byte hashes")
    return list(proof)
