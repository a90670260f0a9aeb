"""Who may read what, by the rights of a principal alone: asked once, for every door."""

from dataclasses import dataclass

import pytest

from pfgov.app import visibility
from pfgov.core import commands as c
from pfgov.core import events as e
from pfgov.core.commands import RIGHTS, Commitment, Principal
from pfgov.core.lifecycle import PacketStatus
from pfgov.core.records import Packet, Pending, Terms
from pfgov.engine import Receipt
from pfgov.errors import ForbiddenError, NotFoundError

WHOLE, VIEW, OFFERED = (Commitment(digest=letter * 64, size=1) for letter in "abc")
MEMBERS = ("m1", "m2", "m3")


def of(*rights: str) -> Principal:
    """Somebody with these rights."""
    return Principal(id="key:x", rights=rights)


def packet(
    owner: str | None = None,
    offered_to: str | None = None,
    *,
    context: Commitment | None = WHOLE,
    view: Commitment | None = None,
    offered: Commitment | None = None,
) -> Packet:
    """A packet with an owner, and a handoff that waits for somebody."""
    pending = offered_to and Pending(
        position=1, target=offered_to, incarnation=1, deadline=9, reason="r", context=context, view=offered
    )  # fmt: skip
    return Packet(
        packet_id="p",
        terms=Terms(workload_type="w"),
        status=PacketStatus.ASSIGNED,
        created_at=0,
        lineage_id="p",
        owner=owner,
        context=context,
        view=view,
        pending=pending or None,
    )


def refuses(ask: object, *given: object, **more: object) -> bool:
    """Whether a question is refused."""
    try:
        ask(*given, **more)  # type: ignore[operator]
    except ForbiddenError:
        return True
    return False


def test_every_right_but_a_members_reads_about_everybody() -> None:
    """A right of the whole ledger is confined, or a member's is not."""
    for right in RIGHTS:
        if right == "member":
            continue
        assert (visibility.members_of(of(right)) is None) == (right in visibility.READERS), right
    assert visibility.members_of(of("member:m1", "member:m2")) == {"m1", "m2"}
    assert visibility.members_of(of("member:m1", "auditor")) is None
    assert visibility.members_of(of()) == frozenset()


@pytest.mark.parametrize("rights", [("member:m1",), ("member:m2",), ("member:m1", "member:m2"), ()])
def test_a_member_reads_about_itself_and_what_it_has_or_is_offered(rights: tuple[str, ...]) -> None:
    """A member reads of a packet, or of a member, that is none of its own."""
    who, own = of(*rights), {right.removeprefix("member:") for right in rights}
    assert refuses(visibility.require_member, who, None)
    for member in MEMBERS:
        assert refuses(visibility.require_member, who, member) == (member not in own)
        assert refuses(visibility.require_acting, who, member) == (member not in own)
        for offered in (None, *MEMBERS):
            found = packet(member, offered)
            assert refuses(visibility.require_packet, who, "p", found) == (
                not {member, offered} & own
            )
    assert refuses(visibility.require_packet, who, "p", packet())
    assert refuses(visibility.require_packet, who, "p", None)


def test_an_operator_acts_for_everybody_and_an_auditor_for_nobody() -> None:
    """Reading about a member is taken for acting for it."""
    assert not refuses(visibility.require_acting, c.LOCAL_OPERATOR, "m1")
    assert refuses(visibility.require_acting, of("auditor"), "m1")
    assert not refuses(visibility.require_member, of("auditor"), None)
    assert not refuses(visibility.require_packet, of("auditor"), "p", packet("m1"))


@dataclass(frozen=True, slots=True)
class Case:
    """Who asks for the context of which packet, and what it gets; None for a refusal."""

    rights: tuple[str, ...]
    found: Packet
    gets: Commitment | None
    whole: bool = False


CASES = (
    Case(("member:m1",), packet("m1"), WHOLE),
    Case(("member:m1",), packet("m1", view=VIEW), VIEW),
    Case(("member:m2",), packet("m1", view=VIEW), None),
    Case(("member:m2",), packet("m1", "m2", view=VIEW, offered=OFFERED), OFFERED),
    Case(("member:m2",), packet("m1", "m2", view=VIEW), WHOLE),
    Case(("member:m1",), packet("m1", "m2", view=VIEW, offered=OFFERED), VIEW),
    Case(("member:m3",), packet("m1", "m2", view=VIEW, offered=OFFERED), None),
    Case(("member:m1",), packet(), None),
    Case(("operator",), packet("m1", view=VIEW), VIEW),
    Case(("operator",), packet("m1", view=VIEW), WHOLE, whole=True),
    Case(("operator",), packet(view=VIEW), WHOLE),
    Case(("auditor",), packet("m1"), None),
    Case(("auditor", "admin", "reviewer"), packet("m1"), None, whole=True),
    Case(("member:m1",), packet("m1"), None, whole=True),
    Case(("member:m1",), packet(None, "m1", offered=OFFERED), OFFERED),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_context_is_given_as_far_as_it_may_be_read(case: Case) -> None:
    """More of a context is given than its reader may have, or it to somebody who may have none."""
    who = of(*case.rights)
    if case.gets is None:
        with pytest.raises(ForbiddenError):
            visibility.readable_context(who, case.found, whole=case.whole)
    else:
        assert visibility.readable_context(who, case.found, whole=case.whole) == case.gets


def test_a_packet_without_context_is_told_from_a_refusal() -> None:
    """An owner is refused what is not there."""
    with pytest.raises(NotFoundError) as caught:
        visibility.readable_context(of("member:m1"), packet("m1", context=None), whole=False)
    assert caught.value.code == "context.not_found"


def test_an_event_concerns_whom_it_names() -> None:
    """An entry about others is shown to a member, or one about itself is kept from it."""
    joined = e.MemberRetired(member_id="m1", incarnation=1)
    assert visibility.may_see(of("member:m1"), joined)
    assert not visibility.may_see(of("member:m2"), joined)
    assert visibility.may_see(of("auditor"), joined)
    assert refuses(visibility.require_entry, of("member:m2"), joined)
    first = e.Owner(member_id="m1", incarnation=1)
    lost = e.PacketRequeued(packet_id="p", epoch=2, owner=first, reason="asked for")
    assert visibility.concerns(lost, "m1")
    assert not visibility.concerns(lost, "m2")


@pytest.mark.parametrize(("claimed", "tells"), [(2, True), (1, False)])
def test_a_refused_write_is_no_news_for_whoever_never_had_the_packet(
    claimed: int, tells: bool
) -> None:
    """An entry, or the receipt in a refusal, tells a member under which epoch others have a packet."""
    refused = e.WriteRefused(
        packet_id="p", member_id="m1", incarnation=1, claimed_epoch=claimed, epoch=2, action="complete_packet",
        code="ownership.not_owner",
    )  # fmt: skip
    assert visibility.concerns(refused, "m1") is tells
    for who, keeps in ((of("member:m1"), tells), (of("member:m2"), False), (of("operator"), True)):
        error = ForbiddenError("no")
        error.receipt = Receipt(position=1, entries=(), events=(refused,), size=2)
        visibility.withhold_receipt(who, error)
        assert (error.receipt is not None) is keeps
