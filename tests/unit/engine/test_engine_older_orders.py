"""Ledgers from before semantics 4: the one known fault is told apart from tampering, and everything else is not."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ledgers import (
    ORIGIN,
    SECOND,
    START,
    Drawn,
    open_policy,
    opened,
    packet,
    register,
    submit,
    verified,
)
from support.older import older_engine
from support.searching import examples

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import Engine, LedgerReader, Options
from pfgov.engine.maintenance.doctor import examine
from pfgov.engine.reading.replay import Replay, ReplayDifferenceError
from pfgov.sim import names
from pfgov.storage import open_store
from pfgov_ledger.verdicts import REPLAY

UNSORTED = (c.Capability(name="ocr"), c.Capability(name="kyc"))


def _created(folder: Path, clock: ManualClock) -> Path:
    directory = folder / "ledger"
    options = Options(draw=Drawn("new"))
    Engine.create(
        open_store(directory), ORIGIN, clock=clock, policy=open_policy(), options=options
    ).close()
    return directory


def _nobody(packet_id: str) -> c.SubmitPacket:
    """A packet whose verdict table lists what members offer."""
    return packet(packet_id, required_capabilities=("zzz",))


def test_orders_an_older_ledger_replays_however_often_it_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written by an engine that held offers as they were given, then as they are sorted: both orders are accepted."""
    clock = ManualClock(START)
    with older_engine(monkeypatch):
        directory = _created(tmp_path, clock)
        with opened(directory, clock) as engine:
            register(engine, "a", capabilities=UNSORTED)
            submit(engine, _nobody("as-given"))
            register(engine, "b", capabilities=UNSORTED)
            submit(engine, _nobody("both-as-given"))
        with opened(directory, clock, seed="again") as engine:
            submit(engine, _nobody("both-sorted"))
            discovered = (c.Capability(name="b"), c.Capability(name="a"))
            submit(engine, c.UpdateMember(member_id="b", discovered=discovered))
            submit(engine, _nobody("one-sorted"))
            submit(engine, c.UpdateMember(member_id="a", withdrawn=("ocr",)))
            submit(engine, _nobody("still-one-sorted"))
    with LedgerReader(open_store(directory)) as reader:
        assert reader.replay().reordered == 4
    replayer = Replay()
    report = verified(directory, tmp_path, replayer=replayer)
    assert (report.exit_status, report.verdicts[REPLAY].status.value) == (0, "pass")
    assert replayer.reordered == 4
    found = {finding.check: finding for finding in examine(open_store(directory))}["orders"]
    assert found.outcome == "warning"
    assert found.says.startswith("4 decisions saw")


def test_orders_an_older_ledger_goes_on_in_one_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger under older rules that is written on by this version holds nothing new out of order."""
    clock = ManualClock(START)
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.engine.engine.SEMANTICS", 3)
        directory = _created(tmp_path, clock)
    with opened(directory, clock) as engine:
        register(engine, "a", capabilities=UNSORTED)
        submit(engine, _nobody("p"))
        submit(engine, c.UpdateMember(member_id="a", discovered=(c.Capability(name="b"),)))
        submit(engine, _nobody("q"))
        assert engine.reader.replay().reordered == 0
        assert engine.look(lambda state: state.semantics) == 3
    found = {finding.check: finding for finding in examine(open_store(directory))}["orders"]
    assert (found.outcome, found.says) == (
        "ok",
        "members' offers were given out of order, to no effect",
    )


def test_orders_a_decision_that_follows_from_no_order_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one order excuses is the order alone: a member that offered something else is a difference, at its entry."""
    clock = ManualClock(START)
    with older_engine(monkeypatch):
        directory = _created(tmp_path, clock)
        with opened(directory, clock) as engine:
            register(engine, "a", capabilities=UNSORTED)
            register(engine, "b", capabilities=UNSORTED)
            table = submit(engine, _nobody("p"))

            def meddle(state: object) -> None:
                offers = state.members["a"].capabilities  # type: ignore[attr-defined]
                offers["more"] = c.Capability(name="more")
                state.member_changed("a")  # type: ignore[attr-defined]

            engine.look(meddle)
            forged = submit(engine, _nobody("q"))
    with (
        LedgerReader(open_store(directory)) as reader,
        pytest.raises(ReplayDifferenceError) as caught,
    ):
        reader.replay()
    assert caught.value.position == forged.position + 1 > table.position
    found = {finding.check: finding for finding in examine(open_store(directory))}["orders"]
    assert (found.outcome, str(forged.position + 1) in found.says) == ("failed", True)


