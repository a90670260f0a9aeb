"""Wire models refuse every coercion, name the place, and report everything at once."""

import json
from decimal import Decimal
from typing import Any

import pytest

from pfgov import limits, model
from pfgov.core import commands as c
from pfgov.errors import InputError, InvalidError, TooLargeError, UnknownFieldError
from pfgov.model import (
    Checkpoint,
    DecisionRequest,
    FlightPacket,
    Heartbeat,
    MemberRegistration,
    MemberUpdate,
    PacketUpdate,
    Requeue,
    TrustAssessment,
    Wire,
    parse,
    parse_json,
)
from pfgov.model import border as border_module

COMMITMENT = c.Commitment(digest="ab" * 32, size=256)


def member(**fields: Any) -> MemberRegistration:
    """A registration with these fields besides the two that are required."""
    raw = json.dumps({"id": "a", "type": "agent", **fields}).encode()
    return parse_json(MemberRegistration, raw, limit=10_000_000)


def packet(**fields: Any) -> FlightPacket:
    """A packet with these fields besides the one that is required."""
    raw = json.dumps({"workload_type": "w", **fields}).encode()
    return parse_json(FlightPacket, raw, limit=10_000_000)


def problems(build: Any, **fields: Any) -> list[tuple[str, str]]:
    """The pointers and codes of everything that is wrong."""
    with pytest.raises(InputError) as caught:
        build(**fields)
    return [(one.pointer, one.code) for one in caught.value.errors]


INVALID, UNKNOWN, LARGE = "input.invalid", "input.unknown_field", "input.too_large"

MEMBER_REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "trust above one": ({"trust_score": 99}, "/trust_score", INVALID),
    "trust just above one": ({"trust_score": 1.000001}, "/trust_score", INVALID),
    "trust below zero": ({"trust_score": -0.1}, "/trust_score", INVALID),
    "trust as text": ({"trust_score": "0.9"}, "/trust_score", INVALID),
    "trust as bool": ({"trust_score": True}, "/trust_score", INVALID),
    "trust with a seventh digit": ({"trust_score": 0.1234567}, "/trust_score", INVALID),
    "trust as list": ({"trust_score": [1]}, "/trust_score", INVALID),
    "negative capacity": ({"cpu_capacity": -1}, "/cpu_capacity", INVALID),
    "negative dimension": ({"capacity": {"gpu": -1}}, "/capacity/gpu", INVALID),
    "vast capacity": ({"memory_capacity": 10**9}, "/memory_capacity", LARGE),
    "capacity twice": ({"cpu_capacity": 1, "capacity": {"cpu": 2}}, "", INVALID),
    "dimension name": ({"capacity": {"nvidia.com/gpu": 1}}, "/capacity/nvidia.com~1gpu", INVALID),
    "unknown field": ({"trust_scor": 1}, "/trust_scor", UNKNOWN),
    "unknown type": ({"type": "robot"}, "/type", INVALID),
    "id with a space": ({"id": "a b"}, "/id", INVALID),
    "id empty": ({"id": ""}, "/id", INVALID),
    "id with a newline": ({"id": "a\n"}, "/id", INVALID),
    "id not ASCII": ({"id": "ä"}, "/id", INVALID),
    "id too long": ({"id": "a" * (limits.ID_LENGTH_MAX + 1)}, "/id", LARGE),
    "id a number": ({"id": 7}, "/id", INVALID),
    "capability twice": ({"capabilities": ["a", {"name": "a"}]}, "/capabilities", INVALID),
    "capability with a range": ({"capabilities": ["a>=1"]}, "/capabilities/0/name", INVALID),
    "capability version": (
        {"capabilities": [{"name": "a", "version": "one"}]},
        "/capabilities/0/version",
        INVALID,
    ),
    "capability field": (
        {"capabilities": ["a", {"name": "b", "versoin": "1"}]},
        "/capabilities/1/versoin",
        UNKNOWN,
    ),
    "capability nameless": ({"capabilities": [{}]}, "/capabilities/0/name", INVALID),
    "capabilities as text": ({"capabilities": "planning"}, "/capabilities", INVALID),
    "capabilities as object": ({"capabilities": {"planning": 1}}, "/capabilities", INVALID),
    "too many capabilities": (
        {"capabilities": [f"c{i}" for i in range(limits.CAPABILITIES_MAX + 1)]},
        "/capabilities",
        LARGE,
    ),
    "region": ({"region": "us east"}, "/region", INVALID),
    "region with an empty part": ({"region": "us-east//1a"}, "/region", INVALID),
    "region ending in a slash": ({"region": "us-east/"}, "/region", INVALID),
    "clearance twice": ({"clearances": ["pii", "pii"]}, "/clearances", INVALID),
    "label value a number": ({"labels": {"a": 1}}, "/labels/a", INVALID),
    "label with a direction mark": ({"labels": {"a": "x\u202ey"}}, "/labels/a", INVALID),
    "label too long": ({"labels": {"a": "x" * (limits.LABEL_LENGTH_MAX + 1)}}, "/labels/a", LARGE),
    "label name": ({"labels": {"": "x"}}, "/labels/", INVALID),
    "too many labels": ({"labels": {f"l{i}": "" for i in range(33)}}, "/labels", LARGE),
    "public key": ({"public_key": "AB" * 32}, "/public_key", INVALID),
    "lease too short": ({"lease_seconds": 0}, "/lease_seconds", INVALID),
    "lease too long": ({"lease_seconds": limits.LEASE_SECONDS_MAX + 1}, "/lease_seconds", INVALID),
    "lease a fraction": ({"lease_seconds": 30.5}, "/lease_seconds", INVALID),
    "lease one point zero": ({"lease_seconds": 30.0}, "/lease_seconds", INVALID),
    "lease a bool": ({"lease_seconds": True}, "/lease_seconds", INVALID),
    "weight zero": ({"weight": 0}, "/weight", INVALID),
    "handoff mode": ({"handoff_mode": "maybe"}, "/handoff_mode", INVALID),
}


