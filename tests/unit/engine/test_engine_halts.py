"""What holds leases up when too many end at once, and what ends that."""

from pathlib import Path
from typing import Any

import pytest
from support.ledgers import (
    SECOND,
    START,
    fresh,
    opened,
    packet,
    register,
    submit,
    types,
)

from pfgov.clock import ManualClock
from pfgov.core.lifecycle import MemberStatus
from pfgov.engine import Engine
from pfgov.errors import (
    StateConflictError,
)


def _six(engine: Engine, clock: ManualClock) -> None:
    """Six leases, of which four end: too many at once."""
    for i in range(6):
        register(engine, f"m{i}", lease_seconds=30)
    for i in range(12):
        submit(engine, packet(f"p{i}"))
    for _ in range(4):
        clock.advance(10 * SECOND)
        _two_live(engine)
        engine.tick()
    assert engine.status().halted == "mass_expiry"


def _two_live(engine: Engine) -> None:
    for name in ("m0", "m1"):
        engine.heartbeat(name, 1)


def _owners(engine: Engine) -> set[str | None]:
    return {engine.reader.packet(f"p{i}").owner for i in range(12)}


def test_engine_a_halt_ends_by_the_evidence_of_the_living(tmp_path: Path) -> None:
    """Four of six are really dead: every end of the halt leads to the next one, and their packets stay with them."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        _six(engine, clock)
        for _ in range(5):
            clock.advance(10 * SECOND)
            _two_live(engine)
            engine.tick()
        engine.settle()
        assert engine.status().halted is None
        assert _owners(engine) == {"m0", "m1"}
        assert list(types(engine)).count("expiry_halted") == 1
        engine.reader.replay()


def test_engine_a_halt_lasts_while_nobody_is_heard_and_a_lease_longer(tmp_path: Path) -> None:
    """A deaf observer ends everybody's leases as soon as it hears the first heartbeat again."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        for i in range(6):
            register(engine, f"m{i}", lease_seconds=30)
        for _ in range(30):
            clock.advance(10 * SECOND)
            engine.tick()
        assert engine.status().halted == "mass_expiry"
        for i in range(6):  # one after the other, within a lease
            engine.heartbeat(f"m{i}", 1)
            clock.advance(4 * SECOND)
            engine.tick()
        assert engine.status().halted is None
        assert {m.status for m in engine.reader.members()} <= {
            MemberStatus.ACTIVE,
            MemberStatus.SUSPECT,
        }


def test_engine_a_halt_outlives_a_restart(tmp_path: Path) -> None:
    """A restart forgets that leases are halted, and what the operator does not know it cannot end."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        _six(engine, clock)
    with opened(directory, clock) as engine:
        assert engine.status().halted == "mass_expiry"


def test_engine_an_operator_names_the_dead(tmp_path: Path) -> None:
    """Resuming gives the dead whole leases, too, and then halts again."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        _six(engine, clock)
        engine.resume(dead=("m2", "m3", "m4", "m5"))
        engine.settle()
        assert _owners(engine) == {"m0", "m1"}
        assert list(types(engine)).count("expiry_halted") == 1


def test_engine_an_operator_acknowledges_a_share(tmp_path: Path) -> None:
    """An acknowledged share is not heeded, or covers more than was acknowledged."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        _six(engine, clock)
        with pytest.raises(StateConflictError) as more:
            engine.resume(share_permille=600)
        assert more.value.code == "expiry.more_than_that"
        assert engine.status().halted == "mass_expiry"
        engine.resume(share_permille=700)
        engine.settle()
        assert _owners(engine) == {"m0", "m1"}


@pytest.mark.parametrize("more", [{"share_permille": 1_000}, {"dead": ("m3", "m4", "m5", "m6")}])
def test_engine_who_was_named_dead_before_a_halt_gets_no_lease_at_its_end(
    tmp_path: Path, more: dict[str, Any]
) -> None:
    """A member is named dead while its lease still runs; a halt holds it, and whoever ends that lets it live again."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    with opened(directory, clock) as engine:
        for i in range(7):
            register(engine, f"m{i}", lease_seconds=30)
        engine.resume(dead=("m2",))
        for _ in range(4):
            clock.advance(10 * SECOND)
            _two_live(engine)
            engine.tick()
        assert engine.status().halted == "mass_expiry"
        engine.resume(**more)
        engine.settle()
        failed = [m.member_id for m in engine.reader.members() if m.status is MemberStatus.FAILED]
        assert failed == ["m2", "m3", "m4", "m5", "m6"]


@pytest.mark.parametrize("years", [10, 1, 0.01])
def test_engine_a_halt_ends_after_a_start_under_a_clock_that_was_ahead(
    tmp_path: Path, years: float
) -> None:
    """Who was seen by a clock that is set right since is silent for no time at all, and its dead lease never ends."""
    directory, clock = fresh(tmp_path), ManualClock(START + SECOND)
    ahead = round(years * 365 * 86_400) * SECOND
    with opened(directory, clock) as engine:
        for i in range(6):
            register(engine, f"m{i}", lease_seconds=30)
        clock.step(ahead)
        engine.resume()  # somebody takes the clock for right, and everybody gets a lease by it
    clock.step(-ahead)
    with opened(directory, clock) as engine:
        for _ in range(30):
            clock.advance(10 * SECOND)
            _two_live(engine)
            engine.tick()
        engine.settle()
        failed = {m.member_id for m in engine.reader.members() if m.status is MemberStatus.FAILED}
        assert failed == {"m2", "m3", "m4", "m5"}
        assert engine.status().halted is None
        for recorded in engine.reader.entries():
            seen = getattr(getattr(recorded.event.command, "do", None), "last_seen", 0)
            assert seen <= recorded.row.time
        engine.reader.replay()
