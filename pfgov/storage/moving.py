"""The pointer in a folder whose ledger is kept elsewhere by now: what lies here can be read, and is not written."""

from pathlib import Path
from typing import Final

from pfgov.errors import StoreUnavailableError, file_errors
from pfgov.files import read_regular, replace_public

POINTER: Final = "moved.txt"
"""Where the ledger is: the folder that it was moved to."""

POINTER_BYTES_MAX: Final = 4_096


def leave(directory: Path, place: str) -> None:
    """Say in *directory* that the ledger is at *place*.

    Raises:
        StoreUnavailableError: the folder cannot be written.
    """
    path = directory / POINTER
    with file_errors(path):
        replace_public(path, f"{place}\n".encode())


def require_here(directory: Path) -> None:
    """Refuse to write a ledger in *directory* that was moved.

    Raises:
        StoreUnavailableError: ``store.moved``.
    """
    path = directory / POINTER
    if not path.exists() and not path.is_symlink():
        return
    with file_errors(path):
        place = read_regular(path, POINTER_BYTES_MAX).decode("utf-8", errors="replace").strip()
    raise StoreUnavailableError(
        f"the ledger of {directory} was moved to {place}",
        code="store.moved",
        hint=f"work on it there: --dir {place}; what lies here can be read, and ends where it was moved",
    )
