"""``pfgov policy publisher``: whose bundles are let in, by keys that are trusted, replaced and revoked as entries."""

from pathlib import Path
from typing import Any, Final

import click

from pfgov.app.done import Done
from pfgov.app.ledger import in_order
from pfgov.cli import render
from pfgov.cli.frame import FILES, Nouns, Output, verb
from pfgov.cli.inputs import WHEN, moment_of
from pfgov.cli.output import table
from pfgov.cli.policy import policy
from pfgov.cli.policy_bundle import key_option, signer_of

publisher: Final = Nouns(
    "publisher",
    help="Say whose bundles of policies are let in.",
    examples=("pfgov policy publisher trust acme 5f0c... --expires 365d",),
    then="let nothing else in: pfgov config set activation_bundle=1",
)
"""``pfgov policy publisher``."""

policy.add_command(publisher)

name_argument = click.argument("name", metavar="NAME")
expires_option = click.option(
    "--expires", type=WHEN, help="Until when it is trusted; for good by default."
)


@verb(
    publisher,
    "key",
    examples=("pfgov policy publisher key acme.key --name acme",),
    then="have it trusted: pfgov policy publisher trust acme HEX",
    files=FILES,
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", required=True, metavar="NAME", help="Whose key it is.")
def key(output: Output, file: Path, name: str) -> int:
    """Make a key for signing bundles and reports: the private half in FILE, the public half printed."""
    from pfgov.app.publishers import make_key

    public = make_key(file, name)
    output.show({"key": public, "name": name, "file": str(file)}, public, f"wrote {file}; keep it")
    return 0


@verb(
    publisher,
    "trust",
    examples=("pfgov policy publisher trust acme 5f0c... --expires 365d",),
    then="see who is trusted: pfgov policy publisher list",
)
@name_argument
@click.argument("public", metavar="HEX")
@expires_option
def trust(output: Output, name: str, public: str, expires: str | None) -> int:
    """Trust a publisher's public key; recorded. Again to move the end of its time."""
    from pfgov.model import PublisherTrust

    body = {"name": name, "key": public} | _until(expires)
    return _do(output, PublisherTrust, body, f"the key of {name} is trusted")


@verb(
    publisher,
    "rotate",
    examples=("pfgov policy publisher rotate acme --key acme.key --new acme-2.key",),
    then="see who is trusted: pfgov policy publisher list",
)
@name_argument
@key_option
@click.option("--new", "successor", required=True, metavar="FILE|URI", help="The next private key.")
@expires_option
def rotate(output: Output, name: str, key: str, successor: str, expires: str | None) -> int:
    """Let another key take over from a publisher's: both sign here, for this ledger. Recorded.

    Bundles that the old key signed are not let in any more. A key whose time is over can have no successor: trust the
    next one.
    """
    from pfgov.app.publishers import rotation
    from pfgov.cli.opening import acting

    old, new = signer_of(key), signer_of(successor)
    until = _until(expires).get("expires_at")
    with acting(output) as ledger_port:
        asked = rotation(ledger_port.overview().origin, name, old, new, until)
        done = ledger_port.do(asked)
    return _tell(output, done, f"the key {new.public.hex()[:12]} of {name} took over")


@verb(
    publisher,
    "revoke",
    examples=("pfgov policy publisher revoke acme 5f0c...",),
    then="see who is trusted: pfgov policy publisher list",
)
@name_argument
@click.argument("public", metavar="HEX")
def revoke(output: Output, name: str, public: str) -> int:
    """Trust a publisher's key no more, for good; recorded. A set of its that is binding stays so."""
    from pfgov.model import PublisherRevocation

    return _do(
        output, PublisherRevocation, {"name": name, "key": public}, f"a key of {name} is revoked"
    )


@verb(
    publisher,
    "list",
    examples=("pfgov policy publisher list",),
    then="trust another key: pfgov policy publisher trust NAME HEX",
)
def list_(output: Output) -> int:
    """List publishers, with every key that each ever had."""
    from pfgov.cli.opening import reading

    with reading(output) as book:
        found = book.publishers()
    rows = [
        (one.name, key.key[:12], key.status, key.since, key.expires_at)
        for one in found
        for key in one.keys
    ]
    head = ("!PUBLISHER", "KEY", "STATUS", "#ENTRY", "EXPIRES")
    output.show({"publishers": found}, table(head, rows) if rows else "nobody is trusted")
    return 0


def _until(expires: str | None) -> dict[str, Any]:
    from pfgov.clock import SystemClock

    until = moment_of(expires, SystemClock().now())
    return {} if until is None else {"expires_at": until}


def _do(output: Output, kind: Any, body: dict[str, Any], said: str) -> int:
    from pfgov.cli.opening import acting
    from pfgov.model import check_tree, parse

    asked = parse(kind, check_tree(body))
    with acting(output) as ledger_port:
        return _tell(output, ledger_port.do(asked), said)


def _tell(output: Output, done: Done, said: str) -> int:
    happened = in_order(done)
    output.show(
        {"entries": happened},
        said if happened else "nothing changed",
        render.entries_list(happened),
    )
    return 0
