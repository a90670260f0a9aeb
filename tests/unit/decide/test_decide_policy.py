"""What policy decides about a packet: denials, reviews, redactions, and constraints that only narrow."""

from collections.abc import Mapping
from typing import Any

import pytest
from support.world import SECOND, FakePolicy, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.decide import NeedsViewError
from pfgov.core.lifecycle import PacketStatus
from pfgov.core.verdicts import ALLOW, Reason, Verdict, combine
from pfgov.errors import (
    ForbiddenError,
    NarrowingError,
    StateConflictError,
)

SCOPED = c.Principal(id="m", rights=("member:m",))
COMMITMENT = c.Commitment(digest="ab" * 32, size=64)


def test_decide_a_denial_is_recorded_again_only_when_its_reasons_change() -> None:
    """Retrying a hopeless packet must not flood the ledger."""
    world = World(policy=FakePolicy(lambda *_: combine((Reason("t", "never"),))))
    world.policy.rule = lambda point, *_: (
        ALLOW if point == "register" else combine((Reason("t", "never"),))
    )
    world.member("m")
    world.packet("p")
    size = world.state.size
    for _ in range(5):
        world.wait(400)
        world.settle()
    assert world.state.size == size


def test_decide_retain_denial_revokes() -> None:
    """An owner that policy would no longer have loses the packet when it changes."""

    def trusted(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
        if point == "register" or member.get("trust_score", 0) >= 0.5:
            return ALLOW
        return combine((Reason("t", "trust"),))

    world = World(policy=FakePolicy(trusted))
    world.member("m", trust_score="0.9")
    world.packet("p")
    assert world.state.packets["p"].owner == "m"
    world.do(c.AssessTrust(member_id="m", score="0.1"))
    world.settle()
    assert world.state.packets["p"].owner is None
    revoked = [ev for _, ev in world.entries if isinstance(ev, e.OwnershipRevoked)]
    assert revoked[0].reasons == ("t/trust",)


def test_decide_expired_trust_is_no_trust_at_once() -> None:
    """Between the expiry and the tick that records it, policies must not see the old score."""

    def has_trust(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
        return (
            ALLOW
            if point == "register" or "trust_score" in member
            else combine((Reason("t", "trust"),))
        )

    world = World(policy=FakePolicy(has_trust))
    world.member("m")
    world.do(c.AssessTrust(member_id="m", score="0.9", expires_at=world.now + SECOND))
    world.wait(2)
    assert world.packet("p").owner is None


@pytest.mark.parametrize(("fleet", "semantics"), [(4, e.SEMANTICS), (12, e.SEMANTICS), (4, 3)])
def test_decide_what_keeps_a_packet_waiting_is_counted_over_the_living(
    fleet: int, semantics: int
) -> None:
    """Members that have failed do not make it look as if the packet waited for members to be active."""

    def trusted(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
        if point == "register":
            return ALLOW
        if member["status"] != "ACTIVE":
            return combine((Reason("kernel", "active", observed=str(member["status"])),))
        return combine((Reason("t", "trust", observed="0.1", bound="0.9"),))

    world = World(policy=FakePolicy(trusted))
    world.state.semantics = semantics
    for number in range(fleet):
        world.member(f"m{number:02}")
    for number in range(fleet - 1):
        world.do(c.FailMember(member_id=f"m{number:02}"))
    waiting = world.packet("p").waiting
    assert waiting is not None
    if semantics < e.SEMANTICS:
        assert waiting.reasons == (("kernel/active", fleet - 1), ("t/trust", 1))
        return
    assert waiting.reasons == (("t/trust", 1),)
    decision = world.entries[-1][1].decision  # type: ignore[union-attr]
    assert [loser.member_id for loser in decision.nearest] == [f"m{fleet - 1:02}"]
    world.do(c.FailMember(member_id=f"m{fleet - 1:02}"))
    world.do(c.PlacePacket(packet_id="p"))
    waiting = world.state.packets["p"].waiting
    assert waiting is not None
    assert waiting.reasons == (("kernel/active", fleet),), (
        "where nobody is left, that is the reason"
    )


def test_decide_escalation_waits_for_somebody_else() -> None:
    """A packet under review goes on only after a review by a principal with the scope who is not the owner."""

    def pii(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
        if point in {"assign", "handoff", "accept"}:
            return combine((Reason("kernel", "pii-review", effect="escalate", to="reviewer"),))
        return ALLOW

    world = World(policy=FakePolicy(pii))
    world.member("m")
    packet = world.packet("p")
    assert packet.status is PacketStatus.AWAITING_REVIEW
    with pytest.raises(ForbiddenError):
        world.do(world.review("p"), SCOPED)
    reviewing_owner = c.Principal(id="m", rights=("member:m", "reviewer"))
    world.do(world.review("p", granted=False))
    assert world.state.packets["p"].status is PacketStatus.PENDING
    world.wait(600)
    world.settle()
    assert world.state.packets["p"].status is PacketStatus.PENDING, (
        "nobody is asked again while nothing changed"
    )
    world.do(c.PlacePacket(packet_id="p"))
    world.do(world.review("p"))
    world.settle()
    assert world.state.packets["p"].owner == "m"
    world.member("n")
    world.do(c.HandOff(packet_id="p", target="n"))
    assert world.state.packets["p"].owner == "n", "a review of placing holds for the handoff too"
    world.do(c.UpdatePacket(packet_id="p", data_classes=("pii.health",)))
    world.do(c.HandOff(packet_id="p", target="m"))
    assert world.state.packets["p"].request is not None, "new data classes end the review"
    with pytest.raises(ForbiddenError):
        world.do(
            world.review("p"),
            c.Principal(id="n", rights=("member:n", "reviewer")),
        )
    assert reviewing_owner.rights


@pytest.mark.parametrize(("late", "semantics"), [(-1, 2), (0, 2), (5, 2), (5, 1)])
def test_decide_a_review_after_its_time_counts_for_nothing(late: int, semantics: int) -> None:
    """Expired is expired when the review comes, not when a tick notices; a ledger under older rules keeps them."""

    def pii(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
        if point in {"assign", "handoff", "accept"}:
            return combine((Reason("kernel", "pii-review", effect="escalate", to="reviewer"),))
        return ALLOW

    world = World(policy=FakePolicy(pii))
    world.state.semantics = semantics
    world.member("m")
    request = world.packet("p").request
    assert request is not None
    world.now = request.expires_at + late
    review = world.review("p")
    if late < 0 or semantics == 1:
        assert [event.type for event in world.do(review)] == ["review_recorded"]
        return
    with pytest.raises(StateConflictError) as caught:
        world.do(review)
    assert caught.value.code == "review.expired"
    assert isinstance(world.entries[-1][1], e.ReviewExpired)
    packet = world.state.packets["p"]
    assert (packet.request, packet.reviews, packet.status) == (None, (), PacketStatus.PENDING)
    world.do(c.PlacePacket(packet_id="p"))
    assert world.state.packets["p"].request is not None, "it is asked for again"


def test_decide_a_redaction_asks_for_a_view() -> None:
    """An owner under a redact obligation gets a commitment to the redacted context, never the whole."""
    redact = c.Obligation(type="redact", paths=("/customer/email",))
    world = World(
        policy=FakePolicy(
            lambda point, *_: Verdict("allow", (), (redact,) if point == "assign" else ())
        )
    )
    world.member("m")
    action = c.SubmitPacket(packet_id="p", workload_type="t", lineage_id="l", context=COMMITMENT)
    with pytest.raises(NeedsViewError) as asked:
        world.do(action)
    assert asked.value.paths == ("/customer/email",)
    view = c.View(paths=asked.value.paths, view=c.Commitment(digest="ef" * 32, size=64))
    world.do(
        c.SubmitPacket(
            packet_id="p", workload_type="t", lineage_id="l", context=COMMITMENT, views=(view,)
        )
    )
    assert world.state.packets["p"].view == view.view


@pytest.mark.parametrize("mode", ["auto", "accept"])
def test_decide_a_redaction_first_owed_at_acceptance_stops_the_handoff(mode: str) -> None:
    """Whoever takes a packet over never reads what policy withholds at acceptance, pinned for it before or not."""
    redact = c.Obligation(type="redact", paths=("/customer/email",))
    world = World(
        policy=FakePolicy(
            lambda point, *_: Verdict("allow", (), (redact,) if point == "accept" else ())
        )
    )
    world.member("m")
    world.packet("p", context=COMMITMENT)
    world.member("n", handoff_mode=mode)
    world.do(c.HandOff(packet_id="p", target="n"))
    if mode == "accept":
        pending = world.state.packets["p"].pending
        assert pending is not None
        world.do(
            c.AcceptHandoff(
                packet_id="p", member_id="n", incarnation=1, handoff=pending.position, view=COMMITMENT.digest
            )
        )  # fmt: skip
    end = world.entries[-1][1]
    assert isinstance(end, e.HandoffAborted)
    assert (end.cause, end.reasons) == ("policy", ("pfgov:obligation",))
    assert world.state.packets["p"].owner == "m"


def test_decide_an_obligation_nobody_can_carry_out_denies() -> None:
    """An allow that depends on something the engine cannot do is a deny."""
    approval = c.Obligation(type="approval", to="boss")
    world = World(
        policy=FakePolicy(lambda point, *_: combine((), () if point == "register" else (approval,)))
    )
    world.member("m")
    packet = world.packet("p")
    assert packet.waiting is not None
    assert dict(packet.waiting.reasons) == {"pfgov:obligation": 1}


@pytest.mark.parametrize(
    "wider",
    [
        {
            "constraints": c.Constraints(
                minimum_trust_score="0.8", allowed_regions=("eu",), pii_review_required=True
            )
        },
        {
            "constraints": c.Constraints(
                minimum_trust_score="0.9", allowed_regions=("eu", "us"), pii_review_required=True
            )
        },
        {"constraints": c.Constraints(minimum_trust_score="0.9", pii_review_required=True)},
        {"constraints": c.Constraints(minimum_trust_score="0.9", allowed_regions=("eu",))},
        {"required_capabilities": ()},
        {"data_classes": ()},
        {"handoff": c.HandoffTerms(allowed=True)},
    ],
    ids=["trust", "regions", "any-region", "review", "capabilities", "classes", "handoff"],
)
def test_decide_constraints_only_narrow(wider: dict[str, Any]) -> None:
    """A packet must never be let go where it could not go before."""
    world = World()
    world.packet(
        "p",
        constraints=c.Constraints(
            minimum_trust_score="0.9", allowed_regions=("eu",), pii_review_required=True
        ),
        required_capabilities=("planning",),
        data_classes=("pii",),
        handoff=c.HandoffTerms(allowed=False),
    )
    with pytest.raises(NarrowingError):
        world.do(c.UpdatePacket(packet_id="p", **wider))


def test_decide_narrowing_is_allowed() -> None:
    """Tightening every constraint at once is legal."""
    world = World()
    world.packet("p", constraints=c.Constraints(minimum_trust_score="0.5"))
    world.do(
        c.UpdatePacket(
            packet_id="p",
            constraints=c.Constraints(
                minimum_trust_score="0.7", allowed_regions=(), pii_review_required=True
            ),
            handoff=c.HandoffTerms(allowed=False),
        )
    )
    assert world.state.packets["p"].terms.constraints.allowed_regions == ()


def _closed_to(*closed: str) -> FakePolicy:
    def rule(point: str, _: object, member: Mapping[str, Any]) -> Verdict:
        is_open = point == "register" or member["id"] not in closed
        return ALLOW if is_open else combine((Reason("t", "closed"),))

    return FakePolicy(rule)


def _offered() -> World:
    """Return a world in which m has offered p to n, who has not answered."""
    world = World(policy=_closed_to())
    world.member("m")
    world.packet("p", context=COMMITMENT)
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    assert world.state.packets["p"].pending is not None
    return world


def _changed(world: World, policy: FakePolicy) -> None:
    world.policy.rule = policy.rule
    world.state.policy_since = world.state.size


def test_decide_a_pending_handoff_shields_nobody_from_a_retain_denial() -> None:
    """An owner that policy would no longer have loses the packet, however often it offers it to somebody else."""
    world = _offered()
    _changed(world, _closed_to("m"))
    for _ in range(5):
        packet = world.state.packets["p"]
        if packet.owner == "m" and packet.pending is None:
            world.do(c.HandOff(packet_id="p", target="n", owner=world.claim("p")), SCOPED)
        elif packet.owner == "m":
            world.do(c.AbortHandoff(packet_id="p", owner=world.claim("p")), SCOPED)
            world.do(c.HandOff(packet_id="p", target="n", owner=world.claim("p")), SCOPED)
        world.settle()
    assert "ownership_revoked" in world.types()
    assert world.state.packets["p"].owner != "m"


def test_decide_a_target_that_policy_refuses_meanwhile_loses_the_offer() -> None:
    """While it waits a target may read the context: once policy would not let it accept, the handoff ends."""
    world = _offered()
    _changed(world, _closed_to("n"))
    world.settle()
    packet = world.state.packets["p"]
    assert (packet.owner, packet.pending) == ("m", None)
    ended = [event for _, event in world.entries if isinstance(event, e.HandoffAborted)]
    assert [event.cause for event in ended] == ["policy"]


def test_decide_a_change_that_leaves_the_target_acceptable_leaves_the_offer() -> None:
    """A pending handoff is judged once against a change, recorded nowhere if it stands, and not judged for ever."""
    world = _offered()
    _changed(world, _closed_to("x"))
    size = world.state.size
    world.settle()
    assert world.state.packets["p"].pending is not None
    assert world.state.size == size
    assert world.memory.offered == {"p": world.state.policy_since}


def test_decide_nobody_but_the_engine_ends_a_handoff_for_a_policy() -> None:
    """The cause says that policy was asked; a member cannot make the ledger say so."""
    world = _offered()
    with pytest.raises(ForbiddenError):
        world.do(c.AbortHandoff(packet_id="p", cause="policy"), SCOPED)
