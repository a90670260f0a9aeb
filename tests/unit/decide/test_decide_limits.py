"""What an entry names is bounded, and so is what a live packet remembers; beyond that the oldest, or the rest, goes."""

from pathlib import Path

import msgspec
import pytest
from support import policy_kit as kit
from support.world import FakePolicy, World

from pfgov import limits
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply.packets import _remembered
from pfgov.core.verdicts import ALLOW, combine, reserved
from pfgov.errors import TooLargeError

ASKING = """  - {id: everybody, on: [register, retain], require: member.id != ""}
  - {id: asked, on: [place], when: 'member.type == "agent"', escalate: {to: reviewer}}
"""


def test_decide_a_packet_remembers_its_last_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a packet that was handed on for years grows with every owner."""
    monkeypatch.setattr("pfgov.core.state.PREVIOUS_OWNERS_MAX", 2)
    world = World()
    for name in ("a", "b", "c", "d"):
        world.member(name)
    world.packet("p")
    owners: list[str] = []
    for _ in range(3):
        owner = world.state.packets["p"].owner
        assert owner is not None
        owners.append(owner)
        world.do(c.FailMember(member_id=owner, reason="gone"))
        world.settle()
    assert world.state.packets["p"].owners == tuple(owners[-2:])


def test_decide_so_many_workloads_have_schedulers_of_their_own() -> None:
    """The configuration, which every replay carries, grows without a bound."""
    world = World()
    most = limits.WORKLOAD_SCHEDULERS_MAX
    named = tuple((f"scheduler.w{n:02}", "ring") for n in range(most + 1))
    world.do(c.Configure(settings=named[:most]))
    assert len(world.state.settings.schedulers) == most
    with pytest.raises(TooLargeError):
        world.do(c.Configure(settings=named[most:]))


def test_decide_a_refusal_names_so_many_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """A denial or a revocation under many rules is an entry that is too large, and nothing happens at all."""
    for module in ("members", "revocation"):
        monkeypatch.setattr(f"pfgov.core.decide.{module}.REASONS_MAX", 2)
    refusing: set[str] = set()
    many = combine(tuple(reserved(f"rule{n}", "no") for n in range(5)))
    world = World(policy=FakePolicy(lambda point, _, __: many if point in refusing else ALLOW))
    world.member("m")
    world.packet("p")
    owner = world.state.packets["p"]
    refusing.update({"register", "retain", "assign"})
    denied = world.decide(c.RegisterMember(member_id="n", type="agent", capabilities=()))
    (event,) = denied.events
    assert isinstance(event, e.RegistrationDenied)
    assert len(event.reasons) == 2
    revoked = world.decide(c.RejudgeOwner(packet_id="p", epoch=owner.epoch), c.ENGINE)
    (event,) = revoked.events
    assert isinstance(event, e.OwnershipRevoked)
    assert len(event.reasons) == 2


def test_decide_a_review_holds_for_so_many_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review that is granted for a whole fleet is an entry that is too large."""
    monkeypatch.setattr("pfgov.core.decide.review.REVIEW_CANDIDATES_MAX", 2)
    world = World(policy=kit.load(tmp_path, kit.policy(ASKING, on="[register, place, retain]")))
    for name in ("a", "b", "c"):
        world.member(name)
    world.packet("p")
    events = world.do(world.review("p"))
    (granted,) = [one for one in events if isinstance(one, e.ReviewRecorded)]
    assert [name for name, _ in granted.candidates] == ["a", "b"]


def test_decide_a_packet_remembers_so_many_reviews(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reviews of a packet that lapse for years are all kept; or the one under which it is owned goes."""
    monkeypatch.setattr("pfgov.core.apply.packets.REVIEWS_PER_PACKET_MAX", 2)
    world = World(policy=kit.load(tmp_path, kit.policy(ASKING, on="[register, place, retain]")))
    world.member("a")
    world.packet("p")
    world.do(world.review("p"))
    packet = world.state.packets["p"]
    (first,) = packet.reviews
    packet.placed_under = (first.position,)
    for position in (101, 102, 103):
        packet.reviews = _remembered(packet, msgspec.structs.replace(first, position=position))
    assert [one.position for one in packet.reviews] == [first.position, 103]


def test_decide_a_lapsed_review_names_so_many_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review that lapsed because everything changed is an entry that is too large."""
    monkeypatch.setattr("pfgov.core.decide.grants.LAPSED_SHOWN_MAX", 1)
    rules = """  - {id: everybody, on: [register, retain], require: member.id != ""}
  - {id: asked, on: [place], when: packet.labels.a != packet.labels.b, escalate: {to: reviewer}}
"""
    text = kit.policy(rules, on="[register, place, retain]")
    world = World(policy=kit.load(tmp_path, text, kit.labels("a", "b")))
    world.member("m")
    world.packet("p", labels=(("a", "1"), ("b", "2")))
    world.do(world.review("p"))
    world.do(c.UpdatePacket(packet_id="p", labels=(("a", "3"), ("b", "4"))))
    world.settle()
    asked = [event for _, event in world.entries if isinstance(event, e.ReviewRequested)]
    assert asked[-1].lapsed == ("packet.labels.a",)
