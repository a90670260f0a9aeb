"""Two servers on one ledger in PostgreSQL: whatever is killed or stopped, nothing acknowledged is lost."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx2
import psycopg
import pytest
from support import postgres
from support.api_process import Server
from support.commandline import spawn
from support.waiting import until

from pfgov.client import Client, Retry
from pfgov.engine import Engine, LedgerReader, Options
from pfgov.storage import keep_in_database, open_store
from pfgov_ledger.entry import parse

pytestmark = pytest.mark.process

WRITERS = 4
PATIENCE_SECONDS = 240


@pytest.fixture
def database() -> Iterator[postgres.Server]:
    """A database of this test's own, for it is stopped."""
    with postgres.own() as found:
        yield found


@pytest.fixture
def servers(database: postgres.Server, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """One that leads, and one that stands by; each with a folder of its own, as on two machines."""
    folders = [tmp_path / name / "ledger" for name in "ab"]
    keep_in_database(folders[0], database.url("l"))
    Engine.create(open_store(folders[0]), options=Options()).close()
    shutil.copytree(folders[0], folders[1])
    found = (Server(folders[0]), Server(folders[1]))
    try:
        found[0].start()
        found[1].start("live")
        yield found
    finally:
        for one in found:
            if one.process is not None and one.process.poll() is None:
                one.process.send_signal(signal.SIGCONT)
            one.stop()


def _until(what: Callable[[], Any]) -> float:
    return until(what, PATIENCE_SECONDS)


def _ready(server: Server) -> tuple[int, str]:
    try:
        answer = httpx2.get(f"{server.url}/api/health/ready", timeout=3)
    except httpx2.TransportError as error:
        return 0, str(error)
    return answer.status_code, answer.text


def _stands_by(server: Server, leader: Server) -> bool:
    status, said = _ready(server)
    return status == 503 and f"standby of {leader.url}, term " in said


class Load:
    """Clients that write through both servers, and remember what they were promised."""

    def __init__(self, servers: tuple[Server, Server]) -> None:
        self.acknowledged: dict[str, int] = {}
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(n, servers[n % 2].url))
            for n in range(WRITERS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int, url: str) -> None:
        try:
            with Client(url, retry=Retry(patience=PATIENCE_SECONDS), timeout=10) as client:
                count = 0
                while not self._stop.is_set():
                    name = f"c{number}-{count}"
                    body = {"packet_id": name, "workload_type": "x"}
                    done = client.submit(body, key=f"key-{name}")
                    assert done.position is not None
                    self.acknowledged[name] = done.position
                    count += 1
                    time.sleep(0.05)  # the ledger is to be verified and replayed afterwards
        except BaseException as error:  # told by the test
            self.failures.append(error)

    def goes_on(self, by: int = 6) -> float:
        """Wait until more is acknowledged."""
        wanted = len(self.acknowledged) + by
        took = _until(lambda: self.failures or len(self.acknowledged) >= wanted)
        assert not self.failures, self.failures[0]
        return took


def test_servers_take_over_and_lose_nothing(
    servers: tuple[Server, Server], database: postgres.Server, record_property: Any
) -> None:
    """An acknowledged write is lost, two lead under one term, or after a failure nobody leads."""
    a, b = servers
    took: dict[str, float] = {}
    with Load(servers) as load:
        _until(lambda: _stands_by(b, a))
        load.goes_on()
        position = httpx2.get(f"{b.url}/api/members")
        assert (position.status_code, int(position.headers["pfgov-lag"]) >= 0) == (200, True)
        assert int(position.headers["pfgov-position"]) > 0
        a.kill()
        took["killed"] = _until(lambda: _ready(b)[0] == 200)
        load.goes_on()
        a.start("live")
        _until(lambda: _stands_by(a, b))
        assert b.process is not None
        b.process.send_signal(signal.SIGSTOP)
        took["stopped"] = _until(lambda: _ready(a)[0] == 200)
        load.goes_on(2)
        b.process.send_signal(signal.SIGCONT)
        took["steps down"] = _until(lambda: _stands_by(b, a))
        load.goes_on()
        database.stop()
        database.start()
        took["database restarted"] = load.goes_on()
        leader, other = (a, b) if _ready(a)[0] == 200 else (b, a)
        _until(lambda: _ready(leader)[0] == 200 and _stands_by(other, leader))
        assert leader.terminate()[0] == 0
        took["ended"] = _until(lambda: _ready(other)[0] == 200)
        load.goes_on()
        leader.start("live")  # and whoever asks it is answered again
    print(took, len(load.acknowledged))
    record_property("seconds", json.dumps(took))
    assert other.terminate()[0] == 0
    _check(other.directory, load.acknowledged)


