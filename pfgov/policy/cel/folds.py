"""Macros of the exact evaluator: loops over the items of a list or the keys of a map.

``all`` and ``exists`` absorb the errors of single items when another item decides, as a
chain of ``&&`` or ``||`` would; the others fail with the first error.  Every step is
work.  Source: CEL language definition, "Macros"; cel-go ext/comprehensions.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from pfgov.policy.cel import ir
from pfgov.policy.cel.closures import Closure, Frame
from pfgov.policy.cel.errors import CelError
from pfgov.policy.cel.values import (
    is_list,
    is_map,
    make_map,
    map_items,
    map_keys,
    no_overload,
    type_name,
)  # fmt: skip

STEP_UNITS: Final = 3
"""Work of one step of a loop, whatever its body: as much as the static cost counts."""


def fold(node: ir.Fold, target: Closure, condition: Closure | None, result: Closure | None) -> Closure:  # fmt: skip
    """The closure of a macro."""
    slots = [local.slot + 1 for local in node.locals]
    items = _items(node, target, slots)
    match node.kind:
        case "all" | "exists":
            assert condition is not None
            return _decided(items, condition, deciding=node.kind == "exists")
        case "exists_one":
            assert condition is not None
            return _exactly_one(items, condition)
        case "filter":
            assert condition is not None
            return _filter(items, condition, slots[0])
        case "map" | "transform_list":
            assert result is not None
            return _transform(items, condition, result)
        case "transform_map":
            assert result is not None
            return _transform_map(items, condition, result, slots[0])
        case _:
            assert result is not None
            return _transform_entries(items, condition, result)


Items = Callable[[Frame], Iterable[None]]
"""Puts one item after another into the frame, and spends the work of each step."""


def _items(node: ir.Fold, target: Closure, slots: Sequence[int]) -> Items:
    first = slots[0]
    second = slots[1] if len(slots) == 2 else None

    def pairs(value: object) -> Iterable[tuple[object, object]]:
        if is_list(value):
            return enumerate(value)
        if is_map(value):
            return map_items(value)
        raise _no_items(node, value)

    def single(value: object) -> list[object]:
        if is_list(value):
            return value
        if is_map(value):
            return map_keys(value)
        raise _no_items(node, value)

    def step(frame: Frame) -> Iterable[None]:
        value = target(frame)
        context = frame[0]
        if second is None:
            for item in single(value):
                context.spend(STEP_UNITS)
                frame[first] = item
                yield
            return
        for key, item in pairs(value):
            context.spend(STEP_UNITS)
            frame[first], frame[second] = key, item
            yield

    return step


def _no_items(node: ir.Fold, value: object) -> CelError:
    path = ir.path_of(node.target)
    shown = ".".join(path) if path else None
    if shown is None:
        return no_overload(node.kind, value)
    return CelError(f"{shown} is {type_name(value)}, which has no items", kind="type", path=shown)


def _bool(value: object) -> bool:
    if type(value) is bool:
        return value
    raise CelError(f"the condition is {type_name(value)}, not bool", kind="type")


def _decided(items: Items, condition: Closure, *, deciding: bool) -> Closure:
    def run(frame: Frame) -> object:
        first_error: CelError | None = None
        for _ in items(frame):
            try:
                value = _bool(condition(frame))
            except CelError as error:
                first_error = first_error or error
                continue
            if value is deciding:
                return deciding
        if first_error is not None:
            raise first_error
        return not deciding

    return run


def _exactly_one(items: Items, condition: Closure) -> Closure:
    def run(frame: Frame) -> object:
        count = 0
        for _ in items(frame):
            count += _bool(condition(frame))
        return count == 1

    return run


def _filter(items: Items, condition: Closure, slot: int) -> Closure:
    def run(frame: Frame) -> object:
        kept: list[object] = []
        for _ in items(frame):
            item = frame[slot]
            if _bool(condition(frame)):
                kept.append(item)
        return kept

    return run


def _transform(items: Items, condition: Closure | None, result: Closure) -> Closure:
    def run(frame: Frame) -> object:
        return [result(frame) for _ in items(frame) if condition is None or _bool(condition(frame))]

    return run


def _transform_map(
    items: Items, condition: Closure | None, result: Closure, key_slot: int
) -> Closure:
    def run(frame: Frame) -> object:
        pairs: list[tuple[object, object]] = []
        for _ in items(frame):
            key = frame[key_slot]
            if condition is None or _bool(condition(frame)):
                pairs.append((key, result(frame)))
        return make_map(pairs)

    return run


def _transform_entries(items: Items, condition: Closure | None, result: Closure) -> Closure:
    def run(frame: Frame) -> object:
        pairs: list[tuple[object, object]] = []
        for _ in items(frame):
            if condition is None or _bool(condition(frame)):
                entry = result(frame)
                if not is_map(entry):
                    raise no_overload("transformMapEntry", entry)
                pairs.extend(map_items(entry))
        return make_map(pairs)

    return run
