"""An agent that uses pfgov by the Model Context Protocol: the SDK's own client, in memory, over HTTP and over stdio."""

import asyncio
import json
import os
import re
import resource
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from support import policy_kit as kit
from support.api_process import free_port
from support.cli_server import Served
from support.commandline import ROOT, spawn
from support.ledgers import START, fresh

pytest.importorskip("mcp", reason="the extra mcp is not installed")

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from pfgov.client import AsyncClient
from pfgov.client.core import Retry
from pfgov.client.passing import is_from_here
from pfgov.core import commands as c
from pfgov.errors import InvalidError
from pfgov.mcp import calling
from pfgov.mcp import listening as connections
from pfgov.mcp.calling import ArgumentsError, checked, refused
from pfgov.mcp.listening import http_server
from pfgov.mcp.serving import PATH, Behind, http_application, make_server
from pfgov.mcp.tools import TOOLS
from pfgov_ledger.keys import Anchor, SeedSigner, parse_anchor, vkey_of

RULES = """\
  - {id: trust, on: [place], require: member.trust_score >= 0.8, message: "trust is below 0.8"}
  - {id: amount, on: [handoff], when: 'packet.labels["amount"] == "large"', escalate: {to: reviewer, expires: 1d}}
  - {id: open, on: [register, retain, accept], require: member.id != "nobody"}
"""
SCOPES = ("operator", "reviewer", "submitter", "auditor", "member:triage")
Call = Callable[[Client], Awaitable[None]]


class Ledger:
    """A served ledger with three members and a key of each scope."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.keys: dict[str, str] = {}
        for scope in SCOPES:
            _, self.keys[scope] = served.keyring.create((scope,), now=START, draw=os.urandom)
        self.anchor_file = served.directory / "anchor.txt"

    @property
    def size(self) -> int:
        """How many entries there are."""
        return sum(1 for _ in self.served.engine.reader.entries())

    def behind(self, scope: str | None, **more: Any) -> Behind:
        key = None if scope is None else self.keys[scope]
        anchor = parse_anchor(self.anchor_file.read_text())
        return Behind(self.served.url, **{"key": key, "anchor": anchor, **more})


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger that the tests of this module share."""
    folder = tmp_path_factory.mktemp("mcp")
    with Served(fresh(folder)) as served:
        rules = kit.policy(RULES, on="[register, place, retain]")
        policies = kit.load(folder / "set", rules, kit.labels("amount"))
        served.engine.activate(policies, principal=c.LOCAL_OPERATOR)
        for name, trust in (("triage", "0.95"), ("refund", "0.9"), ("poor", "0.5")):
            do = c.RegisterMember(member_id=name, type="agent", trust_score=trust)
            served.engine.submit(do, principal=c.LOCAL_OPERATOR)
        yield Ledger(served)


async def answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers; its text says the same as its structure."""
    result = await client.call_tool(tool, arguments)
    found: dict[str, Any] = result.structured_content
    assert json.loads(result.content[0].text) == found
    assert result.is_error == ("error" in found)
    return found


def told(behind: Behind, call: Call) -> None:
    """Let the SDK's client tell a story to the tools, in memory."""

    async def story() -> None:
        async with Client(make_server(behind)) as client:
            await call(client)

    asyncio.run(story())


def owner(found: Mapping[str, Any]) -> dict[str, Any]:
    """What an owner names when it moves its packet."""
    return {
        "member_id": found["owner"],
        "incarnation": found["incarnation"],
        "epoch": found["epoch"],
    }


def test_mcp_the_tools_are_as_the_table_says(ledger: Ledger) -> None:
    """A tool is not listed, or a client cannot tell which of them change something."""

    async def story(client: Client) -> None:
        listed = (await client.list_tools()).tools
        assert [one.name for one in listed] == [one.name for one in TOOLS]
        for one, data in zip(listed, TOOLS, strict=True):
            assert one.input_schema["additionalProperties"] is False
            assert one.annotations.read_only_hint is not data.writes
            assert one.output_schema is not None

    told(ledger.behind("operator"), story)


async def refund(client: Client, packet_id: str, amount: str) -> dict[str, Any]:
    """Submit a refund that goes to triage."""
    about = {"workload_type": "refund", "labels": {"amount": amount}}
    asked = await answer(client, "discover", **about)
    assert set(asked["eligible"]) == {"triage", "refund"}
    (poor,) = [one for one in asked["members"] if one["member_id"] == "poor"]
    assert any(name.endswith("/trust") for name in poor["reasons"])
    done = await answer(client, "submit", packet_id=packet_id, **about, context={"order": 7})
    assert done["outcome"] == "allowed"
    found = await answer(client, "explain", packet_id=packet_id)
    if found["owner"] != "triage":
        moved = await answer(client, "hand_off", packet_id=packet_id, target="triage")
        assert moved["outcome"] == ("escalated" if amount == "large" else "allowed")
    return await answer(client, "explain", packet_id=packet_id)


