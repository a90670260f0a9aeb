"""The normative meaning of a policy set: three values, every rule, deny over escalate over allow."""

import itertools
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.commands import Obligation
from pfgov.core.verdicts import ALLOW, Point, Verdict
from pfgov.policy import PolicySet
from pfgov.policy.authoring.explain import explain

TRUST = "  - {id: trust, require: member.trust_score >= 0.6}\n"


def verdict(policies: PolicySet, point: Point = Point.ASSIGN, **changes: object) -> Verdict:
    """Return the verdict on a member with *changes*."""
    return policies.judge_one(kit.question(point, source=kit.member()), kit.member(**changes))


def names(found: Verdict) -> list[str]:
    """Return the names of the reasons."""
    return [reason.name for reason in found.reasons]


@pytest.mark.parametrize(
    ("rule", "trust", "outcome"),
    [
        ("require: member.trust_score >= 0.6", 0.6, "allow"),
        ("require: member.trust_score >= 0.6", 0.59, "deny"),
        ("require: member.trust_score >= 0.6", ..., "deny"),
        ("deny: member.trust_score < 0.6", 0.6, "allow"),
        ("deny: member.trust_score < 0.6", 0.59, "deny"),
        ("deny: member.trust_score < 0.6", ..., "deny"),
        ("{when: member.trust_score < 0.6, escalate: {to: reviewer}}", 0.6, "allow"),
        ("{when: member.trust_score < 0.6, escalate: {to: reviewer}}", 0.59, "escalate"),
        ("{when: member.trust_score < 0.6, escalate: {to: reviewer}}", ..., "deny"),
        ("{when: member.trust_score < 0.6, require: 'has(member.region)'}", 0.6, "allow"),
        ("{when: member.trust_score < 0.6, require: 'has(member.region)'}", ..., "deny"),
    ],
)
def test_require_needs_true_and_deny_needs_false(
    rule: str, trust: object, outcome: str, tmp_path: Path
) -> None:
    """`require` is satisfied only by true, `deny` only by false, and an absent `when` denies."""
    parts = rule[1:-1] if rule.startswith("{") else rule
    policies = kit.load(tmp_path, kit.policy(f"  - {{id: rule, {parts}}}\n"))
    assert verdict(policies, trust_score=trust).outcome == outcome


def test_every_rule_of_every_policy_is_evaluated(tmp_path: Path) -> None:
    """All reasons stand in the verdict, not only the first one."""
    policies = kit.load(
        tmp_path,
        kit.policy(
            TRUST + '  - {id: region, require: member.region == "eu"}\n'
            "  - {id: ask, when: packet.priority < 9, escalate: {to: reviewer, expires: 15m}}\n"
        ),
        kit.policy('  - {id: status, deny: member.status == "SUSPECT"}\n', name="other"),
    )
    found = verdict(policies, trust_score=0.1, status="SUSPECT")
    assert found.outcome == "deny"
    assert set(names(found)) == {
        "kernel/active",
        "other/status",
        "placement/ask",
        "placement/region",
        "placement/trust",
    }
    asked = next(reason for reason in found.reasons if reason.rule == "ask")
    assert (asked.effect, asked.to, asked.expires) == ("escalate", "reviewer", 900_000_000)


def test_the_set_of_reasons_does_not_depend_on_order(tmp_path: Path) -> None:
    """Rules in any order give the same reasons."""
    rules = [
        TRUST,
        '  - {id: region, require: member.region == "eu"}\n',
        "  - {id: step, deny: packet.step == 'x'}\n",
        "  - {id: ask, when: packet.priority < 1, escalate: {to: operator}}\n",
    ]
    seen = set()
    for number, order in enumerate(itertools.permutations(rules)):
        policies = kit.load(tmp_path / str(number), kit.policy("".join(order)))
        found = verdict(policies, trust_score=...)
        seen.add((found.outcome, frozenset(found.reasons)))
    assert len(seen) == 1


def test_deny_wins_over_escalate_wins_over_allow(tmp_path: Path) -> None:
    """The outcome is the gravest effect among the reasons."""
    ask = "  - {id: ask, when: packet.priority < 1, escalate: {to: reviewer}}\n"
    assert verdict(kit.load(tmp_path / "a", kit.policy(ask))).outcome == "escalate"
    assert verdict(kit.load(tmp_path / "b", kit.policy(TRUST))) is ALLOW
    both = kit.load(tmp_path / "c", kit.policy(ask + TRUST))
    assert verdict(both, trust_score=0.1).outcome == "deny"


def test_a_shadowed_policy_is_recorded_and_never_binds(tmp_path: Path) -> None:
    """Shadow mode changes nothing but `shadow`: neither outcome, reasons, obligations nor coverage."""
    enforced = kit.policy(TRUST)
    shadow = kit.policy(
        '  - {id: region, require: member.region == "eu", obligations: [{type: notify, to: ops}]}\n',
        name="trial",
        extra="mode: shadow\n",
    )
    policies = kit.load(tmp_path, enforced, shadow)
    found = verdict(policies)
    assert (found.outcome, found.reasons, found.obligations) == ("allow", (), ())
    assert [reason.name for reason in found.shadow] == ["trial/region"]
    assert policies.points == {Point.ASSIGN, Point.HANDOFF, Point.ACCEPT}
    assert ("trial", "1", "shadow") in policies.policies


