"""``pfgov ledger report``: a packet's history as one page for people, made from a verified export."""

import tempfile
from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger


@verb(
    ledger,
    "report",
    examples=(
        "pfgov ledger report fp-001",
        "pfgov ledger report fp-001 --fresh --out fp-001.html",
    ),
    then="open it in a browser, or print it to PDF; the proofs themselves: pfgov ledger export --subject packet/fp-001",
)
@click.argument("packet_id", metavar="PACKET")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to; PACKET.report.html by default, - is standard output.",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Commit a new index first, so that everything up to now is covered.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def report(output: Output, packet_id: str, out: Path | None, fresh: bool, force: bool) -> int:
    """Write who owned PACKET when, why, and which proofs hold, as one page of HTML.

    The packet's history is exported and verified first, and nothing is written if it does not verify.  The page loads
    nothing and runs nothing; it prints on A4.
    """
    from pfgov.app.ledger import ExportWanted
    from pfgov.app.report import page, story_of
    from pfgov.cli.ledger.export import checked
    from pfgov.cli.opening import reading
    from pfgov.cli.writing import target
    from pfgov.lineage import verified
    from pfgov_ledger.keys import parse_anchor
    from pfgov_ledger.verify import verify

    subject = checked(f"packet/{packet_id}")
    path = out or Path(f"{packet_id.replace('/', '-')}.report.html")
    if str(path) != "-" and path.exists() and not force:
        raise click.BadParameter(f"{path} exists; --force replaces it", param_hint="--out")
    with tempfile.TemporaryDirectory(prefix="pfgov-report-") as folder:
        export = Path(folder) / "export"
        with reading(output) as book, output.progress("exporting") as step:
            with export.open("xb") as file:
                book.export(ExportWanted(subject, fresh=fresh), file, step)
            anchor = parse_anchor(book.anchor())
        lineage = verified(export, anchor)
        story = story_of(lineage, packet_id)
        found = verify(export, anchor=anchor)
        with target(path) as stream:
            for piece in page(story, found, lineage.header.origin):
                stream.write(piece.encode())
    if str(path) != "-":
        output.show(
            {"file": str(path), "packet_id": packet_id, "entries": len(story.rows)},
            f"{path}: the history of {packet_id}, from a verified export of {lineage.header.origin}",
        )
    return 0
