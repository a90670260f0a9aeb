"""The commands about members."""

from pfgov.cli.member import life, registry
from pfgov.cli.member.group import member

__all__ = ["life", "member", "registry"]