@pytest.mark.parametrize("name", sorted(MEMBER_REFUSED))
def test_member_refused(name: str) -> None:
    """Each of these registrations is refused at its place with its code."""
    fields, pointer, code = MEMBER_REFUSED[name]
    assert problems(member, **fields) == [(pointer, code)]


TERMS = "/policy_constraints"
PACKET_REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "floor null": ({"policy_constraints": {"minimum_trust_score": None}}, f"{TERMS}/minimum_trust_score", INVALID),
    "regions null": ({"policy_constraints": {"allowed_regions": None}}, f"{TERMS}/allowed_regions", INVALID),
    "constraints null": ({"policy_constraints": None}, TERMS, INVALID),
    "floor of 90": ({"policy_constraints": {"minimum_trust_score": 90}}, f"{TERMS}/minimum_trust_score", INVALID),
    "review yes": ({"policy_constraints": {"pii_review_required": "yes"}}, f"{TERMS}/pii_review_required", INVALID),
    "misspelt constraint": ({"policy_constraints": {"allowed_region": []}}, f"{TERMS}/allowed_region", UNKNOWN),
    "region": ({"policy_constraints": {"allowed_regions": ["a", "b c"]}}, f"{TERMS}/allowed_regions/1", INVALID),
    "handoff as bool": ({"handoff": True}, "/handoff", INVALID),
    "requirement": ({"required_capabilities": ["a>>1"]}, "/required_capabilities/0", INVALID),
    "requirement twice": ({"required_capabilities": ["a>=1,<2", "a <2, >=1"]}, "/required_capabilities", INVALID),
    "created_at": ({"audit": {"created_at": "yesterday"}}, "/audit/created_at", INVALID),
    "created_at a number": ({"audit": {"created_at": 0}}, "/audit/created_at", INVALID),
    "deadline beyond the profile": ({"deadline": "2256-01-01T00:00:00Z"}, "/deadline", INVALID),
    "priority": ({"priority": limits.PRIORITY_MAX + 1}, "/priority", INVALID),
    "hold": ({"hold": 0}, "/hold", INVALID),
    "step a number": ({"context_checkpoint": {"step": 3}}, "/context_checkpoint/step", INVALID),
    "context a list": ({"context_checkpoint": []}, "/context_checkpoint", INVALID),
    "too many owners": ({"previous_owners": ["a"] * (limits.PREVIOUS_OWNERS_MAX + 1)}, "/previous_owners", LARGE),
    "max_handoffs": ({"max_handoffs": -1}, "/max_handoffs", INVALID),
    "progress of no time": ({"progress_seconds": 0}, "/progress_seconds", INVALID),
    "demand": ({"demand": {"cpu": "1"}}, "/demand/cpu", INVALID),
    "data class": ({"data_classes": ["pii", ""]}, "/data_classes/1", INVALID),
    "epoch is not the caller's": ({"epoch": 3}, "/epoch", UNKNOWN),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PACKET_REFUSED))
