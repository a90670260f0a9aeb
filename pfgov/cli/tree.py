"""The commands there are: names, one-line summaries and where each is found.

Nothing here imports a command, so that help and completion are quick.
"""

from typing import Final

import click

from pfgov.cli.frame import Lazy, Nouns
from pfgov.cli.output import Output

COMPLETE_VARIABLE: Final = "_PFGOV_COMPLETE"
"""Set by the shell: ``eval "$(_PFGOV_COMPLETE=bash_source pfgov)"``."""

START: Final = "Start here"
RUN: Final = "Members and packets"
GOVERN: Final = "Policy and ledger"
SERVE: Final = "Serving"

COMMANDS: Final = {
    "demo": Lazy("pfgov.cli.demo:demo", "See the whole main job in a temporary folder.", START),
    "init": Lazy(
        "pfgov.cli.init:init", "Create a ledger, its keys and the starter policies.", START
    ),
    "status": Lazy(
        "pfgov.cli.state:status", "Say what the ledger holds and what needs a look.", START
    ),
    "member": Lazy(
        "pfgov.cli.member:member", "Who may work: register, change, drain, recover.", RUN
    ),
    "packet": Lazy(
        "pfgov.cli.packet:packet", "The work: submit, place, hand off, complete, explain.", RUN
    ),
    "discover": Lazy(
        "pfgov.cli.discover:discover",
        "Ask who could take a packet, and why not each other one.",
        RUN,
    ),
    "tick": Lazy(
        "pfgov.cli.state:tick", "Let what is due happen: leases, deadlines, retries.", RUN
    ),
    "serve": Lazy("@serve", "Offer the ledger over HTTP.", SERVE),
    "key": Lazy("@key", "Keys of the HTTP API: create, list, revoke.", SERVE),
    "mcp": Lazy("pfgov.cli.mcp:mcp", "Tools for agents: the Model Context Protocol.", SERVE),
    "node": Lazy("pfgov.cli.node:node", "Servers that take over: list, drain.", SERVE),
    "witness": Lazy("pfgov.cli.witness:witness", "Cosign the checkpoints of other ledgers.", SERVE),
    "root": Lazy("pfgov.cli.root:root", "Have many ledgers witnessed at once.", SERVE),
    "monitor": Lazy(
        "pfgov.cli.monitor:monitor", "Watch a ledger that others run, over HTTP.", SERVE
    ),
    "kubernetes": Lazy(
        "pfgov.cli.kubernetes:kubernetes", "Govern what a Kubernetes cluster may run.", SERVE
    ),
    "policy": Lazy("pfgov.cli.policy_verbs:policy", "Write, test and activate policies.", GOVERN),
    "ledger": Lazy(
        "pfgov.cli.ledger:ledger", "Export the history, verify it, run it again.", GOVERN
    ),
    "pii": Lazy("pfgov.cli.pii:pii", "See which classes of personal data a context holds.", GOVERN),
    "sim": Lazy("pfgov.cli.sim:sim", "Try fleets, faults and schedulers in virtual time.", GOVERN),
    "config": Lazy("pfgov.cli.config:config", "The settings that decisions read.", GOVERN),
}


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        from pfgov import __version__

        output = context.ensure_object(Output)
        if output.json:
            output.emit({"version": __version__})
        else:
            output.write(f"pfgov {__version__}\n")
        context.exit()


root = Nouns(
    "pfgov",
    lazy=COMMANDS,
    help=(
        "Policy-first governance for work that moves between members.\n\n"
        "pfgov decides who owns a packet of work, moves it when its owner fails or leaves, and records every decision, "
        "allowed or denied, in a signed ledger that anyone can verify offline."
    ),
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
    examples=(
        "pfgov demo",
        "pfgov init && pfgov member register --file member.json",
        "pfgov status --url https://ledger.example",
    ),
    then="each command explains itself: pfgov packet submit --help",
)
"""The root of the tree."""


def completed() -> bool:
    """Answer the shell's completion, if it is the shell that asks; return whether it was."""
    import os

    instruction = os.environ.get(COMPLETE_VARIABLE)
    if not instruction:
        return False
    from click.shell_completion import shell_complete

    shell_complete(root, {"obj": Output()}, "pfgov", COMPLETE_VARIABLE, instruction)
    return True
