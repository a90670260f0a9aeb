"""The ledger port over a ledger of this machine: its folder, or the engine of the server that is running here."""

from pfgov.app.local.entries import shown
from pfgov.app.local.ledger import LocalLedger, receipt_views
from pfgov.app.local.reading import LocalReading
from pfgov.app.local.state import LOCAL
from pfgov.engine import Recorded

__all__ = ["LOCAL", "LocalLedger", "LocalReading", "Recorded", "receipt_views", "shown"]
