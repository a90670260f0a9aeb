"""One code path: what is recorded, what ``eval`` says of the state before it, and what a test on the same facts says.

Random sets of rules, fleets and histories.  Before each decision the facts of the state are written down as files; then
it is taken, and its verdict table is held against what ``eval`` answers from those files, and against a test file that
expects it.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support import policy_kit as kit
from support.searching import examples
from support.world import OPERATOR, World

from pfgov.app.views import VerdictRow, read_table
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide.asking import facts_of, question_of
from pfgov.core.decide.context import Context
from pfgov.core.lifecycle import OWNED
from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.errors import PfgovError
from pfgov.model.times import to_moment
from pfgov.policy.authoring import asking
from pfgov.policy.authoring.explain import explain
from pfgov.policy.authoring.testing.runner import run_directory
from pfgov.policy.judging.judge import PolicySet

BANK = (
    "{id: floor, require: member.trust_score >= 0.6}",
    "{id: hops, deny: packet.handoff_count > 1 && member.trust_score < 0.9}",
    "{id: before, deny: member.id in packet.previous_owners}",
    "{id: busy, require: member.load.active < 1}",
    "{id: proven, when: packet.priority > 500, require: member.reliability >= 0.5}",
    "{id: region, require: 'region_within(member.region, [\"eu\"])'}",
    "{id: stage, when: 'packet.labels.stage == \"late\"', deny: member.type == 'model'}",
    "{id: asks, when: packet.priority > 900, escalate: {to: reviewer}}",
    "{id: from, on: [handoff, accept], deny: source.type == 'human' && member.type == 'model'}",
    "{id: why, on: [handoff], deny: reason == 'drain'}",
    "{id: who, require: '\"operator\" in principal.rights'}",
    "{id: classes, require: 'packet.data_classes.all(k, k in member.clearances)'}",
    "{id: late, deny: now < timestamp('2020-01-01T00:00:00Z') || packet.epoch > 3}",
    "{id: tells, when: member.type == 'tool', obligations: [{type: notify, to: ops}]}",
)
JOIN = kit.policy(
    "  - {id: all, deny: member.id == 'nobody'}\n", name="join", on="[register, retain]"
)
SHADOW = kit.policy(
    "  - {id: strict, require: member.trust_score > 0.95}\n", name="watch", extra="mode: shadow\n"
)
LABELS = (
    "apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: '1'}\n"
    "packet: {stage: {type: string, set_by: [submitter, operator]}}\n"
)
SCORES = st.sampled_from([None, "0.1", "0.6", "0.89", "0.9", "0.96", "1"])
MEMBERS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["agent", "human", "model", "tool"]),
            "trust_score": SCORES,
            "region": st.sampled_from([None, "eu", "eu/fr", "us"]),
            "clearances": st.sampled_from([(), ("finance",), ("finance", "pii.email")]),
        }
    ),
    min_size=1,
    max_size=10,  # beyond the number from which members are judged as a fleet
)
PACKET = st.fixed_dictionaries(
    {
        "priority": st.sampled_from([0, 501, 901]),
        "data_classes": st.sampled_from([(), ("finance",), ("finance", "pii.email")]),
        "labels": st.sampled_from([(), (("stage", "late"),), (("stage", "early"),)]),
    }
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("evaluate"), st.integers(0, 9)),
        st.tuples(st.just("handoff"), st.sampled_from(["requested", "drain"])),
        st.tuples(st.just("place"), st.just(0)),
        st.tuples(st.just("assess"), st.integers(0, 9)),
        st.tuples(st.just("fail"), st.integers(0, 9)),
    ),
    min_size=1,
    max_size=6,
)


PHASES = [phase for phase in Phase if phase is not Phase.shrink]
"""An example writes files for each decision: what fails is printed as it was found."""


@dataclass(frozen=True)
class Before:
    """What a decision is about to be taken on, as plain JSON."""

    question: Question
    members: dict[str, dict[str, Any]]


Said = tuple[str, frozenset[str], frozenset[str], frozenset[str]]


@settings(max_examples=examples(25), deadline=None, phases=PHASES)
@given(
    rules=st.sets(st.sampled_from(BANK), min_size=1, max_size=6),
    members=MEMBERS,
    packet=PACKET,
    steps=STEPS,
)
def test_eval_and_tests_say_what_is_recorded(
    rules: set[str],
    members: list[dict[str, Any]],
    packet: dict[str, Any],
    steps: list[tuple[str, Any]],
) -> None:
    """Whatever the rules, the fleet and the history: three answers, one verdict a member, with the same reasons."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = kit.policy("".join(f"  - {rule}\n" for rule in sorted(rules)))
        files = {"p.policy.yaml": text, "join.policy.yaml": JOIN, "watch.policy.yaml": SHADOW}
        kit.write(folder, {**files, "labels.yaml": LABELS})
        policies = kit.load_directory(folder)
        world = World(policy=policies)
        for number, fields in enumerate(members):
            stated = {name: value for name, value in fields.items() if value is not None}
            world.do(c.RegisterMember(member_id=f"m-{number}", **stated))
        world.do(
            c.SubmitPacket(packet_id="p", workload_type="w", lineage_id="l", hold=True, **packet)
        )
        for step in [("place", 0), *steps]:
            _step(world, folder, policies, step)


