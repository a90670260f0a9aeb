"""Each bound of what can be sent is reached: the border takes an input at it, and refuses one beyond it."""

from typing import Any

import pytest

from pfgov import limits
from pfgov.errors import InputError
from pfgov.model import (
    Failure,
    FlightPacket,
    Heartbeat,
    MemberRegistration,
    Settings,
    Tick,
    Wire,
    parse,
)
from pfgov.model.ledger import SETTINGS_MAX


def _names(count: int) -> list[str]:
    return sorted(f"n{i:05}" for i in range(count))


def _packet(**fields: Any) -> tuple[type[Wire], dict[str, Any]]:
    return FlightPacket, {"workload_type": "w", **fields}


def _member(**fields: Any) -> tuple[type[Wire], dict[str, Any]]:
    return MemberRegistration, {"id": "m", "type": "agent", **fields}


REACHED: dict[str, Any] = {
    "ID_LENGTH_MAX": lambda n: _packet(packet_id="i" * n),
    "NAME_LENGTH_MAX": lambda n: _packet(demand={"n" * n: 1}),
    "LABEL_LENGTH_MAX": lambda n: _packet(labels={"a": "v" * n}),
    "LABELS_MAX": lambda n: _packet(labels=dict.fromkeys(_names(n), "v")),
    "CAPABILITIES_MAX": lambda n: _packet(required_capabilities=_names(n)),
    "CLEARANCES_MAX": lambda n: _packet(data_classes=_names(n)),
    "DIMENSIONS_MAX": lambda n: _packet(demand=dict.fromkeys(_names(n), 1)),
    "REGIONS_MAX": lambda n: _packet(policy_constraints={"allowed_regions": _names(n)}),
    "PRIORITY_MAX": lambda n: _packet(priority=n),
    "HANDOFFS_MAX": lambda n: _packet(max_handoffs=n),
    "PROGRESS_SECONDS_MAX": lambda n: _packet(progress_seconds=n),
    "QUANTITY_MAX": lambda n: _packet(demand={"cpu": n}),
    "ATTRIBUTES_MAX": lambda n: _member(
        capabilities=[{"name": "c", "attributes": dict.fromkeys(_names(n), "v")}]
    ),
    "WEIGHT_MAX": lambda n: _member(weight=n),
    "LEASE_SECONDS_MAX": lambda n: _member(lease_seconds=n),
    "OWNED_MAX": lambda n: (
        Heartbeat,
        {"incarnation": 1, "owns": [{"packet_id": name, "epoch": 1} for name in _names(n)]},
    ),
    "DEAD_NAMED_MAX": lambda n: (Tick, {"dead": _names(n)}),
    "SETTINGS_MAX": lambda n: (Settings, {"settings": dict.fromkeys(_names(n), "1")}),
}
"""Bound -> the input that has so much of it."""


@pytest.mark.parametrize("name", REACHED)
def test_a_bound_holds_at_its_edge(name: str) -> None:
    """An input at a bound is refused, or one beyond it is taken in."""
    bound: int = SETTINGS_MAX if name == "SETTINGS_MAX" else getattr(limits, name)
    model, at = REACHED[name](bound)
    parse(model, at)
    model, beyond = REACHED[name](bound + 1)
    with pytest.raises(InputError) as refused:
        parse(model, beyond)
    assert refused.value.errors


def test_a_lease_has_a_least_length() -> None:
    """A lease of no time is taken in, and its member dies at once."""
    parse(*_member(lease_seconds=limits.LEASE_SECONDS_MIN))
    with pytest.raises(InputError):
        parse(*_member(lease_seconds=limits.LEASE_SECONDS_MIN - 1))


def test_a_reason_has_a_length() -> None:
    """A text of people may be as long as somebody cares to write."""
    parse(Failure, {"reason": "r" * limits.TEXT_LENGTH_MAX})
    with pytest.raises(InputError):
        parse(Failure, {"reason": "r" * (limits.TEXT_LENGTH_MAX + 1)})
