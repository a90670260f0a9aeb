"""``pfgov serve`` and ``pfgov key``: they join the command line through the entry points ``pfgov.commands``."""

from pathlib import Path
from typing import Any, Final

import click

from pfgov.cli.frame import Nouns, Screen, Verb, verb
from pfgov.cli.inputs import PAIR
from pfgov.model.times import to_moment


@click.command(
    "serve",
    cls=Verb,
    examples=(
        "pfgov serve",
        "pfgov serve --host 0.0.0.0 --port 8443",
        "pfgov serve --public-url https://pfgov.example",
        "pfgov serve --oidc oidc.toml",
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
@click.pass_obj
def serve(
    screen: Screen,
    host: str,
    port: int,
    public_url: str | None,
    oidc: Path | None,
    log_level: str,
    signers: tuple[tuple[str, str], ...],
) -> int:
    """Offer the ledger over HTTP; an empty folder gets keys, a ledger and the starter policies first.

    Without API keys or an issuer of tokens only this machine is served and everybody on it is the operator; create a
    key before listening elsewhere.
    """
    from pfgov.engine.signing import ROTATING
    from pfgov_api.addresses import public_url as checked
    from pfgov_api.serve import serve as run

    for role, _ in signers:
        if role not in ROTATING:
            raise click.UsageError(
                f"--signer {role}=...: the role is issuer or log", click.get_current_context()
            )
    public = None if public_url is None else checked(public_url)
    run(
        screen.directory,
        host,
        port,
        log_level=log_level,
        oidc=oidc,
        signers=signers,
        public=public,
    )
    return 0


key = Nouns(
    "key",
    help="Keys of the HTTP API: who may call, and what each may do.",
    examples=("pfgov key create --scope member:agent-planner-01", "pfgov key list"),
    then="send it as: Authorization: Bearer pfgov_...",
)
"""``pfgov key``."""

KEYS: Final = "keys are made and ended on the server's machine, so that no key can make another"
"""Why that is not done over HTTP."""


def _ring(screen: Screen) -> Any:
    from pfgov.engine.layout import Layout
    from pfgov_api.keyring import FILE, KeyRing

    Layout(screen.directory).require()
    return KeyRing(screen.directory / FILE)


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
@click.option("--name", default="", help="A note for `key list`.")
def create(screen: Screen, scopes: tuple[str, ...], name: str) -> int:
    """Make a key; it is printed once and kept only as a hash.

    Scopes: admin, operator, submitter, assessor (sets trust), reviewer, auditor (reads), member:ID (acts for one
    member).
    """
    record, text = _ring(screen).create(scopes, now=_now(), name=name)
    screen.show(
        {"id": record.id, "scopes": list(record.scopes), "key": text},
        f"key {record.id}, scopes {', '.join(record.scopes)}",
        text,
        "it is not shown again",
    )
    return 0


@verb(
    key,
    "list",
    examples=("pfgov key list",),
    then="end one: pfgov key revoke ID",
    folder=KEYS,
)
def list_keys(screen: Screen) -> int:
    """List the keys, revoked ones too; never the secrets."""
    records = _ring(screen).records()
    shown: list[dict[str, object]] = []
    lines: list[str] = []
    for one in records:
        ended = None if one.revoked_at is None else to_moment(one.revoked_at)
        shown.append(
            {
                "id": one.id,
                "scopes": list(one.scopes),
                "name": one.name,
                "created_at": to_moment(one.created_at),
                "revoked_at": ended,
            }
        )
        lines.append(f"{one.id}  {'revoked ' if ended else ''}{', '.join(one.scopes)}  {one.name}")
    nobody = "no keys: only this machine is served, and everybody on it is the operator"
    screen.show({"keys": shown}, *(lines or [nobody]))
    return 0


@verb(
    key,
    "revoke",
    examples=("pfgov key revoke abcdefgh",),
    then="make another: pfgov key create --help",
    folder=KEYS,
)
@click.argument("identity", metavar="ID")
def revoke(screen: Screen, identity: str) -> int:
    """End a key; a running server notices within a second."""
    record = _ring(screen).revoke(identity, now=_now())
    screen.show({"id": record.id, "revoked": True}, f"key {record.id} is revoked")
    return 0
