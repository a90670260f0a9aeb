"""One process of a fleet: it works on packets, and writes when it began and ended each into a file of its own.

Times are of the machine's one monotonic clock, so that what several processes wrote can be compared.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pfgov.client import ApiError, AsyncClient, Job, Retry
from pfgov.client.job import Rule


class Diary:
    """Intervals of work, a line each; a line is written at once, so that a crash leaves what came before."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def note(self, what: str, job: Job) -> None:
        """Write that *what* happened to *job* now."""
        line = {
            "at": time.monotonic(),
            "what": what,
            "packet": job.packet_id,
            "epoch": job.epoch,
            "pid": os.getpid(),
        }
        self._file.write(json.dumps(line) + "\n")


async def work(job: Job, diary: Diary, how: str) -> dict[str, Any]:
    """Work on one packet, in the manner of this process."""
    diary.note("begin", job)
    try:
        number = int(job.packet_id.removeprefix("p"))
        if how == "crash" and number % 7 == 3:
            os._exit(1)
        if how == "raise" and number % 5 == 1:
            raise ValueError(job.packet_id)
        if how == "hang" and number % 5 == 2:
            await asyncio.sleep(3_600)
        context = await job.context() or {}
        await job.checkpoint({**context, "seen_by": os.getpid()})
        await asyncio.sleep(0.02)
        return {"packet": job.packet_id, "sum": number * 2}
    finally:
        diary.note("end", job)


async def main(url: str, key: str, member: str, folder: str, how: str) -> int:
    """Live until a signal comes; 3 says that another process lives as this member."""
    diary = Diary(Path(folder) / f"{member}.{os.getpid()}.jsonl")
    retry = Retry(first=0.05, patience=5)
    async with AsyncClient(url, key=key, retry=retry, timeout=2.0) as client:
        mode = "accept" if how == "accept" else "auto"
        about = {"id": member, "type": "worker", "capabilities": ["ocr"], "handoff_mode": mode}
        rule: Rule = "requeue" if how == "raise" else "hand_off"
        worker = client.work(about, lease_seconds=30, attempts=50, on_error=rule)
        try:
            async with worker:
                await worker.run(lambda job: work(job, diary, how), concurrency=4, grace_seconds=2)
        except ApiError as error:
            return 3 if error.code == "member.in_use" else 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
