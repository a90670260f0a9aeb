"""How a monitor asks a server: what a hostile one answers is bounded, in bytes and in time."""

import socket
import threading

import pytest

from pfgov.app.monitor.fetching import Fetcher
from pfgov.app.remote.errors import NoAnswerError, NotPfgovError, ServerError
from pfgov.app.remote.session import Address
from pfgov.errors import ForbiddenError


def _server(*answers: bytes) -> str:
    """Answer one connection after the other with these bytes; return the URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
        listener.close()

    threading.Thread(target=run, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _answer(status: str, body: bytes = b"", *more: bytes) -> bytes:
    head = b"".join(line + b"\r\n" for line in (b"HTTP/1.1 " + status.encode(), *more))
    return head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_answer("200 OK", b"x" * 11), NotPfgovError),
        (_answer("302 Found", b"", b"Location: http://elsewhere.test/"), NotPfgovError),
        (_answer("401 Unauthorized"), ForbiddenError),
        (_answer("403 Forbidden", b"x" * 99), ForbiddenError),
        (_answer("503 Service Unavailable"), NoAnswerError),
        (b"nonsense\r\n\r\n", NoAnswerError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", NoAnswerError),
    ],
)
def test_monitor_what_a_server_answers_is_bounded(answer: bytes, error: type[Exception]) -> None:
    """A hostile server fills the memory, leads elsewhere, or a refusal is taken for an alarm."""
    fetcher = Fetcher(Address(_server(answer), patience=5.0))
    with pytest.raises(error):
        fetcher("tiles/checkpoint", 10)
    fetcher.close()


def test_monitor_asks_again_where_a_kept_connection_ended() -> None:
    """A connection that idled away between two looks is taken for a server that is down."""
    keeping = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
    fetcher = Fetcher(Address(_server(keeping, keeping, _answer("404 Not Found")), patience=5.0))
    assert fetcher("a", 10) == b"ab"
    assert fetcher("a", 10) == b"ab"
    assert fetcher("a", 10) is None
    fetcher.close()
    with pytest.raises(ServerError):
        Fetcher(Address("http://127.0.0.1:1", patience=1.0))("a", 10)


def test_monitor_a_trickling_answer_has_a_deadline() -> None:
    """A server that sends a byte now and then holds the monitor for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
            while not done.wait(0.01):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    fetcher = Fetcher(Address(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=0.3))
    with pytest.raises(NoAnswerError):
        fetcher("tiles/checkpoint", 100_000)
    done.set()
    fetcher.close()
    thread.join()
    listener.close()
