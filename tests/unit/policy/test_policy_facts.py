"""The declared facts and the engine's facts are one shape, and every fact is documented."""

from pathlib import Path

import pytest
from support import policy_kit as kit

from pfgov import limits
from pfgov.core import judging as engine
from pfgov.core.commands import LOCAL_OPERATOR, RIGHTS, Capability, Constraints, HandoffTerms
from pfgov.core.lifecycle import MemberStatus, PacketStatus
from pfgov.core.quantity import from_text, to_float
from pfgov.core.records import Member, Packet, Review, Terms, TrustScore
from pfgov.policy import facts
from pfgov.policy.authoring.checking import check_directory
from pfgov.policy.authoring.schema import schemas
from pfgov.policy.cel.types import (
    BOOL,
    CelType,
    Field,
    ListType,
    MapType,
    NumberType,
    Record,
    StringType,
)
from pfgov.policy.files.labels import Declarations
from pfgov.policy.provenance import MEANING, SET_BY

BARE_MEMBER = Member(
    member_id="m-1", incarnation=1, kind="agent", status=MemberStatus.ACTIVE, principal="local"
)
FULL_MEMBER = Member(
    member_id="m-1",
    incarnation=2,
    kind="node",
    status=MemberStatus.DRAINING,
    principal="local",
    capabilities={"ocr": Capability(name="ocr", version="1.4"), "plan": Capability(name="plan")},
    capacity={"cpu": 2_500_000, "memory": 1_000_000, "tasks": 3_000_000, "gpu": 1_000_000},
    region="us-east/1a",
    clearances=("pii.email",),
    labels=(("team", "a"),),
    attested=TrustScore(score=950_000, source="x", assessed_at=1),
    used={"cpu": 500_000},
    active=1,
    pressure=250_000,
)
BARE_PACKET = Packet(
    packet_id="p-1",
    terms=Terms(workload_type="work"),
    status=PacketStatus.PENDING,
    created_at=1,
    lineage_id="l",
)
FULL_PACKET = Packet(
    packet_id="p-1",
    terms=Terms(
        workload_type="work",
        required_capabilities=("ocr>=1.2",),
        constraints=Constraints(
            pii_review_required=True, minimum_trust_score="0.9", allowed_regions=("us-east",)
        ),
        handoff=HandoffTerms(allowed=False, reason="why"),
        demand=(("cpu", 500_000),),
        data_classes=("pii",),
        priority=3,
        labels=(("a", "b"),),
    ),
    status=PacketStatus.ASSIGNED,
    created_at=1,
    lineage_id="l",
    step="review",
    owners=("m-0",),
    submitted_by="key:one",
    submitted_for=("m-0",),
    reviews=(
        Review(
            position=3,
            reviewer="key:two",
            point="place",
            policy="",
            rules=(),
            reviewed_for=("m-9",),
        ),
    ),
)


def misfits(value: object, kind: CelType, path: str) -> list[str]:
    """Return the paths whose value is not exactly of its declared type."""
    match kind:
        case Record(fields=fields):
            return _record(value, fields, path)
        case ListType(elem=elem):
            if type(value) is not list:
                return [path]
            return [bad for item in value for bad in misfits(item, elem, f"{path}[]")]
        case MapType(value=inner):
            if type(value) is not dict:
                return [path]
            return [bad for item in value.values() for bad in misfits(item, inner, path)]
        case StringType(allowed=allowed):
            fits = type(value) is str and (allowed is None or value in allowed)
        case NumberType(name=name, minimum=low, maximum=high):
            wanted = float if name == "double" else int
            fits = type(value) is wanted and (low is None or low <= value <= (high or value))
        case _:
            fits = kind != BOOL or type(value) is bool
    return [] if fits else [path]


def _record(value: object, fields: dict[str, Field], path: str) -> list[str]:
    if type(value) is not dict:
        return [path]
    bad = [f"{path}.{name}" for name in value if name not in fields]
    for name, field in fields.items():
        if name in value:
            bad += misfits(value[name], field.type, f"{path}.{name}")
        elif not field.optional:
            bad.append(f"{path}.{name}")
    return bad


