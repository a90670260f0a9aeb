"""Between the event loop and the engine's thread: many commands over, many answers back, one wake-up each way.

A thread switch for each command and another for each answer cost more than deciding it.  So commands of one turn of the
loop leave together, and the first answer of a commit wakes the loop for all of them.  This module knows no HTTP and
decides nothing.
"""

import asyncio
import contextlib
from collections import deque

from pfgov.engine import Engine, Receipt, Request


class Relay:
    """Sends commands to an engine from one event loop.  Only that loop may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._leaving: list[Request] = []
        self._arrived: deque[_Answer] = deque()
        self._is_awake = False

    def submit(self, request: Request) -> "asyncio.Future[Receipt]":
        """Send *request*, and return the future of its receipt, or of what it was refused with.

        A caller that goes away does not take its command back: it is under way.
        """
        loop = asyncio.get_running_loop()
        answer = _Answer(self, loop)
        request.outcome = answer
        if not self._leaving:
            loop.call_soon(self._send)
        self._leaving.append(request)
        return answer.future

    def _send(self) -> None:
        requests, self._leaving = self._leaving, []
        self._engine.submit_all(requests)

    def take(self, answer: "_Answer", loop: asyncio.AbstractEventLoop) -> None:
        """Keep *answer* for the loop, and wake it unless it was woken already.  Called in any thread."""
        self._arrived.append(answer)
        if not self._is_awake:
            self._is_awake = True
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_awake = False  # first: what arrives from here on wakes the loop again
        while self._arrived:
            self._arrived.popleft().deliver()


class _Answer:
    """One request's outcome: set in the engine's thread, read in the loop's."""

    __slots__ = ("_error", "_loop", "_receipt", "_relay", "future")

    def __init__(self, relay: Relay, loop: asyncio.AbstractEventLoop) -> None:
        self._relay = relay
        self._loop = loop
        self._receipt: Receipt | None = None
        self._error: BaseException | None = None
        self.future: asyncio.Future[Receipt] = loop.create_future()

    def done(self) -> bool:
        """Whether it is known what became of the request."""
        return self._receipt is not None or self._error is not None

    def set_result(self, result: Receipt, /) -> None:
        """Give it its receipt."""
        self._receipt = result
        self._relay.take(self, self._loop)

    def set_exception(self, exception: BaseException, /) -> None:
        """Give it an error."""
        self._error = exception
        self._relay.take(self, self._loop)

    def deliver(self) -> None:
        """Hand it to who waits, if anybody still does."""
        if self.future.done():
            return
        if self._receipt is not None:
            self.future.set_result(self._receipt)
        elif self._error is not None:
            self.future.set_exception(self._error)
