"""A storage call that fails: the n-th of its kind, before it took effect or after, once or from then on."""

import errno
import sqlite3
from collections import Counter

FILES = frozenset({"key_made", "key_exchanged", "anchor_written"})
"""Steps that touch a file beside the store: what fails there is the system's call, not the database's."""


class Faulty:
    """A probe that raises at one call of a kind, and counts all."""

    def __init__(
        self, name: str = "", when: str = "", number: int = -1, *, lasting: bool = False
    ) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self._at = (name, when)
        self._number = number
        self._lasting = lasting
        self.armed = False
        self.hits = 0

    def __call__(self, name: str, when: str) -> None:
        """The probe."""
        if not self.armed:
            return
        self.calls[name, when] += 1
        count = self.calls[name, when]
        if (name, when) == self._at and (
            count == self._number or (self._lasting and count > self._number)
        ):
            self.hits += 1
            if name in FILES:
                raise OSError(errno.EIO, "disk I/O error")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
