"""The engine: one writer per ledger, group commit, receipts, recovery by loading again.

:class:`Engine` is the one way to change a ledger, :class:`LedgerReader` the one way to look at it.  The parts:
``sequencing`` (queue, batches in order, the dispatcher around ``decide``) and ``committing`` (chain, sign, one
transaction, head lock).
"""

from typing import TYPE_CHECKING

from pfgov.faces import face

if TYPE_CHECKING:
    from pfgov.engine.answers import Attachment, Idempotency, PolicyDocument, Receipt, Request
    from pfgov.engine.engine import Engine
    from pfgov.engine.layout import Layout
    from pfgov.engine.options import Options, Status, TickReport
    from pfgov.engine.reading import HeadView, LedgerReader, Recorded
    from pfgov.engine.sequencing import Heartbeat, HeartbeatResult
    from pfgov.storage.port import EntryFilter, PacketFilter

__all__ = [
    "Attachment",
    "Engine",
    "EntryFilter",
    "HeadView",
    "Heartbeat",
    "HeartbeatResult",
    "Idempotency",
    "Layout",
    "LedgerReader",
    "Options",
    "PacketFilter",
    "PolicyDocument",
    "Receipt",
    "Recorded",
    "Request",
    "Status",
    "TickReport",
]

__getattr__ = face(
    __name__,
    {
        "pfgov.engine.answers": (
            "Attachment",
            "Idempotency",
            "PolicyDocument",
            "Receipt",
            "Request",
        ),
        "pfgov.engine.engine": ("Engine",),
        "pfgov.engine.layout": ("Layout",),
        "pfgov.engine.options": (
            "Options",
            "Status",
            "TickReport",
        ),
        "pfgov.engine.reading": (
            "HeadView",
            "LedgerReader",
            "Recorded",
        ),
        "pfgov.engine.sequencing": (
            "Heartbeat",
            "HeartbeatResult",
        ),
        "pfgov.storage.port": (
            "EntryFilter",
            "PacketFilter",
        ),
    },
)
