"""Two servers share many ledgers: each has its part, and whatever is killed or drained, nothing promised is lost."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from support import postgres
from support.api_process import Server
from support.commandline import spawn
from support.waiting import until

from pfgov.client import Client, Retry
from pfgov.engine import Engine, LedgerReader, Options
from pfgov.storage import keep_in_database, open_store
from pfgov_api.keyring import FILE, KeyRing
from pfgov_ledger.entry import parse

pytestmark = pytest.mark.process

NAMES = tuple(f"tenant-{i}" for i in range(10))
PATIENCE_SECONDS = 240


class Pair:
    """Two servers, each with a folder of its own, and the keys of their ledgers."""

    def __init__(self, folder: Path, database: postgres.Server) -> None:
        self.keys: dict[str, str] = {}
        home = folder / "a"
        for name in ("", *NAMES):
            made = home / "ledgers" / name if name else home / "ledger"
            keep_in_database(made, database.url(name or "default"))
            Engine.create(open_store(made), options=Options()).close()
            scopes = ("operator",) if name else ("admin", "operator")
            _, self.keys[name] = KeyRing(made / FILE).create(scopes, now=1)
        shutil.copytree(home, folder / "b")
        self.a, self.b = (
            Server(folder / one / "ledger", "--ledgers", str(folder / one / "ledgers"))
            for one in "ab"
        )

    def states(self, server: Server) -> dict[str, str]:
        """How each ledger stands at *server*; nothing where it does not answer."""
        headers = {"Authorization": f"Bearer {self.keys['']}"}
        try:
            answer = httpx2.get(f"{server.url}/api/ledgers", headers=headers, timeout=5)
        except httpx2.TransportError:
            return {}
        assert answer.status_code == 200, answer.text
        return {one["name"]: one["state"] for one in answer.json()["items"]}

    def led(self, server: Server) -> set[str]:
        """Which ledgers *server* writes."""
        return {name for name, state in self.states(server).items() if state == "open"}

    def are_shared(self) -> bool:
        """Whether each ledger is written by one server, and each server writes some."""
        at_a, at_b = self.led(self.a), self.led(self.b)
        return bool(at_a and at_b) and not at_a & at_b and at_a | at_b == set(NAMES)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Both servers, running."""
    found = Pair(tmp_path, postgres.server())
    try:
        found.a.start()
        found.b.start("live")
        yield found
    finally:
        for one in (found.a, found.b):
            one.stop()


def _until(what: Callable[[], Any]) -> float:
    return until(what, PATIENCE_SECONDS)


class Load:
    """Clients that write to every ledger through both servers, and remember what they were promised."""

    def __init__(self, pair: Pair) -> None:
        self.acknowledged: dict[str, dict[str, int]] = {name: {} for name in NAMES}
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(at, server, pair.keys))
            for at, server in enumerate((pair.a, pair.b))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, at: int, server: Server, keys: dict[str, str]) -> None:
        try:
            patience = Retry(patience=PATIENCE_SECONDS)
            clients = {
                name: Client(f"{server.url}/l/{name}", key=keys[name], retry=patience, timeout=10)
                for name in NAMES
            }
            count = 0
            while not self._stop.is_set():
                name, packet = NAMES[count % len(NAMES)], f"p{at}-{count}"
                body = {"packet_id": packet, "workload_type": "x"}
                done = clients[name].submit(body, key=f"key-{packet}")
                assert done.position is not None
                self.acknowledged[name][packet] = done.position
                count += 1
                time.sleep(0.02)
            for client in clients.values():
                client.close()
        except BaseException as error:  # told by the test
            self.failures.append(error)

    def go_on(self, by: int = 1) -> float:
        """Wait until more is acknowledged in every ledger."""
        wanted = {name: len(done) + by for name, done in self.acknowledged.items()}

        def enough() -> bool:
            return all(len(self.acknowledged[name]) >= least for name, least in wanted.items())

        took = _until(lambda: self.failures or enough())
        assert not self.failures, self.failures[0]
        return took


def test_servers_share_many_ledgers_and_lose_nothing(pair: Pair, record_property: Any) -> None:
    """One server has all; or a ledger of a server that is gone has none; or two write one under one term."""
    took: dict[str, float] = {}
    with Load(pair) as load:
        took["shared"] = _until(lambda: load.failures or pair.are_shared())
        load.go_on(2)
        at_b = pair.led(pair.b)
        pair.a.kill()
        took["killed"] = _until(lambda: pair.led(pair.b) == set(NAMES))
        pair.a.start("live")
        load.go_on()
        took["handed back"] = _until(pair.are_shared)
        assert pair.led(pair.b) == at_b  # nothing else moved
        load.go_on()
        drained = spawn("node", "drain", pair.b.url, "--dir", str(pair.a.directory))
        assert drained.status == 0, drained.out + drained.err
        took["drained"] = _until(lambda: pair.led(pair.a) == set(NAMES))
        load.go_on()
    print(took, sum(map(len, load.acknowledged.values())))
    record_property("seconds", json.dumps(took))
    assert pair.a.terminate()[0] == 0
    assert pair.b.terminate()[0] == 0
    for name in NAMES:
        _check(pair.a.directory.parent / "ledgers" / name, load.acknowledged[name])


def _check(directory: Path, acknowledged: dict[str, int]) -> None:
    """Hold a ledger to what was promised, and to one leader a term."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        rows = list(queries.entries())
    created = {row.subject: row.seq for row in rows if row.type == "packet_created"}
    assert acknowledged
    assert {f"packet/{name}": seq for name, seq in acknowledged.items()}.items() <= created.items()
    terms = [parse(row.raw).term for row in rows]
    assert terms == sorted(terms)
    said = {
        parse(row.raw).term: json.loads(row.raw)["body"]["address"]
        for row in rows
        if row.type == "leader_changed"
    }
    firsts = {term: at for at, term in reversed(list(enumerate(terms)))}
    assert said.keys() == set(terms) - {terms[0]}
    assert all(rows[firsts[term]].type == "leader_changed" for term in said)
    assert {one.rpartition("/l/")[2] for one in said.values()} == {directory.name}
    assert len(set(said.values())) == 2
