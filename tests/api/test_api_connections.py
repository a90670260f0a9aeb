"""Connections: nobody can hold one by doing nothing, and what is no HTTP gets a problem and a closed door."""

from collections.abc import Iterator

import pytest
from support.api_server import Api
from support.wire import Wire, asked, listening

LIVE = b"GET /api/health/live HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/packets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
BODY = b'{"packet_id":"p1","workload_type":"x"}'


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A port with little patience."""
    with (
        Api(tmp_path_factory.mktemp("hasty")) as api,
        listening(api, head_seconds=0.3, body_seconds=0.3, stalled_seconds=0.3) as port,
    ):
        yield port


@pytest.mark.parametrize(
    "begun", [b"G", b"GET /api/health/live HTTP/1.1\r\n", LIVE, LIVE + b"X-A: "]
)
def test_headers_that_do_not_end_are_not_waited_for(hasty: int, begun: bytes) -> None:
    """Whoever begins and does not end gets 408 as a problem, and a closed connection."""
    found = asked(hasty, begun)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in found
    assert b'"code":"http.timeout"' in found


def test_who_says_nothing_is_not_answered(hasty: int) -> None:
    """A connection without a byte is closed without one."""
    assert asked(hasty, b"") == b""


def test_trickling_does_not_help(hasty: int) -> None:
    """A header every now and then buys no time: it counts from the first byte."""
    with Wire(hasty) as wire:
        wire.say(LIVE)
        for _ in range(1_000):
            wire.say(b"X-A: b\r\n")
            wire.socket.settimeout(0.05)
            try:
                found = wire.socket.recv(1_000)
            except TimeoutError:
                continue
            break
        assert found.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "sent",
    [b"Content-Length: 100\r\n\r\n{", b"Content-Length: 1\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n",
     b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
)  # fmt: skip
def test_a_body_that_does_not_end_is_not_waited_for(hasty: int, sent: bytes) -> None:
    """Nor is one that trickles; nothing is left behind of it."""
    found = asked(hasty, POST + sent)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert found.count(b"HTTP/1.1") == 1


def test_a_body_that_is_answered_before_it_ends_is_not_waited_for(hasty: int) -> None:
    """Refused for its headers, a request whose body never comes has its connection closed all the same."""
    found = asked(hasty, POST.replace(b"packets", b"nowhere") + b"Content-Length: 100\r\n\r\n{")
    assert found.startswith(b"HTTP/1.1 404 ")
    assert found.count(b"HTTP/1.1") == 1


def test_a_whole_request_has_all_the_time_it_needs(hasty: int) -> None:
    """Keep-alive, pipelined and late requests are answered; only what is begun has to end."""
    with Wire(hasty) as wire:
        wire.say(POST + b"Content-Length: 38\r\n\r\n" + BODY[:20]).say(BODY[20:])
        assert b" 201 " in wire.until(b"}}")
        wire.say((LIVE + b"\r\n") * 3)
        seen = b""
        while seen.count(b'"live"') < 3:
            seen += wire.until(b'"live"')
        wire.say(LIVE + b"Connection: close\r\n\r\n")
        assert b" 200 " in wire.rest()
    with Wire(hasty) as wire:
        wire.say(LIVE + b"\r\n" + LIVE[:10])
        assert b"HTTP/1.1 408 " in wire.rest()


def test_a_reader_that_does_not_read_is_cut_off(hasty: int) -> None:
    """Answers that nobody takes are not kept for ever: the connection is reset."""
    with Wire(hasty) as wire, pytest.raises((ConnectionResetError, BrokenPipeError)):
        while True:  # answers pile up until the server stops reading; then this waits, and is reset
            wire.socket.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)


@pytest.mark.parametrize(
    "raw",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
     LIVE + b"Host: other\r\n\r\n", LIVE + b"X Y: z\r\n\r\n", LIVE + b"X: a\x00b\r\n\r\n", LIVE + b": x\r\n\r\n",
     POST + b"Content-Length: -1\r\n\r\n", POST + b"Content-Length: 1, 2\r\n\r\n",
     POST + b"Content-Length: 0x1\r\n\r\n",
     POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
     POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", POST + b"Transfer-Encoding : chunked\r\n\r\n",
     b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000],
    ids=lambda raw: str(raw[-30:]),
)  # fmt: skip
def test_what_is_no_http_is_a_problem(hasty: int, raw: bytes) -> None:
    """One answer, a problem, and the connection is closed: nothing after it is read as another request."""
    found = asked(hasty, raw + LIVE + b"\r\n")
    assert found.count(b"HTTP/1.1 ") == 1, found
    assert found.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 ")), found
    assert b"application/problem+json" in found
