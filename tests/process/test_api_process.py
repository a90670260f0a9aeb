"""The server as a process: killed, restarted, ended, and asked by many at once."""

import asyncio
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_process import Server
from support.issuer import AUDIENCE, ISSUER, Issuer, key_set
from support.ledgers import fresh

from pfgov.client import ApiError, AsyncClient, Client, LostOwnershipError, Retry, UnreachableError
from pfgov.clock import SystemClock
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.reading.exporting import stored_log
from pfgov.engine.reading.replay import Replay
from pfgov.storage import open_store
from pfgov_api.keyring import FILE, KeyRing
from pfgov_ledger import export, keys
from pfgov_ledger.verify import verify

pytestmark = pytest.mark.process

CLIENTS = 32
IS_LONG = bool(os.environ.get("PFGOV_LOAD"))
"""``make load``: a minute and ten kills, instead of what fits into every run."""

KILLS, SECONDS = (10, 60.0) if IS_LONG else (3, 3.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server over an empty folder, running."""
    found = Server(tmp_path / "ledger")
    found.start()
    try:
        yield found
    finally:
        found.stop()


def _positions(directory: Path) -> dict[str, list[int]]:
    """The positions of each packet's creation."""
    found: dict[str, list[int]] = {}
    with LedgerReader(open_store(directory)) as reader:
        for one in reader.entries():
            if one.row.type == "packet_created":
                found.setdefault(one.row.subject.removeprefix("packet/"), []).append(one.row.seq)
    return found


def _holds(directory: Path, folder: Path) -> None:
    """The ledger verifies against its anchor, and runs again."""
    target = folder / "all.jsonl"
    with (
        LedgerReader(open_store(directory)) as reader,
        stored_log(reader) as log,
        target.open("wb") as out,
    ):
        export.write_full(log, out)
    anchor = keys.parse_anchor((directory / "anchor.txt").read_text())
    report = verify(target, anchor=anchor, replayer=Replay())
    assert report.exit_status == 0, report
    with Engine.open(open_store(directory)) as engine:
        engine.reader.replay()


def test_killed_under_load_it_keeps_what_it_acknowledged(server: Server, tmp_path: Path) -> None:
    """32 clients write while the server is killed and restarted: everything acknowledged is there, nothing is twice."""
    acknowledged: dict[str, int] = {}
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        count = 0
        retry = Retry(first=0.05, most=0.5, patience=60)
        try:
            with Client(server.url, retry=retry, timeout=5) as client:
                while not stop.is_set():
                    name = f"c{number}-{count}"
                    done = client.submit(
                        {"packet_id": name, "workload_type": "x"}, key=f"key-{name}"
                    )
                    assert done.position is not None
                    acknowledged[name] = done.position
                    count += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    choose = random.Random(20_261_123)
    for _ in range(KILLS):
        time.sleep(SECONDS / KILLS * choose.uniform(0.5, 1.5))
        server.kill()
        server.start()
    stop.set()
    for thread in threads:
        thread.join(120)
    server.terminate()
    assert failures == []
    stored = _positions(server.directory)
    assert {name: stored.get(name) for name in acknowledged} == {
        name: [position] for name, position in acknowledged.items()
    }
    assert all(len(positions) == 1 for positions in stored.values())
    assert len(acknowledged) >= CLIENTS
    _holds(server.directory, tmp_path)


def test_it_ends_within_five_seconds_with_streams_open(server: Server, tmp_path: Path) -> None:
    """SIGTERM under load with open streams: it exits 0 in time, and what was acknowledged is kept."""
    acknowledged: dict[str, int] = {}
    listening = threading.Barrier(9, timeout=60)

    def listen() -> None:
        with (
            httpx2.Client(base_url=server.url, timeout=30) as client,
            client.stream("GET", "/api/events") as answer,
        ):
            first = True
            try:
                for _ in answer.iter_bytes():
                    if first:
                        listening.wait()
                        first = False
            except httpx2.TransportError:
                pass

    def write(number: int) -> None:
        try:
            with Client(server.url, retry=Retry(patience=0)) as client:
                for count in range(100_000):
                    name = f"c{number}-{count}"
                    position = client.submit({"packet_id": name, "workload_type": "x"}).position
                    assert position is not None
                    acknowledged[name] = position
        except UnreachableError:
            pass

    listeners = [threading.Thread(target=listen) for _ in range(8)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in (*listeners, *writers):
        thread.start()
    listening.wait()
    while len(acknowledged) < 50:
        time.sleep(0.02)
    status, seconds = server.terminate()
    for thread in (*listeners, *writers):
        thread.join(60)
        assert not thread.is_alive()
    assert status == 0
    assert seconds < 5
    stored = _positions(server.directory)
    assert {name: stored.get(name) for name in acknowledged} == {
        name: [position] for name, position in acknowledged.items()
    }
    _holds(server.directory, tmp_path)


def test_a_worker_lives_through_restarts_of_its_server(server: Server) -> None:
    """Killed and restarted under it, the server finds its worker again, and each packet is worked on to its end."""
    packets = [f"p{number}" for number in range(12)]

    async def story() -> None:
        retry = Retry(first=0.05, most=0.3, patience=60)
        member = {"id": "w1", "type": "agent", "trust_score": 0.95, "region": "us-east"}
        anchor = (server.directory / "anchor.txt").read_text()
        async with (
            asyncio.timeout(120),
            AsyncClient(server.url, retry=retry, anchor=anchor) as client,
            client.work(member, lease_seconds=60) as worker,
        ):
            await client.submit({"packet_id": packets[0], "workload_type": "x"})
            done = 0
            async for job in worker:
                async with job:
                    await job.checkpoint({"step": "half"})
                    if done in {2, 6}:
                        await asyncio.to_thread(server.kill)
                        await asyncio.to_thread(server.start)
                    await job.complete()
                done += 1
                if done == len(packets):
                    break
                await client.submit({"packet_id": packets[done], "workload_type": "x"})

    asyncio.run(story())
    with Client(server.url) as client:
        assert {client.packet(name)["status"] for name in packets} == {"COMPLETED"}


def test_a_worker_whose_server_stays_away_stops(server: Server) -> None:
    """When nobody answers, the job is cancelled by the worker's own clock."""

    async def story() -> None:
        retry = Retry(first=0.05, most=0.2, patience=0.5)
        member = {"id": "w1", "type": "agent", "trust_score": 0.95, "region": "us-east"}
        async with (
            asyncio.timeout(60),
            AsyncClient(server.url, retry=retry) as client,
            client.work(member, lease_seconds=3) as worker,
        ):
            await client.submit({"packet_id": "p1", "workload_type": "x"})
            job = await anext(aiter(worker))
            await asyncio.to_thread(server.kill)
            with pytest.raises(LostOwnershipError):
                await _sleep_in(job)

    asyncio.run(story())


async def _sleep_in(job: Any) -> None:
    async with job:
        await asyncio.sleep(50)


def test_it_refuses_to_be_open_to_the_network(tmp_path: Path) -> None:
    """Without keys it does not listen beyond this machine, and says what to do."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "pfgov.cli", "serve", "--dir", str(tmp_path / "l"), "--host", "0.0.0.0", "--port", "0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pfgov key create" in done.stderr


def test_a_taken_port_is_an_error_and_not_a_greeting(tmp_path: Path) -> None:
    """A server that cannot listen says so once, with its code and status 4, claims nothing, and has made nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ["serve", "--dir", str(tmp_path / "ledger"), "--port", str(port)]
        done = subprocess.run(
            [sys.executable, "-m", "pfgov.cli", *arguments],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "[serve.address]" in done.stderr
    assert "the port is taken" in done.stderr
    assert "listening" not in done.stderr
    assert not any(line.startswith("{") for line in done.stderr.splitlines()), "no log before it"
    assert list(tmp_path.iterdir()) == []


def _refused(*arguments: str) -> str:
    """What a server that does not start says; status 1."""
    done = subprocess.run(
        [sys.executable, "-m", "pfgov.cli", "serve", "--port", "0", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_a_server_that_had_keys_does_not_open_without_them(tmp_path: Path) -> None:
    """The file of keys is lost, by hand or with a backup that left it out: nobody gets in until somebody says so."""
    server = Server(tmp_path / "ledger")
    server.start()
    try:
        key = _keyed(server, "operator")
        body = {"packet_id": "p", "workload_type": "w"}
        proof = {"Authorization": f"Bearer {key}"}
        assert httpx2.post(f"{server.url}/api/packets", json=body, headers=proof).status_code == 201
    finally:
        server.kill()
    keys, folder = server.directory / FILE, ("--dir", str(server.directory))
    keys.unlink()
    said = _refused(*folder)
    assert "[serve.keys_missing]" in said
    assert "--open" in said
    keys.with_suffix(".lock").unlink()  # without it only the ledger knows
    assert "commands of key:" in _refused(*folder)
    assert "[serve.open]" in _refused(*folder, "--public-url", "https://pfgov.example", "--open")
    opened = Server(server.directory, "--open")
    opened.start()
    try:
        assert httpx2.get(f"{opened.url}/api/status").status_code == 200
    finally:
        opened.kill()
    KeyRing(keys).create(("operator",), now=2)
    server.start()
    try:
        assert httpx2.get(f"{server.url}/api/status").status_code == 401
    finally:
        server.kill()


def test_a_server_names_where_others_find_it(tmp_path: Path) -> None:
    """In its greeting and in AuthZEN's configuration; what is no such URL is refused before anything is made."""
    KeyRing(fresh(tmp_path) / FILE).create(("operator",), now=1)  # behind a proxy it needs keys
    server = Server(tmp_path / "ledger", "--public-url", "https://pfgov.example/")
    server.start()
    try:
        told = httpx2.get(f"{server.url}/.well-known/authzen-configuration").json()
    finally:
        server.kill()
    assert told["policy_decision_point"] == "https://pfgov.example"
    assert "https://pfgov.example/api/docs" in server.errors.read_text()
    arguments = [
        "serve",
        "--dir",
        str(tmp_path / "other"),
        "--public-url",
        "https://pfgov.example/x",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pfgov.cli", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "without a path" in done.stderr
    assert not (tmp_path / "other").exists()


def _keyed(server: Server, *scopes: str) -> str:
    """A key of these scopes, which the running server has noticed: until then, everybody here may do anything."""
    _, text = KeyRing(server.directory / FILE).create(scopes, now=1)
    deadline = time.monotonic() + 30
    proof = {"Authorization": f"Bearer {text}"}
    while True:
        anybody = httpx2.get(f"{server.url}/api/ledger/keys").status_code
        holder = httpx2.get(f"{server.url}/api/ledger/keys", headers=proof).status_code
        if (anybody, holder) == (401, 200):
            return text
        assert time.monotonic() < deadline, (anybody, holder)
        time.sleep(0.05)


def test_a_worker_needs_no_more_than_its_members_key(server: Server) -> None:
    """Joining, hearing, taking over, losing and completing: all of it with the least that a key can have."""
    operator = _keyed(server, "operator", "assessor")
    keys = {name: _keyed(server, f"member:{name}") for name in ("w1", "w2")}

    async def story() -> None:
        def client(key: str) -> AsyncClient:
            return AsyncClient(server.url, key=key, retry=Retry(first=0.05, patience=30))

        member = {"type": "agent", "handoff_mode": "accept"}
        vouched = {"region": "us-east", "trust_score": 0.95}
        async with (
            asyncio.timeout(90),
            client(operator) as ops,
            client(keys["w1"]) as one,
            client(keys["w2"]) as two,
            one.work({"id": "w1", **member}, lease_seconds=60) as first,
        ):
            await ops.write("PATCH", "/api/members/w1", {"region": "us-east"})
            await ops.write("POST", "/api/members/w1/trust", {"score": 0.95})
            await ops.register({"id": "w2", **member, **vouched})
            await ops.submit(
                {"packet_id": "p1", "workload_type": "x", "context_checkpoint": {"step": "a"}}
            )
            job = await anext(aiter(first))
            async with two.work({"id": "w2", **member}, lease_seconds=60) as second:
                await _handed_off(job, "w2")  # the block ends when the other has taken over
                taken = await anext(aiter(second))
                async with taken:
                    assert await taken.context() == {"step": "a"}
                    await taken.complete()
                assert first.is_alive
                assert second.is_alive
                with pytest.raises(ApiError) as caught:
                    await one.packet("p1")
                assert caught.value.status == 403
            assert (await ops.packet("p1"))["status"] == "COMPLETED"

    asyncio.run(story())


async def _handed_off(job: Any, target: str) -> None:
    async with job:
        await job.hand_off(target)
        await asyncio.sleep(60)


def test_a_stream_ends_when_its_key_is_revoked(server: Server) -> None:
    """Over a real connection, and for nobody else; the client is told why when it asks again."""
    record, _ = KeyRing(server.directory / FILE).create(("operator",), now=1)
    key = _keyed(server, "auditor")
    identity = key.split("_")[1]
    with (
        httpx2.Client(
            base_url=server.url, timeout=30, headers={"Authorization": f"Bearer {key}"}
        ) as client,
        client.stream("GET", "/api/events") as answer,
    ):
        pieces = answer.iter_bytes()
        assert next(pieces) == b"retry: 1000\n\n"
        KeyRing(server.directory / FILE).revoke(identity, now=2)
        assert b"".join(pieces) in {b"", b": still here\n\n"}
        assert client.get("/api/status").status_code == 401
    assert record.revoked_at is None


def test_it_serves_tokens_and_is_not_open(tmp_path: Path) -> None:
    """Started with an issuer and no key, it lets in who has a token, and nobody else."""
    (tmp_path / "issuer.json").write_bytes(key_set("ES256"))
    (tmp_path / "oidc.toml").write_text(
        f'issuer = "{ISSUER}"\naudience = "{AUDIENCE}"\nkeys = "issuer.json"\n[scopes]\n"pf:ops" = ["operator"]\n'
    )
    server = Server(tmp_path / "ledger", "--oidc", str(tmp_path / "oidc.toml"))
    server.start()
    try:
        token = Issuer(SystemClock().now() / 1e6).token()
        good, bad = (
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Bearer {token[:-4]}AAAA"},
        )
        assert httpx2.get(f"{server.url}/api/status").status_code == 401
        assert httpx2.get(f"{server.url}/api/status", headers=bad).status_code == 401
        assert httpx2.get(f"{server.url}/api/status", headers=good).status_code == 200
    finally:
        server.terminate()
    said = server.errors.read_text()
    assert "tokens of https://issuer.example/realm" in said
    assert token.split(".")[1] not in said


@pytest.mark.parametrize("text", ["", "issuer = 7", 'keys = "none.json"'])
def test_it_does_not_start_with_an_issuer_that_it_cannot_know(tmp_path: Path, text: str) -> None:
    """A file about an issuer that is wrong, or names keys that are not there, is said before anything listens."""
    good = f'issuer = "{ISSUER}"\naudience = "a"\n[scopes]\n"x" = ["operator"]\n'
    (tmp_path / "oidc.toml").write_text(f"{text}\n{good}" if text.startswith("keys") else text)
    done = subprocess.run(
        [sys.executable, "-m", "pfgov.cli", "serve", "--dir", str(tmp_path / "l"), "--port", "0", "--oidc",
         str(tmp_path / "oidc.toml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "oidc." in done.stderr
    assert "listening" not in done.stderr
    assert not (tmp_path / "l").exists()
