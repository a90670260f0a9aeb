"""``pfgov witness``: cosign the checkpoints of other people's ledgers, so that nobody can be shown two histories."""

from pathlib import Path

import click

from pfgov.cli.frame import FILES, Nouns, Output, verb

witness = Nouns(
    "witness",
    help="Watch other ledgers: cosign what extends what was seen, and nothing else.",
    examples=("pfgov witness init --name example.org/witness", "pfgov witness serve --port 7380"),
    then="have your own ledger witnessed: pfgov serve --witnesses FILE",
)
"""``pfgov witness``."""

FOLDER: Path = Path(".pfgov-witness")


@verb(
    witness,
    "init",
    examples=("pfgov witness init --name example.org/witness",),
    then="add the logs to follow to logs.policy: log VKEY, as `pfgov ledger keys` prints it",
    files=FILES,
)
@click.option("--name", required=True, help="The witness's name, like a URL: example.org/witness.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Its folder.",
)
def init(output: Output, name: str, folder: Path) -> int:
    """Make a witness: its key, and an empty list of logs."""
    from pfgov.app.witness.book import LOGS, create

    vkey = create(folder, name)
    output.show(
        {"vkey": str(vkey), "folder": str(folder)},
        str(vkey),
        f"give this key to the ledgers; name them in {folder / LOGS}",
    )
    return 0


@verb(
    witness,
    "serve",
    examples=("pfgov witness serve", "pfgov witness serve --host 0.0.0.0 --port 7380"),
    then="put a proxy with TLS before it where it listens to others",
    files=FILES,
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    help="Its folder.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=7380, show_default=True, help="The port."
)
def serve(output: Output, folder: Path, host: str, port: int) -> int:
    """Cosign checkpoints over HTTP (C2SP tlog-witness) until it is stopped."""
    import contextlib

    from pfgov.app.witness.book import Book
    from pfgov.app.witness.server import WitnessServer
    from pfgov.clock import SystemClock
    from pfgov.errors import file_error
    from pfgov.log_lines import log_lines

    log_lines("pfgov.witness")
    with Book(folder, SystemClock()) as book:
        book.logs()
        try:
            server = WitnessServer((host, port), book)
        except OSError as error:
            raise file_error(error, Path(f"{host}:{port}")) from error
        with server, contextlib.suppress(KeyboardInterrupt):
            at = f"http://{host}:{server.server_address[1]}"
            output.show({"url": at, "vkey": str(book.vkey)}, f"{book.vkey}", f"listening at {at}")
            server.serve_forever()
    return 0
