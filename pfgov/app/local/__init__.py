"""The ledger port over a ledger of this machine: its folder, or the engine of the server that is running here."""

from typing import TYPE_CHECKING

from pfgov.faces import face

if TYPE_CHECKING:
    from pfgov.app.local.entries import shown
    from pfgov.app.local.ledger import LocalLedger, receipt_views
    from pfgov.app.local.reading import LocalReading
    from pfgov.engine import Recorded
    from pfgov.engine.answers import LOCAL

__all__ = ["LOCAL", "LocalLedger", "LocalReading", "Recorded", "receipt_views", "shown"]

__getattr__ = face(
    __name__,
    {
        "pfgov.app.local.entries": ("shown",),
        "pfgov.app.local.ledger": (
            "LocalLedger",
            "receipt_views",
        ),
        "pfgov.app.local.reading": ("LocalReading",),
        "pfgov.engine": ("Recorded",),
        "pfgov.engine.answers": ("LOCAL",),
    },
)
