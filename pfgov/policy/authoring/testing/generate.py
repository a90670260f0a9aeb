"""Random facts near the interesting ones, and smaller facts that still show the same thing.

Values come from the schema, from the cases of the test file and from the constants in the policies
(each number with its neighbours), so that thresholds are hit on both sides.  Everything is a
function of a seeded generator: the same test file gives the same inputs for ever.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from pfgov.policy.authoring import inputs
from pfgov.policy.cel import ir
from pfgov.policy.cel.types import BOOL, CelType, ListType, MapType, NumberType, Record, StringType
from pfgov.policy.facts import ROOTS
from pfgov.policy.judging.judge import PolicySet

Facts = dict[str, object]
_T = TypeVar("_T")

Known = Mapping[str, Sequence[Facts]]
"""Facts to start near, by root."""

_RANDOM_SHARE: Final = 0.15
_READ_SHARE: Final = 0.8
_ABSENT_SHARE: Final = 0.3
_HINT_SHARE: Final = 0.5
_CHANGES_MAX: Final = 8

_WORDS = ("a", "b", "eu", "us-east", "us-east/1a", "pii", "pii.email", "")
_NUMBERS = (0.0, 0.5, 1.0, 2.0, 10.0)


@dataclass(slots=True)
class Pool:
    """Texts and numbers worth trying."""

    words: list[str] = field(default_factory=lambda: list(_WORDS))
    numbers: list[float] = field(default_factory=lambda: list(_NUMBERS))

    def add(self, value: object) -> None:
        """Take every text and number inside *value*; a number with its neighbours."""
        if isinstance(value, bool):
            return
        if isinstance(value, str):
            self.words.append(value)
        elif isinstance(value, int | float):
            step = 1 if isinstance(value, int) else 0.01
            self.numbers += [float(value), float(value) - step, float(value) + step]
        elif isinstance(value, list):
            for item in cast("list[object]", value):
                self.add(item)
        elif isinstance(value, dict):
            for key, item in cast("Facts", value).items():
                self.words.append(key)
                self.add(item)


def pool_of(policies: PolicySet, known: Known) -> Pool:
    """Return the pool of a policy set and of known facts."""
    pool = Pool()
    for judge in policies.judges.values():
        for planned in judge.rules:
            for constant in _constants(planned.clause.root):
                pool.add(constant)
    for facts in known.values():
        pool.add(list(facts))
    pool.words = sorted(set(pool.words))
    pool.numbers = sorted(set(pool.numbers))
    return pool


Hints = Mapping[tuple[str, ...], Sequence[object]]
"""Values that are compared with a fact, by its path."""


def hints_of(roots: Iterable[ir.Node]) -> Hints:
    """Return what *roots* compare each fact with; a number with its neighbours."""
    found: dict[tuple[str, ...], Pool] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if isinstance(node, ir.Named):
            stack.append(node.expression.root)
        elif isinstance(node, ir.Call) and len(node.arguments) == 2:
            for one, other in (node.arguments, reversed(node.arguments)):
                path = ir.path_of(one)
                for value in _constants(other) if path is not None else ():
                    found.setdefault(path or (), Pool([], [])).add(value)
        stack.extend(ir.children(node))
    return {path: [*pool.words, *pool.numbers] for path, pool in found.items()}


def constants_of(roots: Iterable[ir.Node]) -> Pool:
    """Return every text and number that stands in *roots*, in their order; a number with its neighbours."""
    pool = Pool([], [])
    for root in roots:
        for constant in _constants(root):
            pool.add(constant)
    pool.words = list(dict.fromkeys(pool.words))
    pool.numbers = list(dict.fromkeys(pool.numbers))
    return pool


def _constants(root: ir.Node) -> Iterator[object]:
    stack = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, ir.Const):
            yield node.value
        elif isinstance(node, ir.Named):
            stack.append(node.expression.root)
        stack.extend(ir.children(node))


class Generator:
    """Makes facts from a seed, near known ones, and mostly where the policies look."""

    def __init__(
        self, seed: str, pool: Pool, known: Known, reads: Iterable[str], hints: Hints
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - inputs of tests, not secrets
        self._hints = hints
        self._pool = pool
        self._known = known
        self._paths: dict[str, list[tuple[str, ...]]] = {}
        for path in sorted(reads):
            root, *steps = path.split(".")
            if steps:
                self._paths.setdefault(root, []).append(tuple(steps))

    def facts(self, root: str) -> Facts:
        """Return facts of *root*: known or plain ones with a few changes, or wholly random ones."""
        record = ROOTS[root].type
        assert isinstance(record, Record)
        if self._random.random() < _RANDOM_SHARE:
            made = cast("Facts", self._value(record, root))
            return inputs.complete(root, made, root)
        bases = [*self._known.get(root, ()), inputs.complete(root, {}, root)]
        facts = self._random.choice(bases)
        for _ in range(self._random.randint(0, _CHANGES_MAX)):
            paths = self._paths.get(root, [])
            if paths and self._random.random() < _READ_SHARE:
                path = self._random.choice(paths)
            else:
                path = (self._random.choice(list(record.fields)),)
            facts = self._changed(record, facts, path, (root,))
        return facts

    def near(self, root: str, facts: Facts, reads: Iterable[str]) -> Facts:
        """Return *facts* of *root* in which one or some of the facts that *reads* names have another value."""
        record = ROOTS[root].type
        assert isinstance(record, Record)
        paths = [tuple(path.split(".")[1:]) for path in reads if path.startswith(f"{root}.")]
        for path in (
            self._random.sample(paths, self._random.randint(1, len(paths))) if paths else ()
        ):
            facts = self._changed(record, facts, path, (root,))
        return facts

    def choice(self, items: Sequence[_T]) -> _T:
        """Return one of *items*."""
        return self._random.choice(items)

    def _changed(
        self,
        record: Record,
        facts: Mapping[str, object],
        path: tuple[str, ...],
        above: tuple[str, ...],
    ) -> Facts:
        """Return *facts*, which stand at *above*, with another value at *path*, or without what is optional there."""
        changed, here = dict(facts), (*above, path[0])
        known = record.fields.get(path[0])
        if known is None:
            return changed
        inner = changed.get(path[0])
        if known.optional and self._random.random() < _ABSENT_SHARE:
            changed.pop(path[0], None)
        elif isinstance(known.type, Record) and isinstance(inner, dict):
            rest = path[1:] or (self._random.choice(list(known.type.fields)),)
            changed[path[0]] = self._changed(known.type, cast("Facts", inner), rest, here)
        elif isinstance(known.type, MapType) and path[1:] and isinstance(inner, dict):
            changed[path[0]] = self._entry(known.type, cast("Facts", inner), path[1], here)
        else:
            changed[path[0]] = self._hinted(known.type, here)
        return changed

    def _entry(self, kind: MapType, entries: Facts, name: str, above: tuple[str, ...]) -> Facts:
        """Return *entries* with another value at *name*, or without it."""
        changed = {key: value for key, value in entries.items() if key != name}
        if self._random.random() >= _ABSENT_SHARE:
            changed[name] = self._hinted(kind.value, (*above, name))
        return changed

    def _hinted(self, kind: CelType, path: tuple[str, ...]) -> object:
        """Return a value for the fact at *path*, mostly one that something compares it with."""
        fitting = [value for value in self._hints.get(path, ()) if _fits(kind, value)]
        if fitting and self._random.random() < _HINT_SHARE:
            value = self._random.choice(fitting)
            is_int = isinstance(kind, NumberType) and kind.name == "int"
            return int(cast("float", value)) if is_int else value
        return self._value(kind, path[-1])

    def _value(self, kind: CelType, name: str) -> object:
        draw = self._random
        match kind:
            case Record(fields=fields):
                return {
                    key: self._value(inner.type, key)
                    for key, inner in fields.items()
                    if not inner.optional or draw.random() < 0.6
                }
            case ListType(elem=elem):
                return [self._value(elem, name) for _ in range(draw.randint(0, 3))]
            case MapType(value=inner):
                return {
                    draw.choice(self._pool.words) or "k": self._value(inner, name)
                    for _ in range(draw.randint(0, 2))
                }
            case StringType(allowed=allowed) if allowed is not None:
                return draw.choice(sorted(allowed))
            case StringType():
                return draw.choice(self._pool.words)
            case NumberType():
                return self._number(kind)
            case _:
                return draw.random() < 0.5 if kind == BOOL else None

    def _number(self, kind: NumberType) -> object:
        low = kind.minimum if kind.minimum is not None else -1e9
        high = min(kind.maximum if kind.maximum is not None else 1e9, 1e9)
        fitting = [n for n in self._pool.numbers if low <= n <= high]
        value = self._random.choice(fitting) if fitting else low
        return value if kind.name == "double" else int(value)


def _fits(kind: CelType, value: object) -> bool:
    match kind:
        case StringType(allowed=allowed):
            return isinstance(value, str) and (allowed is None or value in allowed)
        case NumberType(minimum=low, maximum=high):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return (low is None or value >= low) and (high is None or value <= high)
        case _:
            return False


def shrink(
    roots: Mapping[str, Facts], still_fails: Callable[[Mapping[str, Facts]], bool]
) -> dict[str, Facts]:
    """Return facts like *roots*, as near the defaults as possible, for which the test still fails."""
    best = {root: dict(facts) for root, facts in roots.items()}
    improved = True
    while improved:
        improved = False
        for root, facts in list(best.items()):
            for smaller in _smaller(root, facts):
                candidate = {**best, root: smaller}
                if still_fails(candidate):
                    best, improved = candidate, True
                    break
    return best


def _smaller(root: str, facts: Facts) -> Iterator[Facts]:
    record = ROOTS[root].type
    assert isinstance(record, Record)
    plain = inputs.complete(root, {}, root)
    yield from _smaller_fields(record, facts, plain)


def _smaller_fields(record: Record, facts: Facts, plain: Mapping[str, object]) -> Iterator[Facts]:
    for name, value in facts.items():
        known = record.fields.get(name)
        if known is None:
            continue
        if known.optional:
            yield {key: item for key, item in facts.items() if key != name}
        usual = plain.get(name)
        if name in plain and value != usual and not isinstance(known.type, Record):
            yield {**facts, name: usual}
        if isinstance(known.type, Record) and isinstance(value, dict):
            inner = cast("Facts", usual) if isinstance(usual, dict) else {}
            for smaller in _smaller_fields(known.type, cast("Facts", value), inner):
                yield {**facts, name: smaller}
        elif isinstance(value, list):
            items = cast("list[object]", value)
            for at in range(len(items)):
                yield {**facts, name: items[:at] + items[at + 1 :]}
        elif isinstance(value, dict):
            for key in cast("Facts", value):
                yield {**facts, name: {k: v for k, v in cast("Facts", value).items() if k != key}}
        elif type(value) is float and value != round(value, 1):
            yield {**facts, name: round(value, 1)}
