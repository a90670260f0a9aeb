"""What cannot occur: principals that no door lets in, submitters and exports that no ledger holds, changes of two.

Facts of a test or of ``policy eval`` are held against it, so that nothing passes about somebody who never asks.  How
single names are spelt is :mod:`pfgov.policy.vocabulary`'s; this module knows how facts go together, and no file.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, cast

from pfgov.core.commands import ENGINE, LOCAL_OPERATOR

Facts = dict[str, object]

MEMBERS_HINT: Final = "write rights: [member:ID] for each of them, beside `members`"
PRINCIPAL_HINT: Final = (
    "ids: key:..., oidc:..., local, anyone, pfgov:engine; a member's own with its right alone"
)
_NAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "local": LOCAL_OPERATOR.rights,
    "anyone": (),
    "pfgov:engine": ENGINE.rights,
}
"""Principals that have a name of their own, with their rights."""
ACTS_FOR: Final = "member:"

CHANGED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "packet": frozenset({
            "required_capabilities", "policy_constraints", "data_classes", "handoff", "labels", "priority", "demand",
        }),
        "member": frozenset({
            "capabilities", "capability_versions", "region", "clearances", "labels", "capacity",
        }),
    }
)  # fmt: skip
"""The facts that an update can change, by what is updated."""


def _has_form(name: str) -> bool:
    """Whether *name* is the id of a key or of a token's subject."""
    return name.startswith(("key:", "oidc:")) and not name.endswith(":")


def principal_problem(facts: Mapping[str, object]) -> str | None:
    """Say why no door ever lets in the principal that *facts* describe; None where one does."""
    name, rights, members = facts["id"], facts["rights"], facts["members"]
    own = [f"{ACTS_FOR}{member}" for member in cast("list[object]", members)]
    acts_for = [right for right in cast("list[object]", rights) if str(right).startswith(ACTS_FOR)]
    if sorted(own) != sorted(map(str, acts_for)):
        return f"its members are {members}, and its rights {rights}: the one follows from the other"
    return _impossible_rights(str(name), [str(r) for r in cast("list[object]", rights)], facts)


def _impossible_rights(name: str, rights: list[str], facts: Mapping[str, object]) -> str | None:
    """Say why no principal *name* has these *rights*, or these other facts."""
    if name in _NAMED:
        wanted = _NAMED[name]
        if sorted(rights) != sorted(wanted):
            named = [", ".join(listed) or "none" for listed in (wanted, rights)]
            others = "whoever has others is key:... or oidc:..."
            return f"the rights of {name!r} are {named[0]}, and not {named[1]}; {others}"
    elif "engine" in rights:
        return "the right `engine` is pfgov:engine's alone"
    elif not _has_form(name) and rights != [f"{ACTS_FOR}{name}"]:
        return f"no principal is named {name!r}"
    if "issuer" in facts and not name.startswith("oidc:"):
        return f"{name!r} has no issuer: a token has one, and its id begins with oidc:"
    if "name" in facts and (name in _NAMED or name.startswith("oidc:")):
        return f"{name!r} has no name: keys have one"
    return None


def principal_hint(facts: Mapping[str, object]) -> str:
    """Return what to write in the place of the principal that *facts* describe, which no door lets in."""
    members = cast("list[object]", facts["members"])
    rights = map(str, cast("list[object]", facts["rights"]))
    acts_for = sorted(right for right in rights if right.startswith(ACTS_FOR))
    return (
        PRINCIPAL_HINT
        if sorted(f"{ACTS_FOR}{one}" for one in members) == acts_for
        else MEMBERS_HINT
    )


def packet_problem(facts: Mapping[str, object]) -> str | None:
    """Say why no packet has the submitter that *facts* state; None where one may."""
    submitter = facts.get("submitted_by")
    if not isinstance(submitter, dict):
        return None
    by = cast("Facts", submitter)
    name, members = str(by["id"]), by["members"]
    if name in _NAMED and members:
        return f"{name!r} acts for no member, and not for {members}"
    if name in _NAMED or _has_form(name) or members == [name]:
        return None
    return f"no principal is named {name!r} and acts for {members}"


def export_problem(facts: Mapping[str, object]) -> str | None:
    """Say why nobody takes out what *facts* state; None where somebody may."""
    is_one = facts["kind"] == "subject"
    if is_one == ("subject" in facts):
        return None
    return f"an export of the kind `{facts['kind']}` {'names its' if is_one else 'has no'} subject"


def as_it_was(kind: str, after: Mapping[str, object], before: Mapping[str, object]) -> Facts:
    """Return *before* as what *after*, a packet or a member, was: what no update changes is the same in both."""
    changed = CHANGED[kind]
    kept = {name: value for name, value in after.items() if name not in changed}
    return {**kept, **{name: value for name, value in before.items() if name in changed}}


def change_problem(
    kind: str, after: Mapping[str, object], before: Mapping[str, object]
) -> str | None:
    """Say why *before* is not of the packet or member that *after* describes; None where it may be."""
    key = "packet_id" if kind == "packet" else "id"
    for name in sorted(before.keys() - CHANGED[kind], key=lambda name: (name != key, name)):
        was, now = before[name], after.get(name)
        if was == now:
            continue
        if name == key:
            return (
                f"`before` is the {kind} {was!r}, and {now!r} is changed: leave `{key}` out of it"
            )
        return f"`before.{name}` is {was!r} and `{kind}.{name}` {now!r}, and no update changes that"
    return None
