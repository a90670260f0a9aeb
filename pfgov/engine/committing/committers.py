"""How a decided batch becomes durable: in this thread, or (:mod:`pfgov.engine.committing.process`) in a process of
its own.

The port is two steps, so that the next batch can be decided while one is being signed and written: ``start`` hands a
batch over, ``finish`` returns what the oldest started one became.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pfgov.engine.committing.batch import Batch, Committed
from pfgov.engine.committing.writer import Writer
from pfgov.storage.leases import LeaseRow
from pfgov.storage.port import Queries


class Reports(NamedTuple):
    """A descriptor that can be read when a batch is finished, and for how many reloads it has been there."""

    reloads: int
    descriptor: int


class Committer(Protocol):
    """The committing side as the sequencer sees it."""

    @property
    def ahead(self) -> int:
        """How many batches may be started before the first is finished; 0 means one at a time."""
        ...

    @property
    def new_term(self) -> int | None:
        """The term under which it commits, if there was no entry of that when it was opened."""
        ...

    @property
    def reports_at(self) -> int | None:
        """A descriptor that can be read when :meth:`is_done` has become true; None where it always is."""
        ...

    def start(self, batch: Batch) -> None:
        """Hand *batch* over.

        Raises:
            PfgovError: the committing side is gone; every later call says so, too.
        """
        ...

    def is_done(self) -> bool:
        """Whether :meth:`finish` would not wait."""
        ...

    def finish(self) -> Committed:
        """Return what the oldest started batch became.

        Raises:
            PfgovError: it failed or its fate is unknown; nothing started after it was written.
        """
        ...

    def index(self) -> tuple[int, int, str]:
        """Return how many entries the subject map covers, how many subjects it has, and its root.

        Only with nothing started.
        """
        ...

    def trim(self, tables_before: int, answers_before: int) -> int:
        """Delete some of what is kept only for a while; return how much."""
        ...

    def flush_erased(self) -> bool:
        """Push deleted payloads out of the write-ahead log; False while a reader holds old pages."""
        ...

    @property
    def queries(self) -> Queries:
        """What is committed, readable from the sequencer's thread."""
        ...

    def save_leases(self, rows: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Keep the leases for the next start, all or those of some members; only with nothing started."""
        ...

    def close(self) -> None:
        """Release everything; started batches are finished or lost."""
        ...


class InlineCommitter:
    """Commits in the caller's thread: the simulator, the command line, small use."""

    ahead = 0
    reports_at = None

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.new_term = writer.new_term
        self._done: deque[Committed] = deque()

    def start(self, batch: Batch) -> None:
        """Commit *batch* now.

        Raises:
            PfgovError: see :meth:`Writer.write`.
        """
        self._done.append(self.writer.write(batch))

    def is_done(self) -> bool:
        """Whether there is a batch to return: always at once."""
        return bool(self._done)

    def finish(self) -> Committed:
        """Return what the batch became."""
        return self._done.popleft()

    def index(self) -> tuple[int, int, str]:
        """Return how many entries the subject map covers, how many subjects it has, and its root."""
        return self.writer.index()

    def trim(self, tables_before: int, answers_before: int) -> int:
        """Delete some of what is kept only for a while."""
        return self.writer.store.trim(tables_before=tables_before, answers_before=answers_before)

    def flush_erased(self) -> bool:
        """Push deleted payloads out of the write-ahead log."""
        return self.writer.store.flush_erased()

    @property
    def queries(self) -> Queries:
        """The writer's own connection."""
        return self.writer.queries

    def save_leases(self, rows: Sequence[LeaseRow], *, is_whole: bool = True) -> None:
        """Keep the leases for the next start."""
        self.writer.store.write_leases(rows, is_whole=is_whole)

    def close(self) -> None:
        """Close the writer."""
        self.writer.close()
