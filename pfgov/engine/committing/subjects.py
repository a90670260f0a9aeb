"""Where the chain of each subject ends, as the entries' own bytes say and not the columns beside them.

An entry is signed upon the last one of its subject.  Which one that is the database says, by a column; whoever changes
that column, or takes the row away, would have an older one signed upon, and no verifier would pass the ledger again.
So the answer is held to the map of all subjects, which is made of the bytes of all entries, in their order, under the
root that was signed.  Making it reads the whole ledger: it is made for the first index, and where a ledger is small at
once.  Where it cannot be made, because something was changed, the entries that are as they were signed tell.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from pfgov.engine.loading.intact import altered, check_entry, leaf_of
from pfgov.errors import StoreCorruptError
from pfgov.storage.port import EntryRow
from pfgov_ledger import entry, merkle
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.subject_map import SubjectMap

AT_ONCE_MAX: Final = 10_000
"""Entries up to which the map is made before the first entry is signed: a tenth of a second."""

Rows = Callable[[], Iterable[EntryRow]]


@dataclass(slots=True)
class _Rest:
    """What is known where some entries are not as they were signed.

    Attributes:
        heads: Subject -> the number and leaf of the last entry of it that is.
        hole: The last position at which there is none, or -1.
    """

    heads: dict[str, tuple[int, bytes]] = field(default_factory=dict[str, tuple[int, bytes]])
    hole: int = -1


class Subjects:
    """The subjects of one ledger, as far as its writer knows them."""

    def __init__(self) -> None:
        self._map: SubjectMap | None = None
        self._rest: _Rest | None = None

    def whole(self, rows: Rows, size: int, root: bytes) -> SubjectMap:
        """Return the map over the first *size* entries, which are *rows* and have *root*; it is made once.

        Raises:
            StoreCorruptError: ``store.altered``, they are not what was signed.
        """
        if self._map is None:
            made, tree = SubjectMap(), merkle.Frontier()
            for row in rows():
                leaf = leaf_of(row)
                made.update(*_named(row), leaf)
                tree.add(leaf)
            if (tree.size, tree.root()) != (size, root):
                raise altered(tree.size, "the entries are not those whose tree was signed")
            self._map = made
        return self._map

    def update(self, rows: Iterable[EntryRow]) -> None:
        """Count *rows*, which were just committed."""
        for row in rows:
            if self._map is not None:
                self._map.update(row.subject, row.subject_seq, row.leaf)
            if self._rest is not None:
                self._rest.heads[row.subject] = (row.subject_seq, row.leaf)

    def check(
        self,
        subject: str,
        found: EntryRow | None,
        rows: Rows,
        size: int,
        root: bytes,
        issuers: Callable[[], dict[str, bytes]],
    ) -> None:
        """Refuse *found* (None: nothing) as the last entry of *subject* where another one is.

        Args:
            subject: A subject.
            found: What the database gives, and was checked by itself.
            rows: All entries, in order.
            size: How many there are.
            root: The root over them.
            issuers: Who may have signed them.

        Raises:
            StoreCorruptError: ``store.altered``, it is not the last one, or one is gone that may be.
        """
        if self._map is None and self._rest is None and size <= AT_ONCE_MAX:
            try:
                self.whole(rows, size, root)
            except StoreCorruptError:
                self._rest = _rest(rows(), size, issuers())
        given = None if found is None else (found.subject_seq, found.leaf)
        if self._map is not None:
            is_last = self._map.get(subject) == given
        elif self._rest is not None:
            is_last = self._rest.heads.get(subject) == given and self._rest.hole <= (
                -1 if found is None else found.seq
            )
        else:
            return
        if not is_last:
            raise altered(
                size, f"the entry before the next of {subject[:200]} was changed or taken away"
            )


def _named(row: EntryRow) -> tuple[str, int]:
    try:
        return entry.subject_of(row.raw)
    except LedgerError as error:
        raise altered(row.seq, str(error)) from error


def _rest(rows: Iterable[EntryRow], size: int, issuers: dict[str, bytes]) -> _Rest:
    found, at = _Rest(), 0
    for row in rows:
        if row.seq > at:
            found.hole = row.seq - 1
        at = row.seq + 1
        try:
            of = entry.parse(row.raw)
            # What the columns say may be another thing: the bytes were signed.
            stated = (of.seq, of.subject, of.subject_seq, of.type, of.time, of.leaf)
            check_entry(EntryRow(*stated, row.signature, row.raw), issuers)
        except (LedgerError, StoreCorruptError):
            found.hole = row.seq
        else:
            found.heads[of.subject] = (of.subject_seq, of.leaf)
    if at < size:
        found.hole = size - 1
    return found
