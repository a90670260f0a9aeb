"""Where every subject of a log stands: its next number, last leaf hash, custody state, and the map.

Up to a limit everything is in memory (about 0.8 kB a subject); beyond it rows move to a temporary
file (:mod:`pfgov_ledger.disk_map`) and the subject map's root is computed anew only where rows changed.
What the custody states mean is not known here.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pfgov_ledger import custody, entry, subject_map
from pfgov_ledger.disk_map import DiskMap

IN_MEMORY_MAX: Final = 200_000
"""Subjects held in memory before rows move to a file."""

ROWS_READ_MAX: Final = 256
"""Rows in the file that are read for a root where one of them changed."""


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
        self._on_disk = _DiskRoot(self._rows)
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
            self._on_disk.change(subject_map.subject_key(subject))
        elif self._map is not None:
            self._map.update(subject, row.next_seq - 1, row.leaf)

    def root(self) -> bytes:
        """The subject map's root over all rows."""
        if self._map is not None:
            return self._map.root()
        return self._on_disk.root()

    def close(self) -> None:
        """Remove the file, if there is one."""
        self._rows.close()


class _DiskRoot:
    """The subject map's root over rows in a file, where a log may ask for it as often as it has entries.

    The roots of rows whose keys begin with the same hexadecimal digits are kept, down to few rows; with a row that
    changes those go under whose digits its key stands.
    """

    def __init__(self, rows: DiskMap[Row]) -> None:
        self._rows = rows
        self._kept: dict[str, bytes | None] = {}
        self._divided: set[str] = set()
        self._digits = 0

    def change(self, key: bytes) -> None:
        """Forget what was kept of the row *key*."""
        digits = key.hex()
        for length in range(self._digits + 1):
            self._kept.pop(digits[:length], None)

    def root(self) -> bytes:
        """The root over all rows."""
        return self._of("") or subject_map.EMPTY_ROOT

    def _of(self, digits: str) -> bytes | None:
        """The root over the rows whose keys begin with *digits*; None if there are none."""
        if digits not in self._kept:
            self._digits = max(self._digits, len(digits))
            self._kept[digits] = self._computed(digits)
        return self._kept[digits]

    def _computed(self, digits: str) -> bytes | None:
        if digits not in self._divided:
            first, last = (bytes.fromhex(digits.ljust(64, digit)) for digit in "0f")
            rows = list(islice(self._rows.in_file(first, last), ROWS_READ_MAX + 1))
            if len(rows) <= ROWS_READ_MAX:
                return root_of_sorted((key, _leaf_hash(key, row)) for key, row in rows)
            self._divided.add(digits)
        parts = ((digits + digit, self._of(digits + digit)) for digit in "0123456789abcdef")
        return root_of_sorted(
            (bytes.fromhex(at.ljust(64, "0")), found) for at, found in parts if found
        )


def _leaf_hash(key: bytes, row: Row) -> bytes:
    return subject_map.leaf_hash(key, row.next_seq - 1, row.leaf)


def root_of_sorted(parts: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The subject map's root over (key, hash) pairs in key order, in constant memory; None if there are none.

    A hash is that of a leaf, or the root over all keys that begin with the same digits as the key.
    """
    stack: list[tuple[int, bytes]] = []
    total: bytes | None = None
    last = b""
    for key, found in parts:
        if total is not None:
            differing = int.from_bytes(last, "big") ^ int.from_bytes(key, "big")
            bit = subject_map.KEY_BITS - differing.bit_length()
            while stack and stack[-1][0] > bit:
                above, left = stack.pop()
                total = subject_map.node_hash(above, left, total)
            stack.append((bit, total))
        total, last = found, key
    for above, left in reversed(stack):
        total = subject_map.node_hash(above, left, total or b"")
    return total


def _pack(row: Row) -> str:
    return json.dumps([row.next_seq, row.leaf.hex(), custody.pack(row.state)])


def _unpack(text: str) -> Row:
    next_seq, leaf, state = json.loads(text)
    return Row(next_seq, bytes.fromhex(leaf), custody.unpack(state))
