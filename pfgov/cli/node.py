"""``pfgov node``: the servers of a ledger that a database holds, and who of them leads."""

import click

from pfgov.cli.frame import Nouns, Output, verb
from pfgov.cli.output import table

node = Nouns(
    "node",
    help="The servers of a ledger that a database holds: one leads, the others stand by.",
    examples=("pfgov node list", "pfgov node drain http://10.0.0.1:8080"),
    then="how they take over: docs/how-to/run-on-two-machines.md",
)
"""``pfgov node``."""

FOLDER = "it asks the database that the folder names; a server says who leads at /api/status"
"""Why that is not done over HTTP: it works above all when no server answers."""


@verb(
    node,
    "list",
    examples=("pfgov node list", "pfgov node list --json"),
    then="let another lead: pfgov node drain URL",
    folder=FOLDER,
)
def list_nodes(output: Output) -> int:
    """List the servers that are there: who leads under which term, how far each is behind, and when it was heard."""
    from pfgov.app.turns import nodes

    found = nodes(output.directory)
    shown = [
        {
            "address": one.address,
            "role": _role(is_leader=one.is_leader, is_draining=one.is_draining),
            "term": one.term,
            "size": one.size,
            "lag": one.lag,
            "silent_seconds": round(one.silent_seconds, 1),
            "process": one.holder,
        }
        for one in found
    ]
    rows = [
        (
            one["address"],
            one["role"],
            one["term"],
            one["size"],
            one["lag"],
            f"{one['silent_seconds']} s",
        )
        for one in shown
    ]
    heads = ("!address", "!role", "term", "size", "lag", "heard before")
    nobody = "no server is there; a ledger in a file has none but the one that writes it"
    output.show({"nodes": shown}, table(heads, rows) if rows else nobody)
    return 0


def _role(*, is_leader: bool, is_draining: bool) -> str:
    if is_draining:
        return "draining"
    return "leader" if is_leader else "standby"


@verb(
    node,
    "drain",
    examples=("pfgov node drain http://10.0.0.1:8080",),
    then="see who took over: pfgov node list",
    folder=FOLDER,
)
@click.argument("address", metavar="URL")
def drain(output: Output, address: str) -> int:
    """Tell a server to lead no more until it is started again; it stands by, and another takes over."""
    from pfgov.app.turns import drain as tell

    tell(output.directory, address)
    output.show({"address": address, "draining": True}, f"{address} leads no more")
    return 0
