"""``pfgov ledger create``: one more ledger of a server of many."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, verb
from pfgov.cli.ledger.group import ledger
from pfgov.cli.output import facts


@verb(
    ledger,
    "create",
    examples=(
        "pfgov ledger create acme --url https://pfgov.example --first-key acme.key",
        "pfgov ledger create acme --url https://pfgov.example",
    ),
    then="ask it: pfgov status --url https://pfgov.example/l/NAME --key-file acme.key",
)
@click.argument("name")
@click.option(
    "--first-key",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw its first key (admin, assessor, operator) into this file, or take the one that is there.",
)
def create(output: Output, name: str, first_key: Path | None) -> int:
    """Have a server of many make a ledger and serve it; it needs the scope admin of the default ledger.

    The key stays in its file: the server is told its id and its SHA-256. The same command again is the same ledger.
    """
    import msgspec

    from pfgov.app.remote.ledgers import create_ledger
    from pfgov.cli.opening import asking
    from pfgov.errors import ConflictError, ForbiddenError, InputError, NotFoundError

    if output.url is None:
        raise click.UsageError(
            "name a server with --url; in a folder it is: pfgov init --dir DIR/NAME",
            click.get_current_context(),
        )
    key, is_drawn = (None, False) if first_key is None else _key(first_key)
    with asking(output) as session:
        try:
            made, log_key = create_ledger(session, name, key)
        except (InputError, ForbiddenError, NotFoundError, ConflictError):
            if is_drawn and first_key is not None:  # it was refused, so nobody was told of the key
                first_key.unlink(missing_ok=True)
            raise
        at = session.to.url + made.path
    output.show(
        msgspec.to_builtins(made),
        f"created the ledger {made.name}",
        facts(
            (
                ("origin", made.origin),
                ("address", at),
                *(() if made.host is None else (("host", made.host),)),
                ("log key", log_key),
                *(() if first_key is None else (("first key", _is_in(first_key, is_drawn)),)),
            )
        ),
    )
    return 0


def _is_in(path: Path, is_drawn: bool) -> str:
    return f"{path}: its owner's alone" if is_drawn else f"{path}: the one that was there"


def _key(path: Path) -> tuple[str, bool]:
    """Return the key in *path*, and whether it is new: it is written there before anybody is told of it.

    Raises:
        InvalidError: something else is there.
    """
    from pfgov.client.first_key import draw_key, named
    from pfgov.errors import InvalidError, file_errors
    from pfgov.files import read_regular, replace_private

    with file_errors(path):
        if not path.exists():
            key = draw_key()
            replace_private(path, f"{key}\n".encode(), durably=True)
            return key, True
        found = read_regular(path).decode("utf-8", "replace").strip()
    try:
        named(found)
    except ValueError as error:
        raise InvalidError(f"{path}: {error}", hint="name a file that is not there") from error
    return found, False
