"""Running an export's commands again on this machine, told as a folder's replay is.

The verifier reads the file; whatever it finds wrong besides the replay itself is said, too, because commands are run
again only from bytes that hang together.
"""

from pathlib import Path

from pfgov.replay import Replay, Replayed
from pfgov_ledger.conclusions import Question
from pfgov_ledger.entry import Entry
from pfgov_ledger.errors import LedgerError
from pfgov_ledger.export import Progress
from pfgov_ledger.keys import Anchor
from pfgov_ledger.replaying import ReplayUnavailableError
from pfgov_ledger.verdicts import AUTHENTICITY, INTEGRITY, REPLAY, Status
from pfgov_ledger.verify import verify


class ExportDiffersError(LedgerError, code="ledger.export_differs"):
    """An export does not hang together, so that nothing in it was run again."""


class _Counting(Replay):
    """A replay that counts its entries and keeps what stopped it."""

    def __init__(self, *, allow_plug_ins: bool) -> None:
        super().__init__(allow_plug_ins=allow_plug_ins)
        self.entries = 0
        self.stopped: LedgerError | None = None

    def feed(self, of: Entry) -> None:
        """Take the next entry."""
        try:
            super().feed(of)
        except LedgerError as error:
            self.stopped = error
            raise
        self.entries += 1

    def finish(self) -> None:
        """Compare what is left."""
        try:
            super().finish()
        except LedgerError as error:
            self.stopped = error
            raise


def replay_export(
    path: Path, anchor: Anchor, progress: Progress, *, allow_plug_ins: bool
) -> Replayed:
    """Run every command of the export at *path* again.

    Raises:
        LedgerError: something differs.
        ReplayUnavailableError: it cannot be told.
    """
    replay = _Counting(allow_plug_ins=allow_plug_ins)
    report = verify(
        path, anchor=anchor, question=Question("full"), progress=progress, replayer=replay
    )
    if replay.stopped is not None:
        raise replay.stopped
    for name in (INTEGRITY, AUTHENTICITY, REPLAY):
        found = report.verdicts[name]
        if found.status is Status.NOT_CHECKED:
            raise ReplayUnavailableError(found.why or name)
        if found.status is not Status.PASS:
            raise ExportDiffersError(
                f"{found.code}: {found.detail or name}",
                position=found.position,
                expected=found.expected,
                found=found.found,
            )
    return Replayed(replay.entries, replay.commands, None)
