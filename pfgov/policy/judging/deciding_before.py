"""What reasons of policy sets with semantics before 4 show, kept as it was: their verdict tables are on record.

An operand that is missing or failed is taken for the one that decided, a constant branch of a conditional for what made
it, the first part about the candidate for what a macro's items were held against, and a list of items is shown whole
where one of them failed.  Nobody reaches this with a set that is made today.
"""

from typing import Final

from pfgov.policy.cel import Failure, ir
from pfgov.policy.cel.types import BOOL
from pfgov.policy.judging.deciding import (
    NOT,
    Finder,
    Focus,
    Here,
    Values,
    candidate_part,
    written,
)
from pfgov.policy.judging.messages import ABSENT, show_rounded

_NOTHING: Final[tuple[object, ...]] = (None, [])


class FinderBefore(Finder):
    """Finds the parts that a set with semantics before 4 shows."""

    def __init__(self) -> None:
        super().__init__()
        self._filters: dict[int, ir.Fold] = {}

    def operand(self, here: Here, node: ir.Logic, values: Values, *, wanted: bool) -> ir.Node:
        """Return the first operand that did not come out as *wanted*, whatever became of it."""
        guilty = [p for p in node.operands if self.value(here, p, values) is not wanted]
        chosen = guilty[0] if guilty else node.operands[0]
        if (node.kind == "any") is wanted:
            about = [part for part in guilty if candidate_part(part) is not None]
            chosen = about[0] if about else chosen
        return chosen

    def branch(
        self, here: Here, node: ir.Ternary, values: Values, *, wanted: bool
    ) -> tuple[ir.Node, bool]:
        """Return the branch that was taken."""
        is_met = self.value(here, node.condition, values) is True
        return (node.then if is_met else node.otherwise), wanted

    def scoped(self, here: Here, node: ir.Bind | ir.Fold, values: Values, *, wanted: bool) -> Focus:
        """Return a binding as a whole, and a macro with its items beside the first part about the candidate."""
        if isinstance(node, ir.Bind):
            observed = self.text(here, node, values)
            return Focus(here, node, observed, "true" if wanted else "false", wanted)
        part = None if node.condition is None else candidate_part(node.condition)
        guilty = self._guilty_items(here, node, values, wanted=wanted)
        items = guilty
        if guilty in _NOTHING or type(guilty) is Failure:
            items = self.value(here, node.target, values)
        shown = self.shown(items)
        observed = None if part is None else self.text(here, part, values)
        if observed is None:
            return Focus(here, node, shown, None, wanted)
        return Focus(here, node, observed, shown, wanted, part, guilty)

    def _guilty_items(self, here: Here, node: ir.Fold, values: Values, *, wanted: bool) -> object:
        """Return the items for which an ``all`` is false, or an ``exists`` true; None elsewhere."""
        body = node.condition
        if body is None or len(node.locals) != 1 or (node.kind == "all") is not wanted:
            return None
        if node.kind not in {"all", "exists"}:
            return None
        if id(node) not in self._filters:
            picked = ir.Call(body.span, BOOL, NOT, (body,)) if node.kind == "all" else body
            self._filters[id(node)] = ir.Fold(
                node.span, node.target.type, "filter", node.target, node.locals, picked, None
            )
        return self.value(here, self._filters[id(node)], values)

    def observed_first(self, left: ir.Node, right: ir.Node, here: Here) -> tuple[ir.Node, ir.Node]:
        """Return the sides of a comparison, the one about the candidate first."""
        del here
        is_swapped = candidate_part(right) is not None and candidate_part(left) is None
        return (right, left) if is_swapped else (left, right)

    def shown(self, value: object) -> str | None:
        """Return how a reason writes *value*, durations in six digits."""
        return written(value, show_rounded)

    def said(self, value: object) -> str:
        """Return how a message writes *value*, durations in six digits."""
        return ABSENT if type(value) is Failure else show_rounded(value)
