"""Waiting for work on one ledger, but not so long that the others suffer from a disk or a database that hangs.

What takes too long goes on by itself, and the same is not begun again until it has ended: each time would take a thread
more from all the others.  What the work is, is not known here.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pfgov.app.tenancy import limits
from pfgov.errors import PfgovError

T = TypeVar("T")

log = logging.getLogger("pfgov.api")


class Late:
    """Work that is under way, by what it is and the ledger that it is about."""

    def __init__(self) -> None:
        self._work: dict[tuple[str, str], asyncio.Future[Any]] = {}

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether such work is under way."""
        return key in self._work

    def add(self, key: tuple[str, str], work: "asyncio.Future[Any]") -> None:
        """Know of *work* until it ends."""
        self._work[key] = work
        work.add_done_callback(lambda _: self._work.pop(key, None))

    async def wait(self, what: str, name: str, work: Coroutine[Any, Any, T]) -> T | None:
        """Wait for *work* as long as for an opening; None is returned where nothing came, or it is late already."""
        if (what, name) in self._work:
            work.close()
            return None
        task = asyncio.create_task(work)
        self.add((what, name), task)
        task.add_done_callback(heard)
        await asyncio.wait([task], timeout=limits.OPENING_SECONDS)
        if not task.done() or task.cancelled():
            return None
        if (error := task.exception()) is not None:
            log.error("the ledger %s: %s failed", name, what, exc_info=error)
            return None
        return task.result()


def heard(task: "asyncio.Future[Any]") -> None:
    """Take note of how *task* ended, so that asyncio does not complain where nobody waited."""
    if not task.cancelled():
        task.exception()


async def for_ever(do: Callable[[], Coroutine[Any, Any, None]], pause: float) -> None:
    """Do it again and again, whatever goes wrong, with a *pause* of so many seconds in between.

    What goes wrong is said once, until it is something else or works again.
    """
    said: str | None = None
    while True:
        try:
            await do()
            said = None
        except Exception as error:  # it must outlive whatever goes wrong
            what = (
                f"{error.message} ({error.code})" if isinstance(error, PfgovError) else repr(error)
            )
            if what != said:
                trace = None if isinstance(error, PfgovError) else error
                log.log(logging.ERROR, "keeping the ledgers failed: %s", what, exc_info=trace)
            said = what
            await asyncio.sleep(limits.SCAN_SECONDS)
        await asyncio.sleep(pause)
