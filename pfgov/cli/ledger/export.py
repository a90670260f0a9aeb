"""``pfgov ledger export``: one file with the whole log, or with one subject's history and its proofs.

Exporting writes nothing to the ledger and works beside a running writer; only ``--fresh`` asks the writer for a new
index.  The file appears under its name when it is complete, never before.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import remark
from pfgov.cli.writing import target
from pfgov.core.wording import counted

if TYPE_CHECKING:
    from pfgov.app.ledger import ExportWanted
    from pfgov_ledger.export import Written

SUFFIX: Final = ".lineage.jsonl"


def file_name(wanted: "ExportWanted") -> str:
    """Return the file's name where none was given."""
    if wanted.subject is not None:
        return wanted.subject.replace("/", "-") + SUFFIX
    return (
        "ledger" if wanted.span is None else f"entries-{wanted.span[0]}-{wanted.span[1]}"
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
    output: Output,
    subject: str | None,
    span: tuple[int, int] | None,
    out: Path | None,
    fresh: bool,
    since: int | None,
    force: bool,
) -> int:
    """Write the history to one file that can be verified offline."""
    from pfgov.app.ledger import EntriesWanted, ExportWanted
    from pfgov.cli.opening import reading

    if subject is not None and span is not None:
        raise click.UsageError(
            "--subject and --range exclude each other", click.get_current_context()
        )
    wanted = ExportWanted(checked(subject), span, since, fresh)
    path = out or Path(file_name(wanted))
    if str(path) != "-" and path.exists() and not force:
        raise click.BadParameter(f"{path} exists; --force replaces it", param_hint="--out")
    with reading(output) as book, output.progress("exporting") as step, target(path) as file:
        written = book.export(wanted, file, step, compress=path.suffix == ".gz")
        is_absent = subject is not None and not book.entries(EntriesWanted(subject, limit=1))
        anchor = book.anchor_path
    if is_absent and (not output.json or str(path) == "-"):
        remark(f"there is no entry of {subject}: the export proves that")
    if str(path) != "-":
        _report(output, path, wanted, written, anchor)
    elif written.altered:
        remark(f"warning: {_changed(written.altered)}")
    return 1 if written.altered else 0


def _changed(count: int) -> str:
    """Return what is said of payloads that do not open their commitments."""
    found = counted(
        count,
        "payload was changed in the database and does not open its commitment",
        "payloads were changed in the database and do not open their commitments",
    )
    return f"{found}: the export says so in its place; see which: pfgov ledger doctor"


def _report(
    output: Output, path: Path, wanted: "ExportWanted", written: "Written", anchor: str
) -> None:
    question = (
        f"--subject {wanted.subject}"
        if wanted.subject
        else "--full"
        if written.kind == "full"
        else "--range"
    )
    command = f"pfgov-verify {path} --key {anchor} {question}"
    covered = (
        "" if written.kind == "full" else f"; entries from {written.size - 1} on are not covered"
    )
    output.show(
        {
            "file": str(path),
            "kind": written.kind,
            "subject": wanted.subject,
            "size": written.size,
            "entries": written.entries,
            "attachments": written.attachments,
            "policies": written.policies,
            "altered": written.altered,
            "sha256": written.sha256,
            "verify": command,
        },
        f"{path}: {counted(written.entries, 'entry', 'entries')} of {written.size}, "
        f"{counted(written.attachments, 'payload')}, {counted(written.policies, 'policy set')}{covered}",
        *([f"warning: {_changed(written.altered)}"] if written.altered else []),
        f"next:  {command}",
    )


def checked(subject: str | None) -> str | None:
    """Return what ``--subject`` says.

    Raises:
        InvalidError: it is no subject.
    """
    from pfgov.errors import InvalidError
    from pfgov_ledger import vocabulary

    if subject is not None and not vocabulary.is_subject(subject):
        raise InvalidError(
            f"--subject: {subject!r} is not a subject",
            hint="write packet/ID, member/ID, policy, keys or ledger",
            pointer="/subject",
        )
    return subject
