"""Logs in memory, a root over them, and paths through it: every part made by hand, so that each can be made wrong."""

from dataclasses import dataclass, field
from pathlib import Path

from pfgov.app.local.folder import creating
from pfgov.clock import ManualClock
from pfgov_ledger import checkpoint, keys, merkle, proof, receipt, via
from pfgov_ledger.appender import Appender, Head, Staged
from pfgov_ledger.checkpoint import Checkpoint
from pfgov_ledger.keys import SeedSigner
from support.ledgers import START


def ledger_at(directory: Path) -> Path:
    """A ledger in a folder, with a name like the folder's: a root tells ledgers apart by their names."""
    with creating(directory, f"{directory.name}.example/t", clock=ManualClock(START)):
        return directory


TIME = 1_782_331_200_000_000


def signer(name: str, role: str = "log", *, salt: int = 0) -> SeedSigner:
    """A key that depends on its name alone."""
    return SeedSigner(
        role=role, name=name, seed=bytes([len(name), salt]) + name.encode()[:30].ljust(30, b".")
    )


@dataclass
class Tenant:
    """A log with real entries; ``salt`` makes another history under the same name and keys."""

    origin: str
    salt: int = 0
    tree: merkle.LeafTree = field(default_factory=merkle.LeafTree)
    staged: list[Staged] = field(default_factory=list[Staged])

    def __post_init__(self) -> None:
        self.log = signer(self.origin)
        self.issuer = signer(f"{self.origin}/issuer", "issuer")
        self._appender = Appender(head=Head(self.origin), issuer=self.issuer, log=self.log)

    def grow(self, count: int) -> "Tenant":
        """Append *count* entries."""
        for seq in range(self.tree.size, self.tree.size + count):
            made = self._appender.append(
                type="packet_created",
                body={"packet_id": f"fp-{seq}", "note": f"history {self.salt}"},
                subject=f"packet/fp-{seq}",
                time=TIME + seq,
                command_seq=seq,
                command_index=0,
            )
            self.staged.append(made)
            self.tree.add(made.leaf)
        return self

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """What the log says of its first *size* entries, or of all."""
        size = self.tree.size if size is None else size
        return Checkpoint(self.origin, size, merkle.root(self.tree, size))

    def note(self, size: int | None = None) -> bytes:
        """The same, signed."""
        return checkpoint.sign(self.checkpoint(size), self.log)

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """The proof that the first *old* entries are a beginning."""
        return tuple(
            merkle.consistency_proof(self.tree, old, self.tree.size if new is None else new)
        )

    def prove(self, seq: int, size: int | None = None) -> bytes:
        """The log's own proof of an entry, with the entry."""
        one = self.staged[seq]
        extra = receipt.write_extra(one.raw, one.signature, self.issuer.public)
        return proof.write(proof.make(self.tree, seq, self.note(size), extra=extra))

    @property
    def anchor(self) -> keys.Anchor:
        """What a reader of it pins."""
        return keys.Anchor(keys.vkey_of(self.log), None)


@dataclass
class MemoryRoot:
    """A root over checkpoints that asks nothing: a test puts in what it likes."""

    origin: str = "root.example/all"
    included: list[Checkpoint] = field(default_factory=list[Checkpoint])
    tree: merkle.LeafTree = field(default_factory=merkle.LeafTree)

    def __post_init__(self) -> None:
        self.key = signer(self.origin)

    def add(self, stated: Checkpoint) -> int:
        """Put *stated* in; return where it is."""
        self.tree.add(via.leaf(stated))
        self.included.append(stated)
        return self.tree.size - 1

    def note(self, *witnesses: SeedSigner, time: int = TIME // 1_000_000) -> bytes:
        """The signed checkpoint, with cosignatures."""
        size = self.tree.size
        raw = checkpoint.sign(Checkpoint(self.origin, size, merkle.root(self.tree, size)), self.key)
        for one in witnesses:
            raw = checkpoint.cosign(raw, one, time=time)
        return raw

    def path(self, inner: bytes, index: int, note: bytes | None = None) -> bytes:
        """The path of *inner*, whose checkpoint is at *index*."""
        return via.write(inner, proof.make(self.tree, index, note or self.note()))
