"""When a worker begins a packet that somebody else had, and how it says that it stopped one that somebody else has.

Both are said with heartbeats.  Who had a packet names it until its block has ended, and then says up to which position
of the ledger it knows what it owns; so the server knows that it works on it no more, and will not begin it upon an
answer that is still under way.  Who has it now begins once a heartbeat that named it is answered without holding it
back.  This module asks nobody itself.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Final

from pfgov.client.job import Job

FIRST_SECONDS: Final = 0.02
LONGEST_SECONDS: Final = 1.0
"""How soon to ask again whether a packet may be begun: twice as late each time."""

FIRST_EPOCH: Final = 1
"""Under it a packet has its first owner: nobody had it before."""

log = logging.getLogger("pfgov.client")


class Handover:
    """What one life of a worker has still to put down, and what it has not begun."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._asked: Counter[int | None] = Counter()
        self._ending: set[Job] = set()
        self._waiting: dict[str, Job] = {}
        self._pause = FIRST_SECONDS

    # --- what it knows ---------------------------------------------------------------------

    def learned(self, position: int) -> None:
        """Note that an entry at *position* is committed."""
        self._newest = position if self._newest is None else max(self._newest, position)

    @contextlib.contextmanager
    def asking(self) -> Generator[None]:
        """Ask what is owned, in the block: the answer may be no newer than what was known before."""
        known = self._newest
        self._asked[known] += 1
        try:
            yield
        finally:
            self._asked[known] -= 1
            if not self._asked[known]:
                del self._asked[known]

    @property
    def knows(self) -> int | None:
        """Up to which position everything that may still be taken accounts for; None where nothing is known."""
        known = [self._newest, *self._asked]
        return None if None in known else min(one for one in known if one is not None)

    # --- what has not been put down --------------------------------------------------------

    def over(self, job: Job) -> None:
        """Let *job* be no longer this member's; its block may not have ended."""
        if self._waiting.get(job.packet_id) is job:
            del self._waiting[job.packet_id]
        if job.is_running:
            self._ending.add(job)

    def stopped(self, job: Job) -> None:
        """Note that the block of *job* has ended."""
        self._ending.discard(job)

    @property
    def is_at_rest(self) -> bool:
        """Whether no block of a job that is over is running."""
        return not self._ending

    def lost(self) -> list[Job]:
        """Return the jobs that were lost and whose blocks have not ended."""
        return [job for job in self._ending if job.lost is not None]

    def is_waited_for(self, job: Job) -> bool:
        """Whether the packet of *job* came back meanwhile and waits for the end of its block."""
        return job.packet_id in self._waiting

    # --- what has not been begun -----------------------------------------------------------

    def may_begin(self, job: Job) -> bool:
        """Whether *job* may be begun at once; else it waits for :meth:`heard`."""
        if job.epoch <= FIRST_EPOCH:
            return True
        self._waiting[job.packet_id], self._pause = job, FIRST_SECONDS
        return False

    def heard(self, named: Iterable[Job], answer: Mapping[str, Any]) -> list[Job]:
        """Return the jobs that may be begun, now that a heartbeat which named jobs has its *answer*."""
        held_back = {
            (one["packet_id"], one["epoch"]): one["seconds"] for one in answer.get("held_back", ())
        }
        ending = {job.packet_id for job in self._ending}
        found: list[Job] = []
        for job in named:
            if self._waiting.get(job.packet_id) is not job or job.packet_id in ending:
                continue
            seconds = held_back.get((job.packet_id, job.epoch))
            if seconds is None:
                found.append(self._waiting.pop(job.packet_id))
            elif not job.is_held_back:
                job.is_held_back = True
                extra = {"packet": job.packet_id, "epoch": job.epoch}
                text = "%s is not begun yet: who had it before may be at work for %s seconds"
                log.info(text, job.packet_id, seconds, extra=extra)
        return found

    def pause(self, longest: float) -> float:
        """Return for how long to wait before the next heartbeat, at most *longest* seconds."""
        if not self._waiting:
            self._pause = FIRST_SECONDS
            return longest
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_SECONDS)
        return min(pause, longest)
