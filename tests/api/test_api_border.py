"""What comes in: bodies, queries, headers and paths that another reader could take for something else."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import hostile
from support.api_server import Api, path_values, problem
from support.cli_server import RemoteLine, Served
from support.commandline import CommandLine
from support.ledgers import fresh

from pfgov.client import Client, ConflictError
from pfgov_api.limits import BODY_BYTES_MAX, HEADERS_MAX
from pfgov_api.operations import ANYONE, Operation
from pfgov_api.routes import OPERATIONS

PACKET = {"packet_id": "p1", "workload_type": "scan"}
DEEP = (
    b'{"packet_id":"p1","workload_type":"scan","context_checkpoint":'
    + b'{"a":' * 100_000
    + b"1"
    + b"}" * 100_001
)
BODIES: list[tuple[str, bytes, int, str]] = [
    ("a key twice", b'{"workload_type":"a","workload_type":"b"}', 400, "input.invalid"),
    ("a key twice, deep down", b'{"workload_type":"a","labels":{"x":"1","x":"2"}}', 400, "input.invalid"),
    ("text for a number", b'{"workload_type":"a","priority":"1"}', 400, "input.invalid"),
    ("a fraction for a whole number", b'{"workload_type":"a","priority":1.5}', 400, "input.invalid"),
    ("a number for a flag", b'{"workload_type":"a","hold":1}', 400, "input.invalid"),
    ("a number for a text", b'{"workload_type":7}', 400, "input.invalid"),
    ("beyond 2**53", b'{"workload_type":"a","context_checkpoint":{"n":9007199254740992}}', 400, "input.invalid"),
    ("thirty digits", b'{"workload_type":"a","priority":123456789012345678901234567890}', 400, "input.invalid"),
    ("NaN", b'{"workload_type":"a","demand":{"cpu":NaN}}', 400, "input.invalid"),
    ("infinity", b'{"workload_type":"a","demand":{"cpu":1e400}}', 400, "input.invalid"),
    ("a lone surrogate", b'{"workload_type":"a","labels":{"x":"\\ud800"}}', 400, "input.invalid"),
    ("a NUL", b'{"workload_type":"a","labels":{"x":"\\u0000"}}', 400, "input.invalid"),
    ("not UTF-8", b'{"workload_type":"\xff"}', 400, "input.not_json"),
    ("a byte order mark", b'\xef\xbb\xbf{"workload_type":"a"}', 400, "input.not_json"),
    ("cut off", b'{"workload_type":', 400, "input.not_json"),
    ("two values", b'{"workload_type":"a"} {}', 400, "input.not_json"),
    ("nothing", b"", 400, "input.not_json"),
    ("a list", b"[]", 400, "input.invalid"),
    ("null", b"null", 400, "input.invalid"),
    ("a hundred thousand lists", b"[" * 100_000, 413, "input.too_large"),
    ("a hundred thousand objects", DEEP, 413, "input.too_large"),
    ("an unknown field", b'{"workload_type":"a","wrokload":1}', 400, "input.unknown_field"),
    ("too large", b'{"workload_type":"a","x":"' + b"x" * BODY_BYTES_MAX + b'"}', 413, "input.too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "raw", "status", "code"), BODIES, ids=[one[0] for one in BODIES])
def test_a_body_that_could_mean_two_things_is_refused(
    shared: Api, name: str, raw: bytes, status: int, code: str
) -> None:
    """It is refused as what it is, and nothing is written."""
    before = shared.engine.status().size
    problem(shared.post("/api/packets", content=raw, scope="operator"), status, code)
    assert shared.engine.status().size == before


@pytest.mark.parametrize(
    "media",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "",
     "application/json; charset=utf-16", "application/json, text/plain", "text/plain; application/json",
     "application/jsonl", "application/vnd.api+json"],
)  # fmt: skip
def test_only_json_that_says_so(shared: Api, media: str) -> None:
    """What a browser sends without asking first (a simple request) never reaches an operation."""
    answer = shared.post("/api/packets", PACKET, scope="operator", headers={"Content-Type": media})
    problem(answer, 415, "http.media_type")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "identity, gzip", "aes128gcm"])
def test_an_encoded_body_is_not_taken_for_what_it_encodes(shared: Api, encoding: str) -> None:
    """Nothing is undone here: 415 and a hint, even where the bytes would be JSON; identity is no encoding."""
    body, headers = b'{"member_id":"m1"}', {"Content-Encoding": encoding}
    path = "/api/members/register"
    found = problem(
        shared.post(path, content=body, headers=headers, scope="operator"), 415, "http.media_type"
    )
    assert encoding in found["detail"]
    assert "Content-Encoding" in found["hint"]
    plain = {"Content-Encoding": "identity"}
    assert shared.post(path, content=body, headers=plain, scope="operator").status_code == 400


@pytest.mark.parametrize(
    "media",
    ["application/json", "Application/JSON", "application/json;charset=UTF-8",
     'application/json; charset="utf-8"'],
)  # fmt: skip
def test_json_in_any_spelling(shared: Api, media: str) -> None:
    """The media type is compared as RFC 9110 says: case does not matter, and UTF-8 may be named."""
    answer = shared.post(
        "/api/discover", {"packet_id": "p1"}, scope="operator", headers={"Content-Type": media}
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_route_refuses_the_same_things(shared: Api, operation: Operation) -> None:
    """An unknown or repeated query parameter, another site's write, a wrong method and an id with odd characters."""
    path = operation.path.format(**path_values())
    scope = None if operation.access == ANYONE else _scope_for(operation)
    problem(shared(operation.method, f"{path}?nonsense=1", scope=scope), 400, "input.unknown_field")
    problem(shared("DELETE", path, scope=scope), 405, "http.method_not_allowed")
    for parameter in operation.parameters:
        twice = f"{path}?{parameter.name}=1&{parameter.name}=1"
        problem(shared(operation.method, twice, scope=scope), 400)
        problem(shared(operation.method, f"{path}?{parameter.name}=%00", scope=scope), 400)
        problem(shared(operation.method, f"{path}?{parameter.name}={'x' * 500}", scope=scope), 400)
    if operation.path_parameters:
        for odd in ("%20", "..%20", "a%00b", "%ff", "x" * 129, "é", "a'b", "%F0%9F%98%80"):
            name = operation.path_parameters[-1]
            odd_path = operation.path.format(**path_values(**{name: odd}))
            answer = shared(operation.method, odd_path, scope=scope)
            problem(answer, 400)
    if operation.method != "GET":
        body: Any = {}
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ):
            answer = shared(operation.method, path, body, scope=scope, headers=headers)
            problem(answer, 403, "http.cross_site")


