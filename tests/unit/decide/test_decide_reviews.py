"""A review holds for the facts and the reviewers that it had, also where a handoff asked for it."""

from pathlib import Path

import pytest
from support.review_world import REVIEWER, RULES, SECOND_REVIEWER, submit, update, world_of
from support.world import World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import PacketStatus
from pfgov.errors import PfgovError, StateConflictError

# --- the facts that were looked at ----------------------------------------------------------------


def test_review_a_grant_ends_with_the_value_it_was_given_for(world: World) -> None:
    """Reviewed at 100, raised to 99999999 and requeued: the packet waits for another review, with the path."""
    submit(world, amount="100")
    world.do(world.review("p"), REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"
    update(world, amount="99999999")
    world.settle()
    packet = world.state.packets["p"]
    assert packet.owner is None, "an owner does not keep what was reviewed as something else"
    assert packet.status is PacketStatus.AWAITING_REVIEW
    asked = [event for _, event in world.entries if isinstance(event, e.ReviewRequested)]
    assert asked[-1].lapsed == ("packet.labels.amount",)
    revoked = [event for _, event in world.entries if isinstance(event, e.OwnershipRevoked)]
    assert revoked[-1].reasons == ("pfgov:review_lapsed",)


def test_review_a_grant_waits_and_ends_before_it_was_used(world: World) -> None:
    """A change between the grant and the placement counts just as much."""
    submit(world, amount="100")
    world.do(world.review("p"), REVIEWER)
    update(world, amount="101")
    world.settle()
    assert world.state.packets["p"].owner is None


def test_review_a_grant_outlives_what_no_rule_read(world: World) -> None:
    """A label that the discharged rule does not read changes nothing."""
    submit(world, amount="100")
    world.do(world.review("p"), REVIEWER)
    update(world, amount="100", note="seen")
    world.settle()
    assert world.state.packets["p"].owner == "m"


def test_review_a_grant_is_back_with_the_value(world: World) -> None:
    """It holds for the value: what was changed and changed back is what was looked at."""
    submit(world, amount="100")
    world.do(world.review("p"), REVIEWER)
    update(world, amount="101")
    update(world, amount="100")
    world.settle()
    assert world.state.packets["p"].owner == "m"


def test_review_a_grant_for_anybody_holds_for_who_was_there(world: World) -> None:
    """Where the rule reads the member, a review holds for the members that were seen, as they were."""
    world.do(c.UpdateMember(member_id="m", labels=(("employment", "contractor"),)))
    submit(world, kind="hire")
    world.do(world.review("p"), REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"
    world.member("late", labels=(("employment", "contractor"),))
    world.do(c.HandOff(packet_id="p", target="late"))
    assert world.state.packets["p"].owner == "m", "nobody looked at one that joined later"
    world.do(c.UpdateMember(member_id="m", labels=(("employment", "employee"),)))
    world.settle()
    assert world.state.packets["p"].owner in {None, "m"}


def test_review_a_handoff_does_not_end_the_review_of_what_it_moved(tmp_path: Path) -> None:
    """The count of handoffs that a rule reads is the one before the handoff that was reviewed."""
    rules = """  - {id: everybody, require: member.status == "ACTIVE"}
  - {id: moves, on: [handoff, accept], when: packet.handoff_count < 9, escalate: {to: reviewer}}
"""
    world = world_of(tmp_path, rules)
    world.member("n")
    submit(world)
    first = world.state.packets["p"].owner
    target = "n" if first == "m" else "m"
    world.do(c.HandOff(packet_id="p", target=target))
    world.do(world.review("p"), REVIEWER)
    world.do(c.HandOff(packet_id="p", target=target))
    assert world.state.packets["p"].owner == target
    world.do(c.UpdateMember(member_id=target, weight=2))
    world.settle()
    assert world.state.packets["p"].owner == target
    back = "m" if target == "n" else "n"
    world.do(c.HandOff(packet_id="p", target=back))
    assert world.state.packets["p"].owner == target, "the next one is another handoff"


# --- several eyes ---------------------------------------------------------------------------------


def test_review_two_approvals_are_two_principals(world: World) -> None:
    """The first leaves the packet waiting, the same one again is refused, another one lets it go."""
    submit(world, kind="twice")
    request = world.state.packets["p"].request
    assert request is not None
    assert request.approvals == 2
    world.do(world.review("p"), REVIEWER)
    world.settle()
    packet = world.state.packets["p"]
    assert (packet.status, packet.owner) == (PacketStatus.AWAITING_REVIEW, None)
    with pytest.raises(StateConflictError) as caught:
        world.do(world.review("p"), REVIEWER)
    assert caught.value.code == "review.twice"
    world.do(world.review("p"), SECOND_REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"


def test_review_each_right_is_asked(world: World) -> None:
    """Where one rule asks a reviewer and another an operator, one of them does not speak for both."""
    submit(world, kind="both")
    request = world.state.packets["p"].request
    assert request is not None
    assert request.to == "operator"
    world.do(world.review("p"), c.Principal(id="key:op", rights=("operator",)))
    world.settle()
    request = world.state.packets["p"].request
    assert request is not None
    assert (request.to, len(request.rules)) == ("reviewer", 1)
    world.do(world.review("p"), REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"


def test_review_facts_keep_submitter_and_reviewer_apart(tmp_path: Path) -> None:
    """A key with both scopes does not review what it submitted; nor does another that acts for the same member."""
    rules = RULES + (
        "  - {id: four-eyes, on: [review], deny: 'principal.id == packet.submitted_by.id"
        " || packet.submitted_by.members.exists(m, m in principal.members)'}\n"
    )
    world = world_of(tmp_path, rules, on="[register, place, retain, review]")
    both = c.Principal(id="key:both", rights=("member:n", "reviewer", "submitter"))
    other = c.Principal(id="key:other", rights=("member:n", "reviewer"))
    world.do(
        c.SubmitPacket(
            packet_id="p", workload_type="w", lineage_id="l", labels=(("amount", "100"),)
        ),
        both,
    )
    for principal in (both, other):
        with pytest.raises(PfgovError) as caught:
            world.do(world.review("p", member_id="m"), principal)
        assert caught.value.code == "policy.denied"
    world.do(world.review("p"), REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"


# --- reviews that the handoff of an owner asked for -----------------------------------------------

MOVING = """  - {id: everybody, on: [register, place, retain], require: member.status == "ACTIVE"}
  - id: moves
    on: [handoff]
    when: has(packet.labels.amount) && packet.labels.amount >= 100 && member.id != "careful"
    escalate: {to: reviewer, expires: 1h}
  - {id: never, on: [handoff], require: 'member.labels.employment != "contractor"'}
"""


@pytest.fixture
def asked(tmp_path: Path) -> World:
    """A world in which the owner ``m`` asked to hand ``p`` to ``n``, which takes a review."""
    world = world_of(tmp_path, MOVING)
    submit(world, amount="100")
    world.member("n", labels=(("employment", "employee"),))
    world.member("never", labels=(("employment", "contractor"),))
    world.do(c.HandOff(packet_id="p", target="n"))
    assert (world.state.packets["p"].owner, world.state.packets["p"].request is None) == (
        "m",
        False,
    )
    return world


@pytest.mark.parametrize("ends", ["review_refused", "review_expired"])
def test_review_one_that_was_refused_moves_nothing_later(asked: World, ends: str) -> None:
    """The owner's packet says for ever that it waits for a review, and moves by itself once the rule holds no more."""
    if ends == "review_refused":
        asked.do(asked.review("p", granted=False), REVIEWER)
    else:
        asked.wait(3_601)
    asked.settle()
    packet = asked.state.packets["p"]
    assert (packet.owner, packet.request) == ("m", None)
    assert packet.waiting is not None
    assert packet.waiting.outcome == ends
    update(asked, amount="1")
    asked.settle()
    assert asked.state.packets["p"].owner == "m", "nobody asked for it again"
    asked.do(c.HandOff(packet_id="p", target="n"))
    assert asked.state.packets["p"].owner == "n"


def test_review_one_that_was_granted_moves_it_whatever_was_tried_meanwhile(asked: World) -> None:
    """A handoff that was denied between the question and the answer keeps a packet from moving once it is granted."""
    asked.do(c.HandOff(packet_id="p", target="never"))
    asked.do(asked.review("p"), REVIEWER)
    asked.settle()
    assert asked.state.packets["p"].owner == "n"


def test_review_a_handoff_that_came_to_nothing_is_not_tried_again(asked: World) -> None:
    """A review that was asked for once lets a later handoff, that nobody accepted, begin again by itself."""
    asked.member("careful", handoff_mode="accept", labels=(("employment", "employee"),))
    asked.do(c.HandOff(packet_id="p", target="careful"))
    pending = asked.state.packets["p"].pending
    assert pending is not None
    asked.do(c.AbortHandoff(packet_id="p", cause="requested", handoff=pending.position))
    asked.wait(600)
    asked.settle()
    packet = asked.state.packets["p"]
    assert (packet.owner, packet.pending) == ("m", None)
