"""What an author writes by a slip, a habit or a look-alike: one problem where it stands, and a true next step.

Rules, messages, labels, params and properties, each as somebody wrote it who had read only the documents.
"""

from pathlib import Path

import pytest
from support import policy_kit as kit
from support.policy_kit import found_in

from pfgov.core.lookalikes import oddity, plainly
from pfgov.core.spelling import check_class, check_name, check_region
from pfgov.errors import InvalidError
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.testing import runner
from pfgov.policy.load import load_directory
from pfgov.policy.problems import PolicyErrors

WRITTEN = [
    # (expression, code, column in it, a piece of the hint or of the message)
    ("m\u0435mber.trust_score > 0.5", "cel.character", 2, "it looks like e: write e"),
    ("member.trust\u200b_score > 0.5", "cel.character", 13, "remove it"),
    ("member.trust_score\u00a0> 0.5", "cel.character", 19, "write a plain blank"),
    ("member.trust_score \u2265 0.5", "cel.character", 20, "write >="),
    ("packet.priority \u2212 1 > 4", "cel.character", 17, "write -"),
    ("member.type \u2260 'tool'", "cel.character", 13, "write !="),
    ("'\u043eperator' in principal.rights", "cel.never_equal", 1, "`operator`? it holds U+043E"),
    ("member.status == '\u0410CTIVE'", "cel.never_equal", 1, "`ACTIVE`? it holds U+0410"),
    ("member.region == '\u0435u'", "policy.spelling", 1, "`eu`? it holds U+0435"),
    ("'pii\u200b' in member.clearances", "policy.spelling", 1, "nobody sees"),
    (
        "packet.data_classes.exists(c, class_within(c, '\u0440ii.special'))",
        "policy.spelling",
        31,
        "which looks like p",
    ),
    ("packet.data_classes.exists(c, class_within(c, 'pii.'))", "policy.spelling", 31, "names"),
    ("member.region != ''", "policy.spelling", 0, "has(member.region)"),
    ("member.capabilities includes 'ocr'", "cel.missing_operator", 21, "item in list"),
    ("packet.data_classes subset member.clearances", "cel.missing_operator", 21, "part.all(x"),
    ("principal in Group::'admins'", "cel.syntax", 19, "principal.rights"),
    ("member.type in ('agent', 'human')", "cel.syntax", 24, "x in [a, b]"),
    ("member.type in {'agent', 'human'}", "cel.syntax", 24, "x in [a, b]"),
    ("packet.data_classes.in(['x'])", "cel.keyword", 21, "x in [a, b]"),
    ("member.region?.startsWith('eu')", "cel.character", 14, ".?"),
    ("!member.type == 'agent'", "cel.type", 1, "a != b"),
    ("member.type == 'agent' || 'human'", "cel.type", 27, "x in [a, b]"),
    ("principal.rights || member.type == 'agent'", "cel.type", 1, "list.exists(x, condition)"),
    ("packet.data_classes.map(c, c in member.clearances)", "cel.result", 1, "list.all"),
    ("packet.data_classes - member.clearances == []", "cel.type", 1, "part.all(x"),
    ("member.id.like('agent-*')", "cel.unknown_function", 11, "x.matches(pattern)"),
    (
        "member.clearances.hasIntersection(packet.data_classes)",
        "cel.unknown_function",
        19,
        "sets.intersects",
    ),
    ("class_within('pii', packet.data_classes)", "cel.type", 1, "ask of each class"),
    ("region_within(member.region, 'eu')", "cel.type", 1, "as a list"),
    ("capability_match('ocr', member.capabilities)", "cel.type", 1, "capability_versions"),
    ("principal.role == 'admin'", "cel.unknown_field", 11, "principal.rights"),
    ("principal.groups.exists(g, g == 'a')", "cel.unknown_field", 11, "principal.rights"),
    ("packet.id == 'x'", "cel.unknown_field", 8, "packet.packet_id"),
    ("member.name == 'x'", "cel.unknown_field", 8, "member.id"),
    ("now - packet.submitted_at < duration('1h')", "cel.unknown_field", 14, "type timestamp"),
    ("packet.context.amount > 5", "cel.unknown_field", 8, "packet.labels.NAME"),
    ("has(member.id)", "cel.constant", 1, "always there"),
    ("!has(packet.handoff.allowed)", "cel.constant", 2, "always there"),
    ("before.region == member.region", "policy.root_unavailable", 1, "update_member"),
    ("packet.priority in [1, '2']", "cel.never_equal", 24, "without quotes"),
    ("member.region in [null, 'eu']", "cel.never_equal", 19, "has()"),
    ("!(member.trust_score in [0.5, true])", "cel.never_equal", 31, "of the type number"),
    ("!(member.id in [])", "cel.constant", 3, "list what is meant"),
    ("member.trust_score >= 1/2", "policy.whole_division", 23, "write 1.0 / 2.0"),
    ("packet.priority >= 7/2", "policy.whole_division", 20, "the rest is dropped"),
    ("!region_within(member.region, [])", "cel.constant", 2, "never true"),
    ("sets.contains(member.clearances, [])", "cel.constant", 1, "always true"),
    ("member.region.startsWith('')", "cel.constant", 0, "always true"),
    ("member.id.matches('[a-z]*')", "cel.constant", 1, "write ^...$"),
    ("now.getHours(member.region) > 8", "cel.zone", 14, "known before anything is asked"),
]


