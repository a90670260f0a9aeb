"""The witness's server among callers that trickle, and on a machine that has no threads to give."""

import errno
import http.client
import socket
import socketserver
import threading
import time
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest
from support.witnesses import served

from pfgov.app.witness import server


def _port(line: str) -> int:
    return urlsplit(line.rsplit(maxsplit=1)[-1]).port or 0


def _is_there(port: int) -> bool:
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        asking.request("GET", "/")
        return asking.getresponse().status == 200
    finally:
        asking.close()


def test_a_connection_that_trickles_keeps_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as may connect, each sending a byte now and then: they are ended, and the next caller is answered."""
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.2)
    with served(tmp_path / "w", "w") as line:
        port = _port(line)
        slow = [
            socket.create_connection(("127.0.0.1", port), timeout=20)
            for _ in range(server.CONNECTIONS_MAX)
        ]
        for one in slow:
            one.sendall(b"P")
        for one in slow:
            assert one.recv(1) == b"", "nothing was asked, so nothing is answered but the end"
            one.close()
        assert _is_there(port)


ODD_HEADS = {
    "a body where none belongs": (
        b"GET / HTTP/1.1\r\nHost: w\r\nContent-Length: 33\r\n\r\n",
        b" 200 ",
    ),
    "chunks where none belong": (
        b"GET / HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n",
        b" 200 ",
    ),
    "a space before the colon": (
        b"POST /add-checkpoint HTTP/1.1\r\nContent-Length : 33\r\nContent-Length: 0\r\n\r\n",
        b" 400 ",
    ),
    "a header that is none": (
        b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 0\r\n\x00\r\nContent-Length: 33\r\n\r\n",
        b" 400 ",
    ),
}


@pytest.mark.parametrize("odd", ODD_HEADS)
def test_what_another_reader_takes_for_a_body_is_no_request(tmp_path: Path, odd: str) -> None:
    """Behind a proxy one caller's body is answered as a request of the next caller, who takes it for his answer."""
    head, status = ODD_HEADS[odd]
    with served(tmp_path / "w", "w") as line:
        with socket.create_connection(("127.0.0.1", _port(line)), timeout=20) as one:
            one.sendall(head + b"GET /smuggled HTTP/1.1\r\nHost: w\r\n\r\n")
            said = b""
            while piece := one.recv(4_096):
                said += piece
        assert said.count(b"HTTP/1.1 ") == 1, said
        assert status in said.partition(b"\r\n")[0]
        assert b"smuggled" not in said


def test_places_are_not_lost_with_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections than there are places come while no thread can be had: afterwards it answers as before."""
    real = threading.Thread.start
    refused: list[bool] = []

    def start(thread: threading.Thread) -> None:
        if "process_request" in thread.name:
            refused.append(True)
            raise RuntimeError("can't start new thread")
        real(thread)

    with served(tmp_path / "w", "w") as line:
        port = _port(line)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            for _ in range(server.CONNECTIONS_MAX + 1):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
                    assert one.recv(1) == b""
        assert len(refused) == server.CONNECTIONS_MAX + 1
        assert _is_there(port)


def test_without_descriptors_a_connection_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be accepted is there again at once, and takes a whole processor for as long as somebody holds it."""
    asked: list[bool] = []

    def exhausted(_: socketserver.TCPServer) -> NoReturn:
        asked.append(True)
        raise OSError(errno.EMFILE, "too many open files")

    with served(tmp_path / "w", "w") as line:
        port = _port(line)
        with monkeypatch.context() as patch:
            patch.setattr(socketserver.TCPServer, "get_request", exhausted)
            with socket.create_connection(("127.0.0.1", port), timeout=20):
                time.sleep(0.5)
        assert 0 < len(asked) <= 0.5 / server.EXHAUSTED_SECONDS + 1
        assert _is_there(port)
