"""When descriptors, memory, threads or processes run out, who asked is told so.

What a request lacks is no mistake of ours, and may be there again in a moment: it is answered as such.
"""

import errno
from typing import Final

from pfgov.errors import BusyError

_SCARCE: Final = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
)
_NO_THREAD: Final = "can't start new thread"
"""What Python says, as a ``RuntimeError``, when the system gives none."""


class ExhaustedError(BusyError):
    """The server lacks memory, descriptors, threads, processes or disk for this request; it may be sent again."""

    code = "http.exhausted"


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
