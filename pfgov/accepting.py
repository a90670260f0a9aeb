"""When no more connections can be accepted: few lines of log, whoever opens them.

asyncio reports each connection that it cannot accept with a traceback, as many in a row as may wait in the queue, and
tries again every second: a megabyte of log a second, by whoever opens some connections.  A server lets few be accepted
at once, and of equal reports only one in a while is written.  What a connection is for is not known here.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

ACCEPTED_AT_ONCE: Final = 16
"""Connections that one turn of the event loop accepts; the others wait in the system's queue."""

SAID_EVERY_SECONDS: Final = 10.0

_ACCEPTING: Final = "socket.accept()"


class Scarcity:
    """The event loop's handler of errors that belong to no request."""

    def __init__(
        self,
        log: logging.Logger,
        is_stopping: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
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
            self._log.error(
                "connections wait because the system gives no more descriptors (%s); tried %d times",
                getattr(error, "strerror", None) or error,
                self._unsaid,
            )
            self._due, self._unsaid = now + SAID_EVERY_SECONDS, 0
