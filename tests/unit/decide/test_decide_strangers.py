"""What whoever acts for a member can do, and learn, about what is not its own: nothing."""

from typing import Any

import pytest
from support.world import FakePolicy, World

from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.verdicts import ALLOW, Reason, Verdict, combine
from pfgov.errors import ForbiddenError, NotOwnerError, PfgovError

HOLDER, STRANGER = "the-holder", "stranger"
SCOPED = c.Principal(id=STRANGER, rights=(f"member:{STRANGER}",))


def _escalated(point: str, *_: object) -> Verdict:
    if point == "register":
        return ALLOW
    return combine((Reason("kernel", "pii-review", effect="escalate", to="reviewer"),))


def _asking() -> World:
    """A packet that waits for a review, and two members."""
    world = World(policy=FakePolicy(_escalated))
    world.member("a")
    world.member("b")
    assert world.packet("p").request is not None
    return world


@pytest.mark.parametrize(
    ("rights", "member_id", "granted", "refused"),
    [
        (("member:a", "reviewer"), "a", True, True),
        (("member:a", "reviewer"), None, True, True),
        (("member:a", "operator", "reviewer"), None, True, True),
        (("member:a", "member:b", "reviewer"), "b", True, True),
        (("member:a", "reviewer"), "b", True, False),
        (("member:a", "reviewer"), "a", False, False),
        (("reviewer",), None, True, False),
        (("reviewer",), "a", True, False),
    ],
)
def test_decide_nobody_grants_for_its_own_member(
    rights: tuple[str, ...], member_id: str | None, granted: bool, refused: bool
) -> None:
    """A key with the rights of a reviewer and of a member gives itself nothing, by name or by naming nobody."""
    world = _asking()
    review = world.review("p", granted=granted, member_id=member_id)
    principal = c.Principal(id="key:k", rights=rights)
    size = world.state.size
    if not refused:
        assert [event.type for event in world.do(review, principal)] == ["review_recorded"]
        return
    with pytest.raises(ForbiddenError) as caught:
        world.do(review, principal)
    assert (caught.value.code, world.state.size) == ("review.own_member", size)


def test_decide_a_member_that_asks_as_itself_grants_nothing() -> None:
    """The id of a member is enough to act for it, whatever its rights are called."""
    world = _asking()
    with pytest.raises(ForbiddenError):
        world.do(
            c.ReviewPacket(packet_id="p", granted=True), c.Principal(id="a", rights=("reviewer",))
        )


@pytest.mark.parametrize(
    ("rights", "refused"),
    [
        (("member:a", "assessor"), True),
        (("member:b", "member:a", "assessor"), True),
        (("member:b", "assessor"), False),
        (("assessor",), False),
        (("member:a", "operator", "assessor"), False),
    ],
)
def test_decide_nobody_vouches_for_its_own_member(rights: tuple[str, ...], refused: bool) -> None:
    """A key with the rights of an assessor and of a member gives that member no trust, no clearance and no region."""
    world = World()
    world.member("a")
    principal = c.Principal(id="key:k", rights=rights)
    for action in (
        c.AssessTrust(member_id="a", score="1"),
        c.UpdateMember(member_id="a", clearances=("pii.email",)),
        c.UpdateMember(member_id="a", region="eu"),
        c.RegisterMember(member_id="c", type="agent", trust_score="1", region="eu"),
    ):
        own = c.Principal(id="key:k", rights=(*rights, "member:c")) if refused else principal
        asked = own if isinstance(action, c.RegisterMember) else principal
        size = world.state.size
        if not refused:
            if "operator" in rights or isinstance(action, c.AssessTrust):
                world.do(action, asked)
            continue
        with pytest.raises(ForbiddenError):
            world.do(action, asked)
        assert world.state.size == size
    if refused:  # a score that it gives itself at registration is a claim, as everybody's
        own = c.Principal(id="key:k", rights=(*rights, "member:d"))
        world.do(c.RegisterMember(member_id="d", type="agent", trust_score="1"), own)
        assert world.state.members["d"].attested is None


def test_decide_an_older_ledger_keeps_its_assessments() -> None:
    """Under the rules before, an assessor vouched for its own member, and runs again as it did."""
    world = World()
    world.member("a")
    world.state.semantics = 3
    principal = c.Principal(id="key:k", rights=("member:a", "assessor"))
    done = world.do(c.AssessTrust(member_id="a", score="1"), principal)
    assert [event.type for event in done] == ["trust_assessed"]


def test_decide_an_older_ledger_keeps_its_reviews() -> None:
    """Under the rules before, such a grant was recorded, and runs again as it did."""
    world = _asking()
    world.state.semantics = 3
    principal = c.Principal(id="key:k", rights=("member:a", "reviewer"))
    done = world.do(world.review("p", member_id="a"), principal)
    assert [event.type for event in done] == ["review_recorded"]


