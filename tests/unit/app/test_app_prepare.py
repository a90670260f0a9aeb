"""What the engine is given for what was asked, at every door: an action, and what lies behind its commitments."""

from itertools import count
from typing import Any

import pytest

from pfgov.app.prepare import activating, moving, placing, prepare
from pfgov.core import commands as c
from pfgov.core.lifecycle import OWNED, PacketStatus
from pfgov.core.records import Packet, Terms
from pfgov.engine import Attachment
from pfgov.engine.answers import attach
from pfgov.model import Checkpoint, Drain, FlightPacket, check_tree, parse
from pfgov.policy import load_starter

ORIGIN = "pfgov.test/prepare"


def salted(subject: str, field: str, payload: bytes) -> Attachment:
    """Commit to a payload with a salt that repeats."""
    return attach(ORIGIN, subject, field, payload, bytes)


def drawn() -> Any:
    """Return what draws d0, d1 and so on."""
    numbers = count()
    return lambda: f"d{next(numbers)}"


def flight(**fields: Any) -> FlightPacket:
    """A packet as it is sent."""
    return parse(FlightPacket, check_tree({"workload_type": "w", **fields}))


def test_an_action_is_taken_as_it_is() -> None:
    """An action that needs no body is changed on its way."""
    asked = c.RetireMember(member_id="m")
    assert prepare(asked, salted, drawn()) == (asked, ())


def test_a_body_is_about_whom_the_caller_names() -> None:
    """A body becomes an action about another member."""
    action = prepare(Drain(), salted, drawn(), member_id="m").action
    assert isinstance(action, c.DrainMember)
    assert action.member_id == "m"


def test_a_context_is_salted_for_its_packet_and_leaves_the_command() -> None:
    """The body of a context is in the command, or its commitment is another packet's."""
    body = {"context_checkpoint": {"step": "one", "secret": "s3cret"}}
    action, attached = prepare(flight(packet_id="p", **body), salted, drawn())
    assert isinstance(action, c.SubmitPacket)
    assert [one.subject for one in attached if isinstance(one, Attachment)] == ["packet/p"]
    assert b"s3cret" not in repr(action).encode()
    claim = {"member_id": "m", "incarnation": 1, "epoch": 1}
    saved = parse(Checkpoint, check_tree({**claim, **body}))
    action, attached = prepare(saved, salted, drawn(), packet_id="q")
    assert isinstance(action, c.CommitCheckpoint)
    assert action.packet_id == "q"
    assert [one.subject for one in attached if isinstance(one, Attachment)] == ["packet/q"]
    assert prepare(flight(packet_id="p"), salted, drawn()).attachments == ()


def test_an_id_is_drawn_where_none_was_named() -> None:
    """A packet gets an id although it has one, or none although it has none."""
    looked = c.Scan(detectors=("patterns@2",))
    action = prepare(flight(), salted, drawn()).action
    assert action == flight().to_action(packet_id="d0", scan=looked)
    assert getattr(prepare(flight(packet_id="p"), salted, drawn()).action, "packet_id", "") == "p"


@pytest.mark.parametrize(("named", "is_taken", "judged_as"), [
    (None, False, "d0"), ("p", False, "p"), ("p", True, "d0"),
])  # fmt: skip
def test_a_packet_is_tried_as_if_it_were_new_and_not_held(
    named: str | None, is_taken: bool, judged_as: str
) -> None:
    """Asking who could take a packet finds nobody because it is held, or an old packet of its id."""
    asked = flight(hold=True, **({} if named is None else {"packet_id": named}))
    action = placing(asked, salted, drawn(), is_taken=is_taken).action
    assert isinstance(action, c.SubmitPacket)
    assert (action.packet_id, action.hold) == (judged_as, False)
    assert asked.hold, "what was asked is left as it was"


@pytest.mark.parametrize("status", PacketStatus)
def test_a_packet_is_moved_where_it_is_owned_and_placed_where_not(status: PacketStatus) -> None:
    """An owned packet is placed as if nobody had it, or another handed off."""
    found = Packet(
        packet_id="p", terms=Terms(workload_type="w"), status=status, created_at=0, lineage_id="p"
    )
    wanted = c.HandOff if status in OWNED else c.PlacePacket
    assert type(moving(found).action) is wanted


def test_a_policy_set_brings_its_document() -> None:
    """A digest becomes binding, and nothing lies behind it."""
    found = load_starter()
    action, attached = activating(found)
    assert isinstance(action, c.ActivatePolicy)
    assert [getattr(one, "document", None) for one in attached] == [found.document]
    assert action.digest == found.digest
