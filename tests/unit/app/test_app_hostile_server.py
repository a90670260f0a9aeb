"""A server may be anybody's: whatever it answers, its caller takes in a bounded amount, and says what is wrong."""

import asyncio
import gzip
import hashlib
import http.client
import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import pytest

from pfgov.app.monitor.fetching import Fetcher
from pfgov.app.remote import exports
from pfgov.app.remote.errors import CutExportError
from pfgov.app.remote.ledgers import ledgers
from pfgov.app.remote.session import Address, Session
from pfgov.app.webhook import delivering
from pfgov.app.webhook.delivering import Poster
from pfgov.app.webhook.endpoints import Endpoint
from pfgov.client import AsyncClient, Client, bounds, timing
from pfgov.client.core import Ask, Retry, UnreachableError
from pfgov.client.refusals import ApiError
from pfgov.client.stream import EVENT_BYTES_MAX, EventParser
from pfgov.deadlines import timed
from pfgov.engine.witnessing.asking import poster
from pfgov.errors import PfgovError
from pfgov.kubernetes import api as kubernetes_api
from pfgov.kubernetes.api import PODS, Kubernetes
from pfgov.kubernetes.connecting import Connection

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
DEEP = b"[" * 200_000
BOMB = gzip.compress(b'{"a":"' + b"x" * 50_000_000 + b'"}')

ANSWERS = {
    "endless": (HEAD + b"\r\n", b"x" * 65_536),
    "endless, chunked": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "endless refusal": (HEAD.replace(b"200 OK", b"409 Conflict") + b"\r\n", b"x" * 65_536),
    "compressed": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, b""),
    "deep": (HEAD + b"Content-Length: %d\r\n\r\n" % len(DEEP) + DEEP, b""),
    "no JSON": (HEAD + b"Content-Length: 1\r\n\r\nx", b""),
}  # fmt: skip


@contextmanager
def _answering(head: bytes, more: bytes, pause: float = 0.0) -> Iterator[str]:
    """Give the URL of a server that answers everything with *head*, and with *more* for ever, now and then."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            try:
                self.request.sendall(head)
                while more:
                    self.request.sendall(more)
                    time.sleep(pause)
            except OSError:
                pass  # it has heard enough

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that are reached at once."""
    monkeypatch.setattr(bounds, "ANSWER_BYTES_MAX", 1 << 20)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_hostile_answer_is_refused_by_every_client(name: str) -> None:
    """An answer without end, a bomb, or brackets in brackets: an error of ours, from each of the three."""
    with _answering(*ANSWERS[name]) as url:
        retry = Retry(patience=0.1)
        with Client(url, retry=retry) as client, pytest.raises((UnreachableError, ApiError)):
            client.get("/api/packets")

        async def ask() -> Any:
            async with AsyncClient(url, retry=retry) as client:
                return await client.get("/api/packets")

        with pytest.raises((UnreachableError, ApiError)):
            asyncio.run(ask())
        with Session(Address(url, None, patience=0.5)) as session, pytest.raises(PfgovError):
            session.greet()
        with Session(Address(url, None, patience=0.5)) as session:
            if name in {"deep", "no JSON"}:
                assert session.ask(Ask("GET", "/api/packets")) is None
            else:
                with pytest.raises(PfgovError):
                    session.ask(Ask("GET", "/api/packets"))


@pytest.mark.parametrize(
    "piece",
    [
        b"data: x\n" * 2_000_000,
        b"id: 1\ndata: " + DEEP + b"\n\n",
        b"id: 1\ndata: []\n\n",
        b"id: 1\ndata: 5\n\n",
        b"id: " + b"9" * 5_000 + b"\ndata: {}\n\n",
    ],
    ids=["lines without end", "deep", "a list", "a number", "a position without end"],
)
def test_a_hostile_stream_is_an_error(piece: bytes) -> None:
    """What is no event of pfgov's is a ValueError, and an event that never ends fills nothing."""
    parser = EventParser()
    with pytest.raises(ValueError, match=r"event|digits"):
        list(parser.feed(piece))


