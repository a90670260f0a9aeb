"""An entry of the ledger as it is shown: where it stands, who caused it, and one sentence of what it says.

The view is for reading.  What can be verified are the raw bytes, which an export carries.
"""

from typing import Any

import msgspec

from pfgov.app.views.sentences import sentence
from pfgov.core import events as e
from pfgov.model.times import to_moment


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry; ``principal``, its name and ``request_id`` are those of the command that caused it."""

    seq: int
    time: str
    type: str
    subject: str
    says: str
    principal: str | None = None
    principal_name: str | None = None
    request_id: str | None = None
    leaf: str | None = None
    body: dict[str, Any] | None = None


def entry_view(
    *, seq: int, time: int, event: e.Event, leaf: bytes = b"", with_body: bool = False
) -> EntryView:
    """Return an entry as it is shown.

    Args:
        seq: Its position.
        time: Microseconds since the epoch, as asserted in it.
        event: Its body.
        leaf: Its leaf hash.
        with_body: Whether to show all fields of the body, too.
    """
    command = event.command
    body = None
    if with_body:
        body = msgspec.to_builtins(event)
        body.pop("command", None)
        if command is not None:
            body["command"] = msgspec.to_builtins(command)
    return EntryView(
        seq=seq,
        time=to_moment(time),
        type=event.type,
        subject=getattr(event, "subject", ""),
        says=sentence(event),
        principal=command.principal.id if command else None,
        principal_name=command.principal.name if command else None,
        request_id=command.request_id if command else None,
        leaf=leaf.hex() or None,
        body=body,
    )
