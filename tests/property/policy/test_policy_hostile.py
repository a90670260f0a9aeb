"""Whatever members, packets, labels and askers are called: the engine, ``eval`` and a test say the same everywhere.

Histories are drawn from the hostile generators that the tests of the rules and of the border share.  Everything that
the engine asks of policy in one is overheard, written down as fixtures, and asked again as an author asks: through
files, by ``eval`` and by a test that expects just that.  What is on record of it has to be what was said.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import hostile
from support import policy_kit as kit
from support.searching import examples
from support.world import World

from pfgov.app.views import read_table
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.canonical import canonical
from pfgov.core.decide.context import Context
from pfgov.core.decide.guarding import PolicyDeniedError, guard
from pfgov.core.policy_port import Kinds, Question
from pfgov.core.verdicts import GUARDING as GUARDING_POINTS
from pfgov.core.verdicts import Point, Verdict, combine
from pfgov.errors import PfgovError
from pfgov.model.times import to_moment
from pfgov.policy.authoring import asking
from pfgov.policy.authoring.explain import explain
from pfgov.policy.authoring.testing.runner import run_directory
from pfgov.policy.cel.times import format_timestamp
from pfgov.policy.cel.values import Timestamp
from pfgov.policy.judging.judge import PolicySet

Facts = Mapping[str, Any]

LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  risk: {type: string, set_by: [submitter, operator], change: rights}
  amount: {type: int, set_by: [submitter, operator], change: rights}
  a: {type: double, set_by: [submitter, operator], change: rights}
  "0": {type: bool, set_by: [submitter, operator], change: rights}
  z: {type: timestamp, set_by: [submitter, operator], change: rights}
member:
  risk: {type: string, set_by: [operator, member], change: rights}
"""
PLACING = (
    "{id: floor, require: member.trust_score >= 0.1}",
    "{id: own, deny: member.id in principal.members || member.id == principal.id}",
    '{id: alice, deny: \'member.id == "alice" || member.id in ["M", "zoe"]\'}',
    "{id: pii, require: 'packet.data_classes.all(k, !class_within(k, \"pii\") || k in member.clearances)'}",
    "{id: eu, when: has(member.region), deny: 'region_within(member.region, [\"eu\"])'}",
    "{id: amount, when: '\"amount\" in packet.labels', require: packet.labels.amount < 5}",
    "{id: due, when: '\"z\" in packet.labels', deny: packet.labels.z < now}",
    '{id: urgent, when: \'"0" in packet.labels && packet.labels["0"]\', escalate: {to: reviewer}}',
    "{id: ratio, when: '\"a\" in packet.labels', deny: packet.labels.a > 0.5}",
    "{id: risk, when: '\"risk\" in packet.labels', escalate: {to: reviewer, approvals: 2}}",
    "{id: alike, deny: 'packet.labels.exists(n, n == \"risk\" && n in member.labels)'}",
    "{id: asks, when: packet.priority > 0, escalate: {to: reviewer}}",
    "{id: reviewed, deny: 'packet.reviews.exists(r, r.startsWith(\"oidc:\"))'}",
    "{id: skilled, require: 'packet.required_capabilities.all(r, capability_match(r, member.capability_versions))'}",
    "{id: mode, on: [accept], deny: member.load.active > 1}",
    "{id: tells, when: 'member.type == \"human\"', obligations: [{type: notify, to: ops}]}",
)
GUARDING = (
    '{id: submits, on: [submit], deny: \'packet.packet_id == "m1" || principal.id.startsWith("oidc:")\'}',
    "{id: changes, on: [update], deny: 'packet.priority < before.priority'}",
    '{id: relabels, on: [update], require: \'!("risk" in before.labels) || "risk" in packet.labels\'}',
    "{id: moves, on: [update_member], require: '!has(before.region) || has(member.region)'}",
    "{id: cleared, on: [update_member], require: member.clearances.size() <= before.clearances.size() + 2}",
    "{id: agrees, on: [review], require: '!(principal.id in packet.reviews) && review.approvals < 3'}",
    "{id: takes, on: [export], deny: 'export.kind == \"subject\" && packet.priority > 0'}",
    "{id: makes, on: [activate], require: 'principal.rights.size() > 0 && \"p\" in activation.policies'}",
    "{id: ends, on: [complete], deny: '\"amount\" in packet.labels && packet.labels.amount > 90'}",
)
OTHER_NAME = "e" * 64
"""The same set under another digest, so that it can take its own place."""

