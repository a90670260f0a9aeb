"""Custody: who owned each packet, and whether every change of owner could happen.

``FORMAT.md`` section "Custody".  The rules are the invariants that need no policy: epochs rise by
exactly one with each change of owner, the source of a handoff owned the packet, only the owner
writes, every owner was registered in that incarnation and had not failed or retired, nothing
happens after the end.  Why a member was chosen is for replay.

Bodies are read defensively: they are authentic, but nobody has checked their shape.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from pfgov_ledger import canonical, errors, vocabulary
from pfgov_ledger.canonical import Json
from pfgov_ledger.entry import Entry

PENDING, OWNED, MOVING, ENDED = "pending", "owned", "moving", "ended"
"""A packet waits without an owner, is owned, is owned with a handoff pending, or is over."""

Owner = tuple[str, int]
"""(member_id, incarnation)."""

_UNMOVED: Final = frozenset({"write_refused", "decision_evaluated", "attachment_erased"})
"""Events that say nothing of custody and may follow the end."""


@dataclass(slots=True)
class Packet:
    """Where a packet stands: status, epoch, owner, and the target of a pending handoff."""

    status: str = PENDING
    epoch: int = 0
    owner: Owner | None = None
    target: Owner | None = None


@dataclass(slots=True)
class Member:
    """A member's latest incarnation, and whether it may own packets."""

    incarnation: int
    is_alive: bool = True


State = Packet | Member


def judge(state: State | None, of: Entry, member: Callable[[str], Member | None]) -> State | None:
    """The state of the entry's subject after it.

    Args:
        state: The subject's state before; None if it has none yet.
        of: An entry of the subject; packet and member histories have states, others None.
        member: Looks up a member's state by its id.

    Raises:
        CustodyError: The entry breaks a rule.
        EntryShapeError: A body lacks what the rules read.
    """
    try:
        if of.subject.startswith("packet/"):
            return _packet(state if isinstance(state, Packet) else None, of, member)
        if of.subject.startswith("member/"):
            return _member(state if isinstance(state, Member) else None, of)
    except errors.LedgerError as error:
        raise error.at(of.seq) from None
    return state


def members_named(body: dict[str, Json]) -> Iterator[str]:
    """The subjects of the members that an event of a packet names as its owner, source or target."""
    for name in ("owner", "source", "target"):
        match body.get(name):
            case {"member_id": str(member_id)} if vocabulary.is_subject(f"member/{member_id}"):
                yield f"member/{member_id}"
            case _:
                pass


# --- members ---------------------------------------------------------------------------------


def _member(state: Member | None, of: Entry) -> Member | None:
    if of.type == "member_registered":
        incarnation = _count(of.body, "incarnation")
        if incarnation <= (0 if state is None else state.incarnation):
            raise errors.CustodyOrderError(
                "an incarnation is used again", found=f"incarnation {incarnation}"
            )
        return Member(incarnation)
    if of.type == "member_recovered":
        incarnation = _count(of.body, "incarnation")
        if state is None:
            raise errors.CustodyOrderError(
                "nothing comes back that was never registered", expected="member_registered"
            )
        if incarnation < state.incarnation or (
            incarnation == state.incarnation and not state.is_alive
        ):
            raise errors.CustodyOrderError(
                "an incarnation is used again", found=f"incarnation {incarnation}"
            )
        return Member(incarnation)
    if of.type in {"member_failed", "member_retired"} and state is not None:
        return Member(state.incarnation, is_alive=False)
    return state


def _check_registered(owner: Owner, member: Callable[[str], Member | None]) -> None:
    known = member(owner[0])
    if known is None or known.incarnation != owner[1] or not known.is_alive:
        found = "never registered"
        if known is not None:
            found = f"incarnation {known.incarnation}" + ("" if known.is_alive else ", gone")
        raise errors.OwnerUnregisteredError(expected=f"{_name(owner)}", found=found)


# --- packets ---------------------------------------------------------------------------------


def _packet(
    state: Packet | None, of: Entry, member: Callable[[str], Member | None]
) -> Packet | None:
    if of.type in _UNMOVED:
        return state
    if state is not None and state.status == ENDED:
        raise errors.AfterTerminalError(expected="nothing", found=of.type)
    if of.type == "packet_created":
        if state is not None:
            raise errors.CustodyOrderError("created twice", found=of.type)
        return Packet()
    if state is None:
        raise errors.CustodyOrderError("nothing comes before packet_created", found=of.type)
    rule = _RULES.get(of.type)
    return state if rule is None else rule(state, of.body, member)


_Lookup = Callable[[str], Member | None]


