"""The facts that matter to some rules, as a hashable key: equal keys, equal verdicts.

A refused candidate's verdict depends only on which rules it failed and on the values that those
rules and their messages read.  Taking these values is far cheaper than making the reasons again.
Values of different types never share a key, so that ``true`` is not taken for ``1``.
"""

from collections.abc import Iterable, Mapping
from typing import Final, cast

from pfgov.policy.clauses import PlannedRule
from pfgov.policy.facts import MEMBER_ROOTS

Facts = Mapping[str, object]

_ABSENT: Final = object()
_PLAIN: Final = frozenset({str, float, int})


class Fingerprint:
    """Takes the values at some paths: those of the candidate, and those shared by all of them."""

    __slots__ = ("_member", "_shared")

    def __init__(self, paths: Iterable[tuple[str, ...]]) -> None:
        every = sorted(set(paths))
        self._member = tuple(path[1:] for path in every if path[0] in MEMBER_ROOTS)
        self._shared = tuple(path for path in every if path[0] not in MEMBER_ROOTS)

    def shared(self, shared: Facts) -> tuple[object, ...]:
        """Return the part of the key that is the same for every candidate."""
        return tuple([_freeze(_read(shared, path)) for path in self._shared])

    def member(self, member: Facts) -> tuple[object, ...]:
        """Return the candidate's own part of the key."""
        if type(member) is not dict:
            return (_freeze(member),)
        facts = cast("dict[str, object]", member)
        parts: list[object] = []
        for path in self._member:
            value = facts.get(path[0], _ABSENT) if len(path) == 1 else _read(facts, path)
            parts.append(value if type(value) in _PLAIN else _freeze(value))
        return tuple(parts)


def paths_of(planned: PlannedRule) -> set[tuple[str, ...]]:
    """Return every path that a rule and its message read."""
    paths = {access.path for access in planned.clause.paths}
    for checked in planned.message.values if planned.message else ():
        paths.update(access.path for access in checked.paths)
    return paths


def _read(values: Facts, path: tuple[str, ...]) -> object:
    value: object = values
    for step in path:
        if type(value) is not dict:
            return (_ABSENT, step, type(value))
        value = cast("dict[str, object]", value).get(step, _ABSENT)
        if value is _ABSENT:
            return (_ABSENT, step)
    return value


def _freeze(value: object) -> object:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return (list, *[_freeze(item) for item in cast("list[object]", value)])
    if kind is dict:
        pairs = cast("dict[str, object]", value).items()
        return (dict, *[(key, _freeze(item)) for key, item in pairs])
    return (kind, value)