def test_packet_refused(name: str) -> None:
    """Each of these packets is refused at its place with its code."""
    fields, pointer, code = PACKET_REFUSED[name]
    assert problems(packet, **fields) == [(pointer, code)]


def test_everything_wrong_is_reported_at_once() -> None:
    """Three mistakes give three problems, and the message leads with the first."""
    with pytest.raises(
        InvalidError, match=r"trust_score: 2 is not between 0 and 1 \(and 2 more\)"
    ) as caught:
        member(trust_score=2, weight=0, colour="red")
    assert [one.pointer for one in caught.value.errors] == ["/trust_score", "/weight", "/colour"]


def test_an_unknown_field_names_the_one_meant() -> None:
    """A misspelt field is answered with the right spelling, a foreign one with the list."""
    with pytest.raises(UnknownFieldError) as caught:
        packet(policy_constraints={"allowed_region": ["us-east"]})
    assert caught.value.hint == "did you mean allowed_regions?"
    with pytest.raises(UnknownFieldError) as caught:
        packet(handoff={"xyz": 1})
    assert caught.value.hint == "there are: allowed, reason"


def test_hundreds_of_problems_stay_readable() -> None:
    """No more problems are listed than a reader mends at once."""
    found = problems(member, **{f"x{i}": 1 for i in range(100)})
    assert len(found) == border_module.PROBLEMS_MAX


@pytest.mark.parametrize("score", [0, 1, 0.0, 1.0, 0.000001, 0.999999])
def test_scores_at_the_edges(score: float) -> None:
    """Zero, one and everything six digits can say between them are scores."""
    assert member(trust_score=score).trust_score == Decimal(str(score))


def test_equal_scores_are_the_same_text() -> None:
    """0.90, 0.9 and 9e-1 are the same score in the ledger; so are 1 and 1.0."""
    texts = set()
    for spelling in ("0.90", "0.9", "9e-1", "90E-2"):
        raw = f'{{"id":"a","type":"agent","trust_score":{spelling}}}'.encode()
        texts.add(parse_json(MemberRegistration, raw, limit=1_000).to_action().trust_score)
    assert texts == {"0.9"}
    assert member(trust_score=1.0).to_action() == member(trust_score=1).to_action()


def test_a_yaml_float_is_what_its_author_typed() -> None:
    """A float from a YAML reader is read as its shortest decimal text."""
    tree = {"id": "a", "type": "agent", "trust_score": 0.1, "cpu_capacity": 1e8}
    action = parse(MemberRegistration, tree).to_action()
    assert (action.trust_score, action.capacity) == ("0.1", (("cpu", "100000000"),))


