"""How the names are spelt that facts hold: what a rule may compare them with, and what a fixture may say.

One table, path by path, beside the schema (:mod:`pfgov.policy.facts`), which says of each only that it is a text.  It
knows spellings that the border enforces (:mod:`pfgov.core.spelling`), the words of closed lists and the forms of ids;
it reads no expression and no file, and nothing that takes a decision asks it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from pfgov.core.ids import RESERVED_IDS, RESERVED_PREFIXES
from pfgov.core.lookalikes import oddity, plainly
from pfgov.core.spelling import CLASS_PATTERN, NAME_PATTERN, REGION_PATTERN
from pfgov.core.verdicts import Point
from pfgov.policy.facts import RIGHTS
from pfgov.policy.problems import did_you_mean

Path = tuple[str, ...]

Whose = Literal["principal", "member"]

_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_ANY_CASE: Final = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ:@~")
_ID: Final = r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
_IN_LOWER_CASE: Final = "names are in lower case, without blanks"


@dataclass(frozen=True, slots=True)
class Spelling:
    """How each name is spelt that a fact holds.

    Attributes:
        hint: What to write instead, where nothing nearer is found.
        pattern: What a whole name matches; None where only the words and prefixes below occur.
        characters: All that a name is made of.
        words: Names that occur, or that occur besides those of the pattern.
        prefixes: Beginnings of further names, each followed by something.
        never: Beginnings with which no name begins, though the pattern would have them.
        is_closed: No ledger, however old, holds another name.
        whose: Whose ids these are, where they are ids.
    """

    hint: str
    pattern: str | None = None
    characters: frozenset[str] | None = None
    words: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    is_closed: bool = False
    whose: Whose | None = None

    def has(self, word: str) -> bool:
        """Whether *word* may occur."""
        if word in self.words:
            return True
        if word.startswith(self.never):
            return False
        if any(word.startswith(prefix) and word != prefix for prefix in self.prefixes):
            return True
        return self.pattern is not None and re.fullmatch(self.pattern, word, re.ASCII) is not None

    def can(self, function: str, part: str) -> bool:
        """Whether the text *function* (``startsWith``, ``endsWith``, ``contains``) of *part* can be true of a name."""
        if any(_TEXTS[function](word, part) for word in self.words):
            return True
        if function == "startsWith" and part.startswith(self.never):
            return False
        if self.pattern is None:
            return function != "startsWith" or any(
                part.startswith(prefix) or prefix.startswith(part) for prefix in self.prefixes
            )
        return self.characters is None or self.characters.issuperset(part)

    def instead(self, word: str) -> str:
        """Return what to write instead of *word*, which does not occur."""
        plain, odd = plainly(word).strip().lower(), oddity(word)
        if plain != word and self.has(plain):
            return f"did you mean `{plain}`?" + (f" {odd}" if odd else "")
        return did_you_mean(word, self.words) or self.hint


_TEXTS: Final = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}

_CLASSES: Final = Spelling(_IN_LOWER_CASE, CLASS_PATTERN, _LOWER)
_REGIONS: Final = Spelling(
    "region_within(member.region, [...]) takes in everything within a region",
    REGION_PATTERN,
    _LOWER | {"/"},
)
_NAMES: Final = Spelling(_IN_LOWER_CASE, NAME_PATTERN, _LOWER | {":"})
_CAPABILITIES: Final = Spelling(
    "it holds names; versions are asked with capability_match(requirement, member.capability_versions)",
    NAME_PATTERN,
    _LOWER | {":"},
)
_WORK: Final = Spelling("ids have no blanks", _ID, _ANY_CASE)
_MEMBER_ID: Final = (
    rf"(?!(?i:{'|'.join(RESERVED_PREFIXES)}|(?:{'|'.join(sorted(RESERVED_IDS))})$)){_ID}"
)
MEMBER_IDS: Final = Spelling(
    f"an id of a member: no blanks, and none of {', '.join(RESERVED_PREFIXES)} before it",
    _MEMBER_ID,
    _ANY_CASE,
    never=RESERVED_PREFIXES,
    whose="member",
)
"""Ids of members."""

PRINCIPAL_IDS: Final = Spelling(
    "ids: key:..., oidc:..., local, anyone, pfgov:engine; for whom it acts is in principal.members",
    _MEMBER_ID,
    words=("local", "anyone", "pfgov:engine"),
    prefixes=("key:", "oidc:"),
    never=("member:",),
    whose="principal",
)
"""Ids of who asks: a member's own where its key is for nothing else."""

