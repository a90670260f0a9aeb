"""Whatever the facts: generated code equals the exact evaluator, and order changes nothing."""

import random
from collections.abc import Mapping
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import hostile
from support import policy_kit as kit
from support.searching import examples

from pfgov.core.verdicts import Point, Verdict
from pfgov.policy import PolicySet, from_document, load_directory, shipped_directory
from pfgov.policy.compile import compile_set
from pfgov.policy.files.document import decode
from pfgov.policy.load import shipped_names

PACKS = shipped_names()

WORDS = st.sampled_from(
    [
        *(
            "a",
            "eu-west",
            "eu-west/fr",
            "us-east",
            "us-east/1a",
            "pii",
            "pii.email",
            "tool.shell",
            "gold",
            "",
        ),
        *hostile.IDS_ADMITTED,
        *hostile.CLASSES_ADMITTED,
        *hostile.REGIONS_ADMITTED,
        *hostile.CLASSES_REFUSED,
        *hostile.ODD_TEXTS,
    ]
)
SCORES = st.sampled_from([0.0, 0.3, 0.5, 0.75, 0.8, 0.9, 0.95, 1.0])
LISTS = st.lists(WORDS, max_size=3) | st.just([f"c{number}" for number in range(64)])
LABELS = st.dictionaries(
    st.sampled_from(["tier", "risk", "residency", "stage", "x", *hostile.LABEL_NAMES_ADMITTED]),
    st.sampled_from(
        [
            *("gold", "high", "critical", "low", "eu-west", "sign-off"),
            *hostile.LABEL_VALUES_ADMITTED,
            *hostile.LABEL_VALUES_REFUSED,
        ]
    ),
    max_size=3,
)

GOOD_MEMBERS = st.fixed_dictionaries(
    {
        "clearances": LISTS,
        "capability_versions": st.dictionaries(
            WORDS, st.sampled_from(["", "1.0", "2.1"]), max_size=2
        ),
        "status": st.sampled_from(["ACTIVE", "ACTIVE", "SUSPECT", "QUARANTINED"]),
        "type": st.sampled_from(["agent", "human", "tool", "model"]),
        "reliability": SCORES,
        "incarnation": st.integers(1, 4),
        "trust_score": st.one_of(SCORES, st.just(...)),
        "region": st.one_of(WORDS, st.just(...)),
    }
).map(lambda changes: kit.member(**changes))

GOOD_PACKETS = st.fixed_dictionaries(
    {
        "data_classes": LISTS,
        "required_capabilities": st.lists(st.sampled_from(["a", "a>=1.5", "eu-west"]), max_size=2),
        "labels": LABELS,
        "handoff_count": st.integers(0, 6),
        "handoff": st.booleans().map(lambda allowed: {"allowed": allowed}),
        "previous_owners": LISTS,
        "policy_constraints": st.fixed_dictionaries(
            {"pii_review_required": st.booleans()},
            optional={"minimum_trust_score": SCORES, "allowed_regions": LISTS},
        ),
    }
).map(lambda changes: kit.packet(**changes))

GARBAGE = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2**70,
        0.5,
        float("nan"),
        float("inf"),
        "",
        "0.9",
        [],
        ["x", 1],
        [None],
        {},
        {"a": 1},
    ]
)


@cache
def pack(name: str) -> PolicySet:
    """Return a shipped set."""
    return load_directory(shipped_directory(name))


@cache
def exactly(name: str) -> PolicySet:
    """Return the same set without generated code."""
    return from_document(pack(name).document)


@st.composite
def corrupted(draw: st.DrawFn, facts: st.SearchStrategy[kit.Facts]) -> kit.Facts:
    """Draw facts of which up to three are garbage or gone, at any depth of one or two."""
    found = dict(draw(facts))
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(sorted(found)))
        inner = found[key]
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            changed = dict(inner)
            deeper = draw(st.sampled_from(sorted(changed)))
            _spoil(draw, changed, deeper)
            found[key] = changed
        else:
            _spoil(draw, found, key)
        if not found:
            break
    return found


def _spoil(draw: st.DrawFn, facts: kit.Facts, key: str) -> None:
    if draw(st.booleans()):
        del facts[key]
    else:
        facts[key] = draw(GARBAGE)


def shown(verdicts: list[Verdict]) -> list[object]:
    """Return verdicts as comparable text: NaN equals itself here."""
    return [repr(verdict) for verdict in verdicts]


