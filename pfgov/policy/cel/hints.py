"""Did-you-mean: the nearest known name to a misspelt one, or what another language calls it.

Knows strings only.  Distance is by similarity of the text, with a preference for a name
that the misspelt one begins or ends with.
"""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from pfgov.core.lookalikes import oddity, plainly


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name among *known* that *name* was probably meant to be, or None."""
    candidates, name = sorted(known), plainly(name)
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
    """``did you mean `x`?``, with what is odd about *name*; None where neither is found."""
    found, odd = nearest(name, known), oddity(name)
    if found is None:
        return odd
    return f"did you mean `{found}`?" + (f" {odd}" if odd else "")


_OTHER_LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "len": "write size(x)",
        "length": "write size(x)",
        "count": "write size(x)",
        "isEmpty": "write size(x) == 0",
        "includes": "write item in list",
        "containsAll": "write sets.contains(list, part)",
        **dict.fromkeys(
            ("containsAny", "hasIntersection", "hasAny", "intersects", "intersection", "overlaps"),
            "write sets.intersects(list, other)",
        ),
        **dict.fromkeys(("isSubset", "subset", "hasAll"), "write part.all(x, x in list)"),
        **dict.fromkeys(
            ("like", "glob", "test", "search", "fullmatch"), "write x.matches(pattern)"
        ),
        **dict.fromkeys(("has_key", "hasKey", "containsKey", "exists_key"), 'write "name" in map'),
        **dict.fromkeys(("ip", "cidr", "isInRange", "inIPRange"), "no fact is an address"),
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


_TAKEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "region_within": 'write the regions as a list: region_within(member.region, ["eu", "us-east"])',
        "class_within": 'ask of each class: packet.data_classes.exists(c, class_within(c, "pii"))',
        "capability_match": 'write capability_match("ocr>=1.2", member.capability_versions)',
    }
)


def taken_as(name: str) -> str | None:
    """Return how a function of policies is called, where it was called with something else."""
    return _TAKEN.get(name)


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


_CALLED: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "principal": {
            **dict.fromkeys(
                (
                    "role",
                    "roles",
                    "groups",
                    "group",
                    "scopes",
                    "scope",
                    "permissions",
                    "teams",
                    "right",
                ),
                "what it may do is principal.rights; for whom it acts, principal.members",
            ),
            **dict.fromkeys(
                ("email", "user", "username", "sub", "login"),
                "who asks is principal.id, by a key or a token; a key has principal.name",
            ),
            **dict.fromkeys(
                ("attr", "claims", "attributes"),
                "of who asks there are id, name, issuer, members and rights",
            ),
            "type": "ids begin with key: or oidc:, or are a member's own",
            "is_admin": 'write "admin" in principal.rights',
        },
        "member": {
            **dict.fromkeys(("name", "member_id", "uid"), "write member.id"),
            **dict.fromkeys(
                ("attr", "attributes", "metadata"),
                "what else is known of it stands in member.labels",
            ),
            "trusted": "write member.trust_score >= 0.6",
            **dict.fromkeys(("healthy", "active", "available"), 'write member.status == "ACTIVE"'),
            **dict.fromkeys(
                ("quarantined", "is_quarantined"), 'write member.status == "QUARANTINED"'
            ),
            **dict.fromkeys(
                ("roles", "role", "groups", "skills", "tags"),
                "what it can do is member.capabilities; what it may see, member.clearances",
            ),
            "owner": "for whom somebody acts is principal.members",
            **dict.fromkeys(
                ("version", "versions"),
                "write capability_match(requirement, member.capability_versions)",
            ),
            **dict.fromkeys(("zone", "location", "country"), "write member.region"),
        },
    }
)
"""Whose fields -> what other languages call them -> what to write here."""
_CALLED_OF_SOURCE: Final = {"source": "member"}


def called_of(record: str, name: str) -> str | None:
    """Return what to write for the field *name* of *record*, which is known there by another name."""
    if record == "packet":
        return demanded_elsewhere(name)
    return _CALLED.get(_CALLED_OF_SOURCE.get(record, record), {}).get(name)


_DEMANDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "region": "where an owner may be is packet.policy_constraints.allowed_regions; where one is, member.region",
        "allowed_regions": "write packet.policy_constraints.allowed_regions",
        "minimum_trust_score": "write packet.policy_constraints.minimum_trust_score",
        "deadline": "no fact: the engine ends a packet at its deadline by itself",
        "clearances": "what is in a packet is packet.data_classes; who may see it, member.clearances",
        "submitter": "write packet.submitted_by.id, or packet.submitted_by.members",
        "id": "write packet.packet_id",
        "context": "what a context holds is no fact: label the packet, and write packet.labels.NAME",
        **dict.fromkeys(
            ("payload", "body", "spec", "input", "content", "attr", "attributes", "metadata"),
            "what a context holds is no fact: label the packet, and write packet.labels.NAME",
        ),
        **dict.fromkeys(
            ("submitted_at", "created_at", "created", "age", "submitted", "createdAt"),
            "no fact says when: declare a label of type timestamp that is set at submission",
        ),
        **dict.fromkeys(
            ("status", "state"),
            "a packet is judged when it gets an owner, or `action` is done to it",
        ),
    }
)


def demanded_elsewhere(name: str) -> str | None:
    """Return where what a packet might be thought to have as *name* is found."""
    return _DEMANDED.get(name)
