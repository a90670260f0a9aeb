"""Who owns a packet: epochs, stale writers, handoffs, revocation, limits."""

from collections.abc import Mapping
from typing import Any

import pytest
from support.world import OPERATOR, SECOND, FakePolicy, World

from pfgov import commands as c
from pfgov import events as e
from pfgov.decide import NeedsViewError
from pfgov.errors import (
    ConflictError,
    ForbiddenError,
    NarrowingError,
    NotFoundError,
    StaleEpochError,
    StateConflictError,
)
from pfgov.lifecycle import MemberStatus, PacketStatus
from pfgov.records import ENCODE
from pfgov.verdicts import ALLOW, Reason, Verdict, combine

SCOPED = c.Principal(id="m", rights=("member:m",))
COMMITMENT = c.Commitment(digest="ab" * 32, size=64)


def test_decide_a_dead_owner_loses_its_packet_and_cannot_write() -> None:
    """After a death the packet moves on under a new epoch; the old owner's late write is refused and recorded once."""
    world = World()
    world.member("m")
    world.packet("p")
    late = world.claim("p")
    world.member("n")
    world.do(c.FailMember(member_id="m"))
    world.settle()
    packet = world.state.packets["p"]
    assert (packet.owner, packet.epoch, packet.status) == (
        "n",
        late.epoch + 2,
        PacketStatus.ASSIGNED,
    )
    with pytest.raises(StaleEpochError):
        world.do(c.CompletePacket(packet_id="p", owner=late))
    assert world.types()[-1] == "write_refused"
    size = world.state.size
    for _ in range(3):
        with pytest.raises(StaleEpochError):
            world.do(c.CommitCheckpoint(packet_id="p", owner=late, context=COMMITMENT))
    assert world.state.size == size


def test_decide_a_resurrected_owner_is_another_life() -> None:
    """A member that recovers owns nothing of its former life, even before the follow-ups ran."""
    world = World()
    world.member("m")
    world.packet("p")
    claim = world.claim("p")
    world.do(c.FailMember(member_id="m"))
    world.do(c.RecoverMember(member_id="m"))
    with pytest.raises(ConflictError):
        world.do(c.CompletePacket(packet_id="p", owner=claim))
    world.settle()
    assert world.state.packets["p"].incarnation == 2
    assert "ownership_revoked" in world.types()


def test_decide_two_phase_handoff_reserves_and_moves() -> None:
    """While a handoff is pending the source owns the packet and its context is pinned; acceptance moves it."""
    world = World()
    world.member("m")
    world.packet("p", context=COMMITMENT)
    world.member("n", handoff_mode="accept", capacity=(("tasks", "1"),))
    source = world.claim("p")
    world.do(c.HandOff(packet_id="p", target="n"))
    position = world.state.size - 1
    assert world.state.members["n"].active == 1
    with pytest.raises(ConflictError) as pinned:
        world.do(c.CommitCheckpoint(packet_id="p", owner=source, context=COMMITMENT))
    assert pinned.value.code == "handoff.pending"
    accept = c.AcceptHandoff(
        packet_id="p", member_id="n", incarnation=1, handoff=position, view="cd" * 32
    )
    with pytest.raises(ConflictError) as mismatch:
        world.do(accept)
    assert mismatch.value.code == "handoff.context_mismatch"
    world.do(
        c.AcceptHandoff(
            packet_id="p", member_id="n", incarnation=1, handoff=position, view=COMMITMENT.digest
        )
    )
    packet = world.state.packets["p"]
    assert (packet.owner, packet.epoch, packet.handoff_count) == ("n", 2, 1)
    assert world.state.members["m"].active == 0


def test_decide_completing_ends_a_pending_handoff() -> None:
    """The source may finish while a handoff is pending; the target's reservation is given back."""
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    world.do(c.CompletePacket(packet_id="p", owner=world.claim("p")))
    assert world.types()[-2:] == ["handoff_aborted", "packet_completed"]
    assert world.state.members["n"].active == 0


def test_decide_a_handoff_nobody_accepts_times_out() -> None:
    """A target that never answers loses the offer; the source keeps its epoch."""
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    world.wait(61)
    world.settle()
    packet = world.state.packets["p"]
    assert (packet.owner, packet.epoch, packet.status) == ("m", 1, PacketStatus.ASSIGNED)


def test_decide_a_target_that_dies_ends_the_handoff() -> None:
    """A dead target cannot accept: the handoff is aborted and its room freed."""
    world = World()
    world.member("m")
    world.packet("p")
    world.member("n", handoff_mode="accept")
    world.do(c.HandOff(packet_id="p", target="n"))
    world.do(c.FailMember(member_id="n"))
    world.settle()
    assert world.state.packets["p"].owner == "m"
    assert world.state.members["n"].active == 0


