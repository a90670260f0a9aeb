"""Leases, heartbeats, ticks and halts, with a clock that is turned by hand."""

from pathlib import Path

import pytest
from support.ledgers import (
    SECOND,
    START,
    claim,
    fresh,
    opened,
    packet,
    place,
    register,
    submit,
    types,
)

from pfgov.clock import ClockError, ManualClock
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import MemberStatus
from pfgov.engine import Idempotency
from pfgov.errors import (
    ConflictError,
    NotFoundError,
    PfgovError,
    StaleEpochError,
)


def test_engine_a_silent_owner_loses_its_packet(tmp_path: Path) -> None:
    """A lease that ends is suspected, then failed; its packet moves under a new epoch and its late write is refused."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        place(engine, "p")
        late = claim(engine, "p")
        register(engine, "n")
        clock.advance(21 * SECOND)
        engine.tick()
        assert engine.reader.member("m").status is MemberStatus.SUSPECT
        clock.advance(10 * SECOND)
        assert engine.settle() >= 3
        assert engine.reader.member("m").status is MemberStatus.FAILED
        found = engine.reader.packet("p")
        assert (found.owner, found.epoch) == ("n", late.epoch + 2)
        with pytest.raises(StaleEpochError):
            submit(engine, c.CompletePacket(packet_id="p", owner=late))


def test_engine_a_heartbeat_renews_and_names_what_was_lost(tmp_path: Path) -> None:
    """A member that beats keeps its packets, and learns which of those it names are no longer its own."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        place(engine, "p")
        place(engine, "q")
        submit(engine, c.CancelPacket(packet_id="q"))
        for _ in range(5):
            clock.advance(15 * SECOND)
            heard = engine.heartbeat("m", 1, [("p", 1), ("q", 1), ("p", 2), ("none", 1)])
            engine.tick()
        assert heard.lost == (("q", 1), ("p", 2), ("none", 1))
        assert heard.lease_until == clock.now() + 30 * SECOND
        assert engine.reader.member("m").status is MemberStatus.ACTIVE


def test_engine_a_heartbeat_ends_a_suspicion(tmp_path: Path) -> None:
    """A suspect that is heard again is active again, and that is on record."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        clock.advance(25 * SECOND)
        engine.tick()
        assert engine.heartbeat("m", 1).was_suspect
        assert engine.reader.member("m").status is MemberStatus.ACTIVE
        assert list(types(engine))[-2:] == ["member_suspected", "member_recovered"]


def test_engine_a_heartbeat_of_another_life_is_refused(tmp_path: Path) -> None:
    """Unknown members, earlier lives and dead members are told so, and nothing is renewed."""
    with opened(fresh(tmp_path)) as engine:
        with pytest.raises(NotFoundError):
            engine.heartbeat("m", 1)
        register(engine, "m")
        with pytest.raises(ConflictError) as caught:
            engine.heartbeat("m", 2)
        assert caught.value.code == "member.incarnation"
        submit(engine, c.FailMember(member_id="m"))
        with pytest.raises(ConflictError) as caught:
            engine.heartbeat("m", 1)
        assert caught.value.code == "member.gone"


def test_engine_without_a_heartbeat_or_lease_nobody_expires(tmp_path: Path) -> None:
    """A fleet that was registered without leases does not die of silence."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m")
        clock.advance(86_400 * SECOND)
        assert engine.settle() == 0
        engine.heartbeat("m", 1)
        clock.advance(31 * SECOND)
        assert engine.settle() > 0


def test_engine_its_own_lag_is_not_held_against_members(tmp_path: Path) -> None:
    """A tick that comes late stretches every lease by what it was late."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        clock.advance(40 * SECOND)
        assert engine.tick(lag=25 * SECOND).effective == 0
        clock.advance(16 * SECOND)
        assert engine.tick().effective == 1


def test_engine_leases_begin_anew_after_a_restart_unless_told_otherwise(tmp_path: Path) -> None:
    """A restarted server blames nobody for its own silence; a command line's tick judges the kept leases."""
    directory = fresh(tmp_path)
    clock = ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        register(engine, "m", lease_seconds=30)
    clock.advance(60 * SECOND)
    with opened(directory, clock) as engine:
        assert engine.tick().effective == 0
    clock.advance(60 * SECOND)
    with opened(directory, clock, fresh_leases=False) as engine:
        assert engine.settle() > 0
        assert engine.reader.member("m").status is MemberStatus.FAILED