def test_events_of_an_honest_stream_are_bounded_one_by_one() -> None:
    """Many events after one another are more than one may be."""
    parser = EventParser()
    one = b'id: 1\ndata: {"a":"' + b"x" * 1_000_000 + b'"}\n\n'
    assert sum(len(list(parser.feed(one))) for _ in range(EVENT_BYTES_MAX // len(one) + 2)) > 8


def test_a_line_costs_no_more_in_small_pieces() -> None:
    """A byte at a time, each is joined to all of the line before it: 4 MB take an hour of the processor."""
    parser = EventParser()
    assert list(parser.feed(b"data: " + b"x" * 3_000_000)) == []
    begun = time.process_time()
    for _ in range(2_000):
        assert list(parser.feed(b"x")) == []
    assert time.process_time() - begun < 1
    found = list(EventParser().feed(b'id: 1\nevent: a\ndata: {"b":2}\n\n'))
    pieces, slow = (b'id: 1\nevent: a\ndata: {"b":2}\n\n', EventParser())
    assert [one for byte in pieces for one in slow.feed(bytes([byte]))] == found


@pytest.mark.parametrize("size", [1, 7, 4_096])
def test_an_export_is_the_same_in_any_pieces(size: int) -> None:
    """What the server says of an export's digest is held against another part of it."""
    raw, body = b'{"a":1}\n' * 50 + b'{"b":2}\n', exports._Body()
    for at in range(0, len(raw), size):
        body.add(raw[at : at + size])
    assert (body.lines, body.sha256) == (51, hashlib.sha256(raw[:-8]).hexdigest())


def test_an_export_without_a_line_fills_nothing() -> None:
    """A server that answers with one line that does not end fills the memory of whoever asks for an export."""
    with (
        _answering(HEAD + b"\r\n", b"x" * 65_536) as url,
        Session(Address(url, None, patience=5)) as session,
        pytest.raises(CutExportError, match="a line of it is longer than any has"),
    ):
        exports.fetch(session, "/api/ledger/export", io.BytesIO(), None, compress=False)


@pytest.mark.parametrize("is_asynchronous", [True, False])
def test_no_proxy_of_the_environment_sees_what_is_not_encrypted(
    monkeypatch: pytest.MonkeyPatch, *, is_asynchronous: bool
) -> None:
    """A worker beside its server sends its key to whatever HTTP_PROXY names."""
    seen: list[bytes] = []
    answer = HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
    with _answering(answer, b"") as url, _hearing(seen) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)

        async def ask() -> Any:
            async with AsyncClient(url, key="pfgov_x", retry=Retry(patience=0.1)) as client:
                return await client.get("/api/packets")

        if is_asynchronous:
            assert asyncio.run(ask()) == {}
        else:
            with Client(url, key="pfgov_x", retry=Retry(patience=0.1)) as client:
                assert client.get("/api/packets") == {}
    assert seen == []


@contextmanager
def _hearing(heard: list[bytes]) -> Iterator[str]:
    """Give the URL of something that notes what it is sent, and answers nothing."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            heard.append(self.request.recv(65_536))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


# --- answers that never end and whose every byte comes in time -----------------------------------------------------

INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

DRAWN_OUT = {
    "interim answers without end": (INTERIM, INTERIM * 1_000, 0.0),
    "interim answers now and then": (INTERIM, INTERIM, 0.02),
    "a head that trickles": (HEAD + b"X: ", b"x", 0.02),
    "a chunk whose size trickles": (CHUNKED, b"0", 0.02),
    "trailers now and then": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: y\r\n", 0.02),
}
SHORT = 0.2


def _asked_by_session(url: str) -> Any:
    with Session(Address(url, None, patience=3 * SHORT)) as session:
        return session.ask(Ask("GET", "/api/packets"))


def _asked_by_client(url: str) -> Any:
    with Client(url, retry=Retry(patience=0.0), timeout=SHORT) as client:
        return client.get("/api/packets")


def _asked_by_asynchronous_client(url: str) -> Any:
    async def ask() -> Any:
        async with AsyncClient(url, retry=Retry(patience=0.0), timeout=SHORT) as client:
            return await client.get("/api/packets")

    return asyncio.run(ask())


def _told(url: str) -> Any:
    port = int(url.rpartition(":")[2])
    to = Endpoint("a", "127.0.0.1", port, "/", is_plain=True, secret="", types=frozenset())
    return Poster(frozenset({to.host}))(to, b"{}", {})


def _listed(url: str) -> Any:
    async def ask() -> Any:
        cluster = Kubernetes(Connection(url))
        try:
            return await cluster.list(PODS)
        finally:
            await cluster.close()

    return asyncio.run(ask())


def _exported(url: str) -> bytes:
    async def ask() -> bytes:
        async with AsyncClient(url, retry=Retry(patience=0.0), timeout=SHORT) as client:
            return await client.export("p")

    return asyncio.run(ask())


DOORS: dict[str, Callable[[str], Any]] = {
    "command line": _asked_by_session,
    "client": _asked_by_client,
    "asynchronous client": _asked_by_asynchronous_client,
    "monitor": lambda url: Fetcher(Address(url, None, patience=SHORT))("checkpoint", 1_000),
    "witness": lambda url: poster(SHORT)(f"{url}/add-checkpoint", b"x"),
    "webhook": _told,
    "controller": _listed,
    "lineage": _exported,
}


def test_an_answer_that_is_drawn_out_ends_at_every_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that sends a little now and then, in its head, its chunks or its trailers, holds its caller for ever."""
    monkeypatch.setattr(bounds, "ANSWER_SECONDS", SHORT)
    monkeypatch.setattr(delivering, "TIMEOUT_SECONDS", SHORT)
    monkeypatch.setattr(kubernetes_api, "TIMEOUT_SECONDS", SHORT)
    ended = (PfgovError, ApiError, UnreachableError, OSError, http.client.HTTPException)

    held = {f"{door}: {name}" for name in DRAWN_OUT for door in DOORS}
    for name in ("a chunk whose size trickles", "trailers now and then"):
        held.remove(f"webhook: {name}")  # nothing is read of that answer after its head

    def ask(door: str, name: str) -> None:
        with _answering(*DRAWN_OUT[name]) as url, pytest.raises(ended):
            DOORS[door](url)
        held.discard(f"{door}: {name}")

    threads = [
        threading.Thread(target=ask, args=(door, name), daemon=True)
        for door, name in (one.split(": ") for one in held)
    ]
    for one in threads:
        one.start()
    given_up = time.monotonic() + 20
    for one in threads:
        one.join(max(given_up - time.monotonic(), 0.0))
    assert held == set()


@pytest.mark.parametrize("names", [0, 1_000])
def test_a_list_of_ledgers_that_does_not_end_is_refused(names: int) -> None:
    """Page follows upon page, empty or not, and `pfgov ledger list` never ends, or takes all memory."""
    asked: list[str] = []

    class Endless:
        """A server that always knows more."""

        to = Address("http://localhost:8000")

        def ask(self, ask: Ask) -> dict[str, Any]:
            """Answer one page."""
            asked.append(ask.path)
            assert len(asked) < 100
            items = [{"name": f"l{one}", "state": "open"} for one in range(names)]
            return {"items": items, "next": f"l{len(asked)}"}

    with pytest.raises(PfgovError, match="does not end"):
        ledgers(Endless())  # type: ignore[arg-type]


def test_a_long_answer_is_not_ended_by_the_time_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An export, or a stream of events, is cut off by the bound that other answers have."""
    monkeypatch.setattr(bounds, "ANSWER_SECONDS", 0.0)
    lines = HEAD + b"Content-Length: 20000\r\n\r\n"
    with (
        _answering(lines, b"x" * 100, 0.001) as url,
        Session(Address(url, None, patience=3.0)) as session,
        session.stream("/api/ledger/export") as answer,
    ):
        assert sum(map(len, answer.iter_bytes())) == 20_000


def test_hostile_all_addresses_of_a_name_together_have_one_end_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name with a hundred addresses that take no connection holds whoever asks it a hundred times as long."""
    look_up = socket.getaddrinfo
    with socket.socket() as full, ExitStack() as stack:
        full.bind(("0.0.0.0", 0))
        full.listen(0)
        port = full.getsockname()[1]

        def many(host: str, *given: Any, **named: Any) -> Any:
            if host != "log.example":
                return look_up(host, *given, **named)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (f"127.0.0.{number}", port)) for number in range(1, 101)]

        for _ in range(8):  # whoever comes now is not answered
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        monkeypatch.setattr("socket.getaddrinfo", many)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            timed("log.example", port, 0.2, is_secure=False).request("GET", "/")
        assert time.monotonic() - began < 2
        began = time.monotonic()
        with (
            Client(f"http://log.example:{port}", timeout=0.2, retry=Retry(patience=0.0)) as client,
            pytest.raises(UnreachableError),
        ):
            client.get("/api/packets")
        assert time.monotonic() - began < 4


def test_hostile_time_is_kept_once_on_a_connection_that_two_ask_for_it() -> None:
    """Of a transport that is watched twice, an asynchronous one is taken for the other kind."""
    with httpx2.Client() as client:
        timing.watch(client)
        backend = client._transport._pool._network_backend
        timing.keep_time(client._transport)
        assert client._transport._pool._network_backend is backend
