"""A server that stands by answers from what is committed, and says how much of that is in its answer."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support import postgres
from support.ledgers import ORIGIN, START, Drawn, fresh, open_policy, opened, register, submit

from pfgov.clock import ManualClock
from pfgov.core.commands import Principal, RegisterMember
from pfgov.engine import Engine, LedgerReader, Options
from pfgov.engine.following import Follower
from pfgov.errors import ForbiddenError, StoreCorruptError, StoreLockedError, StoreUnavailableError
from pfgov.storage import keep_in_database, open_store
from pfgov_api import dispatcher, serve
from pfgov_api.app import create_app
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.standby import Standby

ONE, TWO = "http://one.test:8000", "http://two.test:8000"


def _nobody() -> Engine:
    raise StoreLockedError("another leads")


def _two_folders(tmp_path: Path) -> tuple[Path, Path]:
    """Make a ledger in a database; return its folder and a copy of it, as another server has one."""
    first, second = tmp_path / "one", tmp_path / "two"
    keep_in_database(first, postgres.server().url())
    options = Options(draw=Drawn("new"))
    Engine.create(
        open_store(first), ORIGIN, clock=ManualClock(START), policy=open_policy(), options=options
    ).close()
    shutil.copytree(first, second)
    return first, second


def test_a_standbys_answer_holds_at_least_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was read before something was followed says that this is in it."""
    first, second = _two_folders(tmp_path)
    with opened(first, address=ONE) as leader:
        register(leader, "m")
        follower = Follower(open_store(second), TWO, clock=ManualClock(START), options=Options())
        answered = dispatcher.answered

        async def and_then_more_is_followed(*given: Any, **named: Any) -> Any:
            found = await answered(*given, **named)
            register(leader, f"late-{leader.status().size}")
            follower.follow()
            return found

        monkeypatch.setattr(dispatcher, "answered", and_then_more_is_followed)
        service = Standby(follower, KeyRing(second / FILE), _nobody)

        async def ask() -> list[httpx2.Response]:
            transport = httpx2.ASGITransport(app=create_app(service))
            async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as web:
                newest = "/api/ledger/entries?newest=true&limit=1"
                found = [await web.get(newest), await web.get(newest)]
            await service.stop()
            await asyncio.get_running_loop().shutdown_default_executor()
            return found

        try:
            answers = asyncio.run(ask())
        finally:
            follower.close()
    for answer in answers:
        assert answer.status_code == 200, answer.text
        held = answer.json()["items"][0]["seq"] + 1
        assert 0 < int(answer.headers["pfgov-position"]) <= held
        assert int(answer.headers["pfgov-lag"]) >= 0


@pytest.mark.parametrize("scopes", [None, ("auditor",), ("operator",)])
def test_a_standby_takes_no_body_of_whoever_may_not_write(
    tmp_path: Path, scopes: tuple[str, ...] | None
) -> None:
    """A thousand strangers who let their bodies wait kept everybody else out, with a megabyte of memory for each."""
    _, second = _two_folders(tmp_path)
    keyring = KeyRing(second / FILE)
    _, key = keyring.create(scopes or ("operator",), now=START)
    follower = Follower(open_store(second), TWO, clock=ManualClock(START), options=Options())
    service = Standby(follower, keyring, _nobody)
    taken: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        taken.append(b"{}")
        yield b"{}"

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=create_app(service))
        headers = {"content-type": "application/json"}
        if scopes is not None:
            headers["authorization"] = f"Bearer {key}"
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as web:
            answer = await web.post("/api/packets", content=body(), headers=headers)
        await service.stop()
        return answer

    try:
        answer = asyncio.run(ask())
    finally:
        follower.close()
    may_write = scopes == ("operator",)
    expected = {None: 401, ("auditor",): 403, ("operator",): 503}  # nobody leads
    assert (answer.status_code, bool(taken)) == (expected[scopes], may_write)


