"""``pfgov ledger verify`` and ``replay``: hold a history against its signatures, and run its commands again.

The checks are the ledger package's, the same as ``pfgov-verify``; only the replay needs the engine.  Without a file
this ledger itself is exported and verified.
"""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.screen import facts

if TYPE_CHECKING:
    from pfgov_ledger.checkpoint import Checkpoint
    from pfgov_ledger.conclusions import Question
    from pfgov_ledger.errors import LedgerError
    from pfgov_ledger.examine import Progress
    from pfgov_ledger.keys import Anchor
    from pfgov_ledger.replaying import Replayer
    from pfgov_ledger.report import Report

COULD_NOT = 4
PROCESSES_MAX = 8


@verb(
    ledger,
    "verify",
    examples=(
        "pfgov ledger verify",
        "pfgov ledger verify fp-001.lineage.jsonl --key anchor.txt --subject packet/fp-001",
        "pfgov ledger verify all.lineage.jsonl --full --remember seen.note --init",
    ),
    then="run every decision again, too: add --replay",
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="ANCHOR",
    help="What you pin; this ledger's own anchor by default.",
)
@click.option("--subject", help="Ask for one history, such as packet/fp-001.")
@click.option("--full", is_flag=True, help="Ask for the whole log.")
@click.option("--range", "range_", is_flag=True, help="Ask for a range of entries.")
@click.option("--replay", is_flag=True, help="Run every recorded command again, too.")
@click.option("--quick", is_flag=True, help="Leave entry signatures out.")
@click.option(
    "--remember",
    type=click.Path(path_type=Path),
    metavar="NOTE",
    help="Compare with a checkpoint that you kept, then keep the newer one.",
)
@click.option("--init", is_flag=True, help="With --remember: there is none yet.")
@click.option("--require", metavar="V,V", help="Which verdicts must pass, separated by commas.")
def verify(
    screen: Screen,
    *,
    file: Path | None,
    key: Path | None,
    subject: str | None,
    full: bool,
    range_: bool,
    replay: bool,
    quick: bool,
    remember: Path | None,
    init: bool,
    require: str | None,
) -> int:
    """Verify an export, or this ledger: seven verdicts, each for itself.

    With --url the server's whole log is fetched and verified here; name the anchor with --key, from another channel.

    Exits 0 if everything required holds, 1 if something failed, 4 if it could not be checked, 5 if the file is cut
    short.
    """
    from pfgov_ledger import remember as remembering

    if init and remember is None:
        raise click.UsageError("--init belongs to --remember", click.get_current_context())
    if file is not None:
        screen.files_only(
            "the file is verified on this machine; without it the server's own log is"
        )
    question = _question(subject, full=full or file is None, range_=range_)
    with _file(screen, file) as path, screen.progress("verifying") as step:
        report = examine(
            path,
            anchor=_anchor(screen, key),
            question=question,
            remembered=_remembered(remember, is_first=init),
            is_remembering=remember is not None and not init,
            replay=replay,
            quick=quick,
            require=None
            if require is None
            else tuple(_verdict_name(name) for name in require.split(",")),
            progress=step,
        )
    unread = report.verdicts["integrity"]
    if unread.why == "unreadable":
        click.echo(f"cannot read {file}: {unread.detail}", err=True)
    _show(screen, report)
    if remember is not None and report.exit_status == 0 and report.note:
        remembering.store(remember, report.note)
    return report.exit_status


@verb(
    ledger,
    "replay",
    examples=("pfgov ledger replay", "pfgov ledger replay --allow-plugin"),
    then="verify signatures and proofs, too: pfgov ledger verify --replay",
)
@click.option("--allow-plugin", is_flag=True, help="Run schedulers of installed packages, too.")
def replay(screen: Screen, allow_plugin: bool) -> int:
    """Run every recorded command again: each entry must come out byte for byte, and so must every table.

    Exits 0 if it does, 1 if something differs, 4 if it cannot be told.
    """
    from pfgov.cli.desk import reading
    from pfgov_ledger.errors import LedgerError
    from pfgov_ledger.replaying import ReplayUnavailableError

    try:
        with (
            reading(screen) as book,
            screen.progress("replaying") as step,
        ):
            found = book.replay(step, allow_plug_ins=allow_plugin)
    except ReplayUnavailableError as error:
        screen.show({"replayed": False, "why": error.why}, f"cannot be told: {error.why}: {error}")
        return COULD_NOT
    except LedgerError as error:
        return _differs(screen, error)
    compared = "" if found.rows is None else f", and so did the {found.rows} rows of the tables"
    screen.show(
        {
            "replayed": True,
            "entries": found.entries,
            "commands": found.commands,
            "rows": found.rows,
        },
        f"{found.commands} commands were run again: all {found.entries} entries came out byte for byte{compared}",
    )
    return 0


