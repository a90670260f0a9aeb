"""What if memory, descriptors or processes run out: who cannot go on ends and gives the lock back; nothing is lost."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from support.api_process import Server, for_whom, without_privileges
from support.api_server import problem
from support.ledgers import fresh, opened, packet, register, submit, verified
from support.processes import is_running

from pfgov.engine.committing import process
from pfgov.engine.committing.process import BROKEN, ProcessCommitter, WriterLostError
from pfgov.engine.reading.replay import Replay

MEBIBYTE = 1 << 20
CONTEXT = {"note": "x" * 900_000}


class _Dying:
    """A pipe on which one message arrives, and then no memory is left."""

    def __init__(self, error: BaseException, *, closed: bool = False) -> None:
        self._messages = [b"one"]
        self._error = error
        self.closed = closed

    def recv_bytes(self) -> bytes:
        if self._messages:
            return self._messages.pop()
        raise self._error


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("odd"), SystemError()])
def test_faults_a_writer_that_hears_nothing_more_ends(error: BaseException) -> None:
    """Whatever ends the receiving thread but the other side's end ends the process: a deaf writer keeps the lock."""
    requests: SimpleQueue[bytes | None] = SimpleQueue()
    ended: list[bool] = []
    pipe: Any = _Dying(error)
    process._receive(pipe, requests, lambda: ended.append(True))
    assert (requests.get(), ended) == (b"one", [True])
    assert requests.empty()


@pytest.mark.parametrize("error", [EOFError(), OSError(12, "Cannot allocate memory")])
def test_faults_a_writer_whose_parent_is_gone_finishes(error: BaseException) -> None:
    """The end of the pipe lets the writer finish what it has, and close."""
    requests: SimpleQueue[bytes | None] = SimpleQueue()
    pipe: Any = _Dying(error)
    process._receive(pipe, requests, lambda: pytest.fail("it ended at once"))
    assert (requests.get(), requests.get()) == (b"one", None)


def test_faults_a_writer_that_has_closed_its_pipe_is_not_ended() -> None:
    """A writer that is done closes its pipe under the read of its other thread, and its process ends as if broken."""
    requests: SimpleQueue[bytes | None] = SimpleQueue()
    pipe: Any = _Dying(TypeError("an integer is required"), closed=True)
    process._receive(pipe, requests, lambda: pytest.fail("it ended at once"))
    assert requests.get() == b"one"


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), ValueError("no message")])
def test_faults_half_an_answer_makes_the_writer_lost(tmp_path: Path, error: BaseException) -> None:
    """After an answer that could not be read whole, no later one is taken for it; another writer is started."""
    with opened(fresh(tmp_path), committing="process") as engine:
        committer = engine._sequencer.committer
        assert isinstance(committer, ProcessCommitter)

        def fail(_: float | None) -> Any:
            raise error

        committer._message = fail  # type: ignore[method-assign]
        expected = WriterLostError if isinstance(error, Exception) else type(error)
        with pytest.raises(expected):
            committer._receive()
        del committer._message
        with pytest.raises(WriterLostError):
            committer.index()
        with pytest.raises(WriterLostError):
            submit(engine, packet("p"))
        assert submit(engine, packet("p")).count == 2


@pytest.mark.process
def test_faults_a_writer_without_memory_is_noticed_and_replaced(tmp_path: Path) -> None:
    """The writer cannot take in a large context: it ends, the engine says so at once, and another takes over."""
    directory = fresh(tmp_path)
    with opened(directory, committing="process") as engine:
        register(engine, "m")
        committer = engine._sequencer.committer
        assert isinstance(committer, ProcessCommitter)
        child: Any = committer._child
        used = int(Path(f"/proc/{child.pid}/statm").read_text().split()[0]) * os.sysconf(
            "SC_PAGE_SIZE"
        )
        resource.prlimit(child.pid, resource.RLIMIT_AS, (used, used))
        attached = engine.attach("packet/p", "context", b"x" * 1_000_000)
        with pytest.raises(WriterLostError):
            submit(engine, packet("p", context=attached.commitment), attachments=(attached,))
        assert child.wait(10) in {0, BROKEN}
        assert (
            submit(engine, packet("p", context=attached.commitment), attachments=(attached,)).count
            == 2
        )
    assert verified(directory, tmp_path, replayer=Replay()).exit_status == 0