def test_orders_from_semantics_4_on_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the present rules a table in the order as given is a difference, and so is a command out of order."""
    clock = ManualClock(START)
    directory = _created(tmp_path, clock)
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.core.apply.members.in_order", dict)
        with opened(directory, clock) as engine:
            register(engine, "a")
            submit(engine, c.UpdateMember(member_id="a", discovered=(c.Capability(name="b"),)))
            receipt = submit(engine, _nobody("p"))
    with (
        LedgerReader(open_store(directory)) as reader,
        pytest.raises(ReplayDifferenceError) as caught,
    ):
        reader.replay()
    assert caught.value.position == receipt.position + 1
    other = _created(tmp_path / "other", clock)
    with monkeypatch.context() as patch:
        patch.setattr("pfgov.engine.answers.canonical", lambda action: action)
        with opened(other, clock) as engine:
            receipt = register(engine, "a", clearances=("z", "a"))
    with (
        LedgerReader(open_store(other)) as reader,
        pytest.raises(ReplayDifferenceError, match="in order") as caught,
    ):
        reader.replay()
    assert caught.value.position == receipt.position


def test_orders_a_new_ledger_is_in_order(tmp_path: Path) -> None:
    """A ledger of the present rules is said to have one order without being run again."""
    directory = _created(tmp_path, ManualClock(START))
    found = {finding.check: finding for finding in examine(open_store(directory))}["orders"]
    assert (found.outcome, found.hint) == ("ok", None)


@settings(max_examples=examples(25))
@given(source=st.randoms(use_true_random=False))
def test_orders_every_older_history_replays(
    tmp_path_factory: pytest.TempPathFactory, source: random.Random
) -> None:
    """Whatever was offered, discovered and withdrawn, and whenever the engine was loaded: an older ledger replays."""
    clock = ManualClock(START)
    with pytest.MonkeyPatch.context() as monkeypatch, older_engine(monkeypatch):
        directory = _created(tmp_path_factory.mktemp("older"), clock)
        engine = opened(directory, clock)
        for number in range(24):
            clock.advance(SECOND)
            if source.random() < 0.25:
                engine.close()
                engine = opened(directory, clock, seed=str(number))
            member_id = names.member_id(source.randrange(4))
            _act(engine, source, member_id, number)
        engine.close()
    with LedgerReader(open_store(directory)) as reader:
        reader.replay()


def _act(engine: Engine, source: random.Random, member_id: str, number: int) -> None:
    known = {member.member_id: member for member in engine.reader.members()}.get(member_id)
    kind = source.randrange(5)
    if known is None:
        register(
            engine,
            member_id,
            capabilities=names.skills(source, 0, 5),
            capacity=names.capacity(source),
        )
    elif kind == 0:
        submit(engine, c.UpdateMember(member_id=member_id, discovered=names.skills(source, 1, 3)))
    elif kind == 1 and known.capabilities:
        gone = names.some(source, tuple(known.capabilities), 1, 2)
        submit(engine, c.UpdateMember(member_id=member_id, withdrawn=gone))
    elif kind == 2:
        submit(engine, c.UpdateMember(member_id=member_id, capacity=names.capacity(source)))
    else:
        submit(engine, _nobody(f"p{number}"))
