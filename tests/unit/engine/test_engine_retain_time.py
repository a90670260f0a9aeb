"""A rule at `retain` that reads the time takes effect as time passes, with nobody doing anything."""

from pathlib import Path

import pytest
from support import policy_kit as kit
from support.ledgers import SECOND, START, fresh, opened, packet, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c

RULES = """  - {id: open, on: [register, place], require: member.id != "nobody"}
  - {id: contract, on: [retain], require: 'now < timestamp("2026-06-24T21:00:00Z")'}
"""


@pytest.mark.parametrize("seconds", [None, 5])
def test_an_owner_loses_the_packet_at_the_end_of_the_contract(
    tmp_path: Path, seconds: int | None
) -> None:
    """At the latest one interval after the moment that the rule names, by ticks alone; not a tick before it."""
    folder = tmp_path / "set"
    folder.mkdir()
    policies = kit.load(folder, kit.policy(RULES, on="[register, place, retain]"))
    clock = ManualClock(START + SECOND)
    with opened(fresh(tmp_path), clock) as engine:
        engine.activate(policies, principal=c.LOCAL_OPERATOR)
        if seconds is not None:
            submit(engine, c.Configure(settings=(("retain_interval", str(seconds)),)))
        register(engine, "m")
        for number in range(5):
            submit(engine, packet(f"p{number}"))
        interval = 60 if seconds is None else seconds
        end = 1_782_334_800 * SECOND  # 2026-06-24T21:00:00Z
        assert end > START
        clock.advance(end - SECOND - clock.now())
        engine.tick()
        assert all(engine.reader.packet(f"p{n}").owner == "m" for n in range(5))
        size = engine.status().size
        for _ in range(interval + 1):
            clock.advance(SECOND)
            engine.tick()
        revoked = [r.event for r in engine.reader.entries() if r.event.type == "ownership_revoked"]
        assert len({event.packet_id for event in revoked}) == 5  # type: ignore[union-attr]
        assert {event.reasons for event in revoked} == {("placement/contract",)}  # type: ignore[union-attr]
        assert all(engine.reader.packet(f"p{n}").owner is None for n in range(5))
        assert engine.status().size < size + 40, "a look that comes to nothing leaves no entry"
        engine.reader.replay()
