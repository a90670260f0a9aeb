"""The seven verdicts, kept apart, and how an exit status follows from them.

A verdict is *pass*, *fail* (a code, a position, what was expected and found), *not checked* (why)
or *not applicable*; there is never one tick for all.  :class:`Findings` collects failures while a
file is read and keeps, for each verdict, the one at the lowest position.  What is checked is not
known here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pfgov_ledger import errors

INTEGRITY: Final = "integrity"
AUTHENTICITY: Final = "authenticity"
COMPLETENESS: Final = "completeness"
CUSTODY: Final = "custody"
FRESHNESS: Final = "freshness"
NON_EQUIVOCATION: Final = "non_equivocation"
REPLAY: Final = "replay"

VERDICTS: Final = (
    INTEGRITY,
    AUTHENTICITY,
    COMPLETENESS,
    CUSTODY,
    FRESHNESS,
    NON_EQUIVOCATION,
    REPLAY,
)
"""The verdicts, in the order of the report."""

REQUIRED: Final[dict[str, frozenset[str]]] = {
    "full": frozenset({INTEGRITY, AUTHENTICITY, COMPLETENESS, CUSTODY}),
    "packet": frozenset({INTEGRITY, AUTHENTICITY, COMPLETENESS, CUSTODY}),
    "subject": frozenset({INTEGRITY, AUTHENTICITY, COMPLETENESS}),
    "range": frozenset({INTEGRITY, AUTHENTICITY}),
    "receipt": frozenset({INTEGRITY, AUTHENTICITY}),
}
"""What must pass for exit status 0, by question; each option adds its own."""

EXIT_PASSED: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_CHECKED: Final = 4
EXIT_TRUNCATED: Final = 5

WHY: Final[dict[str, str]] = {
    "no_key": "no anchor was given, and keys never come from the file",
    "no_genesis": "the file does not begin with the genesis entry, which names the keys",
    "truncated": "the file ends before its trailer",
    "stopped": "reading stopped at the first failure of integrity",
    "integrity_failed": "it has no meaning once integrity has failed",
    "authenticity_failed": "nothing is replayed that is not authentic",
    "completeness_failed": "nothing is replayed that is not complete",
    "quick": "entry signatures were left out; the checkpoint's signature holds",
    "partial": "only a full export can be replayed",
    "no_replayer": "this verifier has no policy engine; use pfgov ledger verify --replay",
    "not_asked": "not asked for",
    "version": "the file has a format version that this verifier does not know",
    "unreadable": "the file could not be read",
    "no_checkpoint": "there is no checkpoint",
    "no_consistency_proof": "the file has no consistency proof from the remembered size",
    "older_than_remembered": "the checkpoint is older than the remembered one",
    "no_remembered_checkpoint": "there is no remembered checkpoint of this log",
    "remembered_unsigned": "no key of this log that is known signed the remembered checkpoint",
    "no_witness": "no trusted witness's cosignature says when",
    "witness_type": "a trusted witness signs in a way that this verifier cannot check",
    "future_cosignature": "every trusted cosignature's time is later than the reader's clock",
    "no_index": "no subject map proof covers the keys",
    "issuer_unknown": "a receipt without a proof is vouched for by a key that nothing anchors",
    "no_issuer": "the receipt does not carry its issuer's key, so that its signature cannot be checked",
}
"""Reason codes of *not checked*, and what they mean."""

_LAST: Final = 1 << 60


class Status(StrEnum):
    """What became of a verdict."""

    PASS = "pass"  # noqa: S105 (a verdict)
    FAIL = "fail"
    NOT_CHECKED = "not_checked"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict; ``code`` and its companions belong to failures, ``why`` to *not checked*.

    ``expected`` and ``found`` are texts to set side by side; ``detail`` is prose, in no format.
    """

    status: Status
    code: str | None = None
    position: int | None = None
    expected: str | None = None
    found: str | None = None
    why: str | None = None
    detail: str | None = None


class Findings:
    """What was found so far."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[int, int, Verdict]] = {}
        self._open: dict[str, Verdict] = {}
        self._count = 0

    def fail(self, verdict: str, error: errors.LedgerError, *, is_late: bool = False) -> None:
        """Record a failure; a verdict keeps the one with the lowest position, then the first.

        Args:
            verdict: What fails.
            error: Why, and where.
            is_late: It was found earlier than others at its position and is told only now.
        """
        self._count += 1
        position = _LAST if error.position is None else error.position
        shown = not isinstance(error, errors.MalformedError)
        record = Verdict(
            Status.FAIL,
            code=error.code,
            position=error.position,
            expected=error.expected if shown else None,
            found=error.found if shown else None,
            detail=str(error),
        )
        key = (position, 0 if is_late else self._count, record)
        if verdict not in self._failures or key[:2] < self._failures[verdict][:2]:
            self._failures[verdict] = key

    def has_failed(self, verdict: str) -> bool:
        """Whether *verdict* failed already."""
        return verdict in self._failures

    def leave(self, verdict: str, why: str, detail: str | None = None) -> None:
        """Say that *verdict* is not checked; the first reason is kept."""
        self._open.setdefault(verdict, Verdict(Status.NOT_CHECKED, why=why, detail=detail))

    def is_left(self, verdict: str) -> bool:
        """Whether *verdict* was said not to be checked."""
        return verdict in self._open

    def dismiss(self, verdict: str) -> None:
        """Say that *verdict* does not apply to what was asked."""
        self._open[verdict] = Verdict(Status.NOT_APPLICABLE)

    def verdicts(self) -> dict[str, Verdict]:
        """Every verdict: failed, else left open, else passed."""
        passed = Verdict(Status.PASS)
        return {
            name: self._failures[name][2]
            if name in self._failures
            else self._open.get(name, passed)
            for name in VERDICTS
        }


def first_failure(verdicts: dict[str, Verdict]) -> str | None:
    """The failed verdict with the lowest position (the report's order breaks ties)."""
    failed = [name for name in VERDICTS if verdicts[name].status is Status.FAIL]
    return min(failed, key=lambda name: _at(verdicts[name]), default=None)


def _at(verdict: Verdict) -> int:
    return _LAST if verdict.position is None else verdict.position


def exit_status(
    verdicts: dict[str, Verdict], required: Iterable[str], *, is_truncated: bool
) -> int:
    """1 if anything failed, else 5 if truncated, else 4 if a required verdict did not pass, else 0."""
    if any(verdict.status is Status.FAIL for verdict in verdicts.values()):
        return EXIT_FAILED
    if is_truncated:
        return EXIT_TRUNCATED
    if any(verdicts[name].status is not Status.PASS for name in required):
        return EXIT_NOT_CHECKED
    return EXIT_PASSED
