"""Many callers, one exclusive section: a bounded queue, one sequencer thread, and a short cut for whoever comes alone.

Whoever is in the exclusive section is the sequencer.  A caller that finds nobody before it runs its own command in
its own thread
(one client would otherwise wait for two thread switches); everybody else queues and is served in order, as many in one
commit as are waiting.  The thread starts with the first command that has to queue, so that a simulator or a command
line never has one.  An event loop enters the exclusive section for a moment at a time: it starts a batch and collects
the answers
later, for a thread beside a busy loop spends more on the interpreter's lock than on deciding.  This module decides and
stores nothing.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from pfgov.core import commands as c
from pfgov.engine.answers import Attachment, Request
from pfgov.engine.committing.committers import Reports
from pfgov.engine.sequencing.sequencer import Sequencer
from pfgov.errors import BusyError, EngineStoppedError, PfgovError
from pfgov.limits import BATCH_MAX, QUEUE_MAX

T = TypeVar("T")

QUEUED_BYTES_MAX: Final = 256 * 1024 * 1024
"""Bytes of attachments waiting in the queue."""

BATCH_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of attachments after which a batch takes no further command."""

HALF_MIN: Final = 8
"""Commands up to which a batch is not halved so that deciding and committing can overlap."""


LIGHT: Final = (
    c.SubmitPacket, c.UpdatePacket, c.PlacePacket, c.HandOff, c.AcceptHandoff, c.AbortHandoff, c.CommitCheckpoint,
    c.CompletePacket, c.FailPacket, c.RequeuePacket, c.CancelPacket, c.EvaluateDecision,
)  # fmt: skip
"""Commands about one packet: an event loop may decide them between two requests."""

LIGHT_BYTES_MAX: Final = 65_536
"""Bytes of attachments beyond which a command is not light: they are hashed and copied."""


def is_light(request: Request) -> bool:
    """Whether *request* is decided so quickly that an event loop may do it."""
    return isinstance(request.action, LIGHT) and (
        not request.attachments or _weight(request) <= LIGHT_BYTES_MAX
    )


class Started(Enum):
    """What became of a batch that an event loop wanted to start."""

    UNDER_WAY = "under way"
    FULL = "the committing side has enough to do: start it after the next answer"
    TAKEN = "somebody else is in the exclusive section, or waits for it: start it a moment later"


@dataclass(slots=True, eq=False)
class Job(Generic[T]):
    """Something that needs the exclusive section and is not a command: a tick, a heartbeat, a question about memory."""

    run: Callable[[Sequencer], T]
    future: Future[T] = field(default_factory=Future[T])

    def do(self, sequencer: Sequencer) -> None:
        """Run it, and give its caller what came of it."""
        try:
            self.future.set_result(self.run(sequencer))
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, not to the thread
            self.future.set_exception(error)

    def fail(self, error: BaseException) -> None:
        """Give its caller an error instead of running it."""
        self.future.set_exception(error)


def _stopped() -> EngineStoppedError:
    return EngineStoppedError(
        "the engine has stopped", hint="start it again and repeat the command"
    )


def _weight(request: Request) -> int:
    return sum(len(a.payload) for a in request.attachments if isinstance(a, Attachment))


