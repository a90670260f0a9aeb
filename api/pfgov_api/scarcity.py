"""When descriptors, memory, threads or processes run out, or what is stored was changed, who asked is told so.

What a request lacks is no mistake of ours, and may be there again in a moment: it is answered as such.  Neither is what
somebody else wrote into a database, wherever a request finds it.
"""

import errno
from typing import Final

from pfgov.errors import BusyError, PfgovError, StoreCorruptError
from pfgov_ledger.errors import LedgerError

_SCARCE: Final = frozenset(
    {
        errno.EAGAIN,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
    }
)
_NO_THREAD: Final = "can't start new thread"
"""What Python says, as a ``RuntimeError``, when the system gives none."""


class ExhaustedError(BusyError):
    """The server lacks memory, descriptors, threads, processes or disk for this request; it may be sent again."""

    code = "http.exhausted"


def no_mistake(error: BaseException) -> PfgovError | None:
    """Return what a caller is told whose request failed with *error*, if that is no mistake of ours; else None."""
    if isinstance(error, LedgerError):
        return StoreCorruptError(
            f"what is stored was changed in the database: {error}",
            code="store.altered",
            hint="restore it from a backup; see what else was changed: pfgov ledger doctor",
        )
    return exhausted(error)


def exhausted(error: BaseException) -> ExhaustedError | None:
    """Return what a caller is told whose request failed with *error*, if something was lacking; else None."""
    if isinstance(error, MemoryError):
        what = "memory"
    elif isinstance(error, OSError) and error.errno in _SCARCE:
        what = "descriptors, processes or room on a disk"
    elif isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        what = "threads"
    else:
        return None
    return ExhaustedError(
        f"the server has not enough {what} for this request at the moment",
        hint="send it again in a moment, a write with the same Idempotency-Key",
    )
