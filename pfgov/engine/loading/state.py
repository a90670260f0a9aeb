"""From stored rows to the state.

Only packets that have not ended are held in memory; an ended one is loaded when a command names it.  This module
neither opens nor writes anything.
"""

from typing import Final

from pfgov.core.lifecycle import TERMINAL, PacketStatus
from pfgov.core.state import State
from pfgov.engine.loading.intact import unreadable
from pfgov.storage.port import PacketFilter, Queries

LIVE: Final = tuple(str(status) for status in PacketStatus if status not in TERMINAL)


def load_state(queries: Queries) -> State:
    """Return the state as it was last committed, without the packets that have ended.

    Raises:
        PfgovError: ``store.*``, the rows cannot be read.
    """
    state = State()
    for row in queries.ledger_state():
        state.load_row("ledger_state", row.key, row.body)
    for row in queries.members():
        state.load_row("member", row.key, row.body)
    for row in queries.packets(PacketFilter(statuses=LIVE, limit=None)):
        state.load_row("packet", row.key, row.body)
    state.size = queries.size()
    if state.size and state.configuration is None:
        raise unreadable("the configuration", LookupError("its row is gone"))
    named = {one.pending.target for one in state.packets.values() if one.pending is not None}
    if lost := sorted({*state.owned, *named}.difference(state.members)):
        raise unreadable(f"the member {lost[0][:64]}", LookupError("its row is gone"))
    last = queries.entry(state.size - 1) if state.size else None
    state.time = 0 if last is None else last.time
    state.touched.clear()
    return state
