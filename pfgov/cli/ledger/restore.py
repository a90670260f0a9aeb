"""Putting a backup back, and beginning a successor."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.inputs import in_database
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import facts


@verb(
    ledger,
    "restore",
    examples=(
        "pfgov ledger restore /backup/ledger.db --checkpoint head.note",
        "pfgov ledger restore --newest",
    ),
    then="look it over: pfgov ledger doctor",
    folder="a ledger is restored where its files are, and no server runs",
)
@click.argument("backup", required=False, type=click.Path(path_type=Path))
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A checkpoint that was kept elsewhere: what it covers has to be here.",
)
@click.option("--newest", is_flag=True, help="You know that nothing was recorded after this copy.")
@in_database
def restore(
    output: Output,
    backup: Path | None,
    checkpoint: Path | None,
    newest: bool,
    store: str | None,
) -> int:
    """Put a copied database back, so that it can be written again; without BACKUP the one that lies in the folder.

    A copy that is older than what was published must not sign again. So something has to speak for its being the
    newest: the head lock, where it survived, a checkpoint that was kept elsewhere, or your word. Reading a copy needs
    nothing of this. Put the signing keys into the folder, too.
    """
    from pfgov.app.local import folder
    from pfgov.cli.inputs import read_raw

    if store is not None and backup is None:
        raise click.UsageError(
            "--store says where BACKUP is put: what lies in the folder stays where it is",
            click.get_current_context(),
        )
    seen = None if checkpoint is None else read_raw(checkpoint)
    done = folder.restore(output.directory, backup, seen=seen, is_newest=newest, database=store)
    result = {
        "origin": done.origin,
        "directory": str(output.directory),
        "size": done.size,
        "evidence": done.evidence,
    }
    output.show(
        result,
        f"restored the ledger {done.origin}",
        facts(
            (
                ("folder", output.directory),
                ("entries", done.size),
                ("the newest by", done.evidence),
            )
        ),
    )
    return 0


@verb(
    ledger,
    "succeed",
    examples=(
        "pfgov ledger succeed /var/lib/pfgov-old --dir /var/lib/pfgov",
        "pfgov ledger succeed old --dir new --store 'postgresql://pfgov@db.example/pfgov#eu-2'",
    ),
    then="register the members again: pfgov member register --help",
    folder="a ledger is created where its folder and its keys are",
)
@click.argument("old", type=click.Path(path_type=Path))
@click.option("--origin", help="The new ledger's name, unique among all; drawn if there is none.")
@in_database
def succeed(output: Output, old: Path, origin: str | None, store: str | None) -> int:
    """Begin the ledger that continues the one in the folder OLD, which cannot go on; its genesis names the old one's
    head.

    The binding policies are taken over. Members and work are not: they begin anew, each with a history from its start.
    """
    from pfgov.app.local import folder

    done = folder.succeed(output.directory, old, origin=origin, database=store)
    result = {
        "origin": done.origin,
        "directory": str(output.directory),
        "predecessor": {"origin": done.predecessor, "size": done.size, "root": done.root},
    }
    output.show(
        result,
        f"created the ledger {done.origin}",
        facts(
            (
                ("folder", output.directory),
                ("continues", done.predecessor),
                ("after entries", done.size),
                ("with the root", done.root),
            )
        ),
    )
    return 0
