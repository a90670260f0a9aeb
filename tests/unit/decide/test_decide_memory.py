"""A verdict that is remembered is that of equal facts: another principal, submitter or history has its own."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
from support import policy_kit as kit
from support.world import World

from pfgov.core import commands as c
from pfgov.core.decide import Tools
from pfgov.core.decide.context import Context
from pfgov.core.decide.judging import _FOLLOWED, judge
from pfgov.core.records import Packet
from pfgov.core.verdicts import Point

Changes = Callable[[Packet], None]

JOINING = kit.policy('  - {id: joins, require: member.id < "z"}\n', on="[register]", name="joining")

ANN = c.Principal(id="key:ann", rights=("operator",), name="Ann")
BOB = c.Principal(id="key:bob", rights=("operator",), name="Bob")


def _sets(**values: object) -> Changes:
    def change(packet: Packet) -> None:
        for name, value in values.items():
            setattr(packet, name, value)

    return change


CASES: dict[str, tuple[str, Changes, c.Principal]] = {
    "principal": ('principal.name == "Bob"', _sets(), BOB),
    "packet.handoff_count": ("packet.handoff_count > 0", _sets(handoff_count=1), ANN),
    "packet.previous_owners": (
        "member.id in packet.previous_owners",
        _sets(owners=("m",)),
        ANN,
    ),
    "packet.epoch": ("packet.epoch > 1", _sets(epoch=2), ANN),
    "packet.step": ('has(packet.step) && packet.step == "two"', _sets(step="two"), ANN),
    "packet.submitted_by": (
        'has(packet.submitted_by) && "m" in packet.submitted_by.members',
        _sets(submitted_for=("m",), submitted_by="key:ann"),
        ANN,
    ),
}
"""For each fact that is followed: when a rule denies, and what has to change for that."""


def test_every_fact_that_is_followed_is_tried() -> None:
    """A fact is followed, and nobody has seen that it is."""
    assert CASES.keys() == _FOLLOWED.keys()


@pytest.mark.parametrize("fact", CASES)
def test_a_remembered_verdict_is_of_equal_facts(fact: str, tmp_path: Path) -> None:
    """Whoever asks second, or a packet that moved, gets the verdict on somebody or something else."""
    condition, change, other = CASES[fact]
    rules = kit.policy(f"  - {{id: it, deny: '{condition}'}}\n")
    world = World(policy=kit.load(tmp_path, rules, JOINING))
    world.member("m")
    world.do(c.SubmitPacket(packet_id="p", workload_type="w", lineage_id="l", hold=True))
    first = world.state.packets["p"]
    second = copy.copy(first)
    change(second)

    def outcomes(packet: Packet, principal: c.Principal, tools: Tools) -> list[str]:
        command = c.Command(id="x", principal=principal, do=c.PlacePacket(packet_id="p"))
        context = Context(world.state, command, world.now, tools)
        found = judge(context, packet, Point.ASSIGN, world.state.roster())
        return [kind.verdict.outcome for kind in found.kinds]

    tools = world.tools
    for _ in range(3):
        assert outcomes(first, ANN, tools) == ["allow"]
    assert tools.judged
    for _ in range(3):
        assert outcomes(second, other, tools) == ["deny"]
    assert outcomes(first, ANN, tools) == ["allow"]
