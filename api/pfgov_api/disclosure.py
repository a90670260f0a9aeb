"""What the key of a member may read: what it needs to do its member's work, and nothing about the others.

That is its own record, the packets that it owns or is offered, who could take those, and the entries that concern it
(decision record 0014).  Every other scope reads everything.  Routes that a member's key may use at all say so in their
table; what it may see behind them is asked here, and nowhere else.
"""

from typing import Any

from pfgov import events as e
from pfgov.commands import Principal
from pfgov.errors import ForbiddenError
from pfgov.records import Packet
from pfgov_api.operations import READERS, Call


def members_of(principal: Principal) -> frozenset[str] | None:
    """Return the members that *principal* is confined to; None if it may read about everybody."""
    if READERS.intersection(principal.rights):
        return None
    return frozenset(
        right.removeprefix("member:") for right in principal.rights if right.startswith("member:")
    )


def require_member(call: Call, member_id: str | None) -> None:
    """Refuse what is about another member than the caller's.

    Raises:
        ForbiddenError: the key is a member's, and *member_id* is none of its members.
    """
    own = members_of(call.principal)
    if own is not None and (member_id is None or member_id not in own):
        raise ForbiddenError(
            "a member's key reads only about its own member",
            hint="name that member, or use a key with the scope auditor",
        )


def require_packet(call: Call, packet: Packet) -> None:
    """Refuse a packet that the caller's member neither owns nor is offered.

    Raises:
        ForbiddenError: it is another's.
    """
    own = members_of(call.principal)
    if own is None or packet.owner in own:
        return
    if packet.pending is not None and packet.pending.target in own:
        return
    raise ForbiddenError(
        f"a member's key reads only packets that its member owns or is offered; {packet.packet_id} is none of them",
        hint="use a key with the scope auditor",
    )


def require_entry(call: Call, event: e.Event) -> None:
    """Refuse an entry that does not concern the caller's member.

    Raises:
        ForbiddenError: it is about others.
    """
    if not may_see(call, event):
        raise ForbiddenError(
            "a member's key reads only entries that concern its member",
            hint="use a key with the scope auditor",
        )


def may_see(call: Call, event: e.Event) -> bool:
    """Whether the caller reads about everybody, or *event* concerns its member."""
    own = members_of(call.principal)
    return own is None or any(concerns(event, member) for member in own)


def concerns(event: Any, member: str) -> bool:
    """Whether *event* is about *member*: its own life, or a packet that it gets, loses or is offered."""
    if getattr(event, "member_id", None) == member:
        return True
    for name in ("owner", "source", "target"):
        if getattr(getattr(event, name, None), "member_id", None) == member:
            return True
    return False
