"""The group ``pfgov member``; its commands are in the modules beside this one."""

from typing import Final

from pfgov.cli.frame import Nouns

member: Final = Nouns(
    "member",
    help="Who may work: agents, services, tools, nodes and people.\n\n"
    "A member gets work only while it is ACTIVE and policy allows it.",
    order=(
        "register",
        "list",
        "show",
        "update",
        "trust",
        "heartbeat",
        "drain",
        "retire",
        "fail",
        "recover",
    ),
    examples=(
        "pfgov member register --id agent-1 --type agent --capability planning --trust 0.95",
    ),
    then="see who could take a packet: pfgov discover --packet fp-001",
)
