"""A fleet at work while processes are started twice, cut off, crash, raise and hang, and the server is killed twice.

Each process writes when it worked on what.  Afterwards it is checked that no two worked on one packet for longer
than the skew of a lease, that every packet ended, and that every result is its submitter's and nobody else's.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_process import PATIENCE_SECONDS, ROOT, Server
from support.balanced import Balanced
from support.cutting import Relay
from support.ledgers import fresh

from pfgov.client import ApiError, Client, DeniedError, Retry
from pfgov.client.lease import SKEW_SHARE
from pfgov.clock import SystemClock
from pfgov_api.keyring import FILE, KeyRing

pytestmark = pytest.mark.process

LEASE = 3
SKEW = LEASE / SKEW_SHARE
"""For so long two may work on one packet: whoever loses it in a handoff hears of it after it has happened."""
PROGRESS = 6
"""For so long a job may stand still: one that hangs is given up, and one on a busy machine is not."""
MEMBERS = {
    "steady": "steady",
    "cut": "steady",
    "crashes": "crash",
    "raises": "raise",
    "hangs": "hang",
    "accepts": "accept",
}
"""What each member's process does."""


class Fleet:
    """Processes of workers, and what they wrote."""

    def __init__(self, folder: Path, keys: dict[str, str]) -> None:
        self.folder = folder
        self.keys = keys
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, member: str, url: str) -> "subprocess.Popen[bytes]":
        """Start a process that works as *member*."""
        paths = (".", "ledger", "api", "tests")
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / p) for p in paths)}
        arguments = [url, self.keys[member], member, str(self.folder), MEMBERS[member]]
        with (self.folder / "workers.err").open("ab") as errors:
            found = subprocess.Popen(
                [sys.executable, "-m", "support.fleet_worker", *arguments], env=env, stderr=errors
            )
        self.processes.append(found)
        return found

    def stop(self) -> None:
        """End all of them."""
        for one in self.processes:
            one.terminate()
        for one in self.processes:
            try:
                one.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                one.kill()

    def intervals(self) -> dict[str, list[tuple[float, float, int, int]]]:
        """Return for each packet when which process worked on it, and under which epoch."""
        found: dict[str, list[tuple[float, float, int, int]]] = defaultdict(list)
        for path in self.folder.glob("*.jsonl"):
            begun: dict[tuple[str, int], float] = {}
            for line in path.read_text().splitlines():
                one = json.loads(line)
                name = (one["packet"], one["epoch"])
                if one["what"] == "begin":
                    assert name not in begun, f"{name} was begun twice in one process"
                    begun[name] = one["at"]
                else:
                    found[one["packet"]].append((begun.pop(name), one["at"], one["pid"], name[1]))
            pid = int(path.name.split(".")[1])
            for (packet, epoch), at in begun.items():  # the process crashed at once
                found[packet].append((at, at, pid, epoch))
        return found


@pytest.fixture
def served(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Server | Balanced, dict[str, str]]]:
    """A server that wants keys, or two of them on one database behind a balancer, and the keys."""
    is_balanced = request.param == "two-servers"
    directory = Balanced.place(tmp_path) if is_balanced else fresh(tmp_path)
    keyring = KeyRing(directory / FILE)
    scopes = {name: (f"member:{name}",) for name in MEMBERS}
    scopes |= {"operator": ("operator", "assessor"), "one": ("submitter",), "two": ("submitter",)}
    now = SystemClock().now()
    keys = {
        name: keyring.create(scope, now=now, draw=os.urandom)[1] for name, scope in scopes.items()
    }
    server = Balanced(directory) if is_balanced else Server(directory)
    try:
        server.start()
        yield server, keys
    finally:
        server.stop()


def _speak(server: Server | Balanced, key: str) -> Client:
    return Client(server.url, key=key, retry=Retry(patience=60))