def test_obligations_come_with_the_rules_that_apply(tmp_path: Path) -> None:
    """An allowance carries the obligations of the rules that apply; a denial carries none."""
    rules = (
        "  - id: pii\n    when: packet.data_classes.exists(c, c.startsWith('pii'))\n"
        "    obligations: [{type: redact, paths: [/b, /a]}, {type: notify, to: dpo}]\n"
        "  - {id: trust, require: member.trust_score >= 0.6, obligations: [{type: notify, to: dpo}]}\n"
    )
    policies = kit.load(tmp_path, kit.policy(rules))
    notify = Obligation(type="notify", to="dpo")
    redact = Obligation(type="redact", paths=("/a", "/b"))
    assert verdict(policies).obligations == (notify,)
    work = kit.packet(data_classes=["pii.email"])
    found = policies.judge_one(kit.question(work=work), kit.member())
    assert (found.outcome, set(found.obligations)) == ("allow", {redact, notify})
    refused = policies.judge_one(kit.question(work=work), kit.member(trust_score=0.1))
    assert (refused.outcome, refused.obligations) == ("deny", ())


def test_a_reason_carries_the_value_and_the_bound(tmp_path: Path) -> None:
    """A violated comparison says what was seen and what it was held against."""
    text = kit.policy(
        "  - id: trust\n    require: member.trust_score >= params.floor\n"
        '    message: "{member.id}: trust {member.trust_score} below {params.floor}, {{sic}} {packet.step}"\n',
        extra="params: {floor: {type: double, value: 0.60}}\n",
    )
    (reason,) = verdict(kit.load(tmp_path, text), trust_score=0.5).reasons
    assert (reason.observed, reason.bound, reason.cause) == ("0.5", "0.6", "violated")
    assert reason.message == "m-1: trust 0.5 below 0.6, {sic} (absent)"


@pytest.mark.parametrize(
    ("condition", "observed", "bound"),
    [
        ("0.6 <= member.trust_score", "0.5", "0.6"),
        ('member.region in ["eu", "us"]', "us-east/1a", "[eu, us]"),
        ('has(member.region) && member.trust_score > 0.5 && member.type == "tool"', "0.5", "0.5"),
        ('member.type == "tool" || member.trust_score >= 0.9', "agent", "tool"),
        ("!(member.trust_score < 0.6)", "0.5", "0.6"),
        ("packet.data_classes.all(c, c in member.clearances)", "[pii.email]", "[secret]"),
        ("has(member.capacity.cpu)", "member.capacity.cpu is absent", None),
        ("member.trust_score > 0.1 ? member.reliability > 0.9 : false", "0.5", "0.9"),
    ],
)
def test_the_part_that_decided_is_shown(
    condition: str, observed: str, bound: str | None, tmp_path: Path
) -> None:
    """Of a compound condition the first part that failed is the one whose values are shown."""
    text = kit.policy(f"  - id: rule\n    require: >-\n      {condition}\n")
    policies = kit.load(tmp_path, text)
    work = kit.packet(data_classes=["pii.email", "secret"])
    found = policies.judge_one(
        kit.question(work=work), kit.member(trust_score=0.5, clearances=["pii.email"])
    )
    (reason,) = [reason for reason in found.reasons if reason.policy == "placement"]
    assert (reason.observed, reason.bound) == (observed, bound)
    assert reason.message


def test_equal_facts_share_one_verdict(tmp_path: Path) -> None:
    """Members with the same relevant facts get the same object, so that a fleet costs little."""
    policies = kit.load(tmp_path, kit.policy(TRUST))
    members = [kit.member(id=f"m-{n}", trust_score=0.5) for n in range(3)]
    found = policies.judge(kit.question(), [*members, kit.member(trust_score=0.4)])
    assert found[0] is found[1] is found[2]
    assert found[3] is not found[0]
    assert found[3].reasons[0].observed == "0.4"


def test_true_is_never_taken_for_one(tmp_path: Path) -> None:
    """A remembered verdict is never given to facts of another type that Python calls equal."""
    policies = kit.load(tmp_path, kit.policy("  - {id: t, require: member.trust_score < 0.5}\n"))
    first = verdict(policies, trust_score=1.0)
    second = verdict(policies, trust_score=True)
    assert first.reasons[0].cause == "violated"
    assert second.reasons[0].cause == "type_error"


