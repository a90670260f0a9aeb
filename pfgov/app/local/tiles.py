"""Publishing the ledger in a folder as C2SP tiles."""

from pathlib import Path

from pfgov.clock import SystemClock
from pfgov.core.commands import LOCAL_OPERATOR
from pfgov.engine import LedgerReader
from pfgov.engine.reading.tiles import Progress, Published, write_tiles
from pfgov.storage import open_store


def publish(directory: Path, folder: Path, progress: Progress | None = None) -> Published:
    """Bring *folder* up to date with the ledger in *directory*; raises as :func:`write_tiles`."""
    with LedgerReader(open_store(directory)) as reader:
        return write_tiles(
            reader,
            folder,
            principal=LOCAL_OPERATOR,
            now=SystemClock().now(),
            progress=progress,
        )
