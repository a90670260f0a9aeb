"""``pfgov init``: a new ledger with its keys, its anchor and the starter policies."""

from pathlib import Path

import click

from pfgov.cli.frame import Screen, Verb
from pfgov.cli.screen import facts


@click.command(
    "init",
    cls=Verb,
    examples=(
        "pfgov init",
        "pfgov init --origin ledger.example/eu --scheduler ring --policy ./policies",
    ),
    then="add a member: pfgov member register --help",
    folder="a ledger is created where its folder and its keys are; a server makes its own when it starts",
)
@click.option("--origin", help="The ledger's name, unique among all; drawn if there is none.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The first policies; the starter set by default.",
)
@click.option(
    "--scheduler",
    default="rendezvous",
    show_default=True,
    help="Who chooses among eligible members.",
)
@click.pass_obj
def init(screen: Screen, origin: str | None, policy: Path | None, scheduler: str) -> int:
    """Create a ledger with its keys, an anchor for verifiers and a binding policy set.

    Keep the recovery key somewhere else, and give the anchor to whoever shall verify exports.
    """
    from pfgov.engine import Engine
    from pfgov.policy import load_directory
    from pfgov.scheduling import registry

    first = None if policy is None else load_directory(policy)
    name, _, rest = scheduler.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    # Before there is anything: a misspelt name leaves no half-made ledger with keys of another one.
    registry.scheduler(name.strip(), tuple((key.strip(), value.strip()) for key, _, value in pairs))
    with Engine.create(screen.directory, origin, policy=first, scheduler=scheduler) as engine:
        status, layout = engine.status(), engine.layout
    result = {
        "origin": status.origin,
        "directory": str(layout.directory),
        "anchor": str(layout.anchor),
        "anchor_text": layout.anchor.read_text(),
        "recovery_key": str(layout.key("recovery")),
        "policy": status.policy,
        "size": status.size,
    }
    screen.show(
        result,
        f"created the ledger {status.origin}",
        facts(
            (
                ("folder", layout.directory),
                ("anchor", f"{layout.anchor}: public; verifiers pin it"),
                ("recovery key", f"{layout.key('recovery')}: move it to another place"),
                ("policy set", (status.policy or "")[:12]),
                ("scheduler", scheduler),
            )
        ),
        "next:  pfgov member register --help, or see it all work: pfgov demo",
    )
    return 0
