"""What is at stake where a policy set would be made binding, and whether somebody has to say that it is meant.

Nothing is at stake in a fresh workspace: no members, no packets, nothing that was decided.  Elsewhere the change is
weighed: the recorded decisions are asked again, the owners of now are judged, and the tests beside the policies run.
Where all of that comes to nothing, the change goes through; where it does not, it waits for a yes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from pfgov.app.change.showing import consequence_lines
from pfgov.core.wording import counted
from pfgov.engine.reading import Report
from pfgov.errors import PfgovError, PolicyError

WEIGHED_ENTRIES_MAX: Final = 20_000
"""Entries of a ledger whose every decision is asked before an activation; of a longer one only what holds now."""


class UnconfirmedError(PfgovError):
    """An activation would change what is decided, or take something from somebody, and nobody said that it is meant."""

    code = "policy.unconfirmed"


@dataclass(frozen=True, slots=True)
class Tested:
    """What the tests beside the policies came to: how many there are, and those that fail, each in a line."""

    checks: int = 0
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weighed:
    """What an activation would do.

    Attributes:
        report: The impact on what is recorded, and on what holds now.
        tested: What the tests beside the policies came to.
        is_fresh: Whether there is nothing yet that could be at stake.
    """

    report: Report
    tested: Tested
    is_fresh: bool

    @property
    def is_same(self) -> bool:
        """Whether the set is binding already."""
        return self.report.binding == self.report.proposed

    @property
    def is_history_asked(self) -> bool:
        """Whether the recorded decisions were asked; a long history is not."""
        return self.report.ledger.first < self.report.ledger.size

    @property
    def needs_yes(self) -> bool:
        """Whether somebody has to say that it is meant."""
        if self.is_same or self.is_fresh:
            return False
        return bool(self.reasons)

    @property
    def reasons(self) -> list[str]:
        """Why it is not a matter of course, a line each."""
        report = self.report
        lines = [f"a test fails: {said}" for said in self.tested.failing[:3]]
        if len(self.tested.failing) > 3:
            lines.append(f"and {len(self.tested.failing) - 3} more fail")
        if report.counts.wider or report.counts.narrower or report.counts.flips:
            changed = report.counts.decisions - report.counts.same
            lines.append(
                f"{changed} of {counted(report.counts.decisions, 'recorded decision')} would differ: "
                f"{report.counts.wider} wider, {report.counts.narrower} narrower"
            )
        return lines + consequence_lines(report.now)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "needs_yes": self.needs_yes,
            "reasons": self.reasons,
            "report": msgspec.to_builtins(self.report),
            "tests": {"checks": self.tested.checks, "failing": list(self.tested.failing)},
        }


def tested(directory: Path) -> Tested:
    """Run the tests beside the policies in *directory*; tests that cannot be run fail, and no tests do not."""
    from pfgov.policy.authoring.testing.runner import run_directory
    from pfgov.policy.problems import NoTestsError

    try:
        report = run_directory(directory)
    except NoTestsError:
        return Tested()
    except PolicyError as error:
        return Tested(1, (error.message,))
    failing = tuple(
        f"{one.file}:{one.line}: {one.case}{f': {one.member}' if one.member else ''}: {one.problem}"
        for one in report.failed
    )
    return Tested(len(report.results), failing)


def is_fresh(members: int, packets: int) -> bool:
    """Whether a ledger has nothing yet that a change of policy could take from anybody."""
    return members == packets == 0


def unconfirmed(weighed: Weighed) -> UnconfirmedError:
    """Return the refusal of an activation that nobody confirmed."""
    return UnconfirmedError(
        f"making policy set {weighed.report.proposed[:12]} binding needs a yes: {weighed.reasons[0]}",
        hint="look at it with --dry-run, then repeat with --yes",
    )
