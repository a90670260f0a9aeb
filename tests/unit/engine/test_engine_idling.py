"""What a member that owns nothing is told of the packets that wait: of every kind of them, and at a bounded price."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledgers import fresh, opened, packet, register, submit

from pfgov.core.commands import Constraints
from pfgov.engine import Engine
from pfgov.engine.sequencing import idling
from pfgov.engine.sequencing.heartbeats import Heartbeat

ASKS = Heartbeat(1, asks_why=True)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A ledger with a member without trust, and nobody else."""
    with opened(fresh(tmp_path)) as found:
        register(found, "m1", trust_score=None)
        yield found


def wait(engine: Engine, name: str, **terms: object) -> None:
    """Submit a packet that waits for an owner."""
    submit(engine, packet(name, **terms))


def test_idle_many_packets_of_one_kind_hide_no_other(engine: Engine) -> None:
    """Sixteen packets that nobody can do are all that a member is ever told of."""
    for number in range(idling.LOOKS * 2):
        wait(engine, f"a{number:03}", required_capabilities=("unheard-of",))
    wait(engine, "z", constraints=Constraints(minimum_trust_score="0.9"))
    told = engine.hear("m1", ASKS).idle
    assert told is not None
    rules = [{reason.name for reason in verdict.reasons} for verdict in told.verdicts]
    assert len(rules) == idling.LOOKS * 2 + 1
    assert sum("kernel/capabilities" in names for names in rules) == idling.LOOKS * 2
    assert sum("kernel/minimum-trust" in names for names in rules) == 1


def test_idle_kinds_beyond_the_bound_are_left_out(engine: Engine) -> None:
    """Whoever asks has a verdict taken for every packet that waits."""
    for number in range(idling.LOOKS + 4):
        wait(engine, f"p{number:03}", required_capabilities=(f"skill-{number}",))
    told = engine.hear("m1", ASKS).idle
    assert told is not None
    assert len(told.verdicts) == idling.LOOKS


def test_idle_an_answer_ends_with_its_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that take long hold everybody up for as long as they like, or cost a member its lease."""
    for number in range(8):
        wait(engine, f"p{number}", required_capabilities=(f"skill-{number}",))
    clock = itertools.count(0, idling.LOOK_MICROS // 4)
    monkeypatch.setattr(idling, "processor_micros", lambda: next(clock))
    heard = engine.hear("m1", ASKS)
    assert heard.idle is not None
    assert len(heard.idle.verdicts) < 4
    assert heard.lease_until > 0
    assert engine.hear("m1", Heartbeat(1)).idle is None
