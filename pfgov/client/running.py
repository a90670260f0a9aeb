"""Running a function on each packet: how many at once, what a signal means, and coming back after a cut.

A worker that runs so ends in order: on a signal it takes nothing more, lets what runs come to its end for a while,
gives the rest back and leaves, so that whoever is started next begins at once.  A life that ended because the network
was away, or because somebody declared it failed, is followed by the next one.
"""

import asyncio
import contextlib
import logging
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any, Final, cast

from pfgov.client.core import UnreachableError
from pfgov.client.job import Job, LostOwnershipError
from pfgov.client.refusals import ApiError, EscalatedError
from pfgov.client.tracing import span

Handler = Callable[[Job], Awaitable[Mapping[str, Any] | None]]
"""Does the work of one packet; what it returns is the result of the packet, which is then completed."""

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS: Final = 30.0
REST_SECONDS: Final = 1.0
"""How long a worker waits before it joins again."""

STUBBORN_SECONDS: Final = 10.0
"""After so long it is said again that a job goes on though it was cancelled."""

STUBBORN: Final = (
    "%s cannot go on: the job of %s still runs though it was cancelled;"
    " it keeps CancelledError to itself, or waits for something at its end"
)

FINAL: Final = frozenset({401, 403})
"""Statuses after which joining again changes nothing."""

log = logging.getLogger("pfgov.client")