def _differs(screen: Screen, error: "LedgerError") -> int:
    """Say where a replay parted from the record."""
    result = {
        "replayed": False,
        "code": error.code,
        "position": error.position,
        "expected": error.expected,
        "found": error.found,
    }
    screen.show(
        result,
        f"FAILED: {error.code} at {error.position}: {error}",
        facts((("expected", error.expected), ("found", error.found))),
    )
    return 1


def examine(
    path: Path,
    *,
    anchor: "Anchor | None",
    question: "Question",
    remembered: "Checkpoint | None" = None,
    is_remembering: bool = False,
    replay: bool = False,
    quick: bool = False,
    require: tuple[str, ...] | None = None,
    progress: "Progress | None" = None,
) -> "Report":
    """Return what the verifier says of the file at *path*."""
    from pfgov_ledger.verify import verify as check

    report = check(
        path,
        anchor=anchor,
        question=question,
        remembered=remembered,
        is_remembering=is_remembering,
        quick=quick,
        require=require,
        processes=min(os.cpu_count() or 1, PROCESSES_MAX),
        progress=progress,
        replayer=_replayer() if replay else None,
    )
    return report if replay else _unasked(report)


def _unasked(report: "Report") -> "Report":
    """Return *report* without the claim that there is nothing here that could replay; nobody asked for it."""
    from pfgov_ledger.verdicts import REPLAY

    left = report.verdicts[REPLAY]
    if left.why != "no_replayer":
        return report
    return replace(report, verdicts={**report.verdicts, REPLAY: replace(left, why="not_asked")})


def _replayer() -> "Replayer":
    """Return what runs recorded commands again, fresh for one reading."""
    from pfgov.replay import Replay

    return Replay()


def _show(screen: Screen, report: "Report") -> None:
    if screen.json:
        screen.emit(report.to_json())
    else:
        screen.write(report.to_text())


def _question(subject: str | None, *, full: bool, range_: bool) -> "Question":
    from pfgov_ledger import vocabulary
    from pfgov_ledger.conclusions import Question

    if subject is not None:
        if not vocabulary.is_subject(subject):
            raise click.BadParameter(
                f"{subject!r} is not a subject; write packet/ID, member/ID, policy, keys or ledger",
                param_hint="--subject",
            )
        return Question("subject", subject)
    if full:
        return Question("full")
    return Question("range") if range_ else Question()


def _verdict_name(text: str) -> str:
    from pfgov_ledger.verdicts import VERDICTS

    name = text.strip().replace("-", "_")
    if name not in VERDICTS:
        raise click.BadParameter(
            f"{text!r} is not a verdict; there are {', '.join(VERDICTS)}", param_hint="--require"
        )
    return name


def _anchor(screen: Screen, key: Path | None) -> "Anchor | None":
    """Return what the reader pins: the file named, or this ledger's own, or nothing."""
    from pfgov_ledger.keys import parse_anchor

    if key is None and screen.url is not None:
        return None  # what a server hands over proves nothing about that server
    path = key or screen.directory / "anchor.txt"
    if key is None and not path.exists():
        return None
    return parse_anchor(path.read_text(errors="replace"))


def _remembered(path: Path | None, *, is_first: bool) -> "Checkpoint | None":
    from pfgov_ledger import remember

    if path is None:
        return None
    found = remember.load(path)
    if found is not None and is_first:
        raise click.BadParameter(f"{path} exists already; leave --init out", param_hint="--init")
    return found


@contextmanager
def _file(screen: Screen, file: Path | None) -> Generator[Path]:
    """Give the file to verify: the one that was named, or an export of this ledger."""
    if file is not None:
        yield file
        return
    from pfgov.cli.desk import ExportWanted, reading, warn_of_loss

    with tempfile.TemporaryDirectory(prefix="pfgov-") as folder:
        path = Path(folder) / "ledger.lineage.jsonl"
        with reading(screen) as book, path.open("wb") as out:
            warn_of_loss(book)
            book.export(ExportWanted(), out)
        yield path
