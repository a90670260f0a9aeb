"""Whichever fact a granted review depended on is changed, by whichever command: nobody owns the packet under it.

The escalating rules read every kind of fact that a command changes: labels of each type, classes, requirements,
constraints, priority, demand; regions, clearances, labels, capacity, skills and trust of members.  Commands come from
the hostile generators.  What a rule read when the review was granted is kept here by value, not by digest as the engine
does.
"""

from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import hostile
from support import policy_kit as kit
from support.searching import examples
from support.world import World

from pfgov.core import commands as c
from pfgov.core.canonical import canonical
from pfgov.core.judging import member_facts, packet_facts, terms_facts
from pfgov.errors import PfgovError
from pfgov.policy import PolicySet

LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  risk: {type: string, set_by: [submitter], change: rights}
  amount: {type: int, set_by: [submitter], change: rights}
  a: {type: double, set_by: [submitter], change: rights}
member:
  risk: {type: string, set_by: [operator], change: rights}
"""
READS = {
    "packet.labels.risk": 'has(packet.labels.risk) && packet.labels.risk != "none"',
    "packet.labels.amount": "has(packet.labels.amount) && packet.labels.amount > 0",
    "packet.labels.a": "has(packet.labels.a) && packet.labels.a >= 0.0",
    "packet.data_classes": "packet.data_classes.size() < 64",
    "packet.required_capabilities": '!packet.required_capabilities.exists(r, r == "never")',
    "packet.policy_constraints.allowed_regions": (
        "!has(packet.policy_constraints.allowed_regions) || packet.policy_constraints.allowed_regions.size() < 60"
    ),
    "packet.demand.cpu": "packet.demand.cpu >= 0.5",
    "packet.priority": "packet.priority > 0",
    "member.region": 'has(member.region) && member.region != "nowhere"',
    "member.clearances": 'member.clearances.exists(c, c != "none")',
    "member.labels.risk": 'has(member.labels.risk) && member.labels.risk != "none"',
    "member.capability_versions": 'member.capability_versions.exists(c, c != "none")',
    "member.trust_score": "has(member.trust_score) && member.trust_score < 0.9",
    "member.capacity.tasks": "has(member.capacity.tasks) && member.capacity.tasks > 0",
}
"""A fact, and the ``when`` of a rule that reads it."""

REVIEWERS = [c.Principal(id=f"key:rev{number}", rights=("reviewer",)) for number in range(2)]


@cache
def policies(path: str, approvals: int) -> PolicySet:
    """Return a set whose one escalation reads the fact at *path*."""
    rules = (
        '  - {id: everybody, require: member.id != "nobody"}\n'
        f"  - id: asks\n    on: [place]\n    when: >-\n      {READS[path]}\n"
        f"    escalate: {{to: reviewer, approvals: {approvals}}}\n"
    )
    with TemporaryDirectory() as folder:
        text = kit.policy(rules, on="[register, place, retain]")
        return kit.load(Path(folder), text, LABELS)


def _value(world: World, path: str, member_id: str) -> Any:
    """Return the fact at *path* as it is now, as plain text."""
    labels = world.tools.policies("").labels
    packet, member = world.state.packets["p"], world.state.members[member_id]
    facts: Any = {
        "packet": packet_facts(packet, terms_facts(packet.terms, labels)),
        "member": member_facts(member, labels),
    }
    for step in path.split("."):
        facts = facts.get(step) if isinstance(facts, dict) else None
    return repr(facts)


@st.composite
def acts(draw: st.DrawFn) -> tuple[list[c.RegisterMember], c.SubmitPacket, list[tuple[str, Any]]]:
    """Draw two members, a packet, and what happens."""
    source = hostile.Drawn(draw)
    members = [
        c.RegisterMember(
            member_id=name, type="agent", region=hostile.one(source, hostile.REGIONS_ADMITTED),
            clearances=hostile.CLASSES_ADMITTED, trust_score="0.5",
            capabilities=tuple(c.Capability(name=n, version="1.5") for n in hostile.NAMES_ADMITTED),
            capacity=(("tasks", "3"),), labels=(("risk", "high"),),
        )
        for name in ("zoe", "Zo")
    ]  # fmt: skip
    amount = hostile.one(source, ("1", "2"))
    submit = c.SubmitPacket(
        packet_id="p", workload_type="w", lineage_id="l", priority=1, demand=(("cpu", "0.5"),),
        labels=(("a", "0.5"), ("amount", amount), ("risk", hostile.one(source, ("", "high")))),
    )  # fmt: skip
    steps: list[tuple[str, Any]] = [("review", (0, None)), ("review", (1, None))]
    kinds = (
        "review",
        "review",
        "update",
        "labels",
        "member",
        "trust",
        "tasks",
        "requeue",
        "handoff",
    )
    for _ in range(source.integer(2, 8)):
        kind = hostile.one(source, kinds)
        name = hostile.one(source, ("zoe", "Zo"))
        value: Any = name
        match kind:
            case "review":
                value = (source.integer(0, 1), hostile.one(source, (None, name)))
            case "update":
                value = hostile.update_packet(source, "p")
            case "labels":
                text = hostile.one(source, hostile.LABEL_VALUES_ADMITTED)
                value = (
                    ("a", hostile.one(source, ("0.5", "2.5"))),
                    ("amount", hostile.one(source, ("0", "7"))),
                    ("risk", text),
                )
            case "member":
                value = hostile.update_member(source, name)
            case "trust":
                value = (name, hostile.one(source, ("0.5", "0.6", "0.95")))
            case "tasks":
                value = (name, hostile.one(source, ("1", "3", "4")))
            case _:
                pass
        steps.append((kind, value))
    return members, submit, steps


def _do(world: World, kind: str, value: Any) -> None:
    match kind:
        case "review":
            world.do(world.review("p", member_id=value[1]), REVIEWERS[value[0]])
        case "update" | "member":
            world.do(canonical(value))
        case "labels":
            world.do(c.UpdatePacket(packet_id="p", labels=value))
        case "trust":
            world.do(c.AssessTrust(member_id=value[0], score=value[1]))
        case "tasks":
            world.do(c.UpdateMember(member_id=value[0], capacity=(("tasks", value[1]),)))
        case "requeue":
            world.do(c.RequeuePacket(packet_id="p"))
        case _:
            world.do(c.HandOff(packet_id="p", target=value))


@settings(
    max_examples=examples(80),
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(path=st.sampled_from(sorted(READS)), approvals=st.integers(1, 2), drawn=acts())
def test_review_no_fact_that_it_read_changes_under_an_owner(
    path: str,
    approvals: int,
    drawn: tuple[list[c.RegisterMember], c.SubmitPacket, list[tuple[str, Any]]],
) -> None:
    """A packet is owned under a review although a fact that the rule reads is not what the reviewer saw."""
    world = World(policy=policies(path, approvals))
    members, submit, steps = drawn
    for member in members:
        world.do(canonical(member))
    world.do(submit)
    seen: dict[int, dict[str, str]] = {}
    for kind, value in steps:
        reviews = {review.position for review in world.state.packets["p"].reviews}
        with suppress(PfgovError):
            _do(world, kind, value)
        for review in world.state.packets["p"].reviews:
            if review.position not in reviews:
                seen[review.position] = {m: _value(world, path, m) for m in ("zoe", "Zo")}
        world.settle()
        packet = world.state.packets["p"]
        if packet.owner is not None and packet.placed_under:
            used = [review for review in packet.reviews if review.position in packet.placed_under]
            assert len({review.reviewer for review in used}) >= approvals
            now = _value(world, path, packet.owner)
            assert {seen[review.position][packet.owner] for review in used} == {now}, (
                path,
                kind,
                value,
            )
