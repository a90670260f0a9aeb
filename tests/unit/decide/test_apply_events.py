"""What events do to the state that no walk comes to: those of an engine, of earlier rules, and what is counted."""

import hashlib

import pytest
from support.world import START, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.apply import apply
from pfgov.core.apply.ledger import DENIALS_RECORDED
from pfgov.core.records import Denial, Stamp
from pfgov.limits import DENIALS_REMEMBERED_MAX

ADMIN = c.Principal(id="key:admin", rights=("admin",))


def _stamp(world: World) -> Stamp:
    return Stamp(seq=world.state.size, time=START + 1_000_000)


def _refused(principal: c.Principal = ADMIN) -> e.PolicyRefused:
    """A refusal of policies, asked for by *principal*."""
    do = c.RefusePolicy(codes=("policy.type",), errors=1)
    command = c.Command(id="c", principal=principal, do=do)
    return e.PolicyRefused(command=command, codes=("policy.type",), errors=1)


def test_apply_counts_a_refusal_with_the_denials_of_whoever_asked() -> None:
    """Somebody asks for what is refused as often as they like, and each time is recorded."""
    world = World()
    world.state.touched.clear()
    stamp = _stamp(world)
    apply(world.state, _refused(), stamp)
    assert world.state.denials == (Denial("key:admin", stamp.time, "policy_refused"),)
    assert world.state.touched == {("ledger_state", "policy")}


@pytest.mark.parametrize("semantics", [DENIALS_RECORDED - 1, DENIALS_RECORDED])
def test_apply_counts_refusals_since_the_rules_say_so(semantics: int) -> None:
    """A ledger that was written under earlier rules is read as another one."""
    world = World()
    world.state.semantics = semantics
    apply(world.state, _refused(), _stamp(world))
    assert len(world.state.denials) == (semantics >= DENIALS_RECORDED)
    apply(world.state, e.PolicyRefused(codes=(), errors=1), _stamp(world))  # of nobody's command
    assert len(world.state.denials) == (semantics >= DENIALS_RECORDED)


def test_apply_remembers_the_newest_denials() -> None:
    """A state grows with every denial, or forgets the newest."""
    world = World()
    for number in range(DENIALS_REMEMBERED_MAX + 3):
        who = c.Principal(id=f"key:{number}", rights=("admin",))
        apply(world.state, _refused(who), _stamp(world))
    kept = [one.principal for one in world.state.denials]
    assert kept == [f"key:{number}" for number in range(3, DENIALS_REMEMBERED_MAX + 3)]


def test_apply_takes_a_denial_for_what_was_denied_and_why() -> None:
    """Two denials of different things count as one, or the same thing as two."""
    world = World()
    about = {"principal": "key:a", "policy": "f" * 64}
    for point, packet, reasons in (
        ("submit", "packet/p", ("a/b", "c/d")),
        ("update", "packet/p", ("a/b", "c/d")),
        ("submit", "packet/q", ("a/b", "c/d")),
        ("submit", "packet/p", ("a/b",)),
    ):
        event = e.PolicyDenied(point=point, about=packet, reasons=reasons, **about)
        apply(world.state, event, _stamp(world))
    said = (
        b"submit\0packet/p\0a/b\0c/d",
        b"update\0packet/p\0a/b\0c/d",
        b"submit\0packet/q\0a/b\0c/d",
        b"submit\0packet/p\0a/b",
    )
    digests = [hashlib.sha256(one).hexdigest()[:32] for one in said]
    assert [one.what for one in world.state.denials] == digests
    assert {one.principal for one in world.state.denials} == {"key:a"}
    assert {one.at for one in world.state.denials} == {START + 1_000_000}


def test_apply_goes_on_under_the_rules_of_a_newer_engine() -> None:
    """After an upgrade decisions are still made by the earlier rules, or the store is not told."""
    world = World()
    world.state.touched.clear()
    event = e.EngineUpgraded(semantics=e.SEMANTICS + 1, engine="newer")
    apply(world.state, event, _stamp(world))
    assert (world.state.semantics, world.state.engine) == (e.SEMANTICS + 1, "newer")
    assert world.state.touched == {("ledger_state", "ledger")}


def test_apply_takes_a_capability_away() -> None:
    """A member is still chosen for what it does not offer any more."""
    world = World()
    world.member("m", capabilities=(c.Capability(name="ocr"), c.Capability(name="scan")))
    world.state.touched.clear()
    fleet, stamp = world.state.fleet, _stamp(world)
    apply(world.state, e.CapabilityWithdrawn(member_id="m", name="ocr"), stamp)
    member = world.state.members["m"]
    assert list(member.capabilities) == ["scan"]
    assert member.changed == stamp.seq
    assert world.state.touched == {("member", "m")}
    assert world.state.fleet > fleet


def test_apply_counts_whose_trust_expires() -> None:
    """A trust score that has run out is still taken for good, because nobody looks at the time any more."""
    world = World()
    for name in ("m", "n"):
        world.member(name)
    counts = []
    for name, expires in (("m", 5), ("n", 9), ("m", 7), ("m", None), ("n", None)):
        at = None if expires is None else world.now + expires * 1_000_000
        world.do(c.AssessTrust(member_id=name, score="0.5", expires_at=at))
        counts.append(world.state.expiring)
    assert counts == [1, 2, 2, 1, 0]
    world.do(c.AssessTrust(member_id="m", score="0.5", expires_at=world.now + 1_000_000))
    world.do(c.RetireMember(member_id="m"))
    world.member("m")
    assert world.state.expiring == sum(
        one.attested is not None and one.attested.expires_at is not None
        for one in world.state.members.values()
    )
