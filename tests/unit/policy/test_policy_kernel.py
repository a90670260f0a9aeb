"""The kernel policy: always on, and what it enforces of a packet's own demands."""

import shutil
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import Point
from pfgov.errors import PolicyError
from pfgov.policy import PolicySet, kernel_only, load, load_starter
from pfgov.policy.files.model import KERNEL

ANY = kit.policy("  - {id: any, require: member.id != ''}\n", on="[place, retain]")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    """The kernel and a policy that allows every member."""
    return kit.load(tmp_path_factory.mktemp("kernel"), ANY)


def rules(policies: PolicySet, point: Point, work: kit.Facts, **member: object) -> list[str]:
    """Return the ids of the kernel rules that bind."""
    question = kit.question(point, work=work, source=kit.member())
    found = policies.judge_one(question, kit.member(**member))
    assert all(reason.policy == KERNEL for reason in found.reasons)
    return [reason.rule for reason in found.reasons]


@pytest.mark.parametrize("point", [Point.ASSIGN, Point.HANDOFF, Point.ACCEPT, Point.RETAIN])
@pytest.mark.parametrize(
    ("work", "member", "expected"),
    [
        ({}, {"trust_score": ...}, []),
        ({"minimum_trust_score": 0.9}, {"trust_score": 0.9}, []),
        ({"minimum_trust_score": 0.9}, {"trust_score": 0.899999}, ["minimum-trust"]),
        ({"minimum_trust_score": 0.9}, {"trust_score": ...}, ["minimum-trust"]),
        ({"minimum_trust_score": 0.0}, {"trust_score": ...}, ["minimum-trust"]),
        ({}, {"region": ...}, []),
        ({"allowed_regions": ["us-east"]}, {"region": "us-east"}, []),
        ({"allowed_regions": ["us-east"]}, {"region": "us-east/1a"}, []),
        ({"allowed_regions": ["us-east"]}, {"region": "us-east-2"}, ["region"]),
        ({"allowed_regions": ["us-east/1a"]}, {"region": "us-east"}, ["region"]),
        ({"allowed_regions": []}, {"region": "us-east"}, ["region"]),
        ({"allowed_regions": ["us-east"]}, {"region": ...}, ["region"]),
    ],
)
def test_constraints_hold_wherever_a_packet_has_an_owner(
    point: Point,
    work: kit.Facts,
    member: kit.Facts,
    expected: list[str],
    policies: PolicySet,
) -> None:
    """Trust and regions of the packet are enforced at every placement and again at retain."""
    assert rules(policies, point, kit.constraints(**work), **member) == expected


@pytest.mark.parametrize(
    ("classes", "clearances", "expected"),
    [
        (["public"], [], []),
        (["pii"], ["pii"], []),
        (["pii.email", "public"], ["pii.email"], []),
        (["pii.email"], ["pii"], ["pii-clearance"]),
        (["pii", "pii.email"], ["pii"], ["pii-clearance"]),
    ],
)
def test_personal_data_needs_its_own_clearance(
    classes: list[str], clearances: list[str], expected: list[str], policies: PolicySet
) -> None:
    """A data class that begins with `pii` needs exactly that word among the clearances."""
    work = kit.packet(data_classes=classes)
    assert rules(policies, Point.ASSIGN, work, clearances=clearances) == expected


