"""A ledger in one process: what waits for a commit that hangs takes no thread from what does not."""

import asyncio
import threading
from pathlib import Path

import pytest
from support.ledgers import fresh, opened

from pfgov.app import hosting
from pfgov.app.hosting import Host
from pfgov.engine.sequencing.command_queue import Job

TOO_MANY = 40
"""More than there are threads for everybody."""


@pytest.mark.parametrize("what", ["what is due", "an index"])
def test_hosting_whoever_waits_for_a_commit_that_hangs_keeps_nobody_from_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """While a commit hangs each tick that was asked for took a thread from all reads, of all ledgers."""
    monkeypatch.setattr(hosting, "PATIENCE_SECONDS", 0.2)
    hangs, is_over = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        hangs.set()
        is_over.wait(30)

    async def asked_of(host: Host) -> object:
        return await (host.settle() if what == "what is due" else host.commit_index())

    async def ask(hosts: list[Host]) -> None:
        engine = hosts[0].engine
        engine.queue.enqueue(Job(hang))
        await asyncio.to_thread(hangs.wait, 30)
        asked = [asyncio.create_task(asked_of(host)) for host in hosts]
        try:
            await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                assert await asyncio.to_thread(engine.reader.head)
        finally:
            is_over.set()
            await asyncio.gather(*asked)
            for host in hosts:
                await host.stop()

    with opened(fresh(tmp_path)) as engine:
        asyncio.run(ask([Host(engine) for _ in range(TOO_MANY)]))
