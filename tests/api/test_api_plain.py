"""The short ways: a request read in one go and answered past Litestar has the answer that it has otherwise."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from support.api_server import Api, path_values
from support.wire import Wire, listening

from pfgov_api.app import create_app
from pfgov_api.mounting import Routes
from pfgov_api.plain import plain_request
from pfgov_api.routes import OPERATIONS

HOST = "Host: localhost\r\nX-Request-Id: r1\r\n"
JSON = "Content-Type: application/json\r\n"
NOT_PLAIN = "X-Spelling:old\r\n"
"""A header that leaves a request to h11, and changes nothing else."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with a member and a packet."""
    with Api(tmp_path_factory.mktemp("plain")) as api:
        api.member("m1")
        api.packet("p1")
        with listening(api) as port:
            yield port


def request(first: str, headers: str = "", body: str = "") -> bytes:
    """A request with as many bytes of body as it says."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{first} HTTP/1.1\r\n{HOST}{headers}{length}\r\n{body}".encode()


def told(port: int, sent: bytes) -> bytes:
    """The whole answer, without the moment at which it was given."""
    with Wire(port) as wire:
        found = wire.say(sent).until(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", found)
        wanted = int(length[1]) if length else 0
        while len(found.partition(b"\r\n\r\n")[2]) < wanted:
            found += wire.socket.recv(65_536)
    return re.sub(rb"date: [^\r]+", b"date:", found)


ASKED = [
    ("GET /api/packets/p1", "", ""),
    ("GET /api/packets/p1?receipt=proof", "", ""),
    ("GET /api/packets/p2", "", ""),
    ("GET /api/members?limit=1", "Connection: keep-alive\r\n", ""),
    ("GET /api/nowhere", "", ""),
    ("GET /api/packets/", "", ""),
    ("GET /api//packets", "", ""),
    ("GET /metrics/x", "", ""),
    ("POST /api/health/live", JSON, "{}"),
    ("POST /api/packets/p1/assign", JSON, '{"target":7}'),
    ("POST /api/packets/p1/assign", JSON, '{"target":"m1","target":"m2"}'),
    ("POST /api/packets/p1/assign", JSON, "{"),
    ("POST /api/packets/p1/assign", "", "{}"),
    ("POST /api/packets/-p/assign", JSON, "{}"),
    ("POST /api/packets", JSON + "Idempotency-Key: a b\r\n", '{"workload_type":"x"}'),
    ("POST /api/packets", JSON + "Sec-Fetch-Site: cross-site\r\n", '{"workload_type":"x"}'),
    ("POST /api/packets", JSON + "Content-Type: text/plain\r\n", '{"workload_type":"x"}'),
    ("POST /api/members/m1/heartbeat", JSON, '{"incarnation":9}'),
    ("POST /api/packets/p9/complete", JSON, '{"member_id":"m1","incarnation":1,"epoch":1}'),
    ("PATCH /api/members/m1", JSON, '{"nothing":1}'),
    ("GET /api/packets/p1", "Authorization: Bearer x\r\n", ""),
    ("GET /api/packets/p1", "If-None-Match: *\r\n", ""),
    ("GET /api/openapi.json", "Accept-Encoding: gzip\r\n", ""),
    ("GET /api/packets/p1", "X-Forwarded-For: 1.2.3.4\r\n", ""),
]


@pytest.mark.parametrize(("first", "headers", "body"), ASKED)
def test_the_short_way_answers_the_same(served: int, first: str, headers: str, body: str) -> None:
    """The same request, as callers send it and in a spelling that h11 has to read, has two answers."""
    short, long = request(first, headers, body), request(first, headers + NOT_PLAIN, body)
    assert plain_request(short) is not None
    assert plain_request(long) is None
    assert told(served, short) == told(served, long)


def test_the_short_way_writes_the_same(served: int) -> None:
    """A write that was answered the short way is replayed the long way, byte for byte but for saying so."""
    key = JSON + "Idempotency-Key: once\r\n"
    body = '{"packet_id":"pw","workload_type":"x"}'
    first = told(served, request("POST /api/packets", key, body))
    again = told(served, request("POST /api/packets", key + NOT_PLAIN, body))
    assert first.startswith(b"HTTP/1.1 201 ")
    assert again.replace(b"idempotent-replayed: true\r\n", b"") == first


def test_a_stream_is_framed_whatever_way_it_was_asked(served: int) -> None:
    """Events that were asked for the short way come without chunks."""
    with Wire(served) as wire:
        found = wire.say(request("GET /api/events?after=0")).until(b"id: 1\n")
    assert b"transfer-encoding: chunked\r\n" in found.lower()


def test_a_caller_that_wants_no_more_is_let_go(served: int) -> None:
    """``Connection: close`` is honoured, and so is it in a refusal that ends the connection."""
    with Wire(served) as wire:
        assert b" 200 " in wire.say(request("GET /api/health/live", "Connection: close\r\n")).rest()


def routed(app: Any, method: str, path: str) -> tuple[Any, dict[str, str]] | None:
    """What Litestar's router finds."""
    try:
        _, handler, _, parameters, _ = app.asgi_router.handle_routing(path=path, method=method)
    except (NotFoundException, MethodNotAllowedException):
        return None
    return handler.opt.get("operation"), parameters


def test_the_short_way_leads_where_litestar_does(api: Api) -> None:
    """Some path leads to another operation, or with other parameters, than Litestar finds there."""
    app, routes = create_app(api.service), Routes(OPERATIONS)
    paths = {one.path.format(**path_values()) for one in OPERATIONS}
    words = {word for path in paths for word in path.split("/")} | {
        "",
        "x",
        ".",
        "..",
        "{packet_id}",
        "*",
    }
    altered = {
        "/".join([*parts[:at], word, *parts[at + 1 :]])
        for parts in (path.split("/") for path in paths)
        for at in range(len(parts))
        for word in words
    }
    short = 0
    for path in paths | altered | {path + "/" for path in paths}:
        for method in ("GET", "POST", "PATCH", "OPTIONS"):
            found = routes.find(method, path)
            if found is not None:
                assert found == routed(app, method, path), (method, path)
                short += path in paths
    assert short > len(OPERATIONS) * 0.8