def _step(world: World, folder: Path, policies: PolicySet, step: tuple[str, Any]) -> None:
    kind, argument = step
    packet = world.state.packets["p"]
    member = f"m-{argument}" if f"m-{argument}" in world.state.members else "m-0"
    action: c.Action
    match kind:
        case "assess":
            action = c.AssessTrust(member_id=member, score="0.9")
        case "fail":
            action = c.FailMember(member_id=member)
        case "evaluate":
            action = c.EvaluateDecision(packet_id="p", member_id=member)
        case "handoff":
            action = c.HandOff(packet_id="p", reason=argument)
        case _:
            action = c.PlacePacket(packet_id="p")
    reason = {"evaluate": "evaluated", "handoff": str(argument)}.get(kind)
    before = _before(world, action, packet.last_event if reason is None else reason)
    try:
        events = world.do(action)
    except PfgovError:
        return  # it is refused before anybody is judged: a dead owner, a packet that is owned or waits
    for event in events:
        decision = getattr(event, "decision", None)
        if isinstance(decision, e.Decision) and decision.point != "accept":
            rows = read_table(world.tables[decision.table], digest=decision.table)
            assert decision.point == before.question.point.value
            _agree(folder, policies, before, rows, {name for name, _ in decision.shadow})


def _before(world: World, action: c.Action, reason: str) -> Before:
    command = c.Command(id="before", principal=OPERATOR, do=action)  # type: ignore[arg-type]
    ctx = Context(world.state, command, world.now, world.tools)
    packet = world.state.packets["p"]
    last = packet.holder or packet.last_owner
    point = Point.ASSIGN if last is None else Point.HANDOFF
    source = None if last is None else world.state.members[last.member_id]
    if last is None and packet.status not in OWNED and not isinstance(action, c.EvaluateDecision):
        reason = ""
    policy = world.tools.policies("")
    question = question_of(ctx, policy, point, packet=packet, source=source, reason=reason)
    facts = {m.member_id: dict(facts_of(ctx, m, load=True)) for m in world.state.roster()}
    return Before(question, json.loads(json.dumps(facts)))


def _agree(
    folder: Path, policies: PolicySet, before: Before, rows: list[VerdictRow], shadow: set[str]
) -> None:
    question = before.question
    recorded = {row.member_id: _recorded(row) for row in rows}
    fixtures = {
        "apiVersion": "pfgov/v1",
        "kind": "Fixtures",
        "packets": {"p": question.packet},
        "members": before.members,
        "principals": {"asker": question.principal},
    }
    path = kit.write(folder, {"fixtures/all.yaml": json.dumps(fixtures)}) / "fixtures/all.yaml"
    source = str((question.source or {}).get("id", ""))
    asked = asking.ask(
        question.point.value,
        packet=asking.read_one(f"{path}#p", "packet"),
        source=asking.read_one(f"{path}#{source}", "source") if source else None,
        principal=asking.read_one(f"{path}#asker", "principal"),
        reason=question.reason,
        now=question.now,
    )
    evaluated = {
        member: explain(policies, asked, asking.read_one(f"{path}#{member}", "member")).verdict
        for member in recorded
    }
    said = {
        member: _said(verdict.outcome, [(r.name, r.effect, r.missing) for r in verdict.reasons])
        for member, verdict in evaluated.items()
    }
    assert said == recorded
    assert {r.name for verdict in evaluated.values() for r in verdict.shadow} >= shadow
    case = {
        "name": "as recorded",
        "action": question.point.value,
        "packet": "p",
        "members": sorted(recorded),
        "principal": "asker",
        "reason": question.reason,
        "now": to_moment(question.now),
        "expect": {member: _expected(one) for member, one in recorded.items()},
        **({"source": source} if source else {}),
    }
    test = {"apiVersion": "pfgov/v1", "kind": "PolicyTest", "cases": [case]}
    kit.write(folder, {"recorded.test.yaml": json.dumps(test)})
    report = run_directory(folder)
    assert [(item.member, item.problem) for item in report.failed] == []
    assert len(report.results) == len(recorded)


ENGINES_OWN = frozenset({"pfgov:capacity", "pfgov:pressure", "pfgov:lifecycle"})


def _recorded(row: VerdictRow) -> Said:
    """What policy said of a member: without room and ownership, which the engine adds to whom policy lets pass."""
    reasons = [(r.rule, r.effect, r.missing) for r in row.reasons if r.rule not in ENGINES_OWN]
    effects = {effect for _, effect, _ in reasons}
    outcome = next((word for word in ("deny", "escalate") if word in effects), "allow")
    return _said(outcome, reasons)


def _said(outcome: str, reasons: list[tuple[str, str, str | None]]) -> Said:
    def named(wanted: str) -> Iterator[str]:
        return (rule for rule, effect, _ in reasons if effect == wanted)

    missing = frozenset(path for _, _, path in reasons if path)
    return outcome, frozenset(named("deny")), frozenset(named("escalate")), missing


def _expected(said: Said) -> dict[str, Any]:
    outcome, denies, escalates, missing = said
    if outcome == "allow":
        return {"allow": True}
    found: dict[str, Any] = {"escalate": sorted(escalates)} if escalates else {}
    return {**found, "deny": sorted(denies), "missing": sorted(missing)} if denies else found
