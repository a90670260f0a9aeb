"""A database that is silent: connections stay and nothing comes.  Whoever watches over servers hears from them."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support import postgres
from support.api_process import Server, free_port
from support.commandline import spawn
from support.cutting import Relay
from support.waiting import until

from pfgov.engine import Engine, Options
from pfgov.storage import keep_in_database, open_store

pytestmark = pytest.mark.process

SOON = 5.0
"""Seconds within which a supervisor is answered."""

PATIENCE_SECONDS = 120


@pytest.fixture
def database() -> Iterator[postgres.Server]:
    """A database that is reached over a network."""
    with postgres.own(port=free_port()) as found:
        yield found


@pytest.fixture
def relay(database: postgres.Server) -> Iterator[Relay]:
    """The first server's way to the database."""
    assert database.port is not None
    found = Relay(database.port)
    yield found
    found.close()


@pytest.fixture
def servers(
    database: postgres.Server, relay: Relay, tmp_path: Path
) -> Iterator[tuple[Server, Server]]:
    """One that leads, by way of the relay, and one that stands by."""
    folders = [tmp_path / name / "ledger" for name in "ab"]
    keep_in_database(folders[0], f"postgresql://pfgov@127.0.0.1:{database.port}/postgres#l")
    Engine.create(open_store(folders[0]), options=Options()).close()
    shutil.copytree(folders[0], folders[1])
    (folders[0] / "store.url").write_text(f"postgresql://pfgov@127.0.0.1:{relay.port}/postgres#l\n")
    found = (Server(folders[0]), Server(folders[1]))
    try:
        found[0].start()
        yield found
    finally:
        relay.mend()
        for one in found:
            one.stop()


def _alive(server: Server) -> int:
    return httpx2.get(f"{server.url}/api/health/live", timeout=SOON).status_code


def _submit(server: Server, name: str) -> httpx2.Response:
    body = {"packet_id": name, "workload_type": "x"}
    headers = {"Idempotency-Key": f"key-{name}"}
    return httpx2.post(
        f"{server.url}/api/packets", json=body, headers=headers, timeout=PATIENCE_SECONDS
    )


def test_a_server_lives_while_its_database_is_silent(
    servers: tuple[Server, Server], relay: Relay
) -> None:
    """One write stops the whole server, and a supervisor kills it, because it asks a database that does not answer."""
    server, _ = servers
    assert _submit(server, "before").status_code == 201
    answers: list[httpx2.Response] = []
    relay.hold()
    asking = [
        threading.Thread(target=lambda n=n: answers.append(_submit(server, f"p{n}")))
        for n in range(4)
    ]
    for one in asking:
        one.start()
    for _ in range(8):
        assert _alive(server) == 200
        time.sleep(0.25)
    assert not answers, "the database was silent, and a write was answered"
    relay.mend()
    for one in asking:
        one.join(PATIENCE_SECONDS)
    assert [answer.status_code for answer in answers] == [201] * 4, answers


def test_a_server_lives_while_its_next_turn_does_not_begin(
    servers: tuple[Server, Server], relay: Relay
) -> None:
    """A server that is to stand by says nothing until its database answers, and a supervisor kills it."""
    first, second = servers
    second.start("live")
    assert _submit(first, "before").status_code == 201
    relay.hold_new()
    spawn("node", "drain", first.url, "--dir", str(second.directory))

    def ready(server: Server) -> Any:
        try:
            return httpx2.get(f"{server.url}/api/health/ready", timeout=SOON)
        except httpx2.TimeoutException:  # the moment between two turns
            return None

    def is_between() -> bool:
        found = ready(first)
        return found is not None and "changes between" in found.text

    until(is_between, PATIENCE_SECONDS)
    for _ in range(8):
        assert _alive(first) == 200
        waits = ready(first)
        assert (waits.status_code, waits.json()["code"]) == (503, "store.unavailable")
        time.sleep(0.25)
    until(lambda: (found := ready(second)) is not None and found.status_code == 200, 30)
    assert _submit(second, "meanwhile").status_code == 201
    relay.mend()
    until(lambda: (found := ready(first)) is not None and "standby of" in found.text, 60)
    assert _alive(first) == 200
    assert _submit(first, "after").status_code == 201


def test_a_server_lives_while_its_first_turn_does_not_begin(
    servers: tuple[Server, Server], relay: Relay
) -> None:
    """A server that is started while its database is silent says nothing, and is started again without end."""
    first, _ = servers
    first.terminate()
    relay.hold_new()
    first.start("live")
    waits = httpx2.get(f"{first.url}/api/health/ready", timeout=SOON)
    assert (waits.status_code, waits.json()["code"]) == (503, "store.unavailable")
    status, seconds = first.terminate()
    assert (status, seconds < SOON) == (0, True)
