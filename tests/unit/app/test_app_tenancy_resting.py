"""Many ledgers in one process: closed when they rest, and looked at when something is due."""

import asyncio
import base64
import json
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace
from support.ledgers import SECOND, START, packet, place, register, submit
from support.shelf import Shelf, run, used

from pfgov.app.hosting import Host
from pfgov.app.tenancy import (
    limits,
)
from pfgov.app.tenancy.listing import listed
from pfgov.app.tenancy.notes import FILE, read_note, write_note
from pfgov.app.tenancy.patience import for_ever
from pfgov.app.tenancy.places import Stage
from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.sequencing import rest
from pfgov.errors import StoreUnavailableError
from pfgov.storage import open_store
from pfgov.storage.sqlite import schema


def _left(host: Host) -> int | None:
    due = host.engine.queue.do(rest)
    return None if due is None else due - host.engine.clock.now()


def test_tenancy_a_ledger_that_nobody_uses_is_closed(shelf: Shelf) -> None:
    """A ledger stays open for ever; or is closed while somebody uses it."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        alpha = keeper.find("alpha")
        await used(keeper, "alpha")
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
        assert await used(keeper, "alpha") > 0
        assert keeper.counts.openings == 2
        await keeper.stop()

    run(story())


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

    run(story())


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

    run(story())


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

    run(story())


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

    run(first())
    run(second([]))
    shelf.prepare("beta", lambda engine: register(engine, "m1"))
    run(second(["beta"]))
    run(second([]))
    (shelf.folder / "alpha" / FILE).write_text("{")
    run(second(["alpha"]))


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

    run(story())


def test_tenancy_a_note_says_where_a_ledger_ended(shelf: Shelf) -> None:
    """What is listed of a ledger at rest is not what it has."""

    async def story() -> None:
        keeper = shelf.keeper()
        await keeper.scan()
        await keeper.visit(keeper.find("alpha"))
        await keeper.stop()

    run(story())
    note = read_note(shelf.folder / "alpha")
    assert note is not None
    with LedgerReader(open_store(shelf.folder / "alpha")) as reader:
        head = reader.head()
    assert (note.size, note.due) == (head.size, None)
    assert base64.b64encode(bytes.fromhex(note.root)).decode() == head.note.decode().splitlines()[2]
    assert note.stamp == open_store(shelf.folder / "alpha").stamp()
    write_note(shelf.folder / "alpha", replace(note, due=START))
    alpha, beta = listed(shelf.folder)
    assert (alpha.size, alpha.due) == (head.size, "2026-06-24T20:00:00Z")
    assert (beta.state, beta.due) == ("readable", None)


def test_tenancy_a_ledger_whose_checkpoint_was_changed_is_listed_alone(shelf: Shelf) -> None:
    """One row that somebody changed keeps all the other ledgers from being listed."""
    database = sqlite3.connect(shelf.folder / "alpha" / "ledger.db")
    database.execute("DROP TRIGGER checkpoint_no_update")
    database.execute("UPDATE checkpoint SET note = x'00'")
    database.execute(schema.TRIGGERS["checkpoint_no_update"])
    database.commit()
    database.close()
    alpha, beta = listed(shelf.folder)
    assert (alpha.state, beta.state) == ("failed", "readable")
    assert alpha.error is not None
    assert alpha.error.code == "ledger.note_malformed"


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"stamp":"x"}', b"\xff" * 10, b" " * 10_000,
     json.dumps({"stamp": "x", "origin": "o", "size": -1, "root": "", "due": None}).encode()],
)  # fmt: skip
def test_tenancy_a_note_that_cannot_be_read_is_none(tmp_path: Path, raw: bytes) -> None:
    """A damaged note keeps a server from starting, or is believed."""
    (tmp_path / FILE).write_bytes(raw)
    assert read_note(tmp_path) is None


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

    run(story())


def test_tenancy_what_goes_wrong_again_and_again_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder that cannot be read fills the log, with a trace every second; or what is new is not said any more."""
    monkeypatch.setattr(limits, "SCAN_SECONDS", 0.0)
    goes = iter(
        [
            StoreUnavailableError("the folder cannot be read"),
            StoreUnavailableError("the folder cannot be read"),
            StoreUnavailableError("the folder is no folder"),
            None,
            StoreUnavailableError("the folder is no folder"),
            ValueError("a mistake of ours"),
        ]
    )

    async def look() -> None:
        wrong = next(goes, asyncio.CancelledError())
        if wrong is not None:
            raise wrong

    with pytest.raises(asyncio.CancelledError):
        run(for_ever(look, 0.0))
    assert [
        (one.getMessage().partition(": ")[2], bool(one.exc_info)) for one in caplog.records
    ] == [
        ("the folder cannot be read (store.unavailable)", False),
        ("the folder is no folder (store.unavailable)", False),
        ("the folder is no folder (store.unavailable)", False),
        ("ValueError('a mistake of ours')", True),
    ]
