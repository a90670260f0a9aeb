"""``make bench-api``: the governed route beside one that only parses and echoes, as ratios of one interleaved run.

Both routes are Litestar's, in one uvicorn worker each, asked by the same load generator; the rounds alternate, so that
a busy machine slows both.  A governed request is a packet submitted and assigned: judged, signed and on disk (fsync)
before it is answered.  Then: overload, and memory after many assignments (``--memory``).
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]

from support.api_process import Server, free_port  # noqa: E402 - found through the line above

PACKET = {
    "workload_type": "scan",
    "required_capabilities": ["ocr"],
    "labels": {"team": "red"},
    "priority": 3,
}


def echo(port: int) -> None:
    """Serve the echo route: Litestar's own way of reading and answering a packet."""
    import uvicorn
    from litestar import Litestar, post

    from pfgov.model import FlightPacket

    @post("/echo", status_code=201)
    async def handle(data: FlightPacket) -> dict[str, Any]:
        return data.wire()

    uvicorn.run(
        Litestar([handle], openapi_config=None), port=port, log_level="error", access_log=False
    )


async def _connection(
    port: int, path: str, stop: float, taken: list[float], statuses: dict[int, int]
) -> None:
    """One client on one connection, as light as can be: the load generator shares the machine."""
    body = json.dumps(PACKET).encode()
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{length}"
    request = head.encode() + body
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < stop:
            start = time.perf_counter()
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            status = int(answer[9:12])
            size = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(size)
            statuses[status] = statuses.get(status, 0) + 1
            if status < 400:
                taken.append(time.perf_counter() - start)
            if b"connection: close" in answer.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        statuses[0] = statuses.get(0, 0) + 1


async def load(
    port: int, path: str, clients: int, seconds: float
) -> tuple[list[float], dict[int, int]]:
    """Ask for *seconds* from *clients* connections; return the latencies and the statuses."""
    taken: list[float] = []
    statuses: dict[int, int] = {}
    stop = time.perf_counter() + seconds
    await asyncio.gather(*(_connection(port, path, stop, taken, statuses) for _ in range(clients)))
    return taken, statuses


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


def compare(server: Server, echo_port: int, rounds: int, seconds: float) -> None:
    """Print the rows: clients, requests a second of each, their ratio, p50 and p99 of each."""
    print(
        f"{'clients':>7} {'echo/s':>8} {'governed/s':>10} {'ratio':>6}  echo p50/p99 ms   governed p50/p99 ms"
    )
    for clients in (1, 32, 256):
        both: dict[str, list[list[float]]] = {"/echo": [], "/api/packets": []}
        for _ in range(rounds):
            for path, port in (("/echo", echo_port), ("/api/packets", server.port)):
                both[path].append(asyncio.run(load(port, path, clients, seconds))[0])
        rates = {
            path: statistics.median(len(one) / seconds for one in found)
            for path, found in both.items()
        }
        shown = [_percentiles([t for one in found for t in one]) for found in both.values()]
        ratio = rates["/api/packets"] / rates["/echo"]
        columns = f"{clients:7} {rates['/echo']:8.0f} {rates['/api/packets']:10.0f} {ratio:6.2f}"
        print(f"{columns}  {shown[0]:>16}  {shown[1]:>20}")


def _percentiles(taken: list[float]) -> str:
    if len(taken) < 2:
        return "-"
    cuts = statistics.quantiles(taken, n=100)
    return f"{cuts[49] * 1e3:.1f} / {cuts[98] * 1e3:.1f}"


def overload(server: Server, seconds: float) -> None:
    """Print what more clients than the server admits get, and that it recovers."""
    _, statuses = asyncio.run(load(server.port, "/api/packets", 1_400, seconds))
    _, after = asyncio.run(load(server.port, "/api/packets", 8, 1))
    print(
        f"overload, 1,400 clients: {dict(sorted(statuses.items()))}; afterwards, 8 clients: {after}"
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
