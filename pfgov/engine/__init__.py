"""The engine: one writer per ledger, group commit, receipts, recovery by loading again.

:class:`Engine` is the one way to change a ledger, :class:`LedgerReader` the one way to look at it.  The parts:
``front`` (queue and turn), ``sequencer`` (batches in order), ``deciding`` (the shell around ``decide``), ``committers``
and ``writer`` (chain, sign, one transaction, head lock).
"""

from pfgov.engine.answers import Attachment, Idempotency, PolicyDocument, Receipt, Request
from pfgov.engine.engine import Engine
from pfgov.engine.heartbeats import Heard
from pfgov.engine.layout import Layout
from pfgov.engine.options import Options, Status, TickReport
from pfgov.engine.reading import HeadView, LedgerReader, Recorded
from pfgov.storage.queries import EntryFilter, PacketFilter

__all__ = [
    "Attachment",
    "Engine",
    "EntryFilter",
    "HeadView",
    "Heard",
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