def _assigned(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    if body.get("outcome") != "allowed":
        return state
    owner = _owner(body, "owner")
    if state.status != PENDING:
        raise errors.TwoOwnersError(expected="no owner", found=_name(state.owner))
    _check_epoch(state.epoch + 1, body)
    _check_registered(owner, member)
    return Packet(OWNED, state.epoch + 1, owner)


def _started(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    _check_source(state, body)
    if state.status != OWNED:
        raise errors.CustodyOrderError("a handoff is pending already")
    _check_epoch(state.epoch, body)
    return Packet(MOVING, state.epoch, state.owner, _owner(body, "target"))


def _completed_handoff(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    _check_pending(state)
    _check_source(state, body)
    owner = _owner(body, "owner")
    if owner != state.target:
        raise errors.HandoffTargetError(expected=_name(state.target), found=_name(owner))
    _check_epoch(state.epoch + 1, body)
    _check_registered(owner, member)
    return Packet(OWNED, state.epoch + 1, owner)


def _aborted(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    _check_pending(state)
    _check_source(state, body)
    target = _owner(body, "target")
    if target != state.target:
        raise errors.HandoffTargetError(expected=_name(state.target), found=_name(target))
    _check_epoch(state.epoch, body)
    return Packet(OWNED, state.epoch, state.owner)


def _kept(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    if state.owner is not None:
        _check_source(state, body)
        _check_epoch(state.epoch, body)
    return state


def _lost(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    _check_owner(state, body)
    _check_epoch(state.epoch + 1, body)
    return Packet(PENDING, state.epoch + 1)


def _wrote(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    _check_owner(state, body)
    _check_epoch(state.epoch, body)
    if state.status != OWNED:
        raise errors.CustodyOrderError("the owner may not write while a handoff is pending")
    return state


def _finished(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    _check_owner(state, body)
    _check_epoch(state.epoch, body)
    return Packet(ENDED, state.epoch)


def _stopped(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    del member
    if body.get("owner") is not None:
        _check_owner(state, body)
    _check_epoch(state.epoch, body)
    return Packet(ENDED, state.epoch)


def _failed(state: Packet, body: dict[str, Json], member: _Lookup) -> Packet:
    if body.get("cause") == "owner":
        _check_owner(state, body)
    return _stopped(state, body, member)


_RULES: Final[dict[str, Callable[[Packet, dict[str, Json], _Lookup], Packet]]] = {
    "assignment_decision": _assigned,
    "handoff_started": _started,
    "handoff_completed": _completed_handoff,
    "handoff_aborted": _aborted,
    "handoff_denied": _kept,
    "handoff_escalated": _kept,
    "ownership_revoked": _lost,
    "packet_requeued": _lost,
    "checkpoint_committed": _wrote,
    "packet_completed": _finished,
    "packet_failed": _failed,
    "packet_cancelled": _stopped,
}
"""Packet event -> what it demands and does; events that are absent change nothing."""


def _check_pending(state: Packet) -> None:
    if state.status != MOVING:
        raise errors.CustodyOrderError("no handoff is pending", expected="handoff_started")


def _check_source(state: Packet, body: dict[str, Json]) -> None:
    source = _owner(body, "source")
    if source != state.owner:
        raise errors.HandoffSourceError(expected=_name(state.owner), found=_name(source))


def _check_owner(state: Packet, body: dict[str, Json]) -> None:
    owner = _owner(body, "owner")
    if owner != state.owner:
        raise errors.NotOwnerError(expected=_name(state.owner), found=_name(owner))


def _check_epoch(expected: int, body: dict[str, Json]) -> None:
    found = _count(body, "epoch")
    if found != expected:
        raise errors.EpochError(expected=str(expected), found=str(found))


def _owner(body: dict[str, Json], name: str) -> Owner:
    found = body.get(name)
    if isinstance(found, dict):
        member_id, incarnation = found.get("member_id"), found.get("incarnation")
        if isinstance(member_id, str) and type(incarnation) is int:
            return member_id, incarnation
    raise errors.EntryShapeError(f"{name} is {{member_id, incarnation}}")


def _count(body: dict[str, Json], name: str) -> int:
    value = body.get(name)
    if type(value) is not int:
        raise errors.EntryShapeError(f"{name} is an integer")
    return value


def _name(owner: Owner | None) -> str:
    return "nobody" if owner is None else f"{canonical.text_of(owner[0], 128)}#{owner[1]}"


# --- for a table on disk ---------------------------------------------------------------------


def pack(state: State | None) -> list[Json]:
    """The state as a list for :func:`unpack`."""
    if isinstance(state, Member):
        return [state.incarnation, state.is_alive]
    if isinstance(state, Packet):
        owner, target = state.owner or (None, 0), state.target or (None, 0)
        return [state.status, state.epoch, *owner, *target]
    return []


def unpack(packed: list[Json]) -> State | None:
    """The state that :func:`pack` wrote."""
    match packed:
        case [int(incarnation), bool(is_alive)]:
            return Member(incarnation, is_alive)
        case [str(status), int(epoch), owner, int(owner_life), target, int(target_life)]:
            return Packet(
                status,
                epoch,
                (owner, owner_life) if isinstance(owner, str) else None,
                (target, target_life) if isinstance(target, str) else None,
            )
        case _:
            return None
