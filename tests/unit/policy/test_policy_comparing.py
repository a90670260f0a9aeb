"""Two policy sets side by side: every planted change is found, with a case that shows it and a test that keeps it."""

import itertools
from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import Point
from pfgov.policy import PolicySet, load_directory, shipped_directory
from pfgov.policy.authoring.comparing import shapes
from pfgov.policy.authoring.comparing.comparison import (
    Comparison,
    as_test,
    compare,
    direction,
    known_cases,
)
from pfgov.policy.authoring.comparing.search import Case, difference, search
from pfgov.policy.authoring.mutating.mutants import mutants
from pfgov.policy.authoring.testing.runner import run_directory
from pfgov.policy.load import read_directory

PII = 'packet.data_classes.exists(c, class_within(c, "pii"))'
BASE = (
    "  - {id: floor, require: member.trust_score >= params.floor}\n"
    f"  - {{id: clean, when: '{PII}', require: '\"pii\" in member.clearances || member.trust_score > 0.9'}}\n"
    "  - {id: busy, on: [assign], deny: member.load.active >= 10}\n"
    "  - {id: many, on: [handoff, accept], when: packet.handoff_count > 3, escalate: {to: reviewer}}\n"
)
PARAMS = "params: {floor: {type: double, value: 0.6}}\n"


def base(folder: Path, *changes: tuple[str, str]) -> PolicySet:
    """Compile the policy that everything here is a change of, with *changes* in its text."""
    text = kit.policy(BASE, extra=PARAMS, on="[place]")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return kit.load(folder, text)


def compared(tmp_path: Path, *changes: tuple[str, str]) -> Comparison:
    """Compare the policy with a change of it."""
    return compare(base(tmp_path / "old"), base(tmp_path / "new", *changes))


