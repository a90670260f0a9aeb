"""Whether two states are one: the same values, walked in the same order.

Rows that are equal once they are sorted may still decide differently, if one of the two is walked in the order in
which it was filled.  So what is compared here is what a walk sees: every field, every collection, one element after the
other.  Counters that an engine keeps for itself are no part of it, and of packets that have ended a running engine
holds some, a loaded one none and a fold all.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from pfgov.core.lifecycle import TERMINAL
from pfgov.core.state import State

_PLAIN: Final = (
    "origin", "engine", "semantics", "size", "time", "predecessor", "configuration", "policy", "policy_since",
    "policies", "live_packets", "expiring",
)  # fmt: skip

_AS_WALKED: Final = msgspec.json.Encoder(order=None).encode


def difference(ours: State, theirs: State) -> str | None:
    """Return where the two part, in one sentence, or None where nothing that walks them can tell."""
    for (what, one), (_, other) in zip(_seen(ours), _seen(theirs), strict=True):
        if one != other:
            return _first(what, one, other)
    return None


def _first(what: str, one: list[object], other: list[object]) -> str:
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            place = what if what in _PLAIN else f"{what} {at}"
            return f"{place} is {left!r} here and {right!r} there"
    return f"{what}: {len(one)} here and {len(other)} there"


def _seen(state: State) -> Iterator[tuple[str, list[object]]]:
    """Return everything that a walk sees, piece by piece."""
    for name in _PLAIN:
        yield name, [getattr(state, name)]
    yield "key", [*state.keys.items()]
    yield "member", [(key, _AS_WALKED(member)) for key, member in state.members.items()]
    live = [(key, packet) for key, packet in state.packets.items() if packet.status not in TERMINAL]
    yield "packet", [(key, _AS_WALKED(packet)) for key, packet in live]
    yield "owner", [(key, list(owned)) for key, owned in state.owned.items() if owned]
    yield "waiting packet", [*state.unowned]
    yield "watched packet", [*state.watched]
    yield "roster", [member.member_id for member in state.roster()]
