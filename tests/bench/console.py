"""What open consoles cost the decisions: submissions a second with fifty of them and with none, as a ratio.

Each console is a browser of its own: a stream, and the page asked for anew at every word of it.  They run in a process
of their own, on the same machine, so what they cost themselves is in the ratio of rates; what they cost the server is
in the other.  Packets are submitted by the clients of ``make bench-api``.  Rounds alternate.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / part) for part in (".", "ledger", "api", "tests")]

from support.api_process import Server  # noqa: E402 - after the path
from support.http_load import load, submitting  # noqa: E402 - after the path

from pfgov.cli.demo.console import populate  # noqa: E402 - after the path

CONSOLES = 50
SECONDS = 3.0
AT_ONCE = 32


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


def _spent(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _asked(server: Server) -> tuple[float, float]:
    """Submissions a second, and microseconds of the server's processor time for each."""
    if server.process is None:
        raise AssertionError("the server does not run")
    pid = server.process.pid
    before, began = _spent(pid), time.perf_counter()
    found = asyncio.run(load(server.port, submitting("/api"), AT_ONCE, SECONDS))
    done = len(found.taken)
    return done / (time.perf_counter() - began), (_spent(pid) - before) / done * 1e6


def _middle(pairs: list[tuple[float, float]], of: int) -> str:
    ratios = sorted(watched[of] / alone[of] for alone, watched in _rounds(pairs))
    return f"{ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def _rounds(pairs: list[tuple[float, float]]) -> list[tuple[tuple[float, float], ...]]:
    """Rounds, each without consoles and then with them."""
    return [tuple(pairs[at : at + 2]) for at in range(0, len(pairs), 2)]


def main(count: int) -> None:
    """Print the rates of *count* rounds, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "ledger")
        server.start()
        rounds: list[tuple[float, float]] = []
        try:
            populate(server.url, random.Random(11))
            _asked(server)
            for _ in range(count):
                rounds.append(_asked(server))
                crowd = multiprocessing.get_context("spawn").Process(
                    target=_consoles, args=(server.url,)
                )
                crowd.start()
                time.sleep(3)
                rounds.append(_asked(server))
                crowd.kill()
                crowd.join()
                time.sleep(1)
        finally:
            server.stop()
    for name, at in (("alone", 0), ("watched", 1)):
        told = ", ".join(f"{rate:,.0f}/s at {micros:.0f} us" for rate, micros in rounds[at::2])
        print(f"{name:8}{told}")
    print(f"rate with {CONSOLES} consoles / with none: {_middle(rounds, 0)}")
    print(f"processor time of the server a submission, likewise: {_middle(rounds, 1)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