def test_engine_evidence_is_judged_again_when_its_turn_comes(tmp_path: Path) -> None:
    """A member that was heard after the evidence was collected does not expire."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        clock.advance(31 * SECOND)
        old = c.ExpireLease(member_id="m", incarnation=1, last_seen=START + SECOND, ttl=30 * SECOND)
        engine.heartbeat("m", 1)
        assert engine.submit(old, principal=c.ENGINE).count == 0
        assert engine.reader.member("m").status is MemberStatus.ACTIVE


def test_engine_too_many_ends_at_once_halt(tmp_path: Path) -> None:
    """When most leases end at once nobody is expired; it is recorded once, and somebody has to look."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        for i in range(8):
            register(engine, f"m{i}", lease_seconds=30)
        clock.advance(31 * SECOND)
        assert engine.tick().halted == "mass_expiry"
        assert engine.settle() == 0
        assert list(types(engine)).count("expiry_halted") == 1
        assert engine.status().halted == "mass_expiry"
        engine.resume()
        assert engine.status().halted is None
        assert engine.settle() == 0
        assert {m.status for m in engine.reader.members()} == {MemberStatus.ACTIVE}


def test_engine_a_jump_of_the_clock_stops_the_ticks(tmp_path: Path) -> None:
    """A wall clock that leaps ahead of time passing stops every follow-up and is recorded; an idle night does not."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        clock.advance(8 * 3_600 * SECOND)
        assert engine.tick().halted is None
        clock.step(3_600 * SECOND)
        report = engine.tick()
        assert (report.halted, report.effective) == ("clock_jump", 1)
        clock.advance(299 * SECOND)
        assert engine.tick().tried == 0
        engine.resume()
        assert engine.tick().halted is None
        assert list(types(engine))[-2:] == ["expiry_halted", "expiry_resumed"]


def test_engine_a_follow_up_that_leads_nowhere_is_not_repeated_at_once(tmp_path: Path) -> None:
    """A packet that nobody may own is looked at again later, not in every tick; each look says nothing new."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        place(engine, "p")
        engine.settle()
        size = engine.status().size
        assert [engine.tick().tried for _ in range(3)] == [0, 0, 0]
        clock.advance(SECOND)
        assert engine.tick().tried == 1
        assert engine.status().size == size
        register(engine, "m")
        engine.settle()
        assert engine.reader.packet("p").owner == "m"


def test_engine_a_drained_member_hands_over_and_retires(tmp_path: Path) -> None:
    """After a drain is asked for, ticks move everything and retire the member."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        for i in range(4):
            place(engine, f"p{i}")
        register(engine, "n")
        submit(engine, c.DrainMember(member_id="m"))
        engine.settle()
        assert engine.reader.member("m").status is MemberStatus.RETIRED
        assert {p.owner for p in engine.reader.packets()} == {"n"}


def test_engine_new_lease_times_take_effect(tmp_path: Path) -> None:
    """Changing lease_seconds begins a lease of the new length; a dead member's lease is gone."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        submit(engine, c.UpdateMember(member_id="m", lease_seconds=100))
        clock.advance(50 * SECOND)
        assert engine.tick().effective == 0
        submit(engine, c.FailMember(member_id="m"))
        clock.advance(100 * SECOND)
        assert engine.settle() == 0


def test_engine_follow_ups_belong_to_the_engine_alone(tmp_path: Path) -> None:
    """Nobody but the engine expires a lease."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m", lease_seconds=30)
        action = c.ExpireLease(
            member_id="m", incarnation=1, last_seen=START + SECOND, ttl=30 * SECOND
        )
        with pytest.raises(PfgovError) as caught:
            submit(engine, action)
        assert caught.value.code == "access.forbidden"


def test_engine_what_is_kept_for_a_while_is_trimmed(tmp_path: Path) -> None:
    """Old verdict tables and old answers go with the ticks; a trimmed table is regenerated, a trimmed key is new."""
    clock = ManualClock(START + SECOND)
    options = {"tables_kept": 10, "answers_kept": 3_600 * SECOND}
    with opened(fresh(tmp_path), clock, **options) as engine:
        register(engine, "m", capacity=(("cpu", "100000"),))
        key = Idempotency("k", b"d")
        first = submit(engine, packet("p"), idempotency=key)
        clock.advance(7_200 * SECOND)
        for i in range(260):
            place(engine, f"p{i:03}")
        engine.tick()
        decision = first.events[1]
        assert isinstance(decision, e.AssignmentDecision)
        assert engine.reader.verdict_table(decision.decision.table) is None
        assert engine.reader.table_of(first.position + 1) is not None
        with pytest.raises(PfgovError) as caught:
            submit(engine, packet("p"), idempotency=key)
        assert caught.value.code == "packet.exists"


# --- leases and restarts --------------------------------------------------------------------


def test_engine_restarts_do_not_keep_the_dead_alive(tmp_path: Path) -> None:
    """A server that restarts more often than a lease lasts gives a dead owner a whole lease each time, for ever."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        register(engine, "dead", lease_seconds=30)
        register(engine, "alive", lease_seconds=30)
        submit(engine, packet("p"))
    for restart in range(8):
        engine = opened(directory, clock)
        for _ in range(20):
            clock.advance(SECOND)
            engine.heartbeat("alive", 1)
            engine.tick()
        engine.abandon() if restart % 2 else engine.close()  # killed or closed, it is the same
        clock.advance(5 * SECOND)
    with opened(directory, clock) as engine:
        assert engine.reader.member("dead").status is MemberStatus.FAILED
        assert engine.reader.member("alive").status is MemberStatus.ACTIVE


