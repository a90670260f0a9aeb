"""Work always finds its way in every history, and a planted fault of each kind is caught: promise 6 has teeth."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.ledgers import SECOND, START, claim, fresh, opened, packet, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.decide import due as due_function
from pfgov.core.decide import evening, expiry, handoff, placement, queue
from pfgov.core.lifecycle import MemberStatus
from pfgov.core.records import Stamp
from pfgov.core.state import State
from pfgov.engine import Engine
from pfgov.sim.history import ViolationError
from pfgov.sim.liveness import Liveness
from pfgov.sim.oracle import starter_objections
from pfgov.sim.simulation import run_plan
from pfgov.sim.steps import draw_plan

CAUGHT_WITHIN = 40

NOT_OF_POLICIES = {"pfgov:pressure", "pfgov:capacity"}
"""Why the engine itself may leave out a member that every policy lets have a packet."""


def _caught(template: Path, workspace: Path) -> ViolationError:
    for seed in range(CAUGHT_WITHIN):
        try:
            run_plan(draw_plan(seed), template, workspace)
        except ViolationError as violation:
            return violation
    raise AssertionError(f"not caught within {CAUGHT_WITHIN} seeds")


def test_sim_catches_a_queue_that_looks_no_more(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a packet that waits for ever beside somebody who could own it."""
    monkeypatch.setattr(queue, "_may_fit", lambda *_: False)
    monkeypatch.setattr(queue.Memory, "is_time", lambda *_: False)
    assert _caught(template, workspace).promise == 6


def _read(engine: Engine) -> None:
    """Hold what *engine* recorded to promise 6, a step for each command."""
    liveness, shadow = Liveness(engine.status().policy or ""), State()
    for recorded in engine.reader.entries():
        stamp = Stamp(recorded.row.seq, recorded.row.time)
        liveness.step += recorded.event.command is not None
        liveness.add(recorded.event, stamp, shadow)
        apply(shadow, recorded.event, stamp)


def _offers(folder: Path) -> None:
    """Drain a member between one that sleeps and one that is awake, and read what comes of it."""
    clock = ManualClock(START)
    with opened(fresh(folder), clock) as engine:
        submit(engine, c.Configure(settings=(("handoff_timeout", "1"),)))
        register(engine, "old")
        submit(engine, packet("p"))
        for name in ("sleeps", "sleeps-too"):
            register(engine, name, handoff_mode="accept")
        submit(engine, c.DrainMember(member_id="old"))
        for _ in range(4):
            engine.tick()
            clock.advance(2 * SECOND)
        _read(engine)


def test_sim_catches_offers_to_a_sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checker misses a packet that is offered again and again to whom it was offered in vain."""
    _offers(tmp_path / "right")
    monkeypatch.setattr(placement, "likeliest", lambda _, members: members)
    with pytest.raises(ViolationError, match="let it pass"):
        _offers(tmp_path / "planted")


def _turns(folder: Path) -> None:
    """Free one slot again and again for which an urgent packet waits, and submit others."""
    with opened(fresh(folder), ManualClock(START)) as engine:
        register(engine, "m", capacity=(("tasks", "1"),))
        submit(engine, packet("low-0"))
        submit(engine, packet("urgent", priority=9))
        for i in range(3):
            owned = engine.look(lambda state: sorted(state.owned["m"]))
            if owned:
                done = c.CompletePacket(packet_id=owned[0], owner=claim(engine, owned[0]))
                submit(engine, done)
            submit(engine, packet(f"low-{i + 1}"))
        _read(engine)


def test_sim_catches_a_path_past_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checker misses that whoever has just come is placed before the more urgent that wait."""
    _turns(tmp_path / "right")
    monkeypatch.setattr("pfgov.engine.sequencing.sequencer.before", _nothing)
    with pytest.raises(ViolationError, match="more urgent"):
        _turns(tmp_path / "planted")


def _nothing(*_: object) -> Iterator[Any]:
    return iter(())


def _pressed(folder: Path) -> None:
    """Let one of two members report high pressure once."""
    clock = ManualClock(START)
    with opened(fresh(folder), clock) as engine:
        register(engine, "a")
        for i in range(12):
            submit(engine, packet(f"p{i}"))
        register(engine, "b")
        clock.advance(100 * SECOND)
        submit(engine, c.ReportPressure(member_id="a", pressure="0.95"))
        for _ in range(3):
            engine.tick()
            clock.advance(SECOND)
        _read(engine)


def test_sim_catches_pressure_that_counts_many_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses an owner that is emptied by one report."""
    _pressed(tmp_path / "right")
    monkeypatch.setattr(handoff, "RELIEVED_PER_REPORT", 99)
    monkeypatch.setattr(evening, "RELIEVED_PER_REPORT", 99)
    with pytest.raises(ViolationError, match="one report"):
        _pressed(tmp_path / "planted")


def test_sim_catches_a_halt_without_an_end(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a breaker that stays open although members are heard."""
    monkeypatch.setattr(expiry, "_end_of_halt", lambda *_: None)
    assert "leases do not end" in str(_caught(template, workspace))


def test_sim_catches_a_drain_without_an_end(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker misses a member that owns nothing and never retires."""
    module: Any = __import__(due_function.__module__, fromlist=["_members"])
    original = module._members

    def forgetful(*args: Any) -> Iterator[Any]:
        return (one for one in original(*args) if type(one).__name__ != "RetireMember")

    monkeypatch.setattr(module, "_members", forgetful)
    assert "draining" in str(_caught(template, workspace))


@pytest.mark.searched
def test_sim_the_oracle_lets_a_packet_go_exactly_where_the_starter_set_does(
    template: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle knows fewer rules than the set, and says that a packet waits for what it may not have."""
    compared, differences = 0, list[str]()
    add = Liveness.add

    def comparing(self: Liveness, event: e.Event, stamp: Stamp, before: State) -> None:
        nonlocal compared
        add(self, event, stamp, before)
        if not isinstance(event, e.AssignmentDecision) or event.decision.policy != self.starter:
            return
        decision, packet = event.decision, before.packets.get(event.packet_id)
        if packet is None or decision.considered < len(before.roster()):  # somebody is named
            return
        if packet.last_owner is not None and not packet.terms.handoff.allowed:
            return
        if dict(decision.rejected).keys() & NOT_OF_POLICIES:
            return
        let = [
            name
            for name, member in before.members.items()
            if member.status not in {MemberStatus.FAILED, MemberStatus.RETIRED}
            and not starter_objections(before, packet, member, stamp.time)
        ]
        compared += 1
        if len(let) != decision.eligible:
            differences.append(f"{self} {stamp.seq}: {let} and {decision}")

    monkeypatch.setattr(Liveness, "add", comparing)
    for seed in range(20):
        run_plan(draw_plan(seed), template, workspace)
    assert not differences, differences[:3]
    assert compared > 100
