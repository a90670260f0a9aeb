"""The group ``pfgov packet``; its commands are in the modules beside this one."""

from typing import Final

from pfgov.cli.frame import Nouns

packet: Final = Nouns(
    "packet",
    help="The work: portable packets with what they demand of an owner, their context and their history.\n\n"
    "Every change of owner is judged by policy first, and raises the epoch; writes under an old one are refused.",
    order=(
        "submit",
        "list",
        "show",
        "explain",
        "audit",
        "result",
        "update",
        "review",
        "assign",
        "handoff",
        "accept",
        "abort",
        "checkpoint",
        "complete",
        "fail",
        "requeue",
        "cancel",
    ),
    examples=("pfgov packet submit --file packet.json", "pfgov packet explain fp-001"),
    then="what waits, and why: pfgov packet list --stuck",
)