def test_maps_become_sorted_pairs() -> None:
    """Labels and resources stand in byte order, whatever order they came in."""
    action = member(
        labels={"b": "2", "B": "1", "a/x": "3"}, capacity={"memory": 1, "cpu": 2.50}
    ).to_action()
    assert action.labels == (("B", "1"), ("a/x", "3"), ("b", "2"))
    assert action.capacity == (("cpu", "2.5"), ("memory", "1"))


def test_capacity_may_be_said_twice_alike() -> None:
    """Both spellings of one amount agree, whatever its digits."""
    assert member(cpu_capacity=2, capacity={"cpu": 2.0}).to_action().capacity == (("cpu", "2"),)


def test_null_is_absent_where_nothing_widens() -> None:
    """A program that writes null for what is not there is understood, outside constraints."""
    assert packet(current_owner=None, deadline=None) == packet()
    assert member(trust_score=None, region=None).to_action() == member().to_action()


@pytest.mark.parametrize(("model", "field"), [(MemberUpdate, "region"), (PacketUpdate, "deadline")])
def test_null_in_an_update_is_refused(model: type[Wire], field: str) -> None:
    """In a change, null could mean 'remove' or 'leave': it is refused."""
    with pytest.raises(InvalidError, match="null is not a value here"):
        parse(model, {field: None})


def test_the_difference_between_no_region_and_any() -> None:
    """Absent regions stay absent (any), an empty list stays empty (none)."""
    anywhere = packet().to_action(packet_id="p")
    nowhere = packet(policy_constraints={"allowed_regions": []}).to_action(packet_id="p")
    assert anywhere.constraints.allowed_regions is None
    assert nowhere.constraints.allowed_regions == ()


def test_a_packet_without_an_id_or_lineage_gets_both() -> None:
    """The edge's id names the packet and, without a lineage, its lineage."""
    action = packet().to_action(packet_id="01KVXWAG000000000000000000")
    assert action.packet_id == action.lineage_id == "01KVXWAG000000000000000000"


def test_a_context_and_its_commitment_go_together() -> None:
    """A caller that forgets the commitment, or invents one, is stopped."""
    with pytest.raises(ValueError, match="a context needs its commitment"):
        packet(context_checkpoint={"a": 1}).to_action(packet_id="p")
    with pytest.raises(ValueError, match="a context needs its commitment"):
        packet().to_action(packet_id="p", context=COMMITMENT)


def test_a_packet_keeps_its_own_id() -> None:
    """The edge cannot rename a packet by mistake."""
    with pytest.raises(ValueError, match="the packet is fp-1, not fp-2"):
        packet(packet_id="fp-1").to_action(packet_id="fp-2")


def test_context_payloads_are_exact_and_free() -> None:
    """Any keys and numbers of a context survive into its bytes, in one spelling."""
    raw = (
        b'{"workload_type":"w","context_checkpoint":{"Z z":[0.10,1e2,null],"step":"s","":{"a":-0}}}'
    )
    payload = parse_json(FlightPacket, raw, limit=1_000).context_payload()
    assert payload == b'{"":{"a":0},"Z z":[0.1,100,null],"step":"s"}'


def test_a_context_has_a_limit() -> None:
    """A context of more than its limit is refused with a way out."""
    large = packet(context_checkpoint={"x": "y" * limits.CONTEXT_BYTES_MAX})
    with pytest.raises(TooLargeError, match="the context is"):
        large.context_payload()


def test_all_fields_together_have_a_limit() -> None:
    """Fields that are each within bounds may still be too much for one entry."""
    many = [{"name": f"c{i}", "description": "d" * 500} for i in range(limits.CAPABILITIES_MAX)]
    with pytest.raises(TooLargeError, match="as the ledger writes it") as caught:
        member(capabilities=many).to_action()
    assert caught.value.hint is not None


def test_updates_say_only_what_changes() -> None:
    """A field that was not sent is absent from the action, an empty one is not."""
    action = parse(MemberUpdate, {"clearances": [], "withdrawn": ["ocr"]}).to_action(member_id="a")
    assert action == c.UpdateMember(member_id="a", clearances=(), withdrawn=("ocr",))
    update = parse(PacketUpdate, {"policy_constraints": {"minimum_trust_score": 1}, "hold": True})
    assert update.to_action(packet_id="p") == c.UpdatePacket(
        packet_id="p", constraints=c.Constraints(minimum_trust_score="1"), hold=True
    )


