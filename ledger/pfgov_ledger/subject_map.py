"""The subject map: for every subject its last entry, under one root, with proofs.

A binary Patricia trie over ``SHA-256("pfgov/subject/v1" 00 || subject)``: a leaf is
``SHA-256(0x02 || key || u64 seq || leaf)`` with the subject's last ``subject_seq`` and that entry's
leaf hash, a node ``SHA-256(0x03 || u16 bit || left || right)`` where ``bit`` is the first of the 256
key bits (most significant first) in which the two sides differ; the empty map's root is 32 zero
bytes.  The shape depends on the keys alone, so whoever has all entries computes the same root.

Absence of a subject is shown by the one leaf that a search for it would reach.  Keys are hashes,
so a proof names no other subject.  Who commits to a root, and when, is not known here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, cast

from pfgov_ledger import entry, errors

EMPTY_ROOT: Final = bytes(32)
KEY_BITS: Final = 256
_TAG: Final = b"pfgov/subject/v1\x00"


_Leaf: TypeAlias = bytes
"""``key || u64 seq || leaf``, 72 bytes: what is hashed, and all that a writer keeps of a subject that is over."""


class _Node(NamedTuple):
    """Immutable: an update copies one path, and an old root stays readable."""

    hash: bytes
    bit: int
    left: "_Leaf | _Node"
    right: "_Leaf | _Node"


def _hash_of(tree: "_Leaf | _Node") -> bytes:
    return tree.hash if isinstance(tree, _Node) else hashlib.sha256(b"\x02" + tree).digest()


def subject_key(subject: str) -> bytes:
    """Where *subject* lies in the trie."""
    return hashlib.sha256(_TAG + subject.encode()).digest()


@dataclass(frozen=True, slots=True)
class MapProof:
    """The leaf that a search reaches (None in an empty map) and the way up to the root.

    ``path`` has one (bit, sibling hash) for each node, the leaf's parent first.  Whether it proves
    presence or absence follows from whose key the leaf has.
    """

    key: bytes | None
    seq: int
    leaf: bytes
    path: tuple[tuple[int, bytes], ...]

    def to_json(self) -> dict[str, object]:
        """The proof as a value that :mod:`canonical` encodes."""
        return {
            "key": None if self.key is None else self.key.hex(),
            "leaf": self.leaf.hex(),
            "path": [[bit, sibling.hex()] for bit, sibling in self.path],
            "seq": self.seq,
        }

    @staticmethod
    def from_json(value: object) -> "MapProof":
        """Read what :meth:`to_json` gives.

        Raises:
            ProofShapeError: Not such a value.
        """
        if isinstance(value, dict):
            members = cast("dict[str, object]", value)
            key, seq, path = members.get("key"), members.get("seq"), members.get("path")
            if members.keys() == {"key", "leaf", "path", "seq"} and isinstance(path, list):
                steps = tuple(_step(step) for step in cast("list[object]", path))
                found = None if key is None else _hash(key)
                return MapProof(found, _count(seq, 1 << 53), _hash(members["leaf"]), steps)
        raise errors.ProofShapeError("not a subject map proof")


def _step(step: object) -> tuple[int, bytes]:
    if isinstance(step, list) and len(cast("list[object]", step)) == 2:
        bit, sibling = cast("list[object]", step)
        return _count(bit, KEY_BITS), _hash(sibling)
    raise errors.ProofShapeError("a step is a bit and a hash")


def _count(value: object, bound: int) -> int:
    if type(value) is int and 0 <= value < bound:
        return value
    raise errors.ProofShapeError(f"a number from 0 to {bound - 1}", found=repr(value)[:40])


def _hash(value: object) -> bytes:
    if isinstance(value, str) and entry.HEX32.fullmatch(value) is not None:
        return bytes.fromhex(value)
    raise errors.ProofShapeError("a hash is 64 lowercase hexadecimal digits")


class SubjectMap:
    """The map itself, kept incrementally: :meth:`update` is cheap, :meth:`root` pays for all."""

    def __init__(self) -> None:
        self._tree: _Leaf | _Node | None = None
        self._size = 0
        self._pending: dict[str, tuple[int, bytes]] = {}

    def update(self, subject: str, seq: int, leaf: bytes) -> None:
        """The last entry of *subject* is now number *seq* of it, with this leaf hash."""
        self._pending[subject] = (seq, leaf)

    def root(self) -> bytes:
        """The root over everything updated so far."""
        tree = self._settle()
        return EMPTY_ROOT if tree is None else _hash_of(tree)

    def get(self, subject: str) -> tuple[int, bytes] | None:
        """The number and the leaf hash of *subject*'s last entry; None where it has none."""
        pending = self._pending.get(subject)
        if pending is not None:
            return pending
        key = subject_key(subject)
        number, tree = int.from_bytes(key, "big"), self._tree
        while isinstance(tree, _Node):
            tree = tree[3] if _bit(number, tree[1]) else tree[2]
        if tree is None or tree[:32] != key:
            return None
        return int.from_bytes(tree[32:40], "big"), tree[40:]

    def __len__(self) -> int:
        """How many subjects there are."""
        self._settle()
        return self._size

    def prove(self, subject: str) -> MapProof:
        """The proof of *subject*'s last entry, or of its absence."""
        tree = self._settle()
        if tree is None:
            return MapProof(None, 0, bytes(32), ())
        key = int.from_bytes(subject_key(subject), "big")
        path: list[tuple[int, bytes]] = []
        while isinstance(tree, _Node):
            _, bit, left, right = tree
            tree, other = (right, left) if _bit(key, bit) else (left, right)
            path.append((bit, _hash_of(other)))
        seq = int.from_bytes(tree[32:40], "big")
        return MapProof(tree[:32], seq, tree[40:], tuple(reversed(path)))

    def _settle(self) -> _Leaf | _Node | None:
        if not self._pending:
            return self._tree
        fresh = [
            subject_key(subject) + seq.to_bytes(8, "big") + leaf
            for subject, (seq, leaf) in self._pending.items()
        ]
        self._pending.clear()
        if len(fresh) * _PATH_COST > self._size:
            leaves = {leaf[:32]: leaf for leaf in (*_leaves(self._tree), *fresh)}
            self._tree, self._size = _build(sorted(leaves.values())), len(leaves)
        else:
            for new in fresh:
                self._tree, is_added = _insert(self._tree, new)
                self._size += is_added
        return self._tree


