"""``pfgov init``: a new ledger with its keys, its anchor and the starter policies."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, Verb
from pfgov.cli.inputs import in_database
from pfgov.cli.output import facts
from pfgov.cli.policy import coverage_rows
from pfgov.cli.policy_sets import NotRead, uncovered_option


@click.command(
    "init",
    cls=Verb,
    examples=(
        "pfgov init",
        "pfgov init --origin ledger.example/eu --scheduler ring --policy ./policies",
        "pfgov init --store postgresql://pfgov@db.example/pfgov#eu",
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
@uncovered_option
@in_database
@click.pass_obj
def init(
    output: Output,
    origin: str | None,
    policy: Path | None,
    scheduler: str,
    leave_uncovered: tuple[str, ...],
    store: str | None,
) -> int:
    """Create a ledger with its keys, an anchor for verifiers and a binding policy set.

    Keep the recovery key somewhere else, and give the anchor to whoever shall verify exports.
    """
    from pfgov.app.local.folder import creating
    from pfgov.core.coverage import check_covered, coverage_of
    from pfgov.files import read_regular
    from pfgov.policy import load_directory, load_starter
    from pfgov.scheduling import registry

    first = load_starter() if policy is None else load_directory(policy)
    check_covered(first.points, leave_uncovered)
    name, _, rest = scheduler.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    # Before there is anything: a misspelt name leaves no half-made ledger with keys of another one.
    registry.scheduler(name.strip(), tuple((key.strip(), value.strip()) for key, _, value in pairs))
    with creating(
        output.directory, origin, policy=first, scheduler=scheduler, database=store
    ) as ledger:
        status, layout = ledger.engine.status(), ledger.engine.layout
        place = ledger.engine.store.location
    covered, not_read = coverage_of(first.points).view(), NotRead.of(policy)
    result = {
        "origin": status.origin,
        "directory": str(layout.directory),
        "store": place,
        "anchor": str(layout.anchor),
        "anchor_text": read_regular(layout.anchor).decode(),
        "recovery_key": str(layout.key("recovery")),
        "policy": status.policy,
        "coverage": covered,
        "unread": not_read.result(),
        "size": status.size,
    }
    output.show(
        result,
        *not_read.lines(),
        f"created the ledger {status.origin}",
        facts(
            (
                ("folder", layout.directory),
                ("store", place),
                ("anchor", f"{layout.anchor}: public; verifiers pin it"),
                ("recovery key", f"{layout.key('recovery')}: move it to another place"),
                ("policy set", (status.policy or "")[:12]),
                *(coverage_rows(covered) if policy is not None else ()),
                ("scheduler", scheduler),
            )
        ),
        "next:  pfgov member register --help, or see it all work: pfgov demo",
    )
    return 0
