"""The fleet at one moment: what each member holds, packet by packet, and why the others wait.

It is taken from the state in the exclusive section, so it is bounded: demands are listed while there are few enough
packets to be drawn one by one, and no more than ``WAITING_LOOKED_AT_MAX`` waiting packets are looked at.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from pfgov.app.views import MemberView, member_view
from pfgov.app.views.numbers import numbers
from pfgov.app.views.packets import WAITS_FOR
from pfgov.core.lifecycle import PacketStatus
from pfgov.core.records import Packet
from pfgov.core.state import State

DRAWN_MAX: Final = 2_500
"""Owned packets up to which each one is listed with its demand."""

WAITING_LOOKED_AT_MAX: Final = 10_000
"""Waiting packets that are counted by what they wait for; there may be more."""


class OwnedView(msgspec.Struct, frozen=True, kw_only=True):
    """A packet as its owner's load shows it; ``scheduler`` is the one that places it."""

    packet_id: str
    owner: str
    demand: dict[str, float | int]
    scheduler: str
    required_capabilities: list[str]


class FleetView(msgspec.Struct, frozen=True, kw_only=True):
    """Every member, what they hold, and what waits.

    ``packets`` is None where there are too many to be listed.  ``waits_for`` counts waiting packets by what has to
    change: ``room``, ``policy``, ``members``, a ``reviewer``; ``tried`` those that were not decided yet.
    """

    size: int
    members: list[MemberView]
    owned: int
    packets: list[OwnedView] | None
    waiting: int
    waits_for: dict[str, int]
    vnodes: int


def fleet_view(state: State) -> FleetView:
    """Return the fleet of *state*, in the exclusive section; the state is neither kept nor changed."""
    owned = sum(len(ids) for ids in state.owned.values())
    reference = state.settings.scheduler
    vnodes = dict(reference.parameters).get("vnodes", "128") if reference.name == "ring" else "128"
    return FleetView(
        size=state.size,
        members=[member_view(one) for one in state.members.values()],
        owned=owned,
        packets=_listed(state) if owned <= DRAWN_MAX else None,
        waiting=len(state.unowned),
        waits_for=_waits(state),
        vnodes=int(vnodes),
    )


def _listed(state: State) -> list[OwnedView]:
    by_workload = {name: one.name for name, one in state.settings.schedulers}
    return [
        OwnedView(
            packet_id=packet_id,
            owner=owner,
            demand=numbers(state.packets[packet_id].terms.demand),
            scheduler=_scheduler(
                state.packets[packet_id], by_workload, state.settings.scheduler.name
            ),
            required_capabilities=list(state.packets[packet_id].terms.required_capabilities),
        )
        for owner, ids in state.owned.items()
        for packet_id in ids
    ]


def _scheduler(packet: Packet, by_workload: Mapping[str, str], default: str) -> str:
    asked = packet.terms.scheduler
    if asked is not None:
        return asked.partition(":")[0]
    return by_workload.get(packet.terms.workload_type, default)


def _waits(state: State) -> dict[str, int]:
    found: Counter[str] = Counter()
    for looked, packet_id in enumerate(state.unowned):
        if looked == WAITING_LOOKED_AT_MAX:
            break
        packet = state.packets[packet_id]
        if packet.status is PacketStatus.AWAITING_REVIEW:
            found["reviewer"] += 1
        elif packet.waiting is None:
            found["hold" if packet.terms.hold else "a decision"] += 1
        else:
            found[WAITS_FOR.get(packet.waiting.outcome, "policy")] += 1
    return dict(sorted(found.items()))