def root_of(heads: Mapping[str, tuple[int, bytes]]) -> bytes:
    """The root of the map subject -> (last ``subject_seq``, leaf)."""
    whole = SubjectMap()
    for subject, (seq, leaf) in heads.items():
        whole.update(subject, seq, leaf)
    return whole.root()


def check_present(proof: MapProof, root: bytes, subject: str) -> tuple[int, bytes]:
    """The last ``subject_seq`` and leaf hash of *subject* under *root*.

    Raises:
        SubjectMapError: The proof does not show that.
    """
    key = subject_key(subject)
    if proof.key != key:
        raise errors.SubjectMapError("the proof is about another subject", expected=key.hex())
    _check_path(proof, key, root)
    return proof.seq, proof.leaf


def check_absent(proof: MapProof, root: bytes, subject: str) -> None:
    """Refuse *proof* unless it shows that *subject* has no entry under *root*.

    Raises:
        SubjectMapError: It does not: the subject is there, or the search would end elsewhere.
    """
    if proof.key is None:
        if root != EMPTY_ROOT or proof.path:
            raise errors.SubjectMapError("the map is not empty")
        return
    key = subject_key(subject)
    if proof.key == key:
        raise errors.SubjectMapError("the subject is present", found=f"subject_seq {proof.seq}")
    _check_path(proof, proof.key, root)
    sought, found = int.from_bytes(key, "big"), int.from_bytes(proof.key, "big")
    if any(_bit(sought, bit) != _bit(found, bit) for bit, _ in proof.path):
        raise errors.SubjectMapError("a search for the subject ends elsewhere")


