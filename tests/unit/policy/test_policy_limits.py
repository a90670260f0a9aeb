"""Each bound of what a policy set may be is reached: a set at it loads, and one beyond it does not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov import limits as facts_limits
from pfgov.core.verdicts import Point
from pfgov.policy import PolicyErrors, limits, load_directory
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.files import document

TRUST = "  - {id: trust, require: member.trust_score >= 0.6}\n"
ASKING = "  - {{id: r{n}, when: packet.priority > {n}, escalate: {{to: reviewer{more}}}}}\n"


def _rules(count: int) -> str:
    return kit.policy("".join(ASKING.format(n=n, more="") for n in range(count)))


def _one(more: str) -> str:
    return kit.policy(ASKING.format(n=1, more=more))


def _obligation(*paths: str) -> str:
    return f"{{type: redact, paths: [{', '.join(paths)}]}}"


def _obliging(obligations: list[str]) -> str:
    listed = ", ".join(obligations)
    return kit.policy(
        TRUST + f"  - {{id: hide, when: packet.priority > 1, obligations: [{listed}]}}\n"
    )


def _params(count: int) -> str:
    named = "".join(f"  p{n}: {{type: int, value: 1}}\n" for n in range(count))
    return kit.policy(TRUST, extra=f"params:\n{named}")


def _days(count: int) -> str:
    return _one(f", expires: {count * 24}h")


REACHED: dict[str, tuple[int, Callable[[int], str]]] = {
    "ESCALATING_RULES_MAX": (facts_limits.ESCALATING_RULES_MAX, _rules),
    "NAMES_MAX": (limits.NAMES_MAX, _params),
    "APPROVALS_MAX": (limits.APPROVALS_MAX, lambda n: _one(f", approvals: {n}")),
    "OBLIGATIONS_PER_RULE_MAX": (
        limits.OBLIGATIONS_PER_RULE_MAX,
        lambda n: _obliging([_obligation(f"/secret{at}") for at in range(n)]),
    ),
    "REDACT_PATHS_MAX": (
        limits.REDACT_PATHS_MAX,
        lambda n: _obliging([_obligation(*(f"/s{at}" for at in range(n)))]),
    ),
    "ESCALATION_MICROS_MAX": (limits.ESCALATION_MICROS_MAX // (86_400 * 1_000_000), _days),
    "NAME_LENGTH_MAX": (
        limits.NAME_LENGTH_MAX,
        lambda n: kit.policy(f"  - {{id: {'r' * n}, require: member.trust_score >= 0.6}}\n"),
    ),
    "OBLIGATION_BYTES_MAX": (100, lambda n: _obliging([_obligation(f"/{'s' * n}")])),
}
"""Bound -> the number at it, and the policy that has so much of it."""


def _problems(folder: Path, text: str) -> list[str]:
    kit.write(folder, {"a.policy.yaml": text})
    try:
        load_directory(folder)
    except PolicyErrors as error:
        return [problem.code for problem in error.problems]
    return []


@pytest.mark.parametrize("name", REACHED)
def test_policy_a_bound_holds_at_its_edge(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set at a bound is refused, or one beyond it becomes binding and its entries do not fit."""
    bound, make = REACHED[name]
    if name == "OBLIGATION_BYTES_MAX":
        encoded = len('{"type":"redact","paths":["/"]}') + 1
        monkeypatch.setattr("pfgov.policy.budget.OBLIGATION_BYTES_MAX", encoded + bound)
    assert _problems(tmp_path / "at", make(bound)) == []
    assert _problems(tmp_path / "beyond", make(bound + 1)) != []


def test_policy_a_file_has_so_many_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of any number of small values is read to its end."""
    monkeypatch.setattr("pfgov.policy.files.source.YAML_NODES_MAX", 10)
    assert _problems(tmp_path, kit.policy(TRUST)) == ["policy.yaml.too_large"]


def test_policy_a_set_has_so_many_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of more policies than a verdict can name is loaded."""
    monkeypatch.setattr(limits, "POLICIES_MAX", 2)
    assert _problems(tmp_path, kit.policy(TRUST)) == []
    kit.write(tmp_path, {"b.policy.yaml": kit.policy(TRUST, name="other")})
    with pytest.raises(PolicyErrors) as caught:
        load_directory(tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["policy.too_many"]


def test_policy_a_set_has_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that no ledger can attach becomes binding."""
    from pfgov.errors import PolicyError

    kit.write(tmp_path, {"a.policy.yaml": kit.policy(TRUST)})
    size = len(load_directory(tmp_path).document)
    monkeypatch.setattr(document, "DOCUMENT_BYTES_MAX", size)
    load_directory(tmp_path)
    monkeypatch.setattr(document, "DOCUMENT_BYTES_MAX", size - 1)
    with pytest.raises(PolicyError) as caught:
        load_directory(tmp_path)
    assert caught.value.code == "policy.too_large"


def test_policy_a_test_file_has_so_many_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test file makes as many cases as somebody cares to write."""
    case = "  - {name: c%d, packet: p, members: [m], expect: {m: allow}}\n"
    cases = "".join(case % n for n in range(3))
    head = "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\n"
    files = {"a.policy.yaml": kit.policy(TRUST), "a.test.yaml": f"{head}cases:\n{cases}"}
    kit.write(tmp_path, files)
    fine = {problem.code for problem in check_directory(tmp_path).problems}
    monkeypatch.setattr(limits, "CASES_MAX", 2)
    assert {problem.code for problem in check_directory(tmp_path).problems} - fine != set()


def test_policy_what_is_remembered_of_verdicts_is_emptied_when_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts are kept for ever, or one that was forgotten comes out differently."""
    rules = TRUST + "  - {id: slow, require: member.reliability >= 0.5}\n"
    policies = kit.load(tmp_path, kit.policy(rules))
    members = [kit.member(trust_score=0.01 * n, reliability=0.01 * n) for n in range(50)]
    wanted = policies.judge(kit.question(Point.ASSIGN), members)
    monkeypatch.setattr("pfgov.policy.judging.judge.VERDICTS_CACHED_MAX", 2)
    again = kit.load(tmp_path / "again", kit.policy(rules))
    assert again.judge(kit.question(Point.ASSIGN), members) == wanted
    assert len(again.judges[Point.ASSIGN]._verdicts) <= 2


def test_policy_what_is_remembered_of_reasons_is_emptied_when_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reasons are kept for ever, or one that was forgotten comes out differently."""
    rules = TRUST + "  - {id: slow, require: member.reliability >= 0.5}\n"
    members = [kit.member(trust_score=0.01 * n, reliability=0.01 * n) for n in range(50)]
    question = kit.question(Point.ASSIGN)
    wanted = kit.load(tmp_path, kit.policy(rules)).judge(question, members, validated=True)
    monkeypatch.setattr("pfgov.policy.judging.reasons.REASONS_KEPT_MAX", 2)
    policies = kit.load(tmp_path / "again", kit.policy(rules))
    assert policies.judge(question, members, validated=True) == wanted
    kept = [len(one._known) for one in policies.judges[Point.ASSIGN]._explainers]
    assert max(kept) == 2
