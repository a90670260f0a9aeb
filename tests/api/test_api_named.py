"""Several ledgers behind one server: each is asked under its own path, and knows nothing of the others."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.api_server import SCOPES, path_values, problem
from support.ledgers import SECOND
from support.named_server import NamedApi, ledger_at

from pfgov.app.tenancy.places import Stage
from pfgov.errors import BusyError
from pfgov_api import limits, named
from pfgov_api.operations import ANYONE, Operation
from pfgov_api.routes import OPERATIONS
from pfgov_api.serve import _require_no_keys_ever

ALPHA, BETA = "/l/alpha", "/l/beta"


@pytest.fixture
def many(tmp_path: Path) -> Iterator[NamedApi]:
    """A default ledger and two beside it, without keys."""
    with NamedApi(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamedApi]:
    """The same, each with keys of its own; a member m1 and a packet p1 in alpha alone."""
    with NamedApi(tmp_path_factory.mktemp("named"), check=None) as found:
        for name in ("", "alpha", "beta"):
            found.keys(name)
        operator = found.keys("alpha")["operator"]
        found.member("alpha", key=operator)
        submitted = found.post(
            f"{ALPHA}/api/packets", {"packet_id": "p1", "workload_type": "scan"}, key=operator
        )
        assert submitted.status_code == 201
        yield found


# --- which ledger is asked ------------------------------------------------------------------


def test_a_path_says_which_ledger_is_asked(many: NamedApi) -> None:
    """A request for one ledger is answered by another, or the default one changed its paths."""
    many.member("alpha", "in-alpha")
    many.member("beta", "in-beta")
    many.member("", "in-default")
    for prefix, name in (("", "in-default"), (ALPHA, "in-alpha"), (BETA, "in-beta")):
        found = many.get(f"{prefix}/api/members").json()["items"]
        assert [one["id"] for one in found] == [name]


@pytest.mark.parametrize(
    "path",
    ["/l/gamma/api/status", "/l/gamma", "/l/gamma/", "/l/ALPHA/api/status",
     "/l/alpha%2f/api/status", "/l/%61lpha/api/status", "/l/%2e%2e/api/status", "/l//api/status", "/l/alpha\\/api",
     "/l/alpha%00/api/status", "/l/default/api/status", "/l/-/api/status", f"/l/{'a' * 300}/api/status"],
)  # fmt: skip
def test_an_unknown_name_is_no_ledger_and_no_disk_is_touched(
    many: NamedApi, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name leads out of the folder, or to the default ledger; or whoever guesses names has the disk looked at."""
    touched: list[Path] = []
    for verb in ("GET", "HEAD", "POST", "PATCH", "DELETE"):
        with monkeypatch.context() as watched:
            for method in ("stat", "lstat", "open", "exists", "is_dir", "resolve"):
                watched.setattr(Path, method, lambda self, *_, **__: touched.append(self))
            answer = many(verb, path)
        assert answer.status_code == 404, answer.text
        assert answer.headers["x-request-id"]
        if verb == "GET":
            problem(answer, 404, "ledger.unknown")
    assert not touched


@pytest.mark.parametrize(
    "path",
    ["", "/", "/console", "/console/", "/console/overview", "/console/sign-in", "/console/static/console.css",
     "//console/overview", "/%63onsole/overview", "//", "/api/ledgers", "//api/ledgers", "/api/nothing",
     "/l/beta/api/status", "/api/status/", "//api/status", "/api//status", "/api%2fstatus"],
)  # fmt: skip
@pytest.mark.parametrize("is_open", [False, True], ids=["at rest", "open"])
def test_under_a_name_there_is_no_other_ledger(many: NamedApi, path: str, is_open: bool) -> None:
    """What belongs to the default ledger, its console above all, is answered under the path of another."""
    if is_open:
        assert many.get(f"{ALPHA}/api/status").status_code == 200
    answer = many.get(f"{ALPHA}{path}")
    assert answer.status_code == 404, (path, answer.status_code, answer.headers)
    problem(answer, 404)


