"""A review holds for what was looked at: its version, its facts, its reviewers."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import policy_kit as kit
from support.world import World

from pfgov import limits
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.lifecycle import PacketStatus
from pfgov.errors import ForbiddenError, InvalidError, PfgovError, StateConflictError

LABELS = """apiVersion: pfgov/v1
kind: Labels
metadata: {name: labels, version: "1"}
packet:
  amount: {type: int, set_by: [submitter], change: rights}
  risk: {type: string, enum: [low, medium, high], set_by: [submitter], change: narrow}
  note: {type: string, set_by: [submitter], change: rights}
member:
  employment: {type: string, enum: [contractor, employee], set_by: [operator], change: rights}
  mood: {type: string, set_by: [member], change: rights}
"""
RULES = """  - {id: everybody, on: [register, place, retain], require: member.status == "ACTIVE"}
  - {id: large, on: [place], when: has(packet.labels.amount) && packet.labels.amount >= 100, escalate: {to: reviewer}}
  - id: hired
    on: [place]
    when: 'packet.workload_type == "hire" && member.labels.employment == "contractor"'
    escalate: {to: reviewer}
  - {id: twice, on: [place], when: 'packet.workload_type == "twice"', escalate: {to: reviewer, approvals: 2}}
  - {id: both, on: [place], when: 'packet.workload_type == "both"', escalate: {to: reviewer}}
  - {id: both-too, on: [place], when: 'packet.workload_type == "both"', escalate: {to: operator}}
"""
REVIEWER = c.Principal(id="key:rev", rights=("reviewer",))
SECOND_REVIEWER = c.Principal(id="key:rev2", rights=("reviewer",))
SUBMITTER = c.Principal(id="key:sub", rights=("submitter",))


def world_of(folder: Path, rules: str = RULES, *, labels: str = LABELS, on: str = "") -> World:
    """Return a world under *rules*, with one member."""
    points = on or "[register, place, retain]"
    world = World(policy=kit.load(folder, kit.policy(rules, on=points), labels))
    world.member("m", labels=(("employment", "employee"),))
    return world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which large amounts, contractors and some kinds of work need reviews."""
    return world_of(tmp_path)


def submit(world: World, name: str = "p", kind: str = "work", **labels: str) -> None:
    """Submit a packet as somebody who may only submit."""
    world.do(
        c.SubmitPacket(
            packet_id=name, workload_type=kind, lineage_id="l", labels=tuple(sorted(labels.items()))
        ),
        SUBMITTER,
    )


def update(world: World, **labels: str) -> None:
    """Change the packet's labels as its submitter."""
    world.do(c.UpdatePacket(packet_id="p", labels=tuple(sorted(labels.items()))), SUBMITTER)


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


# --- the version ----------------------------------------------------------------------------------


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


# --- labels ---------------------------------------------------------------------------------------

Change = Callable[[World], Any]


def _packet(principal: c.Principal, **labels: str) -> Change:
    action = c.UpdatePacket(packet_id="p", labels=tuple(sorted(labels.items())))
    return lambda world: world.do(action, principal)


def _member(principal: c.Principal, **labels: str) -> Change:
    action = c.UpdateMember(member_id="m", labels=tuple(sorted(labels.items())))
    return lambda world: world.do(action, principal)


OWN = c.Principal(id="m", rights=("member:m",))
OPERATOR = c.Principal(id="key:op", rights=("operator",))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_packet(SUBMITTER, risk="high", amount="1"), None),
        (_packet(SUBMITTER, risk="low", amount="1"), "label.forbidden"),
        (_packet(SUBMITTER, amount="1"), "label.forbidden"),
        (_packet(OPERATOR, risk="low", amount="1"), "label.forbidden"),
        (_packet(SUBMITTER, risk="HIGH", amount="1"), "label.value"),
        (_packet(SUBMITTER, risk="medium", amount="1.0"), "label.value"),
        (_packet(SUBMITTER, risk="medium", amount="01"), "label.value"),
        (_packet(SUBMITTER, risk="medium", amount="1", free="new"), "label.forbidden"),
        (_packet(OPERATOR, risk="medium", amount="1", free="new"), None),
        (_member(OWN, employment="contractor", mood="good"), "label.forbidden"),
        (_member(OWN, employment="employee", mood="good"), None),
        (_member(OWN, employment="employee", mood="good "), "label.value"),
        (_member(OWN, employment="employee", free="new"), "label.forbidden"),
        (_member(OPERATOR, employment="contractor", free="new"), None),
    ],
)
def test_labels_change_as_declared(world: World, change: Change, code: str | None) -> None:
    """Risk only rises, nobody relabels itself, values are of their type, what is undeclared is an operator's."""
    submit(world, risk="medium", amount="1")
    if code is None:
        change(world)
        return
    with pytest.raises(PfgovError) as caught:
        change(world)
    assert caught.value.code == code


def test_labels_are_set_by_whom_the_declaration_names(world: World) -> None:
    """At registration a member says nothing of itself that only an operator sets; what is undeclared it may say."""
    own = c.Principal(id="n", rights=("member:n",))
    made = c.RegisterMember(member_id="n", type="agent", labels=(("employment", "employee"),))
    with pytest.raises(ForbiddenError):
        world.do(made, own)
    world.do(c.RegisterMember(member_id="n", type="agent", labels=(("team", "a"),)), own)
    assert world.state.members["n"].labels == (("team", "a"),)


def test_a_label_that_another_set_let_in_lets_nobody_through(tmp_path: Path) -> None:
    """A text that is no whole number is neither large nor small nor absent: whatever reads it denies."""
    free = '  - {id: everybody, require: member.status == "ACTIVE"}\n'
    world = world_of(tmp_path / "a", free, labels=LABELS.replace("type: int", "type: string"))
    world.do(
        c.SubmitPacket(
            packet_id="p",
            workload_type="w",
            lineage_id="l",
            labels=(("amount", "lots"),),
            hold=True,
        )
    )
    typed = [
        "  - {id: small, when: has(packet.labels.amount), require: packet.labels.amount < 100}\n",
        "  - {id: large, deny: has(packet.labels.amount) && packet.labels.amount >= 100}\n",
        "  - {id: odd, deny: has(packet.labels.amount) && packet.labels.amount == 7}\n",
        "  - {id: listed, deny: 'has(packet.labels.amount) && packet.labels.amount in [7, 8]'}\n",
    ]
    for number, rule in enumerate(typed):
        for generated in (True, False):
            made = kit.policy(free + rule, on="[place, retain]")
            folder = tmp_path / f"{number}{generated}"
            folder.mkdir()
            world.policy = kit.load(folder, made, LABELS, generated=generated)
            world.do(
                c.ActivatePolicy.of(
                    world.policy.digest, world.policy.policies, world.policy.points, ["register"]
                )
            )
            world.do(c.PlacePacket(packet_id="p"))
            waiting = world.state.packets["p"].waiting
            assert waiting is not None, rule
            assert len(waiting.reasons) == 1, rule
            assert world.state.packets["p"].owner is None


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
