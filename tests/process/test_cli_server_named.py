"""A server of many ledgers as a process, and the command line against it."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_process import Server
from support.cli_server import RemoteLine
from support.commandline import CommandLine, spawn
from support.ledgers import START, verified
from support.named_server import ledger_at

from pfgov.client import Client
from pfgov.client.first_key import draw_key
from pfgov.engine import Engine, LedgerReader
from pfgov.engine.reading.replay import Replay
from pfgov.storage import open_store
from pfgov_api.keyring import FILE, KeyRing

pytestmark = pytest.mark.process

NAMES = tuple(f"tenant-{number}" for number in range(6))
DOMAIN = "ledgers.example.org"
GONE_SECONDS = 5.0
"""How long a server may take to end."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A running server with six ledgers beside the default one."""
    shelf = tmp_path / "ledgers"
    shelf.mkdir()
    for name in NAMES:
        ledger_at(shelf, name)
    server = Server(tmp_path / "default", "--ledgers", str(shelf), "--ledgers-open", "3")
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _shelf(server: Server) -> Path:
    return server.directory.parent / "ledgers"


def _register(server: Server, name: str, member_id: str) -> Any:
    body = {"id": member_id, "type": "agent", "capabilities": [], "region": "us-east"}
    return httpx2.post(f"{server.url}/l/{name}/api/members/register", json=body, timeout=30)


def test_a_server_of_many_ends_in_time_and_loses_nothing(served: Server) -> None:
    """Told to stop, a server of many takes longer than five seconds, leaves a ledger locked, or loses an entry."""
    positions = {name: _register(served, name, f"of-{name}").json()["position"] for name in NAMES}
    with httpx2.stream("GET", f"{served.url}/l/{NAMES[-1]}/api/events", timeout=30) as stream:
        assert stream.status_code == 200
        status, seconds = served.terminate()
    assert status == 0
    assert seconds < GONE_SECONDS
    for name, position in positions.items():
        with Engine.open(open_store(_shelf(served) / name)) as engine:
            row = engine.reader.entry(position).row
            assert row.subject == f"member/of-{name}"
        with LedgerReader(open_store(_shelf(served) / name)) as reader:
            assert [one.row.subject for one in reader.entries()].count(row.subject) == 1


def test_a_server_of_many_that_is_killed_comes_back_with_all_of_them(served: Server) -> None:
    """After a kill a ledger cannot be opened, or an acknowledged entry is gone."""
    positions = {name: _register(served, name, f"of-{name}").json()["position"] for name in NAMES}
    served.kill()
    served.start()
    for name, position in positions.items():
        found = httpx2.get(f"{served.url}/l/{name}/api/ledger/entries/{position}", timeout=30)
        assert found.json()["shown"]["subject"] == f"member/of-{name}"


