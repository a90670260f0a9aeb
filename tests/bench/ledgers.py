"""Many ledgers on one server, measured: ``make bench-ledgers``.

Two starts of a real server over one folder.  The first knows nothing of its ledgers and visits them one by one; some
visits are waited for; the second finds a note beside each.  Then some are opened one by one, and others are kept busy.
Memory is what the kernel counts as resident for the process.  Every ledger is a real one with keys, a genesis and a
policy set in a folder of its own; most are copies of a few, which changes nothing of what is measured.
"""

import argparse
import asyncio
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.api_process import Server

from pfgov.app.tenancy.notes import Note, read_note, write_note
from pfgov.engine import Engine, LedgerReader
from pfgov.storage import open_store
from pfgov_ledger import checkpoint
from pfgov_ledger.note import split

MADE = 4
"""Ledgers that are really made, each with keys of its own; the others are copies."""


def _resident(server: Server) -> float:
    """Return the resident memory of the server, in MiB."""
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _open_files(server: Server) -> int:
    assert server.process is not None
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/fd").iterdir())


def _threads(server: Server) -> int:
    assert server.process is not None
    return sum(1 for _ in Path(f"/proc/{server.process.pid}/task").iterdir())


def _make(folder: Path, count: int) -> None:
    for number in range(MADE):
        Engine.create(open_store(folder / f"made-{number}")).close()
    for number in range(count - MADE):
        shutil.copytree(folder / f"made-{number % MADE}", folder / f"t-{number:05d}")


def _metrics(server: Server) -> dict[str, float]:
    lines = httpx2.get(f"{server.url}/metrics", timeout=60).text.splitlines()
    found = (line.split() for line in lines if line.startswith("pfgov_ledgers"))
    return {name: float(value) for name, value in found}


def _wait_for_visits(server: Server, count: int) -> tuple[float, float]:
    """Wait until *count* ledgers were visited; return how many a second were, and how long each was opened for."""
    began = time.monotonic()
    while (found := _metrics(server))["pfgov_ledgers_visits_total"] < count:
        time.sleep(1)
    visits = found["pfgov_ledgers_visits_total"]
    opening = found["pfgov_ledgers_opening_milliseconds_total"]
    return visits / (time.monotonic() - began), opening / visits


def _leave_notes(shelf: Path, names: list[str]) -> None:
    """Leave beside each ledger that was not visited the note that a visit would have left."""
    heads = {}
    for name in names:
        directory = shelf / name
        store = open_store(directory)
        stamp, note = store.stamp(), read_note(directory)
        if stamp is None or (note is not None and note.stamp == stamp):
            continue
        origin = (directory / "anchor.txt").read_text()
        if origin not in heads:
            with LedgerReader(store) as reader:
                heads[origin] = checkpoint.parse_text(split(reader.head().note)[0])
        head = heads[origin]
        write_note(directory, Note(stamp, head.origin, head.size, head.root.hex(), None))


async def _write(client: httpx2.AsyncClient, name: str, members: int, until: float) -> list[float]:
    """Register members in one ledger, one after the other and at least one; return how long each took."""
    took: list[float] = []
    while not took or time.monotonic() < until:
        body = {
            "id": f"m{members + len(took)}",
            "type": "agent",
            "capabilities": [],
            "region": "eu",
        }
        began = time.perf_counter()
        answer = await client.post(f"/l/{name}/api/members/register", json=body)
        while answer.status_code == 503:  # so many wait to be opened: come back, as the answer says
            await asyncio.sleep(float(answer.headers["retry-after"]))
            answer = await client.post(f"/l/{name}/api/members/register", json=body)
        took.append(time.perf_counter() - began)
        assert answer.status_code == 201, (name, answer.text)
    return took


async def _busy(
    url: str, names: list[str], seconds: float
) -> tuple[list[float], list[float], float]:
    """Keep *names* busy; return how long the first write of each took, how long later ones, and how many a second."""
    limits = httpx2.Limits(max_connections=len(names), max_keepalive_connections=len(names))
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        first = await asyncio.gather(*(_write(client, name, 0, 0.0) for name in names))
        members = max(map(len, first))
        began = time.monotonic()
        later = await asyncio.gather(
            *(_write(client, name, members, began + seconds) for name in names)
        )
        wall = time.monotonic() - began
    return (
        [one[0] for one in first],
        [one for each in later for one in each],
        sum(map(len, later)) / wall,
    )


def _one_by_one(url: str, names: list[str]) -> list[float]:
    """Return how long the first answer of each ledger at rest took, asked one after the other."""
    took: list[float] = []
    with httpx2.Client(base_url=url, timeout=60) as client:
        for name in names:
            began = time.perf_counter()
            answer = client.get(f"/l/{name}/api/status")
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
    return took


def _said(of: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    print(
        f"  {of:42} median {statistics.median(ordered) * 1_000:7.1f} ms   p99 {p99 * 1_000:7.1f} ms"
        f"   most {ordered[-1] * 1_000:7.1f} ms   n {len(ordered)}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=10_000)
    parser.add_argument("--busy", type=int, default=200)
    parser.add_argument("--visits", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--folder", type=Path, help="where to make them; a temporary folder by default"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        (shelf := folder / "ledgers").mkdir()
        began = time.monotonic()
        _make(shelf, options.ledgers)
        print(
            f"{options.ledgers} ledgers, {options.busy} busy  (made in {time.monotonic() - began:.0f} s)"
        )
        _measure(folder, shelf, options)


def _measure(folder: Path, shelf: Path, options: argparse.Namespace) -> None:
    names = sorted(one.name for one in shelf.iterdir())
    alone = Server(folder / "default")
    alone.start()
    base = _resident(alone)
    alone.terminate()
    server = Server(folder / "default", "--ledgers", str(shelf))
    began = time.monotonic()
    server.start()
    print(f"  first start, nothing known: ready in {time.monotonic() - began:.2f} s")
    rate, opening = _wait_for_visits(server, min(options.visits, options.ledgers))
    print(
        f"  visits beside everything else: {rate:.1f} a second (one at a time, two thirds of it waiting); "
        f"opening took {opening:.1f} ms each"
    )
    server.terminate()
    _leave_notes(shelf, names)
    began = time.monotonic()
    server.start()
    ready = time.monotonic() - began
    time.sleep(2)
    idle = _resident(server)
    visits = _metrics(server)["pfgov_ledgers_visits_total"]
    print(f"  second start, all at rest: ready in {ready:.2f} s, {visits:.0f} visits")
    print(
        f"  memory: one ledger alone {base:.1f} MiB; with all at rest {idle:.1f} MiB: "
        f"{(idle - base) * 1_024 / options.ledgers:.2f} KiB for each"
    )
    _said("one at rest, asked for, alone", _one_by_one(server.url, names[-50:]))
    busy = names[: options.busy]
    first, later, rate = asyncio.run(_busy(server.url, busy, options.seconds))
    _said(f"{options.busy} at rest, asked for at once: first write", first)
    _said(f"{options.busy} busy, each with one writer", later)
    full = _resident(server)
    opened = int(_metrics(server)["pfgov_ledgers_open"])
    print(f"  durable, signed writes a second over all of them: {rate:.0f}")
    print(
        f"  memory with {opened} open: {full:.1f} MiB, {(full - idle) / max(opened, 1):.2f} MiB for each; "
        f"{_open_files(server)} open files, {_threads(server)} threads"
    )
    status, seconds = server.terminate()
    print(f"  told to end with {opened} open: {seconds:.2f} s, status {status}")


if __name__ == "__main__":
    main()
