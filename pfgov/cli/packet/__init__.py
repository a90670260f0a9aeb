"""The commands about packets."""

from pfgov.cli.packet import audit, look, move, own, submit, why
from pfgov.cli.packet.group import packet

__all__ = ["audit", "look", "move", "own", "packet", "submit", "why"]
