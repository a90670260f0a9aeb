"""Which part of a condition decided it, and the two values that it held against each other.

A condition that came out as it should not have is followed down to the part that an author would name.  Of ``&&``
and ``||`` that is an operand whose own value made the result, never one that was missing or failed: where one operand
was enough, the first of those that the fewest parts decide; where all of them were needed, the first that says most of
who is judged.  Of a conditional it is the branch that was taken, or the condition where the branch is a constant; of
``all`` and ``exists`` it is what decided for an item, with the items for which it did.
Sets of before :data:`SHOWS_WHAT_DECIDED` show what they showed (:mod:`.deciding_before`).  Nothing is decided here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, cast

from pfgov.policy.cel import Checked, Failure, ir, value_of
from pfgov.policy.cel.library import STANDARD
from pfgov.policy.cel.values import is_list, is_map, map_items, map_keys
from pfgov.policy.judging.messages import ABSENT, SENTENCE_MAX, shorten, show

Values = Mapping[str, object]
Program = Callable[[Values], object]

SHOWS_WHAT_DECIDED: Final = 4
"""The semantics of policy sets since which a reason shows the operand that decided."""

NOT: Final = STANDARD["!_"]

_RANKS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "member": 4, "source": 4, "principal": 4,
        "packet": 3, "review": 3, "export": 3, "activation": 3, "now": 3,
        "before": 2, "action": 2, "reason": 2,
    }
)  # fmt: skip
"""How much a root says of what is judged: who it is, then what it is about.  A constant has 0."""


Variables = tuple[tuple[ir.Local, int], ...]
"""Variables that are bound around a part, each with the rank of what it is bound to."""


@dataclass(frozen=True, slots=True)
class Here:
    """Where a part stands: in which expression, and inside which macros and bindings.

    Each variable that is bound there comes with the rank of what it is bound to.
    """

    owner: Checked
    inside: Variables = ()

    def within(self, variables: Iterable[ir.Local], rank: int) -> "Here":
        """Return the place inside a macro or binding of *variables*."""
        return replace(self, inside=(*self.inside, *((local, rank) for local in variables)))


@dataclass(frozen=True, slots=True)
class Focus:
    """The part of a condition that decided it, with the values of its two sides.

    Attributes:
        here: Where the part stands.
        node: The smallest part that decided.
        observed: The side that reads the candidate, as text.
        bound: The other side, as text, or None.
        wanted: Whether the part should have been true.
        part: Of a macro: what of the candidate its items were held against, or None.
        items: Of a macro: the items that decided.
    """

    here: Here
    node: ir.Node
    observed: str | None
    bound: str | None
    wanted: bool
    part: ir.Node | None = None
    items: object = None


class Finder:
    """Finds the parts of one rule's condition that decided."""

    def __init__(self) -> None:
        self._programs: dict[tuple[int, int], Program] = {}
        self._ranks: dict[tuple[int, Variables], int] = {}

    # --- the way down ---------------------------------------------------------------------------

    def descend(self, here: Here, node: ir.Node, values: Values, *, wanted: bool) -> Focus:
        """Return the part of *node* that made it come out as not *wanted*."""
        match node:
            case ir.Named(expression=expression):
                return self.descend(Here(expression), expression.root, values, wanted=wanted)
            case ir.Logic():
                chosen = self.operand(here, node, values, wanted=wanted)
                return self.descend(here, chosen, values, wanted=wanted)
            case ir.Call(function=function, arguments=(only,)) if function is NOT:
                return self.descend(here, only, values, wanted=not wanted)
            case ir.Ternary():
                chosen, flag = self.branch(here, node, values, wanted=wanted)
                return self.descend(here, chosen, values, wanted=flag)
            case ir.Bind() | ir.Fold():
                return self.scoped(here, node, values, wanted=wanted)
            case ir.Call(arguments=(left, right)):
                left, right = self.observed_first(left, right, here)
                observed, bound = (self.text(here, part, values) for part in (left, right))
                return Focus(here, node, observed, bound, wanted)
            case ir.Has(operand=operand, name=name):
                path = ir.path_of(operand)
                shown = ".".join((*path, name)) if path else name
                held = "present" if self.value(here, node, values) is True else "absent"
                return Focus(here, node, f"{shown} is {held}", None, wanted)
            case _:
                observed = self.text(here, node, values)
                return Focus(here, node, observed, "true" if wanted else "false", wanted)

    def operand(self, here: Here, node: ir.Logic, values: Values, *, wanted: bool) -> ir.Node:
        """Return the operand of ``&&`` or ``||`` that decided it."""
        guilty = self._guilty(here, node, values, wanted=wanted)
        if (node.kind == "any") is wanted:  # all of them were needed
            return max(guilty, key=lambda part: self.rank(part, here))
        return min(guilty, key=lambda part: self._weight(here, part, values, wanted=wanted))

    def _guilty(
        self, here: Here, node: ir.Logic, values: Values, *, wanted: bool
    ) -> Sequence[ir.Node]:
        """Return the operands that made the result; where nothing was decided, those without a value, or all."""
        found = [(part, self.value(here, part, values)) for part in node.operands]
        deciding = [part for part, value in found if value is (not wanted)]
        return deciding or [part for part, value in found if value is not wanted] or node.operands

    def _weight(self, here: Here, node: ir.Node, values: Values, *, wanted: bool) -> int:
        """Return how many parts together made *node* come out as not *wanted*, whatever all others are."""
        match node:
            case ir.Named(expression=expression):
                return self._weight(Here(expression), expression.root, values, wanted=wanted)
            case ir.Logic():
                guilty = self._guilty(here, node, values, wanted=wanted)
                weights = [self._weight(here, part, values, wanted=wanted) for part in guilty]
                return sum(weights) if (node.kind == "any") is wanted else min(weights)
            case ir.Call(function=function, arguments=(only,)) if function is NOT:
                return self._weight(here, only, values, wanted=not wanted)
            case ir.Ternary(condition=condition):
                decided = self.value(here, condition, values) is True
                first = self._weight(here, condition, values, wanted=not decided)
                chosen, flag = self.branch(here, node, values, wanted=wanted)
                if chosen is condition:
                    return first
                return first + self._weight(here, chosen, values, wanted=flag)
            case _:
                return 1

    def branch(
        self, here: Here, node: ir.Ternary, values: Values, *, wanted: bool
    ) -> tuple[ir.Node, bool]:
        """Return the part of a conditional that decided it, and what it should have been."""
        decided = self.value(here, node.condition, values) is True
        taken = node.then if decided else node.otherwise
        if self.rank(taken, here) == 0 and self.rank(node.condition, here):
            return node.condition, not decided
        return taken, wanted

    # --- parts with variables -------------------------------------------------------------------

    def scoped(self, here: Here, node: ir.Bind | ir.Fold, values: Values, *, wanted: bool) -> Focus:
        """Return what decided a binding or a macro."""
        if isinstance(node, ir.Fold):
            return self._fold(here, node, values, wanted=wanted)
        inner = here.within([node.local], self.rank(node.value, here))
        held = {**values, _held(node.local): self.value(here, node.value, values)}
        return self.descend(inner, node.result, held, wanted=wanted)

    def _fold(self, here: Here, node: ir.Fold, values: Values, *, wanted: bool) -> Focus:
        """Of ``all`` and ``exists`` show what decided for an item, and the items for which that did."""
        target = self.value(here, node.target, values)
        whole = Focus(here, node, self.shown(target), None, wanted)
        body = node.condition
        if body is None or node.kind not in {"all", "exists"}:
            return whole
        inner = here.within(node.locals, self.rank(node.target, here))
        guilty = [
            item
            for item in _items(node, target)
            if self.value(inner, body, _bound(node, item, values)) is (not wanted)
        ]
        if not guilty:  # there are no items
            return whole
        first = self.descend(inner, body, _bound(node, guilty[0], values), wanted=wanted)
        if isinstance(first.node, ir.Fold) or not _reads(first.node, node.locals):
            return first
        if first.here.inside == inner.inside:
            seen = [self.value(inner, first.node, _bound(node, i, values)) for i in guilty]
            guilty = [item for item, value in zip(guilty, seen, strict=True) if value is seen[0]]
        items = _listed(guilty, of_map=is_map(target))
        shown, part = self.shown(items), _other_side(first.node, node.locals)
        if part is None:
            return replace(whole, observed=shown, items=items)
        other = self._text_of_side(first, part, values)
        if self.rank(part, first.here) > self.rank(node.target, here):
            other, shown = shown, other
        return Focus(here, node, shown, other, wanted, part, items)

    def _text_of_side(self, focus: Focus, part: ir.Node, values: Values) -> str | None:
        """Return the text of *part*, a side of what *focus* shows or something inside it."""
        match focus.node:
            case ir.Call(arguments=(left, right)) if part is left or part is right:
                first, _ = self.observed_first(left, right, focus.here)
                return focus.observed if first is part else focus.bound
            case _:
                return self.text(focus.here, part, values)

    # --- values ---------------------------------------------------------------------------------

    def value(self, here: Here, node: ir.Node, values: Values) -> object:
        """Return the value of one part, or the failure that took its place."""
        at = (id(node), len(here.inside))
        program = self._programs.get(at)
        if program is None:
            owner = here.owner
            part = Checked(
                owner.source, _with_variables(here, node), node.type, owner.cost, owner.size, owner.slots,
                owner.roots, owner.paths, owner.named,
            )  # fmt: skip
            program = self._programs[at] = value_of(part)
        return program(values)

    def shown(self, value: object) -> str | None:
        """Return how a reason writes *value*: one that is missing as that, one that failed not at all."""
        return written(value, show)

    def said(self, value: object) -> str:
        """Return how a message writes *value*."""
        return ABSENT if type(value) is Failure else show(value)

    def text(self, here: Here, node: ir.Node, values: Values) -> str | None:
        """Return the value of one part as a reason writes it."""
        return self.shown(self.value(here, node, values))

    def observed_first(self, left: ir.Node, right: ir.Node, here: Here) -> tuple[ir.Node, ir.Node]:
        """Return the sides of a comparison, the one first that says more of what is judged."""
        is_swapped = self.rank(right, here) > self.rank(left, here)
        return (right, left) if is_swapped else (left, right)

    def rank(self, node: ir.Node, here: Here) -> int:
        """Return what :func:`rank` does, found out once for each part of the condition."""
        at = (id(node), here.inside)
        known = self._ranks.get(at)
        if known is None:
            known = self._ranks[at] = rank(node, here)
        return known


