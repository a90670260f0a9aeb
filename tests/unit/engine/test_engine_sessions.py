"""One process lives by a member's lease, whatever is started, killed, started again or shortened meanwhile."""

from pathlib import Path

import pytest
from support.ledgers import SECOND, START, fresh, opened, place, register, submit, types

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.core.lifecycle import MemberStatus
from pfgov.engine import Engine, Heartbeat
from pfgov.errors import ConflictError

LEASE = 30 * SECOND


def _beat(engine: Engine, session: str | None, life: int = 1, **more: bool) -> object:
    return engine.hear("m", Heartbeat(life, session=session, **more))


def _refused(engine: Engine, session: str | None, life: int = 1, **more: bool) -> str:
    with pytest.raises(ConflictError) as caught:
        _beat(engine, session, life, **more)
    return caught.value.code


def test_engine_a_second_process_of_a_member_is_refused(tmp_path: Path) -> None:
    """Two processes under one id both work; or a heartbeat without a name keeps a dead process's packets."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m", lease_seconds=30)
        _beat(engine, None)
        _beat(engine, "first")
        assert _refused(engine, "second") == "member.in_use"
        assert _refused(engine, "FIRST") == "member.in_use"
        assert _refused(engine, None) == "member.in_use"
        _beat(engine, "first")


@pytest.mark.parametrize("is_clean", [True, False])
def test_engine_a_restarted_server_knows_who_lives(tmp_path: Path, is_clean: bool) -> None:
    """A server that was killed right after it bound a process binds another one next to it."""
    clock = ManualClock(START + SECOND)
    directory = fresh(tmp_path)
    engine = opened(directory, clock)
    register(engine, "m", lease_seconds=30)
    register(engine, "n", lease_seconds=30)
    _beat(engine, "first")
    engine.close() if is_clean else engine.abandon()
    with opened(directory, clock) as engine:
        assert _refused(engine, "second") == "member.in_use"
        _beat(engine, "first")


def test_engine_a_process_that_leaves_makes_room(tmp_path: Path) -> None:
    """After a clean end the next process has to wait for a lease; or anybody may end another's."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m", lease_seconds=30)
        _beat(engine, "first")
        _beat(engine, "second", leaves=True)
        assert _refused(engine, "second") == "member.in_use"
        _beat(engine, "first", leaves=True)
        _beat(engine, "second")
        assert _refused(engine, "first") == "member.in_use"


def test_engine_taking_over_waits_until_the_other_has_stopped(tmp_path: Path) -> None:
    """Whoever takes over begins while the other still works; or never; or under the same epochs."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        place(engine, "p")
        _beat(engine, "first")
        clock.advance(5 * SECOND)
        assert _refused(engine, "second", takes_over=True) == "member.in_use"
        assert _refused(engine, "first") == "member.taken_over"
        clock.advance(24 * SECOND)
        assert _refused(engine, "second", takes_over=True) == "member.in_use"
        clock.advance(2 * SECOND)
        assert _refused(engine, "second", takes_over=True) == "member.gone"
        assert engine.reader.member("m").status is MemberStatus.FAILED
        submit(engine, c.RecoverMember(member_id="m"))
        engine.settle()
        found = engine.reader.packet("p")
        assert (found.incarnation, found.epoch) == (2, 3)
        _beat(engine, "second", 2)
        assert _refused(engine, "first", 1) == "member.incarnation"


def test_engine_a_process_told_to_go_may_leave_early(tmp_path: Path) -> None:
    """Taking over a process that answers takes a whole lease."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m", lease_seconds=30)
        _beat(engine, "first")
        assert _refused(engine, "second", takes_over=True) == "member.in_use"
        _beat(engine, "first", leaves=True)
        _beat(engine, "second", takes_over=True)