def _scope_for(operation: Operation) -> str:
    access = operation.access
    for scope in ("operator", "assessor", "admin"):
        if scope in access:
            return scope
    raise AssertionError(operation.name)


def test_a_write_from_the_servers_own_page_is_let_in(shared: Api) -> None:
    """The gate is for other sites only."""
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:8000"},
    ):
        answer = shared.post(
            "/api/discover", {"packet_id": "p1"}, scope="operator", headers=headers
        )
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "path",
    ["/api", "/api/", "/api/members/../../etc/passwd", "/api/packets/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
     "/api/packets/..%2f..%2fetc", "/api/problems/..%2f..%2fx", "/static/../pyproject.toml",
     "/api/auth/token", "/api/token", "/api/login", "/api/packets/p1/nothing", "/api/members/m1/become-admin"],
)  # fmt: skip
def test_paths_lead_nowhere_else(shared: Api, path: str) -> None:
    """There is no way to a file, and nothing hands out tokens."""
    for method in ("GET", "POST"):
        for scope in (None, "admin"):
            answer = shared(method, path, {} if method == "POST" else None, scope=scope)
            assert answer.status_code in {400, 401, 404, 405}, answer.text
            problem(answer, answer.status_code)


def test_problems_say_where(shared: Api) -> None:
    """Everything that is wrong is listed at once, each with its place and, where there is one, what was meant."""
    body = {"id": "m9", "type": "agnet", "cpu_capcity": 1, "trust_score": 99}
    answer = shared.post("/api/members/register", body, scope="operator")
    found = problem(answer, 400)
    places = {one["pointer"]: one for one in found["errors"]}
    assert set(places) == {"/type", "/cpu_capcity", "/trust_score"}
    assert "cpu_capacity" in places["/cpu_capcity"]["hint"]


