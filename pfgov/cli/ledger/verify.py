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

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import facts, remark
from pfgov.errors import PfgovError

if TYPE_CHECKING:
    from pfgov.app.local.folder import Replay
    from pfgov_ledger.checkpoint import Checkpoint
    from pfgov_ledger.conclusions import Question
    from pfgov_ledger.errors import LedgerError
    from pfgov_ledger.examine import Progress
    from pfgov_ledger.keys import Anchor
    from pfgov_ledger.note import Vkey
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
@click.option(
    "--via",
    metavar="ROOT",
    help="The file leads through a root over many ledgers: the root's verifier key.",
)
@click.option("--require", metavar="V,V", help="Which verdicts must pass, separated by commas.")
def verify(
    output: Output,
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
    via: str | None,
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
        output.files_only(
            "the file is verified on this machine; without it the server's own log is"
        )
    elif via is not None:
        raise click.UsageError("--via belongs to a file", click.get_current_context())
    question = _question(subject, full=full or file is None, range_=range_)
    replayer = fresh_replay() if replay else None
    with _file(output, file) as path, output.progress("verifying") as step:
        report = examine(
            path,
            anchor=anchor_from(output, key),
            question=question,
            remembered=_remembered(remember, is_first=init),
            is_remembering=remember is not None and not init,
            via=None if via is None else _root_key(via),
            replayer=replayer,
            quick=quick,
            require=None
            if require is None
            else tuple(_verdict_name(name) for name in require.split(",")),
            progress=step,
        )
    unread = report.verdicts["integrity"]
    if unread.why == "unreadable":
        remark(f"cannot read {file}: {unread.detail}")
    _show(output, report)
    if replayer is not None and not output.json:
        output.write("".join(f"{said}\n" for said in older_orders(replayer.reordered)))
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
def replay(output: Output, allow_plugin: bool) -> int:
    """Run every recorded command again: each entry must come out byte for byte, and so must every table.

    Exits 0 if it does, 1 if something differs, 4 if it cannot be told.
    """
    from pfgov.cli.opening import reading
    from pfgov_ledger.errors import LedgerError
    from pfgov_ledger.replaying import ReplayUnavailableError

    try:
        with (
            reading(output) as book,
            output.progress("replaying") as step,
        ):
            found = book.replay(step, allow_plug_ins=allow_plugin)
    except ReplayUnavailableError as error:
        output.show({"replayed": False, "why": error.why}, f"cannot be told: {error.why}: {error}")
        return COULD_NOT
    except LedgerError as error:
        return _differs(output, error)
    compared = "" if found.rows is None else f", and so did the {found.rows} rows of the tables"
    output.show(
        {
            "replayed": True,
            "entries": found.entries,
            "commands": found.commands,
            "rows": found.rows,
            "reordered": found.reordered,
        },
        f"{found.commands} commands were run again: all {found.entries} entries came out byte for byte{compared}",
        *older_orders(found.reordered),
    )
    return 0


def older_orders(count: int) -> tuple[str, ...]:
    """Return what is said of commands that came out in an order from before semantics 4 only; nothing of none."""
    if not count:
        return ()
    commands = "1 command" if count == 1 else f"{count} commands"
    said = (
        f"{commands} of semantics before 4 came out in the order in which members' offers were given, not in that of "
        "their names: the one known fault of such ledgers, and no sign of tampering"
    )
    return (said,)


def _differs(output: Output, error: "LedgerError") -> int:
    """Say where a replay parted from the record."""
    result = {
        "replayed": False,
        "code": error.code,
        "position": error.position,
        "expected": error.expected,
        "found": error.found,
    }
    output.show(
        result,
        f"FAILED: {error.code} at {error.position}: {error}",
        facts((("expected", error.expected), ("found", error.found))),
    )
    return 1


class OtherGzipError(PfgovError):
    """An export was packed again by a tool whose gzip has another form than an export's."""

    code = "export.other_gzip"
    exit_status = 4


def examine(
    path: Path,
    *,
    anchor: "Anchor | None",
    question: "Question",
    remembered: "Checkpoint | None" = None,
    is_remembering: bool = False,
    via: "Vkey | None" = None,
    replayer: "Replay | None" = None,
    quick: bool = False,
    require: tuple[str, ...] | None = None,
    progress: "Progress | None" = None,
) -> "Report":
    """Return what the verifier says of the file at *path*."""
    from pfgov_ledger.reader import OTHER_GZIP, is_other_gzip
    from pfgov_ledger.verify import verify as check

    if is_other_gzip(path):
        raise OtherGzipError(OTHER_GZIP, hint=f"gunzip {path}")
    report = check(
        path,
        anchor=anchor,
        question=question,
        remembered=remembered,
        is_remembering=is_remembering,
        via=via,
        quick=quick,
        require=require,
        processes=min(os.cpu_count() or 1, PROCESSES_MAX),
        progress=progress,
        replayer=replayer,
    )
    return report if replayer is not None else _unasked(report)


def _unasked(report: "Report") -> "Report":
    """Return *report* without the claim that there is nothing here that could replay; nobody asked for it."""
    from pfgov_ledger.verdicts import REPLAY

    left = report.verdicts[REPLAY]
    if left.why != "no_replayer":
        return report
    return replace(report, verdicts={**report.verdicts, REPLAY: replace(left, why="not_asked")})


def report_of_folder(directory: Path) -> "Report":
    """Return what the verifier says of the whole ledger in *directory*, by its own anchor and replayed, too."""
    output = Output(directory=directory, is_directory_named=True)
    with _file(output, None) as path:
        return examine(
            path,
            anchor=anchor_from(output, None),
            question=_question(None, full=True, range_=False),
            replayer=fresh_replay(),
            require=("integrity", "authenticity", "completeness", "custody", "replay"),
        )


def fresh_replay() -> "Replay":
    """Return what runs recorded commands again, fresh for one reading."""
    from pfgov.app.local.folder import Replay

    return Replay()


def _show(output: Output, report: "Report") -> None:
    if output.json:
        output.emit(report.to_json())
    else:
        output.write(report.to_text())


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


def _root_key(text: str) -> "Vkey":
    from pfgov_ledger.cli import CommandError, root_key

    try:
        return root_key(text)
    except CommandError as error:
        raise click.BadParameter(str(error), param_hint="--via") from None


def _verdict_name(text: str) -> str:
    from pfgov_ledger.verdicts import VERDICTS

    name = text.strip().replace("-", "_")
    if name not in VERDICTS:
        raise click.BadParameter(
            f"{text!r} is not a verdict; there are {', '.join(VERDICTS)}", param_hint="--require"
        )
    return name


def anchor_from(output: Output, key: Path | None) -> "Anchor | None":
    """Return what the reader pins: the file named, or this ledger's own, or nothing."""
    from pfgov.files import read_regular
    from pfgov_ledger.keys import parse_anchor

    if key is None and output.url is not None:
        return None  # what a server hands over proves nothing about that server
    path = key or output.directory / "anchor.txt"
    if key is None and not path.exists():
        return None
    # One that was named may be a pipe; what lies in the folder under our own name must not hold anybody.
    raw = path.read_bytes() if key is not None else read_regular(path)
    return parse_anchor(raw.decode(errors="replace"))


def _remembered(path: Path | None, *, is_first: bool) -> "Checkpoint | None":
    from pfgov_ledger import remember

    if path is None:
        return None
    found = remember.load(path)
    if found is not None and is_first:
        raise click.BadParameter(f"{path} exists already; leave --init out", param_hint="--init")
    return found


@contextmanager
def _file(output: Output, file: Path | None) -> Generator[Path]:
    """Give the file to verify: the one that was named, or an export of this ledger."""
    if file is not None:
        yield file
        return
    from pfgov.app.ledger import ExportWanted
    from pfgov.cli.opening import reading, warn_of_loss

    with tempfile.TemporaryDirectory(prefix="pfgov-") as folder:
        path = Path(folder) / "ledger.lineage.jsonl"
        with reading(output) as book, path.open("wb") as out:
            warn_of_loss(book)
            book.export(ExportWanted(), out)
        yield path
