"""Reading a ledger beside a running writer: published facts only.  Nothing here writes."""

from typing import TYPE_CHECKING

from pfgov.faces import face

if TYPE_CHECKING:
    from pfgov.engine.reading.consequences import Affected, Consequences, Listed
    from pfgov.engine.reading.exporting import StoredLog, stored_log, write_export
    from pfgov.engine.reading.impact import (
        ImpactReplay,
        Report,
        Span,
        impact_of_store,
        root_at,
        weigh_store,
    )
    from pfgov.engine.reading.reader import HeadView, LedgerReader, Recorded, suggesting
    from pfgov.engine.reading.replay import Replay, ReplayDifferenceError, Replayed, replay_store

__all__ = [
    "Affected",
    "Consequences",
    "HeadView",
    "ImpactReplay",
    "LedgerReader",
    "Listed",
    "Recorded",
    "Replay",
    "ReplayDifferenceError",
    "Replayed",
    "Report",
    "Span",
    "StoredLog",
    "impact_of_store",
    "replay_store",
    "root_at",
    "stored_log",
    "suggesting",
    "weigh_store",
    "write_export",
]

__getattr__ = face(
    __name__,
    {
        "pfgov.engine.reading.consequences": (
            "Affected",
            "Consequences",
            "Listed",
        ),
        "pfgov.engine.reading.exporting": (
            "StoredLog",
            "stored_log",
            "write_export",
        ),
        "pfgov.engine.reading.impact": (
            "ImpactReplay",
            "Report",
            "Span",
            "impact_of_store",
            "root_at",
            "weigh_store",
        ),
        "pfgov.engine.reading.reader": (
            "HeadView",
            "LedgerReader",
            "Recorded",
            "suggesting",
        ),
        "pfgov.engine.reading.replay": (
            "Replay",
            "ReplayDifferenceError",
            "Replayed",
            "replay_store",
        ),
    },
)
