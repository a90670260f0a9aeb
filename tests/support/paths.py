"""A root over two ledgers, and every way in which a path through it can be broken, with the code of each.

``ledger/vectors/paths.json`` is written from these (``tests/conformance/ledger/ledger_paths.py``).
"""

from collections.abc import Callable

from pfgov_ledger import checkpoint, keys, note, proof, via
from pfgov_ledger.checkpoint import Checkpoint
from support.roots import TIME, MemoryRoot, Tenant, signer

WITNESS = signer("witness.example/w", "witness")
NOW = TIME // 1_000_000


class World:
    """Two ledgers under one root: a at 0 and 3, b at 1, something else at 2."""

    def __init__(self) -> None:
        self.a, self.b = Tenant("a.example/t").grow(5), Tenant("b.example/t").grow(7)
        self.root = MemoryRoot()
        for stated in (
            self.a.checkpoint(3),
            self.b.checkpoint(),
            Checkpoint("c.example/t", 1, bytes(32)),
            self.a.checkpoint(),
        ):
            self.root.add(stated)

    @property
    def vkey(self) -> note.Vkey:
        """The root's."""
        return keys.vkey_of(self.root.key)


def _swapped(world: World) -> bytes:
    """B's checkpoint is where the proof says that a's is."""
    return world.root.path(world.a.prove(1), 1)


def _other_tenants_inner(world: World) -> bytes:
    return world.root.path(world.b.prove(1), 1)


def _entry_not_in_ledger(world: World) -> bytes:
    """The entry is of another history of the same ledger, with the root's proof of the true one."""
    other = Tenant("a.example/t", salt=1).grow(5)
    inner, true = proof.parse(other.prove(1)), proof.parse(world.a.prove(1))
    mixed = proof.TlogProof(true.index, true.hashes, true.checkpoint, inner.extra)
    return world.root.path(proof.write(mixed), 3)


def _fork(world: World) -> bytes:
    """A history that the ledger's key signed, and that the root never had."""
    return world.root.path(Tenant("a.example/t", salt=1).grow(5).prove(1), 3)


def _ledger_signed_by_another(world: World) -> bytes:
    inner = proof.parse(world.a.prove(1))
    forged = checkpoint.sign(world.a.checkpoint(), signer("a.example/t", salt=9))
    return world.root.path(
        proof.write(proof.TlogProof(inner.index, inner.hashes, forged, inner.extra)), 3
    )


def root_signed_by_another(world: World) -> bytes:
    """A path under the root's checkpoint, which another key of the root's name signed."""
    size, stated = world.root.tree.size, checkpoint.parse_text(note.split(world.root.note())[0])
    assert size == stated.size
    return world.root.path(
        world.a.prove(1), 3, checkpoint.sign(stated, signer(world.root.origin, salt=9))
    )


def _root_signature_bent(world: World) -> bytes:
    """The signature of the right key is over an older checkpoint of the root."""
    older = MemoryRoot()
    older.add(world.a.checkpoint(3))
    text, _ = note.split(world.root.note())
    return world.root.path(world.a.prove(1), 3, text + b"\n" + older.note().partition(b"\n\n")[2])


def _cosignature_bent(world: World) -> bytes:
    older = MemoryRoot()
    older.add(world.a.checkpoint(3))
    lines = older.note(WITNESS).splitlines(keepends=True)[-1:]
    return world.root.path(world.a.prove(1), 3, world.root.note() + b"".join(lines))


def _other_root(world: World) -> bytes:
    other = MemoryRoot("other.example/all")
    index = other.add(world.a.checkpoint())
    return other.path(world.a.prove(1), index)


def _own_root(world: World) -> bytes:
    """The ledger's key signs a tree that calls itself the ledger."""
    own = MemoryRoot("a.example/t")
    index = own.add(world.a.checkpoint())
    return own.path(world.a.prove(1), index)


def _root_with_extension(world: World) -> bytes:
    stated = checkpoint.parse_text(note.split(world.root.note())[0])
    signed = note.sign(stated.text() + b"more\n", [world.root.key])
    plain = world.root.path(world.a.prove(1), 3)
    return plain.replace(world.root.note(), signed)


def _without_extra(world: World) -> bytes:
    whole = proof.parse(world.root.path(world.a.prove(1), 3))
    return proof.write(proof.TlogProof(whole.index, whole.hashes, whole.checkpoint))


def _inner_bent(world: World) -> bytes:
    inner = world.a.prove(1).replace(b"index 1\n", b"index x\n")
    outer = proof.parse(world.root.path(world.a.prove(1), 3))
    return proof.write(proof.TlogProof(outer.index, outer.hashes, outer.checkpoint, inner))


def _three_deep(world: World) -> bytes:
    """The path itself stands where the ledger's proof belongs."""
    return world.root.path(_as_inner(world), 3)


def _as_inner(world: World) -> bytes:
    first = MemoryRoot("a.example/t")
    first.key = world.a.log
    first.included, first.tree = [], Tenant("x").tree
    index = first.add(world.b.checkpoint())
    world.root.included[3] = checkpoint.parse_text(note.split(first.note())[0])
    world.root.tree = type(world.root.tree)(via.leaf(one) for one in world.root.included)
    return first.path(world.b.prove(1), index)


BROKEN: dict[str, tuple[Callable[[World], bytes], dict[str, str]]] = {
    "an export": (lambda _: b'{"kind":"full","lineage":1}\n', {"integrity": "ledger.via_missing"}),
    "nothing": (lambda _: b"", {"integrity": "ledger.via_missing"}),
    "a receipt": (lambda _: b'{"entry":""}', {"integrity": "ledger.via_missing"}),
    "the ledger's proof alone": (lambda w: w.a.prove(1), {"integrity": "ledger.via_missing"}),
    "the root's proof alone": (_without_extra, {"integrity": "ledger.via_missing"}),
    "a root's checkpoint with more lines": (_root_with_extension, {"integrity": "ledger.via_malformed"}),
    "a ledger's half that is none": (_inner_bent, {"integrity": "ledger.proof_malformed"}),
    "a root of a root": (_three_deep, {"integrity": "ledger.not_an_export"}),
    "the place of another ledger": (_swapped, {"integrity": "ledger.via_inclusion"}),
    "another history": (_fork, {"integrity": "ledger.via_inclusion"}),
    "an entry of another history": (_entry_not_in_ledger, {"integrity": "ledger.inclusion_invalid"}),
    "the entry of another ledger": (_other_tenants_inner, {"authenticity": "ledger.origin_mismatch"}),
    "a ledger's checkpoint by another key": (
        _ledger_signed_by_another,
        {"authenticity": "ledger.checkpoint_unsigned"},
    ),
    "a root's checkpoint by another key": (root_signed_by_another, {"authenticity": "ledger.via_unsigned"}),
    "a root's signature over something else": (_root_signature_bent, {"authenticity": "ledger.via_signature"}),
    "a cosignature over something else": (_cosignature_bent, {"authenticity": "ledger.via_signature"}),
    "another root": (_other_root, {"authenticity": "ledger.via_origin"}),
    "the ledger as its own root": (_own_root, {"integrity": "ledger.via_origin"}),
}  # fmt: skip
