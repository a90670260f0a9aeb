"""Policies from outside are compiled and tried out in a process of their own, which ends."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.api_server import Api, problem
from support.processes import is_running

from pfgov import interpreter
from pfgov_api import trials
from pfgov_api.leaving import while_there
from pfgov_api.problems import HttpError

POLICY = """apiVersion: pfgov/v1
kind: Policy
metadata: {name: p, version: "1", description: d}
on: [register, place, retain]
rules:
  - id: eu
    require: member.region == "eu"
"""
MEMBER = {"id": "m", "type": "agent", "capabilities": [], "trust_score": 0.9, "region": "eu"}
QUESTION: dict[str, Any] = {
    "files": {"p.policy.yaml": POLICY}, "packet": {"workload_type": "w"}, "members": [MEMBER]
}  # fmt: skip


def _children(service: Any) -> set[int]:
    """The processes that the one which forks has forked and not yet reaped."""
    parent = service.trials._parent._process.pid
    return set(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))


def _are_gone(service: Any) -> bool:
    for _ in range(200):
        if not _children(service):
            return True
        time.sleep(0.05)
    return False


def _does(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have every child do this instead of answering."""
    lines = [
        "import pfgov_api.trial_process as t",
        "t.TRIAL_PROCESSOR_SECONDS = 1",
        f"t.answer_one = lambda handle: exec({code!r}, {{'handle': handle}})",
        "t.main(%d)",
    ]
    monkeypatch.setattr(trials, "_CODE", "; ".join(lines))


def _ask(api: Api, **more: Any) -> Any:
    return api.post("/api/policies/evaluate", {**QUESTION, **more})


