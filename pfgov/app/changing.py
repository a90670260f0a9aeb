"""A change of the binding policy set, as every door asks for it: what can be read before it, and what it can rest on.

The part of the ledger port (:mod:`pfgov.app.ledger`) that is about policy sets.  What an activation comes with is bytes
here, which nobody has believed yet.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from pfgov.app.done import Done
    from pfgov.app.views import ProposalView, PublisherView
    from pfgov.engine.reading import Report, Span
    from pfgov.policy import PolicySet
    from pfgov_ledger.export import Progress


class Rests(NamedTuple):
    """What an activation comes with: the bundle that the set came in, and a signed report of its impact."""

    bundle: bytes | None = None
    report: bytes | None = None


NOTHING: Final = Rests()
"""A folder alone."""


class ChangeReading(Protocol):
    """What is read before a change."""

    def impact(
        self,
        policies: "PolicySet",
        span: "Span",
        progress: "Progress",
        *,
        allow_plug_ins: bool = False,
    ) -> "Report":
        """Ask *policies* at every recorded decision of *span*, and what would happen now if they were binding.

        Raises:
            LedgerError: the history is not what its commands give.
            ReplayUnavailableError: it cannot be told.
        """
        ...

    def proposals(self) -> "list[ProposalView]":
        """Return the policy sets that are proposed, the oldest first."""
        ...

    def publishers(self) -> "list[PublisherView]":
        """Return whose bundles are let in, by name, each with every key that it ever had."""
        ...

    def weigh(self, policies: "PolicySet", directory: Path) -> "tuple[Report, bool]":
        """Return what making *policies*, those in *directory*, binding would do, and whether nothing is at stake yet.

        Raises:
            PfgovError: it cannot be told.
        """
        ...


class Changing(Protocol):
    """What changes the binding set, or leads to it.  What a command causes is settled before it answers."""

    def activate(
        self, directory: Path, leave_uncovered: Collection[str] = (), rests: Rests = NOTHING
    ) -> "tuple[dict[str, Any], Done, bool]":
        """Make a folder of policies binding; return the set as it is shown, what happened, and whether it is new.

        Args:
            directory: The folder; the one that the bundle was unpacked to, if it came in one.
            leave_uncovered: Placing points without a rule in it at which nothing shall be allowed.
            rests: The bundle, from which it is compiled then, and a signed report of impact.

        Raises:
            PolicyErrors: it does not load, which was recorded.
            UncoveredError: it has no rule at another placing point.
            PfgovError: ``bundle.*``, ``publisher.*`` or ``impact.*``, what it rests on does not hold, which was
            recorded.
        """
        ...

    def roll_back(self, digest: str | None, *, emergency: bool) -> "tuple[str, Done]":
        """Make a set binding again that was so before, the last one by default; return its digest and what happened.

        Raises:
            NotFoundError: ``policy.never_binding``, it was not.
            ForbiddenError: an *emergency* has its own right; otherwise all is demanded that an activation demands.
        """
        ...

    def propose(
        self, directory: Path, note: str | None, report: bytes | None = None
    ) -> "tuple[str, Done]":
        """Propose a folder of policies; return the set's digest and what happened.

        Args:
            directory: The folder.
            note: Why.
            report: A signed report of its impact, such as of a trial.

        Raises:
            PolicyErrors: it does not load.
            PfgovError: ``impact.*``, the report does not hold.
        """
        ...

    def judge_proposal(
        self, digest: str, proposal: int, note: str | None, *, granted: bool
    ) -> "Done":
        """Approve the proposal made at entry *proposal*, or turn it down.

        Raises:
            PfgovError: ``policy.*``, it does not count, or there is no such proposal.
        """
        ...