@pytest.mark.parametrize(
    "raw", [b"/l/../api", b"/l/./api", b"/l/", b"/l/alpha/..", b"/l/alpha/../beta/api/status"]
)
def test_dots_lead_nowhere(many: NamedApi, raw: bytes) -> None:
    """A path with dots, which a client may send as it likes, leads to another ledger."""
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": raw.decode(), "raw_path": raw, "query_string": b"",
        "http_version": "1.1", "headers": [(b"host", b"localhost:8000")], "scheme": "http", "root_path": "",
        "server": ("localhost", 8000), "client": ("127.0.0.1", 1), "asgi": {"version": "3.0"},
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    many.run(many.app(scope, receive, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 404


def test_many_unknown_names_cost_nothing(many: NamedApi) -> None:
    """Ten thousand guessed names fill the memory, or have something opened."""
    for number in range(10_000):
        with pytest.raises(named.PfgovError):
            many.named.find(f"/l/guess-{number}/api/status".encode())
    assert sorted(many.keeper.places) == ["alpha", "beta"]
    assert not many.named._doors
    assert many.keeper.counts.openings == 0


def test_the_default_ledger_alone_lists_the_others(many: NamedApi) -> None:
    """A tenant sees who else is there; or the list opens what it lists."""
    found = many.get("/api/ledgers").json()
    assert [(one["name"], one["state"], one["path"]) for one in found["items"]] == [
        ("alpha", "resting", ALPHA),
        ("beta", "resting", BETA),
    ]
    assert many.keeper.counts.openings == 0
    many.get(f"{ALPHA}/api/status")
    assert many.rest("alpha")
    first = many.get("/api/ledgers?limit=1").json()
    assert (
        first["items"][0]["size"] == 3
    )  # the genesis, the policy set, and an index when it rested
    assert first["next"] == "alpha"
    rest = many.get("/api/ledgers?limit=1&after=alpha").json()
    assert [one["name"] for one in rest["items"]] == ["beta"]
    assert "next" not in rest
    many.default.service.named = None
    problem(many.default.get("/api/ledgers"), 404, "ledger.alone")
    many.default.service.named = many.named


def test_pages_and_documents_stay_under_the_name(many: NamedApi) -> None:
    """The link to the next page, or a document that says where to ask, leads to the default ledger."""
    for number in range(3):
        many.member("alpha", f"m{number}")
    link = many.get(f"{ALPHA}/api/members?limit=2").headers["link"]
    assert link.startswith(f"<{ALPHA}/api/members?")
    following = link.partition(">")[0][1:]
    assert [one["id"] for one in many.get(following).json()["items"]] == ["m2"]
    asked = many.get(f"{ALPHA}/.well-known/authzen-configuration").json()
    assert asked["access_evaluation_endpoint"].endswith(f"{ALPHA}/access/v1/evaluation")
    assert many.get(f"{ALPHA}/api/openapi.json").json()["servers"] == [{"url": f"{ALPHA}/"}]
    assert many.get("/api/openapi.json").json()["servers"] == [{"url": "/"}]
    spelled = problem(many.get(f"{ALPHA}/api/members/"), 404, "http.not_found")
    assert spelled["hint"] == f"it is at {ALPHA}/api/members"


# --- who may enter --------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@pytest.mark.parametrize("is_open", [False, True], ids=["at rest", "open"])
def test_a_key_of_one_ledger_is_nothing_in_another(
    keyed: NamedApi, operation: Operation, is_open: bool
) -> None:
    """A key of one ledger, the default one's included, gets past the door of another, through some route."""
    if operation.access == ANYONE:
        return
    if is_open:
        assert (
            keyed.get(f"{BETA}/api/status", key=keyed.keys("beta")["operator"]).status_code == 200
        )
    elif keyed.place("beta").host is not None:
        assert keyed.rest("beta", 0)
    path = operation.path.format(**path_values())
    body = {} if operation.body is not None else None
    for prefix, own, strange in (
        (BETA, "beta", ("alpha", "")),
        ("", "", ("alpha", "beta")),
    ):
        for name in strange:
            for key in keyed.keys(name).values():
                answer = keyed(operation.method, f"{prefix}{path}", body, key=key)
                problem(answer, 401, "http.unauthenticated")
        answer = keyed(operation.method, f"{prefix}{path}", body)
        problem(answer, 401, "http.unauthenticated")
        assert own in {"", "beta"}
    assert (keyed.place("beta").stage is Stage.OPEN) is is_open  # and nobody had it opened


def test_keys_have_the_same_rights_there(keyed: NamedApi) -> None:
    """In a named ledger a key may do more, or less, than the same one in the default ledger."""
    for operation in OPERATIONS:
        if operation.access == ANYONE or operation.name in {"stream_events", "list_ledgers"}:
            continue
        path = operation.path.format(**path_values())
        body = {} if operation.body is not None else None
        for scope in SCOPES:
            allowed = operation.allows((scope,))
            answer = keyed(operation.method, f"{ALPHA}{path}", body, key=keyed.keys("alpha")[scope])
            if not allowed:
                problem(answer, 403, "access.forbidden")
            else:
                assert answer.status_code not in {401, 405, 500}, (operation.name, answer.text)


def test_where_the_server_needs_keys_a_ledger_without_any_is_nobodys(tmp_path: Path) -> None:
    """A ledger without keys is open to everybody on a server that has keys."""
    with NamedApi(tmp_path, check=None) as found:
        answer = found.get(f"{ALPHA}/api/status", key=found.keys("")["operator"])
        said = problem(answer, 503, "key.file")
        assert str(tmp_path) not in answer.text
        assert "pfgov key create" in said["hint"]
        assert found.keeper.counts.openings == 0
        key = found.keys("alpha")["operator"]
        assert found.get(f"{ALPHA}/api/status", key=key).status_code == 200


def test_a_ledger_that_had_keys_lets_nobody_in_without(tmp_path: Path) -> None:
    """Whoever removes a file of keys becomes the operator of that ledger."""
    with NamedApi(tmp_path, check=_require_no_keys_ever) as found:
        found.keys("alpha")
        (found.folder / "alpha" / "api-keys.json").unlink()
        problem(found.get(f"{ALPHA}/api/status"), 503, "serve.keys_missing")
        assert found.get(f"{BETA}/api/status").status_code == 200


def test_ledgers_without_keys_close_when_the_default_one_gets_some(many: NamedApi) -> None:
    """The first key is made while the server runs, and the ledgers beside stay everybody's until it is started anew."""
    many.member("alpha")
    granted = many.named.access(many.place("alpha")).grant(None)
    assert granted.holds()
    many.default.keys()
    assert not granted.holds()
    for path in (ALPHA, BETA):  # one is open, the other rests
        for answer in (
            many.get(f"{path}/api/status"),
            many.post(f"{path}/api/packets", {"workload_type": "x"}),
        ):
            assert answer.status_code in {401, 503}, answer.text
    many.named.access(many.place("alpha")).keyring.recheck_seconds = 0.0  # notice the next key now
    assert many.get(f"{ALPHA}/api/status", key=many.keys("alpha")["operator"]).status_code == 200
    problem(many.get(f"{ALPHA}/api/status"), 401)


def test_ledgers_without_keys_close_when_those_of_the_default_one_are_lost(many: NamedApi) -> None:
    """Where nobody can tell any more who may enter the default ledger, everybody may enter the others."""
    many.default.keys()
    assert many.default.get("/api/status", scope="operator").status_code == 200
    many.default.keyring.path.unlink()
    assert many.get(f"{ALPHA}/api/status").status_code in {401, 503}


def test_shared_keys_open_every_ledger_with_the_same_rights(tmp_path: Path) -> None:
    """With shared keys a ledger's own still count; or the default one's do not."""
    with NamedApi(tmp_path, share=True, check=None) as found:
        own = found.keys("alpha")["operator"]
        for scope, status in (("operator", 200), ("submitter", 200), ("emergency", 403)):
            answer = found.get(f"{ALPHA}/api/status", key=found.keys("")[scope])
            assert answer.status_code == status, answer.text
        problem(found.get(f"{ALPHA}/api/status", key=own), 401, "http.unauthenticated")
        assert found.rest("alpha")
        problem(found.get(f"{ALPHA}/api/status", key=own), 401, "http.unauthenticated")


def test_without_keys_another_machine_and_another_site_open_nothing(many: NamedApi) -> None:
    """A web page, or a proxy, has ledgers opened that only this machine may use."""
    for headers in ({"host": "evil.example"}, {"x-forwarded-for": "10.0.0.1"}):
        problem(many.get(f"{ALPHA}/api/status", headers=headers), 403, "http.cross_site")
    assert many.keeper.counts.openings == 0


def test_strangers_have_so_many_ledgers_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever shows no key has ledgers opened as fast as it can ask."""
    monkeypatch.setattr(named, "STRANGERS_BURST_MAX", 1)
    now = [0.0]
    with NamedApi(tmp_path, check=None) as found:
        found.named._strangers = named.Strangers(lambda: now[0])
        for name in ("alpha", "beta"):
            found.keys(name)
        for _ in range(3):  # what is static costs no opening
            assert found.get(f"{ALPHA}/api/health/live").status_code == 200
            assert found.get(f"{ALPHA}/api/openapi.json").status_code == 200
        assert found.get(f"{ALPHA}/api/ledger/checkpoint").status_code == 200
        assert found.get(f"{ALPHA}/api/ledger/key").status_code == 200  # it is open by now
        problem(found.get(f"{BETA}/api/ledger/checkpoint"), 503, "engine.busy")
        answer = found.get(f"{BETA}/api/ledger/checkpoint", key=found.keys("alpha")["operator"])
        problem(answer, 503, "engine.busy")
        answer = found.get(f"{BETA}/api/ledger/checkpoint", key=found.keys("beta")["operator"])
        assert answer.status_code == 200
        assert found.rest("beta")
        now[0] += limits.STRANGERS_SECONDS
        assert found.get(f"{BETA}/api/ledger/checkpoint").status_code == 200


def test_one_ledger_has_its_share_of_the_server(
    many: NamedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tenant's requests and streams take the place of everybody's."""
    monkeypatch.setattr(named, "NAMED_CALLS_PER_LEDGER_MAX", 1)
    alpha, beta = many.place("alpha"), many.place("beta")
    many.named.count_in(alpha)
    problem(many.get(f"{ALPHA}/api/status"), 503, "engine.busy")
    assert many.get(f"{BETA}/api/status").status_code == 200
    monkeypatch.setattr(named, "NAMED_CALLS_MAX", 1)
    with pytest.raises(BusyError):
        many.named.count_in(beta)
    many.named.count_out(alpha)
    assert many.get(f"{ALPHA}/api/status").status_code == 200
    assert (many.named.calls, many.named._calls_of) == (0, {})


# --- nothing of one in another ----------------------------------------------------------------


def test_what_is_in_one_ledger_is_seen_in_no_other(keyed: NamedApi) -> None:
    """A member, a packet, an error, an export, a count of one ledger shows through some door of another."""
    secrets = ("in-alpha-only", "packet-of-alpha", "reason-of-alpha")
    alpha, beta = keyed.keys("alpha"), keyed.keys("beta")
    keyed.member("alpha", secrets[0], key=alpha["operator"])
    body = {"packet_id": secrets[1], "workload_type": "scan"}
    assert keyed.post(f"{ALPHA}/api/packets", body, key=alpha["operator"]).status_code == 201
    said = keyed.post(
        f"{ALPHA}/api/packets/{secrets[1]}/requeue", {"reason": secrets[2]}, key=alpha["operator"]
    )
    assert said.status_code == 200, said.text
    origin = keyed.get(f"{ALPHA}/api/status", key=alpha["operator"]).json()["size"]
    assert origin > 4
    for prefix, keys in ((BETA, beta), ("", keyed.keys(""))):
        for operation in OPERATIONS:
            if operation.method != "GET" or operation.name in {"stream_events", "list_ledgers"}:
                continue
            scope = next((one for one in SCOPES if operation.allows((one,))), "operator")
            path = operation.path.format(**path_values(member_id=secrets[0], packet_id=secrets[1]))
            answer = keyed.get(f"{prefix}{path}", key=keys[scope])
            shown = answer.text.replace(path, "")
            for secret in secrets:
                if secret in path:  # it is named in the answer because it was asked for
                    assert answer.status_code in {400, 403, 404, 409}, (operation.name, answer.text)
                else:
                    assert secret not in shown, operation.name


def test_what_concerns_a_member_of_one_concerns_no_other_of_its_name(keyed: NamedApi) -> None:
    """A member's key of one ledger acts for the member of the same name in another."""
    key = keyed.keys("beta")["member:m1"]
    problem(keyed.get(f"{BETA}/api/members/m1", key=key), 404, "member.not_found")
    problem(keyed.post(f"{ALPHA}/api/members/m1/heartbeat", {"incarnation": 1}, key=key), 401)


def test_an_idempotency_key_means_another_command_in_another_ledger(many: NamedApi) -> None:
    """A repeated key is answered with what another ledger recorded under it."""
    body = {"id": "m1", "type": "agent", "capabilities": [], "region": "us-east"}
    for name in ("alpha", "beta", ""):
        prefix = f"/l/{name}" if name else ""
        answers = [
            many.post(f"{prefix}/api/members/register", body, headers={"Idempotency-Key": "k1"})
            for _ in range(2)
        ]
        assert [one.status_code for one in answers] == [201, 201], answers[0].text
        assert [one.headers.get("idempotent-replayed") for one in answers] == [None, "true"]


def test_an_etag_of_one_ledger_matches_nothing_else_in_another(many: NamedApi) -> None:
    """A cache keeps one ledger's answer for another's."""
    many.member("alpha", "m1")
    tag = many.get(f"{ALPHA}/api/members").headers["etag"]
    answer = many.get(f"{BETA}/api/members", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.json()["items"] == []


def test_events_of_one_ledger_reach_no_stream_of_another(many: NamedApi) -> None:
    """A stream of one ledger tells what was committed in another."""
    many.get(f"{ALPHA}/api/status")
    many.get(f"{BETA}/api/status")
    beta = many.place("beta").host
    assert beta is not None

    async def story() -> bool:
        with beta.news.subscription() as news:
            await many.client.post(
                f"{ALPHA}/api/members/register",
                content=json.dumps({"id": "m9", "type": "agent"}),
                headers={"Content-Type": "application/json"},
            )
            await asyncio.sleep(0)
            return news.is_set()

    assert many.run(story()) is False


def test_metrics_are_of_one_ledger(many: NamedApi) -> None:
    """The counters of one ledger count what was done in another, or name the others."""
    for number in range(5):
        many.member("alpha", f"m{number}")
    for prefix, count in ((ALPHA, 5), (BETA, 0), ("", 0)):
        text = many.get(f"{prefix}/metrics").text
        assert f"pfgov_members {count}" in text
        assert ('operation="register_member"' in text) is (count > 0)
        assert "alpha" not in text
        assert ("pfgov_ledgers" in text) is (prefix == "")
        assert ("trials of policies" in text) is (prefix == "")


def test_what_one_principal_has_in_use_is_counted_by_ledger(keyed: NamedApi) -> None:
    """A member is refused because its namesake in another ledger has its share in use."""
    grants = {
        name: keyed.named.access(keyed.place(name)).grant(f"Bearer {keyed.keys(name)['member:m1']}")
        for name in ("alpha", "beta")
    }
    assert {grant.principal.id for grant in grants.values()} == {"m1"}
    assert len({grant.share for grant in grants.values()}) == 2


# --- open and closed ---------------------------------------------------------------------------


def test_a_ledger_that_fails_says_so_and_the_others_go_on(many: NamedApi) -> None:
    """A damaged ledger is a 500, or a hanging request; or it shows its folder; or nobody can find out why."""
    ledger_at(many.folder, "gamma")
    (many.folder / "gamma" / "ledger.db").write_bytes(b"damaged" * 1_000)
    many.run(many.keeper.scan())
    for path in ("status", "health/ready"):
        answer = many.get(f"/l/gamma/api/{path}")
        assert problem(answer, 503)["code"].startswith("store.")
        assert str(many.folder) not in answer.text
        assert answer.headers["retry-after"]
    assert many.get("/l/gamma/api/health/live").status_code == 200
    assert many.get(f"{ALPHA}/api/health/ready").status_code == 200
    assert many.get("/api/health/ready").status_code == 200
    listed = {one["name"]: one for one in many.get("/api/ledgers").json()["items"]}
    assert listed["gamma"]["state"] == "failed"
    assert str(many.folder) in listed["gamma"]["error"]["detail"]


def test_a_request_finds_a_ledger_that_rests_as_it_was(
    many: NamedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something is lost when a ledger rests, or a request that comes meanwhile is refused."""
    many.member("alpha", "m1")
    before = many.get(f"{ALPHA}/api/members").json()
    assert many.rest("alpha")
    assert many.place("alpha").stage is Stage.RESTING
    assert many.get(f"{ALPHA}/api/members").json() == before
    assert many.place("alpha").stage is Stage.OPEN

    async def meanwhile() -> list[httpx2.Response]:
        host = many.place("alpha").host
        assert host is not None
        asked: list[asyncio.Task[httpx2.Response]] = []
        stop = host.stop

        async def asked_meanwhile() -> None:
            asked.extend(
                asyncio.create_task(many.client.get(f"{ALPHA}/api/members")) for _ in range(5)
            )
            await asyncio.sleep(0)
            await stop()

        monkeypatch.setattr(host, "stop", asked_meanwhile)
        assert await many.keeper.rest(many.place("alpha"), 0)
        return await asyncio.gather(*asked)

    assert {one.status_code for one in many.run(meanwhile())} == {200}


def test_an_open_stream_keeps_its_ledger_open(many: NamedApi) -> None:
    """A ledger is closed under a stream of events."""
    alpha = many.place("alpha")

    async def story() -> None:
        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "path": f"{ALPHA}/api/events", "raw_path": f"{ALPHA}/api/events".encode(),
            "query_string": b"", "headers": [(b"host", b"localhost:8000")], "scheme": "http", "http_version": "1.1",
            "server": ("localhost", 8000), "client": ("127.0.0.1", 1), "root_path": "", "asgi": {"version": "3.0"},
        }  # fmt: skip
        began, leaves = asyncio.Event(), asyncio.Event()
        asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            for message in asked:
                return message
            await leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] == 200
                began.set()

        streaming = asyncio.create_task(many.app(scope, receive, send))  # type: ignore[arg-type]
        await asyncio.wait_for(began.wait(), 30)
        many.default.clock.advance(3_600 * SECOND)
        await many.keeper.look()
        assert alpha.users == 1
        assert alpha.stage is Stage.OPEN
        leaves.set()
        await asyncio.wait_for(streaming, 30)
        assert alpha.users == 0

    many.run(story())


def test_a_stop_closes_every_ledger(many: NamedApi) -> None:
    """A ledger keeps its lock after the server has stopped, or a request gets in afterwards."""
    many.get(f"{ALPHA}/api/status")
    many.run(many.keeper.stop())
    assert many.place("alpha").stage is Stage.RESTING
    problem(many.get(f"{ALPHA}/api/status"), 503, "engine.stopped")
