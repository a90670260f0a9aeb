"""Capability names, their versions, and what a packet requires of them; and which region lies inside which.

A requirement is a name, optionally followed by version specifiers (PEP 440): ``ocr``, ``ocr>=1.2,<2``.  A member
satisfies it when it offers that name, and, where a version is asked for, in a version inside the range; without
a version it satisfies only the bare name.  Pre-releases count only where the requirement itself names one.  This
module knows neither members nor packets.
"""

import re
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pfgov.errors import InvalidError
from pfgov.limits import ID_LENGTH_MAX

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?", re.ASCII)
_VERSION_CHARACTERS = re.compile(r"[A-Za-z0-9.!+_-]{1,64}", re.ASCII)
_SPECIFIER_CHARACTERS = re.compile(r"[ A-Za-z0-9.!+_*,<>=~-]*", re.ASCII)


class Requirement(NamedTuple):
    """A capability name and the versions that will do."""

    name: str
    versions: SpecifierSet

    def __str__(self) -> str:
        """Return the canonical text: no spaces, specifiers in order."""
        return self.name + ",".join(sorted(map(str, self.versions)))

    def accepts(self, version: str | None) -> bool:
        """Say whether the capability in *version* (canonical, or None) satisfies the requirement."""
        if not len(self.versions):
            return True
        named = bool(self.versions.prereleases)
        return version is not None and self.versions.contains(version, prereleases=named)


@lru_cache(maxsize=4_096)
def parse_requirement(text: str) -> Requirement:
    """Return the requirement that *text* states.

    Raises:
        InvalidError: no name, a name that is too long, or a range that is not PEP 440.
    """
    found = _NAME.match(text)
    name = found.group() if found else ""
    rest = text[len(name) :]
    if not name or len(text) > ID_LENGTH_MAX or not _SPECIFIER_CHARACTERS.fullmatch(rest):
        raise _not_a_requirement(text)
    if rest.strip() and rest.strip()[0] not in "<>=!~":
        raise _not_a_requirement(text)
    try:
        versions = SpecifierSet(rest)
    except InvalidSpecifier:
        raise _not_a_requirement(text) from None
    if any(one.operator == "===" for one in versions):  # compares text, not versions
        raise _not_a_requirement(text)
    return Requirement(name, versions)


def check_name(text: str) -> str:
    """Return *text* if it can name a capability.

    Raises:
        InvalidError: it cannot.
    """
    if len(text) > ID_LENGTH_MAX or not _NAME.fullmatch(text):
        raise InvalidError(
            f"{text!r} is not a capability name",
            hint="letters, digits and . _ : - inside, at most 128 characters, no version",
        )
    return text


@lru_cache(maxsize=4_096)
def canonical_version(text: str) -> str:
    """Return *text*, a PEP 440 version, in its canonical spelling.

    Raises:
        InvalidError: it is not a version.
    """
    if _VERSION_CHARACTERS.fullmatch(text):
        with suppress(InvalidVersion):
            return str(Version(text))
    raise InvalidError(
        f"{text!r} is not a version", hint="write it as in PEP 440: 1.2, 2.0.1, 3.0rc1"
    )


def is_region_inside(region: str, outer: str) -> bool:
    """Return whether *region* is *outer* or lies inside it.

    >>> is_region_inside("us-east/1a", "us-east"), is_region_inside("us-east-2", "us-east")
    (True, False)
    """
    return region == outer or region.startswith(f"{outer}/")


def _not_a_requirement(text: str) -> InvalidError:
    return InvalidError(
        f"{text!r} is not a capability requirement",
        hint="write a name, or a name and a version range: ocr, ocr>=1.2, ocr>=1.2,<2",
    )
