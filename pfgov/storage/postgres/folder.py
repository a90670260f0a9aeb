"""The folder of a ledger that a database holds: its file ``store.url`` says which, and that it does.

Whoever chooses a store reads this much before anything that speaks to PostgreSQL is imported.
"""

from pathlib import Path
from typing import Final

from pfgov.errors import file_errors
from pfgov.files import read_regular, replace_private

SCHEME: Final = "postgresql+folder"
"""The scheme of such a store's own URL: its folder, and the token under which it is led."""

URL_FILE: Final = "store.url"
URL_BYTES_MAX: Final = 4_096


def kept_url(directory: Path) -> str | None:
    """Return the URL in the folder's file; None where there is no file.

    Raises:
        StoreUnavailableError: it cannot be read.
    """
    path = directory / URL_FILE
    if not path.exists():
        return None
    with file_errors(path):
        return read_regular(path, URL_BYTES_MAX).decode("utf-8", errors="replace").strip()


def keep_url(directory: Path, url: str) -> None:
    """Write the URL into the folder's file; both are their owner's alone.

    Raises:
        StoreUnavailableError: the folder cannot be written.
    """
    path = directory / URL_FILE
    with file_errors(path):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_private(path, f"{url}\n".encode())