def _descendants(pid: int) -> list[int]:
    """The writer, the process that forks those in which policies are tried out, and these."""
    children = _children(pid)
    return children + [one for child in children for one in _descendants(child)]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


@pytest.mark.process
@pytest.mark.long
@pytest.mark.parametrize("mebibytes", [260, 300, 400])
def test_faults_a_server_with_little_memory(tmp_path: Path, mebibytes: int) -> None:
    """With too little memory for its load a server refuses or ends; SIGTERM ends it and its writer; nothing is lost."""
    fresh(tmp_path)
    server = Server(tmp_path / "ledger", limits={resource.RLIMIT_AS: mebibytes * MEBIBYTE})
    server.start()
    accepted: list[str] = []

    def post(name: str) -> None:
        body = {"packet_id": name, "workload_type": "w", "context_checkpoint": CONTEXT}
        try:
            if httpx2.post(f"{server.url}/api/packets", json=body, timeout=20).status_code == 201:
                accepted.append(name)
        except httpx2.TransportError:
            pass

    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(post, [f"p{number:03}" for number in range(64)]))
        assert server.process is not None
        children = _children(server.process.pid) if server.process.poll() is None else []
        if server.process.poll() is None:
            _, seconds = server.terminate()
            assert seconds < 6
        deadline = time.monotonic() + 10
        while any(map(is_running, children)):
            assert time.monotonic() < deadline, "the writer outlived its server"
            time.sleep(0.05)
    finally:
        server.stop()
    with opened(tmp_path / "ledger") as engine:
        assert not [name for name in accepted if not engine.reader.has_packet(name)]
    assert verified(tmp_path / "ledger", tmp_path, replayer=Replay()).exit_status == 0


@pytest.mark.process
def test_faults_sigterm_ends_a_server_whose_commits_hang(tmp_path: Path) -> None:
    """A writer that hangs, as on a dead disk, does not keep its server: five seconds after SIGTERM both are gone."""
    fresh(tmp_path)
    server = Server(tmp_path / "ledger")
    server.start()
    try:
        assert server.process is not None
        (writer,) = _children(server.process.pid)
        os.kill(writer, signal.SIGSTOP)
        body = b'{"packet_id":"p","workload_type":"w"}'
        head = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: %d" % len(
            body
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as hanging:
            hanging.sendall(b"POST /api/packets HTTP/1.1\r\n%b\r\n\r\n%b" % (head, body))
            time.sleep(1.5)  # it has to be under way when the signal comes
            _, seconds = server.terminate()
            said = b"".join(iter(lambda: hanging.recv(65_536), b"")).decode()
        assert said.startswith("HTTP/1.1 503 ")
        assert "\r\ncontent-type: application/problem+json\r\n" in said
        assert '"code":"store.outcome_unknown"' in said
        assert "Idempotency-Key" in said
        assert seconds < 5.5
        deadline = time.monotonic() + 10
        while is_running(writer):
            assert time.monotonic() < deadline, "the writer outlived its server"
            time.sleep(0.05)
    finally:
        server.stop()
    with opened(tmp_path / "ledger") as engine:
        assert submit(engine, packet("q")).count == 2


SLOW = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: slow, version: "1", description: d}
on: [register, place, retain]
rules:
""" + "".join(
    f"""  - id: r{number}
    require: "lists.range(1000).all(x, timestamp('2026-01-01T00:00:00Z') < timestamp('2027-01-01T00:00:00Z')
      || member.id == 'm' + string(x + {number}))"
