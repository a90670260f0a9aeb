"""``make bench-api``: the governed route beside one that only parses and echoes, as ratios of one interleaved run.

Both routes are Litestar's, in one uvicorn worker each, asked by the same load generator; the rounds alternate, so that
a busy machine slows both.  A governed request is judged, signed and on disk (fsync) before it is answered: a packet
submitted and assigned (two entries), or one that was held before and is assigned now (one entry).  Then: overload, and
memory after many assignments (``--memory``).
"""

import argparse
import asyncio
import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from support.api_process import Server, free_port  # noqa: E402 - found through the line above
from support.http_load import PACKET, Draw, load, request_of, submitting  # noqa: E402 - found through the line above

ASSIGNED_PER_SECOND_MAX = 5_000
"""Packets held for each second of a round; more than can be assigned in it."""


def echo(port: int) -> None:
    """Serve the echo route: Litestar's own way of reading and answering a packet."""
    import uvicorn
    from litestar import Litestar, post

    from pfgov.model import FlightPacket, Placement

    @post("/echo/packets", status_code=201)
    async def submitted(data: FlightPacket) -> dict[str, Any]:
        return data.wire()

    @post("/echo/packets/{packet_id:str}/assign", status_code=200)
    async def assigned(packet_id: str, data: Placement) -> dict[str, Any]:
        return {"packet_id": packet_id, **data.wire()}

    app = Litestar([submitted, assigned], openapi_config=None)
    uvicorn.run(app, port=port, log_level="error", access_log=False)


def _rss(pid: int) -> float:
    """Resident memory of a process and its children, in MiB."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(
                line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line
            )
        except OSError:
            continue
        if pid in {int(lines["Pid"]), int(lines["PPid"])}:
            total += int(lines.get("VmRSS", "0 kB").split()[0]) / 1024
    return total


def _register(server: Server, members: int) -> None:
    from pfgov.client import Client

    with Client(server.url) as client:
        for number in range(members):
            client.register(
                {"id": f"m{number}", "type": "agent", "capabilities": ["ocr"], "trust_score": 0.95}
            )


def assigning(prefix: str, names: Iterator[str]) -> Draw:
    """Assign the next of the packets that are held."""

    def draw() -> bytes | None:
        name = next(names, None)
        return None if name is None else request_of(f"{prefix}/packets/{name}/assign", {})

    return draw


def taken_from(held: deque[str]) -> Iterator[str]:
    """Take one name after the other, until none is left."""
    while held:
        yield held.popleft()


async def hold(url: str, names: Sequence[str]) -> None:
    """Submit packets that wait to be assigned."""
    from pfgov.client import AsyncClient

    left = iter(names)

    async def submit(client: AsyncClient) -> None:
        for name in left:
            await client.submit({**PACKET, "packet_id": name, "hold": True})

    async with AsyncClient(url) as client:
        await asyncio.gather(*(submit(client) for _ in range(64)))


def compare(server: Server, echo_port: int, rounds: int, seconds: float) -> None:
    """Print the rows: clients, requests a second of each, their ratio, p50 and p99 of each."""
    drawn = (f"held-{number:07}" for number in itertools.count())
    held: deque[str] = deque()  # what a round leaves waits for the next
    print(
        f"{'':8} {'clients':>7} {'echo/s':>8} {'governed/s':>10} {'ratio':>6}  echo p50/p99 ms   governed p50/p99 ms"
    )
    for name, clients in itertools.product(("submit", "assign"), (1, 32, 256)):
        rates: list[tuple[float, float]] = []
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            if name == "assign":
                missing = round(seconds * ASSIGNED_PER_SECOND_MAX) - len(held)
                more = list(itertools.islice(drawn, missing))
                asyncio.run(hold(server.url, more))
                held += more
            draws = (
                (submitting("/echo"), submitting("/api"))
                if name == "submit"
                else (
                    assigning("/echo", itertools.cycle([*held])),
                    assigning("/api", taken_from(held)),
                )
            )
            sides = zip((echo_port, server.port), draws, taken, strict=True)
            rate: list[float] = []
            for port, draw, all_taken in sides:
                start = time.perf_counter()
                found = asyncio.run(load(port, draw, clients, seconds))
                rate.append(len(found.taken) / (time.perf_counter() - start))
                all_taken.extend(found.taken)
            rates.append((rate[0], rate[1]))
        echo_rate, governed = (statistics.median(side) for side in zip(*rates, strict=True))
        ratio = statistics.median(one / other for other, one in rates)
        columns = f"{name:8} {clients:7} {echo_rate:8.0f} {governed:10.0f} {ratio:6.2f}"
        print(f"{columns}  {_percentiles(taken[0]):>16}  {_percentiles(taken[1]):>20}", flush=True)


def _percentiles(taken: list[float]) -> str:
    if len(taken) < 2:
        return "-"
    cuts = statistics.quantiles(taken, n=100)
    return f"{cuts[49] * 1e3:.1f} / {cuts[98] * 1e3:.1f}"


def overload(server: Server, seconds: float) -> None:
    """Print what more clients than the server admits get, and that it recovers."""
    during = asyncio.run(load(server.port, submitting("/api"), 1_400, seconds)).statuses
    after = asyncio.run(load(server.port, submitting("/api"), 8, 1)).statuses
    print(
        f"overload, 1,400 clients: {dict(sorted(during.items()))}; afterwards, 8 clients: {after}"
    )


async def _finish(server: Server, count: int) -> None:
    """Submit and complete *count* packets, 32 at a time."""
    from pfgov.client import AsyncClient

    async with AsyncClient(server.url) as client:
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                done = await client.submit(PACKET)
                if done.result.get("owner"):
                    claim = {
                        "member_id": done.result["owner"],
                        "incarnation": 1,
                        "epoch": done.result["epoch"],
                    }
                    await client.act(done.result["packet_id"], "complete", claim)

        jobs: list[Awaitable[None]] = [worker() for _ in range(32)]
        await asyncio.gather(*jobs)


def memory(folder: Path, first: int, last: int) -> None:
    """Print the server's memory after *first* and after *last* assignments, all completed."""
    server = Server(folder / "memory")
    server.start()
    try:
        _register(server, 8)
        assert server.process is not None
        asyncio.run(_finish(server, first))
        small = _rss(server.process.pid)
        asyncio.run(_finish(server, last - first))
        large = _rss(server.process.pid)
    finally:
        server.terminate()
    print(
        f"memory after {first:,} and {last:,} assignments: {small:.0f} and {large:.0f} MiB, ratio {large / small:.2f}"
    )


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--memory", type=int, nargs=2, metavar=("FIRST", "LAST"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pfgov-bench-") as name:
        folder = Path(name)
        if given.memory:
            memory(folder, *given.memory)
            return
        port = free_port()
        run: Callable[[int], None] = echo
        other = multiprocessing.get_context("spawn").Process(target=run, args=(port,), daemon=True)
        other.start()
        server = Server(folder / "ledger")
        server.start()
        try:
            _register(server, 8)
            compare(server, port, given.rounds, given.seconds)
            overload(server, given.seconds)
        finally:
            other.terminate()
            server.terminate()


if __name__ == "__main__":
    main()
