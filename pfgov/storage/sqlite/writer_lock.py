"""One writer at a time: an advisory lock on a file that names its holder.

The kernel releases the lock when the process ends, however it ends, so a stale file stops nobody.  A second writer is
refused with the first one's process, host and address.  The lock works among processes of one machine: a ledger's
folder does not belong on a network file system.
"""

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pfgov.errors import StoreLockedError
from pfgov.storage.sqlite.connections import make_private
from pfgov.storage.sqlite.errors import translating

HOLDER_BYTES_MAX: Final = 4_096
_PAUSE_SECONDS: Final = 0.01


class FileLock:
    """The right to write one ledger; implements :class:`pfgov.storage.port.WriterLock`."""

    def __init__(self, path: Path, *, address: str | None = None, patience: float = 0.0) -> None:
        """Take the lock.

        Args:
            path: The lock file; created if it is missing, never removed.
            address: Where the holder can be reached, to be named to others.
            patience: Seconds to wait for a holder that is about to end.

        Raises:
            StoreLockedError: another process holds it.
            StoreUnavailableError: the file cannot be opened.
        """
        self._path = path
        with translating(path):
            make_private(path)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(patience)
        except OSError as error:
            holder, at = self._read()
            os.close(self._handle)
            raise StoreLockedError(
                f"{path.parent} is being written by {holder}",
                hint=(
                    f"ask that server: the same command with --url {at}; reading needs no lock"
                    if at
                    else "let that process end, or send it your commands; reading needs no lock"
                ),
                address=at,
            ) from error
        self.announce(address)

    def _take(self, patience: float) -> None:
        for left in range(int(patience / _PAUSE_SECONDS), -1, -1):
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def announce(self, address: str | None) -> None:
        """Write down who holds the lock and where it listens."""
        holder = {"address": address, "host": socket.gethostname(), "pid": os.getpid()}
        with translating(self._path):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(holder).encode(), 0)

    def _read(self) -> tuple[str, str | None]:
        """Return who holds the lock, in words, and where it listens, if it does."""
        try:
            holder = json.loads(os.pread(self._handle, HOLDER_BYTES_MAX, 0))
            text = f"process {int(holder['pid'])} on {holder['host']!s}"
            address = holder["address"]
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return "another process", None  # whoever can write the file may have written anything
        if not isinstance(address, str):
            return text, None
        return f"{text} at {address}", address

    @property
    def is_lost(self) -> bool:
        """Never: the kernel takes it from nobody who runs."""
        return False

    @property
    def standing(self) -> None:
        """Say that nobody leads by turns."""

    def release(self) -> None:
        """Let others write."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
