"""Between two turns a server says that it lives, and that everything else has to wait."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest

from pfgov_api import interim
from pfgov_api.addresses import listen, local_url
from pfgov_api.interim import Interim


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """What a server keeps from turn to turn."""
    found = listen("127.0.0.1", 0)
    yield found
    for one in found:
        one.close()


def _url(sockets: list[socket.socket]) -> str:
    return local_url("127.0.0.1", sockets[0].getsockname()[1])


def test_it_answers_until_the_next_turn(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A supervisor hears nothing of a server whose next turn does not begin, or its clients wait without a bound."""
    monkeypatch.setattr(interim, "SAID_AFTER_SECONDS", 0.0)
    url, answering = _url(sockets), Interim(sockets)
    for _ in range(2):  # turn after turn
        answering.begin()
        with httpx2.Client(base_url=url, timeout=10) as client:
            live = client.get("/api/health/live")
            assert (live.status_code, live.json()["status"]) == (200, "live")
            head = client.head("/api/health/live")
            assert (head.status_code, head.content) == (200, b"")
            for method, path in (
                ("GET", "/api/health/ready"),
                ("POST", "/api/packets"),
                ("POST", "/api/health/live"),
                ("DELETE", "/nothing/here"),
                ("GET", "/ledgers/x/api/health/live"),
            ):
                body = b"{}" * 4_096 if method == "POST" else None
                named = {"X-Request-ID": "what the caller calls it"}
                answer = client.request(method, path, content=body, headers=named)
                assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["x-request-id"] == named["X-Request-ID"]
        answering.end()
        with pytest.raises(httpx2.TimeoutException):  # it waits for whoever answers next
            httpx2.get(f"{url}/api/health/live", timeout=0.2)
    assert not [one for one in threading.enumerate() if one.name == "interim"]


def test_a_turn_that_comes_soon_is_not_announced(sockets: list[socket.socket]) -> None:
    """Whoever asks in the moment between two turns is turned away, although the next turn would answer."""
    answering = Interim(sockets)
    answering.begin()
    with socket.create_connection(sockets[0].getsockname()) as waiting:
        waiting.sendall(b"GET /api/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        waiting.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            assert not waiting.recv(1)
            raise AssertionError("it was closed")
        answering.end()
        sockets[0].dup().close()  # what the next turn begins with
        assert not os.get_blocking(sockets[0].fileno())
        accepted, _ = sockets[0].accept()
        accepted.settimeout(10)
        with accepted:
            assert accepted.recv(100).startswith(b"GET /api/health/ready")


def test_without_a_thread_whoever_asks_waits(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that can have no thread more ends when the lead changes, or cannot go on."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    answering = Interim(sockets)
    answering.begin()
    answering.end()


def test_sockets_that_are_closed_end_it(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is told to end while it changes its part leaves an error behind."""
    monkeypatch.setattr(interim, "SAID_AFTER_SECONDS", 0.05)
    answering = Interim(sockets)
    answering.begin()
    for one in sockets:
        one.close()
    answering.end()


def test_silent_connections_do_not_hide_that_it_lives(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred connections on which nothing is asked, of anybody, have a supervisor end a server between two turns."""
    monkeypatch.setattr(interim, "SAID_AFTER_SECONDS", 0.0)
    url, answering = _url(sockets), Interim(sockets)
    answering.begin()
    with contextlib.ExitStack() as stack:
        stack.callback(answering.end)
        for _ in range(interim.CONNECTIONS_MAX + 20):
            stack.enter_context(socket.create_connection(sockets[0].getsockname(), timeout=10))
        for _ in range(3):
            assert httpx2.get(f"{url}/api/health/live", timeout=10).status_code == 200
