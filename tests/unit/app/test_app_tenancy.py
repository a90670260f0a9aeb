"""Many ledgers in one process: opened when asked for, as many at once as may be, each failing alone."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from support.ledgers import SECOND, opened, register, submit
from support.shelf import Shelf, run, used

from pfgov.app.hosting import Engine
from pfgov.app.tenancy import (
    Place,
    TooManyLedgersError,
    keeping,
    limits,
)
from pfgov.app.tenancy.places import Stage
from pfgov.core import commands as c
from pfgov.errors import EngineStoppedError, StoreUnavailableError


def test_tenancy_a_ledger_is_opened_when_it_is_asked_for_and_no_other(shelf: Shelf) -> None:
    """A ledger that nobody asked for costs an open database, or one that was asked for is not there."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        assert [one.stage for one in keeper.places.values()] == [Stage.RESTING, Stage.RESTING]
        async with keeper.using(keeper.find("alpha")) as host:
            assert host.reader.head().size > 0
            assert (keeper.find("alpha").stage, keeper.find("beta").stage) == (
                Stage.OPEN,
                Stage.RESTING,
            )
        assert keeper.find("alpha").stage is Stage.OPEN
        await keeper.stop()
        assert keeper.find("alpha").stage is Stage.RESTING
        with opened(shelf.folder / "alpha", shelf.clock):
            pass  # its lock was given back

    run(story())


def test_tenancy_many_who_ask_at_once_have_it_opened_once(shelf: Shelf) -> None:
    """Two callers open one ledger twice, and the second is told that somebody writes it."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        sizes = await asyncio.gather(*(used(keeper, "alpha") for _ in range(20)))
        assert len(set(sizes)) == 1
        assert keeper.counts.openings == 1
        await keeper.stop()

    run(story())


def test_tenancy_the_ledger_used_longest_ago_makes_room(tmp_path: Path) -> None:
    """A ledger in use is closed for another; or more are open than may be; or whoever comes last is never served."""
    shelf = Shelf(tmp_path, "a", "b", "c")

    async def story() -> None:
        keeper = shelf.keeper(most=2)
        await keeper.scan()
        await used(keeper, "a")
        shelf.clock.advance(SECOND)
        await used(keeper, "b")
        shelf.clock.advance(SECOND)
        async with keeper.using(keeper.find("a")):
            await used(keeper, "c")
            stages = [keeper.find(name).stage for name in "abc"]
            assert stages == [Stage.OPEN, Stage.RESTING, Stage.OPEN]
            async with keeper.using(keeper.find("c")):
                with pytest.raises(TooManyLedgersError):
                    await used(keeper, "b")
                assert keeper.find("b").failure is None  # it is not the ledger's fault
            await used(keeper, "b")
        assert keeper.counts.refused == 1
        await keeper.stop()

    run(story())


def test_tenancy_a_ledger_with_something_due_makes_room_only_if_it_can_wait(shelf: Shelf) -> None:
    """A ledger is closed for another a moment before its deadline; or none that has one ever makes room."""
    moment = shelf.clock.now() + 20 * SECOND
    trusted = c.AssessTrust(member_id="m1", score="0.9", expires_at=moment)

    async def story() -> None:
        keeper = shelf.keeper(most=1)
        await keeper.scan()
        alpha = keeper.find("alpha")
        async with keeper.using(alpha) as host:
            register(host.engine, "m1")
            submit(host.engine, trusted)
            shelf.clock.advance(17 * SECOND)
        with pytest.raises(TooManyLedgersError):
            await used(keeper, "beta")
        async with keeper.using(alpha) as host:
            submit(host.engine, replace(trusted, expires_at=moment + 4 * SECOND))
            alpha.look_at = 0
        assert await used(keeper, "beta") > 0
        assert alpha.stage is Stage.RESTING
        assert alpha.visit_at == moment + 4 * SECOND
        await keeper.stop()

    run(story())


def test_tenancy_a_ledger_that_cannot_be_opened_fails_alone(shelf: Shelf) -> None:
    """One damaged ledger takes the others along, or is tried again at every request, or shows its folder."""
    (shelf.folder / "alpha" / "ledger.db").write_bytes(b"damaged" * 1_000)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        for _ in range(3):
            with pytest.raises(StoreUnavailableError) as caught:
                await used(keeper, "alpha")
            assert str(shelf.folder) not in caught.value.message
            assert caught.value.code.startswith("store.")
            assert caught.value.hint
        assert keeper.counts.failures == 1
        assert alpha.stage is Stage.FAILED
        assert await used(keeper, "beta") > 0
        shelf.clock.advance(round(limits.RETRY_SECONDS[0] * SECOND))
        with pytest.raises(StoreUnavailableError):
            await used(keeper, "alpha")
        assert keeper.counts.failures == 2
        await keeper.stop()

    run(story())


def test_tenancy_a_ledger_that_another_process_writes_fails_until_that_ends(shelf: Shelf) -> None:
    """A ledger that was locked is never opened again, or is opened twice."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        with (
            opened(shelf.folder / "alpha", shelf.clock),
            pytest.raises(StoreUnavailableError) as caught,
        ):
            await used(keeper, "alpha")
        assert caught.value.code == "store.locked"
        shelf.clock.advance(round(limits.RETRY_SECONDS[0] * SECOND))
        assert await used(keeper, "alpha") > 0
        assert keeper.find("alpha").failure is None
        await keeper.stop()

    run(story())


