"""A server under load while its keys are replaced and revoked and payloads erased: nothing stops, nothing is lost."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from support.api_process import Server
from support.commandline import spawn

from pfgov.client import Client, Retry
from pfgov.engine import Engine, LedgerReader
from pfgov.storage import open_store
from pfgov_ledger import build_pyz

pytestmark = pytest.mark.process

CLIENTS = 8
SECRET = "Ms Unmistakable"
STEP = 40
"""Writes that are acknowledged between two steps of the ceremony."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server over an empty folder, running."""
    found = Server(tmp_path / "ledger")
    found.start()
    try:
        yield found
    finally:
        found.stop()


class Load:
    """Clients that write until told to stop, and remember what they were promised."""

    def __init__(self, url: str) -> None:
        self.acknowledged: dict[str, int] = {}
        self.failures: list[BaseException] = []
        self._url = url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(CLIENTS)]

    def _write(self, number: int) -> None:
        try:
            with Client(self._url, retry=Retry(patience=60), timeout=30) as client:
                count = 0
                while not self._stop.is_set():
                    name = f"c{number}-{count}"
                    body = {
                        "packet_id": name,
                        "workload_type": "x",
                        "context_checkpoint": {"step": "a", "customer": f"{SECRET} {name}"},
                    }
                    done = client.submit(body, key=f"key-{name}")
                    assert done.position is not None
                    self.acknowledged[name] = done.position
                    count += 1
        except BaseException as error:
            self.failures.append(error)

    def go_on(self, count: int = STEP) -> None:
        """Return when *count* more writes were acknowledged."""
        wanted, deadline = len(self.acknowledged) + count, time.monotonic() + 120
        while len(self.acknowledged) < wanted:
            assert not self.failures
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)


def _json(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _verified(server: Server, tmp_path: Path, anchors: list[str]) -> None:
    """Export with the command line; verify in the package, with replay, and with the one file, under each anchor."""
    target, pyz = tmp_path / "all.lineage.jsonl", tmp_path / "verify.pyz"
    assert spawn("ledger", "export", "--dir", server.directory, "--out", target).status == 0
    build_pyz.main([str(pyz)])
    for number, text in enumerate(anchors):
        anchor = tmp_path / f"anchor-{number}.txt"
        anchor.write_text(text)
        said = spawn("ledger", "verify", target, "--key", anchor, "--full", "--replay", "--json")
        assert said.status == 0, said.out[-2_000:]
        done = subprocess.run(
            [sys.executable, "-I", str(pyz), str(target), "--key", str(anchor), "--full", "--json"],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
        verdicts = json.loads(done.stdout)["verdicts"]
        assert verdicts["authenticity"]["status"] == "pass"


def test_keys_change_hands_under_load(server: Server, tmp_path: Path) -> None:
    """Eight clients write while the issuer changes twice, a key is revoked and the log key changes: all verifies."""
    recovery = tmp_path / "usb" / "recovery.key"
    recovery.parent.mkdir()
    (server.directory / "keys" / "recovery.key").rename(recovery)
    anchors = [httpx2.get(f"{server.url}/api/ledger/key").text]
    base = f"{server.url}/api/ledger/keys"
    with Load(server.url) as load:
        load.go_on()
        first = _json(httpx2.post(f"{base}/rotations", json={"role": "issuer"}, timeout=60))
        load.go_on()
        _json(httpx2.post(f"{base}/rotations", json={"role": "issuer"}, timeout=60))
        load.go_on()
        listed = tmp_path / "keys.json"
        listed.write_text(httpx2.get(base).text)
        stolen = first["result"]["old"]
        said = spawn(
            "ledger", "keys", "revoke", stolen[:16], "--sign-only", "--keys", listed, "--recovery", recovery,
            "--suspect-from", "5",
        )  # fmt: skip
        assert said.status == 0, said
        revoked = _json(httpx2.post(f"{base}/revocations", json=json.loads(said.out), timeout=60))
        assert revoked["result"]["old"] == stolen
        load.go_on()
        _json(httpx2.post(f"{base}/rotations", json={"role": "log"}, timeout=60))
        load.go_on()
        anchors.append(httpx2.get(f"{server.url}/api/ledger/key").text)
    status = _json(httpx2.get(f"{server.url}/api/status"))
    assert server.terminate()[0] == 0
    assert load.failures == []
    assert status["reloads"] == 0, "nobody was sent away, and nothing had to be loaded again"
    assert len(load.acknowledged) >= 5 * STEP
    _nothing_lost(server, load)
    _verified(server, tmp_path, anchors)
    with Engine.open(open_store(server.directory)) as engine:
        engine.reader.replay()
        assert len(list((server.directory / "keys").glob("*.retired"))) == 3


def _nothing_lost(server: Server, load: Load) -> None:
    with LedgerReader(open_store(server.directory)) as reader:
        stored = {
            found.row.subject.removeprefix("packet/"): found.row.seq
            for found in reader.entries()
            if found.row.type == "packet_created"
        }
    assert {name: stored.get(name) for name in load.acknowledged} == load.acknowledged


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_payloads_are_erased_under_load(server: Server, tmp_path: Path) -> None:
    """While eight clients write, an erased payload's bytes leave the database and its log; the others stay."""
    body = {
        "packet_id": "mine",
        "workload_type": "x",
        "context_checkpoint": {"step": "a", "customer": f"{SECRET} herself"},
    }
    assert httpx2.post(f"{server.url}/api/packets", json=body).status_code == 201
    needle = f"{SECRET} herself".encode()

    def on_disk() -> bool:
        return any(needle in file.read_bytes() for file in server.directory.glob("ledger.db*"))

    assert on_disk()
    request = {"packet_id": "mine", "why": "data_subject_request"}
    headers = {"Idempotency-Key": "forget-her"}
    with Load(server.url) as load:
        load.go_on()

        def ask() -> dict[str, Any]:
            url = f"{server.url}/api/ledger/erasures"
            return _json(httpx2.post(url, json=request, headers=headers, timeout=60))

        first = ask()
        _until(lambda: ask()["state"] == "done")
        assert not on_disk()
        load.go_on()
    assert ask()["entries"] == first["entries"]
    assert len(first["erased"]) == 1
    assert server.terminate()[0] == 0
    assert load.failures == []
    assert not on_disk()
    _nothing_lost(server, load)
    _verified(server, tmp_path, [(server.directory / "anchor.txt").read_text()])


def test_the_command_line_says_how_the_server_is_asked(server: Server) -> None:
    """While a server holds the ledger, each of these commands names the very next step, with the server's address."""
    for arguments in (
        ("ledger", "erase", "--packet", "p", "--why", "retention"),
        ("ledger", "keys", "rotate", "issuer"),
    ):
        said = spawn(*arguments, "--dir", server.directory, "--json")
        assert said.error["code"] == "store.locked"
        assert said.error["hint"].endswith(f"pfgov {' '.join(arguments)} --url {server.url}")
    listed = _json(httpx2.get(f"{server.url}/api/ledger/keys"))
    issuer = next(key["public"] for key in listed["keys"] if key["role"] == "issuer")
    said = spawn("ledger", "keys", "revoke", issuer[:8], "--dir", server.directory, "--json")
    assert said.error["code"] == "store.locked"
    assert "--sign-only" in said.error["hint"]
    assert f"--statement statement.json --url {server.url}" in said.error["hint"]