def test_decide_a_drain_moves_everything_then_retires() -> None:
    """Draining hands every packet over in order and retires the member only when it owns nothing."""
    world = World()
    world.member("m")
    for i in range(5):
        world.packet(f"p{i}")
    world.member("n")
    world.do(c.DrainMember(member_id="m"))
    world.settle()
    assert world.state.members["m"].status is MemberStatus.RETIRED
    assert {p.owner for p in world.state.packets.values()} == {"n"}
    assert "ownership_revoked" not in world.types()


def test_decide_a_drain_revokes_at_its_deadline() -> None:
    """What cannot move by the deadline is revoked: a drain always ends."""
    world = World()
    world.member("m")
    world.packet("p")
    world.do(c.DrainMember(member_id="m", deadline=world.now + 10 * SECOND))
    world.settle()
    assert world.state.packets["p"].owner == "m"
    world.wait(11)
    world.settle()
    assert world.state.members["m"].status is MemberStatus.RETIRED
    assert world.state.packets["p"].status is PacketStatus.PENDING


def test_decide_a_join_wakes_what_waits() -> None:
    """A packet nobody could own is placed when somebody who can joins."""
    world = World()
    packet = world.packet("p")
    assert packet.waiting is not None
    assert packet.waiting.outcome == "no_candidate"
    world.member("m")
    world.settle()
    assert world.state.packets["p"].owner == "m"


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


def test_decide_room_that_frees_up_is_used() -> None:
    """A packet that waited for capacity is placed when somebody finishes."""
    world = World()
    world.member("m", capacity=(("tasks", "1"),))
    world.packet("p")
    second = world.packet("q")
    assert second.waiting is not None
    assert second.waiting.outcome == "no_capacity"
    world.settle()
    world.do(c.CompletePacket(packet_id="p", owner=world.claim("p")))
    world.settle()
    assert world.state.packets["q"].owner == "m"


@pytest.mark.parametrize("limit", ["attempts", "deadline", "max_handoffs"])
def test_decide_limits_end_in_failed_with_reasons(limit: str) -> None:
    """A packet that cannot be helped ends FAILED and says why; it is never lost in silence."""
    world = World()
    world.member("m")
    world.packet(
        "p",
        deadline=world.now + 60 * SECOND if limit == "deadline" else None,
        max_handoffs=0 if limit == "max_handoffs" else None,
    )
    if limit == "deadline":
        world.wait(61)
    elif limit == "max_handoffs":
        world.do(c.RequeuePacket(packet_id="p"))
    else:
        for _ in range(world.state.settings.attempts_max):
            world.do(c.RequeuePacket(packet_id="p"))
            if world.state.packets["p"].attempts < world.state.settings.attempts_max:
                world.do(c.PlacePacket(packet_id="p"))
    world.settle()
    assert (world.state.packets["p"].status, world.state.packets["p"].cause) == (
        PacketStatus.FAILED,
        limit,
    )


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
        world.do(c.ReviewPacket(packet_id="p", granted=True), SCOPED)
    reviewing_owner = c.Principal(id="m", rights=("member:m", "reviewer"))
    world.do(c.ReviewPacket(packet_id="p", granted=False))
    assert world.state.packets["p"].status is PacketStatus.PENDING
    world.wait(600)
    world.settle()
    assert world.state.packets["p"].status is PacketStatus.PENDING, (
        "nobody is asked again while nothing changed"
    )
    world.do(c.PlacePacket(packet_id="p"))
    world.do(c.ReviewPacket(packet_id="p", granted=True))
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
            c.ReviewPacket(packet_id="p", granted=True),
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
    review = c.ReviewPacket(packet_id="p", granted=True)
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
        policy=FakePolicy(
            lambda point, *_: Verdict("allow", (), () if point == "register" else (approval,))
        )
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


def test_decide_self_declared_trust_is_only_a_claim() -> None:
    """A registrant without the assessor's right gets no trust from its own word, and no clearances."""
    world = World()
    world.do(c.RegisterMember(member_id="m", type="agent", trust_score="0.99"), SCOPED)
    member = world.state.members["m"]
    assert (member.attested, member.claimed_trust) == (None, "0.99")
    with pytest.raises(ForbiddenError):
        world.do(c.UpdateMember(member_id="m", clearances=("pii",)), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.UpdateMember(member_id="m", region="eu"), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.AssessTrust(member_id="m", score="0.99"), SCOPED)


