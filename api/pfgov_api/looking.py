"""Where contexts are looked through: beside the event loop, a few at once, and of one principal one after the other.

A few kilobytes may be packed so that they take a second; what may be so goes into threads of its own, which neither the
clock nor anybody's reading needs.  What is found in a context is not known here.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pfgov.limits import LOOKING_THREADS

T = TypeVar("T")


class Looking:
    """The threads, and whose turn it is."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKING_THREADS, thread_name_prefix="looking")
        self._turns: dict[str | None, tuple[asyncio.Lock, int]] = {}

    async def run(self, who: str | None, do: Callable[[], T]) -> T:
        """Return what *do* returns, after whatever *who* has asked for before.

        Raises:
            Exception: as *do* does.
        """
        turn, waiting = self._turns.get(who, (asyncio.Lock(), 0))
        self._turns[who] = turn, waiting + 1
        try:
            async with turn:
                return await asyncio.get_running_loop().run_in_executor(self._threads, do)
        finally:
            turn, waiting = self._turns[who]
            if waiting == 1:
                del self._turns[who]
            else:
                self._turns[who] = turn, waiting - 1

    def close(self) -> None:
        """Take nothing more; nobody waits for what is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
