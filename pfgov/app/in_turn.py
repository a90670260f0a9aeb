"""Threads in which each principal has one thing under way, however much it asks for; what that is, is not known here.

What may take long waits in them for whatever the same principal asked for before, so that everybody else loses one
thread to it at most.  They are one ledger's: whoever waits for another ledger's disk or database waits elsewhere.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pfgov.errors import EngineStoppedError

T = TypeVar("T")


class Places:
    """How many things each principal may have under way at once; with more it waits.  Of one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str | None, tuple[asyncio.Semaphore, int]] = {}

    async def enter(self, who: str | None) -> None:
        """Wait for a place of *who*, after whatever *who* has asked for before; :meth:`leave` gives it back."""
        room, users = self._known.get(who, (asyncio.Semaphore(self._most), 0))
        self._known[who] = room, users + 1
        try:
            await room.acquire()
        except BaseException:
            self._forget(who)
            raise

    def leave(self, who: str | None) -> None:
        """Give a place of *who* back."""
        self._known[who][0].release()
        self._forget(who)

    def _forget(self, who: str | None) -> None:
        room, users = self._known[who]
        if users == 1:
            del self._known[who]
        else:
            self._known[who] = room, users - 1


class InTurn:
    """The threads, and whose turn it is."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._turns = Places(1)
        self._is_closed = False

    async def run(self, who: str | None, do: Callable[..., T], *arguments: object) -> T:
        """Return what *do* returns, after whatever *who* has asked for before.

        Raises:
            EngineStoppedError: nothing is taken any more.
            Exception: as *do* does.
        """
        await self._turns.enter(who)
        try:
            if self._is_closed:
                raise _closed()
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, do, *arguments)
        except asyncio.CancelledError:
            if self._is_closed and not _is_cancelled():  # it had not begun
                raise _closed() from None
            raise
        finally:
            self._turns.leave(who)

    async def run_soon(
        self, who: str | None, do: Callable[[], T], seconds: float, late: Callable[[], Exception]
    ) -> T:
        """Return what *do* returns; what has not begun within so many *seconds* never does.

        What has begun keeps its principal's turn until it ends, whoever still waits.

        Raises:
            Exception: as *do* does, or *late* when the time is over.
        """
        begun = False

        def begin() -> T:
            nonlocal begun
            begun = True
            return do()

        running = asyncio.ensure_future(self.run(who, begin))
        running.add_done_callback(_heard)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(running)
        except TimeoutError:
            raise late() from None
        finally:
            if not begun:
                running.cancel()

    def close(self) -> None:
        """Take nothing more; nobody waits for what is under way."""
        self._is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)


class HeldPlaces:
    """Places that tasks hold until they end; each has one at most."""

    def __init__(self, most: int) -> None:
        self._places = Places(most)
        self.held: dict[asyncio.Task[Any] | None, str | None] = {}
        """Which tasks have one, and whose."""

    async def thread(self, who: str | None, make: Callable[[], T]) -> T:
        """Return what *make* makes in a thread, for the present task and in a place of *who*, when there is one.

        It keeps the place until it gives it back by :meth:`leave`.
        """
        await self._places.enter(who)
        self.held[asyncio.current_task()] = who
        return await asyncio.to_thread(make)

    def leave(self) -> None:
        """Give back what the present task holds, if it holds any."""
        task = asyncio.current_task()
        if task in self.held:
            self._places.leave(self.held.pop(task))


def _closed() -> EngineStoppedError:
    return EngineStoppedError("the ledger is being closed", hint="ask again in a moment")


def _is_cancelled() -> bool:
    """Whether the present task is to end, and not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _heard(running: "asyncio.Future[T]") -> None:
    """Take note of how it ended, so that asyncio does not complain where nobody waited."""
    if not running.cancelled():
        running.exception()