def _check_path(proof: MapProof, key: bytes, root: bytes) -> None:
    number = int.from_bytes(key, "big")
    total, below = leaf_hash(key, proof.seq, proof.leaf), KEY_BITS
    for bit, sibling in proof.path:
        if not 0 <= bit < below:
            raise errors.SubjectMapError("bits must fall towards the root")
        below = bit
        pair = (sibling, total) if _bit(number, bit) else (total, sibling)
        total = node_hash(bit, *pair)
    if total != root:
        raise errors.SubjectMapError(expected=root.hex(), found=total.hex())


def _bit(key: int, bit: int) -> int:
    return key >> (KEY_BITS - 1 - bit) & 1


def leaf_hash(key: bytes, seq: int, leaf: bytes) -> bytes:
    """``SHA-256(0x02 || key || u64 seq || leaf)``."""
    return hashlib.sha256(b"\x02" + key + seq.to_bytes(8, "big") + leaf).digest()


def node_hash(bit: int, left: bytes, right: bytes) -> bytes:
    """``SHA-256(0x03 || u16 bit || left || right)``."""
    return hashlib.sha256(b"\x03" + bit.to_bytes(2, "big") + left + right).digest()


_PATH_COST: Final = 16
"""Building all of it again costs as much as changing one leaf in so many."""


def _leaves(tree: _Leaf | _Node | None) -> Iterator[_Leaf]:
    pending = [] if tree is None else [tree]
    while pending:
        at = pending.pop()
        if isinstance(at, _Node):
            pending += (at.right, at.left)
        else:
            yield at


def _build(leaves: list[_Leaf]) -> _Leaf | _Node:
    """The tree of *leaves*, in key order, of which there is at least one."""
    stack: list[tuple[int, _Leaf | _Node]] = []
    total: _Leaf | _Node = leaves[0]
    last = int.from_bytes(leaves[0][:32], "big")
    for new in leaves[1:]:
        key = int.from_bytes(new[:32], "big")
        split = KEY_BITS - (last ^ key).bit_length()
        while stack and stack[-1][0] > split:
            bit, left = stack.pop()
            total = _node(bit, left, total)
        stack.append((split, total))
        total, last = new, key
    for bit, left in reversed(stack):
        total = _node(bit, left, total)
    return total


def _insert(tree: _Leaf | _Node | None, new: _Leaf) -> tuple[_Leaf | _Node, bool]:
    """*tree* with *new* in it, or in the place of the leaf with its key; whether it was added."""
    if tree is None:
        return new, True
    key = int.from_bytes(new[:32], "big")
    above: list[_Node] = []
    at = tree
    while isinstance(at, _Node):
        above.append(at)
        at = at.right if _bit(key, at.bit) else at.left
    differing = key ^ int.from_bytes(at[:32], "big")
    result: _Leaf | _Node = new
    if differing:
        split = KEY_BITS - differing.bit_length()
        below: _Leaf | _Node = at
        while above and above[-1].bit > split:
            below = above.pop()
        result = _join(split, key, new, below)
    for _, bit, left, right in reversed(above):
        result = _join(bit, key, result, left if _bit(key, bit) else right)
    return result, differing != 0


def _join(bit: int, key: int, on_path: _Leaf | _Node, other: _Leaf | _Node) -> _Node:
    left, right = (other, on_path) if _bit(key, bit) else (on_path, other)
    return _node(bit, left, right)


def _node(bit: int, left: _Leaf | _Node, right: _Leaf | _Node) -> _Node:
    return _Node(node_hash(bit, _hash_of(left), _hash_of(right)), bit, left, right)
