"""The border holds for every input: an action, or one of our errors, and nothing else."""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pfgov import model
from pfgov.core import commands as c
from pfgov.core import quantity
from pfgov.core.spelling import CLASS_PATTERN, NAME_PATTERN, check_label
from pfgov.errors import InputError, InvalidError, PfgovError
from pfgov.limits import ACTION_BYTES_MAX, ID_LENGTH_MAX
from pfgov.model.fields import ID_PATTERN

COMMITMENT = c.Commitment(digest="ab" * 32, size=256)

TO_ACTION: dict[type[model.Wire], Callable[[Any], c.Action | None]] = {
    model.MemberRegistration: lambda value: value.to_action(),
    model.MemberUpdate: lambda value: value.to_action(member_id="m"),
    model.TrustAssessment: lambda value: value.to_action(member_id="m"),
    model.PressureReport: lambda value: value.to_action(member_id="m"),
    model.Drain: lambda value: value.to_action(member_id="m"),
    model.Failure: lambda value: value.to_action(member_id="m"),
    model.Quarantine: lambda value: value.to_action(member_id="m"),
    model.Heartbeat: lambda _: None,
    model.FlightPacket: lambda value: value.to_action(
        packet_id=value.packet_id or "p", context=COMMITMENT if value.context_checkpoint else None
    ),
    model.PacketUpdate: lambda value: value.to_action(packet_id="p"),
    model.Placement: lambda value: value.to_action(packet_id="p"),
    model.Handoff: lambda value: value.to_action(packet_id="p"),
    model.Acceptance: lambda value: value.to_action(packet_id="p"),
    model.Abort: lambda value: value.to_action(packet_id="p"),
    model.Checkpoint: lambda value: value.to_action(packet_id="p", context=COMMITMENT),
    model.Completion: lambda value: value.to_action(packet_id="p"),
    model.GivingUp: lambda value: value.to_action(packet_id="p"),
    model.Requeue: lambda value: value.to_action(packet_id="p"),
    model.Cancellation: lambda value: value.to_action(packet_id="p"),
    model.Review: lambda value: value.to_action(packet_id="p"),
    model.DecisionRequest: lambda value: value.to_action(),
}

NAMES = sorted(
    {name for wire in TO_ACTION for name in wire.model_fields}
    | {"step", "name", "version", "allowed"}
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["agent", "2026-06-13T20:00:00Z", "us-east/1a", "ocr>=1.2", "a" * 129])
)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=20,
)


def short(text: str) -> bool:
    """Whether a name is no longer than one may be."""
    return len(text) <= ID_LENGTH_MAX


classes = st.from_regex(re.compile(CLASS_PATTERN, re.ASCII), fullmatch=True).filter(
    lambda text: short(text) and (not text.startswith("pii") or text == "pii" or text[3] == ".")
)
identifiers = st.from_regex(re.compile(ID_PATTERN, re.ASCII), fullmatch=True)


def admitted(text: str) -> bool:
    """Whether a text can be the value of a label: all of it is seen, in its normal form."""
    try:
        return check_label(text) == text
    except InvalidError:
        return False


micros = st.integers(0, 10**15 - 1)
scores = st.integers(0, 10**6)
plain = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp")), max_size=40
)  # letters, marks, numbers, signs and spaces of every script
values = plain.filter(admitted)


def number(micro: int) -> Decimal:
    """The decimal that stands for *micro* millionths."""
    return Decimal(quantity.to_text(micro))


members = st.fixed_dictionaries(
    {"id": identifiers, "type": st.sampled_from(["agent", "service", "vnode", "human"])},
    optional={
        "capabilities": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.from_regex(
                        re.compile(NAME_PATTERN, re.ASCII), fullmatch=True
                    ).filter(short)
                },
                optional={"version": st.sampled_from(["1.2", "2.0rc1"]), "description": plain},
            ),
            max_size=5,
            unique_by=lambda offer: offer["name"],
        ),
        "cpu_capacity": micros.map(number),
        "capacity": st.dictionaries(
            st.sampled_from(["memory", "gpu", "tasks"]), micros.map(number)
        ),
        "trust_score": scores.map(number),
        "region": st.sampled_from(["us-east", "eu/west/1a"]),
        "clearances": st.lists(classes, unique=True, max_size=4),
        "labels": st.dictionaries(st.sampled_from(["a", "team/x", "Z"]), values),
        "lease_seconds": st.integers(1, 86_400),
        "handoff_mode": st.sampled_from(["auto", "accept"]),
        "weight": st.integers(1, 100),
    },
)


