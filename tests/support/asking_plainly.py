"""Asking a policy set at a recorded moment the long way: nothing remembered, and verdict tables read from their bytes.

What :class:`pfgov.engine.reading.asking_again.Asker` does fast is held against this.
"""

from typing import Any, Final

import msgspec

from pfgov.core import commands as c
from pfgov.core.decide import Decided, Tools
from pfgov.engine.reading.asking_again import RANK, Asker, Compared, Ruling, ruling_of
from pfgov.engine.reading.impact import ImpactReplay, Report, Span
from pfgov.engine.reading.replay import Moment
from pfgov.policy import PolicySet
from pfgov.storage.port import Queries

_ROW_RANK: Final = {"allow": 2, "escalate": 1, "deny": 0}
_Rows = dict[str, tuple[int, frozenset[str]]]


class PlainAsker(Asker):
    """Asks with new tools each time, the recorded set as well as the other one."""

    _said: Decided

    def ask(self, moment: Moment) -> Compared | None:
        """Return what the set makes of a recorded command beside what is recorded."""
        old = ruling_of(moment.command, moment.events)
        state = self._replay.state
        if old is None or (
            isinstance(moment.command.do, c.ActivatePolicy) and state.policy is None
        ):
            return None
        before = self._tables(moment, old, self._replay.set_of)[1]
        new, after = self._tables(moment, old, self._set_of)
        return _compared(old, new, before, after)

    def _tables(self, moment: Moment, old: Ruling, sets: Any) -> tuple[Ruling, dict[str, bytes]]:
        state = self._replay.state
        held, state.facts = state.facts, {}
        self._said = Decided([])
        self._tools = Tools(
            policies=sets, scheduler=self._replay.scheduler_of, index=self._replay.tools.index
        )
        try:
            return self._ruling(moment, old), dict(self._said.tables)
        finally:
            state.facts = held

    def _decided(self, moment: Moment) -> Decided:
        self._said = super()._decided(moment)
        return self._said


def _compared(
    old: Ruling, new: Ruling, tables: dict[str, bytes], others: dict[str, bytes]
) -> Compared:
    if old.table is not None and old.table == new.table:
        return Compared(old, new)
    before, after = _rows(tables, old), _rows(others, new)
    if not before or not after:
        return _without_tables(old, new, before, after)
    widened: list[str] = []
    narrowed: list[str] = []
    lifted: set[str] = set()
    imposed: set[str] = set()
    for member, (rank, rules) in before.items():
        now, then = after.get(member, (rank, rules))
        if now > rank:
            widened.append(member)
            lifted |= rules - then
        elif now < rank:
            narrowed.append(member)
            imposed |= then - rules
    return Compared(
        old, new, tuple(widened), tuple(narrowed), tuple(sorted(lifted)), tuple(sorted(imposed))
    )


def _without_tables(old: Ruling, new: Ruling, before: _Rows, after: _Rows) -> Compared:
    def names(ruling: Ruling, rows: _Rows) -> tuple[str, ...]:
        found = set(ruling.rules).union(*(rules for _, rules in rows.values()))
        return tuple(sorted(found))

    rank, now = RANK.get(old.outcome, 0), RANK.get(new.outcome, 0)
    if now > rank:
        member = (new.winner,) if new.winner is not None else ()
        return Compared(old, new, widened=member, lifted=names(old, before))
    if now < rank:
        member = (old.winner,) if old.winner is not None else ()
        return Compared(old, new, narrowed=member, imposed=names(new, after))
    return Compared(old, new)


def _rows(tables: dict[str, bytes], ruling: Ruling) -> _Rows:
    raw = tables.get(ruling.table or "")
    if raw is None:
        return {}
    return {
        row[0]: (_ROW_RANK[row[1]], frozenset(reason[0] for reason in row[4]))
        for row in msgspec.json.decode(raw, type=list[tuple[str, str, int, int | None, list[list[Any]]]])
    }  # fmt: skip


def plain_impact(queries: Queries, policies: PolicySet, span: Span) -> Report:
    """Return the impact of *policies* on a stored ledger, asked the long way."""
    replay = ImpactReplay(policies, span, queries.policy_set)
    replay._asker = PlainAsker(policies, replay)
    for row in queries.entries():
        if not replay.take(row.raw, row.leaf):
            break
    replay.finish()
    report = replay.report()
    replay.close()
    return report
