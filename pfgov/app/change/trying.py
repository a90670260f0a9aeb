"""A policy set judged beside the binding one on live decisions: those that are recorded from now on.

The decisions are taken as ever, at no cost of their own, because nothing of the trial is in their way: each is asked
again, on the state, the facts and the time of its moment, from what was recorded of it (:mod:`pfgov.engine.reading`).
So the report is the one that anybody makes of the same entries.  How time passes is whoever calls' to say.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from pfgov.engine.reading import Report, Span

if TYPE_CHECKING:
    from pfgov.app.ledger import Reading
    from pfgov.policy import PolicySet
    from pfgov_ledger.export import Progress


def try_live(
    book: "Reading",
    policies: "PolicySet",
    is_over: Callable[[int], bool],
    progress: "Progress",
    *,
    allow_plug_ins: bool = False,
) -> Report:
    """Return the impact of *policies* on what is recorded from now on until *is_over*.

    Args:
        book: The ledger.
        policies: The set on trial.
        is_over: Called again and again with how many entries have come so far; waits as long as it likes.
        progress: Called while the decisions are asked.
        allow_plug_ins: Run schedulers of installed packages, too.

    Raises:
        LedgerError: the history is not what its commands give.
        ReplayUnavailableError: it cannot be told.
    """
    begun = book.overview().size
    while not is_over(book.overview().size - begun):
        pass
    return book.impact(policies, Span(since=begun), progress, allow_plug_ins=allow_plug_ins)