@pytest.mark.parametrize(("rule", "code", "column", "said"), WRITTEN)
def test_a_slip_in_a_rule_is_one_problem_with_a_true_next_step(
    tmp_path: Path, rule: str, code: str, column: int, said: str
) -> None:
    """Each is told once, at its place, by its cause: no hint names another one."""
    text = kit.policy(f'  - id: r\n    require: "{rule}"\n')
    (found,) = found_in(tmp_path, {"p.policy.yaml": text})
    assert found[:3] == (code, 7, 14 + column)
    assert said in found[3]


DECLARED = """
apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  city: {type: string, set_by: [submitter], change: never}
member:
  tier: {type: string, enum: [gold, silver], set_by: [operator], change: rights}
"""
LABELLED = [
    ("packet.labels.city != 'Zu\u0308rich'", 1, "write 'Zürich'"),
    ("!(packet.labels.city in ['Bern', 'Zu\u0308rich '])", 3, "write 'Zürich'"),
    ("!packet.labels.city.startsWith('Zu\u0308')", 2, "normal form NFC"),
    ("packet.labels.city != ' '", 1, "has(packet.labels.city)"),
]


@pytest.mark.parametrize(("rule", "column", "said"), LABELLED)
def test_a_text_that_no_label_holds_is_told(
    tmp_path: Path, rule: str, column: int, said: str
) -> None:
    """A city typed in two characters for one is another text than the one that everybody submits, and denies nobody."""
    text = kit.policy(f'  - id: r\n    require: "{rule}"\n')
    (found,) = found_in(tmp_path, {"p.policy.yaml": text, "labels.yaml": DECLARED})
    assert found[:3] == ("policy.spelling", 7, 14 + column)
    assert said in found[3]


def test_a_declared_value_that_nobody_can_set_is_refused(tmp_path: Path) -> None:
    """The border asks for one form of a text, and a declaration that has another one waits for it in vain."""
    declared = DECLARED.replace("[gold, silver]", '["go\u0308ld", "silver "]').replace(
        "type: string, set_by: [s", 'type: string, pattern: "Zu\u0308.*", set_by: [s'
    )
    text = kit.policy("  - id: r\n    require: member.trust_score > 0.5\n")
    found = found_in(tmp_path, {"p.policy.yaml": text, "labels.yaml": declared})
    assert [one[:2] for one in found] == [
        ("policy.label", 6),
        ("policy.label", 8),
        ("policy.label", 8),
    ]