def test_an_owner_names_itself_whole() -> None:
    """A checkpoint carries the whole claim; a requeue carries all of it or none."""
    tree = {"member_id": "a", "incarnation": 1, "epoch": 2, "context_checkpoint": {"step": "x"}}
    action = parse(Checkpoint, tree).to_action(packet_id="p", context=COMMITMENT)
    assert action.owner == c.OwnerClaim(member_id="a", incarnation=1, epoch=2)
    assert action.step == "x"
    assert parse(Requeue, {}).to_action(packet_id="p").owner is None
    with pytest.raises(InvalidError, match="all three"):
        parse(Requeue, {"member_id": "a", "epoch": 1})


def test_small_bodies() -> None:
    """A score, a heartbeat and a decision request keep what they say."""
    assert parse(TrustAssessment, {"score": 0.5, "expires_at": "2026-11-23T00:00:00Z"}).to_action(
        member_id="a"
    ) == c.AssessTrust(member_id="a", score="0.5", expires_at=1_795_392_000_000_000)
    beat = parse(Heartbeat, {"incarnation": 1, "owns": [{"packet_id": "p", "epoch": 3}]})
    assert (beat.owns[0].packet_id, beat.owns[0].epoch) == ("p", 3)
    asked = parse(DecisionRequest, {"packet_id": "p", "member_id": "a", "point": "assign"})
    assert asked.to_action() == c.EvaluateDecision(packet_id="p", member_id="a", point="assign")


@pytest.mark.parametrize("tree", [None, [], "x", 3, True])
def test_a_body_is_an_object(tree: object) -> None:
    """Anything but an object is refused at the root."""
    with pytest.raises(InvalidError) as caught:
        parse(FlightPacket, tree)
    assert caught.value.pointer == ""


def test_values_are_frozen() -> None:
    """What was checked cannot be changed afterwards."""
    value = packet()
    with pytest.raises(ValueError, match="frozen"):
        value.hold = True  # type: ignore[misc]


def test_messages_do_not_spill() -> None:
    """A long or strange value is shortened and escaped in the message."""
    with pytest.raises(InvalidError) as caught:
        member(type="x" * 10_000)
    assert len(caught.value.message) < 400
    with pytest.raises(InvalidError) as caught:
        member(id="a\x1b[31m")
    assert "\x1b" not in caught.value.message


OWNER = {"member_id": "a", "incarnation": 1, "epoch": 2}
CLAIM = c.OwnerClaim(member_id="a", incarnation=1, epoch=2)
VIEW = c.View(paths=("/customer/email",), view=COMMITMENT)
MOMENT = ("2026-11-23T00:00:00Z", 1_795_392_000_000_000)

