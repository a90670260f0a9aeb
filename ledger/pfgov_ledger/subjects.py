"""Where every subject of a log stands: its next number, last leaf hash, custody state, and the map.

Up to a limit everything is in memory (about 0.8 kB a subject); beyond it rows move to a temporary
file (:mod:`pfgov_ledger.disk_map`) and the subject map's root is computed by one ordered scan.  What
the custody states mean is not known here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import custody, entry, subject_map
from pfgov_ledger.disk_map import DiskMap

IN_MEMORY_MAX: Final = 200_000
"""Subjects held in memory before rows move to a file."""


@dataclass(slots=True)
class Row:
    """A subject's next number, last leaf hash, and custody state."""

    next_seq: int = 0
    leaf: bytes = entry.ZERO
    state: custody.State | None = None


class SubjectTable:
    """Subject -> :class:`Row`; close it to remove its file."""

    def __init__(self, limit: int = IN_MEMORY_MAX) -> None:
        self._rows: DiskMap[Row] = DiskMap(
            limit, pack=_pack, unpack=_unpack, key=subject_map.subject_key
        )
        self._map: subject_map.SubjectMap | None = subject_map.SubjectMap()
        self.count = 0

    def get(self, subject: str) -> Row | None:
        """The row of *subject*; change it only by :meth:`put`."""
        return self._rows.get(subject)

    def put(self, subject: str, row: Row) -> None:
        """Store *row*, which has one more entry than the one before it."""
        self.count += row.next_seq == 1
        self._put(subject, row)

    def restore(self, subject: str, row: Row) -> None:
        """Store the *row* of a subject that was kept, and that is not here yet."""
        self.count += 1
        self._put(subject, row)

    def _put(self, subject: str, row: Row) -> None:
        self._rows.put(subject, row)
        if self._rows.is_on_disk:
            self._map = None
        elif self._map is not None:
            self._map.update(subject, row.next_seq - 1, row.leaf)

    def root(self) -> bytes:
        """The subject map's root over all rows."""
        if self._map is not None:
            return self._map.root()
        return root_of_sorted(
            (key, row.next_seq - 1, row.leaf) for key, row in self._rows.in_file_order()
        )

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._rows.close()


def root_of_sorted(rows: Iterable[tuple[bytes, int, bytes]]) -> bytes:
    """The subject map's root over (key, last seq, leaf) rows in key order, in constant memory."""
    stack: list[tuple[int, bytes]] = []
    total, last = subject_map.EMPTY_ROOT, b""
    for key, seq, leaf in rows:
        if last:
            differing = int.from_bytes(last, "big") ^ int.from_bytes(key, "big")
            bit = subject_map.KEY_BITS - differing.bit_length()
            while stack and stack[-1][0] > bit:
                above, left = stack.pop()
                total = subject_map.node_hash(above, left, total)
            stack.append((bit, total))
        total, last = subject_map.leaf_hash(key, seq, leaf), key
    for above, left in reversed(stack):
        total = subject_map.node_hash(above, left, total)
    return total


def _pack(row: Row) -> str:
    return json.dumps([row.next_seq, row.leaf.hex(), custody.pack(row.state)])


def _unpack(text: str) -> Row:
    next_seq, leaf, state = json.loads(text)
    return Row(next_seq, bytes.fromhex(leaf), custody.unpack(state))