class CommandQueue:
    """The queue before one sequencer.  Thread-safe."""

    def __init__(
        self, sequencer: Sequencer, *, queue_max: int = QUEUE_MAX, batch_max: int = BATCH_MAX
    ) -> None:
        self._sequencer = sequencer
        self._queue_max = queue_max
        self._batch_max = batch_max
        # Held by whoever is the sequencer at the moment.
        self._turn = threading.Lock()
        # Guarded by _gate.
        self._gate = threading.Lock()
        self._arrived = threading.Condition(self._gate)
        self._queue: deque[Request | Job[Any]] = deque()
        self._queued_bytes = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """Commands in the queue."""
        return len(self._queue)

    # --- coming in -----------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Run *request*: at once in this thread if nobody is before it, else in its turn.

        Raises:
            BusyError: the queue is full.
            EngineStoppedError: the engine takes no more commands.
        """
        if self._take_turn():
            try:
                self._sequencer.run([request])
                self._sequencer.drain()
            finally:
                self._turn.release()
        else:
            self.enqueue(request)

    def do(self, run: Callable[[Sequencer], T]) -> T:
        """Run *run* with the turn, and return what it returns or raise what it raises.

        Raises:
            BusyError, EngineStoppedError: as :meth:`submit`.
        """
        job = Job(run)
        if self._take_turn():
            try:
                job.do(self._sequencer)
            finally:
                self._turn.release()
        else:
            self.enqueue(job)
        return job.future.result()

    def _take_turn(self) -> bool:
        """Enter the exclusive section if nobody waits for it or has it."""
        if self._queue or not self._turn.acquire(blocking=False):
            return False
        if self._queue or self._stopping:
            self._turn.release()
            return False
        return True

    def enqueue(self, item: "Request | Job[Any]") -> None:
        """Let *item* wait for its turn.

        Raises:
            BusyError, EngineStoppedError: as :meth:`submit`.
        """
        with self._gate:
            self._admit(item)
            self._wake()

    def enqueue_all(self, requests: Sequence[Request]) -> None:
        """Let *requests* wait for their turn, together; one that cannot wait finds the error in its outcome."""
        with self._gate:
            for request in requests:
                try:
                    self._admit(request)
                except PfgovError as error:
                    request.fail(error)
            self._wake()

    def _admit(self, item: "Request | Job[Any]") -> None:
        weight = _weight(item) if isinstance(item, Request) and item.attachments else 0
        if self._stopping:
            raise _stopped()
        if len(self._queue) >= self._queue_max or (
            weight and self._queued_bytes + weight > QUEUED_BYTES_MAX
        ):
            raise BusyError(
                f"{len(self._queue)} commands are waiting", hint="try again in a moment"
            )
        self._queued_bytes += weight
        self._queue.append(item)

    def _wake(self) -> None:
        if self._queue and (self._thread is None or not self._thread.is_alive()):
            thread = threading.Thread(target=self._serve, name="pfgov-sequencer", daemon=True)
            try:
                thread.start()
            except (RuntimeError, MemoryError) as error:
                self._turn_away(error)
                return
            self._thread = thread
        self._arrived.notify()

    def _turn_away(self, error: Exception) -> None:
        """Tell everybody who waits that there is no thread to serve them: nobody else would ever do."""
        busy = BusyError(f"the engine cannot go on: {error}", hint="try again in a moment")
        while self._queue:
            self._queue.popleft().fail(busy)
        self._queued_bytes = 0

    # --- without waiting -----------------------------------------------------------------

    @property
    def reports(self) -> Reports | None:
        """Where to look for when :meth:`collect` has something to do; None where nothing can be left under way."""
        return self._sequencer.reports

    def start(self, requests: Sequence[Request]) -> Started:
        """Decide *requests* in this thread and have them committed, waiting for nothing.

        Each must be light (:func:`is_light`).  They are answered by :meth:`collect`, or by whoever is in the
        exclusive section next.

        Raises:
            EngineStoppedError: the engine takes no more commands.
        """
        if not self._take_turn():
            if self._stopping:
                raise _stopped()
            return Started.TAKEN
        try:
            if not self._sequencer.has_room:
                return Started.FULL
            if not self._sequencer.start(requests):
                self._recover_later()
        finally:
            self._turn.release()
        return Started.UNDER_WAY

    def collect(self) -> bool:
        """Answer what was committed meanwhile, waiting for nothing; False if somebody else is in the exclusive
        section.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._sequencer.collect():
                return True
            if not self._queue:
                self._recover_later()
            return False
        finally:
            self._turn.release()

    def _recover_later(self) -> None:
        """Have the thread load the state again: that takes long."""
        with contextlib.suppress(EngineStoppedError, BusyError):  # stopping drains, too
            self.enqueue(Job(lambda sequencer: sequencer.drain()))

    # --- the thread ----------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._gate:
                while not self._queue and not self._stopping:
                    self._arrived.wait()
                if not self._queue:
                    return
            with self._turn:
                self._serve_all()

    def _serve_all(self) -> None:
        """Serve until nobody waits and everybody is answered."""
        while True:
            requests, job = self._next()
            if requests:
                self._sequencer.run(requests)
            if job is not None:
                job.do(self._sequencer)
            if not requests and job is None:
                self._sequencer.drain()
                if not self._queue:
                    return

    def _next(self) -> tuple[list[Request], "Job[Any] | None"]:
        """Take from the queue what makes the next batch, and the job that follows it, if one does."""
        requests: list[Request] = []
        weight = 0
        with self._gate:
            most = self._batch_max
            if self._sequencer.overlaps:  # one half is written while the other is decided
                most = min(most, max(HALF_MIN, (len(self._queue) + 1) // 2))
            while self._queue and len(requests) < most and weight < BATCH_BYTES_MAX:
                item = self._queue.popleft()
                if isinstance(item, Job):
                    self._queued_bytes -= weight
                    return requests, item
                requests.append(item)
                if item.attachments:
                    weight += _weight(item)
            self._queued_bytes -= weight
        return requests, None

    def stop(self) -> None:
        """Take no more commands, serve those that wait, and end the thread."""
        with self._gate:
            self._stopping = True
            self._arrived.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._turn:
            self._serve_all()
