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


def test_hosting_whoever_lets_what_is_due_happen_keeps_nobody_from_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a commit hangs each tick that was asked for took a thread from all reads, of all ledgers."""
    monkeypatch.setattr(hosting, "PATIENCE_SECONDS", 0.2)
    hangs, is_over = threading.Event(), threading.Event()

    def hang(_: object) -> None:
        hangs.set()
        is_over.wait(30)

    async def ask(host: Host) -> None:
        host.engine.queue.enqueue(Job(hang))
        await asyncio.to_thread(hangs.wait, 30)
        asked = [asyncio.create_task(host.settle()) for _ in range(TOO_MANY)]
        try:
            await asyncio.sleep(0.1)
            async with asyncio.timeout(5):
                assert await asyncio.to_thread(host.reader.head)
                assert await asyncio.gather(*asked) == [False] * TOO_MANY
        finally:
            is_over.set()
            await host.stop()

    with opened(fresh(tmp_path)) as engine:
        asyncio.run(ask(Host(engine)))