PLANTED = {
    "boundary": (("value: 0.6", "value: 0.61"), "assign", "narrower"),
    "boundary, by a hair": (("value: 0.6", "value: 0.599999"), "assign", "wider"),
    "strict": (("member.trust_score >=", "member.trust_score >"), "assign", "narrower"),
    "a whole number": (("active >= 10", "active >= 11"), "assign", "wider"),
    "a clause that is gone": ((" || member.trust_score > 0.9", ""), "handoff", "narrower"),
    "a count": (("handoff_count > 3", "handoff_count > 2"), "handoff", "narrower"),
    "on, narrowed": (("on: [handoff, accept]", "on: [accept]"), "handoff", "wider"),
    "a rule that is gone": (
        ("  - {id: busy, on: [assign], deny: member.load.active >= 10}\n", ""),
        "assign",
        "wider",
    ),
    "another class": (
        ('class_within(c, "pii")', 'class_within(c, "pii.email")'),
        "assign",
        "wider",
    ),
    "another right": (("to: reviewer", "to: operator"), None, None),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_change_is_found_with_its_case(name: str, tmp_path: Path) -> None:
    """A change of what is decided passes for none."""
    change, point, way = PLANTED[name]
    found = compared(tmp_path, change)
    assert found.changes
    if point is None:
        return
    cases = {where.value: one for where, one in found.disagreements}
    assert point in cases, [(one.point, one.cases) for one in found.points]
    assert direction(cases[point]) == way
    assert found.is_widening == (way == "wider")
    asked, case = cases[point], cases[point].case
    member = case.roots.get("member")
    assert found.old.judge_one(case.question(), member).outcome == asked.old.outcome
    assert found.new.judge_one(case.question(), member).outcome == asked.new.outcome


@pytest.mark.parametrize("name", [name for name in PLANTED if PLANTED[name][1]])
def test_the_test_that_is_proposed_tells_the_sets_apart(name: str, tmp_path: Path) -> None:
    """A proposed test does not load, passes for the old set, or fails for the new one."""
    found = compared(tmp_path, PLANTED[name][0])
    cases = [as_test(one) for _, one in found.disagreements]
    text = "apiVersion: pfgov/v1\nkind: PolicyTest\ncases:\n" + "\n".join(cases)
    for folder, failing in ((tmp_path / "new", 0), (tmp_path / "old", len(cases))):
        (folder / "proposed.test.yaml").write_text(text)
        report = run_directory(folder)
        assert len(report.failed) == failing, [one.problem for one in report.failed]


BOTH_WAYS = {
    "more trust, and more packets": (
        ("value: 0.6", "value: 0.7"),
        ("active >= 10", "active >= 20"),
    ),
    "less trust, and fewer packets": (
        ("value: 0.6", "value: 0.5"),
        ("active >= 10", "active >= 3"),
    ),
    "one rule turned round": (("require: member.trust_score >=", "deny: member.trust_score >="),),
}


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_what_is_allowed_more_is_found_beside_what_is_allowed_less(
    name: str, tmp_path: Path
) -> None:
    """A change that narrows hides one that widens, and a gate that asks for widenings lets both through."""
    found = compared(tmp_path, *BOTH_WAYS[name])
    ways = {direction(one) for point, one in found.disagreements if point is Point.ASSIGN}
    assert ways == {"wider", "narrower"}
    assert found.is_widening
    assert found.is_narrowing
    shown = [row["case"]["direction"] for row in found.as_dict()["points"] if "case" in row]
    assert set(shown) == ways


@pytest.mark.parametrize(
    "rule", ["now > packet.labels.start - duration('5h')", "now < packet.labels.start"]
)
def test_a_change_about_the_moment_in_a_label_is_found(rule: str, tmp_path: Path) -> None:
    """Labels that are moments are never set by the search, and a rule about one changes unseen."""
    labels = (
        'apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: "1"}\npacket:\n'
        "  start: {type: timestamp, set_by: [submitter], change: rights}\n"
    )
    text = "  - {{id: r, when: has(packet.labels.start), require: {}}}\n"
    old = kit.load(
        tmp_path / "old", kit.policy(text.format('"now >= packet.labels.start"')), labels
    )
    new = kit.load(tmp_path / "new", kit.policy(text.format(f'"{rule}"')), labels)
    assert compare(old, new).is_widening


WITHHELD = {
    "a path less": ("/a/name, /a/phone", "/a/phone", "wider"),
    "a part of it": ("/a", "/a/name", "wider"),
    "all of it": ("/a/name, /a/phone", "/a", "narrower"),
    "each of a list": ("/a/name", "/a/*/name, /b", "narrower"),
    "something else": ("/a/name", "/a/phone", "other"),
}


@pytest.mark.parametrize("name", WITHHELD)
def test_who_sees_more_than_before_is_told(name: str, tmp_path: Path) -> None:
    """A path that is not withheld any more is a difference and no widening, and a gate lets it through."""
    before, after, way = WITHHELD[name]
    rule = (
        "  - {{id: r, when: member.type == 'tool', obligations: [{{type: redact, paths: [{}]}}]}}\n"
    )
    old = kit.load(tmp_path / "old", kit.policy(rule.format(before)))
    new = kit.load(tmp_path / "new", kit.policy(rule.format(after)))
    found = compare(old, new)
    assert {direction(one) for _, one in found.disagreements} == {way}
    assert found.is_widening is (way != "narrower")
    assert found.is_narrowing is (way != "wider")


DECLARED = {
    "who may set it": ("set_by: [operator]", "set_by: [operator, member]", True, False),
    "who may not": ("set_by: [operator]", "set_by: [admin]", True, False),
    "fewer values": ("gold, silver", "gold", False, True),
    "more values": ("gold, silver", "gold, silver, bronze", True, False),
    "any value": ("enum: [gold, silver], ", "", True, False),
    "changed at will": ("change: never", "change: rights", True, False),
    "another pattern": ("[a-z]{3}", "[a-z]{3}|x", True, False),
    "no pattern": ("pattern: '[a-z]{3}', ", "", True, False),
    "a pattern, too": ("note: {type: string, ", "note: {type: string, pattern: '.', ", False, True),
    "values for a pattern": ("pattern: '[a-z]{3}'", "enum: [abc, abd]", False, True),
    "values beside a pattern": ("pattern: '[a-z]{3}'", "enum: [abc, ab]", True, False),
    "another type": ("note: {type: string", "note: {type: double", True, False),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_label_that_more_may_set_is_a_widening_by_its_kind(name: str, tmp_path: Path) -> None:
    """What a rule reads is set by somebody else from now on, though no rule changed and no case differs."""
    before, after, widens, narrows = DECLARED[name]
    labels = (
        'apiVersion: pfgov/v1\nkind: Labels\nmetadata: {name: labels, version: "1"}\nmember:\n'
        "  tier: {type: string, enum: [gold, silver], set_by: [operator], change: never}\n"
        "  code: {type: string, pattern: '[a-z]{3}', set_by: [operator], change: never}\n"
        "  note: {type: string, set_by: [operator], change: never}\n"
    )
    text = kit.policy("  - {id: r, require: member.labels.tier == 'gold'}\n")
    old = kit.load(tmp_path / "old", text, labels)
    found = compare(old, kit.load(tmp_path / "new", text, labels.replace(before, after)), most=50)
    assert (found.is_widening, found.is_narrowing) == (widens, narrows)


def test_a_rename_is_not_a_change(tmp_path: Path) -> None:
    """Another name of a policy, a rule, a param or a variable counts as another decision."""
    found = compared(
        tmp_path,
        ("name: placement", "name: placing"),
        ("id: busy", "id: overloaded"),
        ("params.floor", "params.least"),
        ("params: {floor:", "params: {least:"),
    )
    assert not found.points
    assert not found.is_widening
    assert not found.is_narrowing
    only = compared(tmp_path / "only", ("name: placement", "name: placing"))
    assert [(one.what, one.old, one.new, one.effect) for one in only.changes] == [
        ("renamed", "placement", "placing", "none")
    ]


def test_a_constant_that_became_a_param_is_not_a_change(tmp_path: Path) -> None:
    """Moving an expression into a variable, or a number into a param, counts as another decision."""
    found = compared(
        tmp_path,
        ("member.load.active >= 10", "variables.is_busy"),
        (
            "params: {floor: {type: double, value: 0.6}}\n",
            PARAMS.replace("}}", "}, most: {type: int, value: 10}}")
            + "variables: {is_busy: member.load.active >= params.most}\n",
        ),
    )
    assert found.changes
    assert not found.points


def test_a_policy_in_shadow_is_a_widening_by_name(tmp_path: Path) -> None:
    """Taking a policy out of force is not said to let anything through."""
    other = kit.policy("  - {id: x, require: member.trust_score >= 0.1}\n", name="other")
    texts = [kit.policy(BASE, extra=PARAMS), other]
    old = kit.load(tmp_path / "old", *texts)
    new = kit.load(tmp_path / "new", texts[0].replace("rules:", "mode: shadow\nrules:"), other)
    found = compare(old, new)
    modes = [one for one in found.changes if one.what == "mode"]
    assert [(one.where, one.new, one.effect) for one in modes] == [
        ("policy placement", "shadow", "widens")
    ]
    assert found.is_widening
    assert all(direction(one) == "wider" for _, one in found.disagreements)


def test_an_import_that_resolves_elsewhere_is_found(tmp_path: Path) -> None:
    """A definition under the same name in another file is taken for the same."""

    def made(folder: Path, imported: str) -> PolicySet:
        files = {
            "a.policy.yaml": kit.policy(
                "  - {id: home, require: member.region in defs.regions}\n",
                extra=f"imports: [{imported}]\n",
            )
        }
        for name, regions in (("strict", "[eu]"), ("loose", "[eu, us-east]")):
            files[f"{name}.yaml"] = (
                f'apiVersion: pfgov/v1\nkind: Definitions\nmetadata: {{name: {name}, version: "1"}}\n'
                f"params: {{regions: {{type: list(string), value: {regions}}}}}\n"
            )
        return load_directory(kit.write(folder, files))

    found = compare(made(tmp_path / "old", "strict"), made(tmp_path / "new", "loose"))
    resolved = [one for one in found.changes if one.what == "defs regions"]
    assert [(one.old, one.new) for one in resolved] == [
        ("['eu'], from strict", "['eu', 'us-east'], from loose")
    ]
    assert {point for point, _ in found.disagreements} == {
        Point.ASSIGN,
        Point.HANDOFF,
        Point.ACCEPT,
    }


def test_the_same_set_is_not_searched(tmp_path: Path) -> None:
    """Cases are tried, or claimed, where nothing is said differently."""
    found = compare(base(tmp_path / "old"), base(tmp_path / "new"))
    assert (found.changes, found.points) == ((), ())


def test_an_equal_rewriting_is_no_difference_in_so_many_cases(tmp_path: Path) -> None:
    """What was not found is called equal, or a difference is made up."""
    found = compared(
        tmp_path, ("deny: member.load.active >= 10", 'deny: "!(member.load.active < 10)"')
    )
    assert [(one.point, one.found) for one in found.points] == [(Point.ASSIGN, None)]
    assert found.points[0].cases > 1_000


SMALL = {
    "trust_score": (None, 0.0, 0.4, 0.5, 0.6, 1.0),
    "clearances": ([], ["pii"], ["pii.email"]),
    "region": (None, "eu", "us-east"),
}


@pytest.mark.parametrize(
    "rule",
    list(
        itertools.product(
            ("member.trust_score >= 0.5", "member.trust_score > 0.4", "has(member.trust_score)"),
            (
                'member.region == "eu"',
                'has(member.region) && member.region != "eu"',
                "member.clearances != []",
            ),
            ("&&", "||"),
        )
    ),
)
def test_the_search_agrees_with_brute_force(rule: tuple[str, str, str], tmp_path: Path) -> None:
    """Over a small domain the search misses a difference that trying everything finds."""
    first, second, joint = rule
    old = kit.load(tmp_path / "old", kit.policy(f"  - {{id: r, require: '{first}'}}\n"))
    text = f"  - {{id: r, require: '({first}) {joint} ({second})'}}\n"
    new = kit.load(tmp_path / "new", kit.policy(text))
    found = search(old, new, Point.ASSIGN)
    plain = Case(
        Point.ASSIGN,
        {"packet": kit.packet(), "principal": {"id": "local", "rights": [], "members": []}},
    )

    def differs(values: tuple[object, ...]) -> bool:
        facts = kit.member(**dict(zip(SMALL, values, strict=True)))
        facts = {name: value for name, value in facts.items() if value is not None}
        question = plain.question()
        return difference(old.judge_one(question, facts), new.judge_one(question, facts))

    brute = any(differs(values) for values in itertools.product(*SMALL.values()))
    assert (found.found is not None) == brute


def test_shipped_packs_differ_from_the_starter_set_and_not_from_themselves() -> None:
    """A pack is compared with itself and found different, or with another and not."""
    packs = [load_directory(shipped_directory(n)) for n in ("starter", "eu-residency")]
    assert not compare(packs[0], packs[0]).points
    assert compare(packs[0], packs[1], most=300).points
    for point in Point:
        assert shapes.is_same_at(packs[1], packs[1], point)


@pytest.mark.parametrize(
    ("pack", "name"),
    [("starter", "pii"), ("regulated-review", "duties"), ("eu-residency", "residency")],
)
def test_what_is_dropped_is_found_at_every_point_where_it_was_asked(pack: str, name: str) -> None:
    """A clause, a rule or a point that is gone from a shipped policy is found at one point, and passes at another."""
    folder = shipped_directory(pack)
    files, known = read_directory(folder), known_cases(folder)
    old = files.compiled(generated=False)
    (policy,) = (one for one in files.policies if one.name == name)
    dropped = [one for one in mutants(policy) if "without" in one.said and one.mutated is not None]
    assert len(dropped) >= 2
    for mutant in dropped:
        others = [one for one in files.policies if one.name != name]
        new = files.compiled([*others, mutant.mutated or policy], generated=False)
        for point in Point:
            if not shapes.is_same_at(old, new, point):
                found = search(old, new, point, known)
                assert found.found is not None, (mutant.said, point.value, found.cases)