REVIEWER_IDS: Final = Spelling(
    "who reviews is key:..., oidc:... or local: a member's own key has no right but the member's",
    words=("local",),
    prefixes=("key:", "oidc:"),
    whose="principal",
)
"""Ids of who reviews."""

_RIGHTS: Final = Spelling(
    f"one of {', '.join(RIGHTS)}, member:ID", words=RIGHTS, prefixes=("member:",), is_closed=True
)
_POINTS: Final = Spelling(
    f"one of {', '.join(Point)}", words=tuple(point.value for point in Point), is_closed=True
)
_SUBJECTS: Final = Spelling(
    "packet/ID, member/ID, policy, keys or ledger",
    words=("policy", "keys", "ledger"),
    prefixes=("packet/", "member/"),
)

_MEMBER: Final[Mapping[str, Spelling]] = {
    "id": MEMBER_IDS,
    "capabilities": _CAPABILITIES,
    "region": _REGIONS,
    "clearances": _CLASSES,
}

_PACKET: Final[Mapping[str, Spelling]] = {
    "packet_id": _WORK,
    "workload_type": _NAMES,
    "data_classes": _CLASSES,
    "policy_constraints.allowed_regions": _REGIONS,
    "previous_owners": MEMBER_IDS,
    "submitted_by.id": PRINCIPAL_IDS,
    "submitted_by.members": MEMBER_IDS,
    "reviews": REVIEWER_IDS,
    "reviewed_for": MEMBER_IDS,
}

SPELLINGS: Final[Mapping[str, Spelling]] = MappingProxyType(
    {
        **{f"{root}.{name}": one for root in ("member", "source") for name, one in _MEMBER.items()},
        **{f"packet.{name}": one for name, one in _PACKET.items()},
        **{f"before.{name}": one for name, one in (*_MEMBER.items(), *_PACKET.items())},
        "principal.id": PRINCIPAL_IDS,
        "principal.members": MEMBER_IDS,
        "principal.rights": _RIGHTS,
        "review.point": Spelling("it is `place` for assign, handoff and accept", words=("place",)),
        "review.rules": Spelling("each is POLICY/RULE", r"\S+/[^/\s]+"),
        "review.member": MEMBER_IDS,
        "export.subject": _SUBJECTS,
        "activation.digest": Spelling(
            "64 digits, as `pfgov policy show` prints them",
            r"[0-9a-f]{64}",
            frozenset("0123456789abcdef"),
        ),
        "activation.points": _POINTS,
    }
)
"""Path of a fact -> how its name is spelt, or each of its names where it is a list."""

MEMBERS_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "principal.id": "principal.members",
        "packet.submitted_by.id": "packet.submitted_by.members",
        "before.submitted_by.id": "before.submitted_by.members",
        "packet.reviews": "packet.reviewed_for",
        "before.reviews": "before.reviewed_for",
    }
)
"""Ids of principals -> the members for which those may act."""


def spelling(path: Path | None) -> Spelling | None:
    """Return how what *path* reads is spelt, or None where nothing is known.

    >>> spelling(("before", "region")).has("EU"), spelling(("packet", "labels", "risk"))
    (False, None)
    """
    return None if path is None else SPELLINGS.get(".".join(path))
