"""``pfgov ledger convert``: a verified export in somebody else's format.

What each format holds is :mod:`pfgov.lineage`'s business; here a file is named, verified and written.
"""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.lineage.formats import FORMATS


@verb(
    ledger,
    "convert",
    examples=(
        "pfgov ledger convert ledger.lineage.jsonl --as openlineage",
        "pfgov ledger convert packet-fp-001.lineage.jsonl --as prov-n --key anchor.txt --out -",
        "pfgov ledger convert ledger.lineage.jsonl --as cose --signer file:.pfgov/keys/log.key",
    ),
    then="what goes where, field by field: docs/reference/lineage-formats.md",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "format_name",
    required=True,
    type=click.Choice(list(FORMATS)),
    help="; ".join(f"{row.name}: {row.title}" for row in FORMATS.values()) + ".",
)
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="What you pin; this ledger's own anchor by default.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to; beside FILE by default, - is standard output.",
)
@click.option(
    "--signer",
    metavar="URI",
    help="The key of the log, for a format that is signed by it: file:PATH or env:VARIABLE.",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def convert_export(
    output: Output,
    file: Path,
    format_name: str,
    key: Path | None,
    out: Path | None,
    signer: str | None,
    force: bool,
) -> int:
    """Verify the export FILE, and write its entries in another format.

    Nothing is written for an export that does not verify.  Every record names the log, the position and the leaf hash
    of its entry, so that a reader can go back to what is signed.  What the format has no place for is said.
    """
    from pfgov.cli.ledger.export import SUFFIX
    from pfgov.cli.ledger.verify import anchor_from
    from pfgov.cli.writing import target
    from pfgov.core.wording import counted
    from pfgov.errors import InvalidError
    from pfgov.lineage import convert, verified
    from pfgov_ledger.keys import open_signer

    for named in filter(None, (file, key)):
        if not named.is_file():
            raise click.BadParameter(f"{named} is no file that can be read")
    row = FORMATS[format_name]
    path = out or file.with_name(file.name.removesuffix(".gz").removesuffix(SUFFIX) + row.suffix)
    if str(path) != "-" and path.exists() and not force:
        raise click.BadParameter(f"{path} exists; --force replaces it", param_hint="--out")
    anchor = anchor_from(output, key)
    if anchor is None:
        raise InvalidError(
            "no anchor: nothing can be verified, so nothing is written",
            hint="name it: --key anchor.txt",
        )
    lineage = verified(file, anchor)
    log_key = None if signer is None else open_signer(signer)
    with target(path) as stream:
        count = convert(lineage, format_name, stream, log_key)
    if str(path) != "-":
        output.show(
            {
                "file": str(path),
                "format": format_name,
                "lines": count,
                "log": lineage.header.origin,
                "left_out": list(row.lacks),
            },
            f"{path}: {row.title}, {counted(count, 'line')}, from a verified export of {lineage.header.origin}",
            f"not in it: {', '.join(row.lacks)}",
        )
    return 0
