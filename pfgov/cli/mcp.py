"""``pfgov mcp``: tools of the Model Context Protocol, so that an agent asks a governed ledger itself."""

from pathlib import Path

import click

from pfgov.cli.frame import Nouns, Output, verb
from pfgov.cli.output import usage

mcp = Nouns(
    "mcp",
    help="Let agents use a server as tools (Model Context Protocol).",
    examples=("pfgov mcp serve --url http://localhost:8000",),
    then="which tools there are: docs/how-to/give-agents-tools.md",
)
"""``pfgov mcp``."""


@verb(
    mcp,
    "serve",
    examples=(
        "pfgov mcp serve --url http://localhost:8000 --anchor anchor.txt",
        "pfgov mcp serve --url http://localhost:8000 --http --port 8900",
    ),
    then="put the first line into the configuration of a client; over --http each request brings its own key",
)
@click.option(
    "--anchor",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What lineages are verified against: the ledger's anchor.txt, had from another channel than the server.",
)
@click.option(
    "--http",
    "over_http",
    is_flag=True,
    help="Serve over streamable HTTP at /mcp instead of standard input and output.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="The port."
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST[:PORT]",
    help="A name by which it is asked, beside localhost; needed where it listens to other machines.",
)
def serve(
    output: Output,
    anchor: Path | None,
    over_http: bool,
    host: str,
    port: int,
    names: tuple[str, ...],
) -> int:
    """Serve discover, submit, explain, hand_off, review and verify as tools, until the client leaves or it is stopped.

    Over standard input and output everything is asked with the key in PFGOV_API_KEY or --key-file. Over HTTP each
    request is asked with the key in its own Authorization header, and with none where it has none.
    """
    import asyncio

    from pfgov.cli.address import address
    from pfgov.cli.ledger.verify import anchor_from
    from pfgov.mcp.serving import Behind, serve_http, serve_stdio

    if output.url is None:
        raise usage("tools are served for a server", "name it: --url URL; run one: pfgov serve")
    to = address(
        output.url,
        key_file=output.key_file,
        insecure=output.insecure,
        carries_keys=over_http,
    )
    pinned = None if anchor is None else anchor_from(output, anchor)
    if over_http:
        behind = Behind(to.url, anchor=pinned, is_shared=True)
        at = f"[{host}]" if ":" in host else host

        def listens(found: int) -> None:
            click.echo(f"tools at http://{at}:{found}/mcp, for {to.url}", err=True)

        serve_http(behind, host=host, port=port, names=names, listens=listens)
    else:
        asyncio.run(serve_stdio(Behind(to.url, to.key, pinned)))
    return 0