def test_engine_a_lease_that_is_over_is_nobodys(tmp_path: Path) -> None:
    """While leases do not end, because too many are over, a member that comes back is refused for ever."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        place(engine, "p")
        for number in range(10):
            register(engine, f"m{number}", lease_seconds=30)
        _beat(engine, "first")
        clock.advance(40 * SECOND)
        engine.settle()
        assert engine.status().halted == "mass_expiry"
        assert _refused(engine, None) == "member.in_use"
        assert _refused(engine, "second") == "member.gone"
        submit(engine, c.RecoverMember(member_id="m"))
        _beat(engine, "second", 2)
        engine.settle()
        found = engine.reader.packet("p")
        assert (found.owner, found.incarnation) != ("m", 1)


def test_engine_a_lease_is_not_shortened_under_its_member(tmp_path: Path) -> None:
    """A member that counts by the lease it was told works on after the server gave its packets away."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        heard = engine.hear("m", Heartbeat(1, session="first"))
        assert heard.lease_seconds == 30
        submit(engine, c.UpdateMember(member_id="m", lease_seconds=3))
        clock.advance(15 * SECOND)
        engine.settle()
        assert engine.reader.member("m").status is MemberStatus.ACTIVE
        for _ in range(2):  # the first answer may have been lost
            heard = engine.hear("m", Heartbeat(1, session="first", counts_by=30))
            assert (heard.lease_seconds, heard.lease_until) == (3, clock.now() + 30 * SECOND)
        heard = engine.hear("m", Heartbeat(1, session="first", counts_by=3))
        assert (heard.lease_seconds, heard.lease_until) == (3, clock.now() + 3 * SECOND)
        heard = engine.hear("m", Heartbeat(1, session="first", counts_by=86_400))
        assert heard.lease_until == clock.now() + 3 * SECOND
        clock.advance(4 * SECOND)
        engine.settle()
        assert engine.reader.member("m").status is MemberStatus.FAILED


def test_engine_a_heartbeat_names_what_the_member_forgot(tmp_path: Path) -> None:
    """A packet whose event was missed is worked on by nobody while its owner lives."""
    with opened(fresh(tmp_path)) as engine:
        register(engine, "m")
        place(engine, "p")
        place(engine, "q")
        heard = engine.hear("m", Heartbeat(1, (("p", 1), ("q", 0))))
        assert (heard.lost, heard.unnamed) == ((("q", 0),), (("q", 1),))


def test_engine_a_member_that_stays_comes_back_with_all_it_had(tmp_path: Path) -> None:
    """A member that is out for a while retires, fails of silence, or is given work meanwhile."""
    clock = ManualClock(START + SECOND)
    directory = fresh(tmp_path)
    with opened(directory, clock) as engine:
        register(engine, "m", lease_seconds=30, clearances=("pii",))
        place(engine, "p")
        _beat(engine, "first")
        submit(engine, c.DrainMember(member_id="m", mode="stop_first", stays=True))
        engine.settle()
        assert engine.reader.packet("p").owner is None
        _beat(engine, "first", leaves=True)
        clock.advance(300 * SECOND)
        engine.settle()
    with opened(directory, clock) as engine:
        clock.advance(300 * SECOND)
        engine.settle()
        member = engine.reader.member("m")
        assert (member.status, member.incarnation) == (MemberStatus.DRAINING, 1)
        _beat(engine, "second")
        submit(engine, c.CancelDrain(member_id="m"))
        engine.settle()
        assert engine.reader.packet("p").owner == "m"
        assert engine.reader.member("m").clearances == ("pii",)
        assert "member_failed" not in types(engine)


def test_engine_a_member_that_only_left_fails_when_its_lease_is_over(tmp_path: Path) -> None:
    """A process that leaves with packets keeps them from everybody else for ever."""
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        register(engine, "m", lease_seconds=30)
        register(engine, "n")
        place(engine, "p")
        _beat(engine, "first")
        _beat(engine, "first", leaves=True)
        clock.advance(LEASE + SECOND)
        engine.settle()
        assert engine.reader.member("m").status is MemberStatus.FAILED
        assert engine.reader.packet("p").owner == "n"
