"""Whether the folded tables hold what the entries give: every row, and the columns by which rows are found.

The state that they are held against is somebody else's to make.
"""

from collections.abc import Iterable
from typing import Final

from pfgov.core.lifecycle import PacketStatus
from pfgov.core.state import State
from pfgov.storage.port import PacketFilter, Queries
from pfgov_ledger.errors import LedgerError

SHOWN_MAX: Final = 400
"""Bytes of a body shown in a difference, from the first byte that differs."""


class RowsDifferError(LedgerError, code="ledger.rows_differ"):
    """A folded table does not hold what the entries give."""


def compare_rows(state: State, queries: Queries) -> int:
    """Hold every stored row of the folded tables against *state*; return how many there are.

    Raises:
        RowsDifferError: one is missing, superfluous or different; ``position`` is what the row claims to have seen.
    """
    stored: dict[tuple[str, str], tuple[int, bytes]] = {}
    tables: Iterable[tuple[str, Iterable[tuple[str, int, bytes]]]] = (
        ("member", queries.members()),
        ("packet", queries.packets(PacketFilter(limit=None))),
        ("ledger_state", queries.ledger_state()),
    )
    for table, rows in tables:
        stored.update({(table, key): (as_of, body) for key, as_of, body in rows})
    folded = set(state.rows()) if state.size else set[tuple[str, str]]()
    for table, key in sorted(folded | stored.keys()):
        at, body = stored.get((table, key), (None, None))
        wanted = state.row(table, key) if (table, key) in folded else None
        if body != wanted:
            raise RowsDifferError(
                f"the row {key} of {table}",
                position=at,
                expected="no such row" if wanted is None else wanted.decode()[:SHOWN_MAX],
                found="no such row" if body is None else body.decode()[:SHOWN_MAX],
            )
    _compare_columns(state, queries)
    return len(folded)


def _compare_columns(state: State, queries: Queries) -> None:
    """Hold the columns by which packets are found against *state*: by another status a live one is never loaded."""
    packets = state.packets.values()
    pairs: dict[str, tuple[set[tuple[str, str]], set[tuple[str, str]]]] = {
        "owner": (
            {(one.owner, one.packet_id) for one in packets if one.owner is not None},
            set(queries.owned(tuple(PacketStatus))),
        ),
        "status": (
            {(str(one.status), one.packet_id) for one in packets},
            {
                (str(status), row.key)
                for status in PacketStatus
                for row in queries.packets(PacketFilter(statuses=(status,), limit=None))
            },
        ),
    }
    for column, (wanted, found) in pairs.items():
        odd = sorted(wanted ^ found, key=lambda pair: pair[1])
        if odd:
            name, packet_id = odd[0]
            is_wanted = odd[0] in wanted
            raise RowsDifferError(
                f"the column {column} of the packet {packet_id}",
                position=None,
                expected=name if is_wanted else f"not {name}",
                found=f"not {name}" if is_wanted else name,
            )
