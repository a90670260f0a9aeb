"""No reachable event is larger than an entry can hold: maximal inputs, measured.

An event that repeats its command's fields (a registration, a packet) is bounded by the budget of an action, because
the border refuses a larger one.  Every other event is built at its largest (:mod:`support.largest_events`).
"""

import pytest
from support.largest_events import COPIES, ENVELOPE, body_bytes, command_bytes, size

from pfgov import limits
from pfgov.core import events as e


@pytest.mark.parametrize("name", sorted(e.EVENTS))
def test_the_largest_event_fits_an_entry(name: str) -> None:
    """The largest body, with the largest command, in the largest envelope, is within the reachable bound."""
    whole = size(ENVELOPE) + command_bytes() + body_bytes(e.EVENTS[name])
    assert whole <= limits.ENTRY_BYTES_REACHABLE_MAX, f"{name}: {whole}"


def test_the_reachable_bound_leaves_room() -> None:
    """The reachable bound is below the format's own."""
    assert limits.ENTRY_BYTES_REACHABLE_MAX < 65_535


@pytest.mark.parametrize("event", COPIES, ids=lambda event: event.type)
def test_copies_add_no_list(event: type[e.Event]) -> None:
    """A body that counts as a copy has no list or text beyond its action's, but the few that are bounded."""
    extra = set(event.__struct_fields__) - set(COPIES[event].__struct_fields__)
    assert extra <= {
        "command", "incarnation", "kind", "trust", "claimed_trust", "principal", "policy", "capability", "imported",
        "submitted_by", "submitted_for",
    }  # fmt: skip