def story_of(packet_id: str) -> Call:
    """One refund, from its submission to its verified lineage."""

    async def story(client: Client) -> None:
        found = await refund(client, packet_id, "small")
        assert (found["owner"], found["status"]) == ("triage", "ASSIGNED")
        denied = await answer(
            client, "hand_off", packet_id=packet_id, target="poor", **owner(found)
        )
        assert denied["outcome"] == "denied"
        assert any(name.endswith("/trust") for name in denied["reasons"])
        moved = await answer(
            client, "hand_off", packet_id=packet_id, target="refund", **owner(found)
        )
        assert (moved["outcome"], moved["owner"]) == ("allowed", "refund")
        late = await answer(client, "hand_off", packet_id=packet_id, target="poor", **owner(found))
        assert late["error"]["code"] == "ownership.stale_epoch"
        told_why = await answer(client, "explain", packet_id=packet_id)
        assert any(line["entries"] for one in told_why["answers"] for line in one["lines"])
        checked = await answer(client, "verify", packet_id=packet_id, fresh=True)
        assert checked.get("passed"), checked
        assert checked["covered"] > moved["position"]
        assert checked["verdicts"]["authenticity"] == "pass"

    return story


def test_mcp_the_whole_story_in_memory(ledger: Ledger) -> None:
    """A tool cannot be used, or its answer is not the one that its schema promises."""
    told(ledger.behind("operator"), story_of("memory"))


def test_mcp_the_whole_story_over_stdio(ledger: Ledger) -> None:
    """The command serves nothing over its standard input and output, or prints something else there."""
    anchor = str(ledger.anchor_file)
    line = ["-m", "pfgov.cli", "mcp", "serve", "--url", ledger.served.url, "--anchor", anchor]
    paths = os.pathsep.join(str(ROOT / name) for name in (".", "ledger", "api"))
    env = {**os.environ, "PYTHONPATH": paths, "PFGOV_API_KEY": ledger.keys["operator"]}

    async def tell() -> None:
        parameters = StdioServerParameters(command=sys.executable, args=line, env=env)
        async with Client(stdio_client(parameters)) as client:
            await story_of("stdio")(client)

    asyncio.run(tell())


@contextmanager
def listening(behind: Behind, *names: str) -> Iterator[str]:
    """The tools over HTTP, in a thread; under further *names*, too."""
    with running(http_application(behind, host="127.0.0.1", names=names)) as server:
        yield f"http://127.0.0.1:{server.config.port}{PATH}"


@contextmanager
def running(application: Any) -> Iterator[Any]:
    """The server that the tools run in, in a thread."""
    server = http_server(application, "127.0.0.1", free_port())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(30)


