"""``pfgov ledger list``: the ledgers that one server holds."""

from pathlib import Path
from typing import Any

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import table


@verb(
    ledger,
    "list",
    examples=(
        "pfgov ledger list --url https://pfgov.example",
        "pfgov ledger list --in /srv/ledgers",
    ),
    then="ask one of them: pfgov status --url https://pfgov.example/l/NAME",
)
@click.option(
    "--in",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Look into this folder of ledgers instead of asking a server.",
)
def list_ledgers(output: Output, folder: Path | None) -> int:
    """List the ledgers that a server holds beside its default one, and why any cannot be opened.

    Over HTTP it needs the scope admin of the default ledger.
    """
    import msgspec

    shown: list[dict[str, Any]] = [msgspec.to_builtins(one) for one in _found(output, folder)]
    rows = [
        (
            one["name"],
            one["state"],
            "" if one["size"] is None else one["size"],
            one["origin"] or "",
            one["due"] or "",
            "" if one["error"] is None else f"{one['error']['detail']} ({one['error']['code']})",
        )
        for one in shown
    ]
    heads = ("!name", "!state", "#entries", "origin", "due", "why not")
    output.show({"ledgers": shown}, table(heads, rows) if rows else "no ledgers")
    return 0


def _found(output: Output, folder: Path | None) -> Any:
    if folder is not None:
        from pfgov.app.tenancy.listing import listed

        return listed(folder)
    if output.url is None:
        raise click.UsageError(
            "name a server with --url, or a folder of ledgers with --in",
            click.get_current_context(),
        )
    from pfgov.app.remote.ledgers import ledgers
    from pfgov.cli.opening import asking

    with asking(output) as session:
        return ledgers(session)