def written(value: object, write: Callable[[object], str]) -> str | None:
    """Return *value* as *write* writes it, cut to a sentence; what is missing as that, what failed not at all."""
    if type(value) is Failure:
        return ABSENT if value.kind == "missing" else None
    return shorten(write(value), SENTENCE_MAX)


# --- what a part reads ----------------------------------------------------------------------------


def rank(node: ir.Node, here: Here) -> int:
    """Return how much *node* says of what is judged: the most of what it reads."""
    found, stack = 0, [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ir.Var):
            found = max(found, _RANKS.get(part.name, 0))
        elif isinstance(part, ir.Local):
            ranks = [rank for local, rank in here.inside if local.slot == part.slot]
            found = max([found, *ranks])
        elif isinstance(part, ir.Named):
            found = max(found, rank(part.expression.root, Here(part.expression)))
        stack.extend(ir.children(part))
    return found


def candidate_part(node: ir.Node) -> ir.Node | None:
    """Return the first access of the member (or of the last owner) inside *node*."""
    stack = [node]
    while stack:
        current = stack.pop()
        path = ir.path_of(current)
        if path is not None:
            if path[0] in {"member", "source", "principal"}:
                return current
            continue
        if isinstance(current, ir.Named):
            stack.append(current.expression.root)
        stack.extend(reversed(ir.children(current)))
    return None


