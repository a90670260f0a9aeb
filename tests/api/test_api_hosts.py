"""A ledger at a host of its own: everything there is that ledger's, and what only looks like one is nobody's."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from support.api_server import SCOPES, path_values, problem
from support.named_server import NamedApi, ledger_at
from support.wire import Wire, listening

from pfgov.errors import InvalidError
from pfgov_api.hosts import Domain, domain_of
from pfgov_api.operations import ANYONE
from pfgov_api.plain import plain_request
from pfgov_api.routes import OPERATIONS

DOMAIN = "ledgers.example.org"
ALPHA, BETA = {"host": f"alpha.{DOMAIN}"}, {"host": f"beta.{DOMAIN}"}
LONGEST = "a" * 63
NAMES = ("alpha", "beta", "l", "api", "con", "console", "xn--mnchen-3ya", LONGEST)
"""Names that a path or a file system could stumble upon are names as any other."""


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamedApi]:
    """Ledgers with keys of their own, each with a host; a member of its name in each."""
    with NamedApi(tmp_path_factory.mktemp("hosts"), NAMES, check=None, domain=DOMAIN) as found:
        for name in ("", *NAMES):
            found.member(name, f"in-{name[:9] or 'default'}", key=found.keys(name)["operator"])
        yield found


def test_the_host_says_which_ledger_is_asked(hosted: NamedApi) -> None:
    """The host of one ledger leads to another, or the path beside it does not lead where it led."""
    for name in NAMES:
        key = hosted.keys(name)["operator"]
        for path, headers in (
            ("/api/members", {"host": f"{name}.{DOMAIN}"}),
            ("/api/members", {"host": f"{name.upper()}.Ledgers.EXAMPLE.org:8443"}),
            (f"/l/{name}/api/members", {}),
        ):
            found = hosted.get(path, key=key, headers=headers)
            assert found.status_code == 200, found.text
            assert [one["id"] for one in found.json()["items"]] == [f"in-{name[:9]}"]


@pytest.mark.parametrize(
    "host",
    ["localhost:8000", "127.0.0.1", "[::1]:8000", "pfgov.example", "my_server:80", "", DOMAIN, f"{DOMAIN}.",
     f"{DOMAIN}:443", f"alpha{DOMAIN}", f"alpha-{DOMAIN}", f"alpha.{DOMAIN}.example", "alpha", "alpha.example.org",
     "localhost."],
)  # fmt: skip
def test_other_hosts_are_the_default_ledgers(hosted: NamedApi, host: str) -> None:
    """A host that is not in the domain leads to a ledger, or nowhere."""
    assert hosted.named.domain is not None
    assert hosted.named.domain.named([(b"host", host.encode())]) is None
    assert hosted.named.domain.named([]) is None


def test_the_default_ledger_answers_at_its_own_hosts(hosted: NamedApi) -> None:
    """With a domain the default ledger cannot be asked any more."""
    key = hosted.keys("")["operator"]
    for headers in ({}, {"host": "pfgov.example"}, {"host": DOMAIN}):
        found = hosted.get("/api/members", key=key, headers=headers)
        assert [one["id"] for one in found.json()["items"]] == ["in-default"]


IN_TWO_WAYS = [
    f"alpha.{DOMAIN}.", f"alpha.{DOMAIN}..", f"ALPHA.{DOMAIN}.:80", f"user@alpha.{DOMAIN}", f"alpha.{DOMAIN}@evil",
    f"alpha.{DOMAIN}:80:80", f"alpha.{DOMAIN}:http", f"alpha.{DOMAIN}:123456", f"alpha.{DOMAIN}/",
    f"alpha.{DOMAIN}, x", f"alpha.{DOMAIN} x", f"x alpha.{DOMAIN}", f"http://alpha.{DOMAIN}", f"alpha%2e{DOMAIN}",
    f"alph\xe4.{DOMAIN}", "m\xc3\xbcnchen.ledgers.example.org", f"alpha\\.{DOMAIN}", f"alpha.{DOMAIN}#",
    f"alpha.{DOMAIN}?x", f"[alpha.{DOMAIN}]", f"alpha\t.{DOMAIN}", f"alpha.{DOMAIN}\x00", f"*.{DOMAIN}",
    f"{'a.' * 200}{DOMAIN}", f"alpha.{DOMAIN};",
]  # fmt: skip

NO_LEDGER = [
    f"gamma.{DOMAIN}", f".{DOMAIN}", f"..{DOMAIN}", f"alpha.beta.{DOMAIN}", f"default.{DOMAIN}", f"-.{DOMAIN}",
    f"alpha-.{DOMAIN}", f"al_pha.{DOMAIN}", f"xn--nothing.{DOMAIN}", f"{'a' * 64}.{DOMAIN}", f"alpha..{DOMAIN}",
    f"{DOMAIN}.{DOMAIN}", f"GAMMA.{DOMAIN}:80",
]  # fmt: skip


@pytest.mark.parametrize(
    ("host", "status", "code"),
    [*((one, 400, "http.host") for one in IN_TWO_WAYS), *((one, 404, "ledger.unknown") for one in NO_LEDGER)],
)  # fmt: skip
def test_what_looks_like_a_ledgers_host_is_nobodys(
    hosted: NamedApi, host: str, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spelling that a proxy takes for a ledger's host leads to the default ledger, or has the disk looked at."""
    touched: list[Path] = []
    key = hosted.keys("")["operator"]
    sent = host.encode("latin-1")
    for verb, path in (
        ("GET", "/api/status"), ("GET", "/api/health/live"), ("GET", "/"), ("GET", "/console/sign-in"),
        ("POST", "/api/packets"), ("GET", "/l/alpha/api/status"), ("OPTIONS", "*"), ("HEAD", "/api/status"),
    ):  # fmt: skip
        with monkeypatch.context() as watched:
            for method in ("stat", "lstat", "open", "exists", "is_dir", "resolve"):
                watched.setattr(Path, method, lambda self, *_, **__: touched.append(self))
            answer = _asked(hosted, verb, path, sent, key)
        assert answer.status_code == status, (verb, path, answer.text)
        assert answer.headers["x-request-id"]
        if verb != "HEAD":
            problem(answer, status, code)
    assert not touched


