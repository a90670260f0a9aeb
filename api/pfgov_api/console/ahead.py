"""Looking ahead: what a command would change, asked before it is sent; nothing here is recorded.

It asks dry runs and lists, in the visitor's name, and puts what they say into a line for each packet or member.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pfgov.app.fleet import FleetView
from pfgov.app.views import MemberView, PacketView, VerdictRow
from pfgov.app.views.packets import ReviewRequestView
from pfgov.errors import PfgovError
from pfgov_api.console.figures import required_name
from pfgov_api.console.visiting import Visitor

LOOKED_AHEAD_MAX: Final = 12
"""Packets whose next owner is asked for before something is done."""

POINTS: Final = {"ASSIGNED": "handoff", "HANDOFF_PENDING": "accept"}
"""Where a target is judged, by where the packet stands; at an assignment else."""

NAMED_MAX: Final = 4
LISTED_MAX: Final = 100
"""Packets that are looked through for those that something concerns."""


@dataclass(slots=True)
class Ahead:
    """What would happen: a line for each packet or member, how many were not looked at, and what there is none of."""

    lines: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    left: int = 0
    title: str = "As a dry run says now"
    nothing: str = "It owns nothing; nothing moves."


def where(found: Mapping[str, Any]) -> str:
    """Return in words where a packet would go, of what ``discover`` answers."""
    there, eligible = found["would_go_to"], len(found["eligible"])
    if there:
        return f"would go to {there}, {'the only one' if eligible == 1 else f'one of {eligible}'} who may"
    near = found["nearest_miss"]
    return "nobody may own it now" + (f": {near}" if near else "")


def then(says: str) -> str:
    """Return what :func:`where` says as what would happen, behind a packet's id."""
    return says if says.startswith("would") else f"would wait: {says}"


async def of_packets(visitor: Visitor, packets: Sequence[str]) -> Ahead | None:
    """Return who would own each of *packets* next, as dry runs say now; None where that may not be asked."""
    if not visitor.may("discover"):
        return None
    ahead = Ahead(left=max(len(packets) - LOOKED_AHEAD_MAX, 0))
    for packet_id in packets[:LOOKED_AHEAD_MAX]:
        try:
            ahead.lines.append((packet_id, then(where(await visitor.dry_run(packet_id)))))
        except PfgovError as error:
            ahead.lines.append((packet_id, error.message))
    return ahead


async def of_target(visitor: Visitor, packet: PacketView, target: str) -> Ahead | None:
    """Return whether *target* may take a packet, rule by rule where it may not; None where that may not be asked."""
    if not visitor.may("evaluate_decision"):
        return None
    ahead = Ahead()
    try:
        found = await visitor.verdict(packet.packet_id, target, POINTS.get(packet.status))
    except PfgovError as error:
        ahead.lines.append((target, error.message))
        return ahead
    row = next((one for one in found.get("members", ()) if one.member_id == target), None)
    if row is None or row.is_eligible:
        ahead.lines.append((target, "may take it"))
    else:
        ahead.lines += [(target, f"may not: {one.message} ({one.rule})") for one in row.reasons]
    return ahead


async def of_review(visitor: Visitor, packet: PacketView, asked: ReviewRequestView) -> Ahead:
    """Return what a review is about: the work, the rules that ask, and who may own it once it is granted."""
    needs, classes = ", ".join(packet.required_capabilities), ", ".join(packet.data_classes)
    about = f"needs {needs or 'no capability'}; its data is {classes or 'not classified'}"
    lines = [
        (packet.workload_type, about),
        (", ".join(asked.rules), f"asks somebody who is a {asked.to} to agree"),
    ]
    if packet.status == "AWAITING_REVIEW" and visitor.may("discover"):
        lines.append(("If it is granted,", await _after_review(visitor, packet.packet_id)))
    return Ahead(lines, title="What is asked")


async def _after_review(visitor: Visitor, packet_id: str) -> str:
    try:
        found = await visitor.dry_run(packet_id)
    except PfgovError as error:
        return error.message
    able = [one.member_id for one in found["members"] if one.is_eligible or _needs_review(one)]
    if not able:
        near = found["nearest_miss"]
        return "nobody may own it yet" + (f": {near}" if near else "")
    return f"{_members(len(able))} may own it: {_some(able)}"


def _needs_review(row: VerdictRow) -> bool:
    """Whether nothing but a review keeps a member from owning a packet."""
    return row.outcome == "escalate" and all(one.effect == "escalate" for one in row.reasons)


async def of_silence(visitor: Visitor) -> Ahead:
    """Return what the halt is about, as it was recorded, and which members are suspected of being gone."""
    if (await visitor.ask("status"))["halted"] is None:
        return Ahead(title="Nothing to end", nothing="There is no halt: leases end.")
    query = {"newest": "true", "limit": 1, "type": "expiry_halted"}
    halts = (await visitor.ask("list_entries", query))["items"]
    fleet: FleetView = await visitor.ask("show_fleet")
    silent = [one for one in fleet.members if one.status == "SUSPECT"]
    silent.sort(key=lambda one: (-one.active, one.id))
    lines = [(f"Entry {one.seq}:", one.says) for one in halts]
    lines += [
        (one.id, f"is suspect and owns {_packets(one.active)}") for one in silent[:LOOKED_AHEAD_MAX]
    ]
    return Ahead(
        lines,
        left=max(len(silent) - LOOKED_AHEAD_MAX, 0),
        title="Why they do not end",
        nothing="The halt was never recorded: this engine alone keeps it.",
    )


async def without(visitor: Visitor, member: MemberView, names: Sequence[str]) -> Ahead:
    """Return which packets *member* may own no longer without the capabilities *names*, and who else offers those."""
    fleet: FleetView = await visitor.ask("show_fleet")
    owned = await _asking(visitor, {"owner": member.id}, names)
    waiting = await _asking(visitor, {"status": "PENDING"}, names)
    found = await of_packets(visitor, owned) or Ahead()
    lines = [(name, _others(fleet, member.id, name)) for name in names]
    if owned:
        lines.append((member.id, f"may no longer own {_packets(len(owned))}:"))
    lines += [(packet, says) for packet, says in found.lines]
    if waiting:
        lines.append((_packets(len(waiting)), f"that wait ask for it, too: {_some(waiting)}"))
    return Ahead(lines, left=found.left, title="What that would change")


def _others(fleet: FleetView, member_id: str, name: str) -> str:
    able = [
        one.id
        for one in fleet.members
        if one.id != member_id
        and one.status == "ACTIVE"
        and any(skill["name"] == name for skill in one.capabilities)
    ]
    if not able:
        return f"is offered by no other active member: without {member_id} nobody can"
    return f"is still offered by {_members(len(able))}: {_some(able)}"


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:NAMED_MAX]) + (" and more" if len(ids) > NAMED_MAX else "")


async def _asking(visitor: Visitor, query: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """Return the packets that *query* lists and that ask for one of the capabilities *names*."""
    listed = await visitor.ask("list_packets", {**query, "limit": LISTED_MAX})
    packets: Sequence[PacketView] = listed["items"]
    return [
        one.packet_id
        for one in packets
        if any(required_name(asked) in names for asked in one.required_capabilities)
    ]


def _packets(count: int) -> str:
    return f"{count} packet{'' if count == 1 else 's'}"


def _members(count: int) -> str:
    return f"{count} member{'' if count == 1 else 's'}"