KINDS = (
    "place",
    "handoff",
    "review",
    "review",
    "update",
    "member",
    "accept",
    "complete",
    "export",
    "activate",
)
GUARDS = "[submit, update, update_member, review, complete, export, activate]"
BASE = "{id: all, deny: member.id == 'nobody'}"
TYPED = {"0": ("true", "false"), "a": ("0", "0.25", "1e3"), "amount": ("0", "4", "91"),
         "z": ("2020-01-01T00:00:00Z", "2030-12-01T00:00:00+02:00")}  # fmt: skip


class Overheard:
    """A policy set that notes what it is asked and what it says."""

    def __init__(self, policies: PolicySet) -> None:
        self.inner = policies
        self.heard: list[tuple[Question, list[Facts], list[Verdict]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def judge_one(
        self, question: Question, member: Facts | None = None, *, validated: bool = False
    ) -> Verdict:
        """Judge one, and note it."""
        said = self.inner.judge_one(question, member, validated=validated)
        self.note(question, [member or {}], [said])
        return said

    def judge(
        self, question: Question, members: Sequence[Facts], *, validated: bool = False
    ) -> list[Verdict]:
        """Judge each, and note it."""
        said = self.inner.judge(question, members, validated=validated)
        self.note(question, members, said)
        return said

    def fleet(self, point: Point) -> "OverheardFleet":
        """Return what judges a fleet, overheard too."""
        return OverheardFleet(self, self.inner.fleet(point))

    def note(self, question: Question, members: Sequence[Facts], said: Sequence[Verdict]) -> None:
        """Keep the facts as they are now: the engine renews some of them in place."""
        copied = Question(
            question.point, question.action, _plain(question.packet), _plain(question.source),
            _plain(question.principal), question.reason, question.now,
            {root: _plain(facts) for root, facts in question.more.items()},
        )  # fmt: skip
        self.heard.append((copied, [_plain(one) for one in members], list(said)))


class OverheardFleet:
    """Judges a fleet by class, and notes what was said."""

    def __init__(self, overheard: Overheard, fleet: Any) -> None:
        self.overheard, self.inner = overheard, fleet

    def kinds(self, question: Question, members: Sequence[Facts]) -> Kinds:
        """Judge, and note it."""
        found: Kinds = self.inner.kinds(question, members)
        self.overheard.note(question, members, found.each())
        return found


def _plain(value: Any) -> Any:
    """Return facts as an author writes them: labels are texts, whatever they are declared as."""
    if isinstance(value, Mapping):
        found: dict[str, Any] = {}
        for name, inner in value.items():
            found[name] = (
                {n: _text(v) for n, v in inner.items()} if name == "labels" else _plain(inner)
            )
        return found
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Timestamp):
        return format_timestamp(value)
    return str(getattr(value, "text", value))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[c.Action], list[tuple[str, c.Principal, Any]]]:
    """Draw who joins, one packet, and what is done to it by whom."""
    source = hostile.Drawn(draw)
    names = hostile.some(source, hostile.IDS_ADMITTED, 10) or ("m",)
    joins: list[c.Action] = [hostile.register(source, name) for name in names]
    packet_id = hostile.one(source, hostile.IDS_ADMITTED)
    work = hostile.submit(source, packet_id)
    typed = {
        name: hostile.one(source, values)
        for name, values in TYPED.items()
        if hostile.chance(source, 30)
    }
    others = {n: v for n, v in work.labels if n not in TYPED or n == "risk"}
    labels = tuple(sorted({**others, **typed}.items()))
    steps: list[tuple[str, c.Principal, Any]] = []
    for _ in range(source.integer(1, 6)):
        kind = hostile.one(source, KINDS)
        asker = hostile.principal(source, names)
        given: Any = None
        if kind == "update":
            given = hostile.update_packet(source, packet_id)
        elif kind == "member":
            given = hostile.update_member(source, hostile.one(source, names))
        elif kind == "review":
            given = hostile.chance(source, 80)
        steps.append((kind, asker, given))
    submit = c.SubmitPacket(
        packet_id=packet_id, workload_type=work.workload_type, lineage_id="l", labels=labels,
        required_capabilities=work.required_capabilities, data_classes=work.data_classes,
        constraints=work.constraints, priority=work.priority, demand=work.demand,
    )  # fmt: skip
    return [*joins, submit], steps


