"""What a batch asks of a store: together where that is far away, and never what a commit has made untrue."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from support import postgres
from support.ledgers import (
    OPERATOR,
    ORIGIN,
    START,
    Drawn,
    claim,
    open_policy,
    opened,
    packet,
    register,
)
from support.writers import threaded

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.state import State
from pfgov.engine import Engine, Idempotency, Options, Receipt, Request
from pfgov.errors import PfgovError
from pfgov.storage import keep_in_database, open_store
from pfgov.storage.postgres.queries import PostgresQueries


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a ledger in a database, where ``m`` may have packets."""
    folder = tmp_path / "ledger"
    keep_in_database(folder, postgres.server().url())
    options = Options(draw=Drawn("new"))
    with Engine.create(
        open_store(folder), ORIGIN, clock=ManualClock(START), policy=open_policy(), options=options
    ) as engine:
        register(engine, "m")
    return folder


def _request(action: c.Action, key: str | None = None, **more: Any) -> Request:
    idempotency = None if key is None else Idempotency(key, key.encode())
    return Request(action, OPERATOR, idempotency=idempotency, **more)


def _outcome(request: Request) -> Receipt | str:
    try:
        found: Receipt = request.outcome.result(60)
    except PfgovError as error:
        return error.code
    return found


def _count(patch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    real = PostgresQueries._all

    def counted(self: PostgresQueries, statement: str, values: Sequence[object] = ()) -> Any:
        asked.append(statement)
        return real(self, statement, values)

    patch.setattr(PostgresQueries, "_all", counted)
    return asked


def test_a_batch_asks_a_database_few_questions(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command of a batch waits for a journey to the database and back, or for three."""
    writer = threaded(lambda *_: None)
    with opened(place, ManualClock(START), committing="process", start_writer=writer) as engine:
        engine.submit_all([warm := _request(packet("warm"), "warm")])
        _outcome(warm)
        asked = _count(monkeypatch)
        requests = [_request(packet(f"p{n}"), f"key-{n}") for n in range(120)]
        engine.submit_all(requests)
        found = [_outcome(one) for one in requests]
        assert all(isinstance(one, Receipt) for one in found), found
        assert len(asked) <= 40, asked
        again = [_request(packet(f"p{n}"), f"key-{n}") for n in range(120)]
        engine.submit_all(again)
        for first, second in zip(found, map(_outcome, again), strict=True):
            assert isinstance(first, Receipt)
            assert isinstance(second, Receipt)
            assert (second.position, second.replayed) == (first.position, True)


def test_an_event_loop_does_not_decide_where_a_database_is_asked(place: Path) -> None:
    """A database that is silent stops the loop, and with it whoever asks whether the server lives."""
    writer = threaded(lambda *_: None)
    with opened(place, ManualClock(START), committing="process", start_writer=writer) as engine:
        assert engine.queue.reports is None


def test_what_was_read_for_a_batch_is_read_again_after_a_commit(place: Path) -> None:
    """A key whose command is committed while a batch is decided is taken for a new one: the work is done twice."""
    released = threading.Event()

    def probe(name: str, when: Literal["before", "after"]) -> None:
        if (name, when) == ("begin", "before"):
            assert released.wait(60)

    def let_it_commit(_: State) -> None:
        released.set()
        while not engine._sequencer.committer.is_done():
            pass

    with opened(
        place, ManualClock(START), committing="process", start_writer=threaded(probe)
    ) as engine:
        first = _request(packet("p"), "the key", expects=lambda _: engine.submit_all(later))
        later = [_request(packet(f"x{n}"), f"x{n}") for n in range(60)]
        later[4].expects = let_it_commit
        later[20] = again = _request(packet("p"), "the key")
        later[21] = other = _request(packet("p"), "another key")
        engine.submit_all([first])
        done, told = _outcome(first), _outcome(again)
        assert isinstance(done, Receipt)
        assert isinstance(told, Receipt)
        assert (told.position, told.replayed) == (done.position, True)
        assert _outcome(other) == "packet.exists"
        assert all(isinstance(_outcome(one), Receipt) for one in later if one is not other)


def test_packets_that_have_ended_are_found_in_a_batch(place: Path) -> None:
    """A packet that has ended, and is no longer in memory, is not there for a batch that names others, too."""
    writer = threaded(lambda *_: None)
    with opened(place, ManualClock(START), committing="process", start_writer=writer) as engine:
        for name in ("a", "b"):
            engine.submit(packet(name), principal=OPERATOR)
        ends = {
            name: c.CompletePacket(packet_id=name, owner=claim(engine, name)) for name in ("a", "b")
        }
        done = [_request(ends[name]) for name in "ab"]
        engine.submit_all(done)
        assert all(isinstance(_outcome(one), Receipt) for one in done)
        actions = [
            ends["a"],
            packet("b"),
            c.PlacePacket(packet_id="a"),
            c.PlacePacket(packet_id="c"),
        ]
        late = [_request(action) for action in actions]
        engine.submit_all(late)
        alone = []
        for action in actions:
            one = _request(action)
            engine.submit_all([one])
            alone.append(_outcome(one))
        assert [_outcome(one) for one in late] == alone
        assert all(isinstance(one, str) for one in alone), alone