@pytest.mark.parametrize(
    ("required", "versions", "expected"),
    [
        (["ocr"], {"ocr": ""}, []),
        (["ocr>=1.2"], {"ocr": "1.10"}, []),
        (["ocr>=1.2", "plan"], {"ocr": "1.2", "plan": ""}, []),
        (["ocr>=1.2"], {"ocr": "1.1"}, ["capabilities"]),
        (["ocr>=1.2"], {"ocr": ""}, ["capabilities"]),
        (["ocr"], {}, ["capabilities"]),
        (["ocr", "plan"], {"ocr": "1.2"}, ["capabilities"]),
        (["ocr>=1.2"], {"ocr": "1.3rc1"}, ["capabilities"]),
        (["ocr>=1.3rc1"], {"ocr": "1.3rc1"}, []),
        (["ocr~=1.2"], {"ocr": "1.9"}, []),
        (["ocr>>1"], {"ocr": "1.9"}, ["capabilities"]),
        (["ocr>=1"], {"ocr": "new"}, ["capabilities"]),
    ],
)
def test_all_capabilities_at_their_versions(
    required: list[str], versions: dict[str, str], expected: list[str], policies: PolicySet
) -> None:
    """Every required capability must be offered in a version that meets its specifier."""
    work = kit.packet(required_capabilities=required)
    found = rules(
        policies, Point.ASSIGN, work, capabilities=list(versions), capability_versions=versions
    )
    assert found == expected


@pytest.mark.parametrize("status", ["SUSPECT", "DRAINING", "QUARANTINED", "FAILED", "RETIRED"])
def test_only_active_members_get_work(status: str, policies: PolicySet) -> None:
    """A member that is not ACTIVE gets nothing new, and keeps what it has."""
    for point in (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT):
        assert rules(policies, point, kit.packet(), status=status) == ["active"]
    assert rules(policies, Point.RETAIN, kit.packet(), status=status) == []


def test_a_packet_that_may_not_move_does_not_move(policies: PolicySet) -> None:
    """`handoff.allowed: false` stops handoff and accept, not the first owner."""
    work = kit.packet(handoff={"allowed": False})
    assert rules(policies, Point.ASSIGN, work) == []
    assert rules(policies, Point.HANDOFF, work) == ["handoff-allowed"]
    assert rules(policies, Point.ACCEPT, work) == ["handoff-allowed"]
    assert rules(policies, Point.RETAIN, work) == []


def test_a_pii_review_is_asked_of_a_reviewer(policies: PolicySet) -> None:
    """`pii_review_required` escalates every placement to a reviewer, and never revokes an owner."""
    work = kit.constraints(pii_review_required=True)
    for point in (Point.ASSIGN, Point.HANDOFF, Point.ACCEPT):
        question = kit.question(point, work=work, source=kit.member())
        found = policies.judge_one(question, kit.member())
        assert found.outcome == "escalate"
        assert [(r.name, r.to) for r in found.reasons] == [("kernel/pii-review", "reviewer")]
    assert rules(policies, Point.RETAIN, work) == []


def test_the_kernel_is_in_every_set() -> None:
    """There is no way to a set without the kernel."""
    for found in (kernel_only(), load_starter()):
        assert (KERNEL, "2", "enforce") in found.policies


def test_the_kernel_cannot_be_replaced(tmp_path: Path) -> None:
    """A policy of the kernel's name is a load error."""
    text = ANY.replace("placement", KERNEL)
    assert [problem[0] for problem in kit.problems(tmp_path, text)] == ["policy.reserved_name"]


def test_an_altered_kernel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's digest is pinned: another text on disk stops the engine, it is not obeyed."""
    shutil.copytree(load.shipped_directory(KERNEL), tmp_path / KERNEL)
    path = tmp_path / KERNEL / "kernel.policy.yaml"
    weaker = path.read_text().replace('member.status == "ACTIVE"', 'member.status != "FAILED"')
    path.write_text(weaker)
    monkeypatch.setattr(load, "shipped_directory", lambda name: tmp_path / name)
    load.kernel_policy.cache_clear()
    try:
        with pytest.raises(PolicyError) as caught:
            kernel_only()
    finally:
        load.kernel_policy.cache_clear()
    assert caught.value.code == "policy.kernel"


def test_a_policy_can_only_narrow(policies: PolicySet) -> None:
    """What the kernel denies stays denied, whatever a policy of the set allows."""
    found = policies.judge_one(
        kit.question(work=kit.constraints(minimum_trust_score=0.9)), kit.member(trust_score=0.1)
    )
    assert found.outcome == "deny"
