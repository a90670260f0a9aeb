"""What open consoles cost the decisions: submissions a second with fifty of them and with none, as a ratio.

Each console is a browser of its own: a stream, and the page asked for anew at every word of it.  They run in a process
of their own, on the same machine, so what they cost themselves is in the ratio.  Rounds alternate.
"""

import asyncio
import contextlib
import json
import multiprocessing
import random
import sys
import tempfile
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / part) for part in (".", "ledger", "api", "tests")]

from support.api_process import Server  # noqa: E402 - after the path

from pfgov.cli.demo.console import populate  # noqa: E402 - after the path

CONSOLES = 50
ROUNDS = 5
SECONDS = 3.0
AT_ONCE = 16


async def _console(client: httpx2.AsyncClient, path: str) -> None:
    tag = ""
    async with client.stream("GET", "/console/events", timeout=None) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                head = str(json.loads(line[5:])["head"])
                headers = {"Pfgov-Fragment": head, "If-None-Match": tag}
                answer = await client.get(path, headers=headers)
                tag = answer.headers.get("etag", tag)


def _consoles(url: str) -> None:
    async def run() -> None:
        limits = httpx2.Limits(max_connections=CONSOLES * 3)
        async with httpx2.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
            paths = (
                "/console/members",
                "/console/overview",
                "/console/assignments",
                "/console/audit",
            )
            await asyncio.gather(*(_console(client, paths[i % 4]) for i in range(CONSOLES)))

    with contextlib.suppress(httpx2.TransportError):
        asyncio.run(run())


async def _rate(url: str, start: int) -> float:
    done = 0
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        began = time.perf_counter()

        async def submit(which: int) -> None:
            nonlocal done
            while time.perf_counter() - began < SECONDS:
                body = {
                    "packet_id": f"b-{start}-{which}-{done}",
                    "workload_type": "w",
                    "hold": True,
                }
                await client.post("/api/packets", json=body)
                done += 1

        await asyncio.gather(*(submit(which) for which in range(AT_ONCE)))
        return done / (time.perf_counter() - began)


def main() -> None:
    """Print the rates and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "ledger")
        server.start()
        try:
            populate(server.url, random.Random(11))
            alone: list[float] = []
            watched: list[float] = []
            for number in range(ROUNDS):
                alone.append(asyncio.run(_rate(server.url, number)))
                crowd = multiprocessing.get_context("spawn").Process(
                    target=_consoles, args=(server.url,)
                )
                crowd.start()
                time.sleep(3)
                watched.append(asyncio.run(_rate(server.url, number + ROUNDS)))
                crowd.kill()
                crowd.join()
                time.sleep(1)
        finally:
            server.stop()
    ratios = sorted(b / a for a, b in zip(alone, watched, strict=True))
    print(json.dumps({"alone": [round(x) for x in alone], "watched": [round(x) for x in watched]}))
    least, middle, most = ratios[0], ratios[len(ratios) // 2], ratios[-1]
    print(f"with {CONSOLES} consoles / with none: {middle:.2f} ({least:.2f} to {most:.2f})")


if __name__ == "__main__":
    main()