def test_source_is_there_on_a_handoff_only(tmp_path: Path) -> None:
    """`source` is the last owner on handoff and accept; at assign reading it is missing."""
    text = kit.policy('  - {id: s, deny: action == "handoff" && source.status == "QUARANTINED"}\n')
    policies = kit.load(tmp_path, text)
    bad = kit.member(status="QUARANTINED")
    question = kit.question(Point.HANDOFF, source=bad)
    assert names(policies.judge_one(question, kit.member())) == ["placement/s"]
    assert policies.judge_one(kit.question(), kit.member()).outcome == "allow"
    missing = policies.judge_one(kit.question(Point.HANDOFF), kit.member())
    assert missing.reasons[0].missing == "source"


def test_variables_definitions_and_params_are_names_for_the_same_thing(tmp_path: Path) -> None:
    """`variables.*`, `defs.*` and `params.*` mean what their definitions say."""
    kit.write(
        tmp_path,
        {
            "regions.yaml": (
                "apiVersion: pfgov/v1\nkind: Definitions\n"
                "metadata: {name: common/regions, version: '1'}\n"
                "params: {eu: {type: list(string), value: [eu]}}\n"
                "variables: {in_eu: 'region_within(member.region, defs.eu)'}\n"
            )
        },
    )
    text = kit.policy(
        "  - {id: r, require: variables.fine || member.trust_score >= params.high}\n",
        extra="imports: [common/regions]\nparams: {high: {type: double, value: 1}}\n"
        "variables: {fine: defs.in_eu}\n",
    )
    policies = kit.load(tmp_path, text)
    assert verdict(policies, region="eu/1").outcome == "allow"
    assert verdict(policies, region="us").outcome == "deny"
    assert verdict(policies, region="us", trust_score=1.0).outcome == "allow"
    assert verdict(policies, region=...).reasons[0].missing == "member.region"


def test_the_set_says_what_it_reads(tmp_path: Path) -> None:
    """The engine may remember verdicts where no rule reads load, time or the packet's history."""
    plain = kit.load(tmp_path / "a", kit.policy(TRUST))
    assert (plain.reads_load, plain.reads_time, plain.reads_history) == (frozenset(),) * 3
    text = kit.policy(
        "  - {id: load, on: [assign], require: member.load.active < 3}\n"
        "  - {id: time, on: [handoff], require: \"now > timestamp('2026-01-01T00:00:00Z')\"}\n"
        "  - {id: moves, on: [accept], require: packet.handoff_count < 3}\n"
    )
    busy = kit.load(tmp_path / "b", text)
    assert busy.reads_load == {Point.ASSIGN}
    assert busy.reads_time == {Point.HANDOFF}
    assert busy.reads_history == {Point.ACCEPT}
    assert "member.load.active" in busy.reads[Point.ASSIGN]


def test_a_rule_of_its_own_points_is_asked_there_only(tmp_path: Path) -> None:
    """`on` of a rule narrows `on` of its policy."""
    policies = kit.load(
        tmp_path, kit.policy("  - {id: t, on: [handoff], require: member.trust_score > 0.99}\n")
    )
    assert policies.points == {Point.HANDOFF}
    assert names(verdict(policies)) == ["pfgov:no_policy"]
    assert names(verdict(policies, Point.HANDOFF)) == ["placement/t"]


@pytest.mark.parametrize("generated", [True, False])
def test_an_obligation_that_nobody_carries_out_denies(tmp_path: Path, generated: bool) -> None:
    """What pfgov cannot do is a denial wherever it is judged: one by one, as a fleet, explained and in tests."""
    rule = "  - {id: a, require: member.trust_score > 0.5, obligations: [{type: approval, to: reviewer}]}\n"
    found = kit.load(
        tmp_path, kit.policy(rule, on="[register, place, retain]"), generated=generated
    )
    for point in (Point.REGISTER, Point.ASSIGN, Point.HANDOFF, Point.ACCEPT, Point.RETAIN):
        asked = kit.question(point)
        member = kit.member()
        verdict = found.judge_one(asked, member)
        assert (verdict.outcome, [r.name for r in verdict.reasons]) == (
            "deny",
            ["pfgov:obligation"],
        )
        kinds = found.fleet(point).kinds(asked, [member] * 3)
        assert [one.outcome for one in kinds.each()] == ["deny"] * 3
        assert explain(found, asked, member).verdict == verdict
        poor = found.judge_one(asked, kit.member(trust_score=0.4))
        assert [reason.rule for reason in poor.reasons] == ["a"]


def test_policy_a_verdict_does_not_depend_on_who_was_asked_about_before(tmp_path: Path) -> None:
    """Equal numbers of different types are taken for one: the reason is that of whoever was asked about first."""
    rule = "  - {id: half, require: member.trust_score / 2.0 > 0.9}\n"
    question = kit.question(Point.ASSIGN)
    members = [kit.member(trust_score=value) for value in (1.0, 1, True, 0.0, -0.0, 0, False)]
    alone = []
    for at, member in enumerate(members):
        alone += kit.load(tmp_path / str(at), kit.policy(rule)).judge(question, [member])
    together = kit.load(tmp_path / "all", kit.policy(rule))
    for _ in range(2):
        assert together.judge(question, members) == alone
        assert together.judge(question, members[::-1]) == alone[::-1]
    assert len(set(alone)) > 3
