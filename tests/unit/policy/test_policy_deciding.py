"""What a reason shows: the operand that decided, and what it was held against."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov.core.verdicts import Point, Reason
from pfgov.policy import PolicySet, from_document
from pfgov.policy.files.document import OLDER_SCHEMAS
from pfgov.policy.judging.deciding import SHOWS_WHAT_DECIDED
from pfgov_ledger import canonical

A, B, C = (f"int(member.labels.{name}) > 0" for name in "abc")
MARKS = {"a": 1, "b": 2, "c": 3}
"""What a label is when its part is true; false is the negative: so the number shown says which part it is."""


def labels(said: str) -> dict[str, str]:
    """Return the labels under which A, B and C are true, false, missing or failed: ``"T F M"`` and ``E``."""
    wrote = {"T": "{}", "F": "-{}", "E": "x{}"}
    return {
        name: wrote[state].format(mark)
        for (name, mark), state in zip(MARKS.items(), said.split(), strict=False)
        if state != "M"
    }


def reason_of(folder: Path, kind: str, condition: str, **facts: object) -> Reason:
    """Return the one reason that a rule gives."""
    found = policies_of(folder, kind, condition)
    work = kit.packet(data_classes=facts.pop("classes", []), priority=facts.pop("priority", 0))
    verdict = found.judge_one(kit.question(work=work), kit.member(**facts))
    (reason,) = [reason for reason in verdict.reasons if reason.policy == "placement"]
    return reason


def policies_of(folder: Path, kind: str, condition: str) -> PolicySet:
    """Return the set of one rule."""
    text = kit.policy(
        f"  - id: rule\n    {kind}: >-\n      {condition}\n",
        extra="params: {floor: {type: double, value: 0.99}, closed: {type: bool, value: false}}\n",
    )
    return kit.load(folder, text, kit.labels(*MARKS), is_sound=False)


LOGIC = [
    # the rule, what A, B and C are, what an author would name
    ("require", f"{A} && {B}", "M F", -2),
    ("require", f"{A} && {B}", "E F", -2),
    ("require", f"{A} && {B}", "F M", -1),
    ("require", f"{A} && {B}", "F E", -1),
    ("require", f"{A} && {B}", "T F", -2),
    ("require", f"{A} && {B}", "F F", -1),
    ("require", f"{A} || {B}", "F F", -1),
    ("deny", f"{A} || {B}", "M T", 2),
    ("deny", f"{A} || {B}", "E T", 2),
    ("deny", f"{A} || {B}", "F T", 2),
    ("deny", f"{A} || {B}", "T M", 1),
    ("deny", f"{A} || {B}", "T T", 1),
    ("deny", f"{A} && {B}", "T T", 1),
    ("require", f"!({A} || {B})", "M T", 2),
    ("require", f"!({A} && {B})", "T T", 1),
    ("deny", f"!({A} && {B})", "M F", -2),
    ("deny", f"!({A} && {B})", "E F", -2),
    ("require", f"!!({A} && {B})", "M F", -2),
    ("require", f"({A} || {B}) && {C}", "F F F", -3),
    ("require", f"({A} || {B}) && {C}", "F F M", -1),
    ("require", f"({A} || {B}) && {C}", "M F F", -3),
    ("require", f"({A} && {B}) || {C}", "M F F", -2),
    ("require", f"({A} && {B}) || ({C} && {A})", "M F F", -2),
    ("deny", f"({A} && {B}) || {C}", "M T T", 3),
    ("deny", f"({A} && {B}) || {C}", "T T T", 3),
    ("deny", f"({A} && {B}) || {C}", "T T E", 1),
    ("require", f"{A} ? {B} : {C}", "T F M", -2),
    ("require", f"{A} ? {B} : {C}", "F M F", -3),
    ("require", f"{A} ? false : {C}", "T M M", 1),
    ("require", f"{A} ? {B} : false", "F M M", -1),
    ("require", f"{A} ? params.closed : {C}", "T M M", 1),
    ("require", f"({A} && {B}) ? {C} : false", "M F T", -2),
    ("deny", f"({A} || {B}) ? true : {C}", "M T M", 2),
    ("require", f"({A} ? {B} : {C}) && {A}", "M T F", None),
    ("deny", f"cel.bind(x, {A}, x || {B})", "F T", 2),
]


@pytest.mark.parametrize("generated", [True, False])
@pytest.mark.parametrize(("kind", "condition", "said", "named"), LOGIC)
def test_the_operand_that_decided_is_shown(
    kind: str, condition: str, said: str, named: int | None, generated: bool, tmp_path: Path
) -> None:
    """A missing or failed operand is shown where another one decided."""
    text = kit.policy(
        f"  - id: rule\n    {kind}: >-\n      {condition}\n",
        extra="params: {closed: {type: bool, value: false}}\n",
    )
    found = kit.load(tmp_path, text, kit.labels(*MARKS), generated=generated, is_sound=False)
    many = [kit.member(id=f"m-{n}", labels=labels(said)) for n in range(12)]
    fleet = found.fleet(Point.ASSIGN).kinds(kit.question(), many)
    for verdict in (found.judge_one(kit.question(), many[0]), fleet.verdicts[fleet.of[0]]):
        (reason,) = verdict.reasons
        assert reason.observed == (None if named is None else str(named))
        assert (reason.cause == "violated") is (named is not None)


SEEN = [
    # condition, facts, observed, bound
    ("packet.data_classes.all(k, k in member.clearances)", "[pii.email]", "[secret]"),
    ("packet.data_classes.all(i, k, k in member.clearances)", "[pii.email]", "[secret]"),
    (f'packet.data_classes.all(k, k != "secret" && (k == "x" || {A}))', "[secret]", "secret"),
    ("packet.data_classes.all(k, member.trust_score > 0.1 && k in member.clearances)", "[pii.email]", "[secret]"),
    ("packet.data_classes.all(k, member.trust_score > params.floor && k in member.clearances)", "0.95", "0.99"),
    ("packet.data_classes.all(k, member.clearances.exists(c, c == k))", "[pii.email]", "secret"),
    ('member.capability_versions.all(name, name != "ocr")', "[ocr]", "ocr"),
    ('member.capability_versions.all(name, version, version == "2")', "{ocr: 1.4}", "2"),
    ('member.capabilities.exists(c, c.startsWith("shell"))', "[ocr]", "shell"),
    ("packet.required_capabilities.exists(c, c in member.capabilities)", "[]", None),
    ("cel.bind(t, member.trust_score, t > params.floor)", "0.95", "0.99"),
    ("packet.data_classes.all(k, cel.bind(own, member.clearances, k in own))", "[pii.email]", "[secret]"),
    ("params.floor <= member.trust_score", "0.95", "0.99"),
    ("3 > packet.priority", "7", "3"),
    ("now < timestamp('2026-01-01T00:00:00Z')", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ("now - timestamp('2020-01-01T00:00:00.000001Z') < duration('336h')", "189388799.999999s", "1209600s"),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "observed", "bound"), SEEN)
def test_what_was_seen_is_shown_beside_what_it_was_held_against(
    condition: str, observed: str, bound: str | None, tmp_path: Path
) -> None:
    """Of a macro the items that decided and what they met are shown; a constant is a bound, wherever it stands."""
    found = reason_of(
        tmp_path, "require", condition, classes=["pii.email", "secret"], priority=7
    )  # fmt: skip
    assert (found.observed, found.bound) == (observed, bound)
    assert f"(observed {observed}" in found.message


def test_a_denial_shows_the_items_that_it_is_about(tmp_path: Path) -> None:
    """Of ``exists`` in a ``deny`` the items are shown for which it is true, though it has no value for others."""
    condition = f'packet.data_classes.exists(k, k == "secret" || (k == "pii.email" && {A}))'
    found = reason_of(tmp_path, "deny", condition, classes=["pii.email", "secret"])
    assert (found.observed, found.bound) == ("[secret]", "secret")


def test_a_guard_shows_the_packet_and_not_the_limit(tmp_path: Path) -> None:
    """Where nobody is a candidate, what is asked about is observed, and what was before is its bound."""
    rules = (
        "  - {id: most, on: [submit], require: 5 >= packet.priority}\n"
        "  - {id: less, on: [update], require: before.priority >= packet.priority}\n"
    )
    found = kit.load(tmp_path, kit.policy(rules, on="[submit, update]"))
    for point, bound in ((Point.SUBMIT, "5"), (Point.UPDATE, "0")):
        (reason,) = found.judge_one(kit.question(point, kit.packet(priority=7))).reasons
        assert (reason.observed, reason.bound) == ("7", bound)


def test_a_long_condition_leaves_room_for_its_values(tmp_path: Path) -> None:
    """A sentence is cut in the condition, not in what was seen."""
    regions = ", ".join(f'"region-number-{n}"' for n in range(20))
    found = reason_of(tmp_path, "require", f"member.region in [{regions}]")
    assert len(found.message) <= 200
    assert "(observed us-east/1a, bound [region-number-0" in found.message
    assert found.message.startswith('requires member.region in ["region-number-0"')


def test_who_must_agree_is_said_in_full(tmp_path: Path) -> None:
    """Where several have to agree, the sentence says so."""
    rule = (
        "  - {id: two, when: packet.priority > 5, escalate: {to: reviewer, approvals: 2}}\n"
        "  - {id: one, when: packet.priority > 5, escalate: {to: reviewer}}\n"
    )
    found = kit.load(tmp_path, kit.policy(rule))
    verdict = found.judge_one(kit.question(work=kit.packet(priority=9)), kit.member())
    assert [reason.message for reason in verdict.reasons] == [
        "2 different principals with the right reviewer must agree: packet.priority > 5",
        "reviewer must agree: packet.priority > 5",
    ]


BEFORE = [
    ("require", f"{A} && {B}", "M F", "(absent)", "0"),
    ("deny", f"{A} || {B}", "M T", "(absent)", "0"),
    ("require", f"{A} ? params.closed : {C}", "T M M", "false", "true"),
    ("require", "params.floor <= member.trust_score", "M M", "0.95", "0.99"),
    ("require", "3 > packet.priority", "M M", "3", "7"),
    ("require", "cel.bind(t, member.trust_score, t > params.floor)", "M M", "false", "true"),
    ("require", "now - timestamp('2020-01-01T00:00:00Z') < duration('336h')", "M M", "1.89389e+08s", "1.2096e+06s"),
    ("require", f'packet.data_classes.all(k, k == "x" && {A})', "M M", "(absent)", "[pii.email, secret]"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "condition", "said", "observed", "bound"), BEFORE)
def test_a_set_of_an_earlier_meaning_shows_what_it_showed(
    kind: str, condition: str, said: str, observed: str, bound: str, tmp_path: Path
) -> None:
    """A ledger's verdict tables are written again as they are on record, under the semantics of their set."""
    tree = canonical.decode(policies_of(tmp_path, kind, condition).document)
    assert isinstance(tree, dict)
    older = from_document(canonical.encode({**tree, "semantics": SHOWS_WHAT_DECIDED - 1}))
    assert older.semantics == SHOWS_WHAT_DECIDED - 1
    assert SHOWS_WHAT_DECIDED - 1 in OLDER_SCHEMAS
    work = kit.packet(data_classes=["pii.email", "secret"], priority=7)
    verdict = older.judge_one(kit.question(work=work), kit.member(labels=labels(said)))
    (reason,) = [reason for reason in verdict.reasons if reason.policy == "placement"]
    assert (reason.observed, reason.bound) == (observed, bound)
