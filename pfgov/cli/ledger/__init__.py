"""The commands about the ledger itself."""

from pfgov.cli.ledger import export, look, verify
from pfgov.cli.ledger.group import ledger

__all__ = ["export", "ledger", "look", "verify"]
