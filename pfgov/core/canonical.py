"""The one order of every collection in a command.

What comes in has the order in which somebody wrote it, and that must not matter: not to a verdict, not to the digest of
a table, not to what is remembered between decisions.  So each command is put in order once, where the engine takes it
in and before it is recorded: names and pairs in byte order, sets without repetition.  Since semantics
:data:`IN_ORDER` a replay holds commands to it.  What is a sequence and not a set (previous owners, signatures) stays.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from pfgov.core import commands as c

IN_ORDER: Final = 4
"""From these semantics on, collections in commands stand in this order."""

A = TypeVar("A", bound=c.Action)


def canonical(action: A) -> A:
    """Return *action* with every collection in order; itself if it is."""
    orders = _ORDERS.get(type(action))
    if orders is None:
        return action
    changes: dict[str, Any] = {}
    for name, order in orders.items():
        value = getattr(action, name)
        if value:  # neither absent nor empty
            ordered = order(value)
            if ordered != value:
                changes[name] = ordered
    return msgspec.structs.replace(action, **changes) if changes else action


def canonical_principal(principal: c.Principal) -> c.Principal:
    """Return *principal* with its rights in order."""
    rights = _once(principal.rights)
    return (
        principal
        if rights == principal.rights
        else msgspec.structs.replace(principal, rights=rights)
    )


def is_canonical(command: c.Command) -> bool:
    """Whether every collection of *command* is in order."""
    return (
        canonical(command.do) is command.do
        and canonical_principal(command.principal) is command.principal
    )


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    return values if len(values) < 2 else tuple(sorted(set(values)))


def _pairs(values: c.Pairs) -> c.Pairs:
    """Put pairs in order by name alone: where a name is said twice, which one is last stays as it was."""
    return values if len(values) < 2 else tuple(sorted(values, key=lambda pair: pair[0]))


def _capabilities(values: tuple[c.Capability, ...]) -> tuple[c.Capability, ...]:
    ordered = (
        msgspec.structs.replace(one, attributes=_pairs(one.attributes)) if one.attributes else one
        for one in values
    )
    return tuple(sorted(ordered, key=lambda one: one.name))


def _constraints(value: c.Constraints) -> c.Constraints:
    if not value.allowed_regions:
        return value
    return msgspec.structs.replace(value, allowed_regions=_once(value.allowed_regions))


def _scan(value: c.Scan) -> c.Scan:
    return msgspec.structs.replace(
        value, detectors=_once(value.detectors), classes=_once(value.classes)
    )


Order = Callable[[Any], Any]

_MEMBER: Final[Mapping[str, Order]] = {
    "capacity": _pairs,
    "clearances": _once,
    "labels": _pairs,
}
_PACKET: Final[Mapping[str, Order]] = {
    "required_capabilities": _once,
    "constraints": _constraints,
    "demand": _pairs,
    "data_classes": _once,
    "labels": _pairs,
}

_ORDERS: Final[Mapping[type[c.Action], Mapping[str, Order]]] = {
    c.RegisterMember: {"capabilities": _capabilities, **_MEMBER},
    c.UpdateMember: {"discovered": _capabilities, "withdrawn": _once, **_MEMBER},
    c.SubmitPacket: {**_PACKET, "scan": _scan},
    c.UpdatePacket: _PACKET,
    c.CommitCheckpoint: {"scan": _scan},
    c.Configure: {"settings": _pairs},
    c.ActivatePolicy: {"gone": _once, "leave_uncovered": _once},
    c.ResumeExpiry: {"dead": _once},
}
"""Command -> its collections that are sets or maps, each with its order."""
