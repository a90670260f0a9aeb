"""Feeding an authentic export to a policy engine that runs its commands again.

The engine is a plug-in (:class:`Replayer`): this package knows neither policies nor schedulers.
The file is read a second time, after the first reading has authenticated all of it; the Merkle root
is computed again, so that a file swapped in between is noticed.
"""

from pathlib import Path
from typing import Protocol

from pfgov_ledger import entry, errors, merkle
from pfgov_ledger.attachments import Attachments
from pfgov_ledger.commitments import named_in
from pfgov_ledger.entry import Entry
from pfgov_ledger.export_format import ChunkLine, EntryLine, parse_line
from pfgov_ledger.reader import LineReader
from pfgov_ledger.subjects import IN_MEMORY_MAX
from pfgov_ledger.verdicts import REPLAY, Findings


class ReplayUnavailableError(errors.LedgerError):
    """A replay that cannot be done: a scheduler or a semantics number is not there."""

    code = "ledger.replay_unavailable"

    def __init__(self, why: str, message: str = "", *, hint: str | None = None) -> None:
        """Say *why* as a short code, e.g. ``semantics:2`` or ``scheduler:mine:1.0``, and what to do about it."""
        super().__init__(message or why)
        self.why = why
        self.hint = hint


class Replayer(Protocol):
    """Runs recorded commands again.

    Entries come in order.  A policy set comes right after the entry that activates it.
    """

    def feed(self, of: Entry) -> None:
        """Take the next entry; regenerate and compare it.

        Raises:
            LedgerError: It is not what its command gives; ``position`` names it.
            ReplayUnavailableError: It cannot be told.
        """
        ...

    def policy_set(self, digest: str, content: bytes) -> None:
        """Take the bytes of an activated policy set, whose digest was checked."""
        ...

    def finish(self) -> None:
        """Compare what is left. Raises as :meth:`feed`."""
        ...


def replay(path: Path, replayer: Replayer, findings: Findings, root: bytes) -> None:
    """Feed the full export at *path* to *replayer*; the outcome goes to the findings."""
    frontier = merkle.Frontier()
    attachments = Attachments(IN_MEMORY_MAX)
    position = 0
    try:
        with path.open("rb") as file:
            for text in LineReader(file):
                line = parse_line(text)
                if isinstance(line, EntryLine):
                    of = entry.parse(line.raw)
                    position = of.seq
                    frontier.add(of.leaf)
                    attachments.entry(of, named_in(of.body, of.raw))
                    replayer.feed(of)
                elif isinstance(line, ChunkLine):
                    policy = attachments.chunk(line)
                    if policy is not None:
                        replayer.policy_set(*policy)
        replayer.finish()
        if frontier.root() != root:
            raise errors.RootMismatchError(
                "the file changed while it was read",
                position=frontier.size,
                expected=root.hex(),
                found=frontier.root().hex(),
            )
    except ReplayUnavailableError as error:
        findings.leave(REPLAY, error.why, str(error))
    except errors.LedgerError as error:
        findings.fail(REPLAY, error.at(position))
    except OSError as error:
        findings.leave(REPLAY, "unreadable", error.strerror)
    finally:
        attachments.close()