# --- what is another's --------------------------------------------------------------------


def _world() -> World:
    world = World()
    world.member(HOLDER)
    world.packet("p")
    world.member(STRANGER)
    for epoch in range(4):  # it has moved a little, so that its epoch says something
        world.do(c.RequeuePacket(packet_id="p", reason=f"again {epoch}"))
        world.do(c.PlacePacket(packet_id="p", target=HOLDER))
    return world


def _writes(epoch: int, packet_id: str = "p") -> list[c.Action]:
    claim = c.OwnerClaim(member_id=STRANGER, incarnation=1, epoch=epoch)
    context = c.Commitment(digest="ab" * 32, size=64)
    return [
        c.CompletePacket(packet_id=packet_id, owner=claim),
        c.FailPacket(packet_id=packet_id, owner=claim, reason="x"),
        c.RequeuePacket(packet_id=packet_id, owner=claim, reason="x"),
        c.CommitCheckpoint(packet_id=packet_id, owner=claim, context=context),
        c.AcceptHandoff(packet_id=packet_id, member_id=STRANGER, incarnation=1, handoff=epoch),
        c.HandOff(packet_id=packet_id, reason="x"),
        c.AbortHandoff(packet_id=packet_id, member_id=STRANGER),
        c.HandOff(packet_id=packet_id, reason="x", owner=claim),
        c.AbortHandoff(packet_id=packet_id, owner=claim),
        c.AbortHandoff(packet_id=packet_id, owner=claim, handoff=epoch),
    ]


def _said(world: World, action: c.Action) -> tuple[Any, ...]:
    before = world.state.size
    with pytest.raises(PfgovError) as caught:
        world.do(action, SCOPED)
    error = caught.value
    return type(error), error.code, error.message, error.hint, world.state.size - before


@pytest.mark.parametrize("index", range(10))
@pytest.mark.parametrize("stands", ["owned", "offered", "waiting", "ended"])
def test_decide_a_stranger_is_told_nothing(index: int, stands: str) -> None:
    """Whatever epoch it makes up and however the packet stands, it hears one sentence, and nothing is recorded."""
    world = _world()
    present = world.state.packets["p"].epoch
    if stands == "offered":
        world.member("target", handoff_mode="manual")
        world.do(c.HandOff(packet_id="p", target="target"))
    elif stands == "waiting":
        world.do(c.RequeuePacket(packet_id="p", reason="x"))
    elif stands == "ended":
        world.do(c.CancelPacket(packet_id="p", reason="x"))
    heard = set()
    for epoch in range(present + 3):
        said = _said(world, _writes(epoch)[index])
        assert said[-1] == 0, "an entry would tell the epoch"
        text = f"{said[2]} {said[3]}".replace(f"under epoch {epoch}", "")
        assert HOLDER not in text
        assert not any(character.isdigit() for character in text.replace("incarnation 1", "")), text
        heard.add((said[0], said[1], text))
    assert len(heard) == 1, heard
    for epoch in range(3):  # a packet that there never was is told of in the same words
        type_, code, message, hint, entries = _said(world, _writes(epoch, "q")[index])
        text = f"{message} {hint}".replace(f"under epoch {epoch}", "").replace("own q", "own p")
        assert entries == 0
        heard.add((type_, code, text.replace("handoff of q", "handoff of p")))
    assert len(heard) == 1, heard


def test_decide_a_former_owner_is_recorded_and_told_no_more() -> None:
    """Whoever had the packet is late, which is recorded; who has it now, and since when, is not its business."""
    world = World()
    world.member("former")
    world.packet("p")
    claim = world.claim("p")
    world.member(HOLDER)
    world.do(c.RequeuePacket(packet_id="p", reason="x"))
    world.do(c.PlacePacket(packet_id="p", target=HOLDER))
    principal = c.Principal(id="former", rights=("member:former",))
    with pytest.raises(NotOwnerError) as caught:
        world.do(c.CompletePacket(packet_id="p", owner=claim), principal)
    assert isinstance(world.entries[-1][1], e.WriteRefused)
    assert world.entries[-1][1].code == "ownership.stale_epoch"
    assert HOLDER not in f"{caught.value.message} {caught.value.hint}"
    assert f"epoch {world.state.packets['p'].epoch}" not in caught.value.message


def test_decide_overseers_are_told_everything() -> None:
    """An operator hears who owns the packet and under which epoch: it may read that anyway."""
    world = _world()
    with pytest.raises(PfgovError) as caught:
        world.do(_writes(1)[0])
    assert HOLDER in caught.value.message
