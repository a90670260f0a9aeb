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
