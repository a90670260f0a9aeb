"""Whatever the fleet: judging by class gives the verdicts that judging one by one gives, also as members change."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hostile
from support import policy_kit as kit
from support.searching import examples

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy import PolicySet, from_document, load_directory, shipped_directory
from pfgov.policy.facts import LOAD_PATHS, shared_facts
from pfgov.policy.judging import judge
from pfgov.policy.judging.evaluator import paths_of
from pfgov.policy.judging.fleet import Fleet
from pfgov.policy.load import shipped_names

EVERYTHING = """
  - {id: floor, require: member.trust_score >= 0.6, message: "trust {member.trust_score}"}
  - {id: least, require: "packet.policy_constraints.minimum_trust_score <= member.trust_score"}
  - {id: not-over, deny: "!(member.reliability <= 0.8)", message: "{member.reliability} of {packet.priority}"}
  - {id: busy, deny: member.load.active > 2, message: "{member.load.active} at {member.load.pressure}"}
  - {id: pressed, require: member.load.pressure < 0.5 || member.type == "human"}
  - {id: late, deny: 'now >= timestamp("2026-01-01T00:00:00Z") && member.type == "tool"'}
  - {id: hops, require: packet.handoff_count < 4 || member.trust_score > 0.8}
  - {id: owners, deny: member.id in packet.previous_owners}
  - {id: source, on: [handoff, accept], when: has(source.region), require: source.region != member.region}
  - id: idler
    on: [handoff, accept]
    when: "source.load.active > 1"
    require: member.load.active <= source.load.active
  - {id: region, require: 'member.region.startsWith("eu") || packet.labels["stage"] == "low"'}
  - {id: classes, require: "packet.data_classes.all(c, c in member.clearances)"}
  - {id: who, deny: 'principal.id == member.id || reason == "odd"'}
  - {id: asks, when: "member.incarnation > 2", escalate: {to: reviewer, expires: 1h}}
  - {id: asks-more, when: '"risk" in packet.labels && member.type == "model"', escalate: {to: operator}}
  - id: hides
    when: member.type in ["model", "tool"] && member.load.active > 0
    obligations: [{type: redact, paths: [/a]}, {type: notify, to: dpo}]
  - {id: tells, when: 'member.region == "eu-west"', obligations: [{type: notify, to: dpo}, {type: redact, paths: [/b]}]}
"""
SHADOW = """
  - {id: strict, require: member.trust_score >= 0.9, message: "{member.trust_score} {packet.priority}"}
  - {id: idle, require: member.load.cpu < 1.0}
