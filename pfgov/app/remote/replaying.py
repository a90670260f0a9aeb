"""Running an export's commands again on this machine, worded as a folder's replay is.

The verifier reads the file; whatever it finds wrong besides the replay itself is said, too, because commands are run
again only from bytes that hang together.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

from pfgov.engine.reading import ImpactReplay, Replay, Replayed, Span
from pfgov.engine.reading import Report as ImpactReport
from pfgov.policy import PolicySet
from pfgov_ledger.conclusions import Question
from pfgov_ledger.entry import Entry
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.export import Progress
from pfgov_ledger.keys import Anchor
from pfgov_ledger.replaying import ReplayUnavailableError
from pfgov_ledger.verdicts import AUTHENTICITY, INTEGRITY, REPLAY, WHY, Status
from pfgov_ledger.verify import verify

_LOOK: Final = "see what is wrong with it: pfgov ledger verify FILE --key ANCHOR"


class ExportDiffersError(LedgerError, code="ledger.export_differs"):
    """An export does not hang together, so that nothing in it was run again."""

    hint: ClassVar[str] = _LOOK


class _Counting(Replay):
    """A replay that counts its entries and keeps what stopped it."""

    def __init__(self, *, allow_plug_ins: bool) -> None:
        super().__init__(allow_plug_ins=allow_plug_ins)
        self.entries = 0
        self.stopped: LedgerError | None = None

    def feed(self, of: Entry) -> None:
        """Take the next entry."""
        with _kept(self):
            super().feed(of)
        self.entries += 1

    def finish(self) -> None:
        """Compare what is left."""
        with _kept(self):
            super().finish()


class _Asking(ImpactReplay):
    """A replay that asks a policy set, and keeps what stopped it."""

    stopped: LedgerError | None = None

    def feed(self, of: Entry) -> None:
        """Take the next entry."""
        with _kept(self):
            super().feed(of)

    def finish(self) -> None:
        """Ask at what is left."""
        with _kept(self):
            super().finish()


@contextmanager
def _kept(replay: _Counting | _Asking) -> Generator[None]:
    """Keep the error that ends the reading: the verifier says it as a verdict, and a caller wants it as it is."""
    try:
        yield
    except LedgerError as error:
        replay.stopped = error
        raise


def replay_export(
    path: Path, anchor: Anchor, progress: Progress, *, allow_plug_ins: bool
) -> Replayed:
    """Run every command of the export at *path* again.

    Raises:
        LedgerError: something differs.
        ReplayUnavailableError: it cannot be run again.
    """
    replay = _Counting(allow_plug_ins=allow_plug_ins)
    _verified(path, anchor, replay, progress)
    return Replayed(replay.entries, replay.commands, None, replay.reordered)


def impact_of_export(
    path: Path,
    anchor: Anchor | None,
    policies: PolicySet,
    span: Span,
    progress: Progress,
    *,
    allow_plug_ins: bool = False,
) -> ImpactReport:
    """Return the impact of *policies* on the history in the export at *path*, which is verified first.

    Raises:
        LedgerError: the export does not hang together, or is not what its commands give.
        ReplayUnavailableError: it cannot be run again.
    """
    replay = _Asking(policies, span, allow_plug_ins=allow_plug_ins)
    try:
        _verified(path, anchor, replay, progress)
        return replay.report()
    finally:
        replay.close()


def _verified(
    path: Path, anchor: Anchor | None, replay: _Counting | _Asking, progress: Progress
) -> None:
    """Feed the export to *replay*, and refuse what the verifier finds wrong."""
    report = verify(
        path, anchor=anchor, question=Question("full"), progress=progress, replayer=replay
    )
    if replay.stopped is not None:
        raise replay.stopped
    for name in (INTEGRITY, AUTHENTICITY, REPLAY):
        found = report.verdicts[name]
        if found.status is Status.NOT_CHECKED:
            said = WHY.get(found.why or "", found.why or name)
            why = found.why or name
            message = f"the export {path} cannot be run again: {said}"
            raise ReplayUnavailableError(why, message, hint=_LOOK)
        if found.status is not Status.PASS:
            if found.detail:  # which says where, what was expected and what was found
                raise ExportDiffersError(f"{found.code}: {found.detail}")
            raise ExportDiffersError(
                f"{found.code}: {name}",
                position=found.position,
                expected=found.expected,
                found=found.found,
            )