@pytest.mark.parametrize("name", PACKS)
@settings(max_examples=examples(60), deadline=None)
@given(
    point=st.sampled_from(list(Point)),
    work=GOOD_PACKETS,
    members=st.lists(GOOD_MEMBERS, min_size=1, max_size=4),
    source=st.none() | GOOD_MEMBERS,
)
def test_generated_code_equals_the_exact_evaluator(
    name: str,
    point: Point,
    work: kit.Facts,
    members: list[kit.Facts],
    source: kit.Facts | None,
) -> None:
    """On facts that fit the schema all three ways of judging say the same."""
    question = kit.question(point, work=work, source=source)
    expected = shown(exactly(name).judge(question, members))
    assert shown(pack(name).judge(question, members)) == expected
    assert shown(pack(name).judge(question, members, validated=True)) == expected


@pytest.mark.parametrize("name", PACKS)
@settings(max_examples=examples(120), deadline=None)
@given(
    point=st.sampled_from(list(Point)),
    work=corrupted(GOOD_PACKETS),
    members=st.lists(corrupted(GOOD_MEMBERS), min_size=1, max_size=4),
    source=st.none() | corrupted(GOOD_MEMBERS),
)
def test_corrupted_facts_are_judged_exactly(
    name: str,
    point: Point,
    work: kit.Facts,
    members: list[kit.Facts],
    source: kit.Facts | None,
) -> None:
    """On any dictionaries whatever the guarded code says what the exact evaluator says."""
    question = kit.question(point, work=work, source=source)
    assert shown(pack(name).judge(question, members)) == shown(
        exactly(name).judge(question, members)
    )


@settings(max_examples=examples(40), deadline=None)
@given(work=corrupted(GOOD_PACKETS), member=corrupted(GOOD_MEMBERS))
def test_an_unreadable_fact_never_helps(work: kit.Facts, member: kit.Facts) -> None:
    """What is allowed with a fact gone would be allowed by nobody who demanded that fact."""
    verdict = pack("starter").judge_one(kit.question(work=work), member)
    if verdict.outcome == "allow":
        assert isinstance(member.get("trust_score"), float | int)
        assert not isinstance(member.get("trust_score"), bool)
        assert member.get("status") == "ACTIVE"


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 10_000), work=GOOD_PACKETS, member=GOOD_MEMBERS)
def test_order_of_policies_and_rules_changes_nothing(
    seed: int, work: kit.Facts, member: kit.Facts
) -> None:
    """Shuffled policies and rules give the same outcome and the same set of reasons."""
    from dataclasses import replace

    bundle = decode(pack("agent-fleet").document)
    shuffle = random.Random(seed).sample
    policies = [
        replace(policy, rules=tuple(shuffle(policy.rules, len(policy.rules))))
        for policy in shuffle(bundle.policies, len(bundle.policies))
    ]
    other = compile_set(policies, bundle.definitions, bundle.labels, generated=False)
    question = kit.question(work=work)
    first, second = (
        exactly("agent-fleet").judge_one(question, member),
        other.judge_one(question, member),
    )
    assert first.outcome == second.outcome
    assert set(map(repr, first.reasons)) == set(map(repr, second.reasons))


@settings(max_examples=examples(60), deadline=None)
@given(work=GOOD_PACKETS, members=st.lists(GOOD_MEMBERS, min_size=2, max_size=6))
def test_a_batch_is_as_many_single_questions(work: kit.Facts, members: list[kit.Facts]) -> None:
    """Judging a fleet at once and member by member is the same."""
    question = kit.question(work=work)
    policies = pack("starter")
    assert policies.judge(question, members) == [policies.judge_one(question, m) for m in members]


@settings(max_examples=examples(60), deadline=None)
@given(work=GOOD_PACKETS, member=GOOD_MEMBERS, trust=SCORES)
def test_narrowing_a_packet_never_admits(work: kit.Facts, member: kit.Facts, trust: float) -> None:
    """A higher minimum trust, fewer regions or more classes never turn a denial into an allowance."""
    constraints = work["policy_constraints"]
    assert isinstance(constraints, Mapping)
    floor = max(trust, constraints.get("minimum_trust_score", 0.0))
    regions = list(constraints.get("allowed_regions", ["eu-west"]))[:1]
    narrower = {
        **work,
        "policy_constraints": {
            **constraints,
            "minimum_trust_score": floor,
            "allowed_regions": regions,
        },
        "data_classes": [*work["data_classes"], "pii.email"],  # type: ignore[misc]
    }
    before = pack("starter").judge_one(kit.question(work=work), member).outcome
    after = pack("starter").judge_one(kit.question(work=narrower), member).outcome
    assert not (before == "deny" and after == "allow")
