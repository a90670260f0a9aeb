"""Many ledgers in one process: opened when asked for, closed when they rest, and looked at when something is due."""

import asyncio
import base64
import json
import shutil
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace
from support.ledgers import SECOND, START, Drawn, opened, packet, place, register, submit
from support.named_server import ledger_at

from pfgov.app.hosting import Engine, Host
from pfgov.app.tenancy import (
    Keeper,
    Place,
    TooManyLedgersError,
    UnknownLedgerError,
    keeping,
    limits,
    names,
)
from pfgov.app.tenancy.notes import FILE, read_note
from pfgov.app.tenancy.places import Stage
from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import LedgerReader, Options
from pfgov.engine.sequencing import rest
from pfgov.errors import EngineStoppedError, InvalidError, StoreUnavailableError
from pfgov.storage import open_store

T = TypeVar("T")


class Shelf:
    """A folder of ledgers, a clock, and a keeper that looks at nothing unless it is told to."""

    def __init__(self, folder: Path, *ledgers: str) -> None:
        self.folder = folder / "ledgers"
        self.folder.mkdir(exist_ok=True)
        self.clock = ManualClock(START + SECOND)
        for name in ledgers:
            ledger_at(self.folder, name)

    def keeper(self, **options: Any) -> Keeper:
        """A keeper of what is there now; for a running loop."""
        return Keeper(
            self.folder, _host, clock=self.clock, options=Options(draw=Drawn("many")), **options
        )

    def prepare(self, name: str, act: Callable[[Engine], object]) -> None:
        """Change one of them from outside."""
        with opened(self.folder / name, self.clock, seed=f"outside {self.clock.now()}") as engine:
            act(engine)

    def types(self, name: str) -> list[str]:
        """The types of its entries."""
        with LedgerReader(open_store(self.folder / name)) as reader:
            return [one.row.type for one in reader.entries()]


def _host(_: Place, engine: Engine) -> Host:
    return Host(engine, tick_seconds=3_600)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def _used(keeper: Keeper, name: str) -> int:
    """Use a ledger for a moment; return its size."""
    async with keeper.using(keeper.find(name)) as host:
        return host.reader.head().size


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two ledgers."""
    return Shelf(tmp_path, "alpha", "beta")


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

    _run(story())


def test_tenancy_many_who_ask_at_once_have_it_opened_once(shelf: Shelf) -> None:
    """Two callers open one ledger twice, and the second is told that somebody writes it."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        sizes = await asyncio.gather(*(_used(keeper, "alpha") for _ in range(20)))
        assert len(set(sizes)) == 1
        assert keeper.counts.openings == 1
        await keeper.stop()

    _run(story())


def test_tenancy_a_ledger_that_nobody_uses_is_closed(shelf: Shelf) -> None:
    """A ledger stays open for ever; or is closed while somebody uses it."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        await _used(keeper, "alpha")
        await keeper.look()
        assert alpha.stage is Stage.OPEN
        shelf.clock.advance(round(limits.REST_SECONDS * SECOND))
        async with keeper.using(alpha):
            await keeper.look()
            assert alpha.stage is Stage.OPEN
        await keeper.look()
        assert alpha.stage is Stage.OPEN  # it was used a moment ago
        shelf.clock.advance(round(limits.REST_SECONDS * SECOND))
        await keeper.look()
        assert alpha.stage is Stage.RESTING
        assert await _used(keeper, "alpha") > 0
        assert keeper.counts.openings == 2
        await keeper.stop()

    _run(story())


def test_tenancy_what_is_due_happens_while_a_ledger_rests(tmp_path: Path) -> None:
    """A packet outlives its deadline because its ledger was closed; or nothing can be closed that has a deadline."""
    shelf = Shelf(tmp_path, "alpha")
    deadline = shelf.clock.now() + 3_600 * SECOND
    shelf.prepare("alpha", lambda engine: submit(engine, packet("late", deadline=deadline)))

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        async with keeper.using(alpha) as host:  # it waits, and is tried less and less often
            while (left := _left(host)) is not None and left < limits.REST_SECONDS * SECOND:
                shelf.clock.advance(max(left, SECOND))
                host.engine.settle()
        assert await keeper.rest(alpha, limits.REST_SECONDS)
        assert alpha.visit_at is not None
        rounds = 0
        while "packet_failed" not in shelf.types("alpha"):
            rounds += 1
            assert rounds < 60
            assert alpha.visit_at is not None
            assert alpha.visit_at <= deadline
            assert keeper.next_visit() is None  # not before
            shelf.clock.advance(alpha.visit_at - shelf.clock.now())
            due = keeper.next_visit()
            assert due is alpha
            await keeper.visit(due)
            while alpha.stage is Stage.OPEN:
                shelf.clock.advance(round(limits.REST_SECONDS * SECOND))
                await keeper.look()
        assert shelf.clock.now() < deadline + 2 * limits.REST_SECONDS * SECOND
        assert alpha.visit_at is None  # nothing is left that time could touch
        await keeper.stop()

    _run(story())


def _left(host: Host) -> int | None:
    due = host.engine.queue.do(rest)
    return None if due is None else due - host.engine.clock.now()


def test_tenancy_a_ledger_in_which_a_lease_runs_does_not_rest(tmp_path: Path) -> None:
    """Who was promised a lease is forgotten because the ledger was closed meanwhile; or its end is not noticed."""
    shelf = Shelf(tmp_path, "alpha")

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        async with keeper.using(alpha) as host:
            register(host.engine, "m1", lease_seconds=1_000)
        for _ in range(3):
            assert not await keeper.rest(alpha, limits.REST_SECONDS_MIN)
            shelf.clock.advance(300 * SECOND)
        shelf.clock.advance(200 * SECOND)
        assert await keeper.rest(alpha, limits.REST_SECONDS_MIN)
        assert "member_failed" in shelf.types("alpha")
        assert alpha.visit_at is None
        await keeper.stop()

    _run(story())


def test_tenancy_what_is_due_soon_keeps_a_ledger_open(shelf: Shelf) -> None:
    """A ledger is closed and opened again and again for a lease of seconds."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        async with keeper.using(alpha) as host:
            register(host.engine, "m1", lease_seconds=30)
        assert not await keeper.rest(alpha, limits.REST_SECONDS)
        assert alpha.stage is Stage.OPEN
        await keeper.stop()

    _run(story())


