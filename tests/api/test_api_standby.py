"""A server that stands by answers from what is committed, and says how much of that is in its answer."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support import postgres
from support.ledgers import ORIGIN, START, Drawn, open_policy, opened, register

from pfgov.clock import ManualClock
from pfgov.engine import Engine, Options
from pfgov.engine.following import Follower
from pfgov.errors import StoreLockedError
from pfgov.storage import keep_in_database, open_store
from pfgov_api import dispatcher
from pfgov_api.app import create_app
from pfgov_api.keyring import FILE, KeyRing
from pfgov_api.standby import Standby

ONE, TWO = "http://one.test:8000", "http://two.test:8000"


def _nobody() -> Engine:
    raise StoreLockedError("another leads")


def test_a_standbys_answer_holds_at_least_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that was read before something was followed says that this is in it."""
    first, second = tmp_path / "one", tmp_path / "two"
    keep_in_database(first, postgres.server().url())
    options = Options(draw=Drawn("new"))
    Engine.create(
        open_store(first), ORIGIN, clock=ManualClock(START), policy=open_policy(), options=options
    ).close()
    shutil.copytree(first, second)
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