"""
    for number in range(7)
)


@pytest.mark.process
@pytest.mark.long
def test_faults_a_costly_trial_keeps_nobody_waiting(tmp_path: Path) -> None:
    """As much as a policy may cost, on as many members as may be asked about: others are served; SIGTERM ends it."""
    fresh(tmp_path)
    server = Server(tmp_path / "ledger")
    server.start()
    members = [
        {"id": f"m{n}", "type": "agent", "capabilities": [], "region": "eu"} for n in range(100)
    ]
    body = {
        "files": {"slow.policy.yaml": SLOW},
        "packet": {"workload_type": "w"},
        "members": members,
    }
    try:
        assert server.process is not None
        with ThreadPoolExecutor(6) as pool:
            asked = [
                pool.submit(
                    httpx2.post, f"{server.url}/api/policies/evaluate", json=body, timeout=60
                )
                for _ in range(4)
            ]
            deadline = time.monotonic() + 60
            while len(_descendants(server.process.pid)) < 4:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            for path in ("/api/health/live", "/api/ledger/export", "/api/ledger/entries"):
                assert httpx2.get(f"{server.url}{path}", timeout=5).status_code == 200
            status, seconds = server.terminate()
            for one in asked:
                one.exception()
        assert status == 0
        assert seconds < 5.5
    finally:
        server.stop()


@pytest.mark.process
def test_faults_without_descriptors_the_log_stays_small(tmp_path: Path) -> None:
    """Idle connections beyond the descriptors wait; the log has a line about it, and the server answers afterwards."""
    fresh(tmp_path)
    server = Server(tmp_path / "ledger")
    server.start()
    idle: list[socket.socket] = []
    try:
        assert server.process is not None
        used = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) + 3
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used, used))
        idle += [socket.create_connection(("127.0.0.1", server.port)) for _ in range(48)]
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            time.sleep(0.1)
        for one in idle:
            one.close()
        said = server.errors.read_text()
        assert "no more descriptors" in said
        assert len(said) < 20_000
        time.sleep(1.5)
        assert httpx2.get(f"{server.url}/api/health/live", timeout=40).status_code == 200
        _, seconds = server.terminate()
        assert seconds < 5.5
    finally:
        server.stop()


SCARCE = Path(__file__).parents[1] / "support" / "scarce.py"
"""Refuses threads and processes from SIGUSR1 on, as a limit on their number does."""


def _refuse(server: Server, *, also: bool = True) -> None:
    """Let the system give *server* neither threads nor processes any more, or let it give them again."""
    assert server.process is not None
    server.process.send_signal(signal.SIGUSR1 if also else signal.SIGUSR2)
    time.sleep(0.2)


REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/api/ledger/entries", None),
    ("GET", "/api/ledger/export", None),
    ("GET", "/api/policies", None),
    ("GET", "/api/members", None),
    ("GET", "/api/packets", None),
    ("GET", "/api/status", None),
    ("GET", "/api/configuration", None),
    ("GET", "/api/packets/before/context", None),
    ("GET", "/api/packets/before/payloads", None),
    ("GET", "/metrics", None),
    ("POST", "/api/packets", {"packet_id": "small", "workload_type": "w"}),
    ("POST", "/api/packets", {"packet_id": "large", "workload_type": "w", "context_checkpoint": CONTEXT}),
    ("POST", "/api/members/register", {"id": "n", "type": "agent"}),
    ("POST", "/api/members/m/heartbeat", {"incarnation": 1}),
    ("POST", "/api/discover", {"packet_id": "before"}),
    ("POST", "/api/tick", {}),
    ("POST", "/api/ledger/index", {}),
    ("POST", "/api/ledger/keys/rotations", {"role": "issuer"}),
    ("POST", "/api/ledger/erasures", {"packet_id": "before", "why": "retention"}),
    ("POST", "/api/policies/activate", {"files": {"slow.policy.yaml": "x"}}),
    ("POST", "/api/policies/evaluate", {
        "packet": {"workload_type": "w"}, "members": [{"id": "m", "type": "agent", "capabilities": []}]}),
]  # fmt: skip


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for a ledger, below none that is only the superuser's."""
    with TemporaryDirectory(prefix="pfgov-scarce-") as folder:
        yield Path(folder)


