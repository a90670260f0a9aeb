"""A ledger in PostgreSQL beside one in a file, near and far, and how long a takeover keeps clients waiting:
``make bench-scale``.

Rates: assignments among twenty members by the starter set, signed in a process of its own, durable (``fsync`` is on).
Rounds alternate between the file, a database, and one that waits for the disk of a standby, too; what counts is the
ratio.  Far: submissions over HTTP, each with an idempotency key, to a server whose database is beside it, and to one
whose database is a journey away.  Takeovers: two servers, a client that asks the one that is left for a write, over and
over, from the fault, or the promotion, to the first receipt.  All of it is on one machine, whose cores the servers and
databases share.
"""

import argparse
import asyncio
import itertools
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx2

sys.path.insert(0, str(Path(__file__).parents[1]))

from core import Bench
from support import postgres
from support.api_process import Server, free_port
from support.database_faults import Machine, Round
from support.far import FarRelay
from support.http_load import PACKET, load, request_of

from pfgov.storage import keep_in_database

DURABLE = ("fsync=on",)
SUBMITTERS = (1, 32, 256)
PATIENCE_SECONDS = 120.0


def _database(stack: ExitStack, *, follows: postgres.Server | None = None) -> postgres.Server:
    found = postgres.Server(postgres.server()._binaries, follows=follows, settings=DURABLE)
    stack.callback(found.stop)
    return found


