"""Moving a ledger from a file into a database."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.ledger.verify import report_of_folder
from pfgov.cli.output import facts


@verb(
    ledger,
    "migrate",
    examples=(
        "pfgov ledger migrate --to /var/lib/pfgov-new --store 'postgresql://pfgov@db.example/pfgov#eu'",
    ),
    then="serve it from there: pfgov serve --dir DIR; a second server stands by",
    folder="a ledger is moved where its files are, and no server runs",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The new folder, for the keys, the anchor and the head lock.",
)
@click.option(
    "--store", required=True, metavar="URL", help="The PostgreSQL database that is to hold it."
)
def migrate(output: Output, to: Path, store: str) -> int:
    """Move the ledger into a database: copied, verified and replayed there, and only then closed here.

    Entries, receipts and exports are the same bytes. The old folder keeps what it has, says where the ledger is, and
    cannot be written any more. If anything differs the old ledger stays as it is, and the copy is to be thrown away.
    """
    from pfgov.app.local import folder
    from pfgov.errors import StoreCorruptError

    with folder.migrating(output.directory, to, store) as size:
        report = report_of_folder(to)
        if report.exit_status:
            raise StoreCorruptError(
                f"the copy does not verify: {report.to_text().strip().splitlines()[-1]}",
                hint="the old ledger is as it was; look at it: pfgov ledger verify --replay",
            )
    output.show(
        {"directory": str(to), "store": store.partition("#")[0], "size": size, "verified": True},
        f"moved the ledger to {to}",
        facts((("entries", size), ("verified", "yes, and replayed"), ("closed", output.directory))),
    )
    return 0
