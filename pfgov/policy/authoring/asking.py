"""Questions from files: a packet, members and a source as an author has them at hand.

A file holds one packet or member in YAML or JSON, a list of members, or fixtures; ``FILE#NAME``
picks one of several.  What is left out gets the defaults of :mod:`pfgov.policy.authoring.inputs`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pfgov.core.policy_port import Question
from pfgov.core.verdicts import Point
from pfgov.policy.authoring import inputs, occurring
from pfgov.policy.cel import CelError
from pfgov.policy.cel.times import parse_timestamp
from pfgov.policy.facts import ABSENT_AT, MORE, ROOTS_AT
from pfgov.policy.files.reader import Reader
from pfgov.policy.files.source import Entries, Items, Node, Scalar
from pfgov.policy.load import parse_file
from pfgov.policy.problems import PolicyErrors, Problem, did_you_mean

Facts = dict[str, object]

_LISTS: Final = {
    "packet": ("packets",),
    "member": ("members", "items"),
    "source": ("members", "items"),
    "principal": ("principals",),
    "before": ("members", "items"),
    inputs.BEFORE_UPDATE: ("packets",),
    "review": ("reviews",),
    "export": ("exports",),
    "activation": ("activations",),
}
_ID: Final = {
    "packet": "packet_id", "member": "id", "source": "id", "principal": "id", "before": "id",
    inputs.BEFORE_UPDATE: "packet_id", "review": "", "export": "", "activation": "",
}  # fmt: skip


class InputFileError(PolicyErrors):
    """A file with facts is not what it should be; ``problems`` says where."""

    code = "policy.input"
    exit_status = 2


def _wrong(where: str, message: str, hint: str) -> InputFileError:
    return InputFileError([Problem("policy.input", message, where, hint=hint)])


def read_one(argument: str, root: str) -> Facts:
    """Return the facts of the one *root* that ``FILE`` or ``FILE#NAME`` holds.

    Raises:
        InputFileError: It cannot be read, or holds mistakes.
        InputFileError: It holds none, or several and no name picks one.
    """
    found = read_many(argument, root)
    if len(found) != 1:
        names = ", ".join(name for name, _ in found[:8]) or "none"
        message = f"holds {len(found)} of what should be one {root}: {names}"
        raise _wrong(argument, message, "pick one with FILE#NAME")
    return found[0][1]


def read_many(argument: str, root: str) -> list[tuple[str, Facts]]:
    """Return (name, facts) of every *root* in ``FILE``, or of the one that ``#NAME`` picks.

    Raises:
        InputFileError: It cannot be read, or holds mistakes.
        InputFileError: There is none of that name.
    """
    file, _, wanted = argument.partition("#")
    reader = Reader(file)
    node = parse_file(Path(file), reader.problems)
    found: list[tuple[str, Facts]] = []
    named: list[str] = []
    if node is not None:
        for name, item in _split(node, root):
            stated = inputs.read_facts(reader, item, root, envelope=True)
            own = stated.get(_ID[root], name)
            facts = inputs.complete(root, stated, str(own))
            if root in inputs.BEFORE:
                facts = inputs.as_before(root, stated)
            problem = inputs.problem_of(root, facts)
            if problem is not None:
                hint = None if root == "export" else occurring.PRINCIPAL_HINT
                hint = occurring.principal_hint(facts) if root == "principal" else hint
                reader.error("input", problem, item, hint)
            named.append(name)
            found.append((str(own), facts))
    if reader.problems:
        raise InputFileError(reader.problems)
    if wanted:
        names = [*named, *(own for own, _ in found)]
        by_name = [pair for name, pair in zip(named, found, strict=True) if name == wanted]
        found = by_name or [pair for pair in found if pair[0] == wanted]
        if not found:
            hint = did_you_mean(wanted, names) or f"it has: {', '.join(names[:8])}"
            raise _wrong(file, f"there is no {root} named {wanted}", hint)
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
    reason: str | None = None,
    now: int = 0,
    more: dict[str, Facts] | None = None,
) -> Question:
    """Return the question of doing *action* with these facts."""
    point = Point(action)
    return Question(
        point=point,
        action=point.value,
        packet=packet,
        source=source,
        principal=principal or inputs.complete("principal", {"rights": ["operator"]}, "operator"),
        reason=usual_reason(point) if reason is None else reason,
        now=now,
        more=more or {},
    )


def takes(action: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return which facts a decision at *action* has besides who asks and when, and without which there is none."""
    point = Point(action)
    has = frozenset({"packet", "member", "source", *MORE}.intersection(ROOTS_AT[point]))
    if point is Point.ASSIGN:
        has -= {"source"}  # the first owner has none before it
    return has, has & {"packet", "member"} - ABSENT_AT.get(point, frozenset())


def read_more(action: str, named: Mapping[str, str | None]) -> dict[str, Facts]:
    """Return the facts that only the point *action* has, as files that *named* names hold them, or plain ones.

    Raises:
        InputFileError: a file cannot be read, or holds mistakes.
    """
    found: dict[str, Facts] = {}
    for root in sorted(takes(action)[0] & set(MORE)):
        file = named.get(root)
        if file is not None:
            found[root] = read_one(file, kind_of(root, action))
        elif root != "before":
            found[root] = inputs.complete(root, {}, root)
    return found


def kind_of(root: str, action: str) -> str:
    """Return what *root* is at *action*, by the name that it has in files: ``before`` is a packet or a member."""
    return inputs.BEFORE_UPDATE if (root, action) == ("before", Point.UPDATE.value) else root


def with_more(question: Question, member: Facts, file: str | None = None) -> Question:
    """Return *question* with ``before`` as what would be changed, which is as it is where nothing is said.

    Raises:
        InputFileError: *file*, which says what was before, is about another packet or member.
    """
    if "before" not in ROOTS_AT[question.point]:
        return question
    problem = None if file is None else before_problem(question, member)
    if problem is not None:
        raise _wrong(file or "", *problem)
    kind, after = _changing(question, member)
    given = question.more.get("before")
    before = dict(after) if given is None else occurring.as_it_was(kind, after, given)
    return replace(question, more={**question.more, "before": before})


def before_problem(question: Question, member: Facts) -> tuple[str, str] | None:
    """Say why what is said of ``before`` is not of what would be changed, with what helps; None where it may be."""
    given = question.more.get("before")
    if given is None or "before" not in ROOTS_AT[question.point]:
        return None
    kind, after = _changing(question, member)
    problem = occurring.change_problem(kind, after, given)
    changed = ", ".join(sorted(occurring.CHANGED[kind]))
    return None if problem is None else (problem, f"an update of a {kind} changes {changed}")


def _changing(question: Question, member: Facts) -> tuple[str, Mapping[str, object]]:
    if question.point is Point.UPDATE:
        return "packet", question.packet or {}
    return "member", member


def usual_reason(point: Point) -> str:
    """Return the reason that the engine gives at *point* where nobody says another: a move is ``requested``."""
    return "requested" if point in {Point.HANDOFF, Point.ACCEPT} else ""


def moment(text: str) -> int:
    """Return the microseconds of an RFC 3339 time.

    Raises:
        InputFileError: It is none.
    """
    try:
        return parse_timestamp(text).ns // 1_000
    except CelError:
        raise _wrong("--now", f"{text!r} is not a time", "write 2026-11-23T00:00:00Z") from None