@pytest.mark.parametrize("wire", TO_ACTION, ids=lambda wire: wire.__name__)
@given(tree=trees | st.dictionaries(st.sampled_from(NAMES), trees, max_size=8))
@example(tree={"[key]": None})
@example(tree={"labels": {"[key]": 1}})
def test_any_tree_is_an_action_or_our_error(wire: type[model.Wire], tree: object) -> None:
    """Whatever JSON comes in, the border answers with an action that fits an entry, or with a PfgovError."""
    refused: PfgovError | None = None
    action: c.Action | None = None
    try:
        action = TO_ACTION[wire](model.parse(wire, model.check_tree(tree)))
    except PfgovError as error:
        refused = error
    if refused is not None:
        assert refused.code.startswith("input.")
        assert all(one.pointer == "" or one.pointer.startswith("/") for one in refused.errors)
    elif action is not None:
        assert len(msgspec.json.encode(action)) <= ACTION_BYTES_MAX


@given(st.binary(max_size=200))
@example(b'{"a":1e5,"b":-0.0}')
def test_any_bytes_are_a_tree_or_our_error(raw: bytes) -> None:
    """Whatever bytes come in, the reader answers with a tree that it can write again, or with a PfgovError."""
    try:
        tree = model.read_json(raw, limit=1_000)
    except InputError:
        return
    assert model.read_json(model.write_json(tree), limit=10_000) == tree


@given(trees)
def test_written_trees_read_back(tree: Any) -> None:
    """Writing is the inverse of reading, and one tree has one spelling."""
    try:
        raw = model.write_json(model.check_tree(tree))
    except PfgovError:
        return
    again = model.read_json(raw, limit=1_000_000)
    assert model.write_json(again) == raw


@given(trees)
def test_the_reader_agrees_with_the_standard_one(tree: Any) -> None:
    """Where the strict reader answers, it answers what the standard library would."""
    raw = json.dumps(tree).encode()
    try:
        mine = model.read_json(raw, limit=1_000_000)
    except PfgovError:
        return
    assert _floated(mine) == json.loads(raw)


@given(members)
def test_registrations_round_trip(tree: dict[str, Any]) -> None:
    """A registration that was read, written and read again is the same, and so is its action."""
    first = model.parse(model.MemberRegistration, tree)
    raw = model.write_json(first.wire())
    second = model.parse_json(model.MemberRegistration, raw, limit=1_000_000)
    assert second == first
    assert second.to_action() == first.to_action()
    assert (
        msgspec.json.decode(msgspec.json.encode(first.to_action()), type=c.AnyAction)
        == first.to_action()
    )


@given(members)
def test_pairs_are_sorted_and_unique(tree: dict[str, Any]) -> None:
    """Every map in an action is in byte order of its names, each once."""
    action = model.parse(model.MemberRegistration, tree).to_action()
    for pairs in (action.capacity, action.labels):
        names = [name.encode() for name, _ in pairs]
        assert names == sorted(set(names))


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_quantities_round_trip(micro: int) -> None:
    """Millionths, their text and their decimal are the same number."""
    text = quantity.to_text(micro)
    assert quantity.from_text(text) == micro
    assert quantity.to_micro(Decimal(text)) == micro


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_quantities_are_never_rounded(value: Decimal) -> None:
    """A decimal is taken exactly or refused."""
    try:
        micro = quantity.to_micro(value)
    except PfgovError:
        return
    assert Decimal(micro).scaleb(-6) == value


@given(st.floats(0, 1))
def test_floats_are_their_shortest_text(value: float) -> None:
    """A float of at most six digits comes back as itself."""
    rounded = round(value, 6)
    assert quantity.to_float(quantity.to_micro(rounded)) == rounded


def _floated(tree: Any) -> Any:
    if isinstance(tree, Decimal):
        return float(tree) if not math.isinf(float(tree)) else tree
    if isinstance(tree, list):
        return [_floated(item) for item in tree]
    if isinstance(tree, dict):
        return {name: _floated(item) for name, item in tree.items()}
    return tree
