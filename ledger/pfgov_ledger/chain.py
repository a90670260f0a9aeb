"""Whether entries follow one another: the chain, the subjects' chains, and what may be left out.

``FORMAT.md`` section "Verification procedure", checks 3 to 8.  A full export has every entry from 0;
a partial one has genesis, the key events, whole histories of some subjects or a range, and its
index entry, in order.  Who signed is not known here.
"""

from collections.abc import Callable
from typing import Final

from pfgov_ledger import canonical, entry, errors, vocabulary
from pfgov_ledger.canonical import Json
from pfgov_ledger.entry import Entry
from pfgov_ledger.export_format import Header
from pfgov_ledger.subjects import Row, SubjectTable

_NESTS: Final = frozenset({dict, list})
_PAIR_MARKS: Final = tuple(f'"{name}":'.encode() for name in sorted(vocabulary.PAIR_FIELDS))


class Chain:
    """Takes entries one by one and refuses the first that does not follow.

    Attributes:
        count: Entries taken.
        last: The last entry taken.
    """

    def __init__(self, header: Header, table: SubjectTable) -> None:
        self._header = header
        self._table = table
        self._is_full = header.kind == "full"
        self._in_range = header.start
        self.count = 0
        self.last: Entry | None = None

    @property
    def next_seq(self) -> int:
        """Where the next entry is expected: one after the last."""
        return 0 if self.last is None else self.last.seq + 1

    def resume(self, last: Entry) -> None:
        """Go on after *last*, which was admitted before, with everything before it."""
        self.last, self.count = last, last.seq + 1

    def admit(self, of: Entry, *, is_body_checked: bool) -> Row:
        """Check *of* against everything before it; returns its subject's row, not yet stored.

        Args:
            of: The entry.
            is_body_checked: Whether a form has shown already what :func:`check_body` would.

        Raises:
            LedgerError: It does not follow; checks run in the order in which they are written.
        """
        last = self.last
        if not is_body_checked:
            check_body(of)  # FORMAT 12 (3)
        self._check_log(last, of)  # FORMAT 12 (4)
        is_in_range = self._check_place(last, of)  # FORMAT 12 (5)
        if last is not None:
            self._check_links(last, of)  # FORMAT 12 (6)
        if not self._is_full:
            self._check_expected(of, is_in_range=is_in_range)  # FORMAT 12 (7)
        row = self._check_subject_chain(of)  # FORMAT 12 (8)
        self.last = of
        self.count += 1
        return row

    def check_end(self) -> None:
        """Refuse a range that ends early.

        Raises:
            SequenceError: Entries at its end are missing.
        """
        if self._header.kind == "range" and self._in_range < self._header.stop:
            raise errors.SequenceError(
                position=self._in_range, expected=str(self._in_range), found="nothing"
            )

    def is_whole(self, subject: str) -> bool:
        """Whether a partial export must carry the whole history of *subject* if any of it."""
        if subject in {"keys", self._header.subject}:
            return True
        return self._header.kind == "subject" and subject != "ledger"

    def is_index(self, of: Entry) -> bool:
        """Whether *of* is the entry whose subject map a partial export relies on."""
        return (
            not self._is_full and of.seq == self._header.size - 1 and of.type == "index_committed"
        )

    def _check_log(self, last: Entry | None, of: Entry) -> None:
        if last is not None:
            if of.log != last.log:
                raise errors.OriginMismatchError(position=of.seq, expected=last.log, found=of.log)
            return
        if not entry.is_genesis(of):
            raise errors.HeadMissingError(
                position=0, expected="0 ledger_created", found=f"{of.seq} {of.type}"
            )
        if of.prev != entry.ZERO:
            raise errors.ChainBrokenError(
                position=0, expected=entry.ZERO.hex(), found=of.prev.hex()
            )
        if of.log != self._header.origin:
            raise errors.HeaderError(position=0, expected=of.log, found=self._header.origin)

    def _check_place(self, last: Entry | None, of: Entry) -> bool:
        """Refuse an entry out of turn; whether it is one of the range that the header names."""
        position = self.next_seq
        if of.seq < position or (self._is_full and last is not None and of.seq != position):
            raise errors.SequenceError(position=position, expected=str(position), found=str(of.seq))
        header, start = self._header, self._in_range
        if header.kind != "range" or start >= header.stop or of.seq < start:
            return False
        if of.seq > start:
            raise errors.SequenceError(position=start, expected=str(start), found=str(of.seq))
        self._in_range += 1
        return True

    def _check_links(self, last: Entry, of: Entry) -> None:
        position, follows = last.seq + 1, of.seq == last.seq + 1
        if follows and of.prev != last.leaf:
            raise errors.ChainBrokenError(
                position=position, expected=last.leaf.hex(), found=of.prev.hex()
            )
        if of.term < last.term:
            raise errors.TermError(
                position=of.seq, expected=f"at least {last.term}", found=str(of.term)
            )
        if of.time < last.time:
            raise errors.TimeError(
                position=of.seq, expected=f"at least {last.time}", found=str(of.time)
            )
        if follows and of.command_index > 0 and of.command_seq != last.command_seq:
            raise errors.CommandReferenceError(
                position=of.seq, expected=str(last.command_seq), found=str(of.command_seq)
            )

    def _check_expected(self, of: Entry, *, is_in_range: bool) -> None:
        header = self._header
        if of.seq >= header.size:
            raise errors.EntryUnexpectedError(
                position=of.seq, expected=f"below {header.size}", found=str(of.seq)
            )
        if is_in_range or of.seq == 0 or of.subject == "keys" or self.is_index(of):
            return
        if header.kind == "subject" and (
            of.subject == header.subject
            or (
                str(header.subject).startswith("packet/")
                and (of.subject == "policy" or of.subject.startswith("member/"))
            )
        ):
            return
        raise errors.EntryUnexpectedError(
            position=of.seq, expected="part of what was asked", found=of.subject
        )

    def _check_subject_chain(self, of: Entry) -> Row:
        row = self._table.get(of.subject)
        may_skip = not self._is_full and not self.is_whole(of.subject)
        known = row or Row()
        if of.subject_seq != known.next_seq:
            if not may_skip or of.subject_seq < known.next_seq:
                refusal: Callable[..., errors.LedgerError] = errors.SubjectSequenceError
                if not self._is_full and of.subject_seq > known.next_seq:
                    refusal = errors.SubjectEntryMissingError
                raise refusal(
                    position=of.seq, expected=str(known.next_seq), found=str(of.subject_seq)
                )
        elif of.subject_prev != known.leaf:
            raise errors.SubjectChainBrokenError(
                position=of.seq, expected=known.leaf.hex(), found=of.subject_prev.hex()
            )
        return Row(of.subject_seq + 1, of.leaf, known.state)


def check_body(of: Entry) -> None:
    """Refuse a body whose subject is not the entry's, or whose maps are not in order.

    Raises:
        EventUnknownError, SubjectMismatchError, PairsError: See each.
    """
    try:
        entry.check_subject(of)
        if any(name in of.raw for name in _PAIR_MARKS):
            _check_pairs(of.body)
    except errors.LedgerError as error:
        raise error.at(of.seq) from None


def _check_pairs(body: Json) -> None:
    pending: list[Json] = [body]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for name, item in value.items():
                if name in vocabulary.PAIR_FIELDS:
                    canonical.check_pairs(item)
                if type(item) in _NESTS:
                    pending.append(item)
        elif isinstance(value, list):
            pending.extend(item for item in value if type(item) in _NESTS)
