"""A snapshot of what was published: what is committed and not yet published must not be seen by any reader.

Between a commit and the move of the head lock lies a moment.  If the machine dies in it and a backup is restored,
whoever saw the commit would hold a head that nobody knows.  A reader waits that moment, and refuses after it.
"""

import time
from collections.abc import Callable
from typing import Final

from pfgov.storage.port import UnpublishedError

_PAUSE_SECONDS: Final = 0.002


def begin_published(
    begin: Callable[[], int],
    published: Callable[[], int | None],
    rollback: Callable[[], object],
    *,
    patience_seconds: float,
    location: str,
) -> None:
    """Begin a snapshot that holds nothing unpublished.

    Args:
        begin: Begins a snapshot and returns how many entries it holds.
        published: Returns how many were published; None where nothing says so, and all is read.
        rollback: Ends a snapshot that holds more.
        patience_seconds: How long it may take until what is committed is published.
        location: The ledger, in words.

    Raises:
        UnpublishedError: the writer died between committing and publishing, or there was no patience.
    """
    patience = int(patience_seconds / _PAUSE_SECONDS)
    while True:
        size, known = begin(), published()
        if known is None or size <= known:
            return
        rollback()
        if not patience:
            raise UnpublishedError(
                f"{location} holds entries that were never published: the writer died",
                hint="let a writer open the ledger once: pfgov tick",
            )
        patience -= 1
        time.sleep(_PAUSE_SECONDS)