def test_tenancy_the_ledger_used_longest_ago_makes_room(tmp_path: Path) -> None:
    """A ledger in use is closed for another; or more are open than may be; or whoever comes last is never served."""
    shelf = Shelf(tmp_path, "a", "b", "c")

    async def story() -> None:
        keeper = shelf.keeper(most=2)
        await keeper.scan()
        await _used(keeper, "a")
        shelf.clock.advance(SECOND)
        await _used(keeper, "b")
        shelf.clock.advance(SECOND)
        async with keeper.using(keeper.find("a")):
            await _used(keeper, "c")
            stages = [keeper.find(name).stage for name in "abc"]
            assert stages == [Stage.OPEN, Stage.RESTING, Stage.OPEN]
            async with keeper.using(keeper.find("c")):
                with pytest.raises(TooManyLedgersError):
                    await _used(keeper, "b")
                assert keeper.find("b").failure is None  # it is not the ledger's fault
            await _used(keeper, "b")
        assert keeper.counts.refused == 1
        await keeper.stop()

    _run(story())


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
            await _used(keeper, "beta")
        async with keeper.using(alpha) as host:
            submit(host.engine, replace(trusted, expires_at=moment + 4 * SECOND))
            alpha.look_at = 0
        assert await _used(keeper, "beta") > 0
        assert alpha.stage is Stage.RESTING
        assert alpha.visit_at == moment + 4 * SECOND
        await keeper.stop()

    _run(story())


def test_tenancy_a_ledger_that_cannot_be_opened_fails_alone(shelf: Shelf) -> None:
    """One damaged ledger takes the others along, or is tried again at every request, or shows its folder."""
    (shelf.folder / "alpha" / "ledger.db").write_bytes(b"damaged" * 1_000)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        for _ in range(3):
            with pytest.raises(StoreUnavailableError) as caught:
                await _used(keeper, "alpha")
            assert str(shelf.folder) not in caught.value.message
            assert caught.value.code.startswith("store.")
            assert caught.value.hint
        assert keeper.counts.failures == 1
        assert alpha.stage is Stage.FAILED
        assert await _used(keeper, "beta") > 0
        shelf.clock.advance(round(limits.RETRY_SECONDS[0] * SECOND))
        with pytest.raises(StoreUnavailableError):
            await _used(keeper, "alpha")
        assert keeper.counts.failures == 2
        await keeper.stop()

    _run(story())


