"""The published fail-open battery: every row denies, with the right reserved reason."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import PLACING, Point, Verdict
from pfgov.policy import PolicyErrors, PolicySet, kernel_only, load_directory

REQUIRE = kit.policy("  - {id: trust, require: member.trust_score >= 0.9}\n")
DENY = kit.policy("  - {id: trust, deny: member.trust_score < 0.9}\n")
REGION = kit.policy('  - {id: region, deny: member.region == "moon"}\n')
STYLES = {"require": REQUIRE, "deny": DENY}

NAN = float("nan")
FACTS = {
    # name: (what the member's trust_score is, the reserved reason, the missing path)
    "missing": (..., "missing_input", "member.trust_score"),
    "expired": (..., "missing_input", "member.trust_score"),  # an expired assessment is no fact
    "null": (None, "type_error", None),
    "a text that looks high": ("0.95", "type_error", None),
    "a text that looks low": ("0.1", "type_error", None),
    "a word": ("abc", "type_error", None),
    "the empty text": ("", "type_error", None),
    "true": (True, "type_error", None),
    "false": (False, "type_error", None),
    "a list": ([0.95], "type_error", None),
    "a mapping": ({"score": 0.95}, "type_error", None),
    "NaN": (NAN, "type_error", None),
    "infinity": (float("inf"), "type_error", None),
    "above the range": (99.0, "type_error", None),
    "below the range": (-1.0, "type_error", None),
    "a foreign object": (object(), "type_error", None),
    "a subclass of float": (type("Score", (float,), {})(0.95), "type_error", None),
}


@pytest.fixture(params=[True, False], ids=["generated", "exact"])
def generated(request: pytest.FixtureRequest) -> bool:
    """Whether the policies run as generated code."""
    return bool(request.param)


def judged(policies: PolicySet, member: kit.Facts, work: kit.Facts | None = None) -> Verdict:
    """Return the verdict on facts that nobody validated."""
    return policies.judge_one(kit.question(work=work), member)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", FACTS)
def test_a_broken_trust_score_never_allows(
    fault: str, style: str, tmp_path: Path, *, generated: bool
) -> None:
    """A trust score that is absent or no score denies in both styles, and the verdict says why."""
    value, cause, missing = FACTS[fault]
    policies = kit.load(tmp_path, STYLES[style], generated=generated)
    verdict = judged(policies, kit.member(trust_score=value))
    assert verdict.outcome == "deny"
    assert cause in {reason.cause for reason in verdict.reasons}
    assert missing in {reason.missing for reason in verdict.reasons}


@pytest.mark.parametrize("style", STYLES)
def test_the_battery_can_allow(style: str, tmp_path: Path, *, generated: bool) -> None:
    """The rows above deny because of their fault: the same member without it is allowed."""
    policies = kit.load(tmp_path, STYLES[style], generated=generated)
    assert judged(policies, kit.member(trust_score=0.95)).outcome == "allow"
    assert judged(policies, kit.member(trust_score=0.85)).outcome == "deny"


@pytest.mark.parametrize("style", STYLES)
def test_a_whole_number_is_the_same_score(style: str, tmp_path: Path, *, generated: bool) -> None:
    """JSON 1 and 1.0 are one score: 1 passes and 0 does not, where other engines err or allow."""
    policies = kit.load(tmp_path, STYLES[style], generated=generated)
    assert judged(policies, kit.member(trust_score=1)).outcome == "allow"
    assert judged(policies, kit.member(trust_score=0)).outcome == "deny"


BROKEN_MEMBERS = {
    "empty": {},
    "of a foreign kind": "m-1",
    "without capabilities": kit.member(capability_versions=...),
    "with a text for clearances": kit.member(clearances="pii.email"),
    "with a number for a region": kit.member(region=5),
    "without a region": kit.member(region=...),
    "with a null region": kit.member(region=None),
    "without a status": kit.member(status=...),
    "with a null status": kit.member(status=None),
    "retired": kit.member(status="RETIRED"),
    "without clearances": kit.member(clearances=...),
    "with null clearances": kit.member(clearances=None),
    "with a version that is none": kit.member(capability_versions={"ocr": "latest"}),
    "with a number for a version": kit.member(capability_versions={"ocr": 2}),
}


@pytest.mark.parametrize("broken", BROKEN_MEMBERS)
def test_a_broken_member_never_gets_demanding_work(
    broken: str, tmp_path: Path, *, generated: bool
) -> None:
    """What the packet demands is never met by facts that are absent or of another type."""
    policies = kit.load(tmp_path, REGION, generated=generated)
    work = kit.packet(
        required_capabilities=["ocr>=1.2"],
        data_classes=["pii.email"],
        policy_constraints={
            "pii_review_required": False,
            "minimum_trust_score": 0.9,
            "allowed_regions": ["us-east"],
        },
    )
    assert judged(policies, kit.member(), work).outcome == "allow"
    member = BROKEN_MEMBERS[broken]
    verdict = policies.judge(kit.question(work=work), [member])[0]  # type: ignore[list-item]
    assert verdict.outcome == "deny"


BROKEN_PACKETS = {
    "empty": {},
    "without constraints": {k: v for k, v in kit.packet().items() if k != "policy_constraints"},
    "with null constraints": kit.packet(policy_constraints=None),
    "with a text for constraints": kit.packet(policy_constraints="none"),
    "without a review flag": kit.packet(policy_constraints={}),
    "with a null review flag": kit.constraints(pii_review_required=None),
    "with a text for a review flag": kit.constraints(pii_review_required="false"),
    "with a null trust": kit.constraints(minimum_trust_score=None),
    "with a text for trust": kit.constraints(minimum_trust_score="0"),
    "with a NaN trust": kit.constraints(minimum_trust_score=NAN),
    "with no region at all": kit.constraints(allowed_regions=[]),
    "with null regions": kit.constraints(allowed_regions=None),
    "with a text for regions": kit.constraints(allowed_regions="us-east"),
    "with a null region": kit.constraints(allowed_regions=[None]),
    "without data classes": {k: v for k, v in kit.packet().items() if k != "data_classes"},
    "with a text for data classes": kit.packet(data_classes="none"),
    "with a null data class": kit.packet(data_classes=[None]),
    "with null capabilities": kit.packet(required_capabilities=None),
    "with a malformed capability": kit.packet(required_capabilities=["ocr >>> 1"]),
}


@pytest.mark.parametrize("broken", BROKEN_PACKETS)
def test_a_broken_packet_is_never_placed(broken: str, tmp_path: Path, *, generated: bool) -> None:
    """A packet whose demands cannot be read is given to nobody, however good the member is."""
    policies = kit.load(tmp_path, REGION, generated=generated)
    verdict = judged(policies, kit.member(trust_score=1.0), BROKEN_PACKETS[broken])  # type: ignore[arg-type]
    if not BROKEN_PACKETS[broken]:
        verdict = policies.judge_one(kit.question(work={"x": 1}), kit.member())
    assert verdict.outcome == "deny"


@pytest.mark.parametrize(
    ("when", "cause", "missing"),
    [
        ("1 / packet.priority == 1", "evaluation_error", None),
        ('packet.labels["team"] == "a"', "missing_input", "packet.labels.team"),
        ('packet.step == "review"', "missing_input", "packet.step"),
        ("int(packet.packet_id) == 1", "evaluation_error", None),
    ],
)
@pytest.mark.parametrize(
    "effect",
    [
        "require: member.trust_score >= 0.1",
        "deny: member.trust_score < 0.1",
        "escalate: {to: reviewer}",
        "obligations: [{type: notify, to: ops}]",
    ],
)
def test_an_error_in_when_denies(
    when: str, cause: str, missing: str | None, effect: str, tmp_path: Path, *, generated: bool
) -> None:
    """An error or an absent fact in `when` denies for every kind of rule: it never skips one."""
    text = kit.policy(f"  - id: rule\n    when: '{when}'\n    {effect}\n")
    # Some of these no author could mean: a folder with them is refused, and a recorded set with them still denies.
    policies = kit.load(tmp_path, text, kit.labels("team"), generated=generated, is_sound=False)
    verdict = judged(policies, kit.member())
    assert verdict.outcome == "deny"
    assert [(r.name, r.effect, r.cause, r.missing) for r in verdict.reasons] == [
        ("placement/rule", "deny", cause, missing)
    ]


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("member.trust_scor < 0.9", "cel.unknown_field"),
        ("membr.trust_score < 0.9", "cel.unknown_name"),
        ("trusted(member)", "cel.unknown_function"),
        ("member.trust_score <", "cel.syntax"),
        ("deny the bad ones", "cel.missing_operator"),
        ("member.trust_score", "cel.result"),
        ("member.region = 'moon'", "cel.character"),
        ("1 < 2", "cel.constant"),
        ("true", "cel.constant"),
        ("member.region == 1", "cel.type"),
        ('member.status == "QUARANTINE"', "cel.never_equal"),
        ("!has(packet.policy_constraints.alowed_regions)", "cel.unknown_field"),
        ("source.region == member.region", "policy.always_denies"),
    ],
)
@pytest.mark.parametrize("style", ["require", "deny"])
def test_a_policy_that_cannot_mean_anything_does_not_load(
    condition: str, code: str, style: str, tmp_path: Path
) -> None:
    """A typo, garbage or a condition that is always the same is a load error, never a silent rule."""
    text = kit.policy(f"  - id: rule\n    {style}: >-\n      {condition}\n")
    assert [problem[0] for problem in kit.problems(tmp_path, text)] == [code]


@pytest.mark.parametrize("point", sorted(PLACING))
def test_nothing_loaded_allows_nothing(point: Point) -> None:
    """With only the kernel every placing decision is `pfgov:no_policy`."""
    verdict = kernel_only().judge_one(kit.question(point), kit.member())
    assert verdict.outcome == "deny"
    assert "pfgov:no_policy" in {reason.name for reason in verdict.reasons}


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    """A folder without policies is refused, not taken for permission."""
    with pytest.raises(Exception, match="no policy") as caught:
        load_directory(tmp_path)
    assert getattr(caught.value, "code", None) == "policy.no_files"


def test_shadowed_policies_cover_nothing(tmp_path: Path, *, generated: bool) -> None:
    """A policy in shadow mode is recorded and never binds: alone, it allows nothing."""
    text = kit.policy(
        "  - {id: trust, require: member.trust_score >= 0.9}\n", extra="mode: shadow\n"
    )
    policies = kit.load(tmp_path, text, generated=generated)
    verdict = judged(policies, kit.member(trust_score=0.2))
    assert [reason.name for reason in verdict.reasons] == ["pfgov:no_policy"]
    assert [reason.name for reason in verdict.shadow] == ["placement/trust"]


@pytest.mark.parametrize("point", [Point.REGISTER, Point.RETAIN])
def test_another_decision_point_is_not_covered(point: Point, tmp_path: Path) -> None:
    """A policy says nothing where it is not asked, and where nobody says anything nothing goes."""
    policies = kit.load(tmp_path, REQUIRE)
    verdict = policies.judge_one(kit.question(point), kit.member())
    assert [reason.name for reason in verdict.reasons] == ["pfgov:no_policy"]


def test_one_broken_file_refuses_the_whole_set(tmp_path: Path) -> None:
    """A set with one file that does not load does not load: no policy is dropped in silence."""
    kit.write(tmp_path, {"a.policy.yaml": REQUIRE, "b.policy.yaml": "kind: ["})
    with pytest.raises(PolicyErrors):
        load_directory(tmp_path)
