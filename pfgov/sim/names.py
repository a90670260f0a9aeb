"""Hostile names and unsorted collections for histories, drawn from a step's own numbers.

What a history calls its members, packets and skills must not matter, so they are called what the border takes and a
tidy mind does not: capitals before small letters, one a prefix of another, alike but for a separator (packets: for
case, too), and never given in order.  This module knows no engine; equal draws give equal names.
"""

import random
from collections.abc import Sequence
from typing import Final, TypeVar

from pfgov.core import commands as c

T = TypeVar("T")

MEMBERS: Final = (
    "m", "M-2", "m10", "m2", "Zoe", "zo", "a@host", "0", "m~1", "M-1", "m.1", "9z", "m:1", "aIice", "alex", "A",
)  # fmt: skip
"""Ids of members, in no order; a history takes the first few."""

PACKETS: Final = ("p", "P", "p.", "p~", "9-", "p:", "zz", "A_")
"""How ids of packets begin."""

SKILLS: Final = ("planning", "routing", "re_view", "review", "re-view", "ocr", "a1.b", "a1")
"""What members can do, in no order: some differ in a separator alone, and one is a prefix of another."""

CLASSES: Final = ("pii.health", "pii", "finance", "pii.a")
REGIONS: Final = ("us-east/1b", "us-east/1a", "eu/central", "us-east-1/x", "eu")
LABELS: Final = ("team", "Team", "a", "a.b", "a/b", "0", "tier:1")
LABEL_VALUES: Final = ("", "1", "true", "null", "a b", '"', "\\", "é", "日本", "z" * 64)
DIMENSIONS: Final = ("tasks", "cpu", "memory", "gpu", "disk_io")
AMOUNTS: Final = ("4", "8", "2.5", "1000", "0.000001")


def member_id(number: int) -> str:
    """Return the id of the *number*-th member of a history.

    >>> member_id(0), member_id(1), member_id(16)
    ('m', 'M-2', 'm16')
    """
    return MEMBERS[number] if number < len(MEMBERS) else f"m{number}"


def packet_id(number: int) -> str:
    """Return the id of the *number*-th packet of a history; their order is not that of their numbers.

    >>> packet_id(0), packet_id(11)
    ('p0', 'p~11')
    """
    return f"{PACKETS[number % len(PACKETS)]}{number}"


def some(source: random.Random, values: Sequence[T], least: int, most: int) -> tuple[T, ...]:
    """Return between *least* and *most* different ones of *values*, in any order."""
    return tuple(source.sample(values, source.randint(least, min(most, len(values)))))


def labels(source: random.Random) -> c.Pairs:
    """Return labels in no order."""
    return tuple((name, source.choice(LABEL_VALUES)) for name in some(source, LABELS, 0, 3))


def skills(source: random.Random, least: int, most: int) -> tuple[c.Capability, ...]:
    """Return offers in no order, in versions that satisfy some demands and not others."""
    chosen = some(source, SKILLS, least, most)
    return tuple(
        c.Capability(name=name, version=f"1.{source.randint(0, 3)}", attributes=labels(source))
        for name in chosen
    )


def capacity(source: random.Random) -> c.Pairs:
    """Return room in some dimensions, in no order; half of the time there is no bound."""
    if source.random() < 0.5:
        return ()
    amounts = {"tasks": str(source.randint(1, 6)), "cpu": str(source.randint(1, 4))}
    names = some(source, DIMENSIONS, 1, 3)
    return tuple((name, amounts.get(name, source.choice(AMOUNTS[:4]))) for name in names)


def demand(source: random.Random) -> c.Pairs:
    """Return what a packet takes, in no order; mostly nothing, and seldom more than there is."""
    if source.random() < 0.5:
        return ()
    return tuple((name, "0.5") for name in some(source, DIMENSIONS[1:], 1, 2))