@settings(
    max_examples=examples(10),
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(
    rules=st.sets(st.sampled_from(PLACING), max_size=6),
    guards=st.sets(st.sampled_from(GUARDING), max_size=4),
    history=histories(),
)
def test_hostile_whatever_is_asked_eval_and_tests_say_the_same(
    rules: set[str],
    guards: set[str],
    history: tuple[list[c.Action], list[tuple[str, c.Principal, Any]]],
) -> None:
    """A verdict of the engine, at any decision point, is not what ``eval`` or a test says on the same facts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        placing = kit.policy("".join(f"  - {r}\n" for r in [BASE, *sorted(rules)]))
        join = kit.policy(f"  - {BASE}\n", name="join", on="[register, retain]")
        kit.write(
            folder, {"p.policy.yaml": placing, "join.policy.yaml": join, "labels.yaml": LABELS}
        )
        if guards:
            text = kit.policy(
                "".join(f"  - {r}\n" for r in sorted(guards)), name="guards", on=GUARDS
            )
            kit.write(folder, {"guards.policy.yaml": text})
        overheard = Overheard(kit.load_directory(folder))
        world = World(policy=overheard)  # type: ignore[arg-type]
        begin, steps = history
        for action in begin:
            _take(world, overheard, canonical(action), c.LOCAL_OPERATOR)
        packet_id = begin[-1].packet_id  # type: ignore[attr-defined]
        for kind, asker, given_ in steps:
            if packet_id in world.state.packets:
                if kind == "export":
                    _take_out(world, packet_id, asker)
                    continue
                action = _action(world, packet_id, kind, given_)
                if action is not None:
                    _take(world, overheard, canonical(action), asker)
                    world.settle()
        _same(folder, overheard)


def _action(world: World, packet_id: str, kind: str, given_: Any) -> c.Action | None:
    packet = world.state.packets[packet_id]
    match kind:
        case "place":
            return c.PlacePacket(packet_id=packet_id)
        case "handoff":
            return c.HandOff(packet_id=packet_id)
        case "review":
            return world.review(packet_id, granted=given_)
        case "accept" if packet.pending is not None:
            return c.AcceptHandoff(
                packet_id=packet_id, member_id=packet.pending.target,
                incarnation=packet.pending.incarnation, handoff=packet.pending.position,
            )  # fmt: skip
        case "complete" if packet.owner is not None:
            return c.CompletePacket(packet_id=packet_id, owner=world.claim(packet_id))
        case "activate":
            digest = OTHER_NAME if world.state.policy != OTHER_NAME else world.policy.digest
            return c.ActivatePolicy.of(digest, tuple(world.policy.policies), world.policy.points)
        case "update" | "member":
            return given_  # type: ignore[no-any-return]
        case _:
            return None


def _take(world: World, overheard: Overheard, action: c.Action, asker: c.Principal) -> None:
    """Do it; what is refused or recorded is what policy said of it."""
    heard, entries = len(overheard.heard), len(world.entries)
    refusal: PfgovError | None = None
    try:
        world.do(action, asker)
    except PfgovError as error:
        refusal = error
    said = overheard.heard[heard:]
    if isinstance(refusal, PolicyDeniedError) and refusal.event is not None:
        question, _, (verdict,) = said[-1]
        assert verdict.outcome != "allow"
        assert refusal.event.point == question.point.value
        assert set(refusal.rules) == {reason.name for reason in verdict.reasons}
    for _, event in world.entries[entries:]:
        _was_asked(event, overheard.inner, said)
        decision = getattr(event, "decision", None)
        if isinstance(decision, e.Decision) and decision.table:
            _recorded(world, decision, said)


POINT_OF: Mapping[str, Point] = {
    "member_registered": Point.REGISTER, "packet_created": Point.SUBMIT, "packet_updated": Point.UPDATE,
    "member_updated": Point.UPDATE_MEMBER, "review_recorded": Point.REVIEW, "packet_completed": Point.COMPLETE,
    "policy_activated": Point.ACTIVATE, "handoff_completed": Point.ACCEPT,
}  # fmt: skip
"""What is on record -> the point at which policy was asked, and let it pass.  A first owner and the target of a handoff
have their verdict in the entry itself."""


def _was_asked(
    event: e.Event, policies: PolicySet, said: list[tuple[Question, list[Facts], list[Verdict]]]
) -> None:
    """Check that what was done was asked where the set covers it, and let pass."""
    point = POINT_OF.get(event.type)
    if point is None or point.value not in policies.points:
        return
    outcomes = {
        v.outcome for question, _, verdicts in said for v in verdicts if question.point is point
    }
    assert outcomes & {"allow", "escalate"}, (event.type, outcomes)


def _take_out(world: World, packet_id: str, asker: c.Principal) -> None:
    """Ask as a door of exports asks (:mod:`pfgov.engine.reading.guarding`); that it does, the doors' test shows."""
    command = c.Command(id="export", principal=asker, do=c.CommitIndex())
    more = {"export": {"kind": "subject", "subject": f"packet/{packet_id}"}}
    with suppress(PolicyDeniedError):
        guard(
            Context(world.state, command, world.now, world.tools),
            Point.EXPORT,
            packet=world.state.packets[packet_id],
            more=more,
        )


def _recorded(
    world: World, decision: e.Decision, said: list[tuple[Question, list[Facts], list[Verdict]]]
) -> None:
    """Hold a verdict table against what was said: a denial stands there, and escalations, but for those agreed to."""
    by_member: dict[str, set[frozenset[str]]] = {}
    for question, members, verdicts in said:
        if question.point.value == decision.point:
            for member, verdict in zip(members, verdicts, strict=True):
                denies = frozenset(r.name for r in verdict.reasons if r.effect == "deny")
                by_member.setdefault(str(member["id"]), set()).add(denies)
    with suppress(KeyError):
        for row in read_table(world.tables[decision.table], digest=decision.table):
            denies = frozenset(
                r.rule for r in row.reasons if r.effect == "deny" and r.rule not in ENGINES_OWN
            )
            assert row.member_id not in by_member or denies in by_member[row.member_id]


ENGINES_OWN = frozenset({"pfgov:capacity", "pfgov:pressure", "pfgov:lifecycle"})


def _same(folder: Path, overheard: Overheard) -> None:
    """Write down everything that was asked, and ask it again by ``eval`` and by one test file."""
    fixtures: dict[str, dict[str, Any]] = {"packets": {}, "members": {}, "principals": {}}
    cases: list[dict[str, Any]] = []
    asked: list[tuple[Question, list[str], list[Verdict], dict[str, str]]] = []
    unique: set[str] = set()
    for question, members, verdicts in overheard.heard:
        key = repr((question, members))
        if key in unique:
            continue
        unique.add(key)
        at = f"c{len(asked)}"
        names = [f"{at}-{number}" for number in range(len(members))] if members[0] else []
        fixtures["members"] |= dict(zip(names, members, strict=False))
        roots: dict[str, str] = {"principal": at}
        fixtures["principals"][at] = question.principal
        if question.packet is not None:
            fixtures["packets"][at] = question.packet
            roots["packet"] = at
        if question.source is not None:
            fixtures["members"][f"{at}-source"] = question.source
            roots["source"] = f"{at}-source"
        if (before := question.more.get("before")) is not None:
            kind = "packets" if question.point is Point.UPDATE else "members"
            fixtures[kind][f"{at}-before"] = before
            roots["before"] = f"{at}-before"
        cases.append(_case(question, at, names, verdicts, roots))
        asked.append((question, names, verdicts, roots))
    head = {"apiVersion": "pfgov/v1"}
    kit.write(folder, {
        "fixtures/all.yaml": json.dumps({**head, "kind": "Fixtures", **fixtures}),
        "heard.test.yaml": json.dumps({**head, "kind": "PolicyTest", "cases": cases}),
    })  # fmt: skip
    report = run_directory(folder)
    assert [(one.case, one.member, one.problem) for one in report.failed] == []
    _evaluated(folder / "fixtures/all.yaml", fixtures, asked, overheard.inner)


def _case(
    question: Question, at: str, names: list[str], verdicts: list[Verdict], roots: dict[str, str]
) -> dict[str, Any]:
    more = {root: facts for root, facts in question.more.items() if root != "before"}
    expected = [_expected(verdict) for verdict in verdicts]
    no_source = {"source": None} if question.point in {Point.HANDOFF, Point.ACCEPT} else {}
    return {
        "name": at,
        "action": question.point.value,
        "reason": question.reason,
        "now": to_moment(question.now),
        **no_source,
        **roots,
        **more,
        **({"members": names} if names else {}),
        "expect": dict(zip(names, expected, strict=True)) if names else expected[0],
    }


def _expected(verdict: Verdict) -> Any:
    denies = sorted({r.name for r in verdict.reasons if r.effect == "deny"})
    escalates = sorted({r.name for r in verdict.reasons if r.effect == "escalate"})
    if verdict.outcome == "allow":
        return {"allow": True, "obligations": sorted({o.type for o in verdict.obligations})}
    missing = sorted({r.missing for r in verdict.reasons if r.missing is not None})
    found: dict[str, Any] = {"escalate": escalates} if escalates else {}
    return {**found, "deny": denies, "missing": missing} if denies else found


def _evaluated(
    path: Path,
    fixtures: dict[str, dict[str, Any]],
    asked: list[tuple[Question, list[str], list[Verdict], dict[str, str]]],
    policies: PolicySet,
) -> None:
    """Ask each again with the facts that ``eval`` reads from the file."""
    read = {
        plural: dict(zip(fixtures[plural], (f for _, f in asking.read_many(str(path), root)), strict=True))
        for plural, root in (("packets", "packet"), ("members", "member"), ("principals", "principal"))
        if fixtures[plural]
    }  # fmt: skip
    for question, names, verdicts, roots in asked:
        more = {root: dict(facts) for root, facts in question.more.items()}
        if "before" in roots:
            kind = "packets" if question.point is Point.UPDATE else "members"
            more["before"] = read[kind][roots["before"]]
        again = asking.ask(
            question.point.value,
            packet=read["packets"][roots["packet"]] if "packet" in roots else None,
            source=read["members"][roots["source"]] if "source" in roots else None,
            principal=read["principals"][roots["principal"]],
            reason=question.reason,
            now=question.now,
            more=more,
        )
        for name, verdict in zip(names or [""], verdicts, strict=True):
            member = read["members"][name] if name else {}
            assert explain(policies, again, member).verdict == verdict, (question, name)


# --- an engine that does something else -----------------------------------------------------------


class Deaf(Overheard):
    """A set that does not tell the engine of one guarding point, as an engine that forgets to ask there."""

    def __init__(self, policies: PolicySet, point: Point) -> None:
        super().__init__(policies)
        self.guards = policies.guards - {point}


class Partial(Overheard):
    """A set of which the engine asks all policies but one."""

    def __init__(self, policies: PolicySet, policy: str) -> None:
        super().__init__(policies)
        self.left_out = f"{policy}/"

    def note(self, question: Question, members: Sequence[Facts], said: Sequence[Verdict]) -> None:
        """Note what an engine that left a policy out would have said."""
        less = [
            combine(
                tuple(r for r in one.reasons if not r.name.startswith(self.left_out)),
                one.obligations,
            )
            for one in said
        ]
        super().note(question, members, less)


SCRIPT: tuple[tuple[str, Any], ...] = (
    ("update", c.UpdatePacket(packet_id="p", priority=7)),
    ("member", c.UpdateMember(member_id="m1", weight=2)),
    ("place", None),
    ("review", True),
    ("place", None),
    ("handoff", None),
    ("accept", None),
    ("export", None),
    ("activate", None),
    ("complete", None),
)
ALL = "".join(
    f"  - {{id: r{number}, on: [{point}], deny: 'principal.id == \"nobody\"'}}\n"
    for number, point in enumerate(Point)
)
OWN = "  - {id: own, on: [assign], require: member.id != 'm0'}\n"


def _scripted(folder: Path, make: Callable[[PolicySet], Overheard]) -> Overheard:
    """Do a little of everything under a set that asks at every point."""
    asks = "  - {id: asks, on: [place], when: packet.priority > 6, escalate: {to: reviewer}}\n"
    kit.write(
        folder,
        {
            "all.policy.yaml": kit.policy(ALL + asks, name="all", on=f"[{', '.join(Point)}]"),
            "own.policy.yaml": kit.policy(OWN, name="own", on="[assign]"),
        },
    )
    overheard = make(kit.load_directory(folder))
    world = World(policy=overheard)  # type: ignore[arg-type]
    for name in ("m0", "m1", "m2"):
        join = c.RegisterMember(member_id=name, type="agent", handoff_mode="accept")
        _take(world, overheard, join, c.LOCAL_OPERATOR)
    _take(
        world,
        overheard,
        c.SubmitPacket(packet_id="p", workload_type="w", lineage_id="l", hold=True),
        c.LOCAL_OPERATOR,
    )
    for kind, given_ in SCRIPT:
        if kind == "export":
            _take_out(world, "p", c.LOCAL_OPERATOR)
        elif (action := _action(world, "p", kind, given_)) is not None:
            _take(world, overheard, canonical(action), c.LOCAL_OPERATOR)
            world.settle()
    return overheard


def test_hostile_every_point_is_heard(tmp_path: Path) -> None:
    """A decision point at which nothing is ever compared is one at which anything may be said."""
    overheard = _scripted(tmp_path, Overheard)
    assert {question.point for question, _, _ in overheard.heard} == set(Point)
    _same(tmp_path, overheard)


@pytest.mark.parametrize("point", sorted({*POINT_OF.values()}.intersection(GUARDING_POINTS)))
def test_hostile_an_engine_that_does_not_ask_is_caught(tmp_path: Path, point: Point) -> None:
    """What was done without having been asked is noticed by the property above."""
    with pytest.raises(AssertionError, match=r"set\(\)"):
        _scripted(tmp_path, lambda policies: Deaf(policies, point))


def test_hostile_an_engine_that_leaves_a_policy_out_is_caught(tmp_path: Path) -> None:
    """A verdict without the reasons of one policy is not what `eval` and a test say."""
    with pytest.raises(AssertionError, match="own/own"):
        _same(tmp_path, _scripted(tmp_path, lambda policies: Partial(policies, "own")))
