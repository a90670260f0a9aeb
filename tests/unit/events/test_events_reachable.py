"""Maximal inputs through the border and the real rules: every entry they cause fits.

:mod:`test_events_size` bounds each event on its own; here the largest registration, packet and decision are made for
real, in a world of the most members that an entry can name, each refused for the most reasons.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from support.largest_events import ENVELOPE, NAME, WIDE
from support.world import FakePolicy, World

from pfgov import limits
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.verdicts import ALLOW, Reason, Verdict, combine
from pfgov.errors import TooLargeError
from pfgov.model import FlightPacket, MemberRegistration, PacketUpdate, parse
from pfgov.model.border import FEW_ITEMS

PRINCIPAL = c.Principal(
    id="o" * limits.ID_LENGTH_MAX,
    rights=("operator", "assessor", "submitter")
    + ("member:" + "m" * limits.ID_LENGTH_MAX,) * (limits.PRINCIPAL_RIGHTS_MAX - 3),
)


def reasons(count: int, effect: Any = "deny") -> tuple[Reason, ...]:
    """As many reasons with the longest names."""
    long = NAME[:-4]
    return tuple(Reason(policy=NAME, rule=f"{long}{i:04d}", effect=effect) for i in range(count))


def refusing(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
    """Let everybody in; refuse everybody a packet, for a hundred reasons each, in shadow as well."""
    if point in {"register", "retain"}:
        return ALLOW
    return combine(reasons(100), shadow=reasons(100))


def filled(size_of: Callable[[int], int]) -> int:
    """The largest amount of filling for which the size is within the budget."""
    low, high = 0, limits.LABELS_MAX * limits.LABEL_LENGTH_MAX
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if size_of(middle) <= limits.ACTION_BYTES_MAX else (low, middle - 1)
        )
    return low


def entry_bytes(event: e.Event) -> int:
    """Bytes of the whole entry around the event."""
    return len(msgspec.json.encode(ENVELOPE)) + len(e.encode_body(event))


def labels(filling: int) -> dict[str, str]:
    """Labels with that many four-byte characters in all, within the bounds of one label."""
    each = limits.LABEL_LENGTH_MAX
    return {
        f"label-{i:02d}": WIDE * min(each, filling - i * each) for i in range(-(-filling // each))
    }


def registration(filling: int, name: str = "m" * limits.ID_LENGTH_MAX) -> dict[str, Any]:
    """A registration with as many regions of clearance as there can be and that much filling."""
    return {
        "id": name,
        "type": "service",
        "region": "r" * limits.ID_LENGTH_MAX,
        "trust_score": 0.999999,
        "clearances": [f"{i:0128d}" for i in range(limits.CLEARANCES_MAX)],
        "labels": labels(filling),
    }


def packet(filling: int) -> dict[str, Any]:
    """A packet with a long history and that much filling."""
    return {
        "packet_id": "p" * limits.ID_LENGTH_MAX,
        "workload_type": "w" * limits.ID_LENGTH_MAX,
        "previous_owners": ["o" * limits.ID_LENGTH_MAX] * 90,
        "labels": labels(filling),
    }


def largest_registration() -> c.RegisterMember:
    """The largest registration that the border lets through."""
    filling = filled(lambda n: _size(MemberRegistration, registration(n)))
    return parse(MemberRegistration, registration(filling)).to_action()


def largest_packet() -> c.SubmitPacket:
    """The largest packet that the border lets through."""
    filling = filled(lambda n: _size(FlightPacket, packet(n)))
    return parse(FlightPacket, packet(filling)).to_action(packet_id="p" * limits.ID_LENGTH_MAX)


def _size(model: Any, tree: dict[str, Any]) -> int:
    value = parse(model, tree)
    try:
        action = (
            value.to_action(packet_id=tree["packet_id"])
            if "packet_id" in tree
            else value.to_action()
        )
    except TooLargeError:
        return limits.ACTION_BYTES_MAX + 1
    return len(msgspec.json.encode(action))


@pytest.fixture(scope="module")
def history() -> list[e.Event]:
    """What happens when the largest member and packet arrive among many members that policy refuses."""
    world = World(policy=FakePolicy(refusing))  # type: ignore[arg-type]
    packet_id, member_id = "p" * limits.ID_LENGTH_MAX, "0" * limits.ID_LENGTH_MAX
    actions: list[Any] = [
        largest_registration(),
        *(c.RegisterMember(member_id=f"{i:0128d}", type="agent") for i in range(20)),
        largest_packet(),
        c.PlacePacket(packet_id=packet_id),
        c.EvaluateDecision(packet_id=packet_id, member_id=member_id),
    ]
    found: list[e.Event] = []
    for action in actions:
        command = c.Command(id="c" * 128, request_id="r" * 128, principal=PRINCIPAL, do=action)
        first, *others = world.do(action, PRINCIPAL)
        found += [msgspec.structs.replace(first, command=command), *others]
    return found


def test_the_budget_is_reached() -> None:
    """The inputs are maximal: one more character is refused at the border."""
    for action in (largest_registration(), largest_packet()):
        assert (
            limits.ACTION_BYTES_MAX - 8
            < len(msgspec.json.encode(action))
            <= limits.ACTION_BYTES_MAX
        )


@pytest.mark.parametrize("wire", [FlightPacket, PacketUpdate])
def test_what_is_not_measured_is_never_too_large(wire: Any) -> None:
    """An action with few things in its collections is not measured, and could be more than an entry takes."""
    text, name = WIDE * limits.TEXT_LENGTH_MAX, "n" * limits.ID_LENGTH_MAX
    tree: dict[str, Any] = {
        "packet_id": name, "workload_type": name, "current_owner": name, "again": name, "status": "IN_PROGRESS",
        "scheduler": "rendezvous", "priority": limits.PRIORITY_MAX, "hold": True, "max_handoffs": limits.HANDOFFS_MAX,
        "progress_seconds": limits.PROGRESS_SECONDS_MAX,
        "handoff": {"allowed": False, "reason": text}, "deadline": "2026-12-31T23:59:59.999999Z",
        "policy_constraints": {"pii_review_required": True, "minimum_trust_score": 0.999999},
        "audit": {"lineage_id": name, "last_event": name, "created_at": "2026-12-31T23:59:59.999999Z"},
        "context_checkpoint": {"step": text, "state_hash": text},
        "labels": {f"{i:064d}"[:limits.NAME_LENGTH_MAX]: WIDE * limits.LABEL_LENGTH_MAX for i in range(FEW_ITEMS)},
    }  # fmt: skip
    known = {field.alias or name for name, field in wire.model_fields.items()}
    value = parse(wire, {key: one for key, one in tree.items() if key in known})
    context = c.Commitment(digest="d" * 64, size=limits.CONTEXT_BYTES_MAX)
    more = {"context": context} if wire is FlightPacket else {}
    action = value.to_action(packet_id=name, **more)
    assert len(action.labels) == FEW_ITEMS
    assert len(msgspec.json.encode(action)) <= limits.ACTION_BYTES_MAX


def test_the_largest_inputs_make_entries_that_fit(history: list[e.Event]) -> None:
    """A maximal registration, packet, refused placement and evaluation all stay within the reachable bound."""
    sizes = {event.type: entry_bytes(event) for event in history}
    assert {
        "member_registered",
        "packet_created",
        "assignment_decision",
        "decision_evaluated",
    } <= set(sizes)
    assert max(sizes.values()) <= limits.ENTRY_BYTES_REACHABLE_MAX, sizes
    assert sizes["packet_created"] > 2 * limits.ACTION_BYTES_MAX, "nothing small fools the test"


def test_a_decision_names_at_most_what_it_may(history: list[e.Event]) -> None:
    """Rules, shadowed rules, losers and their reasons are cut at their limits; the table has them all."""
    decision = next(event for event in history if isinstance(event, e.AssignmentDecision)).decision
    assert len(decision.rejected) == len(decision.shadow) == limits.REJECTED_RULES_MAX
    assert len(decision.nearest) == limits.NEAREST_LOSERS_MAX
    assert {len(loser.reasons) for loser in decision.nearest} == {limits.REASONS_PER_LOSER_MAX}
