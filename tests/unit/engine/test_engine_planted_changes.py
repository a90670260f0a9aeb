"""One table of mistakes in a policy set, each put before every tool that is there to find it.

The comparison finds it with a case, impact with the entries that would have come out otherwise, and, where it is a
mistake that a mutant makes, the test that the comparison proposes is what notices that mutant.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from support import policy_kit as kit
from support.ledgers import OPERATOR, SECOND, START, fresh, opened, packet, register, submit

from pfgov.clock import ManualClock
from pfgov.core import commands as c
from pfgov.engine import LedgerReader
from pfgov.engine.reading import Report, Span, impact_of_store
from pfgov.policy import PolicySet, load_directory
from pfgov.policy.authoring.comparing.comparison import as_test, compare, direction
from pfgov.policy.authoring.mutating.mutants import mutants
from pfgov.policy.authoring.testing.runner import run_directory
from pfgov.policy.load import read_directory
from pfgov.storage import open_store

PLACING = kit.policy(
    "  - {id: floor, require: member.trust_score >= params.floor}\n"
    "  - {id: urgent, on: [assign, handoff], when: packet.priority > 5, require: member.trust_score >= 0.9}\n"
    "  - {id: kept, when: 'packet.workload_type == \"train\"',"
    " require: 'member.type == \"agent\" && member.trust_score > 0.7'}\n"
    "  - {id: home, on: [assign], require: member.region in defs.regions}\n",
    extra="imports: [near]\nparams: {floor: {type: double, value: 0.5}}\n",
    on="[assign, handoff, accept, retain]",
)
NAMED = kit.policy(
    "  - {id: named, require: 'member.id != \"nobody\"'}\n",
    name="named",
    on="[register, assign, handoff, accept, retain]",
)
FOLDER = {
    "placing.policy.yaml": PLACING,
    "named.policy.yaml": NAMED,
    **{
        f"{name}.yaml": (
            f'apiVersion: pfgov/v1\nkind: Definitions\nmetadata: {{name: {name}, version: "1"}}\n'
            f"params: {{regions: {{type: list(string), value: [{regions}]}}}}\n"
        )
        for name, regions in (("near", "us-east"), ("far", "us-east, eu"))
    },
}


@dataclass(frozen=True, slots=True)
class Planted:
    """A mistake: what is written instead, which packets come out otherwise by which rule, and the mutant that is it."""

    old: str
    new: str
    packets: tuple[str, ...]
    rule: str
    way: str = "wider"
    mutant: str | None = None


PLANTED = {
    "a boundary widened by one": Planted(
        "packet.priority > 5", "packet.priority > 6", ("six",), "placement/urgent",
        mutant="rule urgent: when: 6 for 5",
    ),
    "a boundary narrowed by one": Planted(
        "packet.priority > 5", "packet.priority > 4", ("five",), "placement/urgent", "narrower",
        mutant="rule urgent: when: 4 for 5",
    ),
    "a comparison that lost its equal sign": Planted(
        "member.trust_score >= params.floor", "member.trust_score > params.floor",
        ("at-floor", "five"), "placement/floor", "narrower",
        mutant="rule floor: require: > for >=",
    ),
    "a clause dropped": Planted(
        '"agent" && member.trust_score > 0.7', '"agent"', ("training",), "placement/kept",
        mutant="rule kept: require: without member.trust_score > 0.7",
    ),
    "a rule dropped": Planted(
        "  - {id: urgent, on: [assign, handoff], when: packet.priority > 5, require: member.trust_score >= 0.9}\n", "",
        ("six",), "placement/urgent", mutant="without the rule urgent",
    ),
    "a rule's on narrowed": Planted(
        "on: [assign, handoff], when", "on: [handoff], when", ("six",), "placement/urgent",
        mutant="rule urgent: not asked at assign",
    ),
    "a param changed": Planted(
        "value: 0.5}", "value: 0.49}", ("at-floor",), "placement/floor", mutant="param floor: 0.49 for 0.5",
    ),
    "a policy moved to shadow": Planted(
        "imports: [near]", "mode: shadow\nimports: [near]", ("six",), "placement/urgent",
        mutant="placement in shadow mode",
    ),
    "an import that resolves elsewhere": Planted(
        "imports: [near]", "imports: [far]", ("at-floor",), "placement/home",
    ),
}  # fmt: skip


def written(folder: Path, *change: str, **more: str) -> Path:
    """Write the policies, with a change of the first one."""
    files = dict(FOLDER)
    if change:
        old, new = change
        assert files["placing.policy.yaml"].count(old) == 1, old
        files["placing.policy.yaml"] = files["placing.policy.yaml"].replace(old, new)
    return kit.write(folder, {**files, **more})


@pytest.fixture(scope="module")
def binding(tmp_path_factory: pytest.TempPathFactory) -> PolicySet:
    """Compile the set that is in force."""
    return load_directory(written(tmp_path_factory.mktemp("binding")))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, binding: PolicySet) -> Path:
    """Return a closed ledger with members and packets at both sides of every boundary."""
    directory = fresh(tmp_path_factory.mktemp("told"))
    with opened(directory, ManualClock(START + SECOND)) as engine:
        engine.activate(binding, principal=OPERATOR)
        for name, trust in (("edge", "0.5"), ("below", "0.499"), ("high", "0.95")):
            register(engine, name, trust_score=trust)
        abroad = c.RegisterMember(member_id="abroad", type="agent", region="eu", trust_score="0.8")
        submit(engine, abroad)
        submit(engine, packet("at-floor"))
        submit(engine, packet("five", priority=5))
        submit(engine, packet("six", priority=6))
        submit(engine, packet("training", workload_type="train"))
        engine.settle()
    return directory


def impact(directory: Path, policies: PolicySet, binding: PolicySet) -> Report:
    """Return the impact of *policies* on the decisions that the binding set took."""
    with LedgerReader(open_store(directory)) as reader, reader.snapshot() as queries:
        state = reader.state()
        assert state.policy == binding.digest
        return impact_of_store(queries, policies, Span(since=state.policy_since))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found_by_every_tool(
    name: str, tmp_path: Path, told: Path, binding: PolicySet
) -> None:
    """A mistake passes the comparison, leaves no trace in impact, or no test is proposed that would notice it."""
    planted = PLANTED[name]
    folder = written(tmp_path / "new", planted.old, planted.new)
    new = load_directory(folder)

    # the comparison, with a case on which the two sets disagree when they are asked
    found = compare(binding, new)
    assert found.changes
    assert (found.is_widening, found.is_narrowing) == (
        planted.way == "wider", planted.way == "narrower",
    )  # fmt: skip
    assert found.disagreements
    for _, one in found.disagreements:
        member = one.case.roots.get("member")
        said = [each.judge_one(one.case.question(), member) for each in (binding, new)]
        assert said[0].outcome != said[1].outcome
        assert direction(one) == planted.way

    # impact, with the entries, the rule and nobody else's
    report = impact(told, new, binding)
    flipped = {flip.subject for flip in report.flips if planted.rule in flip.rules}
    assert flipped >= {f"packet/{one}" for one in planted.packets}, report.flips
    changed = getattr(report.counts, planted.way)
    assert changed == report.counts.decisions - report.counts.same > 0
    assert report.counts.wider + report.counts.narrower == changed
    with LedgerReader(open_store(told)) as reader, reader.snapshot() as queries:
        entries = {row.seq: row.subject for row in queries.entries()}
    assert all(entries[flip.position] == flip.subject for flip in report.flips)
    rules = {share.name for share in report.by.rules}
    assert all(rule.startswith("placement/") for rule in rules)

    # the proposed test holds for what is binding, and notices the mistake
    tests = "\n".join(as_test(one) for _, one in found.disagreements)
    head = "apiVersion: pfgov/v1\nkind: PolicyTest\ncases:\n"
    for where, wrong in ((folder, 0), (written(tmp_path / "old"), len(found.disagreements))):
        (where / "proposed.test.yaml").write_text(head + tests)
        assert len(run_directory(where).failed) == wrong
    if planted.mutant is not None:
        _is_a_mutant(tmp_path / "old", planted.mutant, new)


def _is_a_mutant(folder: Path, said: str, new: PolicySet) -> None:
    """Hold that a mutant of the policies in *folder* makes this mistake and decides as *new* does."""
    files = read_directory(folder)
    (policy,) = (one for one in files.policies if one.name == "placement")
    (mutant,) = (one for one in mutants(policy) if one.said == said)
    others = [one for one in files.policies if one is not policy]
    mutated = files.compiled([*others, mutant.mutated or policy], generated=False)
    assert not compare(mutated, new, most=200).disagreements


def test_a_renamed_policy_is_no_change(tmp_path: Path, told: Path, binding: PolicySet) -> None:
    """Another name of a policy, or of a rule, passes for another decision with one of the tools."""
    for old, new in (("name: placement", "name: placing"), ("id: urgent", "id: in-a-hurry")):
        renamed = load_directory(written(tmp_path / new[4:], old, new))
        found = compare(binding, renamed)
        assert [one.effect for one in found.changes] == ["none"]
        assert (found.points, found.is_widening, found.is_narrowing) == ((), False, False)
        report = impact(told, renamed, binding)
        assert report.counts.same == report.counts.decisions > 0
        assert report.now == type(report.now)()


def test_a_policy_in_shadow_is_named_as_a_widening(tmp_path: Path, binding: PolicySet) -> None:
    """Taking a policy out of force is told by its cases alone, which a set with nothing else at a point has none of."""
    shadowed = load_directory(written(tmp_path, "imports: [near]", "mode: shadow\nimports: [near]"))
    modes = [one for one in compare(binding, shadowed).changes if one.what == "mode"]
    assert [(one.where, one.new, one.effect) for one in modes] == [
        ("policy placement", "shadow", "widens")
    ]
