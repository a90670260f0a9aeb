"""The witness's server among callers that trickle, and on a machine that has no threads to give."""

import http.client
import socket
import threading
from pathlib import Path
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