class _Turns:
    """A ledger whose database cannot be reached at first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = [*errors]
        self.opened: list[str] = []

    def begin(self) -> tuple[Any, bool]:
        """Lead, for the first time."""
        return self._open("leader"), False

    def follow(self) -> Any:
        """Stand by, if nothing is wrong any more."""
        if self.errors:
            raise self.errors.pop(0)
        return self._open("follower")

    def _open(self, name: str) -> Any:
        self.opened.append(name)
        return nullcontext(name)


def test_a_leader_that_is_to_stand_by_waits_for_its_database(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that lost the lead while its database was replaced ends, and nobody takes over from the next leader."""
    monkeypatch.setattr(serve, "FOLLOW_AGAIN_SECONDS", 0.0)
    away = [StoreUnavailableError("the database cannot be reached") for _ in range(3)]
    turns = _Turns(*away)
    serve._following(turns)  # type: ignore[arg-type]
    assert turns.opened == ["follower"]
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    with pytest.raises(StoreCorruptError):
        serve._following(_Turns(away[0], StoreCorruptError("it is another ledger")))  # type: ignore[arg-type]


class _Turn:
    """What serves one turn: it hands over, or was told to end."""

    def __init__(self, *, hands_over: bool) -> None:
        self.hands_over = hands_over


@pytest.mark.parametrize("lost", ["as it begins", "as it is handed over", "three times"])
def test_a_database_that_goes_away_between_two_turns_ends_no_server(
    lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A takeover asks the database what it has to know first, and when that went away just then the server ended."""
    turns, served = _Turns(), list[str]()
    breaks = {"as it begins": {1}, "as it is handed over": set[int](), "three times": {1, 2, 3}}[
        lost
    ]

    def begin(engine: Any, _: bool) -> tuple[Any, Any]:
        if len(turns.opened) - 1 in breaks:
            raise StoreUnavailableError("server closed the connection unexpectedly")
        return _Turn(hands_over=len(turns.opened) < 5), engine.enter_result

    def answer(service: Any, engine: Any) -> None:
        served.append(engine)
        if lost == "as it is handed over" and service.hands_over:
            raise StoreUnavailableError("server closed the connection unexpectedly")

    serve._take_turns(turns, begin, answer)  # type: ignore[arg-type]
    assert turns.opened == ["leader", *["follower"] * 4]
    assert served == ["leader", *["follower"] * (4 - len(breaks))]
    assert any("closed the connection" in one.message for one in caplog.records)


@pytest.mark.parametrize("when", ["at the start", "at the end"])
def test_whoever_starts_or_ends_a_server_is_told_that_its_database_is_gone(when: str) -> None:
    """A server that cannot start waits for ever and says nothing, or one that was told to end begins another turn."""
    turns = _Turns()

    def begin(engine: Any, _: bool) -> tuple[Any, Any]:
        if when == "at the start":
            raise StoreUnavailableError("it cannot be reached")
        return _Turn(hands_over=False), engine

    def answer(*_: Any) -> None:
        raise StoreUnavailableError("it cannot be reached")

    with pytest.raises(StoreUnavailableError):
        serve._take_turns(turns, begin, answer)  # type: ignore[arg-type]
    assert turns.opened == ["leader"]


def test_a_takeover_looks_for_keys_among_new_entries_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without keys each takeover walks through the whole ledger, and nobody leads a large one for a minute."""
    walked: list[int] = []
    real = LedgerReader.other_principal

    def counting(reader: LedgerReader, start: int = 0) -> str | None:
        walked.append(reader.head().size - start)
        return real(reader, start)

    monkeypatch.setattr(LedgerReader, "other_principal", counting)
    check = serve._check(is_open=True, openly=False)
    assert check is not None
    keyring = KeyRing(tmp_path / "api-keys.json")
    with opened(fresh(tmp_path)) as engine:
        check(engine, keyring)
        register(engine, "m")
        check(engine, keyring)
        check(engine, keyring)
        assert walked == [2, 1, 0]
        member = RegisterMember(member_id="n", type="agent", region="eu")
        submit(engine, member, principal=Principal(id="key:k", rights=("operator",)))
        with pytest.raises(ForbiddenError):
            check(engine, keyring)
