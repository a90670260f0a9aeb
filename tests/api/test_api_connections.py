"""Connections: nobody can hold one by doing nothing, and what is no HTTP gets a problem and a closed door."""

import asyncio
import difflib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from support.api_server import Api, problem
from support.wire import Wire, asked, listening

from pfgov_api.limits import HEAD_BYTES_MAX, LARGE_BYTES
from pfgov_api.serve import _config

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


def test_a_form_that_is_cut_off_is_no_mistake_of_ours(
    hasty: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser that leaves, or somebody without a key who sends half a form, writes a traceback into the log."""
    half = (
        b"POST /console/do/register_member HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nid="
    )
    for _ in range(3):
        with Wire(hasty) as wire:
            wire.say(half)
    assert asked(hasty, half).startswith(b"HTTP/1.1 408 ")
    assert asked(hasty, LIVE + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert "unexpected error" not in caplog.text


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
    asking = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100

    def ask_for_ever(wire: Wire) -> None:
        while True:  # answers pile up until the server stops reading; then this waits, and is reset
            wire.socket.sendall(asking)

    with Wire(hasty) as wire, pytest.raises((ConnectionResetError, BrokenPipeError)):
        ask_for_ever(wire)


@pytest.mark.parametrize(
    "raw",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
     LIVE + b"Host: other\r\n\r\n", LIVE + b"X Y: z\r\n\r\n", LIVE + b"X: a\x00b\r\n\r\n", LIVE + b": x\r\n\r\n",
     POST + b"Content-Length: -1\r\n\r\n", POST + b"Content-Length: 1, 2\r\n\r\n",
     POST + b"Content-Length: 0x1\r\n\r\n",
     POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
     POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", POST + b"Transfer-Encoding : chunked\r\n\r\n",
     b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=lambda raw: str(raw[-30:]),
)  # fmt: skip
def test_what_is_no_http_is_a_problem(hasty: int, raw: bytes) -> None:
    """One answer, a problem, and the connection is closed: nothing after it is read as another request."""
    found = asked(hasty, raw + LIVE + b"\r\n")
    assert found.count(b"HTTP/1.1 ") == 1, found
    assert found.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 403 ")), found
    assert b"application/problem+json" in found


def _head(size: int, *, query: bool = False) -> bytes:
    """A whole head of exactly *size* bytes, most of it in a header or in the query string."""
    begin, middle = (b"GET /api/status?x=", b" HTTP/1.1\r\n") if query else (LIVE + b"X: ", b"\r\n")
    end = b"Host: localhost\r\nConnection: close\r\n\r\n" if query else b"Connection: close\r\n\r\n"
    return begin + b"y" * (size - len(begin + middle + end)) + middle + end


@pytest.mark.parametrize("query", [False, True], ids=["header", "query"])
def test_a_head_has_a_size_at_which_it_is_refused(hasty: int, query: bool) -> None:
    """At the limit it is read; a byte more is 431, in one piece, in many, or behind another request."""
    assert _head(HEAD_BYTES_MAX, query=query).endswith(b"\r\n\r\n")
    found = asked(hasty, _head(HEAD_BYTES_MAX, query=query))
    assert found.startswith(b"HTTP/1.1 400 " if query else b"HTTP/1.1 200 "), found
    one_more = _head(HEAD_BYTES_MAX + 1, query=query)
    for raw in (one_more, _head(HEAD_BYTES_MAX + 5, query=query)[:-4], _head(100_000, query=query)):
        found = asked(hasty, raw)
        assert found.startswith(b"HTTP/1.1 431 "), found
        assert b'"code":"http.head_too_large"' in found
        assert b"connection: close" in found
    found = asked(hasty, LIVE + b"\r\n" + _head(100_000, query=query))
    assert found.startswith(b"HTTP/1.1 200 ")
    assert found.count(b"HTTP/1.1 431 ") == found.count(b"HTTP/1.1 ") - 1 == 1
    with Wire(hasty) as wire:
        for start in range(0, len(one_more), 10_000):
            wire.say(one_more[start : start + 10_000])
        assert wire.rest().startswith(b"HTTP/1.1 431 ")


def test_a_body_is_no_head(hasty: int) -> None:
    """What is larger than a head may be, and belongs to a body, is read, next to the next request."""
    body = (
        b'{"packet_id":"bulk","workload_type":"x","context_checkpoint":{"a":"'
        + b"y" * 200_000
        + b'"}}'
    )
    with Wire(hasty) as wire:
        wire.say(
            POST
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
            + LIVE
            + b"Connection: close\r\n\r\n"
        )
        found = wire.rest()
    assert found.startswith(b"HTTP/1.1 201 "), found[:200]
    assert b'"live"' in found


SMUGGLED = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     LIVE + b"Content-Length: 5\r\n\r\nhello",
     LIVE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     LIVE + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"],
)  # fmt: skip
def test_a_body_of_two_lengths_or_where_none_belongs_is_refused(hasty: int, raw: bytes) -> None:
    """Nothing after it is executed on the strength of how we happen to have counted."""
    found = asked(hasty, raw + SMUGGLED)
    assert found.startswith(b"HTTP/1.1 400 "), found
    assert b'"code":"http.bad_request"' in found


@pytest.mark.parametrize(
    "line",
    [
        "POST /api/packets",
        "POST /api/nowhere",
        "POST /api/status",
        "OPTIONS /api/packets",
        "GET /api/health/live",
        "GET /console/overview",
        "GET /console/static/x",
        "POST /console/do/register_member",
    ],
)
@pytest.mark.parametrize(
    "framing",
    ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "Authorization: a\r\nAuthorization: b\r\n\r\n", "Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n"],
    ids=["two lengths", "two credentials", "two types"],
)  # fmt: skip
def test_after_a_request_of_two_meanings_nothing_is_read(
    hasty: int, line: str, framing: str
) -> None:
    """The connection ends with the refusal, whatever the path: what follows may be a part of it (RFC 9112, 6.1)."""
    found = asked(hasty, f"{line} HTTP/1.1\r\nHost: localhost\r\n{framing}".encode() + SMUGGLED)
    assert found.startswith(b"HTTP/1.1 400 "), found
    assert b"\r\nconnection: close\r\n" in found.lower()
    assert found.count(b"HTTP/1.1 ") == 1, found


@pytest.mark.parametrize(
    "path",
    ["//api/status", "/api//status", "/api/status/", "/api%2fstatus", "/api%2Fpackets%2Fp1", "/api/packets/p1/",
     "/api/packets//p1", "/api/./status", "/api/x/../status", "/api/status;x", "/api/status%00",
     "/api/packets/p1%2flineage"],
)  # fmt: skip
def test_a_path_has_one_spelling(hasty: int, path: str) -> None:
    """A proxy that guards a path guards the only way to it."""
    found = asked(
        hasty, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert found.startswith(b"HTTP/1.1 404 "), found


def test_an_id_may_be_encoded(api: Api) -> None:
    """What a careful client does to the characters of an id makes no other path of it."""
    api.packet("a:b@c~d", hold=True)
    for path in ("a:b@c~d", "a%3Ab%40c~d", "%61%3ab%40c%7Ed"):
        assert api.get(f"/api/packets/{path}").json()["packet_id"] == "a:b@c~d"


def test_an_upgrade_is_not_talked_about(hasty: int, caplog: pytest.LogCaptureFixture) -> None:
    """It is ignored, and no line of the log advises to install another library."""
    upgrade = (
        b"Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 200 " in asked(hasty, LIVE + upgrade).splitlines()[0]
    assert "pgrade" not in caplog.text


def test_garbage_after_an_early_answer_is_no_accident(
    hasty: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A chunk that is none, after the request was refused: the connection is closed, without a traceback."""
    with Wire(hasty) as wire:
        wire.say(POST.replace(b"packets", b"nowhere") + b"Transfer-Encoding: chunked\r\n\r\n")
        wire.until(b'"hint"')
        assert wire.say(b"zz\r\n").rest().count(b"HTTP/1.1") == 0
    assert "Traceback" not in caplog.text


def test_one_last_event_id(api: Api) -> None:
    """Two positions to resume after are one too many."""
    pairs = [("Last-Event-ID", "1"), ("Last-Event-ID", "2")]
    request = api.client.build_request("GET", "/api/events", headers=pairs)
    problem(api.run(api.client.send(request)), 400)


@pytest.mark.parametrize(
    "host",
    ["localhost:80@evil.example", "localhost:80:80", "localhost:", "[::1]x", "localhost:123456"],
)
def test_a_host_that_only_begins_well_is_not_this_machine(api: Api, host: str) -> None:
    """The whole of it is compared."""
    problem(api.get("/api/status", headers={"Host": host}), 403, "http.cross_site")


def test_thousands_of_mistakes_cost_no_more_than_a_few(api: Api) -> None:
    """Only those that are reported are looked into; all are counted."""
    looked, mistakes = 0, {f"k{number}": 1 for number in range(20_000)}
    real = difflib.get_close_matches

    def counting(*arguments: Any, **options: Any) -> Any:
        nonlocal looked
        looked += 1
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(difflib, "get_close_matches", counting)
        found = problem(api.post("/api/packets", {"workload_type": "x", **mistakes}), 400)
    assert "19999 more" in found["detail"]
    assert len(found["errors"]) == looked == 32


def test_a_large_body_is_read_like_any_other(api: Api) -> None:
    """In a thread, so that nobody waits for it: the same packet, the same refusals."""
    context = {"step": "x", "bulk": "y" * LARGE_BYTES}
    api.packet("large", hold=True, context_checkpoint=context)
    assert api.get("/api/packets/large/context").json()["context"] == context
    problem(
        api.post("/api/packets", {"workload_type": "x", "labels": {"a": "y" * LARGE_BYTES}}),
        400,
        "input.too_large",
    )


def test_the_server_runs_in_the_loop_that_was_tried(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that happens to be installed changes how connections are accepted, held and cut off."""
    monkeypatch.setitem(sys.modules, "uvloop", ModuleType("uvloop"))
    made = _config(api.service).get_loop_factory()
    assert made is not None
    loop = made()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)