def _asked(
    many: NamedApi, verb: str, path: str, host: bytes, key: str, *more: bytes
) -> httpx2.Response:
    """The answer to what no client would send."""
    scope: dict[str, Any] = {
        "type": "http", "method": verb, "path": path, "raw_path": path.encode(), "query_string": b"",
        "http_version": "1.1",
        "headers": [*((b"host", one) for one in (host, *more)), (b"authorization", f"Bearer {key}".encode()),
                    *([(b"content-type", b"application/json")] if verb == "POST" else [])],
        "scheme": "http", "root_path": "", "server": ("localhost", 80), "client": ("127.0.0.1", 1),
        "asgi": {"version": "3.0"},
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        body = b'{"name": "gamma"}' if verb == "POST" else b""
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    many.run(many.app(scope, receive, send))  # type: ignore[arg-type]
    body = b"".join(one.get("body", b"") for one in sent[1:])
    return httpx2.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


def test_two_hosts_are_refused(hosted: NamedApi) -> None:
    """Of two hosts a proxy reads one and the server the other."""
    key = hosted.keys("alpha")["operator"]
    for hosts in ((b"localhost", ALPHA["host"].encode()), (ALPHA["host"].encode(), b"localhost")):
        said = problem(_asked(hosted, "GET", "/api/status", hosts[0], key, hosts[1]), 400)
        assert "host came twice" in said["detail"]


@pytest.mark.parametrize(
    "path",
    ["/l/beta/api/status", "/l/alpha/api/status", "/l/beta", "/l/", "//l/beta/api/status",
     "/l/beta/../alpha/api/status", "/api/ledgers", "/console/overview", "/", "//api/status", "/api/status/",
     "/api/nothing"],
)  # fmt: skip
@pytest.mark.parametrize("is_open", [False, True], ids=["at rest", "open"])
def test_at_a_ledgers_host_there_is_no_other_ledger(
    hosted: NamedApi, path: str, is_open: bool
) -> None:
    """A rule that a proxy has for one ledger's host is gone round by the path of another; or the default one shows."""
    keys = {name: hosted.keys(name)["admin"] for name in ("", "alpha", "beta")}
    if is_open:
        assert hosted.get("/api/keys", key=keys["alpha"], headers=ALPHA).status_code == 200
    elif hosted.place("alpha").host is not None:
        assert hosted.rest("alpha", 0)
    for verb in ("GET", "POST"):
        answer = _asked(hosted, verb, path, ALPHA["host"].encode(), keys["alpha"])
        if path == "/api/ledgers":
            problem(answer, 404, "ledger.alone")
        assert answer.status_code in {404, 405}, (verb, answer.status_code, answer.text)
    for name in ("", "beta"):
        strange = _asked(hosted, "GET", path, ALPHA["host"].encode(), keys[name])
        assert strange.status_code in {401, 404}
        assert "beta" not in strange.text.replace(path, "")


def test_no_key_of_another_opens_a_ledgers_host(hosted: NamedApi) -> None:
    """A key of the default ledger, or of another, gets in by the host, through some route."""
    for operation in OPERATIONS:
        if operation.access == ANYONE:
            continue
        path = operation.path.format(**path_values())
        body: dict[str, Any] | None = {} if operation.body is not None else None
        for name in ("", "alpha"):
            for scope in SCOPES:
                key = hosted.keys(name)[scope]
                answer = hosted(operation.method, path, body, key=key, headers=BETA)
                problem(answer, 401, "http.unauthenticated")
        problem(hosted(operation.method, path, body, headers=BETA), 401, "http.unauthenticated")


def test_a_host_and_its_path_have_one_answer(hosted: NamedApi) -> None:
    """Some route answers otherwise at a ledger's host than below its path, but for where it says it is."""
    moving = {"stream_events", "metrics", "live", "ready", "export_ledger"}
    for operation in OPERATIONS:
        if operation.method != "GET" or operation.name in moving:
            continue
        path = operation.path.format(**path_values(member_id="in-alpha"))
        scope = next((one for one in SCOPES if operation.allows((one,))), "operator")
        key, named = hosted.keys("alpha")[scope], {"x-request-id": "r1"}
        by_host = hosted.get(path, key=key, headers={**ALPHA, **named})
        by_path = hosted.get(
            f"/l/alpha{path}", key=key, headers={**ALPHA, **named, "host": "localhost"}
        )
        assert by_host.status_code == by_path.status_code, operation.name
        plain = by_path.text.replace("localhost/l/alpha", ALPHA["host"]).replace("/l/alpha", "")
        if operation.name != "openapi":
            assert by_host.text == plain, operation.name


def test_links_stay_at_the_host(hosted: NamedApi) -> None:
    """A link, a document or a hint of a ledger's host leads to its path, which a proxy may not pass on."""
    key = hosted.keys("beta")["operator"]
    for number in range(3):
        body: dict[str, Any] = {
            "id": f"m{number}",
            "type": "agent",
            "capabilities": [],
            "region": "us-east",
        }
        assert hosted.post("/api/members/register", body, key=key, headers=BETA).status_code == 201
    link = hosted.get("/api/members?limit=2", key=key, headers=BETA).headers["link"]
    following = link.partition(">")[0][1:]
    assert following.startswith("/api/members?")
    assert hosted.get(following, key=key, headers=BETA).status_code == 200
    asked = hosted.get("/.well-known/authzen-configuration", headers=BETA).json()
    assert asked["policy_decision_point"] == f"http://beta.{DOMAIN}"
    assert hosted.get("/api/openapi.json", headers=BETA).json()["servers"] == [{"url": "/"}]
    spelled = problem(hosted.get("/api/members/", key=key, headers=BETA), 404, "http.not_found")
    assert spelled["hint"] == "it is at /api/members"


def test_the_public_url_is_every_ledgers(tmp_path: Path) -> None:
    """AuthZEN's configuration of a ledger beside the default one names another scheme or host than others use."""
    with NamedApi(tmp_path, check=None, domain=DOMAIN) as found:
        found.default.service.public_url = "https://pfgov.example"
        key = found.keys("alpha")["operator"]
        place = "/.well-known/authzen-configuration"
        for path, host, wanted in (
            (place, "localhost", "https://pfgov.example"),
            (f"/l/alpha{place}", "localhost", "https://pfgov.example/l/alpha"),
            (place, f"alpha.{DOMAIN}:8443", f"https://alpha.{DOMAIN}:8443"),
        ):
            answer = found.get(path, key=key, headers={"host": host})
            assert answer.json()["policy_decision_point"] == wanted


def test_without_keys_a_ledgers_host_is_another_site(tmp_path: Path) -> None:
    """A page whose name was resolved to this machine works in a ledger without keys, for its name is a ledger's."""
    with NamedApi(tmp_path, domain="localhost") as many:
        assert many.get("/l/alpha/api/status").status_code == 200
        for headers in (
            {"host": "alpha.localhost"},
            {"host": "alpha.localhost", "x-forwarded-for": "10.0.0.1"},
        ):
            problem(many.get("/api/status", headers=headers), 403, "http.cross_site")
            problem(many.post("/api/packets", {}, headers=headers), 403, "http.cross_site")


def test_another_ledgers_pages_write_nothing(hosted: NamedApi) -> None:
    """A page of one ledger's host writes at another's: they are one site, and two origins."""
    key, body = hosted.keys("alpha")["operator"], {"packet_id": "px", "workload_type": "scan"}
    for headers in (
        {"origin": f"https://beta.{DOMAIN}"},
        {"sec-fetch-site": "same-site", "origin": f"https://beta.{DOMAIN}"},
        {"origin": f"https://{DOMAIN}"},
    ):
        answer = hosted.post("/api/packets", body, key=key, headers={**ALPHA, **headers})
        problem(answer, 403, "http.cross_site")
    own = {**ALPHA, "origin": f"https://{ALPHA['host']}"}
    assert hosted.post("/api/packets", body, key=key, headers=own).status_code == 201


def test_shared_keys_are_shared_at_hosts(tmp_path: Path) -> None:
    """With shared keys the default ledger's open no host, or a ledger's own does."""
    with NamedApi(tmp_path, share=True, check=None, domain=DOMAIN) as found:
        own, shared = found.keys("alpha")["operator"], found.keys("")["operator"]
        assert found.get("/api/status", key=shared, headers=ALPHA).status_code == 200
        problem(found.get("/api/status", key=own, headers=ALPHA), 401, "http.unauthenticated")


def test_the_list_says_where_each_is(hosted: NamedApi) -> None:
    """Whoever administers the server does not learn at which host a ledger is; or is told one where there is none."""
    key = hosted.keys("")["admin"]
    found = hosted.get("/api/ledgers", key=key).json()["items"]
    assert {one["name"]: one["host"] for one in found} == {
        name: f"{name}.{DOMAIN}" for name in NAMES
    }
    assert f"/l/NAME, and at NAME.{DOMAIN} " in hosted.named.greeting("http://localhost")


def test_names_that_no_host_can_have_are_no_ledgers(tmp_path: Path) -> None:
    """A folder by a name that is no label is served at some host."""
    with NamedApi(tmp_path, (), check=None, domain=DOMAIN) as found:
        for name in ("A", "a.b", "-a", "a_b", ".hidden", "b" * 64):
            ledger_at(found.folder, name)
        found.run(found.keeper.scan())
        assert not found.keeper.places


# --- both ways in which a request is read ---------------------------------------------------------


def _told(port: int, sent: bytes) -> bytes:
    with Wire(port) as wire:
        found = wire.say(sent).until(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", found)
        wanted = int(length[1]) if length else 0
        while len(found.partition(b"\r\n\r\n")[2]) < wanted:
            found += wire.socket.recv(65_536)
    return re.sub(rb"(?i)date: [^\r]+", b"date:", found)


@pytest.fixture(scope="module")
def port(hosted: NamedApi) -> Iterator[int]:
    """The port of a server with them."""
    front: Any = SimpleNamespace(app=hosted.app, service=hosted.default.service, run=hosted.run)
    with listening(front) as found:
        yield found


@pytest.mark.parametrize(
    ("host", "status"),
    [(f"alpha.{DOMAIN}", b"200"), (f"ALPHA.{DOMAIN}:80", b"200"), (f"beta.{DOMAIN}", b"401"), ("localhost", b"401"),
     (f"gamma.{DOMAIN}", b"404"), (f"alpha.{DOMAIN}.", b"400"), (f"x@alpha.{DOMAIN}", b"400"),
     (f"alpha.{DOMAIN} x", b"400")],
)  # fmt: skip
def test_both_ways_of_reading_a_request_heed_the_host(
    hosted: NamedApi, port: int, host: str, status: bytes
) -> None:
    """A request that is read in one go goes to another ledger than the same request that h11 reads."""
    key = hosted.keys("alpha")["operator"]
    for path in ("/api/members", "/api/members/in-alpha"):
        line = f"GET {path} HTTP/1.1\r\n"
        rest = f"X-Request-Id: r1\r\nAuthorization: Bearer {key}\r\n"
        short = f"{line}Host: {host}\r\n{rest}\r\n".encode()
        long = f"{line}Host: {host}\r\n{rest}X-Spelling:old\r\n\r\n".encode()
        assert plain_request(short) is not None
        assert plain_request(long) is None
        answers = [_told(port, short), _told(port, long)]
        assert answers[0] == answers[1]
        assert answers[0].startswith(b"HTTP/1.1 " + status), answers[0]


@pytest.mark.parametrize(
    ("target", "status"),
    [(f"http://alpha.{DOMAIN}/api/members", b"200"), (f"HTTP://ALPHA.{DOMAIN}:80/api/members", b"200"),
     (f"http://beta.{DOMAIN}/api/members", b"401"), ("http://localhost/api/members", b"401"),
     (f"http://x@alpha.{DOMAIN}/api/members", b"400"), (f"http://alpha.{DOMAIN}./api/members", b"400"),
     (f"alpha.{DOMAIN}/api/members", b"400"), (f"//alpha.{DOMAIN}/api/members", b"404")],
)  # fmt: skip
def test_a_whole_url_names_the_host(
    hosted: NamedApi, port: int, target: str, status: bytes
) -> None:
    """The header says another host than the target of a request, and is believed."""
    key = hosted.keys("alpha")["operator"]
    hosted.get("/api/status", key=hosted.keys("beta")["operator"], headers=BETA)
    sent = f"GET {target} HTTP/1.1\r\nHost: beta.{DOMAIN}\r\nAuthorization: Bearer {key}\r\n\r\n"
    assert _told(port, sent.encode()).startswith(b"HTTP/1.1 " + status)


def test_events_of_a_host_are_its_ledgers(hosted: NamedApi, port: int) -> None:
    """A stream at a ledger's host tells what happens in another one."""
    key = hosted.keys("alpha")["operator"]
    sent = f"GET /api/events?after=0 HTTP/1.1\r\nHost: {ALPHA['host']}\r\nAuthorization: Bearer {key}\r\n\r\n"
    with Wire(port) as wire:
        found = wire.say(sent.encode()).until(b"in-alpha")
    assert b"text/event-stream" in found
    assert b"in-beta" not in found
    assert b"in-default" not in found


# --- the domain ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", ".", ".ledgers.example.org", "ledgers.example.org.", "Ledgers.example.org", "a..b", "127.0.0.1", "[::1]",
     "a:80", "*.example.org", "m\xfcnchen.example", "a_b.example", "-a.example", "a" * 64, ".".join(["a" * 60] * 4),
     "http://a", "a/b"],
)  # fmt: skip
def test_what_is_no_domain_is_refused(text: str) -> None:
    """A domain is taken under which no host can be, or every one."""
    with pytest.raises(InvalidError):
        Domain(text)


def test_the_server_is_not_found_in_the_domain_of_its_ledgers() -> None:
    """The default ledger's own URL is a ledger's host, so that nobody reaches it."""
    assert domain_of(DOMAIN, None, "https://example.org", f"https://{DOMAIN}:1").name == DOMAIN
    for url in (f"https://pfgov.{DOMAIN}", f"http://a.b.{DOMAIN}:80"):
        with pytest.raises(InvalidError, match="would be a ledger's"):
            domain_of(DOMAIN, None, url)


def test_a_server_without_a_domain_does_not_look_at_hosts(tmp_path: Path) -> None:
    """A server that has no domain refuses hosts that it took before."""
    with NamedApi(tmp_path, check=None) as found:
        key = found.keys("")["operator"]
        for host in (f"alpha.{DOMAIN}", f"alpha.{DOMAIN}."):
            assert found.get("/api/status", key=key, headers={"host": host}).status_code == 200
