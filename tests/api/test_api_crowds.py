"""Many requests of one principal, and a ledger that hangs: nobody else waits for them, heartbeats least of all."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.api_server import Api
from support.named_server import NamedApi
from support.waiting import until

from pfgov.app.in_turn import InTurn
from pfgov.app.local import LocalLedger
from pfgov.errors import EngineStoppedError
from pfgov_api import dispatcher
from pfgov_api.limits import LARGE_BYTES, LARGE_PER_PRINCIPAL_MAX

CROWD = 40
"""Requests at once: more than there are threads, and fewer than one principal may have under way."""

BEAT = {"incarnation": 1}


@contextmanager
def crowding(
    api: Api, monkeypatch: pytest.MonkeyPatch, held: str, asking: dict[str, Any]
) -> Iterator[list["asyncio.Future[Any]"]]:
    """Have one principal ask many times at once for what does not come: the ledger's method *held* waits."""
    gate, begun, real = threading.Event(), threading.Event(), getattr(LocalLedger, held)

    def wait(*given: Any, **named: Any) -> Any:
        begun.set()
        gate.wait(60)
        return real(*given, **named)

    monkeypatch.setattr(LocalLedger, held, wait)

    async def ask() -> list["asyncio.Future[Any]"]:
        return [asyncio.ensure_future(api.client.request(**asking)) for _ in range(CROWD)]

    asked = api.run(ask())
    try:
        assert begun.wait(30)
        yield asked
    finally:
        gate.set()
        monkeypatch.undo()
        api.run(asyncio.wait_for(asyncio.gather(*asked), 60))