def test_engine_a_restart_holds_nothing_against_who_was_heard(tmp_path: Path) -> None:
    """An hour in which no server ran is held against members, or heartbeats that a killed server forgot."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    engine = opened(directory, clock)
    register(engine, "m", lease_seconds=30)
    for _ in range(30):
        clock.advance(3 * SECOND)
        engine.heartbeat("m", 1)
    engine.abandon()
    clock.advance(3_600 * SECOND)
    with opened(directory, clock) as engine:
        clock.advance(29 * SECOND)
        engine.tick()
        assert engine.reader.member("m").status is not MemberStatus.FAILED
        engine.heartbeat("m", 1)
        clock.advance(29 * SECOND)
        engine.tick()
        assert engine.reader.member("m").status is not MemberStatus.FAILED


# --- clocks that cannot be right ------------------------------------------------------------


def test_engine_a_clock_that_is_years_ahead_is_refused_at_the_border(tmp_path: Path) -> None:
    """One command under a clock that is years ahead makes every deadline pass and stops every lease for good."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    opened(directory, clock).close()
    ahead = ManualClock(START + 10 * 365 * 86_400 * SECOND)
    with opened(directory, ahead, fresh_leases=False) as engine:
        with pytest.raises(ClockError) as wrong:
            submit(engine, packet("p"))
        assert wrong.value.code == "clock.ahead"
        with pytest.raises(ClockError):
            engine.tick()
        assert len(list(engine.reader.entries())) == 2
    with opened(directory, clock) as engine:
        submit(engine, packet("p", deadline=START + 60 * SECOND))
    with opened(directory, ahead, fresh_leases=False) as engine:
        engine.resume()  # it did rest that long
        submit(engine, packet("q"))


def test_engine_a_clock_that_leaps_by_years_is_doubted_until_somebody_says_that_it_is_right(
    tmp_path: Path,
) -> None:
    """A running server takes a leap of its clock at its word, and deadlines of years to come are passed."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        register(engine, "dead", lease_seconds=30)
        register(engine, "m", lease_seconds=30)
        submit(engine, packet("p", deadline=START + 86_400 * SECOND))
        clock.step(10 * 365 * 86_400 * SECOND)
        assert engine.tick().halted == "clock_jump"
        assert engine.status().clock_ahead > 0
        for _ in range(400):
            clock.advance(SECOND)
            engine.heartbeat("m", 1)
            engine.tick()
        assert engine.reader.member("dead").status is MemberStatus.FAILED  # by the time that passed
        assert engine.reader.packet("p").owner == "m"
        assert engine.status().halted == "clock_jump"
        clock.step(-10 * 365 * 86_400 * SECOND)
        engine.tick()
        assert engine.status().halted is None
        assert engine.reader.packet("p").owner == "m"
        assert engine.look(lambda state: state.time) < START + 3_600 * SECOND


def test_engine_a_leap_of_hours_is_taken_after_a_steady_while(tmp_path: Path) -> None:
    """A machine that slept, or whose clock was set right, stands still until somebody notices."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        register(engine, "m", lease_seconds=30)
        clock.step(8 * 3_600 * SECOND)
        engine.tick()
        for _ in range(310):
            clock.advance(SECOND)
            engine.heartbeat("m", 1)
            engine.tick()
        assert engine.status().halted is None
        assert engine.status().clock_ahead == 0
        submit(engine, packet("p"))
        assert engine.look(lambda state: state.time) == clock.now()
        assert engine.reader.member("m").status is MemberStatus.ACTIVE


def test_engine_leases_end_in_a_ledger_that_is_ahead_of_the_clock(tmp_path: Path) -> None:
    """With the last entry years ahead of the clock, time stands still and no lease ever ends."""
    directory, clock = fresh(tmp_path), ManualClock(START + 300 * 86_400 * SECOND)
    with opened(directory, clock) as engine:
        register(engine, "m", lease_seconds=30)
        submit(engine, packet("p"))
    clock.step(-299 * 86_400 * SECOND)
    with opened(directory, clock) as engine:
        assert engine.status().clock_ahead < 0
        for _ in range(62):
            clock.advance(SECOND)
            engine.tick()
        assert engine.reader.member("m").status is MemberStatus.FAILED


def test_engine_a_clock_that_is_set_back_a_little_is_caught_up_with(tmp_path: Path) -> None:
    """Time stands still until the wall clock has come up again, or runs ahead of it for good."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        register(engine, "m", lease_seconds=30)
        clock.step(-20 * SECOND)
        clock.advance(10 * SECOND)
        submit(engine, packet("p"))
        assert engine.look(lambda state: state.time) == START + 6 * SECOND
        clock.advance(100 * SECOND)
        submit(engine, packet("q"))
        clock.advance(SECOND)
        submit(engine, packet("r"))
        assert engine.look(lambda state: state.time) == clock.now()
