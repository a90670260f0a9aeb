"""Keys that are revoked, lost, emptied or not there: what a server lets in then, and when it asks again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from support.api_server import Api, problem
from support.ledgers import START, fresh, opened

from pfgov.clock import ManualClock
from pfgov.core.commands import Principal
from pfgov.engine.answers import Caller
from pfgov.engine.maintenance.ceremony import rotate
from pfgov.engine.maintenance.erasing import Target, erase
from pfgov.engine.maintenance.restoring import succeed
from pfgov.errors import ForbiddenError, GrantEndedError, StoreUnavailableError
from pfgov.storage import open_store
from pfgov_api import serve
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.replies import Reply


def test_a_revoked_key_is_refused_with_the_next_request(api: Api) -> None:
    """Revocation holds at once, and a server whose keys are all revoked does not become open."""
    api.keys()
    assert api.get("/api/status", scope="operator").status_code == 200
    for record in api.keyring.records():
        api.keyring.revoke(record.id, now=1)
    problem(api.get("/api/status", scope="operator"), 401)
    problem(api.get("/api/status"), 401)


def test_a_key_file_that_vanishes_opens_nothing(api: Api) -> None:
    """Deleting or damaging the file of keys locks everybody out, and readers of health are told nothing."""
    api.keys()
    api.get("/api/status", scope="operator")
    api.keyring.path.write_text("{")
    problem(api.get("/api/status", scope="operator"), 503, "key.file")
    api.keyring.path.unlink()
    problem(api.get("/api/status", scope="operator"), 503, "key.file")
    problem(api.post("/api/packets", {"workload_type": "x"}), 503, "key.file")


def test_a_name_that_is_not_this_machines_is_refused_while_there_are_no_keys(api: Api) -> None:
    """A web page whose name was pointed at this machine can neither read nor write."""
    for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "[::2]:8000"):
        problem(api.get("/api/status", headers={"Host": host}), 403, "http.cross_site")
    for host in ("localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"):
        assert api.get("/api/status", headers={"Host": host}).status_code == 200
    api.keys()
    assert (
        api.get("/api/status", headers={"Host": "pfgov.example"}, scope="auditor").status_code
        == 200
    )


def test_an_emptied_file_of_keys_opens_nothing(tmp_path: Path) -> None:
    """A file that is there and holds no key is a file of keys: it was not always empty."""
    with Api(tmp_path) as api:
        assert api.get("/api/status").status_code == 200
        api.keyring.path.write_text('{"keys": []}')
        problem(api.get("/api/status"), 401)
        problem(api.post("/api/packets", {"workload_type": "x"}), 401)


def test_a_link_to_keys_that_are_not_there_opens_nothing(tmp_path: Path) -> None:
    """Where the keys lie elsewhere, and that is not there after a restart, everybody here is the operator."""
    with Api(tmp_path) as api:
        api.keyring.path.symlink_to(tmp_path / "not-mounted" / FILE)
        problem(api.get("/api/status"), 503, "key.file")
        problem(api.post("/api/packets", {"workload_type": "x"}), 503, "key.file")
        assert api.keyring.has_been_used
        with pytest.raises(StoreUnavailableError):
            serve._has_no_keys(KeyRing(api.keyring.path))


def test_a_ledger_that_continues_another_opens_nothing_without_keys(tmp_path: Path) -> None:
    """A ledger that asked for keys cannot go on, and its successor is everybody's on this machine."""
    new = tmp_path / "new"
    succeed(open_store(new), open_store(fresh(tmp_path)), clock=ManualClock(START))
    with opened(new) as engine:
        with pytest.raises(ForbiddenError, match="continues pfgov") as refused:
            serve._require_no_keys_ever(engine, KeyRing(new / FILE))
        assert refused.value.code == "serve.keys_missing"


def test_what_is_no_request_of_this_machine_is_not_sent_on_as_one(api: Api) -> None:
    """A standby without keys sends a write to the leader under the leader's own name, whatever name was asked."""
    sent: list[str] = []

    class Sending:
        """Takes note of what it would send."""

        async def forward(self, method: str, *_: object) -> Reply:
            """Answer for the leader."""
            sent.append(method)
            return Reply(200, b"{}")

    api.service.forwarder = Sending()  # type: ignore[assignment]
    try:
        for headers in ({"Host": "pfgov.example"}, {"Via": "1.1 proxy"}):
            answer = api.post("/api/packets", {"workload_type": "x"}, headers=headers)
            problem(answer, 403, "http.cross_site")
        assert not sent
    finally:
        api.service.forwarder = None