class Running(ABC):
    """The part of a worker that runs a function."""

    member_id: str
    jobs: dict[str, Job]
    dead: str | None
    is_replaced: bool

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    async def _next(self) -> Job | None: ...

    @abstractmethod
    async def __aenter__(self) -> Any: ...

    @abstractmethod
    async def _end_tasks(self) -> None: ...

    @abstractmethod
    async def _say_stopped(self) -> None: ...

    @abstractmethod
    async def _owned(self) -> list[str]:
        """Return the packets that the server says are this member's."""

    @abstractmethod
    def require_entered(self) -> None:
        """Refuse to wait for jobs that nobody would ever be given.

        Raises:
            RuntimeError: the worker was not entered.
        """

    @abstractmethod
    async def pause(self) -> None:
        """Take no new packets."""

    @abstractmethod
    async def resume(self) -> None:
        """Take packets again."""

    def stop(self) -> None:
        """Let :meth:`run` come to its end: take nothing more, and leave when what runs has ended."""
        self._stopping.set()

    async def run(
        self,
        handler: Handler,
        *,
        concurrency: int = 1,
        signals: Iterable[signal.Signals] = SIGNALS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """Run *handler* on each packet until :meth:`stop` is called, a signal comes or another process takes over.

        Args:
            handler: What it returns completes the packet, unless it ended the job itself; what it raises is treated by
                the worker's ``on_error``.
            concurrency: How many packets are worked on at once.
            signals: Which signals mean the end; none outside the main thread.
            grace_seconds: How long jobs may go on after that; what runs then is cancelled and given back.

        Raises:
            ApiError: the member may not join again.
            ValueError: *concurrency* is less than 1.
            RuntimeError: the worker was not entered.
        """
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}: nothing would ever be worked on")
        self.require_entered()
        with _heeding(signals, self.stop):
            while not self._stopping.is_set():
                await self._live_one_life(handler, concurrency)
                if self.is_replaced or self._stopping.is_set():
                    break
                await self._come_back()
            await self._finish(grace_seconds)

    async def _live_one_life(self, handler: Handler, concurrency: int) -> None:
        room = asyncio.Semaphore(concurrency)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                getting = asyncio.create_task(self._given(room))
                await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    getting.cancel()
                    await asyncio.gather(getting, return_exceptions=True)
                    return
                job = getting.result()
                if job is None:
                    return
                task = asyncio.create_task(self._work(handler, job, room), name=job.packet_id)
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            stopping.cancel()

    async def _given(self, room: asyncio.Semaphore) -> Job | None:
        """Return the next job once there is room for it; a job that was not returned stays in the worker's hands."""
        await room.acquire()
        try:
            job = await self._next()
        except BaseException:
            room.release()
            raise
        if job is None:
            room.release()
        return job

    async def _work(self, handler: Handler, job: Job, room: asyncio.Semaphore) -> None:
        try:
            with span("pfgov.job", packet=job.packet_id, epoch=job.epoch, member=self.member_id):
                async with job:
                    result = await _awaitable(handler(job))
                    if not job.ended and not job.was_offered:
                        await job.complete(result)
        except (LostOwnershipError, EscalatedError) as error:
            log.info("%s", error, extra={"packet": job.packet_id, "epoch": job.epoch})
        except Exception as error:  # the job was put down by its rule; the worker goes on
            extra = {"packet": job.packet_id, "epoch": job.epoch}
            name = type(error).__name__
            log.warning("the job of %s raised %s", job.packet_id, name, extra=extra, exc_info=error)
        finally:
            room.release()

    async def _stopped(self) -> None:
        """Wait until nothing runs any more: nobody can end what does not end when it is cancelled."""
        while self._running:
            _, going_on = await asyncio.wait(self._running, timeout=STUBBORN_SECONDS)
            for task in going_on:
                name = task.get_name()
                log.warning(STUBBORN, self.member_id, name, extra={"packet": name})

    async def _come_back(self) -> None:
        """Join again as the next life, once everything of this one has stopped."""
        await self._stopped()
        await self._end_tasks()
        await self._say_stopped()
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REST_SECONDS):
                    await self._stopping.wait()
            self._begin()
            try:
                await self.__aenter__()
            except (UnreachableError, TimeoutError) as error:
                log.warning("%s cannot join yet: %s", self.member_id, error)
            except ApiError as error:
                if error.status in FINAL:
                    raise
                log.warning("%s may not join yet: %s", self.member_id, error)
            else:
                return

    async def _finish(self, grace_seconds: float) -> None:
        """Let what runs end, then cancel it: it is given back.

        Meanwhile the server is told that nothing more is wanted.  Where it does not answer the jobs have no more time
        for that; it is told again when the worker leaves.
        """
        pausing = asyncio.create_task(self._paused())
        if self._running:
            await asyncio.wait(self._running, timeout=grace_seconds)
        for task in self._running:
            task.cancel()
        await self._stopped()
        pausing.cancel()
        await asyncio.gather(pausing, return_exceptions=True)

    async def _paused(self) -> None:
        if self.dead is None:
            with contextlib.suppress(ApiError, UnreachableError, TimeoutError):
                await self.pause()

    @contextlib.asynccontextmanager
    async def maintenance(self) -> AsyncGenerator[None]:
        """Own nothing for the length of the block: what is owned moves off or ends first; then take packets again."""
        await self.pause()
        # What was assigned just before may not have been heard of yet, and nobody says when that ends.
        while self.dead is None and (self.jobs or await self._owned()):  # noqa: ASYNC110
            await asyncio.sleep(
                0.05 if self.jobs else REST_SECONDS / 2
            )  # the server is asked, then
        try:
            yield
        finally:
            await self.resume()


def _awaitable(made: object) -> Awaitable[Mapping[str, Any] | None]:
    if not isinstance(made, Awaitable):
        raise TypeError("what run was given is no coroutine function: write it with async def")
    return cast("Awaitable[Mapping[str, Any] | None]", made)


@contextlib.contextmanager
def _heeding(signals: Iterable[signal.Signals], stop: Callable[[], None]) -> Generator[None]:
    """Call *stop* on each of *signals*, where this thread may."""
    loop = asyncio.get_running_loop()
    heeded: list[signal.Signals] = []
    for one in signals:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(one, stop)
            heeded.append(one)
    try:
        yield
    finally:
        for one in heeded:
            loop.remove_signal_handler(one)
