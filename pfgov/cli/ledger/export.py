"""``pfgov ledger export``: one file with the whole log, or with one subject's history and its proofs.

Exporting writes nothing to the ledger and works beside a running writer; only ``--fresh`` asks the writer for a new
index.  The file appears under its name when it is complete, never before.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import click

from pfgov.cli.frame import Screen, verb
from pfgov.cli.ledger.group import ledger

if TYPE_CHECKING:
    from pfgov.engine import LedgerReader
    from pfgov_ledger.export import Progress, Writable, Written

SUFFIX: Final = ".lineage.jsonl"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export; the whole log if nothing is said."""

    subject: str | None = None
    span: tuple[int, int] | None = None
    since: int | None = None

    @property
    def file_name(self) -> str:
        """The file's name where none was given."""
        if self.subject is not None:
            return self.subject.replace("/", "-") + SUFFIX
        return (
            "ledger" if self.span is None else f"entries-{self.span[0]}-{self.span[1]}"
        ) + SUFFIX


def _span(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    start, found, stop = text.partition(":")
    if not found or not start.isdecimal() or not stop.isdecimal() or int(start) >= int(stop):
        raise click.BadParameter(f"{text!r} is not START:STOP, such as 10:20")
    return int(start), int(stop)


@verb(
    ledger,
    "export",
    examples=(
        "pfgov ledger export",
        "pfgov ledger export --subject packet/fp-001 --fresh --out fp-001.lineage.jsonl",
        "pfgov ledger export --out all.lineage.jsonl.gz",
    ),
    then="verify it: pfgov-verify FILE --key .pfgov/anchor.txt",
)
@click.option(
    "--subject",
    help="Only this history, with the proof that it is whole: packet/ID, member/ID, policy, keys or ledger.",
)
@click.option("--range", "span", callback=_span, metavar="START:STOP", help="Only these positions.")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to; .gz compresses, - is standard output.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Commit a new index first, so that everything up to now is covered.",
)
@click.option(
    "--since",
    type=click.IntRange(min=0),
    metavar="SIZE",
    help="Prove, too, that a head of this size is a prefix.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def export(
    screen: Screen,
    subject: str | None,
    span: tuple[int, int] | None,
    out: Path | None,
    fresh: bool,
    since: int | None,
    force: bool,
) -> int:
    """Write the history to one file that can be verified offline."""
    from pfgov.cli.desk import acting, reading

    if subject is not None and span is not None:
        raise click.UsageError(
            "--subject and --range exclude each other", click.get_current_context()
        )
    wanted = Wanted(_checked(subject), span, since)
    path = out or Path(wanted.file_name)
    if str(path) != "-" and path.exists() and not force:
        raise click.BadParameter(f"{path} exists; --force replaces it", param_hint="--out")
    if fresh:
        with acting(screen) as desk:
            commit_index(desk.engine)
    with reading(screen) as book, screen.progress("exporting") as step, target(path) as file:
        written = write(book.reader, wanted, file, step, compress=path.suffix == ".gz")
    if str(path) == "-":
        return 0
    _report(screen, path, wanted, written)
    return 0


def _report(screen: Screen, path: Path, wanted: Wanted, written: "Written") -> None:
    question = (
        f"--subject {wanted.subject}"
        if wanted.subject
        else "--full"
        if written.kind == "full"
        else "--range"
    )
    anchor = screen.directory / "anchor.txt"
    command = f"pfgov-verify {path} --key {anchor} {question}"
    covered = (
        "" if written.kind == "full" else f"; entries from {written.size - 1} on are not covered"
    )
    screen.show(
        {
            "file": str(path),
            "kind": written.kind,
            "subject": wanted.subject,
            "size": written.size,
            "entries": written.entries,
            "attachments": written.attachments,
            "policies": written.policies,
            "unreadable": written.unreadable,
            "sha256": written.sha256,
            "verify": command,
        },
        f"{path}: {written.entries} entries of {written.size}, {written.attachments} payloads, "
        f"{written.policies} policy sets{covered}",
        *(
            [f"warning: {written.unreadable} payloads do not open their commitments"]
            if written.unreadable
            else []
        ),
        f"next:  {command}",
    )


def _checked(subject: str | None) -> str | None:
    """Refuse what is not a subject.

    Raises:
        InvalidError: it is none.
    """
    from pfgov.errors import InvalidError
    from pfgov_ledger import vocabulary

    if subject is not None and not vocabulary.is_subject(subject):
        raise InvalidError(
            f"{subject!r} is not a subject",
            hint="write packet/ID, member/ID, policy, keys or ledger",
            pointer="/subject",
        )
    return subject


def commit_index(engine: object) -> None:
    """Ask the writer to commit the subject map over everything there is."""
    from pfgov.commands import ENGINE, CommitIndex
    from pfgov.engine import Engine

    if isinstance(engine, Engine):
        engine.submit(CommitIndex(), principal=ENGINE)


def write(
    reader: "LedgerReader",
    wanted: Wanted,
    file: "Writable",
    progress: "Progress | None" = None,
    *,
    compress: bool = False,
) -> "Written":
    """Write the export that *wanted* describes.

    Raises:
        InvalidError: the range reaches beyond the last entry.
        PfgovError: ``store.*``, or ``export.index_needed``: no index covers what is asked for.
    """
    from pfgov.engine.exporting import stored_log
    from pfgov.errors import StateConflictError
    from pfgov_ledger.errors import IndexNeededError
    from pfgov_ledger.export import GzipWriter, write_full, write_range, write_subject

    target = GzipWriter(file) if compress else file
    with stored_log(reader) as source:
        _check_span(wanted.span, source.size())
        try:
            if wanted.subject is not None:
                made = write_subject(
                    source, wanted.subject, target, progress=progress, since=wanted.since
                )
            elif wanted.span is not None:
                made = write_range(
                    source, *wanted.span, target, progress=progress, since=wanted.since
                )
            else:
                made = write_full(source, target, progress=progress, since=wanted.since)
        except IndexNeededError as error:
            raise StateConflictError(
                str(error), code="export.index_needed", hint="commit one and export: add --fresh"
            ) from error
    if isinstance(target, GzipWriter):
        target.close()
    return made


def _check_span(span: tuple[int, int] | None, size: int) -> None:
    """Refuse a range of what is not there yet, which no index could ever cover."""
    from pfgov.errors import InvalidError

    if span is not None and span[1] > size:
        raise InvalidError(
            f"there are {size} entries, and the range ends at {span[1]}",
            hint=f"write a range that ends at {size} or before: --range {min(span[0], size - 1)}:{size}",
            pointer="/range",
        )


@contextmanager
def target(path: Path) -> Generator[BinaryIO]:
    """Give a file that takes its name when the block has ended well."""
    if str(path) == "-":
        import sys

        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