def hanging(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[str]]:
    """Let opening alpha hang until the event is set; return that, and the list of what was begun."""
    goes_on, begun, opens = threading.Event(), list[str](), keeping.open_engine

    def opening(place: Place, *arguments: Any) -> Engine:
        if place.name == "alpha":
            begun.append(place.name)
            goes_on.wait(60)
        return opens(place, *arguments)

    monkeypatch.setattr(keeping, "open_engine", opening)
    return goes_on, begun


def test_tenancy_a_ledger_that_hangs_holds_up_no_other(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ledgers on a disk that hangs keep all others from being opened; or what comes late stays locked."""
    monkeypatch.setattr(limits, "OPENING_SECONDS", 0.01)
    monkeypatch.setattr(limits, "OPENINGS_AT_ONCE", 1)
    goes_on, _ = hanging(monkeypatch)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        with pytest.raises(StoreUnavailableError) as caught:
            await used(keeper, "alpha")
        assert caught.value.code == "store.unavailable"
        monkeypatch.setattr(limits, "OPENING_SECONDS", 60)
        assert await used(keeper, "beta") > 0
        goes_on.set()
        shelf.clock.advance(round(limits.RETRY_SECONDS[0] * SECOND))
        for _ in range(2_000):  # until what came late was closed
            with suppress(StoreUnavailableError):
                assert await used(keeper, "alpha") > 0
                break
            await asyncio.sleep(0.01)
            shelf.clock.advance(round(limits.RETRY_SECONDS[1] * SECOND))
        assert keeper.find("alpha").stage is Stage.OPEN
        await keeper.stop()

    run(story())


def test_tenancy_a_ledger_that_hangs_takes_one_thread(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time a ledger on a disk that hangs is asked for takes a thread more, until no other can be opened."""
    monkeypatch.setattr(limits, "OPENING_SECONDS", 0.01)
    goes_on, begun = hanging(monkeypatch)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        for _ in range(keeping.THREADS + 1):
            with pytest.raises(StoreUnavailableError):
                await used(keeper, "alpha")
            shelf.clock.advance(round(limits.RETRY_SECONDS[1] * SECOND))
        assert begun == ["alpha"]
        monkeypatch.setattr(limits, "OPENING_SECONDS", 60)
        assert await used(keeper, "beta") > 0
        goes_on.set()
        await keeper.stop()

    run(story())


def test_tenancy_a_dozen_ledgers_that_hang_keep_no_other_from_being_opened(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one disk hang together: eight of them took every thread, and no ledger was opened any more."""
    monkeypatch.setattr(limits, "OPENING_SECONDS", 0.05)
    goes_on, opens = threading.Event(), keeping.open_engine

    def opening(place: Place, *arguments: Any) -> Engine:
        if place.name.startswith("hung"):
            goes_on.wait(60)
            raise StoreUnavailableError("it hung")
        return opens(place, *arguments)

    monkeypatch.setattr(keeping, "open_engine", opening)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        for number in range(12):
            name = f"hung-{number}"
            keeper.places[name] = Place(name, shelf.folder / name)
            with pytest.raises(StoreUnavailableError):
                await used(keeper, name)
        monkeypatch.setattr(limits, "OPENING_SECONDS", 60)
        try:
            async with asyncio.timeout(20):
                assert await used(keeper, "beta") > 0
                await keeper.scan()
        finally:
            goes_on.set()
        await keeper.stop()

    run(story())


def test_tenancy_a_ledger_that_hangs_at_rest_makes_others_wait_once(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is asked whether it may rest, and whose disk hangs, keeps all others from being opened for good."""
    monkeypatch.setattr(limits, "OPENINGS_AT_ONCE", 1)
    monkeypatch.setattr(keeping, "THREADS", 3)
    goes_on, asks, asked = threading.Event(), keeping._next_due, 0

    def hanging(engine: Engine) -> int | None:
        nonlocal asked
        asked += 1
        goes_on.wait(60)
        return asks(engine)

    async def story() -> None:
        keeper = shelf.keeper(most=1)
        await keeper.scan()
        await used(keeper, "alpha")
        monkeypatch.setattr(keeping, "_next_due", hanging)
        monkeypatch.setattr(limits, "OPENING_SECONDS", 0.01)
        for _ in range(keeping.THREADS + 1):
            with pytest.raises(TooManyLedgersError):
                await asyncio.wait_for(used(keeper, "beta"), 30)
        assert asked == 1
        goes_on.set()
        await keeper.stop()

    run(story())


def test_tenancy_waits_longer_after_each_failure_up_to_a_bound(tmp_path: Path) -> None:
    """A damaged ledger is opened as often as it is asked for; or once mended, never again."""
    place, now = Place("a", tmp_path), 0
    waits = []
    for _ in range(12):
        place.fails(StoreUnavailableError("x"), now)
        waits.append(place.retry_at - now)
        with pytest.raises(StoreUnavailableError):
            place.refuse(place.retry_at - 1)
        place.refuse(place.retry_at)
        now = place.retry_at
    least, most = limits.RETRY_SECONDS
    assert waits[0] == least * SECOND
    assert waits[-1] == most * SECOND
    assert waits == sorted(waits)


def test_tenancy_so_many_openings_wait(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of openings grows with whoever asks."""
    monkeypatch.setattr(limits, "OPENINGS_WAITING_MAX", 1)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        found = await asyncio.gather(
            used(keeper, "alpha"), used(keeper, "beta"), return_exceptions=True
        )
        assert isinstance(found[0], int)
        assert isinstance(found[1], TooManyLedgersError)
        assert await used(keeper, "beta") > 0
        await keeper.stop()

    run(story())


def test_tenancy_whoever_stops_opens_nothing_more(shelf: Shelf) -> None:
    """A ledger that is being opened while the server stops keeps its lock; or a request opens one afterwards."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.start()
        asking = asyncio.create_task(used(keeper, "alpha"))
        await asyncio.sleep(0)
        await keeper.stop()
        with pytest.raises((EngineStoppedError, StoreUnavailableError)):
            await asking
        with pytest.raises(EngineStoppedError):
            await used(keeper, "beta")

    run(story())
    with opened(shelf.folder / "alpha", shelf.clock), opened(shelf.folder / "beta", shelf.clock):
        pass
