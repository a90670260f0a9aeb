"""Who may read what: asked here for every door, from a principal's rights alone.

The key of a member reads what it needs to do its member's work, and nothing about the others: its own record, the
packets that it owns or is offered, who could take those, and the entries that concern it (decision record 0014).  Every
other right reads about everybody; the key of a submitter hears about its own packets.
"""

from typing import Any, Final

from pfgov.core import events as e
from pfgov.core.commands import Commitment, Principal
from pfgov.core.records import Packet
from pfgov.engine import Receipt
from pfgov.errors import ForbiddenError, NotFoundError, PfgovError

READERS: Final = frozenset({"auditor", "operator", "admin", "reviewer", "assessor", "submitter"})
"""Who may read about every member, every packet and every decision."""


SUBMITTER: Final = "submitter"

READS_ALL: Final = "to read about others use one with the scope auditor"
"""The hint where a member's key reads what is not its member's."""


def members_of(principal: Principal) -> frozenset[str] | None:
    """Return the members that *principal* is confined to; None if it may read about everybody."""
    if READERS.intersection(principal.rights):
        return None
    return frozenset(
        right.removeprefix("member:") for right in principal.rights if right.startswith("member:")
    )


def require_member(principal: Principal, member_id: str | None) -> None:
    """Refuse what is about another member than the principal's, or about no single one.

    Raises:
        ForbiddenError: the principal is a member, and *member_id* is none of its members.
    """
    own = members_of(principal)
    if own is None or (member_id is not None and member_id in own):
        return
    whose = " and ".join(sorted(own)) or "no member"
    if member_id is None:
        raise ForbiddenError(
            f"a member's key reads only about its own member; this one is of {whose}",
            hint=f"name that member; {READS_ALL}",
        )
    raise ForbiddenError(
        f"a member's key reads only about its own member; this one is of {whose}, not of {member_id}",
        hint=f"to work as {member_id} use its own key: pfgov key create --scope member:{member_id}; {READS_ALL}",
    )


def hears_own_alone(principal: Principal, member_id: str | None) -> bool:
    """Return whether *principal* hears, of what is committed, only what is about packets that it submitted.

    Args:
        principal: Who listens.
        member_id: Whom it asks to hear about; None if it names nobody.

    Raises:
        ForbiddenError: it may not hear about that member, or has to name its own.
    """
    if (READERS - {SUBMITTER}).intersection(principal.rights):
        return False
    if SUBMITTER not in principal.rights or f"member:{member_id}" in principal.rights:
        require_member(principal, member_id)
        return False
    if member_id is None:
        return True
    raise ForbiddenError(
        f"a submitter's key hears only about packets that were submitted with it, not about {member_id}",
        hint=f"leave member out; {READS_ALL}",
    )


def may_read_member(principal: Principal, member_id: str) -> bool:
    """Whether the principal reads about everybody, or *member_id* is its member."""
    own = members_of(principal)
    return own is None or member_id in own


def require_packet(principal: Principal, packet_id: str, packet: Packet | None) -> None:
    """Refuse a packet that the principal's member neither owns nor is offered; one that there is not, in equal words.

    Args:
        principal: Who asks.
        packet_id: Of which packet.
        packet: What is known of it; None if there is none of that id.

    Raises:
        ForbiddenError: it is another's, or nobody's: whoever is confined to members is not told which.
    """
    if members_of(principal) is None:
        return
    if packet is not None and may_read_packet(principal, packet):
        return
    raise ForbiddenError(
        f"a member's key reads only packets that its member owns or is offered; {packet_id} is none of them",
        hint=f"if it was worked on, stop: it is another's or nobody's now; {READS_ALL}",
    )


def may_read_packet(principal: Principal, packet: Packet) -> bool:
    """Whether the principal reads about everybody, or its member owns *packet* or is offered it."""
    own = members_of(principal)
    if own is None or packet.owner in own:
        return True
    return packet.pending is not None and packet.pending.target in own