def test_the_command_line_is_told_which_ledgers_there_are(
    served: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """``ledger list`` over a server and over its folder leave a ledger out; a name that is none is not said to be."""
    (_shelf(served) / NAMES[0] / "ledger.db").write_bytes(b"damaged" * 1_000)
    over_server = RemoteLine(served.url, capsys).ok("ledger", "list")["ledgers"]
    assert [one["name"] for one in over_server] == list(NAMES)
    one = RemoteLine(f"{served.url}/l/{NAMES[1]}", capsys)
    one.ok("member", "register", "--id", "only-here", "--type", "agent")
    assert [m["id"] for m in one.ok("member", "list")["members"]] == ["only-here"]
    other = RemoteLine(f"{served.url}/l/{NAMES[2]}", capsys)
    assert other.ok("member", "list")["members"] == []
    refused = RemoteLine(f"{served.url}/l/nobody", capsys).refused("status")
    assert refused["code"] == "ledger.unknown"
    damaged = RemoteLine(f"{served.url}/l/{NAMES[0]}", capsys).refused("status")
    assert damaged["code"].startswith("store.")
    under = RemoteLine(f"{served.url}/l/{NAMES[1]}", capsys).refused("ledger", "list")
    assert under["code"] in {"ledger.alone", "server.version"}
    here = CommandLine(Path("nowhere"), capsys).ok("ledger", "list", "--in", _shelf(served))
    states = {one["name"]: one["state"] for one in here["ledgers"]}
    assert states.pop(NAMES[0]) == "failed"
    assert set(states.values()) == {"readable"}
    text = CommandLine(Path("nowhere"), capsys)("ledger", "list", "--in", _shelf(served)).out
    assert "failed" in text
    assert NAMES[5] in text


def test_a_ledger_is_made_for_a_running_server(
    served: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """``pfgov init`` into the folder needs a restart; or its writer is not named to who comes by the folder."""
    made = spawn("init", "--dir", _shelf(served) / "brand-new")
    assert made.status == 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = httpx2.get(f"{served.url}/l/brand-new/api/status", timeout=30)
        if answer.status_code == 200:
            break
        time.sleep(0.1)
    assert answer.status_code == 200, answer.text
    refused = CommandLine(_shelf(served) / "brand-new", capsys).refused(
        "member", "register", "--id", "x", "--type", "agent"
    )
    assert refused["code"] == "store.locked"
    assert f"{served.url}/l/brand-new" in refused["hint"]


def test_a_ledger_is_made_on_a_running_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command or the client makes none, or shows a key, or one that is not its owner's; or two for one."""
    shelf, default, file = tmp_path / "ledgers", tmp_path / "default", tmp_path / "new.key"
    shelf.mkdir()
    with Engine.create(open_store(default)):
        _, admin = KeyRing(default / FILE).create(("admin",), now=START)
    server = Server(default, "--ledgers", str(shelf))
    server.start()
    monkeypatch.setenv("PFGOV_API_KEY", admin)
    try:
        line = RemoteLine(server.url, capsys)
        said = line("ledger", "create", "new", "--first-key", file)
        key = file.read_text().strip()
        assert said.status == 0, said
        assert key not in said.out + said.err
        assert "\\x" not in said.out
        for name in ("..", "new"):  # no name, and one that is taken: nobody was told of the key
            line.refused("ledger", "create", name, "--first-key", tmp_path / "fresh.key")
            assert not (tmp_path / "fresh.key").exists()
        assert file.stat().st_mode & 0o077 == 0
        made = line.ok("ledger", "create", "new", "--first-key", file)
        assert made["origin"] in said.out
        own = RemoteLine(f"{server.url}/l/new", capsys)
        assert own.ok("status", "--key-file", file)["origin"] == made["origin"]
        assert own.refused("status")["code"] == "http.unauthenticated"
        assert line.refused("ledger", "create", "new")["code"] == "input.invalid"
        assert (
            line.refused("ledger", "create", "..", "--first-key", file)["code"] == "input.invalid"
        )
        (tmp_path / "note").write_text("not a key")
        odd = line.refused("ledger", "create", "odd", "--first-key", tmp_path / "note")
        assert odd["code"] == "input.invalid"
        assert (tmp_path / "note").read_text() == "not a key"
        with Client(server.url, key=admin) as client:
            other = draw_key()
            first, again = (client.create_ledger("other", other) for _ in range(2))
            assert first == again
        server.kill()
        server.start()
        with Client(f"{server.url}/l/other", key=other) as client:
            assert client.get("/api/status")["origin"] == first["origin"]
        unaddressed = CommandLine(Path("nowhere"), capsys)("ledger", "create", "x")
        assert unaddressed.status == 2
    finally:
        server.stop()


def _found_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every host of the ledgers' domain be this machine."""
    looked_up = socket.getaddrinfo

    def here(host: Any, *rest: Any, **more: Any) -> Any:
        is_ours = isinstance(host, str) and host.endswith(f".{DOMAIN}")
        return looked_up("127.0.0.1" if is_ours else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)


def test_the_command_line_and_the_client_ask_a_ledgers_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger's host works in a browser alone: commands, the client, or a stream are sent to another ledger."""
    shelf, default = tmp_path / "ledgers", tmp_path / "default"
    shelf.mkdir()
    keys = {}
    for name in ("one", "two"):
        ring = KeyRing(ledger_at(shelf, name) / FILE)
        keys[name] = ring.create(("operator",), now=START)[1]
    assert spawn("init", "--dir", default).status == 0
    assert spawn("key", "create", "--dir", default, "--scope", "operator").status == 0
    server = Server(default, "--ledgers", str(shelf), "--ledgers-domain", DOMAIN)
    server.start()
    _found_here(monkeypatch)
    try:
        assert f"/l/NAME, and at NAME.{DOMAIN}" in server.errors.read_text()
        url = f"http://one.{DOMAIN}:{server.port}"
        monkeypatch.setenv("PFGOV_API_KEY", keys["one"])
        line = RemoteLine(url, capsys)
        refused = line.refused("status")
        assert refused["code"] == "server.plain_http"  # a key goes to no other host in the clear
        line.ok("member", "register", "--insecure", "--id", "only-here", "--type", "agent")
        assert [m["id"] for m in line.ok("member", "list", "--insecure")["members"]] == [
            "only-here"
        ]
        with Client(url, key=keys["one"]) as client:
            assert client.member("only-here")["id"] == "only-here"
            assert client.register({"id": "and-this", "type": "agent"}).position
        for name, code in (("two", "http.unauthenticated"), ("none", "ledger.unknown")):
            other = RemoteLine(f"http://{name}.{DOMAIN}:{server.port}", capsys)
            assert other.refused("status", "--insecure")["code"] == code
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("options", "code"),
    [(("--ledgers-domain", "Ledgers.example"), "input.invalid"),
     (("--ledgers-domain", ".ledgers.example"), "input.invalid"),
     (("--ledgers-domain", "example.org", "--public-url", "https://pfgov.example.org"), "input.invalid"),
     (("--ledgers-domain", "example.org", "--node-url", "http://a.example.org:80"), "input.invalid"),
     (("--ledgers-domain", "example.org"), "serve.open")],
)  # fmt: skip
def test_a_domain_that_cannot_be_stops_the_start(
    options: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    """A server starts under a domain in which it is not found itself, or where everybody would be the operator."""
    (tmp_path / "ledgers").mkdir()
    done = spawn("serve", "--dir", tmp_path / "new", "--ledgers", tmp_path / "ledgers", *options)
    assert done.status in {1, 2, 3, 4, 5}
    assert f"[{code}]" in done.err
    assert not (tmp_path / "new" / "ledger.db").exists()


def test_a_domain_is_for_a_folder_of_ledgers(tmp_path: Path) -> None:
    """A server of one ledger takes a domain, and nothing is served there."""
    done = spawn("serve", "--dir", tmp_path / "new", "--ledgers-domain", "example.org")
    assert done.status == 2
    assert "--ledgers-domain is about other ledgers" in done.err
    assert not (tmp_path / "new").exists()


def test_what_a_server_of_many_wrote_verifies_and_runs_again(
    served: Server, tmp_path: Path
) -> None:
    """What is written through one of many ledgers, killed in the middle, does not verify, or runs again to another."""
    for number in range(3):
        assert _register(served, NAMES[0], f"m{number}").status_code == 201
    served.kill()
    report = verified(_shelf(served) / NAMES[0], tmp_path, replayer=Replay())
    assert report.exit_status == 0
    assert report.verdicts["replay"].status == "pass"


@pytest.mark.parametrize("what", ["nothing", "a file"])
def test_a_folder_of_ledgers_that_is_none_stops_the_start(what: str, tmp_path: Path) -> None:
    """A server without its folder dies with a trace, after it has made a ledger that nobody asked for."""
    shelf = tmp_path / "ledgers"
    if what == "a file":
        shelf.write_text("x")
    for words in (
        ("serve", "--dir", str(tmp_path / "new"), "--ledgers"),
        ("ledger", "list", "--in"),
    ):
        done = spawn(*words, str(shelf))
        assert (done.status, done.out) == (4, "")
        assert done.err.startswith(f"error: {shelf}: ")
        assert "[store.unavailable]" in done.err
    assert not (tmp_path / "new").exists()