def _asking(api: Api, method: str, url: str, scope: str, **more: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {api.keys()[scope]}"}
    return {"method": method, "url": url, "headers": headers, **more}


def _everybody_is_answered(api: Api) -> None:
    for _ in range(3):
        beat = api.post("/api/members/m1/heartbeat", BEAT, scope="member:m1")
        assert beat.status_code == 200, beat.text
    assert api.get("/api/packets", scope="operator").json()["items"]
    assert api.get("/api/configuration", scope="operator").status_code == 200


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """A ledger with a member and a packet."""
    with Api(tmp_path) as found:
        found.member()
        found.packet()
        found.keys()
        yield found


def test_long_reads_of_one_principal_hold_up_nobody_else(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may list decisions has every heartbeat wait for a hundred lists, until all leases have ended."""
    asking = _asking(api, "GET", "/api/decisions?rule=none", "submitter")
    with crowding(api, monkeypatch, "decisions", asking):
        _everybody_is_answered(api)


def test_an_audit_of_one_principal_holds_up_no_other(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two audits keep all others, exports, and operators from contexts for as long as somebody goes on asking."""
    asking = _asking(api, "GET", "/api/packets/p1/audit", "auditor")
    with crowding(api, monkeypatch, "audit", asking):
        assert api.get("/api/ledger/export", scope="operator").status_code == 200
        _everybody_is_answered(api)


@pytest.mark.parametrize(
    ("held", "method", "url", "body"),
    [
        ("search", "POST", "/api/discover", {"packet_id": "p1"}),
        ("dry_run", "POST", "/api/decisions?dry_run=true", {"packet_id": "p1", "member_id": "m1"}),
        (
            "dry_run",
            "POST",
            "/access/v1/search/subject",
            {
                "subject": {"type": "member"},
                "action": {"name": "own"},
                "resource": {"type": "packet", "id": "p1"},
            },
        ),
        ("overview", "GET", "/api/ledger", None),
    ],
)
def test_questions_of_one_principal_hold_up_nobody_else(
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    held: str,
    method: str,
    url: str,
    body: dict[str, Any] | None,
) -> None:
    """Whoever may ask about a whole fleet has every heartbeat refused, until all leases have ended."""
    asking = _asking(api, method, url, "submitter", json=body)
    with crowding(api, monkeypatch, held, asking):
        _everybody_is_answered(api)


def test_what_nobody_waits_for_any_more_is_not_asked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions whose askers were told that they take too long pile up, and are asked one after the other for good."""
    asking = _asking(api, "POST", "/api/discover", "submitter", json={"packet_id": "p1"})
    with crowding(api, monkeypatch, "search", asking) as asked:

        async def refused() -> list[int]:
            done, _ = await asyncio.wait(asked, timeout=60)
            return sorted({one.result().status_code for one in done})

        assert api.run(refused()) == [503]
        ((_, waiting),) = api.service._asking_threads._turns._known.values()
        assert waiting == 1, "more than what has begun is going to be asked"
    assert api.post("/api/discover", {"packet_id": "p1"}, scope="submitter").status_code == 200
    assert not api.service._asking_threads._turns._known


def test_few_large_bodies_of_one_principal_are_at_hand_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A megabyte of small values takes thirty of memory, and a hundred such requests of one key all that there is."""
    gate, begun, real = threading.Event(), [], dispatcher.parsed

    def parsed(model: Any, raw: bytes, *, optional: bool) -> Any:
        begun.append(len(raw))
        gate.wait(60)
        return real(model, raw, optional=optional)

    monkeypatch.setattr(dispatcher, "parsed", parsed)
    large = {"workload_type": "scan", "context_checkpoint": {"a": ["b"] * LARGE_BYTES}}
    asking = _asking(api, "POST", "/api/packets", "submitter", json=large)

    async def ask() -> list["asyncio.Future[Any]"]:
        return [asyncio.ensure_future(api.client.request(**asking)) for _ in range(CROWD)]

    asked = api.run(ask())
    try:
        until(lambda: [n for _, n in api.service.large._places._known.values()] == [CROWD], 30)
        until(lambda: len(begun) == LARGE_PER_PRINCIPAL_MAX, 30)
    finally:
        gate.set()
        api.run(asyncio.wait_for(asyncio.gather(*asked), 60))
    assert {one.result().status_code for one in asked} == {201}
    assert not api.service.large._places._known
    assert not api.service.large.held


@pytest.mark.parametrize(
    ("held", "url"),
    [("audit", "/api/packets/p1/audit"), ("packets", "/api/packets"), ("overview", "/api/ledger")],
)
def test_what_waited_is_given_to_nobody_whose_key_ended(
    api: Api, monkeypatch: pytest.MonkeyPatch, held: str, url: str
) -> None:
    """Whoever has a hundred reads wait for their turn is answered long after its key was revoked."""
    asking = _asking(api, "GET", url, "auditor")
    with crowding(api, monkeypatch, held, asking) as asked:
        ended = next(one for one in api.keyring.records() if one.scopes == ("auditor",))
        api.keyring.revoke(ended.id, now=api.clock.now())
    assert not {one.result().status_code for one in asked} & {200}


def test_who_waits_for_a_thread_when_a_ledger_is_closed_is_told() -> None:
    """A stream whose read had not begun when its ledger was closed ends as a mistake of ours, with a traceback."""

    async def close() -> None:
        reading, gate = InTurn(1, "reading"), threading.Event()
        held = asyncio.ensure_future(reading.run("a", gate.wait, 60))
        queued = [asyncio.ensure_future(reading.run(who, gate.is_set)) for who in "abc"]
        given_up = asyncio.ensure_future(reading.run("d", gate.is_set))
        await asyncio.sleep(0.01)
        given_up.cancel()
        reading.close()
        gate.set()
        assert await held
        for one in queued:
            with pytest.raises(EngineStoppedError):
                await one
        with pytest.raises(asyncio.CancelledError):
            await given_up

    asyncio.run(close())


def test_a_ledger_that_hangs_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a dozen reads of one ledger whose disk or database hangs stop all reads of every ledger of the server."""
    gate, begun = threading.Event(), threading.Event()
    with NamedApi(tmp_path) as named:
        assert named.get("/l/alpha/api/packets").status_code == 200
        alpha = named.keeper.places["alpha"].host
        real = LocalLedger.packets

        def wait(ledger: LocalLedger, wanted: Any) -> Any:
            if ledger.engine is alpha.engine:
                begun.set()
                gate.wait(60)
            return real(ledger, wanted)

        monkeypatch.setattr(LocalLedger, "packets", wait)

        async def ask() -> list["asyncio.Future[Any]"]:
            client = named.client
            return [asyncio.ensure_future(client.get("/l/alpha/api/packets")) for _ in range(CROWD)]

        asked = named.default.run(ask())
        assert begun.wait(30)
        try:
            for path in ("/api/packets", "/api/members", "/l/beta/api/packets"):
                assert named.get(path).status_code == 200
        finally:
            gate.set()
            named.default.run(asyncio.wait_for(asyncio.gather(*asked), 60))