BODIES: list[tuple[type[Wire], dict[str, Any], dict[str, Any], c.Action]] = [
    # model, what is sent, what the edge adds, the action
    (
        model.PressureReport,
        {"pressure": 0.95},
        {"member_id": "a"},
        c.ReportPressure(member_id="a", pressure="0.95"),
    ),
    (
        model.Drain,
        {"mode": "stop_first"},
        {"member_id": "a"},
        c.DrainMember(member_id="a", mode="stop_first"),
    ),
    (
        model.Failure,
        {"reason": "gone"},
        {"member_id": "a"},
        c.FailMember(member_id="a", reason="gone"),
    ),
    (
        model.Quarantine,
        {"until": MOMENT[0]},
        {"member_id": "a"},
        c.QuarantineMember(member_id="a", until=MOMENT[1]),
    ),
    (
        model.Placement,
        {"target": "b"},
        {"packet_id": "p", "views": (VIEW,)},
        c.PlacePacket(packet_id="p", target="b", views=(VIEW,)),
    ),
    (
        model.Handoff,
        {"target": "b", "reason": "tired"},
        {"packet_id": "p"},
        c.HandOff(packet_id="p", target="b", reason="tired"),
    ),
    (
        model.Acceptance,
        {"member_id": "a", "incarnation": 1, "handoff": 7, "view": "ab" * 32},
        {"packet_id": "p"},
        c.AcceptHandoff(packet_id="p", member_id="a", incarnation=1, handoff=7, view="ab" * 32),
    ),
    (
        model.Abort,
        {"cause": "refused"},
        {"packet_id": "p"},
        c.AbortHandoff(packet_id="p", cause="refused"),
    ),
    (model.Completion, OWNER, {"packet_id": "p"}, c.CompletePacket(packet_id="p", owner=CLAIM)),
    (
        model.GivingUp,
        {**OWNER, "reason": "no data"},
        {"packet_id": "p"},
        c.FailPacket(packet_id="p", owner=CLAIM, reason="no data"),
    ),
    (model.Requeue, OWNER, {"packet_id": "p"}, c.RequeuePacket(packet_id="p", owner=CLAIM)),
    (
        model.Cancellation,
        {"reason": "dup"},
        {"packet_id": "p"},
        c.CancelPacket(packet_id="p", reason="dup"),
    ),
    (
        model.Review,
        {"granted": True, "version": 3, "member_id": "a", "expires_at": MOMENT[0], "note": "seen"},
        {"packet_id": "p"},
        c.ReviewPacket(
            packet_id="p",
            granted=True,
            version=3,
            member_id="a",
            expires_at=MOMENT[1],
            note="seen",
        ),
    ),
]


@pytest.mark.parametrize(
    ("wire", "tree", "added", "action"), BODIES, ids=lambda value: getattr(value, "__name__", "")
)
def test_each_body_is_its_action(
    wire: type[Any], tree: dict[str, Any], added: dict[str, Any], action: c.Action
) -> None:
    """Each small body becomes its action, every field in its place."""
    assert parse(wire, tree).to_action(**added) == action


def test_every_wire_model_describes_itself() -> None:
    """The JSON Schema of each wire model says the bounds that the border holds."""
    for name in model.__all__:
        wire = getattr(model, name)
        if isinstance(wire, type) and issubclass(wire, Wire) and wire is not Wire:
            assert wire.model_json_schema()["type"] == "object"
    described = MemberRegistration.model_json_schema()["properties"]
    assert described["capabilities"]["maxItems"] == limits.CAPABILITIES_MAX
    assert described["labels"]["maxProperties"] == limits.LABELS_MAX
    assert described["clearances"]["uniqueItems"] is True


def test_problems_inside_lists_have_their_place() -> None:
    """An unknown field deep inside a list is found, and the fields of the right model are offered."""
    with pytest.raises(UnknownFieldError) as caught:
        parse(Heartbeat, {"incarnation": 1, "owns": [{"packet_id": "p", "epoch": 1, "epochs": 2}]})
    assert (caught.value.pointer, caught.value.hint) == ("/owns/0/epochs", "did you mean epoch?")
    with pytest.raises(UnknownFieldError) as caught:
        packet(**{"": 1})
    assert caught.value.pointer == "/"


@pytest.mark.parametrize(
    ("tree", "pointer"),
    [
        ({"[key]": None}, "/[key]"),
        ({"labels": {"[key]": 1}}, "/labels/[key]"),
        ({"labels": {"a b": "x"}}, "/labels/a b"),
    ],
)
def test_a_field_named_like_pydantics_marker_is_a_field(tree: object, pointer: str) -> None:
    """A name ``[key]`` that was sent is pointed at; it is not taken for the mark of a wrong key."""
    with pytest.raises(InputError) as caught:
        model.parse(model.MemberUpdate, model.check_tree(tree))
    assert caught.value.errors[0].pointer == pointer