def test_mcp_over_http_each_request_has_the_rights_of_its_own_key(ledger: Ledger) -> None:
    """A caller over HTTP acts with the rights of the process, of another caller, or of none."""

    async def asked(url: str, headers: dict[str, str], call: Call) -> None:
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            await call(client)

    def bearer(scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {ledger.keys[scope]}"}

    async def nobody(client: Client) -> None:
        found = await answer(client, "submit", workload_type="refund", packet_id="anonymous")
        assert found["error"]["code"] == "http.unauthenticated"

    async def auditor(client: Client) -> None:
        found = await answer(client, "submit", workload_type="refund", packet_id="auditors")
        assert found["error"]["code"] == "access.forbidden"

    async def twice(client: Client) -> None:
        about = {"workload_type": "refund", "labels": {"amount": "large"}}
        done = await answer(client, "submit", packet_id="http-2", **about, idempotency_key="k")
        again = await answer(client, "submit", packet_id="http-2", **about, idempotency_key="k")
        assert again["receipt"]["position"] == done["receipt"]["position"]

    async def reviewer(client: Client) -> None:
        found = await answer(client, "explain", packet_id="http-2")
        given = {"packet_id": "http-2", "granted": True, "version": found["version"]}
        assert found["review"]["to"] == "reviewer"
        stale = await answer(client, "review", **{**given, "version": 99})
        assert stale["error"]["code"] == "review.stale"
        assert (await answer(client, "review", **given))["outcome"] == "allowed"

    async def operator(client: Client) -> None:
        found = await answer(client, "explain", packet_id="http-2")
        target = "refund" if found["owner"] == "triage" else "triage"
        moved = await answer(client, "hand_off", packet_id="http-2", target=target)
        assert moved["outcome"] == "escalated"
        assert moved["review"]["member_id"] == target

    async def tell(url: str) -> None:
        await asked(url, bearer("operator"), story_of("http-1"))
        await asked(url, {}, nobody)
        for odd in ("Basic x", "Bearer", "Bearer a b", "Bearer \tx", "bearer"):
            await asked(url, {"Authorization": odd}, nobody)
        await asked(url, bearer("auditor"), auditor)
        await asked(url, bearer("submitter"), twice)
        await asked(url, bearer("operator"), operator)
        await asked(url, bearer("reviewer"), reviewer)

    with listening(ledger.behind("operator", is_shared=True)) as url:
        asyncio.run(tell(url))
        sent = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accepts = {"Accept": "application/json, text/event-stream"}
        for strange in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
            said = httpx2.post(url, json=sent, headers={**accepts, **strange})
            assert said.status_code in {403, 421}, strange


def test_mcp_over_http_whoever_shows_no_key_keeps_nothing_open(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections without a request, with half of one, or with a stream on which nothing is ever said stay for good."""
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.3)
    with listening(ledger.behind(None, is_shared=True)) as url:
        for method in ("GET", "DELETE", "PUT"):
            said = httpx2.request(method, url, headers={"Accept": "text/event-stream"}, timeout=20)
            assert (said.status_code, said.headers["allow"]) == (405, "POST")
        port = urlsplit(url).port
        whole = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"
        half = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        for sent in (b"", b"POST /mcp HT", half, whole + half):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
                one.sendall(sent)
                with suppress(ConnectionResetError):
                    while one.recv(4_096):
                        pass


def test_mcp_over_http_whoever_says_nothing_makes_room(ledger: Ledger) -> None:
    """A few hundred connections on which nothing is asked keep out everybody who has a key."""
    with listening(ledger.behind(None, is_shared=True)) as url, ExitStack() as stack:
        port = urlsplit(url).port
        for _ in range(connections.CALLERS_MAX + 20):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        for _ in range(3):
            assert httpx2.get(url, timeout=20).status_code == 405


def test_mcp_over_http_a_request_is_read_in_one_way(
    ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    """A body with two lengths hides a request from a proxy; who asks for another protocol writes lines into the log."""
    hidden = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"
    both = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    upgrade = hidden.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    with listening(ledger.behind(None, is_shared=True)) as url:
        port = urlsplit(url).port
        for sent, statuses in ((both + hidden, [b"400"]), (upgrade, [b"405"])):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
                one.sendall(sent)
                if sent is upgrade:
                    one.shutdown(socket.SHUT_WR)
                found = b""
                while piece := one.recv(4_096):
                    found += piece
            assert re.findall(rb"HTTP/1.1 (\d+)", found) == statuses
    assert "pgrade" not in capfd.readouterr().err


def test_mcp_a_server_that_never_ends_its_answer_holds_no_tool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a server sends now and then, for ever, is waited for by whoever calls a tool."""
    hasty = partial(AsyncClient, timeout=0.2, retry=Retry(patience=0.0))
    monkeypatch.setattr(calling, "AsyncClient", hasty)

    async def asks(client: Client) -> None:
        async with asyncio.timeout(30):
            found = await answer(client, "explain", packet_id="p1")
        assert found["error"]["code"] == "client.unreachable"

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while True:
                    self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    time.sleep(0.02)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        told(Behind(f"http://127.0.0.1:{server.server_address[1]}"), asks)
        server.shutdown()


def test_mcp_over_http_whoever_takes_no_answer_keeps_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A caller that asks and never reads keeps its place for good, and a few hundred of them all places."""
    monkeypatch.setattr(connections, "STALLED_SECONDS", 0.3)

    async def much(_scope: Any, _receive: Any, send: Any) -> None:
        length = (b"content-length", b"%d" % (16 << 20))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": bytes(16 << 20)})

    with running(much) as server, socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        one.connect(("127.0.0.1", server.config.port))
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until = time.monotonic() + 30
        while not server.server_state.total_requests or server.server_state.connections:
            assert time.monotonic() < until, "it is still there"
            threading.Event().wait(0.02)


def test_mcp_over_http_nobody_asks_as_this_machine(tmp_path: Path) -> None:
    """Tools that others reach lend them what a server without keys lets this machine alone do."""
    with Served(fresh(tmp_path)) as served:
        behind = Behind(served.url, is_shared=True)

        async def asked(url: str, headers: dict[str, str]) -> dict[str, Any]:
            async with (
                httpx2.AsyncClient(headers=headers) as http,
                Client(streamable_http_client(url, http_client=http)) as client,
            ):
                return await answer(client, "submit", workload_type="refund")

        with listening(behind, "tools.example") as url:
            assert asyncio.run(asked(url, {}))["outcome"] == "pending"
            for passed_on in (
                {"Host": "tools.example"},
                {"X-Forwarded-For": "192.0.2.1"},
                {"Forwarded": "for=192.0.2.1"},
                {"Via": "1.1 proxy"},
            ):
                found = asyncio.run(asked(url, passed_on))
                assert found["error"]["code"] == "http.cross_site", passed_on


@pytest.mark.parametrize(
    ("client", "host", "is_here"),
    [
        ("127.0.0.1", "localhost:8900", True),
        ("::1", "[::1]:8900", True),
        ("192.0.2.1", "localhost:8900", False),
        ("::ffff:192.0.2.1", "localhost", False),
        (None, "localhost", False),
        ("127.0.0.1", "tools.example", False),
        ("127.0.0.1", "", False),
    ],
)
def test_mcp_who_is_here_is_told_by_address_and_name(
    client: str | None, host: str, *, is_here: bool
) -> None:
    """Another machine that names itself localhost is taken for this one."""
    of = None if client is None else SimpleNamespace(host=client)
    assert is_from_here(SimpleNamespace(client=of, headers={"host": host})) is is_here


@pytest.mark.parametrize(
    "given",
    [
        {f"x{number}": 1 for number in range(65)},
        {"labels": {f"x{number}": 1 for number in range(65)}},
        {"data_classes": [1] * 65},
    ],
)
def test_mcp_a_crowd_of_arguments_is_not_looked_at_one_by_one(given: dict[str, Any]) -> None:
    """Whoever needs no key to be refused makes the server name a hundred thousand arguments that it does not know."""
    with pytest.raises(ArgumentsError, match="more than 64 elements"):
        checked("submit", {"workload_type": "refund", **given})
    checked("submit", {"workload_type": "refund", "context": {f"x{n}": 1 for n in range(65)}})


@pytest.mark.process
def test_mcp_without_descriptors_the_log_stays_small(tmp_path: Path) -> None:
    """More idle callers than descriptors write a megabyte of log a second."""
    port, log = free_port(), tmp_path / "log"
    line = ["mcp", "serve", "--url", "http://127.0.0.1:1", "--http", "--port", str(port)]
    with log.open("wb") as out:
        running = subprocess.Popen([sys.executable, "-P", "-m", "pfgov.cli", *line], stderr=out)
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (48, 48))
    idle: list[socket.socket] = []
    try:
        deadline = time.monotonic() + 60
        while b"no more descriptors" not in log.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.1)
            with suppress(OSError):
                idle.append(socket.create_connection(("127.0.0.1", port), timeout=0.5))
        time.sleep(1.5)
        assert b"no more descriptors" in log.read_bytes()
        assert log.stat().st_size < 20_000
    finally:
        running.kill()
        running.wait()
        for one in idle:
            one.close()


HOSTILE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("explain", {"packet_id": "../../api/members"}),
    ("explain", {"packet_id": "p1/../p2"}),
    ("explain", {"packet_id": "p1\n"}),
    ("explain", {"packet_id": "%2e%2e%2fstatus"}),
    ("explain", {"packet_id": "\u0440acket"}),
    ("explain", {"packet_id": "p\u200b1"}),
    ("explain", {"packet_id": ""}),
    ("explain", {"packet_id": 7}),
    ("explain", {"packet_id": "x" * 200}),
    ("explain", {}),
    ("explain", {"packet_id": "nowhere"}),
    ("verify", {"packet_id": "nowhere"}),
    ("verify", {"packet_id": "memory", "anchor": "mine"}),
    ("discover", {}),
    ("discover", {"labels": {"amount": "small"}}),
    ("submit", {"workload_type": "refund", "key": "pfgov_operator"}),
    ("submit", {"workload_type": "refund", "labels": {"amount": 7}}),
    ("submit", {"workload_type": "refund", "minimum_trust_score": "0.1"}),
    ("submit", {"workload_type": "refund", "context": [1]}),
    ("submit", {"workload_type": "refund", "context": {"x": "y" * 2_000_000}}),
    ("submit", {"workload_type": "refund", "idempotency_key": "a b"}),
    ("submit", {"workload_type": "refund", "idempotency_key": "a\n"}),
    ("hand_off", {"packet_id": "p1", "idempotency_key": "a\n"}),
    ("submit", {"workload_type": "RE\u0000FUND"}),
    ("hand_off", {"packet_id": "p1", "epoch": True}),
    ("hand_off", {"packet_id": "p1", "epoch": 1.5}),
    ("hand_off", {"packet_id": "p1", "epoch": -1}),
    ("hand_off", {"packet_id": "p1", "epoch": 2**63}),
    ("review", {"packet_id": "p1", "granted": "yes", "version": 1}),
    ("review", {"packet_id": "p1", "granted": True}),
)


def test_mcp_hostile_arguments_are_refused_and_change_nothing(ledger: Ledger) -> None:
    """What a model makes up reaches another path, is read as something else, or ends the server."""

    async def story(client: Client) -> None:
        before = ledger.size
        for tool, arguments in HOSTILE:
            found = await answer(client, tool, **arguments)
            assert set(found) == {"error"}, (tool, arguments, found)
            assert len(found["error"]["detail"]) < 3_000
        assert ledger.size == before
        with pytest.raises(Exception, match="no such tool; there are: discover, explain, hand_off"):
            await client.call_tool("activate", {})
        for tool, arguments, said in (
            ("hand_off", {"packet_id": "p1", "reason": "x" * 600}, "is too long"),
            ("explain", {"packet_id": "p" * 600}, "does not match"),
            ("submit", {"workload_type": "x", "allowed_regions": ["y" * 600]}, "is too long"),
        ):
            found = await answer(client, tool, **arguments)
            assert said in found["error"]["detail"], found

    told(ledger.behind("operator"), story)


def test_mcp_a_lineage_is_verified_against_what_was_pinned(ledger: Ledger) -> None:
    """Without an anchor, or with another's, a lineage is called verified."""

    async def story(client: Client, code: str | None) -> None:
        done = await answer(client, "submit", workload_type="refund", labels={"amount": "small"})
        found = await answer(client, "verify", packet_id=done["packet_id"], fresh=True)
        if code is not None:
            assert found["error"]["code"] == code
        else:
            assert found["passed"] is False
            assert found["verdicts"]["authenticity"] == "fail"

    told(ledger.behind("operator", anchor=None), lambda client: story(client, "mcp.not_pinned"))
    pinned = parse_anchor(ledger.anchor_file.read_text())
    forged = SeedSigner(role="log", name=pinned.log_vkey.name, seed=bytes(32))
    other = Anchor(vkey_of(forged), pinned.genesis_leaf)
    told(ledger.behind("operator", anchor=other), lambda client: story(client, None))


def test_mcp_a_members_key_moves_its_own_and_sees_no_others(ledger: Ledger) -> None:
    """A member's agent moves a packet without naming its epoch, or is shown a packet that is none of its own."""

    async def prepare(client: Client) -> None:
        await refund(client, "own", "small")
        about = {"workload_type": "refund", "labels": {"amount": "small"}, "hold": True}
        await answer(client, "submit", packet_id="others", **about)

    async def story(client: Client) -> None:
        for tool in ("explain", "verify"):
            kept = await answer(client, tool, packet_id="others")
            assert kept["error"]["code"] == "access.forbidden"
        found = await answer(client, "explain", packet_id="own")
        unnamed = await answer(client, "hand_off", packet_id="own", target="refund")
        assert unnamed["error"]["code"] == "ownership.unnamed"
        moved = await answer(client, "hand_off", packet_id="own", target="refund", **owner(found))
        assert moved["outcome"] == "allowed"

    told(ledger.behind("operator"), prepare)
    told(ledger.behind("member:triage"), story)


def test_mcp_it_listens_to_others_only_under_a_name() -> None:
    """It listens to other machines under any name, so that a page in a browser reaches it."""
    behind = Behind("http://localhost:1", is_shared=True)
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.evil.example"):
        with pytest.raises(InvalidError):
            http_application(behind, host=host)
        http_application(behind, host=host, names=["tools.example"])


def test_mcp_the_command_needs_a_server(tmp_path: Path) -> None:
    """The command serves a folder, or sends keys of others to another machine in the clear."""
    said = spawn("mcp", "serve", "--json", cwd=tmp_path)
    assert (said.status, said.error["code"]) == (2, "usage")
    said = spawn("mcp", "serve", "--http", "--url", "http://ledger.example", "--json", cwd=tmp_path)
    assert said.error["code"] == "server.plain_http"
    assert refused(InvalidError("x"))["error"]["code"] == "input.invalid"