def require_entry(principal: Principal, event: e.Event) -> None:
    """Refuse an entry that does not concern the principal's member.

    Raises:
        ForbiddenError: it is about others.
    """
    if not may_see(principal, event):
        raise ForbiddenError(
            "a member's key reads only entries that concern its member",
            hint=READS_ALL,
        )


def may_see(principal: Principal, event: e.Event) -> bool:
    """Whether the principal reads about everybody, or *event* concerns its member."""
    own = members_of(principal)
    return own is None or any(concerns(event, member) for member in own)


def withhold_receipt(principal: Principal, error: PfgovError) -> None:
    """Take from a recorded refusal the receipt whose entry *principal* could not read."""
    own, receipt = members_of(principal), error.receipt
    if own is None or not isinstance(receipt, Receipt):
        return
    if not all(any(concerns(event, member) for member in own) for event in receipt.events):
        error.receipt = None


def concerns(event: Any, member: str) -> bool:
    """Whether *event* is about *member*: its own life, or a packet that it gets, loses or is offered.

    A refused write is not, unless the member had the packet: the entry tells under which epoch others have it.
    """
    if isinstance(event, e.WriteRefused) and event.epoch != event.claimed_epoch:
        return False
    if getattr(event, "member_id", None) == member:
        return True
    for name in ("owner", "source", "target"):
        if getattr(getattr(event, name, None), "member_id", None) == member:
            return True
    return False


def require_acting(principal: Principal, member_id: str) -> None:
    """Refuse whoever does not act for a member.

    Raises:
        ForbiddenError: the principal is neither that member nor an operator.
    """
    if not {"operator", f"member:{member_id}"}.intersection(principal.rights):
        raise ForbiddenError(
            f"this key does not act for {member_id}",
            hint=f"use its own key: pfgov key create --scope member:{member_id}",
        )


def holds(principal: Principal, packet: Packet) -> bool:
    """Whether *principal* acts for the owner of *packet*, or for the target of its pending handoff."""
    holders = {packet.owner, packet.pending.target if packet.pending else None} - {None}
    return any(f"member:{member_id}" in principal.rights for member_id in holders)


def readable_result(principal: Principal, packet: Packet) -> Commitment:
    """Return the result of *packet*, which whoever submitted it may read, and nobody else.

    Raises:
        ForbiddenError: somebody else submitted it.
        NotFoundError: ``result.not_found``, there is none.
    """
    if packet.submitted_by != principal.id:
        raise ForbiddenError(
            f"only whoever submitted {packet.packet_id} may read its result",
            hint="use the key with which it was submitted",
        )
    if packet.result is None:
        raise NotFoundError(
            f"{packet.packet_id} has no result",
            code="result.not_found",
            hint="it is there once the owner has completed the packet with one",
        )
    return packet.result


def readable_context(principal: Principal, packet: Packet, *, whole: bool) -> Commitment:
    """Return the context of *packet* that the principal may read: its owner and the handoff's target a view of it.

    Args:
        principal: Who asks.
        packet: Of which packet.
        whole: Whether nothing is to be withheld, which is for operators.

    Raises:
        ForbiddenError: none of it.
        NotFoundError: ``context.not_found``, there is none.
    """
    pending, rights = packet.pending, principal.rights
    is_operator = "operator" in rights
    if whole and not is_operator:
        raise ForbiddenError(
            "only an operator may read what is withheld from owners",
            hint="leave whole out, or use a key with the scope operator",
        )
    if whole:
        found = packet.context
    elif packet.owner is not None and (f"member:{packet.owner}" in rights or is_operator):
        found = packet.view or packet.context
    elif pending is not None and f"member:{pending.target}" in rights:
        found = pending.view or pending.context
    elif is_operator:
        found = packet.context
    else:
        raise ForbiddenError(
            f"only the owner of {packet.packet_id}, or the target of its handoff, may read its context",
            hint="use the key of that member",
        )
    if found is None:
        raise NotFoundError(f"{packet.packet_id} has no context", code="context.not_found")
    return found