def test_policies_are_tried_out_in_another_process(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither their compilation nor a judgement runs in the server: it only passes on what was said."""
    for name in ("pfgov.app.policies.load_directory", "pfgov.policy.load.compile_set"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("it runs here"))
    told = _ask(api).json()
    assert [row["outcome"] for row in told["members"]] == ["allow"]
    assert len(told["policy"]) == 64
    assert _ask(api, members=[{**MEMBER, "region": "us"}]).json()["members"][0]["outcome"] == "deny"


def test_what_is_wrong_with_files_is_said_as_before(api: Api) -> None:
    """Every problem has its code, its file under the name that it was sent under, and its place."""
    wrong = POLICY.replace("member.region", "member.regoin")
    for path in ("evaluate", "activate"):
        body = {**QUESTION, "files": {"p.policy.yaml": wrong}}
        if path == "activate":
            body = {"files": body["files"]}
        found = problem(api.post(f"/api/policies/{path}", body), 400)
        assert found["errors"][0]["code"] == "cel.unknown_field"
        assert found["errors"][0]["pointer"].startswith("p.policy.yaml:7:")
        assert "pfgov-policies-" not in str(found)
    found = problem(_ask(api, files={"../x.yaml": POLICY}), 400, "input.invalid")
    assert "file name" in found["detail"]


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "while True: pass",
        "bytearray(2 << 30)",
        "open('/tmp/pfgov-too-large', 'wb').write(bytes(1 << 22))",
        "import os; os.write(handle, b'no JSON')",
        "import os; os.write(handle, b'[]')",
        "import socket; s = socket.socket(fileno=handle); s.sendall(b'null' + b' ' * (17 << 20))",
        "import os; os.abort()",
        "import os, signal; os.kill(os.getppid(), signal.SIGKILL)",
    ],
)
def test_a_trial_ends(api: Api, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Whatever a child does, sleeps, loops, eats memory, writes or dies, its caller is told, and it is gone."""
    _does(monkeypatch, code)
    monkeypatch.setattr(trials, "TRIAL_SECONDS", 8.0 if "sleep" not in code else 2.0)
    _ask(api)  # the first one waits for the process to start
    problem(_ask(api), 503, "policy.too_slow")
    problem(
        api.post("/api/policies/activate", {"files": QUESTION["files"]}), 503, "policy.too_slow"
    )
    assert not api.service.trials.under_way
    parent = api.service.trials._parent
    assert parent is not None
    assert _are_gone(api.service) if parent.is_running else "getppid" in code
    Path("/tmp/pfgov-too-large").unlink(missing_ok=True)


class _Leaving:
    """A request whose caller goes away when it is told to."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()

    async def receive(self) -> dict[str, str]:
        await self.leaves.wait()
        return {"type": "http.disconnect"}


@pytest.mark.parametrize("asked", ["a question", "tests"])
def test_a_trial_ends_with_its_caller(
    api: Api, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """Whoever hangs up leaves no process behind, neither one that runs nor one that waits for room."""
    _does(monkeypatch, "import time; time.sleep(60)")
    service = api.service

    def trial() -> Any:
        run = service.trials
        return run.tested(b"{}", b"") if asked == "tests" else run.evaluated(b"{}", b"", 0)

    async def ask() -> set[int]:
        callers: list[Any] = [_Leaving() for _ in range(5)]
        asked = [asyncio.ensure_future(while_there(one, trial())) for one in callers]
        while (  # noqa: ASYNC110 - nobody tells
            service.trials._parent is None or len(_children(service)) < trials.TRIALS_MAX
        ):
            await asyncio.sleep(0.01)
        children = _children(service)
        for one in callers:
            one.leaves.set()
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, HttpError)
            assert error.code == "http.cut_off"
        assert not service.trials.under_way
        return children

    children = api.run(ask())
    assert len(children) == trials.TRIALS_MAX
    assert _are_gone(service)
    assert not [child for child in children if is_running(child)]


@pytest.mark.parametrize("do", ["ask", "test", "weigh"])
def test_a_trial_ends_with_the_page_that_asked(
    api: Api, monkeypatch: pytest.MonkeyPatch, do: str
) -> None:
    """A browser that leaves the playground leaves a process behind."""
    _does(monkeypatch, "import time; time.sleep(600)")
    monkeypatch.setattr(trials, "TRIAL_SECONDS", 600.0)  # nothing else ends it
    service = api.service
    facts = {"packet": '{"workload_type": "w"}', "members": json.dumps([MEMBER])}
    form = urlencode({"do": do, "key": "k", "text": POLICY, "tests": "x", **facts})
    heads = {
        "host": "localhost:8000",
        "content-type": "application/x-www-form-urlencoded",
        "sec-fetch-site": "same-origin",
    }
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/console/policies/try", "raw_path": b"/console/policies/try", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in heads.items()],
        "client": ("127.0.0.1", 1), "server": ("localhost", 8000),
    }  # fmt: skip

    async def ask() -> set[int]:
        leaves, is_read = asyncio.Event(), False

        async def receive() -> dict[str, object]:
            nonlocal is_read
            if not is_read:
                is_read = True
                return {"type": "http.request", "body": form.encode(), "more_body": False}
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(_: object) -> None:
            """Nobody reads what is answered."""

        asked = asyncio.ensure_future(api.app(scope, receive, send))
        while service.trials._parent is None or not _children(service):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        children = _children(service)
        leaves.set()
        await asyncio.wait_for(asked, 30)
        assert not service.trials.under_way
        return children

    children = api.run(ask())
    assert _are_gone(service)
    assert not [child for child in children if is_running(child)]


def test_a_trial_has_a_share_of_its_own(api: Api) -> None:
    """One principal tries out one set at a time, whatever else it has under way; others are not kept waiting by it."""
    api.keys()
    reviewer = next(one for one in api.keyring.records() if one.scopes == ("reviewer",))
    api.service.trials.quota.take(f"key:{reviewer.id}")
    problem(api.post("/api/policies/evaluate", QUESTION, scope="reviewer"), 429, "http.too_many")
    assert api.post("/api/policies/evaluate", QUESTION, scope="assessor").status_code == 200
    api.service.trials.quota.give(f"key:{reviewer.id}")
    assert api.post("/api/policies/evaluate", QUESTION, scope="reviewer").status_code == 200
    assert (
        'pfgov_over_share_total{of="trials of policies"} 1'
        in api.get("/metrics", scope="auditor").text
    )


def test_a_child_is_confined() -> None:
    """The kernel ends what takes too much of the processor, of memory or of the disk, wherever it takes it."""
    code = (
        "import resource as r; from pfgov_api.trial_process import confine; confine(); "
        "print(*[r.getrlimit(l)[1] for l in (r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_CORE)])"
    )
    done = subprocess.run(
        interpreter.command("-c", code),
        env=interpreter.environment(),
        capture_output=True,
        check=True,
    )
    assert done.stdout.split() == [b"10", b"1073741824", b"1048576", b"0"]


def test_the_child_that_answers_is_confined(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child is forked that the kernel would not end."""
    names = "(r.RLIMIT_CPU, r.RLIMIT_AS, r.RLIMIT_FSIZE, r.RLIMIT_CORE, r.RLIMIT_NOFILE, r.RLIMIT_NPROC)"
    said = f"{{'answer': {{'limits': [r.getrlimit(one)[1] for one in {names}]}}}}"
    lines = (
        "import json, resource as r, socket",
        "pipe = socket.socket(fileno=handle)",
        "list(iter(lambda: pipe.recv(65_536), b''))",
        f"pipe.sendall(json.dumps({said}).encode())",
    )
    _does(monkeypatch, "; ".join(lines))
    found = api.run(api.service.trials.evaluated(b"{}", b"", 0))
    assert found["limits"] == [1, 1 << 30, 1 << 20, 0, 64, 0]


def test_a_trial_asks_as_eval_does(api: Api) -> None:
    """An operator asks, and a handoff leaves the source that is named: the first candidate only where none is."""
    rules = (
        "  - {id: asked, require: '\"operator\" in principal.rights'}\n"
        "  - {id: near, on: [handoff, accept], require: source.region == member.region}\n"
    )
    head = 'apiVersion: pfgov/v1\nkind: Policy\nmetadata: {name: p, version: "1"}\non: [place]\nrules:\n'
    more = {"files": {"p.policy.yaml": head + rules}, "action": "handoff"}
    near = {**MEMBER, "id": "near", "region": "us"}
    asked = _ask(api, **more, members=[MEMBER, near]).json()
    assert [row["outcome"] for row in asked["members"]] == ["allow", "deny"]
    asked = _ask(api, **more, members=[MEMBER, near], source={**near, "id": "old"}).json()
    assert [row["outcome"] for row in asked["members"]] == ["deny", "allow"]


def test_a_trial_leaves_nothing_to_the_next(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one child changes, another sees; or the process that forks them does."""
    _does(
        monkeypatch,
        "import pfgov_api.trial_process as t, socket; n = getattr(t, 'n', 0); t.n = n + 1; "
        "a = {'members': [], 'nearest_miss': None, 'nearest_misses': []}; "
        "s = socket.socket(fileno=handle); s.recv(1 << 20); "
        "s.sendall(t._encode_said(t.Said(answer=a | {'policy': str(n)})))",
    )
    assert [_ask(api).json()["policy"] for _ in range(3)] == ["0"] * 3


def test_a_trial_begins_anew_where_its_process_died(api: Api) -> None:
    """After the process that forks was killed, nobody can try a policy out until the server is started again."""
    assert _ask(api).status_code == 200
    parent = api.service.trials._parent
    assert parent is not None
    parent._process.kill()
    parent._process.wait()
    assert _ask(api).status_code == 200
    assert api.service.trials._parent is not parent


def test_a_trial_that_cannot_begin_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be started the caller waits, or gets an error of the server."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    with monkeypatch.context() as patch:
        patch.setattr("pfgov_api.trials.subprocess.Popen", refuse)
        problem(_ask(api), 503, "engine.busy")
    with monkeypatch.context() as patch:
        code = "import os; os.fork = lambda: os.stat('/nowhere'); import pfgov_api.trial_process as t; t.main(%d)"
        patch.setattr(trials, "_CODE", code)
        problem(_ask(api), 503, "engine.busy")
    api.service.trials.kill()
    assert _ask(api).status_code == 200


def test_a_trial_ends_with_its_server(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is killed leaves the processes behind that it started."""
    _does(monkeypatch, "import time; time.sleep(60)")
    service = api.service

    async def ask() -> set[int]:
        asked = asyncio.ensure_future(service.trials.evaluated(b"{}", b"", 0))
        while service.trials._parent is None or not _children(service):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        children = _children(service)
        service.trials._parent._control.close()  # as the kernel does when the server dies
        await asyncio.gather(asked, return_exceptions=True)
        return children

    children = api.run(ask())
    deadline = time.monotonic() + 30
    while any(map(is_running, children)):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def test_a_child_that_was_just_started_ends_with_its_server() -> None:
    """A server that dies between a fork and the word that it was done leaves the child behind."""
    code = """
import os, socket, time
import pfgov_api.trial_process as t
t.answer_one = lambda handle: time.sleep(60)
server, control = socket.socketpair()
work, _ = socket.socketpair()
held, _ = os.pipe()
socket.send_fds(server, [b"/tmp"], [work.fileno(), held])
server.close()
t._Parent(control).run()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nobody is left")
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.stdout, done.returncode) == ("nobody is left\n", 0), done.stderr


def test_impact_is_asked_in_another_process_and_changes_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server folds its own history in its own process, records something, or says less than the command line."""
    for name in (
        "pfgov.app.policies.load_directory",
        "pfgov.engine.reading.impact.impact_of_store",
    ):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("it runs here"))
    before = api.get("/api/ledger").json()["size"]
    told = api.post("/api/policies/impact", {"files": {"p.policy.yaml": POLICY}}).json()
    report = told["report"]
    assert report["ledger"]["size"] == before == api.get("/api/ledger").json()["size"]
    assert report["proposed"] != report["binding"]
    assert told["fresh"] is True
    wrong = {"files": {"p.policy.yaml": POLICY.replace("region", "regoin")}}
    found = problem(api.post("/api/policies/impact", wrong), 400)
    assert found["errors"][0]["code"] == "cel.unknown_field"
    problem(
        api.post("/api/policies/impact", {"files": {"p.policy.yaml": POLICY}, "sample": 0}), 400
    )


def test_what_is_in_shadow_is_weighed_and_promoted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shadow mode cannot be read or ended over HTTP, is asked in the server itself, or records something."""
    strict = POLICY.replace("name: p", "name: strict").replace('"eu"', '"us"') + "mode: shadow\n"
    files = {"p.policy.yaml": POLICY, "strict.policy.yaml": strict}
    assert api.post("/api/policies/activate", {"files": files}).status_code == 200
    assert api.post("/api/members/register", MEMBER).status_code == 201
    monkeypatch.setattr(
        "pfgov.engine.reading.impact.impact_of_store", lambda *_, **__: pytest.fail("it runs here")
    )
    before = api.get("/api/ledger").json()["size"]
    found = api.post("/api/policies/shadow", {}).json()["items"]
    assert [one["policy"] for one in found] == ["strict"]
    assert found[0]["report"]["counts"]["narrower"] == 1
    assert found[0]["report"]["ledger"]["size"] == api.get("/api/ledger").json()["size"] == before
    problem(api.post("/api/policies/shadow", {"sample": 0}), 400)
    problem(api.post("/api/policies/promote", {"name": "p"}), 404, "policy.not_shadowed")
    assert api.get("/api/ledger").json()["size"] == before
    told = api.post("/api/policies/promote", {"name": "strict"})
    assert told.status_code == 200, told.text
    modes = {one["name"]: one["mode"] for one in api.get("/api/policies").json()["policies"]}
    assert modes["strict"] == "enforce"
    assert api.get("/api/policies").json()["digest"] == found[0]["report"]["proposed"]
    assert api.post("/api/policies/shadow", {}).json()["items"] == []
