"""The ``properties`` of a test file: what must hold for all facts, read from YAML.

How inputs are generated and shrunk is :mod:`pfgov.policy.authoring.testing.properties`' business.
"""

from collections.abc import Mapping
from typing import Final

from pfgov.core.verdicts import Point
from pfgov.policy import limits
from pfgov.policy.authoring.testing.model import Property
from pfgov.policy.cel.types import CelType, Field, NumberType, Record
from pfgov.policy.facts import PLACE, ROOTS
from pfgov.policy.files.reader import Reader
from pfgov.policy.files.source import Node, Scalar
from pfgov.policy.problems import did_you_mean

RUNS_MAX: Final = 100_000


def read_properties(
    reader: Reader, node: Node | None, covered: tuple[Point, ...]
) -> tuple[Property, ...]:
    """Return the properties; *covered* are the points that the policy under test has rules for."""
    made: list[Property] = []
    for item in reader.items(node, "`properties`", limits.CASES_MAX):
        found = reader.entries(
            item,
            "a property",
            required=("name",),
            optional=("never", "monotone", "direction", "on", "runs", "seed"),
        )
        name = reader.string(found.get("name"), "`name`", limit=200)
        if ("never" in found) == ("monotone" in found):
            reader.error("test.property", "a property is either `never` or `monotone`", item)
            continue
        points = _points(reader, found.get("on"), covered)
        runs = _number(reader, found.get("runs"), "`runs`", limits.GENERATED_MAX)
        seed = _number(reader, found.get("seed"), "`seed`", 0)
        expression = reader.expression(found.get("never"), "`never`")
        path = _path(reader, found.get("monotone"))
        direction = reader.choice(found.get("direction"), "`direction`", ("up", "down"))
        if name is None or (expression is None and path is None):
            continue
        made.append(
            Property(
                name=name,
                place=reader.place(item),
                kind="never" if path is None else "monotone",
                points=points,
                expression=expression,
                path=path or (),
                direction="down" if direction == "down" else "up",
                runs=runs,
                seed=seed,
            )
        )
    return tuple(made)


def _points(reader: Reader, node: Node | None, covered: tuple[Point, ...]) -> tuple[Point, ...]:
    if node is None:
        chosen = tuple(point for point in covered if point in PLACE)
        return chosen or covered or (Point.ASSIGN,)
    names = [
        reader.choice(item, "a decision point", [p.value for p in Point])
        for item in reader.items(node, "`on`", len(Point))
    ]
    return tuple(Point(name) for name in names if name)


def _number(reader: Reader, node: Node | None, what: str, default: int) -> int:
    if node is None:
        return default
    if isinstance(node, Scalar) and type(node.value) is int and 0 <= node.value <= RUNS_MAX:
        return node.value
    reader.wrong_type(node, what, f"a whole number from 0 to {RUNS_MAX}")
    return default


def _path(reader: Reader, node: Node | None) -> tuple[str, ...] | None:
    text = reader.string(node, "`monotone`") if node is not None else None
    if text is None or node is None:
        return None
    steps = tuple(text.split("."))
    if steps[1:2] == ("labels",):
        message = f"`{text}` is a label, and labels are texts"
        reader.error("test.property", message, node, "say with `never` what must not be allowed")
        return None
    kind: CelType | None = ROOTS[steps[0]].type if steps[0] in ROOTS else None
    for step in steps[1:]:
        known: Mapping[str, Field] = kind.fields if isinstance(kind, Record) else {}
        if step not in known:
            hint = did_you_mean(step, known)
            reader.error("unknown_fact", f"there is no fact `{text}`", node, hint)
            return None
        kind = known[step].type
    if not isinstance(kind, NumberType):
        reader.error("test.property", f"`{text}` is not a number", node, "name a number to raise")
        return None
    return steps