def test_the_engines_facts_have_the_declared_shape() -> None:
    """What the engine hands over is what expressions were checked against: no more, no other type."""
    for member in (BARE_MEMBER, FULL_MEMBER):
        found = engine.member_facts(member, Declarations())
        assert misfits(found, facts.ROOTS["member"].type, "member") == []
        assert misfits(found, facts.ROOTS["source"].type, "source") == []
    for packet in (BARE_PACKET, FULL_PACKET):
        found = engine.packet_facts(packet, engine.terms_facts(packet.terms, Declarations()))
        assert misfits(found, facts.ROOTS["packet"].type, "packet") == []
    principal = engine.principal_facts(LOCAL_OPERATOR)
    assert misfits(principal, facts.ROOTS["principal"].type, "principal") == []


def test_full_records_show_every_fact() -> None:
    """Every declared fact is one that the engine can produce."""
    member = engine.member_facts(FULL_MEMBER, Declarations())
    packet = engine.packet_facts(FULL_PACKET, engine.terms_facts(FULL_PACKET.terms, Declarations()))
    for root, found in (("member", member), ("packet", packet)):
        kind = facts.ROOTS[root].type
        assert isinstance(kind, Record)
        assert set(found) == set(kind.fields)


def test_the_test_kit_has_the_declared_shape() -> None:
    """The facts that our own tests use fit the schema, so that they test what happens."""
    assert misfits(kit.member(), facts.ROOTS["member"].type, "member") == []
    assert misfits(kit.packet(), facts.ROOTS["packet"].type, "packet") == []


def test_every_fact_is_documented() -> None:
    """Every fact has a sentence, and every row of the schema stands on the generated page."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "facts.md").read_text()
    for path, _kind, _optional in facts.schema_rows():
        if not path.startswith(("source.", "before")):
            assert f"`{path}`" in page
    stack = list(facts.ROOTS.values())
    while stack:
        field = stack.pop()
        assert field.doc.endswith((".", "`"))
        if isinstance(field.type, Record):
            stack.extend(field.type.fields.values())


def test_rights_are_the_commands_rights() -> None:
    """Policies and commands name the same rights."""
    assert set(facts.RIGHTS) == set(RIGHTS)


def test_a_quantity_ranges_as_far_as_the_border_lets_it() -> None:
    """The largest decimal that a door takes, or the sum of two of them, is outside the range of its fact."""
    largest = to_float(from_text(f"{limits.QUANTITY_MAX}.999999"))
    for path, value in (("capacity", largest), ("load", 2 * largest)):
        member = facts.ROOTS["member"].type
        assert isinstance(member, Record)
        part = member.fields[path].type
        assert isinstance(part, Record)
        amount = part.fields["cpu"].type
        assert isinstance(amount, NumberType)
        assert amount.maximum is None or value <= amount.maximum


def test_every_fact_says_who_sets_it() -> None:
    """A fact that is added has to say whose word it is, in the reference, in the schemas and to `check`."""
    rows = {row[0] for row in facts.schema_rows() if row[1] != "record"}
    assert {path for path in rows if not path.startswith("before")} == set(SET_BY)
    assert set(SET_BY.values()) == set(MEANING)
    schema = schemas()["Fixtures"]["properties"]["members"]["additionalProperties"]["properties"]
    assert MEANING["assessor"] in schema["trust_score"]["description"]
    assert MEANING["member"] in schema["load"]["properties"]["pressure"]["description"]


KIND = "  - {id: kind, on: [place], require: 'member.type == \"human\"'}\n"
BADGE = "  - {id: badge, on: [place], require: 'member.labels.badge == \"staff\"'}\n"
JOINS = """  - id: joins
    on: [register]
    when: member.type == "human" && member.labels.badge == "staff"
    require: '"admin" in principal.rights'
"""
CHANGES = """  - id: changes
    on: [update_member]
    require: member.labels.badge == before.labels.badge || "admin" in principal.rights
"""


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (KIND + BADGE, ["badge", "kind"]),
        (KIND + BADGE + JOINS, ["badge"]),
        (KIND + BADGE + JOINS + CHANGES, []),
    ],
)
def test_what_members_set_is_vouched_for_where_a_rule_asks(
    tmp_path: Path, rules: str, expected: list[str]
) -> None:
    """A kind is vouched for at `register`, for it never changes; a label that changes, at `update_member`, too."""
    labels = kit.labels("badge").replace("[submitter, operator]", "[member, operator]")
    policy = kit.policy(rules, on="[register, place, update_member]")
    kit.write(tmp_path, {"p.policy.yaml": policy, "labels.yaml": labels})
    found = check_directory(tmp_path).problems
    warned = [p.message.split("`")[1] for p in found if p.code == "policy.own_word"]
    assert sorted(warned) == expected
