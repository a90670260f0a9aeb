"""``pfgov ledger tiles``: the log as static files that any C2SP tile reader follows."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.core.wording import counted


@verb(
    ledger,
    "tiles",
    examples=("pfgov ledger tiles /srv/www/log",),
    then="serve the folder with any web server; a running pfgov serves the same under /tiles/",
    files="a running server has them under /tiles/ already",
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def write(output: Output, folder: Path) -> int:
    """Bring a folder up to date with the log, as C2SP tlog-tiles: checkpoint, hash tiles, entry bundles.

    Complete tiles are never written again, and the checkpoint comes last. Entries are in it: publish it to whoever may
    read the whole log.
    """
    from pfgov.app.local.tiles import publish

    with output.progress("writing tiles") as step:
        done = publish(output.directory, folder, step)
    held, written = counted(done.size, "entry", "entries"), counted(done.written, "resource")
    output.show(
        {"size": done.size, "written": done.written, "folder": str(folder)},
        f"{folder} holds the log of {held}; {written} written",
    )
    return 0
