"""When descriptors, memory, threads or processes run out: who asked is told so, and the log has few lines about it.

asyncio reports each connection that it cannot accept with a traceback, as many in a row as may wait in the queue, and
tries again every second: a megabyte of log a second, by whoever opens some connections.  Few are accepted at once here,
and of equal reports only one in a while is written.  What a request lacks is no mistake of ours, and may be there again
in a moment: it is answered as such.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from pfgov.errors import BusyError

ACCEPTED_AT_ONCE: Final = 16
"""Connections that one turn of the event loop accepts; the others wait in the system's queue."""

SAID_EVERY_SECONDS: Final = 10.0

_ACCEPTING: Final = "socket.accept()"
_SCARCE: Final = frozenset(
    {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT}
)
_NO_THREAD: Final = "can't start new thread"
"""What Python says, as a ``RuntimeError``, when the system gives none."""

log = logging.getLogger("pfgov.api")


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


class Scarcity:
    """The event loop's handler of errors that belong to no request."""

    def __init__(
        self, is_stopping: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_stopping = is_stopping
        self._clock = clock
        self._due = float("-inf")
        self._unsaid = 0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say what went wrong; that no connection can be accepted once in a while only."""
        error = context.get("exception")
        if isinstance(error, ValueError) and self._is_stopping():
            return  # a socket that was closed while asyncio waited to try again
        if not str(context.get("message", "")).startswith(_ACCEPTING):
            loop.default_exception_handler(context)
            return
        self._unsaid += 1
        now = self._clock()
        if now >= self._due:
            log.error(
                "connections wait because the system gives no more descriptors (%s); tried %d times",
                getattr(error, "strerror", None) or error,
                self._unsaid,
            )
            self._due, self._unsaid = now + SAID_EVERY_SECONDS, 0
