"""Judging a fleet by class or one by one, remembering verdicts or not: the same entries, byte for byte, and the same
verdict tables.
"""

import random
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
from support import policy_kit as kit
from support.world import OPERATOR, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import judging
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet, load_directory, shipped_directory
from pfgov.policy.load import shipped_names

REGIONS = ("eu-west", "eu-west/fr", "us-east/1a", "embargoed", None)
CLASSES = ((), ("pii.email",), ("pii", "pii.special"))


FOLLOWED = """
  - {id: count, require: packet.handoff_count < 2, message: "{packet.handoff_count} handoffs"}
  - {id: before, deny: 'member.id in packet.previous_owners && packet.epoch > 1'}
  - {id: step, deny: 'has(packet.step) && packet.step == "b" && member.id > "m10"'}
  - {id: who, deny: 'has(packet.submitted_by) && packet.submitted_by.id == "s" && member.id < "m05"'}
  - {id: asker, deny: 'principal.id == "r" && member.id == "m15"'}
  - {id: seen, deny: 'packet.reviews.size() > 0 && member.id > "m18"'}
"""
"""Rules that read what is remembered beside a packet's terms."""

JOINING = kit.policy('  - {id: joins, require: member.id < "z"}\n', on="[register]", name="joining")


@cache
def pack(name: str) -> PolicySet:
    """Return a shipped set, or the one of rules about what moves."""
    if name == "followed":
        with tempfile.TemporaryDirectory() as folder:
            return kit.load(
                Path(folder) / "set", kit.policy(FOLLOWED, on="[place, retain]"), JOINING
            )
    return load_directory(shipped_directory(name))


def _member(draw: random.Random, number: int) -> c.RegisterMember:
    return c.RegisterMember(
        member_id=f"m{number:02}",
        type=draw.choice(["agent", "model", "tool"]),
        capabilities=(c.Capability(name="ocr", version=draw.choice(["1.1", "2.0"])),),
        capacity=draw.choice([(), (("tasks", "2"),), (("cpu", "1.5"), ("tasks", "9"))]),
        region=draw.choice(REGIONS),
        trust_score=draw.choice([None, "0.4", "0.7", "0.85", "0.9", "0.95"]),
        clearances=draw.choice(CLASSES),
        labels=draw.choice([(), (("tier", "gold"),), (("tools", "shell"),)]),
    )


def _packet(draw: random.Random, number: int) -> c.SubmitPacket:
    floor = draw.choice([None, "0.5", "0.83", f"0.{draw.randrange(1, 999_999):06}".rstrip("0")])
    return c.SubmitPacket(
        packet_id=f"p{number:03}",
        workload_type="w",
        lineage_id="lin",
        required_capabilities=draw.choice([(), ("ocr",), ("ocr>=1.5",)]),
        constraints=c.Constraints(
            minimum_trust_score=floor,
            allowed_regions=draw.choice([None, ("eu-west",), ("eu-west", "us-east")]),
            pii_review_required=draw.random() < 0.1,
        ),
        data_classes=draw.choice(CLASSES),
        demand=(("cpu", draw.choice(["0.25", "1"])),),
        labels=draw.choice([(), (("residency", "eu-west"),), (("job", str(number)),)]),
        step=draw.choice([None, "a", "b"]),
    )


def _step(draw: random.Random, number: int, world: World) -> c.Action:
    members = sorted(world.state.members) or ["m00"]
    packets = sorted(world.state.packets) or ["p"]
    kind, member_id = draw.random(), draw.choice(members)
    if kind < 0.5:
        return _packet(draw, number)
    if kind < 0.6:
        expires = draw.choice([None, world.now + 2_000_000])
        score = draw.choice(["0.3", "0.82", "0.91"])
        return c.AssessTrust(member_id=member_id, score=score, expires_at=expires)
    if kind < 0.7:
        return c.ReportPressure(member_id=member_id, pressure=draw.choice(["0.2", "0.95"]))
    if kind < 0.75:
        return c.QuarantineMember(member_id=member_id, reason="t")
    if kind < 0.8:
        chosen = draw.choice(packets)
        found = world.state.packets.get(chosen)
        granted = draw.random() < 0.8
        return c.ReviewPacket(
            packet_id=chosen, granted=granted, version=found.version if found else 0
        )
    if kind < 0.9:
        return c.HandOff(packet_id=draw.choice(packets), reason="requested")
    return _member(draw, number % 30)


def _history(
    name: str, seed: int, smallest: int, *, remembers: bool = True
) -> tuple[list[bytes], dict[str, bytes]]:
    """Return the entries and verdict tables of a random history, judging fleets from *smallest* on by class."""
    draw, bodies = random.Random(seed), list[bytes]()
    with ExitStack() as patched:
        patched.enter_context(mock.patch.object(judging, "FLEET_FROM", smallest))
        if not remembers:
            patched.enter_context(mock.patch.object(judging, "_memo_key", return_value=None))
        world = World(policy=pack(name), scheduler=draw.choice(["rendezvous", "binpack", "agent"]))
        people = [
            c.Principal(id=name, rights=("reviewer", "operator", "admin", "assessor"))
            for name in ("r", "s", "t")
        ]
        for number in range(20):
            _try(world, _member(draw, number), OPERATOR)
        for number in range(70):
            world.wait(draw.choice([0, 1]))
            _try(world, _step(draw, number, world), draw.choice(people))
            if number % 7 == 0:
                world.settle()
        bodies = [e.encode_body(event) for _, event in world.entries]
        return bodies, world.tables


def _try(world: World, action: c.Action, principal: c.Principal) -> None:
    try:
        world.do(action, principal)
    except PfgovError:
        return


@pytest.mark.parametrize("name", [*shipped_names(), "followed"])
@pytest.mark.parametrize("seed", range(3))
def test_the_ledger_does_not_show_how_a_fleet_was_judged(name: str, seed: int) -> None:
    """Entries, their digests of verdict tables or the tables themselves depend on judging by class."""
    plain, by_class = _history(name, seed, 1_000_000), _history(name, seed, 1)
    assert len(plain[0]) > 50
    assert len(plain[1]) > 10
    assert by_class == plain


@pytest.mark.parametrize("name", [*shipped_names(), "followed"])
@pytest.mark.parametrize("seed", range(3))
def test_the_ledger_does_not_show_what_was_remembered(name: str, seed: int) -> None:
    """A verdict on other facts is taken for the verdict on these."""
    assert _history(name, seed, 8) == _history(name, seed, 8, remembers=False)