def _reads(node: ir.Node, variables: Sequence[ir.Local]) -> bool:
    slots, stack = {local.slot for local in variables}, [node]
    while stack:
        part = stack.pop()
        if isinstance(part, ir.Local) and part.slot in slots:
            return True
        stack.extend(ir.children(part))
    return False


def _other_side(node: ir.Node, variables: Sequence[ir.Local]) -> ir.Node | None:
    """Return what the items of a macro with these *variables* are held against in *node*."""
    if isinstance(node, ir.Call) and len(node.arguments) == 2:
        free = [part for part in node.arguments if not _reads(part, variables)]
        return free[0] if free else None
    return candidate_part(node)


# --- the items of a macro -------------------------------------------------------------------------

Item = tuple[object, ...]
"""What the variables of a macro are in one step: an item, or a key; with two, index and item, or key and value."""


def _items(node: ir.Fold, target: object) -> list[Item]:
    has_two = len(node.locals) == 2
    if is_list(target):
        return list(enumerate(target)) if has_two else [(item,) for item in target]
    if is_map(target):
        return list(map_items(target)) if has_two else [(key,) for key in map_keys(target)]
    return []


def _listed(items: Sequence[Item], *, of_map: bool) -> object:
    """Return *items* as a list; the keys and values of a map as a map."""
    if of_map and len(items[0]) == 2:
        return dict(cast("Sequence[tuple[object, object]]", items))
    return [item[-1] for item in items]


def _held(local: ir.Local) -> str:
    """Return the name under which the value of a variable is among the facts: no root is called so."""
    return f"@{local.slot}"


def _bound(node: ir.Fold, item: Item, values: Values) -> Values:
    """Return *values* with the variables of a macro as they are in one step."""
    names = [_held(local) for local in node.locals]
    return {**values, **dict(zip(names, item, strict=True))}


def _with_variables(here: Here, node: ir.Node) -> ir.Node:
    """Return *node* with the variables that are bound around it taken from the facts."""
    for local, _ in reversed(here.inside):
        value = ir.Var(local.span, local.type, _held(local))
        node = ir.Bind(node.span, node.type, local, value, node)
    return node