@pytest.mark.parametrize(
    "rule", ["'tier' in member.labels", "has(member.labels.tier)", "member.labels.?tier.hasValue()"]
)
def test_a_label_that_others_set_is_nobodys_own_word(tmp_path: Path, rule: str) -> None:
    """Whoever asks for a label by its name is told that the member sets it, though an operator does."""
    text = kit.policy(f'  - id: r\n    require: "{rule}"\n')
    assert found_in(tmp_path, {"p.policy.yaml": text, "labels.yaml": DECLARED}) == []


def test_tests_of_a_policy_that_is_not_read_are_not_told_so_again(tmp_path: Path) -> None:
    """One missing bracket makes every test beside it name a policy and rules that there are."""
    text = kit.policy("  - id: r\n    require: member.trust_score > 0.5: x\n")
    tests = (
        "apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\ncases:\n"
        "  - {name: a, packet: {with: {}}, members: [{with: {}, as: m}], expect: {m: {deny: [r]}}}\n"
    )
    found = found_in(tmp_path, {"p.policy.yaml": text, "p.test.yaml": tests})
    assert [one[0] for one in found] == ["policy.yaml.syntax"]


def test_one_mistake_is_told_once_whatever_is_asked_at_its_points(tmp_path: Path) -> None:
    """A misspelt name is told again for each decision point that has other facts."""
    text = kit.policy("  - id: r\n    require: dfs.x > 1\n", on="[place, retain, complete]")
    assert [one[0] for one in found_in(tmp_path, {"p.policy.yaml": text})] == ["cel.unknown_name"]


MESSAGES = [
    ("trust {{member.trust_score}} is low", 7, "write {member.trust_score}"),
    ("trust {{ .packet.priority }} is low", 7, "write {packet.priority}"),
    ("trust ${member.trust_score} is low", 7, "write {member.trust_score}"),
    ("trust #{params.floor} is low", 7, "write {params.floor}"),
    ("trust $(member.trust_score) is low", 7, "write {member.trust_score}"),
    ("trust %s is low", 7, "{member.region}"),
]


@pytest.mark.parametrize(("message", "column", "said"), MESSAGES)
def test_a_value_shown_as_elsewhere_is_doubtful(
    tmp_path: Path, message: str, column: int, said: str
) -> None:
    """A message that would show braces, a dollar or a sign in the place of a value is told where it stands."""
    rule = f'  - id: r\n    require: member.trust_score > params.floor\n    message: "{message}"\n'
    text = kit.policy(rule, extra="params: {floor: {type: double, value: 0.5}}\n")
    found = found_in(tmp_path, {"p.policy.yaml": text})
    assert [one[0] for one in found] == ["policy.message"]
    assert said in found[0][3]
    line = text.splitlines()[found[0][1] - 1]
    assert line.index(message) + column == found[0][2]


@pytest.mark.parametrize(
    "message",
    ["braces {{ }} and {member.region}", "100 % of {member.region}", "USD {packet.priority} $"],
)
def test_a_plain_message_is_left_alone(tmp_path: Path, message: str) -> None:
    """Braces, a percent sign and a dollar may be meant."""
    text = kit.policy(f'  - id: r\n    require: has(member.region)\n    message: "{message}"\n')
    assert found_in(tmp_path, {"p.policy.yaml": text}) == []


LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  risk: {type: string, enum: [low, high], set_by: [submitter], change: narrow}
"""

NAMED = [
    ("'team' in packet.labels", "cel.unknown_field", "declared are risk"),
    ("'rizk' in packet.labels", "cel.unknown_field", "did you mean `risk`?"),
    ("packet.labels.exists(k, k == 'team')", "cel.unknown_field", "declared are risk"),
    ("packet.labels.exists(k, k in ['risk', 'team'])", "cel.unknown_field", "`team`"),
    ("packet.labels.all(k, v, k != 'rsk')", "cel.unknown_field", "did you mean `risk`?"),
    (
        "packet.labels.exists(k, k.startsWith('te'))",
        "policy.undeclared_labels",
        "packet.labels.NAME",
    ),
    ("size(packet.labels) > 0", "policy.undeclared_labels", "packet.labels.NAME"),
    ("packet.labels == {'team': 'a'}", "policy.undeclared_labels", "packet.labels.NAME"),
    (
        "packet.labels[packet.workload_type] == 'a'",
        "policy.undeclared_labels",
        "packet.labels.NAME",
    ),
]


@pytest.mark.parametrize(("rule", "code", "said"), NAMED)
def test_no_way_of_reading_leads_to_a_label_that_is_not_declared(
    tmp_path: Path, rule: str, code: str, said: str
) -> None:
    """Anybody sets what no file declares: a rule that asks for it by name is refused, by loop it is doubtful."""
    text = kit.policy(f'  - id: r\n    require: "{rule}"\n')
    (found,) = found_in(tmp_path, {"labels.yaml": LABELS, "p.policy.yaml": text})
    assert found[0] == code
    assert said in found[3]


@pytest.mark.parametrize(
    "rule",
    ["'risk' in packet.labels", "packet.labels.exists(k, k == 'risk')", "has(packet.labels.risk)"],
)
def test_a_declared_label_is_read_without_a_word(tmp_path: Path, rule: str) -> None:
    """Asking for a label that is declared is nobody's mistake."""
    text = kit.policy(f'  - id: r\n    require: "{rule}"\n')
    assert found_in(tmp_path, {"labels.yaml": LABELS, "p.policy.yaml": text}) == []


def test_a_rule_that_is_about_another_point_never_applies(tmp_path: Path) -> None:
    """A `require` under a `when` that no point of the rule meets binds nobody, as a `deny` does."""
    text = kit.policy("  - id: r\n    when: action == 'retain'\n    require: has(member.region)\n")
    (found,) = found_in(tmp_path, {"p.policy.yaml": text})
    assert found[0] == "policy.never_applies"


def test_a_param_that_is_wrong_is_told_once(tmp_path: Path) -> None:
    """Who reads a param or a variable that was a problem itself is not told that there is none."""
    rules = "  - id: r\n    require: member.trust_score > params.floor && variables.fine\n"
    text = kit.policy(rules, extra="params: {floor: 0.5}\nvariables: {fine: {a: b}}\n")
    found = found_in(tmp_path, {"p.policy.yaml": text})
    assert [one[0] for one in found] == ["policy.wrong_type", "policy.wrong_type"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("default: deny", "no default"),
        ("priority: 1", "order means nothing"),
        ("name: p", "under `metadata`"),
        ("validationFailureAction: Audit", "mode: shadow"),
        ("spec: {}", "under `rules`"),
    ],
)
def test_a_key_of_a_policy_elsewhere_is_told_as_the_key_here(
    tmp_path: Path, key: str, said: str
) -> None:
    """What other languages say at the top of a policy has its counterpart here."""
    text = kit.policy("  - id: r\n    require: has(member.region)\n") + f"{key}\n"
    (found,) = found_in(tmp_path, {"p.policy.yaml": text})
    assert found[0] == "policy.unknown_key"
    assert said in found[3]


# --- properties -----------------------------------------------------------------------------


def beside(properties: str) -> dict[str, str]:
    """Return a policy with three rules, and one case and *properties* beside it."""
    rules = (
        "  - {id: floor, require: member.trust_score >= 0.5}\n"
        "  - {id: region, require: has(member.region)}\n"
        "  - {id: look, when: packet.priority > 5, escalate: {to: reviewer, expires: 1d}}\n"
    )
    case = (
        "cases:\n  - {name: one, packet: {with: {}, as: p}, "
        "members: [{with: {trust_score: 0.9, region: eu}, as: m}], expect: {m: allow}}\n"
    )
    return {
        "p.policy.yaml": kit.policy(rules),
        "p.test.yaml": f"apiVersion: pfgov/v1\nkind: PolicyTest\npolicy: placement\n{case}properties:\n{properties}",
    }


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("never: decision == 'allow' && 'PII' in packet.data_classes", "policy.spelling"),
        ("never: decision == 'allow' && 'opertor' in principal.rights", "cel.never_equal"),
        ("never: decision == 'allow' && now > timestamp('2026-12-01')", "cel.always_fails"),
        ("never: \"decision == 'allow' && 'team' in packet.labels\"", "cel.unknown_field"),
        ("monotone: packet.demand.cpu", "policy.test.property"),
    ],
)
def test_a_property_that_cannot_fail_is_told_by_check(tmp_path: Path, said: str, code: str) -> None:
    """What cannot be meant in a rule cannot be meant in a property, and is no green either."""
    files = beside(f"  - name: x\n    {said}\n")
    found = found_in(tmp_path, files)
    assert [one[0] for one in found] == [code]
    if code == "policy.spelling":
        assert runner.run_directory(tmp_path).failed
    else:
        with pytest.raises(PolicyErrors) as refused:
            runner.run_directory(tmp_path)
        assert refused.value.codes == (code,)