def test_decide_a_key_acts_only_for_its_member() -> None:
    """The key of one member must not write for another."""
    world = World()
    world.member("n")
    world.packet("p")
    with pytest.raises(ForbiddenError):
        world.do(c.CompletePacket(packet_id="p", owner=world.claim("p")), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.DrainMember(member_id="n"), SCOPED)
    with pytest.raises(ForbiddenError):
        world.do(c.RevokeOwner(packet_id="p", epoch=1), OPERATOR)


def test_decide_unknown_things_are_named() -> None:
    """An id that does not exist is a clear error with a suggestion, and leaves no entry."""
    world = World()
    world.member("agent-customer-01")
    world.packet("p")
    size = world.state.size
    with pytest.raises(NotFoundError) as caught:
        world.do(c.HandOff(packet_id="p", target="agent-customer-1"))
    assert caught.value.hint == "did you mean agent-customer-01?"
    with pytest.raises(NotFoundError):
        world.do(c.PlacePacket(packet_id="nope"))
    assert world.state.size == size


def test_decide_flapping_ends_in_quarantine_that_decays() -> None:
    """A member that keeps failing is kept out for longer and longer, and let back in by itself."""
    world = World()
    world.member("m")
    for _ in range(3):
        world.do(c.FailMember(member_id="m"))
        world.do(c.RecoverMember(member_id="m"))
    assert world.state.members["m"].status is MemberStatus.QUARANTINED
    world.wait(61)
    world.settle()
    assert world.state.members["m"].status is MemberStatus.ACTIVE


@pytest.mark.parametrize("back", ["recover", "register"])
def test_decide_a_member_cannot_die_out_of_its_quarantine(back: str) -> None:
    """A quarantine outlives the life it was laid on: only its end or an operator's release lets the member in again."""
    world = World()
    world.member("m")
    world.do(c.QuarantineMember(member_id="m", until=world.now + 100_000_000))
    world.do(c.FailMember(member_id="m"))
    again: c.Action = c.RecoverMember(member_id="m")
    if back == "register":
        again = c.RegisterMember(member_id="m", type="agent")
    world.do(again, SCOPED)
    seen = [world.state.members["m"].status]
    fresh = world.refold()
    assert fresh.row("member", "m") == world.state.row("member", "m")
    world.wait(101)
    world.settle()
    seen.append(world.state.members["m"].status)
    assert seen == [MemberStatus.QUARANTINED, MemberStatus.ACTIVE]


def test_decide_a_quarantine_that_ended_during_a_failure_is_over() -> None:
    """A member that comes back after the end of its quarantine comes back free."""
    world = World()
    world.member("m")
    world.do(c.QuarantineMember(member_id="m", until=world.now + 10_000_000))
    world.do(c.FailMember(member_id="m"))
    world.wait(11)
    world.do(c.RecoverMember(member_id="m"), SCOPED)
    assert world.state.members["m"].status is MemberStatus.ACTIVE


def test_decide_folding_gives_the_same_rows() -> None:
    """The ledger is the state: folding the entries gives every row back, byte for byte."""
    world = World()
    world.member("m", trust_score="0.9", capacity=(("cpu", "4"), ("tasks", "3")))
    for i in range(4):
        world.packet(f"p{i}", demand=(("cpu", "0.5"),))
    world.member("n")
    world.do(c.CompletePacket(packet_id="p0", owner=world.claim("p0")))
    world.do(c.FailMember(member_id="m"))
    world.settle()
    fresh = world.refold()
    for table, key in world.state.rows():
        assert fresh.row(table, key) == world.state.row(table, key)
        again = type(fresh)()
        again.load_row(table, key, fresh.row(table, key))
        assert again.row(table, key) == fresh.row(table, key)
    assert ENCODE(sorted(fresh.unowned)) == ENCODE(world.state.unowned)


def test_decide_rebalancing_comes_to_rest() -> None:
    """A joiner gets a fair share within the budget per tick, and then nothing moves any more."""
    world = World()
    world.do(c.Configure(settings=(("rebalance_budget", "2"), ("rebalance_cooldown", "10"))))
    world.member("m")
    for i in range(10):
        world.packet(f"p{i}")
    world.member("n")
    assert len(world.state.owned["m"]) == 10
    world.settle()
    assert len(world.state.owned["m"]) == 10, "nothing moves before its cooldown"
    world.wait(11)
    from pfgov.decide import due

    moves = due(world.state, world.memory, world.leases, world.now)
    assert [type(move) for move in moves] == [c.HandOff, c.HandOff]
    world.settle()
    shares = sorted(len(owned) for owned in world.state.owned.values())
    assert shares[0] >= 4
    world.wait(60)
    size = world.state.size
    world.settle()
    assert world.state.size == size
