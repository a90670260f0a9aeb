"""The verdict table in its canonical bytes: one row a member, ``[id, outcome, active, score, reasons]``.

The entry of a decision holds the table's digest, so that every byte counts.  Most of a row is the same for all members
that share a verdict and is written out once a verdict (:class:`Kind`); a table that is asked for again and again keeps
its rows (:class:`Written`).  This module knows neither who decides nor how verdicts come about.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pfgov.core.records import ENCODE, Member
from pfgov.core.verdicts import Reason, Verdict

RENDERED_MAX: Final = 4_096
"""Reasons whose text in the verdict table is remembered; then all are dropped."""

Rendered = dict[int, tuple[Reason, str]]
"""By the identity of a reason, which is kept alive with it: its text in the verdict table."""


_UNSCORED: Final = ",null"


class Kind(msgspec.Struct, frozen=True, gc=False):
    """One verdict, and what is said of each member that shares it.

    Attributes:
        verdict: The verdict.
        before: What stands in a row of the verdict table between the member's id and its load.
        after: What stands there behind its load, for a member without a score.
    """

    verdict: Verdict
    before: str
    after: str


def kind_of(verdict: Verdict, rendered: Rendered) -> Kind:
    """Return what *verdict* says, written out once; *rendered* remembers the texts of reasons."""
    texts = [(rendered.get(id(r)) or _remembered(r, rendered))[1] for r in verdict.reasons]
    return Kind(verdict, f'","{verdict.outcome}",', f"{_UNSCORED},[{','.join(texts)}]]")


def _remembered(reason: Reason, rendered: Rendered) -> tuple[Reason, str]:
    if len(rendered) >= RENDERED_MAX:
        rendered.clear()
    known = rendered[id(reason)] = (reason, _text(reason))
    return known


def _text(r: Reason) -> str:
    parts = (r.name, r.effect, r.cause, r.message, r.observed, r.bound, r.missing)
    return ENCODE(parts).decode()


def table_of(
    members: Sequence[Member], kinds: Sequence[Kind], of: Sequence[int], scores: Mapping[str, int]
) -> bytes:
    """Return the table of *members*, each of the kind that *of* numbers; *scores* are of those that may own it."""
    before, after, scored = _texts(kinds)
    score_of = scores.get
    rows = [
        f'["{one.member_id}{before[at]}{one.active}{after[at]}'
        if (rest := scored[at]) is None or (score := score_of(one.member_id)) is None
        else f'["{one.member_id}{before[at]}{one.active},{score}{rest}'
        for one, at in zip(members, of, strict=True)
    ]
    return _array(list(map(str.encode, rows)))


def _texts(kinds: Sequence[Kind]) -> tuple[list[str], list[str], list[str | None]]:
    """Return what stands before a load, behind it without a score, and behind a score where there may be one."""
    scored = [
        kind.after.removeprefix(_UNSCORED) if kind.verdict.outcome == "allow" else None
        for kind in kinds
    ]
    return [kind.before for kind in kinds], [kind.after for kind in kinds], scored


def _array(rows: list[bytes]) -> bytes:
    """Return *rows* as one array.  It is put together at once: two copies of a large table cost more than its hash."""
    if not rows:
        return b"[]"
    rows[0] = b"[" + rows[0]
    rows[-1] += b"]"
    return b",".join(rows)


@dataclass(slots=True)
class Written:
    """The rows of one table without scores, and the loads that they tell of.

    Members, kinds and numbers have to be the same each time; loads may change.
    """

    known: list[bytes]
    loads: list[int]

    def table(
        self,
        members: Sequence[Member],
        kinds: Sequence[Kind],
        of: Sequence[int],
        scores: Mapping[str, int],
        allowed: Iterable[int],
    ) -> bytes:
        """Return what :func:`table_of` does; *allowed* are the indices of members that may have a score."""
        before, after, scored = _texts(kinds)
        rows = self._rows(members, of, before, after)
        for index in allowed:
            one, at = members[index], of[index]
            score = scores.get(one.member_id)
            if score is not None:
                rows[index] = (
                    f'["{one.member_id}{before[at]}{one.active},{score}{scored[at]}'.encode()
                )
        return _array(rows)

    def _rows(
        self,
        members: Sequence[Member],
        of: Sequence[int],
        before: Sequence[str],
        after: Sequence[str],
    ) -> list[bytes]:
        """Return the rows as the loads are now; the list is the caller's own."""
        loads = [member.active for member in members]
        if len(self.known) != len(loads):
            changed: Iterable[int] = range(len(loads))
            self.known = [b""] * len(loads)
        elif loads == self.loads:
            changed = ()
        else:
            pairs = enumerate(zip(loads, self.loads, strict=True))
            changed = [index for index, (now, then) in pairs if now != then]
        for index in changed:
            at = of[index]
            row = f'["{members[index].member_id}{before[at]}{loads[index]}{after[at]}'
            self.known[index] = row.encode()
        self.loads = loads
        return self.known.copy()
