"""The ends of jobs that a worker owes its server: each is said once, now or as soon as the server answers again."""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from typing import Any, Protocol

from pfgov.client.core import TRANSIENT, Recorded
from pfgov.client.job import ERROR, Job
from pfgov.client.refusals import ApiError, EscalatedError

log = logging.getLogger("pfgov.client")


class Writes(Protocol):
    """What is needed of a worker."""

    async def act(
        self, job: Job, verb: str, body: Mapping[str, Any], key: str | None = None
    ) -> Recorded:
        """Write to the packet of *job* as its owner."""
        ...

    def forget(self, job: Job) -> None:
        """Hold *job* no longer."""
        ...

    def poke(self) -> None:
        """Let the next heartbeat be sent at once: what is owed is tried again after it."""
        ...


class Owed:
    """Writes that end jobs of one worker and have not been answered."""

    def __init__(self, worker: Writes) -> None:
        """Take who writes."""
        self._worker = worker
        self._owed: dict[str, tuple[Job, str, Mapping[str, Any], str]] = {}

    def __len__(self) -> int:
        return len(self._owed)

    async def put_down(self, job: Job, verb: str, body: Mapping[str, Any]) -> None:
        """End a job by a write that is made now, or after a heartbeat that is answered; it is said once."""
        extra = {"packet": job.packet_id, "epoch": job.epoch, "reason": body.get("reason")}
        log.warning("%s of %s: %s", verb, job.packet_id, body.get("reason"), extra=extra)
        self._owed[job.packet_id] = (job, verb, body, uuid.uuid4().hex)
        await self.pay()

    async def pay(self) -> None:
        """Make the writes that are owed."""
        for packet_id, (job, verb, body, key) in list(self._owed.items()):
            if job.lost is not None or job.ended:
                self._owed.pop(packet_id, None)
                continue
            try:
                done = await self._unless_lost(job, verb, body, key)
            except TRANSIENT:
                return
            except EscalatedError as error:
                self._owed.pop(packet_id, None)
                job.escalated, job.is_kept = error.position, True
                continue
            except ApiError as error:
                self._owed.pop(packet_id, None)
                self._cannot_put_down(job, verb, error)
                continue
            self._owed.pop(packet_id, None)
            if done is None:
                continue
            if verb == "handoff" and "handoff" in done.result:
                job.handoff, job.is_kept = done.result["handoff"], True
            else:
                job.ended = True
                self._worker.forget(job)

    async def _unless_lost(
        self, job: Job, verb: str, body: Mapping[str, Any], key: str
    ) -> Recorded | None:
        """Return what a write came to; None if its answer is not waited for any more: the packet is another's then."""
        writing = asyncio.create_task(self._worker.act(job, verb, body, key))
        lost = asyncio.create_task(job.gone.wait())
        try:
            await asyncio.wait({writing, lost}, return_when=asyncio.FIRST_COMPLETED)
            return writing.result() if writing.done() else None
        finally:
            for task in (writing, lost):
                task.cancel()
            await asyncio.gather(writing, lost, return_exceptions=True)

    def _cannot_put_down(self, job: Job, verb: str, error: ApiError) -> None:
        if error.code.startswith("ownership.") or verb == "requeue":
            job.lose(error.message)
            return
        log.warning("%s of %s is refused: %s", verb, job.packet_id, error.message)
        reason = {"reason": f"{ERROR}{verb} was refused", "elsewhere": True}
        self._owed[job.packet_id] = (job, "requeue", reason, uuid.uuid4().hex)
        self._worker.poke()
