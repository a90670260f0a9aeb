"""Taking an export apart and putting it together again: the hands of the attacker.

An :class:`Export` is the lines of a file.  :meth:`Export.build` writes a trailer that fits, because
an attacker would.  Whether the attacker holds keys is up to each attack.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pfgov_ledger import canonical, checkpoint, dsse, entry, keys, merkle, strict64

Line = dict[str, Any]


class Export:
    """The lines of an export, open to change; ``lines`` leaves the trailer out."""

    def __init__(self, data: bytes) -> None:
        self.lines: list[Line] = [json.loads(line) for line in data.splitlines()][:-1]

    def build(self) -> bytes:
        """The file, with a trailer that fits."""
        written = [canonical.encode(line) + b"\n" for line in self.lines]
        trailer = {
            "entries": len(self.entries()),
            "lines": len(written),
            "sha256": hashlib.sha256(b"".join(written)).hexdigest(),
        }
        return b"".join(written) + canonical.encode(trailer) + b"\n"

    # --- entries ---------------------------------------------------------------------------

    def entries(self) -> list[Line]:
        """The entry lines."""
        return [line for line in self.lines if "e" in line]

    def line_of(self, seq: int) -> Line:
        """The entry line of *seq*."""
        return next(line for line in self.entries() if members_of(line)["seq"] == seq)

    def drop(self, seq: int) -> None:
        """Remove an entry, with the payloads that follow it."""
        at = self.lines.index(self.line_of(seq))
        del self.lines[at]
        while "data" in self.lines[at]:
            del self.lines[at]

    def after(self, seq: int) -> int:
        """Where a line right after the entry (and its payloads) would be inserted."""
        at = self.lines.index(self.line_of(seq)) + 1
        while "data" in self.lines[at]:
            at += 1
        return at

    def chunk(self, seq: int, kind: str = "attachment") -> Line:
        """The first payload or policy line after the entry."""
        at = self.lines.index(self.line_of(seq)) + 1
        while kind not in self.lines[at]:
            at += 1
        return self.lines[at]

    def edit(self, seq: int, change: Callable[[Line], None], signer: Any = None) -> None:
        """Change an entry's members; sign it again if *signer* is given."""
        line = self.line_of(seq)
        members = members_of(line)
        change(members)
        self.put(line, canonical.encode(members), signer)

    def put(self, line: Line, raw: bytes, signer: Any = None) -> None:
        """Replace an entry line's bytes; sign them if *signer* is given."""
        line["e"] = strict64.encode(raw)
        if signer is not None:
            line["s"] = strict64.encode(signer.sign(dsse.entry_pae(raw)))

    def rechain(self, start: int, signer: Any = None) -> None:
        """Make every entry from *start* on follow the one before it again."""
        heads: dict[str, tuple[int, bytes]] = {}
        last: bytes = entry.ZERO
        for number, line in enumerate(self.entries()):
            members = members_of(line)
            subject = members["subject"]
            count, leaf = heads.get(subject, (0, entry.ZERO))
            if number >= start:
                shift = number - members["seq"]
                members["seq"] = number
                members["command"]["seq"] += shift
                members["prev"] = last.hex()
                members["subject_seq"], members["subject_prev"] = count, leaf.hex()
                raw = canonical.encode(members)
                if raw != strict64.decode(line["e"]):
                    self.put(line, raw, signer)
            last = entry.leaf_hash(strict64.decode(line["e"]))
            heads[subject] = (count + 1, last)

    # --- the end ---------------------------------------------------------------------------

    def tail(self, name: str) -> Line:
        """The first line that has the member *name*."""
        return next(line for line in self.lines if name in line)

    def set_note(self, note: bytes) -> None:
        """Another checkpoint."""
        self.tail("checkpoint")["checkpoint"] = note.decode()

    def remerkle(self, *signers: Any) -> None:
        """A checkpoint that fits the entries, signed by *signers*."""
        leaves = [entry.leaf_hash(strict64.decode(line["e"])) for line in self.entries()]
        size, root = len(leaves), merkle.root_of(leaves)
        self.set_note(
            checkpoint.sign(checkpoint.Checkpoint(self.lines[0]["origin"], size, root), *signers)
        )
        self.resize(size)

    def resize(self, size: int) -> None:
        """Make the header of a full export say *size*."""
        self.lines[0]["size"] = self.lines[0]["stop"] = size


def members_of(line: Line) -> Line:
    """What an entry line's bytes say."""
    members: Line = json.loads(strict64.decode(line["e"]))
    return members


def stolen(role: str, name: str) -> keys.SeedSigner:
    """A key of the attacker's own."""
    return keys.SeedSigner(
        role=role, name=name, seed=hashlib.sha256(b"thief " + role.encode()).digest()
    )
