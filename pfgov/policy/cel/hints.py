"""Did-you-mean: the nearest known name to a misspelt one, or what another language calls it.

Knows strings only.  Distance is by similarity of the text, with a preference for a name
that the misspelt one begins or ends with.
"""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name among *known* that *name* was probably meant to be, or None."""
    candidates = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in reversed(candidates)}
    if name.lower() in lowered:
        return lowered[name.lower()]
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    if close:
        return lowered[close[0]]
    squeezed = _squeeze(name)
    for candidate in candidates:
        other = _squeeze(candidate)
        if len(squeezed) >= 4 and (other.startswith(squeezed) or other.endswith(squeezed)):
            return candidate
    return None


def _squeeze(name: str) -> str:
    return name.replace("_", "").replace(".", "").lower()


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """``did you mean `x`?`` or None."""
    found = nearest(name, known)
    return f"did you mean `{found}`?" if found else None


_OTHER_LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "len": "write size(x)",
        "length": "write size(x)",
        "count": "write size(x)",
        "isEmpty": "write size(x) == 0",
        "includes": "write item in list",
        "containsAll": "write sets.contains(list, part)",
        "containsAny": "write sets.intersects(list, other)",
        "any": "write list.exists(x, condition)",
        "some": "write list.exists(x, condition)",
        "every": "write list.all(x, condition)",
        "lower": "write x.lowerAscii()",
        "toLower": "write x.lowerAscii()",
        "toLowerCase": "write x.lowerAscii()",
        "upper": "write x.upperAscii()",
        "match": "write x.matches(pattern)",
        "regex": "write x.matches(pattern)",
        "hour": "write x.getHours()",
        "minute": "write x.getMinutes()",
        "month": "write x.getMonth(), which is from 0 to 11",
        "day": "write x.getDate()",
        "weekday": "write x.getDayOfWeek(), where Sunday is 0",
        "dayOfWeek": "write x.getDayOfWeek(), where Sunday is 0",
        "year": "write x.getFullYear()",
        "today": "write now, a fact: the time of the decision",
        "date": 'write timestamp("2026-12-01T00:00:00Z")',
        "float": "write double(x)",
        "equals": "write ==",
        "get": "write map.key, or map[key]",
        "default": "write has(x) ? x : other",
        "coalesce": "write has(x) ? x : other",
        "max": "write math.greatest(x, y)",
        "min": "write math.least(x, y)",
        "abs": "write math.abs(x)",
        "owner": "the owner is `member` at retain and complete, and `source` at a handoff",
        "str": "write string(x)",
        "bool": "write true or false",
    }
)
"""What other languages call it -> what to write here."""


def called_elsewhere(name: str) -> str | None:
    """Return what to write for *name*, which another language has for a function or a field."""
    return _OTHER_LANGUAGES.get(name)


_ABSENT: Final = "whether an optional fact is there is asked with has(member.region)"
_WHO: Final = "who asks is `principal`; what is judged is `packet` and `member`"
_BEFORE: Final = "what would be changed, as it is, is `before`, at update and update_member"
_OTHER_ROOTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("None", "nil", "undefined"), _ABSENT),
        **dict.fromkeys(
            ("input", "request", "resource", "object", "P", "R", "user", "subject"), _WHO
        ),
        **dict.fromkeys(("oldObject", "oldMember", "oldPacket", "old", "previous"), _BEFORE),
        "data": "a fixed list is a param: declare it under `params`, and write params.NAME",
        "context": "what a context holds is no fact: label the packet, and write packet.labels.NAME",
        "_": "ask of every item: list.exists(x, condition)",
    }
)
"""What other languages call what a rule is asked about -> what it is called here."""


def named_elsewhere(name: str) -> str | None:
    """Return what to write for *name*, by which another language knows what is asked about."""
    return _OTHER_ROOTS.get(name)


_DEMANDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "region": "where an owner may be is packet.policy_constraints.allowed_regions; where one is, member.region",
        "allowed_regions": "write packet.policy_constraints.allowed_regions",
        "minimum_trust_score": "write packet.policy_constraints.minimum_trust_score",
        "deadline": "no fact: the engine ends a packet at its deadline by itself",
        "clearances": "what is in a packet is packet.data_classes; who may see it, member.clearances",
        "submitter": "write packet.submitted_by.id, or packet.submitted_by.members",
    }
)


def demanded_elsewhere(name: str) -> str | None:
    """Return where what a packet might be thought to have as *name* is found."""
    return _DEMANDED.get(name)
