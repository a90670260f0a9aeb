"""Between the event loop and the engine: many commands over, many answers back, and no thread in between.

What was asked in one turn of the loop is decided together at the end of that turn, in this thread, and committed by the
writer process while the loop goes on; when the writer reports, everybody is answered at once.  A thread for each side
would spend more on the interpreter's lock than on deciding.  What may take long (the activation of a policy, a large
context, loading the state again) goes to the engine's thread, and so does everything when commits have no process of
their own.  This module knows no HTTP and decides nothing.
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from pfgov.engine import Engine, Receipt, Request
from pfgov.engine.committing import Reports
from pfgov.engine.sequencing import Started, is_light
from pfgov.errors import EngineStoppedError
from pfgov.limits import BATCH_MAX

TURN_SECONDS: Final = 0.01
"""How long one turn of the loop may decide; the rest waits for the next, after the other requests."""

AGAIN_SECONDS: Final = 0.001
"""When to look again for an exclusive section that somebody else is in."""

TAKEN_MAX: Final = 5
"""How often in a row the exclusive section may be somebody else's before what waits goes into the queue."""

REST_SECONDS: Final = (1.0, 64.0)
"""For how long the thread decides after commands alone took longer than the loop may decide, twice in a row: twice as
long each time that it happens again, up to a bound."""


class LoopBridge:
    """Sends commands to an engine from one event loop.  Only that loop may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue = engine.queue
        self._leaving: list[Request] = []
        self._is_sending = False
        self._arrived: deque[Expected] = deque()
        self._is_awake = False
        self._notifier = _Notifier(self._ring)
        self._cost = 0.0
        self._resting_until = 0.0
        self._rest = REST_SECONDS[0]
        self._taken = 0
        self._is_slow = False

    def expect(self) -> "Expected":
        """Return the outcome for a request that :meth:`submit` is given next."""
        return Expected(self, asyncio.get_running_loop())

    def submit(self, request: Request) -> None:
        """Send *request*, whose outcome is one of :meth:`expect`: its future gets the receipt, or the refusal.

        A caller that goes away does not take its command back: it is under way.
        """
        self._leaving.append(request)
        self._send_soon(asyncio.get_running_loop())

    def close(self) -> None:
        """Stop listening."""
        self._notifier.close()

    # --- over ------------------------------------------------------------------------------

    def _send_soon(self, loop: asyncio.AbstractEventLoop, after: float = 0.0) -> None:
        if self._is_sending:
            return
        self._is_sending = True
        if after:
            loop.call_later(after, self._send)
        else:
            loop.call_soon(self._send)

    def _send(self) -> None:
        self._is_sending = False
        loop = asyncio.get_running_loop()
        if (
            not self._notifier.listen(loop, self._queue.reports)
            or loop.time() < self._resting_until
        ):
            waiting, self._leaving = self._leaving, []
            self._engine.submit_all(waiting)
            return
        heavy = [request for request in self._leaving if not is_light(request)]
        if heavy:
            self._leaving = [request for request in self._leaving if is_light(request)]
            self._engine.submit_all(heavy)
        if self._leaving:
            self._decide(loop)

    def _decide(self, loop: asyncio.AbstractEventLoop) -> None:
        most = int(TURN_SECONDS / self._cost) if self._cost else BATCH_MAX
        batch = self._leaving[: max(1, min(most, BATCH_MAX))]
        began = time.perf_counter()
        try:
            started = self._queue.start(batch)
        except EngineStoppedError as error:
            waiting, self._leaving = self._leaving, []
            for request in waiting:
                request.fail(error)
            return
        if started is Started.TAKEN:
            self._taken += 1
            if self._taken >= TAKEN_MAX:  # the queue never empties: wait in it, as everybody does
                self._taken, waiting, self._leaving = 0, self._leaving, []
                self._engine.submit_all(waiting)
            else:
                self._send_soon(loop, AGAIN_SECONDS)
            return
        self._taken = 0
        if started is not Started.UNDER_WAY:
            return
        self._leaving = self._leaving[len(batch) :]
        took = (time.perf_counter() - began) / len(batch)
        self._cost += (took - self._cost) / 8
        if took <= TURN_SECONDS:
            self._is_slow = False
            if len(batch) == 1:
                self._rest = REST_SECONDS[0]
        elif self._is_slow:
            self._cost, self._resting_until = 0.0, loop.time() + self._rest
            self._rest = min(2 * self._rest, REST_SECONDS[1])
        else:  # once it may have been the machine, which was busy elsewhere
            self._is_slow = True
        if self._leaving:
            self._send_soon(loop)

    # --- and back --------------------------------------------------------------------------

    def _ring(self) -> bool:
        """Collect what the writer finished; False if somebody else is in the exclusive section."""
        self._is_awake = True  # what arrives now is delivered below
        has_collected = self._queue.collect()
        self._deliver()
        if has_collected:  # the writer may be another by now
            self._notifier.listen(asyncio.get_running_loop(), self._queue.reports)
        return has_collected

    def take(self, answer: "Expected", loop: asyncio.AbstractEventLoop) -> None:
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
        if self._leaving:
            self._send_soon(asyncio.get_running_loop())


class _Notifier:
    """Calls back when the writer has something to say.

    It listens to a duplicate of the writer's descriptor: when the writer is lost, another thread closes the original,
    and its number may be anything a moment later.
    """

    def __init__(self, answer: Callable[[], bool]) -> None:
        self._answer = answer
        self._heard: Reports | None = None
        self._copy: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def listen(self, loop: asyncio.AbstractEventLoop, reports: Reports | None) -> bool:
        """Listen where *reports* says from now on; False if there is nothing to listen to."""
        if reports == self._heard:
            return reports is not None
        self.close()
        if reports is not None:
            try:
                self._copy = os.dup(reports.descriptor)
            except OSError:  # lost this moment; whoever is in the exclusive section opens another
                return False
            self._loop, self._heard = loop, reports
            loop.add_reader(self._copy, self._ring)
        return reports is not None

    def _ring(self) -> None:
        if not self._answer() and self._loop is not None and self._copy is not None:
            self._loop.remove_reader(self._copy)  # it would ring all the time until then
            self._loop.call_later(AGAIN_SECONDS, self._resume, self._copy)

    def _resume(self, copy: int) -> None:
        if self._loop is not None and self._copy == copy:
            self._loop.add_reader(copy, self._ring)

    def close(self) -> None:
        """Listen no more."""
        if self._loop is not None and self._copy is not None:
            self._loop.remove_reader(self._copy)
            os.close(self._copy)
        self._heard = self._copy = self._loop = None


class Expected:
    """One request's outcome: set in the engine's thread or in the loop's, awaited in the loop's."""

    __slots__ = ("_bridge", "_error", "_loop", "_receipt", "future")

    def __init__(self, bridge: LoopBridge, loop: asyncio.AbstractEventLoop) -> None:
        self._bridge = bridge
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
        self._bridge.take(self, self._loop)

    def set_exception(self, exception: BaseException, /) -> None:
        """Give it an error."""
        self._error = exception
        self._bridge.take(self, self._loop)

    def deliver(self) -> None:
        """Hand it to who waits, if anybody still does."""
        if self.future.done():
            return
        if self._receipt is not None:
            self.future.set_result(self._receipt)
        elif self._error is not None:
            self.future.set_exception(self._error)
