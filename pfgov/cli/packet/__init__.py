"""The commands about packets."""

from pfgov.cli.packet import look, move, own, submit, why
from pfgov.cli.packet.group import packet

__all__ = ["look", "move", "own", "packet", "submit", "why"]