def test_every_wrong_property_is_told_at_once(tmp_path: Path) -> None:
    """The first property that does not compile hides no other."""
    files = beside("  - {name: x, never: member.trst > 1}\n  - {name: z, never: packet.prio > 1}\n")
    assert [one[0] for one in found_in(tmp_path, files)] == ["cel.unknown_field"] * 2


def test_what_is_allowed_is_tried_with_other_values_of_what_a_property_reads(
    tmp_path: Path,
) -> None:
    """Rules that ask for several things at once keep no generated input from breaking a property."""
    said = "decision == 'allow' && packet.handoff_count > 99999"
    kit.write(tmp_path, beside(f'  - name: x\n    never: "{said}"\n'))
    (failed,) = runner.run_directory(tmp_path).failed
    assert "is true, with decision allow" in (failed.problem or "")


# --- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "b.policy.json", "b.policy", "b.policy.yaml ", "b.policy.yaml\u200b", "b.policy.yam\u04cf",
        "b.policy\uff0eyaml\u3000", "b.policy.yaml.txt", ".d/b.policy.yaml", ".d/B.POLICY.YML",
    ],
)  # fmt: skip
def test_what_a_person_takes_for_a_policy_is_never_passed_over(tmp_path: Path, name: str) -> None:
    """A strict policy under a name that is not read refuses the folder, at check and wherever it is loaded."""
    text = kit.policy("  - {id: r, require: member.trust_score >= 0.9}\n")
    files = {"a.policy.yaml": text, name: text.replace("placement", "strict")}
    assert [one[0] for one in found_in(tmp_path, files)] == ["policy.unread"]
    with pytest.raises(PolicyErrors):
        load_directory(tmp_path)


@pytest.mark.parametrize(
    "name", ["b.policy.yaml.bak", "b.policy.yaml~", "README.md", ".git/config"]
)
def test_what_is_left_behind_is_listed(tmp_path: Path, name: str) -> None:
    """An editor's copy, a text and a repository are no policies."""
    text = kit.policy("  - {id: r, require: member.trust_score >= 0.9}\n")
    kit.write(tmp_path, {"a.policy.yaml": text, name: text})
    found = check_directory(tmp_path)
    assert (found.problems, len(found.unread)) == ((), 1)


# --- names at the border --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "name", "hint"),
    [
        (check_class, "\u0440ii.special", "looks like p; did you mean pii.special?"),
        (check_class, "pii\u200b.email", "nobody sees; did you mean pii.email?"),
        (check_class, "\uff50ii", "looks like p; did you mean pii?"),
        (check_name, "\u043ecr", "looks like o; did you mean ocr?"),
        (check_region, "\u0435u-west", "looks like e; did you mean eu-west?"),
        (check_region, "EU", "did you mean eu?"),
        (check_class, "pii.\u4e2d", "U+4E2D"),
    ],
)
def test_a_name_that_only_looks_right_is_refused_with_the_character(
    check: object, name: str, hint: str
) -> None:
    """Whoever sees no difference is told where it is, and the suggestion leaves no letter out."""
    assert callable(check)
    with pytest.raises(InvalidError) as refused:
        check(name)
    assert hint in (refused.value.hint or "")


def test_plain_text_has_nothing_odd() -> None:
    """ASCII is taken as it stands."""
    assert plainly("us-east/1a") == "us-east/1a"
    assert oddity("us-east/1a") is None
