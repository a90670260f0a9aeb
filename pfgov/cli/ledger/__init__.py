"""The commands about the ledger itself."""

from pfgov.cli.ledger import erase, export, look, prove, verify
from pfgov.cli.ledger.group import ledger

__all__ = ["erase", "export", "ledger", "look", "prove", "verify"]
