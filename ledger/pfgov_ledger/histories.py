"""Which histories a partial export must show to be whole, and what its map proofs say of each.

``FORMAT.md`` section "Export".  Up to a limit everything is in memory; beyond it rows move to a
temporary file, for a hostile file can name as many subjects as it has lines.  Whether a proof holds
and whether a history ends where it says are not known here.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from pfgov_ledger import errors
from pfgov_ledger.disk_map import DiskMap

Place: TypeAlias = tuple[int, bytes]
"""(last ``subject_seq``, that entry's leaf hash)."""


class Claim(NamedTuple):
    """What is asked and said of one subject.

    Attributes:
        is_needed: Whether its history must be whole.
        has_proof: Whether a map proof stands in the file, good or bad.
        is_placed: Whether a proof that holds says where the history ends.
        place: Where; None if there is no entry.
    """

    is_needed: bool = False
    has_proof: bool = False
    is_placed: bool = False
    place: Place | None = None


_NOTHING = Claim()


class Histories:
    """Subject -> :class:`Claim`; close it to remove its file."""

    def __init__(self, limit: int) -> None:
        self._rows: DiskMap[Claim] = DiskMap(limit, pack=_pack, unpack=_unpack)

    def claim(self, subject: str) -> Claim:
        """What is asked and said of *subject*."""
        return self._rows.get(subject) or _NOTHING

    def need(self, subject: str) -> None:
        """Ask that the history of *subject* be whole."""
        known = self.claim(subject)
        if not known.is_needed:
            self._rows.put(subject, known._replace(is_needed=True))

    def begin_proof(self, subject: str) -> None:
        """Note that a map proof of *subject* stands in the file.

        Raises:
            errors.LineError: It is not the first.
        """
        known = self.claim(subject)
        if known.has_proof:
            raise errors.LineError("a second map proof of one subject", found=subject)
        self._rows.put(subject, known._replace(has_proof=True))

    def place(self, subject: str, place: Place | None) -> None:
        """Take what a map proof that holds says of *subject*."""
        self._rows.put(subject, self.claim(subject)._replace(is_placed=True, place=place))

    def needed(self) -> Iterator[str]:
        """Every subject whose history must be whole, in the order of their bytes."""
        return (key.decode() for key, claim in self._rows.in_file_order() if claim.is_needed)

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._rows.close()


def _pack(claim: Claim) -> str:
    seq, leaf = claim.place or (None, b"")
    return json.dumps([*claim[:3], seq, leaf.hex()])


def _unpack(text: str) -> Claim:
    is_needed, has_proof, is_placed, seq, leaf = json.loads(text)
    return Claim(
        is_needed, has_proof, is_placed, None if seq is None else (seq, bytes.fromhex(leaf))
    )
