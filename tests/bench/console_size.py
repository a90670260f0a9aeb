"""How large and how dear each page of the console is with 1,000 members and 100,000 packets: bytes, and drawn or kept.

Most packets are held, as a queue is; some are placed.  Every page has to stay within 200 kB of HTML.  With arguments:
members, packets, placed packets.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / part) for part in (".", "ledger", "api", "tests")]

from support.api_process import Server  # noqa: E402 - after the path

from pfgov_api.console.site import PAGES  # noqa: E402 - after the path

SIZES = (1_000, 100_000, 2_000)
BYTES_MAX = 200_000
AT_ONCE = 32
QUERIES = (
    "members?region=r1",
    "workloads?all=true",
    "workloads?status=ASSIGNED",
    "audit?outcome=denied",
)


async def _fill(url: str, members: int, packets: int, placed: int) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:

        async def each(path: str, bodies: list[dict[str, object]]) -> None:
            waiting = iter(bodies)

            async def work() -> None:
                for body in waiting:
                    answer = await client.post(path, json=body)
                    answer.raise_for_status()

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))

        await each(
            "/api/members/register",
            [
                {"id": f"agent-{i:04d}", "type": "agent", "capabilities": ["ocr"], "region": f"r{i % 6}/{i % 3}",
                 "capacity": {"cpu": 16, "tasks": 64}, "lease_seconds": 3_600,
                 "trust_score": 0.9}
                for i in range(members)
            ],
        )  # fmt: skip
        await each(
            "/api/packets",
            [
                {"packet_id": f"fp-{i:06d}", "workload_type": "claim-intake", "demand": {"cpu": 0.5},
                 "required_capabilities": ["ocr" if i % 50 else "nobody"], "hold": i >= placed}
                for i in range(packets)
            ],
        )  # fmt: skip


def _measure(url: str) -> list[tuple[str, int, int, float, float]]:
    newest = "/api/ledger/entries?newest=true&limit=1&type=assignment_decision"
    with httpx2.Client(base_url=url, timeout=120) as client:
        seq = client.get(newest).json()["items"][0]["seq"]
        values = {
            "member_id": "agent-0001",
            "packet_id": "fp-000001",
            "capability": "ocr",
            "seq": seq,
        }
        found: list[tuple[str, int, int, float, float]] = []
        for path in (*(one.path.format(**values) for one in PAGES), *QUERIES):
            took: list[float] = []
            answer = client.get("/api/health/live")
            for _ in range(4):
                began = time.perf_counter()
                answer = client.get(f"/console/{path}", headers={"Accept-Encoding": "gzip"})
                took.append(time.perf_counter() - began)
                answer.raise_for_status()
            packed = int(answer.headers.get("content-length", 0))
            found.append((path, len(answer.content), packed, took[0], min(took[1:])))
    return found


def main() -> int:
    """Print a line for each page; return 1 where one is too large."""
    members, packets, placed = map(int, sys.argv[1:4]) if len(sys.argv) > 3 else SIZES
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "ledger")
        server.start()
        try:
            asyncio.run(_fill(server.url, members, packets, placed))
            rows = _measure(server.url)
        finally:
            server.stop()
    print(f"{members} members, {packets} packets, {placed} placed")
    print(f"{'page':44} {'bytes':>8} {'gzip':>7} {'drawn':>9} {'kept':>8}")
    for path, size, packed, first, kept in rows:
        mark = "" if size <= BYTES_MAX else "  TOO LARGE"
        shown = path if len(path) <= 44 else path[:43] + "…"
        print(f"{shown:44} {size:8} {packed:7} {first * 1e3:6.0f} ms {kept * 1e3:5.1f} ms{mark}")
    return int(any(size > BYTES_MAX for _, size, _, _, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
