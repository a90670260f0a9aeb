"""A stream of events that goes through a balancer: two servers behind it take over from each other while it is read."""

import asyncio
import threading
from pathlib import Path

import pytest
from support.balanced import Balanced

from pfgov.client import AsyncClient, Client, Retry

pytestmark = [pytest.mark.process, pytest.mark.long]

WRITTEN = 60
PATIENCE_SECONDS = 120.0


def test_a_stream_is_read_through_takeovers(tmp_path: Path) -> None:
    """Whoever resumes a stream at the other server misses an entry, gets one twice, or is told that it is ahead."""
    server = Balanced(Balanced.place(tmp_path))
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with Client(server.url, retry=Retry(patience=PATIENCE_SECONDS), timeout=10) as client:
                for number in range(WRITTEN):
                    body = {"packet_id": f"p{number}", "workload_type": "x"}
                    client.submit(body, key=f"key-{number}")
                    if number in {WRITTEN // 3, 2 * WRITTEN // 3}:
                        server.kill()
                        server.start()
        except BaseException as error:  # told below
            failures.append(error)

    async def read() -> tuple[list[int], set[str]]:
        positions: list[int] = []
        created: set[str] = set()
        async with AsyncClient(server.url, retry=Retry(patience=PATIENCE_SECONDS)) as client:
            async for event in client.events(after=0):
                positions.append(event.position)
                if event.type == "packet_created":
                    created.add(event.data["subject"])
                if len(created) == WRITTEN or failures:
                    break
        return positions, created

    try:
        server.start()
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        positions, created = asyncio.run(asyncio.wait_for(read(), 2 * PATIENCE_SECONDS))
        writer.join(PATIENCE_SECONDS)
    finally:
        server.stop()
    assert not failures, failures[0]
    assert positions == list(range(1, len(positions) + 1))
    assert created == {f"packet/p{number}" for number in range(WRITTEN)}