def test_tenancy_a_ledger_that_another_process_writes_fails_until_that_ends(shelf: Shelf) -> None:
    """A ledger that was locked is never opened again, or is opened twice."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        with (
            opened(shelf.folder / "alpha", shelf.clock),
            pytest.raises(StoreUnavailableError) as caught,
        ):
            await _used(keeper, "alpha")
        assert caught.value.code == "store.locked"
        shelf.clock.advance(round(limits.RETRY_SECONDS[0] * SECOND))
        assert await _used(keeper, "alpha") > 0
        assert keeper.find("alpha").failure is None
        await keeper.stop()

    _run(story())


def test_tenancy_a_ledger_that_hangs_holds_up_no_other(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ledgers on a disk that hangs keep all others from being opened; or what comes late stays locked."""
    monkeypatch.setattr(limits, "OPENING_SECONDS", 0.01)
    monkeypatch.setattr(limits, "OPENINGS_AT_ONCE", 1)
    goes_on, opens = threading.Event(), keeping.open_engine

    def hanging(place: Place, *arguments: Any) -> Engine:
        if place.name == "alpha":
            goes_on.wait(60)
        return opens(place, *arguments)

    monkeypatch.setattr(keeping, "open_engine", hanging)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        with pytest.raises(StoreUnavailableError) as caught:
            await _used(keeper, "alpha")
        assert caught.value.code == "store.unavailable"
        monkeypatch.setattr(limits, "OPENING_SECONDS", 60)
        assert await _used(keeper, "beta") > 0
        goes_on.set()
        shelf.clock.advance(round(limits.RETRY_SECONDS[0] * SECOND))
        for _ in range(100):  # until what came late was closed
            with suppress(StoreUnavailableError):
                assert await _used(keeper, "alpha") > 0
                break
            shelf.clock.advance(round(limits.RETRY_SECONDS[1] * SECOND))
        assert keeper.find("alpha").stage is Stage.OPEN
        await keeper.stop()

    _run(story())


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


def test_tenancy_a_restart_opens_nothing_that_is_known_to_rest(shelf: Shelf) -> None:
    """A server that starts opens every ledger it has; or does not look at one that was written meanwhile."""

    async def first() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        for name in ("alpha", "beta"):
            await keeper.visit(keeper.find(name))
        assert keeper.next_visit() is None
        await keeper.stop()

    async def second(expected: list[str]) -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        found: list[str] = []
        while (due := keeper.next_visit()) is not None:
            found.append(due.name)
            await keeper.visit(due)
        assert found == expected
        await keeper.stop()

    _run(first())
    _run(second([]))
    shelf.prepare("beta", lambda engine: register(engine, "m1"))
    _run(second(["beta"]))
    _run(second([]))
    (shelf.folder / "alpha" / FILE).write_text("{")
    _run(second(["alpha"]))


def test_tenancy_what_somebody_else_writes_while_a_ledger_rests_is_noticed(shelf: Shelf) -> None:
    """A deadline that a command line made in a ledger at rest never comes."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        await keeper.visit(keeper.find("alpha"))
        await keeper.visit(keeper.find("beta"))
        assert keeper.next_visit() is None
        shelf.prepare("alpha", lambda engine: place(engine, "p1"))
        shelf.clock.advance(round(limits.STAMP_SECONDS * SECOND))
        await keeper.look()
        due = keeper.next_visit()
        assert due is not None
        assert due.name == "alpha"
        assert keeper.next_visit() is None
        await keeper.stop()

    _run(story())


def test_tenancy_a_note_says_where_a_ledger_ended(shelf: Shelf) -> None:
    """What is listed of a ledger at rest is not what it has."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        await keeper.visit(keeper.find("alpha"))
        await keeper.stop()

    _run(story())
    note = read_note(shelf.folder / "alpha")
    assert note is not None
    with LedgerReader(open_store(shelf.folder / "alpha")) as reader:
        head = reader.head()
    assert (note.size, note.due) == (head.size, None)
    assert base64.b64encode(bytes.fromhex(note.root)).decode() == head.note.decode().splitlines()[2]
    assert note.stamp == open_store(shelf.folder / "alpha").stamp()


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"stamp":"x"}', b"\xff" * 10, b" " * 10_000,
     json.dumps({"stamp": "x", "origin": "o", "size": -1, "root": "", "due": None}).encode()],
)  # fmt: skip
def test_tenancy_a_note_that_cannot_be_read_is_none(tmp_path: Path, raw: bytes) -> None:
    """A damaged note keeps a server from starting, or is believed."""
    (tmp_path / FILE).write_bytes(raw)
    assert read_note(tmp_path) is None


# --- which there are ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "0", "a-b", "eu-1", "a" * 63])
def test_tenancy_names_that_may_be(name: str) -> None:
    """A good name is refused."""
    assert names.is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "-a",
        "a-",
        "A",
        "a_b",
        "a.b",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        "ä",
        "a" * 64,
        "../a",
        "%61",
        "a b",
    ],
)
def test_tenancy_names_that_may_not_be(name: str) -> None:
    """A name is taken that means something else in a path, in a host name, or on another file system."""
    assert not names.is_name(name)


