"""Which clauses are not true, for each candidate: the exact evaluator or the generated one.

The one place that chooses between them.  The exact evaluator is the meaning; the generated one is
only ever faster, and is made only from policies that this installation compiled itself.
"""

from collections.abc import Mapping, Sequence

from pfgov.policy.cel import Checked, exact


class Evaluator:
    """The clauses of one decision point."""

    def __init__(self, clauses: Sequence[Checked], *, generated: bool) -> None:
        self._exact = [exact(clause) for clause in clauses]
        self._generated = generated

    def failing(
        self,
        shared: Mapping[str, object],
        members: Sequence[Mapping[str, object]],
        *,
        validated: bool,
    ) -> list[tuple[int, ...] | None]:
        """Return, for each of *members*, the indexes of clauses that are not true, or None."""
        del validated
        return [self.failing_one({**shared, "member": member}) for member in members]

    def failing_one(self, values: Mapping[str, object]) -> tuple[int, ...] | None:
        """Return the indexes of the clauses that are not exactly true, or None when all are."""
        found = tuple([i for i, clause in enumerate(self._exact) if clause(values) is not True])
        return found or None
