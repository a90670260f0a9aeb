"""The functions that policies have beyond CEL: regions and capability versions.

Pure, total over their types, and strict: a value that is not what it should be raises, and a
condition that raises never allows.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pfgov.core.capability import is_region_inside
from pfgov.core.characters import folded, is_alphanumeric
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.library import Function, Overload, traversal
from pfgov.policy.cel.types import BOOL, STRING, ListType, MapType
from pfgov.policy.cel.values import written

_REQUIREMENT: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._:@-]|~(?!=))*)\s*(?P<bounds>(?:[<>!=~]=|[<>]).*)?"
)


def class_within(data_class: str, outer: str) -> bool:
    """Whether *data_class* is *outer* or a class inside it: ``pii.email`` is within ``pii``.

    Ledgers from before classes had one spelling hold others; they are within what their canonical spelling would be
    within, so that no spelling leads out of a class.

    >>> class_within("pii.email", "pii"), class_within("PII:special", "pii"), class_within("piicture", "pii")
    (True, True, False)
    """
    inner, whole = folded(data_class), folded(outer)
    if not inner.startswith(whole):
        return False
    return len(inner) == len(whole) or not is_alphanumeric(inner[len(whole)])


@lru_cache(maxsize=4_096)
def split_requirement(requirement: str) -> tuple[str, str | None]:
    """Return (name, specifier set or None) of a required capability.

    Raises:
        ValueError: It is neither a name nor a name with a PEP 440 specifier set.
    """
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        raise ValueError(
            f"{written(requirement)} is not a capability, nor one with a version specifier"
        )
    bounds = match["bounds"]
    if bounds is not None:
        _specifiers(bounds)
    return match["name"], bounds


@lru_cache(maxsize=4_096)
def _specifiers(bounds: str) -> SpecifierSet:
    try:
        return SpecifierSet(bounds)
    except InvalidSpecifier:
        raise ValueError(f"{written(bounds)} is not a PEP 440 version specifier") from None


@lru_cache(maxsize=16_384)
def _contains(bounds: str, version: str) -> bool:
    specifiers = _specifiers(bounds)
    try:
        exact = Version(version)
    except InvalidVersion:
        raise ValueError(f"{written(version)} is not a PEP 440 version") from None
    # Stated outright, because the default for pre-releases has changed between releases.
    return specifiers.contains(exact, prereleases=bool(specifiers.prereleases))


# --- as an expression calls them -----------------------------------------------------------


def _region_within(region: object, regions: object) -> bool:
    """Whether *region* is one of *regions* or lies inside one."""
    if type(region) is not str or type(regions) is not list:
        raise CelError("region_within takes a string and a list of strings", kind="type")
    if region in regions:
        return True
    for outer in cast("list[object]", regions):
        if type(outer) is not str:
            raise CelError("region_within: a region is not a string", kind="type")
        if is_region_inside(region, outer):
            return True
    return False


def _class_within(data_class: object, outer: object) -> bool:
    if type(data_class) is not str or type(outer) is not str:
        raise CelError("class_within takes two strings", kind="type")
    return class_within(data_class, outer)


def _class_cost(sizes: Sequence[int]) -> int:
    return 1 + traversal(sizes[0])


def _capability_match(requirement: object, versions: object) -> bool:
    """Whether *versions* (capability name to version, "" when it has none) meets *requirement*.

    A requirement is a name, optionally with a PEP 440 specifier set.  A capability without a version meets only a
    requirement without one; a pre-release only a specifier that names one.
    """
    if type(requirement) is not str or type(versions) is not dict:
        raise CelError("capability_match takes a string and a map of versions", kind="type")
    try:
        name, bounds = split_requirement(requirement)
        version = cast("dict[object, object]", versions).get(name)
        if version is None and name not in versions:
            return False
        if type(version) is not str:
            raise CelError("capability_match: a version is not a string", kind="type")
        return bounds is None or (bool(version) and _contains(bounds, version))
    except ValueError as error:
        raise CelError(f"capability_match: {error}") from None


def _region_cost(sizes: Sequence[int]) -> int:
    return max(1, sizes[1]) * traversal(sizes[0])


def _match_cost(sizes: Sequence[int]) -> int:
    return 10 + max(1, sizes[1])


FUNCTIONS: Final = (
    Function(
        "region_within",
        (Overload((STRING, ListType(STRING)), BOOL),),
        _region_within,
        cost=_region_cost,
    ),
    Function(
        "class_within",
        (Overload((STRING, STRING), BOOL),),
        _class_within,
        cost=_class_cost,
    ),
    Function(
        "capability_match",
        (Overload((STRING, MapType(STRING, STRING)), BOOL),),
        _capability_match,
        cost=_match_cost,
    ),
)
"""What every policy environment adds to the standard library."""

DOCS: Final = {
    "region_within": (
        "region_within(string, list(string)) -> bool",
        (
            "Whether a region is one of the list or lies inside one of them: "
            '`region_within("us-east/1a", ["us-east"])` is true, `"us-east-2"` is not inside `"us-east"`.'
        ),
    ),
    "class_within": (
        "class_within(string, string) -> bool",
        (
            "Whether a data class is another one or inside it: "
            '`class_within("pii.email", "pii")` is true, `"picture"` is not inside `"pi"`.'
        ),
    ),
    "capability_match": (
        "capability_match(string, map(string, string)) -> bool",
        (
            "Whether a map of capability versions meets a requirement: a name, or a name with a PEP 440 "
            'specifier such as `"ocr>=1.2,<2"`. A capability without a version meets only a bare name; '
            "a malformed requirement or version is an error, which denies."
        ),
    ),
}
"""Signature and meaning of each, for the generated reference."""
