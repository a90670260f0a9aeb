"""What is read in one go is what h11 reads: the same request, and nothing left over."""

from collections.abc import Iterator

import h11
from hypothesis import given
from hypothesis import strategies as st

from pfgov_api.plain import plain_request

NAMES = [
    b"Host",
    b"host",
    b"Content-Length",
    b"content-length",
    b"Connection",
    b"Transfer-Encoding",
    b"Expect",
    b"Upgrade",
    b"X-A",
    b"Accept",
    b"Authorization",
    b"Idempotency-Key",
    b"X_A",
    b"X A",
    b"",
    b"TE",
    b"Content-Type",
]
VALUES = [
    b"localhost",
    b"0",
    b"2",
    b"02",
    b"+2",
    b"2, 2",
    b"3",
    b"keep-alive",
    b"Keep-Alive",
    b"close",
    b"chunked",
    b"100-continue",
    b"h2c",
    b"a b",
    b" a",
    b"a ",
    b"a\tb",
    b"",
    b"\xe4",
    b"a\x00",
    b"a\rb",
    b"a\nb",
    b"a: b",
    b"\x7f",
]
FIRSTS = [
    b"POST /api/packets HTTP/1.1",
    b"GET / HTTP/1.1",
    b"PATCH /a?b=c HTTP/1.1",
    b"POST /a? HTTP/1.1",
    b"POST /%61 HTTP/1.1",
    b"POST  / HTTP/1.1",
    b"POST / HTTP/1.0",
    b"HEAD / HTTP/1.1",
    b"post / HTTP/1.1",
    b"POST http://a/ HTTP/1.1",
    b"POST //a/../b HTTP/1.1",
    b"POST /a#b HTTP/1.1",
    b"POST /\xe4 HTTP/1.1",
    b"POST /?a?b HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"",
]
GOOD = [FIRSTS[0], b"Host: localhost", b"Content-Length: 2", b"Accept: */*"]


def altered() -> Iterator[bytes]:
    """An ordinary request with another line, one line more, one less, or another end; every one of them."""
    lines = [
        name + colon + value
        for name in NAMES
        for colon in (b": ", b":", b" : ")
        for value in VALUES
    ]
    for line in lines:
        yield b"\r\n".join([*GOOD, line]) + b"\r\n\r\n{}"
        for at in range(1, len(GOOD)):
            yield b"\r\n".join([*GOOD[:at], line, *GOOD[at + 1 :]]) + b"\r\n\r\n{}"
    for first in FIRSTS:
        yield b"\r\n".join([first, *GOOD[1:]]) + b"\r\n\r\n{}"
    for at in range(len(GOOD)):
        yield b"\r\n".join([*GOOD[:at], *GOOD[at + 1 :]]) + b"\r\n\r\n{}"
    for end in (
        b"",
        b"\r\n",
        b"\n\n{}",
        b"\r\n\r\n{",
        b"\r\n\r\n{}x",
        b"\r\n\r\n{}GET / HTTP/1.1\r\nHost: b\r\n\r\n",
    ):
        yield b"\r\n".join(GOOD) + end


def by_h11(data: bytes) -> tuple[str, bytes, list[tuple[bytes, bytes]], bytes]:
    """The request that h11 finds in *data*, if that is one request, whole, and the connection lives on."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    head = connection.next_event()
    assert isinstance(head, h11.Request)
    assert head.http_version == b"1.1"
    assert not connection.they_are_waiting_for_100_continue
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.their_state is h11.DONE
    assert connection.our_state is h11.SEND_RESPONSE
    assert connection.trailing_data == (b"", False)
    headers = [(name.lower(), value) for name, value in head.headers]
    return head.method.decode(), head.target, headers, body


def test_what_is_read_in_one_go_is_what_h11_reads() -> None:
    """A request that is taken here differs from what h11 makes of the same bytes."""
    assert sum(map(is_the_same, altered())) > 200


@given(st.integers(0, 60), st.integers(0, 8), st.binary(max_size=4))
def test_so_it_is_whatever_is_altered(at: int, more: int, new: bytes) -> None:
    """A request that is taken here after any few bytes were exchanged differs from what h11 makes of it."""
    whole = b"\r\n".join(GOOD) + b"\r\n\r\n{}"
    is_the_same(whole[:at] + new + whole[at + more :])


def is_the_same(data: bytes) -> bool:
    """Whether *data* is taken; then it is what h11 takes it for."""
    found = plain_request(data)
    if found is None:
        return False
    method, target, headers, body = by_h11(data)
    path, _, query = target.partition(b"?")
    assert (method, headers, body) == (found.method, found.headers, found.body)
    assert (path.decode(), query) == (found.path, found.query)
    assert "%" not in found.path
    return True


@given(
    st.sampled_from(["POST", "GET", "PATCH"]),
    st.binary(max_size=200),
    st.text("abc-", min_size=1, max_size=9),
)
def test_what_callers_send_is_read_in_one_go(method: str, body: bytes, word: str) -> None:
    """An ordinary request is left to h11."""
    head = f"{method} /api/packets/{word}?receipt=proof HTTP/1.1\r\nHost: localhost:8000\r\nX-Request-Id: {word}\r\n"
    data = (
        head.encode() + b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(body) + body
    )
    found = plain_request(data)
    assert found is not None
    assert found.body == body
    assert plain_request(data + b"G") is None
    assert plain_request(data[:-1]) is None