"""
WORDS = st.sampled_from(
    [
        *("eu-west", "eu-west/fr", "us-east", "pii", "pii.email", "m-1", ""),
        *hostile.IDS_ADMITTED,
        *hostile.CLASSES_REFUSED,
        *hostile.REGIONS_ADMITTED,
    ]
)
SCORES = st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.8, 0.9, 1.0])
CHANGES = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["m-1", "m-2", "local", "m-9", "M-1", "m_1", "keys:1"]),
        "type": st.sampled_from(["agent", "human", "tool", "model"]),
        "clearances": st.lists(WORDS, max_size=3),
        "capability_versions": st.dictionaries(WORDS, st.sampled_from(["", "1.0", "2.1"]), max_size=2),
        "status": st.sampled_from(["ACTIVE", "ACTIVE", "SUSPECT", "QUARANTINED"]),
        "reliability": SCORES,
        "incarnation": st.integers(1, 4),
        "trust_score": st.one_of(SCORES, st.just(...)),
        "region": st.one_of(WORDS, st.just(...)),
        "load": st.fixed_dictionaries(
            {"active": st.integers(0, 4), "cpu": SCORES, "memory": SCORES, "pressure": SCORES}
        ),
    }
)  # fmt: skip
MEMBERS = CHANGES.map(lambda changes: kit.member(**changes))
PACKETS = st.fixed_dictionaries(
    {
        "priority": st.integers(0, 3),
        "data_classes": st.lists(WORDS, max_size=2),
        "required_capabilities": st.lists(st.sampled_from(["eu-west", "pii>=1.5"]), max_size=1),
        "labels": st.dictionaries(
            st.sampled_from(["stage", "risk", "residency", "Stage"]),
            st.sampled_from(["low", "eu", *hostile.LABEL_VALUES_ADMITTED]),
            max_size=2,
        ),
        "handoff_count": st.integers(0, 5),
        "previous_owners": st.lists(st.sampled_from(["m-1", "m-2"]), max_size=2),
        "policy_constraints": st.fixed_dictionaries(
            {"pii_review_required": st.booleans()},
            optional={"minimum_trust_score": SCORES, "allowed_regions": st.lists(WORDS, max_size=2)},
        ),
    }
).map(lambda changes: kit.packet(**changes))  # fmt: skip
POINTS = [Point.ASSIGN, Point.HANDOFF, Point.ACCEPT, Point.RETAIN]


@cache
def everything(*, generated: bool = True) -> PolicySet:
    """Return a set whose rules read all that a rule can read, in all kinds."""
    with TemporaryDirectory() as folder:
        return kit.load(
            Path(folder),
            kit.policy(EVERYTHING),
            kit.policy(SHADOW, name="shadow", extra="mode: shadow\n"),
            kit.labels("stage", "risk"),
            generated=generated,
            is_sound=False,  # a last owner is read where there is none, so that it is missing
        )


@cache
def pack(name: str, *, generated: bool = True) -> PolicySet:
    """Return a shipped set, or the one that reads everything."""
    if name == "everything":
        return everything(generated=generated)
    shipped = load_directory(shipped_directory(name))
    return shipped if generated else from_document(shipped.document)


def ask(point: Point, work: kit.Facts, source: kit.Facts | None) -> Question:
    """Return a question about *work*."""
    return kit.question(point, work=work, source=source)


def check(policies: PolicySet, fleet: Fleet, point: Point, question: Question,
          members: list[kit.Facts]) -> None:  # fmt: skip
    """Hold the verdicts by class against the ones taken one by one."""
    plain = policies.judges[point].verdicts(shared_facts(question), members, validated=True)
    assert fleet.kinds(question, members).each() == plain


@pytest.mark.parametrize("name", [*shipped_names(), "everything"])
@pytest.mark.parametrize("generated", [True, False])
@settings(max_examples=examples(25), deadline=None)
@given(
    data=st.data(),
    point=st.sampled_from(POINTS),
    members=st.lists(MEMBERS, min_size=1, max_size=12),
)
def test_a_class_is_judged_as_its_members_are(
    name: str, generated: bool, data: st.DataObject, point: Point, members: list[kit.Facts]
) -> None:
    """A fleet judged by class, over several packets and changes of members, gives other verdicts than one by one."""
    policies = pack(name, generated=generated)
    fleet = policies.fleet(point)
    for _ in range(data.draw(st.integers(1, 5))):
        step = data.draw(st.sampled_from(["same", "change", "leave", "join", "load"]))
        at = data.draw(st.integers(0, len(members) - 1))
        if step == "change":
            members[at] = data.draw(MEMBERS)
        elif step == "leave" and len(members) > 1:
            del members[at]
        elif step == "join":
            members.insert(at, data.draw(MEMBERS))
        elif step == "load":  # the engine renews these in the same record
            members[at]["load"] = data.draw(MEMBERS)["load"]
            members[at]["reliability"] = data.draw(SCORES)
        question = ask(point, data.draw(PACKETS), data.draw(st.none() | MEMBERS))
        for _ in range(data.draw(st.integers(1, 3))):  # a second time what was remembered answers
            check(policies, fleet, point, question, list(members))


def many(size: int, seed: int) -> list[kit.Facts]:
    """Return *size* members with few values of most facts and many of one."""
    draw = random.Random(seed)
    return [
        kit.member(
            id=f"m-{index}",
            trust_score=draw.randrange(1_000) / 1_000,
            region=draw.choice(["eu-west", "us-east"]),
            type=draw.choice(["agent", "model", "tool"]),
            reliability=draw.choice([0.5, 0.7, 0.9]),
            load={
                "active": draw.randrange(4),
                "cpu": draw.choice([0.5, 2.0]),
                "memory": 0.0,
                "pressure": draw.choice([0.1, 0.7]),
            },
        )
        for index in range(size)
    ]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("generated", [True, False])
def test_what_is_said_of_loads_is_what_they_are(point: Point, *, generated: bool) -> None:
    """A load that the engine renewed in the same record is told as it was when it was first seen."""
    policies, draw = pack("everything", generated=generated), random.Random(11)
    fleet, members = policies.fleet(point), many(30, 2)
    for turn in range(12):
        question = ask(point, kit.packet(priority=turn % 2, handoff_count=turn % 5), None)
        check(policies, fleet, point, question, members)
        for member in members:
            if draw.random() < 0.5:
                load = {name: draw.random() for name in ("cpu", "memory", "pressure")}
                member["load"] = {"active": draw.randrange(9), **load}
                member["reliability"] = draw.random()


def test_what_is_remembered_stays_bounded_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that keep changing and new packets fill the memory, or verdicts go wrong when it is full."""
    monkeypatch.setattr("pfgov.policy.judging.columns.COLUMN_OUTCOMES_MAX", 64)
    monkeypatch.setattr("pfgov.policy.judging.columns.COLUMN_KEYS_MAX", 8)
    policies, draw = pack("everything"), random.Random(5)
    for point in (Point.ASSIGN, Point.RETAIN):
        fleet, members = policies.fleet(point), many(30, 1)
        for turn in range(60):
            for index in range(10):
                members[draw.randrange(30)] = many(1, turn * 100 + index)[0]
            work = kit.constraints(minimum_trust_score=draw.randrange(20) / 20)
            check(policies, fleet, point, ask(point, work, None), list(members))
        assert len(fleet._classes) <= 2 * 30 + 16
        for column in fleet._columns:
            assert column.size <= 2 * 30 + 16
            assert column._remembered <= 64 + 30
            assert len(column._asked) <= 8