def test_a_standby_sends_nothing_to_an_address_that_somebody_wrote_into_the_database(
    servers: tuple[Server, Server], database: postgres.Server
) -> None:
    """Whoever writes the database, and has no key, is sent the keys of whoever asks a standby."""
    leader, standby = servers
    heard: list[bytes] = []

    class Between(BaseHTTPRequestHandler):
        """Somebody who lets the leader prove what it can."""

        def do_GET(self) -> None:
            heard.append(bytes(self.headers))
            asked = httpx2.get(leader.url + self.path, headers=dict(self.headers))
            self.send_response(asked.status_code)
            for name in ("pfgov-proof", "content-length"):
                self.send_header(name, asked.headers.get(name, ""))
            self.end_headers()
            self.wfile.write(asked.content)

        def do_POST(self) -> None:
            heard.append(bytes(self.headers))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    def submitted(name: str) -> Any:
        body = {"packet_id": name, "workload_type": "x"}
        headers = {"Authorization": "Bearer pfgov_secret"}
        return httpx2.post(f"{standby.url}/api/packets", json=body, headers=headers, timeout=30)

    _until(lambda: _stands_by(standby, leader))
    _until(lambda: submitted("p1").status_code == 201)
    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        evil = f"http://127.0.0.1:{server.server_address[1]}"
        with psycopg.connect(database.url("l").partition("#")[0], autocommit=True) as connection:
            connection.execute("UPDATE pfgov.head SET address = %s", (evil,))
            _until(lambda: f"standby of {evil}, term " in _ready(standby)[1])
            refused = submitted("p2")
            assert (refused.status_code, refused.json()["code"]) == (503, "node.standby")
            connection.execute("UPDATE pfgov.head SET address = %s", (leader.url,))
            _until(lambda: _stands_by(standby, leader))
            _until(lambda: submitted("p3").status_code == 201)
        server.shutdown()
    assert heard
    assert b"secret" not in b"".join(heard)


def _check(directory: Path, acknowledged: dict[str, int]) -> None:
    """Hold the ledger to what was promised, to one leader a term, and to its own rules."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        rows = list(queries.entries())
    created = {row.subject: row.seq for row in rows if row.type == "packet_created"}
    assert {f"packet/{name}": seq for name, seq in acknowledged.items()}.items() <= created.items()
    terms = [parse(row.raw).term for row in rows]
    assert terms == sorted(terms)
    said = [
        (parse(row.raw).term, json.loads(row.raw)["body"])
        for row in rows
        if row.type == "leader_changed"
    ]
    assert all(term == body["term"] for term, body in said)
    assert len({term for term, _ in said}) == len(said)
    firsts = {term: at for at, term in reversed(list(enumerate(terms)))}
    for term in set(terms) - {terms[0]}:
        assert rows[firsts[term]].type == "leader_changed", f"term {term}"
    assert len({body["address"] for _, body in said}) == 2
    export = directory / "all.lineage.jsonl"
    for words in (
        ("ledger", "export", "--dir", directory, "-o", export),
        ("ledger", "verify", export, "--key", directory / "anchor.txt", "--full", "--replay"),
    ):
        done = spawn(*map(str, words))
        assert done.status == 0, done.out + done.err
