"""A world in which large amounts, contractors and some kinds of work need reviews."""

from pathlib import Path

from pfgov.core import commands as c
from support import policy_kit as kit
from support.world import World

LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  amount: {type: int, set_by: [submitter], change: rights}
  risk: {type: string, enum: [low, medium, high], set_by: [submitter], change: narrow}
  note: {type: string, set_by: [submitter], change: rights}
member:
  employment: {type: string, enum: [contractor, employee], set_by: [operator], change: rights}
  mood: {type: string, set_by: [member], change: rights}
"""
RULES = """  - {id: everybody, on: [register, place, retain], require: member.status == "ACTIVE"}
  - {id: large, on: [place], when: has(packet.labels.amount) && packet.labels.amount >= 100, escalate: {to: reviewer}}
  - id: hired
    on: [place]
    when: 'packet.workload_type == "hire" && member.labels.employment == "contractor"'
    escalate: {to: reviewer}
  - {id: twice, on: [place], when: 'packet.workload_type == "twice"', escalate: {to: reviewer, approvals: 2}}
  - {id: both, on: [place], when: 'packet.workload_type == "both"', escalate: {to: reviewer}}
  - {id: both-too, on: [place], when: 'packet.workload_type == "both"', escalate: {to: operator}}
"""
REVIEWER = c.Principal(id="key:rev", rights=("reviewer",))
SECOND_REVIEWER = c.Principal(id="key:rev2", rights=("reviewer",))
SUBMITTER = c.Principal(id="key:sub", rights=("submitter",))


def world_of(folder: Path, rules: str = RULES, *, labels: str = LABELS, on: str = "") -> World:
    """Return a world under *rules*, with one member."""
    points = on or "[register, place, retain]"
    world = World(policy=kit.load(folder, kit.policy(rules, on=points), labels))
    world.member("m", labels=(("employment", "employee"),))
    return world


def submit(world: World, name: str = "p", kind: str = "work", **labels: str) -> None:
    """Submit a packet as somebody who may only submit."""
    world.do(
        c.SubmitPacket(
            packet_id=name, workload_type=kind, lineage_id="l", labels=tuple(sorted(labels.items()))
        ),
        SUBMITTER,
    )


def update(world: World, **labels: str) -> None:
    """Change the packet's labels as its submitter."""
    world.do(c.UpdatePacket(packet_id="p", labels=tuple(sorted(labels.items()))), SUBMITTER)
