"""From stored rows to the state, and from the state to the rows that a commit changes.

Only packets that have not ended are held in memory; an ended one is loaded when a command names it.  This module
neither opens nor writes anything.
"""

from typing import Final

from pfgov.lifecycle import TERMINAL, PacketStatus
from pfgov.state import State
from pfgov.storage.queries import PacketFilter, Queries
from pfgov.storage.writing import WriteSet

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
    for row in queries.packets(PacketFilter(statuses=LIVE, limit=-1)):
        state.load_row("packet", row.key, row.body)
    state.size = queries.size()
    last = queries.entry(state.size - 1) if state.size else None
    state.time = 0 if last is None else last.time
    state.touched.clear()
    return state


def take_rows(state: State, writes: WriteSet) -> list[str]:
    """Move the rows that changed since the last call from *state* into *writes*; return the packets that ended."""
    as_of = state.size - 1
    members: list[tuple[str, str, int, bytes]] = []
    packets: list[tuple[str, str, str | None, int, int, bytes]] = []
    ledger: list[tuple[str, int, bytes]] = []
    ended: list[str] = []
    for table, key in sorted(state.touched):
        body = state.row(table, key)
        if table == "packet":
            packet = state.packets[key]
            packets.append((key, packet.status, packet.owner, packet.epoch, as_of, body))
            if packet.status in TERMINAL:
                ended.append(key)
        elif table == "member":
            members.append((key, state.members[key].status, as_of, body))
        else:
            ledger.append((key, as_of, body))
    state.touched.clear()
    writes.members, writes.packets, writes.ledger_state = members, packets, ledger
    return ended