@pytest.mark.parametrize(
    "header",
    ["Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"],
)
def test_a_proxy_that_says_localhost_opens_nothing(api: Api, header: str) -> None:
    """Without keys nobody is the operator for whom a proxy on this machine speaks, whatever Host it sends."""
    sent = {"Host": "localhost", header: "203.0.113.9"}
    problem(api.get("/api/status", headers=sent), 403, "http.cross_site")
    problem(api.post("/api/packets", {"workload_type": "x"}, headers=sent), 403, "http.cross_site")
    api.keys()
    assert api.get("/api/status", headers=sent, scope="auditor").status_code == 200


def test_a_ledger_knows_whether_there_were_keys(api: Api) -> None:
    """What the holder of a key did stays in the ledger, whatever becomes of the file."""
    api.member("m1")
    assert api.engine.reader.other_principal() is None
    api.keys()
    api.packet("p1")
    operator = next(one for one in api.keyring.records() if one.scopes == ("operator",))
    assert api.engine.reader.other_principal() == f"key:{operator.id}"
    api.post("/api/packets/p1/complete", api.claim("p1"), scope="member:m1")
    assert api.engine.reader.other_principal() == "m1"


@pytest.mark.parametrize("path", ["/api/packets", "/api/discover"])
@pytest.mark.parametrize("is_in_time", [True, False])
def test_a_key_is_asked_again_when_the_body_is_there(api: Api, path: str, is_in_time: bool) -> None:
    """A key that is revoked while the body arrives, half a minute later perhaps, records and reads nothing any more."""
    api.keys()
    size = api.engine.status().size
    record = next(one for one in api.keyring.records() if one.scopes == ("operator",))

    async def body() -> AsyncIterator[bytes]:
        yield b'{"packet_id": "p"'
        if not is_in_time:
            api.keyring.revoke(record.id, now=1)
        yield b', "workload_type": "x"}' if path == "/api/packets" else b"}"

    key = api.keys()["operator"]
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    answer = api.run(api.client.post(path, content=body(), headers=headers))
    if is_in_time:
        assert answer.status_code in {201, 404}
    else:
        problem(answer, 401, "principal.ended")
        assert api.engine.status().size == size


def test_a_key_is_asked_again_when_its_command_is_decided(api: Api) -> None:
    """A command that waited in the queue while its key was revoked is refused, its idempotency key included."""
    api.keys()
    record = next(one for one in api.keyring.records() if one.scopes == ("operator",))
    headers = {"Idempotency-Key": "k"}
    assert (
        api.post(
            "/api/packets",
            {"packet_id": "p", "workload_type": "x"},
            scope="operator",
            headers=headers,
        ).status_code
        == 201
    )
    size = api.engine.status().size

    async def race() -> list[httpx2.Response]:
        sent = {
            "Authorization": f"Bearer {api.keys()['operator']}",
            "Content-Type": "application/json",
        }
        waiting = [
            asyncio.ensure_future(
                api.client.post("/api/packets", content=content, headers={**sent, **more})
            )
            for content, more in (
                (b'{"packet_id": "q", "workload_type": "x"}', {}),
                (b'{"packet_id": "p", "workload_type": "x"}', headers),
            )
        ]
        while len(api.engine._queue._queue) < 2:  # noqa: ASYNC110 - the queue tells nobody
            await asyncio.sleep(0)
        api.keyring.revoke(record.id, now=1)
        api.engine._queue._turn.release()
        return list(await asyncio.gather(*waiting))

    api.engine._queue._turn.acquire()
    for answer in api.run(race()):
        problem(answer, 401, "principal.ended")
    assert api.engine.status().size == size


def test_an_erasure_is_asked_again_when_it_is_decided(api: Api) -> None:
    """What keeps the ledger itself asks, too, whether its key still holds."""
    api.keys()
    body = {"packet_id": "p1", "workload_type": "x", "context_checkpoint": {"a": 1}}
    assert api.post("/api/packets", body, scope="operator").status_code == 201
    caller = Caller(Principal(id="key:k", rights=("admin",)), holds=lambda: False)
    with pytest.raises(GrantEndedError):
        erase(api.engine, Target(packet_id="p1"), "retention", caller=caller)
    with pytest.raises(GrantEndedError):
        rotate(api.engine, "issuer", caller=caller)