@pytest.mark.process
@pytest.mark.parametrize("how", ["refused", "limit"])
def test_faults_without_threads_and_processes_requests_are_answered(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Each is done, or told that something lacks; a lost writer is replaced once it can be; SIGTERM ends the server."""
    directory = fresh(place)
    server = Server(directory)
    server.program = (str(SCARCE),)
    if how == "limit":
        for_whom(place)
        server.before = without_privileges
        monkeypatch.setenv("SCARCE_BY_LIMIT", "1")
    server.start()
    try:
        assert server.process is not None
        with httpx2.Client(base_url=server.url, timeout=60) as client:
            body = {"id": "m", "type": "agent", "capabilities": []}
            assert client.post("/api/members/register", json=body).status_code == 201
            body = {"packet_id": "before", "workload_type": "w", "context_checkpoint": {"a": 1}}
            assert client.post("/api/packets", json=body).status_code == 201
            for loses_writer in (False, True):
                _refuse(server)
                if loses_writer:
                    for child in _children(server.process.pid):
                        os.kill(child, signal.SIGKILL)
                accepted = [_answered(client, *one) for one in REQUESTS]
                assert client.get("/api/health/live").status_code == 200
                assert client.get("/metrics").status_code == 200
                assert client.get("/console/overview").status_code in {200, 503}
                if loses_writer:
                    problem(client.get("/api/health/ready"), 503)
                    assert "small" not in accepted
                _refuse(server, also=False)
                name = f"after-{loses_writer}"
                body = {"packet_id": name, "workload_type": "w", "context_checkpoint": CONTEXT}
                deadline = time.monotonic() + 90
                while client.post("/api/packets", json=body).status_code not in {201, 409}:
                    assert time.monotonic() < deadline, "it does not recover"
                    time.sleep(0.2)
                assert client.get("/api/packets/before").status_code == 200
        _refuse(server)
        _, seconds = server.terminate()
        assert seconds < 5.5
    finally:
        server.stop()
    assert "mistake in pfgov" not in server.errors.read_text()
    with opened(directory) as engine:
        assert engine.reader.has_packet("after-True")
    assert verified(directory, tmp_path, replayer=Replay()).exit_status == 0


def _answered(client: httpx2.Client, method: str, path: str, body: Any) -> str | None:
    """Return the packet that was submitted, if one was; whatever is not done is a problem, and says what it is."""
    answer = client.request(method, path, json=body)
    if answer.status_code == 503:
        problem(answer, 503)
    assert answer.status_code < 500 or answer.status_code == 503, (path, answer.text)
    return body.get("packet_id") if answer.status_code == 201 else None


def _none_at_all() -> None:
    without_privileges()
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))


@pytest.mark.process
@pytest.mark.parametrize("how", ["refused", "limit"])
def test_faults_a_server_that_cannot_have_processes_does_not_start(place: Path, how: str) -> None:
    """It says so in a sentence, and leaves no lock behind."""
    directory = fresh(place)
    if how == "limit":
        for_whom(place)
    program = (str(SCARCE),) if how == "refused" else ("-m", "pfgov.cli")
    done = subprocess.run(
        [sys.executable, *program, "serve", "--dir", str(directory), "--port", "0"],
        env={**os.environ, "SCARCE_AT_ONCE": "1"},
        preexec_fn=_none_at_all if how == "limit" else None,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4
    assert "cannot be started" in done.stderr
    assert "Traceback" not in done.stderr
    with opened(directory) as engine:
        assert submit(engine, packet("p")).entries