def test_tenancy_only_folders_with_a_name_are_ledgers(shelf: Shelf, tmp_path: Path) -> None:
    """A symbolic link leads out of the folder, or a file or a stray folder is taken for a ledger."""
    ledger_at(tmp_path / "ledgers", "real")
    outside = tmp_path / "outside"
    shutil.move(shelf.folder / "real", outside)
    (shelf.folder / "link").symlink_to(outside, target_is_directory=True)
    (shelf.folder / "file").write_text("x")
    (shelf.folder / "Not-A-Name").mkdir()
    (shelf.folder / ".hidden").mkdir()
    (shelf.folder / "empty").mkdir()

    async def story() -> None:
        keeper = shelf.keeper(leave_out=shelf.folder / "beta")
        await keeper.scan()
        assert sorted(keeper.places) == ["alpha", "empty"]
        with pytest.raises(UnknownLedgerError):
            keeper.find("link")
        with pytest.raises(UnknownLedgerError):
            await _used(keeper, "empty")
        shutil.move(shelf.folder / "alpha", tmp_path / "moved")
        (shelf.folder / "alpha").symlink_to(tmp_path / "moved", target_is_directory=True)
        with pytest.raises(UnknownLedgerError):  # put there after the look
            await _used(keeper, "alpha")
        await keeper.stop()

    _run(story())


def test_tenancy_ledgers_come_and_go_while_the_server_runs(shelf: Shelf) -> None:
    """A ledger that was created is not found without a restart; or one that is gone stays."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        with pytest.raises(UnknownLedgerError):
            keeper.find("gamma")
        ledger_at(shelf.folder, "gamma")
        await keeper.look()
        assert await _used(keeper, "gamma") > 0
        shutil.rmtree(shelf.folder / "beta")
        await keeper.look()
        with pytest.raises(UnknownLedgerError):
            keeper.find("beta")
        await keeper.stop()

    _run(story())


def test_tenancy_so_many_names_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of ever more folders fills the memory."""
    monkeypatch.setattr(names, "NAMED_LEDGERS_MAX", 3)
    for name in ("e", "d", "c", "b", "a"):
        (tmp_path / name).mkdir()
    assert names.ledger_names(tmp_path) == (["a", "b", "c"], True)


def test_tenancy_so_many_openings_wait(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue of openings grows with whoever asks."""
    monkeypatch.setattr(limits, "OPENINGS_WAITING_MAX", 1)

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        found = await asyncio.gather(
            _used(keeper, "alpha"), _used(keeper, "beta"), return_exceptions=True
        )
        assert isinstance(found[0], int)
        assert isinstance(found[1], TooManyLedgersError)
        assert await _used(keeper, "beta") > 0
        await keeper.stop()

    _run(story())


def test_tenancy_one_head_lock_for_all_is_refused(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ledgers move one head lock, and each is held for a restored backup."""
    monkeypatch.setenv("PFGOV_HEAD_LOCK", str(shelf.folder.parent / "head.db"))

    async def story() -> None:
        keeper = shelf.keeper()
        with pytest.raises(InvalidError) as caught:
            await keeper.start()
        assert caught.value.code == "store.head_lock_shared"
        await keeper.stop()

    _run(story())


def test_tenancy_whoever_stops_opens_nothing_more(shelf: Shelf) -> None:
    """A ledger that is being opened while the server stops keeps its lock; or a request opens one afterwards."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.start()
        asking = asyncio.create_task(_used(keeper, "alpha"))
        await asyncio.sleep(0)
        await keeper.stop()
        with pytest.raises((EngineStoppedError, StoreUnavailableError)):
            await asking
        with pytest.raises(EngineStoppedError):
            await _used(keeper, "beta")

    _run(story())
    with opened(shelf.folder / "alpha", shelf.clock), opened(shelf.folder / "beta", shelf.clock):
        pass


def test_tenancy_a_revocation_that_is_due_does_not_wait_for_who_asks(tmp_path: Path) -> None:
    """Trust that expires while a ledger rests still counts when somebody asks for it."""
    shelf = Shelf(tmp_path, "alpha")
    shelf.prepare("alpha", lambda engine: register(engine, "m1"))
    shelf.prepare(
        "alpha",
        lambda engine: submit(
            engine,
            c.AssessTrust(
                member_id="m1", score="0.99", expires_at=shelf.clock.now() + 500 * SECOND
            ),
        ),
    )

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.next_visit()
        assert alpha is not None
        await keeper.visit(alpha)
        assert alpha.visit_at == START + SECOND + 500 * SECOND
        shelf.clock.advance(500 * SECOND)
        due = keeper.next_visit()
        assert due is alpha
        await keeper.visit(alpha)
        assert "trust_expired" in shelf.types("alpha")
        await keeper.stop()

    _run(story())
