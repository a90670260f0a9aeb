"""What passes from the deciding side to the committing side, and back.

A batch is decided completely before it is handed over: entries as bodies with their places, and every row that changes.
The committing side chains, signs and writes it as one transaction.  Both values are plain, so that they can cross
to another process.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from pfgov.storage.port import EntryRow, WriteSet


class Body(NamedTuple):
    """One event that waits to be chained: its place in the log is decided, its hash is not known yet."""

    type: str
    subject: str
    time: int
    command_seq: int
    command_index: int
    body: bytes


@dataclass(slots=True)
class Batch:
    """One group commit.

    Attributes:
        start: The position of its first entry; the committing side refuses another one.
        bodies: The entries, in order.
        writes: Every other row that changes with them.
        ended: Subjects that are over: their heads need not stay in memory.
    """

    start: int
    bodies: list[Body] = field(default_factory=list[Body])
    writes: WriteSet = field(default_factory=WriteSet)
    ended: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Committed:
    """What a batch became: its entries as stored, and the signed checkpoint that ends it."""

    start: int
    entries: list[EntryRow]
    note: bytes

    @property
    def size(self) -> int:
        """The number of entries in the ledger after it."""
        return self.start + len(self.entries)
