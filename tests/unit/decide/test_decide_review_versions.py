"""A review names the version that was looked at, and a version says that something changed."""

import copy
from pathlib import Path

import pytest
from support import policy_kit as kit
from support.review_world import (
    LABELS,
    REVIEWER,
    RULES,
    SECOND_REVIEWER,
    SUBMITTER,
    submit,
    update,
    world_of,
)
from support.world import World

from pfgov import limits
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import PacketStatus
from pfgov.errors import InvalidError, StateConflictError


def test_review_names_the_version_that_was_looked_at(world: World) -> None:
    """A packet that changed while somebody looked at it is looked at again."""
    submit(world, amount="100")
    looked_at = world.review("p")
    update(world, amount="5000")
    with pytest.raises(StateConflictError) as caught:
        world.do(looked_at, REVIEWER)
    assert caught.value.code == "review.stale"
    with pytest.raises(InvalidError) as missing:
        world.do(c.ReviewPacket(packet_id="p", granted=True), REVIEWER)
    assert missing.value.code == "review.version"
    world.do(c.ReviewPacket(packet_id="p", granted=False), REVIEWER)
    assert world.state.packets["p"].status is PacketStatus.PENDING


OLD, NEW = 5, e.SEMANTICS


@pytest.mark.parametrize("semantics", [OLD, NEW])
def test_review_judging_again_changes_no_version(world: World, semantics: int) -> None:
    """A packet that is judged again with nothing changed is what somebody looked at; older ledgers count the entry."""
    world.state.semantics = semantics
    submit(world, amount="100")
    looked_at, before = world.review("p"), copy.deepcopy(world.state.packets["p"])
    world.wait(60)
    world.do(c.PlacePacket(packet_id="p"))
    asked = [event for _, event in world.entries if isinstance(event, e.ReviewRequested)]
    assert len(asked) == 2, "that somebody asked again is on record"
    if semantics == OLD:
        with pytest.raises(StateConflictError) as caught:
            world.do(looked_at, REVIEWER)
        assert caught.value.code == "review.stale"
        return
    assert world.state.packets["p"] == before
    assert asked[0] == asked[1], "and asking again prolongs nothing"
    world.do(looked_at, REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"


def test_review_a_refusal_that_is_repeated_changes_no_version(tmp_path: Path) -> None:
    """A packet that policy keeps from everybody waits since the first time, and so does one with an owner."""
    rules = """  - {id: everybody, on: [register, place, retain], require: member.status == "ACTIVE"}
  - {id: nobody, on: [assign], deny: packet.workload_type == "none"}
  - {id: stays, on: [handoff], deny: packet.workload_type == "stays"}
  - {id: asked, on: [handoff], when: packet.workload_type == "asked", escalate: {to: reviewer}}
"""
    world = world_of(tmp_path, rules)
    world.member("n", labels=(("employment", "employee"),))
    submit(world, "none", "none")
    submit(world, "stays", "stays")
    submit(world, "asked", "asked")
    again = {
        "none": c.PlacePacket(packet_id="none"),
        "stays": c.HandOff(packet_id="stays"),
        "asked": c.HandOff(packet_id="asked"),
    }
    for name, action in again.items():
        world.do(action)
        before = copy.deepcopy(world.state.packets[name])
        world.wait(60)
        world.do(action)
        assert world.state.packets[name] == before, name


@pytest.mark.parametrize("what", ["member", "amount", "target", "expired", "set"])
def test_review_a_change_between_two_looks_is_another_version(world: World, what: str) -> None:
    """Where a fact, who waits, what is asked or until when changed, somebody looks again."""
    submit(world, amount="100")
    looked_at = world.review("p")
    if what == "member":
        world.member("late", labels=(("employment", "employee"),))
    elif what == "amount":
        update(world, amount="101")
    elif what == "expired":
        world.wait(10 * 24 * 3600)
    elif what == "set":
        world.state.policy = "e" * 64
    world.do(c.PlacePacket(packet_id="p", target="m" if what == "target" else None))
    with pytest.raises(StateConflictError) as caught:
        world.do(looked_at, REVIEWER)
    assert caught.value.code == "review.stale"


def test_review_an_approval_that_lapsed_is_told_once(tmp_path: Path) -> None:
    """Of two approvals the first lapsed: that is asked anew, with the path, and not again at each look."""
    world = world_of(
        tmp_path,
        RULES.replace("escalate: {to: reviewer}", "escalate: {to: reviewer, approvals: 2}"),
    )
    submit(world, amount="100")
    world.do(world.review("p"), REVIEWER)
    update(world, amount="200")
    world.do(c.PlacePacket(packet_id="p"))
    request, looked_at = world.state.packets["p"].request, world.review("p")
    assert request is not None
    assert request.lapsed == ("packet.labels.amount",)
    world.do(c.PlacePacket(packet_id="p"))
    assert world.state.packets["p"].request == request
    world.do(looked_at, REVIEWER)
    world.do(world.review("p"), SECOND_REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"


@pytest.mark.parametrize("semantics", [OLD, NEW])
def test_an_update_to_what_it_is_already_is_none(world: World, semantics: int) -> None:
    """Sending the same labels again neither changes the packet nor costs a reviewer a second look."""
    world.state.semantics = semantics
    submit(world, amount="100")
    looked_at, before = world.review("p"), copy.deepcopy(world.state.packets["p"])
    found = world.do(c.UpdatePacket(packet_id="p", labels=(("amount", "100"),)), SUBMITTER)
    if semantics == OLD:
        assert [event.type for event in found] == ["packet_updated"]
        return
    assert found == []
    assert world.state.packets["p"] == before
    world.do(looked_at, REVIEWER)


@pytest.mark.parametrize("more", [0, 1])
def test_review_holds_for_so_many_facts_and_no_more(tmp_path: Path, more: int) -> None:
    """A review is bound to more facts than its entry may name, or to fewer than its rules read."""
    names = [f"n{number}" for number in range(limits.REVIEW_FACTS_MAX + more)]
    declared = "".join(
        f"  {n}: {{type: int, set_by: [submitter], change: rights}}\n" for n in names
    )
    reads = " || ".join(f"(has(packet.labels.{n}) && packet.labels.{n} > 9)" for n in names)
    halves = [
        reads.split(" || ")[at::4] for at in range(4)
    ]  # one expression has a bound of its own
    rules = (
        '  - {id: everybody, on: [register, place, retain], require: member.status == "ACTIVE"}\n'
    )
    for number, half in enumerate(halves):
        when = " || ".join(half)
        rules += f"  - {{id: r{number}, on: [place], when: '{when}', escalate: {{to: reviewer}}}}\n"
    labels = LABELS.partition("packet:")[0] + "packet:\n" + declared
    world = World(
        policy=kit.load(tmp_path, kit.policy(rules, on="[register, place, retain]"), labels)
    )
    world.member("m")
    submit(world, **dict.fromkeys(names[:4], "10"))
    if more:
        with pytest.raises(StateConflictError) as caught:
            world.do(world.review("p"), REVIEWER)
        assert caught.value.code == "review.too_many_facts"
        return
    world.do(world.review("p"), REVIEWER)
    world.settle()
    assert world.state.packets["p"].owner == "m"
