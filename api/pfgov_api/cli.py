"""``pfgov serve`` and ``pfgov key``: they join the command line through the entry points ``pfgov.commands``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfgov.cli.frame import Nouns, Output, Verb, verb
from pfgov.cli.inputs import PAIR

if TYPE_CHECKING:
    from pfgov_api.beside import Beside, Rooted


@click.command(
    "serve",
    cls=Verb,
    examples=(
        "pfgov serve",
        "pfgov serve --host 0.0.0.0 --port 8443",
        "pfgov serve --public-url https://pfgov.example",
        "pfgov serve --oidc oidc.toml",
        "pfgov serve --witnesses witnesses.policy",
        "pfgov serve --ledgers /srv/ledgers",
        "pfgov serve --ledgers /srv/ledgers --ledgers-domain ledgers.example.org",
        "pfgov serve --ledgers /srv/ledgers --root /srv/root --root-witnesses witnesses.policy",
    ),
    then="register a member: pfgov member register --url http://localhost:8000 ...; see /api/docs",
    folder="a server serves a folder of its own machine",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The port."
)
@click.option(
    "--public-url",
    metavar="URL",
    help="Where others find it behind a proxy, such as https://pfgov.example: what AuthZEN's configuration names.",
)
@click.option(
    "--oidc",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Believe the tokens of an OpenID Connect issuer, too: a TOML file about it.",
)
@click.option(
    "--open",
    "openly",
    is_flag=True,
    help="Let everybody on this machine be the operator although there were keys, and their file is gone.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="What to log to standard error, a JSON object a line.",
)
@click.option(
    "--signer",
    "signers",
    type=PAIR,
    multiple=True,
    metavar="ROLE=URI",
    help="A signing key that is not in the ledger's folder: issuer=env:NAME, log=file:PATH. Repeat it, oldest first: "
    "the newest that the ledger lets sign does, and a rotation takes the next one.",
)
@click.option(
    "--witnesses",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Have checkpoints cosigned: a C2SP tlog-policy file with the witnesses, their URLs, and the quorum.",
)
@click.option(
    "--witness-interval",
    type=click.FloatRange(min=0.1, max=86_400),
    default=10.0,
    show_default=True,
    help="Seconds between two rounds, and two looks of a root; a receipt that is to be witnessed begins one at once.",
)
@click.option(
    "--node-url",
    help="The URL at which other servers of the same ledger reach this one, where a database holds it.",
)
@click.option(
    "--webhooks",
    type=click.Path(path_type=Path),
    help="Tell others what is committed: a TOML file with their URLs and secrets; see /api/webhooks.",
)
@click.option(
    "--ledgers",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Serve the ledgers in the folders of DIR, too, each under /l/NAME, where NAME is its folder's.",
)
@click.option(
    "--ledgers-domain",
    metavar="DOMAIN",
    help="Serve each of these at a host of its own, too: NAME.DOMAIN, behind a proxy that passes the host on.",
)
@click.option(
    "--root",
    "root_folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Keep the root there (pfgov root init) over all ledgers of this server.",
)
@click.option(
    "--root-witnesses",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Have the root's checkpoints cosigned: a C2SP tlog-policy file, as --witnesses.",
)
@click.option(
    "--ledgers-open",
    type=click.IntRange(1, 10_000),
    default=256,
    show_default=True,
    help="How many of these are open at once; the others rest until they are asked for, or something is due.",
)
@click.option(
    "--share-keys",
    is_flag=True,
    help="Let who may enter the default ledger, and nobody else, enter the others with the same rights.",
)
@click.pass_obj
def serve(
    output: Output,
    *,
    host: str,
    port: int,
    public_url: str | None,
    oidc: Path | None,
    openly: bool,
    log_level: str,
    signers: tuple[tuple[str, str], ...],
    witnesses: Path | None,
    witness_interval: float,
    webhooks: Path | None,
    node_url: str | None,
    ledgers: Path | None,
    ledgers_domain: str | None,
    ledgers_open: int,
    share_keys: bool,
    root_folder: Path | None,
    root_witnesses: Path | None,
) -> int:
    """Offer the ledger over HTTP; an empty folder gets keys, a ledger and the starter policies first.

    Where no API key was ever made and no issuer of tokens is named, only this machine is served and everybody on it is
    the operator; create a key before listening elsewhere, or behind a proxy.
    """
    from pfgov.app.local.folder import SIGNERS
    from pfgov.app.webhook import read_webhooks
    from pfgov_api.addresses import public_url as checked
    from pfgov_api.serve import serve as run

    public = None if public_url is None else checked(public_url)
    node = None if node_url is None else checked(node_url)
    beside = _beside(ledgers, ledgers_open, ledgers_domain, (public, node), share_keys=share_keys)
    rooted = _rooted(root_folder, root_witnesses, witness_interval)
    for role, _ in signers:
        if role not in SIGNERS:
            raise click.UsageError(
                f"--signer {role}=...: the role is issuer or log", click.get_current_context()
            )
    vouching = None
    if witnesses is not None:
        from pfgov.app.witnesses import Witnesses

        vouching = Witnesses.of(output.directory, witnesses, interval_seconds=witness_interval)
    run(
        output.directory,
        host,
        port,
        log_level=log_level,
        oidc=oidc,
        signers=signers,
        public=public,
        openly=openly,
        witnesses=vouching,
        webhooks=None if webhooks is None else read_webhooks(webhooks),
        node_url=node,
        beside=beside,
        rooted=rooted,
    )
    return 0


def _beside(
    folder: Path | None,
    most: int,
    domain: str | None,
    own: tuple[str | None, ...],
    *,
    share_keys: bool,
) -> "Beside | None":
    """Return the ledgers that are served, too, before a ledger is made for a server that cannot start."""
    from pfgov.app.tenancy import ledger_names
    from pfgov_api.beside import Beside
    from pfgov_api.hosts import domain_of

    for option, is_given in (("share-keys", share_keys), ("ledgers-domain", domain)):
        if folder is None and is_given:
            raise click.UsageError(
                f"--{option} is about other ledgers: name their folder with --ledgers",
                click.get_current_context(),
            )
    if folder is None:
        return None
    ledger_names(folder)
    under = None if domain is None else domain_of(domain, *own)
    return Beside(folder.resolve(), share_keys, most, under)


def _rooted(folder: Path | None, witnesses: Path | None, interval: float) -> "Rooted | None":
    """Return the root that is to be kept, before a ledger is made for a server that cannot start."""
    from pfgov.app.root.folder import require
    from pfgov_api.beside import Rooted

    if folder is None:
        if witnesses is not None:
            raise click.UsageError(
                "--root-witnesses are asked about a root: name its folder with --root",
                click.get_current_context(),
            )
        return None
    require(folder)
    return Rooted(folder.resolve(), witnesses, interval)


key = Nouns(
    "key",
    help="Keys of the HTTP API: who may call, and what each may do.",
    examples=("pfgov key create --scope member:agent-planner-01", "pfgov key list"),
    then="send it as: Authorization: Bearer pfgov_...",
)
"""``pfgov key``."""

KEYS: Final = "keys are made and ended on the server's machine, so that no key can make another"
"""Why that is not done over HTTP."""


def _shown(records: Any) -> list[dict[str, Any]]:
    from pfgov_api.keyring import shown_keys

    return shown_keys(records)


def _ring(output: Output) -> Any:
    from pfgov.app.local.folder import require
    from pfgov_api.keyring import FILE, KeyRing

    require(output.directory)
    return KeyRing(output.directory / FILE)


def _now() -> int:
    from pfgov.clock import SystemClock

    return SystemClock().now()


@verb(
    key,
    "create",
    examples=(
        "pfgov key create --scope operator --name ops",
        "pfgov key create --scope member:agent-planner-01",
    ),
    then="the key is shown once; keep it where secrets belong",
    folder=KEYS,
)
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may do; repeatable.")
@click.option(
    "--name",
    default="",
    help="Its name in `key list`, in entries and for policies (principal.name).",
)
def create(output: Output, scopes: tuple[str, ...], name: str) -> int:
    """Make a key; it is printed once and kept only as a hash.

    Scopes: admin, operator, submitter, assessor (sets trust), reviewer, auditor (reads), member:ID (acts for one
    member).
    """
    record, text = _ring(output).create(scopes, now=_now(), name=name)
    output.show(
        {"id": record.id, "scopes": list(record.scopes), "key": text},
        f"key {record.id}, scopes {', '.join(record.scopes)}",
        text,
        "it is not shown again",
    )
    return 0


@verb(
    key,
    "list",
    examples=("pfgov key list", "pfgov key list --url https://pfgov.example"),
    then="end one on the server's machine: pfgov key revoke ID",
)
def list_keys(output: Output) -> int:
    """List the keys, revoked ones too; never the secrets.  Over HTTP it needs the scope admin."""
    if output.url is None:
        shown = _shown(_ring(output).records())
    else:
        import msgspec

        from pfgov.app.remote.api_keys import api_keys
        from pfgov.cli.opening import asking

        with asking(output) as session:
            shown = [msgspec.to_builtins(one) for one in api_keys(session)]
    lines = [
        f"{one['id']}  {'revoked ' if one['revoked_at'] else ''}{', '.join(one['scopes'])}  {one['name']}"
        for one in shown
    ]
    nobody = "no keys: only this machine is served, and everybody on it is the operator"
    output.show({"keys": shown}, *(lines or [nobody]))
    return 0


@verb(
    key,
    "revoke",
    examples=("pfgov key revoke abcdefgh",),
    then="make another: pfgov key create --help",
    folder=KEYS,
)
@click.argument("identity", metavar="ID")
def revoke(output: Output, identity: str) -> int:
    """End a key; a running server notices within a second."""
    record = _ring(output).revoke(identity, now=_now())
    output.show({"id": record.id, "revoked": True}, f"key {record.id} is revoked")
    return 0
