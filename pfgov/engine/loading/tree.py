"""The Merkle tree as it is stored, and where the stored ledger ends: for whoever appends, proves or checks.

One level in eight is kept; what lies between is made of it.  This module writes nothing and signs nothing.
"""

from typing import Final

from pfgov.errors import StoreCorruptError
from pfgov.storage.port import Queries
from pfgov_ledger import checkpoint as checkpoints
from pfgov_ledger import entry as entries
from pfgov_ledger import merkle, note
from pfgov_ledger.appender import Head

TILE_LEVELS: Final = (8, 16, 24, 32)
"""Levels of the Merkle tree whose nodes are stored: one hash for 256, 65,536 ... leaves."""

TILE: Final = 256
"""Leaves under a stored node of the lowest level, and nodes under one of any other."""


class StoredNodes:
    """The Merkle tree's nodes (``merkle.Nodes``), from the stored levels and the leaves."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def node(self, level: int, index: int) -> bytes:
        """Return the root over the leaves ``[index << level, (index + 1) << level)``."""
        if level in TILE_LEVELS:
            stored = self._queries.node(level, index)
            if stored is None:
                raise StoreCorruptError(f"the tree's node {index} at level {level} is missing")
            return stored
        if level == 0:
            leaves = list(self._queries.leaves(index, index + 1))
            if not leaves:
                raise StoreCorruptError(f"the leaf hash of entry {index} is missing")
            return leaves[0]
        if level < TILE_LEVELS[0]:
            return merkle.root_of(self._queries.leaves(index << level, (index + 1) << level))
        return merkle.node_hash(
            self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1)
        )


def frontier_at(nodes: StoredNodes, size: int) -> merkle.Frontier:
    """Return the right edge of the tree over the first *size* leaves."""
    state, start = size.to_bytes(8, "big"), 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            state += nodes.node(level, start >> level)
            start += 1 << level
    return merkle.Frontier.from_bytes(state)


def load_head(queries: Queries, origin: str) -> Head:
    """Return where the stored ledger ends, holding what is stored in pairs to each other.

    Raises:
        StoreCorruptError: the last entry, its leaf, the tree and the checkpoint do not agree.
    """
    size = queries.size()
    if size == 0:
        return Head(origin)
    last = queries.entry(size - 1)
    latest = queries.checkpoint()
    frontier = frontier_at(StoredNodes(queries), size)
    if last is None or latest is None or latest[0] != size:
        raise StoreCorruptError(f"the newest checkpoint is not the one over {size} entries")
    stated = checkpoints.parse_text(note.split(latest[1])[0])
    if (stated.size, stated.root) != (size, frontier.root()):
        raise StoreCorruptError(f"the tree over {size} entries is not the one that was signed")
    found = entries.parse(last.raw)
    if found.leaf != last.leaf or found.seq != size - 1:
        raise StoreCorruptError(f"entry {size - 1} is not the one that was signed")
    columns = (found.subject, found.subject_seq, found.type, found.time)
    if columns != (last.subject, last.subject_seq, last.type, last.time):
        raise StoreCorruptError(
            f"entry {size - 1} was changed in the database: its columns say something else than its bytes",
            code="store.altered",
            hint="restore a backup; nothing is signed after it: pfgov ledger doctor",
        )
    if found.log != origin:
        raise StoreCorruptError(f"the ledger is {found.log}, and the log key is {origin}'s")
    return Head(origin, frontier, last.leaf, found.term, last.time)
