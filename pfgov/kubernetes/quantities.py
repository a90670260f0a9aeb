"""Kubernetes' quantities as the ledger's: ``500m``, ``1.5Gi``, ``2e3`` become exact numbers with six decimals.

Processors are counted in cores, memory and storage in MiB, everything else in pieces.  Rounded up where a pod asks,
down where a node offers: never may more be promised than there is.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Final

from pfgov.errors import InvalidError

_QUANTITY: Final = re.compile(
    r"([+-]?\d{1,30}(?:\.\d{0,30})?|[+-]?\.\d{1,30})([a-zA-Z]*|[eE][+-]?\d{1,2})",
    re.ASCII,
)
_SUFFIXES: Final = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}  # fmt: skip
_MEBIBYTES: Final = frozenset({"memory", "ephemeral-storage"})
_STEP: Final = Decimal("0.000001")
MEBIBYTE: Final = Decimal(2**20)


def quantity(text: str) -> Decimal:
    """Return the exact value of a quantity.

    Raises:
        InvalidError: ``kubernetes.quantity``; it is none.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise _no_quantity(text)
    number, suffix = found.groups()
    if suffix in _SUFFIXES:
        return Decimal(number) * _SUFFIXES[suffix]
    if suffix[0] in "eE" and suffix[1:].lstrip("+-").isdigit():
        return Decimal(number).scaleb(int(suffix[1:]))
    raise _no_quantity(text)


def _no_quantity(text: str) -> InvalidError:
    return InvalidError(
        f"{text[:64]!r} is not a quantity", code="kubernetes.quantity", hint="such as 500m or 2Gi"
    )


def dimension(resource: str) -> str:
    """Return the name of a resource as policies read it: small letters, digits and underscores."""
    plain = re.sub(r"[^a-z0-9]", "_", resource.lower())
    return plain if plain[:1].isalpha() else f"r_{plain}"


def summed(maps: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Return the sum of amounts, resource by resource."""
    total: dict[str, Decimal] = {}
    for one in maps:
        for name, value in one.items():
            total[name] = total.get(name, Decimal(0)) + value
    return total


def largest(maps: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """Return the largest of amounts, resource by resource."""
    most: dict[str, Decimal] = {}
    for one in maps:
        for name, value in one.items():
            most[name] = max(most.get(name, value), value)
    return most


def in_units(amounts: Mapping[str, Decimal], *, offered: bool) -> dict[str, Decimal]:
    """Return amounts in the ledger's units and names; those that are zero are left out.

    Args:
        amounts: Resource -> value in Kubernetes' base unit.
        offered: Whether a node offers them: then they are rounded down.
    """
    rounding = ROUND_FLOOR if offered else ROUND_CEILING
    found: dict[str, Decimal] = {}
    for name, value in amounts.items():
        scaled = value / MEBIBYTE if name in _MEBIBYTES or name.startswith("hugepages-") else value
        try:
            exact = scaled.quantize(_STEP, rounding=rounding)
        except InvalidOperation:
            raise _no_quantity(f"{name}: {value}") from None
        if exact:
            known = dimension(name)
            found[known] = found.get(known, Decimal(0)) + exact
    return found


def number(value: Decimal) -> int | float:
    """Return an amount as JSON has numbers; exact for every amount that a ledger takes."""
    return int(value) if value == value.to_integral_value() else float(value)