def test_what_went_wrong_inside_is_not_told(shared: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is a 500 as a problem, without a word about the inside."""

    def burst(*_: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(type(shared.service.reader), "packet", burst)
    answer = shared.get("/api/packets/p1", scope="operator")
    problem(answer, 500, "http.internal")
    assert "secret" not in answer.text


def test_every_answer_is_protected(shared: Api) -> None:
    """No sniffing, no scripts, no framing: on answers and on problems, on JSON and on pages."""
    for path in (
        "/api/status",
        "/api/packets/none",
        "/api/docs",
        "/nowhere",
        "/api/ledger/checkpoint",
    ):
        answer = shared.get(path, scope="operator")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-request-id"]


def test_every_problem_has_its_page(shared: Api) -> None:
    """The ``type`` of a problem leads to a page that explains it, without scripts and without the network."""
    for path in (
        "/api/packets/none",
        "/nowhere",
        "/api/ledger/entries?after=x",
        "/api/members/none",
    ):
        found = shared.get(path, scope="operator").json()
        page = shared.get(found["type"])
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert found["code"] in page.text
    for page in (shared.get("/api/docs"), shared.get("/api/problems/engine.busy")):
        assert "<script" not in page.text
        assert "http://" not in page.text
        assert "https://" not in page.text
    problem(shared.get("/api/problems/no.such.code"), 404)


def test_a_request_has_so_many_headers(shared: Api) -> None:
    """A request of any number of headers is read to its end and taken in."""
    some = {f"x-{n}": "1" for n in range(HEADERS_MAX - 10)}
    assert shared.get("/api/health/live", headers=some).status_code == 200
    many = {f"x-{n}": "1" for n in range(HEADERS_MAX + 1)}
    assert (
        "too many headers" in problem(shared.get("/api/health/live", headers=many), 400)["detail"]
    )


def test_a_header_that_comes_twice_is_refused(shared: Api) -> None:
    """Two keys, two origins or two content types: nobody has to guess which one counts."""
    request = shared.client.build_request(
        "POST",
        "/api/discover",
        content=json.dumps({"packet_id": "p1"}),
        headers=[
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {shared.keys()['auditor']}"),
            ("Authorization", f"Bearer {shared.keys()['admin']}"),
        ],
    )
    problem(shared.run(shared.client.send(request)), 400)


def test_no_door_lets_in_who_cannot_be_told_from_a_member(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the client, and on the command line over a folder and over a server: only one of these ids is taken."""
    directory = fresh(tmp_path)
    local = CommandLine(directory, capsys)
    local.ok("member", "register", "--id", "agent-10", "--type", "agent")
    for name in hostile.IDS_ALIKE:
        refused = local.refused("member", "register", "--id", name, "--type", "agent")
        assert refused["code"] == "member.alike"
    with Served(directory) as served, Client(served.url) as client:
        remote = RemoteLine(served.url, capsys)
        for name in hostile.IDS_ALIKE:
            refused = remote.refused("member", "register", "--id", name, "--type", "agent")
            assert refused["code"] == "member.alike"
            assert "agent-10" in json.dumps(refused)
            with pytest.raises(ConflictError) as caught:
                client.register({"id": name, "type": "agent"})
            assert caught.value.code == "member.alike"
        for name in (*hostile.IDS_RESERVED, "agent-1\u0030\u200b", "\u0430gent-10"):
            refused = remote.refused("member", "register", "--id", name, "--type", "agent")
            assert refused["code"] == "input.invalid", name
        remote.ok("member", "register", "--id", hostile.IDS_TOLD_APART[0], "--type", "agent")
        members = served.engine.look(lambda state: [*state.members])
    assert members == ["agent-10", hostile.IDS_TOLD_APART[0]]
