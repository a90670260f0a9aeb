"""Questions from files: a packet, members and a source as an author has them at hand.

A file holds one packet or member in YAML or JSON, a list of members, or fixtures; ``FILE#NAME``
picks one of several.  What is left out gets the defaults of :mod:`pfgov.policy.inputs`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pfgov.errors import PolicyError
from pfgov.policy import inputs
from pfgov.policy.cel import CelError
from pfgov.policy.cel.times import parse_timestamp
from pfgov.policy.load import parse_file
from pfgov.policy.policyset import Question
from pfgov.policy.problems import PolicyErrors, did_you_mean
from pfgov.policy.reader import Reader
from pfgov.policy.source import Entries, Items, Node, Scalar
from pfgov.verdicts import Point

Facts = dict[str, object]

_LISTS: Final = {
    "packet": ("packets",),
    "member": ("members", "items"),
    "principal": ("principals",),
}
_ID: Final = {"packet": "packet_id", "member": "id", "principal": "id"}


class InputFileError(PolicyErrors):
    """A file with facts is not what it should be; ``problems`` says where."""

    code = "policy.input"
    exit_status = 2


def read_one(argument: str, root: str) -> Facts:
    """Return the facts of the one *root* that ``FILE`` or ``FILE#NAME`` holds.

    Raises:
        InputFileError: It cannot be read, or holds mistakes.
        PolicyError: It holds none, or several and no name picks one (``policy.input``).
    """
    found = read_many(argument, root)
    if len(found) != 1:
        names = ", ".join(name for name, _ in found[:8]) or "none"
        raise PolicyError(
            f"{argument} holds {len(found)} of what should be one {root}: {names}",
            code="policy.input",
            hint="pick one with FILE#NAME",
        )
    return found[0][1]


def read_many(argument: str, root: str) -> list[tuple[str, Facts]]:
    """Return (name, facts) of every *root* in ``FILE``, or of the one that ``#NAME`` picks.

    Raises:
        InputFileError: It cannot be read, or holds mistakes.
        PolicyError: There is none of that name (``policy.input``).
    """
    file, _, wanted = argument.partition("#")
    reader = Reader(file)
    node = parse_file(Path(file), reader.problems)
    found: list[tuple[str, Facts]] = []
    if node is not None:
        for name, item in _split(node, root):
            stated = inputs.read_facts(reader, item, root, envelope=True)
            own = stated.get(_ID[root], name)
            found.append((str(own), inputs.complete(root, stated, str(own))))
    if reader.problems:
        raise InputFileError(reader.problems)
    if wanted:
        names = [name for name, _ in found]
        found = [pair for pair in found if pair[0] == wanted]
        if not found:
            raise PolicyError(
                f"{file} has no {root} named {wanted}",
                code="policy.input",
                hint=did_you_mean(wanted, names) or f"it has: {', '.join(names[:8])}",
            )
    return found


def _split(node: Node, root: str) -> Sequence[tuple[str, Node]]:
    """Return the named parts of a document that holds one, a list, or fixtures."""
    if isinstance(node, Items):
        return [(f"{root}-{at + 1}", item) for at, item in enumerate(node.items)]
    if isinstance(node, Entries):
        for key in _LISTS[root]:
            inner = node.get(key)
            if isinstance(inner, Items):
                return _split(inner, root)
            if isinstance(inner, Entries):
                return [(name.text, item) for name, item in inner.pairs]
        kind = node.get("kind")
        if isinstance(kind, Scalar) and kind.text == "Fixtures":
            return []
    return [(root, node)]


def ask(
    action: str,
    *,
    packet: Facts | None = None,
    source: Facts | None = None,
    principal: Facts | None = None,
    reason: str = "requested",
    now: int = 0,
) -> Question:
    """Return the question of doing *action* with these facts."""
    point = Point(action)
    return Question(
        point=point,
        action=point.value,
        packet=packet,
        source=source,
        principal=principal or {"id": "somebody", "rights": ["operator"]},
        reason=reason,
        now=now,
    )


def moment(text: str) -> int:
    """Return the microseconds of an RFC 3339 time.

    Raises:
        PolicyError: It is none (``policy.input``).
    """
    try:
        return parse_timestamp(text).ns // 1_000
    except CelError:
        raise PolicyError(
            f"{text!r} is not a time", code="policy.input", hint="write 2026-11-23T00:00:00Z"
        ) from None
