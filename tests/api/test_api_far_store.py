"""The event loop asks no database anything: one that is silent would stop everything that the server does."""

import asyncio
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.api_server import Api, path_values
from support.ledgers import STORE_VARIABLE

from pfgov_api import service
from pfgov_api.operations import Operation
from pfgov_api.routes import OPERATIONS


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A ledger in a database, with something in it to be read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORE_VARIABLE, "postgresql")
        with Api(tmp_path_factory.mktemp("far"), committing="process") as api:
            api.member("m1")
            api.keys()
            api.packet("p1", context_checkpoint={"step": "one"})
            api.packet("p2")
            done = {**api.claim("p2"), "result": {"value": 1}}
            assert api.post("/api/packets/p2/complete", done, scope="operator").status_code == 200
            yield api


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where a database was asked in the thread of a running event loop."""
    found: list[str] = []
    real = psycopg.Connection.execute

    def execute(self: Any, *given: Any, **named: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            ours = [one for one in traceback.extract_stack() if "/pfgov" in one.filename]
            found.append(" < ".join(f"{one.filename}:{one.lineno}" for one in reversed(ours)))
        return real(self, *given, **named)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    return found


def _begin_anew(api: Api) -> None:
    """Let what is asked next be the first request of all: nothing is open that can be asked."""
    api.engine.reader.close()
    api.engine._reader = None


BODIES: dict[str, Any] = {
    "submit": {"packet_id": "p3", "workload_type": "scan"},
    "search": {"packet_id": "p1"},
    "decide": {"packet_id": "p1", "member_id": "m1"},
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_no_operation_asks_a_database_in_the_loop(
    api: Api, asked: list[str], operation: Operation
) -> None:
    """An operation waits for a database where everybody waits with it."""
    for packet_id in ("p1", "p2"):
        path = operation.path.format(**path_values(packet_id=packet_id))
        body = None if operation.method == "GET" else BODIES.get(operation.name, {})
        for scope in ("operator", "admin"):
            headers = {"Idempotency-Key": f"{operation.name}-{packet_id}-{scope}"}
            if operation.name == "stream_events":
                headers["Last-Event-ID"] = (
                    "999"  # it is not as far: the stream ends before it begins
                )
            _begin_anew(api)
            api(operation.method, path, body, scope=scope, headers=headers)
    assert not asked, asked[0]


@pytest.mark.parametrize(
    "page",
    ["", "members", "members/m1", "packets", "packets/p1", "decisions", "ledger", "policies", "keys", "runs"],
)  # fmt: skip
def test_no_page_asks_a_database_in_the_loop(api: Api, asked: list[str], page: str) -> None:
    """A page of the console waits for a database where everybody waits with it."""
    signed_in = api.run(
        api.client.post(
            "/console/session",
            data={"key": api.keys()["operator"]},
            headers={"Origin": "http://localhost:8000"},
        )
    )
    _begin_anew(api)
    cookie = signed_in.headers.get("set-cookie", "").partition(";")[0]
    api.run(api.client.get(f"/console/{page}", headers={"Cookie": cookie}))
    assert not asked, asked[0]


def test_a_packet_is_waited_for_outside_the_loop(api: Api, asked: list[str]) -> None:
    """Whoever waits for a packet's end asks a database again and again in the loop."""
    api.packet("waited-for")
    answer = api.get("/api/packets/waited-for?wait=1", scope="operator")
    assert answer.json()["status"] not in {"COMPLETED", "CANCELLED"}
    assert not asked, asked[0]


def test_a_server_begins_though_its_database_does_not_say_what_it_promises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that falls silent when a server takes the lead keeps it from saying that it lives."""
    monkeypatch.setenv(STORE_VARIABLE, "postgresql")
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.1)
    gate = threading.Event()
    with Api(tmp_path) as api:
        monkeypatch.setattr(type(api.engine.store), "risks", lambda _: gate.wait(60))
        api.run(api.service.start())
        try:
            assert "does not answer" in api.service.risks[0]
        finally:
            gate.set()
            api.run(api.service.stop())