@pytest.mark.parametrize(
    ("served", "count"),
    [
        ("a server", 60),
        pytest.param("a server", 500, marks=pytest.mark.long),
        pytest.param("two-servers", 60, marks=pytest.mark.long),
    ],
    indirect=["served"],
)
def test_a_fleet_loses_nothing_and_does_nothing_twice(
    served: tuple[Server | Balanced, dict[str, str]], tmp_path: Path, count: int
) -> None:
    """Two processes work on one packet at once beyond the skew, a packet is lost, or a result is another's to read."""
    server, keys = served
    began = time.monotonic()
    fleet, relay = Fleet(tmp_path, keys), Relay(server.port)
    try:
        with _speak(server, keys["operator"]) as operator:
            for name in MEMBERS:  # by somebody else, with a lease that no worker was told
                mode = "accept" if name == "accepts" else "auto"
                about = {"id": name, "type": "worker", "capabilities": ["ocr"], "trust_score": 0.9,
                         "region": "us-east", "lease_seconds": LEASE, "handoff_mode": mode,
                         "capacity": {"tasks": 8}}  # fmt: skip
                operator.register(about)
            cut_url = f"http://127.0.0.1:{relay.port}"
            urls = {name: cut_url if name == "cut" else server.url for name in MEMBERS}
            for name in MEMBERS:
                fleet.start(name, urls[name])
            _submit(server, keys, 0, count // 2)
            seconds = [fleet.start(name, urls[name]) for name in ("steady", "raises")]
            assert [one.wait(PATIENCE_SECONDS) for one in seconds] == [3, 3]
            _wait_for(operator, count // 6)
            relay.cut()
            _hand_over_everything(operator)
            server.kill()
            server.start()
            _submit(server, keys, count // 2, count)
            _wait_for(operator, count // 2)
            relay.mend()
            server.kill()
            server.start()
            _finish(operator, fleet, urls)
        fleet.stop()
        overlap, attempts = _check_intervals(fleet, count)
        _check_results(server, keys, count)
        took = time.monotonic() - began
        print(
            f"{count} packets, {attempts} jobs, {took:.0f} s, largest overlap {overlap * 1_000:.0f} ms"
        )
    finally:
        fleet.stop()
        relay.close()


def _submit(server: Server | Balanced, keys: dict[str, str], start: int, stop: int) -> None:
    for who, offset in (("one", 0), ("two", 1)):
        with _speak(server, keys[who]) as client:
            for number in range(start + offset, stop, 2):
                body = {
                    "packet_id": f"p{number}",
                    "workload_type": "scan",
                    "demand": {"tasks": 1},
                    "progress_seconds": PROGRESS,
                    "context_checkpoint": {"step": "begin"},
                }
                client.submit(body, key=f"submit-{number}")


def _packets(operator: Client) -> list[dict[str, Any]]:
    answer = operator.get("/api/packets", all="true")
    found = list(answer["items"])
    while "next" in answer:
        answer = operator.get("/api/packets", all="true", after=answer["next"])
        found += answer["items"]
    return found


class _Patience:
    """Ends when nothing more was completed for as long as that: how long all of it takes is the machine's."""

    def __init__(self) -> None:
        self._completed = -1
        self._deadline = 0.0

    def allows(self, packets: list[dict[str, Any]]) -> bool:
        """Whether to wait on, now that the *packets* stand so."""
        completed = _completed(packets)
        if completed > self._completed:
            self._completed, self._deadline = completed, time.monotonic() + PATIENCE_SECONDS
        return time.monotonic() < self._deadline


def _completed(packets: list[dict[str, Any]]) -> int:
    return sum(one["status"] == "COMPLETED" for one in packets)


def _wait_for(operator: Client, count: int) -> None:
    patience = _Patience()
    while patience.allows(found := _packets(operator)):
        if _completed(found) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"fewer than {count} packets were completed, and no more")


def _hand_over_everything(operator: Client) -> None:
    """Move what is owned to the member that accepts, while its owners save their progress."""
    for one in _packets(operator):
        if one["status"] == "ASSIGNED" and one["current_owner"] != "accepts":
            try:
                operator.act(one["packet_id"], "handoff", {"target": "accepts"})
            except DeniedError:
                continue  # it has no room for more
            except ApiError as error:
                if error.status not in {403, 409}:
                    raise


def _finish(operator: Client, fleet: Fleet, urls: dict[str, str]) -> None:
    """Let everything end; whoever crashed is started again, as a supervisor does."""
    patience = _Patience()
    while patience.allows(found := _packets(operator)):
        alive = {tuple(one.args)[5] for one in fleet.processes if one.poll() is None}  # type: ignore[arg-type]
        if "crashes" not in alive:
            fleet.start("crashes", urls["crashes"])
        waiting = [one for one in found if one["status"] != "COMPLETED"]
        if not waiting:
            return
        time.sleep(0.3)
    shown = [(one["packet_id"], one["status"], one["waiting"]) for one in waiting]
    raise AssertionError(f"{len(waiting)} packets did not end: {shown[:5]}")


def _check_intervals(fleet: Fleet, count: int) -> tuple[float, int]:
    """Return for how long two worked on one packet at most, in seconds, and how many jobs there were."""
    found = fleet.intervals()
    assert len(found) == count
    overlap = 0.0
    for packet, intervals in found.items():
        ordered = sorted(intervals)
        for (_, end, one, before), (begin, _, other, after) in itertools.pairwise(ordered):
            assert begin >= end - SKEW, f"{packet}: {other} began before {one} had ended"
            assert after > before, f"{packet}: epoch {after} after {before}"
            overlap = max(overlap, end - begin)
    return overlap, sum(map(len, found.values()))


def _check_results(server: Server | Balanced, keys: dict[str, str], count: int) -> None:
    readers = {who: _speak(server, keys[who]) for who in ("one", "two", "operator", "steady")}
    for number in range(count):
        owner = "one" if number % 2 == 0 else "two"
        named = f"p{number}"
        assert readers[owner].result(named) == {"packet": named, "sum": number * 2}
        if number < 6:
            for who in readers.keys() - {owner}:
                with pytest.raises(ApiError) as refused:
                    readers[who].result(named)
                assert refused.value.status == 403
    for one in readers.values():
        one.close()
