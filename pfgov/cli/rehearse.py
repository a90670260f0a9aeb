"""Asking what would happen: the engine's own deciding side over a copy of the state, without lock or trace.

The command is decided exactly as it would be, events included; then the copy is thrown away.  Nothing here can write.
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pfgov import events as e
    from pfgov.commands import Action
    from pfgov.engine import Attachment, LedgerReader
    from pfgov.model import FlightPacket


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a command would come to: its events, and the verdict tables by digest."""

    events: tuple["e.Event", ...]
    tables: dict[str, bytes]


def rehearse(
    reader: "LedgerReader", action: "Action", now: int, attachments: "tuple[Attachment, ...]" = ()
) -> Rehearsal:
    """Decide *action* at *now* (microseconds) over a copy of the state.

    Raises:
        PfgovError: it would be refused.
    """
    from pfgov.commands import LOCAL_OPERATOR
    from pfgov.engine.answers import Request
    from pfgov.engine.deciding import Decider
    from pfgov.engine.loading import load_state

    with reader.snapshot() as queries:
        decider = Decider(
            load_state(queries), queries, lambda: (0, ""), os.urandom, keep_tables=True
        )
        draft = decider.begin(max(now, decider.state.time))
        request = Request(action, LOCAL_OPERATOR, command_id="rehearsal", attachments=attachments)
        decider.take(draft, request)
    tables = {digest: table for digest, _, table in draft.tables}
    return Rehearsal(request.events, tables)


def question(
    reader: "LedgerReader", asked: "str | FlightPacket"
) -> "tuple[Action, tuple[Attachment, ...]]":
    """Return what would move a packet of the ledger now, or submit one as if it were not held.

    A packet whose id is taken is judged as a new one.

    Raises:
        NotFoundError: there is no packet of that id.
    """
    from pfgov.clock import SystemClock
    from pfgov.commands import HandOff, PlacePacket
    from pfgov.engine.views import attach
    from pfgov.ids import fresh_ulid
    from pfgov.lifecycle import OWNED

    if isinstance(asked, str):
        is_owned = reader.packet(asked).status in OWNED
        return HandOff(packet_id=asked) if is_owned else PlacePacket(packet_id=asked), ()
    packet_id = asked.packet_id
    if packet_id is None or reader.has_packet(packet_id):
        packet_id = fresh_ulid(SystemClock())
    flight = asked.model_copy(update={"packet_id": packet_id, "hold": False})
    payload = flight.context_payload()
    if payload is None:
        return flight.to_action(packet_id=packet_id), ()
    origin = reader.state().origin
    attached = attach(origin, f"packet/{packet_id}", "context", payload, os.urandom)
    return flight.to_action(packet_id=packet_id, context=attached.commitment), (attached,)