def reads() -> list[tuple[str, tuple[str, ...]]]:
    """Return every (rule, fact of a candidate) of the set that reads everything."""
    rules = everything().judges[Point.ASSIGN].rules
    return sorted(
        (rule.name, path)
        for rule in rules
        for path in paths_of(rule)
        if path[0] == "member" and rule.rule.kind != "oblige"
    )


def _differs(policies: PolicySet, members: list[kit.Facts]) -> bool:
    fleet = policies.fleet(Point.ASSIGN)
    draw = random.Random(7)
    for _ in range(25):
        work = kit.packet(
            handoff_count=draw.randrange(6),
            labels=draw.choice([{"risk": "low"}, {"stage": "low"}, {}]),
            data_classes=draw.choice([["pii"], []]),
            required_capabilities=draw.choice([["ocr"], []]),
            previous_owners=draw.choice([["m-1", "m-2"], []]),
            policy_constraints={
                "pii_review_required": False,
                "minimum_trust_score": draw.random(),
                "allowed_regions": ["eu-west"],
            },
        )
        question = ask(Point.ASSIGN, work, draw.choice([None, *members[:9]]))
        plain = policies.judges[Point.ASSIGN].verdicts(
            shared_facts(question), members, validated=True
        )
        if fleet.kinds(question, members).each() != plain:
            return True
    return False


@cache
def varied() -> list[kit.Facts]:
    """Return sixty members among which every fact varies by itself."""
    draw = random.Random(3)
    return [
        kit.member(**{
            **member,
            "id": draw.choice(["m-1", "m-2", "m-3", "local"]),
            "status": draw.choice(["ACTIVE", "SUSPECT"]),
            "clearances": draw.choice([[], ["pii"]]),
            "incarnation": draw.choice([1, 3]),
            "capabilities": draw.choice([[], ["ocr"]]),
            "capability_versions": draw.choice([{}, {"ocr": "1.0"}]),
            "type": draw.choice(["agent", "human", "model", "tool"]),
        })
        for member in many(60, 2)
    ]  # fmt: skip


def test_a_key_with_all_facts_gives_the_verdicts() -> None:
    """The questions of the next test find a difference where there is none."""
    assert not _differs(everything(), varied())


@pytest.mark.parametrize(("rule", "path"), reads())
def test_a_fact_forgotten_in_the_key_is_caught(
    rule: str, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class key that leaves out one fact that one rule reads would pass unseen."""
    real: Callable[..., set[tuple[str, ...]]] = judge.paths_of
    monkeypatch.setattr(
        judge, "paths_of", lambda r: real(r) - ({path} if r.name == rule else set())
    )
    assert _differs(everything(), varied())


def test_a_load_remembered_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classing by a load, which changes inside a member's record, would pass unseen."""
    assert {path[1] for _, path in reads()} >= LOAD_PATHS
    monkeypatch.setattr("pfgov.policy.judging.columns.LOAD_PATHS", frozenset())
    policies, members = everything(), many(9, 4)
    fleet = policies.fleet(Point.ASSIGN)
    question = ask(Point.ASSIGN, kit.packet(), None)
    check(policies, fleet, Point.ASSIGN, question, members)
    members[0]["load"] = {"active": 9, "cpu": 0.0, "memory": 0.0, "pressure": 1.0}
    with pytest.raises(AssertionError):
        check(policies, fleet, Point.ASSIGN, question, members)
