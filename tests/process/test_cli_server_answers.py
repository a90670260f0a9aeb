"""What can go wrong between the command line and a server is told apart, and nothing is done twice."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.api_process import free_port
from support.cli_server import GREETS, LIVE, RemoteLine, Served, answering, reply


def _problem(status: int, code: str, **more: Any) -> bytes:
    body = {"code": code, "detail": "not now", "status": status, **more}
    return reply(
        status, json.dumps(body).encode(), "application/problem+json", "Retry-After: 1\r\n"
    )


@pytest.mark.parametrize(
    ("say", "code", "words"),
    [
        (lambda _: None, "server.no_answer", "PFGOV_TIMEOUT"),
        (lambda _: reply(404, b"{}"), "server.not_pfgov", "check the address"),
        (lambda _: reply(200, b'{"status": "live"}'), "server.not_pfgov", "check the address"),
        (lambda _: reply(302, b"", headers="Location: https://x.example/\r\n"), "server.not_pfgov", "name the server"),
        (lambda _: reply(502, b"bad gateway", "text/plain"), "server.no_answer", "is the server up"),
        (lambda _: reply(200, b'{"status": "live", "version": "7.0.0"}'), "server.version", "7.0.0"),
        (lambda raw: LIVE if GREETS in raw else _problem(404, "http.not_found"), "server.version", "same version"),
        (lambda raw: LIVE if GREETS in raw else reply(200, b'{"origin": 1}'), "server.version", "same version"),
        (lambda raw: LIVE if GREETS in raw else reply(200, b"\xff"), "server.version", "same version"),
        (lambda raw: LIVE if GREETS in raw else _problem(503, "engine.busy", hint="later"), "engine.busy",
         "later; it may be asked again in 1 s"),
        (lambda raw: LIVE if GREETS in raw else _problem(503, "engine.stopped"), "engine.stopped", "again in 1 s"),
    ],
)  # fmt: skip
def test_what_can_come_back_is_told_apart(
    say: Callable[[bytes], bytes | None],
    code: str,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Silence, a stranger, another version, a proxy and a busy server each have a code, a next step, and status 4."""
    monkeypatch.setenv("PFGOV_TIMEOUT", "2")
    with answering(say) as url:
        refused = RemoteLine(url, capsys).refused("status")
    assert (refused["code"], refused["status"]) == (code, 4)
    assert words in refused["hint"]


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is told at once, with the address and what to do."""
    url = f"http://127.0.0.1:{free_port()}"
    refused = RemoteLine(url, capsys).refused("status")
    assert (refused["code"], refused["status"]) == ("server.unreachable", 4)
    assert url in refused["message"]
    assert "pfgov serve" in refused["hint"]


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"items": 1}', b'{"items": [1]}', b"null"])
@pytest.mark.parametrize(
    "words",
    [
        ("member", "list"), ("packet", "list"), ("ledger", "log"), ("config", "show"), ("tick",), ("policy", "show"),
        ("member", "retire", "a"), ("member", "heartbeat", "a", "--incarnation", "1"),
        ("ledger", "log", "--at", "1"), ("discover", "--packet", "p"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_answer_of_another_shape_is_no_mistake_of_ours(
    answer: bytes, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON that is not what was expected is told as another version, never as a mistake of this command line."""
    with answering(lambda raw: LIVE if GREETS in raw else reply(200, answer)) as url:
        said = RemoteLine(url, capsys)(*words, "--json")
    assert (said.status, said.error["code"]) == (4, "server.version")


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "1e9"])
def test_patience_is_a_number_of_seconds(
    seconds: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything else in PFGOV_TIMEOUT is refused, and the message names it."""
    monkeypatch.setenv("PFGOV_TIMEOUT", seconds)
    refused = RemoteLine("http://localhost:1", capsys).refused("status")
    assert (refused["status"], "PFGOV_TIMEOUT" in refused["message"]) == (2, True)


def test_a_cut_connection_does_nothing_twice(
    twins: tuple[Path, Served], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the answer to a write is cut off the same is sent again with the same key, and is done once."""
    import httpx2

    _, served = twins
    seen: list[bytes] = []
    turn = threading.Lock()

    def lossy(raw: bytes) -> bytes | None:
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        with turn:
            answer = httpx2.request(
                method, f"{served.url}{path}", content=body,
                headers={k: v for k, v in headers.items() if k.lower() not in {"host", "content-length"}},
            )  # fmt: skip
        if method == "POST":
            seen.append(headers.get("Idempotency-Key", headers.get("idempotency-key", "")).encode())
            if len(seen) == 1:
                return None
        return reply(answer.status_code, answer.content, answer.headers["content-type"])

    before = RemoteLine(served.url, capsys).ok("status")["packets"]
    with answering(lossy) as url:
        told = RemoteLine(url, capsys).ok("packet", "submit", "--workload", "w", "--hold")
    assert len(seen) == 2
    assert seen[0] == seen[1] != b""
    assert [entry["type"] for entry in told["recorded"]] == ["packet_created"]
    after = RemoteLine(served.url, capsys).ok("status")["packets"]
    assert after.get("PENDING", 0) == before.get("PENDING", 0) + 1

    monkeypatch.setenv("PFGOV_TIMEOUT", "3")
    seen.clear()

    def deaf(raw: bytes) -> bytes | None:
        if b"POST " in raw[:5]:
            lossy(raw)
            return None
        return lossy(raw)

    with answering(deaf) as url:
        lost = RemoteLine(url, capsys).refused("packet", "submit", "--workload", "w", "--hold")
    assert (lost["code"], lost["status"]) == ("server.no_answer", 4)
    assert "not known" in lost["message"]
    name, _, key = lost["hint"].rpartition(" ")[2].partition("=")
    monkeypatch.delenv("PFGOV_TIMEOUT")
    monkeypatch.setenv(name, key)
    again = RemoteLine(served.url, capsys).ok("packet", "submit", "--workload", "w", "--hold")
    last = RemoteLine(served.url, capsys).ok("status")["packets"]
    assert last["PENDING"] == after["PENDING"] + 1
    assert again["packet"]["status"] == "PENDING"
    monkeypatch.setenv(name, "not visible")
    assert name in RemoteLine(served.url, capsys).refused("status")["message"]


def test_an_export_that_is_cut_leaves_nothing(
    twins: tuple[Path, Served], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed or shortened export is noticed before the file takes its name."""
    import httpx2

    _, served = twins
    whole = httpx2.get(f"{served.url}/api/ledger/export")
    sent = whole.content
    for body in (sent[:-900], sent[: sent.rindex(b"{")], sent[:900] + b"?" + sent[901:]):

        def say(raw: bytes, body: bytes = body) -> bytes:
            if GREETS in raw:
                return LIVE
            header = f"Pfgov-Export: {whole.headers['pfgov-export']}\r\n"
            return reply(200, body, "application/jsonl", header)

        with answering(say) as url:
            out = tmp_path / "x.jsonl"
            refused = RemoteLine(url, capsys).refused("ledger", "export", "--out", out)
        assert (refused["code"], refused["status"]) == ("server.export_cut", 4)
        assert list(tmp_path.iterdir()) == []