def rates(rounds: int, single: int, many: int) -> dict[str, dict[int, list[float]]]:
    """Return assignments a second, by where the ledger is kept and how many submit."""
    results: dict[str, dict[int, list[float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pfgov-scale-")))
        alone = _database(stack)
        primary = _database(stack)
        _database(stack, follows=primary)
        with postgres.connect_to(primary) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
        keep_in_database(folder / "database", alone.url("l"))
        keep_in_database(folder / "standby", primary.url("l"))
        benches = {
            "a file": Bench(folder / "file", "process"),
            "a database": Bench(folder / "database", "process"),
            "a database with a synchronous standby": Bench(folder / "standby", "process"),
        }
        for bench in benches.values():
            stack.callback(bench.engine.close)
        for _ in range(rounds):
            for name, bench in benches.items():
                mine = results.setdefault(name, {count: [] for count in SUBMITTERS})
                mine[1].append(bench.one_by_one(bench.prepare(single)))
                for count in SUBMITTERS[1:]:
                    mine[count].append(bench.together(bench.prepare(many), count)[0])
    return results


def far(
    rounds: int, clients: int, seconds: float, away: Sequence[float]
) -> dict[float, list[float]]:
    """Return submissions a second, by how many milliseconds a journey to the database and back takes."""
    found: dict[float, list[float]] = {}
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pfgov-far-")))
        servers: dict[float, Server] = {}
        for one in away:
            database = stack.enter_context(postgres.own(port=free_port(), settings=DURABLE))
            port = database.port
            assert port is not None
            if one:
                relay = FarRelay(port, one / 1_000)
                stack.callback(relay.close)
                port = relay.port
            folder = place / f"{one}" / "ledger"
            keep_in_database(folder, f"postgresql://pfgov@127.0.0.1:{port}/postgres#l")
            servers[one] = Server(folder)
            servers[one].start()
            stack.callback(servers[one].stop)
            for number in range(20):
                member = {"id": f"m{number}", "type": "agent", "capabilities": ["ocr"]}
                sent = httpx2.post(
                    f"{servers[one].url}/api/members/register", json={**member, "trust_score": 0.9}
                )
                sent.raise_for_status()
        numbers = itertools.count()

        def draw() -> bytes:
            name = f"p{next(numbers)}"
            return request_of("/api/packets", {**PACKET, "packet_id": name}, f"key-{name}")

        for _ in range(rounds):
            for one, server in servers.items():
                told = asyncio.run(load(server.port, draw, clients, seconds))
                assert set(told.statuses) == {201}, told.statuses
                found.setdefault(one, []).append(len(told.taken) / seconds)
    return found


def _leads(machine: Machine) -> bool:
    try:
        return httpx2.get(f"{machine.url}/api/health/ready", timeout=3).status_code == 200
    except httpx2.TransportError:
        return False


def _follows(machine: Machine) -> bool:
    return not _leads(machine)


def _until(what: Callable[[], bool]) -> float:
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE_SECONDS:
        if what():
            return time.monotonic() - began
        time.sleep(0.02)
    raise TimeoutError("it does not come to hold")


def takeovers(times: int, stopped_seconds: float) -> dict[str, list[float]]:
    """Return the seconds from a fault to the next receipt, by fault."""
    found: dict[str, list[float]] = {}
    number = 0

    def written(machine: Machine) -> bool:
        body = {"packet_id": f"p{number}", "workload_type": "x"}
        key = {"Idempotency-Key": f"key-{number}"}
        try:
            answer = httpx2.post(f"{machine.url}/api/packets", json=body, headers=key, timeout=5)
        except httpx2.TransportError:
            return False
        return answer.status_code == 201

    with tempfile.TemporaryDirectory(prefix="pfgov-scale-") as place:
        servers = Round(Path(place), 0)
        try:
            for machine in servers.machines:
                machine.server.start("live")
            for _ in range(times):
                for fault in ("leader killed", "leader stopped", "primary replaced"):
                    _until(lambda: any(map(_leads, servers.machines)))
                    leader, other = sorted(servers.machines, key=_leads, reverse=True)
                    number += 1
                    if fault == "leader killed":
                        leader.send(signal.SIGKILL)
                        took = _until(partial(written, other))
                        leader.restart()
                    elif fault == "leader stopped":
                        leader.send(signal.SIGSTOP)
                        took = _until(partial(written, other))
                        time.sleep(max(0.0, stopped_seconds - took))
                        leader.send(signal.SIGCONT)
                        _until(partial(_follows, leader))
                    else:
                        servers.lose_primary()
                        took = _until(partial(written, leader))
                        servers.attach_standby()
                    found.setdefault(fault, []).append(took)
        finally:
            servers.close()
    return found


def main() -> None:
    """Run both and print two tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--single", type=int, default=200, help="assignments a round, one by one")
    parser.add_argument("--many", type=int, default=4_000, help="assignments a round, together")
    parser.add_argument(
        "--far", type=float, nargs="*", default=[1.0], help="milliseconds to the database and back"
    )
    parser.add_argument("--takeovers", type=int, default=5, help="of each kind")
    parser.add_argument(
        "--stopped", type=float, default=30.0, help="seconds that a leader stands still"
    )
    given = parser.parse_args()
    if given.rounds:
        results = rates(given.rounds, given.single, given.many)
        print(
            f"{'assignments a second, median':40}"
            + "".join(f"{n:>9}{'of file':>9}" for n in SUBMITTERS)
        )
        for name, mine in results.items():
            line = f"{name:40}"
            for count in SUBMITTERS:
                middle, file = (statistics.median(one[count]) for one in (mine, results["a file"]))
                line += f"{middle:>9,.0f}{middle / file:>9.2f}"
            print(line)
    if given.far:
        print(f"\n{'submissions a second, 32 clients':40}{'median':>9}{'of near':>9}")
        found = far(given.rounds or 3, 32, 5.0, [0.0, *given.far])
        for away, taken in found.items():
            middle, near = statistics.median(taken), statistics.median(found[0.0])
            print(f"{f'the database is {away:g} ms away':40}{middle:>9,.0f}{middle / near:>9.2f}")
    if given.takeovers:
        print(f"\n{'until the next receipt, in seconds':40}{'median':>9}{'longest':>9}{'times':>7}")
        for name, took in takeovers(given.takeovers, given.stopped).items():
            print(f"{name:40}{statistics.median(took):>9.1f}{max(took):>9.1f}{len(took):>7}")


if __name__ == "__main__":
    main()
