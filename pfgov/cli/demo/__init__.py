"""``pfgov demo``: the whole main job in a temporary folder, told step by step."""

from pathlib import Path

import click

from pfgov.cli.frame import Output, Verb


@click.command(
    "demo",
    cls=Verb,
    examples=(
        "pfgov demo",
        "pfgov demo --keep ./demo",
        "pfgov demo --churn",
        "pfgov demo --console",
    ),
    then="make your own: pfgov init",
    files="it makes a ledger of its own for as long as it runs",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Run in this new folder and keep it, to look around.",
)
@click.option(
    "--churn",
    is_flag=True,
    help="Instead: a real server and worker processes, some of which are killed while they work (half a minute).",
)
@click.option(
    "--console",
    is_flag=True,
    help="Instead: a server with a made-up fleet at work, to be looked at in a browser until Ctrl-C.",
)
@click.pass_obj
def demo(output: Output, keep: Path | None, *, churn: bool, console: bool) -> int:
    """See the whole main job: policy, placement, failure, handoff, export, verification.

    It runs on a clock of its own in a temporary folder and leaves nothing behind.
    """
    if churn:
        from pfgov.cli.demo.churn import run as run_churn

        return run_churn(output)
    if console:
        from pfgov.cli.demo.console import run as run_console

        return run_console(output)
    from pfgov.cli.demo.run import run

    return run(output, keep)


__all__ = ["demo"]
